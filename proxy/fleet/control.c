/*
 * The control connection. One thread per database owns it: it claims the database (an advisory lock
 * that ends with the connection, so that a killed process gives way by itself), loads store and
 * catalog, publishes, and then keeps watch: it notices a lost connection, and DDL that came past
 * Segue. Everything here blocks in libpq, off every loop, because sequential code is what one can
 * check; workers are only ever handed finished snapshots.
 */
#include "fleet_state.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/fleet/store.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum {
    RETRY_FIRST_MS = 100,
    RETRY_LAST_MS = 3000,
    WATCH_EVERY_MS = 1000,
    MARK_SHARE =
        25, /* at most so small a part of the server's time goes into marks of the catalog */
    MARK_LAST_MS = 30000
};

/* ---------------------------------------------------------------- connections */

/*
 * What a conversion or a definition means must not depend on the control user's settings; and rows
 * that a policy would hide must fail a command, not be left out of a backfill or a VERIFY. Whoever
 * may create functions or operators in a schema of its search path could have ours call theirs, as
 * the control user (CVE-2018-1058): only the names of a definition are looked up by that path
 * (transition_bind).
 */
static const char session_settings[] =
    /* what is dear of our queries is what they read; compiling one takes seconds of the server's */
    "SELECT pg_catalog.set_config('jit', 'off', false) "
    " WHERE pg_catalog.current_setting('jit', true) IS NOT NULL; "
    "SET search_path = pg_catalog; SET client_encoding = 'UTF8'; "
    "SET standard_conforming_strings = on; SET statement_timeout = 0; SET lock_timeout = 0; "
    "SET row_security = off; SET idle_in_transaction_session_timeout = 0; "
    "SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'";

static void discard_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result; /* "relation already exists, skipping" and the like: no news to anyone */
}

/* The caller frees. */
static char *control_conninfo(struct fleet_database *database)
{
    struct settings *settings = fleet_settings(database->fleet);
    char *conninfo = settings_control_conninfo(settings, database->name);
    settings_put(settings);
    return conninfo;
}

static void note_host(struct fleet *fleet, PGconn *connection)
{
    struct settings *settings = fleet_settings(fleet);
    worker_note_control_host(settings, PQhost(connection), PQport(connection));
    settings_put(settings);
}

struct pg_conn *fleet_connect(struct fleet *fleet, size_t index, const char *purpose,
                              struct error *error)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    struct text conninfo;
    text_init(&conninfo, TEXT_UNBOUNDED);
    char *base = control_conninfo(database);
    text_add_format(&conninfo, "%s application_name='segue %s'", base, purpose);
    free(base);
    PGconn *connection = PQconnectdb(conninfo.data);
    text_release(&conninfo);
    if (PQstatus(connection) == CONNECTION_OK) {
        PQsetNoticeReceiver(connection, discard_notice, NULL);
        PGresult *result = PQexec(connection, session_settings);
        bool ready = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (ready) {
            note_host(fleet, connection);
            return connection;
        }
    }
    error_set(error, "08006", "the control connection to database \"%s\" failed: %s",
              database->name, PQerrorMessage(connection));
    error_hint(error, "Check that the server runs, and control_user in segue.conf.");
    PQfinish(connection);
    return NULL;
}

/* ---------------------------------------------------------------- loading */

/* Use is counted in the objects that are replaced: it goes on in the new ones. */
static void carry_use_over(const struct snapshot *from, const struct store_contents *to)
{
    for (size_t i = 0; from && i < from->transition_count; i++) {
        struct transition *old = from->transitions[i].transition;
        for (size_t k = 0; k < to->count; k++) {
            struct transition *fresh = to->transitions[k].transition;
            if (strcmp(old->name, fresh->name) == 0)
                transition_carry_use(fresh, old);
        }
    }
}

enum load_reason {
    LOAD_BY_COMMAND, /* on a connection of its own: another process may have the claim */
    LOAD_BY_CLAIMANT /* on the connection that has it */
};

/* 0: nothing was published yet. */
static uint64_t published_serial(struct fleet_database *database)
{
    uv_mutex_lock(&database->mutex);
    uint64_t serial = database->current ? database->current->serial : 0;
    uv_mutex_unlock(&database->mutex);
    return serial;
}

/* What is published, to be released; NULL: nothing was yet. What makes the catalog stale from now
 * on may not be in what is read next. */
static struct catalog *begin_loading(struct fleet_database *database, uint64_t *serial)
{
    uv_mutex_lock(&database->mutex);
    database->catalog_stale = false;
    struct snapshot *current = database->current;
    struct catalog *catalog = current ? catalog_get(current->catalog) : NULL;
    *serial = current ? current->serial : 0;
    uv_mutex_unlock(&database->mutex);
    return catalog;
}

