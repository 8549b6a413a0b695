/*
 * Bytes in, bytes out: what comes in on a session's two streams and where it goes.
 *
 * Bytes are relayed straight from the worker's read buffer. Only what must be whole to be looked
 * at, or must wait, is kept in the session, and given back as soon as it is gone. The two
 * directions never stop each other, save that a producer whose consumer is slow is not read from.
 */
#include "session.h"

#include "segue/wire/frame.h"

#include <stdio.h>

/* ---------------------------------------------------------------- from the client */

/* What could not be consumed yet waits in the session. */
static void keep(struct text *kept, const uint8_t *data, size_t length)
{
    if (length)
        text_add(kept, data, length);
}

static void drop_kept(struct text *kept, size_t count)
{
    if (count == 0)
        return;
    if (count == kept->length) {
        text_release(kept);
        return;
    }
    memmove(kept->data, kept->data + count, kept->length - count);
    kept->length -= count;
    kept->data[kept->length] = '\0';
}

static void pass_to_server(struct session *session)
{
    if (output_flush(&session->worker->to_server) == STREAM_FULL)
        stream_read_stop(&session->client);
}

static void raw_write(struct session *session, struct stream *to, struct stream *from,
                      uint8_t *data, size_t length)
{
    uv_buf_t buffer = uv_buf_init((char *)data, (unsigned)length);
    enum stream_result result = stream_write(to, &buffer, 1);
    if (result == STREAM_FULL)
        stream_read_stop(from);
    else if (result == STREAM_BROKEN && to == &session->client)
        session_end(session, session_end_reason_of(session, SESSION_END_CLIENT_BROKEN), NULL);
}

/* The client has ended its side: so do we towards the server, once everything was passed on. */
static void pass_client_end(struct session *session)
{
    if (session->client.peer_ended && session->waiting == WAIT_NONE)
        stream_shutdown(&session->server);
}

static void process_kept(struct session *session)
{
    struct worker *worker = session->worker;
    session->processing_client = true;
    output_begin(&worker->to_server, &session->server);
    size_t consumed = client_consume(session, (const uint8_t *)session->client_kept.data,
                                     session->client_kept.length);
    pass_to_server(session);
    session->processing_client = false;
    drop_kept(&session->client_kept, consumed);
    if (session_is_over(session))
        return;
    if (session->waiting == WAIT_NONE && !session->server.is_full)
        stream_read_start(&session->client);
    pass_client_end(session);
}

static void relay_client(struct session *session, uint8_t *data, size_t length)
{
    if (session->waiting != WAIT_NONE || session->client_kept.length) {
        keep(&session->client_kept, data, length);
        if (session->waiting == WAIT_NONE)
            process_kept(session);
        else if (session->client_kept.length > SESSION_KEPT_MAX)
            stream_read_stop(&session->client);
        return;
    }
    struct worker *worker = session->worker;
    session->processing_client = true;
    output_begin(&worker->to_server, &session->server);
    size_t consumed = client_consume(session, data, length);
    pass_to_server(session);
    session->processing_client = false;
    if (!session_is_over(session))
        keep(&session->client_kept, data + consumed, length - consumed);
}

static void on_client_read(struct stream *stream, uint8_t *data, size_t length)
{
    struct session *session = stream->owner;
    stat_add(&session->worker->stats.bytes_from_client, length);
    session->bytes_from_client += length;
    switch (session->state) {
    case SESSION_READY:
    case SESSION_LOGIN:
        relay_client(session, data, length);
        return;
    case SESSION_RAW:
        raw_write(session, &session->server, &session->client, data, length);
        return;
    case SESSION_STARTUP:
        if (login_begin_direct_tls(session, data, length))
            return;
        keep(&session->client_kept, data, length);
        login_on_client(session);
        return;
    case SESSION_CONNECTING:
        keep(&session->client_kept, data, length);
        if (session->client_kept.length > SESSION_KEPT_MAX)
            stream_read_stop(&session->client);
        return;
    case SESSION_CANCEL: /* nothing is to come */
    case SESSION_ENDING:
        return;
    }
}

