/*
 * Two buffers per stream that has something waiting: one in flight with uv_write, which must not
 * move, and one that grows meanwhile. They exist only while a peer is slow; the usual write is one
 * uv_try_write straight from where the bytes were read.
 */
#include "segue/net/stream.h"

#include "segue/base/memory.h"

#include "stream_pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct stream_pending {
    uv_write_t request;
    struct stream *stream; /* NULL once the stream is closed */
    struct text sending;   /* in flight */
    struct text waiting;
};

static void init(struct stream *stream, struct stream_pool *pool,
                 const struct stream_events *events, void *owner)
{
    stream->events = events;
    stream->owner = owner;
    stream->pool = pool;
    stream->socket = -1;
    stream->handle.data = stream;
    stream->is_open = true;
}

void stream_init_tcp(struct stream *stream, uv_loop_t *loop, struct stream_pool *pool,
                     const struct stream_events *events, void *owner)
{
    *stream = (struct stream){0};
    BUG_ON(uv_tcp_init(loop, &stream->tcp) != 0);
    init(stream, pool, events, owner);
}

void stream_init_pipe(struct stream *stream, uv_loop_t *loop, struct stream_pool *pool,
                      const struct stream_events *events, void *owner)
{
    *stream = (struct stream){0};
    BUG_ON(uv_pipe_init(loop, &stream->pipe, 0) != 0);
    init(stream, pool, events, owner);
}

/* 0: left as it is. Failures are of no consequence: the peer may already be gone, and reading will
 * tell. */
static void set_option(const struct stream *stream, int level, int option, int value)
{
    if (value)
        setsockopt(stream->socket, level, option, &value, sizeof value);
}

void stream_connected(struct stream *stream)
{
    BUG_ON(uv_fileno(&stream->handle, &stream->socket) != 0);
    if (stream->handle.type != UV_TCP)
        return;
    const struct stream_tcp *tcp = &stream->pool->tcp;
    uv_tcp_nodelay(&stream->tcp, 1);
    set_option(stream, SOL_SOCKET, SO_KEEPALIVE, tcp->keepalive);
    if (tcp->keepalive) {
        set_option(stream, IPPROTO_TCP, TCP_KEEPIDLE, tcp->keepidle);
        set_option(stream, IPPROTO_TCP, TCP_KEEPINTVL, tcp->keepintvl);
        set_option(stream, IPPROTO_TCP, TCP_KEEPCNT, tcp->keepcnt);
    }
    set_option(stream, IPPROTO_TCP, TCP_USER_TIMEOUT, tcp->user_timeout);
}

/* ---------------------------------------------------------------- reading */

/*
 * recv and send are called past the C library's wrappers, which make each of them a point where a
 * thread may be cancelled, at two locked operations a call. No thread here is ever cancelled.
 */
ssize_t stream_receive_plain(const struct stream *stream, void *buffer, size_t size)
{
    ssize_t received;
    do
        received = syscall(SYS_recvfrom, stream->socket, buffer, size, MSG_DONTWAIT, NULL, NULL);
    while (received < 0 && errno == EINTR);
    return received < 0 ? -errno : received;
}

static void close_if_over(struct stream *stream);

/* What the peer still says is of no interest, but closing with it unread would reset the
 * connection, and take from the peer what it has not read yet. */
static void linger(struct stream *stream)
{
    ssize_t count = stream_receive_plain(stream, stream->pool->buffer, stream->pool->size);
    if (count > 0 || count == UV_EAGAIN)
        return;
    stream_read_stop(stream);
    stream->peer_ended = true;
    close_if_over(stream);
}

void stream_on_readable(struct stream *stream)
{
    if (!stream->is_reading) /* stopped or closed by what came before it in this turn */
        return;
    if (stream->close_owed) {
        linger(stream);
        return;
    }
    if (stream->tls) {
        stream_tls_read(stream);
        return;
    }
    ssize_t count = stream_receive_plain(stream, stream->pool->buffer, stream->pool->size);
    if (count > 0) {
        stream->events->on_read(stream, stream->pool->buffer, (size_t)count);
    } else if (count != UV_EAGAIN) {
        stream_read_stop(stream);
        stream->peer_ended = true;
        stream->events->on_end(stream, count == 0 ? UV_EOF : (int)count);
    }
}

