/*
 * Stream: one connection (TCP or Unix socket) on a loop, for whoever relays.
 *
 * Reading gives bytes in a buffer that all streams of a loop share: they are valid during the call
 * only. Writing tries at once and keeps a copy of only what the peer would not take yet; above a
 * mark the writer is told to stop its producer, and told again when there is room. Each direction
 * stands on its own.
 *
 * The owner embeds the struct, which must not move until `on_closed`. Every call is for the loop's
 * thread. Encrypted (stream_secure), it has the same calls and the same events.
 */
#ifndef SEGUE_NET_STREAM_H
#define SEGUE_NET_STREAM_H

#include "segue/base/text.h"
#include "segue/net/tls.h"

#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <uv.h>

struct stream;

/* The owner may close the stream in any of these (never free it). */
struct stream_events {
    void (*on_read)(struct stream *stream, uint8_t *data, size_t length);
    /* The peer will say no more: UV_EOF, or how the connection broke. Reading has stopped. */
    void (*on_end)(struct stream *stream, int status);
    /* What was waiting fell below the low mark after stream_write had said STREAM_FULL. */
    void (*on_drained)(struct stream *stream);
    /* After stream_secure: the handshake is done (`error` NULL), or it failed, and nothing that is
     * written reaches the peer any more. */
    void (*on_secured)(struct stream *stream, const struct error *error);
    /* The handle is gone; the owner may free the stream. */
    void (*on_closed)(struct stream *stream);
};

/* How TCP connections are watched; 0: as the system has it. */
struct stream_tcp {
    bool keepalive;
    int keepidle, keepintvl; /* seconds */
    int keepcnt;
    int user_timeout; /* milliseconds */
};

/*
 * What the streams of one loop share: a buffer to read into, and an epoll set that tells which of
 * them can be read. libuv does the rest: it connects, sends what had to wait, shuts down, closes.
 */
struct stream_pool {
    struct stream_tcp tcp;
    uv_loop_t *loop;
    int epoll;
    uint8_t *buffer;
    size_t size;
    struct text sealed; /* TLS records on their way out, during one call */
    TAILQ_HEAD(stream_tls_list, stream_tls)
    unread; /* hold bytes of which the socket tells no more */
};
void stream_pool_init(struct stream_pool *pool, uv_loop_t *loop);
void stream_pool_release(struct stream_pool *pool);
/* In place of uv_run(loop, UV_RUN_DEFAULT). */
void stream_pool_run(struct stream_pool *pool);

enum {
    STREAM_HIGH_MARK = 128 * 1024, /* bytes waiting for a peer: its producer is to stop */
    STREAM_LOW_MARK = 32 * 1024    /* and may go on */
};

struct stream_pending;

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    const struct stream_events *events;
    void *owner;
    struct stream_pool *pool;
    uv_os_fd_t socket;              /* -1 until it is connected */
    struct stream_pending *pending; /* NULL while nothing waits */
    struct stream_tls *tls;         /* NULL: in the clear */
    uv_shutdown_t *shutdown;        /* NULL until it is under way */
    bool is_open;                   /* initialised, and close not yet asked for */
    bool is_reading;
    bool is_full;       /* above the high mark; on_drained is owed */
    bool is_broken;     /* a write failed: what is written goes nowhere; reading tells the rest */
    bool shutdown_owed; /* once nothing waits */
    bool close_owed;    /* once it is shut down */
    bool is_shut;       /* our side has ended */
    bool peer_ended;    /* on_end was called */
};

/* The handle is initialised on `loop`; no socket yet. */
void stream_init_tcp(struct stream *stream, uv_loop_t *loop, struct stream_pool *pool,
                     const struct stream_events *events, void *owner);
void stream_init_pipe(struct stream *stream, uv_loop_t *loop, struct stream_pool *pool,
                      const struct stream_events *events, void *owner);

/* To be called once it is connected, before it is read or written. TCP: no Nagle, and
 * watched as the pool says. */
void stream_connected(struct stream *stream);

void stream_read_start(struct stream *stream); /* both may be called when there is nothing to do */
void stream_read_stop(struct stream *stream);
/* Where it is being read: gives the owner what has come by now, ahead of the loop's turn. */
void stream_read_now(struct stream *stream);

enum stream_result {
    STREAM_SENT, /* sent, or copied below the high mark */
    STREAM_FULL, /* above it: stop the producer until on_drained */
    STREAM_BROKEN
};
/* Takes all of it. The buffers are the caller's again when it returns; their vectors are changed.
 */
enum stream_result stream_write(struct stream *stream, uv_buf_t *buffers, unsigned count);
size_t stream_waiting(const struct stream *stream); /* bytes copied and not yet sent */

/*
 * What follows is TLS, both ways; on_secured tells when. With a context for clients the peer
 * begins, and `received` is what was already read of it. With one for the server, `host` is the
 * name that it is known by. Reading must be on, or be started.
 */
void stream_secure(struct stream *stream, struct tls_context *context, const char *host,
                   struct slice received);
/* Of a secured stream: "TLSv1.3". */
const char *stream_tls_version(const struct stream *stream);
/* Does this stream's peer show the certificate that we show on the other one? */
bool stream_tls_same_certificate(const struct stream *ours, const struct stream *peers);
/* What SCRAM binds a channel to (tls-server-end-point, RFC 5929): a digest of the certificate that
 * we show. Its length; 0 where the certificate's kind has none. */
enum { STREAM_DIGEST_MAX = 64 };
size_t stream_tls_end_point(const struct stream *stream, uint8_t digest[STREAM_DIGEST_MAX]);
/* The peer asked by ALPN for PostgreSQL's protocol, and it was agreed on. */
bool stream_tls_names_protocol(const struct stream *stream);
/* The common name of the peer's verified certificate; false where it showed none, or none that can
 * be trusted to mean what it says. */
bool stream_peer_name(const struct stream *stream, char *buffer, size_t size);

/* Ends our side once everything is sent; reading goes on. */
void stream_shutdown(struct stream *stream);
/*
 * Sends what waits, ends our side, and closes once the peer has ended its own; what it says until
 * then is thrown away. How long that may take is for the owner to say: stream_close.
 */
void stream_finish(struct stream *stream);
/* What waits is thrown away. on_closed follows, never from inside this call. */
void stream_close(struct stream *stream);

#endif
