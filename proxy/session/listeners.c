/*
 * Of what was handed over, all is spread over the workers, so that no connection that waits at one
 * of the sockets is left. A worker for which there is none opens its own where that is possible, or
 * shares one. A path has one listener.
 */
#include "listeners.h"

#include "segue/base/memory.h"
#include "segue/net/unix_socket.h"

#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void on_connection(struct listener *listener)
{
    session_accept(listener->owner);
}

/* Which of the settings' listeners, and what of it was handed over. */
struct wanted {
    const struct settings_listener *settings;
    size_t index;
    struct inherited_sockets *inherited; /* NULL: nothing */
    size_t count;                        /* of its sockets there */
};

static struct wanted want(const struct worker *worker, size_t index,
                          struct inherited_sockets *inherited)
{
    const struct settings_listener *settings = &worker->settings->listeners[index];
    size_t count =
        inherited ? inherited_count(inherited, settings->name, settings->address, settings->port)
                  : 0;
    return (struct wanted){settings, index, inherited, count};
}

/* Adds one; `socket` listens already, or is -1. */
static bool add(struct worker *worker, const struct wanted *wanted, int socket, struct error *error)
{
    struct worker_listener *listener = &worker->listeners[worker->opened_count];
    *listener = (struct worker_listener){.worker = worker,
                                         .shape = wanted->settings->shape,
                                         .is_unix = unix_socket_is_meant(wanted->settings->address),
                                         .index = wanted->index};
    /* A path as PostgreSQL's own: who may log in is for the server to say, not for its mode. */
    struct listener_place place = {.address = wanted->settings->address,
                                   .port = wanted->settings->port,
                                   .backlog = worker->settings->backlog,
                                   .mode = 0777,
                                   .probe = worker->index == 0,
                                   .socket = socket};
    if (!listener_open(&listener->listener, &worker->loop, &place, on_connection, listener, error))
        return false;
    listener->name = memory_string(wanted->settings->name);
    worker->opened_count++;
    return true;
}

static bool inherit(struct worker *worker, const struct wanted *wanted, size_t which,
                    struct error *error)
{
    const struct settings_listener *settings = wanted->settings;
    int socket =
        inherited_get(wanted->inherited, settings->name, settings->address, settings->port, which);
    if (socket >= 0)
        return add(worker, wanted, socket, error);
    error_set(error, "58000", "the socket of listener \"%s\" cannot be taken over: %s",
              settings->name, strerror(errno));
    return false;
}

static bool open_wanted(struct worker *worker, const struct wanted *wanted, struct error *error)
{
    const struct settings_listener *settings = wanted->settings;
    size_t workers =
        unix_socket_is_meant(settings->address) ? 1 : (size_t)worker->settings->workers;
    if (worker->index >= workers)
        return true;
    for (size_t i = worker->index; i < wanted->count; i += workers) {
        if (!inherit(worker, wanted, i, error))
            return false;
    }
    if (worker->index < wanted->count)
        return true;
    if (wanted->count > 0 &&
        !inherited_can_share(wanted->inherited, settings->name, settings->address, settings->port))
        return inherit(worker, wanted, worker->index % wanted->count, error);
    return add(worker, wanted, -1, error);
}

bool listeners_open(struct worker *worker, struct inherited_sockets *inherited, struct error *error)
{
    size_t most = 0;
    for (size_t i = 0; i < worker->listener_count; i++)
        most += 1 + want(worker, i, inherited).count;
    worker->listeners = NEW_ARRAY(struct worker_listener, most);
    for (size_t i = 0; i < worker->listener_count; i++) {
        struct wanted wanted = want(worker, i, inherited);
        if (!open_wanted(worker, &wanted, error))
            return false;
    }
    return true;
}

void listeners_start(struct worker *worker)
{
    for (size_t i = 0; i < worker->opened_count; i++)
        listener_start(&worker->listeners[i].listener);
}

void listeners_close(struct worker *worker, bool handed_over)
{
    for (size_t i = 0; i < worker->opened_count; i++)
        listener_close(&worker->listeners[i].listener, handed_over);
}

void listeners_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->opened_count; i++)
        free(worker->listeners[i].name);
    free(worker->listeners);
}

size_t worker_sockets(const struct worker *worker, const char **names, int *sockets, size_t most)
{
    size_t count = worker->opened_count < most ? worker->opened_count : most;
    for (size_t i = 0; i < count; i++) {
        names[i] = worker->listeners[i].name;
        sockets[i] = worker->listeners[i].listener.place.socket;
    }
    return count;
}
