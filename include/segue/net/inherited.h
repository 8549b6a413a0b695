/*
 * Listening sockets that this process did not open itself: systemd's (socket activation), or those
 * of the Segue process whose place it takes. Both come as sd_listen_fds(3) says.
 *
 * Belongs to the main thread.
 */
#ifndef SEGUE_NET_INHERITED_H
#define SEGUE_NET_INHERITED_H

#include "segue/base/error.h"

#include <stddef.h>

struct inherited_sockets;

/* What the environment says was handed over, which is taken out of it; never NULL. */
struct inherited_sockets *inherited_take(void);
/* How many there are for a listener: of its name (systemd's FileDescriptorName), or of its address
 * (as in struct settings_listener). */
size_t inherited_count(const struct inherited_sockets *sockets, const char *name,
                       const char *address, int port);
/* A descriptor of the caller's own of one of these; -1 with errno. */
int inherited_get(struct inherited_sockets *sockets, const char *name, const char *address,
                  int port, size_t index) MUST_CHECK;
/* May further sockets be opened for the same address beside them (SO_REUSEPORT)? */
bool inherited_can_share(const struct inherited_sockets *sockets, const char *name,
                         const char *address, int port);
/* Closes them; those that nobody asked for are told to the log. NULL is allowed. */
void inherited_free(struct inherited_sockets *sockets);

#endif
