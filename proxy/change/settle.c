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

/* The indexes of partitions: each gets the name of the one whose place it takes. */
static const char partitions_query[] =
    "WITH RECURSIVE old(oid) AS (SELECT i.oid FROM pg_class i JOIN pg_index x ON x.indexrelid = "
    "i.oid "
    "    WHERE x.indrelid = $1::oid AND i.relname = $2 "
    "  UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN old o ON h.inhparent = o.oid), "
    "new(oid) AS (SELECT i.oid FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid "
    "    WHERE x.indrelid = $1::oid AND i.relname = $3 "
    "  UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN new o ON h.inhparent = o.oid) "
    "SELECT format(e';\nALTER INDEX %s RENAME TO %I', new.oid::regclass, "
    "              CASE WHEN $2 = $4 THEN o.relname "
    "                   ELSE replace(o.relname, '_' || $5 || '_', '_' || $6 || '_') END) "
    "  FROM new JOIN pg_index x ON x.indexrelid = new.oid "
    "  JOIN pg_index y ON y.indrelid = x.indrelid JOIN old ON old.oid = y.indexrelid "
    "  JOIN pg_class o ON o.oid = old.oid WHERE x.indrelid <> $1::oid ORDER BY new.oid";

static bool add_partitions(struct work *work, const struct pair *pair, struct text *script,
                           struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", pair->relation);
    const char *parameters[] = {oid,
                                pair->side[SHAPE_OLD].name,
                                pair->side[SHAPE_NEW].name,
                                pair->side[SHAPE_NEW].logical,
                                work->transition->columns[SHAPE_OLD][0].name,
                                work->transition->columns[SHAPE_NEW][0].name};
    PGresult *result = query_run_with(work->connection, partitions_query, parameters, 6, error);
    for (int row = 0; result && row < PQntuples(result); row++)
        text_add_string(script, query_value(result, row, 0));
    PQclear(result);
    return result != NULL;
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
        bool done = pairs_find_table(work, pair->relation, &table, error) &&
                    (!pair_is_index(pair->kind) || add_partitions(work, pair, script, error));
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
