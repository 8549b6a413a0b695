/*
 * One pass of the scanner. Marks are bytes that begin no token, so that no text can be mistaken for
 * another's shape; a string's mark tells how it was quoted, since E'' and '' with the same content
 * are not the same constant.
 *
 * To keep a constant where it could have been left out costs a hit, no more. So where a list or a
 * type ends is only guessed at.
 */
#include "shape.h"

#include "segue/base/memory.h"
#include "segue/sql/scanner.h"

#include <stdlib.h>
#include <strings.h>

void token_shape_init(struct token_shape *shape)
{
    *shape = (struct token_shape){0};
}

void token_shape_release(struct token_shape *shape)
{
    free(shape->bytes);
    free(shape->constants);
    *shape = (struct token_shape){0};
}

/* ------------------------------------------------------------------ words */

static bool word_is(struct slice text, const struct sql_token *token, const char *word,
                    size_t length)
{
    return token->end - token->start == length &&
           strncasecmp(text.data + token->start, word, length) == 0;
}

#define WORD_IS(text, token, word) word_is((text), (token), (word), sizeof(word) - 1)

/* Are the constants of a statement that begins with this token values, all of them? */
static bool begins_query(struct slice text, const struct sql_token *token)
{
    switch (text.data[token->start] | 0x20) {
    case '(' | 0x20:
        return true;
    case 's':
        return WORD_IS(text, token, "SELECT");
    case 'i':
        return WORD_IS(text, token, "INSERT");
    case 'u':
        return WORD_IS(text, token, "UPDATE");
    case 'd':
        return WORD_IS(text, token, "DELETE") || WORD_IS(text, token, "DECLARE");
    case 'w':
        return WORD_IS(text, token, "WITH");
    case 'v':
        return WORD_IS(text, token, "VALUES");
    case 'm':
        return WORD_IS(text, token, "MERGE");
    case 't':
        return WORD_IS(text, token, "TABLE");
    case 'e':
        return WORD_IS(text, token, "EXECUTE") || WORD_IS(text, token, "EXPLAIN");
    default:
        return false;
    }
}

/* ------------------------------------------------------------------ where a constant stands */

enum {
    TYPE_WORDS_MAX = 2, /* character varying(10) */
    BRACKETS_MAX = 32   /* behind one that lies deeper, a list is guessed to go on */
};

/* What came before, as far as it matters to a constant. */
struct reader {
    struct token_shape *shape;
    struct slice text;
    uint32_t copied; /* what lies before is in the shape */
    bool is_query;
    bool begins_statement;
    bool after_uescape;
    bool after_distinct, after_distinct_on;
    bool begins_item; /* behind BY, a comma or an opening bracket */
    uint32_t depth;   /* of brackets */
    uint32_t list;    /* 1 + the depth of an ORDER BY, GROUP BY or DISTINCT ON; 0: none */
    uint32_t outer_lists[BRACKETS_MAX]; /* what that was before the bracket of this depth */
    unsigned type_words;                /* behind :: or AS: words so far, plus one; 0: no type */
    bool in_modifiers;
};

static void begin_statement(struct reader *reader)
{
    reader->is_query = false;
    reader->begins_statement = true;
    reader->depth = 0;
    reader->list = 0;
}

static void open_bracket(struct reader *reader)
{
    if (reader->depth < BRACKETS_MAX)
        reader->outer_lists[reader->depth] = reader->list;
    reader->depth++;
}

/* A list within, or a query, does not end the one that the bracket stands in. */
static void close_bracket(struct reader *reader)
{
    if (reader->depth == 0)
        return;
    reader->depth--;
    reader->list =
        reader->depth < BRACKETS_MAX ? reader->outer_lists[reader->depth] : reader->depth + 1;
}

