/*
 * One connection of one of the demo's apps. It asks in the four ways that applications do, in turn
 * by chance: simple query, parameters, prepared statement, SQL PREPARE and EXECUTE. Every statement
 * is timed and counted; every answer is compared with what it must be.
 */
#ifndef SEGUE_PROXY_CLI_DEMO_CLIENT_H
#define SEGUE_PROXY_CLI_DEMO_CLIENT_H

#include "board.h"
#include "segue/transition/phase.h"

#include <libpq-fe.h>

enum { DEMO_STATEMENTS_MAX = 32, DEMO_ARGUMENTS_MAX = 6 };

struct demo_client {
    /* Set by the owner before demo_client_open. */
    struct demo_board *board;
    struct demo_meter *meter;
    const char *name;     /* "old app 3" */
    const char *conninfo; /* outlives the client */
    enum shape shape;
    uint64_t random; /* any seed but 0 */

    PGconn *connection;
    bool failed;              /* in the piece of work at hand */
    const char *sql;          /* of the statement at hand */
    const char *how;          /* it is sent: "simple query", .. */
    uint32_t prepared;        /* bits: statements prepared by protocol messages .. */
    uint32_t prepared_in_sql; /* .. and by PREPARE */
};

void demo_client_open(struct demo_client *client);
void demo_client_close(struct demo_client *client);
/* Anew after a failure: whatever the session was in the middle of is undone. */
void demo_client_reopen(struct demo_client *client);

/*
 * Asks the statement number `statement` (below DEMO_STATEMENTS_MAX, one text each for ever). `sql`
 * has $1 to $count; an argument may be NULL. Gives the result (the caller clears it); NULL after a
 * failure, which is counted and told.
 */
PGresult *demo_client_ask(struct demo_client *client, unsigned statement, const char *sql,
                          size_t count, const char *const *arguments);
/* As one simple query, which may be of several statements: the result is that of the last. */
PGresult *demo_client_ask_simple(struct demo_client *client, const char *sql);

/* Each counts a failure when it is not so. After one failure the others say nothing more. */
void demo_client_expect_rows(struct demo_client *client, const PGresult *result, int rows);
void demo_client_expect_affected(struct demo_client *client, PGresult *result, int rows);
void demo_client_expect_value(struct demo_client *client, const PGresult *result, int row,
                              int column, const char *expected); /* NULL: SQL NULL */
void demo_client_expect_column(struct demo_client *client, const PGresult *result, int column,
                               const char *name, Oid type, int typmod);

uint64_t demo_client_random(struct demo_client *client, uint64_t below);

#endif
