/* `segue status`: what SHOW tells, on one screen or as one JSON object. */
#include "commands.h"
#include "link.h"

#include "segue/cli/cli.h"
#include "segue/transition/phase.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_help(FILE *stream)
{
    fputs("Usage: segue status [--json]\n"
          "\n"
          "One screen: databases, transitions, phases, backfills, clients by shape.\n"
          "\n"
          "      --json            everything that SHOW tells, as one JSON object\n" LINK_HELP,
          stream);
}

enum report {
    REPORT_FLEET,
    REPORT_TRANSITIONS,
    REPORT_BACKFILLS,
    REPORT_STATEMENTS,
    REPORT_CLIENTS,
    REPORT_STATS
};
enum { REPORT_COUNT = 6 };
static const char *const report_names[REPORT_COUNT] = {"fleet",      "transitions", "backfills",
                                                       "statements", "clients",     "stats"};

/* ------------------------------------------------------------ JSON */

static void add_value(struct text *out, const PGresult *result, int row, int column)
{
    enum { OID_BOOL = 16, OID_INT8 = 20, OID_FLOAT8 = 701 };
    const char *value = PQgetvalue(result, row, column);
    if (PQgetisnull(result, row, column))
        text_add_string(out, "null");
    else if (PQftype(result, column) == OID_BOOL)
        text_add_string(out, value[0] == 't' ? "true" : "false");
    else if (PQftype(result, column) == OID_INT8 || PQftype(result, column) == OID_FLOAT8)
        text_add_string(out, value);
    else
        text_add_json_string(out, value);
}

static void add_row(struct text *out, const PGresult *result, int row)
{
    for (int column = 0; column < PQnfields(result); column++) {
        text_add_string(out, column ? ", " : "{");
        text_add_json_string(out, PQfname(result, column));
        text_add_string(out, ": ");
        add_value(out, result, row, column);
    }
    text_add_char(out, '}');
}

static void print_json(PGresult *const reports[REPORT_COUNT])
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (int i = 0; i < REPORT_COUNT; i++) {
        text_add_format(&out, "%s\n  \"%s\": [", i ? "," : "{", report_names[i]);
        for (int row = 0; row < PQntuples(reports[i]); row++) {
            text_add_string(&out, row ? ",\n    " : "\n    ");
            add_row(&out, reports[i], row);
        }
        text_add_string(&out, PQntuples(reports[i]) ? "\n  ]" : "]");
    }
    text_add_string(&out, "\n}\n");
    fputs(out.data, stdout);
    text_release(&out);
}

/* ------------------------------------------------------------ a screen */

static bool in_colour(void)
{
    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

static const char *get(const PGresult *result, int row, const char *column)
{
    int number = PQfnumber(result, column);
    BUG_ON(number < 0);
    return PQgetvalue(result, row, number);
}

static bool is_in_database(const PGresult *result, int row, const char *database)
{
    return strcmp(get(result, row, "database"), database) == 0;
}

/* Is the row about this transition, one of SHOW TRANSITIONS? */
static bool is_about(const PGresult *result, int row, const PGresult *transitions, int transition)
{
    return is_in_database(result, row, get(transitions, transition, "database")) &&
           strcmp(get(result, row, "transition"), get(transitions, transition, "name")) == 0;
}

/* "old > dual_old > [dual_own] > dual_new > new" */
static void print_line_of_phases(const char *now)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        const char *name = phase_name((enum phase)phase);
        bool here = strcmp(name, now) == 0;
        printf("%s%s%s%s", phase ? " > " : "", here ? (in_colour() ? "\033[1;32m" : "[") : "", name,
               here ? (in_colour() ? "\033[0m" : "]") : "");
    }
}

static void print_eta(const char *seconds)
{
    long left = strtol(seconds, NULL, 10);
    if (left >= 3600)
        printf(", %ld h %ld min left", left / 3600, left % 3600 / 60);
    else if (left >= 60)
        printf(", %ld min %ld s left", left / 60, left % 60);
    else
        printf(", %ld s left", left);
}

static void print_backfill(const PGresult *b, int row)
{
    const char *state = get(b, row, "state");
    printf("      backfill   %s, %s, %s %%, %s rows written of %s seen", get(b, row, "direction"),
           state, get(b, row, "percent"), get(b, row, "rows_written"), get(b, row, "rows_seen"));
    if (strcmp(state, "running") == 0) {
        printf(", %s rows/s", get(b, row, "rows_per_second"));
        if (*get(b, row, "eta_seconds"))
            print_eta(get(b, row, "eta_seconds"));
    }
    if (*get(b, row, "reason"))
        printf("\n                 %s", get(b, row, "reason"));
    putchar('\n');
}

