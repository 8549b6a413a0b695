/*
 * CONTRACT and RETIRE: the end of a transition, and its undoing before it began.
 *
 * CONTRACT drops columns and renames others, which no two neighbouring phases bridge: transactions
 * that begin meanwhile and touch the table are held, those under way end first, and the DDL runs
 * with short locks. Whatever fails, the held go on.
 */
#include "pairs.h"
#include "scan.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { HOLD_MS = 1000, REST_MS = 500, RELOAD_ATTEMPTS = 30, RELOAD_PAUSE_MS = 500 };

void contract_add_undo_name(const struct transition *transition, struct text *out)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    text_add_format(&name, "undo_%s", transition->name);
    text_add_string(out, "segue.");
    text_add_identifier(out, name.data);
    text_release(&name);
}

/* The old values and what tells their rows: the primary key, or else every column. */
void contract_add_undo(const struct transition *transition, const char *key, struct text *out)
{
    text_add_string(out, "DROP TABLE IF EXISTS ");
    contract_add_undo_name(transition, out);
    text_add_string(out, ";\nCREATE TABLE ");
    contract_add_undo_name(transition, out);
    text_add_format(out, " AS SELECT %s", key ? key : "*");
    for (size_t i = 0; key && i < transition->column_count[SHAPE_OLD]; i++) {
        text_add_string(out, ", ");
        text_add_identifier(out, transition->columns[SHAPE_OLD][i].physical);
    }
    text_add_string(out, " FROM ");
    work_add_table(transition, out);
}

void contract_add_script(const struct transition *transition, struct text *out)
{
    text_add_string(out, "ALTER TABLE ");
    work_add_table(transition, out);
    for (size_t i = 0; i < transition->column_count[SHAPE_OLD]; i++) {
        text_add_string(out, i ? ", DROP COLUMN " : " DROP COLUMN ");
        text_add_identifier(out, transition->columns[SHAPE_OLD][i].physical);
    }
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        if (strcmp(column->physical, column->name) == 0)
            continue;
        text_add_string(out, ";\nALTER TABLE ");
        work_add_table(transition, out);
        text_add_string(out, " RENAME COLUMN ");
        text_add_identifier(out, column->physical);
        text_add_string(out, " TO ");
        text_add_identifier(out, column->name);
    }
}

static bool may_contract(struct work *work, struct error *error)
{
    const char *name = work->transition->name;
    if (work->stage == STAGE_CONTRACTED)
        return error_set(error, "55000", "transition \"%s\" is contracted already", name);
    if (work->stage == STAGE_EXPANDED && work->phase == PHASE_NEW && work->row.complete[SHAPE_NEW])
        return true;
    error_set(error, "55000", "CONTRACT needs phase new, and transition \"%s\" stands at %s", name,
              phase_name(work->phase));
    error_hint(error, "Say ADVANCE %s TO new.", name);
    return false;
}

/* In phase new nothing writes the old columns, so this needs no barrier. */
static bool keep_undo(struct work *work, uint64_t *rows, struct error *error)
{
    struct scan scan;
    if (!scan_init(&scan, work->connection, work->transition->table_oid, false, error))
        return false;
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    text_add_string(&script, "BEGIN; ");
    contract_add_undo(work->transition, scan.key, &script);
    progress_notice(&work->change->progress, "keeping the old values in segue.\"undo_%s\"",
                    work->transition->name);
    PGresult *result = work_run(work, script.data, error);
    if (result)
        *rows = strtoull(PQcmdTuples(result), NULL, 10);
    bool done = result && query_do(work->connection, "COMMIT", error);
    if (!done)
        query_rollback(work->connection);
    PQclear(result);
    text_release(&script);
    scan_release(&scan);
    return done;
}

/* The table is not as what is published says any more, so nothing else may end the hold. */
static bool reload_until_it_works(struct work *work, struct error *error)
{
    for (int attempt = 0; attempt < RELOAD_ATTEMPTS; attempt++) {
        if (fleet_reload_table(work->change->fleet, work->change->database,
                               work->transition->table_oid, error))
            return true;
        progress_notice(&work->change->progress, "loading again: %s", error ? error->message : "");
        clock_sleep_ms(RELOAD_PAUSE_MS);
    }
    return false;
}

