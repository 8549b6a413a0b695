/*
 * The listener, and the jobs that outlive a turn of the loop. A job belongs to the console's list
 * from its start until its thread has ended, whether its client still lives or not.
 */
#include "console_private.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/config/socket_directory.h"
#include "segue/net/inherited.h"

#include <stdlib.h>

/* As systemd calls the console's sockets, and a process that hands them over. */
#define REMOTE_NAME "admin"
#define LOCAL_NAME  "admin_local"
enum { CONSOLE_BACKLOG = 64 };

/* ------------------------------------------------------------ the end */

/* Once nothing is left: no client, no job. */
static void on_wake_closed(uv_handle_t *handle)
{
    struct console *console = handle->data;
    if (console->on_closed)
        console->on_closed(console->on_closed_context);
}

static void end_if_nothing_is_left(struct console *console)
{
    if (!console->stopping || console->clients || console->jobs ||
        uv_is_closing((uv_handle_t *)&console->wake))
        return;
    uv_close((uv_handle_t *)&console->wake, on_wake_closed);
}

void console_stop(struct console *console, bool handed_over, void (*on_closed)(void *context),
                  void *context)
{
    console->stopping = true;
    console->on_closed = on_closed;
    console->on_closed_context = context;
    listener_close(&console->local, handed_over);
    listener_close(&console->remote, handed_over);
    struct client *next;
    for (struct client *client = console->clients; client; client = next) {
        next = client->next;
        if (client->state == CLIENT_READY) {
            struct error error;
            error_set(&error, "57P01", "terminating connection due to administrator command");
            wire_write_error(&client->out, "FATAL", &error);
            client_flush(client);
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
            break;
        }
    }
    console_announce(console);
    end_if_nothing_is_left(console);
}

void console_on_end(struct console *console, console_end *callback, void *context)
{
    console->on_end = callback;
    console->on_end_context = context;
}

void console_on_restart(struct console *console, console_restart *callback, void *context)
{
    console->restart = (struct restart){callback, context};
}

bool console_is_to_end(const struct console *console)
{
    return console->restart_answered || console->shutdown_answered;
}

void console_announce(struct console *console)
{
    bool restarts = console->restart_answered, shuts_down = console->shutdown_answered;
    console->restart_answered = console->shutdown_answered = false;
    if (!console->on_end || console->stopping)
        return;
    if (shuts_down)
        console->on_end(console->on_end_context, CONSOLE_SHUTDOWN);
    else if (restarts)
        console->on_end(console->on_end_context, CONSOLE_RESTART);
    if (console->stopping || (!shuts_down && !restarts))
        return;
    /* This process goes on after all, with what was behind the command. */
    for (struct client *client = console->clients; client; client = client->next)
        client->has_more |= client->state == CLIENT_READY;
    uv_async_send(&console->wake);
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

/* What users_file says now: it may have been read again since the login. */
static enum role role_of(const struct client *client)
{
    struct user user;
    if (access_find_user(client->console->access, client->user, &user))
        return user.role;
    return client->is_listed ? ROLE_VIEWER : client->role;
}

/* The one place where it is asked: both protocols come by here. */
static bool may_run(const struct client *client, const struct command *command, struct error *error)
{
    if (command->needs == ROLE_VIEWER || role_of(client) == ROLE_OPERATOR)
        return true;
    error_set(error, "42501", "permission denied for %s: user \"%s\" is a viewer", command->tag,
              client->user);
    error_hint(error, "A viewer may SHOW, CHECK, PLAN and REWRITE; an operator must do the rest.");
    return false;
}

struct job *console_run(struct console *console, struct client *client,
                        const struct statement *statement)
{
    struct job_order order = {.fleet = console->fleet,
                              .text = statement->source,
                              .user = client->user,
                              .who = client->who,
                              .restart = &console->restart,
                              .access = console->access,
                              .wake = &console->wake};
    struct job *job = job_new(&order);
    job->owner = client;
    if (!may_run(client, statement->command, &job->result.error)) {
        job_refuse(job);
        return job;
    }
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
                              .access = console->access,
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
    for (struct client *client = console->clients; client; client = client->next)
        if (client->has_more && !client->stream.is_full)
            client_go_on(client);
    end_if_nothing_is_left(console);
}

/* ------------------------------------------------------------ listening */

static void on_connection(struct listener *listener)
{
    client_accept(listener->owner, listener);
}

struct opening {
    struct console *console;
    const struct settings *settings;
    struct inherited_sockets *inherited; /* NULL: none */
};

/* A Unix socket's file lets everybody connect: who it is, its other end tells. */
static bool open_listener(const struct opening *opening, struct listener *listener,
                          const char *name, const char *address, struct error *error)
{
    struct console *console = opening->console;
    int port = opening->settings->admin.port;
    struct listener_place place = {.address = address,
                                   .port = port,
                                   .backlog = CONSOLE_BACKLOG,
                                   .mode = 0777,
                                   .probe = true,
                                   .socket = -1};
    if (opening->inherited && inherited_count(opening->inherited, name, address, port) > 0)
        place.socket = inherited_get(opening->inherited, name, address, port, 0);
    if (listener_open(listener, console->pool->loop, &place, on_connection, console, error))
        return true;
    error_hint(error, "Stop what listens there, or change section admin of segue.conf.");
    return false;
}

static bool open_local(const struct opening *opening, struct error *error)
{
    char *directory = socket_directory_make(opening->settings->admin.unix_socket_dir, error);
    bool opened =
        directory && open_listener(opening, &opening->console->local, LOCAL_NAME, directory, error);
    free(directory);
    return opened;
}

static bool open_both(const struct opening *opening, struct error *error)
{
    const struct settings *settings = opening->settings;
    return access_load(opening->console->access, settings, error) &&
           (!settings->admin.unix_socket_dir || open_local(opening, error)) &&
           (!settings->admin.address || open_listener(opening, &opening->console->remote,
                                                      REMOTE_NAME, settings->admin.address, error));
}

struct console *console_new(struct stream_pool *pool, struct fleet *fleet)
{
    struct console *console = NEW(struct console);
    console->pool = pool;
    console->fleet = fleet;
    console->access = access_new();
    BUG_ON(uv_async_init(pool->loop, &console->wake, on_wake) != 0);
    console->wake.data = console;
    return console;
}

bool console_open(struct console *console, struct inherited_sockets *inherited, struct error *error)
{
    struct settings *settings = fleet_settings(console->fleet);
    const struct opening opening = {console, settings, inherited};
    bool opened = settings->admin.port == 0 || open_both(&opening, error);
    settings_put(settings);
    return opened;
}

bool console_check(const struct settings *settings, struct error *error)
{
    return access_check(settings, error);
}

void console_free(struct console *console)
{
    if (!console)
        return;
    access_free(console->access);
    free(console);
}

static void start_listener(struct listener *listener)
{
    if (!listener->is_open)
        return;
    listener_start(listener);
    log_info("admin", "listens at %s port %d", listener->place.address, listener->place.port);
}

void console_start(struct console *console)
{
    start_listener(&console->local);
    start_listener(&console->remote);
}

static size_t add_socket(const struct listener *listener, const char *name, size_t count,
                         const char **names, int *sockets, size_t most)
{
    if (!listener->is_open || count == most)
        return count;
    names[count] = name;
    sockets[count] = listener->place.socket;
    return count + 1;
}

size_t console_sockets(const struct console *console, const char **names, int *sockets, size_t most)
{
    size_t count = add_socket(&console->local, LOCAL_NAME, 0, names, sockets, most);
    return add_socket(&console->remote, REMOTE_NAME, count, names, sockets, most);
}
