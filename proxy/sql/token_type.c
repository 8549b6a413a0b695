/*
 * Keywords are looked up in libpg_query's own list, which numbers them as its messages do;
 * tests/fuzz/scanner_fuzz.c holds all of it against the library's scanner.
 */
#include "token_type.h"

#include <pg_query/pg_query.pb-c.h>

/* PostgreSQL's list of keywords, which the library exports. */
struct ScanKeywordList;
extern const struct ScanKeywordList ScanKeywords;
extern const uint16_t ScanKeywordTokens[];
extern int ScanKeywordLookup(const char *word, const struct ScanKeywordList *keywords);

enum { KEYWORD_MAX = 24 }; /* longer than any */

static uint16_t type_of_word(const char *word, size_t length, bool before_quote)
{
    if (length == 1 && before_quote && (*word | 0x20) == 'n')
        return PG_QUERY__TOKEN__NCHAR; /* n'...' */
    char copy[KEYWORD_MAX + 1];
    if (length > KEYWORD_MAX)
        return PG_QUERY__TOKEN__IDENT;
    memcpy(copy, word, length);
    copy[length] = '\0';
    int keyword = ScanKeywordLookup(copy, &ScanKeywords);
    return keyword < 0 ? PG_QUERY__TOKEN__IDENT : ScanKeywordTokens[keyword];
}

static uint16_t type_of_operator(const char *operator, size_t length)
{
    static const struct {
        char text[3];
        uint16_t type;
    } known[] = {
        {"::", PG_QUERY__TOKEN__TYPECAST},     {"..", PG_QUERY__TOKEN__DOT_DOT},
        {":=", PG_QUERY__TOKEN__COLON_EQUALS}, {"=>", PG_QUERY__TOKEN__EQUALS_GREATER},
        {"<=", PG_QUERY__TOKEN__LESS_EQUALS},  {">=", PG_QUERY__TOKEN__GREATER_EQUALS},
        {"<>", PG_QUERY__TOKEN__NOT_EQUALS},   {"!=", PG_QUERY__TOKEN__NOT_EQUALS},
    };
    for (size_t i = 0; length == 2 && i < sizeof known / sizeof *known; i++)
        if (memcmp(known[i].text, operator, 2) == 0)
            return known[i].type;
    return PG_QUERY__TOKEN__Op;
}

uint16_t sql_token_type(const char *text, size_t length, const struct sql_token *token)
{
    const char *start = text + token->start;
    size_t size = token->end - token->start;
    switch (token->kind) {
    case SQL_TOKEN_IDENTIFIER:
        return type_of_word(start, size, token->end < length && text[token->end] == '\'');
    case SQL_TOKEN_QUOTED_IDENTIFIER:
        return PG_QUERY__TOKEN__IDENT;
    case SQL_TOKEN_UNICODE_IDENTIFIER:
        return PG_QUERY__TOKEN__UIDENT;
    case SQL_TOKEN_INTEGER:
        return sql_integer_fits(start, size) ? PG_QUERY__TOKEN__ICONST : PG_QUERY__TOKEN__FCONST;
    case SQL_TOKEN_FLOAT:
        return PG_QUERY__TOKEN__FCONST;
    case SQL_TOKEN_STRING:
        return (*start | 0x20) == 'u' ? PG_QUERY__TOKEN__USCONST : PG_QUERY__TOKEN__SCONST;
    case SQL_TOKEN_BIT_STRING:
        return (*start | 0x20) == 'b' ? PG_QUERY__TOKEN__BCONST : PG_QUERY__TOKEN__XCONST;
    case SQL_TOKEN_PARAMETER:
        return PG_QUERY__TOKEN__PARAM;
    case SQL_TOKEN_OPERATOR:
        return type_of_operator(start, size);
    case SQL_TOKEN_SELF:
    case SQL_TOKEN_STRAY:
        return (unsigned char)*start;
    case SQL_TOKEN_COMMENT:
    case SQL_TOKEN_END:
    case SQL_TOKEN_ERROR:
        break;
    }
    BUG("token kind %d", (int)token->kind);
}
