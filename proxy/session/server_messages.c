/*
 * Messages from the server, matched against the request queue. A DataRow is passed on without being
 * looked at; what ends a request is read, since state that a request changes applies with its
 * reply.
 */
#include "session.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum verdict {
    PASS,
    DROP, /* the reply to a message of our own, or replaced by another */
    NEED_WHOLE
};

struct reply {
    uint8_t *data;
    size_t size;      /* of the whole message */
    size_t available; /* bytes of it that are there */
    uint8_t *body;
    size_t body_length;
};

/* ---------------------------------------------------------------- what a session keeps track of */

static void on_parameter_status(struct session *session, const struct reply *reply)
{
    const char *name = wire_read_name(reply->body, reply->body_length);
    if (!name)
        return;
    size_t offset = strlen(name) + 1;
    const char *value = wire_read_name(reply->body + offset, reply->body_length - offset);
    if (!value)
        return;
    if (strcmp(name, "standard_conforming_strings") == 0) {
        session->standard_strings = strcmp(value, "on") == 0;
        rewriting_new_context(session);
    } else if (strcmp(name, "client_encoding") == 0) {
        /* The encodings in which a byte below 0x80 may be the second half of a character. */
        static const char *const unsafe[] = {"SJIS", "SHIFT_JIS_2004", "BIG5",    "GBK",
                                             "UHC",  "JOHAB",          "GB18030", "MSKANJI"};
        session->encoding_is_safe = true;
        for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
            if (strcasecmp(value, unsafe[i]) == 0)
                session->encoding_is_safe = false;
        }
        rewriting_new_context(session);
    } else if (strcmp(name, "application_name") == 0) {
        free(session->application);
        session->application = memory_string(value);
    } else if (strcmp(name, "DateStyle") == 0) {
        free(session->date_style);
        session->date_style = memory_string(value);
    } else if (strcmp(name, "IntervalStyle") == 0) {
        free(session->interval_style);
        session->interval_style = memory_string(value);
    }
}

/* ---------------------------------------------------------------- RowDescription */

/* Columns that are computed say which column they stand for (REWRITE.md, trap 5). In place. */
static void patch_row_description(const struct rewrite *rewrite, struct reply *reply)
{
    if (reply->body_length < 2)
        return;
    size_t count = wire_get_int16(reply->body), offset = 2, next = 0;
    for (size_t column = 0; column < count && next < rewrite->result_count; column++) {
        size_t at = wire_row_description_column(reply->body, reply->body_length, &offset);
        if (at == 0)
            return;
        const struct rewrite_result *result = &rewrite->results[next];
        if (result->column != column)
            continue;
        next++;
        for (int i = 0; i < 4; i++)
            reply->body[at + (size_t)i] = (uint8_t)(result->table_oid >> (24 - 8 * i));
        reply->body[at + 4] = (uint8_t)((uint16_t)result->attnum >> 8);
        reply->body[at + 5] = (uint8_t)result->attnum;
    }
}

/* An EXECUTE shows the rows of what was prepared under its name. */
static const struct rewrite *rewrite_executed(struct session *session,
                                              const struct rewrite *rewrite, uint32_t statement)
{
    for (size_t i = 0; i < rewrite->named_count; i++) {
        const struct rewrite_named *named = &rewrite->named[i];
        if (!(named->fact & REWRITE_FACT_EXECUTE) || named->statement != statement)
            continue;
        const struct prepared *slot = prepared_find(&session->prepared, named->name);
        return slot && slot->confirmed ? slot->confirmed->rewrite : NULL;
    }
    return NULL;
}

/* Whose columns a RowDescription tells; NULL where none of them is computed. */
static const struct rewrite *rewrite_described(struct session *session,
                                               const struct request *request)
{
    const struct definition *definition = request ? definition_behind(session, request) : NULL;
    const struct rewrite *rewrite = definition ? definition->rewrite : NULL;
    if (rewrite && rewrite->named_count && !definition->is_sql)
        rewrite = rewrite_executed(session, rewrite, request->statement);
    return rewrite && rewrite->result_count ? rewrite : NULL;
}

static enum verdict on_row_description(struct session *session, const struct request *request,
                                       struct reply *reply)
{
    const struct rewrite *rewrite = rewrite_described(session, request);
    if (!rewrite)
        return PASS;
    if (reply->available < reply->size && reply->size <= SESSION_LOOK_MAX)
        return NEED_WHOLE;
    if (reply->available == reply->size)
        patch_row_description(rewrite, reply);
    return PASS;
}