static void set_stale(struct fleet_database *database)
{
    uv_mutex_lock(&database->mutex);
    database->catalog_stale = true;
    uv_mutex_unlock(&database->mutex);
}

/* What was loaded, to be published. */
struct loaded {
    struct store_contents contents;
    struct catalog *catalog;
    bool is_partial; /* of the catalog only what belongs to one table is of this moment */
};

/* False where something was published since `serial`: what was read may be older than that. */
static bool publish_loaded(struct fleet_database *database, struct loaded *loaded, uint64_t serial,
                           enum load_reason reason)
{
    struct store_contents *contents = &loaded->contents;
    uv_mutex_lock(&database->mutex);
    bool is_latest = serial == (database->current ? database->current->serial : 0);
    if (is_latest) {
        if (reason == LOAD_BY_CLAIMANT)
            database->is_cut_off = false;
        carry_use_over(database->current, contents);
        fleet_end_left_hold_locked(database);
        fleet_publish_locked(database, snapshot_new(contents->epoch, loaded->catalog,
                                                    contents->transitions, contents->count));
        database->catalog_stale |= loaded->is_partial;
    }
    uv_mutex_unlock(&database->mutex);
    return is_latest;
}

/* The published catalog with what it says of that table read anew; all of it where it is of another
 * server, or there is no such table. */
static bool load_tree(PGconn *connection, uint32_t table_oid, const struct catalog *published,
                      struct loaded *loaded, struct error *error)
{
    struct catalog *tree = catalog_load_tree(connection, table_oid, error);
    if (!tree)
        return false;
    loaded->is_partial =
        catalog_count(tree) > 0 && catalog_server(tree) == catalog_server(published);
    loaded->catalog = loaded->is_partial ? catalog_with_tree(published, tree, table_oid)
                                         : catalog_load(connection, error);
    catalog_put(tree);
    return loaded->catalog != NULL;
}

/* `table_oid`: 0 for the whole catalog. */
static bool load(struct fleet_database *database, PGconn *connection, enum load_reason reason,
                 uint32_t table_oid, struct error *error)
{
    bool is_read, is_published = false;
    do {
        struct loaded loaded = {0};
        uint64_t serial;
        struct catalog *published = begin_loading(database, &serial);
        is_read = store_load(connection, &loaded.contents, error);
        if (is_read && table_oid && published)
            is_read = load_tree(connection, table_oid, published, &loaded, error);
        else if (is_read)
            is_read = (loaded.catalog = catalog_load(connection, error)) != NULL;
        if (is_read)
            is_published = publish_loaded(database, &loaded, serial, reason);
        catalog_put(published);
        catalog_put(loaded.catalog);
        store_contents_release(&loaded.contents);
    } while (is_read && !is_published);
    if (!is_read)
        set_stale(database);
    return is_read;
}

static bool reload(struct fleet *fleet, size_t index, uint32_t table_oid, struct error *error)
{
    PGconn *connection = fleet_connect(fleet, index, "reload", error);
    if (!connection)
        return false;
    bool loaded =
        load(fleet_database_at(fleet, index), connection, LOAD_BY_COMMAND, table_oid, error);
    PQfinish(connection);
    return loaded;
}

bool fleet_reload(struct fleet *fleet, size_t index, struct error *error)
{
    return reload(fleet, index, 0, error);
}

bool fleet_reload_table(struct fleet *fleet, size_t index, uint32_t table_oid, struct error *error)
{
    return reload(fleet, index, table_oid, error);
}

/*
 * Publishes the present transitions with a fresh catalog where that differs. A command that holds
 * the lock publishes its own snapshots, made from the one it saw: the refresh then waits for its
 * end.
 */
static bool refresh_catalog(struct fleet_database *database, PGconn *connection,
                            struct error *error)
{
    uv_mutex_lock(&database->mutex);
    bool busy = database->locked_by != NULL;
    database->catalog_stale = busy;
    uint64_t serial = database->current->serial;
    uv_mutex_unlock(&database->mutex);
    if (busy)
        return true;

    struct catalog *catalog = catalog_load(connection, error);
    if (!catalog)
        return false;
    uv_mutex_lock(&database->mutex);
    struct snapshot *current = database->current;
    if (database->locked_by || current->serial != serial)
        database->catalog_stale = true; /* something moved meanwhile: next time */
    else if (catalog_fingerprint(catalog) != catalog_fingerprint(current->catalog))
        fleet_publish_locked(database, snapshot_new(current->epoch, catalog, current->transitions,
                                                    current->transition_count));
    uv_mutex_unlock(&database->mutex);
    catalog_put(catalog);
    return true;
}

