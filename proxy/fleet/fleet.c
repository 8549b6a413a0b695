/*
 * The fleet of one process: what is known of each database, and how it reaches the workers.
 *
 * One thread per database owns the control connection. It claims the database (an advisory lock
 * that ends with the connection, so that a killed process gives way by itself), loads store and
 * catalog, publishes, and then keeps watch: it notices a lost connection, and DDL that came past
 * Segue. Everything here blocks in libpq, off every loop, because sequential code is what one can
 * check; workers are only ever handed finished snapshots.
 *
 * `mutex` of a database guards its fields. `changed` is signalled whenever one of them, or what a
 * worker has adopted, may have changed.
 */
#include "segue/fleet/fleet.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/fleet/store.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <uv.h>

enum {
    RETRY_FIRST_MS = 100,
    RETRY_LAST_MS = 3000,
    REGAIN_MAX_MS = 3000,
    WATCH_EVERY_MS = 1000,
    WORKERS_MAX = 256,
    NAMED_IN_ERRORS = 3 /* sessions that a timed-out move names */
};

struct fleet_database {
    struct fleet *fleet;
    size_t index;
    char *name;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t changed;
    struct snapshot *current; /* NULL until loaded */
    enum fleet_state state;
    struct error error;
    uint64_t failures; /* of the control connection */
    bool catalog_stale;
    char *locked_by; /* NULL: nobody changes anything */
};

struct fleet {
    uv_mutex_t settings_mutex; /* of the pointer */
    struct settings *settings;
    size_t database_count;
    struct worker *workers[WORKERS_MAX];
    size_t worker_count;
    struct fleet_database *databases;
    bool started;
    _Atomic bool stopping;
    _Atomic int predecessor; /* process id; 0: none */
    void (*on_ready)(void *context, struct fleet *fleet, size_t database);
    void *on_ready_context;
};

struct fleet *fleet_new(struct settings *settings)
{
    struct fleet *fleet = NEW(struct fleet);
    BUG_ON(uv_mutex_init(&fleet->settings_mutex) != 0);
    fleet->settings = settings_get(settings);
    fleet->database_count = settings->database_count;
    fleet->databases = NEW_ARRAY(struct fleet_database, settings->database_count);
    for (size_t i = 0; i < settings->database_count; i++) {
        struct fleet_database *database = &fleet->databases[i];
        database->fleet = fleet;
        database->index = i;
        database->name = memory_string(settings->databases[i].name);
        BUG_ON(uv_mutex_init(&database->mutex) != 0);
        BUG_ON(uv_cond_init(&database->changed) != 0);
        error_set(&database->error, "57P03", "database \"%s\" is not loaded yet", database->name);
    }
    return fleet;
}

size_t fleet_database_count(const struct fleet *fleet)
{
    return fleet->database_count;
}

const char *fleet_database_name(const struct fleet *fleet, size_t index)
{
    BUG_ON(index >= fleet->database_count);
    return fleet->databases[index].name;
}

struct settings *fleet_settings(struct fleet *fleet)
{
    uv_mutex_lock(&fleet->settings_mutex);
    struct settings *settings = settings_get(fleet->settings);
    uv_mutex_unlock(&fleet->settings_mutex);
    return settings;
}

struct settings_pace fleet_pace(struct fleet *fleet)
{
    struct settings *settings = fleet_settings(fleet);
    struct settings_pace pace = settings->pace;
    settings_free(settings);
    return pace;
}

void fleet_configure(struct fleet *fleet, struct settings *settings,
                     const struct encryption *encryption)
{
    BUG_ON(settings->database_count != fleet->database_count);
    uv_mutex_lock(&fleet->settings_mutex);
    struct settings *before = fleet->settings;
    fleet->settings = settings_get(settings);
    uv_mutex_unlock(&fleet->settings_mutex);
    settings_free(before);
    for (size_t i = 0; i < fleet->worker_count; i++)
        worker_configure(fleet->workers[i], settings, encryption);
    for (size_t i = 0; i < fleet->database_count; i++) { /* the server may be another one */
        uv_mutex_lock(&fleet->databases[i].mutex);
        uv_cond_broadcast(&fleet->databases[i].changed);
        uv_mutex_unlock(&fleet->databases[i].mutex);
    }
}

