/*
 * The journey is a table of steps: what is said to the admin port, and which app comes in. Both
 * transitions go side by side; in each step the apps work on for a while and their numbers are
 * printed.
 *
 * users_role is lossy, so the new app's work on `users` begins at dual_old, as DESIGN.md section 2
 * asks; amount is lossless, so the new app works on `transactions` from the first step on.
 */
#include "journey.h"

#include "segue/base/clock.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { READY_PATIENCE_MS = 30000, COMMANDS_MAX = 6, FAILURES_ENOUGH = 20 };

static const char users_role[] = "transition \"users_role\" {\n"
                                 "    table = \"public.users\"\n"
                                 "    old \"role\"  { type = \"text\"    from = "
                                 "\"array_to_string(roles, ',')\" }\n"
                                 "    new \"roles\" { type = \"text[]\"  from = "
                                 "\"string_to_array(role, ',')\" }\n"
                                 "    lossless = false\n"
                                 "    guard = \"sync\"\n"
                                 "}\n";
static const char amount[] = "transition \"amount\" {\n"
                             "    table = \"public.transactions\"\n"
                             "    old \"amount\" { type = \"text\"  from = \"amount::text\" }\n"
                             "    new \"amount\" { type = \"numeric(12,2)\"  from = "
                             "\"amount::numeric\"  column = \"amount_new\" }\n"
                             "    lossless = true\n"
                             "    guard = \"reject\"\n"
                             "}\n";

enum event { NOTHING, NEW_APP_STARTS, NEW_APP_USES_USERS, PARITY_IS_COUNTED };

struct step {
    const char *title;
    const char *story;
    enum event event; /* after the commands */
    const char *commands[COMMANDS_MAX];
};

static const struct step steps[] = {
    {"before", "the old app alone; Segue only relays", NOTHING, {0}},
    {"old",
     "both transitions are defined, the new columns exist; the new app starts, on `transactions`",
     NEW_APP_STARTS,
     {"APPLY users_role", "APPLY amount", "EXPAND users_role", "EXPAND amount"}},
    {"dual_old",
     "both columns are written, the old ones are the truth; the new app starts on `users`",
     NEW_APP_USES_USERS,
     {"ADVANCE users_role TO dual_old", "ADVANCE amount TO dual_old"}},
    {"backfill",
     "rows that nobody wrote are converted; then every row is verified",
     PARITY_IS_COUNTED,
     {"BACKFILL users_role START", "BACKFILL amount START", "VERIFY users_role", "VERIFY amount"}},
    {"dual_own",
     "each app reads its own columns",
     NOTHING,
     {"ADVANCE users_role TO dual_own", "ADVANCE amount TO dual_own"}},
    {"dual_old",
     "second thoughts: back one stop",
     NOTHING,
     {"REVERT users_role TO dual_old", "REVERT amount TO dual_old"}},
    {"dual_new",
     "and on: the new columns are the truth, the old ones are still written",
     NOTHING,
     {"VERIFY users_role", "VERIFY amount", "ADVANCE users_role TO dual_new",
      "ADVANCE amount TO dual_new"}},
    {"new",
     "the old columns are written no more",
     NOTHING,
     {"ADVANCE users_role TO new", "ADVANCE amount TO new"}},
    {"dual_new",
     "even from here there is a way back: the old columns are filled again",
     PARITY_IS_COUNTED,
     {"REVERT users_role TO dual_new", "REVERT amount TO dual_new", "BACKFILL users_role START",
      "BACKFILL amount START", "VERIFY users_role", "VERIFY amount"}},
    {"new", "forward again", NOTHING, {"ADVANCE users_role TO new", "ADVANCE amount TO new"}},
    {"contracted",
     "the old columns are gone; the old app still works, by conversion",
     NOTHING,
     {"CONTRACT users_role", "CONTRACT amount"}},
};
enum { STEP_COUNT = sizeof steps / sizeof *steps };
_Static_assert((int)STEP_COUNT <= (int)DEMO_STEPS_MAX, "the board has that many");

/* ---------------------------------------------------------------- the proxy */

/* A client of the database gets through to the server. */
static bool relays(const struct demo_journey *journey, struct error *error)
{
    char *conninfo = demo_cluster_conninfo(journey->cluster, journey->old_port, DEMO_DATABASE,
                                           DEMO_APP_USER, "segue demo");
    PGconn *client = PQconnectdb(conninfo);
    free(conninfo);
    bool good = PQstatus(client) == CONNECTION_OK;
    if (!good)
        error_set(error, "08006", "%s", PQerrorMessage(client));
    PQfinish(client);
    return good;
}

