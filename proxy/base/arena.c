#include "segue/base/arena.h"

#include "segue/base/memory.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 8192 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_release(struct arena *arena)
{
    free_blocks(arena->blocks);
    arena_init(arena);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->blocks;
    if (keep && keep->size > BLOCK_SIZE * 8) {
        arena_release(arena);
        return;
    }
    if (keep) {
        free_blocks(keep->next);
        keep->next = NULL;
    }
    arena->used = 0;
    arena->total = 0;
}

void *arena_get(struct arena *arena, size_t size)
{
    size_t aligned = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - arena->used < aligned) {
        size_t capacity = aligned > BLOCK_SIZE ? aligned : BLOCK_SIZE;
        block = memory_get(sizeof *block + capacity);
        block->next = arena->blocks;
        block->size = capacity;
        arena->blocks = block;
        arena->used = 0;
    }
    void *pointer = block->data + arena->used;
    arena->used += aligned;
    arena->total += aligned;
    memset(pointer, 0, aligned);
    return pointer;
}

char *arena_string_range(struct arena *arena, const char *string, size_t length)
{
    char *copy = arena_get(arena, length + 1);
    memcpy(copy, string, length);
    return copy;
}

char *arena_string(struct arena *arena, const char *string)
{
    return string ? arena_string_range(arena, string, strlen(string)) : NULL;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    BUG_ON(length < 0);
    char *string = arena_get(arena, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(string, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return string;
}
