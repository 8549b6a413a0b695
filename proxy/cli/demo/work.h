/* What the demo's apps do all day: one piece of work after the other, on rows that nobody else
 * holds meanwhile, each answer checked. */
#ifndef SEGUE_PROXY_CLI_DEMO_WORK_H
#define SEGUE_PROXY_CLI_DEMO_WORK_H

#include "client.h"
#include "model.h"

/* One piece of work, chosen by chance. `users`: may the table users be touched, or transactions
 * only. After a failure the rows are given up, the connection is made anew, and it gives false. */
bool demo_work_once(struct demo_client *client, struct demo_model *model, bool users);

#endif
