/* What turn.c and turn_value.c share. */
#ifndef SEGUE_REWRITE_TURN_H
#define SEGUE_REWRITE_TURN_H

#include "../rewriter.h"

enum turn {
    TURN_NONE,
    TURN_INTEGER, /* from one integer type to another */
    TURN_STRING,  /* shorter strings are the same strings */
    TURN_PRINTED  /* the column is the text of the other */
};

/* A reference to a computed column, and what it is turned to. */
struct turned {
    enum turn turn;
    const struct view_column *column;
    const struct transition_column *other;
    const char *sql;   /* the other's column */
    size_t first, end; /* tokens of the reference */
};

enum turn turn_of(const struct view_column *column);
bool is_integer_type(uint32_t type);
/* The client's text of tokens [first, end). */
const char *token_text(const struct rewriter *rewriter, size_t first, size_t end);
/* Has a constant no type but what it is compared with? */
bool is_untyped_string(const sql_node *node);
/* What the other column is where the computed one equals the constant, of tokens [first, end). It
 * raises no error, whatever the constant; it is NULL for one that no value is turned to. */
const char *turned_value(struct rewriter *rewriter, const struct turned *turned,
                         const sql_node *node, size_t first, size_t end);

#endif
