/*
 * Life of a session: accept, the two connections and what comes in on them, and one ending.
 *
 * Bytes are relayed straight from the worker's read buffer. Only what must be whole to be looked
 * at, or must wait, is kept in the session, and given back as soon as it is gone. The two
 * directions never stop each other, save that a producer whose consumer is slow is not read from.
 */
#include "session.h"

#include "cancel.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/net/unix_socket.h"
#include "segue/wire/message.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic uint64_t last_id;

/* ---------------------------------------------------------------- states */

static const char *state_name(enum session_state state)
{
    switch (state) {
    case SESSION_STARTUP:
        return "startup";
    case SESSION_CONNECTING:
        return "connecting";
    case SESSION_LOGIN:
        return "login";
    case SESSION_READY:
        return "ready";
    case SESSION_RAW:
        return "replication";
    case SESSION_CANCEL:
        return "cancel";
    case SESSION_ENDING:
        return "ending";
    }
    BUG("session state %d", (int)state);
}

static bool move_is_legal(enum session_state from, enum session_state to)
{
    switch (from) {
    case SESSION_STARTUP:
        return to == SESSION_CONNECTING || to == SESSION_ENDING;
    case SESSION_CONNECTING:
        return to == SESSION_LOGIN || to == SESSION_CANCEL || to == SESSION_ENDING;
    case SESSION_LOGIN:
        return to == SESSION_READY || to == SESSION_RAW || to == SESSION_ENDING ||
               to == SESSION_CONNECTING; /* to another server */
    case SESSION_READY:
    case SESSION_RAW:
    case SESSION_CANCEL:
        return to == SESSION_ENDING;
    case SESSION_ENDING:
        return false;
    }
    BUG("session state %d", (int)from);
}

static uint64_t seconds_from_now(struct session *session, int seconds)
{
    return seconds > 0 ? uv_now(&session->worker->loop) + (uint64_t)seconds * 1000 : 0;
}

/* Of the login as a whole, counted from the accept; but a server is to say something before. */
static uint64_t login_deadline(struct session *session)
{
    uint64_t whole = session->login_deadline;
    if (!session->attempt || session->attempt->heard)
        return whole;
    uint64_t first =
        seconds_from_now(session, session->configuration->settings->server_connect_timeout);
    return whole && whole < first ? whole : first;
}

static uint64_t connect_deadline(struct session *session, const struct settings *settings)
{
    uint64_t connected = seconds_from_now(session, settings->server_connect_timeout);
    uint64_t whole = session->is_cancel ? session->login_deadline : 0;
    return whole && whole < connected ? whole : connected;
}

void session_become_cancel(struct session *session)
{
    session->is_cancel = true;
    session->login_deadline =
        seconds_from_now(session, session->configuration->settings->cancel_wait_timeout);
}

static uint64_t deadline_of(struct session *session, enum session_state state)
{
    const struct settings *settings = session->configuration->settings;
    switch (state) {
    case SESSION_STARTUP:
        session->login_deadline = seconds_from_now(session, settings->client_login_timeout);
        return session->login_deadline;
    case SESSION_CONNECTING:
        return connect_deadline(session, settings);
    case SESSION_CANCEL:
        return session->login_deadline;
    case SESSION_LOGIN:
        return login_deadline(session);
    case SESSION_READY:
    case SESSION_RAW:
        return 0;
    case SESSION_ENDING:
        session->login_deadline = uv_now(&session->worker->loop) + SESSION_ENDING_MS;
        return uv_now(&session->worker->loop) + SESSION_LINGER_MS;
    }
    BUG("session state %d", (int)state);
}

static bool has_deadline(enum session_state state)
{
    return state != SESSION_READY && state != SESSION_RAW;
}

void session_go_state(struct session *session, enum session_state state)
{
    BUG_ON(!move_is_legal(session->state, state));
    if (log_enabled(LOG_DEBUG)) {
        char subject[256];
        session_subject(session, subject, sizeof subject);
        log_debug(subject, "%s -> %s", state_name(session->state), state_name(state));
    }
    struct worker *worker = session->worker;
    LIST_REMOVE(session, link);
    session->state = state;
    session->deadline = deadline_of(session, state);
    if (has_deadline(state)) {
        LIST_INSERT_HEAD(&worker->timed, session, link);
        worker_need_tick(worker);
    } else {
        LIST_INSERT_HEAD(&worker->relaying, session, link);
        overtime_begin(session);
        if (worker->looks_for_overtime)
            worker_need_tick(worker);
    }
}

void session_restart_deadline(struct session *session)
{
    session->deadline = deadline_of(session, session->state);
}

void session_subject(const struct session *session, char *buffer, size_t size)
{
    snprintf(buffer, size, "C-%llu %s/%s@%s", (unsigned long long)session->id,
             session->database_name ? session->database_name : "?",
             session->user ? session->user : "?", session->address);
}