static void on_client_end(struct stream *stream, int status)
{
    struct session *session = stream->owner;
    if (status != UV_EOF) {
        char detail[128];
        snprintf(detail, sizeof detail, "the client's connection broke: %s", uv_strerror(status));
        enum session_end_reason reason = session_end_reason_of(session, SESSION_END_CLIENT_BROKEN);
        session_end(session, reason, reason == SESSION_END_CLIENT_BROKEN ? detail : NULL);
        return;
    }
    session->client_left = true;
    switch (session->state) {
    case SESSION_READY:
    case SESSION_LOGIN:
        pass_client_end(session);
        return;
    case SESSION_RAW:
        stream_shutdown(&session->server);
        return;
    case SESSION_STARTUP:
        session_end(session, SESSION_END_CLIENT_CLOSED, NULL);
        return;
    case SESSION_CONNECTING: /* it may have said all that it had to say, and still be reading */
    case SESSION_CANCEL:     /* the client need not wait; the request goes on */
    case SESSION_ENDING:
        return;
    }
}

static void on_client_drained(struct stream *stream)
{
    struct session *session = stream->owner;
    if (!session_is_over(session))
        stream_read_start(&session->server);
}

/* ---------------------------------------------------------------- from the server */

static bool has_come(struct session *session)
{
    switch (session->waiting) {
    case WAIT_NONE:
    case WAIT_HELD: /* the next snapshot lets it go on */
        return false;
    case WAIT_LOGIN: /* a message out of turn is for the server to refuse */
        return session->state != SESSION_LOGIN || session->password_asked;
    case WAIT_INJECTED: /* enlist_on_end sets it back */
    case WAIT_PARSED:   /* parse_thread_collect does */
        return false;
    case WAIT_DRAIN: /* a server that reads CopyData answers nothing until that ends */
        return session->queue.count == 0 || session_is_in_copy(session);
    case WAIT_QUEUE:
        return session->queue.count < SESSION_QUEUE_MAX / 2;
    case WAIT_STAGED:
        return session_is_in_copy(session) || !staging_is_copying(session);
    }
    BUG("session wait %d", (int)session->waiting);
}

void session_continue(struct session *session)
{
    if (session_is_over(session) || session->processing_client)
        return;
    if (session->state == SESSION_RAW) { /* what a replication client said ahead of time */
        struct text kept = session->client_kept;
        text_init(&session->client_kept, TEXT_UNBOUNDED);
        if (kept.length)
            raw_write(session, &session->server, &session->client, (uint8_t *)kept.data,
                      kept.length);
        text_release(&kept);
        session->waiting = WAIT_NONE;
        pass_client_end(session);
        return;
    }
    if (has_come(session))
        session->waiting = WAIT_NONE;
    if (session->waiting == WAIT_NONE && (session->client_kept.length || session->staged))
        process_kept(session);
    else
        pass_client_end(session);
}

size_t relay_follow(struct session *session, const uint8_t *data, size_t length)
{
    struct message_rest *rest = &session->server_rest;
    size_t at = 0;
    while (at < length) {
        size_t part = rest->left < length - at ? rest->left : length - at;
        rest->left -= part;
        at += part;
        if (at == length)
            break;
        switch (wire_frame_read(data + at, length - at, &rest->left)) {
        case WIRE_FRAME:
            break;
        case WIRE_NEED_MORE:
            return at;
        case WIRE_BAD_LENGTH: /* no message of PostgreSQL's: nothing of ours may follow it */
            rest->left = SIZE_MAX;
            break;
        }
    }
    return at;
}

/* From the server of a replication connection. */
static void relay_raw(struct session *session, uint8_t *data, size_t length)
{
    struct text *kept = &session->server_kept; /* part of a header */
    bool from_kept = kept->length > 0;
    if (from_kept) {
        keep(kept, data, length);
        data = (uint8_t *)kept->data;
        length = kept->length;
    }
    size_t whole = relay_follow(session, data, length);
    if (whole)
        raw_write(session, &session->client, &session->server, data, whole);
    if (session_is_over(session))
        return;
    if (from_kept)
        drop_kept(kept, whole);
    else
        keep(kept, data + whole, length - whole);
}