/* ---------------------------------------------------------------- CommandComplete */

static void apply_prepare(struct session *session, const struct definition *definition,
                          const struct rewrite_named *named)
{
    /* Alone, so that it can be prepared again without what stood beside it. */
    const char *text = definition->source->data;
    size_t length = named->end - named->start;
    BUG_ON(named->end < named->start || named->end > definition->source->text_length);
    char *alone = memory_string_range(text + named->start, length);
    struct definition *made = definition_new(
        source_intern(&session->worker->sources, alone, length, 0), NULL, definition->context);
    free(alone);
    made->is_sql = true;
    if (length == definition->source->text_length)
        made->rewrite = rewrite_get(definition->rewrite);
    else
        made->context = 0; /* of no context: looked at again before it is used */
    prepared_set(&session->prepared, named->name, made);
    definition_put(&session->worker->sources, made);
}

static void apply_facts(struct session *session, const struct definition *definition,
                        uint32_t statement, const char *tag)
{
    for (size_t i = 0; i < definition->rewrite->named_count; i++) {
        const struct rewrite_named *named = &definition->rewrite->named[i];
        if (named->statement != statement)
            continue;
        if ((named->fact & REWRITE_FACT_PREPARE) && strcmp(tag, "PREPARE") == 0)
            apply_prepare(session, definition, named);
        if ((named->fact & REWRITE_FACT_DEALLOCATE) && named->name)
            prepared_forget(&session->prepared, named->name);
    }
}

static bool begins_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

static void apply_tag(struct session *session, const char *tag)
{
    switch (tag[0]) {
    case 'A':
        session->schema_changed |= begins_with(tag, "ALTER ");
        break;
    case 'C':
        session->schema_changed |= begins_with(tag, "CREATE ");
        break;
    case 'D':
        session->schema_changed |= begins_with(tag, "DROP ");
        if (strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0)
            prepared_forget_all(&session->prepared);
        if (begins_with(tag, "DISCARD"))
            rewriting_forget_resolution(session);
        break;
    default:
        break;
    }
}

static enum verdict on_command_complete(struct session *session, struct request *request,
                                        const struct reply *reply)
{
    if (session->copying_in) {
        session->copying_in = false;
        if (session->queue.count > 1 &&
            request_queue_at(&session->queue, 1)->kind == REQUEST_COPY_END)
            request_queue_remove(&session->queue, 1);
    }
    if (!session->database)
        return PASS;
    if (reply->available < reply->size && reply->size <= SESSION_LOOK_MAX)
        return NEED_WHOLE;
    const char *tag = wire_read_name(reply->body, reply->body_length);
    if (!tag)
        return PASS;
    apply_tag(session, tag);
    if (!request)
        return PASS;
    const struct definition *definition = definition_behind(session, request);
    if (definition && definition->rewrite && definition->rewrite->named_count)
        apply_facts(session, definition, request->statement, tag);
    if (request->kind == REQUEST_QUERY)
        request->statement++;
    return PASS;
}

/* ---------------------------------------------------------------- errors */

static struct output *to_client(struct session *session)
{
    return &session->worker->to_client;
}

static void send_refusal(struct session *session, const struct error *error)
{
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    wire_write_error(&message, "ERROR", error);
    output_add_text(to_client(session), &message);
    text_release(&message);
}

/* The position lies in what was sent; the client is told where that is in its own text. */
static bool send_with_own_position(struct session *session, const struct definition *definition,
                                   const struct reply *reply)
{
    const char *sent = wire_error_field(reply->body, reply->body_length, 'P');
    if (!sent)
        return false;
    int position = 0;
    if (definition)
        position =
            rewrite_map_position(definition->rewrite, source_text(definition->source), atoi(sent));
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    bool done = wire_copy_error(&message, reply->body, reply->body_length, position);
    if (done)
        output_add_text(to_client(session), &message);
    text_release(&message);
    return done;
}

static bool is_fatal(const struct reply *reply)
{
    const char *severity = wire_error_field(reply->body, reply->body_length, 'V');
    return severity && strcmp(severity, "ERROR") != 0;
}

