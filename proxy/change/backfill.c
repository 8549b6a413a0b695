/*
 * Backfill: writes the columns of one shape from the other's, row by row where they are not in
 * parity, in ranges that are a transaction each.
 *
 * Why one pass may not be enough: a client's UPDATE of some other column moves a row, unconverted,
 * to a block that was gone over already. So a pass is followed by a look at the whole table, and by
 * another pass while anything is left. VERIFY, in one snapshot, is what proves the end.
 *
 * Each range's progress is stored in its transaction: whatever kills this process, the next one
 * goes on from there. A range waits for a row's lock only lock_timeout, which is less than
 * PostgreSQL's deadlock_timeout by default: in a deadlock with a client it is the backfill that
 * gives way.
 */
#include "offenders.h"
#include "work.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    PASSES_MAX = 20,
    ROWS_LOOKED_AT = 50000, /* per range, for what is left */
    RETRY_FIRST_MS = 50,
    RETRY_LAST_MS = 2000,
    WAKE_EVERY_MS = 200,
    NOTICE_EVERY_MS = 2000
};

enum want { WANT_GO, WANT_PAUSE, WANT_CANCEL, WANT_STOP };

/* One backfill that runs, or has run, in this process. Guarded by `mutex`, save what is const. */
struct run {
    struct run *next;
    struct fleet *fleet;
    size_t database;
    char *transition, *who;
    pthread_t thread;
    enum want want;
    bool ended;
    struct store_backfill shown; /* what others see; the thread works on its own */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct run *runs;

/* `from` may share strings with `to`. */
static void copy_backfill(struct store_backfill *to, const struct store_backfill *from)
{
    struct store_backfill copy = *from;
    copy.transition = memory_string(from->transition);
    copy.state = memory_string(from->state);
    copy.direction = memory_string(from->direction);
    copy.relation = memory_string(from->relation);
    copy.position = memory_string(from->position);
    copy.error = memory_string(from->error);
    store_backfill_release(to);
    *to = copy;
}

static void set_string(char **field, const char *value)
{
    char *copy = memory_string(value);
    free(*field);
    *field = copy;
}

/* ---------------------------------------------------------------- the thread */

struct filler {
    struct run *run;
    PGconn *connection;
    struct transition *transition;
    struct scan scan;
    struct store_backfill state;
    enum shape target;
    struct text assignments, parity;
    uint64_t range_begun_ms;
};

static enum want wanted(struct run *run)
{
    pthread_mutex_lock(&mutex);
    enum want want = run->want;
    pthread_mutex_unlock(&mutex);
    return want;
}

static void show(struct filler *filler)
{
    pthread_mutex_lock(&mutex);
    copy_backfill(&filler->run->shown, &filler->state);
    pthread_mutex_unlock(&mutex);
}

/* Rests, but not when somebody wants something. */
static void rest(struct run *run, unsigned milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mutex);
    while (run->want == WANT_GO && pthread_cond_timedwait(&changed, &mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&mutex);
}

static void prepare_texts(struct filler *filler)
{
    const struct transition *transition = filler->transition;
    text_clear(&filler->assignments);
    text_clear(&filler->parity);
    transition_parity(transition, "", &filler->parity);
    for (size_t i = 0; i < transition->column_count[filler->target]; i++) {
        if (i)
            text_add_string(&filler->assignments, ", ");
        text_add_identifier(&filler->assignments, transition->columns[filler->target][i].physical);
        text_add_string(&filler->assignments, " = ");
        work_add_assignable(transition, filler->target, i, "", &filler->assignments);
    }
}

static bool has_triggers(struct filler *filler)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", filler->transition->table_oid);
    const char *parameters[] = {oid};
    struct error ignored; /* then it is warned once too often */
    PGresult *result = query_run_with(
        filler->connection,
        "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal "
        "  AND tgname NOT LIKE 'zzz\\_segue\\_guard\\_%')",
        parameters, 1, &ignored);
    bool has = !result || query_boolean(result, 0, 0);
    PQclear(result);
    return has;
}

/*
 * The table's own triggers have nothing to do with a change of representation: an updated_at would
 * touch every row. Turning them off for a session is a superuser's right, or granted (PostgreSQL
 * 15).
 */
