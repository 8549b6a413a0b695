/*
 * Messages from the client, one after the other: each is passed on as it is, passed on changed, or
 * made to wait. Nothing is done for a message before it is certain that it need not wait, since it
 * is then met again from its first byte.
 */
#include "session.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include <stdio.h>
#include <stdlib.h>

enum verdict {
    PASS,      /* forward it as it is */
    TAKEN,     /* dealt with; all of it is there */
    REPLACED,  /* something else was sent in its place: throw away what is still to come */
    NEED_MORE, /* it must be whole, or at least longer */
    MUST_WAIT  /* session->waiting says for what */
};

struct message {
    const uint8_t *data;
    size_t size;      /* of the whole message */
    size_t available; /* bytes of it that are there */
    const uint8_t *body;
    size_t body_length; /* of what is there */
};

static bool is_whole(const struct message *message)
{
    return message->available == message->size;
}

static enum verdict wait_for(struct session *session, enum session_wait reason)
{
    session->waiting = reason;
    return MUST_WAIT;
}

static struct output *to_server(struct session *session)
{
    return &session->worker->to_server;
}

/* ---------------------------------------------------------------- texts too large to look at */

static enum verdict replaced_query(struct session *session, const struct error *error)
{
    refuse_query(session, error);
    return REPLACED;
}

static enum verdict replaced_extended(struct session *session, const char *name,
                                      const struct error *error)
{
    refuse_extended(session, name, error);
    return REPLACED;
}

static bool text_is_too_large(struct session *session, const struct message *message,
                              struct error *error)
{
    size_t ceiling = session->worker->settings->max_rewrite_size;
    if (message->size <= ceiling + WIRE_HEADER)
        return false;
    error_set(error, "54000", "the statement of %zu bytes is too large to be looked at",
              message->size - WIRE_HEADER);
    error_detail(error,
                 "Database \"%s\" has transitions under way, and max_rewrite_size is %zu bytes.",
                 session->database->name, ceiling);
    error_hint(error, "Split the statement, or raise max_rewrite_size in segue.conf.");
    return true;
}

/* Texts are looked at where the database has an entry in the settings; transitions may come later.
 */
static bool passes_unseen(const struct session *session, const struct message *message)
{
    return !session->database ||
           (session->pinned->snapshot->transition_count == 0 &&
            message->size > session->worker->settings->max_rewrite_size + WIRE_HEADER);
}

/* ---------------------------------------------------------------- Query */

static void send_changed_query(struct session *session, const struct rewrite *rewrite)
{
    output_add_header(to_server(session), 'Q', rewrite->text.length + 1);
    output_add_vector(to_server(session), rewrite->text.data, rewrite->text.length + 1);
    stat_add(&session->worker->stats.rewritten, 1);
}

static enum decision decide_query(struct session *session, struct slice sql, uint32_t words,
                                  struct rewrite **rewrite, struct error *error)
{
    enum decision decision = rewriting_find(session, sql, words, rewrite, error);
    if (decision != DECIDE_SEND || !*rewrite)
        return decision;
    if ((*rewrite)->outcome == REWRITE_REFUSED) {
        *error = *(*rewrite)->error;
        return DECIDE_REFUSE;
    }
    /* What follows may look other texts up: this one must outlive that. */
    rewrite_get(*rewrite);
    decision = rewriting_touch(session, *rewrite, error);
    if (decision == DECIDE_SEND)
        decision = reprepare_named(session, *rewrite, true, error);
    return decision;
}

static void note_naming(struct session *session, struct request *request, bool names_statements)
{
    request->names_statements = names_statements;
    session->naming += names_statements;
}

