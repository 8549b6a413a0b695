#include "link.h"

#include "segue/cli/cli.h"
#include "segue/config/settings.h"
#include "segue/config/socket_directory.h"

#include "secret.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool link_option(struct link_options *options, int option, const char *argument)
{
    switch (option) {
    case 'a':
        options->admin = argument;
        return true;
    case 'c':
        options->config = argument;
        return true;
    default:
        return false;
    }
}

/* ------------------------------------------------------------ what a person sees */

/* On a terminal progress is a line that is written over; elsewhere a line each. */
static bool progress_line_is_open;

static bool stderr_is_terminal(void)
{
    return isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

static void end_progress_line(void)
{
    if (progress_line_is_open)
        fputc('\n', stderr);
    progress_line_is_open = false;
}

/* The number before the first percent sign; negative where there is none. */
static double percent_in(const char *text)
{
    const char *sign = strchr(text, '%');
    if (!sign)
        return -1;
    const char *start = sign;
    while (start > text && start[-1] == ' ')
        start--;
    while (start > text && (strchr("0123456789.", start[-1])))
        start--;
    char *end;
    double value = strtod(start, &end);
    return end > start && end <= sign && value >= 0 && value <= 100 ? value : -1;
}

static void draw_bar(double percent, const char *text)
{
    enum { WIDTH = 30 };
    int filled = (int)(percent / 100 * WIDTH);
    fputs("\r\033[K\033[32m", stderr);
    for (int i = 0; i < WIDTH; i++)
        fputs(i < filled ? "█" : "\033[2m░\033[22m", stderr);
    fprintf(stderr, "\033[0m %s", text);
    fflush(stderr);
    progress_line_is_open = true;
}

static void on_notice(void *context, const PGresult *result)
{
    (void)context;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    double percent = text ? percent_in(text) : -1;
    if (percent >= 0 && stderr_is_terminal()) {
        draw_bar(percent, text);
        return;
    }
    end_progress_line();
    if (text)
        fprintf(stderr, "%s\n", text);
}

void link_tell(const char *subcommand, const char *message, const char *detail, const char *hint)
{
    end_progress_line();
    bool colour = stderr_is_terminal();
    fprintf(stderr, "segue %s: %s%s%s\n", subcommand, colour ? "\033[31m" : "", message,
            colour ? "\033[0m" : "");
    if (detail && *detail)
        fprintf(stderr, "  %s\n", detail);
    if (hint && *hint)
        fprintf(stderr, "  %s\n", hint);
}

/* ------------------------------------------------------------ where the admin port is */

enum { PARAMETERS_MAX = 64, DEFAULT_PORT = 6430 };

struct parameters {
    const char *names[PARAMETERS_MAX + 1];
    const char *values[PARAMETERS_MAX + 1];
    int count;
    char port[16];         /* of a configuration */
    char *directory;       /* of a Unix socket that was found */
    struct text looked_in; /* for one that was not */
    struct text password;  /* that was asked for */
};

static void set_parameter(struct parameters *parameters, const char *name, const char *value)
{
    BUG_ON(parameters->count == PARAMETERS_MAX);
    parameters->names[parameters->count] = name;
    parameters->values[parameters->count++] = value; /* of two with one name the later counts */
}

static void parameters_init(struct parameters *parameters)
{
    *parameters = (struct parameters){0};
    text_init(&parameters->looked_in, TEXT_UNBOUNDED);
    text_init(&parameters->password, TEXT_UNBOUNDED);
    set_parameter(parameters, "dbname", "segue");
    set_parameter(parameters, "gssencmode", "disable");
    set_parameter(parameters, "client_encoding", "UTF8");
    set_parameter(parameters, "connect_timeout", "10");
    set_parameter(parameters, "application_name", "segue cli");
}

static void parameters_release(struct parameters *parameters)
{
    free(parameters->directory);
    text_release(&parameters->looked_in);
    secret_release(&parameters->password);
}

static const char *hint_about(const PGconn *connection)
{
    if (PQconnectionNeedsPassword(connection) && secret_can_ask())
        return "It was asked for, and none was given.";
    if (PQconnectionNeedsPassword(connection))
        return "There is no terminal to ask on: set PGPASSWORD, or keep it in ~/.pgpass.";
    if (PQconnectionUsedPassword(connection))
        return "Users of the admin port are those of its users_file; PGUSER says which to be.";
    return "Is segue serve running? Say where with --admin, -c segue.conf or SEGUE_ADMIN.";
}

/* libpq's text has detail and hint on lines of their own. */
static int tell_refusal(struct link *link)
{
    struct text reason;
    text_init(&reason, TEXT_UNBOUNDED);
    for (const char *c = PQerrorMessage(link->connection); *c; c++) {
        if (*c != '\n')
            text_add_char(&reason, *c);
        else if (c[1])
            text_add_string(&reason, "\n  ");
    }
    link_tell(link->subcommand, "the admin port cannot be reached", reason.data,
              hint_about(link->connection));
    text_release(&reason);
    link_close(link);
    return CLI_UNREACHABLE;
}

static bool ask_for_password(struct link *link, struct parameters *parameters)
{
    struct text prompt;
    text_init(&prompt, TEXT_UNBOUNDED);
    text_add_format(&prompt, "Password of admin user %s: ", PQuser(link->connection));
    bool given = secret_ask(prompt.data, &parameters->password);
    text_release(&prompt);
    if (given)
        set_parameter(parameters, "password", parameters->password.data);
    return given;
}

static int connect_with(struct link *link, struct parameters *parameters)
{
    link->connection = PQconnectdbParams(parameters->names, parameters->values, 0);
    if (PQconnectionNeedsPassword(link->connection) && ask_for_password(link, parameters)) {
        PQfinish(link->connection);
        link->connection = PQconnectdbParams(parameters->names, parameters->values, 0);
    }
    if (PQstatus(link->connection) != CONNECTION_OK)
        return tell_refusal(link);
    PQsetNoticeReceiver(link->connection, on_notice, NULL);
    return CLI_OK;
}

/* By the Unix socket that segue makes where nothing else is said. */
static int connect_nearby(struct link *link, struct parameters *parameters, int port)
{
    parameters->directory =
        socket_directory_find(SOCKET_DIRECTORY_AUTO, port, &parameters->looked_in);
    if (parameters->directory) {
        snprintf(parameters->port, sizeof parameters->port, "%d", port);
        set_parameter(parameters, "host", parameters->directory);
        set_parameter(parameters, "port", parameters->port);
        return connect_with(link, parameters);
    }
    struct text reason;
    text_init(&reason, TEXT_UNBOUNDED);
    text_add_format(&reason, "There is no socket .s.PGSQL.%d in %s.", port,
                    parameters->looked_in.data);
    link_tell(link->subcommand, "the admin port cannot be reached", reason.data,
              "Is segue serve running? Say where with --admin, -c segue.conf or SEGUE_ADMIN.");
    text_release(&reason);
    return CLI_UNREACHABLE;
}

/* A connection string of the user's goes over our defaults. */
static int connect_to(struct link *link, struct parameters *parameters, const char *conninfo)
{
    char *message = NULL;
    PQconninfoOption *options = conninfo ? PQconninfoParse(conninfo, &message) : NULL;
    if (conninfo && !options) {
        if (message)
            message[strcspn(message, "\n")] = '\0';
        link_tell(link->subcommand, "this is not a connection string", message,
                  "Write it as libpq does: 'host=127.0.0.1 port=6430'.");
        PQfreemem(message);
        return CLI_USAGE;
    }
    bool says_where = false;
    int port = DEFAULT_PORT;
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        if (!o->val)
            continue;
        set_parameter(parameters, o->keyword, o->val);
        says_where |= strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0 ||
                      strcmp(o->keyword, "service") == 0;
        if (strcmp(o->keyword, "port") == 0)
            port = atoi(o->val);
    }
    int status =
        says_where ? connect_with(link, parameters) : connect_nearby(link, parameters, port);
    PQconninfoFree(options);
    return status;
}

