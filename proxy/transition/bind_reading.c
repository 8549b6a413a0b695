/*
 * What the server must be asked about reading a column by conversion: is it NULL where there is no
 * row at all (an outer join made it up), and has it the collation of the column it stands for?
 */
#include "bind.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { DEFAULT_COLLATION = 100 };

/* `SELECT ((from))::type IS NULL`, every column a NULL of its type. */
static char *null_question(const struct transition *transition, enum shape shape, size_t index)
{
    const struct transition_column *column = &transition->columns[shape][index];
    const enum shape other = shape_other(shape);
    const size_t count = transition->column_count[other];
    char **arguments = NEW_ARRAY(char *, count);
    for (size_t i = 0; i < count; i++) {
        struct text argument;
        text_init(&argument, TEXT_UNBOUNDED);
        text_add_format(&argument, "(NULL::%s)", transition->columns[other][i].type);
        arguments[i] = text_take(&argument);
    }
    struct text question;
    text_init(&question, TEXT_UNBOUNDED);
    text_add_string(&question, "SELECT ((");
    conversion_render(&column->from, (const char *const *)arguments, &question);
    text_add_format(&question, ")::%s) IS NULL", column->type);
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
    return text_take(&question);
}

/* A conversion that fails on NULLs is taken not to keep them. So is one that calls something
 * volatile: it will be refused, and must not act before, for a definition need not be an
 * operator's. */
static bool ask_keeps_null(const struct transition *transition, enum shape shape, size_t index,
                           PGconn *connection, struct error *error)
{
    struct transition_column *column = &transition->columns[shape][index];
    char *function;
    if (!bind_volatile_function(connection, column->from.source, &function, error))
        return false;
    column->keeps_null = false;
    bool acts = function != NULL;
    free(function);
    if (acts)
        return true;
    if (!query_do(connection, "SAVEPOINT segue_null", error))
        return false;
    char *question = null_question(transition, shape, index);
    struct error why;
    PGresult *result = query_run(connection, question, &why);
    column->keeps_null = result && query_boolean(result, 0, 0);
    PQclear(result);
    free(question);
    return query_do(connection, "ROLLBACK TO SAVEPOINT segue_null", error);
}

/* The server derives a collation from what goes into an expression; only where that is the default
 * one, as the column's own is, does it come out right by itself. */
static bool needs_collation(const struct transition *transition, enum shape shape, size_t index)
{
    const enum shape other = shape_other(shape);
    uint32_t own = transition->columns[shape][index].collation;
    if (own != DEFAULT_COLLATION)
        return own != 0;
    for (size_t i = 0; i < transition->column_count[other]; i++) {
        uint32_t collation = transition->columns[other][i].collation;
        if (collation != 0 && collation != DEFAULT_COLLATION)
            return true;
    }
    return false;
}

static bool name_collation(struct transition_column *column, PGconn *connection,
                           struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", column->collation);
    const char *parameters[] = {oid};
    PGresult *result = query_run_with(
        connection,
        "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c "
        "  JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = $1::oid",
        parameters, 1, error);
    if (!result)
        return false;
    bool found = PQntuples(result) == 1;
    if (found)
        column->read_collation = memory_string(query_value(result, 0, 0));
    PQclear(result);
    return found ||
           error_set(error, "42704", "the collation of column \"%s\" does not exist", column->name);
}

bool bind_reading(struct transition *transition, struct pg_conn *connection, struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            struct transition_column *column = &transition->columns[shape][i];
            free(column->read_collation);
            column->read_collation = NULL;
            if (!ask_keeps_null(transition, shape, i, connection, error))
                return false;
            if (needs_collation(transition, shape, i) && !name_collation(column, connection, error))
                return false;
        }
    }
    return true;
}