/* ---------------------------------------------------------------- the thread of a database */

/*
 * $1 the snapshot of the look before, $2 whether there may be a mark: a text that changes when the
 * columns, names or keys of lasting relations do. NULL where nothing was committed since. Last, the
 * microseconds that it took.
 */
static const char catalog_look[] =
    "SELECT pg_catalog.txid_current_snapshot()::text, "
    "  CASE WHEN $2 AND pg_catalog.txid_current_snapshot()::text IS DISTINCT FROM $1::text THEN "
    "       (SELECT pg_catalog.sum(c.xmin::text::int8) FROM pg_catalog.pg_class c "
    "         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't')::text "
    "    || '/' || (SELECT pg_catalog.sum(a.xmin::text::int8 + a.attnum) "
    "                 FROM pg_catalog.pg_attribute a "
    "                 JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
    "                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' "
    "                  AND a.attnum > 0)::text "
    "    || '/' || (SELECT pg_catalog.sum(i.xmin::text::int8) FROM pg_catalog.pg_index i "
    "                 JOIN pg_catalog.pg_class c ON c.oid = i.indrelid "
    "                WHERE i.indisunique AND c.relpersistence <> 't')::text "
    "    || '/' || (SELECT pg_catalog.sum(n.xmin::text::int8) FROM pg_catalog.pg_namespace n "
    "                WHERE n.nspname !~ '^pg_(toast_)?temp_')::text END, "
    "  (pg_catalog.date_part('epoch', "
    "     pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()) * 1000000)::int8";

struct look {
    char *snapshot, *mark; /* of the last mark; NULL before the first */
    uint64_t next_mark;    /* not before; clock_monotonic_ns() */
    int64_t spent_us;      /* on the last mark */
};

static void look_release(struct look *look)
{
    free(look->snapshot);
    free(look->mark);
}

static void keep(char **field, const char *value)
{
    free(*field);
    *field = memory_string(value);
}

/* A catalog of thousands of tables takes its time to add up: each time, not once in a while. */
static void put_off_mark(struct look *look, int64_t spent_us)
{
    int64_t usual = spent_us < look->spent_us ? spent_us : look->spent_us;
    int64_t pause_ms = usual > 0 ? usual * MARK_SHARE / 1000 : 0;
    look->spent_us = spent_us;
    look->next_mark = clock_monotonic_ns() +
                      (uint64_t)(pause_ms < MARK_LAST_MS ? pause_ms : MARK_LAST_MS) * 1000000;
}

/* Has what was loaded changed? False: the connection is gone. */
static bool look_at_catalog(PGconn *connection, struct look *look, bool wants_mark, bool *moved)
{
    bool may_mark = wants_mark && clock_monotonic_ns() >= look->next_mark;
    const char *parameters[] = {look->snapshot, may_mark ? "t" : "f"};
    PGresult *result = PQexecParams(connection, catalog_look, 2, NULL, parameters, NULL, NULL, 0);
    bool is_there = PQresultStatus(result) == PGRES_TUPLES_OK;
    *moved = false;
    if (is_there && !PQgetisnull(result, 0, 1)) {
        const char *mark = PQgetvalue(result, 0, 1);
        /* At the first look: since the catalog was loaded. */
        *moved = !look->mark || strcmp(look->mark, mark) != 0;
        keep(&look->mark, mark);
        keep(&look->snapshot, PQgetvalue(result, 0, 0));
        put_off_mark(look, strtoll(PQgetvalue(result, 0, 2), NULL, 10));
    }
    PQclear(result);
    return is_there;
}

static void set_state(struct fleet_database *database, enum fleet_state state,
                      const struct error *error)
{
    uv_mutex_lock(&database->mutex);
    bool news =
        database->state != state || (error && strcmp(error->message, database->error.message) != 0);
    database->state = state;
    if (state != FLEET_READY)
        database->try_failed = database->try_begun;
    database->error = error ? *error : (struct error){0};
    uv_cond_broadcast(&database->changed);
    uv_mutex_unlock(&database->mutex);
    if (!news)
        return;
    if (error)
        log_warning(database->name, "%s %s", error->message, error->hint);
    else
        log_info(database->name, "the transitions are loaded and served");
}

/* Sleeps until something may have changed, at most so long. False when the fleet stops. */
static bool pause_for(struct fleet_database *database, unsigned milliseconds)
{
    uv_mutex_lock(&database->mutex);
    bool is_wanted = database->state != FLEET_READY && database->try_wanted > database->try_begun;
    if (!database->fleet->stopping && !is_wanted &&
        !(database->catalog_stale && !database->locked_by && database->state == FLEET_READY))
        uv_cond_timedwait(&database->changed, &database->mutex, milliseconds * UINT64_C(1000000));
    bool go_on = !database->fleet->stopping;
    uv_mutex_unlock(&database->mutex);
    return go_on;
}

