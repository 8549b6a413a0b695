/* The demo's operator at the admin port: says a command, passes on what Segue reports meanwhile. */
#ifndef SEGUE_PROXY_CLI_DEMO_ADMIN_H
#define SEGUE_PROXY_CLI_DEMO_ADMIN_H

#include "child.h"
#include "cluster.h"
#include "report.h"

struct pg_conn;

struct demo_admin {
    const struct demo_cluster *cluster; /* whose password it is */
    int port;
    struct demo_child *proxy; /* when it dies, no answer is waited for */
    const struct demo_report *report;
    struct pg_conn *connection; /* NULL: closed */
};

bool demo_admin_open(struct demo_admin *admin, struct error *error) MUST_CHECK;
void demo_admin_close(struct demo_admin *admin);
/* A command without its semicolon. False when it was refused, and on Ctrl-C. */
bool demo_admin_say(struct demo_admin *admin, const char *command, struct error *error) MUST_CHECK;
bool demo_admin_apply(struct demo_admin *admin, const char *definition,
                      struct error *error) MUST_CHECK;
/* Has Segue loaded the database? */
bool demo_admin_is_ready(struct demo_admin *admin, struct error *error) MUST_CHECK;

#endif
