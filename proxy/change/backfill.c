/*
 * The commands of BACKFILL, and what is shown of it. What it does is in filler.c, the threads that
 * do it are in run.c.
 */
#include "run.h"
#include "scan.h"
#include "work.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { NOTICE_EVERY_MS = 2000, LOOK_EVERY_MS = 20 };

static void describe_rate(const struct store_backfill *state, double *rows_per_second,
                          int64_t *eta_seconds)
{
    *rows_per_second = 0;
    *eta_seconds = -1;
    if (state->worked_ms == 0)
        return;
    *rows_per_second = (double)state->rows_seen * 1000 / (double)state->worked_ms;
    if (state->pass == 1 && state->blocks_done > 0 && strcmp(state->state, "running") == 0)
        *eta_seconds = (int64_t)((double)(state->blocks_total - state->blocks_done) *
                                 (double)state->worked_ms / (double)state->blocks_done / 1000);
}

static void notice_state(const struct progress *progress, const struct store_backfill *state)
{
    double rate;
    int64_t eta;
    describe_rate(state, &rate, &eta);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_format(
        &text, "backfill %s: %llu %%, %llu rows seen, %llu written, %.0f rows/s", state->transition,
        (unsigned long long)(state->blocks_total ? state->blocks_done * 100 / state->blocks_total
                                                 : 0),
        (unsigned long long)state->rows_seen, (unsigned long long)state->rows_written, rate);
    if (eta >= 0)
        text_add_format(&text, ", %lld s to go", (long long)eta);
    if (state->pass > 1)
        text_add_format(&text, ", pass %d for rows that moved", state->pass);
    progress_notice(progress, "%s", text.data);
    text_release(&text);
}

/* It may be there no more because this process is to be there no more. */
static bool has_ended(const char *transition, const struct store_backfill *state,
                      struct error *error)
{
    if (state->state && strcmp(state->state, "running") != 0)
        return true;
    error_set(error, "57P01",
              "the backfill of \"%s\" was interrupted; it is not under way any more", transition);
    error_hint(
        error,
        "Where Segue ends, it goes on in the process after; SHOW BACKFILLS and the log tell.");
    return false;
}

/* Until it ends or nobody waits any more. Gives what it ended as. */
static bool wait_for_end(struct change *change, const char *transition,
                         struct store_backfill *ended_as, struct error *error)
{
    uint64_t noticed = clock_monotonic_ns();
    for (;;) {
        bool alive;
        run_look(change->fleet, change->database, transition, ended_as, &alive);
        if (!alive)
            return has_ended(transition, ended_as, error);
        if (progress_is_cancelled(&change->progress)) {
            error_set(error, "57014", "no longer waiting; the backfill goes on");
            error_hint(error, "SHOW BACKFILLS tells how far it is, BACKFILL %s CANCEL ends it.",
                       transition);
            return false;
        }
        uint64_t now = clock_monotonic_ns();
        if (now - noticed > NOTICE_EVERY_MS * UINT64_C(1000000)) {
            noticed = now;
            notice_state(&change->progress, ended_as);
        }
        clock_sleep_ms(LOOK_EVERY_MS);
    }
}

static bool summarise(const struct store_backfill *state, struct text *summary, struct error *error)
{
    if (strcmp(state->state, "failed") == 0) {
        error_set(error, "55000", "the backfill failed: %s", state->error);
        error_hint(error, "Correct the row, then say BACKFILL %s again.", state->transition);
        return false;
    }
    text_add_format(summary, "backfill of %s %s: %llu rows seen, %llu written in %.1f s",
                    state->transition, state->state, (unsigned long long)state->rows_seen,
                    (unsigned long long)state->rows_written, (double)state->worked_ms / 1000);
    if (strcmp(state->state, "done") == 0)
        text_add_format(summary, "; next: VERIFY %s", state->transition);
    return true;
}

enum shape backfill_target(enum phase phase)
{
    return phase == PHASE_DUAL_NEW ? SHAPE_OLD : SHAPE_NEW;
}

const char *backfill_direction(enum shape target)
{
    return target == SHAPE_NEW ? "forward" : "backward";
}

static bool can_fill(const struct work *work, struct error *error)
{
    if (!work_needs_table(work, error))
        return false;
    if (work->stage == STAGE_EXPANDED && phase_is_dual(work->phase))
        return true;
    error_set(error, "55000", "transition \"%s\" stands at %s%s, where only one shape is written",
              work->transition->name, work->stage == STAGE_CONTRACTED ? "contracted " : "",
              phase_name(work->phase));
    error_hint(error, "BACKFILL belongs to the phases dual_old, dual_own and dual_new.");
    return false;
}

