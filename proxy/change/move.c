/*
 * ADVANCE and REVERT: one stop of the line at a time, each in the same steps.
 *
 *   1. the entry condition, from the store: the columns that the phase reads must be complete
 *   2. no statement of a process that was killed is still running (fence)
 *   3. every session is at the present epoch: three phases must never meet
 *   4. trimmings that the phase cannot live without
 *   5. the move, stored with epoch + 1
 *   6. publish, and wait until no transaction is pinned to the phase before; on the deadline the
 * move is taken back by another move
 *   7. trimmings that the phase before could not have lived with
 */
#include "work.h"

#include <libpq-fe.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- entry conditions */

static void explain_backfill(const struct work *work, enum phase to, enum shape shape,
                             const struct store_backfill *backfill, struct error *error)
{
    const char *name = work->transition->name;
    const char *phase = phase_name(to);
    if (!backfill || strcmp(backfill->direction, backfill_direction(shape)) != 0) {
        error_set(error, "55000",
                  "phase %s needs every row in parity, and the %s backfill has not run", phase,
                  backfill_direction(shape));
        error_hint(error, "Say BACKFILL %s, then VERIFY %s.", name, name);
    } else if (strcmp(backfill->state, "failed") == 0) {
        error_set(error, "55000", "phase %s needs every row in parity, and the backfill failed",
                  phase);
        error_detail(error, "%s", backfill->error);
        error_hint(error, "Correct the row, then say BACKFILL %s.", name);
    } else if (strcmp(backfill->state, "done") != 0) {
        error_set(error, "55000",
                  "phase %s needs every row in parity, and the backfill is %s at %llu of %llu "
                  "blocks",
                  phase, backfill->state, (unsigned long long)backfill->blocks_done,
                  (unsigned long long)backfill->blocks_total);
        error_hint(error, "BACKFILL %s %s, then VERIFY %s.", name,
                   strcmp(backfill->state, "paused") == 0 ? "RESUME" : "START", name);
    } else if (work->row.verification) {
        error_set(error, "55000", "phase %s needs every row in parity: %s", phase,
                  work->row.verification);
        error_hint(error, "BACKFILL %s writes what is not in parity, VERIFY %s tells again.", name,
                   name);
    } else {
        error_set(error, "55000",
                  "phase %s needs every row in parity: the backfill wrote %llu of %llu rows, and "
                  "VERIFY has not run since",
                  phase, (unsigned long long)backfill->rows_written,
                  (unsigned long long)backfill->rows_seen);
        error_hint(error, "Say VERIFY %s.", name);
    }
}

static bool refuse_incomplete(struct work *work, enum phase to, enum shape shape,
                              struct error *error)
{
    struct store_backfill *backfills;
    size_t count;
    if (!store_backfill_read(work->connection, work->transition->name, &backfills, &count, error))
        return false;
    explain_backfill(work, to, shape, count ? &backfills[0] : NULL, error);
    for (size_t i = 0; i < count; i++)
        store_backfill_release(&backfills[i]);
    free(backfills);
    return false;
}

/* In `new` the old columns keep stale values; a CHECK over them would fail rows that are right. */
static bool refuse_checks(struct work *work, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    for (size_t i = 0; i < work->transition->column_count[SHAPE_OLD]; i++) {
        const char *column = work->transition->columns[SHAPE_OLD][i].physical;
        const char *parameters[] = {oid, column, work->transition->name};
        PGresult *result = query_run_with(
            work->connection,
            "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
            "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
            "SELECT n.conname, n.conrelid::regclass, pg_get_constraintdef(n.oid) "
            "  FROM tree JOIN pg_constraint n ON n.conrelid = tree.oid AND n.contype = 'c' "
            "  JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attname = $2 "
            "   AND a.attnum = ANY (n.conkey) WHERE n.conname NOT LIKE 'segue\\_not\\_null\\_%' "
            "   AND n.coninhcount = 0 "
            "   AND NOT EXISTS (SELECT FROM segue.transition_pairs p WHERE p.transition = $3 "
            "                      AND p.relation = n.conrelid AND p.old_name = n.conname) "
            " LIMIT 1",
            parameters, 3, error);
        if (!result)
            return false;
        bool found = PQntuples(result) > 0;
        if (found) {
            error_set(error, "0A000",
                      "constraint \"%s\" checks column \"%s\", which phase new does not write",
                      query_value(result, 0, 0), column);
            error_detail(error, "%s on %s", query_value(result, 0, 2), query_value(result, 0, 1));
            error_hint(error,
                       "Give the new column a constraint of its own (ADD CONSTRAINT .. NOT VALID, "
                       "VALIDATE), then ALTER TABLE %s DROP CONSTRAINT \"%s\".",
                       query_value(result, 0, 1), query_value(result, 0, 0));
        }
        PQclear(result);
        if (found)
            return false;
    }
    return true;
}

