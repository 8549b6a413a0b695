/* The fleet of one process: its life, its settings and workers, and who may change a database. */
#include "fleet_state.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <stdlib.h>

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
    settings_put(settings);
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
    settings_put(before);
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

struct fleet_database *fleet_database_at(struct fleet *fleet, size_t index)
{
    BUG_ON(index >= fleet->database_count);
    return &fleet->databases[index];
}

static void on_adopted(void *context, size_t database)
{
    struct fleet_database *subject = fleet_database_at(context, database);
    uv_mutex_lock(&subject->mutex);
    uv_cond_broadcast(&subject->changed);
    uv_mutex_unlock(&subject->mutex);
}

static void on_catalog_change(void *context, size_t database)
{
    struct fleet_database *subject = fleet_database_at(context, database);
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

/* ---------------------------------------------------------------- the lock of commands */

bool fleet_try_lock(struct fleet *fleet, size_t index, const char *what, struct error *error)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
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

void fleet_unlock_locked(struct fleet_database *database)
{
    BUG_ON(!database->locked_by);
    free(database->locked_by);
    database->locked_by = NULL;
    uv_cond_broadcast(&database->changed);
}

void fleet_unlock(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    fleet_unlock_locked(database);
    uv_mutex_unlock(&database->mutex);
}

void fleet_set_predecessor(struct fleet *fleet, int pid)
{
    if (pid == 0)
        fleet->predecessor_ended = clock_monotonic_ns();
    fleet->predecessor = pid;
}

bool fleet_had_predecessor(const struct fleet *fleet, uint64_t *ended_ms_ago)
{
    uint64_t ended = fleet->predecessor_ended;
    *ended_ms_ago = (clock_monotonic_ns() - ended) / 1000000;
    return ended > 0;
}

/* ---------------------------------------------------------------- life */

void fleet_start(struct fleet *fleet)
{
    BUG_ON(fleet->started);
    fleet->started = true;
    fleet->stopping = false;
    for (size_t i = 0; i < fleet->database_count; i++)
        BUG_ON(uv_thread_create(&fleet->databases[i].thread, control_run, &fleet->databases[i]));
}

/* Commands find no database that they could have; what was published is served on. */
static void give_up(struct fleet_database *database)
{
    uv_mutex_lock(&database->mutex);
    if (database->state == FLEET_READY) {
        database->state = FLEET_LOST;
        error_set(&database->error, "57P03",
                  "database \"%s\" is not this process's any more: it ends, or is restarted",
                  database->name);
        error_hint(&database->error, "Try again in a moment.");
    }
    uv_mutex_unlock(&database->mutex);
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
        give_up(database);
    }
    fleet->started = false;
}

bool fleet_is_ready(struct fleet *fleet)
{
    bool ready = true;
    for (size_t i = 0; i < fleet->database_count; i++) {
        uv_mutex_lock(&fleet->databases[i].mutex);
        ready &= fleet->databases[i].state == FLEET_READY;
        uv_mutex_unlock(&fleet->databases[i].mutex);
    }
    return ready;
}

void fleet_free(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->database_count; i++) {
        struct fleet_database *database = &fleet->databases[i];
        snapshot_put(database->current);
        free(database->locked_by);
        free(database->held);
        free(database->name);
        uv_cond_destroy(&database->changed);
        uv_mutex_destroy(&database->mutex);
    }
    free(fleet->databases);
    settings_put(fleet->settings);
    uv_mutex_destroy(&fleet->settings_mutex);
    free(fleet);
}
