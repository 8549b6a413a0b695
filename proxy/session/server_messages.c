/*
 * Messages from the server, matched against the request queue. A DataRow is passed on without being
 * looked at; what ends a request is read, since state that a request changes applies with its
 * reply. What is in the replies that are looked into is the business of server_results.c,
 * server_completion.c and server_errors.c.
 */
#include "server_reply.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include "text_effects.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---------------------------------------------------------------- what a session keeps track of */

static void keep_value(char **kept, const char *value)
{
    free(*kept);
    *kept = memory_string(value);
}

static void on_encoding(struct session *session)
{
    /* The encodings in which a byte below 0x80 may be the second half of a character. */
    static const char *const unsafe[] = {"SJIS", "SHIFT_JIS_2004", "BIG5",    "GBK",
                                         "UHC",  "JOHAB",          "GB18030", "MSKANJI"};
    const char *client = session->client_encoding ? session->client_encoding : "UTF8";
    const char *server = session->server_encoding ? session->server_encoding : "UTF8";
    session->encoding = sql_encoding_of(server, client);
    session->encoding_is_safe = true;
    session->encoding_is_utf8 =
        strcasecmp(client, "UTF8") == 0 || strcasecmp(client, "SQL_ASCII") == 0;
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        if (strcasecmp(client, unsafe[i]) == 0)
            session->encoding_is_safe = false;
    }
    rewriting_new_context(session);
}

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
        keep_value(&session->client_encoding, value);
        on_encoding(session);
    } else if (strcmp(name, "server_encoding") == 0) {
        keep_value(&session->server_encoding, value);
        on_encoding(session);
    } else if (strcmp(name, "application_name") == 0) {
        keep_value(&session->application, value);
    } else if (strcmp(name, "DateStyle") == 0) {
        keep_value(&session->date_style, value);
    } else if (strcmp(name, "IntervalStyle") == 0) {
        keep_value(&session->interval_style, value);
    }
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
    session->transaction_failed = session->transaction == 'E';
    session->copying_in = false;
    session->writes_unseen = false;
    if (session->state == SESSION_LOGIN) {
        return session_start_relay(session) ? PASS : DROP;
    }
    struct request *request = request_queue_front(&session->queue);
    enum verdict verdict = PASS;
    if (request ? request->asks_for_doubt : session->copy_doubt.left > 0) {
        verdict = copy_doubt_on_ready(session) ? PASS : DROP;
    } else if (!request || !request_ends_with(request->kind, 'Z')) {
        return PASS; /* not ours to mend: the client's driver will see it too */
    } else {
        verdict = request->injected == REQUEST_OF_CLIENT ? PASS : DROP;
        on_end_of_request(session, request);
        copy_doubt_begin(session, false);
    }
    request = request_queue_front(&session->queue);
    if (request && request->may_be_swallowed)
        request_queue_doubt(&session->queue);
    if (session->queue.count == 0)
        session->batch_open = false; /* a Query ended it, and was not skipped */
    if (session->transaction == 'I') {
        session->transactions++;
        rewriting_transaction_ended(session);
    }
    return verdict;
}

/* AuthenticationOk and SASLFinal ask for nothing. */
static void note_password_asked(struct session *session, const struct reply *reply)
{
    enum { OK = 0, SASL_FINAL = 12 };
    uint32_t code = reply->body_length >= 4 ? wire_get_int32(reply->body) : OK;
    session->password_asked = code != OK && code != SASL_FINAL;
}

