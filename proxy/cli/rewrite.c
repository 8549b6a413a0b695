/*
 * `segue rewrite`: what would be sent for a text, or for each statement of a file, which is asked
 * in portions: a day's log may be large. A statement that stands there more than once is asked
 * once.
 */
#include "commands.h"
#include "input.h"
#include "link.h"
#include "rewrite_report.h"

#include "segue/base/memory.h"
#include "segue/cli/cli.h"
#include "segue/sql/split.h"
#include "segue/transition/phase.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HASH_FUNCTION(key, length, hash) (hash) = (unsigned)XXH3_64bits((key), (length))
#include <uthash.h>
#include <xxhash.h>

enum { FILE_MAX = 1024 * 1024 * 1024, PORTION_STATEMENTS = 200, PORTION_BYTES = 1024 * 1024 };

static void print_help(FILE *stream)
{
    fputs("Usage: segue rewrite [--shape old|new] [--phase PHASE] 'SQL'\n"
          "       segue rewrite [--shape old|new] [--phase PHASE] --file FILE\n"
          "\n"
          "Shows what Segue would send to the server for this text, or for each statement of a\n"
          "file, as clients of one shape or of both send it, in each phase or in one: what is\n"
          "changed, and why something would be refused. Nothing is executed. With --shape and\n"
          "--phase the SQL alone is printed. Exit status 1 when anything would be refused.\n"
          "\n"
          "  -s, --shape SHAPE     how the client sees the table: old or new\n"
          "  -p, --phase PHASE     old, dual_old, dual_own, dual_new or new\n"
          "  -f, --file FILE       statements as psql reads them; - for standard input. Those\n"
          "                        that would be sent as they are, are only counted\n"
          "      --all             these, too\n"
          "  -u, --using FILE      as if this transition file were applied\n"
          "      --json            an object a line: each statement, then the counts\n"
          "  -d, --database NAME   which database, where several are configured\n" LINK_HELP,
          stream);
}

struct asked {
    struct link_options link;
    const char *shape, *phase, *database, *using_file, *file, *sql;
    bool json, all;
};

/* ---------------------------------------------------------------- commands */

static void add_command(const struct asked *asked, const char *each, const char *sql,
                        const char *definition, struct text *command)
{
    text_add_string(command, "REWRITE ");
    if (asked->shape)
        text_add_format(command, "FOR %s ", asked->shape);
    if (asked->phase)
        text_add_format(command, "IN %s ", asked->phase);
    text_add_string(command, each);
    text_add_literal(command, sql);
    if (definition) {
        text_add_string(command, " USING ");
        text_add_literal(command, definition);
        text_add_string(command, " FROM ");
        text_add_literal(command, asked->using_file);
    }
    if (asked->database) {
        text_add_string(command, " DATABASE ");
        text_add_identifier(command, asked->database);
    }
}

static PGresult *run(struct link *link, const struct asked *asked, const char *each,
                     const char *sql, const char *definition, int *status)
{
    struct text command;
    text_init(&command, TEXT_UNBOUNDED);
    add_command(asked, each, sql, definition, &command);
    PGresult *result = link_run(link, command.data, status);
    text_release(&command);
    return result;
}

static void print(struct text *out)
{
    fwrite(out->data, 1, out->length, stdout);
    text_clear(out);
}

/* ---------------------------------------------------------------- one text */

/* Of one shape and phase: the SQL alone. */
static int print_alone(const PGresult *result)
{
    if (strcmp(PQgetvalue(result, 0, REWRITE_OUTCOME), "refused") == 0) {
        link_tell("rewrite", PQgetvalue(result, 0, REWRITE_MESSAGE),
                  PQgetvalue(result, 0, REWRITE_DETAIL), PQgetvalue(result, 0, REWRITE_HINT));
        return CLI_FAILED;
    }
    printf("%s\n", PQgetvalue(result, 0, REWRITE_SQL));
    return CLI_OK;
}

static int rewrite_one(struct link *link, const struct asked *asked, const char *definition,
                       struct report *report)
{
    int status;
    PGresult *result = run(link, asked, "", asked->sql, definition, &status);
    if (!result)
        return status;
    if (asked->shape && asked->phase && !asked->json) {
        status = print_alone(result);
    } else {
        struct text out;
        text_init(&out, TEXT_UNBOUNDED);
        struct report_statement statement = {.sql = slice_of(asked->sql), .times = 1};
        report->shows_untouched = true;
        report_add(report, &statement, result, 0, PQntuples(result), &out);
        print(&out);
        text_release(&out);
        status = report->outcomes[REPORT_REFUSED] ? CLI_FAILED : CLI_OK;
    }
    PQclear(result);
    return status;
}

/* ---------------------------------------------------------------- a file */

struct entry {
    struct report_statement statement;
    UT_hash_handle hh; /* by its text */
};

struct entries {
    size_t count, room;
    struct entry **list; /* in the order of the file */
    struct entry *by_text;
};

static void add_entry(struct entries *entries, struct slice sql, size_t line)
{
    struct entry *entry = NULL;
    HASH_FIND(hh, entries->by_text, sql.data, sql.length, entry);
    if (entry) {
        entry->statement.times++;
        return;
    }
    if (entries->count == entries->room) {
        entries->room = entries->room ? entries->room * 2 : 256;
        entries->list = memory_resize(entries->list, entries->room * sizeof *entries->list);
    }
    entry = NEW(struct entry);
    entry->statement = (struct report_statement){.sql = sql, .line = line, .times = 1};
    HASH_ADD_KEYPTR(hh, entries->by_text, entry->statement.sql.data, sql.length, entry);
    entries->list[entries->count++] = entry;
}

