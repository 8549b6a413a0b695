/*
 * PostgreSQL's protocol as far as a console needs it: start-up, simple queries of several commands,
 * and the extended protocol without parameters, because some drivers know nothing else.
 *
 * A command that runs on a thread leaves the client with `job` set; then nothing more of its input
 * is handled until the job has ended, so answers keep their order.
 */
#include "console_private.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"

#include <stdlib.h>

enum { KEPT_MAX = 16 * 1024 * 1024, KEPT_OVERHEAD = 256 };

/* ------------------------------------------------------------ answers */

static void send_error(struct client *client, const struct error *error)
{
    wire_write_error(&client->out, "ERROR", error);
}

static void send_ready(struct client *client)
{
    wire_write_ready_for_query(&client->out, client->in_block ? 'T' : 'I');
}

/* A message of its type alone: ParseComplete and the like. */
static void send_bare(struct client *client, char type)
{
    wire_end(&client->out, wire_begin(&client->out, type));
}

static void send_columns(struct client *client, const struct statement *statement)
{
    if (statement->command && statement->command->column_count > 0)
        wire_write_row_description(&client->out, statement_columns(statement),
                                   statement->command->column_count);
    else
        send_bare(client, 'n');
}

static void warn(struct client *client, const char *sqlstate, const char *message)
{
    wire_write_notice(&client->out, "WARNING", sqlstate, message);
}

/* ------------------------------------------------------------ effects of a command */

static void begin_block(struct client *client)
{
    if (client->in_block)
        warn(client, "25001", "there is already a transaction in progress");
    client->in_block = true;
}

static void end_block(struct client *client, const struct command *command)
{
    if (!client->in_block)
        warn(client, "25P01", "there is no transaction in progress");
    else if (client->acted && strcmp(command->tag, "ROLLBACK") == 0)
        warn(client, "01000",
             "commands of the admin console take effect at once; nothing was rolled back");
    client->in_block = client->acted = false;
}

static void take_effect(struct client *client, const struct command *command)
{
    switch (command->effect) {
    case COMMAND_NO_EFFECT:
        client->acted |= command->help && strncmp(command->pattern, "SHOW", 4) != 0;
        return;
    case COMMAND_BEGINS:
        begin_block(client);
        return;
    case COMMAND_ENDS:
        end_block(client, command);
        return;
    case COMMAND_SHUTS_DOWN:
        client->console->shutdown_asked = true;
        return;
    }
    BUG("effect %d", command->effect);
}

static void log_outcome(const struct client *client, const struct job *job)
{
    const struct command *command = job->statement->command;
    const char *transition = job->statement->arguments.transition;
    if (!command->help)
        return;
    const char *blank = transition ? " " : "";
    transition = transition ? transition : "";
    if (job->result.failed)
        log_info(client->subject, "%s%s%s: refused, %s: %s", command->tag, blank, transition,
                 job->result.error.sqlstate, job->result.error.message);
    else if (strcmp(command->tag, "SHOW") != 0)
        log_info(client->subject, "%s%s%s: done", command->tag, blank, transition);
}

/* ------------------------------------------------------------ simple queries */

static void finish_query(struct client *client)
{
    client->statements = NULL;
    arena_reset(&client->arena);
    send_ready(client);
}

