/*
 * Fleet: the Segue processes in front of one set of databases; today, this process alone. It loads
 * each database's transitions from the store, publishes snapshots to the workers, and moves phases
 * safely.
 *
 * One thread per database keeps the control connection (libpq, blocking, off every loop): it
 * connects with back-off, takes the advisory lock that makes this process the only one, loads,
 * publishes, then waits for changes of the catalog. Moves are made by whichever thread runs the
 * command.
 */
#ifndef SEGUE_FLEET_FLEET_H
#define SEGUE_FLEET_FLEET_H

#include "segue/config/settings.h"
#include "segue/session/worker.h"
#include "segue/transition/snapshot.h"

struct fleet;

struct fleet *fleet_new(struct settings *settings); /* takes a reference */
/* worker_events to start the workers with; then the workers, before fleet_start. */
struct worker_events fleet_worker_events(struct fleet *fleet);
void fleet_add_worker(struct fleet *fleet, struct worker *worker);
/* Called on the database's thread each time it is loaded and ready (after each reconnection too).
 * Set before fleet_start. */
void fleet_on_ready(struct fleet *fleet,
                    void (*callback)(void *context, struct fleet *fleet, size_t database),
                    void *context);
void fleet_start(struct fleet *fleet);
/*
 * Waits for its threads; workers are joined by their owner, after. Then another process may have
 * the databases; until fleet_start is called again, workers go on with what was published last.
 */
void fleet_stop(struct fleet *fleet);
bool fleet_is_ready(struct fleet *fleet); /* every database is loaded and claimed */
void fleet_free(struct fleet *fleet);     /* after fleet_stop and after the workers are joined */

/* What no RELOAD changes. */
size_t fleet_database_count(const struct fleet *fleet);
const char *fleet_database_name(const struct fleet *fleet, size_t database);
size_t fleet_worker_count(const struct fleet *fleet);
struct worker *fleet_worker(const struct fleet *fleet, size_t index);

/* All of what follows is safe on any thread. `database` is an index
 * below fleet_database_count. */

/* The settings in force, with a reference for the caller. */
struct settings *fleet_settings(struct fleet *fleet);
/* Of them, as they are just now. */
struct settings_pace fleet_pace(struct fleet *fleet);
/*
 * Puts these in force, for the workers too: returns when all have them. Takes references of its
 * own. They come from settings_replace, and the certificates belong to them.
 */
void fleet_configure(struct fleet *fleet, struct settings *settings,
                     const struct encryption *encryption);

/* The current snapshot with a reference for the caller; NULL while the database is not loaded. */
struct snapshot *fleet_snapshot(struct fleet *fleet, size_t database);

enum fleet_state { FLEET_CONNECTING, FLEET_READY, FLEET_LOST };
struct fleet_status {
    enum fleet_state state;
    uint64_t epoch;
    uint64_t epoch_adopted; /* by every session of every worker */
    struct error error;     /* why it is not READY */
};
void fleet_status(struct fleet *fleet, size_t database, struct fleet_status *status);
/* Where the control connection is lost: has it tried again now, and waits for the outcome of one
 * try, seconds at most. So a command is told what is so, not what was. Not for a loop's thread. */
void fleet_try_to_regain(struct fleet *fleet, size_t database);

/* A fresh blocking connection as the control user, with application_name "segue <purpose>". NULL
 * with `error` (08006). */
struct pg_conn *fleet_connect(struct fleet *fleet, size_t database, const char *purpose,
                              struct error *error);

/*
 * Publishes that the transition stands at this phase since that epoch, as the store says already,
 * and waits until every session has adopted it: until no transaction is pinned to what was before.
 * On the deadline (move_timeout) gives false with `error` (55P03) telling who holds it up; what was
 * published stays published: the caller takes it back by another move.
 */
bool fleet_move(struct fleet *fleet, size_t database, const char *transition, enum phase to,
                uint64_t epoch, struct error *error) MUST_CHECK;
/* Waits until every transaction of this moment has ended; deadline and failure as above. The
 * database must have been loaded. */
bool fleet_wait_for_transactions(struct fleet *fleet, size_t database,
                                 struct error *error) MUST_CHECK;
/* Loads the catalog and the store's transitions again, publishes them. */
bool fleet_reload(struct fleet *fleet, size_t database, struct error *error) MUST_CHECK;
/* The same with what the catalog says of that table and its descendants only, as far as it is of
 * the same server: so it takes no longer where there are thousands of others, of which what is
 * known is as old as it was. */
bool fleet_reload_table(struct fleet *fleet, size_t database, uint32_t table_oid,
                        struct error *error) MUST_CHECK;

/* Held while a command changes a database's transitions: one at a time. try gives false when it is
 * taken. */
bool fleet_try_lock(struct fleet *fleet, size_t database, const char *what,
                    struct error *error) MUST_CHECK;
void fleet_unlock(struct fleet *fleet, size_t database);

/*
 * Holds: new transactions that touch the table wait, whatever is published meanwhile. What was
 * begun before is waited for; where that does not end in time, false with `error` (55P03).
 */
/* Every transition, until fleet_resume. Takes that lock, which is given back by fleet_resume; on
 * failure, also where somebody resumed meanwhile (55000), nothing is held or locked by it. */
bool fleet_pause(struct fleet *fleet, size_t database, struct error *error) MUST_CHECK;
bool fleet_is_paused(struct fleet *fleet, size_t database);
bool fleet_resume(struct fleet *fleet, size_t database); /* false: it was not paused */
/* One transition, by the command that has the lock, until fleet_let_go, also after a failure. A
 * command that does not know what it has left behind lets nobody go: then the hold ends once its
 * lock is given back and the store was read. */
bool fleet_hold(struct fleet *fleet, size_t database, const char *transition, unsigned milliseconds,
                struct error *error) MUST_CHECK;
void fleet_let_go(struct fleet *fleet, size_t database);

/* While the process whose place this one took still has sessions, nobody gets that lock: a phase
 * that moved would leave them behind. 0: it is gone. */
void fleet_set_predecessor(struct fleet *fleet, int pid);
/* Was there one, and how long is it gone? Until then it accepted sessions, or ended them. */
bool fleet_had_predecessor(const struct fleet *fleet, uint64_t *ended_ms_ago);

#endif
