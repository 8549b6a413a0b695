/*
 * The listener, and the jobs that outlive a turn of the loop. A job belongs to the console's list
 * from its start until its thread has ended, whether its client still lives or not.
 */
#include "console_private.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ------------------------------------------------------------ the end */

/* Once nothing is left: no client, no job; then the handles of the console itself. */
static void on_handle_closed(uv_handle_t *handle)
{
    struct console *console = handle->data;
    if (--console->open_handles > 0)
        return;
    void (*on_closed)(void *context) = console->on_closed;
    void *context = console->on_closed_context;
    free(console->paused);
    free(console);
    if (on_closed)
        on_closed(context);
}

static void close_listener(struct console *console)
{
    if (console->listening)
        uv_close(&console->listener.handle, on_handle_closed);
    console->listening = false;
}

static void end_if_nothing_is_left(struct console *console)
{
    if (!console->stopping || console->clients || console->jobs ||
        uv_is_closing((uv_handle_t *)&console->wake))
        return;
    uv_close((uv_handle_t *)&console->wake, on_handle_closed);
}

void console_stop(struct console *console, void (*on_closed)(void *context), void *context)
{
    console->stopping = true;
    console->on_closed = on_closed;
    console->on_closed_context = context;
    close_listener(console);
    struct client *next;
    for (struct client *client = console->clients; client; client = next) {
        next = client->next;
        if (client->state == CLIENT_READY && client->queued == 0) {
            struct error error;
            error_set(&error, "57P01", "terminating connection due to administrator command");
            wire_write_error(&client->out, "FATAL", &error);
            uv_buf_t buffer = uv_buf_init(client->out.data, (unsigned)client->out.length);
            uv_try_write(&client->stream.stream, &buffer, 1);
        }
        client_end(client, "the process ends");
    }
    for (struct job *job = console->jobs; job; job = job->next)
        atomic_store(&job->cancelled, true);
    end_if_nothing_is_left(console);
}

void console_forget(struct console *console, struct client *client)
{
    for (struct client **link = &console->clients; *link; link = &(*link)->next) {
        if (*link == client) {
            *link = client->next;
            console->client_count--;
            break;
        }
    }
    if (console->shutdown_asked)
        console_announce_shutdown(console);
    end_if_nothing_is_left(console);
}

void console_on_shutdown(struct console *console, void (*callback)(void *context), void *context)
{
    console->on_shutdown = callback;
    console->on_shutdown_context = context;
}

void console_announce_shutdown(struct console *console)
{
    console->shutdown_asked = false;
    if (console->on_shutdown && !console->stopping)
        console->on_shutdown(console->on_shutdown_context);
}

/* ------------------------------------------------------------ jobs */

void console_cancel(struct console *console, uint32_t pid, uint32_t key)
{
    for (struct client *client = console->clients; client; client = client->next) {
        if (client->pid != pid || client->key != key || client->state != CLIENT_READY)
            continue;
        log_info(client->subject, "asked to cancel");
        if (client->job)
            atomic_store(&client->job->cancelled, true);
        return;
    }
}

struct job *console_run(struct console *console, struct client *client,
                        const struct statement *statement)
{
    struct job_order order = {.fleet = console->fleet,
                              .text = statement->source,
                              .user = client->user,
                              .who = client->who,
                              .paused = console->paused,
                              .wake = &console->wake};
    struct job *job = job_new(&order);
    job->owner = client;
    if (job_run(job))
        return job;
    client->job = job;
    job->next = console->jobs;
    console->jobs = job;
    return NULL;
}

/* Nobody waits for it: what it finds is in the log. */
void console_reload(struct console *console)
{
    static const char command[] = "RELOAD";
    struct job_order order = {.fleet = console->fleet,
                              .text = {command, sizeof command - 1},
                              .user = "SIGHUP",
                              .who = "SIGHUP",
                              .paused = console->paused,
                              .wake = &console->wake};
    if (console->stopping)
        return;
    struct job *job = job_new(&order);
    if (job_run(job)) {
        log_error("admin", "SIGHUP: %s", job->result.error.message); /* no thread could be had */
        job_free(job);
        return;
    }
    job->next = console->jobs;
    console->jobs = job;
}

static void unlink_job(struct console *console, struct job *job)
{
    struct job **link = &console->jobs;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    job->next = NULL;
}

