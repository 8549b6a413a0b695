/*
 * Values of a MERGE's action that are evaluated once and used several times. There is no place in
 * an action for that, so the condition of its clause evaluates them and keeps them in a setting of
 * the transaction, where the action finds them:
 *
 *   WHEN NOT MATCHED AND CASE WHEN (the client's condition)
 *                             THEN set_config('segue.merge', ARRAY[(f())::text]::text, true)
 *                                  IS NOT NULL END
 *   THEN INSERT (role, roles) VALUES (v, g(v))
 *
 * with (current_setting('segue.merge')::text[])[1]::text for v. PostgreSQL asks a clause's
 * condition right before it takes its action for the row, and CASE evaluates no branch before it is
 * chosen: so a value is evaluated for just those rows for which the plain statement evaluates it.
 */
#ifndef SEGUE_REWRITE_CARRY_H
#define SEGUE_REWRITE_CARRY_H

#include "write.h"

struct carrier {
    struct rewriter *rewriter;
    size_t count;
    const char *values; /* "(f())::text, .."; NULL before the first */
};

/* Does a value of the column's type come back from its text as it was, whatever is set? */
bool carrier_takes(const struct transition_column *column);
/* SQL that reads the value, which is the column's as an assignment would make it. */
const char *carrier_add(struct carrier *carrier, const struct transition_column *column,
                        const char *sql);
/* A condition that is true and keeps the values, to be asked behind any other of the clause's. */
const char *carrier_condition(const struct carrier *carrier);

#endif