static bool wait_for_proxy(struct demo_journey *journey, struct error *error)
{
    struct error last = {0};
    for (unsigned waited = 0; waited < READY_PATIENCE_MS; waited += 100) {
        clock_sleep_ms(100);
        if (demo_is_interrupted())
            return error_set(error, "57014", "interrupted");
        if (!demo_child_is_running(journey->proxy, error))
            return false;
        if (demo_admin_open(&journey->admin, &last)) {
            if (demo_admin_is_ready(&journey->admin, &last) && relays(journey, &last))
                return true;
            demo_admin_close(&journey->admin);
        }
    }
    error_set(error, "57P03", "the proxy was not ready within %d s", READY_PATIENCE_MS / 1000);
    error_detail(error, "%s", last.message);
    return false;
}

/* In the table of steps APPLY has the transition's name; what is sent has its definition. */
static bool command(struct demo_journey *journey, const char *text, struct error *error)
{
    demo_report_line(journey->report, "    segue=> %s", text);
    if (strcmp(text, "APPLY users_role") == 0)
        return demo_admin_apply(&journey->admin, users_role, error);
    if (strcmp(text, "APPLY amount") == 0)
        return demo_admin_apply(&journey->admin, amount, error);
    return demo_admin_say(&journey->admin, text, error);
}

/* ---------------------------------------------------------------- the apps */

static struct demo_app *start_app(struct demo_journey *journey, const char *name, enum shape shape,
                                  bool users)
{
    int port = shape == SHAPE_OLD ? journey->old_port : journey->new_port;
    char *conninfo =
        demo_cluster_conninfo(journey->cluster, port, DEMO_DATABASE, DEMO_APP_USER, name);
    struct demo_app *app = demo_app_start(&(struct demo_app_options){
        .name = name,
        .shape = shape,
        .conninfo = conninfo,
        .connections = (size_t)journey->options->connections,
        .users = users,
        .model = journey->model,
        .board = journey->board,
    });
    free(conninfo);
    return app;
}

static PGconn *connect_to_server(const struct demo_journey *journey, struct error *error)
{
    char *conninfo = demo_cluster_conninfo(journey->cluster, journey->cluster->port, DEMO_DATABASE,
                                           DEMO_SUPERUSER, "segue demo");
    PGconn *server = PQconnectdb(conninfo);
    free(conninfo);
    if (PQstatus(server) == CONNECTION_OK)
        return server;
    error_set(error, "08006", "%s", PQerrorMessage(server));
    PQfinish(server);
    return NULL;
}

/* ---------------------------------------------------------------- the steps */

static bool go_on_for(const struct demo_journey *journey, struct error *error)
{
    uint64_t until = clock_monotonic_ns() + (uint64_t)journey->options->seconds * 1000000000u;
    while (clock_monotonic_ns() < until) {
        if (demo_is_interrupted())
            return error_set(error, "57014", "interrupted");
        if (!demo_child_is_running(journey->proxy, error))
            return false;
        clock_sleep_ms(50);
    }
    return true;
}

static void report_apps(const struct demo_journey *journey, unsigned step, double seconds)
{
    struct demo_app *const apps[] = {journey->old_app, journey->new_app};
    for (size_t i = 0; i < 2; i++) {
        if (!apps[i])
            continue;
        struct demo_reading reading = demo_app_read(apps[i], step);
        demo_report_app(journey->report, demo_app_name(apps[i]), &reading, seconds);
    }
}

/* Past Segue, in the server itself, while the apps work on. */
static bool count_parity(struct demo_journey *journey, struct error *error)
{
    static const char sql[] =
        "SELECT count(*), count(*) FILTER (WHERE NOT in_parity) FROM ("
        "    SELECT roles IS NOT DISTINCT FROM string_to_array(role, ',')"
        "           OR role IS NOT DISTINCT FROM array_to_string(roles, ',') AS in_parity"
        "    FROM users"
        "    UNION ALL"
        "    SELECT amount_new IS NOT DISTINCT FROM amount::numeric(12,2)"
        "           OR amount IS NOT DISTINCT FROM amount_new::text"
        "    FROM transactions) AS both_tables";
    PGconn *server = connect_to_server(journey, error);
    if (!server)
        return false;
    PGresult *result = PQexec(server, sql);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (good) {
        journey->parity_counts++;
        journey->out_of_parity += (size_t)atol(PQgetvalue(result, 0, 1));
        demo_report_line(journey->report, "    %s of %s rows out of parity, asked of PostgreSQL",
                         PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 0));
    } else {
        error_set(error, "58000", "parity could not be counted: %s", PQerrorMessage(server));
    }
    PQclear(result);
    PQfinish(server);
    return good;
}

/* There is no point in going on. */
static bool has_failed_enough(const struct demo_journey *journey, struct error *error)
{
    pthread_mutex_lock(&journey->board->lock);
    size_t failures = journey->board->failure_count;
    pthread_mutex_unlock(&journey->board->lock);
    if (failures < FAILURES_ENOUGH)
        return false;
    error_set(error, "XX000", "the journey ends here: too much fails");
    return true;
}

