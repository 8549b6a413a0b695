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

/* ---- of pairing.c and pairing_parts.c ---- */
/* What PostgreSQL would call the new one, where it made up the old one's name. The caller frees. */
char *pairing_final_name(const char *table, const char *name, const char *joined,
                         const char *new_joined);
/* Adds a pair for each part of the one at `whole`. `object`: its OID, of an index or a foreign key.
 */
bool pairing_find_parts(struct transition *transition, struct pg_conn *connection, size_t whole,
                        const char *object, struct error *error) MUST_CHECK;

/* One old column, one new: then what stands on the one can stand on the other. */
static inline bool pairing_is_possible(const struct transition *transition)
{
    return transition->column_count[SHAPE_OLD] == 1 && transition->column_count[SHAPE_NEW] == 1;
}

#endif