/* The list that ordinals stand in ends with its bracket, or where another clause begins. */
static void note_word(struct reader *reader, const struct sql_token *token)
{
    struct slice text = reader->text;
    bool distinct = reader->after_distinct;
    reader->after_distinct = false;
    if (reader->type_words && ++reader->type_words > TYPE_WORDS_MAX + 1)
        reader->type_words = 0;
    switch (text.data[token->start] | 0x20) {
    case 'a':
        if (WORD_IS(text, token, "AS"))
            reader->type_words = 1;
        else if (WORD_IS(text, token, "AND"))
            reader->type_words = 0;
        break;
    case 'b':
        if (WORD_IS(text, token, "BY")) {
            reader->list = reader->depth + 1;
            reader->begins_item = true;
        }
        break;
    case 'd':
        reader->after_distinct = WORD_IS(text, token, "DISTINCT");
        break;
    case 'h':
        if (WORD_IS(text, token, "HAVING"))
            reader->list = 0;
        break;
    case 'i':
        if (WORD_IS(text, token, "IN"))
            reader->type_words = 0;
        break;
    case 'o':
        reader->after_distinct_on = distinct && WORD_IS(text, token, "ON");
        if (WORD_IS(text, token, "OR"))
            reader->type_words = 0;
        break;
    case 's':
        if (WORD_IS(text, token, "SELECT"))
            reader->list = 0;
        break;
    case 'u':
        reader->after_uescape = WORD_IS(text, token, "UESCAPE");
        break;
    default:
        break;
    }
}

static void note_sign(struct reader *reader, const struct sql_token *token)
{
    bool had_type = reader->type_words > 1;
    bool distinct_on = reader->after_distinct_on;
    reader->after_distinct_on = reader->after_distinct = false;
    switch (reader->text.data[token->start]) {
    case '(':
        open_bracket(reader);
        reader->begins_item = true;
        reader->in_modifiers = had_type;
        if (distinct_on)
            reader->list = reader->depth + 1;
        break;
    case ')':
        close_bracket(reader);
        reader->in_modifiers = false;
        break;
    case ',':
        reader->begins_item = true;
        break;
    case '.': /* of a type's schema */
        return;
    case ';':
        begin_statement(reader);
        break;
    default:
        break;
    }
    reader->type_words = 0;
}

static bool is_value(const struct reader *reader, const struct sql_token *token)
{
    if (!reader->is_query)
        return false;
    if (token->kind == SQL_TOKEN_STRING)
        return !reader->after_uescape;
    bool is_ordinal = reader->list && reader->begins_item;
    return token->kind != SQL_TOKEN_INTEGER || !(is_ordinal || reader->in_modifiers);
}

/* ------------------------------------------------------------------ leaving out */

static void add_constant(struct token_shape *shape, struct shape_constant constant)
{
    if (shape->count == shape->constant_room) {
        shape->constant_room = shape->constant_room ? shape->constant_room * 2 : 32;
        shape->constants =
            memory_resize(shape->constants, shape->constant_room * sizeof *shape->constants);
    }
    shape->constants[shape->count++] = constant;
}

static void copy_up_to(struct reader *reader, uint32_t end)
{
    struct token_shape *shape = reader->shape;
    size_t length = end - reader->copied;
    memcpy(shape->bytes + shape->length, reader->text.data + reader->copied, length);
    shape->length += length;
}

/* A constant of at least one byte leaves a mark of two. */
static void leave_out(struct reader *reader, const struct sql_token *token,
                      enum shape_constant_kind kind)
{
    struct token_shape *shape = reader->shape;
    bool is_quoted = kind == CONSTANT_STRING || kind == CONSTANT_BITS || kind == CONSTANT_COMMENT;
    char first = is_quoted ? (char)(reader->text.data[token->start] | 0x20) : 0;
    copy_up_to(reader, token->start);
    shape->bytes[shape->length++] = (char)(kind + 1);
    shape->bytes[shape->length++] = first;
    add_constant(shape, (struct shape_constant){token->start, token->end, kind, first});
    reader->copied = token->end;
}

