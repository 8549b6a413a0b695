/*
 * Bytes to and from a client. Reading stops when the input holds a whole message's worth that may
 * not be handled yet (a command runs, or the client does not read its answers), so what one client
 * costs is bounded. Nothing here waits.
 */
#include "admission.h"
#include "console_private.h"
#include "entrance.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { OUT_KEPT = 64 * 1024, FINISH_PATIENCE_MS = 10000 };

/* ------------------------------------------------------------ state */

void client_go_state(struct client *client, enum client_state state)
{
    static const char *const names[] = {"starting", "proving", "ready", "finishing", "closing"};
    BUG_ON(state <= client->state);
    log_debug(client->subject, "%s -> %s", names[client->state], names[state]);
    client->state = state;
}

static void drop_handle(struct client *client)
{
    if (--client->open_handles > 0)
        return;
    struct console *console = client->console;
    entrance_release(client);
    protocol_release(client);
    free(client->user);
    free(client->who);
    free(client->input);
    text_release(&client->out);
    console_forget(console, client);
    free(client);
}

static void on_timer_closed(uv_handle_t *handle)
{
    drop_handle(handle->data);
}

static void begin_closing(struct client *client)
{
    client_go_state(client, CLIENT_CLOSING);
    if (client->job) {
        atomic_store(&client->job->cancelled, true);
        client->job->owner = NULL;
        client->job = NULL;
    }
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

static void on_closed(struct stream *stream)
{
    struct client *client = stream->owner;
    if (client->state != CLIENT_CLOSING) /* it has taken the last word */
        begin_closing(client);
    drop_handle(client);
}

void client_end(struct client *client, const char *reason)
{
    if (client->state == CLIENT_CLOSING)
        return;
    log_debug(client->subject, "ends: %s", reason);
    begin_closing(client);
    stream_close(&client->stream);
}

static void on_patience_ended(uv_timer_t *timer)
{
    client_end(timer->data, "it does not take the last word");
}

void client_refuse(struct client *client, const struct error *error)
{
    log_warning(client->subject, "closed: %s", error->message);
    wire_write_error(&client->out, "FATAL", error);
    client_go_state(client, CLIENT_FINISHING);
    uv_timer_start(&client->timer, on_patience_ended, FINISH_PATIENCE_MS, 0);
}

void client_fail(struct client *client, const char *sqlstate, const char *format, ...)
{
    struct error error;
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_set(&error, sqlstate, "%s", message);
    client_refuse(client, &error);
}

void client_log_in(struct client *client, const char *user, enum role role)
{
    struct text who;
    text_init(&who, TEXT_UNBOUNDED);
    text_add_format(&who, "%s@%s", user, client->peer);
    client->user = memory_string(user);
    client->who = text_take(&who);
    client->role = role;
    snprintf(client->subject, sizeof client->subject, "A-%u %s", client->pid, client->who);
    uv_timer_stop(&client->timer);
    client_go_state(client, CLIENT_READY);
}

/* ------------------------------------------------------------ writing */

void client_flush(struct client *client)
{
    if (client->state == CLIENT_CLOSING)
        return;
    struct text *out = &client->out;
    if (out->overflow || stream_waiting(&client->stream) + out->length > CLIENT_QUEUED_MAX) {
        log_warning(client->subject, "closed: it does not read its answers");
        client_end(client, "too much is queued for it");
        return;
    }
    uv_buf_t buffer = uv_buf_init(out->data, (unsigned)out->length);
    if (out->length > 0 && stream_write(&client->stream, &buffer, 1) == STREAM_BROKEN) {
        client_end(client, "its connection broke");
        return;
    }
    if (out->capacity > OUT_KEPT)
        text_release(out);
    else
        text_clear(out);
    if (client->state == CLIENT_FINISHING)
        stream_finish(&client->stream);
}

/* ------------------------------------------------------------ reading */

static void keep_input(struct client *client, const uint8_t *data, size_t length)
{
    size_t needed = client->input_length + length;
    if (needed > client->input_capacity) {
        client->input_capacity = needed > client->input_capacity * 2 ? needed : needed * 2;
        client->input = memory_resize(client->input, client->input_capacity);
    }
    memcpy(client->input + client->input_length, data, length);
    client->input_length = needed;
}

static void steer_reading(struct client *client)
{
    if (client->state == CLIENT_CLOSING || client->state == CLIENT_FINISHING)
        return;
    if (client->input_length <= CLIENT_MESSAGE_MAX)
        stream_read_start(&client->stream);
    else
        stream_read_stop(&client->stream);
}

void client_go_on(struct client *client)
{
    size_t used = protocol_handle(client);
    BUG_ON(used > client->input_length);
    if (used > 0)
        memmove(client->input, client->input + used, client->input_length - used);
    client->input_length -= used;
    client_flush(client);
    steer_reading(client);
    if (client->has_more && !client->stream.is_full) /* else on_drained goes on */
        uv_async_send(&client->console->wake);
    console_announce(client->console);
}

static void on_read(struct stream *stream, uint8_t *data, size_t length)
{
    struct client *client = stream->owner;
    keep_input(client, data, length);
    client_go_on(client);
}

static void on_end(struct stream *stream, int status)
{
    client_end(stream->owner, status == UV_EOF ? "the client closed" : uv_strerror(status));
}

static void on_drained(struct stream *stream)
{
    struct client *client = stream->owner;
    if (client->state == CLIENT_READY)
        client_go_on(client);
}

static void on_secured(struct stream *stream, const struct error *error)
{
    struct client *client = stream->owner;
    if (client->state != CLIENT_STARTING)
        return;
    entrance_on_secured(client, error);
    client_flush(client);
}

void client_on_job(struct client *client, bool done)
{
    struct job *job = client->job;
    if (stream_waiting(&client->stream) <= CLIENT_QUEUED_HIGH)
        job_take_notices(job, &client->out);
    if (done) {
        job_take_notices(job, &client->out); /* those of the last moment */
        client->job = NULL;
        protocol_job_done(client, job);
        client_go_on(client);
    } else
        client_flush(client);
}

/* ------------------------------------------------------------ accepting */

static void name_peer(struct client *client)
{
    struct sockaddr_storage address;
    int length = sizeof address;
    char ip[INET6_ADDRSTRLEN] = "?";
    int port = 0;
    if (client->is_local) {
        snprintf(client->peer, sizeof client->peer, "local(uid=%u)", (unsigned)client->uid);
        client->source_length = strlen(client->peer);
        return;
    }
    if (uv_tcp_getpeername(&client->stream.tcp, (struct sockaddr *)&address, &length) == 0) {
        if (address.ss_family == AF_INET6) {
            const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
            uv_ip6_name(six, ip, sizeof ip);
            port = ntohs(six->sin6_port);
        } else {
            const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
            uv_ip4_name(four, ip, sizeof ip);
            port = ntohs(four->sin_port);
        }
    }
    snprintf(client->peer, sizeof client->peer, "%s:%d", ip, port);
    client->source_length = strlen(ip);
}

static void on_login_timeout(uv_timer_t *timer)
{
    struct client *client = timer->data;
    log_warning(client->subject, "closed: it did not log in in time");
    client_end(client, "login timeout");
}

static void open_handles(struct client *client, const struct listener *listener)
{
    static const struct stream_events events = {on_read, on_end, on_drained, on_secured, on_closed};
    struct stream_pool *pool = client->console->pool;
    if (listener->handle.type == UV_NAMED_PIPE)
        stream_init_pipe(&client->stream, pool->loop, pool, &events, client);
    else
        stream_init_tcp(&client->stream, pool->loop, pool, &events, client);
    BUG_ON(uv_timer_init(pool->loop, &client->timer) != 0);
    client->timer.data = client;
    client->open_handles = 2;
}

void client_accept(struct console *console, struct listener *listener)
{
    struct client *client = NEW(struct client);
    client->console = console;
    client->pid = (uint32_t)++console->next_id;
    arena_init(&client->arena);
    text_init(&client->out, CLIENT_QUEUED_MAX);
    open_handles(client, listener);
    client->next = console->clients;
    console->clients = client;
    snprintf(client->subject, sizeof client->subject, "A-%u", client->pid);
    if (!listener_accept(listener, &client->stream) ||
        getrandom(&client->key, sizeof client->key, 0) != sizeof client->key) {
        client_end(client, "it could not be accepted");
        return;
    }
    stream_connected(&client->stream);
    entrance_begin(client);
    name_peer(client);
    snprintf(client->subject, sizeof client->subject, "A-%u %s", client->pid, client->peer);
    struct settings *settings = fleet_settings(console->fleet);
    int timeout = settings->client_login_timeout;
    settings_put(settings);
    if (timeout > 0)
        uv_timer_start(&client->timer, on_login_timeout, (uint64_t)timeout * 1000, 0);
    struct error error;
    if (!admission_may_log_in(client, &error))
        client_refuse(client, &error);
    else if (!admission_is_privileged(client))
        admission_make_room(console, client);
    client_flush(client);
    steer_reading(client);
}
