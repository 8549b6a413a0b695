/*
 * Text: a growable, NUL-terminated byte string, and slices, which own nothing.
 *
 * Invariants: `data` is never NULL after text_init, data[length] is 0, length <= ceiling. An append
 * that would pass the ceiling changes nothing and sets `overflow`, so that a sequence of appends is
 * checked once at its end.
 */
#ifndef SEGUE_BASE_TEXT_H
#define SEGUE_BASE_TEXT_H

#include "segue/base/error.h"

#include <stdarg.h>
#include <string.h>

struct slice {
    const char *data;
    size_t length;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
static inline struct slice slice_of(const char *string)
{
    return (struct slice){string, strlen(string)};
}
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

#define TEXT_UNBOUNDED ((size_t)-1)

struct text {
    char *data;
    size_t length;
    size_t capacity; /* bytes allocated, 0 while data points to a shared empty string */
    size_t ceiling;  /* bytes, terminator not counted */
    bool overflow;
};

void text_init(struct text *text, size_t ceiling);
void text_release(struct text *text); /* afterwards as after text_init with the same ceiling */
void text_clear(struct text *text);   /* keeps the memory */
char *text_take(struct text *text);   /* the caller frees; text is empty afterwards */

void text_add(struct text *text, const void *data, size_t length);
void text_add_string(struct text *text, const char *string);
void text_add_slice(struct text *text, struct slice slice);
void text_add_char(struct text *text, char c);
/* `length` more bytes, which the caller fills; NULL where that passes the ceiling. */
char *text_extend(struct text *text, size_t length);
void text_add_format(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_add_format_list(struct text *text, const char *format, va_list arguments);

/* SQL quoting. An identifier is quoted always ("a""b"); a literal as 'a''b', with E'' where it has
 * a backslash. */
void text_add_identifier(struct text *text, const char *name);
void text_add_literal(struct text *text, const char *value);
/* As it is, but that a byte that is not UTF-8 becomes U+FFFD. */
void text_add_utf8(struct text *text, const char *value);
/* JSON string with its quotes; a byte that is not UTF-8 becomes U+FFFD. */
/* An item of an array's text, "{a,"b c",NULL}": with the brace or the comma before it. The last is
 * followed by a brace. */
void text_add_array_item(struct text *text, const char *value);
void text_add_json_string(struct text *text, const char *value);

#endif
