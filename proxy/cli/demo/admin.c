/* The admin port over libpq, without blocking, so that Ctrl-C and a dead proxy are noticed. */
#include "admin.h"

#include "demo.h"
#include "segue/base/clock.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMAND_PATIENCE_MS = 300000, LOOK_AROUND_MS = 200 };

/* NOTICEs are the progress of a long command. */
static void on_notice(void *context, const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (text)
        demo_report_said(context, text);
}

bool demo_admin_open(struct demo_admin *admin, struct error *error)
{
    char *conninfo =
        demo_cluster_conninfo(admin->cluster, admin->port, "segue", DEMO_SUPERUSER, "segue demo");
    admin->connection = PQconnectdb(conninfo);
    free(conninfo);
    if (PQstatus(admin->connection) != CONNECTION_OK) {
        error_set(error, "08006", "%s", PQerrorMessage(admin->connection));
        demo_admin_close(admin);
        return false;
    }
    PQsetNoticeReceiver(admin->connection, on_notice, (void *)admin->report);
    return true;
}

void demo_admin_close(struct demo_admin *admin)
{
    PQfinish(admin->connection);
    admin->connection = NULL;
}

static bool wait_for_answer(struct demo_admin *admin, struct error *error)
{
    uint64_t deadline = clock_monotonic_ns() + COMMAND_PATIENCE_MS * 1000000ULL;
    while (PQisBusy(admin->connection)) {
        struct pollfd socket = {.fd = PQsocket(admin->connection), .events = POLLIN};
        poll(&socket, 1, LOOK_AROUND_MS);
        if (socket.revents && !PQconsumeInput(admin->connection))
            return error_set(error, "08006", "%s", PQerrorMessage(admin->connection));
        if (demo_is_interrupted())
            return error_set(error, "57014", "interrupted");
        if (!demo_child_is_running(admin->proxy, error))
            return false;
        if (clock_monotonic_ns() > deadline)
            return error_set(error, "57014", "no answer from the admin port within %d s",
                             COMMAND_PATIENCE_MS / 1000);
    }
    return true;
}

static void explain_refusal(const PGresult *result, const char *command, struct error *error)
{
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    error_set(error, sqlstate ? sqlstate : "XX000", "%s was refused: %s", command,
              message ? message : PQresultErrorMessage(result));
    if (detail)
        error_detail(error, "%s", detail);
    if (hint)
        error_hint(error, "%s", hint);
}

/* What a command gave, or NULL. `sql` is what is sent, `command` what it is called to a person. */
static PGresult *ask(struct demo_admin *admin, const char *sql, const char *command,
                     struct error *error)
{
    if (!PQsendQuery(admin->connection, sql)) {
        error_set(error, "08006", "%s: %s", command, PQerrorMessage(admin->connection));
        return NULL;
    }
    PGresult *kept = NULL;
    bool good = true;
    for (;;) {
        PGresult *result = NULL;
        if (wait_for_answer(admin, error))
            result = PQgetResult(admin->connection);
        else
            good = false;
        if (!result)
            break;
        PQclear(kept);
        kept = result;
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            explain_refusal(result, command, error);
            good = false;
        }
    }
    if (good)
        return kept;
    PQclear(kept);
    return NULL;
}

/* The last field of the row says what happened. */
static bool say(struct demo_admin *admin, const char *sql, const char *command, struct error *error)
{
    PGresult *result = ask(admin, sql, command, error);
    if (result && PQntuples(result) > 0 && PQnfields(result) > 0)
        demo_report_said(admin->report, PQgetvalue(result, 0, PQnfields(result) - 1));
    PQclear(result);
    return result != NULL;
}

bool demo_admin_say(struct demo_admin *admin, const char *command, struct error *error)
{
    char sql[128];
    snprintf(sql, sizeof sql, "%s;", command);
    return say(admin, sql, command, error);
}

bool demo_admin_apply(struct demo_admin *admin, const char *definition, struct error *error)
{
    struct text sql;
    text_init(&sql, TEXT_UNBOUNDED);
    text_add_string(&sql, "APPLY ");
    text_add_literal(&sql, definition);
    text_add_char(&sql, ';');
    bool good = say(admin, sql.data, "APPLY", error);
    text_release(&sql);
    return good;
}

bool demo_admin_is_ready(struct demo_admin *admin, struct error *error)
{
    PGresult *result = ask(admin, "SHOW FLEET;", "SHOW FLEET", error);
    if (!result)
        return false;
    int state = PQfnumber(result, "state");
    bool ready =
        state >= 0 && PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, state), "ready") == 0;
    if (!ready)
        error_set(error, "57P03", "SHOW FLEET does not call the database ready");
    PQclear(result);
    return ready;
}