static void silence_triggers(struct filler *filler)
{
    struct error why;
    if (query_do(filler->connection, "SET session_replication_role = replica", &why) ||
        !has_triggers(filler))
        return;
    log_warning(filler->run->transition,
                "the table's triggers fire on each row that the backfill writes (%s); GRANT SET ON "
                "PARAMETER session_replication_role TO the control user avoids it",
                why.message);
}

static bool find_transition(struct filler *filler, struct error *error)
{
    struct snapshot *snapshot = fleet_snapshot(filler->run->fleet, filler->run->database);
    transition_put(filler->transition);
    filler->transition = NULL;
    for (size_t i = 0; snapshot && i < snapshot->transition_count; i++) {
        struct transition *transition = snapshot->transitions[i].transition;
        if (strcmp(transition->name, filler->run->transition) == 0)
            filler->transition = transition_get(transition);
    }
    snapshot_put(snapshot);
    return filler->transition || error_set(error, "57P03", "the transition is not loaded yet");
}

/* A connection, and from the store where to go on. */
static bool attach(struct filler *filler, struct error *error)
{
    struct store_backfill *backfills;
    size_t count;
    PQfinish(filler->connection);
    filler->connection =
        fleet_connect(filler->run->fleet, filler->run->database, "backfill", error);
    if (!filler->connection || !find_transition(filler, error) ||
        !query_do(filler->connection, "SET search_path = pg_catalog", error) ||
        !store_backfill_read(filler->connection, filler->run->transition, &backfills, &count,
                             error))
        return false;
    bool found = count == 1;
    if (found) {
        copy_backfill(&filler->state, &backfills[0]);
        filler->target = strcmp(filler->state.direction, "forward") == 0 ? SHAPE_NEW : SHAPE_OLD;
    }
    for (size_t i = 0; i < count; i++)
        store_backfill_release(&backfills[i]);
    free(backfills);
    if (!found)
        return error_set(error, "55000", "the backfill is not in the store any more");
    silence_triggers(filler);
    prepare_texts(filler);
    scan_release(&filler->scan);
    return scan_init(&filler->scan, filler->connection, filler->transition->table_oid,
                     fleet_settings(filler->run->fleet)->backfill_by_key, error);
}

static bool is_connection_lost(const struct error *error)
{
    return strncmp(error->sqlstate, "08", 2) == 0 || strncmp(error->sqlstate, "57P", 3) == 0;
}

static bool is_transient(const struct error *error)
{
    static const char *const states[] = {"55P03", "40P01", "40001"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(error->sqlstate, states[i]) == 0)
            return true;
    }
    return false;
}

static bool store_state(struct filler *filler, struct error *error)
{
    bool done = query_do(filler->connection, "BEGIN", error) &&
                store_backfill_write(filler->connection, &filler->state, error) &&
                query_do(filler->connection, "COMMIT", error);
    if (!done)
        query_rollback(filler->connection);
    return done;
}

static bool write_range(struct filler *filler, const struct scan_leaf *leaf,
                        const struct scan_range *range, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query,
                    "BEGIN; SET LOCAL lock_timeout = %d; "
                    "WITH seen AS (SELECT count(*) AS n FROM ONLY %s WHERE %s), "
                    "written AS (UPDATE ONLY %s SET %s WHERE %s AND NOT (%s) RETURNING 1) "
                    "SELECT (SELECT n FROM seen), (SELECT count(*) FROM written)",
                    fleet_settings(filler->run->fleet)->lock_timeout, leaf->name,
                    range->condition.data, leaf->name, filler->assignments.data,
                    range->condition.data, filler->parity.data);
    PGresult *result = query_run(filler->connection, query.data, error);
    text_release(&query);
    if (!result) {
        query_rollback(filler->connection);
        return false;
    }
    struct store_backfill next = filler->state;
    next.rows_seen += (uint64_t)query_integer(result, 0, 0);
    next.rows_written += (uint64_t)query_integer(result, 0, 1);
    PQclear(result);
    char relation[16];
    snprintf(relation, sizeof relation, "%u", leaf->oid);
    next.relation = relation;
    next.position = range->last ? (char *)"end" : range->next.data;
    next.blocks_done += range->blocks;
    if (next.blocks_done > next.blocks_total)
        next.blocks_total = next.blocks_done;
    uint64_t now = clock_real_ms();
    next.worked_ms += now > filler->range_begun_ms ? now - filler->range_begun_ms : 0;
    bool done = store_backfill_write(filler->connection, &next, error) &&
                query_do(filler->connection, "COMMIT", error);
    if (!done) {
        query_rollback(filler->connection);
        return false;
    }
    copy_backfill(&filler->state, &next);
    filler->range_begun_ms = now;
    show(filler);
    return true;
}