static enum verdict on_query(struct session *session, const struct message *message)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    struct error error;
    if (passes_unseen(session, message)) {
        request_push(session, REQUEST_QUERY);
        return PASS;
    }
    if (text_is_too_large(session, message, &error))
        return replaced_query(session, &error);
    if (!is_whole(message))
        return NEED_MORE;
    struct slice sql;
    if (!wire_read_query(message->body, message->body_length, &sql)) {
        request_push(session, REQUEST_QUERY); /* the server says what is wrong with it */
        return PASS;
    }
    struct rewrite *rewrite = NULL;
    uint32_t words = rewriting_scan(session, sql);
    enum decision decision = decide_query(session, sql, words, &rewrite, &error);
    enum verdict verdict = PASS;
    if (decision == DECIDE_WAIT) {
        verdict = MUST_WAIT;
    } else if (decision == DECIDE_REFUSE) {
        verdict = replaced_query(session, &error);
    } else {
        struct request *request = request_push(session, REQUEST_QUERY);
        if (rewrite) {
            request->definition =
                definition_new(source_intern(&session->worker->sources, sql.data, sql.length, 0),
                               rewrite, session->context);
            rewriting_count(session, rewrite);
            rewriting_note_cursors(session, rewrite);
            note_naming(session, request, rewriting_names_statements(rewrite));
        }
        if (rewrite && rewrite->outcome == REWRITE_CHANGED) {
            send_changed_query(session, rewrite);
            verdict = TAKEN;
        }
        rewriting_note_text(session, sql, words);
    }
    if (rewrite && rewrite->outcome != REWRITE_REFUSED)
        rewrite_put(rewrite);
    return verdict;
}

/* ---------------------------------------------------------------- Parse */

static void send_changed_parse(struct session *session, const struct wire_parse *parse,
                               const struct rewrite *rewrite)
{
    struct output *output = to_server(session);
    struct slice text = rewrite_parse_text(rewrite);
    size_t name_length = strlen(parse->name) + 1;
    output_add_header(output, 'P', name_length + text.length + 1 + parse->parameter_types_length);
    output_add_vector(output, parse->name, name_length);
    output_add_vector(output, text.data, text.length);
    output_add_vector(output, "", 1);
    output_add_vector(output, parse->parameter_types, parse->parameter_types_length);
    stat_add(&session->worker->stats.rewritten, 1);
}

static enum verdict pass_parse(struct session *session)
{
    request_push(session, REQUEST_PARSE);
    session->batch_open = true;
    return PASS;
}

static enum verdict on_parse(struct session *session, const struct message *message)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    if (passes_unseen(session, message)) {
        session->prepared_unseen = true;
        return pass_parse(session);
    }
    struct error error;
    if (text_is_too_large(session, message, &error))
        return replaced_extended(session, NULL, &error);
    if (!is_whole(message))
        return NEED_MORE;
    struct wire_parse parse;
    if (!wire_read_parse(message->body, message->body_length, &parse))
        return pass_parse(session); /* the server says what is wrong with it */
    struct rewrite *rewrite = NULL;
    uint32_t words = rewriting_scan(session, parse.sql);
    enum decision decision = rewriting_find(session, parse.sql, words, &rewrite, &error);
    if (decision == DECIDE_SEND && rewrite && rewrite->outcome == REWRITE_REFUSED) {
        error = *rewrite->error;
        decision = DECIDE_REFUSE;
    }
    if (decision == DECIDE_SEND && rewrite)
        decision = rewriting_touch(session, rewrite, &error);
    if (decision == DECIDE_WAIT)
        return MUST_WAIT;
    if (decision == DECIDE_REFUSE)
        return replaced_extended(session, parse.name, &error);
    struct definition *definition =
        definition_new(source_intern(&session->worker->sources, parse.sql.data, parse.sql.length,
                                     parse.parameter_types_length),
                       rewrite, session->context);
    struct request *request = request_push(session, REQUEST_PARSE);
    request->slot = prepared_slot(&session->prepared, parse.name);
    request->destroys_unnamed = parse.name[0] == '\0';
    request->definition = definition;
    prepared_change(&session->prepared, request->slot, definition);
    session->batch_open = true;
    if (!rewrite || rewrite->outcome != REWRITE_CHANGED)
        return PASS;
    send_changed_parse(session, &parse, rewrite);
    return TAKEN;
}

/* ---------------------------------------------------------------- Bind, Describe, Execute, Close
 */

/* An unnamed portal needs no copy of its name. */
static char *portal_name(const char *name)
{
    return name[0] ? memory_string(name) : NULL;
}