static void relay_server(struct session *session, uint8_t *data, size_t length)
{
    struct worker *worker = session->worker;
    bool was_waiting = session->waiting != WAIT_NONE;
    struct text *kept = &session->server_kept;
    bool from_kept = kept->length > 0;
    if (from_kept) {
        keep(kept, data, length);
        data = (uint8_t *)kept->data;
        length = kept->length;
    }
    output_begin(&worker->to_client, &session->client);
    size_t consumed = server_consume(session, data, length);
    enum stream_result result = output_flush(&worker->to_client);
    if (session_is_over(session))
        return;
    if (from_kept)
        drop_kept(kept, consumed);
    else
        keep(kept, data + consumed, length - consumed);
    if (result == STREAM_FULL)
        stream_read_stop(&session->server);
    if (result == STREAM_BROKEN)
        session_end(session, session_end_reason_of(session, SESSION_END_CLIENT_BROKEN), NULL);
    else if (was_waiting || session->state == SESSION_RAW) /* part of a message may be kept */
        session_continue(session);
}

/* It was let in while another process took over: it may say what it came for. */
static bool has_grace(const struct session *session)
{
    return session->worker->stopping == WORKER_HANDS_OVER && session->queries == 0;
}

/* The answer to a startup packet that Segue cannot read, in whatever form it is. */
static void pass_refusal(struct session *session, uint8_t *data, size_t length)
{
    if (!session->refusal_began && data[0] != 'E') {
        session_end(session, SESSION_END_SERVER_NONSENSE,
                    "the server took a startup packet that Segue does not understand");
        return;
    }
    session->refusal_began = session->server_said_fatal = true;
    raw_write(session, &session->client, &session->server, data, length);
}

static void on_server_read(struct stream *stream, uint8_t *data, size_t length)
{
    struct session *session = stream->owner;
    stat_add(&session->worker->stats.bytes_from_server, length);
    session->bytes_from_server += length;
    if (session->startup_is_bad && session->state == SESSION_LOGIN) {
        pass_refusal(session, data, length);
        return;
    }
    switch (session->state) {
    case SESSION_READY:
    case SESSION_LOGIN:
        relay_server(session, data, length);
        break;
    case SESSION_RAW:
        relay_raw(session, data, length);
        return;
    case SESSION_CONNECTING:
        upstream_on_answer(session, data, length);
        return;
    case SESSION_STARTUP:
        BUG("the server speaks before it is connected");
    case SESSION_CANCEL:
    case SESSION_ENDING:
        return;
    }
    if (worker_drains(session->worker) && session->state == SESSION_READY &&
        session_is_idle(session) && !has_grace(session))
        session_drain(session);
}

static void on_server_end(struct stream *stream, int status)
{
    struct session *session = stream->owner;
    if (session->state == SESSION_CANCEL) {
        session_end(session, SESSION_END_CANCEL_DELIVERED, NULL);
        return;
    }
    if (session->attempt && !session->refusal_began) {
        upstream_on_end(session);
        return;
    }
    if (status == UV_EOF) {
        session_end(session, session_end_reason_of(session, SESSION_END_SERVER_CLOSED), NULL);
        return;
    }
    char detail[128];
    snprintf(detail, sizeof detail, "the server's connection broke: %s", uv_strerror(status));
    enum session_end_reason reason = session_end_reason_of(session, SESSION_END_SERVER_BROKEN);
    session_end(session, reason, reason == SESSION_END_SERVER_BROKEN ? detail : NULL);
}

static void on_server_drained(struct stream *stream)
{
    struct session *session = stream->owner;
    if (!session_is_over(session) && session->client_kept.length <= SESSION_KEPT_MAX)
        stream_read_start(&session->client);
}

const struct stream_events relay_client_events = {
    .on_read = on_client_read,
    .on_end = on_client_end,
    .on_drained = on_client_drained,
    .on_secured = login_on_secured,
    .on_closed = session_on_client_closed,
};
const struct stream_events relay_server_events = {
    .on_read = on_server_read,
    .on_end = on_server_end,
    .on_drained = on_server_drained,
    .on_secured = upstream_on_secured,
    .on_closed = session_on_server_closed,
};
