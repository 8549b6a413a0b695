/*
 * Fitting: is this a transition that Segue can carry through on this table? The server is the judge
 * of types: a temporary table with the columns of both shapes is made, and the conversions are
 * planned over it as they will be run. What hangs on the old columns in the catalogs is looked at
 * in dependents.c, and what of it gets a counterpart in pairing.c.
 */
#include "bind.h"
#include "pairing.h"
#include "settings.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

static const char probe[] = "pg_temp.segue_probe";

static bool make_probe(const struct transition *transition, PGconn *connection, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "CREATE TEMPORARY TABLE %s (", strchr(probe, '.') + 1);
    const char *separator = "";
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            text_add_string(&query, separator);
            text_add_identifier(&query, transition->columns[shape][i].physical);
            text_add_format(&query, " %s", transition->columns[shape][i].type);
            separator = ", ";
        }
    }
    text_add_char(&query, ')');
    bool done = query_do(connection, query.data, error);
    text_release(&query);
    return done;
}

/* The server's words stay; what it cannot know is added where it has said nothing. */
static void explain(struct error *error, const struct transition_column *column, const char *what,
                    const char *expression)
{
    if (!error)
        return;
    bool is_name = strcmp(error->sqlstate, "42883") == 0 || strcmp(error->sqlstate, "42704") == 0;
    if (!error->detail[0])
        error_detail(error, "In the %s of column \"%s\": %s.%s", what, column->name, expression,
                     is_name ? " Names outside pg_catalog need their schema here, for conversions "
                               "run under every client's search_path."
                             : "");
    bool is_derived = strcmp(what, "default") == 0 && !column->default_is_declared;
    if (!error->hint[0] && is_derived)
        error_hint(error,
                   "It is the old column's default, converted. Declare one: default = \"..\".");
}

/* Is the expression assignable to the column, as an INSERT would assign it? */
static bool plan_assignment(const struct transition_column *column, const char *what,
                            const char *expression, const char *source, PGconn *connection,
                            struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "EXPLAIN INSERT INTO %s (", probe);
    text_add_identifier(&query, column->physical);
    text_add_format(&query, ") SELECT (%s)%s%s", expression, source[0] ? " FROM " : "", source);
    bool done = query_do(connection, query.data, error);
    if (!done)
        explain(error, column, what, expression);
    text_release(&query);
    return done;
}

static char *render_over_physical(const struct transition *transition, enum shape shape,
                                  size_t index)
{
    const enum shape other = shape_other(shape);
    const size_t count = transition->column_count[other];
    char **arguments = NEW_ARRAY(char *, count);
    for (size_t i = 0; i < count; i++) {
        struct text name;
        text_init(&name, TEXT_UNBOUNDED);
        text_add_identifier(&name, transition->columns[other][i].physical);
        arguments[i] = text_take(&name);
    }
    struct text rendered;
    text_init(&rendered, TEXT_UNBOUNDED);
    conversion_render(&transition->columns[shape][index].from, (const char *const *)arguments,
                      &rendered);
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
    return text_take(&rendered);
}

/* An index demands an immutable expression; IS NULL of it is indexable whatever its type. */
static bool is_immutable(const char *expression, PGconn *connection, bool *immutable,
                         struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "CREATE INDEX ON %s (((%s) IS NULL))", probe, expression);
    if (!query_do(connection, "SAVEPOINT segue_immutable", error)) {
        text_release(&query);
        return false;
    }
    struct error why;
    *immutable = query_do(connection, query.data, &why);
    text_release(&query);
    return query_do(connection, "ROLLBACK TO SAVEPOINT segue_immutable", error);
}

static bool refuse_volatile(const struct transition_column *column, const char *expression,
                            PGconn *connection, struct error *error)
{
    bool immutable;
    if (!is_immutable(expression, connection, &immutable, error))
        return false;
    if (immutable)
        return true;
    char *function;
    if (!bind_volatile_function(connection, column->from.source, &function, error))
        return false;
    if (!function)
        return true;
    error_set(error, "42P17", "the conversion of column \"%s\" calls the volatile function %s",
              column->name, function);
    error_detail(error,
                 "A conversion is evaluated again and again and must give the same each time.");
    error_hint(error, "If the function is in truth immutable, say so: ALTER FUNCTION %s IMMUTABLE.",
               function);
    free(function);
    return false;
}

/* What two sessions may have differently must not decide what a value becomes. */
static bool fit_settings(struct transition *transition, const struct transition_column *column,
                         const char *expression, PGconn *connection, struct error *error)
{
    struct text cast;
    struct settings_needed needed;
    text_init(&cast, TEXT_UNBOUNDED);
    text_add_format(&cast, "(%s)::%s", expression, column->type);
    bool done = settings_needed_by(cast.data, probe, connection, &needed, error);
    text_release(&cast);
    if (!done)
        return false;
    transition->depends_on_styles |= needed.styles;
    if (!needed.forbidden)
        return true;
    error_set(error, "42P17", "the conversion of column \"%s\" depends on %s%s", column->name,
              strchr(needed.forbidden, ' ') ? "" : "the session's ", needed.forbidden);
    error_detail(error, "Sessions differ in it, and each would write something else.");
    if (strcmp(needed.forbidden, "TimeZone") == 0)
        error_hint(error,
                   "Say which zone is meant: (%s::timestamp AT TIME ZONE 'UTC') one way, "
                   "(.. AT TIME ZONE 'UTC')::text the other.",
                   "..");
    else
        error_hint(error, "Convert by a function that does not, such as encode(.., 'hex').");
    return false;
}

