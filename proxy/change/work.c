#include "work.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { PATIENCE_FIRST_MS = 20, RETRY_FIRST_MS = 50, RETRY_LAST_MS = 1000, NOTICE_EVERY_MS = 2000 };

static bool check_ready(struct change *change, struct error *error)
{
    struct fleet_status status;
    fleet_status(change->fleet, change->database, &status);
    if (status.state == FLEET_READY)
        return true;
    fleet_try_to_regain(change->fleet, change->database);
    fleet_status(change->fleet, change->database, &status);
    if (status.state == FLEET_READY)
        return true;
    if (error) {
        *error = status.error;
        if (!error->sqlstate[0])
            error_set(error, "57P03", "the database is not loaded yet");
    }
    return false;
}

static bool find_in_snapshot(struct work *work, const char *transition)
{
    struct snapshot *snapshot = fleet_snapshot(work->change->fleet, work->change->database);
    transition_put(work->transition);
    work->transition = NULL;
    for (size_t i = 0; snapshot && i < snapshot->transition_count; i++) {
        const struct snapshot_transition *at = &snapshot->transitions[i];
        if (strcmp(at->transition->name, transition) != 0)
            continue;
        if (at->phase == work->row.phase && at->stage == work->row.stage)
            work->transition = transition_get(at->transition);
    }
    snapshot_put(snapshot);
    return work->transition != NULL;
}

bool work_refresh(struct work *work, const char *transition, struct error *error)
{
    store_row_release(&work->row);
    if (!store_read(work->connection, transition, &work->row, error))
        return false;
    if (!work->row.exists) {
        error_set(error, "42704", "transition \"%s\" does not exist", transition);
        error_hint(error, "SHOW TRANSITIONS lists those that do.");
        return false;
    }
    work->phase = work->row.phase;
    work->stage = work->row.stage;
    if (find_in_snapshot(work, transition))
        return true;
    /* What is published lags behind the store: a process was killed, or a reload failed. */
    if (!fleet_reload(work->change->fleet, work->change->database, error))
        return false;
    find_in_snapshot(work, transition);
    return true;
}

bool work_begin(struct work *work, struct change *change, enum work_kind kind, const char *what,
                const char *transition, struct error *error)
{
    *work = (struct work){.change = change};
    if (!check_ready(change, error))
        return false;
    if (kind == WORK_CHANGES) {
        struct text lock;
        text_init(&lock, TEXT_UNBOUNDED);
        text_add_format(&lock, "%s%s%s", what, transition ? " " : "", transition ? transition : "");
        work->locked = fleet_try_lock(change->fleet, change->database, lock.data, error);
        text_release(&lock);
        if (!work->locked)
            return false;
    }
    work->connection = fleet_connect(change->fleet, change->database, what, error);
    bool ready = work->connection && (!transition || work_refresh(work, transition, error));
    if (!ready) {
        work_end(work);
        return false;
    }
    return true;
}

void work_end(struct work *work)
{
    PQfinish(work->connection);
    transition_put(work->transition);
    store_row_release(&work->row);
    if (work->locked)
        fleet_unlock(work->change->fleet, work->change->database);
    *work = (struct work){.change = work->change};
}

bool work_needs_table(const struct work *work, struct error *error)
{
    if (work->transition)
        return true;
    error_set(error, "42P01", "the table of this transition was dropped");
    error_hint(error, "RETIRE it with FORCE.");
    return false;
}

bool work_go_on(const struct work *work, struct error *error)
{
    if (!progress_is_cancelled(&work->change->progress))
        return true;
    return error_set(error, "57014", "the command was cancelled");
}

/* ---------------------------------------------------------------- sessions */

bool work_wait_for_sessions(struct work *work, struct error *error)
{
    struct fleet_status status;
    fleet_status(work->change->fleet, work->change->database, &status);
    if (status.state == FLEET_READY && status.epoch_adopted == status.epoch)
        return true;
    return work_wait_for_transactions(work, error);
}

