/*
 * The server is asked what stands on new columns, not guessed at: a temporary table like the real
 * one gets the index or the constraint, then its columns the new types and names, as ALTER TABLE ..
 * TYPE would do it to a real table; what the server then says that stands there is the counterpart.
 * So operator classes, collations, expressions and predicates are what a plain table of the new
 * shape would have.
 *
 * Columns that change together are no one's type changed: there an index is made anew that has all
 * new ones in the place of the old.
 */
#include "pairing.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

static const char like[] = "pg_temp.segue_like";

struct probe {
    const struct transition *transition;
    PGconn *connection;
    struct pair *pair;
};

static bool run(struct probe *probe, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool run(struct probe *probe, struct error *error, const char *format, ...)
{
    struct text query;
    va_list arguments;
    text_init(&query, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&query, format, arguments);
    va_end(arguments);
    bool done = query_do(probe->connection, query.data, error);
    text_release(&query);
    return done;
}

/* "ALTER TABLE .. `before` "column" `after`" */
static bool alter_column(struct probe *probe, const char *before, const char *column,
                         const char *after, struct error *error)
{
    struct text quoted;
    text_init(&quoted, TEXT_UNBOUNDED);
    text_add_identifier(&quoted, column);
    bool done =
        run(probe, error, "ALTER TABLE %s %s COLUMN %s %s", like, before, quoted.data, after);
    text_release(&quoted);
    return done;
}

static bool make_like(struct probe *probe, const char *table, struct error *error)
{
    const char *name = strchr(like, '.') + 1;
    if (!run(probe, error, "DROP TABLE IF EXISTS %s; CREATE TEMPORARY TABLE %s (LIKE %s)", like,
             name, table))
        return false;
    for (size_t i = 0; i < probe->transition->column_count[SHAPE_OLD]; i++)
        if (!alter_column(probe, "ALTER", probe->transition->columns[SHAPE_OLD][i].physical,
                          "DROP DEFAULT", error))
            return false;
    return true;
}

static bool make_object(struct probe *probe, const char *definition, struct error *error)
{
    if (probe->pair->kind == PAIR_CHECK)
        return run(probe, error, "ALTER TABLE %s ADD CONSTRAINT segue_like_object %s", like,
                   definition);
    return run(probe, error, "CREATE %sINDEX segue_like_object ON %s %s",
               pair_is_unique(probe->pair->kind) ? "UNIQUE " : "", like, definition);
}

static bool rename_column(struct probe *probe, const char *from, const char *to,
                          struct error *error)
{
    if (strcmp(from, to) == 0)
        return true;
    struct text after;
    text_init(&after, TEXT_UNBOUNDED);
    text_add_string(&after, "TO ");
    text_add_identifier(&after, to);
    bool done = alter_column(probe, "RENAME", from, after.data, error);
    text_release(&after);
    return done;
}

/* As ALTER TABLE .. TYPE does it, with everything that stands on the column. */
static bool change_type(struct probe *probe, size_t old, size_t partner, struct error *error)
{
    const struct transition_column *after = &probe->transition->columns[SHAPE_NEW][partner];
    struct text type;
    text_init(&type, TEXT_UNBOUNDED);
    text_add_format(&type, "TYPE %s USING ", after->type);
    transition_converted(probe->transition, SHAPE_NEW, partner, "", &type);
    bool done = alter_column(probe, "ALTER", probe->transition->columns[SHAPE_OLD][old].physical,
                             type.data, error);
    text_release(&type);
    return done;
}

static bool change_partners(struct probe *probe, struct error *error)
{
    const struct transition *transition = probe->transition;
    bool done = true;
    for (size_t i = 0; done && i < transition->column_count[SHAPE_OLD]; i++) {
        size_t partner = transition_partner(transition, SHAPE_OLD, i);
        if (partner != TRANSITION_NONE)
            done = change_type(probe, i, partner, error) &&
                   rename_column(probe, transition->columns[SHAPE_OLD][i].physical,
                                 transition->columns[SHAPE_NEW][partner].physical, error);
    }
    return done;
}

static bool ask(struct probe *probe, const char *query, char **answer, struct error *error)
{
    PGresult *result = query_run(probe->connection, query, error);
    if (result && PQntuples(result) == 1)
        *answer = memory_string(query_value(result, 0, 0));
    PQclear(result);
    return result && (*answer || error_set(error, "XX000", "the probe's index is not there"));
}

static bool ask_definition(struct probe *probe, char **definition, struct error *error)
{
    if (probe->pair->kind == PAIR_CHECK)
        return ask(probe,
                   "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                   " WHERE conrelid = 'pg_temp.segue_like'::regclass "
                   "   AND conname = 'segue_like_object'",
                   definition, error);
    return ask(probe,
               "SELECT substr(d, strpos(d, ' USING ') + 1) "
               "  FROM pg_get_indexdef('pg_temp.segue_like_object'::regclass) d",
               definition, error);
}

static bool ask_inference(struct probe *probe, char **inference, struct error *error)
{
    if (!pair_is_unique(probe->pair->kind))
        return true;
    return ask(probe,
               "SELECT '(' || string_agg(pg_get_indexdef(x.indexrelid, k, false), ', ' "
               "                         ORDER BY k) || ')' || "
               "       coalesce(' WHERE ' || pg_get_expr(x.indpred, x.indrelid), '') "
               "  FROM pg_index x, generate_series(1, x.indnkeyatts) k "
               " WHERE x.indexrelid = 'pg_temp.segue_like_object'::regclass "
               " GROUP BY x.indexrelid, x.indpred, x.indrelid",
               inference, error);
}

/* ---------------------------------------------------------------- columns that change together */

/* The columns of a shape that have no partner: their names as an array, and quoted, in a list. */
static size_t add_rest(const struct transition *transition, enum shape shape, struct text *array,
                       struct text *list)
{
    size_t count = 0;
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        const char *name = transition->columns[shape][i].physical;
        if (transition_partner(transition, shape, i) != TRANSITION_NONE)
            continue;
        text_add_array_item(array, name);
        text_add_string(list, count++ ? ", " : "");
        text_add_identifier(list, name);
    }
    text_add_string(array, count ? "}" : "{}");
    return count;
}

