/*
 * Subcommands that are one command of the admin port: a table of what each takes, and how its
 * command is made of it.
 */
#include "commands.h"
#include "input.h"
#include "link.h"

#include "segue/base/memory.h"
#include "segue/base/nearest.h"
#include "segue/cli/cli.h"
#include "segue/transition/phase.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum takes {
    TAKES_NOTHING,
    TAKES_TRANSITION,
    TAKES_FILE,
    TAKES_FILE_OR_TRANSITION /* --applied says which */
};
enum { TAKES_TO = 1, TAKES_FORCE = 2, TAKES_NO_WAIT = 4, TAKES_ACTION = 8 };

static const struct verb {
    const char *name;
    enum takes takes;
    int options;
    const char *usage;
    const char *summary; /* one line */
    const char *about;   /* what else there is to know; "" where nothing */
} verbs[] = {
    {"check", TAKES_FILE_OR_TRANSITION, 0, "FILE | --applied NAME",
     "what a transition will meet: dependents, values that do not convert",
     "Nothing is changed. Exit status 1 when it found something.\n"},
    {"plan", TAKES_FILE_OR_TRANSITION, 0, "FILE | --applied NAME",
     "the DDL and the steps of a transition, executed by nobody", ""},
    {"apply", TAKES_FILE, 0, "FILE", "store the transitions of a file; phase old",
     "Makes the schema \"segue\" in the database where it is not there. The table is not "
     "altered.\n"},
    {"expand", TAKES_TRANSITION, 0, "NAME", "add the new columns to the table", ""},
    {"advance", TAKES_TRANSITION, TAKES_TO, "NAME [--to PHASE]", "one phase on, or on to PHASE",
     "Phases: old, dual_old, dual_own, dual_new, new.\n"},
    {"revert", TAKES_TRANSITION, TAKES_TO, "NAME [--to PHASE]", "one phase back, or back to PHASE",
     "Phases: old, dual_old, dual_own, dual_new, new.\n"},
    {"backfill", TAKES_TRANSITION, TAKES_NO_WAIT | TAKES_ACTION,
     "NAME [start | pause | resume | cancel] [--no-wait]",
     "fill the columns that are not complete yet",
     "start (what it does when nothing is said) and resume show progress and wait for the end.\n"
     "Ctrl-C ends the wait, not the backfill; cancel does.\n"},
    {"verify", TAKES_TRANSITION, 0, "NAME", "read every row and tell whether all are in parity",
     "Exit status 1 when a row is not, naming the first ones.\n"},
    {"contract", TAKES_TRANSITION, 0, "NAME",
     "in phase new: keep the old values aside, drop the old columns", ""},
    {"retire", TAKES_TRANSITION, TAKES_FORCE, "NAME [--force]",
     "forget the transition once no old-shape client uses the table",
     "--force retires it although one did within retire_after.\n"},
    {"pause", TAKES_NOTHING, 0, "", "hold new transactions on every table in transition", ""},
    {"resume", TAKES_NOTHING, 0, "", "let them go on", ""},
    {"reload", TAKES_NOTHING, 0, "", "read transitions and catalog of each database again", ""},
    {"restart", TAKES_NOTHING, 0, "",
     "start the (newer) program, which takes the listening sockets over",
     "No connection is refused; sessions end between transactions.\n"},
    {"shutdown", TAKES_NOTHING, 0, "", "end the proxy; sessions end between transactions", ""},
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

const char *cli_verb_at(int index, const char **summary)
{
    if (index >= VERB_COUNT)
        return NULL;
    *summary = verbs[index].summary;
    return verbs[index].name;
}

struct request {
    const struct verb *verb;
    struct link_options link;
    const char *database;
    const char *subject; /* FILE or NAME */
    const char *action;  /* of backfill */
    const char *to;
    bool applied, force, no_wait;
};

/* ------------------------------------------------------------ options */

static void print_help(const struct verb *verb, FILE *stream)
{
    fprintf(stream, "Usage: segue %s %s%s[OPTION]...\n\n%c%s.\n%s\n", verb->name, verb->usage,
            *verb->usage ? " " : "", toupper((unsigned char)verb->summary[0]), verb->summary + 1,
            verb->about);
    if (verb->options & TAKES_TO)
        fputs("      --to PHASE        go through every phase up to this one\n", stream);
    if (verb->options & TAKES_FORCE)
        fputs("      --force           do it all the same\n", stream);
    if (verb->options & TAKES_NO_WAIT)
        fputs("      --no-wait         come back once it has begun\n", stream);
    if (verb->takes == TAKES_FILE_OR_TRANSITION)
        fputs("      --applied         NAME is a transition that is applied\n", stream);
    if (verb->takes != TAKES_NOTHING)
        fputs("  -d, --database NAME   which database, where several are configured\n", stream);
    fputs(LINK_HELP, stream);
}

static int refuse(const struct verb *verb, const char *message, const char *argument)
{
    fprintf(stderr, "segue %s: %s%s%s\n", verb->name, message, argument ? ": " : "",
            argument ? argument : "");
    fprintf(stderr, "  Usage: segue %s %s\n", verb->name, verb->usage);
    return CLI_USAGE;
}

enum { OPTION_TO = 256, OPTION_FORCE, OPTION_NO_WAIT, OPTION_APPLIED };

static bool option_is_of(const struct verb *verb, int option)
{
    switch (option) {
    case OPTION_TO:
        return verb->options & TAKES_TO;
    case OPTION_FORCE:
        return verb->options & TAKES_FORCE;
    case OPTION_NO_WAIT:
        return verb->options & TAKES_NO_WAIT;
    case OPTION_APPLIED:
        return verb->takes == TAKES_FILE_OR_TRANSITION;
    case 'd':
        return verb->takes != TAKES_NOTHING;
    default:
        return true;
    }
}

static int take_option(struct request *request, int option)
{
    if (!option_is_of(request->verb, option))
        return refuse(request->verb, "it takes no such option", NULL);
    enum phase phase;
    switch (option) {
    case OPTION_TO:
        if (!phase_parse(optarg, &phase))
            return refuse(request->verb,
                          "no phase: expected old, dual_old, dual_own, dual_new or new", optarg);
        request->to = optarg;
        return CLI_OK;
    case OPTION_FORCE:
        request->force = true;
        return CLI_OK;
    case OPTION_NO_WAIT:
        request->no_wait = true;
        return CLI_OK;
    case OPTION_APPLIED:
        request->applied = true;
        return CLI_OK;
    case 'd':
        request->database = optarg;
        return CLI_OK;
    default:
        return link_option(&request->link, option, optarg)
                   ? CLI_OK
                   : refuse(request->verb, "see segue --help", NULL);
    }
}

static int take_arguments(struct request *request, int count, char **arguments)
{
    const struct verb *verb = request->verb;
    int most = verb->takes == TAKES_NOTHING ? 0 : verb->options & TAKES_ACTION ? 2 : 1;
    if (count > most)
        return refuse(verb, "one argument too many", arguments[most]);
    if (verb->takes != TAKES_NOTHING && count == 0)
        return refuse(verb,
                      verb->takes == TAKES_TRANSITION || request->applied
                          ? "the transition's name is missing"
                          : "the transition file is missing",
                      NULL);
    if (count > 0)
        request->subject = arguments[0];
    if (count < 2)
        return CLI_OK;
    static const char *const actions[] = {"start", "pause", "resume", "cancel"};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(actions[i], arguments[1]) == 0)
            request->action = actions[i];
    return request->action ? CLI_OK
                           : refuse(verb, "expected start, pause, resume or cancel", arguments[1]);
}

