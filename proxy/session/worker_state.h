/*
 * A worker from inside: what its sessions share. Everything here but `incoming` belongs to the
 * worker's thread.
 */
#ifndef SEGUE_SESSION_WORKER_STATE_H
#define SEGUE_SESSION_WORKER_STATE_H

#include "segue/net/listener.h"
#include "segue/rewrite/rewrite.h"
#include "segue/session/worker.h"

#include "output.h"
#include "parse_thread.h"
#include "prepared.h"

#include <sys/queue.h>

struct session;
LIST_HEAD(session_list, session);

/* A snapshot as this worker holds it: with the words to look for, and who is pinned to it. */
struct worker_snapshot {
    struct snapshot *snapshot;
    struct name_scan *scan;
    uint64_t held; /* bit i: transitions[i].held */
    uint32_t pins;
    TAILQ_ENTRY(worker_snapshot) link;
};

struct worker_database {
    size_t index;
    char *name;
    struct worker_snapshot *current;         /* NULL before the first publication */
    TAILQ_HEAD(, worker_snapshot) snapshots; /* oldest first; the last is `current` */
    struct snapshot *incoming;               /* under the worker's mutex */
    _Atomic uint64_t oldest_serial;
};

struct worker_listener {
    struct listener listener;
    enum shape shape;
    bool is_unix;
    size_t index; /* in settings->listeners */
    char *name;
    struct worker *worker;
};

/*
 * What a session was accepted under, and connects to its server by, whatever a RELOAD says
 * meanwhile. Counted on the worker's thread only.
 */
struct configuration {
    uint32_t references;
    struct settings *settings;
    struct encryption encryption;
};
struct configuration *configuration_get(struct configuration *configuration);
void configuration_put(struct configuration *configuration);

/* What another thread asks of this one: embedded in what it is about. */
struct worker_order {
    struct worker_order *next;
    void (*carry_out)(struct worker *worker, struct worker_order *order); /* on the worker's */
    bool is_waited_for;
    uv_sem_t done;
};
/* Returns when it was carried out; false where the worker has ended, and it was not. Not from a
 * worker's thread. */
bool worker_give_order(struct worker *worker, struct worker_order *order);
/* Returns at once; the order is `carry_out`'s, which may free it. The worker has a session and
 * keeps it until then: else it might have ended. */
void worker_post_order(struct worker *worker, struct worker_order *order);
/* For the worker itself: all that were given, with the mutex held; and, without it, their turn. */
struct worker_order *worker_take_orders(struct worker *worker);
void worker_carry_out(struct worker *worker, struct worker_order *orders);

enum { WORKER_STACK_SIZE = 64 * 1024 * 1024 /* parsing recurses deeply (REWRITE.md) */ };

struct worker {
    struct configuration *configuration; /* for sessions from now on */
    const struct settings *settings;     /* its own: what counts for all of them */
    size_t index;
    size_t listener_count, database_count; /* no RELOAD changes these */
    struct worker_events events;
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t wake;
    uv_timer_t tick;  /* runs while `timed` is not empty */
    uv_timer_t grace; /* runs while the worker hands over */
    struct stream_pool pool;
    struct output to_client, to_server;
    struct rewrite_cache *cache;
    struct resolution_set *resolutions;
    struct source_set sources;
    struct worker_listener *listeners; /* as many as `opened_count`: one may have several */
    size_t opened_count;
    struct worker_database *databases;
    struct session_list relaying; /* logged in */
    struct session_list timed;    /* those that have a deadline: logging in, or ending */
    size_t session_count;
    bool looks_for_overtime;
    uint64_t next_look; /* for it; in uv_now */
    enum worker_stopping stopping;
    bool closing; /* everything of the worker's own is closing */
    struct worker_stats stats;
    uint64_t real_ms, real_ms_read; /* clock_real_ms, as it was at this uv_now */

    uv_mutex_t mutex; /* for what follows, and each database's `incoming` */
    struct parse_thread parse_thread;
    enum worker_stopping stop_asked;
    struct worker_order *orders;
    bool accept_asked;
    bool ended; /* the thread answers no more */
};

static inline bool worker_drains(const struct worker *worker)
{
    return worker->stopping == WORKER_HANDS_OVER || worker->stopping == WORKER_DRAINS;
}

/* Written by one thread only, so that no locked instruction is needed. */
static inline void stat_add(_Atomic uint64_t *stat, uint64_t more)
{
    atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

/* NULL where the database has no entry in the settings. */
struct worker_database *worker_find_database(struct worker *worker, const char *name);
struct worker_snapshot *worker_pin(struct worker_database *database);
void worker_unpin(struct worker *worker, struct worker_database *database,
                  struct worker_snapshot *snapshot);
/* A session has been freed. */
void worker_session_gone(struct worker *worker);
/* The tick, which runs while sessions have deadlines. */
void worker_need_tick(struct worker *worker);

/* Over all workers: sessions past the startup packet. False when max_client_conn is reached. */
bool worker_admit_client(const struct settings *settings);
void worker_dismiss_client(void);

/* clock_real_ms, read once per turn of the loop and millisecond at most. */
uint64_t worker_real_ms(struct worker *worker);

#endif