static bool take(struct demo_journey *journey, unsigned number, struct error *error)
{
    const struct step *step = &steps[number];
    demo_report_step(journey->report, step->title, step->story);
    demo_board_go(journey->board, number, step->title);
    uint64_t begun = clock_monotonic_ns();
    for (size_t i = 0; i < COMMANDS_MAX && step->commands[i]; i++) {
        if (!command(journey, step->commands[i], error))
            return false;
    }
    bool good = true;
    switch (step->event) {
    case NOTHING:
        break;
    case PARITY_IS_COUNTED:
        good = count_parity(journey, error);
        break;
    case NEW_APP_STARTS:
        journey->new_app = start_app(journey, "new app", SHAPE_NEW, false);
        break;
    case NEW_APP_USES_USERS:
        demo_app_open_users(journey->new_app);
        break;
    }
    if (!good || !go_on_for(journey, error))
        return false;
    report_apps(journey, number, (double)(clock_monotonic_ns() - begun) / 1e9);
    return !has_failed_enough(journey, error);
}

bool demo_journey_go(struct demo_journey *journey, struct error *error)
{
    journey->admin = (struct demo_admin){.cluster = journey->cluster,
                                         .port = journey->admin_port,
                                         .proxy = journey->proxy,
                                         .report = journey->report};
    if (!wait_for_proxy(journey, error))
        return false;
    journey->old_app = start_app(journey, "old app", SHAPE_OLD, true);
    bool good = true;
    for (unsigned i = 0; good && i < STEP_COUNT; i++)
        good = take(journey, i, error);
    demo_admin_close(&journey->admin);
    return good;
}

/* ---------------------------------------------------------------- the outcome */

static struct demo_reading read_all(const struct demo_journey *journey)
{
    struct demo_reading all = {0};
    struct demo_app *const apps[] = {journey->old_app, journey->new_app};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned step = 0; apps[i] && step < STEP_COUNT; step++) {
            struct demo_reading reading = demo_app_read(apps[i], step);
            all.statements += reading.statements;
            all.failed += reading.failed;
        }
    }
    return all;
}

static bool report_statements(const struct demo_journey *journey)
{
    struct demo_reading all = read_all(journey);
    bool good = all.failed == 0 && all.statements > 0;
    demo_report_outcome(journey->report, good,
                        "%llu statements ran, %llu failed (errors and wrong answers)",
                        (unsigned long long)all.statements, (unsigned long long)all.failed);
    for (size_t i = 0; i < journey->board->failure_count && i < DEMO_FAILURES_KEPT; i++)
        printf("        %s\n", journey->board->failures[i]);
    if (journey->board->failure_count > DEMO_FAILURES_KEPT)
        printf("        .. and %zu more\n", journey->board->failure_count - DEMO_FAILURES_KEPT);
    return good;
}

static bool report_parity(const struct demo_journey *journey)
{
    bool good = journey->parity_counts > 0 && journey->out_of_parity == 0;
    demo_report_outcome(journey->report, good,
                        "%zu rows out of parity, counted %u times in PostgreSQL directly",
                        journey->out_of_parity, journey->parity_counts);
    return good;
}

static bool report_rows(const struct demo_journey *journey)
{
    struct error error = {0};
    struct demo_comparison comparison = {0};
    text_init(&comparison.first, TEXT_UNBOUNDED);
    PGconn *server = connect_to_server(journey, &error);
    bool done =
        server && demo_model_compare(journey->model, server, SHAPE_NEW, &comparison, &error);
    PQfinish(server);
    bool good = done && comparison.different == 0;
    if (!done)
        demo_report_outcome(journey->report, false, "the rows could not be compared: %s",
                            error.message);
    else
        demo_report_outcome(journey->report, good,
                            "%zu rows read from PostgreSQL directly, %zu differ from what the apps "
                            "wrote",
                            comparison.rows, comparison.different);
    if (comparison.first.length)
        fputs(comparison.first.data, stdout);
    text_release(&comparison.first);
    return good;
}

bool demo_journey_sum_up(struct demo_journey *journey, bool complete)
{
    if (!journey->old_app)
        return false; /* it never began */
    demo_app_stop(journey->old_app);
    if (journey->new_app)
        demo_app_stop(journey->new_app);
    demo_report_line(journey->report, "%s", "");
    bool statements = report_statements(journey);
    if (!complete)
        return false;
    bool parity = report_parity(journey);
    bool rows = report_rows(journey);
    return statements && parity && rows;
}

void demo_journey_end(struct demo_journey *journey)
{
    demo_app_free(journey->old_app);
    demo_app_free(journey->new_app);
    journey->old_app = journey->new_app = NULL;
}
