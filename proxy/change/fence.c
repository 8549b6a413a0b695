/*
 * The fence: when a process is killed, the server goes on with the statement it was given. While
 * such a session holds a lock to write the table it may still write in a phase that has passed: no
 * move begins, and no VERIFY looks, before it has ended.
 */
#include "work.h"

#include "segue/base/clock.h"

#include <libpq-fe.h>

struct intruder {
    int pid;
    char name[64]; /* application_name */
};

static bool is_ours(const struct work *work, int pid)
{
    bool ours = false;
    for (size_t i = 0; !ours && i < fleet_worker_count(work->change->fleet); i++) {
        size_t count = 0;
        struct worker_client *clients =
            worker_clients(fleet_worker(work->change->fleet, i), &count);
        for (size_t k = 0; k < count; k++)
            ours |= clients[k].server_pid == pid;
        worker_clients_free(clients, count);
    }
    return ours;
}

/*
 * A session that holds a lock to write the table, is none of this process's, and began before it
 * claimed the database; or before the process ended whose place this one took, which accepted
 * sessions still. When it began is not told to every role: then it may have been before.
 */
static bool find_intruder(struct work *work, struct intruder *intruder, struct error *error)
{
    char oid[16], ago[32];
    uint64_t ended_ms_ago;
    bool had_predecessor = fleet_had_predecessor(work->change->fleet, &ended_ms_ago);
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    snprintf(ago, sizeof ago, "%llu ms", (unsigned long long)ended_ms_ago);
    const char *parameters[] = {oid, had_predecessor ? ago : NULL};
    PGresult *result = query_run_with(
        work->connection,
        "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
        "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
        "SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, '?') "
        "  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        " WHERE l.locktype = 'relation' AND l.relation IN (SELECT oid FROM tree) "
        "   AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') "
        "   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "   AND coalesce(a.backend_type, 'client backend') = 'client backend' "
        "   AND a.pid <> pg_backend_pid() "
        "   AND (coalesce(a.backend_start < (" STORE_CLAIMED_SINCE "), true) "
        "        OR coalesce(a.backend_start < clock_timestamp() - $2::interval, false))",
        parameters, 2, error);
    if (!result)
        return false;
    intruder->pid = 0;
    for (int row = 0; !intruder->pid && row < PQntuples(result); row++) {
        int pid = (int)query_integer(result, row, 0);
        if (is_ours(work, pid))
            continue;
        intruder->pid = pid;
        snprintf(intruder->name, sizeof intruder->name, "%s", query_value(result, row, 1));
    }
    PQclear(result);
    return true;
}

bool work_fence(struct work *work, struct error *error)
{
    const int seconds = fleet_pace(work->change->fleet).move_timeout;
    const uint64_t deadline = clock_monotonic_ns() + (uint64_t)seconds * UINT64_C(1000000000);
    struct intruder intruder;
    for (bool noticed = false;; noticed = true) {
        if (!find_intruder(work, &intruder, error))
            return false;
        if (!intruder.pid)
            return true;
        if (!noticed)
            progress_notice(&work->change->progress,
                            "waiting for server process %d (%s), which was writing before this "
                            "process began",
                            intruder.pid, intruder.name);
        if (clock_monotonic_ns() > deadline) {
            error_set(
                error, "55P03",
                "server process %d (%s) has been writing %s.%s since before this process began",
                intruder.pid, intruder.name, work->transition->schema, work->transition->table);
            error_hint(error,
                       "It may belong to a Segue that was killed: wait for it, or end it with "
                       "pg_terminate_backend(%d).",
                       intruder.pid);
            return false;
        }
        if (!work_go_on(work, error))
            return false;
        clock_sleep_ms(100);
    }
}
