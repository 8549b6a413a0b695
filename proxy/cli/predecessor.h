/* The process whose place this one takes (successor.h): this side of the channel to it. */
#ifndef SEGUE_CLI_PREDECESSOR_H
#define SEGUE_CLI_PREDECESSOR_H

#include "segue/base/error.h"

#include <uv.h>

struct predecessor {
    uv_poll_t poll;
    int pid;
    int channel; /* -1: there is none, or it is gone */
    bool has_released, has_handed_over;
    /* On the loop, once each, in this order: */
    void (*on_released)(void *context);    /* this process may begin */
    void (*on_handed_over)(void *context); /* it is in charge: the other one accepts no more */
    void (*on_gone)(void *context);        /* the other's last session has ended */
    void *context;
};

/* Is there one? Called before the inherited sockets are looked for. */
bool predecessor_find(struct predecessor *predecessor);
/* This process cannot begin; says why. */
void predecessor_fail(struct predecessor *predecessor, const struct error *error);
/* This process could begin. From now on the loop waits for the word. */
void predecessor_offer(struct predecessor *predecessor, uv_loop_t *loop);
/* Is there one that serves still, and waits for this process to do so? */
bool predecessor_waits(const struct predecessor *predecessor);
/* This process serves; or (`is_whole` false) it would, but has not loaded every database. */
void predecessor_tell(struct predecessor *predecessor, bool is_whole);
/* Waits for nothing any more. */
void predecessor_close(struct predecessor *predecessor);

#endif
