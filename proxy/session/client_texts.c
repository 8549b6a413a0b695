/*
 * Query and Parse: the messages that hold SQL. Where it names a table in transition another text is
 * sent in its place.
 */
#include "client_message.h"

#include "segue/wire/message.h"

/* ---------------------------------------------------------------- texts too large to look at */

static enum verdict replaced_query(struct session *session, const struct error *error)
{
    refuse_query(session, error);
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

enum verdict on_query(struct session *session, const struct message *message)
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
    if (!message_is_whole(message))
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

enum verdict on_parse(struct session *session, const struct message *message)
{
    if (!rewriting_begin(session))
        return MUST_WAIT;
    session->writes_unseen = false; /* by itself a Parse shows them, once it is done */
    if (passes_unseen(session, message)) {
        session->prepared_unseen = true;
        return pass_parse(session);
    }
    struct error error;
    if (text_is_too_large(session, message, &error))
        return replaced_extended(session, NULL, &error);
    if (!message_is_whole(message))
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