static void on_bad_value(void *context, const char *row, const char *ctid, const char *why)
{
    (void)ctid;
    struct text *text = context;
    text_add_format(text, "the row with %s: %s", row, why);
}

/* Which row it was: the server names the value, at most. */
static void fail_at_row(struct filler *filler, const struct scan_leaf *leaf,
                        const struct scan_range *range, const struct error *why)
{
    struct text text, conversions;
    struct error second;
    size_t found = 0;
    text_init(&text, TEXT_UNBOUNDED);
    text_init(&conversions, TEXT_UNBOUNDED);
    text_add_string(&conversions, "ROW(");
    for (size_t i = 0; i < filler->transition->column_count[filler->target]; i++) {
        if (i)
            text_add_string(&conversions, ", ");
        work_add_judged(filler->transition, filler->target, i, &conversions);
    }
    text_add_char(&conversions, ')');
    if (!offenders_find(filler->connection, &filler->scan, leaf, range->condition.data,
                        conversions.data, 1, on_bad_value, &text, &found, &second) ||
        !found)
        text_add_format(&text, "a row of %s where %s: %s", leaf->name, range->condition.data,
                        why->message);
    set_string(&filler->state.error, text.data);
    text_release(&text);
    text_release(&conversions);
}

/* Writes one range, as often as it takes. False when the backfill has ended, or must attach again.
 */
static bool write_range_at_last(struct filler *filler, const struct scan_leaf *leaf,
                                const struct scan_range *range, struct error *error)
{
    unsigned pause = RETRY_FIRST_MS;
    while (wanted(filler->run) == WANT_GO) {
        if (write_range(filler, leaf, range, error))
            return true;
        if (is_connection_lost(error))
            return false;
        if (!is_transient(error)) {
            fail_at_row(filler, leaf, range, error);
            return false;
        }
        rest(filler->run, pause);
        pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
    }
    return error_set(error, "57014", "the backfill was told to end");
}

static bool fill_leaf(struct filler *filler, const struct scan_leaf *leaf, struct error *error)
{
    const struct settings *settings = fleet_settings(filler->run->fleet);
    struct scan_range range;
    struct text position;
    bool done;
    scan_range_init(&range);
    text_init(&position, TEXT_UNBOUNDED);
    text_add_string(&position, filler->state.position);
    do {
        done = scan_next(&filler->scan, filler->connection, leaf, position.data,
                         settings->backfill_rows, &range, error) &&
               write_range_at_last(filler, leaf, &range, error);
        if (done && settings->backfill_pause > 0)
            rest(filler->run, (unsigned)settings->backfill_pause);
        text_clear(&position);
        text_add_string(&position, range.next.data);
    } while (done && !range.last);
    text_release(&position);
    scan_range_release(&range);
    return done;
}

/* One pass over all leaves, from where the state says. */
static bool fill_pass(struct filler *filler, struct error *error)
{
    uint32_t begun = (uint32_t)strtoul(filler->state.relation, NULL, 10);
    for (size_t i = 0; i < filler->scan.leaf_count; i++) {
        const struct scan_leaf *leaf = &filler->scan.leaves[i];
        bool behind =
            leaf->oid < begun || (leaf->oid == begun && strcmp(filler->state.position, "end") == 0);
        if (behind)
            continue;
        if (leaf->oid != begun)
            set_string(&filler->state.position, "");
        if (!fill_leaf(filler, leaf, error))
            return false;
    }
    return true;
}

static bool is_leaf_left(struct filler *filler, const struct scan_leaf *leaf, bool *left,
                         struct error *error)
{
    struct scan_range range;
    struct text position, query;
    bool done;
    scan_range_init(&range);
    text_init(&position, TEXT_UNBOUNDED);
    text_init(&query, TEXT_UNBOUNDED);
    do {
        if (wanted(filler->run) != WANT_GO) {
            done = error_set(error, "57014", "the backfill was told to end");
            break;
        }
        done = scan_next(&filler->scan, filler->connection, leaf, position.data, ROWS_LOOKED_AT,
                         &range, error);
        if (!done)
            break;
        text_clear(&query);
        text_add_format(&query, "SELECT EXISTS (SELECT FROM ONLY %s WHERE %s AND NOT (%s))",
                        leaf->name, range.condition.data, filler->parity.data);
        PGresult *result = query_run(filler->connection, query.data, error);
        done = result != NULL;
        *left = done && query_boolean(result, 0, 0);
        PQclear(result);
        text_clear(&position);
        text_add_string(&position, range.next.data);
    } while (done && !*left && !range.last);
    text_release(&position);
    text_release(&query);
    scan_range_release(&range);
    return done;
}