/* Then two rows have the same values in the ones where they have the same in the others. */
static bool rest_is_one_to_one(const struct transition *transition)
{
    if (!transition->lossless)
        return false;
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t i = 0; i < transition->column_count[shape]; i++)
            if (transition_partner(transition, (enum shape)shape, i) == TRANSITION_NONE &&
                !transition->columns[shape][i].not_null)
                return false;
    return true;
}

/*
 * $1 the rest of the old columns, $2 all new ones for them. Gives how many of them the index has,
 * and, where it has all of them in its key and nothing is said of any column besides, the new one.
 */
static const char replaced_query[] =
    "SELECT count(*) FILTER (WHERE c.is_rest), "
    "       CASE WHEN count(*) FILTER (WHERE c.is_rest AND c.is_key) = cardinality($1::text[]) "
    "             AND bool_and(c.is_plain) AND strpos(max(d.text), ' NULLS NOT DISTINCT') = 0 "
    "             AND strpos(max(d.text), ' WITH (') = 0 "
    "            THEN 'USING btree (' || string_agg(CASE WHEN NOT c.is_rest THEN c.sql "
    "                                   WHEN c.first THEN $2::text END, ', ' ORDER BY c.k) "
    "                 FILTER (WHERE c.is_key) || ')' || coalesce(' INCLUDE (' || "
    "                 string_agg(c.sql, ', ' ORDER BY c.k) FILTER (WHERE NOT c.is_key) || ')', '') "
    "                 || coalesce(' WHERE ' || max(p.sql), '') END "
    "  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam "
    " CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.oid) AS text) d "
    " CROSS JOIN LATERAL (SELECT pg_get_expr(x.indpred, x.indrelid) AS sql) p "
    " CROSS JOIN LATERAL (SELECT k, a.attname = ANY ($1::text[]) IS TRUE AS is_rest, "
    "         k <= x.indnkeyatts AS is_key, pg_get_indexdef(i.oid, k, false) AS sql, "
    "         k = min(k) FILTER (WHERE a.attname = ANY ($1::text[])) OVER () AS first, "
    "         k > x.indnkeyatts OR a.attnum IS NOT NULL AND m.amname = 'btree' "
    "           AND x.indoption[k - 1] = 0 AND o.opcdefault "
    "           AND x.indcollation[k - 1] = a.attcollation AS is_plain "
    "        FROM generate_series(1, x.indnatts) k "
    "        LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k - 1] "
    "         AND a.attnum > 0 "
    "        LEFT JOIN pg_opclass o ON k <= x.indnkeyatts AND o.oid = x.indclass[k - 1]) c "
    " WHERE x.indexrelid = 'pg_temp.segue_like_object'::regclass";

