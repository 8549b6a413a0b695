/*
 * Worker: a thread with a libuv loop that owns its sessions from accept to close.
 *
 * Calls marked [any thread] are safe everywhere; the others belong to the main thread.
 */
#ifndef SEGUE_SESSION_WORKER_H
#define SEGUE_SESSION_WORKER_H

#include "segue/config/settings.h"
#include "segue/net/inherited.h"
#include "segue/session/encryption.h"
#include "segue/session/end_reason.h"
#include "segue/transition/snapshot.h"

struct worker;

/*
 * What a worker tells its owner. Called on the worker's thread; must not block. Either may be NULL.
 */
struct worker_events {
    void *context;
    /* The worker's oldest pinned epoch of `database` (index into settings->databases) may have
     * grown. */
    void (*on_adopted)(void *context, size_t database);
    /* A session ran DDL: the catalog of `database` may be out of date. */
    void (*on_catalog_change)(void *context, size_t database);
};

/* Per worker, summed by whoever shows them. Written by the worker only, relaxed. */
struct worker_stats {
    _Atomic uint64_t clients_accepted;
    _Atomic uint64_t clients_now;
    _Atomic uint64_t ended[SESSION_END_COUNT]; /* by reason: with clients_now, clients_accepted */
    _Atomic uint64_t queries; /* Query, Execute and FunctionCall messages from clients */
    _Atomic uint64_t bytes_from_client, bytes_from_server;
    _Atomic uint64_t rewritten;  /* texts sent changed */
    _Atomic uint64_t refused;    /* texts refused */
    _Atomic uint64_t reprepared; /* statements prepared again for a newer epoch */
    _Atomic uint64_t enlisted;   /* enlist queries */
    _Atomic uint64_t cancels;
    _Atomic uint64_t cache_hits, cache_shape_hits, cache_misses, cache_evictions, cache_bytes,
        cache_entries;
};

/*
 * NULL with `error` set when a listening socket cannot be had; those that were handed over to the
 * process (NULL: none) are taken first. Starts the thread; connections wait until worker_accept.
 */
struct worker *worker_start(struct settings *settings, size_t index,
                            const struct worker_events *events, struct inherited_sockets *inherited,
                            struct error *error);
/* From now on the worker accepts connections. [any thread] */
void worker_accept(struct worker *worker);
/*
 * Its listening sockets, for the process that takes this one's place: their listeners' names into
 * `names` (which last as long as the worker) and descriptors into `sockets`, at most `most`;
 * tells how many. Before worker_stop.
 */
size_t worker_sockets(const struct worker *worker, const char **names, int *sockets, size_t most);
enum worker_stopping {
    WORKER_RUNS,
    WORKER_HANDS_OVER, /* drains; its listening sockets go on in another process */
    WORKER_DRAINS,     /* each session ends at its next transaction boundary */
    WORKER_ENDS        /* all sessions end at once */
};
/* Stops accepting, and ends so. Returns immediately; worker_join waits. [any thread] */
void worker_stop(struct worker *worker, enum worker_stopping how);
void worker_join(struct worker *worker);
/* After worker_join, once nobody can call worker_stop any more. */
void worker_free(struct worker *worker);

/*
 * Hands over the settings that count from now on, and the contexts that belong to them (references
 * are taken): of as many listeners and databases as before (settings_replace). Returns when the
 * worker has them. [any thread but a worker's]
 */
void worker_configure(struct worker *worker, struct settings *settings,
                      const struct encryption *encryption);

/*
 * Hands over the next snapshot of a database (index into settings->databases); takes a reference.
 * Until the first one, clients of that database are refused with 57P03. [any thread]
 */
void worker_publish(struct worker *worker, size_t database, struct snapshot *snapshot);
/* The serial of the oldest snapshot that a transaction is pinned to, or of the current one; 0
 * before the first publication. [any thread] */
uint64_t worker_oldest_serial(struct worker *worker, size_t database);

/* The control connection found the server to write to: sessions go there first. [any thread] */
void worker_note_control_host(const struct settings *settings, const char *name, const char *port);

const struct worker_stats *worker_stats(const struct worker *worker); /* [any thread] */

/* One client, for SHOW CLIENTS. Strings are the receiver's to free, by worker_clients_free. */
struct worker_client {
    uint64_t id;
    char *user, *database, *application, *address;
    char *shape;       /* "old", or a list */
    const char *state; /* "login", "idle", "active", "in transaction", "failed transaction", "held",
                      "parsing" */
    uint64_t epoch;    /* pinned; 0 where none */
    uint64_t connected_ms; /* clock_real_ms */
    uint64_t queries;
    int server_pid;
};
/* Asks the worker's thread and waits for it (milliseconds). Not from a worker's thread. */
struct worker_client *worker_clients(struct worker *worker, size_t *count);
void worker_clients_free(struct worker_client *clients, size_t count);
/* Ends the session of this id (57P01); false where the worker has none. Waits for the worker's
 * thread; not from a worker's thread. */
bool worker_kill(struct worker *worker, uint64_t id);

#endif
