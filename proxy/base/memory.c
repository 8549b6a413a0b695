#include "segue/base/memory.h"

#include "segue/base/error.h"

#include <stdlib.h>
#include <string.h>

void *memory_get(size_t size)
{
    void *pointer = malloc(size ? size : 1);
    if (!pointer)
        BUG("out of memory, %zu bytes asked for", size);
    return pointer;
}

void *memory_zero(size_t count, size_t size)
{
    void *pointer = calloc(count ? count : 1, size ? size : 1);
    if (!pointer)
        BUG("out of memory, %zu times %zu bytes asked for", count, size);
    return pointer;
}

void *memory_resize(void *pointer, size_t size)
{
    void *resized = realloc(pointer, size ? size : 1);
    if (!resized)
        BUG("out of memory, %zu bytes asked for", size);
    return resized;
}

char *memory_string(const char *string)
{
    return string ? memory_string_range(string, strlen(string)) : NULL;
}

char *memory_string_range(const char *string, size_t length)
{
    char *copy = memory_get(length + 1);
    memcpy(copy, string, length);
    copy[length] = '\0';
    return copy;
}
