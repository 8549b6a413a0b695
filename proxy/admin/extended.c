/*
 * The extended protocol without parameters. A statement keeps its text, which holds one command or
 * none; a portal has a copy, and once executed the job with its rows.
 */
#include "extended.h"

#include "answer.h"
#include "console_private.h"

#include "segue/base/memory.h"
#include "segue/wire/frame.h"

#include <stdlib.h>

enum { KEPT_MAX = 16 * 1024 * 1024 + RESULT_ROWS_MAX, KEPT_OVERHEAD = 256 };

/* ------------------------------------------------------------ statements and portals */

static struct prepared *find(struct prepared *list, const char *name)
{
    while (list && strcmp(list->name, name) != 0)
        list = list->next;
    return list;
}

static void prepared_free(struct client *client, struct prepared *prepared)
{
    client->kept_bytes -= prepared->bytes;
    if (prepared->job)
        job_free(prepared->job);
    free(prepared->name);
    free(prepared->text);
    free(prepared);
}

static void drop(struct client *client, struct prepared **list, const char *name)
{
    for (struct prepared **link = list; *link; link = &(*link)->next) {
        struct prepared *found = *link;
        if (strcmp(found->name, name) != 0)
            continue;
        *link = found->next;
        prepared_free(client, found);
        return;
    }
}

static void drop_all(struct client *client, struct prepared **list)
{
    while (*list)
        drop(client, list, (*list)->name);
}

static bool keep(struct client *client, struct prepared **list, const char *name, const char *text,
                 struct error *error)
{
    size_t bytes = strlen(text) + KEPT_OVERHEAD;
    if (client->kept_bytes + bytes > KEPT_MAX)
        return error_set(error, "53200", "too many statements and portals are kept");
    struct prepared *prepared = NEW(struct prepared);
    prepared->name = memory_string(name);
    prepared->text = memory_string(text);
    prepared->bytes = bytes;
    prepared->next = *list;
    *list = prepared;
    client->kept_bytes += bytes;
    return true;
}

static void fail_extended(struct client *client, const struct error *error)
{
    answer_error(client, error);
    client->skipping = true;
}

/* The one statement of a text that was accepted by Parse. Memory comes from the client's arena. */
static struct statement read_again(struct client *client, const char *text)
{
    struct statement *statements;
    size_t count;
    struct slice copy = {arena_string(&client->arena, text), strlen(text)};
    if (!statements_read(&client->arena, copy, &statements, &count, NULL) || count > 1)
        BUG("a text that was accepted is not one command any more");
    return count ? statements[0] : (struct statement){0};
}

/* ------------------------------------------------------------ the extended protocol */

static bool parse(struct client *client, const struct wire_parse *message, struct error *error)
{
    struct statement *statements;
    size_t count;
    bool fine = statements_read(&client->arena, message->sql, &statements, &count, error);
    arena_reset(&client->arena);
    if (!fine)
        return false;
    if (count > 1)
        return error_set(error, "42601",
                         "cannot insert multiple commands into a prepared statement");
    if (!*message->name)
        drop(client, &client->prepared, "");
    else if (find(client->prepared, message->name))
        return error_set(error, "42P05", "prepared statement \"%s\" already exists", message->name);
    return keep(client, &client->prepared, message->name, message->sql.data, error);
}

void extended_parse(struct client *client, const uint8_t *body, size_t length)
{
    struct wire_parse message;
    struct error error = {0};
    if (!wire_read_parse(body, length, &message))
        client_fail(client, "08P01", "malformed Parse message");
    else if (parse(client, &message, &error))
        answer_bare(client, '1');
    else
        fail_extended(client, &error);
}

/* How many parameter values a Bind message brings; -1 where it is malformed. */
static int bound_values(const uint8_t *body, size_t length, const struct wire_bind *bind)
{
    const uint8_t *at = (const uint8_t *)bind->statement + strlen(bind->statement) + 1;
    size_t left = length - (size_t)(at - body);
    if (left < 2)
        return -1;
    size_t formats = wire_get_int16(at);
    if (left < 2 + 2 * formats + 2)
        return -1;
    return wire_get_int16(at + 2 + 2 * formats);
}

static bool bind_portal(struct client *client, const struct wire_bind *message, int values,
                        struct error *error)
{
    struct prepared *statement = find(client->prepared, message->statement);
    if (!statement)
        return error_set(error, "26000", "prepared statement \"%s\" does not exist",
                         message->statement);
    if (values > 0)
        return error_set(error, "08P01",
                         "bind message supplies %d parameters, but prepared statement \"%s\" "
                         "requires 0",
                         values, message->statement);
    if (!*message->portal)
        drop(client, &client->portals, "");
    else if (find(client->portals, message->portal))
        return error_set(error, "42P03", "cursor \"%s\" already exists", message->portal);
    return keep(client, &client->portals, message->portal, statement->text, error);
}