bool work_wait_for_transactions(struct work *work, struct error *error)
{
    return check_ready(work->change, error) &&
           fleet_wait_for_transactions(work->change->fleet, work->change->database, error);
}

bool work_publish(struct work *work, uint64_t epoch, enum phase phase, struct error *error)
{
    return fleet_move(work->change->fleet, work->change->database, work->transition->name, phase,
                      epoch, error);
}

bool work_hold(struct work *work, unsigned milliseconds, struct error *error)
{
    return check_ready(work->change, error) &&
           fleet_hold(work->change->fleet, work->change->database, work->transition->name,
                      milliseconds, error);
}

void work_let_go(struct work *work)
{
    fleet_let_go(work->change->fleet, work->change->database);
}

/* ---------------------------------------------------------------- SQL */

void work_add_table(const struct transition *transition, struct text *out)
{
    text_add_identifier(out, transition->schema);
    text_add_char(out, '.');
    text_add_identifier(out, transition->table);
}

void work_add_assignable(const struct transition *transition, enum shape shape, size_t column,
                         const char *qualifier, struct text *out)
{
    const enum shape other = shape_other(shape);
    const size_t count = transition->column_count[other];
    char **arguments = NEW_ARRAY(char *, count);
    for (size_t i = 0; i < count; i++) {
        struct text argument;
        text_init(&argument, TEXT_UNBOUNDED);
        text_add_string(&argument, qualifier);
        text_add_identifier(&argument, transition->columns[other][i].physical);
        arguments[i] = text_take(&argument);
    }
    text_add_char(out, '(');
    conversion_render(&transition->columns[shape][column].from, (const char *const *)arguments,
                      out);
    text_add_char(out, ')');
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
}

enum { BPCHAR_OID = 1042, VARCHAR_OID = 1043 };

/* An explicit cast to varchar(n) cuts, an assignment refuses; the cast's own function can do both.
 */
void work_add_judged(const struct transition *transition, enum shape shape, size_t column,
                     struct text *out)
{
    const struct transition_column *target = &transition->columns[shape][column];
    bool cuts =
        target->typmod >= 0 && (target->type_oid == VARCHAR_OID || target->type_oid == BPCHAR_OID);
    if (!cuts) {
        transition_converted(transition, shape, column, "", out);
        return;
    }
    text_add_format(out, "pg_catalog.%s(",
                    target->type_oid == VARCHAR_OID ? "\"varchar\"" : "bpchar");
    work_add_assignable(transition, shape, column, "", out);
    text_add_format(out, "::%s, %d, false)", target->type_bare, target->typmod);
}

/* ---------------------------------------------------------------- what takes long */

static bool is_wanted(const void *context)
{
    const struct work *work = context;
    return !progress_is_cancelled(&work->change->progress);
}

struct pg_result *work_run(struct work *work, const char *sql, struct error *error)
{
    return query_run_while(work->connection, sql, is_wanted, work, error);
}

bool work_do(struct work *work, const char *sql, struct error *error)
{
    PGresult *result = work_run(work, sql, error);
    PQclear(result);
    return result != NULL;
}

/* ---------------------------------------------------------------- DDL */

/* Who is in the way: the oldest transaction that holds a lock on the table or a part of it. */
void work_add_holder(struct work *work, struct text *out)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    const char *parameters[] = {oid};
    struct error ignored; /* it only adds to what is told */
    PGresult *result = query_run_with(
        work->connection,
        "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
        "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
        "SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), "
        "       coalesce(a.usename, '-'), "
        "       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, "
        "a.backend_start))::int "
        "  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        " WHERE l.locktype = 'relation' AND l.relation IN (SELECT oid FROM tree) AND l.granted "
        "   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "   AND l.pid <> pg_backend_pid() ORDER BY a.xact_start LIMIT 1",
        parameters, 1, &ignored);
    if (result && PQntuples(result) > 0)
        text_add_format(out, "held by pid %s (%s, user %s) for %s s", query_value(result, 0, 0),
                        query_value(result, 0, 1), query_value(result, 0, 2),
                        query_value(result, 0, 3));
    else
        text_add_string(out, "whose holder has just gone");
    PQclear(result);
}

