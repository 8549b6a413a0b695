/*
 * Allocation that does not fail: when the system has no memory left, the process says so and
 * aborts. Sizes that come from a peer must be bounded by the caller first.
 */
#ifndef SEGUE_BASE_MEMORY_H
#define SEGUE_BASE_MEMORY_H

#include <stddef.h>

void *memory_get(size_t size);                /* not cleared */
void *memory_zero(size_t count, size_t size); /* cleared; overflow-checked */
void *memory_resize(void *pointer, size_t size);
char *memory_string(const char *string);                      /* strdup; NULL gives NULL */
char *memory_string_range(const char *string, size_t length); /* NUL is appended */

#define NEW(type)              ((type *)memory_zero(1, sizeof(type)))
#define NEW_ARRAY(type, count) ((type *)memory_zero((count), sizeof(type)))

#endif