/* Failed messages of our own that the session waits for: told with the client's own message. */
static void keep_injected_error(struct session *session, const struct reply *reply)
{
    struct error *error = memory_get(sizeof *error);
    const char *state = wire_error_field(reply->body, reply->body_length, 'C');
    const char *message = wire_error_field(reply->body, reply->body_length, 'M');
    const char *detail = wire_error_field(reply->body, reply->body_length, 'D');
    const char *hint = wire_error_field(reply->body, reply->body_length, 'H');
    error_set(error, state ? state : "XX000", "%s", message ? message : "the server failed");
    error_detail(error, "%s", detail ? detail : "");
    error_hint(error, "%s", hint ? hint : "");
    free(session->injected_error);
    session->injected_error = error;
}

static enum verdict answer_error(struct session *session, const struct request *request,
                                 const struct reply *reply)
{
    if (request->injected != REQUEST_OF_CLIENT) {
        if (request->is_waited_for) {
            keep_injected_error(session, reply);
            return DROP;
        }
        /* In the client's batch: the message that it was sent for is skipped, this is its answer.
         */
        return send_with_own_position(session, NULL, reply) ? DROP : PASS;
    }
    if (request->refusal) {
        const char *state = wire_error_field(reply->body, reply->body_length, 'C');
        if (!state || strcmp(state, "42703") != 0)
            return PASS; /* e.g. 25P02: the transaction had failed before */
        send_refusal(session, request->refusal);
        return DROP;
    }
    const struct definition *definition = definition_behind(session, request);
    if (!definition || !definition->rewrite || definition->rewrite->outcome != REWRITE_CHANGED)
        return PASS;
    return send_with_own_position(session, definition, reply) ? DROP : PASS;
}

static enum verdict on_error(struct session *session, const struct reply *reply)
{
    struct request *request = request_queue_front(&session->queue);
    if (!request)
        return PASS; /* the server says good-bye */
    if (reply->available < reply->size && reply->size <= SESSION_LOOK_MAX)
        return NEED_WHOLE;
    if (is_fatal(reply))
        return PASS;
    session->copying_in = false;
    enum verdict verdict = reply->available == reply->size ? answer_error(session, request, reply)
                                                           : PASS; /* too large to be looked into */
    if (request->destroys_unnamed)
        prepared_forget_unnamed(&session->prepared);
    bool was_ours = request->injected != REQUEST_OF_CLIENT;
    if (request_is_extended(request->kind))
        request_skip_to_sync(session);
    session->injection_failed = was_ours && session->skipping;
    return verdict;
}

/* ---------------------------------------------------------------- replies that end a request */

static void confirm_slot(struct session *session, struct request *request)
{
    if (!request->slot)
        return;
    struct prepared *slot = request->slot;
    request->slot = NULL;
    prepared_confirm(&session->prepared, slot, request->definition);
}

static void on_end_of_request(struct session *session, struct request *request)
{
    switch (request->kind) {
    case REQUEST_PARSE:
        confirm_slot(session, request);
        break;
    case REQUEST_CLOSE_STATEMENT:
        if (request->loses_statement && request->definition)
            request->definition->is_lost = true;
        else
            confirm_slot(session, request);
        break;
    case REQUEST_BIND:
        if (session->database && request->injected == REQUEST_OF_CLIENT)
            portal_set(session, request);
        break;
    case REQUEST_CLOSE_PORTAL: {
        struct portal *portal = portal_find(session, request->portal);
        if (portal)
            portal_drop(session, portal);
        break;
    }
    case REQUEST_QUERY:
        if (session->database)
            prepared_forget_unnamed(&session->prepared);
        break;
    case REQUEST_EXECUTE: /* a PREPARE of ours */
        confirm_slot(session, request);
        break;
    case REQUEST_DESCRIBE_STATEMENT:
    case REQUEST_DESCRIBE_PORTAL:
    case REQUEST_SYNC:
    case REQUEST_FUNCTION:
        break;
    case REQUEST_COPY_END:
        BUG("a mark has no reply");
    }
    bool waited_for = request->injected == REQUEST_INJECTED_LAST;
    request_pop(session);
    if (waited_for)
        enlist_on_end(session);
}

