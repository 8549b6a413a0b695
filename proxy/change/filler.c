/*
 * The filler: what a backfill does. It writes the columns of one shape from the other's, row by row
 * where they are not in parity, in ranges that are a transaction each.
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
#include "run.h"
#include "work.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum {
    PASSES_MAX = 20,
    ROWS_LOOKED_AT = 50000, /* per range, for what is left */
    RETRY_FIRST_MS = 50,
    RETRY_LAST_MS = 2000,
    WAKE_EVERY_MS = 200
};

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
    if (!filler->connection || !store_backfill_read(filler->connection, filler->run->transition,
                                                    &backfills, &count, error))
        return false;
    bool goes_on = count == 1 && strcmp(backfills[0].state, "running") == 0;
    if (goes_on) {
        run_copy(&filler->state, &backfills[0]);
        filler->target = strcmp(filler->state.direction, "forward") == 0 ? SHAPE_NEW : SHAPE_OLD;
    }
    for (size_t i = 0; i < count; i++)
        store_backfill_release(&backfills[i]);
    free(backfills);
    return goes_on || error_set(error, "55000", "the store does not call this backfill running");
}

/* All else that filling takes. */
static bool prepare(struct filler *filler, struct error *error)
{
    if (!find_transition(filler, error))
        return false;
    silence_triggers(filler);
    prepare_texts(filler);
    scan_release(&filler->scan);
    return scan_init(&filler->scan, filler->connection, filler->transition->table_oid,
                     fleet_pace(filler->run->fleet).backfill_by_key, error);
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
                    fleet_pace(filler->run->fleet).lock_timeout, leaf->name, range->condition.data,
                    leaf->name, filler->assignments.data, range->condition.data,
                    filler->parity.data);
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
    run_copy(&filler->state, &next);
    filler->range_begun_ms = now;
    run_show(filler->run, &filler->state);
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
    run_set(&filler->state.error, text.data);
    text_release(&text);
    text_release(&conversions);
}

/* Writes one range, as often as it takes. False when the backfill has ended, or must attach again.
 */
static bool write_range_at_last(struct filler *filler, const struct scan_leaf *leaf,
                                const struct scan_range *range, struct error *error)
{
    unsigned pause = RETRY_FIRST_MS;
    while (run_wanted(filler->run) == WANT_GO) {
        if (write_range(filler, leaf, range, error))
            return true;
        if (is_connection_lost(error))
            return false;
        if (!is_transient(error)) {
            fail_at_row(filler, leaf, range, error);
            return false;
        }
        run_rest(filler->run, pause);
        pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
    }
    return error_set(error, "57014", "the backfill was told to end");
}

static bool fill_leaf(struct filler *filler, const struct scan_leaf *leaf, struct error *error)
{
    struct scan_range range;
    struct text position;
    bool done;
    scan_range_init(&range);
    text_init(&position, TEXT_UNBOUNDED);
    text_add_string(&position, filler->state.position);
    do {
        const struct settings_pace pace = fleet_pace(filler->run->fleet); /* a RELOAD counts */
        done = scan_next(&filler->scan, filler->connection, leaf, position.data, pace.backfill_rows,
                         &range, error) &&
               write_range_at_last(filler, leaf, &range, error);
        if (done && pace.backfill_pause > 0)
            run_rest(filler->run, (unsigned)pace.backfill_pause);
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
            run_set(&filler->state.position, "");
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
        if (run_wanted(filler->run) != WANT_GO) {
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
                   fleet_pace(filler->run->fleet).backfill_by_key, error))
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
        run_set(&filler->state.error,
                "rows keep falling out of parity: something writes the table past Segue, and "
                "there is no guard");
        return false;
    }
    filler->state.pass++;
    run_set(&filler->state.relation, "");
    run_set(&filler->state.position, "");
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
    run_set(&filler->state.state, state);
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
                (strcmp(state, "done") != 0 ||
                 store_forget_verification(filler->connection, filler->run->transition, error)) &&
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
    switch (run_wanted(filler->run)) {
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
    if (!attach(filler, error)) {
        bool is_over = strcmp(error->sqlstate, "55000") == 0;
        if (is_over)
            log_info(filler->run->transition, "the backfill ends: %s", error->message);
        return is_over;
    }
    filler->range_begun_ms = clock_real_ms();
    run_show(filler->run, &filler->state);
    bool filled =
        run_wanted(filler->run) == WANT_GO && prepare(filler, error) && fill(filler, error);
    if (!filled && run_wanted(filler->run) == WANT_STOP)
        return true;
    /* Whoever wants it to end need not wait until it could go on. */
    if (!filled && run_wanted(filler->run) == WANT_GO && is_connection_lost(error))
        return false;
    if (!filled && run_wanted(filler->run) == WANT_GO && !filler->state.error[0])
        run_set(&filler->state.error, error->message);
    return conclude(filler, ending(filler, filled), error);
}

void run_fill(struct run *run)
{
    struct filler filler = {.run = run};
    unsigned pause = RETRY_FIRST_MS;
    text_init(&filler.assignments, TEXT_UNBOUNDED);
    text_init(&filler.parity, TEXT_UNBOUNDED);
    for (;;) {
        struct error error = {0};
        if (run_attached(&filler, &error) || run_wanted(run) == WANT_STOP)
            break;
        log_warning(run->transition, "the backfill tries again: %s", error.message);
        run_rest(run, pause);
        pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
        if (run_wanted(run) != WANT_GO)
            clock_sleep_ms(WAKE_EVERY_MS); /* it must still be stored that it was paused */
    }
    if (filler.state.state)
        run_show(run, &filler.state);
    PQfinish(filler.connection);
    transition_put(filler.transition);
    scan_release(&filler.scan);
    store_backfill_release(&filler.state);
    text_release(&filler.assignments);
    text_release(&filler.parity);
}