void extended_bind(struct client *client, const uint8_t *body, size_t length)
{
    struct wire_bind message;
    struct error error = {0};
    int values = wire_read_bind(body, length, &message) ? bound_values(body, length, &message) : -1;
    if (values < 0)
        client_fail(client, "08P01", "malformed Bind message");
    else if (bind_portal(client, &message, values, &error))
        answer_bare(client, '2');
    else
        fail_extended(client, &error);
}

static void describe(struct client *client, const struct wire_target *target)
{
    struct error error = {0};
    bool portal = target->kind == 'P';
    struct prepared *found = find(portal ? client->portals : client->prepared, target->name);
    if (!found) {
        error_set(&error, portal ? "34000" : "26000",
                  portal ? "portal \"%s\" does not exist"
                         : "prepared statement \"%s\" does not exist",
                  target->name);
        fail_extended(client, &error);
        return;
    }
    if (!portal) {
        size_t begun = wire_begin(&client->out, 't');
        wire_add_int16(&client->out, 0);
        wire_end(&client->out, begun);
    }
    struct statement statement = read_again(client, found->text);
    answer_columns(client, &statement);
    arena_reset(&client->arena);
}

void extended_describe_or_close(struct client *client, char type, const uint8_t *body,
                                size_t length)
{
    struct wire_target target;
    if (!wire_read_target(body, length, &target))
        client_fail(client, "08P01", "malformed %s message", type == 'D' ? "Describe" : "Close");
    else if (type == 'D')
        describe(client, &target);
    else {
        drop(client, target.kind == 'P' ? &client->portals : &client->prepared, target.name);
        answer_bare(client, '3');
    }
}

/* The rows of its job stay with a portal until all were sent. */
static bool keep_job(struct client *client, struct prepared *portal, struct job *job)
{
    size_t bytes = job->result.rows.capacity + sizeof *job;
    portal->job = job;
    portal->bytes += bytes;
    client->kept_bytes += bytes;
    return client->kept_bytes <= KEPT_MAX;
}

static void drop_job(struct client *client, struct prepared *portal)
{
    size_t bytes = portal->job->result.rows.capacity + sizeof *portal->job;
    portal->complete = portal->job->statement->command->tag;
    portal->bytes -= bytes;
    client->kept_bytes -= bytes;
    job_free(portal->job);
    portal->job = NULL;
}

/* At most `limit` rows. */
static void send_portal(struct client *client, struct prepared *portal, size_t limit)
{
    if (portal->job) {
        if (!result_send(&portal->job->result, &portal->sent, limit, &client->out)) {
            answer_bare(client, 's');
            return;
        }
        drop_job(client, portal);
    }
    wire_write_command_complete(&client->out, portal->complete);
}

/* In a block a portal that failed would outlive the Sync. */
static void fail_portal(struct client *client, struct prepared *portal, const struct error *error)
{
    fail_extended(client, error);
    drop(client, &client->portals, portal->name);
}

static void finish_execute(struct client *client, struct prepared *portal, struct job *job,
                           size_t limit)
{
    bool fits = keep_job(client, portal, job);
    job_take_notices(job, &client->out);
    answer_log(client, job);
    if (job->result.failed) {
        fail_portal(client, portal, &job->result.error);
        return;
    }
    answer_effect(client, job->statement->command);
    if (fits) {
        send_portal(client, portal, limit);
        return;
    }
    struct error error;
    error_set(&error, "53200", "too many rows are kept for portals");
    fail_portal(client, portal, &error);
}

static void execute(struct client *client, struct prepared *portal, size_t limit)
{
    if (portal->job || portal->complete) {
        send_portal(client, portal, limit);
        return;
    }
    struct statement statement = read_again(client, portal->text);
    if (!statement.command)
        wire_write_empty_query(&client->out);
    else {
        client->executing = portal;
        client->execute_limit = limit;
        struct job *job = console_run(client->console, client, &statement);
        if (job) {
            client->executing = NULL;
            finish_execute(client, portal, job, limit);
        }
    }
    arena_reset(&client->arena);
}

void extended_execute(struct client *client, const uint8_t *body, size_t length)
{
    const char *name = wire_read_name(body, length);
    if (!name || length != strlen(name) + 1 + 4) {
        client_fail(client, "08P01", "malformed Execute message");
        return;
    }
    int32_t limit = (int32_t)wire_get_int32(body + strlen(name) + 1);
    struct prepared *portal = find(client->portals, name);
    if (portal) {
        execute(client, portal, limit > 0 ? (size_t)limit : 0);
        return;
    }
    struct error error = {0};
    error_set(&error, "34000", "portal \"%s\" does not exist", name);
    fail_extended(client, &error);
}

void extended_sync(struct client *client)
{
    client->skipping = false;
    if (!client->in_block)
        drop_all(client, &client->portals);
    answer_ready(client);
}

void extended_job_done(struct client *client, struct job *job)
{
    struct prepared *portal = client->executing;
    client->executing = NULL;
    finish_execute(client, portal, job, client->execute_limit);
}

void extended_forget_unnamed(struct client *client)
{
    drop(client, &client->prepared, "");
    drop(client, &client->portals, "");
}

void extended_release(struct client *client)
{
    drop_all(client, &client->prepared);
    drop_all(client, &client->portals);
}
