/*
 * The primary key of a partitioned table. PRIMARY KEY USING INDEX is not for such a table, and an
 * index that is attached to one cannot be attached to another. So what stands in for the key until
 * it is handed over, a unique index, is of no use to it then: each partition gets a second index,
 * by itself, concurrently. In the transaction that drops the other key these become primary keys of
 * their partitions, and the table's takes them up: nothing is built, nothing is scanned.
 *
 * Foreign keys were made over the index that stood in. They are made once more over the key, one by
 * one; then that index goes, and the key gets its name.
 */
#include "pairs.h"

#include <libpq-fe.h>

const char *primary_suffix(enum shape shape)
{
    return shape == SHAPE_OLD ? "_key_o" : "_key_n";
}

/* "segue_wider_1_key_n": the table's, until it gets its own. */
static void add_temporary_name(const struct pair *pair, enum shape shape, struct text *out)
{
    text_add_format(out, "%s%s", pair->side[SHAPE_NEW].name, primary_suffix(shape));
}

enum field { FIELD_TABLE, FIELD_INDEX, FIELD_INDEX_NAME, FIELD_EXISTS, FIELD_VALID };

/* $1 the table's OID, $2 and $3: what a partition's OID stands between in the name. */
static const char leaves_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
    "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
    "SELECT c.oid::regclass, format('%I.%I', s.nspname, n.name), quote_ident(n.name), "
    "       x.indexrelid IS NOT NULL, coalesce(x.indisvalid, false) "
    "  FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace s ON s.oid = c.relnamespace "
    " CROSS JOIN LATERAL (SELECT $2 || '_' || c.oid || $3 AS name) n "
    "  LEFT JOIN (SELECT y.*, z.relname FROM pg_index y JOIN pg_class z ON z.oid = y.indexrelid) x "
    "    ON x.indrelid = c.oid AND x.relname = n.name "
    " WHERE c.relkind = 'r' ORDER BY c.oid";

static bool prepare_leaf(struct work *work, const struct pair *pair, enum shape to,
                         const PGresult *leaves, int row, struct text *script, struct error *error)
{
    const char *table = query_value(leaves, row, FIELD_TABLE);
    const char *index = query_value(leaves, row, FIELD_INDEX);
    const char *name = query_value(leaves, row, FIELD_INDEX_NAME);
    bool valid = query_boolean(leaves, row, FIELD_VALID);
    if (!valid && query_boolean(leaves, row, FIELD_EXISTS) &&
        !pairs_run(work, error, "DROP INDEX CONCURRENTLY %s", index))
        return false;
    if (!valid && !pairs_build_index(work, pair, to, name, index, table, error))
        return false;
    text_add_format(script, "ALTER TABLE %s ADD CONSTRAINT %s PRIMARY KEY USING INDEX %s%s;\n",
                    table, name, name, pairs_deferral(pair));
    return true;
}

bool primary_prepare(struct work *work, const struct pair *pair, enum shape to, const char *table,
                     struct text *script, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", pair->relation);
    const char *parameters[] = {oid, pair->side[SHAPE_NEW].name, primary_suffix(to)};
    PGresult *leaves = query_run_with(work->connection, leaves_query, parameters, 3, error);
    bool done = leaves != NULL;
    text_add_format(script, "ALTER TABLE %s DROP CONSTRAINT ", table);
    text_add_identifier(script, pair->side[shape_other(to)].name);
    text_add_string(script, ";\n");
    for (int row = 0; done && row < PQntuples(leaves); row++)
        done = prepare_leaf(work, pair, to, leaves, row, script, error);
    PQclear(leaves);
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    add_temporary_name(pair, to, &name);
    text_add_format(script, "ALTER TABLE %s ADD CONSTRAINT ", table);
    text_add_identifier(script, name.data);
    text_add_string(script, " PRIMARY KEY");
    pairs_add_key(pair->side[to].definition, script);
    text_add_format(script, "%s;\n", pairs_deferral(pair));
    text_release(&name);
    return done;
}

/* The index that stood in goes, and the key takes its place and its name. */
static bool take_place(struct work *work, const struct pair *pair, enum shape shape,
                       const char *schema, const char *temporary, struct text *script,
                       struct error *error)
{
    struct text key;
    text_init(&key, TEXT_UNBOUNDED);
    text_add_format(&key, "%s.", schema);
    text_add_identifier(&key, temporary);
    text_add_format(script, "DROP INDEX IF EXISTS %s.", schema);
    text_add_identifier(script, pair->side[shape].name);
    text_add_format(script, ";\nALTER INDEX %s RENAME TO ", key.data);
    text_add_identifier(script, pair->side[shape].name);
    text_add_string(script, ";\n");
    bool done = partitions_add_renames(work, pair, shape, key.data, script, error) &&
                work_alter(work, script->data, NULL, NULL, error);
    text_release(&key);
    return done;
}

bool primary_finish(struct work *work, const struct pair *pair, enum shape shape,
                    struct error *error)
{
    struct text temporary, schema, table, script;
    bool is_there;
    text_init(&temporary, TEXT_UNBOUNDED);
    text_init(&schema, TEXT_UNBOUNDED);
    text_init(&table, TEXT_UNBOUNDED);
    text_init(&script, TEXT_UNBOUNDED);
    add_temporary_name(pair, shape, &temporary);
    bool done = pairs_is_primary(work, pair->relation, temporary.data, &is_there, error);
    if (done && is_there)
        done = pairs_find_table(work, pair->relation, &schema, &table, error) &&
               handover_add_references_over(work, pair, shape, &script, error) &&
               take_place(work, pair, shape, schema.data, temporary.data, &script, error);
    text_release(&temporary);
    text_release(&schema);
    text_release(&table);
    text_release(&script);
    return done;
}
