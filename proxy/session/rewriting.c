/*
 * Where a session stands between snapshots, and what becomes of a text there.
 *
 * A transaction is pinned to the snapshot that was current when its first message was passed on. A
 * new *context* begins whenever anything changes that decides how a text is rewritten: the
 * snapshot, the resolution of names, the shapes, how strings are lexed. What was prepared in
 * another context is looked at again before it is used (reprepare.c).
 */
#include "session.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include "text_effects.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- pinning and contexts */

void rewriting_new_context(struct session *session)
{
    session->context = ++session->contexts;
    session->context_is_new = !session->pinned;
    if (!session->pinned)
        return; /* the next pin completes it */
    session->serial = session->pinned->snapshot->serial;
    session->new_shapes = shape_list_mask(&session->shapes, session->pinned->snapshot);
}

static void pin(struct session *session)
{
    session->pinned = worker_pin(session->database);
    const struct snapshot *snapshot = session->pinned->snapshot;
    if (snapshot->transition_count == 0)
        session->enlistment = ENLIST_UNKNOWN; /* nobody watches the resolution meanwhile */
    if (snapshot->serial != session->serial) {
        rewriting_new_context(session);
    } else if (session->context_is_new) {
        session->new_shapes = shape_list_mask(&session->shapes, snapshot);
        session->context_is_new = false;
    }
}

void rewriting_unpin(struct session *session)
{
    if (!session->pinned)
        return;
    struct worker_snapshot *pinned = session->pinned;
    session->pinned = NULL;
    session->touched = 0;
    if (session->waiting != WAIT_PARSED)
        parse_thread_abandon(session); /* a result that was used */
    worker_unpin(session->worker, session->database, pinned);
}

bool rewriting_begin(struct session *session)
{
    if (!session->database)
        return true;
    if (session->pinned) {
        /* A client that pipelines without pause would stay on an old snapshot for ever. */
        if (session->pinned == session->database->current || session->batch_open ||
            session->queue.count == 0)
            return true;
        session->waiting = WAIT_DRAIN;
        return false;
    }
    pin(session);
    if (session->asked_once || session->pinned->snapshot->transition_count == 0)
        return true;
    /* Once per session ahead of time, while it disturbs nothing: inside a transaction a query would
     * come before SET TRANSACTION. */
    session->asked_once = true;
    if (session->enlistment == ENLIST_KNOWN)
        return true;
    enlist_ask(session);
    session->answer_is_optional = true;
    return false;
}

void rewriting_forget_resolution(struct session *session)
{
    session->enlistment = ENLIST_UNKNOWN;
    rewriting_new_context(session);
}

void rewriting_transaction_ended(struct session *session)
{
    bool is_quiet = session_is_idle(session);
    session_drop_portals(session);
    if (!session->database)
        return;
    if (session->changes_pending) {
        /* SET LOCAL ends, a rollback undoes: the server knows which. */
        rewriting_forget_resolution(session);
        session->changes_pending = !is_quiet;
    }
    if (session->schema_changed) {
        session->schema_changed = false;
        const struct worker_events *events = &session->worker->events;
        if (events->on_catalog_change)
            events->on_catalog_change(events->context, session->database->index);
    }
    if (is_quiet)
        rewriting_unpin(session);
}

/* ---------------------------------------------------------------- held tables */