size_t fleet_worker_count(const struct fleet *fleet)
{
    return fleet->worker_count;
}

struct worker *fleet_worker(const struct fleet *fleet, size_t index)
{
    BUG_ON(index >= fleet->worker_count);
    return fleet->workers[index];
}

void fleet_add_worker(struct fleet *fleet, struct worker *worker)
{
    BUG_ON(fleet->started || fleet->worker_count == WORKERS_MAX);
    fleet->workers[fleet->worker_count++] = worker;
}

void fleet_on_ready(struct fleet *fleet,
                    void (*callback)(void *context, struct fleet *fleet, size_t database),
                    void *context)
{
    BUG_ON(fleet->started);
    fleet->on_ready = callback;
    fleet->on_ready_context = context;
}

static struct fleet_database *database_at(struct fleet *fleet, size_t index)
{
    BUG_ON(index >= fleet->database_count);
    return &fleet->databases[index];
}

static void on_adopted(void *context, size_t database)
{
    struct fleet_database *subject = database_at(context, database);
    uv_mutex_lock(&subject->mutex);
    uv_cond_broadcast(&subject->changed);
    uv_mutex_unlock(&subject->mutex);
}

static void on_catalog_change(void *context, size_t database)
{
    struct fleet_database *subject = database_at(context, database);
    uv_mutex_lock(&subject->mutex);
    subject->catalog_stale = true;
    uv_cond_broadcast(&subject->changed);
    uv_mutex_unlock(&subject->mutex);
}

struct worker_events fleet_worker_events(struct fleet *fleet)
{
    return (struct worker_events){
        .context = fleet,
        .on_adopted = on_adopted,
        .on_catalog_change = on_catalog_change,
    };
}

/* ---------------------------------------------------------------- snapshots */

/* With the mutex held. Takes over the caller's reference on `next`. */
static void publish(struct fleet_database *database, struct snapshot *next)
{
    snapshot_put(database->current);
    database->current = next;
    for (size_t i = 0; i < database->fleet->worker_count; i++)
        worker_publish(database->fleet->workers[i], database->index, next);
    uv_cond_broadcast(&database->changed);
}

struct snapshot *fleet_snapshot(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    struct snapshot *snapshot = database->current ? snapshot_get(database->current) : NULL;
    uv_mutex_unlock(&database->mutex);
    return snapshot;
}

static bool everyone_adopted(const struct fleet_database *database, uint64_t serial)
{
    for (size_t i = 0; i < database->fleet->worker_count; i++) {
        if (worker_oldest_serial(database->fleet->workers[i], database->index) < serial)
            return false;
    }
    return true;
}

void fleet_status(struct fleet *fleet, size_t index, struct fleet_status *status)
{
    struct fleet_database *database = database_at(fleet, index);
    *status = (struct fleet_status){0};
    uv_mutex_lock(&database->mutex);
    status->state = database->state;
    status->error = database->error;
    if (database->current) {
        status->epoch = database->current->epoch;
        if (everyone_adopted(database, database->current->serial))
            status->epoch_adopted = status->epoch;
    }
    uv_mutex_unlock(&database->mutex);
}

void fleet_try_to_regain(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = database_at(fleet, index);
    uint64_t deadline = clock_monotonic_ns() + REGAIN_MAX_MS * UINT64_C(1000000), now;
    uv_mutex_lock(&database->mutex);
    uint64_t before = database->failures;
    uv_cond_broadcast(&database->changed); /* its thread need not sleep until the next try */
    while (database->state != FLEET_READY && database->failures == before && !fleet->stopping &&
           (now = clock_monotonic_ns()) < deadline)
        uv_cond_timedwait(&database->changed, &database->mutex, deadline - now);
    uv_mutex_unlock(&database->mutex);
}

/*
 * Which sessions hold a move up: those pinned to an older epoch; or, where the epoch is the same (a
 * hold, a barrier), those in a transaction. Called without the mutex.
 */
