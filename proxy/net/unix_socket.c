/*
 * libuv 1.44 ends a socket's name at its first zero byte, with which every abstract one begins; so
 * sockets are made here and given to it.
 */
#include "segue/net/unix_socket.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

bool unix_socket_name(const char *directory, int port, struct unix_socket_name *name)
{
    *name = (struct unix_socket_name){.address.sun_family = AF_UNIX};
    char *path = name->address.sun_path;
    int length = snprintf(path, sizeof name->address.sun_path, "%s/.s.PGSQL.%d", directory, port);
    if (length < 0 || (size_t)length >= sizeof name->address.sun_path)
        return false;
    /* PostgreSQL's rule: the @ stands for the zero byte, and the name ends with the port. */
    bool is_abstract = unix_socket_is_abstract(directory);
    if (is_abstract)
        path[0] = '\0';
    name->length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length + !is_abstract);
    return true;
}

int unix_socket_connect(const struct unix_socket_name *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    if (connect(fd, (const struct sockaddr *)&name->address, name->length) == 0)
        return fd;
    int status = uv_translate_sys_error(errno); /* EAGAIN: its backlog is full */
    close(fd);
    return status;
}