static bool fit_column(struct transition *transition, enum shape shape, size_t index,
                       PGconn *connection, struct error *error)
{
    const struct transition_column *column = &transition->columns[shape][index];
    char *expression = render_over_physical(transition, shape, index);
    bool done = plan_assignment(column, "conversion", expression, probe, connection, error);
    if (done) {
        /* Reads cast explicitly. */
        struct text query;
        text_init(&query, TEXT_UNBOUNDED);
        text_add_format(&query, "EXPLAIN SELECT (%s)::%s FROM %s", expression, column->type, probe);
        done = query_do(connection, query.data, error);
        text_release(&query);
    }
    done = done && refuse_volatile(column, expression, connection, error) &&
           fit_settings(transition, column, expression, connection, error);
    if (done && column->default_expression)
        done =
            plan_assignment(column, "default", column->default_expression, "", connection, error);
    free(expression);
    return done;
}

static bool fit_parity(const struct transition *transition, PGconn *connection, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_string(&query, "EXPLAIN SELECT 1 FROM ");
    text_add_string(&query, probe);
    text_add_string(&query, " WHERE ");
    transition_parity(transition, "", &query);
    bool done = query_do(connection, query.data, error);
    if (!done)
        error_hint(error, "Segue compares the two shapes: each column's type needs an equality "
                          "operator (jsonb in place of json).");
    text_release(&query);
    return done;
}

static bool name_is_taken(const struct transition *transition, const char *name, PGconn *connection,
                          bool *taken, struct error *error)
{
    struct bound_column found;
    if (!bind_find_column(connection, transition->table_oid, name, &found, error))
        return false;
    *taken = found.exists;
    bound_column_release(&found);
    return true;
}

static bool fit_names(const struct transition *transition, PGconn *connection, struct error *error)
{
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        bool taken, name_taken;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(transition->columns[SHAPE_NEW][k].physical, column->physical) == 0)
                return error_set(error, "42701", "column \"%s\" is named twice", column->physical);
        }
        if (!name_is_taken(transition, column->physical, connection, &taken, error) ||
            !name_is_taken(transition, column->name, connection, &name_taken, error))
            return false;
        if (taken) {
            error_set(error, "42701", "column \"%s\" of relation \"%s.%s\" already exists",
                      column->physical, transition->schema, transition->table);
            error_hint(error, "Give the new column another name until CONTRACT: column = \"..\".");
            return false;
        }
        if (name_taken && !transition_find_logical(transition, SHAPE_OLD, column->name)) {
            error_set(error, "42701", "column \"%s\" of relation \"%s.%s\" already exists",
                      column->name, transition->schema, transition->table);
            error_detail(error, "It is none of the old columns, so CONTRACT could not give its "
                                "name to the new one.");
            return false;
        }
    }
    return true;
}

static bool fit_inheritance(const struct transition *transition, PGconn *connection,
                            struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    const char *parameters[] = {oid, transition->columns[SHAPE_OLD][0].physical};
    PGresult *result = query_run_with(
        connection,
        "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
        "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
        "SELECT (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = $1::oid LIMIT "
        "1), "
        "       (SELECT c.oid::regclass FROM tree JOIN pg_class c ON c.oid = tree.oid "
        "         WHERE c.relkind = 'f' LIMIT 1), "
        "       (SELECT a.attrelid::regclass FROM tree JOIN pg_attribute a ON a.attrelid = "
        "tree.oid "
        "          JOIN pg_attribute r ON r.attrelid = $1::oid AND r.attname = a.attname "
        "          LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum) "
        "          LEFT JOIN pg_attrdef e ON (e.adrelid, e.adnum) = (r.attrelid, r.attnum) "
        "         WHERE a.attname = $2 AND pg_get_expr(d.adbin, d.adrelid) "
        "               IS DISTINCT FROM pg_get_expr(e.adbin, e.adrelid) LIMIT 1)",
        parameters, 2, error);
    if (!result)
        return false;
    const char *parent = query_value(result, 0, 0), *foreign = query_value(result, 0, 1);
    const char *other_default = query_value(result, 0, 2);
    bool done = true;
    if (parent) {
        done = error_set(error, "0A000", "table \"%s.%s\" is a partition or child of %s",
                         transition->schema, transition->table, parent);
        error_hint(error, "Apply the transition to %s.", parent);
    } else if (foreign) {
        done = error_set(error, "0A000", "partition %s is a foreign table", foreign);
    } else if (other_default) {
        done = error_set(error, "0A000", "partition or child %s has another default for \"%s\"",
                         other_default, transition->columns[SHAPE_OLD][0].name);
        error_hint(error, "Give the column the same default everywhere.");
    }
    PQclear(result);
    return done;
}

static bool fit_columns(struct transition *transition, PGconn *connection, struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            if (!fit_column(transition, shape, i, connection, error))
                return false;
        }
    }
    transition->conversions_fit = true;
    return true;
}

/* What surrounds the column comes after the conversions: where it alone is in the way, CHECK goes
 * on to evaluate them, so they must have been found harmless by then. */
bool transition_fit(struct transition *transition, struct pg_conn *connection, struct error *error)
{
    return fit_names(transition, connection, error) && make_probe(transition, connection, error) &&
           fit_columns(transition, connection, error) &&
           fit_inheritance(transition, connection, error) &&
           dependents_fit(transition, connection, error) &&
           fit_parity(transition, connection, error) && pairing_find(transition, connection, error);
}