bool session_is_idle(const struct session *session)
{
    return session->transaction == 'I' && session->queue.count == 0 && !session->batch_open;
}

/* ---------------------------------------------------------------- accept */

static void describe_peer(struct session *session)
{
    struct sockaddr_storage peer;
    int length = sizeof peer;
    if (session->client.handle.type != UV_TCP ||
        uv_tcp_getpeername(&session->client.tcp, (struct sockaddr *)&peer, &length) != 0) {
        snprintf(session->address, sizeof session->address, "local");
        return;
    }
    char ip[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer;
    if (peer.ss_family == AF_INET6)
        uv_ip6_name(v6, ip, sizeof ip);
    else
        uv_ip4_name(v4, ip, sizeof ip);
    snprintf(session->address, sizeof session->address,
             peer.ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", ip,
             ntohs(peer.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port));
}

static void init(struct session *session, struct worker_listener *listener)
{
    session->worker = listener->worker;
    session->port_shape = listener->shape;
    session->configuration = configuration_get(listener->worker->configuration);
    session->id = atomic_fetch_add(&last_id, 1) + 1;
    session->connected_ms = clock_real_ms();
    session->transaction = 'I';
    session->standard_strings = true;
    session->encoding_is_safe = true;
    session->encoding_is_utf8 = true;
    text_init(&session->client_kept, TEXT_UNBOUNDED);
    text_init(&session->server_kept, TEXT_UNBOUNDED);
    request_queue_init(&session->queue);
    prepared_map_init(&session->prepared, &listener->worker->sources);
    LIST_INIT(&session->portals);
}

struct session *session_new(struct worker_listener *listener)
{
    struct worker *worker = listener->worker;
    struct session *session = NEW(struct session);
    init(session, listener);
    if (listener->is_unix)
        stream_init_pipe(&session->client, &worker->loop, &worker->pool, &relay_client_events,
                         session);
    else
        stream_init_tcp(&session->client, &worker->loop, &worker->pool, &relay_client_events,
                        session);
    session->handles = 1;
    worker->session_count++;
    stat_add(&worker->stats.clients_accepted, 1);
    stat_add(&worker->stats.clients_now, 1);
    session->state = SESSION_STARTUP;
    session->deadline = deadline_of(session, SESSION_STARTUP);
    LIST_INSERT_HEAD(&worker->timed, session, link);
    worker_need_tick(worker);
    snprintf(session->address, sizeof session->address, "?");
    return session;
}

void session_accept(struct worker_listener *listener)
{
    struct session *session = session_new(listener);
    if (!listener_accept(&listener->listener, &session->client)) {
        session_end(session, SESSION_END_CLIENT_BROKEN, "it was gone before it was accepted");
        return;
    }
    describe_peer(session);
    stream_connected(&session->client);
    stream_read_start(&session->client);
}

/* ---------------------------------------------------------------- the end */

static void release(struct session *session)
{
    struct worker *worker = session->worker;
    LIST_REMOVE(session, link);
    if (session->counted)
        worker_dismiss_client();
    text_release(&session->client_kept);
    text_release(&session->server_kept);
    free(session->user);
    free(session->database_name);
    free(session->application);
    free(session->server_encoding);
    free(session->client_encoding);
    free(session->date_style);
    free(session->interval_style);
    free(session->startup_shape);
    cancel_key_remove(session->cancel_key);
    admission_give_back(session->user_place);
    admission_give_back(session->database_place);
    configuration_put(session->configuration);
    free(session);
    worker_session_gone(worker);
}

/* What belongs to the worker goes at once; the memory of the handles when they are closed. */
static void release_rewriting(struct session *session)
{
    parse_thread_abandon(session);
    request_release_all(session);
    session_close_portals(session);
    enlist_release(session);
    authentication_release(session);
    staging_release(session);
    rewriting_unpin(session);
    prepared_map_release(&session->prepared);
    shape_list_release(&session->shapes);
    resolution_put(session->worker->resolutions, session->resolution);
    session->resolution = NULL;
    free(session->shape_error);
    session->shape_error = NULL;
}

static void close_server(struct session *session)
{
    upstream_cancel(session);
    if (session->handles > 0 && session->server.is_open)
        stream_close(&session->server);
}

enum session_end_reason session_end_reason_of(const struct session *session,
                                              enum session_end_reason otherwise)
{
    if (session->client_broke_protocol)
        return SESSION_END_PROTOCOL_VIOLATION;
    if (session->server_said_fatal)
        return session->state == SESSION_LOGIN ? SESSION_END_LOGIN_FAILED
                                               : SESSION_END_SERVER_TERMINATED;
    if (session->said_terminate)
        return SESSION_END_CLIENT_TERMINATE;
    return session->client_left ? SESSION_END_CLIENT_CLOSED : otherwise;
}

static void log_end(const struct session *session, enum session_end_reason reason,
                    const char *detail)
{
    enum log_level level = session->is_cancel ? LOG_DEBUG : LOG_INFO;
    if (!log_enabled(level))
        return;
    char subject[256];
    session_subject(session, subject, sizeof subject);
    bool had_logged_in = session->state == SESSION_READY || session->state == SESSION_RAW;
    uint64_t now = clock_real_ms(); /* which may have been set back */
    uint64_t lived = now > session->connected_ms ? now - session->connected_ms : 0;
    log_write(level, subject,
              "%s, %s: %s (after %llu.%03u s, %llu bytes from the client, %llu from the server)",
              had_logged_in ? "ended" : "ended before it was logged in", session_end_name(reason),
              detail ? detail : session_end_description(reason), (unsigned long long)lived / 1000,
              (unsigned)(lived % 1000), (unsigned long long)session->bytes_from_client,
              (unsigned long long)session->bytes_from_server);
}

/* The client gets what is on its way, then both connections close. */
void session_end(struct session *session, enum session_end_reason reason, const char *detail)
{
    if (session_is_over(session))
        return;
    if (session->is_cancel && reason != SESSION_END_CANCEL_DELIVERED)
        reason = SESSION_END_CANCEL_FAILED;
    log_end(session, reason, detail);
    stat_add(&session->worker->stats.ended[reason], 1);
    stat_add(&session->worker->stats.clients_now, (uint64_t)-1);
    session_go_state(session, SESSION_ENDING);
    release_rewriting(session);
    close_server(session);
    stream_read_stop(&session->client);
    stream_finish(&session->client);
}

void session_send_client(struct session *session, const struct text *text)
{
    uv_buf_t buffer = uv_buf_init(text->data, (unsigned)text->length);
    stream_write(&session->client, &buffer, 1); /* a broken client is told by its reading side */
}

void session_refuse(struct session *session, enum session_end_reason reason,
                    const struct error *error)
{
    if (session_is_over(session))
        return;
    if (session->server_rest.left == 0) {
        struct text message;
        text_init(&message, TEXT_UNBOUNDED);
        wire_write_error(&message, "FATAL", error);
        session_send_client(session, &message);
        text_release(&message);
    }
    session_end(session, reason, error->message);
}

void session_let_go(struct session *session)
{
    BUG_ON(session->handles == 0);
    if (--session->handles == 0)
        release(session);
}

void session_on_client_closed(struct stream *stream)
{
    session_let_go(stream->owner);
}

void session_on_server_closed(struct stream *stream)
{
    struct session *session = stream->owner;
    if (!upstream_on_closed(session))
        session_let_go(session);
}

static bool login_is_over_time(const struct session *session)
{
    return session->login_deadline && session->login_deadline <= uv_now(&session->worker->loop);
}

void session_on_deadline(struct session *session)
{
    struct error error;
    bool server_is_silent = session->attempt && !session->attempt->heard;
    if (server_is_silent && !login_is_over_time(session)) {
        upstream_on_deadline(session);
        return;
    }
    switch (session->state) {
    case SESSION_CONNECTING:
    case SESSION_STARTUP:
    case SESSION_LOGIN:
        error_set(&error, "08006", "login was not complete within %d seconds",
                  session->configuration->settings->client_login_timeout);
        session_refuse(session, SESSION_END_LOGIN_TIMEOUT, &error);
        return;
    case SESSION_ENDING: /* while the client takes what waits for it, it may */
        if (stream_waiting(&session->client) > 0 &&
            uv_now(&session->worker->loop) < session->login_deadline)
            session->deadline = uv_now(&session->worker->loop) + SESSION_LINGER_MS;
        else
            stream_close(&session->client);
        return;
    case SESSION_CANCEL:
        session_end(session, SESSION_END_CANCEL_FAILED, "the server did not take it in time");
        return;
    case SESSION_READY:
    case SESSION_RAW:
        BUG("a deadline in state %s", state_name(session->state));
    }
}

void session_drain(struct session *session)
{
    struct error error;
    error_set(&error, "57P01", "terminating connection because Segue is shutting down");
    session_refuse(session, session_end_reason_of(session, SESSION_END_SHUTDOWN), &error);
}

void session_kill(struct session *session)
{
    struct error error;
    error_set(&error, "57P01", "terminating connection due to administrator command");
    session_refuse(session, SESSION_END_KILLED, &error);
}

void session_init_server(struct session *session, bool is_unix)
{
    struct worker *worker = session->worker;
    if (is_unix)
        stream_init_pipe(&session->server, &worker->loop, &worker->pool, &relay_server_events,
                         session);
    else
        stream_init_tcp(&session->server, &worker->loop, &worker->pool, &relay_server_events,
                        session);
}
