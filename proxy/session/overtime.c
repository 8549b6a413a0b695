#include "session.h"

enum { LOOK_EVERY_MS = 1000 };

enum activity {
    ACTIVITY_IDLE,
    ACTIVITY_IDLE_IN_TRANSACTION,
    ACTIVITY_QUERY, /* something is sent, and not all of it answered */
    ACTIVITY_HELD   /* it waits for Segue: no fault of its own */
};

static enum activity activity_of(const struct session *session)
{
    if (session->waiting == WAIT_HELD)
        return ACTIVITY_HELD;
    if (session->queue.count > 0 || session->waiting != WAIT_NONE)
        return ACTIVITY_QUERY;
    return session_is_idle(session) ? ACTIVITY_IDLE : ACTIVITY_IDLE_IN_TRANSACTION;
}

static uint32_t now_of(const struct worker *worker)
{
    return (uint32_t)uv_now(&worker->loop);
}

void overtime_begin(struct session *session)
{
    uint32_t now = now_of(session->worker);
    session->overtime = (struct overtime){
        .answered = session->answered,
        .transactions = session->transactions,
        .unchanged_since = now,
        .transaction_since = now,
        .activity = (uint8_t)activity_of(session),
    };
}

/* ---------------------------------------------------------------- what is too long */

struct verdict {
    enum session_end_reason reason;
    const char *sqlstate;
    const char *what;
    const char *setting;
    int seconds;
};

static bool is_over(uint32_t since, uint32_t now, int seconds)
{
    return seconds > 0 && now - since >= (uint32_t)seconds * 1000;
}

static bool activity_is_over(const struct session *session, const struct settings *settings,
                             uint32_t now, struct verdict *verdict)
{
    switch ((enum activity)session->overtime.activity) {
    case ACTIVITY_IDLE:
        *verdict = (struct verdict){SESSION_END_IDLE_TIMEOUT, "57P05", "idle-session",
                                    "client_idle_timeout", settings->client_idle_timeout};
        break;
    case ACTIVITY_IDLE_IN_TRANSACTION:
        *verdict =
            (struct verdict){SESSION_END_IDLE_TRANSACTION_TIMEOUT, "25P03", "idle-in-transaction",
                             "idle_transaction_timeout", settings->idle_transaction_timeout};
        break;
    case ACTIVITY_QUERY:
        *verdict = (struct verdict){SESSION_END_QUERY_TIMEOUT, "57014", "query", "query_timeout",
                                    settings->query_timeout};
        break;
    case ACTIVITY_HELD:
        return false;
    }
    return is_over(session->overtime.unchanged_since, now, verdict->seconds);
}

static bool transaction_is_over(const struct session *session, const struct settings *settings,
                                uint32_t now, struct verdict *verdict)
{
    *verdict = (struct verdict){SESSION_END_TRANSACTION_TIMEOUT, "25P04", "transaction",
                                "transaction_timeout", settings->transaction_timeout};
    return is_over(session->overtime.transaction_since, now, verdict->seconds);
}

/* ---------------------------------------------------------------- looking */

static void note(struct session *session, uint32_t now)
{
    struct overtime *seen = &session->overtime;
    enum activity activity = activity_of(session);
    if (activity != (enum activity)seen->activity || session->answered != seen->answered)
        seen->unchanged_since = now;
    if (activity == ACTIVITY_IDLE || seen->activity == ACTIVITY_IDLE ||
        session->transactions != seen->transactions)
        seen->transaction_since = now;
    seen->activity = (uint8_t)activity;
    seen->answered = session->answered;
    seen->transactions = session->transactions;
}

static void look_at(struct session *session, const struct settings *settings, uint32_t now)
{
    note(session, now);
    struct verdict verdict;
    if (!transaction_is_over(session, settings, now, &verdict) &&
        !activity_is_over(session, settings, now, &verdict))
        return;
    struct error error;
    error_set(&error, verdict.sqlstate, "terminating connection due to %s timeout", verdict.what);
    error_hint(&error, "%s of segue.conf is %d second%s.", verdict.setting, verdict.seconds,
               verdict.seconds == 1 ? "" : "s");
    session_refuse(session, verdict.reason, &error);
}

void overtime_tick(struct worker *worker)
{
    if (!worker->looks_for_overtime || uv_now(&worker->loop) < worker->next_look)
        return;
    worker->next_look = uv_now(&worker->loop) + LOOK_EVERY_MS;
    struct session *session = LIST_FIRST(&worker->relaying);
    while (session) {
        struct session *following = LIST_NEXT(session, link);
        if (session->state == SESSION_READY)
            look_at(session, worker->settings, now_of(worker));
        session = following;
    }
}

void overtime_configure(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    bool was_looking = worker->looks_for_overtime;
    worker->looks_for_overtime = settings->client_idle_timeout || settings->query_timeout ||
                                 settings->idle_transaction_timeout ||
                                 settings->transaction_timeout;
    if (!worker->looks_for_overtime || was_looking)
        return;
    struct session *session;
    LIST_FOREACH(session, &worker->relaying, link)
    {
        overtime_begin(session);
    }
    if (!LIST_EMPTY(&worker->relaying))
        worker_need_tick(worker);
}