void stream_read_start(struct stream *stream)
{
    if (stream->is_reading || stream->peer_ended || !stream->is_open || stream->socket < 0)
        return;
    stream_pool_watch(stream);
    stream->is_reading = true;
    if (stream->tls)
        stream_tls_on_read_start(stream);
}

void stream_read_stop(struct stream *stream)
{
    if (!stream->is_reading)
        return;
    stream_pool_unwatch(stream);
    stream->is_reading = false;
}

/* More of it waits for its turn: another stream's owner called, and has work as well. */
enum { READS_AT_ONCE = 8 };

void stream_read_now(struct stream *stream)
{
    int waiting;
    for (int i = 0; i < READS_AT_ONCE && stream->is_reading; i++) {
        if (ioctl(stream->socket, FIONREAD, &waiting) != 0 || waiting == 0)
            return;
        stream_on_readable(stream);
    }
}

/* ---------------------------------------------------------------- writing */

/* After stream_finish: all is sent, and the peer has ended, too. */
static void close_if_over(struct stream *stream)
{
    if (stream->close_owed && (stream->is_broken || (stream->is_shut && stream->peer_ended)))
        stream_close(stream);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    (void)status; /* a peer that is gone needs no goodbye */
    struct stream *stream = request->data;
    free(request);
    stream->shutdown = NULL;
    stream->is_shut = true;
    close_if_over(stream);
}

static void shut_now(struct stream *stream)
{
    stream->shutdown_owed = false;
    if (stream->shutdown || stream->is_shut)
        return;
    if (stream->tls && stream_tls_say_goodbye(stream) && stream->pending) {
        stream->shutdown_owed = true; /* once that is sent, too */
        return;
    }
    stream->shutdown = memory_get(sizeof *stream->shutdown);
    stream->shutdown->data = stream;
    if (stream->is_broken || uv_shutdown(stream->shutdown, &stream->stream, on_shut) != 0) {
        free(stream->shutdown);
        stream->shutdown = NULL;
        stream->is_shut = stream->is_broken = true;
        close_if_over(stream);
    }
}

static void pending_free(struct stream_pending *pending)
{
    text_release(&pending->sending);
    text_release(&pending->waiting);
    free(pending);
}

void stream_break(struct stream *stream)
{
    stream->is_broken = true;
    stream->is_full = false;
    if (stream->close_owed)
        stream_close(stream);
}

static void on_written(uv_write_t *request, int status);

/* What waited goes into flight. */
static void send_waiting(struct stream_pending *pending)
{
    struct stream *stream = pending->stream;
    struct text swap = pending->sending;
    pending->sending = pending->waiting;
    pending->waiting = swap;
    text_release(&pending->waiting);
    uv_buf_t buffer = uv_buf_init(pending->sending.data, (unsigned)pending->sending.length);
    if (uv_write(&pending->request, &stream->stream, &buffer, 1, on_written) != 0) {
        stream->pending = NULL;
        pending_free(pending);
        stream_break(stream);
    }
}