/* One try behind the barrier, short enough to be felt by nobody. *again: another may do better. */
static bool try_behind_barrier(struct work *work, const char *script, const struct store_move *move,
                               bool *again, struct error *error)
{
    uint64_t epoch, begun = clock_monotonic_ns();
    *again = true;
    bool done = work_hold(work, HOLD_MS, error) &&
                work_alter_once(work, script, move, &epoch, again, error);
    bool is_known = done || PQstatus(work->connection) == CONNECTION_OK;
    if (!done && is_known) {
        work_let_go(work);
        return false;
    }
    *again = false;
    struct error second;
    if (!reload_until_it_works(work, done ? error : &second))
        return false; /* held until the control connection has read the store */
    work_let_go(work);
    if (!done) {
        error_hint(error, "SHOW TRANSITIONS tells whether it took place.");
        return false;
    }
    progress_notice(&work->change->progress, "transactions on the table were held for %llu ms",
                    (unsigned long long)((clock_monotonic_ns() - begun) / 1000000));
    /* The rest of the catalog: else the next command may come before it. */
    if (!fleet_reload(work->change->fleet, work->change->database, &second))
        progress_notice(&work->change->progress, "left for later: %s", second.message);
    return true;
}

/*
 * Long transactions are waited for while nobody is held. What is still in the way behind the
 * barrier (one that began meanwhile, a dump, autovacuum) gets HOLD_MS and a try of the lock; then
 * the held go on, and all begins again.
 */
static bool contract_behind_barrier(struct work *work, struct error *error)
{
    const uint64_t timeout = (uint64_t)fleet_pace(work->change->fleet).move_timeout;
    const uint64_t deadline = clock_monotonic_ns() + timeout * UINT64_C(1000000000);
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    bool done = settle_add_before(work, &script, error);
    contract_add_script(work->transition, &script);
    bool again = done && settle_add_after(work, &script, error);
    struct store_move move = {.transition = work->transition->name,
                              .action = "contract",
                              .who = work->change->who,
                              .from_phase = work->phase,
                              .to_phase = work->phase,
                              .from_stage = STAGE_EXPANDED,
                              .to_stage = STAGE_CONTRACTED,
                              .result = script.data};
    done = false;
    while (!done && again) {
        if (!work_wait_for_transactions(work, error))
            break;
        done = try_behind_barrier(work, script.data, &move, &again, error);
        if (done || !again)
            break;
        struct text holder;
        text_init(&holder, sizeof error->detail - 32);
        work_add_holder(work, &holder);
        progress_notice(&work->change->progress, "the table is %s; trying again", holder.data);
        if (error && !error->detail[0])
            error_detail(error, "The table is %s.", holder.data);
        text_release(&holder);
        again = clock_monotonic_ns() < deadline && work_go_on(work, error);
        clock_sleep_ms(REST_MS);
    }
    text_release(&script);
    return done;
}

bool change_contract(struct change *change, const char *transition, struct text *summary,
                     struct error *error)
{
    struct work work;
    if (!work_begin(&work, change, WORK_CHANGES, "contract", transition, error))
        return false;
    uint64_t rows = 0;
    bool done = work_needs_table(&work, error) && may_contract(&work, error) &&
                work_wait_for_sessions(&work, error) &&
                trimmings_fit(&work, work.phase, TRIM_BEFORE_MOVE, error) &&
                trimmings_fit(&work, work.phase, TRIM_AFTER_MOVE, error) &&
                keep_undo(&work, &rows, error) && work_go_on(&work, error) &&
                contract_behind_barrier(&work, error);
    if (done)
        text_add_format(summary,
                        "%s is contracted; the old values of %llu rows are in segue.\"undo_%s\"; "
                        "old-shape clients go on by conversion; next: RETIRE %s",
                        transition, (unsigned long long)rows, transition, transition);
    work_end(&work);
    return done;
}

/* ---------------------------------------------------------------- RETIRE */

