/* One connection of an app, over libpq, without libpq's endless waits: an answer that does not come
 * is a failure like any other. */
#include "client.h"

#include "segue/base/clock.h"
#include "segue/base/text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_PATIENCE_MS = 30000 };

/* xorshift64*, Vigna 2016: enough to choose with, and each client's sequence is its own. */
uint64_t demo_client_random(struct demo_client *client, uint64_t below)
{
    client->random ^= client->random >> 12;
    client->random ^= client->random << 25;
    client->random ^= client->random >> 27;
    return (client->random * 0x2545f4914f6cdd1dULL >> 11) % below;
}

static void fail(struct demo_client *client, const char *what)
{
    if (client->failed)
        return;
    client->failed = true;
    demo_board_fail(client->board, client->meter, client->name, client->sql, "%s: %s", client->how,
                    what);
}

void demo_client_open(struct demo_client *client)
{
    client->prepared = client->prepared_in_sql = 0;
    client->sql = "connecting";
    client->how = "start-up";
    client->connection = PQconnectdb(client->conninfo);
    if (PQstatus(client->connection) != CONNECTION_OK)
        fail(client, PQerrorMessage(client->connection));
}

void demo_client_close(struct demo_client *client)
{
    PQfinish(client->connection);
    client->connection = NULL;
}

void demo_client_reopen(struct demo_client *client)
{
    demo_client_close(client);
    client->failed = false;
    demo_client_open(client);
}

/* ---------------------------------------------------------------- asking */

static bool wait_until_idle_input(struct demo_client *client)
{
    uint64_t deadline = clock_monotonic_ns() + ANSWER_PATIENCE_MS * 1000000ULL;
    while (PQisBusy(client->connection)) {
        struct pollfd socket = {.fd = PQsocket(client->connection), .events = POLLIN};
        poll(&socket, 1, 1000);
        if ((socket.revents && !PQconsumeInput(client->connection)) ||
            clock_monotonic_ns() > deadline)
            return false;
    }
    return true;
}

/* All results of what was sent; the last one, or the first that is an error. */
static PGresult *collect(struct demo_client *client)
{
    PGresult *kept = NULL;
    for (;;) {
        if (!wait_until_idle_input(client)) {
            PQclear(kept);
            return NULL;
        }
        PGresult *result = PQgetResult(client->connection);
        if (!result)
            return kept;
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
    }
}

/* What was sent at `begun`: its result, timed, counted and judged. `counts`: it is a statement. */
static PGresult *answer(struct demo_client *client, int sent, uint64_t begun, bool counts)
{
    PGresult *result = sent ? collect(client) : NULL;
    if (counts)
        demo_board_count(client->board, client->meter, clock_monotonic_ns() - begun);
    if (result &&
        (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK))
        return result;
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    char what[800];
    if (!result && sent && PQstatus(client->connection) == CONNECTION_OK)
        snprintf(what, sizeof what, "no answer within %d s", ANSWER_PATIENCE_MS / 1000);
    else
        snprintf(what, sizeof what, "%s %s", sqlstate ? sqlstate : "",
                 result ? PQresultErrorMessage(result) : PQerrorMessage(client->connection));
    fail(client, what);
    PQclear(result);
    return NULL;
}

/* Appends `sql` with each $n replaced by its argument as a literal. */
static void add_with_literals(struct text *out, const char *sql, const char *const *arguments)
{
    for (const char *at = sql; *at; at++) {
        if (*at != '$') {
            text_add_char(out, *at);
            continue;
        }
        const char *argument = arguments[*++at - '1'];
        if (argument)
            text_add_literal(out, argument);
        else
            text_add_string(out, "NULL");
    }
}

static PGresult *ask_with_literals(struct demo_client *client, const char *sql,
                                   const char *const *arguments)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    add_with_literals(&text, sql, arguments);
    uint64_t begun = clock_monotonic_ns();
    PGresult *result = answer(client, PQsendQuery(client->connection, text.data), begun, true);
    text_release(&text);
    return result;
}

static PGresult *ask_with_parameters(struct demo_client *client, const char *sql, size_t count,
                                     const char *const *arguments)
{
    uint64_t begun = clock_monotonic_ns();
    int sent =
        PQsendQueryParams(client->connection, sql, (int)count, NULL, arguments, NULL, NULL, 0);
    return answer(client, sent, begun, true);
}

