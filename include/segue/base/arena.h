/*
 * Arena: memory that lives as long as one piece of work (a statement, a command) and is given back
 * at once. Pointers stay valid until arena_reset or arena_release. Nothing is freed on its own.
 */
#ifndef SEGUE_BASE_ARENA_H
#define SEGUE_BASE_ARENA_H

#include "segue/base/error.h"
#include "segue/base/text.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes used of the newest block */
    size_t total;               /* bytes handed out since the last reset */
};

void arena_init(struct arena *arena);
void arena_release(struct arena *arena);
void arena_reset(struct arena *arena); /* keeps one block for the next piece of work */

void *arena_get(struct arena *arena, size_t size); /* cleared, aligned for any type */
char *arena_string(struct arena *arena, const char *string);
char *arena_string_range(struct arena *arena, const char *string, size_t length);
char *arena_format(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(arena, type)              ((type *)arena_get((arena), sizeof(type)))
#define ARENA_NEW_ARRAY(arena, type, count) ((type *)arena_get((arena), sizeof(type) * (count)))

#endif
