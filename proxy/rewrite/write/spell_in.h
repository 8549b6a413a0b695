/*
 * Of the items of IN, PostgreSQL compares those with columns of the statement's own level one by
 * one, and brings the others to one type. Where a value is evaluated in a sub-select, no column is
 * of its own level. So there an IN over columns is spelled out:
 *   x IN (a, $1, 2)   becomes   (x IN ($1, 2) OR x IN (a))
 */
#ifndef SEGUE_REWRITE_SPELL_IN_H
#define SEGUE_REWRITE_SPELL_IN_H

#include "write.h"

/* Spells out what is in the value, whose `sql` is rendered anew; false where it cannot be told how
 * PostgreSQL takes one of the items: *location is that of its IN. */
bool spell_in(struct rewriter *rewriter, struct client_value *value, int32_t *location) MUST_CHECK;

/* Is there one that would be? */
bool has_in_over_columns(const sql_node *node);

#endif
