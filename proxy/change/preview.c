/*
 * For previews of rewriting: a definition as APPLY would bind it, and what the server says of a
 * statement's parameters. Nothing is executed: a statement is prepared, and the connection closed.
 */
#include "work.h"

#include <libpq-fe.h>
#include <stdlib.h>

/* As examine_definition: what APPLY would refuse can be looked at all the same, once it binds. */
static bool bind_one(struct work *work, struct transition *transition, struct error *error)
{
    bool bound = query_do(work->connection, "BEGIN", error) &&
                 transition_bind(transition, work->connection, STAGE_APPLIED, error);
    query_rollback(work->connection);
    return bound;
}

struct transition **change_bind_definition(struct change *change, const char *definition,
                                           const char *file_name, size_t *count,
                                           struct error *error)
{
    struct transition **transitions = transition_parse(definition, file_name, count, error);
    if (!transitions)
        return NULL;
    struct work work;
    bool done = work_begin(&work, change, WORK_READS, "rewrite", NULL, error);
    for (size_t i = 0; done && i < *count; i++)
        done = bind_one(&work, transitions[i], error);
    work_end(&work);
    if (done)
        return transitions;
    for (size_t i = 0; i < *count; i++)
        transition_put(transitions[i]);
    free((void *)transitions);
    return NULL;
}

static bool add_type(PGconn *connection, uint32_t oid, struct text *types)
{
    char number[16];
    snprintf(number, sizeof number, "%u", oid);
    const char *const parameters[] = {number};
    struct pg_result *result = query_run_with(
        connection, "SELECT pg_catalog.format_type($1::oid, NULL)", parameters, 1, NULL);
    if (result)
        text_add_format(types, "%s%s", types->length ? ", " : "", query_value(result, 0, 0));
    PQclear(result);
    return result != NULL;
}

bool change_parameter_types(struct change *change, const char *sql, struct text *types)
{
    struct work work;
    if (!work_begin(&work, change, WORK_READS, "rewrite", NULL, NULL))
        return false;
    bool is_reset =
        query_do(work.connection, "RESET search_path", NULL); /* a client's, as a rule */
    PGresult *prepared = is_reset ? PQprepare(work.connection, "previewed", sql, 0, NULL) : NULL;
    PGresult *described = NULL;
    bool known = PQresultStatus(prepared) == PGRES_COMMAND_OK;
    if (known) {
        described = PQdescribePrepared(work.connection, "previewed");
        known = PQresultStatus(described) == PGRES_COMMAND_OK;
    }
    for (int i = 0; known && i < PQnparams(described); i++)
        known = add_type(work.connection, PQparamtype(described, i), types);
    PQclear(described);
    PQclear(prepared);
    work_end(&work);
    return known;
}
