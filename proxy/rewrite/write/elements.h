/*
 * A column's value with parts put in, as SQL. An assignment to a part gives the value to one column
 * only, and no expression says the same; the other shape's column is converted from this.
 */
#ifndef SEGUE_REWRITE_ELEMENTS_H
#define SEGUE_REWRITE_ELEMENTS_H

#include "write.h"

/* roles[1] = 'x' */
struct element {
    const PgQuery__ResTarget *target;
    struct item_range name;  /* tokens, with subscripts */
    struct view_value value; /* may be evaluated twice */
};

/* Is it one element of an array, by a subscript that may be evaluated twice, or what literal keys
 * lead to in a jsonb? */
bool is_known_element(const PgQuery__ResTarget *target, const struct transition_column *column);
const char *element_type(struct rewriter *rewriter, const struct transition_column *column);
/* The text of its subscript `number`, from 0. */
const char *element_subscript(struct rewriter *rewriter, const struct element *element,
                              size_t number);
/* `before` is SQL for what was there; later elements go over earlier ones. */
const char *elements_sql(struct rewriter *rewriter, const struct transition_column *column,
                         const char *before, const struct element *elements, size_t count);

/* ---- documents.c: those of a jsonb */
bool is_document(const struct transition_column *column);
bool is_known_path(const PgQuery__ResTarget *target);
const char *document_sql(struct rewriter *rewriter, const char *before,
                         const struct element *elements, size_t count);

#endif
