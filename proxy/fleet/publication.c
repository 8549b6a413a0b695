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
    for (size_t i = 0; i < next->transition_count; i++) {
        struct snapshot_transition *at = &next->transitions[i];
        at->held = fleet_is_held_locked(database, at->transition->name);
    }
    snapshot_put(database->current);
    database->current = next;
    for (size_t i = 0; i < database->fleet->worker_count; i++)
        worker_publish(database->fleet->workers[i], database->index, next);
    uv_cond_broadcast(&database->changed);
}

struct snapshot *fleet_copy_locked(const struct fleet_database *database)
{
    const struct snapshot *current = database->current;
    BUG_ON(!current);
    return snapshot_new(current->epoch, current->catalog, current->transitions,
                        current->transition_count);
}

struct snapshot *fleet_snapshot(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    struct snapshot *snapshot = database->current ? snapshot_get(database->current) : NULL;
    uv_mutex_unlock(&database->mutex);
    return snapshot;
}

bool fleet_adopted_locked(const struct fleet_database *database, uint64_t serial)
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
        if (fleet_adopted_locked(database, database->current->serial))
            status->epoch_adopted = status->epoch;
    }
    uv_mutex_unlock(&database->mutex);
}

void fleet_try_to_regain(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uint64_t deadline = clock_monotonic_ns() + REGAIN_MAX_MS * UINT64_C(1000000), now;
    uv_mutex_lock(&database->mutex);
    /* A try that is under way may have met what is no more so. */
    uint64_t wanted = database->try_begun + 1;
    database->try_wanted = wanted;
    uv_cond_broadcast(&database->changed); /* its thread need not sleep until the next try */
    while (database->state != FLEET_READY && database->try_failed < wanted && !fleet->stopping &&
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

void fleet_name_laggards_locked(struct fleet_database *database, uint64_t epoch,
                                struct error *error)
{
    uv_mutex_unlock(&database->mutex);
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
    uv_mutex_lock(&database->mutex);
}

bool fleet_wait_locked(struct fleet_database *database, uint64_t deadline)
{
    uint64_t now = clock_monotonic_ns();
    if (now >= deadline || database->fleet->stopping)
        return false;
    /* A worker may have reported between the check and the wait, hence the short ones. */
    uint64_t left = deadline - now, most = 100000000u;
    uv_cond_timedwait(&database->changed, &database->mutex, left < most ? left : most);
    return true;
}

static bool wait_for_adoption(struct fleet_database *database, uint64_t serial,
                              uint64_t milliseconds)
{
    uint64_t deadline = clock_monotonic_ns() + milliseconds * UINT64_C(1000000);
    while (!fleet_adopted_locked(database, serial)) {
        if (!fleet_wait_locked(database, deadline))
            return false;
    }
    return true;
}

bool fleet_publish_and_wait_locked(struct fleet_database *database, struct snapshot *next,
                                   uint64_t milliseconds, struct error *error)
{
    uint64_t serial = next->serial, epoch = next->epoch;
    fleet_publish_locked(database, next);
    if (wait_for_adoption(database, serial, milliseconds))
        return true;
    fleet_name_laggards_locked(database, epoch, error);
    return false;
}

static uint64_t move_timeout_ms(struct fleet *fleet)
{
    return (uint64_t)fleet_pace(fleet).move_timeout * 1000;
}

bool fleet_move(struct fleet *fleet, size_t index, const char *transition, enum phase to,
                uint64_t epoch, struct error *error)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uint64_t milliseconds = move_timeout_ms(fleet);
    uv_mutex_lock(&database->mutex);
    struct snapshot *next = fleet_copy_locked(database);
    next->epoch = epoch;
    for (size_t i = 0; i < next->transition_count; i++) {
        struct snapshot_transition *at = &next->transitions[i];
        if (strcmp(at->transition->name, transition) == 0)
            at->phase = to;
    }
    bool adopted = fleet_publish_and_wait_locked(database, next, milliseconds, error);
    uv_mutex_unlock(&database->mutex);
    return adopted;
}

bool fleet_wait_for_transactions(struct fleet *fleet, size_t index, struct error *error)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uint64_t milliseconds = move_timeout_ms(fleet);
    uv_mutex_lock(&database->mutex);
    bool adopted =
        fleet_publish_and_wait_locked(database, fleet_copy_locked(database), milliseconds, error);
    uv_mutex_unlock(&database->mutex);
    return adopted;
}
