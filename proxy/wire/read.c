/*
 * Reading the messages that Segue looks into. Every string must end inside the body; nothing is
 * copied.
 */
#include "segue/wire/message.h"

#include "segue/wire/frame.h"

/* The string at *offset, moving past its terminator; NULL where the body ends before it. */
static const char *take_cstring(const uint8_t *body, size_t length, size_t *offset)
{
    if (*offset >= length)
        return NULL;
    const uint8_t *end = memchr(body + *offset, 0, length - *offset);
    if (!end)
        return NULL;
    const char *string = (const char *)body + *offset;
    *offset = (size_t)(end - body) + 1;
    return string;
}

bool wire_read_parse(const uint8_t *body, size_t length, struct wire_parse *parse)
{
    size_t offset = 0;
    parse->name = take_cstring(body, length, &offset);
    size_t text = offset;
    parse->sql.data = take_cstring(body, length, &offset);
    if (!parse->name || !parse->sql.data)
        return false;
    parse->sql.length = offset - text - 1;
    parse->parameter_types = body + offset;
    parse->parameter_types_length = length - offset;
    if (parse->parameter_types_length < 2)
        return false;
    size_t count = wire_get_int16(body + offset);
    return parse->parameter_types_length == 2 + 4 * count;
}

bool wire_read_query(const uint8_t *body, size_t length, struct slice *sql)
{
    size_t offset = 0;
    sql->data = take_cstring(body, length, &offset);
    if (!sql->data || offset != length)
        return false;
    sql->length = length - 1;
    return true;
}

bool wire_read_bind(const uint8_t *body, size_t length, struct wire_bind *bind)
{
    size_t offset = 0;
    bind->portal = take_cstring(body, length, &offset);
    bind->statement = take_cstring(body, length, &offset);
    return bind->portal && bind->statement;
}

bool wire_read_target(const uint8_t *body, size_t length, struct wire_target *target)
{
    if (length < 2 || (body[0] != 'S' && body[0] != 'P'))
        return false;
    size_t offset = 1;
    target->kind = (char)body[0];
    target->name = take_cstring(body, length, &offset);
    return target->name && offset == length;
}

const char *wire_read_name(const uint8_t *body, size_t length)
{
    size_t offset = 0;
    return take_cstring(body, length, &offset);
}

const char *wire_error_field(const uint8_t *body, size_t length, char field)
{
    size_t offset = 0;
    while (offset < length && body[offset] != 0) {
        char code = (char)body[offset++];
        const char *value = take_cstring(body, length, &offset);
        if (!value)
            return NULL;
        if (code == field)
            return value;
    }
    return NULL;
}

bool wire_read_fields(const uint8_t *body, size_t length, struct wire_fields *fields)
{
    size_t offset = 0;
    fields->count = 0;
    while (offset < length && body[offset] != 0) {
        char code = (char)body[offset++];
        const char *value = take_cstring(body, length, &offset);
        if (!value || fields->count == WIRE_FIELDS_MAX)
            return false;
        fields->list[fields->count++] = (struct wire_field){code, value};
    }
    return offset + 1 == length;
}

const char *wire_fields_get(const struct wire_fields *fields, char code)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->list[i].code == code)
            return fields->list[i].value;
    return NULL;
}

void wire_fields_set(struct wire_fields *fields, char code, const char *value)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->list[i].code == code)
            fields->list[i].value = value;
}

size_t wire_row_description_column(const uint8_t *body, size_t length, size_t *offset)
{
    size_t at = *offset;
    if (!take_cstring(body, length, &at) || length - at < 18)
        return 0;
    *offset = at + 18;
    return at;
}

bool wire_take_value(const uint8_t *body, size_t length, size_t *offset, struct slice *value)
{
    if (length - *offset < 4)
        return false;
    uint32_t size = wire_get_int32(body + *offset);
    *offset += 4;
    *value = (struct slice){NULL, 0};
    if (size == UINT32_MAX)
        return true;
    if (size > length - *offset)
        return false;
    *value = (struct slice){(const char *)body + *offset, size};
    *offset += size;
    return true;
}
