/*
 * The listener, and the jobs that outlive a turn of the loop. A job belongs to the console's list
 * from its start until its thread has ended, whether its client still lives or not.
 */
#include "console_private.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/net/unix_socket.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* As systemd calls the console's socket, and a process that hands it over. */
#define CONSOLE_NAME "admin"
enum { CONSOLE_BACKLOG = 64 };

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

static void end_if_nothing_is_left(struct console *console)
{
    if (!console->stopping || console->clients || console->jobs ||
        uv_is_closing((uv_handle_t *)&console->wake))
        return;
    uv_close((uv_handle_t *)&console->wake, on_handle_closed);
}

void console_stop(struct console *console, bool handed_over, void (*on_closed)(void *context),
                  void *context)
{
    console->stopping = true;
    console->on_closed = on_closed;
    console->on_closed_context = context;
    listener_close(&console->listener, handed_over);
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

void console_on_restart(struct console *console, console_restart *callback, void *context)
{
    console->restart = (struct restart){callback, context};
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
                              .restart = &console->restart,
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

static void on_connection(struct listener *listener)
{
    struct console *console = listener->owner;
    client_accept(console, &listener->stream, unix_socket_is_meant(listener->place.address));
}

static bool is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool refuse_to_listen(const char *address, struct error *error)
{
    error_set(error, "28000", "the admin console refuses to listen at %s: it has no authentication",
              address);
    error_hint(error, "Set admin { address = \"127.0.0.1\" }, or a directory for a Unix socket.");
    return false;
}

/* Of a path the file's mode is all the authentication there is: only the process's own user may
 * connect. */
static bool open_listener(struct console *console, const struct settings *settings,
                          struct inherited_sockets *inherited, struct error *error)
{
    const char *address = settings->admin.address;
    int port = settings->admin.port;
    if (!unix_socket_is_meant(address) && !is_loopback(address))
        return refuse_to_listen(address, error);
    struct listener_place place = {.address = address,
                                   .port = port,
                                   .backlog = CONSOLE_BACKLOG,
                                   .mode = 0700,
                                   .probe = true,
                                   .socket = -1};
    if (inherited && inherited_count(inherited, CONSOLE_NAME, address, port) > 0)
        place.socket = inherited_get(inherited, CONSOLE_NAME, address, port, 0);
    if (!listener_open(&console->listener, console->loop, &place, on_connection, console, error)) {
        error_hint(error, "Stop what listens there, or change admin { address = .. port = .. }.");
        return false;
    }
    return true;
}

struct console *console_open(uv_loop_t *loop, struct fleet *fleet,
                             struct inherited_sockets *inherited, struct error *error)
{
    struct settings *settings = fleet_settings(fleet);
    struct console *console = NEW(struct console);
    console->loop = loop;
    console->fleet = fleet;
    console->paused = memory_zero(settings->database_count + 1, sizeof *console->paused);
    BUG_ON(uv_async_init(loop, &console->wake, on_wake) != 0);
    console->wake.data = console;
    console->open_handles = 1;
    bool opened = settings->admin.port == 0 || open_listener(console, settings, inherited, error);
    settings_free(settings);
    if (opened)
        return console;
    console_stop(console, false, NULL, NULL); /* what is open closes as the loop runs on */
    return NULL;
}

void console_start(struct console *console)
{
    if (!console->listener.is_open)
        return;
    listener_start(&console->listener);
    log_info("admin", "listens at %s port %d", console->listener.place.address,
             console->listener.place.port);
}

size_t console_sockets(const struct console *console, const char **names, int *sockets, size_t most)
{
    if (!console->listener.is_open || most == 0)
        return 0;
    names[0] = CONSOLE_NAME;
    sockets[0] = console->listener.place.socket;
    return 1;
}
