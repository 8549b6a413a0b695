/*
 * Holds: new transactions that touch a table wait for a later snapshot. There are three reasons,
 * and each ends by itself; a snapshot that is published meanwhile, by whomever, holds what they
 * say.
 */
#include "fleet_state.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <stdlib.h>

bool fleet_is_held_locked(const struct fleet_database *database, const char *transition)
{
    return database->is_cut_off || database->is_paused ||
           (database->held && strcmp(database->held, transition) == 0);
}

static void publish_again(struct fleet_database *database)
{
    if (database->current)
        fleet_publish_locked(database, fleet_copy_locked(database));
}

void fleet_cut_off_locked(struct fleet_database *database)
{
    if (database->is_cut_off)
        return;
    database->is_cut_off = true;
    publish_again(database);
}

/* ---------------------------------------------------------------- PAUSE */

static void end_pause(struct fleet_database *database)
{
    database->is_paused = false;
    publish_again(database);
    fleet_unlock_locked(database);
}

static bool goes_on(const struct fleet_database *database, uint64_t pause)
{
    return database->is_paused && database->pauses == pause;
}

/* With the lock of commands, which is given back where there is nothing to hold. */
static bool begin_pause(struct fleet_database *database, struct error *error)
{
    if (!database->current) {
        *error = database->error;
        fleet_unlock_locked(database);
        return false;
    }
    database->is_paused = true;
    database->pauses++;
    publish_again(database);
    return true;
}

/* False with `error`: it holds nobody any more. */
static bool wait_for_pause(struct fleet_database *database, uint64_t deadline, struct error *error)
{
    uint64_t pause = database->pauses;
    uint64_t epoch = database->current->epoch, serial = database->current->serial;
    while (goes_on(database, pause) && !fleet_adopted_locked(database, serial) &&
           fleet_wait_locked(database, deadline))
        continue;
    if (goes_on(database, pause) && !fleet_adopted_locked(database, serial)) {
        fleet_name_laggards_locked(database, epoch, error);
        error_hint(error, "Nothing is held now. End those transactions, then PAUSE again.");
        if (goes_on(database, pause))
            end_pause(database);
        return false;
    }
    if (goes_on(database, pause))
        return true;
    error_set(error, "55000", "RESUME came while PAUSE still waited in database \"%s\"",
              database->name);
    error_hint(error, "Nothing is held now. Say PAUSE again where it is still wanted.");
    return false;
}

bool fleet_pause(struct fleet *fleet, size_t index, struct error *error)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    if (!fleet_try_lock(fleet, index, "PAUSE", error))
        return false;
    uint64_t patience = (uint64_t)fleet_pace(fleet).move_timeout * UINT64_C(1000000000);
    uv_mutex_lock(&database->mutex);
    bool held = begin_pause(database, error) &&
                wait_for_pause(database, clock_monotonic_ns() + patience, error);
    uv_mutex_unlock(&database->mutex);
    return held;
}

bool fleet_is_paused(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    bool is_paused = database->is_paused;
    uv_mutex_unlock(&database->mutex);
    return is_paused;
}

bool fleet_resume(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    bool was_paused = database->is_paused;
    if (was_paused)
        end_pause(database);
    uv_mutex_unlock(&database->mutex);
    return was_paused;
}

/* ---------------------------------------------------------------- a command's own */

static void set_hold(struct fleet_database *database, const char *transition)
{
    free(database->held);
    database->held = memory_string(transition);
}

bool fleet_hold(struct fleet *fleet, size_t index, const char *transition, unsigned milliseconds,
                struct error *error)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    BUG_ON(!database->locked_by);
    set_hold(database, transition);
    bool adopted =
        fleet_publish_and_wait_locked(database, fleet_copy_locked(database), milliseconds, error);
    uv_mutex_unlock(&database->mutex);
    return adopted;
}

void fleet_let_go(struct fleet *fleet, size_t index)
{
    struct fleet_database *database = fleet_database_at(fleet, index);
    uv_mutex_lock(&database->mutex);
    set_hold(database, NULL);
    publish_again(database);
    uv_mutex_unlock(&database->mutex);
}

bool fleet_hold_is_left_locked(const struct fleet_database *database)
{
    return database->held && !database->locked_by;
}

void fleet_end_left_hold_locked(struct fleet_database *database)
{
    if (fleet_hold_is_left_locked(database))
        set_hold(database, NULL);
}
