/*
 * ErrorResponse and NoticeResponse. What the server says of tables in transition is told in the
 * client's terms (segue/rewrite/terms.h); the errors of our own messages, and those that stand for
 * a refusal, are told as what they stand for.
 */
#include "server_reply.h"

#include "segue/base/memory.h"
#include "segue/rewrite/terms.h"

#include <stdlib.h>

static void send_refusal(struct session *session, const struct error *error)
{
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    wire_write_error(&message, "ERROR", error);
    output_add_text(to_client(session), &message);
    text_release(&message);
}

/* ---------------------------------------------------------------- in the client's terms */

/* `definition` NULL: of no text that is known; `is_own`: of a text that the client never sent. */
static struct terms terms_for(const struct session *session, const struct definition *definition,
                              bool is_own)
{
    struct terms terms = {.new_shapes = session->new_shapes, .drops_position = is_own};
    if (session->pinned)
        terms.snapshot = session->pinned->snapshot;
    if (definition && definition->rewrite) {
        terms.rewrite = definition->rewrite;
        terms.client_text = source_text(definition->source);
    }
    return terms;
}

static bool says_nothing(const struct terms *terms)
{
    return !terms->drops_position && !terms->rewrite &&
           (!terms->snapshot || terms->snapshot->transition_count == 0);
}

/* Of the text that it is about. */
static struct definition *definition_told(struct session *session, const struct request *request)
{
    return request->injected != REQUEST_OF_CLIENT ? request->definition
                                                  : definition_behind(session, request);
}

/* PASS where it may be told as it is. */
static enum verdict tell(struct session *session, const struct request *request,
                         const struct terms *terms, const struct reply *reply)
{
    struct wire_fields fields;
    if (says_nothing(terms) || !wire_read_fields(reply->body, reply->body_length, &fields))
        return PASS;
    struct arena arena;
    arena_init(&arena);
    bool changed = staging_translate(request, definition_told(session, request), &arena, &fields);
    changed |= terms_translate(&arena, terms, &fields);
    if (changed) {
        struct text message;
        text_init(&message, TEXT_UNBOUNDED);
        wire_write_fields(&message, (char)reply->data[0], &fields);
        output_add_text(to_client(session), &message);
        text_release(&message);
    }
    arena_release(&arena);
    return changed ? DROP : PASS;
}

/* ---------------------------------------------------------------- errors */

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
        struct terms terms = terms_for(session, request->definition, true);
        return tell(session, request, &terms, reply);
    }
    if (request->refusal) {
        const char *state = wire_error_field(reply->body, reply->body_length, 'C');
        const char *of_blank = request->kind == REQUEST_FUNCTION ? "42883" : "08P01";
        bool is_expected = state && (strcmp(state, "42703") == 0 || strcmp(state, of_blank) == 0);
        if (!is_expected)
            return PASS; /* e.g. 25P02: the transaction had failed before */
        send_refusal(session, request->refusal);
        return DROP;
    }
    struct terms terms = terms_for(session, definition_told(session, request), false);
    return tell(session, request, &terms, reply);
}

enum verdict on_error(struct session *session, const struct reply *reply)
{
    struct request *request = request_queue_front(&session->queue);
    if (reply_can_be_whole(reply))
        return NEED_WHOLE;
    bool says_fatal = reply_is_whole(reply) && is_fatal(reply);
    if (!request) { /* the server says good-bye */
        session->server_said_fatal |= session->state == SESSION_LOGIN || says_fatal;
        return PASS;
    }
    if (says_fatal) {
        session->server_said_fatal = true;
        return PASS;
    }
    session->copying_in = false;
    enum verdict verdict = PASS; /* where it is too large to be looked into */
    if (reply_is_whole(reply))
        verdict = answer_error(session, request, reply);
    if (request->destroys_unnamed)
        prepared_forget_unnamed(&session->prepared);
    /* of a staged COPY: then the client's own statement has failed */
    bool was_ours = request->injected != REQUEST_OF_CLIENT && request->stage == REQUEST_STAGE_NONE;
    if (request_is_extended(request->kind)) {
        request_skip_to_sync(session);
        copy_doubt_begin(session, true);
    }
    session->injection_failed = was_ours && session->skipping;
    return verdict;
}

/* ---------------------------------------------------------------- notices */

/* They belong to the request that is being answered, if to any. */
enum verdict on_notice(struct session *session, const struct reply *reply)
{
    const struct request *request = request_queue_front(&session->queue);
    if (!request || !session->database)
        return PASS;
    bool is_own = request->injected != REQUEST_OF_CLIENT || request->refusal;
    if (staging_hides_notice(request))
        return DROP;
    struct terms terms = terms_for(session, definition_told(session, request), is_own);
    if (says_nothing(&terms))
        return PASS;
    if (reply_can_be_whole(reply))
        return NEED_WHOLE;
    return reply_is_whole(reply) ? tell(session, request, &terms, reply) : PASS;
}
