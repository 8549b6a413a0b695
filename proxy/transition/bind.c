/*
 * Binding: what the definition says, looked up in the database. The one file of this room, with
 * fit.c, that speaks to a server.
 *
 * Names are resolved first, by the control user's own search path, in queries that call nothing by
 * a name without its schema; from then on everything is run and printed under search_path =
 * pg_catalog: what is stored and rendered into statements means the same under every client's
 * search path.
 */
#include "bind.h"

#include "segue/base/memory.h"
#include "segue/sql/expression.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <strings.h>

static bool find_table(struct transition *transition, PGconn *connection, struct error *error)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    if (transition->schema) {
        text_add_identifier(&name, transition->schema);
        text_add_char(&name, '.');
    }
    text_add_identifier(&name, transition->table);
    const char *parameters[] = {name.data};
    PGresult *result = query_run_with(connection, "SELECT $1::pg_catalog.regclass::pg_catalog.oid",
                                      parameters, 1, error);
    if (result)
        transition->table_oid = (uint32_t)query_integer(result, 0, 0);
    PQclear(result);
    text_release(&name);
    return result != NULL;
}

static bool find_type(struct transition_column *column, PGconn *connection, struct error *error)
{
    const char *parameters[] = {column->type};
    PGresult *result =
        query_run_with(connection,
                       "SELECT oid, typcollation, typtype FROM pg_catalog.pg_type "
                       " WHERE oid OPERATOR(pg_catalog.=) $1::pg_catalog.regtype::pg_catalog.oid",
                       parameters, 1, error);
    if (!result)
        return false;
    if (PQntuples(result) == 0) { /* regtype takes any number for an OID */
        PQclear(result);
        return error_set(error, "42704", "type \"%s\" does not exist", column->type);
    }
    column->type_oid = (uint32_t)query_integer(result, 0, 0);
    if (!column->collation) /* else it was stored, of a column that is gone */
        column->collation = (uint32_t)query_integer(result, 0, 1);
    column->is_domain = query_value(result, 0, 2)[0] == 'd';
    PQclear(result);

    /* The server is asked for the typmod by way of a column of that type. A domain has none of its
     * own; RowDescription would tell its base type's. */
    column->typmod = -1;
    if (column->is_domain)
        return true;
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT NULL::%s", column->type);
    result = query_run(connection, query.data, error);
    text_release(&query);
    if (result)
        column->typmod = PQfmod(result, 0);
    PQclear(result);
    return result != NULL;
}

static void replace(char **field, const char *value)
{
    free(*field);
    *field = memory_string(value);
}

/* format_type with -1 and not NULL: "bpchar" for char(n), since "character" means character(1). */
static bool name_type(struct transition_column *column, PGconn *connection, struct error *error)
{
    char oid[16], typmod[16];
    snprintf(oid, sizeof oid, "%u", column->type_oid);
    snprintf(typmod, sizeof typmod, "%d", column->typmod);
    const char *parameters[] = {oid, typmod};
    PGresult *result = query_run_with(
        connection, "SELECT format_type($1::oid, $2::int4), format_type($1::oid, -1)", parameters,
        2, error);
    if (result) {
        replace(&column->type, query_value(result, 0, 0));
        replace(&column->type_bare, query_value(result, 0, 1));
    }
    PQclear(result);
    return result != NULL;
}

static bool read_relation(struct transition *transition, PGconn *connection, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    const char *parameters[] = {oid};
    PGresult *result = query_run_with(
        connection,
        "SELECT n.nspname, c.relname, c.relkind IN ('r', 'p'), c.relpersistence = 't', "
        "       c.relnamespace = 'pg_catalog'::regnamespace OR n.nspname = 'segue' "
        "  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
        parameters, 1, error);
    if (!result)
        return false;
    bool done = false;
    if (PQntuples(result) == 0) {
        error_set(error, "42P01", "the table of transition \"%s\", %s, does not exist any more",
                  transition->name, transition->table);
        error_hint(error, "RETIRE %s FORCE takes the transition out of the store.",
                   transition->name);
    } else if (!query_boolean(result, 0, 2) || query_boolean(result, 0, 3) ||
               query_boolean(result, 0, 4)) {
        error_set(error, "42809", "\"%s\" is not a table that can change its shape",
                  query_value(result, 0, 1));
        error_detail(error, "A transition takes an ordinary or partitioned table that is not "
                            "temporary and not PostgreSQL's or Segue's own.");
    } else {
        replace(&transition->schema, query_value(result, 0, 0));
        replace(&transition->table, query_value(result, 0, 1));
        done = true;
    }
    PQclear(result);
    return done;
}

