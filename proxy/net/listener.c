/*
 * libuv binds TCP sockets without SO_REUSEPORT, and removes the path of a Unix socket that another
 * process goes on with; so sockets are made here and given to it.
 */
#include "segue/net/listener.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/net/unix_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_connection(uv_stream_t *handle, int status)
{
    struct listener *listener = handle->data;
    if (status < 0) {
        log_warning(NULL, "cannot accept a connection: %s", uv_strerror(status));
        return;
    }
    listener->on_connection(listener);
}

static bool fail(struct error *error, const char *address, int port, int status)
{
    error_set(error, status == UV_EADDRINUSE ? "55006" : "58000",
              "cannot listen on \"%s\", port %d: %s", address, port, uv_strerror(status));
    if (status == UV_EADDRINUSE)
        error_hint(error, "Is another Segue or PostgreSQL listening there? Choose another port.");
    return false;
}

/* ---------------------------------------------------------------- opening */

bool listener_address(const char *address, int port, struct sockaddr_storage *storage,
                      size_t *length)
{
    struct unix_socket_name name;
    if (unix_socket_is_meant(address)) {
        if (!unix_socket_name(address, port, &name))
            return false;
        memcpy(storage, &name.address, sizeof name.address);
        *length = name.length;
        return true;
    }
    *length = sizeof(struct sockaddr_in);
    if (uv_ip4_addr(address, port, (struct sockaddr_in *)storage) == 0)
        return true;
    *length = sizeof(struct sockaddr_in6);
    return uv_ip6_addr(address, port, (struct sockaddr_in6 *)storage) == 0;
}

/* A socket, or a negative libuv error. */
static int make_socket(int family)
{
    int made = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return made >= 0 ? made : uv_translate_sys_error(errno);
}

static int give_up(int opened)
{
    int status = uv_translate_sys_error(errno);
    close(opened);
    return status;
}

/* A bound socket, or a negative libuv error. */
static int bind_tcp(const struct sockaddr_storage *storage, size_t length, bool share)
{
    const int on = 1;
    int bound = make_socket(storage->ss_family);
    if (bound < 0)
        return bound;
    if (setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (share && setsockopt(bound, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (storage->ss_family == AF_INET6 &&
         setsockopt(bound, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(bound, (const struct sockaddr *)storage, (socklen_t)length) != 0)
        return give_up(bound);
    return bound;
}

static int open_tcp(const struct listener_place *place)
{
    struct sockaddr_storage storage = {0};
    size_t length;
    if (!listener_address(place->address, place->port, &storage, &length))
        return UV_EINVAL;
    if (place->probe) {
        int alone = bind_tcp(&storage, length, false);
        if (alone < 0)
            return alone;
        close(alone);
    }
    return bind_tcp(&storage, length, true);
}

/* A socket file that nobody listens at is left from a process that was killed. */
static bool somebody_listens(const struct unix_socket_name *name)
{
    int fd = unix_socket_connect(name);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == UV_EAGAIN;
}

/* Anything but a socket is somebody's, and binding fails. */
static void remove_stale(const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && unlink(path) == 0)
        log_info(NULL, "removed %s, which a process that is gone left", path);
}

static int open_unix(const struct listener_place *place)
{
    struct unix_socket_name name;
    if (!unix_socket_name(place->address, place->port, &name))
        return UV_ENAMETOOLONG;
    if (somebody_listens(&name))
        return UV_EADDRINUSE;
    bool is_abstract = unix_socket_is_abstract(place->address); /* nobody's file: it goes with us */
    if (!is_abstract)
        remove_stale(name.address.sun_path);
    int bound = make_socket(AF_UNIX);
    if (bound < 0)
        return bound;
    if (bind(bound, (const struct sockaddr *)&name.address, name.length) != 0 ||
        (!is_abstract && chmod(name.address.sun_path, place->mode) != 0))
        return give_up(bound);
    return bound;
}

/* A listening socket, or a negative libuv error. */
static int open_socket(const struct listener_place *place)
{
    int opened = unix_socket_is_meant(place->address) ? open_unix(place) : open_tcp(place);
    if (opened >= 0 && listen(opened, place->backlog) != 0)
        return give_up(opened);
    return opened;
}

/* ---------------------------------------------------------------- on the loop */

static int give_to_loop(struct listener *listener, uv_loop_t *loop)
{
    bool is_unix = unix_socket_is_meant(listener->place.address);
    BUG_ON((is_unix ? uv_pipe_init(loop, &listener->pipe, 0) : uv_tcp_init(loop, &listener->tcp)) !=
           0);
    listener->handle.data = listener;
    listener->is_open = true;
    return is_unix ? uv_pipe_open(&listener->pipe, listener->place.socket)
                   : uv_tcp_open(&listener->tcp, listener->place.socket);
}

bool listener_open(struct listener *listener, uv_loop_t *loop, const struct listener_place *place,
                   void (*callback)(struct listener *listener), void *owner, struct error *error)
{
    *listener = (struct listener){.on_connection = callback,
                                  .owner = owner,
                                  .place = *place,
                                  .is_inherited = place->socket >= 0};
    listener->place.address = listener->address = memory_string(place->address);
    if (place->socket < 0)
        listener->place.socket = open_socket(place);
    if (listener->place.socket < 0) {
        free(listener->address);
        return fail(error, place->address, place->port, listener->place.socket);
    }
    int status = give_to_loop(listener, loop);
    if (status == 0)
        return true;
    close(listener->place.socket);
    listener_close(listener, false);
    return fail(error, place->address, place->port, status);
}

void listener_start(struct listener *listener)
{
    int status = uv_listen(&listener->stream, listener->place.backlog, on_connection);
    BUG_ON(status != 0); /* it listens already */
}

bool listener_accept(struct listener *listener, struct stream *stream)
{
    return uv_accept(&listener->stream, &stream->stream) == 0;
}

void listener_close(struct listener *listener, bool handed_over)
{
    if (!listener->is_open)
        return;
    listener->is_open = false;
    uv_close(&listener->handle, NULL);
    struct unix_socket_name name;
    if (!handed_over && !listener->is_inherited && unix_socket_is_meant(listener->place.address) &&
        !unix_socket_is_abstract(listener->place.address) &&
        unix_socket_name(listener->place.address, listener->place.port, &name))
        unlink(name.address.sun_path);
    free(listener->address);
    listener->address = NULL;
}