static void print_use(const PGresult *statements, int row)
{
    const char *last = get(statements, row, "last_used");
    const char *count = get(statements, row, "statements");
    printf("      %s shape  %s statement%s%s%s\n", get(statements, row, "shape"), count,
           strcmp(count, "1") == 0 ? "" : "s", *last ? ", the last at " : "", last);
}

static void print_transition(PGresult *const reports[REPORT_COUNT], int row)
{
    const PGresult *t = reports[REPORT_TRANSITIONS];
    const PGresult *b = reports[REPORT_BACKFILLS], *s = reports[REPORT_STATEMENTS];
    printf("\n  %s: %s, %s -> %s, %s, guard %s\n", get(t, row, "name"), get(t, row, "table"),
           get(t, row, "old_columns"), get(t, row, "new_columns"),
           get(t, row, "lossless")[0] == 't' ? "lossless" : "lossy", get(t, row, "guard"));
    printf("      phase      ");
    print_line_of_phases(get(t, row, "phase"));
    printf(" (%s%s)\n", get(t, row, "stage"), get(t, row, "held")[0] == 't' ? ", held" : "");
    printf("      clients    %s old, %s new\n", get(t, row, "old_clients"),
           get(t, row, "new_clients"));
    for (int i = 0; i < PQntuples(s); i++)
        if (is_about(s, i, t, row))
            print_use(s, i);
    for (int i = 0; i < PQntuples(b); i++)
        if (is_about(b, i, t, row))
            print_backfill(b, i);
}

static void print_screen(PGresult *const reports[REPORT_COUNT])
{
    const PGresult *fleet = reports[REPORT_FLEET], *t = reports[REPORT_TRANSITIONS];
    int clients = PQntuples(reports[REPORT_CLIENTS]);
    printf("%d client%s\n", clients, clients == 1 ? "" : "s");
    for (int row = 0; row < PQntuples(fleet); row++) {
        printf("\n%s%s%s: %s, epoch %s", in_colour() ? "\033[1m" : "", get(fleet, row, "database"),
               in_colour() ? "\033[0m" : "", get(fleet, row, "state"), get(fleet, row, "epoch"));
        if (strcmp(get(fleet, row, "held_up_by"), "0") != 0)
            printf(", held up by %s, first %s", get(fleet, row, "held_up_by"),
                   get(fleet, row, "first_held_up_by"));
        printf("%s%s\n", *get(fleet, row, "reason") ? ": " : "", get(fleet, row, "reason"));
        int shown = 0;
        for (int i = 0; i < PQntuples(t); i++) {
            if (!is_in_database(t, i, get(fleet, row, "database")))
                continue;
            print_transition(reports, i);
            shown++;
        }
        if (shown == 0)
            puts("  no transitions");
    }
    if (PQntuples(fleet) == 0)
        puts("\nno database is configured to have transitions");
}

/* ------------------------------------------------------------ */

static int run(const struct link_options *options, bool json)
{
    struct link link;
    PGresult *reports[REPORT_COUNT] = {0};
    int status = link_open(&link, "status", options);
    if (status != CLI_OK)
        return status;
    for (int i = 0; i < REPORT_COUNT && status == CLI_OK; i++) {
        char command[64];
        snprintf(command, sizeof command, "SHOW %s", report_names[i]);
        reports[i] = link_run(&link, command, &status);
    }
    if (status == CLI_OK)
        (json ? print_json : print_screen)(reports);
    for (int i = 0; i < REPORT_COUNT; i++)
        PQclear(reports[i]);
    link_close(&link);
    return status;
}

int cli_status(int argc, char **argv)
{
    enum { OPTION_JSON = 256 };
    static const struct option options[] = {
        {"json", no_argument, NULL, OPTION_JSON}, LINK_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    struct link_options link = {0};
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, LINK_SHORT_OPTIONS, options, NULL)) != -1) {
        if (option == OPTION_JSON)
            json = true;
        else if (option == 'h') {
            print_help(stdout);
            return CLI_OK;
        } else if (!link_option(&link, option, optarg)) {
            print_help(stderr);
            return CLI_USAGE;
        }
    }
    if (optind != argc) {
        print_help(stderr);
        return CLI_USAGE;
    }
    return run(&link, json);
}