/* NULL in *definition where the index has none of them, or there is nothing to replace. */
static bool ask_replaced(struct probe *probe, char **definition, struct error *error)
{
    const struct transition *transition = probe->transition;
    struct text old, new, list, unused;
    text_init(&old, TEXT_UNBOUNDED);
    text_init(&new, TEXT_UNBOUNDED);
    text_init(&list, TEXT_UNBOUNDED);
    text_init(&unused, TEXT_UNBOUNDED);
    size_t count = add_rest(transition, SHAPE_OLD, &old, &unused);
    (void)add_rest(transition, SHAPE_NEW, &new, &list);
    const char *parameters[] = {old.data, list.data};
    PGresult *result = NULL;
    bool done = true;
    *definition = NULL;
    if (count && pair_is_index(probe->pair->kind)) {
        result = query_run_with(probe->connection, replaced_query, parameters, 2, error);
        done = result != NULL;
    }
    if (result && query_integer(result, 0, 0) > 0) {
        const char *replaced = query_value(result, 0, 1);
        if (replaced && rest_is_one_to_one(transition))
            *definition = memory_string(replaced);
        else
            done = error_set(error, "0A000",
                             "Of columns that change together it must have all, as they are, and "
                             "none may be NULL; and the transition must be lossless.");
    }
    PQclear(result);
    text_release(&old);
    text_release(&new);
    text_release(&list);
    text_release(&unused);
    return done;
}

static bool replace_rest(struct probe *probe, struct error *error)
{
    const struct transition *transition = probe->transition;
    char *definition;
    if (!ask_replaced(probe, &definition, error))
        return false;
    if (!definition)
        return true;
    bool done = run(probe, error, "DROP INDEX pg_temp.segue_like_object");
    for (size_t i = 0; done && i < transition->column_count[SHAPE_OLD]; i++)
        if (transition_partner(transition, SHAPE_OLD, i) == TRANSITION_NONE)
            done =
                alter_column(probe, "DROP", transition->columns[SHAPE_OLD][i].physical, "", error);
    for (size_t i = 0; done && i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        if (transition_partner(transition, SHAPE_NEW, i) == TRANSITION_NONE)
            done = alter_column(probe, "ADD", column->physical, column->type, error);
    }
    done = done && make_object(probe, definition, error);
    free(definition);
    return done;
}

/* ---------------------------------------------------------------- all of it */

/* Making a column NOT NULL together with the key would look at every row under a long lock. */
static bool key_is_not_null(struct probe *probe, struct error *error)
{
    const struct transition *transition = probe->transition;
    if (probe->pair->kind != PAIR_PRIMARY_KEY)
        return true;
    PGresult *result = query_run(probe->connection,
                                 "SELECT a.attname FROM pg_index x JOIN pg_attribute a "
                                 "    ON a.attrelid = x.indrelid "
                                 "   AND a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1]) "
                                 " WHERE x.indexrelid = 'pg_temp.segue_like_object'::regclass",
                                 error);
    bool done = result != NULL;
    for (int row = 0; done && row < PQntuples(result); row++) {
        const struct transition_column *column =
            transition_find_physical(transition, SHAPE_NEW, query_value(result, row, 0));
        if (column && !column->not_null)
            done = error_set(error, "0A000",
                             "Column \"%s\" would be in the key, so it needs not_null = true.",
                             column->name);
    }
    PQclear(result);
    return done;
}

/* The names that CONTRACT gives. A column without a partner is there where it was replaced. */
static bool rename_finally(struct probe *probe, struct error *error)
{
    const struct transition *transition = probe->transition;
    bool done = true;
    for (size_t i = 0; done && i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        const char *parameters[] = {column->physical};
        PGresult *result = query_run_with(probe->connection,
                                          "SELECT FROM pg_attribute WHERE attname = $1 "
                                          "   AND attrelid = 'pg_temp.segue_like'::regclass",
                                          parameters, 1, error);
        done = result && (PQntuples(result) == 0 ||
                          rename_column(probe, column->physical, column->name, error));
        PQclear(result);
    }
    return done;
}

bool pairing_derive(const struct transition *transition, struct pg_conn *connection,
                    const char *table, struct pair *pair, struct error *error)
{
    struct probe probe = {.transition = transition, .connection = connection, .pair = pair};
    struct pair_of_shape *old = &pair->side[SHAPE_OLD], *new = &pair->side[SHAPE_NEW];
    return make_like(&probe, table, error) && make_object(&probe, old->definition, error) &&
           ask_inference(&probe, &old->inference, error) && change_partners(&probe, error) &&
           replace_rest(&probe, error) && key_is_not_null(&probe, error) &&
           ask_definition(&probe, &new->definition, error) &&
           ask_inference(&probe, &new->inference, error) && rename_finally(&probe, error) &&
           ask_inference(&probe, &pair->final_inference, error);
}
