/*
 * What alters the database, one function per admin command. All block and run on a thread of the
 * caller's that is no loop's. Each takes the fleet's lock for its database, checks its entry
 * condition, does its work with short locks and retries, moves the epoch where it must, and writes
 * the audit log (schema segue).
 */
#ifndef SEGUE_CHANGE_CHANGE_H
#define SEGUE_CHANGE_CHANGE_H

#include "segue/fleet/fleet.h"

/* Where a command reports to, and how it learns that nobody wants it any more. */
struct progress {
    void *context;
    void (*notice)(void *context,
                   const char *text); /* one line for a person; NULL: nobody listens */
    _Atomic bool *cancelled;          /* NULL: cannot be */
};
void progress_notice(const struct progress *progress, const char *format, ...) PRINTF_LIKE(2, 3);
bool progress_is_cancelled(const struct progress *progress);

struct change {
    struct fleet *fleet;
    size_t database;
    const char *who; /* for the audit log */
    struct progress progress;
};

/* Each writes one sentence of what happened to `summary` (an initialised text). */
bool change_apply(struct change *change, const char *definition, const char *file_name,
                  struct text *summary, struct error *error) MUST_CHECK;
bool change_expand(struct change *change, const char *transition, struct text *summary,
                   struct error *error) MUST_CHECK;
/* One stop in the direction, or to `to` through every stop between (NULL: one stop). */
bool change_advance(struct change *change, const char *transition, const enum phase *to,
                    struct text *summary, struct error *error) MUST_CHECK;
bool change_revert(struct change *change, const char *transition, const enum phase *to,
                   struct text *summary, struct error *error) MUST_CHECK;
bool change_contract(struct change *change, const char *transition, struct text *summary,
                     struct error *error) MUST_CHECK;
bool change_retire(struct change *change, const char *transition, bool force, struct text *summary,
                   struct error *error) MUST_CHECK;
/* All rows, in parity or not; ends with the count, and on mismatches fails naming the first
 * offenders. */
bool change_verify(struct change *change, const char *transition, struct text *summary,
                   struct error *error) MUST_CHECK;
/* Text for a person: the DDL and the steps; executed by nobody. */
bool change_plan(struct change *change, const char *transition, struct text *plan,
                 struct error *error) MUST_CHECK;
/* What the transition will meet: dependents, values that do not convert. Each finding is one line
 * that begins with "- "; other lines say what was looked at. */
bool change_check(struct change *change, const char *transition, struct text *report,
                  struct error *error) MUST_CHECK;
/* Both for definitions that are not applied: the text of a transition file, as for change_apply. */
bool change_plan_definition(struct change *change, const char *definition, const char *file_name,
                            struct text *plan, struct error *error) MUST_CHECK;
bool change_check_definition(struct change *change, const char *definition, const char *file_name,
                             struct text *report, struct error *error) MUST_CHECK;

/*
 * For previews of rewriting, which change nothing. The transitions of a file, bound as APPLY would:
 * an array that the caller frees, with one reference each. NULL on failure.
 */
struct transition **change_bind_definition(struct change *change, const char *definition,
                                           const char *file_name, size_t *count,
                                           struct error *error);
/* "integer, text": the types of a text's parameters, as the server has them; the text must be one
 * that could be sent now. False where it will not say. */
bool change_parameter_types(struct change *change, const char *sql, struct text *types) MUST_CHECK;

/*
 * Backfill. It runs in a thread of its own, one per transition; START returns when it has begun and
 * with `wait` when it has ended (notices as it goes). Direction follows from the phase: in dual_old
 * and dual_own the new columns are filled, in dual_new the old ones. State is in the store after
 * every range.
 */
bool backfill_start(struct change *change, const char *transition, bool wait, struct text *summary,
                    struct error *error) MUST_CHECK;
bool backfill_pause(struct change *change, const char *transition, struct text *summary,
                    struct error *error) MUST_CHECK;
bool backfill_resume(struct change *change, const char *transition, bool wait, struct text *summary,
                     struct error *error) MUST_CHECK;
bool backfill_cancel(struct change *change, const char *transition, struct text *summary,
                     struct error *error) MUST_CHECK;
/* After a restart: backfills that the store calls running go on. Called by the fleet once a
 * database is loaded. */
void backfill_resume_all(struct fleet *fleet, size_t database);
/* fleet_stop, and no backfill goes on: each ends after the range at hand, and stays resumable. */
void change_stop(struct fleet *fleet);

struct backfill_status {
    char *database, *transition;
    const char *state;                  /* "running", "paused", "done", "cancelled", "failed" */
    const char *direction;              /* "forward", "backward" */
    uint64_t blocks_done, blocks_total; /* of the table; keys instead before PostgreSQL 14 */
    uint64_t rows_written, rows_seen;
    double rows_per_second;
    int64_t eta_seconds; /* -1: not known */
    char *error;         /* "" or why it failed */
};
/* Over all databases, from memory and the store. The caller frees with backfill_list_free. */
struct backfill_status *backfill_list(struct fleet *fleet, size_t *count);
void backfill_list_free(struct backfill_status *list, size_t count);

#endif
