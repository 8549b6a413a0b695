/*
 * One pass of the scanner. Marks are bytes that begin no token, so that no text can be mistaken for
 * another's shape; a string's mark tells how it was quoted, since E'' and '' with the same content
 * are not the same constant.
 */
#include "shape.h"

#include "segue/base/memory.h"
#include "segue/sql/scanner.h"

#include <stdlib.h>
#include <strings.h>

enum mark { MARK_STRING = 1, MARK_BITS, MARK_INTEGER, MARK_FLOAT };

void token_shape_init(struct token_shape *shape)
{
    *shape = (struct token_shape){0};
    text_init(&shape->bytes, TEXT_UNBOUNDED);
}

void token_shape_release(struct token_shape *shape)
{
    text_release(&shape->bytes);
    free(shape->constants);
    *shape = (struct token_shape){0};
}

static void add_constant(struct token_shape *shape, const struct sql_token *token,
                         enum shape_constant_kind kind)
{
    if (shape->count == shape->room) {
        shape->room = shape->room ? shape->room * 2 : 32;
        shape->constants = memory_resize(shape->constants, shape->room * sizeof *shape->constants);
    }
    shape->constants[shape->count++] = (struct shape_constant){token->start, token->end, kind};
}

static bool begins_query(struct slice text, const struct sql_token *token)
{
    static const char *const verbs[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES"};
    if (token->kind != SQL_TOKEN_IDENTIFIER)
        return false;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strlen(verbs[i]) == token->end - token->start &&
            strncasecmp(verbs[i], text.data + token->start, token->end - token->start) == 0)
            return true;
    return false;
}

/* What stands between the last constant and this one, and the mark. */
static void leave_out(struct token_shape *shape, struct slice text, uint32_t *copied,
                      const struct sql_token *token, enum shape_constant_kind kind, enum mark mark)
{
    text_add(&shape->bytes, text.data + *copied, token->start - *copied);
    char first = text.data[token->start];
    char marks[] = {(char)mark,
                    kind == CONSTANT_STRING || kind == CONSTANT_BITS ? (char)(first | 0x20) : 0};
    text_add(&shape->bytes, marks, sizeof marks);
    add_constant(shape, token, kind);
    *copied = token->end;
}

bool token_shape_read(struct token_shape *shape, struct slice text,
                      bool standard_conforming_strings)
{
    struct sql_scanner scanner;
    text_clear(&shape->bytes);
    shape->count = 0;
    if (text.length > INT32_MAX)
        return false;
    sql_scanner_init(&scanner, text, standard_conforming_strings);
    struct sql_token token;
    do
        token = sql_scanner_next(&scanner);
    while (token.kind == SQL_TOKEN_COMMENT);
    if (!begins_query(text, &token))
        return false;
    shape->core_start = token.start;
    uint32_t copied = token.start;
    bool ended = false; /* by a semicolon: only comments may follow */
    for (;; token = sql_scanner_next(&scanner)) {
        if (token.kind == SQL_TOKEN_COMMENT)
            continue;
        if (token.kind == SQL_TOKEN_END)
            break;
        if (ended || token.kind == SQL_TOKEN_ERROR || token.kind == SQL_TOKEN_STRAY)
            return false;
        shape->core_end = token.end;
        if (token.kind == SQL_TOKEN_STRING)
            leave_out(shape, text, &copied, &token, CONSTANT_STRING, MARK_STRING);
        else if (token.kind == SQL_TOKEN_BIT_STRING)
            leave_out(shape, text, &copied, &token, CONSTANT_BITS, MARK_BITS);
        else if (token.kind == SQL_TOKEN_INTEGER)
            leave_out(shape, text, &copied, &token, CONSTANT_INTEGER, MARK_INTEGER);
        else if (token.kind == SQL_TOKEN_FLOAT)
            leave_out(shape, text, &copied, &token, CONSTANT_FLOAT, MARK_FLOAT);
        ended = token.kind == SQL_TOKEN_SELF && text.data[token.start] == ';';
    }
    text_add(&shape->bytes, text.data + copied, shape->core_end - copied);
    return true;
}