static size_t name_pinned(struct fleet_database *database, uint64_t before, struct text *names)
{
    size_t pinned = 0;
    for (size_t i = 0; i < database->fleet->worker_count; i++) {
        size_t count = 0;
        struct worker_client *clients = worker_clients(database->fleet->workers[i], &count);
        for (size_t k = 0; k < count; k++) {
            struct worker_client *client = &clients[k];
            if (!client->epoch || client->epoch >= before || !client->database ||
                strcmp(client->database, database->name) != 0)
                continue;
            if (pinned++ < NAMED_IN_ERRORS)
                text_add_format(names, "%sC-%llu %s@%s (%s, server process %d)",
                                names->length ? ", " : "", (unsigned long long)client->id,
                                client->user, client->address, client->state, client->server_pid);
        }
        worker_clients_free(clients, count);
    }
    return pinned;
}

static void name_laggards(struct fleet_database *database, uint64_t epoch, struct error *error)
{
    struct text names;
    text_init(&names, sizeof((struct error *)0)->detail - 64);
    size_t laggards = name_pinned(database, epoch, &names);
    if (laggards > 0) {
        error_set(error, "55P03", "%zu session%s still in a transaction of the phase before",
                  laggards, laggards == 1 ? " is" : "s are");
    } else {
        laggards = name_pinned(database, epoch + 1, &names);
        error_set(error, "55P03", "transactions that began before have not ended");
    }
    if (names.length)
        error_detail(error, "%s%s", names.data, laggards > NAMED_IN_ERRORS ? " and others" : "");
    error_hint(error, "End these transactions (SHOW CLIENTS names them), then try again.");
    text_release(&names);
}

/* With the mutex held; gives it up while waiting. */
static bool wait_for_adoption(struct fleet_database *database, uint64_t serial,
                              unsigned milliseconds)
{
    uint64_t deadline = clock_monotonic_ns() + milliseconds * UINT64_C(1000000);
    while (!everyone_adopted(database, serial)) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline || database->fleet->stopping)
            return false;
        /* A worker may have reported between the check and the wait, hence the short ones. */
        uint64_t left = deadline - now, most = 100000000u;
        uv_cond_timedwait(&database->changed, &database->mutex, left < most ? left : most);
    }
    return true;
}

void fleet_publish(struct fleet *fleet, size_t index, struct snapshot *next)
{
    struct fleet_database *database = database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    publish(database, snapshot_get(next));
    uv_mutex_unlock(&database->mutex);
}

bool fleet_publish_and_wait(struct fleet *fleet, size_t index, struct snapshot *next,
                            struct error *error)
{
    unsigned milliseconds = (unsigned)fleet_pace(fleet).move_timeout * 1000u;
    return fleet_publish_and_wait_for(fleet, index, next, milliseconds, error);
}

bool fleet_publish_and_wait_for(struct fleet *fleet, size_t index, struct snapshot *next,
                                unsigned milliseconds, struct error *error)
{
    struct fleet_database *database = database_at(fleet, index);
    uint64_t serial = next->serial, epoch = next->epoch;
    uv_mutex_lock(&database->mutex);
    publish(database, snapshot_get(next));
    bool adopted = wait_for_adoption(database, serial, milliseconds);
    uv_mutex_unlock(&database->mutex);
    if (!adopted)
        name_laggards(database, epoch, error);
    return adopted;
}

/* ---------------------------------------------------------------- the lock of commands */

bool fleet_try_lock(struct fleet *fleet, size_t index, const char *what, struct error *error)
{
    struct fleet_database *database = database_at(fleet, index);
    bool taken = false;
    uv_mutex_lock(&database->mutex);
    if (fleet->predecessor) {
        error_set(error, "55006", "process %d, whose place this one takes, still has sessions",
                  fleet->predecessor);
        error_hint(error, "They end at their next transaction boundary; SIGTERM to that process, "
                          "twice, ends them at once. Then try again.");
    } else if (database->locked_by) {
        error_set(error, "55006", "database \"%s\" is busy with another command: %s",
                  database->name, database->locked_by);
        error_hint(error, "Wait until it has ended, then try again.");
    } else {
        database->locked_by = memory_string(what);
        taken = true;
    }
    uv_mutex_unlock(&database->mutex);
    return taken;
}

