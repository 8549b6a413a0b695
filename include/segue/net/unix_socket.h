/*
 * Unix sockets by PostgreSQL's names: `.s.PGSQL.<port>` in a directory, or, where that begins with
 * '@', an abstract one, which is no file.
 */
#ifndef SEGUE_NET_UNIX_SOCKET_H
#define SEGUE_NET_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

static inline bool unix_socket_is_abstract(const char *address)
{
    return address[0] == '@';
}
/* Is this a Unix socket's directory, and not an IP address or a name? */
static inline bool unix_socket_is_meant(const char *address)
{
    return address[0] == '/' || unix_socket_is_abstract(address);
}

struct unix_socket_name {
    struct sockaddr_un address;
    socklen_t length;
};
/* False where the name is too long. */
bool unix_socket_name(const char *directory, int port, struct unix_socket_name *name);
/* A connected socket that does not block, or a negative error of libuv's. */
int unix_socket_connect(const struct unix_socket_name *name);

#endif
