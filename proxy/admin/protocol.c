/*
 * PostgreSQL's protocol as far as a console needs it: start-up, simple queries of several commands,
 * and (extended.c) the extended protocol, because some drivers know nothing else.
 *
 * A command that runs on a thread leaves the client with `job` set; then nothing more of its input
 * is handled until the job has ended, so answers keep their order.
 */
#include "answer.h"
#include "console_private.h"
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

static void run_query(struct client *client)
{
    while (client->statement_next < client->statement_count) {
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
    run_query(client);
}

/* ------------------------------------------------------------ messages */

void protocol_job_done(struct client *client, struct job *job)
{
    if (client->executing)
        extended_job_done(client, job);
    else if (finish_simple(client, job))
        run_query(client);
    else
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

static bool may_go_on(const struct client *client)
{
    return client->state == CLIENT_READY && !client->job && !client->console->shutdown_asked &&
           client->queued + client->out.length <= CLIENT_QUEUED_HIGH;
}

static size_t handle_messages(struct client *client, size_t at)
{
    while (may_go_on(client)) {
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

/* ------------------------------------------------------------ start-up */

static void report_parameter(void *context, const char *name, const char *value)
{
    wire_write_parameter_status(context, name, value);
}

/* A minor version above ours is answered with ours; drivers then go on or not. */
static void negotiate(struct client *client, uint32_t protocol)
{
    if ((protocol & 0xffff) == 0)
        return;
    size_t begun = wire_begin(&client->out, 'v');
    wire_add_int32(&client->out, 196608);
    wire_add_int32(&client->out, 0);
    wire_end(&client->out, begun);
}

static bool startup_fits(struct client *client, const struct wire_startup *startup)
{
    if (startup->protocol >> 16 != 3)
        client_fail(client, "0A000", "unsupported frontend protocol %u.%u", startup->protocol >> 16,
                    startup->protocol & 0xffff);
    else if (!startup->user || !*startup->user)
        client_fail(client, "28000", "no PostgreSQL user name specified in startup packet");
    else if (strcmp(startup->database && *startup->database ? startup->database : startup->user,
                    "segue") != 0)
        client_fail(client, "3D000",
                    "database \"%s\" does not exist: this is the admin console, whose only "
                    "database is \"segue\"",
                    startup->database && *startup->database ? startup->database : startup->user);
    else if (startup->replication)
        client_fail(client, "0A000", "the admin console does not replicate");
    else
        return true;
    return false;
}

static void log_in(struct client *client, const struct wire_startup *startup)
{
    if (!startup_fits(client, startup))
        return;
    client_log_in(client, startup->user);
    negotiate(client, startup->protocol);
    wire_write_authentication_ok(&client->out);
    polite_each_reported(report_parameter, &client->out);
    wire_write_parameter_status(&client->out, "session_authorization", startup->user);
    wire_write_parameter_status(&client->out, "application_name",
                                startup->application_name ? startup->application_name : "");
    wire_write_backend_key(&client->out, (int32_t)client->pid, (int32_t)client->key);
    answer_ready(client);
}

/* Bytes behind a request for encryption that was not answered yet came from somebody in between
 * (CVE-2021-23214), or from one who does not wait. */
static void refuse_encryption(struct client *client, bool *refused, bool more)
{
    if (*refused || more) {
        client_fail(client, "08P01", "unexpected data after a request for encryption");
        return;
    }
    *refused = true;
    text_add_char(&client->out, 'N');
}

static size_t handle_startup(struct client *client)
{
    struct wire_startup startup = wire_read_startup(client->input, client->input_length);
    bool more = client->input_length > startup.length;
    switch (startup.kind) {
    case WIRE_STARTUP_NEED_MORE:
        return 0;
    case WIRE_STARTUP_BAD:
        client_fail(client, "08P01", "invalid startup packet");
        break;
    case WIRE_STARTUP_SSL:
        refuse_encryption(client, &client->ssl_refused, more);
        break;
    case WIRE_STARTUP_GSS:
        refuse_encryption(client, &client->gss_refused, more);
        break;
    case WIRE_STARTUP_CANCEL:
        console_cancel(client->console, wire_get_int32(client->input + 8),
                       wire_get_int32(client->input + 12));
        client_end(client, "it was a cancel request");
        break;
    case WIRE_STARTUP_SESSION:
        log_in(client, &startup);
        break;
    }
    return startup.length;
}

size_t protocol_handle(struct client *client)
{
    size_t used = 0;
    if (client->state == CLIENT_STARTING)
        used = handle_startup(client);
    return handle_messages(client, used);
}

void protocol_release(struct client *client)
{
    extended_release(client);
    arena_release(&client->arena);
}