static bool refuse_running_backfill(struct work *work, struct error *error)
{
    struct store_backfill *backfills;
    size_t count;
    if (!store_backfill_read(work->connection, work->transition->name, &backfills, &count, error))
        return false;
    bool running = count > 0 && strcmp(backfills[0].state, "running") == 0;
    if (running) {
        error_set(error, "55000", "a backfill of \"%s\" is running, at %llu of %llu blocks",
                  work->transition->name, (unsigned long long)backfills[0].blocks_done,
                  (unsigned long long)backfills[0].blocks_total);
        error_hint(error, "BACKFILL %s CANCEL, or wait until it is done.", work->transition->name);
    }
    for (size_t i = 0; i < count; i++)
        store_backfill_release(&backfills[i]);
    free(backfills);
    return !running;
}

static bool may_enter(struct work *work, enum phase to, struct error *error)
{
    if (work->stage == STAGE_APPLIED) {
        error_set(error, "55000", "the new column of \"%s\" does not exist yet",
                  work->transition->name);
        error_hint(error, "Say EXPAND %s.", work->transition->name);
        return false;
    }
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        if (phase_needs(to, shape) && !work->row.complete[shape])
            return refuse_incomplete(work, to, shape, error);
    }
    /* Back is always open to the side that leads; on only from parity. */
    if (to > work->phase && store_row_failed(&work->row)) {
        error_set(error, "55000", "phase %s needs every row in parity: %s", phase_name(to),
                  work->row.verification);
        error_hint(error, "BACKFILL %s writes what is not in parity, VERIFY %s tells again.",
                   work->transition->name, work->transition->name);
        return false;
    }
    /* Nor may a backfill run on where what it writes leads. */
    bool ends_backfill = !phase_is_dual(to) || backfill_target(to) != backfill_target(work->phase);
    if (ends_backfill && !refuse_running_backfill(work, error))
        return false;
    return to != PHASE_NEW || refuse_checks(work, error);
}

/* ---------------------------------------------------------------- moves */

static bool store_phase(struct work *work, enum phase to, const char *action, const char *result,
                        uint64_t *epoch, struct error *error)
{
    struct store_move move = {.transition = work->transition->name,
                              .action = action,
                              .who = work->change->who,
                              .from_phase = work->phase,
                              .to_phase = to,
                              .from_stage = work->stage,
                              .to_stage = work->stage,
                              .result = result};
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    /* Which side leads where a direct write changed both or neither follows the phase. */
    if (phase_is_dual(work->phase) && phase_is_dual(to) && work->transition->guard != GUARD_OFF)
        trimmings_add_guard_function(work->transition, to, &script);
    bool done = query_do(work->connection, "BEGIN", error) &&
                (!script.length || query_do(work->connection, script.data, error)) &&
                store_move(work->connection, &move, epoch, error) &&
                query_do(work->connection, "COMMIT", error);
    if (!done)
        query_rollback(work->connection);
    text_release(&script);
    return done;
}

static bool stands_at(struct work *work, enum phase phase, struct error *error)
{
    store_row_release(&work->row);
    work->phase = phase;
    return store_read(work->connection, work->transition->name, &work->row, error);
}

/* The move away from `from` did not complete: back, by another move. Keeps `error`. */
static void take_back(struct work *work, enum phase from, struct error *error)
{
    uint64_t epoch;
    struct error second = {0};
    enum phase tried = work->phase;
    if (!store_phase(work, from, "revert", error->message, &epoch, &second) ||
        !stands_at(work, from, &second)) {
        error_detail(error, "It could not be taken back (%s); the transition stands at %s.",
                     second.message, phase_name(tried));
        return;
    }
    if (!work_publish(work, epoch, from, &second))
        progress_notice(&work->change->progress,
                        "taken back to %s; who held the move up keeps a phase until it ends",
                        phase_name(from));
    if (!trimmings_fit(work, from, TRIM_BEFORE_MOVE, &second) ||
        !trimmings_fit(work, from, TRIM_AFTER_MOVE, &second))
        progress_notice(&work->change->progress, "left for the next command: %s", second.message);
}