static void tell_drained(struct stream *stream)
{
    if (stream->is_full && stream_waiting(stream) <= STREAM_LOW_MARK) {
        stream->is_full = false;
        stream->events->on_drained(stream);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct stream_pending *pending = request->data;
    struct stream *stream = pending->stream;
    if (!stream) { /* closed meanwhile */
        pending_free(pending);
        return;
    }
    if (status < 0) {
        bool was_full = stream->is_full;
        stream->pending = NULL;
        pending_free(pending);
        stream_break(stream);
        if (was_full)
            stream->events->on_drained(stream);
        return;
    }
    text_clear(&pending->sending);
    if (pending->waiting.length) {
        send_waiting(pending);
    } else {
        stream->pending = NULL;
        pending_free(pending);
        if (stream->shutdown_owed)
            shut_now(stream);
    }
    tell_drained(stream);
}

/* Drops `sent` bytes from the front. */
static void skip_sent(uv_buf_t **buffers, unsigned *count, size_t sent)
{
    while (*count && sent >= (*buffers)->len) {
        sent -= (*buffers)->len;
        ++*buffers;
        --*count;
    }
    if (*count) {
        (*buffers)->base += sent;
        (*buffers)->len -= sent;
    }
}

static void keep_rest(struct stream *stream, const uv_buf_t *buffers, unsigned count)
{
    struct stream_pending *pending = stream->pending;
    if (!pending) {
        pending = NEW(struct stream_pending);
        pending->stream = stream;
        pending->request.data = pending;
        text_init(&pending->sending, TEXT_UNBOUNDED);
        text_init(&pending->waiting, TEXT_UNBOUNDED);
        stream->pending = pending;
    }
    for (unsigned i = 0; i < count; i++)
        text_add(&pending->waiting, buffers[i].base, buffers[i].len);
    if (pending->sending.length == 0)
        send_waiting(pending);
}

/*
 * What uv_try_write does, by send(2): on the path of every query, the descriptor need not go
 * through the layer for files (position lock, notification), which write(2) does.
 */
static ssize_t send_now(const struct stream *stream, uv_buf_t *buffers, unsigned count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)buffers, .msg_iovlen = count};
    ssize_t sent;
    do
        sent = count == 1 ? syscall(SYS_sendto, stream->socket, buffers->base, buffers->len,
                                    MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0)
                          : sendmsg(stream->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == ENOBUFS ? UV_EAGAIN : -errno;
}

enum stream_result stream_write(struct stream *stream, uv_buf_t *buffers, unsigned count)
{
    if (stream->is_broken || !stream->is_open)
        return STREAM_BROKEN;
    return stream->tls ? stream_tls_write(stream, buffers, count)
                       : stream_send_plain(stream, buffers, count);
}

enum stream_result stream_send_plain(struct stream *stream, uv_buf_t *buffers, unsigned count)
{
    if (!stream->pending) {
        ssize_t sent = send_now(stream, buffers, count);
        if (sent < 0 && sent != UV_EAGAIN) {
            stream_break(stream);
            return STREAM_BROKEN;
        }
        skip_sent(&buffers, &count, sent < 0 ? 0 : (size_t)sent);
        if (count == 0)
            return STREAM_SENT;
    }
    keep_rest(stream, buffers, count);
    if (stream->is_broken)
        return STREAM_BROKEN;
    if (stream_waiting(stream) > STREAM_HIGH_MARK)
        stream->is_full = true;
    return stream->is_full ? STREAM_FULL : STREAM_SENT;
}

size_t stream_waiting(const struct stream *stream)
{
    return stream->pending ? stream->pending->sending.length + stream->pending->waiting.length : 0;
}

void stream_shutdown(struct stream *stream)
{
    if (!stream->is_open)
        return;
    if (stream->pending)
        stream->shutdown_owed = true;
    else
        shut_now(stream);
}

void stream_finish(struct stream *stream)
{
    if (!stream->is_open)
        return;
    stream->close_owed = true;
    if (stream->is_broken || (stream->is_shut && stream->peer_ended)) {
        stream_close(stream);
        return;
    }
    if (!stream->is_reading && !stream->peer_ended && stream->socket >= 0) {
        stream_pool_watch(stream);
        stream->is_reading = true;
    }
    stream_shutdown(stream);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    stream->events->on_closed(stream);
}

void stream_close(struct stream *stream)
{
    if (!stream->is_open)
        return;
    stream_read_stop(stream);
    stream->is_open = false;
    if (stream->pending) { /* libuv calls on_written with UV_ECANCELED, and it frees */
        stream->pending->stream = NULL;
        stream->pending = NULL;
    }
    stream_tls_free(stream);
    uv_close(&stream->handle, on_closed);
}
