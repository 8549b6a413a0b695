/*
 * Syncs among the data of a COPY that has failed. A server that reads CopyData swallows them, and
 * one where the COPY has failed meanwhile answers them: how many it answers, nothing tells until it
 * says something else. So before a client's next message goes on, the server is asked, by a Sync of
 * ours and something whose reply cannot be mistaken: of the ReadyForQuery before that reply one is
 * for our Sync.
 *
 * If the client's Syncs were all swallowed and the COPY was an Execute, the server was skipping up
 * to a Sync, and ours has ended that: what the client says up to its own one is then thrown away
 * here (session->skips_here).
 *
 * A message that was sent before the failure was known, in the middle of the data, leaves its
 * replies to be matched as they come (request_queue_settle, request_queue_doubt).
 */
#include "session.h"

#include "segue/wire/message.h"

static const char *own_name = "segue_doubt"; /* a statement that never comes to be */

void copy_doubt_begin(struct session *session, bool skips)
{
    struct request_queue *queue = &session->queue;
    const struct request *front = request_queue_front(queue);
    if (!session->database || !front || !front->may_be_swallowed)
        return;
    struct copy_doubt doubt = {.skips = skips};
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct request *request = request_queue_at(queue, i);
        if (request->kind != REQUEST_SYNC && request->kind != REQUEST_COPY_END)
            return;
        doubt.left += request->kind == REQUEST_SYNC;
        doubt.skips &= request->kind != REQUEST_SYNC || request->may_be_swallowed;
    }
    while (queue->count)
        request_pop(session);
    session->copy_doubt = doubt;
}

void copy_doubt_add_sync(struct session *session)
{
    session->copy_doubt.left++;
    session->copy_doubt.skips = false; /* this one ends it */
}

void copy_doubt_ask(struct session *session)
{
    struct text out;
    text_init(&out, 64);
    wire_write_sync(&out);
    struct request *sync = request_push(session, REQUEST_SYNC);
    sync->injected = REQUEST_INJECTED;
    sync->asks_for_doubt = true;
    wire_write_close(&out, 'S', own_name);
    request_push(session, REQUEST_CLOSE_STATEMENT)->injected = REQUEST_INJECTED_LAST;
    wire_write_flush(&out);
    output_add_text(&session->worker->to_server, &out);
    text_release(&out);
    session->waiting = WAIT_INJECTED;
}

/* Of those before the answer one is for our Sync; the client cannot tell which. */
bool copy_doubt_on_ready(struct session *session)
{
    struct copy_doubt *doubt = &session->copy_doubt;
    if (session->queue.count && !doubt->own_is_answered) {
        doubt->own_is_answered = true;
        return false;
    }
    doubt->left -= doubt->left > 0;
    doubt->skips = false;
    return true;
}

void copy_doubt_end(struct session *session)
{
    session->skips_here = session->skipping = session->copy_doubt.skips;
    session->copy_doubt = (struct copy_doubt){0};
    while (session->queue.count)
        request_pop(session);
    session->waiting = WAIT_NONE;
    if (session->transaction == 'I')
        rewriting_transaction_ended(session);
}

bool copy_doubt_is_coming(struct session *session)
{
    if (!session->syncs_in_copy)
        return false;
    struct request_queue *queue = &session->queue;
    bool is_coming = false;
    session->syncs_in_copy = false;
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct request *request = request_queue_at(queue, i);
        session->syncs_in_copy |= request->may_be_swallowed;
        is_coming = session->syncs_in_copy &&
                    (request->kind == REQUEST_SYNC || request->kind == REQUEST_COPY_END);
        if (session->syncs_in_copy && !is_coming)
            break;
    }
    return is_coming;
}