static bool enter_phase(struct work *work, enum phase to, const char *action, struct error *error)
{
    const enum phase from = work->phase;
    uint64_t epoch;
    if (!work_go_on(work, error) || !may_enter(work, to, error) || !work_fence(work, error) ||
        !work_wait_for_sessions(work, error) || !trimmings_fit(work, to, TRIM_BEFORE_MOVE, error))
        return false;
    progress_notice(&work->change->progress, "%s: %s -> %s", work->transition->name,
                    phase_name(from), phase_name(to));
    if (!store_phase(work, to, action, "moved", &epoch, error) || !stands_at(work, to, error))
        return false;
    if (!work_publish(work, epoch, to, error)) {
        take_back(work, from, error);
        return false;
    }
    return trimmings_fit(work, to, TRIM_AFTER_MOVE, error);
}

static bool is_on_the_line(const struct work *work, struct error *error)
{
    if (work->stage != STAGE_CONTRACTED)
        return true;
    error_set(error, "55000", "transition \"%s\" is contracted: its old columns are gone",
              work->transition->name);
    error_hint(error, "Their last values are in segue.\"undo_%s\".", work->transition->name);
    return false;
}

static bool choose_target(const struct work *work, int step, const enum phase *to,
                          enum phase *target, struct error *error)
{
    const char *name = work->transition->name;
    int wanted = to ? (int)*to : (int)work->phase + step;
    if (wanted < 0 || wanted >= PHASE_COUNT) {
        error_set(error, "55000", "transition \"%s\" stands at %s, the %s phase", name,
                  phase_name(work->phase), step > 0 ? "last" : "first");
        error_hint(error,
                   step > 0 ? "CONTRACT %s drops the old columns."
                            : "RETIRE %s takes the transition out of the store.",
                   name);
        return false;
    }
    if ((wanted - (int)work->phase) * step <= 0) {
        error_set(error, "55000", "transition \"%s\" stands at %s already", name,
                  phase_name(work->phase));
        if (wanted != (int)work->phase)
            error_hint(error, "%s %s TO %s goes the other way.", step > 0 ? "REVERT" : "ADVANCE",
                       name, phase_name((enum phase)wanted));
        return false;
    }
    *target = (enum phase)wanted;
    return true;
}

static void suggest_next(const struct work *work, struct text *summary)
{
    const char *name = work->transition->name;
    switch (work->phase) {
    case PHASE_OLD:
        text_add_format(summary, "; next: ADVANCE %s, or RETIRE %s", name, name);
        return;
    case PHASE_DUAL_OLD:
        text_add_format(summary,
                        work->row.complete[SHAPE_NEW] ? "; next: ADVANCE %s"
                                                      : "; next: BACKFILL %s, then VERIFY",
                        name);
        return;
    case PHASE_DUAL_OWN:
    case PHASE_DUAL_NEW:
        text_add_format(summary, "; next: ADVANCE %s", name);
        return;
    case PHASE_NEW:
        text_add_format(summary, "; next: CONTRACT %s", name);
        return;
    }
    BUG("unknown phase");
}

static bool move(struct change *change, const char *transition, const enum phase *to, int step,
                 struct text *summary, struct error *error)
{
    const char *action = step > 0 ? "advance" : "revert";
    struct error unwanted;
    struct work work;
    if (!error)
        error = &unwanted;
    if (!work_begin(&work, change, WORK_CHANGES, action, transition, error))
        return false;
    enum phase target, from = work.phase;
    bool done = work_needs_table(&work, error) && is_on_the_line(&work, error) &&
                choose_target(&work, step, to, &target, error) &&
                trimmings_fit(&work, work.phase, TRIM_BEFORE_MOVE, error) &&
                trimmings_fit(&work, work.phase, TRIM_AFTER_MOVE, error);
    while (done && work.phase != target)
        done = enter_phase(&work, (enum phase)((int)work.phase + step), action, error);
    if (done) {
        text_add_format(summary, "%s moved from %s to %s", transition, phase_name(from),
                        phase_name(work.phase));
        suggest_next(&work, summary);
    } else if (work.row.exists && work.phase != from && !error->detail[0]) {
        error_detail(error, "The transition moved from %s as far as %s.", phase_name(from),
                     phase_name(work.phase));
    }
    work_end(&work);
    return done;
}

bool change_advance(struct change *change, const char *transition, const enum phase *to,
                    struct text *summary, struct error *error)
{
    return move(change, transition, to, 1, summary, error);
}

bool change_revert(struct change *change, const char *transition, const enum phase *to,
                   struct text *summary, struct error *error)
{
    return move(change, transition, to, -1, summary, error);
}
