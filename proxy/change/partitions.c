/*
 * An index of a partitioned table cannot be built concurrently. So it is made over no rows (ON
 * ONLY: invalid, at once), then each partition gets one of its own, concurrently, which is
 * attached; with the last the whole becomes valid. What is attached already is left as it is.
 */
#include "pairs.h"

#include <libpq-fe.h>
#include <stdlib.h>

struct building {
    struct work *work;
    const struct pair *pair;
    const struct pair_of_shape *side;
};

static bool alter(struct building *building, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool alter(struct building *building, struct error *error, const char *format, ...)
{
    struct text script;
    va_list arguments;
    text_init(&script, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&script, format, arguments);
    va_end(arguments);
    bool done = work_alter(building->work, script.data, NULL, NULL, error);
    text_release(&script);
    return done;
}

static bool run(struct building *building, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool run(struct building *building, struct error *error, const char *format, ...)
{
    struct text script;
    va_list arguments;
    text_init(&script, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&script, format, arguments);
    va_end(arguments);
    bool done = work_go_on(building->work, error) &&
                query_do(building->work->connection, script.data, error);
    text_release(&script);
    return done;
}

/* Of one partition: its index under the parent's, or a name for it. */
enum field {
    FIELD_OID,
    FIELD_TABLE,
    FIELD_IS_PARTITIONED,
    FIELD_INDEX, /* qualified, quoted */
    FIELD_INDEX_NAME,
    FIELD_EXISTS,
    FIELD_VALID,
    FIELD_ATTACHED
};

static PGresult *find_partitions(struct building *building, const char *table, const char *index,
                                 struct error *error)
{
    const char *parameters[] = {table, index, building->side->name};
    return query_run_with(
        building->work->connection,
        "SELECT c.oid, c.oid::regclass, c.relkind = 'p', "
        "       format('%I.%I', s.nspname, coalesce(a.relname, n.name)), "
        "       quote_ident(coalesce(a.relname, n.name)), "
        "       coalesce(a.oid, f.oid) IS NOT NULL, coalesce(x.indisvalid, false), "
        "       a.oid IS NOT NULL "
        "  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "  JOIN pg_namespace s ON s.oid = c.relnamespace "
        " CROSS JOIN LATERAL (SELECT $3 || '_' || c.oid AS name) n "
        "  LEFT JOIN (SELECT p.oid, p.relname, y.indrelid FROM pg_inherits h "
        "               JOIN pg_class p ON p.oid = h.inhrelid "
        "               JOIN pg_index y ON y.indexrelid = p.oid "
        "              WHERE h.inhparent = $2::regclass) a ON a.indrelid = c.oid "
        "  LEFT JOIN pg_class f ON f.relname = n.name AND f.relnamespace = c.relnamespace "
        "  LEFT JOIN pg_index x ON x.indexrelid = coalesce(a.oid, f.oid) "
        " WHERE i.inhparent = $1::regclass ORDER BY c.oid",
        parameters, 3, error);
}

static bool build_parent(struct building *building, const char *table, const char *index,
                         struct error *error) MUST_CHECK;

static bool build_leaf(struct building *building, const PGresult *partitions, int row,
                       struct error *error)
{
    const char *table = query_value(partitions, row, FIELD_TABLE);
    const char *index = query_value(partitions, row, FIELD_INDEX);
    bool exists = query_boolean(partitions, row, FIELD_EXISTS);
    if (query_boolean(partitions, row, FIELD_VALID))
        return true;
    if (exists && !run(building, error, "DROP INDEX CONCURRENTLY %s", index))
        return false;
    progress_notice(&building->work->change->progress, "building index %s, concurrently", index);
    return run(building, error, "CREATE INDEX CONCURRENTLY %s ON %s %s",
               query_value(partitions, row, FIELD_INDEX_NAME), table, building->side->definition);
}

static bool build_partition(struct building *building, const PGresult *partitions, int row,
                            const char *parent, struct error *error)
{
    const char *table = query_value(partitions, row, FIELD_TABLE);
    const char *index = query_value(partitions, row, FIELD_INDEX);
    if (query_boolean(partitions, row, FIELD_IS_PARTITIONED)) {
        if (!query_boolean(partitions, row, FIELD_EXISTS) &&
            !alter(building, error, "CREATE INDEX %s ON ONLY %s %s",
                   query_value(partitions, row, FIELD_INDEX_NAME), table,
                   building->side->definition))
            return false;
        if (!build_parent(building, table, index, error))
            return false;
    } else if (!build_leaf(building, partitions, row, error)) {
        return false;
    }
    return query_boolean(partitions, row, FIELD_ATTACHED) ||
           alter(building, error, "ALTER INDEX %s ATTACH PARTITION %s", parent, index);
}

static bool build_parent(struct building *building, const char *table, const char *index,
                         struct error *error)
{
    PGresult *partitions = find_partitions(building, table, index, error);
    bool done = partitions != NULL;
    for (int row = 0; done && row < PQntuples(partitions); row++)
        done = build_partition(building, partitions, row, index, error);
    PQclear(partitions);
    return done;
}

static bool index_exists(struct building *building, const char *index, bool *exists,
                         struct error *error)
{
    const char *parameters[] = {index};
    PGresult *result = query_run_with(building->work->connection,
                                      "SELECT to_regclass($1) IS NOT NULL", parameters, 1, error);
    if (result)
        *exists = query_boolean(result, 0, 0);
    PQclear(result);
    return result != NULL;
}

bool partitions_build(struct work *work, const struct pair *pair, enum shape shape,
                      struct error *error)
{
    struct building building = {.work = work, .pair = pair, .side = &pair->side[shape]};
    struct text table, index, name;
    bool exists;
    BUG_ON(pair->kind != PAIR_INDEX); /* keys of partitioned tables are refused at APPLY */
    text_init(&table, TEXT_UNBOUNDED);
    text_init(&index, TEXT_UNBOUNDED);
    text_init(&name, TEXT_UNBOUNDED);
    text_add_identifier(&name, building.side->name);
    text_add_identifier(&index, work->transition->schema);
    text_add_format(&index, ".%s", name.data);
    bool done = pairs_find_table(work, pair->relation, &table, error) &&
                index_exists(&building, index.data, &exists, error) &&
                (exists || alter(&building, error, "CREATE INDEX %s ON ONLY %s %s", name.data,
                                 table.data, building.side->definition)) &&
                build_parent(&building, table.data, index.data, error);
    text_release(&table);
    text_release(&index);
    text_release(&name);
    return done;
}
