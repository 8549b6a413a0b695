/*
 * Entrance: from accept until the console knows who its client is, and what that user may do.
 *
 *     at the Unix socket   the peer's user is root's or our own: operator, or what users_file says
 *                          the peer's user is a user's `peer` in users_file: that user
 *                          otherwise SCRAM; without a verifier in users_file, nobody
 *     at the address       SCRAM; or everybody, with auth_type = "trust"
 *
 * Who is not in users_file, or has no verifier there, is asked for a proof that none satisfies.
 */
#ifndef SEGUE_PROXY_ADMIN_ENTRANCE_H
#define SEGUE_PROXY_ADMIN_ENTRANCE_H

#include "client.h"

/* Its stream is connected. */
void entrance_begin(struct client *client);
/* Handles what is in the input of a client that has not logged in; gives the bytes used. */
size_t entrance_handle(struct client *client);
void entrance_on_secured(struct client *client, const struct error *error);
void entrance_release(struct client *client);

#endif
