/* The process whose place this one takes (successor.h): this side of the channel to it. */
#ifndef SEGUE_CLI_PREDECESSOR_H
#define SEGUE_CLI_PREDECESSOR_H

#include "segue/base/error.h"

#include <uv.h>

struct predecessor {
    uv_poll_t poll;
    int pid;
    int channel; /* -1: there is none, or it is gone */
    bool has_released;
    void (*on_released)(void *context); /* on the loop, once: this process may begin */
    void (*on_gone)(void *context);     /* on the loop, after that: its last session has ended */
    void *context;
};

/* Is there one? Called before the inherited sockets are looked for. */
bool predecessor_find(struct predecessor *predecessor);
/* This process cannot begin; says why. */
void predecessor_fail(struct predecessor *predecessor, const struct error *error);
/* This process could begin. From now on the loop waits for the word. */
void predecessor_offer(struct predecessor *predecessor, uv_loop_t *loop);
/* Waits for nothing any more. */
void predecessor_close(struct predecessor *predecessor);

#endif
