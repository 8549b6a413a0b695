/* A worker's listening sockets: its own, and those that were handed over to the process. */
#ifndef SEGUE_SESSION_LISTENERS_H
#define SEGUE_SESSION_LISTENERS_H

#include "worker_state.h"

bool listeners_open(struct worker *worker, struct inherited_sockets *inherited,
                    struct error *error) MUST_CHECK;
void listeners_start(struct worker *worker);
void listeners_close(struct worker *worker, bool handed_over);
void listeners_free(struct worker *worker); /* after the loop has ended */

#endif
