/* A fleet from inside: what the files of this room share. */
#ifndef SEGUE_FLEET_STATE_H
#define SEGUE_FLEET_STATE_H

#include "segue/fleet/fleet.h"

#include <uv.h>

enum { WORKERS_MAX = 256 };

/* `mutex` guards the fields behind it. `changed` is signalled whenever one of them, or what a
 * worker has adopted, may have changed. */
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
    /* To get the control connection, in numbers: the one that began last, the one that failed last,
     * and the one that a command waits for. */
    uint64_t try_begun, try_failed, try_wanted;
    bool catalog_stale;
    char *locked_by; /* NULL: nobody changes anything */
    /* Why transactions are held, whatever is published meanwhile (holds.c). */
    bool is_cut_off; /* another process has claimed the database */
    bool is_paused;  /* by PAUSE, for which `locked_by` is kept */
    uint64_t pauses; /* how many there were: which one it is */
    char *held;      /* the transition that a command holds; NULL: none */
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
    _Atomic int predecessor;            /* process id; 0: none */
    _Atomic uint64_t predecessor_ended; /* by the monotonic clock, ns; 0: there was none, or is */
    void (*on_ready)(void *context, struct fleet *fleet, size_t database);
    void *on_ready_context;
};

struct fleet_database *fleet_database_at(struct fleet *fleet, size_t index);

/* ---- with the database's mutex held ---- */
/* Of the present snapshot, which must be there: with a serial of its own, for the caller to change.
 */
struct snapshot *fleet_copy_locked(const struct fleet_database *database);
/* Takes over the caller's reference on `next`, which nobody has seen yet: what is to be held in it
 * is decided here. */
void fleet_publish_locked(struct fleet_database *database, struct snapshot *next);
/* And waits until everyone has adopted it; if not, `error` says who has not. Gives the mutex up
 * meanwhile. */
bool fleet_publish_and_wait_locked(struct fleet_database *database, struct snapshot *next,
                                   uint64_t milliseconds, struct error *error) MUST_CHECK;
/* Nobody is pinned to what was published before this serial. */
bool fleet_adopted_locked(const struct fleet_database *database, uint64_t serial);
/* Gives the mutex up until something may have changed. False on the deadline (clock_monotonic_ns),
 * and when the fleet stops. */
bool fleet_wait_locked(struct fleet_database *database, uint64_t deadline);
/* Which sessions have not adopted that epoch: 55P03. Gives the mutex up meanwhile. */
void fleet_name_laggards_locked(struct fleet_database *database, uint64_t epoch,
                                struct error *error);
void fleet_unlock_locked(struct fleet_database *database);

/* ---- holds.c, with the mutex, too ---- */
bool fleet_is_held_locked(const struct fleet_database *database, const char *transition);
/* Another process has the database, and may move phases: transactions that would touch a transition
 * wait, rather than run in a phase that may have passed; until `is_cut_off` is set back. */
void fleet_cut_off_locked(struct fleet_database *database);
/* Has a command ended without letting go? Then it did not know what it had left behind: the hold
 * ends when the store has been read anew. */
bool fleet_hold_is_left_locked(const struct fleet_database *database);
void fleet_end_left_hold_locked(struct fleet_database *database);

/* What the database's thread runs. */
void control_run(void *context);

#endif
