/*
 * Prepared statements across contexts: what stands on the server under a name may have been
 * rewritten for another phase. Before the message that uses it, the statement is closed and
 * prepared again, unseen by the client; in its own batch, so that an error of ours skips what it
 * was for.
 */
#include "session.h"

#include "segue/base/memory.h"
#include "segue/wire/message.h"

static struct request *push_injected(struct session *session, enum request_kind kind)
{
    struct request *request = request_push(session, kind);
    request->injected = REQUEST_INJECTED;
    return request;
}

static const char *sql_name = "segue_prepare"; /* statement and portal that run a PREPARE */

static void send_close(struct session *session, const struct prepared *slot,
                       struct definition *before, struct text *out)
{
    wire_write_close(out, 'S', slot->name);
    struct request *request = push_injected(session, REQUEST_CLOSE_STATEMENT);
    request->definition = definition_get(before);
    request->loses_statement = true;
}

static void send_parse(struct session *session, struct prepared *slot, const char *name,
                       struct definition *definition, struct text *out)
{
    const struct source *source = definition->source;
    wire_write_parse(out, name, definition_sent(definition),
                     (const uint8_t *)source->data + source->text_length + 1, source->types_length);
    struct request *request = push_injected(session, REQUEST_PARSE);
    request->slot = slot;
    request->definition = definition_get(definition);
    prepared_change(&session->prepared, slot, definition);
}

/* PREPARE as a statement, by way of one of ours. */
static void send_sql_prepare(struct session *session, struct prepared *slot,
                             struct definition *definition, struct text *out)
{
    wire_write_close(out, 'S', sql_name); /* left where the last time failed half way */
    push_injected(session, REQUEST_CLOSE_STATEMENT);
    wire_write_parse(out, sql_name, definition_sent(definition), NULL, 0);
    push_injected(session, REQUEST_PARSE);
    wire_write_bind(out, sql_name, sql_name);
    push_injected(session, REQUEST_BIND);
    wire_write_execute(out, sql_name);
    struct request *request = push_injected(session, REQUEST_EXECUTE);
    request->portal = memory_string(sql_name);
    request->slot = slot;
    request->definition = definition_get(definition);
    prepared_change(&session->prepared, slot, definition);
    wire_write_close(out, 'P', sql_name);
    push_injected(session, REQUEST_CLOSE_PORTAL)->portal = memory_string(sql_name);
    wire_write_close(out, 'S', sql_name);
    push_injected(session, REQUEST_CLOSE_STATEMENT);
}

static void send_again(struct session *session, struct prepared *slot, struct definition *before,
                       struct rewrite *rewrite)
{
    struct definition *after =
        definition_new(source_get(before->source), rewrite, session->context);
    after->is_sql = before->is_sql;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    if (slot != &session->prepared.unnamed)
        send_close(session, slot, before, &out);
    if (after->is_sql)
        send_sql_prepare(session, slot, after, &out);
    else
        send_parse(session, slot, slot->name ? slot->name : "", after, &out);
    output_add_text(&session->worker->to_server, &out);
    text_release(&out);
    definition_put(&session->worker->sources, after);
    stat_add(&session->worker->stats.reprepared, 1);
}

/* The same bytes would be sent: only who they are for has changed. */
static bool is_same_text(const struct definition *before, const struct rewrite *rewrite)
{
    struct slice after = rewrite && rewrite->outcome == REWRITE_CHANGED
                             ? rewrite_parse_text(rewrite)
                             : source_text(before->source);
    return slice_equal(definition_sent(before), after);
}

enum decision reprepare_slot(struct session *session, struct prepared *slot, bool *sent,
                             struct error *error)
{
    struct definition *before = prepared_current(slot);
    if (rewriting_has_failed(session))
        return DECIDE_SEND; /* it will not run, unless it ends the transaction */
    struct rewrite *rewrite;
    struct slice text = source_text(before->source);
    enum decision decision =
        rewriting_find(session, text, rewriting_scan(session, text), &rewrite, error);
    if (decision != DECIDE_SEND)
        return decision;
    if (rewrite && rewrite->outcome == REWRITE_REFUSED) {
        *error = *rewrite->error;
        return DECIDE_REFUSE;
    }
    if (rewrite && (decision = rewriting_touch(session, rewrite, error)) != DECIDE_SEND)
        return decision;
    if (before->is_lost || !is_same_text(before, rewrite)) {
        decision = rewriting_before_own(session, error);
        if (decision != DECIDE_SEND)
            return decision;
        send_again(session, slot, before, rewrite);
        *sent = true;
        return DECIDE_SEND;
    }
    if (rewrite)
        rewrite_get(rewrite);
    rewrite_put(before->rewrite);
    before->rewrite = rewrite;
    before->context = session->context;
    return DECIDE_SEND;
}

enum decision wait_for_replies(struct session *session)
{
    struct text message; /* so that the replies come, also in the middle of a batch */
    text_init(&message, 16);
    wire_write_flush(&message);
    output_add_text(&session->worker->to_server, &message);
    text_release(&message);
    session->waiting = WAIT_DRAIN;
    return DECIDE_WAIT;
}

bool rewriting_names_statements(const struct rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->named_count; i++) {
        if (rewrite->named[i].fact & (REWRITE_FACT_PREPARE | REWRITE_FACT_DEALLOCATE))
            return true;
    }
    return false;
}

void rewriting_note_cursors(struct session *session, const struct rewrite *rewrite)
{
    for (size_t i = 0; rewrite->touched && i < rewrite->named_count; i++)
        session->declares_cursors |= (rewrite->named[i].fact & REWRITE_FACT_DECLARE) != 0;
}

static enum decision refuse_moved(struct error *error)
{
    error_set(error, "0A000",
              "a prepared statement that may name a table in transition cannot be executed, in "
              "the same text, behind one that changes what its names mean");
    error_hint(error, "Send the two as separate queries.");
    return DECIDE_REFUSE;
}

static enum decision reprepare_one(struct session *session, const struct rewrite_named *named,
                                   bool *sent, struct error *error)
{
    const char *name = named->name;
    if (session->injected_error) /* it could not be prepared again */
        return refuse_with_injected_error(session, error);
    if (session->naming)
        return wait_for_replies(session);
    struct prepared *slot = name ? prepared_find(&session->prepared, name) : NULL;
    struct definition *definition = slot ? prepared_current(slot) : NULL;
    if (!definition)
        return DECIDE_SEND; /* the server says so */
    if (named->fact & REWRITE_FACT_MOVED &&
        rewriting_scan(session, source_text(definition->source)) & NAME_SCAN_TABLE)
        return refuse_moved(error);
    if (definition->context != session->context || definition->is_lost)
        return reprepare_slot(session, slot, sent, error);
    return definition->rewrite ? rewriting_touch(session, definition->rewrite, error) : DECIDE_SEND;
}

enum decision reprepare_named(struct session *session, const struct rewrite *rewrite, bool waits,
                              struct error *error)
{
    bool sent = false;
    enum decision decision = DECIDE_SEND;
    for (size_t i = 0; i < rewrite->named_count && decision == DECIDE_SEND; i++) {
        if (rewrite->named[i].fact & REWRITE_FACT_EXECUTE)
            decision = reprepare_one(session, &rewrite->named[i], &sent, error);
    }
    if (!sent || !waits)
        return decision;
    /* Whatever was decided, it is decided again once these are answered. */
    if (decision == DECIDE_WAIT && session->waiting == WAIT_INJECTED)
        return decision; /* others of ours follow them already, and end the group */
    inject_end(session);
    return DECIDE_WAIT;
}