static int find_transition(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        if (strcmp(snapshot->transitions[i].transition->name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* The touched ones under the next snapshot's numbers; false where one of them has moved. */
static bool carry_touched(uint64_t touched, const struct snapshot *from, const struct snapshot *to,
                          uint64_t *carried)
{
    *carried = 0;
    for (size_t i = 0; i < from->transition_count; i++) {
        if (!(touched & (UINT64_C(1) << i)))
            continue;
        int j = find_transition(to, from->transitions[i].transition->name);
        if (j < 0 || to->transitions[j].phase != from->transitions[i].phase ||
            to->transitions[j].stage != from->transitions[i].stage)
            return false;
        *carried |= UINT64_C(1) << j;
    }
    return true;
}

/* In the middle of a transaction, which is allowed since it has not touched what has moved. */
static void repin(struct session *session)
{
    struct worker_snapshot *before = session->pinned;
    uint64_t touched;
    if (before == session->database->current)
        return;
    if (!carry_touched(session->touched, before->snapshot, session->database->current->snapshot,
                       &touched)) {
        struct error *error = memory_get(sizeof *error);
        error_set(
            error, "40001",
            "could not go on: tables that this transaction has used changed their phase while "
            "it waited for another");
        error_hint(error, "Retry the transaction.");
        free(session->injected_error);
        session->injected_error = error;
        return;
    }
    session->pinned = worker_pin(session->database);
    session->touched = touched;
    worker_unpin(session->worker, session->database, before);
    rewriting_new_context(session);
}

void rewriting_on_publish(struct session *session)
{
    if (session->waiting != WAIT_HELD)
        return;
    if (session->pinned)
        repin(session);
    session->waiting = WAIT_NONE;
    session_continue(session);
}

bool rewriting_has_failed(const struct session *session)
{
    return session->transaction_failed && session->queue.count == 0;
}

enum decision rewriting_before_own(struct session *session, struct error *error)
{
    bool is_due = false;
    for (uint32_t i = 0; i < session->queue.count; i++) {
        const struct request *request = request_queue_at(&session->queue, i);
        if (request->may_be_swallowed && session_is_in_copy(session))
            return wait_for_replies(session); /* for what will not come (client_messages.c) */
        if (request->may_be_swallowed) {
            error_set(error, "55000", "it is not known where in the messages a COPY has failed");
            error_hint(error, "Send no Sync among the data of COPY FROM STDIN.");
            return DECIDE_REFUSE;
        }
        is_due |= request->injected == REQUEST_OF_CLIENT;
    }
    if (is_due)
        return wait_for_replies(session);
    if (!session->writes_unseen)
        return DECIDE_SEND;
    error_set(error, "0A000",
              "cannot look at this statement behind a portal that writes and is suspended");
    error_detail(error,
                 "Segue must ask the server or prepare the statement again, which would show "
                 "it at once what the portal has written.");
    error_hint(error, "Send Sync before it, or run the portal to its end.");
    return DECIDE_REFUSE;
}

enum decision refuse_with_injected_error(struct session *session, struct error *error)
{
    *error = *session->injected_error;
    free(session->injected_error);
    session->injected_error = NULL;
    return DECIDE_REFUSE;
}

/* Would this session put a date into other words than the one that reads it? */
static bool styles_differ(const struct session *session, uint64_t touched, struct error *error)
{
    const struct snapshot *snapshot = session->pinned->snapshot;
    for (; touched; touched &= touched - 1) {
        const struct transition *transition =
            snapshot->transitions[__builtin_ctzll(touched)].transition;
        if (!transition->date_style || !session->date_style || !session->interval_style)
            continue;
        bool date = strcmp(session->date_style, transition->date_style) != 0;
        if (!date && strcmp(session->interval_style, transition->interval_style) == 0)
            continue;
        const char *setting = date ? "DateStyle" : "IntervalStyle";
        error_set(error, "55000", "transition \"%s\" converts by a %s other than this session's",
                  transition->name, setting);
        error_detail(error, "The session has \"%s\".",
                     date ? session->date_style : session->interval_style);
        error_hint(error, "SET %s = '%s' before a statement on table \"%s\".", setting,
                   date ? transition->date_style : transition->interval_style, transition->table);
        return true;
    }
    return false;
}

/*
 * A standby, or one that was the primary before: phases there are not those that this process knows
 * of, and what is written there is lost, if it can be written at all.
 */
static bool is_elsewhere(const struct session *session, struct error *error)
{
    const struct catalog *catalog = session->pinned->snapshot->catalog;
    int64_t expected = catalog ? catalog_server(catalog) : 0;
    if (!expected || !session->server_started || expected == session->server_started)
        return false;
    error_set(error, "57P03",
              "this session is at another server than the one where Segue moves transitions");
    error_hint(error, "Connect again; after a failover, once Segue's control connection has found "
                      "the new primary. A standby's tables in transition cannot be used.");
    return true;
}

enum decision rewriting_touch(struct session *session, const struct rewrite *rewrite,
                              struct error *error)
{
    if (!rewrite->touched)
        return DECIDE_SEND;
    if (is_elsewhere(session, error) || styles_differ(session, rewrite->touched, error))
        return DECIDE_REFUSE;
    if (session->shape_error) {
        *error = *session->shape_error;
        return DECIDE_REFUSE;
    }
    if (rewrite->touched & session->pinned->held & ~session->touched &&
        !rewriting_has_failed(session)) {
        if (session->injected_error) /* repin could not */
            return refuse_with_injected_error(session, error);
        session->waiting = WAIT_HELD;
        if (session_is_idle(session))
            rewriting_unpin(session);
        return DECIDE_WAIT;
    }
    session->touched |= rewrite->touched;
    return DECIDE_SEND;
}

void rewriting_count(struct session *session, const struct rewrite *rewrite)
{
    if (!rewrite->touched)
        return;
    const struct snapshot *snapshot = session->pinned->snapshot;
    uint64_t now = worker_real_ms(session->worker);
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        if (!(rewrite->touched & (UINT64_C(1) << i)))
            continue;
        enum shape shape = session->new_shapes & (UINT64_C(1) << i) ? SHAPE_NEW : SHAPE_OLD;
        struct transition *transition = snapshot->transitions[i].transition;
        atomic_fetch_add_explicit(&transition->statements[shape], 1, memory_order_relaxed);
        atomic_store_explicit(&transition->last_used_ms[shape], now, memory_order_relaxed);
    }
}

/* ---------------------------------------------------------------- looking a text up */

/* NULL where the server must be asked: what is on its way may change the answer. */
static struct resolution *known_resolution(const struct session *session)
{
    bool may_change = session->changes_pending && session->queue.count > 0;
    return session->enlistment == ENLIST_KNOWN && !may_change ? session->resolution : NULL;
}

static enum decision ask_for_resolution(struct session *session, const struct rewrite *rewrite,
                                        struct error *error)
{
    enum decision decision = rewriting_before_own(session, error);
    if (decision != DECIDE_SEND)
        return decision;
    if (rewriting_has_failed(session)) {
        /* The server refuses whatever does not end the transaction. A text of several statements
         * might end it and go on. */
        free(session->injected_error);
        session->injected_error = NULL;
        if (!rewrite || rewrite->statement_count == 1)
            return DECIDE_SEND;
        error_set(
            error, "25P02",
            "current transaction is aborted, commands ignored until end of transaction block");
        error_hint(error, "Send the statement that ends the transaction on its own.");
        return DECIDE_REFUSE;
    }
    if (session->injected_error)
        return refuse_with_injected_error(session, error);
    enlist_ask(session);
    return DECIDE_WAIT;
}

static void publish_cache_counters(struct worker *worker)
{
    struct rewrite_cache_counters counters;
    rewrite_cache_counters(worker->cache, &counters);
    atomic_store_explicit(&worker->stats.cache_hits, counters.hits, memory_order_relaxed);
    atomic_store_explicit(&worker->stats.cache_shape_hits, counters.shape_hits,
                          memory_order_relaxed);
    atomic_store_explicit(&worker->stats.cache_misses, counters.misses, memory_order_relaxed);
    atomic_store_explicit(&worker->stats.cache_evictions, counters.evictions, memory_order_relaxed);
    atomic_store_explicit(&worker->stats.cache_bytes, counters.bytes, memory_order_relaxed);
    atomic_store_explicit(&worker->stats.cache_entries, counters.entries, memory_order_relaxed);
}

/* NULL where the text is being parsed: the session waits for it. */
static struct rewrite *find_large(struct session *session, const struct rewrite_context *context,
                                  struct slice text)
{
    struct rewrite_cache *cache = session->worker->cache;
    struct parse_task *task = session->parsing;
    if (task && rewrite_job_is_for(task->job, context, text)) {
        if (task->is_done)
            return rewrite_job_result(task->job, cache);
        session->waiting = WAIT_PARSED;
        return NULL;
    }
    parse_thread_abandon(session); /* of another context: what decides has changed meanwhile */
    struct rewrite *found = rewrite_cache_look(cache, context, text);
    if (found)
        return found;
    parse_thread_begin(session, context, text);
    session->waiting = WAIT_PARSED;
    return NULL;
}

uint32_t rewriting_scan(const struct session *session, struct slice text)
{
    uint32_t words = name_scan_text(session->pinned->scan, text);
    if (!session->encoding_is_utf8 && session->pinned->snapshot->needs_utf8 &&
        words_are_foreign(text))
        words |= NAME_SCAN_TABLE; /* it may be named in other bytes than ours */
    return words;
}

enum decision rewriting_find(struct session *session, struct slice text, uint32_t words,
                             struct rewrite **rewrite, struct error *error)
{
    *rewrite = NULL;
    uint32_t looked_for = NAME_SCAN_TABLE | NAME_SCAN_PREPARED;
    if (session->declares_cursors)
        looked_for |= NAME_SCAN_CURSOR;
    if (!(words & looked_for))
        return DECIDE_SEND;
    const struct rewrite_context context = {
        .encoding = session->encoding,
        .snapshot = session->pinned->snapshot,
        .resolution = known_resolution(session),
        .new_shapes = session->new_shapes,
        .standard_conforming_strings = session->standard_strings,
        .encoding_is_safe = session->encoding_is_safe &&
                            (session->encoding_is_utf8 || !session->pinned->snapshot->needs_utf8),
        .is_until_transaction_ends = session->changes_pending,
    };
    if (text.length > PARSE_THREAD_LARGE && !context.resolution && words & NAME_SCAN_TABLE &&
        !rewriting_has_failed(session))
        return ask_for_resolution(session, NULL, error); /* it is parsed only once then */
    struct rewrite *found = text.length > PARSE_THREAD_LARGE
                                ? find_large(session, &context, text)
                                : rewrite_cache_find(session->worker->cache, &context, text);
    publish_cache_counters(session->worker);
    if (!found)
        return DECIDE_WAIT;
    if (found->outcome == REWRITE_NEEDS_RESOLUTION)
        return ask_for_resolution(session, found, error);
    *rewrite = found;
    return DECIDE_SEND;
}

/* ---------------------------------------------------------------- what a text may change */

enum decision rewriting_settle(struct session *session, struct error *error)
{
    if (session->pinned->snapshot->transition_count == 0 || known_resolution(session))
        return DECIDE_SEND;
    return ask_for_resolution(session, NULL, error);
}

void rewriting_note_effects(struct session *session, uint32_t effects)
{
    if ((effects & ~(uint32_t)TEXT_WRITES) == 0)
        return;
    session->changes_pending = true;
    if (session->enlistment == ENLIST_KNOWN)
        rewriting_forget_resolution(session);
}

void rewriting_note_text(struct session *session, struct slice text, uint32_t words)
{
    if (words & TEXT_EFFECTS_WORDS && session->pinned->snapshot->transition_count)
        rewriting_note_effects(session, text_effects(text));
}
