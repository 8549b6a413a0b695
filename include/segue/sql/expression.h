/*
 * Looking into one SQL expression, as a conversion of a transition is: which columns it names and
 * where, which functions it calls.
 */
#ifndef SEGUE_SQL_EXPRESSION_H
#define SEGUE_SQL_EXPRESSION_H

#include "segue/base/arena.h"

#include <stdint.h>

struct sql_expression_column {
    uint32_t start, end; /* bytes of the text, ascending and disjoint */
    const char *name;    /* folded as PostgreSQL folds it */
};

struct sql_expression {
    size_t column_count;
    struct sql_expression_column *columns;
    size_t function_count;
    const char *
        *functions; /* last name part of each function called, folded; operators are not told */
};

/*
 * False with `error` (42601, position) where the text is not exactly one scalar expression, or
 * holds what a conversion must not: sub-selects, aggregates' FILTER or OVER, parameters, qualified
 * columns, a star. Memory comes from the arena.
 */
bool sql_expression_read(struct arena *arena, const char *text, struct sql_expression *expression,
                         struct error *error) MUST_CHECK;

#endif