bool bind_find_column(struct pg_conn *connection, uint32_t table_oid, const char *name,
                      struct bound_column *found, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", table_oid);
    const char *parameters[] = {oid, name};
    *found = (struct bound_column){0};
    PGresult *result = query_run_with(
        connection,
        "SELECT a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attcollation, "
        "       a.attnotnull, a.attgenerated <> '', a.attidentity, a.attnum, "
        "       CASE WHEN a.attidentity <> '' THEN "
        "              (SELECT format('nextval(%L::regclass)', i.objid::regclass) FROM pg_depend i "
        "                WHERE i.classid = 'pg_class'::regclass AND i.deptype = 'i' "
        "                  AND i.refclassid = 'pg_class'::regclass AND i.refobjid = a.attrelid "
        "                  AND i.refobjsubid = a.attnum) "
        "            WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, "
        "       a.attidentity <> '' OR EXISTS (SELECT FROM regexp_matches(d.adbin::text, "
        "':(?:func|opfunc)id (\\d+)', "
        "'g') m "
        "                 JOIN pg_proc p ON p.oid = m[1]::oid AND p.provolatile = 'v') "
        "  FROM pg_attribute a "
        "  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        " WHERE a.attrelid = $1::oid AND a.attname = $2 AND NOT a.attisdropped",
        parameters, 2, error);
    if (!result)
        return false;
    if (PQntuples(result) == 1) {
        *found = (struct bound_column){
            .exists = true,
            .type_oid = (uint32_t)query_integer(result, 0, 0),
            .typmod = (int32_t)query_integer(result, 0, 1),
            .type = memory_string(query_value(result, 0, 2)),
            .collation = (uint32_t)query_integer(result, 0, 3),
            .not_null = query_boolean(result, 0, 4),
            .is_generated = query_boolean(result, 0, 5),
            .identity = query_value(result, 0, 6)[0],
            .attnum = (int)query_integer(result, 0, 7),
            .default_expression = memory_string(query_value(result, 0, 8)),
            .default_is_volatile = query_boolean(result, 0, 9),
        };
    }
    PQclear(result);
    return true;
}

void bound_column_release(struct bound_column *column)
{
    free(column->type);
    free(column->default_expression);
    *column = (struct bound_column){0};
}

static bool match_column(const struct transition *transition, struct transition_column *column,
                         const char *name, PGconn *connection, struct error *error)
{
    struct bound_column found;
    if (!bind_find_column(connection, transition->table_oid, name, &found, error))
        return false;
    bool done = false;
    if (!found.exists) {
        error_set(error, "42703", "column \"%s\" of relation \"%s.%s\" does not exist", name,
                  transition->schema, transition->table);
    } else if (found.type_oid != column->type_oid || found.typmod != column->typmod) {
        error_set(
            error, "42804",
            "column \"%s\" of relation \"%s.%s\" is of type %s, but transition \"%s\" says %s",
            name, transition->schema, transition->table, found.type, transition->name,
            column->type);
        error_hint(error, "Give the column's present type in the transition file.");
    } else {
        column->collation = found.collation;
        column->attnum = (int16_t)found.attnum;
        if (!column->not_null_is_declared)
            column->not_null = found.not_null;
        if (found.identity)
            column->identity = found.identity;
        if (!column->default_is_declared) {
            replace(&column->default_expression, found.default_expression);
            column->default_is_volatile = found.default_is_volatile;
        }
        done = true;
    }
    bound_column_release(&found);
    return done;
}

/* 'basic'::character varying is 'basic': a literal takes the type of its column. */
static char *without_cast(const char *expression)
{
    if (expression[0] != '\'')
        return memory_string(expression);
    const char *c = expression + 1;
    while (*c && (*c != '\'' || c[1] == '\''))
        c += *c == '\'' ? 2 : 1;
    bool is_literal = strncmp(c, "'::", 3) == 0 && !strpbrk(c + 3, "'()|+-*/<>=");
    return is_literal ? memory_string_range(expression, (size_t)(c + 1 - expression))
                      : memory_string(expression);
}

