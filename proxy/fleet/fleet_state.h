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
    uint64_t failures; /* of the control connection */
    bool catalog_stale;
    char *locked_by; /* NULL: nobody changes anything */
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
    _Atomic int predecessor; /* process id; 0: none */
    void (*on_ready)(void *context, struct fleet *fleet, size_t database);
    void *on_ready_context;
};

struct fleet_database *fleet_database_at(struct fleet *fleet, size_t index);
/* With the mutex held. Takes over the caller's reference on `next`. */
void fleet_publish_locked(struct fleet_database *database, struct snapshot *next);
/* What the database's thread runs. */
void control_run(void *context);

#endif
