/* Tokens of a text of admin commands, as PostgreSQL's lexer would cut it. */
#ifndef SEGUE_PROXY_ADMIN_TOKEN_H
#define SEGUE_PROXY_ADMIN_TOKEN_H

#include "segue/base/arena.h"

enum token_kind {
    TOKEN_WORD,      /* as written, not folded */
    TOKEN_QUOTED,    /* "identifier", decoded */
    TOKEN_STRING,    /* '..', E'..' or $tag$..$tag$, decoded */
    TOKEN_NUMBER,    /* as written */
    TOKEN_SYMBOL,    /* one character */
    TOKEN_SEMICOLON, /* ends a command */
    TOKEN_END        /* ends the text; the last one, always there */
};

struct token {
    enum token_kind kind;
    const char *text; /* NUL-terminated; "" at the end */
    size_t start;     /* byte offset in the text */
};

struct tokens {
    struct token *at;
    size_t count; /* the end included */
};

/* False with `error` (42601, position) where a string or comment is not closed. Memory comes from
 * the arena. */
bool tokens_read(struct arena *arena, struct slice text, struct tokens *tokens,
                 struct error *error) MUST_CHECK;

/* 1-based, in characters, as PostgreSQL counts in an error's position. */
int token_position(struct slice text, size_t offset);

#endif
