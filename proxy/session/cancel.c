/*
 * A cancel request comes on a connection of its own, so it may be met before the query that it is
 * for: that lies unread in the other connection, or waits in its session. PostgreSQL does nothing
 * for a session without a query, and the request would be lost. So the session is told first, on
 * its own worker's thread. It passes on what its client has said by then; and where Segue alone has
 * the statement, since it is held, being parsed, or waits for the answer to a question of ours, it
 * is refused as PostgreSQL would. Only then does the request go to the server.
 *
 * The notice goes to the one worker and back to the other, and holds the session that brought the
 * request meanwhile.
 */
#include "cancel.h"

#include "segue/base/memory.h"

#include <stdlib.h>

struct cancel_notice {
    struct worker_order order;
    struct session *request; /* that brought it: for its own worker's thread */
    struct worker *worker;   /* of that one */
    size_t length;
    uint8_t key[];
};

void cancel_explain(struct error *error)
{
    error_set(error, "57014", "canceling statement due to user request");
}

/* ---------------------------------------------------------------- the session that is meant */

/* Does a statement of the client's wait here, with nothing of the client's at the server? */
static bool has_statement_alone(struct session *session)
{
    bool waits = session->waiting == WAIT_INJECTED || session->waiting == WAIT_HELD ||
                 session->waiting == WAIT_PARSED;
    for (uint32_t i = 0; waits && i < session->queue.count; i++)
        waits = request_queue_at(&session->queue, i)->injected != REQUEST_OF_CLIENT;
    return waits;
}

static void prepare(struct session *session)
{
    if (session_is_over(session))
        return;
    stream_read_now(&session->client);
    if (session_is_over(session) || !has_statement_alone(session))
        return;
    session->is_cancelled = true;
    if (session->waiting == WAIT_INJECTED)
        return; /* it is met again when that is answered */
    parse_thread_abandon(session);
    session->waiting = WAIT_NONE;
    session_continue(session);
}

/* ---------------------------------------------------------------- the notice */

static void on_return(struct worker *worker, struct worker_order *order)
{
    (void)worker;
    struct session *session = ((struct cancel_notice *)order)->request;
    free(order);
    if (!session_is_over(session))
        upstream_begin(session);
    session_let_go(session);
}

static void on_notice(struct worker *worker, struct worker_order *order)
{
    struct cancel_notice *notice = (struct cancel_notice *)order;
    struct session *session = cancel_key_session(worker, notice->key, notice->length);
    if (session)
        prepare(session);
    order->carry_out = on_return;
    worker_post_order(notice->worker, order);
}

bool cancel_announce(struct session *session)
{
    enum { BEFORE_KEY = 8 };
    struct upstream_attempt *attempt = session->attempt;
    size_t length = session->client_kept.length - BEFORE_KEY;
    struct cancel_notice *notice = memory_zero(1, sizeof *notice + length);
    notice->order.carry_out = on_notice;
    notice->request = session;
    notice->worker = session->worker;
    notice->length = length;
    memcpy(notice->key, session->client_kept.data + BEFORE_KEY, length);
    session->handles++;
    if (cancel_key_find(notice->key, length, &attempt->given, &attempt->address, &notice->order)) {
        attempt->choice_count = 1;
        return true;
    }
    session->handles--;
    free(notice);
    return false;
}
