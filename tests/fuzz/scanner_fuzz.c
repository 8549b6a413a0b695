/*
 * Our scanner against libpg_query's: where that one accepts a text, every token must begin and end
 * at the same bytes, and be of the same type.
 */
#include "../../proxy/sql/token_type.h"
#include "segue/base/memory.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libpg_query 15-4.0.0 tells wrong ends for tokens that begin with U&; the next token's start is
 * right. */
static bool end_is_told(const char *text, const PgQuery__ScanToken *theirs)
{
    return (text[theirs->start] | 0x20) != 'u' || text[theirs->start + 1] != '&';
}

static int type_of(const char *text, const struct sql_token *token)
{
    if (token->kind <= SQL_TOKEN_ERROR)
        return -1;
    if (token->kind == SQL_TOKEN_COMMENT)
        return text[token->start] == '-' ? PG_QUERY__TOKEN__SQL_COMMENT
                                         : PG_QUERY__TOKEN__C_COMMENT;
    return sql_token_type(text, strlen(text), token);
}

static bool agree(const char *text, const struct sql_token *ours, const PgQuery__ScanToken *theirs)
{
    return type_of(text, ours) == (int)theirs->token && (int32_t)ours->start == theirs->start &&
           ((int32_t)ours->end == theirs->end || !end_is_told(text, theirs));
}

/*
 * PostgreSQL continues a string behind a line comment; libpg_query 15-4.0.0, which makes tokens of
 * comments, ends it there. From such a place on the two cannot be compared.
 */
static bool continues_behind_comment(const char *text, const struct sql_token *ours,
                                     const PgQuery__ScanToken *theirs)
{
    return (ours->kind == SQL_TOKEN_STRING || ours->kind == SQL_TOKEN_BIT_STRING) &&
           (int32_t)ours->start == theirs->start && (int32_t)ours->end != theirs->end &&
           memmem(text + ours->start, ours->end - ours->start, "--", 2);
}

static void compare(const char *text, const PgQuery__ScanResult *theirs)
{
    struct sql_scanner scanner;
    sql_scanner_init(&scanner, slice_of(text), true);
    for (size_t i = 0; i <= theirs->n_tokens; i++) {
        struct sql_token ours = sql_scanner_next(&scanner);
        bool last = i == theirs->n_tokens;
        if (!last && continues_behind_comment(text, &ours, theirs->tokens[i]))
            return;
        if (last ? ours.kind == SQL_TOKEN_END : agree(text, &ours, theirs->tokens[i]))
            continue;
        fprintf(stderr, "token %zu: ours %d [%u, %u), theirs %d [%d, %d) in: %s\n", i,
                type_of(text, &ours), ours.start, ours.end,
                last ? -1 : (int)theirs->tokens[i]->token, last ? -1 : theirs->tokens[i]->start,
                last ? -1 : theirs->tokens[i]->end, text);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_string_range((const char *)data, size);
    PgQueryScanResult scanned = pg_query_scan(text);
    if (!scanned.error) {
        PgQuery__ScanResult *tokens = pg_query__scan_result__unpack(
            NULL, scanned.pbuf.len, (const uint8_t *)scanned.pbuf.data);
        compare(text, tokens);
        pg_query__scan_result__free_unpacked(tokens, NULL);
    } else { /* whatever it is, ours must come to an end */
        struct sql_scanner scanner;
        sql_scanner_init(&scanner, slice_of(text), true);
        while (sql_scanner_next(&scanner).kind > SQL_TOKEN_ERROR)
            ;
    }
    pg_query_free_scan_result(scanned);
    free(text);
    return 0;
}
