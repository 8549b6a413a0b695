/*
 * Listener: a listening socket on a loop. TCP sockets are opened with SO_REUSEPORT, so that every
 * worker has its own and the kernel spreads the connections; a Unix socket belongs to one worker.
 */
#ifndef SEGUE_NET_LISTENER_H
#define SEGUE_NET_LISTENER_H

#include "segue/net/stream.h"

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    void (*on_connection)(struct listener *listener);
    void *owner;
    char *path; /* of the Unix socket; NULL for TCP and for an abstract one */
    bool is_open;
};

/*
 * `address`: an IP address, or a directory for `.s.PGSQL.<port>`. `probe`: first make sure that
 * nobody else listens there, which SO_REUSEPORT would hide. False with `error` when it cannot be
 * had; the struct then needs nothing more.
 */
bool listener_open(struct listener *listener, uv_loop_t *loop, const char *address, int port,
                   int backlog, bool probe, void (*on_connection)(struct listener *listener),
                   void *owner, struct error *error) MUST_CHECK;
/* Takes the waiting connection into `stream`, which must be initialised for the same family. */
bool listener_accept(struct listener *listener, struct stream *stream) MUST_CHECK;
void listener_close(struct listener *listener); /* the struct must live until the loop has ended */

#endif