/* The shape whose clients would find the table changed under them. */
static bool nobody_needs(struct work *work, enum shape shape, struct error *error)
{
    uint64_t after = (uint64_t)fleet_pace(work->change->fleet).retire_after;
    uint64_t used = atomic_load(&work->transition->last_used_ms[shape]);
    uint64_t watched = atomic_load(&work->transition->counted_since_ms);
    uint64_t now = clock_real_ms();
    uint64_t since = used > watched ? used : watched;
    uint64_t quiet = now > since ? (now - since) / 1000 : 0;
    if (quiet >= after)
        return true;
    if (used)
        error_set(error, "55000", "a client of the %s shape used the table %llu s ago",
                  shape_name(shape), (unsigned long long)((now > used ? now - used : 0) / 1000));
    else
        error_set(error, "55000",
                  "this process has watched for clients of the %s shape for %llu s only",
                  shape_name(shape), (unsigned long long)quiet);
    error_hint(error,
               "Wait until %llu s have passed without one (retire_after), or say RETIRE %s "
               "FORCE.",
               (unsigned long long)after, work->transition->name);
    return false;
}

static bool may_retire(struct work *work, bool force, struct error *error)
{
    if (!work->transition) {
        if (force)
            return true;
        error_set(error, "55000", "the table of this transition was dropped");
        error_hint(error, "RETIRE with FORCE takes it out of the store.");
        return false;
    }
    if (work->stage != STAGE_CONTRACTED && work->phase != PHASE_OLD) {
        error_set(error, "55000", "transition \"%s\" stands at %s, between its ends",
                  work->transition->name, phase_name(work->phase));
        error_hint(error, "Take it on to CONTRACT, or REVERT %s TO old.", work->transition->name);
        return false;
    }
    /* Undoing an APPLY that no new-shape client was seen to use takes nothing from anybody. */
    bool unused = work->stage != STAGE_CONTRACTED &&
                  atomic_load(&work->transition->last_used_ms[SHAPE_NEW]) == 0;
    enum shape leaving = work->stage == STAGE_CONTRACTED ? SHAPE_OLD : SHAPE_NEW;
    return force || unused || nobody_needs(work, leaving, error);
}

/* Undoes EXPAND: in phase old nobody reads or writes the new columns. */
static void add_retire_script(const struct work *work, struct text *out)
{
    if (!work->transition || work->stage != STAGE_EXPANDED)
        return;
    trimmings_add_guard_drop(work->transition, out);
    /* What a CONTRACT that failed may have left: the table itself has the old values. */
    text_add_string(out, ";\nDROP TABLE IF EXISTS ");
    contract_add_undo_name(work->transition, out);
    text_add_string(out, ";\nALTER TABLE ");
    work_add_table(work->transition, out);
    for (size_t i = 0; i < work->transition->column_count[SHAPE_NEW]; i++) {
        text_add_string(out, i ? ", DROP COLUMN IF EXISTS " : " DROP COLUMN IF EXISTS ");
        text_add_identifier(out, work->transition->columns[SHAPE_NEW][i].physical);
    }
}

bool change_retire(struct change *change, const char *transition, bool force, struct text *summary,
                   struct error *error)
{
    struct work work;
    if (!work_begin(&work, change, WORK_CHANGES, "retire", transition, error))
        return false;
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    bool done = may_retire(&work, force, error) && work_wait_for_sessions(&work, error);
    if (done) {
        uint64_t epoch;
        struct store_move move = {.transition = transition,
                                  .action = "retire",
                                  .who = change->who,
                                  .from_phase = work.phase,
                                  .to_phase = work.phase,
                                  .from_stage = work.stage,
                                  .to_stage = work.stage,
                                  .removes = true,
                                  .result = force ? "forced" : "retired"};
        add_retire_script(&work, &script);
        done = (script.length ? work_alter(&work, script.data, &move, &epoch, error)
                              : work_record(&work, &move, &epoch, error)) &&
               fleet_reload(change->fleet, change->database, error);
    }
    if (done && work.stage == STAGE_EXPANDED)
        text_add_format(summary, "%s is retired before its time: its new columns are dropped",
                        transition);
    else if (done && work.stage == STAGE_CONTRACTED)
        text_add_format(summary,
                        "%s is retired; the old values stay in segue.\"undo_%s\" until you drop it",
                        transition, transition);
    else if (done)
        text_add_format(summary, "%s is retired", transition);
    text_release(&script);
    work_end(&work);
    return done;
}