/* Answers one command of a simple query. False when the rest of the query is not to be run. */
static bool finish_simple(struct client *client, struct job *job)
{
    const struct command *command = job->statement->command;
    job_take_notices(job, &client->out);
    log_outcome(client, job);
    bool failed = job->result.failed;
    if (failed)
        send_error(client, &job->result.error);
    else {
        size_t sent = 0;
        if (command->column_count > 0)
            send_columns(client, job->statement);
        result_send(&job->result, &sent, 0, &client->out);
        take_effect(client, command);
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

static void drop(struct client *client, struct prepared **list, const char *name);

static void on_query(struct client *client, const uint8_t *body, size_t length)
{
    struct slice sql;
    if (!wire_read_query(body, length, &sql)) {
        client_fail(client, "08P01", "malformed Query message");
        return;
    }
    drop(client, &client->prepared, "");
    drop(client, &client->portals, "");
    struct error error = {0};
    /* The text must outlive the input buffer: commands of it may run one after the other. */
    struct slice text = {arena_string_range(&client->arena, sql.data, sql.length), sql.length};
    client->statement_next = client->statement_count = 0;
    if (!statements_read(&client->arena, text, &client->statements, &client->statement_count,
                         &error)) {
        client->statement_count = 0;
        send_error(client, &error);
        finish_query(client);
        return;
    }
    if (client->statement_count == 0)
        wire_write_empty_query(&client->out);
    run_query(client);
}

/* ------------------------------------------------------------ statements and portals */

static struct prepared *find(struct prepared *list, const char *name)
{
    while (list && strcmp(list->name, name) != 0)
        list = list->next;
    return list;
}

static void prepared_free(struct client *client, struct prepared *prepared)
{
    client->kept_bytes -= strlen(prepared->text) + KEPT_OVERHEAD;
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
    prepared->next = *list;
    *list = prepared;
    client->kept_bytes += bytes;
    return true;
}

static void fail_extended(struct client *client, const struct error *error)
{
    send_error(client, error);
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

static void on_parse(struct client *client, const uint8_t *body, size_t length)
{
    struct wire_parse message;
    struct error error = {0};
    if (!wire_read_parse(body, length, &message))
        client_fail(client, "08P01", "malformed Parse message");
    else if (parse(client, &message, &error))
        send_bare(client, '1');
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

static void on_bind(struct client *client, const uint8_t *body, size_t length)
{
    struct wire_bind message;
    struct error error = {0};
    int values = wire_read_bind(body, length, &message) ? bound_values(body, length, &message) : -1;
    if (values < 0)
        client_fail(client, "08P01", "malformed Bind message");
    else if (bind_portal(client, &message, values, &error))
        send_bare(client, '2');
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
    send_columns(client, &statement);
    arena_reset(&client->arena);
}

static void on_target(struct client *client, char type, const uint8_t *body, size_t length)
{
    struct wire_target target;
    if (!wire_read_target(body, length, &target))
        client_fail(client, "08P01", "malformed %s message", type == 'D' ? "Describe" : "Close");
    else if (type == 'D')
        describe(client, &target);
    else {
        drop(client, target.kind == 'P' ? &client->portals : &client->prepared, target.name);
        send_bare(client, '3');
    }
}

/* Rows of a portal that has run, at most `limit`. */
static void send_portal(struct client *client, struct prepared *portal, size_t limit)
{
    const struct job *job = portal->job;
    if (!result_send(&job->result, &portal->sent, limit, &client->out)) {
        send_bare(client, 's');
        return;
    }
    if (!portal->complete)
        take_effect(client, job->statement->command);
    portal->complete = true;
    wire_write_command_complete(&client->out, job->statement->command->tag);
}

static void finish_execute(struct client *client, struct prepared *portal, size_t limit)
{
    struct job *job = portal->job;
    job_take_notices(job, &client->out);
    log_outcome(client, job);
    if (job->result.failed)
        fail_extended(client, &job->result.error);
    else
        send_portal(client, portal, limit);
}

static void execute(struct client *client, struct prepared *portal, size_t limit)
{
    if (portal->job) {
        send_portal(client, portal, limit);
        return;
    }
    struct statement statement = read_again(client, portal->text);
    if (!statement.command)
        wire_write_empty_query(&client->out);
    else {
        client->executing = portal;
        client->execute_limit = limit;
        portal->job = console_run(client->console, client, &statement);
        if (portal->job) {
            client->executing = NULL;
            finish_execute(client, portal, limit);
        }
    }
    arena_reset(&client->arena);
}

static void on_execute(struct client *client, const uint8_t *body, size_t length)
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

static void on_sync(struct client *client)
{
    client->skipping = false;
    if (!client->in_block)
        drop_all(client, &client->portals);
    send_ready(client);
}

/* ------------------------------------------------------------ messages */

void protocol_job_done(struct client *client, struct job *job)
{
    struct prepared *portal = client->executing;
    if (portal) {
        client->executing = NULL;
        portal->job = job;
        finish_execute(client, portal, client->execute_limit);
    } else if (finish_simple(client, job))
        run_query(client);
    else
        finish_query(client);
}

static void on_function_call(struct client *client)
{
    struct error error = {0};
    error_set(&error, "0A000", "the admin console has no functions to call");
    send_error(client, &error);
    send_ready(client);
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
        on_parse(client, body, length);
        return;
    case 'B':
        on_bind(client, body, length);
        return;
    case 'D':
    case 'C':
        on_target(client, type, body, length);
        return;
    case 'E':
        on_execute(client, body, length);
        return;
    case 'S':
        on_sync(client);
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
    send_ready(client);
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
    drop_all(client, &client->prepared);
    drop_all(client, &client->portals);
    arena_release(&client->arena);
}
