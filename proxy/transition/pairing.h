/* What hangs on old columns: what is refused, and what gets a counterpart. Within this room only.
 */
#ifndef SEGUE_TRANSITION_PAIRING_H
#define SEGUE_TRANSITION_PAIRING_H

#include "segue/base/query.h"
#include "segue/transition/transition.h"

/* Refuses what cannot be carried over at all: 0A000, listing what depends. */
bool dependents_fit(const struct transition *transition, struct pg_conn *connection,
                    struct error *error) MUST_CHECK;

/* Finds the transition's pairs, after all else fits. In the transaction of transition_fit. */
bool pairing_find(struct transition *transition, struct pg_conn *connection,
                  struct error *error) MUST_CHECK;

/* ---- of pairing.c, pairing_derive.c and pairing_parts.c ---- */

/*
 * SQL: what column `a` of pg_attribute is called in the new shape. `old` and `new` are arrays of
 * the old columns and their partners' names; of those without one, the first is `rest` and the
 * others are NULL.
 */
/* clang-format off */
#define PAIRING_NEW_NAME(old, new, rest)                                                           \
    "CASE WHEN a.attname <> ALL (" old "::text[]) THEN a.attname::text "                           \
    "     ELSE coalesce((" new "::text[])[array_position(" old "::text[], a.attname::text)], "     \
    "            CASE WHEN a.attnum = (SELECT min(b.attnum) FROM pg_attribute b "                  \
    "                     WHERE b.attrelid = a.attrelid AND b.attname = ANY (" old "::text[]) "    \
    "                       AND (" new "::text[])[array_position(" old "::text[], "                \
    "                                                            b.attname::text)] IS NULL) "      \
    "                 THEN " rest " END) END"
/* clang-format on */

/* What PostgreSQL would call the new one, where it made up the old one's name. The caller frees. */
char *pairing_final_name(const char *table, const char *name, const char *joined,
                         const char *new_joined);

/* Fills the pair's new definition and inferences. `table`: qualified, as SQL. In a savepoint, which
 * must be rolled back to. */
bool pairing_derive(const struct transition *transition, struct pg_conn *connection,
                    const char *table, struct pair *pair, struct error *error) MUST_CHECK;

/* Adds a pair for each part of one. */
struct pairing_whole {
    size_t pair;
    const char *object;             /* its OID, of an index or a foreign key */
    const char *old, *final, *rest; /* for PAIRING_NEW_NAME */
};
bool pairing_find_parts(struct transition *transition, struct pg_conn *connection,
                        const struct pairing_whole *whole, struct error *error) MUST_CHECK;

/* One old column, one new. */
static inline bool pairing_is_of_single_columns(const struct transition *transition)
{
    return transition->column_count[SHAPE_OLD] == 1 && transition->column_count[SHAPE_NEW] == 1;
}

#endif