static bool try_to_alter(struct work *work, const char *script, const struct store_move *move,
                         int lock_timeout, uint64_t *epoch, struct error *error)
{
    struct text begin;
    text_init(&begin, TEXT_UNBOUNDED);
    text_add_format(&begin, "BEGIN; SET LOCAL lock_timeout = %d", lock_timeout);
    bool done = query_do(work->connection, begin.data, error) && work_do(work, script, error) &&
                (!move || store_move(work->connection, move, epoch, error)) &&
                query_do(work->connection, "COMMIT", error);
    text_release(&begin);
    if (!done)
        query_rollback(work->connection);
    return done;
}

static bool is_lock_conflict(const struct error *error)
{
    return strcmp(error->sqlstate, "55P03") == 0 || strcmp(error->sqlstate, "40P01") == 0;
}

static bool alter_within(struct work *work, const char *script, const struct store_move *move,
                         int lock_timeout, uint64_t *epoch, bool *conflict, struct error *error)
{
    struct error why = {0};
    bool done = try_to_alter(work, script, move, lock_timeout, epoch, &why);
    *conflict = !done && is_lock_conflict(&why);
    if (!done && error)
        *error = why;
    return done;
}

bool work_alter_once(struct work *work, const char *script, const struct store_move *move,
                     uint64_t *epoch, bool *conflict, struct error *error)
{
    int lock_timeout = fleet_pace(work->change->fleet).lock_timeout;
    return alter_within(work, script, move, lock_timeout, epoch, conflict, error);
}

bool work_alter(struct work *work, const char *script, const struct store_move *move,
                uint64_t *epoch, struct error *error)
{
    const int seconds = fleet_pace(work->change->fleet).move_timeout;
    const uint64_t begun = clock_monotonic_ns();
    uint64_t noticed = 0;
    const int longest = fleet_pace(work->change->fleet).lock_timeout;
    unsigned pause = RETRY_FIRST_MS;
    /* Whoever comes after a DDL statement that waits for its lock waits with it. Among short
     * transactions a short wait is enough, so the long ones come last. */
    for (int patience = PATIENCE_FIRST_MS;; patience *= 2) {
        bool conflict;
        if (patience > longest)
            patience = longest;
        if (alter_within(work, script, move, patience, epoch, &conflict, error))
            return true;
        if (!conflict)
            return false;
        struct text holder;
        text_init(&holder, 300);
        work_add_holder(work, &holder);
        uint64_t now = clock_monotonic_ns();
        if (now - noticed > NOTICE_EVERY_MS * UINT64_C(1000000)) {
            noticed = now;
            progress_notice(&work->change->progress, "waiting for a lock on %s.%s, %s",
                            work->transition->schema, work->transition->table, holder.data);
        }
        bool give_up = now - begun > (uint64_t)seconds * UINT64_C(1000000000);
        if (give_up) {
            error_set(error, "55P03", "no lock on table \"%s.%s\" within %d s: it is %s",
                      work->transition->schema, work->transition->table, seconds, holder.data);
            error_hint(error, "End that transaction, or try again at a quieter time.");
        }
        text_release(&holder);
        if (give_up || !work_go_on(work, error))
            return false;
        clock_sleep_ms(pause);
        pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
    }
}

bool work_record(struct work *work, const struct store_move *move, uint64_t *epoch,
                 struct error *error)
{
    uint64_t unused;
    bool done = query_do(work->connection, "BEGIN", error) &&
                store_move(work->connection, move, epoch ? epoch : &unused, error) &&
                query_do(work->connection, "COMMIT", error);
    if (!done)
        query_rollback(work->connection);
    return done;
}

bool work_add_from_query(struct work *work, const char *query, const char *const *parameters,
                         int count, struct text *script, struct error *error)
{
    PGresult *result = query_run_with(work->connection, query, parameters, count, error);
    for (int row = 0; result && row < PQntuples(result); row++)
        text_add_string(script, query_value(result, row, 0));
    PQclear(result);
    return result != NULL;
}
