#include "answer.h"

#include "console_private.h"

#include "segue/base/log.h"

void answer_error(struct client *client, const struct error *error)
{
    wire_write_error(&client->out, "ERROR", error);
}

void answer_ready(struct client *client)
{
    wire_write_ready_for_query(&client->out, client->in_block ? 'T' : 'I');
}

/* A message of its type alone: ParseComplete and the like. */
void answer_bare(struct client *client, char type)
{
    wire_end(&client->out, wire_begin(&client->out, type));
}

void answer_columns(struct client *client, const struct statement *statement)
{
    if (statement->command && statement->command->column_count > 0)
        wire_write_row_description(&client->out, statement_columns(statement),
                                   statement->command->column_count);
    else
        answer_bare(client, 'n');
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

void answer_effect(struct client *client, const struct command *command)
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
    case COMMAND_RESTARTS:
        client->console->restart_answered = true;
        return;
    case COMMAND_SHUTS_DOWN:
        client->console->shutdown_answered = true;
        return;
    }
    BUG("effect %d", command->effect);
}

void answer_log(const struct client *client, const struct job *job)
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