/* Over the table as large as it is by now. */
static bool is_anything_left(struct filler *filler, bool *left, struct error *error)
{
    *left = false;
    scan_release(&filler->scan);
    if (!scan_init(&filler->scan, filler->connection, filler->transition->table_oid,
                   fleet_settings(filler->run->fleet)->backfill_by_key, error))
        return false;
    for (size_t i = 0; !*left && i < filler->scan.leaf_count; i++) {
        if (!is_leaf_left(filler, &filler->scan.leaves[i], left, error))
            return false;
    }
    return true;
}

static bool begin_pass(struct filler *filler, struct error *error)
{
    if (filler->state.pass == PASSES_MAX) {
        error_set(error, "55000", "rows keep falling out of parity, after %d passes", PASSES_MAX);
        set_string(&filler->state.error,
                   "rows keep falling out of parity: something writes the table past Segue, and "
                   "there is no guard");
        return false;
    }
    filler->state.pass++;
    set_string(&filler->state.relation, "");
    set_string(&filler->state.position, "");
    filler->state.blocks_done = 0;
    filler->state.blocks_total = filler->scan.blocks;
    return store_state(filler, error);
}

static bool fill(struct filler *filler, struct error *error)
{
    for (;;) {
        bool left;
        if (!fill_pass(filler, error) || !is_anything_left(filler, &left, error))
            return false;
        if (!left)
            return true;
        if (!begin_pass(filler, error))
            return false;
    }
}

/* Stores how it ended, with an audit entry. */
static bool conclude(struct filler *filler, const char *state, struct error *error)
{
    struct text result;
    uint64_t epoch;
    struct store_row row;
    set_string(&filler->state.state, state);
    if (!store_read(filler->connection, filler->run->transition, &row, error))
        return false;
    text_init(&result, TEXT_UNBOUNDED);
    text_add_format(&result, "%s %s: %llu of %llu rows written%s%s", filler->state.direction, state,
                    (unsigned long long)filler->state.rows_written,
                    (unsigned long long)filler->state.rows_seen, filler->state.error[0] ? "; " : "",
                    filler->state.error);
    struct store_move entry = {.transition = filler->run->transition,
                               .action = "backfill",
                               .who = filler->run->who,
                               .from_phase = row.phase,
                               .to_phase = row.phase,
                               .from_stage = row.stage,
                               .to_stage = row.stage,
                               .result = result.data};
    bool done = query_do(filler->connection, "BEGIN", error) &&
                store_backfill_write(filler->connection, &filler->state, error) &&
                store_forget_verification(filler->connection, filler->run->transition, error) &&
                store_move(filler->connection, &entry, &epoch, error) &&
                query_do(filler->connection, "COMMIT", error);
    if (!done)
        query_rollback(filler->connection);
    log_info(filler->run->transition, "backfill %s", result.data);
    text_release(&result);
    store_row_release(&row);
    return done;
}

static const char *ending(const struct filler *filler, bool filled)
{
    if (filled)
        return "done";
    switch (wanted(filler->run)) {
    case WANT_PAUSE:
        return "paused";
    case WANT_CANCEL:
        return "cancelled";
    case WANT_STOP:
    case WANT_GO:
        return "failed";
    }
    BUG("unknown want");
}

/* One connection's worth of work. True when the backfill has ended. */
static bool run_attached(struct filler *filler, struct error *error)
{
    if (!attach(filler, error))
        return strcmp(error->sqlstate, "55000") == 0;
    filler->range_begun_ms = clock_real_ms();
    show(filler);
    bool filled = fill(filler, error);
    if (!filled && is_connection_lost(error))
        return false;
    if (!filled && wanted(filler->run) == WANT_STOP)
        return true;
    if (!filled && wanted(filler->run) == WANT_GO && !filler->state.error[0])
        set_string(&filler->state.error, error->message);
    return conclude(filler, ending(filler, filled), error);
}

