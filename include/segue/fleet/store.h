/*
 * The store: schema `segue` of the database itself, where the truth is kept (DESIGN.md section 4).
 * Functions block, and leave transactions to the caller where they say so.
 */
#ifndef SEGUE_FLEET_STORE_H
#define SEGUE_FLEET_STORE_H

#include "segue/transition/snapshot.h"

struct pg_conn;

struct store_contents {
    bool exists;    /* the schema is there */
    uint64_t epoch; /* 0 where it does not exist */
    size_t count;
    struct snapshot_transition *transitions; /* bound; one reference each is held here */
};

/* Reads everything and binds each transition to the database. One read-only transaction of its own.
 */
bool store_load(struct pg_conn *connection, struct store_contents *contents,
                struct error *error) MUST_CHECK;
void store_contents_release(struct store_contents *contents);

/* Makes the schema where it is not there; idempotent, safe when two do it at once. */
bool store_create(struct pg_conn *connection, struct error *error) MUST_CHECK;

/*
 * The advisory lock that makes this process the only one for the database (until fleets of several
 * come). Held by the connection. Gives false with 55006 and who holds it where it is taken.
 */
bool store_claim(struct pg_conn *connection, struct error *error) MUST_CHECK;

/* One audit entry and, where phase or stage change, epoch + 1. In the caller's transaction. */
struct store_move {
    const char *transition;
    const char *action; /* "advance", "revert", "expand", "contract", "apply", "retire", "backfill",
                           "verify" */
    const char *who;
    enum phase from_phase, to_phase;
    enum stage from_stage, to_stage;
    const char *result; /* one line */
};
bool store_move(struct pg_conn *connection, const struct store_move *move, uint64_t *epoch,
                struct error *error) MUST_CHECK;
bool store_insert(struct pg_conn *connection, const struct transition *transition,
                  struct error *error) MUST_CHECK;
bool store_delete(struct pg_conn *connection, const char *transition,
                  struct error *error) MUST_CHECK;

#endif
