/*
 * What the commands share. Within this room only.
 *
 * A work is one command on one transition: the database's lock (where the command changes
 * something), a connection of its own, and where the transition stands.
 */
#ifndef SEGUE_CHANGE_WORK_H
#define SEGUE_CHANGE_WORK_H

#include "segue/base/query.h"
#include "segue/change/change.h"
#include "segue/fleet/store.h"

struct work {
    struct change *change;
    struct pg_conn *connection;
    struct transition *transition; /* bound, one reference; NULL where its table is gone */
    enum phase phase;
    enum stage stage;
    struct store_row row;
    bool locked;
};

enum work_kind {
    WORK_READS,   /* beside anything */
    WORK_CHANGES, /* one at a time per database */
};

/* `transition` NULL: none yet (APPLY). On failure nothing is held. */
bool work_begin(struct work *work, struct change *change, enum work_kind kind, const char *what,
                const char *transition, struct error *error) MUST_CHECK;
void work_end(struct work *work);
/* Reads again where the transition stands, from the store and the published snapshot. */
bool work_refresh(struct work *work, const char *transition, struct error *error) MUST_CHECK;

/* 42P01 where the transition's table was dropped. */
bool work_needs_table(const struct work *work, struct error *error) MUST_CHECK;
/* 57014 when nobody wants the command any more. */
bool work_go_on(const struct work *work, struct error *error) MUST_CHECK;

/* Waits until no session is pinned to an epoch before the present one. */
bool work_wait_for_sessions(struct work *work, struct error *error) MUST_CHECK;
/* Waits until every transaction of this moment has ended, whatever its epoch. */
bool work_wait_for_transactions(struct work *work, struct error *error) MUST_CHECK;
/* Publishes the present snapshot with this transition at `phase`, and waits. */
bool work_publish(struct work *work, uint64_t epoch, enum phase phase,
                  struct error *error) MUST_CHECK;
/* Holds new transactions that touch the table, and waits that long for those under way. */
bool work_hold(struct work *work, unsigned milliseconds, struct error *error) MUST_CHECK;
void work_let_go(struct work *work);

/* ---- fence.c: no session of a process that was killed is still writing the table ---- */
bool work_fence(struct work *work, struct error *error) MUST_CHECK;

/* "schema"."table" */
void work_add_table(const struct transition *transition, struct text *out);
/* The conversion of a shape's column over the other's, prefixed, as an assignment takes it. */
void work_add_assignable(const struct transition *transition, enum shape shape, size_t column,
                         const char *qualifier, struct text *out);

/* An expression that fails over a row where that assignment would: too long a value too, which a
 * cast would cut. */
void work_add_judged(const struct transition *transition, enum shape shape, size_t column,
                     struct text *out);

/*
 * DDL: tries the script in one transaction, with `move` (may be NULL) in it, each try waiting for
 * its locks a little longer, at most lock_timeout, so that nobody queues behind it for long; says
 * who is in the way; gives up after move_timeout with 55P03 naming the holder.
 */
bool work_alter(struct work *work, const char *script, const struct store_move *move,
                uint64_t *epoch, struct error *error) MUST_CHECK;

/* One try of it. *conflict: only a lock, or a deadlock, was in the way. */
bool work_alter_once(struct work *work, const char *script, const struct store_move *move,
                     uint64_t *epoch, bool *conflict, struct error *error) MUST_CHECK;
/* Appends "held by pid 123 (psql, user bob) for 4 s". */
void work_add_holder(struct work *work, struct text *out);

/* An audit entry (and move) in a transaction of its own. */
bool work_record(struct work *work, const struct store_move *move, uint64_t *epoch,
                 struct error *error) MUST_CHECK;

/* A statement that may take long: where nobody wants the command any more it is cancelled (57014).
 */
struct pg_result *work_run(struct work *work, const char *sql, struct error *error);
bool work_do(struct work *work, const char *sql, struct error *error) MUST_CHECK;

/* Appends what the query's rows say in their first column: SQL that the catalog is asked to write.
 */
bool work_add_from_query(struct work *work, const char *query, const char *const *parameters,
                         int count, struct text *script, struct error *error) MUST_CHECK;

/* ---- backfill.c ---- */
/* The shape whose columns a backfill fills in a phase: the one that does not lead there. */
enum shape backfill_target(enum phase phase);
/* "forward" where it fills the new shape's, "backward" where the old shape's. */
const char *backfill_direction(enum shape target);

/* ---- trimmings.c: guard, NOT NULL and default, which come and go with the phases ---- */
enum trim { TRIM_BEFORE_MOVE, TRIM_AFTER_MOVE };
bool trimmings_fit(struct work *work, enum phase phase, enum trim when,
                   struct error *error) MUST_CHECK;
/* All the DDL that makes the guard of a phase. */
void trimmings_add_guard(const struct transition *transition, enum phase phase, struct text *out);
/* Only the function, to be replaced in the transaction of a move between dual phases. */
void trimmings_add_guard_function(const struct transition *transition, enum phase phase,
                                  struct text *out);
void trimmings_add_guard_drop(const struct transition *transition, struct text *out);

/* ---- apply.c: the DDL of EXPAND ---- */
void expand_add_script(const struct transition *transition, struct text *out);

/* ---- contract.c: the DDL of CONTRACT ---- */
void contract_add_undo_name(const struct transition *transition, struct text *out);
void contract_add_undo(const struct transition *transition, const char *key, struct text *out);
void contract_add_script(const struct transition *transition, struct text *out);

#endif
