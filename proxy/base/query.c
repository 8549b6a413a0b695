#include "segue/base/query.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 100 };

static const char *field_of(const PGresult *result, int field)
{
    const char *value = PQresultErrorField(result, field);
    return value ? value : "";
}

static void set_from_result(struct error *error, PGconn *connection, const PGresult *result)
{
    if (!error)
        return;
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!sqlstate) { /* libpq's own: the connection is gone, or there is no memory */
        const char *text = PQerrorMessage(connection);
        error_set(error, "08006", "the connection to the server is lost: %.*s",
                  (int)strcspn(text, "\n"), text);
        return;
    }
    error_set(error, sqlstate, "%s", field_of(result, PG_DIAG_MESSAGE_PRIMARY));
    error_detail(error, "%s", field_of(result, PG_DIAG_MESSAGE_DETAIL));
    error_hint(error, "%s", field_of(result, PG_DIAG_MESSAGE_HINT));
}

static PGresult *check(PGconn *connection, PGresult *result, struct error *error)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    set_from_result(error, connection, result);
    PQclear(result);
    return NULL;
}

struct pg_result *query_run(struct pg_conn *connection, const char *sql, struct error *error)
{
    return check(connection, PQexec(connection, sql), error);
}

struct pg_result *query_run_with(struct pg_conn *connection, const char *sql,
                                 const char *const *parameters, int count, struct error *error)
{
    return check(connection, PQexecParams(connection, sql, count, NULL, parameters, NULL, NULL, 0),
                 error);
}

/* A session of its own at the server, so it may fail: it is tried again then. */
static bool ask_to_cancel(PGconn *connection)
{
    char why[256];
    PGcancel *cancel = PQgetCancel(connection);
    bool sent = cancel && PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
    return sent;
}

/* Until the answer is there, or the connection is lost. */
static void wait_for_answer(PGconn *connection, query_wanted *wanted, const void *context)
{
    bool is_cancelled = false;
    while (PQisBusy(connection)) {
        struct pollfd answer = {.fd = PQsocket(connection), .events = POLLIN};
        poll(&answer, 1, LOOK_EVERY_MS);
        if (!PQconsumeInput(connection))
            return;
        if (!is_cancelled && PQisBusy(connection) && !wanted(context))
            is_cancelled = ask_to_cancel(connection);
    }
}

struct pg_result *query_run_while(struct pg_conn *connection, const char *sql, query_wanted *wanted,
                                  const void *context, struct error *error)
{
    PGresult *last = NULL, *next;
    if (!PQsendQuery(connection, sql))
        return check(connection, NULL, error);
    do { /* of several statements the last; a failure ends them */
        wait_for_answer(connection, wanted, context);
        next = PQgetResult(connection);
        if (next) {
            PQclear(last);
            last = next;
        }
    } while (next);
    return check(connection, last, error);
}

bool query_do(struct pg_conn *connection, const char *sql, struct error *error)
{
    PGresult *result = query_run(connection, sql, error);
    PQclear(result);
    return result != NULL;
}

bool query_do_with(struct pg_conn *connection, const char *sql, const char *const *parameters,
                   int count, struct error *error)
{
    PGresult *result = query_run_with(connection, sql, parameters, count, error);
    PQclear(result);
    return result != NULL;
}

void query_rollback(struct pg_conn *connection)
{
    if (PQtransactionStatus(connection) != PQTRANS_IDLE)
        PQclear(PQexec(connection, "ROLLBACK"));
}

const char *query_value(const struct pg_result *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t query_integer(const struct pg_result *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10); /* "" for NULL */
}

bool query_boolean(const struct pg_result *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}