void fleet_unlock(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    BUG_ON(!database->locked_by);
    free(database->locked_by);
    database->locked_by = NULL;
    uv_cond_broadcast(&database->changed);
    uv_mutex_unlock(&database->mutex);
}

void fleet_set_predecessor(struct fleet *fleet, int pid)
{
    fleet->predecessor = pid;
}

/* ---------------------------------------------------------------- connections */

/*
 * What a conversion or a definition means must not depend on the control user's settings; and rows
 * that a policy would hide must fail a command, not be left out of a backfill or a VERIFY.
 */
static const char session_settings[] =
    "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET statement_timeout = "
    "0; "
    "SET lock_timeout = 0; SET row_security = off; SET idle_in_transaction_session_timeout = 0; "
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
    settings_free(settings);
    return conninfo;
}

static void note_host(struct fleet *fleet, PGconn *connection)
{
    struct settings *settings = fleet_settings(fleet);
    worker_note_control_host(settings, PQhost(connection), PQport(connection));
    settings_free(settings);
}

struct pg_conn *fleet_connect(struct fleet *fleet, size_t index, const char *purpose,
                              struct error *error)
{
    struct fleet_database *database = database_at(fleet, index);
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

/* Use is counted in the objects that are replaced: it goes on in the new ones. So does, where asked
 * for, the hold. */
static void carry_over(const struct snapshot *from, const struct store_contents *to, bool held_too)
{
    for (size_t i = 0; from && i < from->transition_count; i++) {
        struct transition *old = from->transitions[i].transition;
        for (size_t k = 0; k < to->count; k++) {
            struct transition *fresh = to->transitions[k].transition;
            if (strcmp(old->name, fresh->name) != 0)
                continue;
            transition_carry_use(fresh, old);
            to->transitions[k].held |= held_too && from->transitions[i].held;
        }
    }
}

/*
 * `by_command`: a command asks for it that holds the lock, and says by it that nobody is to be held
 * any more. After a reconnection a command (PAUSE, CONTRACT) may still hold transactions.
 */
static bool load(struct fleet_database *database, PGconn *connection, bool by_command,
                 struct error *error)
{
    struct store_contents contents = {0};
    if (!store_load(connection, &contents, error))
        return false;
    struct catalog *catalog = catalog_load(connection, error);
    if (catalog) {
        uv_mutex_lock(&database->mutex);
        carry_over(database->current, &contents, !by_command && database->locked_by);
        publish(database,
                snapshot_new(contents.epoch, catalog, contents.transitions, contents.count));
        database->catalog_stale = false;
        uv_mutex_unlock(&database->mutex);
    }
    catalog_put(catalog);
    store_contents_release(&contents);
    return catalog != NULL;
}

bool fleet_reload(struct fleet *fleet, size_t index, struct error *error)
{
    PGconn *connection = fleet_connect(fleet, index, "reload", error);
    if (!connection)
        return false;
    bool loaded = load(database_at(fleet, index), connection, true, error);
    PQfinish(connection);
    return loaded;
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
        publish(database, snapshot_new(current->epoch, catalog, current->transitions,
                                       current->transition_count));
    uv_mutex_unlock(&database->mutex);
    catalog_put(catalog);
    return true;
}

/* ---------------------------------------------------------------- the thread of a database */

/* A number that changes when the columns or names of lasting relations do. */
static const char catalog_mark[] =
    "SELECT (SELECT pg_catalog.sum(c.xmin::text::numeric) FROM pg_catalog.pg_class c "
    "         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't')::text "
    "    || '/' || (SELECT pg_catalog.sum(a.xmin::text::numeric + a.attnum) "
    "                 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = "
    "a.attrelid "
    "                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' "
    "                  AND a.attnum > 0)::text";

/* The caller frees. NULL: the connection is gone. */
static char *read_catalog_mark(PGconn *connection)
{
    PGresult *result = PQexec(connection, catalog_mark);
    char *mark =
        PQresultStatus(result) == PGRES_TUPLES_OK ? memory_string(PQgetvalue(result, 0, 0)) : NULL;
    PQclear(result);
    return mark;
}

static void set_state(struct fleet_database *database, enum fleet_state state,
                      const struct error *error)
{
    uv_mutex_lock(&database->mutex);
    bool news =
        database->state != state || (error && strcmp(error->message, database->error.message) != 0);
    database->state = state;
    database->failures += state != FLEET_READY;
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
    if (!database->fleet->stopping &&
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
    char *mark = NULL;
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
        char *latest = read_catalog_mark(connection);
        if (!latest) {
            error_set(error, "08006", "the control connection to database \"%s\" was lost: %s",
                      database->name, PQerrorMessage(connection));
            error_hint(error, "Segue tries to regain it; transitions stay at their phases.");
            break;
        }
        bool moved = mark && strcmp(mark, latest) != 0;
        free(mark);
        mark = latest;
        if ((stale || moved) && has_transitions(database) &&
            !refresh_catalog(database, connection, error))
            break;
        if (stale && !has_transitions(database)) {
            uv_mutex_lock(&database->mutex);
            database->catalog_stale = false;
            uv_mutex_unlock(&database->mutex);
        }
    }
    free(mark);
}

/*
 * Another process claimed the database while this one was cut off, and may move phases now.
 * Transactions that would touch a transition wait, rather than run in a phase that may have passed.
 */
static void hold_everything(struct fleet_database *database)
{
    uv_mutex_lock(&database->mutex);
    struct snapshot *current = database->current;
    if (current && current->transition_count > 0 && !current->transitions[0].held) {
        struct snapshot *held = snapshot_new(current->epoch, current->catalog, current->transitions,
                                             current->transition_count);
        for (size_t i = 0; i < held->transition_count; i++)
            held->transitions[i].held = true;
        publish(database, held);
    }
    uv_mutex_unlock(&database->mutex);
}

/* One life of the control connection. */
static void serve_database(struct fleet_database *database, unsigned *retry_ms)
{
    struct error error = {0};
    char *conninfo = control_conninfo(database);
    PGconn *connection = fleet_connect(database->fleet, database->index, "control", &error);
    bool claimed = connection && store_claim(connection, &error);
    if (connection && !claimed)
        hold_everything(database);
    if (claimed && load(database, connection, false, &error)) {
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
        set_state(database, database->current ? FLEET_LOST : FLEET_CONNECTING, &error);
}

static void run_database(void *context)
{
    struct fleet_database *database = context;
    unsigned retry_ms = RETRY_FIRST_MS;
    do {
        serve_database(database, &retry_ms);
        retry_ms = retry_ms * 2 < RETRY_LAST_MS ? retry_ms * 2 : RETRY_LAST_MS;
    } while (pause_for(database, retry_ms));
}

/* ---------------------------------------------------------------- life */

void fleet_start(struct fleet *fleet)
{
    fleet->started = true;
    for (size_t i = 0; i < fleet->database_count; i++)
        BUG_ON(uv_thread_create(&fleet->databases[i].thread, run_database, &fleet->databases[i]));
}

void fleet_stop(struct fleet *fleet)
{
    fleet->stopping = true;
    for (size_t i = 0; i < fleet->database_count; i++) {
        struct fleet_database *database = &fleet->databases[i];
        uv_mutex_lock(&database->mutex);
        uv_cond_broadcast(&database->changed);
        uv_mutex_unlock(&database->mutex);
        if (fleet->started)
            uv_thread_join(&database->thread);
    }
}

void fleet_free(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->database_count; i++) {
        struct fleet_database *database = &fleet->databases[i];
        snapshot_put(database->current);
        free(database->locked_by);
        free(database->name);
        uv_cond_destroy(&database->changed);
        uv_mutex_destroy(&database->mutex);
    }
    free(fleet->databases);
    settings_free(fleet->settings);
    uv_mutex_destroy(&fleet->settings_mutex);
    free(fleet);
}
