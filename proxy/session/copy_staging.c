/*
 * COPY FROM by way of a temporary table: what the client does not see of it.
 *
 * A simple Query has all of it in its text, so the server does the rest: one transaction, one
 * error, one ReadyForQuery. Here the completions of our statements are told apart from the client's
 * by their number, and the last one is told as the COPY's.
 *
 * In the extended protocol a text is one statement. Ours are messages of our own around the
 * client's Execute, in its batch. Those behind it follow once the COPY is complete, for which the
 * client waits after its CopyDone: sent ahead, they would run alone where the COPY fails and a Sync
 * is on its way.
 */
#include "session.h"

#include "segue/base/memory.h"
#include "segue/wire/message.h"

#include <stdlib.h>

static const char *own_name = "segue_copy"; /* statement and portal */

/* ---------------------------------------------------------------- which statement it is */

static const struct rewrite_staging *staging_of_statement(const struct definition *definition,
                                                          uint32_t statement)
{
    const struct rewrite *rewrite = definition ? definition->rewrite : NULL;
    if (!rewrite || definition->is_sql || rewrite->outcome != REWRITE_CHANGED)
        return NULL;
    for (size_t i = 0; i < rewrite->staging_count; i++) {
        if (rewrite->stagings[i].statement == statement)
            return &rewrite->stagings[i];
    }
    return NULL;
}

const struct rewrite_staging *staging_of(const struct definition *definition)
{
    return definition && definition->rewrite && definition->rewrite->statement_count == 1
               ? staging_of_statement(definition, 0)
               : NULL;
}

static const struct rewrite_staging *staging_behind(const struct request *request,
                                                    const struct definition *definition)
{
    return request->kind == REQUEST_QUERY ? staging_of_statement(definition, request->statement)
                                          : staging_of(definition);
}

