#include "clients.h"

#include "segue/base/memory.h"

#include "session.h"

#include <stdlib.h>

/* Lives on the stack of who asks. */
struct clients_request {
    struct clients_request *next;
    uint64_t to_kill; /* the session with this id; 0: all are to be listed */
    struct worker_client *clients;
    size_t count; /* of the clients, or of those killed */
    uv_sem_t answered;
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

static char *or_empty(const char *string)
{
    return memory_string(string ? string : "");
}

static void describe(const struct session *session, struct worker_client *client)
{
    *client = (struct worker_client){
        .id = session->id,
        .user = or_empty(session->user),
        .database = or_empty(session->database_name),
        .application = or_empty(session->application),
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

static void list_clients(struct worker *worker, struct clients_request *request)
{
    struct session *session;
    request->clients = NEW_ARRAY(struct worker_client, worker->session_count);
    LIST_FOREACH(session, &worker->relaying, link)
    {
        if (is_client(session))
            describe(session, &request->clients[request->count++]);
    }
    LIST_FOREACH(session, &worker->timed, link)
    {
        if (is_client(session))
            describe(session, &request->clients[request->count++]);
    }
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

static void kill_client(struct worker *worker, struct clients_request *request)
{
    struct session *session = find_client(&worker->relaying, request->to_kill);
    if (!session)
        session = find_client(&worker->timed, request->to_kill);
    if (!session)
        return;
    request->count = 1;
    session_kill(session);
}

struct clients_request *clients_take_requests(struct worker *worker)
{
    struct clients_request *requests = worker->clients_requests;
    worker->clients_requests = NULL;
    return requests;
}

void clients_answer_all(struct worker *worker, struct clients_request *requests)
{
    while (requests) {
        struct clients_request *request = requests;
        requests = request->next;
        if (request->to_kill)
            kill_client(worker, request);
        else
            list_clients(worker, request);
        uv_sem_post(&request->answered); /* the request may be gone from here on */
    }
}

static void ask(struct worker *worker, struct clients_request *request)
{
    BUG_ON(uv_sem_init(&request->answered, 0) != 0);
    uv_mutex_lock(&worker->mutex);
    bool asked = !worker->ended;
    if (asked) {
        request->next = worker->clients_requests;
        worker->clients_requests = request;
        uv_async_send(&worker->wake);
    }
    uv_mutex_unlock(&worker->mutex);
    if (asked)
        uv_sem_wait(&request->answered);
    uv_sem_destroy(&request->answered);
}

struct worker_client *worker_clients(struct worker *worker, size_t *count)
{
    struct clients_request request = {0};
    ask(worker, &request);
    *count = request.count;
    return request.clients;
}

bool worker_kill(struct worker *worker, uint64_t id)
{
    struct clients_request request = {.to_kill = id};
    ask(worker, &request);
    return request.count > 0;
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
