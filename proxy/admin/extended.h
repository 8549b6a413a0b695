/* The messages of the extended protocol, one function each. A malformed one fails the client. */
#ifndef SEGUE_PROXY_ADMIN_EXTENDED_H
#define SEGUE_PROXY_ADMIN_EXTENDED_H

#include "client.h"

void extended_parse(struct client *client, const uint8_t *body, size_t length);
void extended_bind(struct client *client, const uint8_t *body, size_t length);
void extended_describe_or_close(struct client *client, char type, const uint8_t *body,
                                size_t length);
void extended_execute(struct client *client, const uint8_t *body, size_t length);
void extended_sync(struct client *client);
/* The job of the portal that the client is executing has ended. */
void extended_job_done(struct client *client, struct job *job);
/* As a simple query does. */
void extended_forget_unnamed(struct client *client);
void extended_release(struct client *client);

#endif
