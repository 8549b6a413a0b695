/* `segue rewrite`: what would be sent for a text. */
#include "commands.h"
#include "link.h"

#include "segue/cli/cli.h"
#include "segue/transition/phase.h"

#include <stdio.h>

static void print_help(FILE *stream)
{
    fputs("Usage: segue rewrite --shape old|new [--phase PHASE] 'SQL'\n"
          "\n"
          "Shows what Segue would send to the server for this text, in each phase or in one.\n"
          "Nothing is executed. With --phase the SQL alone is printed; exit status 1 when the\n"
          "text would be refused.\n"
          "\n"
          "  -s, --shape SHAPE     how the client sees the table: old or new\n"
          "  -p, --phase PHASE     old, dual_old, dual_own, dual_new or new\n"
          "  -d, --database NAME   which database, where several are configured\n" LINK_HELP,
          stream);
}

enum { COLUMN_PHASE = 1, COLUMN_NOW, COLUMN_OUTCOME, COLUMN_SQL, COLUMN_HINT };

static int print_one(const PGresult *result)
{
    if (strcmp(PQgetvalue(result, 0, COLUMN_OUTCOME), "refused") == 0) {
        link_tell("rewrite", PQgetvalue(result, 0, COLUMN_SQL), NULL,
                  PQgetvalue(result, 0, COLUMN_HINT));
        return CLI_FAILED;
    }
    printf("%s\n", PQgetvalue(result, 0, COLUMN_SQL));
    return CLI_OK;
}

static void print_each(const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        bool now = strcmp(PQgetvalue(result, row, COLUMN_NOW), "t") == 0;
        printf("%-9s %-9s %s%s\n", PQgetvalue(result, row, COLUMN_PHASE),
               PQgetvalue(result, row, COLUMN_OUTCOME), PQgetvalue(result, row, COLUMN_SQL),
               now ? "   <- now" : "");
        if (!PQgetisnull(result, row, COLUMN_HINT))
            printf("%-9s %-9s %s\n", "", "", PQgetvalue(result, row, COLUMN_HINT));
    }
}

static int run(const struct link_options *options, const char *command, bool one)
{
    struct link link;
    int status = link_open(&link, "rewrite", options);
    if (status != CLI_OK)
        return status;
    PGresult *result = link_run(&link, command, &status);
    if (result && one)
        status = print_one(result);
    else if (result)
        print_each(result);
    PQclear(result);
    link_close(&link);
    return status;
}

int cli_rewrite(int argc, char **argv)
{
    static const struct option options[] = {{"shape", required_argument, NULL, 's'},
                                            {"phase", required_argument, NULL, 'p'},
                                            {"database", required_argument, NULL, 'd'},
                                            LINK_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    struct link_options link = {0};
    const char *shape = NULL, *phase = NULL, *database = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "s:p:d:" LINK_SHORT_OPTIONS, options, NULL)) != -1) {
        if (option == 's')
            shape = optarg;
        else if (option == 'p')
            phase = optarg;
        else if (option == 'd')
            database = optarg;
        else if (option == 'h') {
            print_help(stdout);
            return CLI_OK;
        } else if (!link_option(&link, option, optarg)) {
            print_help(stderr);
            return CLI_USAGE;
        }
    }
    enum shape known_shape;
    enum phase known_phase;
    if (!shape || !shape_parse(shape, &known_shape) ||
        (phase && !phase_parse(phase, &known_phase)) || argc - optind != 1) {
        print_help(stderr);
        return CLI_USAGE;
    }
    struct text command;
    text_init(&command, TEXT_UNBOUNDED);
    text_add_format(&command, "REWRITE FOR %s ", shape);
    if (phase)
        text_add_format(&command, "IN %s ", phase);
    text_add_literal(&command, argv[optind]);
    if (database) {
        text_add_string(&command, " DATABASE ");
        text_add_identifier(&command, database);
    }
    int status = run(&link, command.data, phase != NULL);
    text_release(&command);
    return status;
}
