/*
 * Scanner: where each token of a text begins and ends, as PostgreSQL 15's lexer has it (its scan.l
 * is the model; tests/fuzz/scanner_fuzz.c holds it against libpg_query's). It looks into no token:
 * escapes are not decoded, keywords are identifiers. It allocates nothing and reads each byte about
 * once.
 *
 * Where PostgreSQL's lexer accepts a text, the tokens agree. Where it refuses one for what stands
 * *inside* a token (a bad escape, a zero-length identifier), this scanner may go on: such a text is
 * the server's to refuse.
 */
#ifndef SEGUE_SQL_SCANNER_H
#define SEGUE_SQL_SCANNER_H

#include "segue/base/text.h"

#include <stdint.h>

enum sql_token_kind {
    SQL_TOKEN_END,
    SQL_TOKEN_ERROR, /* an unterminated string, comment or identifier, junk after a number, a NUL */
    SQL_TOKEN_COMMENT,            /* to the end of the line, or in brackets */
    SQL_TOKEN_IDENTIFIER,         /* a keyword or a bare identifier */
    SQL_TOKEN_QUOTED_IDENTIFIER,  /* "..." */
    SQL_TOKEN_UNICODE_IDENTIFIER, /* U&"..." */
    SQL_TOKEN_INTEGER,
    SQL_TOKEN_FLOAT,
    SQL_TOKEN_STRING, /* '...', E'...', U&'...', $$...$$, with what continues it on later lines */
    SQL_TOKEN_BIT_STRING, /* B'...' and X'...' */
    SQL_TOKEN_PARAMETER,  /* $1 */
    SQL_TOKEN_OPERATOR,   /* several characters, or one that is not `SELF` */
    SQL_TOKEN_SELF,       /* one of , ( ) [ ] . ; : + - * / % ^ < > = */
    SQL_TOKEN_STRAY       /* a character that begins nothing, such as a backslash */
};

struct sql_scanner {
    const char *text;
    uint32_t length;
    uint32_t position;
    bool standard_conforming_strings;
};

struct sql_token {
    enum sql_token_kind kind;
    uint32_t start, end; /* bytes; end is behind the last one */
};

/* `text` must be shorter than 2 GB; it need not be NUL-terminated. */
void sql_scanner_init(struct sql_scanner *scanner, struct slice text,
                      bool standard_conforming_strings);
/* The next token; END and ERROR come again and again. */
struct sql_token sql_scanner_next(struct sql_scanner *scanner);
/* Is an INTEGER token one to the grammar too? One that is too large for an int4 is a float. */
bool sql_integer_fits(const char *digits, size_t length);

#endif