bool staging_is_copying(struct session *session)
{
    struct request_queue *queue = &session->queue;
    for (uint32_t i = 0; i < queue->count; i++) {
        if (request_queue_at(queue, i)->stage == REQUEST_STAGE_COPY)
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------- the extended protocol */

static struct request *push_own(struct session *session, enum request_kind kind,
                                struct definition *definition)
{
    struct request *request = request_push(session, kind);
    request->injected = REQUEST_INJECTED;
    request->stage = REQUEST_STAGE_OWN;
    request->definition = definition_get(definition);
    return request;
}

/* The statement is closed first too: it was left where the last time failed half way. */
static void send_statement(struct session *session, struct definition *definition, const char *sql,
                           enum request_stage stage, struct text *out)
{
    wire_write_close(out, 'S', own_name);
    push_own(session, REQUEST_CLOSE_STATEMENT, definition);
    wire_write_parse(out, own_name, slice_of(sql), NULL, 0);
    push_own(session, REQUEST_PARSE, definition)->stage = stage;
    wire_write_bind(out, own_name, own_name);
    push_own(session, REQUEST_BIND, definition)->stage = stage;
    wire_write_execute(out, own_name);
    struct request *execute = push_own(session, REQUEST_EXECUTE, definition);
    execute->stage = stage;
    execute->portal = memory_string(own_name);
    wire_write_close(out, 'P', own_name);
    push_own(session, REQUEST_CLOSE_PORTAL, definition)->portal = memory_string(own_name);
    wire_write_close(out, 'S', own_name);
    push_own(session, REQUEST_CLOSE_STATEMENT, definition);
}

static void send_text(struct session *session, struct text *out)
{
    output_add_text(&session->worker->to_server, out);
    text_release(out);
}

void staging_begin(struct session *session, struct definition *definition)
{
    const struct rewrite_staging *staging = staging_of(definition);
    BUG_ON(!staging);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    send_statement(session, definition, staging->create, REQUEST_STAGE_CREATE, &out);
    if (staging->defaults)
        send_statement(session, definition, staging->defaults, REQUEST_STAGE_OWN, &out);
    send_text(session, &out);
}

void staging_end(struct session *session, struct definition *definition)
{
    const struct rewrite_staging *staging = staging_of(definition);
    BUG_ON(!staging);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    send_statement(session, definition, staging->insert, REQUEST_STAGE_INSERT, &out);
    send_statement(session, definition, staging->drop, REQUEST_STAGE_DROP, &out);
    send_text(session, &out);
}

void staging_continue(struct session *session)
{
    struct definition *definition = session->staged;
    session->staged = NULL;
    staging_end(session, definition);
    definition_put(&session->worker->sources, definition);
}

void staging_release(struct session *session)
{
    if (session->staged)
        definition_put(&session->worker->sources, session->staged);
    session->staged = NULL;
}

void staging_ask_for_reply(struct session *session)
{
    struct text out;
    text_init(&out, 16);
    wire_write_flush(&out);
    send_text(session, &out);
}

/* ---------------------------------------------------------------- completions */

static uint64_t rows_of(const char *tag)
{
    const char *number = strrchr(tag, ' ');
    return number ? strtoull(number + 1, NULL, 10) : 0;
}

static void tell_copied(struct session *session, uint64_t rows)
{
    char tag[32];
    snprintf(tag, sizeof tag, "COPY %llu", (unsigned long long)rows);
    struct text out;
    text_init(&out, 64);
    wire_write_command_complete(&out, tag);
    output_add_text(&session->worker->to_client, &out);
    text_release(&out);
}

/* What the server is at within a text that holds all of the statements. */
static enum request_stage stage_of_query(const struct rewrite_staging *staging, uint32_t step)
{
    uint32_t copy = staging->defaults ? 2 : 1;
    if (step < copy)
        return step == 0 ? REQUEST_STAGE_CREATE : REQUEST_STAGE_OWN;
    if (step == copy)
        return REQUEST_STAGE_COPY;
    return step == copy + 1 ? REQUEST_STAGE_INSERT : REQUEST_STAGE_DROP;
}

static enum request_stage stage_of(const struct request *request,
                                   const struct rewrite_staging *staging)
{
    return request->kind == REQUEST_QUERY ? stage_of_query(staging, request->step) : request->stage;
}

bool staging_on_complete(struct session *session, struct request *request, const char *tag)
{
    const struct rewrite_staging *staging = staging_behind(request, request->definition);
    if (!staging)
        return false;
    enum request_stage stage = stage_of(request, staging);
    bool is_query = request->kind == REQUEST_QUERY;
    request->step++;
    switch (stage) {
    case REQUEST_STAGE_NONE:
        return false;
    case REQUEST_STAGE_CREATE:
    case REQUEST_STAGE_OWN:
        break;
    case REQUEST_STAGE_COPY:
        if (!is_query && staging->reads_client)
            session->staged = definition_get(request->definition);
        break;
    case REQUEST_STAGE_INSERT:
        session->staged_rows = rows_of(tag);
        break;
    case REQUEST_STAGE_DROP:
        tell_copied(session, session->staged_rows);
        request->step = 0;
        request->statement += is_query;
        break;
    }
    return true;
}

/* ---------------------------------------------------------------- errors and notices */

/* The temporary table is called as the client's. */
static const char *renamed(struct arena *arena, const struct rewrite_staging *staging,
                           const char *value)
{
    size_t length = strlen(staging->name);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (const char *found; (found = strstr(value, staging->name)); value = found + length) {
        text_add(&out, value, (size_t)(found - value));
        text_add_string(&out, staging->table);
    }
    text_add_string(&out, value);
    const char *told = arena_string_range(arena, out.data, out.length);
    text_release(&out);
    return told;
}

static bool is_state(const struct wire_fields *fields, const char *sqlstate)
{
    const char *state = wire_fields_get(fields, 'C');
    return state && strcmp(state, sqlstate) == 0;
}

static void add_hint(struct wire_fields *fields, const char *hint)
{
    if (!wire_fields_get(fields, 'H') && fields->count < WIRE_FIELDS_MAX)
        fields->list[fields->count++] = (struct wire_field){'H', hint};
}

static void tell_of_create(struct wire_fields *fields)
{
    if (is_state(fields, "25006"))
        wire_fields_set(fields, 'M', "cannot execute COPY FROM in a read-only transaction");
    if (is_state(fields, "42501"))
        add_hint(fields, "In this phase of the transition COPY FROM goes by way of a temporary "
                         "table: GRANT TEMPORARY ON DATABASE, or use INSERT.");
}

bool staging_translate(const struct request *request, const struct definition *definition,
                       struct arena *arena, struct wire_fields *fields)
{
    const struct rewrite_staging *staging = staging_behind(request, definition);
    if (!staging)
        return false;
    const char *table = wire_fields_get(fields, 't'), *position = wire_fields_get(fields, 'P');
    bool is_own = request->injected != REQUEST_OF_CLIENT;
    if (table && strcmp(table, staging->name) == 0)
        wire_fields_set(fields, 's', staging->schema);
    for (size_t i = 0; i < fields->count; i++) {
        struct wire_field *field = &fields->list[i];
        if (field->value && strstr(field->value, staging->name))
            field->value = renamed(arena, staging, field->value);
    }
    if (is_own)
        wire_fields_set(fields, 'P', NULL);
    else if (position && request->kind != REQUEST_QUERY) /* in the COPY, which alone was sent */
        wire_fields_set(
            fields, 'P',
            arena_format(arena, "%d", rewrite_text_position(definition->rewrite, atoi(position))));
    if (stage_of(request, staging) == REQUEST_STAGE_CREATE)
        tell_of_create(fields);
    return true;
}

bool staging_hides_notice(const struct request *request)
{
    const struct rewrite_staging *staging = staging_behind(request, request->definition);
    if (!staging)
        return false;
    switch (stage_of(request, staging)) {
    case REQUEST_STAGE_CREATE:
    case REQUEST_STAGE_OWN:
    case REQUEST_STAGE_DROP:
        return true; /* of statements that the client did not make */
    case REQUEST_STAGE_NONE:
    case REQUEST_STAGE_COPY:
    case REQUEST_STAGE_INSERT:
        return false;
    }
    BUG("stage of a COPY");
}