/* Without a declared default the new shape's is the old shape's, converted: what a client of either
 * shape leaves out then means the same. */
static void derive_default(const struct transition *transition, struct transition_column *column)
{
    const size_t count = transition->column_count[SHAPE_OLD];
    bool some = false, is_volatile = false;
    if (transition->is_plain_cast && transition->columns[SHAPE_OLD][0].default_expression) {
        const struct transition_column *old = &transition->columns[SHAPE_OLD][0];
        free(column->default_expression);
        column->default_expression = without_cast(old->default_expression);
        column->default_is_volatile = old->default_is_volatile;
        return;
    }
    char **arguments = NEW_ARRAY(char *, count);
    for (size_t i = 0; i < count; i++) {
        const struct transition_column *old = &transition->columns[SHAPE_OLD][i];
        struct text argument;
        text_init(&argument, TEXT_UNBOUNDED);
        text_add_format(&argument, "(%s)::%s",
                        old->default_expression ? old->default_expression : "NULL", old->type);
        arguments[i] = text_take(&argument);
        some |= old->default_expression != NULL;
        is_volatile |= old->default_is_volatile && column->from.slot_count > 0;
    }
    free(column->default_expression);
    column->default_expression = NULL;
    column->default_is_volatile = is_volatile;
    /* Evaluated twice a volatile default would be two values: then each statement must do it. */
    if (some && (!is_volatile || column->from.slot_count == 1)) {
        struct text rendered;
        text_init(&rendered, TEXT_UNBOUNDED);
        text_add_char(&rendered, '(');
        conversion_render(&column->from, (const char *const *)arguments, &rendered);
        text_add_format(&rendered, ")::%s", column->type);
        column->default_expression = text_take(&rendered);
    }
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
}

bool bind_volatile_function(struct pg_conn *connection, const char *expression, char **function,
                            struct error *error)
{
    struct arena arena;
    struct sql_expression parsed;
    *function = NULL;
    arena_init(&arena);
    bool done = sql_expression_read(&arena, expression, &parsed, error);
    for (size_t i = 0; done && !*function && i < parsed.function_count; i++) {
        const char *parameters[] = {parsed.functions[i]};
        PGresult *result = query_run_with(connection,
                                          "SELECT p.oid::regprocedure FROM pg_proc p "
                                          " WHERE p.proname = $1 AND p.provolatile = 'v' LIMIT 1",
                                          parameters, 1, error);
        done = result != NULL;
        if (done && PQntuples(result) > 0)
            *function = memory_string(query_value(result, 0, 0));
        PQclear(result);
    }
    arena_release(&arena);
    return done;
}

static bool check_declared_default(struct transition_column *column, PGconn *connection,
                                   struct error *error)
{
    char *function;
    if (!bind_volatile_function(connection, column->default_expression, &function, error))
        return false;
    column->default_is_volatile = function != NULL;
    free(function);
    return true;
}

/* "id", "(id)::bigint", "CAST(id AS bigint)" */
static bool is_cast(const struct conversion *conversion)
{
    if (conversion->slot_count != 1)
        return false;
    const char *before = conversion->pieces[0] + strspn(conversion->pieces[0], " (");
    const char *after = conversion->pieces[1] + strspn(conversion->pieces[1], " )");
    bool is_call = strncasecmp(before, "cast", 4) == 0;
    if (is_call)
        before += 4 + strspn(before + 4, " (");
    if (*before)
        return false;
    if (!is_call && !*after)
        return true;
    if (is_call ? strncasecmp(after, "as ", 3) != 0 : strncmp(after, "::", 2) != 0)
        return false;
    for (const char *c = after + 2; *c; c++) {
        bool in_name = isalnum((unsigned char)*c) || strchr(" _.,()\"", *c) || (*c & 0x80);
        if (!in_name)
            return false;
    }
    return true;
}

