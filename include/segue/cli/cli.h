/* The subcommands: `segue <name> ...`. A table of them is in proxy/cli/cli.c. */
#ifndef SEGUE_CLI_CLI_H
#define SEGUE_CLI_CLI_H

/* Exit statuses that scripts can use. */
enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* the command ran and was refused, or something it checked is not so */
    CLI_USAGE = 2,       /* bad options, bad configuration or transition file */
    CLI_UNREACHABLE = 3, /* the admin port cannot be reached */
};

int cli_run(int argc, char **argv);

#endif