static PGresult *ask_prepared(struct demo_client *client, unsigned statement, const char *sql,
                              size_t count, const char *const *arguments)
{
    char name[16];
    snprintf(name, sizeof name, "p%u", statement);
    uint64_t begun = clock_monotonic_ns();
    if (!(client->prepared & 1u << statement)) {
        PGresult *prepared = answer(
            client, PQsendPrepare(client->connection, name, sql, (int)count, NULL), begun, false);
        if (!prepared)
            return NULL;
        PQclear(prepared);
        client->prepared |= 1u << statement;
        begun = clock_monotonic_ns();
    }
    int sent = PQsendQueryPrepared(client->connection, name, (int)count, arguments, NULL, NULL, 0);
    return answer(client, sent, begun, true);
}

static PGresult *ask_by_execute(struct demo_client *client, unsigned statement, const char *sql,
                                size_t count, const char *const *arguments)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    bool good = true;
    if (!(client->prepared_in_sql & 1u << statement)) {
        text_add_format(&text, "PREPARE s%u AS %s", statement, sql);
        PGresult *prepared =
            answer(client, PQsendQuery(client->connection, text.data), clock_monotonic_ns(), false);
        good = prepared != NULL;
        PQclear(prepared);
        if (good)
            client->prepared_in_sql |= 1u << statement;
        text_clear(&text);
    }
    text_add_format(&text, "EXECUTE s%u", statement);
    for (size_t i = 0; i < count; i++) {
        text_add_string(&text, i ? ", " : "(");
        if (arguments[i])
            text_add_literal(&text, arguments[i]);
        else
            text_add_string(&text, "NULL");
    }
    text_add_string(&text, count ? ")" : "");
    uint64_t begun = clock_monotonic_ns();
    PGresult *result =
        good ? answer(client, PQsendQuery(client->connection, text.data), begun, true) : NULL;
    text_release(&text);
    return result;
}

PGresult *demo_client_ask(struct demo_client *client, unsigned statement, const char *sql,
                          size_t count, const char *const *arguments)
{
    BUG_ON(statement >= DEMO_STATEMENTS_MAX || count > DEMO_ARGUMENTS_MAX);
    if (client->failed)
        return NULL;
    client->sql = sql;
    switch (demo_client_random(client, 4)) {
    case 0:
        client->how = "simple query";
        return ask_with_literals(client, sql, arguments);
    case 1:
        client->how = "parameters";
        return ask_with_parameters(client, sql, count, arguments);
    case 2:
        client->how = "prepared";
        return ask_prepared(client, statement, sql, count, arguments);
    default:
        client->how = "PREPARE and EXECUTE";
        return ask_by_execute(client, statement, sql, count, arguments);
    }
}

PGresult *demo_client_ask_simple(struct demo_client *client, const char *sql)
{
    if (client->failed)
        return NULL;
    client->sql = sql;
    client->how = "simple query";
    uint64_t begun = clock_monotonic_ns();
    return answer(client, PQsendQuery(client->connection, sql), begun, true);
}

/* ---------------------------------------------------------------- checking */

static void expect_count(struct demo_client *client, const char *what, int expected, int found)
{
    char message[120];
    if (expected == found)
        return;
    snprintf(message, sizeof message, "wrong answer: expected %d rows %s, got %d", expected, what,
             found);
    fail(client, message);
}

void demo_client_expect_rows(struct demo_client *client, const PGresult *result, int rows)
{
    if (result)
        expect_count(client, "", rows, PQntuples(result));
}

void demo_client_expect_affected(struct demo_client *client, PGresult *result, int rows)
{
    if (result)
        expect_count(client, "changed", rows, atoi(PQcmdTuples(result)));
}

void demo_client_expect_value(struct demo_client *client, const PGresult *result, int row,
                              int column, const char *expected)
{
    if (!result || client->failed)
        return;
    const char *found = PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
    if (expected && found ? strcmp(expected, found) == 0 : expected == found)
        return;
    char message[400];
    snprintf(message, sizeof message, "wrong answer in column %s, row %d: expected %s, got %s",
             PQfname(result, column), row + 1, expected ? expected : "NULL",
             found ? found : "NULL");
    fail(client, message);
}

void demo_client_expect_column(struct demo_client *client, const PGresult *result, int column,
                               const char *name, Oid type, int typmod)
{
    if (!result || client->failed)
        return;
    const char *found = PQfname(result, column);
    if (found && strcmp(found, name) == 0 && PQftype(result, column) == type &&
        PQfmod(result, column) == typmod)
        return;
    char message[300];
    snprintf(message, sizeof message,
             "wrong answer: expected column %s of type %u (%d), got %s of type %u (%d)", name, type,
             typmod, found ? found : "none", PQftype(result, column), PQfmod(result, column));
    fail(client, message);
}