/* ------------------------------------------------------------ the command */

enum { DEFINITION_MAX = 1024 * 1024 };

static void add_transition(const struct request *request, struct text *command)
{
    text_add_char(command, ' ');
    if (request->database) {
        text_add_identifier(command, request->database);
        text_add_char(command, '.');
    }
    text_add_identifier(command, request->subject);
}

static int add_file(const struct request *request, struct text *command)
{
    struct text definition;
    text_init(&definition, DEFINITION_MAX);
    int status = input_read(request->verb->name, request->subject, &definition);
    if (status == CLI_OK) {
        text_add_char(command, ' ');
        text_add_literal(command, definition.data);
        text_add_string(command, " FROM ");
        text_add_literal(command, request->subject);
        if (request->database) {
            text_add_string(command, " DATABASE ");
            text_add_identifier(command, request->database);
        }
    }
    text_release(&definition);
    return status;
}

static int make_command(const struct request *request, struct text *command)
{
    text_add_string(command, request->verb->name);
    switch (request->verb->takes) {
    case TAKES_NOTHING:
        return CLI_OK;
    case TAKES_FILE:
        return add_file(request, command);
    case TAKES_FILE_OR_TRANSITION:
        if (!request->applied)
            return add_file(request, command);
        break;
    case TAKES_TRANSITION:
        break;
    }
    add_transition(request, command);
    if (request->action)
        text_add_format(command, " %s", request->action);
    if (request->no_wait)
        text_add_string(command, " NOWAIT");
    if (request->to)
        text_add_format(command, " TO %s", request->to);
    if (request->force)
        text_add_string(command, " FORCE");
    return CLI_OK;
}

static int run(const struct request *request, const char *command)
{
    struct link link;
    int status = link_open(&link, request->verb->name, &request->link);
    if (status != CLI_OK)
        return status;
    PGresult *result = link_run(&link, command, &status);
    int finding = PQfnumber(result, "finding"); /* a column of CHECK */
    for (int row = 0; row < PQntuples(result); row++) {
        printf("%s\n", PQgetvalue(result, row, 0));
        if (finding >= 0 && PQgetvalue(result, row, finding)[0] == 't')
            status = CLI_FAILED;
    }
    PQclear(result);
    link_close(&link);
    return status;
}

int cli_verb(int argc, char **argv)
{
    static const struct option options[] = {{"to", required_argument, NULL, OPTION_TO},
                                            {"force", no_argument, NULL, OPTION_FORCE},
                                            {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
                                            {"applied", no_argument, NULL, OPTION_APPLIED},
                                            {"database", required_argument, NULL, 'd'},
                                            LINK_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    struct request request = {0};
    for (const struct verb *verb = verbs; verb < verbs + VERB_COUNT; verb++)
        if (strcmp(verb->name, argv[0]) == 0)
            request.verb = verb;
    BUG_ON(!request.verb);
    int option, status = CLI_OK;
    while (status == CLI_OK &&
           (option = getopt_long(argc, argv, "d:" LINK_SHORT_OPTIONS, options, NULL)) != -1) {
        if (option == 'h') {
            print_help(request.verb, stdout);
            return CLI_OK;
        }
        status = take_option(&request, option);
    }
    if (status == CLI_OK)
        status = take_arguments(&request, argc - optind, argv + optind);
    struct text command;
    text_init(&command, TEXT_UNBOUNDED);
    if (status == CLI_OK)
        status = make_command(&request, &command);
    if (status == CLI_OK)
        status = run(&request, command.data);
    text_release(&command);
    return status;
}
