/*
 * An index of a partitioned table cannot be built concurrently. So it is made over no rows (ON
 * ONLY: invalid, at once), then each partition gets one of its own, concurrently, which is
 * attached; with the last the whole becomes valid. A partition that is made meanwhile gets its own
 * from the whole. What is attached already is left as it is.
 *
 * A unique constraint is made the same way, as pg_dump does it: a constraint on each part's index,
 * attached to one that stands on the table ONLY.
 */
#include "pairs.h"

#include <libpq-fe.h>
#include <stdlib.h>

struct building {
    struct work *work;
    const struct pair *pair;
    enum shape shape;
};

/* What a pair's index is called in partition `c`: parameters $3 to $6 of `ask`. */
#define PART_NAME                                                                                  \
    "coalesce((SELECT CASE WHEN $6::boolean THEN p.old_name ELSE p.new_name END "                  \
    "            FROM segue.transition_pairs p WHERE p.transition = $4 "                           \
    "             AND p.part_of = $5::int AND p.relation::oid = c.oid), "                          \
    "         $3 || '_' || c.oid || CASE WHEN $6::boolean THEN '_o' ELSE '' END)"

/* Runs a query of (a table, an index of it or its name, and what PART_NAME takes). */
static PGresult *ask(struct building *building, const char *query, const char *table,
                     const char *index, struct error *error)
{
    const struct transition *transition = building->work->transition;
    char position[24];
    snprintf(position, sizeof position, "%zu", (size_t)(building->pair - transition->pairs));
    const char *parameters[] = {table,
                                index,
                                building->pair->side[SHAPE_NEW].name,
                                transition->name,
                                position,
                                building->shape == SHAPE_OLD ? "t" : "f"};
    return query_run_with(building->work->connection, query, parameters, 6, error);
}

/* ---------------------------------------------------------------- making it */

/* Of one partition: its index under the parent's, or a name for it. */
enum field {
    FIELD_TABLE,
    FIELD_IS_PARTITIONED,
    FIELD_INDEX, /* qualified, quoted */
    FIELD_INDEX_NAME,
    FIELD_EXISTS,
    FIELD_VALID,
    FIELD_ATTACHED,
    FIELD_CONSTRAINED
};

static const char partitions_query[] =
    "SELECT c.oid::regclass, c.relkind = 'p', "
    "       format('%I.%I', s.nspname, coalesce(a.relname, n.name)), "
    "       quote_ident(coalesce(a.relname, n.name)), "
    "       x.indexrelid IS NOT NULL, coalesce(x.indisvalid, false), a.oid IS NOT NULL, "
    "       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid "
    "                  AND k.conrelid = c.oid AND k.contype = 'u') "
    "  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "  JOIN pg_namespace s ON s.oid = c.relnamespace "
    " CROSS JOIN LATERAL (SELECT " PART_NAME " AS name) n "
    "  LEFT JOIN (SELECT p.oid, p.relname, y.indrelid FROM pg_inherits h "
    "               JOIN pg_class p ON p.oid = h.inhrelid "
    "               JOIN pg_index y ON y.indexrelid = p.oid "
    "              WHERE h.inhparent = $2::regclass) a ON a.indrelid = c.oid "
    "  LEFT JOIN (SELECT y.*, z.relname FROM pg_index y JOIN pg_class z ON z.oid = y.indexrelid) x "
    "    ON x.indrelid = c.oid AND x.relname = coalesce(a.relname, n.name) "
    " WHERE i.inhparent = $1::regclass ORDER BY c.oid";

static bool build_parent(struct building *building, const char *table, const char *index,
                         struct error *error) MUST_CHECK;

/* The whole, or a partition that has partitions, over no rows. */
static bool make_only(struct building *building, const char *table, const char *name,
                      struct error *error)
{
    const struct pair *pair = building->pair;
    const char *definition = pair->side[building->shape].definition;
    if (pair->kind != PAIR_UNIQUE)
        return pairs_alter(building->work, error, "CREATE %sINDEX %s ON ONLY %s %s",
                           pair_is_unique(pair->kind) ? "UNIQUE " : "", name, table, definition);
    struct text columns;
    text_init(&columns, TEXT_UNBOUNDED);
    pairs_add_key(definition, &columns);
    bool done =
        pairs_alter(building->work, error, "ALTER TABLE ONLY %s ADD CONSTRAINT %s UNIQUE%s%s",
                    table, name, columns.data, pairs_deferral(pair));
    text_release(&columns);
    return done;
}

static bool build_leaf(struct building *building, const PGresult *partitions, int row,
                       struct error *error)
{
    const char *table = query_value(partitions, row, FIELD_TABLE);
    const char *index = query_value(partitions, row, FIELD_INDEX);
    const char *name = query_value(partitions, row, FIELD_INDEX_NAME);
    bool valid = query_boolean(partitions, row, FIELD_VALID);
    if (!valid && query_boolean(partitions, row, FIELD_EXISTS) &&
        !pairs_run(building->work, error, "DROP INDEX CONCURRENTLY %s", index))
        return false;
    if (!valid && !pairs_build_index(building->work, building->pair, building->shape, name, index,
                                     table, error))
        return false;
    return building->pair->kind != PAIR_UNIQUE ||
           query_boolean(partitions, row, FIELD_CONSTRAINED) ||
           pairs_alter(building->work, error,
                       "ALTER TABLE %s ADD CONSTRAINT %s UNIQUE USING INDEX %s%s", table, name,
                       name, pairs_deferral(building->pair));
}

