/*
 * Link: the connection of a subcommand to the admin port, over libpq. Notices go to stderr as they
 * come; Ctrl-C asks the proxy to cancel the command at hand.
 */
#ifndef SEGUE_PROXY_CLI_LINK_H
#define SEGUE_PROXY_CLI_LINK_H

#include "segue/base/text.h"

#include <getopt.h>
#include <libpq-fe.h>

/* Options that every subcommand with a link takes. */
struct link_options {
    const char *admin;  /* libpq connection string */
    const char *config; /* segue.conf, for the admin port in it */
};
#define LINK_SHORT_OPTIONS "a:c:h"
#define LINK_LONG_OPTIONS                                                                          \
    {"admin", required_argument, NULL, 'a'}, {"config", required_argument, NULL, 'c'},             \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }
#define LINK_HELP                                                                                  \
    "  -a, --admin CONNINFO  the admin port, as libpq takes it: 'host=127.0.0.1 port=6430'\n"      \
    "  -c, --config FILE     take it from this segue.conf\n"                                       \
    "                        Otherwise from $SEGUE_ADMIN, or the Unix socket of segue serve.\n"    \
    "                        User, password and sslmode as for psql: PGUSER, PGPASSWORD,\n"        \
    "                        ~/.pgpass or the terminal, PGSSLMODE.\n"                              \
    "  -h, --help            this text\n"
/* Takes 'a' and 'c'; false for any other option. */
bool link_option(struct link_options *options, int option, const char *argument);

struct link {
    const char *subcommand; /* for messages */
    PGconn *connection;
};

/* CLI_OK, or what to exit with: the reason has been told. */
int link_open(struct link *link, const char *subcommand, const struct link_options *options);
void link_close(struct link *link);
/* Runs one command. NULL with *status set on failure, which has been told. The caller clears. */
PGresult *link_run(struct link *link, const char *command, int *status);

/* "segue advance: ERROR: message", detail and hint on lines of their own; to stderr. */
void link_tell(const char *subcommand, const char *message, const char *detail, const char *hint);

#endif
