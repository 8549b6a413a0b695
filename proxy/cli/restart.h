/*
 * A restart in place, from this process's side: a successor gets the listening sockets, then what
 * only one process can have, and must show that it serves. Until then, and where it does not, this
 * process goes on.
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
    _Atomic bool is_ready;  /* the successor serves, and this process has not handed over yet */
    _Atomic bool cancelled; /* this process stops: then there is no restart */
    _Atomic bool at_once;   /* it stops at once */
    _Atomic bool is_ending; /* the successor, told so since it is not to be */
    _Atomic bool under_way; /* a thread prepares one, or it went well */
    bool has_thread;
    uv_thread_t thread; /* of restart_by_signal */
};

/* A console_restart; `context` is the struct. On a thread that may block. */
bool restart_by_command(void *context, int *pid, struct error *error);
/* The same on a thread of its own, which tells the log of a failure. On the loop. */
void restart_by_signal(struct restart *restart);
/*
 * Once `is_ready`, on the loop: the successor is the one in charge, and this process is to end.
 * False where it has died meanwhile: this process goes on as before.
 */
bool restart_hand_over(struct restart *restart);
/* Behind it: the successor is told so. */
void restart_put_in_charge(const struct restart *restart);
/* This process stops, and is not to have a successor: one that there is ends as this one does. On
 * the loop; again where it is to end at once after all. */
void restart_cancel(struct restart *restart, bool at_once);
/* Waits for that thread. */
void restart_join(struct restart *restart);
/* Waits for a successor that was told to end. After restart_join. */
void restart_await_end(struct restart *restart);

#endif
