#include "segue/base/text.h"

#include "segue/base/memory.h"

#include <stdio.h>
#include <stdlib.h>

static char empty_string[1];

void text_init(struct text *text, size_t ceiling)
{
    *text = (struct text){.data = empty_string, .ceiling = ceiling};
}

void text_release(struct text *text)
{
    if (text->capacity)
        free(text->data);
    text_init(text, text->ceiling);
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->overflow = false;
    if (text->capacity)
        text->data[0] = '\0';
}

char *text_take(struct text *text)
{
    char *data = text->capacity ? text->data : memory_string("");
    text_init(text, text->ceiling);
    return data;
}

static bool reserve(struct text *text, size_t more)
{
    if (text->overflow || more > text->ceiling || text->length > text->ceiling - more) {
        text->overflow = true;
        return false;
    }
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity < 32 ? 64 : text->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    text->data = memory_resize(text->capacity ? text->data : NULL, capacity);
    text->capacity = capacity;
    return true;
}

void text_add(struct text *text, const void *data, size_t length)
{
    if (length == 0 || !reserve(text, length))
        return;
    memcpy(text->data + text->length, data, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_add_slice(struct text *text, struct slice slice)
{
    text_add(text, slice.data, slice.length);
}

void text_add_char(struct text *text, char c)
{
    text_add(text, &c, 1);
}

char *text_extend(struct text *text, size_t length)
{
    if (!reserve(text, length))
        return NULL;
    char *added = text->data + text->length;
    text->length += length;
    text->data[text->length] = '\0';
    return added;
}

void text_add_format_list(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    BUG_ON(length < 0);
    if (length == 0 || !reserve(text, (size_t)length))
        return;
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    text->length += (size_t)length;
}

void text_add_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_add_format_list(text, format, arguments);
    va_end(arguments);
}

static void add_doubling(struct text *text, const char *string, char doubled, bool backslash_too)
{
    for (; *string; string++) {
        if (*string == doubled || (backslash_too && *string == '\\'))
            text_add_char(text, *string);
        text_add_char(text, *string);
    }
}

void text_add_identifier(struct text *text, const char *name)
{
    text_add_char(text, '"');
    add_doubling(text, name, '"', false);
    text_add_char(text, '"');
}

void text_add_literal(struct text *text, const char *value)
{
    text_add_string(text, strchr(value, '\\') ? "E'" : "'");
    add_doubling(text, value, '\'', true);
    text_add_char(text, '\'');
}

/* Bytes of the character that begins here; 0 where it is not well-formed UTF-8 (the Unicode
 * Standard, table 3-7: no overlong form, no surrogate, nothing above U+10FFFF). */
static size_t utf8_length(const unsigned char *c)
{
    static const struct {
        unsigned char first, last;     /* of the first byte */
        unsigned char lowest, highest; /* of the second */
        size_t length;
    } forms[] = {
        {0x00, 0x7F, 0, 0xFF, 1},    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (c[0] < forms[i].first || c[0] > forms[i].last)
            continue;
        if (forms[i].length > 1 && (c[1] < forms[i].lowest || c[1] > forms[i].highest))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++) {
            if ((c[k] & 0xC0) != 0x80)
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

void text_add_utf8(struct text *text, const char *value)
{
    const unsigned char *c = (const unsigned char *)value;
    while (*c) {
        size_t length = utf8_length(c);
        if (length)
            text_add(text, c, length);
        else
            text_add_string(text, "\xEF\xBF\xBD"); /* the replacement character */
        c += length ? length : 1;
    }
}

void text_add_array_item(struct text *text, const char *value)
{
    text_add_char(text, text->length ? ',' : '{');
    if (!value) {
        text_add_string(text, "NULL");
        return;
    }
    text_add_char(text, '"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            text_add_char(text, '\\');
        text_add_char(text, *value);
    }
    text_add_char(text, '"');
}

void text_add_json_string(struct text *text, const char *value)
{
    text_add_char(text, '"');
    const unsigned char *c = (const unsigned char *)value;
    while (*c) {
        size_t length = utf8_length(c);
        if (length == 0)
            text_add_string(text, "\\ufffd"); /* the replacement character */
        else if (*c == '"' || *c == '\\')
            text_add_format(text, "\\%c", *c);
        else if (*c == '\n')
            text_add_string(text, "\\n");
        else if (*c < 0x20)
            text_add_format(text, "\\u%04x", (unsigned)*c);
        else
            text_add(text, c, length);
        c += length ? length : 1;
    }
    text_add_char(text, '"');
}
