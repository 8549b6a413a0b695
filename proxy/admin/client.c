/*
 * Bytes to and from a client. Reading stops when the input holds a whole message's worth that may
 * not be handled yet (a command runs, or the client does not read its answers), so what one client
 * costs is bounded. Nothing here waits.
 */
#include "console_private.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { READ_CHUNK = 16 * 1024, CLIENTS_MAX = 100 };

/* ------------------------------------------------------------ state */

static void go_state(struct client *client, enum client_state state)
{
    static const char *const names[] = {"starting", "ready", "finishing", "closing"};
    BUG_ON(state <= client->state);
    log_debug(client->subject, "%s -> %s", names[client->state], names[state]);
    client->state = state;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    if (--client->open_handles > 0)
        return;
    struct console *console = client->console;
    protocol_release(client);
    free(client->user);
    free(client->who);
    free(client->input);
    text_release(&client->out);
    console_forget(console, client);
    free(client);
}

void client_end(struct client *client, const char *reason)
{
    if (client->state == CLIENT_CLOSING)
        return;
    log_debug(client->subject, "ends: %s", reason);
    go_state(client, CLIENT_CLOSING);
    if (client->job) {
        atomic_store(&client->job->cancelled, true);
        client->job->owner = NULL;
        client->job = NULL;
    }
    uv_close(&client->stream.handle, on_handle_closed);
    uv_close((uv_handle_t *)&client->login_timer, on_handle_closed);
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
    log_warning(client->subject, "closed: %s", message);
    wire_write_error(&client->out, "FATAL", &error);
    go_state(client, CLIENT_FINISHING);
}

void client_log_in(struct client *client, const char *user)
{
    struct text who;
    text_init(&who, TEXT_UNBOUNDED);
    text_add_format(&who, "%s@%s", user, client->peer);
    client->user = memory_string(user);
    client->who = text_take(&who);
    snprintf(client->subject, sizeof client->subject, "A-%u %s", client->pid, client->who);
    uv_timer_stop(&client->login_timer);
    go_state(client, CLIENT_READY);
}

/* ------------------------------------------------------------ writing */

struct write {
    uv_write_t request;
    char *data;
    size_t length;
};

static void go_on(struct client *client);

static void on_written(uv_write_t *request, int status)
{
    struct write *write = request->data;
    struct client *client = request->handle->data;
    client->queued -= write->length;
    free(write->data);
    free(write);
    if (client->state == CLIENT_CLOSING)
        return;
    if (status < 0)
        client_end(client, uv_strerror(status));
    else if (client->queued > 0)
        return;
    else if (client->state == CLIENT_FINISHING)
        client_end(client, "told so");
    else if (client->console->shutdown_asked)
        console_announce_shutdown(client->console);
    else
        go_on(client);
}

void client_flush(struct client *client)
{
    if (client->state == CLIENT_CLOSING)
        return;
    if (client->out.overflow || client->queued + client->out.length > CLIENT_QUEUED_MAX) {
        log_warning(client->subject, "closed: it does not read its answers");
        client_end(client, "too much is queued for it");
        return;
    }
    if (client->out.length == 0) {
        if (client->state == CLIENT_FINISHING && client->queued == 0)
            client_end(client, "finished");
        return;
    }
    struct write *write = NEW(struct write);
    write->request.data = write;
    write->length = client->out.length;
    write->data = text_take(&client->out);
    client->queued += write->length;
    uv_buf_t buffer = uv_buf_init(write->data, (unsigned)write->length);
    int status = uv_write(&write->request, &client->stream.stream, &buffer, 1, on_written);
    if (status == 0)
        return;
    client->queued -= write->length;
    free(write->data);
    free(write);
    client_end(client, uv_strerror(status));
}

