/* What both protocols answer a client, appended to its `out`. */
#ifndef SEGUE_PROXY_ADMIN_ANSWER_H
#define SEGUE_PROXY_ADMIN_ANSWER_H

#include "client.h"

void answer_error(struct client *client, const struct error *error);
void answer_ready(struct client *client);
/* A message of its type alone: ParseComplete and the like. */
void answer_bare(struct client *client, char type);
/* RowDescription, or NoData where the statement answers no rows. */
void answer_columns(struct client *client, const struct statement *statement);
/* What a command that succeeded changes for the client: its transaction block, the process's life.
 */
void answer_effect(struct client *client, const struct command *command);
/* One line in the log about a command that was run: no SQL literals. */
void answer_log(const struct client *client, const struct job *job);

#endif
