/*
 * libuv binds TCP sockets without SO_REUSEPORT, so the socket is made here and given to it.
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

/* ---------------------------------------------------------------- TCP */

static bool parse_address(const char *address, int port, struct sockaddr_storage *storage)
{
    return uv_ip4_addr(address, port, (struct sockaddr_in *)storage) == 0 ||
           uv_ip6_addr(address, port, (struct sockaddr_in6 *)storage) == 0;
}

/* A bound socket, or a negative libuv error. */
static int bind_tcp(const struct sockaddr_storage *storage, bool share)
{
    int fd = socket(storage->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    const int on = 1;
    socklen_t length =
        storage->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (storage->ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, (const struct sockaddr *)storage, length) != 0) {
        int status = uv_translate_sys_error(errno);
        close(fd);
        return status;
    }
    return fd;
}

static int open_tcp(struct listener *listener, uv_loop_t *loop, const char *address, int port,
                    bool probe)
{
    struct sockaddr_storage storage = {0};
    if (!parse_address(address, port, &storage))
        return UV_EINVAL;
    if (probe) {
        int alone = bind_tcp(&storage, false);
        if (alone < 0)
            return alone;
        close(alone);
    }
    int fd = bind_tcp(&storage, true);
    if (fd < 0)
        return fd;
    BUG_ON(uv_tcp_init(loop, &listener->tcp) != 0);
    listener->is_open = true;
    int status = uv_tcp_open(&listener->tcp, fd);
    if (status != 0)
        close(fd);
    return status;
}

/* ---------------------------------------------------------------- Unix socket */

/* A socket file that nobody listens at is left from a process that was killed. */
static bool somebody_listens(const struct unix_socket_name *name)
{
    int fd = unix_socket_connect(name);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == UV_EAGAIN;
}

/* It is nobody's file: it goes with who listens, and its name with it. */
static int bind_abstract(struct listener *listener, const struct unix_socket_name *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    int status = bind(fd, (const struct sockaddr *)&name->address, name->length) == 0
                     ? uv_pipe_open(&listener->pipe, fd)
                     : uv_translate_sys_error(errno);
    if (status != 0)
        close(fd);
    return status;
}

static int open_pipe(struct listener *listener, uv_loop_t *loop, const char *directory, int port)
{
    struct unix_socket_name name;
    if (!unix_socket_name(directory, port, &name))
        return UV_ENAMETOOLONG;
    if (somebody_listens(&name))
        return UV_EADDRINUSE;
    BUG_ON(uv_pipe_init(loop, &listener->pipe, 0) != 0);
    listener->is_open = true;
    if (unix_socket_is_abstract(directory))
        return bind_abstract(listener, &name);
    listener->path = memory_string(name.address.sun_path);
    unlink(listener->path);
    int status = uv_pipe_bind(&listener->pipe, listener->path);
    /* As PostgreSQL's own: who may log in is for the server to say, not for the file's mode. */
    if (status == 0 && chmod(listener->path, 0777) != 0)
        status = uv_translate_sys_error(errno);
    return status;
}

/* ---------------------------------------------------------------- both */

bool listener_open(struct listener *listener, uv_loop_t *loop, const char *address, int port,
                   int backlog, bool probe, void (*callback)(struct listener *listener),
                   void *owner, struct error *error)
{
    *listener = (struct listener){.on_connection = callback, .owner = owner};
    int status = unix_socket_is_meant(address) ? open_pipe(listener, loop, address, port)
                                               : open_tcp(listener, loop, address, port, probe);
    if (status == 0) {
        listener->handle.data = listener;
        status = uv_listen(&listener->stream, backlog, on_connection);
    }
    if (status == 0)
        return true;
    listener_close(listener);
    return fail(error, address, port, status);
}

bool listener_accept(struct listener *listener, struct stream *stream)
{
    return uv_accept(&listener->stream, &stream->stream) == 0;
}

void listener_close(struct listener *listener)
{
    if (listener->is_open) {
        listener->is_open = false;
        uv_close(&listener->handle, NULL);
    }
    free(listener->path); /* libuv unlinks a pipe that it has bound */
    listener->path = NULL;
}