/* The state as the store has it; state->transition NULL where there is none. */
static bool read_state(struct work *work, const char *transition, struct store_backfill *state,
                       struct error *error)
{
    struct store_backfill *backfills;
    size_t count;
    if (!store_backfill_read(work->connection, transition, &backfills, &count, error))
        return false;
    if (count > 0)
        run_copy(state, &backfills[0]);
    for (size_t i = 0; i < count; i++)
        store_backfill_release(&backfills[i]);
    free(backfills);
    return true;
}

static bool write_state(struct work *work, const struct store_backfill *state, struct error *error)
{
    bool done = query_do(work->connection, "BEGIN", error) &&
                store_backfill_write(work->connection, state, error) &&
                query_do(work->connection, "COMMIT", error);
    if (!done)
        query_rollback(work->connection);
    return done;
}

static bool begin_state(struct work *work, struct store_backfill *state, struct error *error)
{
    struct scan scan;
    if (!scan_init(&scan, work->connection, work->transition->table_oid,
                   fleet_pace(work->change->fleet).backfill_by_key, error))
        return false;
    store_backfill_release(state);
    *state = (struct store_backfill){
        .transition = memory_string(work->transition->name),
        .state = memory_string("running"),
        .direction = memory_string(backfill_direction(backfill_target(work->phase))),
        .relation = memory_string(""),
        .position = memory_string(""),
        .error = memory_string(""),
        .epoch = work->row.epoch,
        .pass = 1,
        .blocks_total = scan.blocks,
        .started_ms = clock_real_ms(),
    };
    scan_release(&scan);
    return true;
}

/* What was paused or cut off. In a phase where the other shape leads, it would overwrite what
 * counts there: that one is begun anew, the other way. */
static bool can_go_on(const struct work *work, const struct store_backfill *state)
{
    return state->transition &&
           (strcmp(state->state, "paused") == 0 || strcmp(state->state, "running") == 0) &&
           strcmp(state->direction, backfill_direction(backfill_target(work->phase))) == 0;
}

/* START and RESUME: RESUME only what was paused; START goes on with that too. */
static bool start(struct change *change, const char *transition, bool only_paused, bool wait,
                  struct text *summary, struct error *error)
{
    struct work work;
    struct store_backfill state = {0};
    if (!work_begin(&work, change, WORK_CHANGES, "backfill", transition, error))
        return false;
    bool done = can_fill(&work, error) && read_state(&work, transition, &state, error);
    if (done && run_is_alive(change->fleet, change->database, transition)) {
        done = error_set(error, "55006", "a backfill of \"%s\" is running", transition);
        error_hint(error, "SHOW BACKFILLS tells how far it is.");
    }
    bool goes_on = done && can_go_on(&work, &state);
    if (done && only_paused && !goes_on) {
        done = error_set(error, "55000", "no %s backfill of \"%s\" is paused",
                         backfill_direction(backfill_target(work.phase)), transition);
        error_hint(error, "BACKFILL %s START begins one.", transition);
    }
    if (done && goes_on) {
        run_set(&state.state, "running");
    } else if (done) {
        /* Rows of before the move to a dual phase must all be committed; and a move that was cut
         * off may have left the guard to be made. */
        done = work_fence(&work, error) && work_wait_for_sessions(&work, error) &&
               trimmings_fit(&work, work.phase, TRIM_AFTER_MOVE, error) &&
               begin_state(&work, &state, error);
    }
    done = done && write_state(&work, &state, error) &&
           run_begin(change->fleet, change->database, change->who, &state, error);
    work_end(&work);
    if (done && wait)
        done = wait_for_end(change, transition, &state, error) && summarise(&state, summary, error);
    else if (done)
        text_add_format(summary, "backfill of %s runs; SHOW BACKFILLS tells how far it is",
                        transition);
    store_backfill_release(&state);
    return done;
}

bool backfill_start(struct change *change, const char *transition, bool wait, struct text *summary,
                    struct error *error)
{
    return start(change, transition, false, wait, summary, error);
}

bool backfill_resume(struct change *change, const char *transition, bool wait, struct text *summary,
                     struct error *error)
{
    return start(change, transition, true, wait, summary, error);
}

