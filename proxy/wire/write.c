/*
 * Writing messages. The length is patched in when the body is whole; a text that passed its ceiling
 * stays marked with `overflow` and must not be sent.
 */
#include "segue/wire/message.h"

#include "segue/wire/frame.h"

#include <stdio.h>

size_t wire_begin(struct text *out, char type)
{
    if (type)
        text_add_char(out, type);
    size_t begun = out->length;
    wire_add_int32(out, 0);
    return begun;
}

void wire_end(struct text *out, size_t begun)
{
    if (out->overflow)
        return;
    BUG_ON(begun + 4 > out->length);
    size_t counted = out->length - begun;
    BUG_ON(counted > WIRE_LENGTH_MAX);
    uint8_t bytes[4] = {(uint8_t)(counted >> 24), (uint8_t)(counted >> 16), (uint8_t)(counted >> 8),
                        (uint8_t)counted};
    memcpy(out->data + begun, bytes, sizeof bytes);
}

void wire_add_int16(struct text *out, int value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    text_add(out, bytes, sizeof bytes);
}

void wire_add_int32(struct text *out, int64_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    text_add(out, bytes, sizeof bytes);
}

void wire_add_cstring(struct text *out, const char *string)
{
    text_add(out, string, strlen(string) + 1);
}

static void empty_message(struct text *out, char type)
{
    wire_end(out, wire_begin(out, type));
}

static void cstring_message(struct text *out, char type, const char *string)
{
    size_t begun = wire_begin(out, type);
    wire_add_cstring(out, string);
    wire_end(out, begun);
}

/* ---------------------------------------------------------------- from server to client */

static void error_field(struct text *out, char field, const char *value)
{
    if (value[0] == '\0')
        return;
    text_add_char(out, field);
    wire_add_cstring(out, value);
}

void wire_write_error(struct text *out, const char *severity, const struct error *error)
{
    size_t begun = wire_begin(out, 'E');
    error_field(out, 'S', severity);
    error_field(out, 'V', severity);
    error_field(out, 'C', error->sqlstate);
    error_field(out, 'M', error->message);
    error_field(out, 'D', error->detail);
    error_field(out, 'H', error->hint);
    if (error->position > 0) {
        char position[16];
        snprintf(position, sizeof position, "%d", error->position);
        error_field(out, 'P', position);
    }
    text_add_char(out, '\0');
    wire_end(out, begun);
}

void wire_write_notice(struct text *out, const char *severity, const char *sqlstate,
                       const char *message)
{
    size_t begun = wire_begin(out, 'N');
    error_field(out, 'S', severity);
    error_field(out, 'V', severity);
    error_field(out, 'C', sqlstate);
    error_field(out, 'M', message);
    text_add_char(out, '\0');
    wire_end(out, begun);
}

void wire_write_fields(struct text *out, char type, const struct wire_fields *fields)
{
    size_t begun = wire_begin(out, type);
    for (size_t i = 0; i < fields->count; i++) {
        if (!fields->list[i].value)
            continue;
        text_add_char(out, fields->list[i].code);
        wire_add_cstring(out, fields->list[i].value);
    }
    text_add_char(out, '\0');
    wire_end(out, begun);
}

void wire_write_ready_for_query(struct text *out, char transaction_state)
{
    size_t begun = wire_begin(out, 'Z');
    text_add_char(out, transaction_state);
    wire_end(out, begun);
}

void wire_write_command_complete(struct text *out, const char *tag)
{
    cstring_message(out, 'C', tag);
}

void wire_write_empty_query(struct text *out)
{
    empty_message(out, 'I');
}

void wire_write_authentication_ok(struct text *out)
{
    size_t begun = wire_begin(out, 'R');
    wire_add_int32(out, 0);
    wire_end(out, begun);
}

void wire_write_parameter_status(struct text *out, const char *name, const char *value)
{
    size_t begun = wire_begin(out, 'S');
    wire_add_cstring(out, name);
    wire_add_cstring(out, value);
    wire_end(out, begun);
}

void wire_write_backend_key(struct text *out, int32_t pid, int32_t key)
{
    size_t begun = wire_begin(out, 'K');
    wire_add_int32(out, pid);
    wire_add_int32(out, key);
    wire_end(out, begun);
}

/* pg_type.typlen of the types that wire_column may have; -1: varying. */
static int type_length(uint32_t type_oid)
{
    switch (type_oid) {
    case 16: /* bool */
        return 1;
    case 23: /* int4 */
        return 4;
    case 20:  /* int8 */
    case 701: /* float8 */
        return 8;
    default:
        return -1;
    }
}

void wire_write_row_description(struct text *out, const struct wire_column *columns, size_t count)
{
    size_t begun = wire_begin(out, 'T');
    wire_add_int16(out, (int)count);
    for (size_t i = 0; i < count; i++) {
        wire_add_cstring(out, columns[i].name);
        wire_add_int32(out, 0); /* table */
        wire_add_int16(out, 0); /* attribute number */
        wire_add_int32(out, columns[i].type_oid);
        wire_add_int16(out, type_length(columns[i].type_oid));
        wire_add_int32(out, -1); /* typmod */
        wire_add_int16(out, 0);  /* text */
    }
    wire_end(out, begun);
}

void wire_write_data_row(struct text *out, const char *const *values, size_t count)
{
    size_t begun = wire_begin(out, 'D');
    wire_add_int16(out, (int)count);
    for (size_t i = 0; i < count; i++) {
        if (!values[i]) {
            wire_add_int32(out, -1);
            continue;
        }
        size_t length = strlen(values[i]);
        wire_add_int32(out, (int64_t)length);
        text_add(out, values[i], length);
    }
    wire_end(out, begun);
}

/* ---------------------------------------------------------------- from client to server */

static void add_slice_cstring(struct text *out, struct slice slice)
{
    text_add_slice(out, slice);
    text_add_char(out, '\0');
}

void wire_write_query(struct text *out, struct slice sql)
{
    size_t begun = wire_begin(out, 'Q');
    add_slice_cstring(out, sql);
    wire_end(out, begun);
}

void wire_write_parse(struct text *out, const char *name, struct slice sql,
                      const uint8_t *parameter_types, size_t parameter_types_length)
{
    size_t begun = wire_begin(out, 'P');
    wire_add_cstring(out, name);
    add_slice_cstring(out, sql);
    if (parameter_types_length)
        text_add(out, parameter_types, parameter_types_length);
    else
        wire_add_int16(out, 0);
    wire_end(out, begun);
}

void wire_write_bind(struct text *out, const char *portal, const char *statement)
{
    size_t begun = wire_begin(out, 'B');
    wire_add_cstring(out, portal);
    wire_add_cstring(out, statement);
    wire_add_int16(out, 0); /* parameter formats */
    wire_add_int16(out, 0); /* parameters */
    wire_add_int16(out, 0); /* result formats: all text */
    wire_end(out, begun);
}

void wire_write_execute(struct text *out, const char *portal)
{
    size_t begun = wire_begin(out, 'E');
    wire_add_cstring(out, portal);
    wire_add_int32(out, 0); /* all rows */
    wire_end(out, begun);
}

void wire_write_close(struct text *out, char kind, const char *name)
{
    size_t begun = wire_begin(out, 'C');
    text_add_char(out, kind);
    wire_add_cstring(out, name);
    wire_end(out, begun);
}

void wire_write_sync(struct text *out)
{
    empty_message(out, 'S');
}

void wire_write_flush(struct text *out)
{
    empty_message(out, 'H');
}
