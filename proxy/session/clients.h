/* SHOW CLIENTS and KILL_CLIENT: another thread asks, the worker's thread describes its sessions, or
 * ends one. */
#ifndef SEGUE_SESSION_CLIENTS_H
#define SEGUE_SESSION_CLIENTS_H

#include "worker_state.h"

/* Both on the worker's thread; the first with its mutex held, the second without. */
struct clients_request *clients_take_requests(struct worker *worker);
void clients_answer_all(struct worker *worker, struct clients_request *requests);

#endif
