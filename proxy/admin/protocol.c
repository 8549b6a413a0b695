/*
 * PostgreSQL's protocol as far as a console needs it: simple queries of several commands, and
 * (extended.c) the extended protocol, because some drivers know nothing else. Start-up is in
 * entrance.c.
 *
 * A command that runs on a thread leaves the client with `job` set; then nothing more of its input
 * is handled until the job has ended, so answers keep their order.
 */
#include "answer.h"
#include "console_private.h"
#include "entrance.h"
#include "extended.h"

#include "segue/wire/frame.h"

/* ------------------------------------------------------------ simple queries */

static void finish_query(struct client *client)
{
    client->statements = NULL;
    arena_reset(&client->arena);
    answer_ready(client);
}

/* Answers one command of a simple query. False when the rest of the query is not to be run. */
static bool finish_simple(struct client *client, struct job *job)
{
    const struct command *command = job->statement->command;
    job_take_notices(job, &client->out);
    answer_log(client, job);
    bool failed = job->result.failed;
    if (failed)
        answer_error(client, &job->result.error);
    else {
        size_t sent = 0;
        if (command->column_count > 0)
            answer_columns(client, job->statement);
        result_send(&job->result, &sent, 0, &client->out);
        answer_effect(client, command);
        wire_write_command_complete(&client->out, command->tag);
    }
    job_free(job);
    return !failed;
}

static bool turn_is_over(struct client *client)
{
    client->has_more = client->turn >= CLIENT_TURN_MAX ||
                       stream_waiting(&client->stream) + client->out.length > CLIENT_QUEUED_HIGH;
    return client->has_more;
}

/* As far as it comes in this turn. */
static void run_query(struct client *client)
{
    while (client->statement_next < client->statement_count) {
        if (turn_is_over(client))
            return;
        client->turn++;
        struct job *job =
            console_run(client->console, client, &client->statements[client->statement_next++]);
        if (!job)
            return;
        if (!finish_simple(client, job))
            break;
    }
    finish_query(client);
}

static void on_query(struct client *client, const uint8_t *body, size_t length)
{
    struct slice sql;
    if (!wire_read_query(body, length, &sql)) {
        client_fail(client, "08P01", "malformed Query message");
        return;
    }
    extended_forget_unnamed(client);
    struct error error = {0};
    /* The text must outlive the input buffer: commands of it may run one after the other. */
    struct slice text = {arena_string_range(&client->arena, sql.data, sql.length), sql.length};
    client->statement_next = client->statement_count = 0;
    if (!statements_read(&client->arena, text, &client->statements, &client->statement_count,
                         &error)) {
        client->statement_count = 0;
        answer_error(client, &error);
        finish_query(client);
        return;
    }
    if (client->statement_count == 0)
        wire_write_empty_query(&client->out);
}

/* ------------------------------------------------------------ messages */

void protocol_job_done(struct client *client, struct job *job)
{
    if (client->executing)
        extended_job_done(client, job);
    else if (!finish_simple(client, job))
        finish_query(client);
}

static void on_function_call(struct client *client)
{
    struct error error = {0};
    error_set(&error, "0A000", "the admin console has no functions to call");
    answer_error(client, &error);
    answer_ready(client);
}

static void on_message(struct client *client, char type, const uint8_t *body, size_t length)
{
    if (client->skipping && type != 'S' && type != 'X')
        return;
    switch (type) {
    case 'Q':
        on_query(client, body, length);
        return;
    case 'P':
        extended_parse(client, body, length);
        return;
    case 'B':
        extended_bind(client, body, length);
        return;
    case 'D':
    case 'C':
        extended_describe_or_close(client, type, body, length);
        return;
    case 'E':
        extended_execute(client, body, length);
        return;
    case 'S':
        extended_sync(client);
        return;
    case 'F':
        on_function_call(client);
        return;
    case 'X':
        client_end(client, "it said goodbye");
        return;
    case 'H': /* Flush: everything is sent after each turn anyhow */
    case 'd': /* CopyData, CopyDone, CopyFail outside of COPY are dropped, as PostgreSQL does */
    case 'c':
    case 'f':
        return;
    default:
        client_fail(client, "08P01", "invalid frontend message type %d", (unsigned char)type);
    }
}

/* A query that ends the process is answered to its end; what comes behind it is not looked at. */
static bool may_go_on(const struct client *client)
{
    return client->state == CLIENT_READY && !client->job &&
           (client->statements || !console_is_to_end(client->console));
}

static size_t handle_messages(struct client *client, size_t at)
{
    client->turn = 0;
    client->has_more = false;
    while (may_go_on(client) && !turn_is_over(client)) {
        if (client->statements) {
            run_query(client);
            continue;
        }
        client->turn++;
        const uint8_t *data = client->input + at;
        size_t left = client->input_length - at, size;
        enum wire_frame frame = wire_frame_read(data, left, &size);
        if (frame == WIRE_NEED_MORE)
            break;
        if (frame == WIRE_BAD_LENGTH) {
            client_fail(client, "08P01", "invalid message length");
            break;
        }
        if (size > CLIENT_MESSAGE_MAX) {
            client_fail(client, "54000", "a message of %zu bytes is too large: at most %d", size,
                        CLIENT_MESSAGE_MAX);
            break;
        }
        if (left < size)
            break;
        on_message(client, (char)data[0], data + WIRE_HEADER, size - WIRE_HEADER);
        at += size;
    }
    return at;
}

size_t protocol_handle(struct client *client)
{
    size_t used = 0;
    if (client->state < CLIENT_READY)
        used = entrance_handle(client);
    return handle_messages(client, used);
}

void protocol_release(struct client *client)
{
    extended_release(client);
    arena_release(&client->arena);
}
