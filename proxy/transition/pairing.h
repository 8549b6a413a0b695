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

/* One old column, one new: then what stands on the one can stand on the other. */
static inline bool pairing_is_possible(const struct transition *transition)
{
    return transition->column_count[SHAPE_OLD] == 1 && transition->column_count[SHAPE_NEW] == 1;
}

#endif
