/* SHOW CLIENTS and KILL_CLIENT: the worker's thread describes its sessions, or ends one. */
#include "segue/base/memory.h"

#include "session.h"

#include <stdlib.h>

struct roll_order {
    struct worker_order order;
    struct worker_client *clients;
    size_t count;
};

struct kill_order {
    struct worker_order order;
    uint64_t id;
    bool was_found;
};

static const char *state_of(const struct session *session)
{
    if (session->state == SESSION_RAW)
        return "active";
    if (session->state != SESSION_READY)
        return "login";
    if (session->waiting == WAIT_HELD)
        return "held";
    if (session->waiting == WAIT_PARSED)
        return "parsing";
    if (session->queue.count)
        return "active";
    switch (session->transaction) {
    case 'T':
        return "in transaction";
    case 'E':
        return "failed transaction";
    default:
        return session->batch_open ? "in transaction" : "idle";
    }
}

static char *shapes_of(const struct session *session)
{
    struct text shapes;
    text_init(&shapes, TEXT_UNBOUNDED);
    text_add_string(&shapes, shape_name(session->shapes.fallback));
    for (size_t i = 0; i < session->shapes.count; i++)
        text_add_format(&shapes, ",%s=%s", session->shapes.exceptions[i].transition,
                        shape_name(session->shapes.exceptions[i].shape));
    return text_take(&shapes);
}

/* What a client says of itself may be in any encoding, or none; what is told of it is UTF-8. */
static char *told(const char *string)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_utf8(&text, string ? string : "");
    return text_take(&text);
}

static void describe(const struct session *session, struct worker_client *client)
{
    *client = (struct worker_client){
        .id = session->id,
        .user = told(session->user),
        .database = told(session->database_name),
        .application = told(session->application),
        .address = memory_string(session->address),
        .shape = shapes_of(session),
        .state = state_of(session),
        .epoch = session->pinned ? session->pinned->snapshot->epoch : 0,
        .connected_ms = session->connected_ms,
        .queries = session->queries,
        .server_pid = session->server_pid,
    };
}

static bool is_client(const struct session *session)
{
    return session->state != SESSION_ENDING && !session->is_cancel;
}

static void call_roll(struct worker *worker, struct worker_order *order)
{
    struct roll_order *roll = (struct roll_order *)order;
    struct session *session;
    roll->clients = NEW_ARRAY(struct worker_client, worker->session_count);
    LIST_FOREACH(session, &worker->relaying, link)
    {
        if (is_client(session))
            describe(session, &roll->clients[roll->count++]);
    }
    LIST_FOREACH(session, &worker->timed, link)
    {
        if (is_client(session))
            describe(session, &roll->clients[roll->count++]);
    }
}

struct worker_client *worker_clients(struct worker *worker, size_t *count)
{
    struct roll_order roll = {.order.carry_out = call_roll};
    worker_give_order(worker, &roll.order); /* one that has ended has no clients */
    *count = roll.count;
    return roll.clients;
}

static struct session *find_client(struct session_list *list, uint64_t id)
{
    struct session *session;
    LIST_FOREACH(session, list, link)
    {
        if (session->id == id && is_client(session))
            return session;
    }
    return NULL;
}

static void kill_client(struct worker *worker, struct worker_order *order)
{
    struct kill_order *kill_order = (struct kill_order *)order;
    struct session *session = find_client(&worker->relaying, kill_order->id);
    if (!session)
        session = find_client(&worker->timed, kill_order->id);
    if (!session)
        return;
    kill_order->was_found = true;
    session_kill(session);
}

bool worker_kill(struct worker *worker, uint64_t id)
{
    struct kill_order order = {.order.carry_out = kill_client, .id = id};
    return worker_give_order(worker, &order.order) && order.was_found;
}

void worker_clients_free(struct worker_client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(clients[i].user);
        free(clients[i].database);
        free(clients[i].application);
        free(clients[i].address);
        free(clients[i].shape);
    }
    free(clients);
}
