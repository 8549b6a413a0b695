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
/* Of its last move; 0 where there is no store. */
bool store_epoch(struct pg_conn *connection, uint64_t *epoch, struct error *error) MUST_CHECK;

/* Makes the schema where it is not there; idempotent, safe when two do it at once. */
bool store_create(struct pg_conn *connection, struct error *error) MUST_CHECK;

/*
 * The advisory lock that makes this process the only one for the database (until fleets of several
 * come). Held by the connection. Gives false with 55006 and who holds it where it is taken.
 */
bool store_claim(struct pg_conn *connection, struct error *error) MUST_CHECK;
/* SQL: when the session began that holds the claim; NULL where this role is not told. */
#define STORE_CLAIM_KEY "1936025461" /* "segu" */
#define STORE_CLAIMED_SINCE                                                                        \
    "SELECT a.backend_start FROM pg_catalog.pg_locks l "                                           \
    "  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "                                       \
    " WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = " STORE_CLAIM_KEY              \
    "   AND l.objsubid = 1 AND l.granted AND l.database = "                                        \
    "       (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"

/*
 * One audit entry and, where phase or stage change or a transition comes or goes, epoch + 1. In the
 * caller's transaction. A side that `to_phase` does not write is no longer complete. Refuses
 * (40001) where the transition does not stand at from_phase and from_stage any more.
 */
struct store_move {
    const char *transition;
    const char *action; /* "advance", "revert", "expand", "contract", "apply", "retire", "backfill",
                           "verify" */
    const char *who;
    enum phase from_phase, to_phase;
    enum stage from_stage, to_stage;
    bool removes;       /* RETIRE: the transition leaves the store */
    const char *result; /* one line */
};
bool store_move(struct pg_conn *connection, const struct store_move *move, uint64_t *epoch,
                struct error *error) MUST_CHECK;
bool store_insert(struct pg_conn *connection, const struct transition *transition,
                  struct error *error) MUST_CHECK;

/* Where a transition stands, straight from the store: also for one whose table is gone. */
struct store_row {
    bool exists;
    enum phase phase;
    enum stage stage;
    uint64_t epoch;             /* of its last move */
    bool complete[SHAPE_COUNT]; /* phase.h, phase_needs */
    char *verification; /* what the last VERIFY found since the last move; NULL: none ran, or a
                           backfill was done since */
};
bool store_read(struct pg_conn *connection, const char *transition, struct store_row *row,
                struct error *error) MUST_CHECK;
void store_row_release(struct store_row *row);

/*
 * A VERIFY has ended. In parity: both sides are complete. If not, the side that does not lead in
 * this phase is not, whatever an earlier one found. Changes nothing and gives *kept = false where
 * the transition moved since `epoch`.
 */
bool store_verified(struct pg_conn *connection, const char *transition, uint64_t epoch,
                    bool in_parity, const char *verification, bool *kept,
                    struct error *error) MUST_CHECK;
/* A backfill is done since: what the last VERIFY found says nothing any more. */
bool store_forget_verification(struct pg_conn *connection, const char *transition,
                               struct error *error) MUST_CHECK;
/* Did the last VERIFY find rows out of parity? */
static inline bool store_row_failed(const struct store_row *row)
{
    return row->verification && !(row->complete[SHAPE_OLD] && row->complete[SHAPE_NEW]);
}

/* Which transition of the table has a column of that physical or logical name? NULL: none; the
 * caller frees. */
bool store_column_owner(struct pg_conn *connection, uint32_t table_oid, const char *column,
                        char **owner, struct error *error) MUST_CHECK;

/* ---- backfills: one row per transition, of the latest ---- */
struct store_backfill {
    char *transition;
    char *state;     /* "running", "paused", "done", "cancelled", "failed" */
    char *direction; /* "forward", "backward" */
    uint64_t epoch;  /* of the transition, when it began */
    int pass;        /* from 1 */
    char *relation;  /* the table or partition at hand, by OID; "" before the first */
    char *position;  /* as scan_range has it; "" at the start, "end" behind the last */
    uint64_t blocks_done, blocks_total;
    uint64_t rows_written, rows_seen;
    uint64_t started_ms, worked_ms; /* clock_real_ms; time it ran, pauses left out */
    char *error;                    /* "" or why it failed */
};
void store_backfill_release(struct store_backfill *backfill);
/* In the caller's transaction. */
bool store_backfill_write(struct pg_conn *connection, const struct store_backfill *backfill,
                          struct error *error) MUST_CHECK;
/* All, or (transition not NULL) one; *count 0 where there is none or no store. The caller releases
 * each and frees. */
bool store_backfill_read(struct pg_conn *connection, const char *transition,
                         struct store_backfill **backfills, size_t *count,
                         struct error *error) MUST_CHECK;

#endif