static void *run_backfill(void *context)
{
    struct run *run = context;
    struct filler filler = {.run = run};
    unsigned pause = RETRY_FIRST_MS;
    text_init(&filler.assignments, TEXT_UNBOUNDED);
    text_init(&filler.parity, TEXT_UNBOUNDED);
    for (;;) {
        struct error error = {0};
        if (run_attached(&filler, &error) || wanted(run) == WANT_STOP)
            break;
        log_warning(run->transition, "the backfill tries again: %s", error.message);
        rest(run, pause);
        pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
        if (wanted(run) != WANT_GO)
            clock_sleep_ms(WAKE_EVERY_MS); /* it must still be stored that it was paused */
    }
    pthread_mutex_lock(&mutex);
    if (filler.state.state)
        copy_backfill(&run->shown, &filler.state);
    run->ended = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    PQfinish(filler.connection);
    transition_put(filler.transition);
    scan_release(&filler.scan);
    store_backfill_release(&filler.state);
    text_release(&filler.assignments);
    text_release(&filler.parity);
    return NULL;
}

/* ---------------------------------------------------------------- the runs of this process */

/* With the mutex held. */
static struct run *find_run(const struct fleet *fleet, size_t database, const char *transition)
{
    for (struct run *run = runs; run; run = run->next) {
        if (run->fleet == fleet && run->database == database &&
            strcmp(run->transition, transition) == 0)
            return run;
    }
    return NULL;
}

static bool is_alive(const struct fleet *fleet, size_t database, const char *transition)
{
    pthread_mutex_lock(&mutex);
    const struct run *run = find_run(fleet, database, transition);
    bool alive = run && !run->ended;
    pthread_mutex_unlock(&mutex);
    return alive;
}

/* Its thread has ended, or will without further ado. */
static void free_run(struct run *run)
{
    pthread_join(run->thread, NULL);
    free(run->transition);
    free(run->who);
    store_backfill_release(&run->shown);
    free(run);
}

/* Takes the run out of the list, so that nobody else joins its thread. */
static struct run *unlink_run(const struct fleet *fleet, size_t database, const char *transition,
                              bool only_ended)
{
    pthread_mutex_lock(&mutex);
    struct run *run = find_run(fleet, database, transition);
    if (run && (!only_ended || run->ended)) {
        struct run **link = &runs;
        while (*link != run)
            link = &(*link)->next;
        *link = run->next;
    } else {
        run = NULL;
    }
    pthread_mutex_unlock(&mutex);
    return run;
}

static bool begin_run(struct fleet *fleet, size_t database, const char *who,
                      const struct store_backfill *state, struct error *error)
{
    struct run *former = unlink_run(fleet, database, state->transition, true);
    if (former)
        free_run(former);
    struct run *run = NEW(struct run);
    run->fleet = fleet;
    run->database = database;
    run->transition = memory_string(state->transition);
    run->who = memory_string(who ? who : "");
    copy_backfill(&run->shown, state);
    pthread_mutex_lock(&mutex);
    bool other = find_run(fleet, database, state->transition) != NULL; /* a restart and a START */
    bool begun = !other && pthread_create(&run->thread, NULL, run_backfill, run) == 0;
    if (begun) {
        run->next = runs;
        runs = run;
    }
    pthread_mutex_unlock(&mutex);
    if (begun)
        return true;
    free(run->transition);
    free(run->who);
    store_backfill_release(&run->shown);
    free(run);
    return other ? error_set(error, "55006", "the backfill is running already")
                 : error_set(error, "53000", "no thread can be started for the backfill");
}

/* ---------------------------------------------------------------- commands */

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

