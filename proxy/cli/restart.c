#include "restart.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

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

bool restart_begin(void *context, int *pid, struct error *error)
{
    struct restart *restart = context;
    bool nobody_does = false;
    if (!atomic_compare_exchange_strong(&restart->under_way, &nobody_does, true)) {
        error_set(error, "55006", "a restart is under way");
        return false;
    }
    bool locked = lock_databases(restart, error);
    if (!locked || !start_successor(restart, error)) {
        if (locked)
            unlock_databases(restart, fleet_database_count(restart->fleet));
        restart->under_way = false;
        return false;
    }
    *pid = (int)restart->successor.pid;
    restart->is_ready = true;
    uv_async_send(restart->wake);
    return true;
}

static void run(void *context)
{
    struct error error = {0};
    int pid;
    if (!restart_begin(context, &pid, &error))
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

void restart_release(struct restart *restart)
{
    if (restart->is_ready)
        successor_release(&restart->successor);
}

void restart_join(struct restart *restart)
{
    if (restart->has_thread)
        uv_thread_join(&restart->thread);
    restart->has_thread = false;
}
