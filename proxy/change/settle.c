/*
 * Settling: what CONTRACT does besides dropping the old columns and renaming the new ones, so that
 * the table ends as one of the new shape that was never anything else. Sequences that belong to an
 * old column would go with it; what was made for the new one still carries a made-up name.
 */
#include "pairs.h"

#include <libpq-fe.h>

/* Adds the script that the query makes; parameters: the table, the old column, the new one. */
static bool add_from_query(struct work *work, const char *query, struct text *script,
                           struct error *error)
{
    const struct transition *transition = work->transition;
    char oid[16];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    const char *parameters[] = {oid, transition->columns[SHAPE_OLD][0].physical,
                                transition->columns[SHAPE_NEW][0].physical};
    PGresult *result = query_run_with(work->connection, query, parameters, 3, error);
    for (int row = 0; result && row < PQntuples(result); row++)
        text_add_string(script, query_value(result, row, 0));
    PQclear(result);
    return result != NULL;
}

/* A serial's sequence: owned by the new column, and as wide as it. */
static const char sequences_query[] =
    "SELECT format(e'ALTER SEQUENCE %s%s OWNED BY %s.%I;\\n', s.oid::regclass, "
    "              CASE WHEN q.seqtypid = a.atttypid AND b.atttypid IN "
    "                     ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) "
    "                   THEN ' AS ' || b.atttypid::regtype ELSE '' END, $1::oid::regclass, "
    "              b.attname) "
    "  FROM pg_attribute a "
    "  JOIN pg_attribute b ON b.attrelid = a.attrelid AND b.attname = $3 "
    "  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = "
    "'pg_class'::regclass "
    "   AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'a' "
    "  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' "
    "  JOIN pg_sequence q ON q.seqrelid = s.oid "
    " WHERE a.attrelid = $1::oid AND a.attname = $2 ORDER BY s.oid";

bool settle_add_before(struct work *work, struct text *script, struct error *error)
{
    const struct transition *transition = work->transition;
    if (transition->column_count[SHAPE_OLD] != 1 || transition->column_count[SHAPE_NEW] != 1)
        return true;
    return add_from_query(work, sequences_query, script, error);
}

/* A constraint takes its index along. */
bool settle_add_after(struct work *work, struct text *script, struct error *error)
{
    for (size_t i = 0; i < work->transition->pair_count; i++) {
        const struct pair *pair = &work->transition->pairs[i];
        const struct pair_of_shape *side = &pair->side[SHAPE_NEW];
        if (strcmp(side->name, side->logical) == 0)
            continue;
        bool is_bare = pair->kind == PAIR_INDEX || pair->kind == PAIR_UNIQUE_INDEX;
        struct text table;
        text_init(&table, TEXT_UNBOUNDED);
        bool done = pairs_find_table(work, pair->relation, &table, error);
        text_add_string(script, ";\nALTER ");
        if (is_bare) {
            text_add_string(script, "INDEX ");
            text_add_identifier(script, work->transition->schema);
            text_add_char(script, '.');
        } else {
            text_add_format(script, "TABLE %s RENAME CONSTRAINT ", table.data);
        }
        text_add_identifier(script, side->name);
        text_add_string(script, is_bare ? " RENAME TO " : " TO ");
        text_add_identifier(script, side->logical);
        text_release(&table);
        if (!done)
            return false;
    }
    return true;
}
