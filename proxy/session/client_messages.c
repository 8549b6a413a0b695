/*
 * Messages from the client, one after the other: each is passed on as it is, passed on changed, or
 * made to wait. Nothing is done for a message before it is certain that it need not wait, since it
 * is then met again from its first byte.
 */
#include "cancel.h"
#include "client_message.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/message.h"

#include <stdlib.h>

/* Data for a COPY that the server has not asked for yet, or for none: only its replies will tell.
 */
static bool may_be_for_copy(struct session *session)
{
    struct request *front = request_queue_front(&session->queue);
    return session->database && front && !front->may_be_swallowed && !session_is_in_copy(session);
}

static enum verdict on_copy_data(struct session *session)
{
    if (may_be_for_copy(session)) {
        wait_for_replies(session);
        return MUST_WAIT;
    }
    session->copy_data_sent = session_is_in_copy(session);
    return PASS;
}

static enum verdict on_sync(struct session *session)
{
    session->batch_open = false;
    session->skipping = session->skips_here = false;
    if (session->copy_doubt.left) {
        copy_doubt_add_sync(session);
        return PASS;
    }
    /* A Sync while the server reads CopyData is swallowed by it, up to the copy's end. Only behind
     * data is that in doubt: they may be what the COPY has failed by. */
    if (!session_is_in_copy(session))
        request_push(session, REQUEST_SYNC);
    else if (session->copy_data_sent)
        session->syncs_in_copy = request_push(session, REQUEST_SYNC)->may_be_swallowed = true;
    return PASS;
}

static enum verdict on_copy_end(struct session *session, const struct message *message)
{
    if (may_be_for_copy(session)) {
        wait_for_replies(session);
        return MUST_WAIT;
    }
    bool is_staged = message->data[0] == 'c' && staging_is_copying(session);
    if (is_staged && !message_is_whole(message) && message->size <= SESSION_NAMES_MAX)
        return NEED_MORE;
    session->copy_end_sent = true;
    if (session->queue.count && !session->skipping)
        request_push(session, REQUEST_COPY_END);
    if (!is_staged || !message_is_whole(message))
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

static enum request_kind kind_of_blank(char type)
{
    return type == 'Q' ? REQUEST_QUERY : type == 'F' ? REQUEST_FUNCTION : REQUEST_BIND;
}

/*
 * A message that a server in the middle of COPY FROM STDIN ends the session for, by the name of its
 * type, and that cannot be sent as it is without others of ours ahead of it. Its type is all that
 * the server looks at; where the COPY has failed meanwhile, this is no message that does anything.
 */
static enum verdict send_blank(struct session *session, const struct message *message)
{
    if (message->size > SESSION_NAMES_MAX)
        return on_nonsense(session, message, "a message amid COPY FROM STDIN");
    struct text blank;
    text_init(&blank, TEXT_UNBOUNDED);
    text_add(&blank, message->data, WIRE_HEADER);
    while (blank.length < message->size)
        text_add_char(&blank, 'x'); /* a string without an end */
    output_add_text(to_server(session), &blank);
    text_release(&blank);
    struct error *error = memory_get(sizeof *error); /* for the server's, of what means nothing */
    error_set(error, "55000", "it is not known where in the messages a COPY has failed");
    error_hint(error, "End the data of COPY FROM STDIN by CopyDone or CopyFail.");
    request_push(session, kind_of_blank((char)message->data[0]))->refusal = error;
    return REPLACED;
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

static bool is_one_of(char type, const char *types)
{
    return type && strchr(types, type);
}

/* After an error in the batch the server skips everything but Sync, and so do we. */
static enum verdict on_skipped(struct session *session, char type)
{
    bool ours = session->injection_failed;
    session->injection_failed = false;
    if (type == 'S')
        return on_sync(session);
    if (session->skips_here && type != 'X')
        return REPLACED;
    return ours && type == 'Q' ? end_failed_query(session) : PASS;
}

/* PostgreSQL reads no more than so many bytes of such a message. */
static size_t greatest_size(char type)
{
    return 1 + (size_t)(is_one_of(type, "CDEHSXcf") ? WIRE_CLIENT_SMALL_MAX : WIRE_CLIENT_MAX);
}

static enum verdict on_known_message(struct session *session, const struct message *message)
{
    char type = (char)message->data[0];
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
    case 'd':
        return on_copy_data(session);
    case 'H': /* Flush: no reply */
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

/* True where the client waits until it is known which of its Syncs among data were answered. */
static bool settle_copy(struct session *session)
{
    if (session->copy_doubt.left)
        copy_doubt_ask(session);
    else if (!session_is_in_copy(session) && session->database && copy_doubt_is_coming(session))
        wait_for_replies(session);
    else
        return false;
    return true;
}

/* The server never had it, so that the cancel request found nothing there. */
static enum verdict refuse_cancelled(struct session *session, const struct message *message)
{
    struct error error;
    cancel_explain(&error);
    free(session->injected_error); /* the request may have found a question of ours */
    session->injected_error = NULL;
    char type = (char)message->data[0];
    if (type == 'Q' || type == 'F')
        refuse_query(session, &error);
    else
        refuse_extended(session,
                        type == 'P' ? wire_read_name(message->body, message->body_length) : NULL,
                        &error);
    return REPLACED;
}

static enum verdict on_message(struct session *session, const struct message *message)
{
    char type = (char)message->data[0];
    bool is_cancelled = session->is_cancelled;
    session->is_cancelled = false;
    if (message->size > greatest_size(type))
        return on_nonsense(session, message, "invalid message length");
    if (session->skipping)
        return on_skipped(session, type);
    if (is_cancelled && is_one_of(type, "QFPBDEC"))
        return refuse_cancelled(session, message);
    if (!is_one_of(type, "dcfHSX") && settle_copy(session))
        return MUST_WAIT;
    if (session->queue.count >= SESSION_QUEUE_MAX && type != 'd')
        return wait_for(session, WAIT_QUEUE);
    enum verdict verdict = on_known_message(session, message);
    if (verdict == MUST_WAIT && session->waiting == WAIT_DRAIN && session_is_in_copy(session)) {
        session->waiting = WAIT_NONE; /* the server waits as well: for the end of its data */
        verdict = send_blank(session, message);
    }
    if (verdict != MUST_WAIT && verdict != NEED_MORE && type != 'd' && type != 'S' && type != 'H')
        session->copy_data_sent = false;
    return verdict;
}

/* While logging in only the answers to the server's questions are for it. */
static enum verdict on_login_message(struct session *session, const struct message *message)
{
    if (message->data[0] != 'p' && !session->password_asked)
        return wait_for(session, WAIT_LOGIN);
    if (!authentication_takes(session)) {
        session->password_asked = false; /* what comes behind the answer is for after the login */
        return PASS;
    }
    if (message->data[0] != 'p') {
        struct error error;
        error_set(&error, "08P01", "expected SASL response, got message type %d", message->data[0]);
        session_refuse(session, SESSION_END_PROTOCOL_VIOLATION, &error);
        return REPLACED;
    }
    if (message->size > SESSION_NAMES_MAX) {
        struct error error;
        error_set(&error, "08P01", "invalid message length");
        session_refuse(session, SESSION_END_PROTOCOL_VIOLATION, &error);
        return REPLACED;
    }
    if (!message_is_whole(message))
        return NEED_MORE;
    session->password_asked = false;
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