/* What listens at every address is reached at this machine's own. */
static const char *address_to_reach(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1"
           : strcmp(address, "::") == 0    ? "::1"
                                           : address;
}

static int connect_by_settings(struct link *link, struct parameters *parameters,
                               const struct settings *settings)
{
    const char *directory = settings->admin.unix_socket_dir;
    snprintf(parameters->port, sizeof parameters->port, "%d", settings->admin.port);
    set_parameter(parameters, "port", parameters->port);
    if (directory)
        parameters->directory =
            socket_directory_find(directory, settings->admin.port, &parameters->looked_in);
    if (parameters->directory)
        set_parameter(parameters, "host", parameters->directory);
    else if (settings->admin.address)
        set_parameter(parameters, "host", address_to_reach(settings->admin.address));
    else if (strcmp(directory, SOCKET_DIRECTORY_AUTO) == 0)
        return connect_nearby(link, parameters, settings->admin.port);
    else
        set_parameter(parameters, "host", directory); /* libpq tells what is wrong with it */
    return connect_with(link, parameters);
}

static int connect_by_config(struct link *link, struct parameters *parameters, const char *path)
{
    struct error error = {0};
    struct settings *settings = settings_load(path, &error);
    if (!settings) {
        link_tell(link->subcommand, error.message, error.detail, error.hint);
        return CLI_USAGE;
    }
    int status = CLI_USAGE;
    if (settings->admin.port == 0)
        link_tell(link->subcommand, "there is no admin port", path,
                  "Set admin { port = 6430 } and start segue serve anew.");
    else
        status = connect_by_settings(link, parameters, settings);
    settings_put(settings);
    return status;
}

