/*
 * Snapshots on their way to the workers, and the wait until every session has adopted one: until no
 * transaction is pinned to an older one.
 */
#include "fleet_state.h"

#include "segue/base/clock.h"

enum {
    REGAIN_MAX_MS = 3000,
    NAMED_IN_ERRORS = 3 /* sessions that a timed-out move names */
};

void fleet_publish_locked(struct fleet_database *database, struct snapshot *next)
{
    snapshot_put(database->current);
    database->current = next;
    for (size_t i = 0; i < database->fleet->worker_count; i++)
        worker_publish(database->fleet->workers[i], database->index, next);
    uv_cond_broadcast(&database->changed);
}

struct snapshot *fleet_snapshot(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
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
    struct fleet_database *database = fleet_database_at(fleet, index);
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
    struct fleet_database *database = fleet_database_at(fleet, index);
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
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    fleet_publish_locked(database, snapshot_get(next));
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
    struct fleet_database *database = fleet_database_at(fleet, index);
    uint64_t serial = next->serial, epoch = next->epoch;
    uv_mutex_lock(&database->mutex);
    fleet_publish_locked(database, snapshot_get(next));
    bool adopted = wait_for_adoption(database, serial, milliseconds);
    uv_mutex_unlock(&database->mutex);
    if (!adopted)
        name_laggards(database, epoch, error);
    return adopted;
}
