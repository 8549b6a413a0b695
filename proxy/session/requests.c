/*
 * The payloads of the request queue: what each entry holds is given back here, and a pending change
 * of a statement's name is undone where its reply never came.
 */
#include "session.h"

#include <stdlib.h>

struct request *request_push(struct session *session, enum request_kind kind)
{
    return request_queue_push(&session->queue, kind);
}

void request_release(struct session *session, struct request *request, bool undo)
{
    if (request->slot && undo)
        prepared_undo(&session->prepared, request->slot);
    if (request->names_statements)
        session->naming--;
    if (request->definition)
        definition_put(&session->worker->sources, request->definition);
    if (request->portal)
        free(request->portal);
    if (request->refusal)
        free(request->refusal);
    request->slot = NULL;
    request->definition = NULL;
    request->portal = NULL;
    request->refusal = NULL;
}

void request_pop(struct session *session)
{
    struct request *front = request_queue_front(&session->queue);
    BUG_ON(!front);
    request_release(session, front, false);
    request_queue_pop(&session->queue);
    session->answered++;
    while ((front = request_queue_front(&session->queue)) && front->kind == REQUEST_COPY_END)
        request_queue_pop(&session->queue);
}

/* An extended message failed: the server answers nothing until the next Sync. */
void request_skip_to_sync(struct session *session)
{
    struct request *front;
    bool waited_for = false;
    while ((front = request_queue_front(&session->queue)) && front->kind != REQUEST_SYNC) {
        waited_for |= front->injected == REQUEST_INJECTED_LAST;
        request_release(session, front, true);
        request_queue_pop(&session->queue);
        session->answered++;
    }
    session->skipping = !front;
    if (waited_for)
        enlist_on_end(session);
}

void request_release_all(struct session *session)
{
    struct request *front;
    while ((front = request_queue_front(&session->queue))) {
        request_release(session, front, true);
        request_queue_pop(&session->queue);
    }
    request_queue_release(&session->queue);
}
