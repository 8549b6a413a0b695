/* SHOW CLIENTS: another thread asks, the worker's thread describes its sessions. */
#ifndef SEGUE_SESSION_CLIENTS_H
#define SEGUE_SESSION_CLIENTS_H

#include "worker_state.h"

/* With the worker's mutex held, on its thread. */
void clients_answer_all(struct worker *worker);

#endif