static bool build_partition(struct building *building, const PGresult *partitions, int row,
                            const char *parent, struct error *error)
{
    const char *table = query_value(partitions, row, FIELD_TABLE);
    const char *index = query_value(partitions, row, FIELD_INDEX);
    if (query_boolean(partitions, row, FIELD_IS_PARTITIONED)) {
        if (!query_boolean(partitions, row, FIELD_EXISTS) &&
            !make_only(building, table, query_value(partitions, row, FIELD_INDEX_NAME), error))
            return false;
        if (!build_parent(building, table, index, error))
            return false;
    } else if (!build_leaf(building, partitions, row, error)) {
        return false;
    }
    return query_boolean(partitions, row, FIELD_ATTACHED) ||
           pairs_alter(building->work, error, "ALTER INDEX %s ATTACH PARTITION %s", parent, index);
}

static bool build_parent(struct building *building, const char *table, const char *index,
                         struct error *error)
{
    PGresult *partitions = ask(building, partitions_query, table, index, error);
    bool done = partitions != NULL;
    for (int row = 0; done && row < PQntuples(partitions); row++)
        done = build_partition(building, partitions, row, index, error);
    PQclear(partitions);
    return done;
}

bool partitions_build(struct work *work, const struct pair *pair, enum shape shape, bool exists,
                      struct error *error)
{
    struct building building = {.work = work, .pair = pair, .shape = shape};
    struct text table, index, name;
    text_init(&table, TEXT_UNBOUNDED);
    text_init(&index, TEXT_UNBOUNDED);
    text_init(&name, TEXT_UNBOUNDED);
    text_add_identifier(&name, pair->side[shape].name);
    bool done = pairs_find_table(work, pair->relation, &index, &table, error);
    text_add_format(&index, ".%s", name.data);
    done = done && (exists || make_only(&building, table.data, name.data, error)) &&
           build_parent(&building, table.data, index.data, error);
    text_release(&table);
    text_release(&index);
    text_release(&name);
    return done;
}

/* ---------------------------------------------------------------- taking it away */

/* What a command that did not come to its end left in partitions: not attached to anything. */
static const char leftovers_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::regclass "
    "  UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
    "SELECT CASE WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = z.oid "
    "                            AND k.conrelid = c.oid AND k.contype IN ('p', 'u')) "
    "            THEN format('ALTER TABLE %s DROP CONSTRAINT %I', c.oid::regclass, z.relname) "
    "            ELSE format('DROP INDEX %I.%I', s.nspname, z.relname) END "
    "  FROM tree JOIN pg_class c ON c.oid = tree.oid "
    "  JOIN pg_namespace s ON s.oid = c.relnamespace "
    "  JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class z ON z.oid = x.indexrelid "
    " WHERE z.relname IN (" PART_NAME ", $3 || '_' || c.oid || $2) "
    "   AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = z.oid) ORDER BY c.oid";

bool partitions_remove(struct work *work, const struct pair *pair, enum shape shape,
                       struct error *error)
{
    struct building building = {.work = work, .pair = pair, .shape = shape};
    struct text table, schema;
    text_init(&table, TEXT_UNBOUNDED);
    text_init(&schema, TEXT_UNBOUNDED);
    PGresult *leftovers = NULL;
    if (pairs_find_table(work, pair->relation, &schema, &table, error))
        leftovers = ask(&building, leftovers_query, table.data, primary_suffix(shape), error);
    bool done = leftovers != NULL;
    for (int row = 0; done && row < PQntuples(leftovers); row++)
        done = pairs_alter(work, error, "%s", query_value(leftovers, row, 0));
    PQclear(leftovers);
    text_release(&table);
    text_release(&schema);
    return done;
}

/* ---------------------------------------------------------------- their names */

/* The tree of index $2 of table $1: each part gets its name. */
static const char names_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = $2::regclass "
    "  UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN tree t ON h.inhparent = t.oid) "
    "SELECT format(e'ALTER INDEX %s RENAME TO %I;\\n', x.indexrelid::regclass, n.name) "
    "  FROM tree JOIN pg_index x ON x.indexrelid = tree.oid "
    "  JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class z ON z.oid = x.indexrelid, "
    "  LATERAL (SELECT " PART_NAME " AS name) n "
    " WHERE z.relname <> n.name AND $1::text IS NOT NULL ORDER BY c.oid";

bool partitions_add_renames(struct work *work, const struct pair *pair, enum shape shape,
                            const char *index, struct text *script, struct error *error)
{
    struct building building = {.work = work, .pair = pair, .shape = shape};
    PGresult *names = ask(&building, names_query, "", index, error);
    for (int row = 0; names && row < PQntuples(names); row++)
        text_add_string(script, query_value(names, row, 0));
    PQclear(names);
    return names != NULL;
}