/* What stands behind a statement's name must be of this context before it is used. */
static enum decision prepare_use(struct session *session, struct prepared *slot,
                                 struct error *error)
{
    struct definition *definition = slot ? prepared_current(slot) : NULL;
    if (session->naming && slot != &session->prepared.unnamed)
        return wait_for_names(session);
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

static enum verdict on_bind(struct session *session, const struct message *message)
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
        if (!is_whole(message) && message->available < SESSION_NAMES_MAX)
            return NEED_MORE;
        request_push(session, REQUEST_BIND); /* the server says what is wrong with it */
        session->batch_open = true;
        return PASS;
    }
    struct error error;
    struct prepared *slot = prepared_find(&session->prepared, bind.statement);
    switch (prepare_use(session, slot, &error)) {
    case DECIDE_WAIT:
        return MUST_WAIT;
    case DECIDE_REFUSE:
        return replaced_extended(session, NULL, &error);
    case DECIDE_SEND:
        break;
    }
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

static enum verdict on_describe_or_close(struct session *session, const struct message *message,
                                         bool is_close)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    if (!is_whole(message)) {
        if (message->size > SESSION_NAMES_MAX) {
            struct error error;
            error_set(&error, "08P01", "invalid message length");
            session_refuse(session, SESSION_END_PROTOCOL_VIOLATION, &error);
            return REPLACED;
        }
        return NEED_MORE;
    }
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
        switch (prepare_use(session, slot, &error)) {
        case DECIDE_WAIT:
            return MUST_WAIT;
        case DECIDE_REFUSE:
            return replaced_extended(session, NULL, &error);
        case DECIDE_SEND:
            break;
        }
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

