#include "restart.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/change/change.h"

#include <stdatomic.h>
#include <stdlib.h>

static void unlock_databases(struct restart *restart, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fleet_unlock(restart->fleet, i);
}

/* Nothing may be under way that the successor would find half done, nor be held by PAUSE. */
static bool lock_databases(struct restart *restart, struct error *error)
{
    for (size_t i = 0; i < fleet_database_count(restart->fleet); i++) {
        if (!fleet_try_lock(restart->fleet, i, "RESTART", error)) {
            unlock_databases(restart, i);
            return false;
        }
    }
    return true;
}

static bool start_successor(struct restart *restart, struct error *error)
{
    enum { MOST = 4096 };
    const char **names = NEW_ARRAY(const char *, MOST);
    int *sockets = NEW_ARRAY(int, MOST);
    size_t count = console_sockets(restart->console, names, sockets, MOST);
    for (size_t i = 0; i < fleet_worker_count(restart->fleet); i++)
        count += worker_sockets(fleet_worker(restart->fleet, i), names + count, sockets + count,
                                MOST - count);
    const struct successor_sockets given = {names, sockets, count};
    bool is_ready = successor_start(&restart->successor, restart->arguments, &given,
                                    &restart->cancelled, error);
    free(names);
    free(sockets);
    return is_ready;
}

/*
 * The successor gets what only one process can have. This one goes on meanwhile with what was
 * published last, as its sessions do while it drains: nobody moves a phase before they have ended.
 */
static bool give_way(struct restart *restart, struct error *error)
{
    /* after a restart that failed it may be about to have its databases again */
    for (size_t i = 0; i < fleet_database_count(restart->fleet); i++)
        fleet_try_to_regain(restart->fleet, i);
    bool must_load = fleet_is_ready(restart->fleet);
    change_stop(restart->fleet);
    return successor_begin(&restart->successor, must_load, &restart->cancelled, error);
}

static void unlock_all(struct restart *restart)
{
    unlock_databases(restart, fleet_database_count(restart->fleet));
}

/* There is no successor: backfills go on as soon as the databases are claimed again. */
static void take_back(struct restart *restart)
{
    fleet_start(restart->fleet);
    unlock_all(restart);
}

static void tell_to_end(struct restart *restart)
{
    restart->is_ending = true;
    successor_tell_to_end(&restart->successor,
                          restart->at_once ? SUCCESSOR_AT_ONCE : SUCCESSOR_DRAINS);
}

/* False with `error`: then all is as it was, or ends. */
static bool install_successor(struct restart *restart, struct error *error)
{
    if (!lock_databases(restart, error))
        return false;
    if (!start_successor(restart, error)) {
        unlock_all(restart);
        return false;
    }
    if (give_way(restart, error))
        return true;
    if (restart->successor.pid) /* cancelled: it lives */
        tell_to_end(restart);
    else
        take_back(restart);
    return false;
}

bool restart_by_command(void *context, int *pid, struct error *error)
{
    struct restart *restart = context;
    bool nobody_does = false;
    if (!atomic_compare_exchange_strong(&restart->under_way, &nobody_does, true)) {
        error_set(error, "55006", "a restart is under way");
        return false;
    }
    if (!install_successor(restart, error)) {
        restart->under_way = false;
        return false;
    }
    *pid = (int)restart->successor.pid;
    restart->is_ready = true;
    if (restart->cancelled && atomic_exchange(&restart->is_ready, false))
        tell_to_end(restart); /* restart_cancel came too early to do so */
    else
        uv_async_send(restart->wake);
    return true;
}

static void run(void *context)
{
    struct error error = {0};
    int pid;
    if (!restart_by_command(context, &pid, &error))
        log_error(NULL, "SIGUSR2: %s. %s", error.message, error.hint);
}

void restart_by_signal(struct restart *restart)
{
    if (restart->under_way)
        return;
    restart_join(restart);
    BUG_ON(uv_thread_create(&restart->thread, run, restart) != 0);
    restart->has_thread = true;
}

bool restart_hand_over(struct restart *restart)
{
    struct successor *successor = &restart->successor;
    restart->is_ready = false;
    if (successor_is_there(successor))
        return true;
    log_error(NULL, "process %d, which was to take over, has ended: this one goes on as before",
              (int)successor->pid);
    successor_forget(successor);
    take_back(restart);
    restart->under_way = false;
    return false;
}

void restart_put_in_charge(const struct restart *restart)
{
    successor_put_in_charge(&restart->successor);
}

void restart_cancel(struct restart *restart, bool at_once)
{
    restart->at_once = at_once;
    restart->cancelled = true;
    if (restart->is_ending || atomic_exchange(&restart->is_ready, false))
        tell_to_end(restart);
}

void restart_join(struct restart *restart)
{
    if (restart->has_thread)
        uv_thread_join(&restart->thread);
    restart->has_thread = false;
}

void restart_await_end(struct restart *restart)
{
    if (restart->is_ending)
        successor_await_end(&restart->successor);
}
