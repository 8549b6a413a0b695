/*
 * Bind, Describe, Execute and Close: the messages that name a prepared statement or a portal. What
 * stands behind the name must be of the session's context before it is used.
 */
#include "client_message.h"

#include "segue/base/memory.h"
#include "segue/wire/message.h"

#include "text_effects.h"

/* An unnamed portal needs no copy of its name. */
static char *portal_name(const char *name)
{
    return name[0] ? memory_string(name) : NULL;
}

/* What becomes of the message by that decision about what it names. */
static enum verdict verdict_by(struct session *session, enum decision decision,
                               const struct error *error)
{
    switch (decision) {
    case DECIDE_SEND:
        return PASS;
    case DECIDE_WAIT:
        return MUST_WAIT;
    case DECIDE_REFUSE:
        return replaced_extended(session, NULL, error);
    }
    BUG("unknown decision");
}

/* What stands behind a statement's name must be of this context before it is used. */
static enum decision prepare_use(struct session *session, struct prepared *slot,
                                 struct error *error)
{
    struct definition *definition = slot ? prepared_current(slot) : NULL;
    if (session->naming && slot != &session->prepared.unnamed)
        return wait_for_replies(session);
    if (rewriting_has_failed(session))
        return DECIDE_SEND; /* the server refuses whatever does not end the transaction */
    if (!definition) { /* the server knows of none either, and says so; unless it was too large */
        if (!session->prepared_unseen || session->pinned->snapshot->transition_count == 0)
            return DECIDE_SEND;
        error_set(error, "54000", "the prepared statement was too large to be looked at");
        error_hint(error, "Raise max_rewrite_size in segue.conf, and prepare it again.");
        return DECIDE_REFUSE;
    }
    if (definition->context != session->context || definition->is_lost) {
        bool sent = false;
        enum decision decision = reprepare_slot(session, slot, &sent, error);
        if (decision != DECIDE_SEND)
            return decision;
        definition = prepared_current(slot);
    }
    if (!definition->rewrite)
        return DECIDE_SEND;
    enum decision decision = rewriting_touch(session, definition->rewrite, error);
    if (decision == DECIDE_SEND)
        decision = reprepare_named(session, definition->rewrite, false, error);
    return decision;
}

enum verdict on_bind(struct session *session, const struct message *message)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    if (!session->database) {
        request_push(session, REQUEST_BIND);
        session->batch_open = true;
        return PASS;
    }
    struct wire_bind bind;
    if (!wire_read_bind(message->body, message->body_length, &bind)) {
        if (!message_is_whole(message) && message->available < SESSION_NAMES_MAX)
            return NEED_MORE;
        request_push(session, REQUEST_BIND); /* the server says what is wrong with it */
        session->batch_open = true;
        return PASS;
    }
    struct error error;
    struct prepared *slot = prepared_find(&session->prepared, bind.statement);
    enum verdict verdict = verdict_by(session, prepare_use(session, slot, &error), &error);
    if (verdict != PASS)
        return verdict;
    struct definition *definition = slot ? prepared_current(slot) : NULL;
    struct request *request = request_push(session, REQUEST_BIND);
    request->portal = portal_name(bind.portal);
    session->batch_open = true;
    session->bound_effects = 0;
    session->bound_names = false;
    if (definition) {
        request->definition = definition_get(definition);
        session->bound_effects = definition->source->effects;
        session->bound_staged |= staging_of(definition) != NULL;
        if (definition->rewrite) {
            rewriting_count(session, definition->rewrite);
            rewriting_note_cursors(session, definition->rewrite);
            session->declares_cursors |= bind.portal[0] && definition->rewrite->result_count;
            session->bound_names =
                !definition->is_sql && rewriting_names_statements(definition->rewrite);
        }
    }
    return PASS;
}

enum verdict on_describe_or_close(struct session *session, const struct message *message,
                                  bool is_close)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    if (!message_is_whole(message))
        return NEED_MORE;
    session->batch_open = true;
    struct wire_target target;
    if (!wire_read_target(message->body, message->body_length, &target)) {
        request_push(session, REQUEST_DESCRIBE_PORTAL); /* the server says what is wrong */
        return PASS;
    }
    bool is_statement = target.kind == 'S';
    struct prepared *slot = NULL;
    if (session->database && is_statement && !is_close) {
        struct error error;
        slot = prepared_find(&session->prepared, target.name);
        enum verdict verdict = verdict_by(session, prepare_use(session, slot, &error), &error);
        if (verdict != PASS)
            return verdict;
    }
    struct request *request;
    if (is_close)
        request =
            request_push(session, is_statement ? REQUEST_CLOSE_STATEMENT : REQUEST_CLOSE_PORTAL);
    else
        request = request_push(session,
                               is_statement ? REQUEST_DESCRIBE_STATEMENT : REQUEST_DESCRIBE_PORTAL);
    if (!is_statement) {
        request->portal = portal_name(target.name);
    } else if (is_close && session->database) {
        slot = prepared_find(&session->prepared, target.name);
        if (slot) {
            request->slot = slot;
            prepared_change(&session->prepared, slot, NULL);
        }
    } else if (slot && prepared_current(slot)) {
        request->definition = definition_get(prepared_current(slot));
    }
    return PASS;
}

/*
 * A portal that writes and is suspended by a limit has effects that become visible with the next
 * command that completes. None of ours may come between then, so what there is to ask is asked now.
 */
static enum decision settle_before_writes(struct session *session, const struct message *message,
                                          const char *portal, struct error *error)
{
    size_t limit = strlen(portal) + 1;
    if (!session->database || message->body_length < limit + 4 ||
        wire_get_int32(message->body + limit) == 0)
        return DECIDE_SEND;
    const struct definition *definition = definition_to_execute(session, portal);
    return definition && definition->source->effects & TEXT_WRITES
               ? rewriting_settle(session, error)
               : DECIDE_SEND;
}

static enum verdict execute_staged(struct session *session, const struct message *message,
                                   struct definition *definition)
{
    definition_get(definition);
    staging_begin(session, definition);
    struct request *request = request_push(session, REQUEST_EXECUTE);
    request->stage = REQUEST_STAGE_COPY;
    request->portal = portal_name(wire_read_name(message->body, message->body_length));
    request->definition = definition;
    session->batch_open = true;
    if (staging_of(definition)->reads_client) /* the rest follows when the COPY is complete */
        return PASS;
    output_add(to_server(session), message->data, message->size);
    staging_end(session, definition);
    return TAKEN;
}

enum verdict on_execute(struct session *session, const struct message *message)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    if (!message_is_whole(message))
        return NEED_MORE;
    const char *portal = wire_read_name(message->body, message->body_length);
    struct error error;
    enum decision decision =
        portal ? settle_before_writes(session, message, portal, &error) : DECIDE_SEND;
    enum verdict verdict = verdict_by(session, decision, &error);
    if (verdict != PASS)
        return verdict;
    if (session->bound_staged && portal && message_is_whole(message)) {
        struct definition *definition = definition_to_execute(session, portal);
        if (staging_of(definition))
            return execute_staged(session, message, definition);
    }
    struct request *request = request_push(session, REQUEST_EXECUTE);
    if (portal)
        request->portal = portal_name(portal);
    note_naming(session, request, session->bound_names);
    session->batch_open = true;
    if (session->bound_effects)
        rewriting_note_effects(session, session->bound_effects);
    return PASS;
}