static bool find_plain_cast(struct transition *transition, PGconn *connection, struct error *error)
{
    transition->is_plain_cast = false;
    if (transition->column_count[SHAPE_OLD] != 1 || transition->column_count[SHAPE_NEW] != 1 ||
        !is_cast(&transition->columns[SHAPE_OLD][0].from) ||
        !is_cast(&transition->columns[SHAPE_NEW][0].from))
        return true;
    char before[16], after[16];
    snprintf(before, sizeof before, "%u", transition->columns[SHAPE_OLD][0].type_oid);
    snprintf(after, sizeof after, "%u", transition->columns[SHAPE_NEW][0].type_oid);
    const char *parameters[] = {before, after};
    PGresult *result = query_run_with(connection,
                                      "SELECT count(DISTINCT typcategory) = 1 FROM pg_type "
                                      " WHERE oid IN ($1::oid, $2::oid)",
                                      parameters, 2, error);
    if (result)
        transition->is_plain_cast = query_boolean(result, 0, 0);
    PQclear(result);
    return result != NULL;
}

/* The new column counts on where the old one did. */
static void derive_identity(struct transition *transition)
{
    if (transition->is_plain_cast)
        transition->columns[SHAPE_NEW][0].identity = transition->columns[SHAPE_OLD][0].identity;
}

/* A single column that takes the place of a single one that may not be null may not be null. */
static void derive_not_null(struct transition *transition)
{
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        size_t partner = transition_partner(transition, SHAPE_NEW, i);
        if (!column->not_null_is_declared && partner != TRANSITION_NONE)
            column->not_null = transition->columns[SHAPE_OLD][partner].not_null;
    }
}

static bool match_shape(struct transition *transition, enum shape shape, enum stage stage,
                        PGconn *connection, struct error *error)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        struct transition_column *column = &transition->columns[shape][i];
        if (!match_column(transition, column, transition_column_name(column, stage), connection,
                          error))
            return false;
    }
    return true;
}

static bool bind_types(struct transition *transition, PGconn *connection, struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            if (!find_type(&transition->columns[shape][i], connection, error))
                return false;
        }
    }
    if (!query_do(connection, "SET LOCAL search_path = pg_catalog", error))
        return false;
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            if (!name_type(&transition->columns[shape][i], connection, error))
                return false;
        }
    }
    return true;
}

/* Sessions are held to what the control user's has: the database's own, as a rule. */
static void bind_styles(struct transition *transition, PGconn *connection)
{
    if (!transition->depends_on_styles)
        return;
    replace(&transition->date_style, PQparameterStatus(connection, "DateStyle"));
    replace(&transition->interval_style, PQparameterStatus(connection, "IntervalStyle"));
}

static bool bind_columns(struct transition *transition, struct pg_conn *connection,
                         enum stage stage, struct error *error)
{
    bind_styles(transition, connection);
    if (!query_do(connection, "SET LOCAL search_path TO DEFAULT", error))
        return false;
    if (!transition->table_oid && !find_table(transition, connection, error))
        return false;
    if (!bind_types(transition, connection, error) ||
        !find_plain_cast(transition, connection, error) ||
        !read_relation(transition, connection, error))
        return false;
    if (stage != STAGE_CONTRACTED && !match_shape(transition, SHAPE_OLD, stage, connection, error))
        return false;
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            struct transition_column *column = &transition->columns[shape][i];
            if (column->default_is_declared && !check_declared_default(column, connection, error))
                return false;
        }
    }
    derive_not_null(transition);
    derive_identity(transition);
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        if (!column->default_is_declared && stage != STAGE_CONTRACTED)
            derive_default(transition, column);
    }
    if (stage == STAGE_APPLIED)
        return true;
    /* The new columns are there: their types must be as said. Their defaults and NOT NULL come and
     * go with the phases, so what was found out above stays. */
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        bool default_is_declared = column->default_is_declared;
        bool not_null_is_declared = column->not_null_is_declared;
        column->default_is_declared = stage != STAGE_CONTRACTED;
        column->not_null_is_declared = stage != STAGE_CONTRACTED;
        bool matched = match_column(transition, column, transition_column_name(column, stage),
                                    connection, error);
        column->default_is_declared = default_is_declared;
        column->not_null_is_declared = not_null_is_declared;
        if (!matched)
            return false;
    }
    return true;
}

bool transition_bind(struct transition *transition, struct pg_conn *connection, enum stage stage,
                     struct error *error)
{
    return bind_columns(transition, connection, stage, error) &&
           bind_reading(transition, connection, error);
}