static void on_backend_key(struct session *session, const struct reply *reply)
{
    if (reply->body_length >= 4)
        session->server_pid = (int32_t)wire_get_int32(reply->body);
    upstream_note_key(session, reply->body, reply->body_length);
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

/* What a portal writes shows once a command completes behind it; a Parse is one, too. */
static void note_writes(struct session *session, const struct request *request, char type)
{
    if (type == 'C' || type == '1') {
        session->writes_unseen = false;
    } else if (type == 's') {
        const struct definition *definition = definition_behind(session, request);
        session->writes_unseen |= definition && definition->source->effects & TEXT_WRITES;
    }
}

/* Messages that come at any time, whatever was asked. */
static bool is_asynchronous(char type)
{
    return type == 'N' || type == 'A' || type == 'S';
}

static enum verdict on_reply(struct session *session, struct reply *reply)
{
    char type = (char)reply->data[0];
    if (session->attempt) {
        enum verdict verdict = upstream_on_reply(session, reply);
        if (verdict != PASS)
            return verdict;
    }
    struct request *request = request_queue_front(&session->queue);
    bool is_own = request && request->injected != REQUEST_OF_CLIENT;
    if (type == 'D' && !is_own)
        return PASS;
    if (is_asynchronous(type)) {
        if (type == 'N')
            return on_notice(session, reply);
        if (type != 'S')
            return PASS;
        if (reply->available < reply->size)
            return NEED_WHOLE;
        on_parameter_status(session, reply);
        return PASS;
    }
    if (type == 'Z')
        return on_ready_for_query(session, reply);
    if (request && request->asks_for_doubt && type == '3') {
        copy_doubt_end(session);
        return DROP;
    }
    if (request && request->may_be_swallowed) {
        request_queue_settle(&session->queue);
        request = request_queue_front(&session->queue);
        is_own = false;
    }
    enum verdict verdict = PASS;
    switch (type) {
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
    case 'R':
        if (session->state != SESSION_LOGIN)
            break;
        if (reply->available < reply->size)
            return NEED_WHOLE;
        if (authentication_on_request(session, reply->body, reply->body_length))
            return DROP;
        note_password_asked(session, reply);
        return PASS;
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
        note_writes(session, request, type);
        on_end_of_request(session, request);
    }
    return is_own ? DROP : verdict;
}

static void on_nonsense(struct session *session)
{
    output_flush(to_client(session));
    struct error error;
    error_set(&error, "08P01", "the server sent a message with an impossible length");
    error_hint(&error, "Is `upstream` of segue.conf a PostgreSQL server?");
    session_refuse(session, SESSION_END_SERVER_NONSENSE, &error);
}

static bool find_place(struct session *session, struct error *error,
                       enum session_end_reason *reason)
{
    const struct settings *settings = session->worker->settings;
    const char *user = session->user ? session->user : "";
    const char *database = session->database_name ? session->database_name : "";
    int of_user = settings->max_user_client_connections;
    int of_database = settings->max_db_client_connections;
    if (!(session->user_place = admission_take(ADMISSION_USER, user, of_user))) {
        *reason = SESSION_END_MAX_USER_CONNECTIONS;
        error_set(error, "53300", "too many connections for role \"%s\"", user);
        error_detail(error, "max_user_client_connections is %d.", of_user);
        return false;
    }
    if ((session->database_place = admission_take(ADMISSION_DATABASE, database, of_database)))
        return true;
    *reason = SESSION_END_MAX_DB_CONNECTIONS;
    error_set(error, "53300", "too many connections for database \"%s\"", database);
    error_detail(error, "max_db_client_connections is %d.", of_database);
    return false;
}

bool session_start_relay(struct session *session)
{
    struct error error = {0};
    enum session_end_reason reason;
    if (!find_place(session, &error, &reason)) {
        output_flush(to_client(session));
        session_refuse(session, reason, &error);
        return false;
    }
    authentication_release(session);
    session_go_state(session, session->is_replication ? SESSION_RAW : SESSION_READY);
    return true;
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
        if (verdict == NEED_WHOLE && reply.size > SESSION_LOOK_MAX) { /* none is that large */
            on_nonsense(session);
            return length;
        }
        if (verdict == NEED_WHOLE)
            return at;
        if (session->state == SESSION_CONNECTING ||
            session_is_over(session)) /* elsewhere, or no more */
            return length;
        if (verdict == PASS && upstream_withholds(session))
            upstream_withhold(session, &reply);
        else if (verdict == PASS)
            output_add(to_client(session), data + at, reply.available);
        rest->left = reply.size - reply.available;
        rest->discard = verdict == DROP;
        at += reply.available;
        if (session->state == SESSION_RAW) {
            size_t whole = relay_follow(session, data + at, length - at);
            output_add(to_client(session), data + at, whole);
            return at + whole;
        }
    }
    return at;
}
