/* What the parts of `segue demo` share: whether the user has had enough, and what was asked for. */
#ifndef SEGUE_PROXY_CLI_DEMO_H
#define SEGUE_PROXY_CLI_DEMO_H

#include <stdbool.h>

struct demo_options {
    const char *binaries; /* NULL: found through pg_config */
    int first_port;
    int rows;        /* of each table */
    int seconds;     /* that the apps run in each step, beside what the step itself takes */
    int connections; /* of each app */
    bool keep;
    bool quiet;
};

/* Somebody pressed Ctrl-C (or sent SIGTERM, SIGHUP): end early, and clean up. */
bool demo_is_interrupted(void);

#endif