int link_open(struct link *link, const char *subcommand, const struct link_options *options)
{
    *link = (struct link){.subcommand = subcommand};
    struct parameters parameters;
    parameters_init(&parameters);
    const char *conninfo = options->admin ? options->admin : getenv("SEGUE_ADMIN");
    int status = options->config && !options->admin
                     ? connect_by_config(link, &parameters, options->config)
                     : connect_to(link, &parameters, conninfo);
    parameters_release(&parameters);
    return status;
}

void link_close(struct link *link)
{
    end_progress_line();
    PQfinish(link->connection);
    link->connection = NULL;
}

/* ------------------------------------------------------------ commands */

static PGcancel *volatile cancelling;

static void on_interrupt(int number)
{
    (void)number;
    char message[256];
    if (cancelling)
        PQcancel(cancelling, message, sizeof message); /* made for signal handlers */
}

static int tell_failure(const struct link *link, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message)
        link_tell(link->subcommand, message, PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL),
                  PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
    if (PQstatus(link->connection) != CONNECTION_OK) {
        if (!message)
            link_tell(link->subcommand, "the connection to the admin port was lost", NULL,
                      "What was begun may still be under way: see segue status.");
        return CLI_UNREACHABLE;
    }
    return sqlstate && strcmp(sqlstate, "F0000") == 0 ? CLI_USAGE : CLI_FAILED;
}

PGresult *link_run(struct link *link, const char *command, int *status)
{
    cancelling = PQgetCancel(link->connection);
    struct sigaction interrupt = {.sa_handler = on_interrupt}, before;
    sigaction(SIGINT, &interrupt, &before);
    PGresult *result = PQexec(link->connection, command);
    sigaction(SIGINT, &before, NULL);
    PQfreeCancel(cancelling);
    cancelling = NULL;
    end_progress_line();
    if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK) {
        *status = CLI_OK;
        return result;
    }
    *status = tell_failure(link, result);
    PQclear(result);
    return NULL;
}
