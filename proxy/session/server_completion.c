/*
 * CommandComplete: a statement has taken effect, and what it changes about the session applies:
 * prepared statements and cursors by name.
 */
#include "server_reply.h"

#include "segue/base/memory.h"
#include "segue/wire/message.h"

#include <stdlib.h>

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
    else {
        made->context = 0; /* of no context: looked at again before it is used */
        made->told = rewrite_get(definition->rewrite);
        made->told_statement = named->statement;
    }
    prepared_set(&session->prepared, named->name, made);
    definition_put(&session->worker->sources, made);
}

static void apply_facts(struct session *session, struct definition *definition, uint32_t statement,
                        const char *tag)
{
    for (size_t i = 0; i < definition->rewrite->named_count; i++) {
        const struct rewrite_named *named = &definition->rewrite->named[i];
        if (named->statement != statement)
            continue;
        if ((named->fact & REWRITE_FACT_PREPARE) && strcmp(tag, "PREPARE") == 0)
            apply_prepare(session, definition, named);
        if ((named->fact & REWRITE_FACT_DEALLOCATE) && named->name)
            prepared_forget(&session->prepared, named->name);
        if (named->fact & REWRITE_FACT_DECLARE)
            portal_declare(session, definition, named);
        if ((named->fact & REWRITE_FACT_CLOSE) && named->name)
            portal_close(session, named->name);
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
    case 'R':
        if (strcmp(tag, "ROLLBACK") == 0)
            session->transaction_failed = false;
        break;
    case 'C':
        session->schema_changed |= begins_with(tag, "CREATE ");
        if (strcmp(tag, "CLOSE CURSOR ALL") == 0)
            session_close_portals(session);
        break;
    case 'D':
        session->schema_changed |= begins_with(tag, "DROP ");
        if (strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0)
            prepared_forget_all(&session->prepared);
        if (strcmp(tag, "DISCARD ALL") == 0)
            session_close_portals(session);
        if (begins_with(tag, "DISCARD"))
            rewriting_forget_resolution(session);
        break;
    default:
        break;
    }
}

enum verdict on_command_complete(struct session *session, struct request *request,
                                 const struct reply *reply)
{
    if (session->copying_in) {
        session->copying_in = false;
        request_queue_leave_copy(&session->queue);
    }
    if (!session->database)
        return PASS;
    if (reply_can_be_whole(reply))
        return NEED_WHOLE;
    const char *tag = wire_read_name(reply->body, reply->body_length);
    if (!tag)
        return PASS;
    if (request && staging_on_complete(session, request, tag))
        return DROP;
    apply_tag(session, tag);
    if (!request)
        return PASS;
    struct definition *definition = definition_behind(session, request);
    if (definition && definition->rewrite && definition->rewrite->named_count)
        apply_facts(session, definition, request->statement, tag);
    if (request->kind == REQUEST_QUERY)
        request->statement++;
    return PASS;
}