/* Until it ends or nobody waits any more. Gives what it ended as. */
static bool wait_for_end(struct change *change, const char *transition,
                         struct store_backfill *ended_as, struct error *error)
{
    uint64_t noticed = clock_monotonic_ns();
    for (;;) {
        pthread_mutex_lock(&mutex);
        struct run *run = find_run(change->fleet, change->database, transition);
        bool ended = !run || run->ended;
        if (run)
            copy_backfill(ended_as, &run->shown);
        pthread_mutex_unlock(&mutex);
        if (ended)
            return true;
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
        clock_sleep_ms(20);
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
        copy_backfill(state, &backfills[0]);
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
                   fleet_settings(work->change->fleet)->backfill_by_key, error))
        return false;
    store_backfill_release(state);
    *state = (struct store_backfill){
        .transition = memory_string(work->transition->name),
        .state = memory_string("running"),
        .direction = memory_string(work->phase == PHASE_DUAL_NEW ? "backward" : "forward"),
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

/* START and RESUME: RESUME only what was paused; START goes on with that too. */
static bool start(struct change *change, const char *transition, bool only_paused, bool wait,
                  struct text *summary, struct error *error)
{
    struct work work;
    struct store_backfill state = {0};
    if (!work_begin(&work, change, WORK_CHANGES, "backfill", transition, error))
        return false;
    bool done = can_fill(&work, error) && read_state(&work, transition, &state, error);
    if (done && is_alive(change->fleet, change->database, transition)) {
        done = error_set(error, "55006", "a backfill of \"%s\" is running", transition);
        error_hint(error, "SHOW BACKFILLS tells how far it is.");
    }
    bool paused = done && state.transition && strcmp(state.state, "paused") == 0;
    bool interrupted = done && state.transition && strcmp(state.state, "running") == 0;
    if (done && only_paused && !paused && !interrupted) {
        done = error_set(error, "55000", "no backfill of \"%s\" is paused", transition);
        error_hint(error, "BACKFILL %s START begins one.", transition);
    }
    if (done && (paused || interrupted)) {
        set_string(&state.state, "running");
    } else if (done) {
        /* Rows of before the move to a dual phase must all be committed; and a move that was cut
         * off may have left the guard to be made. */
        done = work_fence(&work, error) && work_wait_for_sessions(&work, error) &&
               trimmings_fit(&work, work.phase, TRIM_AFTER_MOVE, error) &&
               begin_state(&work, &state, error);
    }
    done = done && write_state(&work, &state, error) &&
           begin_run(change->fleet, change->database, change->who, &state, error);
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
    pthread_mutex_lock(&mutex);
    struct run *run = find_run(change->fleet, change->database, transition);
    bool alive = run && !run->ended;
    if (alive) {
        run->want = want;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
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
            set_string(&state.state, state_name);
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
        log_warning(fleet_settings(fleet)->databases[database].name,
                    "backfills cannot be resumed: %s", error.message);
        PQfinish(connection);
        return;
    }
    PQfinish(connection);
    for (size_t i = 0; i < count; i++) {
        const struct store_backfill *state = &backfills[i];
        if (strcmp(state->state, "running") == 0 && !is_alive(fleet, database, state->transition)) {
            log_info(state->transition, "the backfill goes on at %llu of %llu blocks",
                     (unsigned long long)state->blocks_done,
                     (unsigned long long)state->blocks_total);
            if (!begin_run(fleet, database, "restart", state, &error))
                log_error(state->transition, "%s", error.message);
        }
        store_backfill_release(&backfills[i]);
    }
    free(backfills);
}

void backfill_stop_all(struct fleet *fleet)
{
    for (;;) {
        pthread_mutex_lock(&mutex);
        struct run *run = runs;
        while (run && run->fleet != fleet)
            run = run->next;
        if (run && !run->ended)
            run->want = WANT_STOP;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
        if (!run)
            return;
        struct run *unlinked = unlink_run(fleet, run->database, run->transition, false);
        if (unlinked)
            free_run(unlinked);
    }
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
    const char *name = fleet_settings(fleet)->databases[database].name;
    PGconn *connection = fleet_connect(fleet, database, "show", &error);
    if (connection && !store_backfill_read(connection, NULL, &backfills, &found, &error))
        log_warning(name, "backfills cannot be listed: %s", error.message);
    PQfinish(connection);
    for (size_t i = 0; i < found; i++) {
        *list = memory_resize(*list, sizeof **list * (*count + 1));
        pthread_mutex_lock(&mutex);
        const struct run *run = find_run(fleet, database, backfills[i].transition);
        bool alive = run && !run->ended && strcmp(backfills[i].state, "running") == 0;
        fill_status(&(*list)[(*count)++], name, alive ? &run->shown : &backfills[i]);
        pthread_mutex_unlock(&mutex);
        store_backfill_release(&backfills[i]);
    }
    free(backfills);
}

struct backfill_status *backfill_list(struct fleet *fleet, size_t *count)
{
    struct backfill_status *list = memory_get(sizeof *list);
    *count = 0;
    for (size_t i = 0; i < fleet_settings(fleet)->database_count; i++)
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