static void on_wake(uv_async_t *handle)
{
    struct console *console = handle->data;
    struct job *next;
    for (struct job *job = console->jobs; job; job = next) {
        next = job->next;
        /* Asked once: a job that ends from here on wakes the loop again. */
        bool done = job_is_done(job);
        struct client *client = job->owner;
        if (done)
            unlink_job(console, job);
        if (client)
            client_on_job(client,
                          done); /* frees the job, or keeps it with a portal, when it is done */
        else if (done)
            job_free(job);
    }
    end_if_nothing_is_left(console);
}

/* ------------------------------------------------------------ listening */

static void on_connection(uv_stream_t *listener, int status)
{
    struct console *console = listener->data;
    if (status < 0)
        log_warning("admin", "a connection could not be accepted: %s", uv_strerror(status));
    else
        client_accept(console, listener, console->is_pipe);
}

static bool is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool fail_to_listen(const char *place, int status, struct error *error)
{
    error_set(error, status == UV_EADDRINUSE ? "55006" : "58000",
              "the admin console cannot listen at %s: %s", place, uv_strerror(status));
    error_hint(error, status == UV_EADDRINUSE
                          ? "Another process is there: stop it, or change admin { port = .. }."
                          : "Check admin { address = .. port = .. } in segue.conf.");
    return false;
}

static bool listen_tcp(struct console *console, const char *address, int port, struct error *error)
{
    if (!is_loopback(address)) {
        error_set(error, "28000",
                  "the admin console refuses to listen at %s: it has no authentication", address);
        error_hint(error, "Set admin { address = \"127.0.0.1\" }, or a directory for a Unix "
                          "socket.");
        return false;
    }
    struct sockaddr_storage where;
    char place[80];
    snprintf(place, sizeof place, "%s port %d", address, port);
    if (uv_ip4_addr(address, port, (struct sockaddr_in *)&where) != 0)
        BUG_ON(uv_ip6_addr(address, port, (struct sockaddr_in6 *)&where) != 0);
    BUG_ON(uv_tcp_init(console->loop, &console->listener.tcp) != 0);
    console->listener.handle.data = console;
    console->listening = true;
    console->open_handles++;
    int status = uv_tcp_bind(&console->listener.tcp, (const struct sockaddr *)&where, 0);
    if (status == 0)
        status = uv_listen(&console->listener.stream, 64, on_connection);
    if (status != 0)
        return fail_to_listen(place, status, error);
    log_info("admin", "listens at %s", place);
    return true;
}

/* A socket file that nobody listens at any more, left by a process that was killed. */
static void remove_stale_socket(const char *path)
{
    struct stat status;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode) ||
        strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return;
    bool dead =
        connect(probe, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
    close(probe);
    if (dead && unlink(path) == 0)
        log_info("admin", "removed %s, which a process that is gone left", path);
}

/* The file's mode is all the authentication there is: only the process's own user may connect. */
static bool listen_pipe(struct console *console, const char *directory, int port,
                        struct error *error)
{
    char path[128];
    snprintf(path, sizeof path, "%s/.s.PGSQL.%d", directory, port);
    remove_stale_socket(path);
    BUG_ON(uv_pipe_init(console->loop, &console->listener.pipe, 0) != 0);
    console->listener.handle.data = console;
    console->listening = true;
    console->is_pipe = true;
    console->open_handles++;
    mode_t before = umask(0077);
    int status = uv_pipe_bind(&console->listener.pipe, path);
    umask(before);
    if (status == 0)
        status = uv_listen(&console->listener.stream, 64, on_connection);
    if (status != 0)
        return fail_to_listen(path, status, error);
    log_info("admin", "listens at %s", path);
    return true;
}

struct console *console_start(uv_loop_t *loop, struct fleet *fleet, struct error *error)
{
    struct settings *settings = fleet_settings(fleet);
    struct console *console = NEW(struct console);
    console->loop = loop;
    console->fleet = fleet;
    console->paused = memory_zero(settings->database_count + 1, sizeof *console->paused);
    BUG_ON(uv_async_init(loop, &console->wake, on_wake) != 0);
    console->wake.data = console;
    console->open_handles = 1;
    bool listening = settings->admin.port == 0 ||
                     (settings->admin.address[0] == '/' ? listen_pipe : listen_tcp)(
                         console, settings->admin.address, settings->admin.port, error);
    settings_free(settings);
    if (listening)
        return console;
    console_stop(console, NULL, NULL); /* what is open closes as the loop runs on */
    return NULL;
}