static void read_token(struct reader *reader, const struct sql_token *token)
{
    struct slice text = reader->text;
    if (reader->begins_statement) {
        reader->is_query = begins_query(text, token);
        reader->begins_statement = false;
    }
    switch (token->kind) {
    case SQL_TOKEN_IDENTIFIER:
        reader->begins_item = reader->begins_item &&
                              (WORD_IS(text, token, "ALL") || WORD_IS(text, token, "DISTINCT"));
        reader->after_uescape = reader->in_modifiers = false;
        note_word(reader, token);
        return;
    case SQL_TOKEN_SELF:
        reader->begins_item = reader->after_uescape = false;
        note_sign(reader, token);
        return;
    case SQL_TOKEN_STRING:
        if (is_value(reader, token))
            leave_out(reader, token, CONSTANT_STRING);
        break;
    case SQL_TOKEN_BIT_STRING:
        if (is_value(reader, token))
            leave_out(reader, token, CONSTANT_BITS);
        break;
    case SQL_TOKEN_INTEGER:
        if (is_value(reader, token))
            leave_out(reader, token,
                      sql_integer_fits(text.data + token->start, token->end - token->start)
                          ? CONSTANT_INTEGER
                          : CONSTANT_FLOAT);
        reader->begins_item = false;
        return; /* modifiers may go on */
    case SQL_TOKEN_FLOAT:
        if (is_value(reader, token))
            leave_out(reader, token, CONSTANT_FLOAT);
        break;
    case SQL_TOKEN_QUOTED_IDENTIFIER:
    case SQL_TOKEN_UNICODE_IDENTIFIER:
        if (reader->type_words && ++reader->type_words > TYPE_WORDS_MAX + 1)
            reader->type_words = 0;
        reader->begins_item = reader->after_uescape = reader->in_modifiers = false;
        return;
    case SQL_TOKEN_OPERATOR:
    case SQL_TOKEN_PARAMETER:
    case SQL_TOKEN_STRAY:
    case SQL_TOKEN_COMMENT:
    case SQL_TOKEN_END:
    case SQL_TOKEN_ERROR:
        break;
    }
    reader->begins_item = reader->after_uescape = reader->in_modifiers = false;
    reader->type_words = token->kind == SQL_TOKEN_OPERATOR && WORD_IS(text, token, "::");
}

bool token_shape_read(struct token_shape *shape, struct slice text,
                      bool standard_conforming_strings)
{
    shape->length = shape->count = 0;
    if (text.length > INT32_MAX)
        return false;
    if (shape->room < text.length * 2 + 1) {
        shape->room = text.length * 2 + 1;
        free(shape->bytes);
        shape->bytes = memory_get(shape->room);
    }
    struct sql_scanner scanner;
    sql_scanner_init(&scanner, text, standard_conforming_strings);
    struct sql_token token;
    do
        token = sql_scanner_next(&scanner);
    while (token.kind == SQL_TOKEN_COMMENT);
    struct reader reader = {.shape = shape, .text = text, .copied = token.start};
    shape->core_start = shape->core_end = token.start;
    begin_statement(&reader);
    size_t count = 0;  /* of constants up to the last token that is no comment: */
    size_t length = 0; /* comments behind it are left out with what lies between them */
    uint32_t copied = token.start;
    for (; token.kind > SQL_TOKEN_ERROR; token = sql_scanner_next(&scanner)) {
        if (token.kind == SQL_TOKEN_STRAY)
            return false; /* it might be one of the marks */
        if (token.kind == SQL_TOKEN_COMMENT) {
            leave_out(&reader, &token, CONSTANT_COMMENT);
            continue;
        }
        read_token(&reader, &token);
        shape->core_end = token.end;
        count = shape->count;
        length = shape->length;
        copied = reader.copied;
    }
    shape->count = count;
    shape->length = length;
    reader.copied = copied;
    copy_up_to(&reader, shape->core_end);
    return token.kind == SQL_TOKEN_END;
}