/* ------------------------------------------------------------ reading */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct client *client = handle->data;
    if (client->input_capacity - client->input_length < READ_CHUNK) {
        client->input_capacity = client->input_length + READ_CHUNK;
        if (client->input_capacity < client->input_length * 2)
            client->input_capacity = client->input_length * 2;
        client->input = memory_resize(client->input, client->input_capacity);
    }
    *buffer = uv_buf_init((char *)client->input + client->input_length, READ_CHUNK);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    (void)buffer;
    struct client *client = stream->data;
    if (client->state == CLIENT_CLOSING)
        return;
    if (count < 0) {
        client_end(client, count == UV_EOF ? "the client closed" : uv_strerror((int)count));
        return;
    }
    client->input_length += (size_t)count;
    go_on(client);
}

static void steer_reading(struct client *client)
{
    if (client->state == CLIENT_CLOSING)
        return;
    bool wanted = client->state != CLIENT_FINISHING && client->input_length <= CLIENT_MESSAGE_MAX;
    if (wanted == client->reading)
        return;
    client->reading = wanted;
    if (wanted)
        BUG_ON(uv_read_start(&client->stream.stream, on_allocate, on_read) != 0);
    else
        uv_read_stop(&client->stream.stream);
}

/* Handles what there is, sends what came of it, and reads on or not. */
static void go_on(struct client *client)
{
    size_t used = protocol_handle(client);
    BUG_ON(used > client->input_length);
    if (used > 0)
        memmove(client->input, client->input + used, client->input_length - used);
    client->input_length -= used;
    client_flush(client);
    steer_reading(client);
}

void client_on_job(struct client *client, bool done)
{
    struct job *job = client->job;
    if (client->queued <= CLIENT_QUEUED_HIGH)
        job_take_notices(job, &client->out);
    if (done) {
        job_take_notices(job, &client->out); /* those of the last moment */
        client->job = NULL;
        protocol_job_done(client, job);
        go_on(client);
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
    if (client->stream.handle.type == UV_NAMED_PIPE) {
        snprintf(client->peer, sizeof client->peer, "local");
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
}

static void on_login_timeout(uv_timer_t *timer)
{
    struct client *client = timer->data;
    log_warning(client->subject, "closed: it did not log in in time");
    client_end(client, "login timeout");
}

static void open_handles(struct client *client, bool is_pipe)
{
    uv_loop_t *loop = client->console->loop;
    if (is_pipe)
        BUG_ON(uv_pipe_init(loop, &client->stream.pipe, 0) != 0);
    else
        BUG_ON(uv_tcp_init(loop, &client->stream.tcp) != 0);
    BUG_ON(uv_timer_init(loop, &client->login_timer) != 0);
    client->open_handles = 2;
    client->stream.handle.data = client;
    client->login_timer.data = client;
}

void client_accept(struct console *console, uv_stream_t *listener, bool is_pipe)
{
    struct client *client = NEW(struct client);
    client->console = console;
    client->pid = (uint32_t)++console->next_id;
    arena_init(&client->arena);
    text_init(&client->out, CLIENT_QUEUED_MAX);
    open_handles(client, is_pipe);
    client->next = console->clients;
    console->clients = client;
    console->client_count++;
    snprintf(client->subject, sizeof client->subject, "A-%u", client->pid);
    if (uv_accept(listener, &client->stream.stream) != 0 ||
        getrandom(&client->key, sizeof client->key, 0) != sizeof client->key) {
        client_end(client, "it could not be accepted");
        return;
    }
    name_peer(client);
    snprintf(client->subject, sizeof client->subject, "A-%u %s", client->pid, client->peer);
    if (!is_pipe) {
        uv_tcp_nodelay(&client->stream.tcp, 1);
        uv_tcp_keepalive(&client->stream.tcp, 1, 60);
    }
    struct settings *settings = fleet_settings(console->fleet);
    int timeout = settings->client_login_timeout;
    settings_free(settings);
    if (timeout > 0)
        uv_timer_start(&client->login_timer, on_login_timeout, (uint64_t)timeout * 1000, 0);
    if (console->client_count > CLIENTS_MAX)
        client_fail(client, "53300", "the admin console has %d connections already", CLIENTS_MAX);
    client_flush(client);
    steer_reading(client);
}
