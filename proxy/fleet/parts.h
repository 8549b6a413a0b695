/* The columns and pairs of a transition in the store. Within this room only. */
#ifndef SEGUE_FLEET_PARTS_H
#define SEGUE_FLEET_PARTS_H

#include "segue/fleet/store.h"

enum { NUMBER_SIZE = 24 };
static inline const char *flag(bool value) /* a boolean as a parameter */
{
    return value ? "t" : "f";
}

/* Into a transition that was parsed and is not bound yet. */
bool parts_load(struct pg_conn *connection, const struct snapshot_transition *at,
                struct error *error) MUST_CHECK;
bool parts_insert(struct pg_conn *connection, const struct transition *transition,
                  struct error *error) MUST_CHECK;
/* CONTRACT gives what stands on the new column its final name. */
bool parts_settle(struct pg_conn *connection, const char *transition,
                  struct error *error) MUST_CHECK;

#endif