static void entries_read(struct entries *entries, const struct text *text)
{
    struct sql_split split = {.text = {text->data, text->length}};
    struct slice statement;
    const char *counted = text->data;
    size_t line = 1;
    while (sql_split_next(&split, &statement)) {
        for (; counted < statement.data; counted++)
            line += *counted == '\n';
        add_entry(entries, statement, line);
    }
}

static void entries_release(struct entries *entries)
{
    HASH_CLEAR(hh, entries->by_text);
    for (size_t i = 0; i < entries->count; i++)
        free(entries->list[i]);
    free((void *)entries->list);
}

/* The statements from `first` on that are asked in one command; a comment at the end of one must
 * not swallow the semicolon. */
static size_t fill_portion(const struct entries *entries, size_t first, struct text *portion)
{
    size_t i = first;
    for (; i < entries->count && i - first < PORTION_STATEMENTS; i++) {
        struct slice sql = entries->list[i]->statement.sql;
        if (i > first && portion->length + sql.length > PORTION_BYTES)
            break;
        text_add_slice(portion, sql);
        text_add_string(portion, "\n;\n");
    }
    return i;
}

static void report_portion(struct report *report, const struct entries *entries, size_t first,
                           const PGresult *result)
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    int rows = PQntuples(result);
    for (int row = 0; row < rows;) {
        int end = row;
        while (end < rows && strcmp(PQgetvalue(result, end, REWRITE_STATEMENT),
                                    PQgetvalue(result, row, REWRITE_STATEMENT)) == 0)
            end++;
        size_t number = strtoul(PQgetvalue(result, row, REWRITE_STATEMENT), NULL, 10);
        BUG_ON(number == 0 || first + number > entries->count);
        report_add(report, &entries->list[first + number - 1]->statement, result, row, end, &out);
        row = end;
    }
    print(&out);
    text_release(&out);
}

static int rewrite_entries(struct link *link, const struct asked *asked, const char *definition,
                           const struct entries *entries, struct report *report)
{
    int status = CLI_OK;
    struct text portion;
    text_init(&portion, TEXT_UNBOUNDED);
    for (size_t first = 0; first < entries->count && status == CLI_OK;) {
        text_clear(&portion);
        size_t end = fill_portion(entries, first, &portion);
        PGresult *result = run(link, asked, "EACH ", portion.data, definition, &status);
        if (result)
            report_portion(report, entries, first, result);
        PQclear(result);
        first = end;
    }
    text_release(&portion);
    return status;
}

static int rewrite_file(struct link *link, const struct asked *asked, const char *definition,
                        struct report *report)
{
    struct text text;
    text_init(&text, FILE_MAX);
    struct entries entries = {0};
    int status = input_read("rewrite", asked->file, &text);
    if (status == CLI_OK) {
        entries_read(&entries, &text);
        report->shows_untouched = asked->all;
        status = rewrite_entries(link, asked, definition, &entries, report);
    }
    if (status == CLI_OK) {
        struct text out;
        text_init(&out, TEXT_UNBOUNDED);
        report_summary(report, &out);
        print(&out);
        text_release(&out);
        status = report->outcomes[REPORT_REFUSED] ? CLI_FAILED : CLI_OK;
    }
    entries_release(&entries);
    text_release(&text);
    return status;
}

/* ---------------------------------------------------------------- the subcommand */

static int rewrite(const struct asked *asked)
{
    struct link link;
    struct text definition;
    text_init(&definition, TEXT_UNBOUNDED);
    struct report report = {.json = asked->json,
                            .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
    int status = asked->using_file ? input_read("rewrite", asked->using_file, &definition) : CLI_OK;
    if (status == CLI_OK)
        status = link_open(&link, "rewrite", &asked->link);
    if (status == CLI_OK) {
        const char *text = asked->using_file ? definition.data : NULL;
        status = asked->file ? rewrite_file(&link, asked, text, &report)
                             : rewrite_one(&link, asked, text, &report);
        link_close(&link);
    }
    text_release(&definition);
    return status;
}

static bool is_sensible(const struct asked *asked, int arguments)
{
    enum shape shape;
    enum phase phase;
    return (!asked->shape || shape_parse(asked->shape, &shape)) &&
           (!asked->phase || phase_parse(asked->phase, &phase)) &&
           arguments == (asked->file ? 0 : 1);
}

enum { OPTION_ALL = 256, OPTION_JSON };

static bool take_option(struct asked *asked, int option, const char *argument)
{
    switch (option) {
    case 's':
        asked->shape = argument;
        return true;
    case 'p':
        asked->phase = argument;
        return true;
    case 'd':
        asked->database = argument;
        return true;
    case 'u':
        asked->using_file = argument;
        return true;
    case 'f':
        asked->file = argument;
        return true;
    case OPTION_ALL:
        return asked->all = true;
    case OPTION_JSON:
        return asked->json = true;
    default:
        return link_option(&asked->link, option, argument);
    }
}

int cli_rewrite(int argc, char **argv)
{
    static const struct option options[] = {{"shape", required_argument, NULL, 's'},
                                            {"phase", required_argument, NULL, 'p'},
                                            {"database", required_argument, NULL, 'd'},
                                            {"using", required_argument, NULL, 'u'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"all", no_argument, NULL, OPTION_ALL},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            LINK_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    struct asked asked = {0};
    int option;
    while ((option = getopt_long(argc, argv, "s:p:d:u:f:" LINK_SHORT_OPTIONS, options, NULL)) !=
           -1) {
        if (option == 'h') {
            print_help(stdout);
            return CLI_OK;
        }
        if (!take_option(&asked, option, optarg)) {
            print_help(stderr);
            return CLI_USAGE;
        }
    }
    asked.sql = argv[optind];
    if (is_sensible(&asked, argc - optind))
        return rewrite(&asked);
    print_help(stderr);
    return CLI_USAGE;
}
