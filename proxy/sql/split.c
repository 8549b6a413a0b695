#include "segue/sql/split.h"

#include "segue/sql/scanner.h"

static bool is_psql_command(const struct sql_split *split, struct sql_token token)
{
    return token.kind == SQL_TOKEN_STRAY && split->text.data[token.start] == '\\';
}

/* A comment that is said to the server, which reads it only in front. */
static bool is_hint(const struct sql_split *split, struct sql_token token)
{
    return token.kind == SQL_TOKEN_COMMENT && token.end - token.start > 3 &&
           memcmp(split->text.data + token.start, "/*+", 3) == 0;
}

/* Behind the end of the line that the position is in. */
static uint32_t next_line(struct slice text, uint32_t position)
{
    const char *end = memchr(text.data + position, '\n', text.length - position);
    return end ? (uint32_t)(end - text.data) + 1 : (uint32_t)text.length;
}

/* One statement from the position on; empty where it is nothing but comments. */
static struct slice take_statement(struct sql_split *split)
{
    struct sql_scanner scanner;
    sql_scanner_init(&scanner, split->text, true);
    scanner.position = split->position;
    uint32_t first = UINT32_MAX, last = 0;
    bool has_words = false;
    int depth = 0;
    for (;;) {
        struct sql_token token = sql_scanner_next(&scanner);
        if (token.kind == SQL_TOKEN_ERROR) /* the rest is for a parser to refuse */
            token.end = (uint32_t)split->text.length;
        if (token.kind == SQL_TOKEN_END)
            break;
        if (!has_words && is_psql_command(split, token)) {
            split->position = next_line(split->text, token.start);
            return (struct slice){NULL, 0};
        }
        char c = split->text.data[token.start];
        if (token.kind == SQL_TOKEN_SELF && c == ';' && depth == 0) {
            split->position = token.end;
            break;
        }
        depth += token.kind == SQL_TOKEN_SELF && c == '(';
        depth -= token.kind == SQL_TOKEN_SELF && c == ')' && depth > 0;
        split->position = token.end;
        if (token.kind == SQL_TOKEN_COMMENT && !is_hint(split, token))
            continue;
        has_words |= token.kind != SQL_TOKEN_COMMENT;
        if (first == UINT32_MAX)
            first = token.start;
        last = token.end;
        if (token.kind == SQL_TOKEN_ERROR)
            break;
    }
    if (first == UINT32_MAX)
        first = last = split->position;
    return (struct slice){split->text.data + first, has_words ? last - first : 0};
}

static bool is_blank(struct slice text, uint32_t from)
{
    for (size_t i = from; i < text.length; i++)
        if (!strchr(" \t\r\n\f\v", text.data[i]) || text.data[i] == '\0')
            return false;
    return true;
}

bool sql_split_next(struct sql_split *split, struct slice *statement)
{
    while (split->position < split->text.length && !is_blank(split->text, split->position)) {
        *statement = take_statement(split);
        if (statement->length > 0)
            return true;
    }
    return false;
}
