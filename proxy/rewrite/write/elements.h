/*
 * elements.c: an array with elements put in, as SQL. An assignment to an element gives the array to
 * one column only, and no expression says the same; the other shape's column is converted from
 * this.
 */
#ifndef SEGUE_REWRITE_ELEMENTS_H
#define SEGUE_REWRITE_ELEMENTS_H

#include "write.h"

struct element {
    const char *subscript, *value; /* SQL that may be evaluated twice */
};

/* Is it one element of an array, by a subscript that may be evaluated twice? */
bool is_known_element(const PgQuery__ResTarget *target, const struct transition_column *column);
const char *element_type(struct rewriter *rewriter, const struct transition_column *column);
/* The tokens of roles[n] are `name`: the n. */
const char *element_subscript(struct rewriter *rewriter, struct item_range name);
/* `array` is SQL for what was there before; later elements go over earlier ones. */
const char *elements_sql(struct rewriter *rewriter, const struct transition_column *column,
                         const char *array, const struct element *elements, size_t count);

#endif
