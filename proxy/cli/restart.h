/*
 * A restart in place, from this process's side: what only one process can have is locked, and the
 * listening sockets go to a successor.
 */
#ifndef SEGUE_CLI_RESTART_H
#define SEGUE_CLI_RESTART_H

#include "segue/admin/console.h"
#include "segue/fleet/fleet.h"

#include "successor.h"

struct restart {
    struct fleet *fleet;
    struct console *console;
    const char *const *arguments; /* of the program, the first one its path */
    uv_async_t *wake;             /* sent once `is_ready` */
    struct successor successor;
    _Atomic bool is_ready;  /* there is no way back */
    _Atomic bool cancelled; /* by whoever stops this process: one that is not ready yet ends */
    _Atomic bool under_way; /* a thread is in restart_begin, or it went well */
    bool has_thread;
    uv_thread_t thread; /* of restart_by_signal */
};

/* A console_restart; `context` is the struct. On a thread that may block. */
bool restart_begin(void *context, int *pid, struct error *error);
/* The same on a thread of its own, which tells the log of a failure. On the loop. */
void restart_by_signal(struct restart *restart);
/* The successor, where there is one, may begin. */
void restart_release(struct restart *restart);
/* Waits for that thread. */
void restart_join(struct restart *restart);

#endif