/* PAUSE and CANCEL. */
static bool end_run(struct change *change, const char *transition, enum want want,
                    const char *state_name, struct text *summary, struct error *error)
{
    struct work work;
    struct store_backfill state = {0};
    if (!work_begin(&work, change, WORK_READS, "backfill", transition, error))
        return false;
    bool alive = run_tell(change->fleet, change->database, transition, want);
    bool done = true;
    if (alive) {
        done = wait_for_end(change, transition, &state, error);
    } else {
        done = read_state(&work, transition, &state, error);
        bool open = done && state.transition &&
                    (strcmp(state.state, "running") == 0 || strcmp(state.state, "paused") == 0);
        if (done && !open)
            done = error_set(error, "55000", "no backfill of \"%s\" is running", transition);
        if (done) {
            run_set(&state.state, state_name);
            done = write_state(&work, &state, error);
        }
    }
    done = done && summarise(&state, summary, error);
    store_backfill_release(&state);
    work_end(&work);
    return done;
}

bool backfill_pause(struct change *change, const char *transition, struct text *summary,
                    struct error *error)
{
    return end_run(change, transition, WANT_PAUSE, "paused", summary, error);
}

bool backfill_cancel(struct change *change, const char *transition, struct text *summary,
                     struct error *error)
{
    return end_run(change, transition, WANT_CANCEL, "cancelled", summary, error);
}

/* ---------------------------------------------------------------- the process's life */

void backfill_resume_all(struct fleet *fleet, size_t database)
{
    struct store_backfill *backfills;
    size_t count;
    struct error error = {0};
    PGconn *connection = fleet_connect(fleet, database, "backfill", &error);
    if (!connection || !store_backfill_read(connection, NULL, &backfills, &count, &error)) {
        log_warning(fleet_database_name(fleet, database), "backfills cannot be resumed: %s",
                    error.message);
        PQfinish(connection);
        return;
    }
    PQfinish(connection);
    for (size_t i = 0; i < count; i++) {
        const struct store_backfill *state = &backfills[i];
        if (strcmp(state->state, "running") == 0 &&
            !run_is_alive(fleet, database, state->transition)) {
            log_info(state->transition, "the backfill goes on at %llu of %llu blocks",
                     (unsigned long long)state->blocks_done,
                     (unsigned long long)state->blocks_total);
            if (!run_begin(fleet, database, "restart", state, &error))
                log_error(state->transition, "%s", error.message);
        }
        store_backfill_release(&backfills[i]);
    }
    free(backfills);
}

void change_stop(struct fleet *fleet)
{
    run_stop_all(fleet);
    fleet_stop(fleet);
    run_stop_all(fleet); /* those of a database that was loaded meanwhile */
}

/* ---------------------------------------------------------------- SHOW BACKFILLS */

static const char *constant_state(const char *state)
{
    static const char *const states[] = {"running", "paused", "done", "cancelled", "failed"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(state, states[i]) == 0)
            return states[i];
    }
    return "unknown";
}

static void fill_status(struct backfill_status *status, const char *database,
                        const struct store_backfill *state)
{
    *status = (struct backfill_status){
        .database = memory_string(database),
        .transition = memory_string(state->transition),
        .state = constant_state(state->state),
        .direction = strcmp(state->direction, "forward") == 0 ? "forward" : "backward",
        .blocks_done = state->blocks_done,
        .blocks_total = state->blocks_total,
        .rows_written = state->rows_written,
        .rows_seen = state->rows_seen,
        .error = memory_string(state->error),
    };
    describe_rate(state, &status->rows_per_second, &status->eta_seconds);
}

/* The store knows all of them, this process knows those that run in it better. */
static void list_database(struct fleet *fleet, size_t database, struct backfill_status **list,
                          size_t *count)
{
    struct fleet_status status;
    fleet_status(fleet, database, &status);
    if (status.state != FLEET_READY)
        return;
    struct error error;
    struct store_backfill *backfills = NULL;
    size_t found = 0;
    const char *name = fleet_database_name(fleet, database);
    PGconn *connection = fleet_connect(fleet, database, "show", &error);
    if (connection && !store_backfill_read(connection, NULL, &backfills, &found, &error))
        log_warning(name, "backfills cannot be listed: %s", error.message);
    PQfinish(connection);
    for (size_t i = 0; i < found; i++) {
        *list = memory_resize(*list, sizeof **list * (*count + 1));
        bool alive;
        if (run_is_alive(fleet, database, backfills[i].transition))
            run_look(fleet, database, backfills[i].transition, &backfills[i], &alive);
        fill_status(&(*list)[(*count)++], name, &backfills[i]);
        store_backfill_release(&backfills[i]);
    }
    free(backfills);
}

struct backfill_status *backfill_list(struct fleet *fleet, size_t *count)
{
    struct backfill_status *list = memory_get(sizeof *list);
    *count = 0;
    for (size_t i = 0; i < fleet_database_count(fleet); i++)
        list_database(fleet, i, &list, count);
    return list;
}

void backfill_list_free(struct backfill_status *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].database);
        free(list[i].transition);
        free(list[i].error);
    }
    free(list);
}