static enum verdict on_ready_for_query(struct session *session, const struct reply *reply)
{
    if (reply->available < reply->size)
        return NEED_WHOLE;
    if (reply->body_length < 1)
        return PASS;
    session->transaction = (char)reply->body[0];
    session->copying_in = false;
    if (session->state == SESSION_LOGIN) {
        session_start_relay(session);
        return PASS;
    }
    struct request *request = request_queue_front(&session->queue);
    if (!request || !request_ends_with(request->kind, 'Z'))
        return PASS; /* not ours to mend: the client's driver will see it too */
    enum verdict verdict = request->injected == REQUEST_OF_CLIENT ? PASS : DROP;
    on_end_of_request(session, request);
    if (session->queue.count == 0)
        session->batch_open = false; /* a Query ended it, and was not skipped */
    if (session->transaction == 'I')
        rewriting_transaction_ended(session);
    return verdict;
}

static void on_backend_key(struct session *session, const struct reply *reply)
{
    if (reply->body_length >= 4)
        session->server_pid = (int32_t)wire_get_int32(reply->body);
}

static void on_copy_in(struct session *session)
{
    session->copying_in = true;
    session->copy_end_sent = false;
    if (session->queue.count == 0)
        return;
    request_queue_enter_copy(&session->queue);
    if (session->queue.count > 1 && request_queue_at(&session->queue, 1)->kind == REQUEST_COPY_END)
        session->copy_end_sent = true; /* it was sent before the server asked */
}

/* Messages that come at any time, whatever was asked. */
static bool is_asynchronous(char type)
{
    return type == 'N' || type == 'A' || type == 'S';
}

static enum verdict on_reply(struct session *session, struct reply *reply)
{
    char type = (char)reply->data[0];
    struct request *request = request_queue_front(&session->queue);
    bool is_own = request && request->injected != REQUEST_OF_CLIENT;
    if (type == 'D' && !is_own)
        return PASS;
    if (is_asynchronous(type)) {
        if (type != 'S')
            return PASS;
        if (reply->available < reply->size)
            return NEED_WHOLE;
        on_parameter_status(session, reply);
        return PASS;
    }
    enum verdict verdict = PASS;
    switch (type) {
    case 'Z':
        return on_ready_for_query(session, reply);
    case 'E':
        return on_error(session, reply);
    case 'D':
        if (reply->available < reply->size)
            return NEED_WHOLE;
        if (request->injected == REQUEST_INJECTED_ROWS)
            enlist_on_row(session, reply->body, reply->body_length);
        return DROP;
    case 'T':
        verdict = on_row_description(session, request, reply);
        break;
    case 'C':
        verdict = on_command_complete(session, request, reply);
        break;
    case 'G':
        on_copy_in(session);
        break;
    case 'K':
        if (reply->available < reply->size)
            return NEED_WHOLE;
        on_backend_key(session, reply);
        return PASS;
    default:
        break;
    }
    if (verdict == NEED_WHOLE)
        return verdict;
    if (request && request_ends_with(request->kind, type)) {
        if (reply->available < reply->size && reply->size <= SESSION_LOOK_MAX && is_own)
            return NEED_WHOLE;
        on_end_of_request(session, request);
    }
    return is_own ? DROP : verdict;
}

static void on_nonsense(struct session *session)
{
    output_flush(to_client(session));
    session_end(session, "the server sent a message with an impossible length");
}

void session_start_relay(struct session *session)
{
    session_go_state(session, session->is_replication ? SESSION_RAW : SESSION_READY);
}

size_t server_consume(struct session *session, uint8_t *data, size_t length)
{
    struct message_rest *rest = &session->server_rest;
    size_t at = 0;
    while (at < length) {
        if (rest->left) {
            size_t part = rest->left < length - at ? rest->left : length - at;
            if (!rest->discard)
                output_add(to_client(session), data + at, part);
            rest->left -= part;
            at += part;
            continue;
        }
        struct reply reply = {.data = data + at, .body = data + at + WIRE_HEADER};
        switch (wire_frame_read(data + at, length - at, &reply.size)) {
        case WIRE_NEED_MORE:
            return at;
        case WIRE_BAD_LENGTH:
            on_nonsense(session);
            return length;
        case WIRE_FRAME:
            break;
        }
        reply.available = reply.size < length - at ? reply.size : length - at;
        reply.body_length = reply.available - WIRE_HEADER;
        enum verdict verdict = on_reply(session, &reply);
        if (verdict == NEED_WHOLE)
            return at;
        if (verdict == PASS)
            output_add(to_client(session), data + at, reply.available);
        rest->left = reply.size - reply.available;
        rest->discard = verdict == DROP;
        at += reply.available;
        if (session->state == SESSION_RAW && at < length) {
            output_add(to_client(session), data + at, length - at);
            return length;
        }
    }
    return at;
}
