/*
 * PostgreSQL protocol 3: writing messages into a text, and reading those that Segue looks into. No
 * I/O.
 *
 * Writers append one whole message; a text's ceiling bounds what they make. Readers take a
 * message's body (after type and length) and give false when it is malformed; what they give points
 * into the body.
 */
#ifndef SEGUE_WIRE_MESSAGE_H
#define SEGUE_WIRE_MESSAGE_H

#include "segue/base/text.h"

#include <stdint.h>

/* Any message: begin, append the body to `out`, end. Type 0: a startup-style message without a type
 * byte. */
size_t wire_begin(struct text *out, char type);
void wire_end(struct text *out, size_t begun);
void wire_add_int16(struct text *out, int value);
void wire_add_int32(struct text *out, int64_t value);
void wire_add_cstring(struct text *out, const char *string); /* with its terminator */

/* ---- from server to client ---- */
/* severity: "ERROR", "FATAL", "NOTICE"..; fields that are empty are left out. */
void wire_write_error(struct text *out, const char *severity, const struct error *error);
void wire_write_notice(struct text *out, const char *severity, const char *sqlstate,
                       const char *message);
void wire_write_ready_for_query(struct text *out, char transaction_state); /* I, T, E */
void wire_write_command_complete(struct text *out, const char *tag);
void wire_write_empty_query(struct text *out);
void wire_write_authentication_ok(struct text *out);
void wire_write_parameter_status(struct text *out, const char *name, const char *value);
void wire_write_backend_key(struct text *out, int32_t pid, int32_t key);
/* Text columns of type `type_oid` (25 text, 20 int8, 23 int4, 16 bool, 701 float8). */
struct wire_column {
    const char *name;
    uint32_t type_oid;
};
void wire_write_row_description(struct text *out, const struct wire_column *columns, size_t count);
void wire_write_data_row(struct text *out, const char *const *values,
                         size_t count); /* NULL: SQL NULL */

/* ---- from client to server ---- */
void wire_write_query(struct text *out, struct slice sql);
void wire_write_parse(struct text *out, const char *name, struct slice sql,
                      const uint8_t *parameter_types, size_t parameter_types_length);
void wire_write_bind(struct text *out, const char *portal,
                     const char *statement); /* no parameters, text results */
void wire_write_execute(struct text *out, const char *portal);
void wire_write_close(struct text *out, char kind, const char *name); /* 'S' or 'P' */
void wire_write_sync(struct text *out);
void wire_write_flush(struct text *out);

/* ---- reading ---- */
struct wire_parse {
    const char *name;
    struct slice sql;               /* NUL-terminated in place */
    const uint8_t *parameter_types; /* Int16 count and Int32 each, as sent */
    size_t parameter_types_length;
};
bool wire_read_parse(const uint8_t *body, size_t length, struct wire_parse *parse) MUST_CHECK;
bool wire_read_query(const uint8_t *body, size_t length, struct slice *sql) MUST_CHECK;
struct wire_bind {
    const char *portal;
    const char *statement;
};
bool wire_read_bind(const uint8_t *body, size_t length, struct wire_bind *bind) MUST_CHECK;
/* Describe and Close. */
struct wire_target {
    char kind; /* 'S' statement, 'P' portal */
    const char *name;
};
bool wire_read_target(const uint8_t *body, size_t length, struct wire_target *target) MUST_CHECK;
/* The string that a body begins with (Execute, CommandComplete, ParameterStatus); NULL where it
 * does not end. */
const char *wire_read_name(const uint8_t *body, size_t length);
/* ErrorResponse or NoticeResponse: the value of a field ('C', 'M', 'P'..), NULL where it is not
 * there. */
const char *wire_error_field(const uint8_t *body, size_t length, char field);
/* The next column of a DataRow whose columns begin at 2; false past its end. `data` NULL: SQL NULL.
 */
bool wire_take_value(const uint8_t *body, size_t length, size_t *offset,
                     struct slice *value) MUST_CHECK;
/*
 * The same message's fields, in order; values point into the body. False where the body is
 * malformed or has more fields than PostgreSQL knows.
 */
enum { WIRE_FIELDS_MAX = 32 };
struct wire_field {
    char code;
    const char *value; /* NULL: left out when written */
};
struct wire_fields {
    size_t count;
    struct wire_field list[WIRE_FIELDS_MAX];
};
bool wire_read_fields(const uint8_t *body, size_t length, struct wire_fields *fields) MUST_CHECK;
const char *wire_fields_get(const struct wire_fields *fields, char code); /* NULL: not there */
/* Changes a field that is there; NULL takes it away. */
void wire_fields_set(struct wire_fields *fields, char code, const char *value);
/* Appends an ErrorResponse ('E') or NoticeResponse ('N'). */
void wire_write_fields(struct text *out, char type, const struct wire_fields *fields);
/*
 * Walks a RowDescription's columns: begin with *offset = 2 (after the count). Gives the offset of
 * the column's table OID (Int32, followed by the Int16 attribute number) and moves on; 0 where the
 * body ends before.
 */
size_t wire_row_description_column(const uint8_t *body, size_t length, size_t *offset);

/* ---- the startup packet ---- */
enum wire_startup_kind {
    WIRE_STARTUP_NEED_MORE,
    WIRE_STARTUP_BAD, /* malformed or hostile: as PostgreSQL, close; with length 0 without a word */
    WIRE_STARTUP_SSL,
    WIRE_STARTUP_GSS,
    WIRE_STARTUP_CANCEL,
    WIRE_STARTUP_SESSION
};
enum { WIRE_STARTUP_MAX = 10000 }; /* bytes, as in PostgreSQL */
struct wire_startup {
    enum wire_startup_kind kind;
    size_t length;     /* bytes of the packet in the buffer */
    uint32_t protocol; /* as sent: 196608 is 3.0; parameters are read of 3.x only */
    bool is_cancel;    /* also where it is BAD */
    /* SESSION: pointers into the buffer; NULL where absent. `replication` and `options` as sent. */
    const char *user, *database, *options, *application_name, *replication, *client_encoding;
};
struct wire_startup wire_read_startup(const uint8_t *data, size_t length);

#endif
