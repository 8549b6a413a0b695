/*
 * A text that must not run: the server itself is made to fail in its place, so that its transaction
 * and the client's idea of it agree; its error is then replaced by ours (server_messages.c).
 */
#include "session.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/message.h"

static const char failing[] = "SELECT \"segue: refused\""; /* no such column: 42703 */

static const char *refused_name = "segue_refused"; /* a statement that never comes to be */

static struct slice failing_text(void)
{
    return (struct slice){failing, sizeof failing - 1};
}

static void send_text(struct session *session, struct text *message)
{
    output_add_text(&session->worker->to_server, message);
    text_release(message);
}

static void note_refusal(struct session *session, struct request *request,
                         const struct error *error)
{
    char subject[256];
    session_subject(session, subject, sizeof subject);
    log_info(subject, "refused a statement: %s %s", error->sqlstate, error->message);
    stat_add(&session->worker->stats.refused, 1);
    request->refusal = memory_get(sizeof *request->refusal);
    *request->refusal = *error;
}

void refuse_query(struct session *session, const struct error *error)
{
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    wire_write_query(&message, failing_text());
    send_text(session, &message);
    note_refusal(session, request_push(session, REQUEST_QUERY), error);
}

void refuse_extended(struct session *session, const char *name, const struct error *error)
{
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    wire_write_parse(&message, name ? name : refused_name, failing_text(), NULL, 0);
    send_text(session, &message);
    struct request *request = request_push(session, REQUEST_PARSE);
    request->destroys_unnamed = name && name[0] == '\0';
    note_refusal(session, request, error);
    session->batch_open = true;
}