static enum verdict on_execute(struct session *session, const struct message *message)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    if (!is_whole(message) && message->size <= SESSION_NAMES_MAX)
        return NEED_MORE;
    const char *portal = wire_read_name(message->body, message->body_length);
    if (session->bound_staged && portal && is_whole(message)) {
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

/* ---------------------------------------------------------------- the rest */

static enum verdict on_sync(struct session *session)
{
    session->batch_open = false;
    session->skipping = false;
    /* A Sync while the server reads CopyData is swallowed by it, up to the copy's end. */
    if (session->copying_in && !session->copy_end_sent)
        return PASS;
    request_push(session, REQUEST_SYNC);
    return PASS;
}

static enum verdict on_copy_end(struct session *session, const struct message *message)
{
    bool is_staged = message->data[0] == 'c' && staging_is_copying(session);
    if (is_staged && !session->copying_in)
        return wait_for(session, WAIT_STAGED);
    if (is_staged && !is_whole(message) && message->size <= SESSION_NAMES_MAX)
        return NEED_MORE;
    session->copy_end_sent = true;
    if (session->queue.count && !session->skipping)
        request_push(session, REQUEST_COPY_END);
    if (!is_staged || !is_whole(message))
        return PASS;
    output_add(to_server(session), message->data, message->size);
    staging_ask_for_reply(session);
    session->waiting = WAIT_STAGED;
    return TAKEN;
}

/*
 * Neither a type nor a length that the protocol knows. The server gets the header in its turn, and
 * answers and closes as PostgreSQL does; nothing of what follows means anything.
 */
static enum verdict on_nonsense(struct session *session, const struct message *message,
                                const char *what)
{
    char subject[256];
    session_subject(session, subject, sizeof subject);
    log_warning(subject, "protocol violation: %s (message type 0x%02x)", what, message->data[0]);
    session->client_broke_protocol = true;
    output_add(to_server(session), message->data, WIRE_HEADER);
    return PASS;
}

/*
 * A message of ours, sent ahead of this Query, has failed; the client has read the error as the
 * Query's. Left alone, the server would now skip the Query and never say ReadyForQuery, as it does
 * after an error in the Query itself: a Sync in its place brings that.
 */
static enum verdict end_failed_query(struct session *session)
{
    struct text message;
    text_init(&message, 16);
    wire_write_sync(&message);
    output_add_text(to_server(session), &message);
    text_release(&message);
    session->skipping = false;
    session->batch_open = false;
    request_push(session, REQUEST_QUERY);
    return REPLACED;
}

/* After an error in the batch the server skips everything but Sync, and so do we. */
static enum verdict on_skipped(struct session *session, char type)
{
    bool ours = session->injection_failed;
    session->injection_failed = false;
    if (type == 'S')
        return on_sync(session);
    return ours && type == 'Q' ? end_failed_query(session) : PASS;
}

static enum verdict on_message(struct session *session, const struct message *message)
{
    char type = (char)message->data[0];
    if (session->skipping)
        return on_skipped(session, type);
    if (session->queue.count >= SESSION_QUEUE_MAX && type != 'd')
        return wait_for(session, WAIT_QUEUE);
    switch (type) {
    case 'B':
        return on_bind(session, message);
    case 'E':
        return on_execute(session, message);
    case 'S':
        return on_sync(session);
    case 'D':
        return on_describe_or_close(session, message, false);
    case 'P':
        return on_parse(session, message);
    case 'Q':
        return on_query(session, message);
    case 'C':
        return on_describe_or_close(session, message, true);
    case 'H': /* Flush: no reply */
    case 'd': /* CopyData */
        return PASS;
    case 'X': /* Terminate: the server closes */
        session->client_left = session->said_terminate = true;
        return PASS;
    case 'c':
    case 'f':
        return on_copy_end(session, message);
    case 'F':
        if (!rewriting_begin(session))
            return MUST_WAIT;
        request_push(session, REQUEST_FUNCTION);
        return PASS;
    default:
        return on_nonsense(session, message, "invalid frontend message type");
    }
}

/* While logging in only the answers to the server's questions are for it. */
static enum verdict on_login_message(struct session *session, const struct message *message)
{
    if (message->data[0] != 'p')
        return wait_for(session, WAIT_LOGIN);
    if (!authentication_takes(session))
        return PASS;
    if (message->size > SESSION_NAMES_MAX) {
        struct error error;
        error_set(&error, "08P01", "invalid message length");
        session_refuse(session, SESSION_END_PROTOCOL_VIOLATION, &error);
        return REPLACED;
    }
    if (!is_whole(message))
        return NEED_MORE;
    switch (authentication_on_client(session, message->body, message->body_length)) {
    case AUTHENTICATION_RELAY:
        return PASS;
    case AUTHENTICATION_TAKEN:
        return TAKEN;
    }
    BUG("an answer to authentication that is none");
}

static void count_query(struct session *session, char type)
{
    if (type == 'Q' || type == 'E' || type == 'F') {
        session->queries++;
        stat_add(&session->worker->stats.queries, 1);
    }
}

size_t client_consume(struct session *session, const uint8_t *data, size_t length)
{
    struct message_rest *rest = &session->client_rest;
    size_t at = 0;
    if (session->staged)
        staging_continue(session);
    while (at < length && session->waiting == WAIT_NONE) {
        if (rest->left) {
            size_t part = rest->left < length - at ? rest->left : length - at;
            if (!rest->discard)
                output_add(to_server(session), data + at, part);
            rest->left -= part;
            at += part;
            continue;
        }
        if (session->client_broke_protocol)
            return length;
        struct message message = {.data = data + at, .body = data + at + WIRE_HEADER};
        switch (wire_frame_read(data + at, length - at, &message.size)) {
        case WIRE_NEED_MORE:
            return at;
        case WIRE_BAD_LENGTH:
            on_nonsense(session, &message, "invalid message length");
            return length;
        case WIRE_FRAME:
            break;
        }
        message.available = message.size < length - at ? message.size : length - at;
        message.body_length = message.available - WIRE_HEADER;
        enum verdict verdict = session->state == SESSION_LOGIN ? on_login_message(session, &message)
                                                               : on_message(session, &message);
        if (verdict == NEED_MORE || verdict == MUST_WAIT)
            return at;
        if (session_is_over(session) || session->client_broke_protocol)
            return length;
        count_query(session, (char)data[at]);
        if (verdict == PASS)
            output_add(to_server(session), message.data, message.available);
        rest->left = message.size - message.available;
        rest->discard = verdict != PASS;
        at += message.available;
    }
    return at;
}