static bool has_transitions(struct fleet_database *database)
{
    uv_mutex_lock(&database->mutex);
    bool some = database->current->transition_count > 0;
    uv_mutex_unlock(&database->mutex);
    return some;
}

static bool take_stale(struct fleet_database *database)
{
    uv_mutex_lock(&database->mutex);
    bool stale = database->catalog_stale && !database->locked_by;
    uv_mutex_unlock(&database->mutex);
    return stale;
}

/*
 * A command that lost its connection, or was killed with it, may have moved a transition and not
 * have published it.
 */
static bool catch_up(struct fleet_database *database, PGconn *connection, struct error *error)
{
    uint64_t epoch;
    if (!store_epoch(connection, &epoch, error))
        return false;
    uv_mutex_lock(&database->mutex);
    bool is_behind = !database->locked_by &&
                     (database->current->epoch != epoch || fleet_hold_is_left_locked(database));
    uv_mutex_unlock(&database->mutex);
    return !is_behind || load(database, connection, LOAD_BY_CLAIMANT, 0, error);
}

/* A RELOAD may name another server: what is there counts from then on. */
static bool server_is_another(struct fleet_database *database, const char *conninfo)
{
    char *now = control_conninfo(database);
    bool is_another = strcmp(now, conninfo) != 0;
    free(now);
    return is_another;
}

/* Until the connection is lost, or is to be another, or the fleet stops. */
static void watch(struct fleet_database *database, PGconn *connection, const char *conninfo,
                  struct error *error)
{
    struct look look = {0};
    uint64_t next_look = 0;
    while (pause_for(database, WATCH_EVERY_MS)) {
        if (server_is_another(database, conninfo)) {
            error_set(error, "57P03",
                      "the control connection to database \"%s\" is made anew: "
                      "segue.conf was changed",
                      database->name);
            break;
        }
        uint64_t now = clock_monotonic_ns();
        bool stale = take_stale(database);
        if (now < next_look && !stale)
            continue;
        next_look = now + WATCH_EVERY_MS * UINT64_C(1000000);
        bool moved;
        if (!look_at_catalog(connection, &look, has_transitions(database), &moved)) {
            error_set(error, "08006", "the control connection to database \"%s\" was lost: %s",
                      database->name, PQerrorMessage(connection));
            error_hint(error, "Segue tries to regain it; transitions stay at their phases.");
            break;
        }
        if ((stale || moved) && has_transitions(database) &&
            !refresh_catalog(database, connection, error))
            break;
        if (!catch_up(database, connection, error))
            break;
        if (stale && !has_transitions(database)) {
            uv_mutex_lock(&database->mutex);
            database->catalog_stale = false;
            uv_mutex_unlock(&database->mutex);
        }
    }
    look_release(&look);
}

/* One life of the control connection. */
static void serve_database(struct fleet_database *database, unsigned *retry_ms)
{
    struct error error = {0};
    uv_mutex_lock(&database->mutex);
    database->try_begun++;
    uv_mutex_unlock(&database->mutex);
    char *conninfo = control_conninfo(database);
    PGconn *connection = fleet_connect(database->fleet, database->index, "control", &error);
    bool claimed = connection && store_claim(connection, &error);
    if (connection && !claimed) {
        uv_mutex_lock(&database->mutex);
        fleet_cut_off_locked(database);
        uv_mutex_unlock(&database->mutex);
    }
    if (claimed && load(database, connection, LOAD_BY_CLAIMANT, 0, &error)) {
        set_state(database, FLEET_READY, NULL);
        *retry_ms = RETRY_FIRST_MS;
        if (database->fleet->on_ready)
            database->fleet->on_ready(database->fleet->on_ready_context, database->fleet,
                                      database->index);
        watch(database, connection, conninfo, &error);
    }
    PQfinish(connection);
    free(conninfo);
    if (!database->fleet->stopping)
        set_state(database, published_serial(database) ? FLEET_LOST : FLEET_CONNECTING, &error);
}

void control_run(void *context)
{
    struct fleet_database *database = context;
    unsigned retry_ms = RETRY_FIRST_MS;
    do {
        serve_database(database, &retry_ms);
        retry_ms = retry_ms * 2 < RETRY_LAST_MS ? retry_ms * 2 : RETRY_LAST_MS;
    } while (pause_for(database, retry_ms));
}
