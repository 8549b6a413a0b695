/*
 * Listener: a listening socket on a loop. TCP sockets are opened with SO_REUSEPORT, so that every
 * worker has its own and the kernel spreads the connections; a Unix socket belongs to one worker.
 *
 * Opened, it lets connections wait (the kernel's backlog); started, it accepts them.
 */
#ifndef SEGUE_NET_LISTENER_H
#define SEGUE_NET_LISTENER_H

#include "segue/net/stream.h"

#include <sys/socket.h>

struct listener_place {
    const char *address; /* an IP address, or a directory for `.s.PGSQL.<port>` */
    int port;
    int backlog;   /* connections that may wait */
    unsigned mode; /* of a Unix socket's file */
    bool probe; /* first make sure that nobody else listens there, which SO_REUSEPORT would hide */
    int socket; /* one that listens there already, and is taken over; -1: open one */
};

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    void (*on_connection)(struct listener *listener);
    void *owner;
    struct listener_place place; /* `address` and `socket` are the listener's own */
    char *address;
    bool is_open;
    bool is_inherited; /* its path is not ours to remove */
};

/* The socket's address; false where `address` is neither an IP address nor short enough a path. */
bool listener_address(const char *address, int port, struct sockaddr_storage *storage,
                      size_t *length) MUST_CHECK;

/*
 * `place` is copied. False with `error` when the socket
 * cannot be had; the struct then needs nothing more.
 */
bool listener_open(struct listener *listener, uv_loop_t *loop, const struct listener_place *place,
                   void (*on_connection)(struct listener *listener), void *owner,
                   struct error *error) MUST_CHECK;
/* From now on connections are accepted. */
void listener_start(struct listener *listener);
/* Takes the waiting connection into `stream`, which must be initialised for the same family. */
bool listener_accept(struct listener *listener, struct stream *stream) MUST_CHECK;
/* `handed_over`: the socket goes on in another process, so its path stays. The struct must live
 * until the loop has ended. */
void listener_close(struct listener *listener, bool handed_over);

#endif
