/* The table of subcommands. */
#include "segue/cli/cli.h"

#include "commands.h"

#include "segue/base/nearest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct subcommand {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    {"serve", "run the proxy", cli_serve},
    {"demo", "a throwaway PostgreSQL, an old and a new app, the whole journey", cli_demo},
    {"status", "one screen: transitions, phases, progress, clients by shape", cli_status},
    {"rewrite", "what would be sent for an SQL text", cli_rewrite},
    {"password", "a line for the admin port's users_file", cli_password},
};
enum { SUBCOMMAND_COUNT = sizeof subcommands / sizeof subcommands[0] };

static void print_help(FILE *stream)
{
    fputs("Usage: segue SUBCOMMAND [OPTION]... [ARGUMENT]...\n"
          "\n"
          "Changes the type or name of a PostgreSQL column in production: old and new versions of\n"
          "an application run side by side, each seeing the table in its own shape.\n"
          "\n",
          stream);
    for (const struct subcommand *s = subcommands; s < subcommands + SUBCOMMAND_COUNT; s++)
        fprintf(stream, "  %-10s %s\n", s->name, s->summary);
    fputc('\n', stream);
    const char *summary, *name;
    for (int i = 0; (name = cli_verb_at(i, &summary)); i++)
        fprintf(stream, "  %-10s %s\n", name, summary);
    fputs("\n"
          "segue SUBCOMMAND --help tells more. Exit status: 0 done, 1 refused or not so, 2 wrong\n"
          "options, configuration or transition file, 3 the admin port cannot be reached.\n",
          stream);
}

static int (*find(const char *wanted, struct nearest *nearest))(int argc, char **argv)
{
    for (const struct subcommand *s = subcommands; s < subcommands + SUBCOMMAND_COUNT; s++) {
        if (strcmp(s->name, wanted) == 0)
            return s->run;
        nearest_offer(nearest, s->name);
    }
    const char *summary, *name;
    for (int i = 0; (name = cli_verb_at(i, &summary)); i++) {
        if (strcmp(name, wanted) == 0)
            return cli_verb;
        nearest_offer(nearest, name);
    }
    return NULL;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("segue " SEGUE_VERSION);
        return CLI_OK;
    }
    struct nearest nearest;
    nearest_init(&nearest, argv[1]);
    int (*subcommand)(int argc, char **argv) = find(argv[1], &nearest);
    if (subcommand)
        return subcommand(argc - 1, argv + 1);
    fprintf(stderr, "segue: no subcommand \"%s\"\n", argv[1]);
    if (nearest.best)
        fprintf(stderr, "  Did you mean \"%s\"?\n", nearest.best);
    fputs("  segue --help lists them.\n", stderr);
    return CLI_USAGE;
}

int cli_run(int argc, char **argv)
{
    int status = run(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "segue: the answer could not be written: %s\n", strerror(errno));
    return status == CLI_OK ? CLI_FAILED : status;
}
