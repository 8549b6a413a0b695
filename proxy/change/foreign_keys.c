/*
 * Foreign keys without a long lock: NOT VALID at once, then validated while reads and writes go on.
 * From a partitioned table none can be NOT VALID; but one that each partition has already, and that
 * is valid there, the table's own takes up without looking at a row.
 */
#include "pairs.h"

#include <libpq-fe.h>

enum field { FIELD_TABLE, FIELD_IS_WHOLE, FIELD_EXISTS, FIELD_VALIDATED, FIELD_IS_FREE };

/* The table ($1), or all its leaves and then itself; what they have under the name $2. */
static PGresult *find_tables(struct work *work, const char *table, const char *name,
                             struct error *error)
{
    const char *parameters[] = {table, name};
    return query_run_with(
        work->connection,
        "WITH RECURSIVE tree(oid) AS (SELECT $1::regclass::oid UNION ALL "
        "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid "
        "    JOIN pg_class c ON c.oid = i.inhparent AND c.relkind = 'p') "
        "SELECT c.oid::regclass, c.relkind = 'p', n.oid IS NOT NULL, "
        "       coalesce(n.convalidated, false), coalesce(n.conparentid = 0, false) "
        "  FROM tree JOIN pg_class c ON c.oid = tree.oid "
        "  LEFT JOIN pg_constraint n ON n.conrelid = c.oid AND n.conname = $2 "
        " WHERE c.relkind = 'r' OR c.oid = $1::regclass ORDER BY c.relkind = 'p', c.oid",
        parameters, 2, error);
}

static bool make_one(struct work *work, const PGresult *tables, int row, const char *name,
                     const char *definition, struct error *error)
{
    const char *table = query_value(tables, row, FIELD_TABLE);
    const bool is_whole = query_boolean(tables, row, FIELD_IS_WHOLE);
    const bool stays_not_valid = pairs_is_not_valid(definition);
    if (!query_boolean(tables, row, FIELD_EXISTS) &&
        !pairs_alter(work, error, "ALTER TABLE %s ADD CONSTRAINT %s %s%s", table, name, definition,
                     stays_not_valid || is_whole ? "" : " NOT VALID"))
        return false;
    return stays_not_valid || is_whole || query_boolean(tables, row, FIELD_VALIDATED) ||
           pairs_alter(work, error, "ALTER TABLE %s VALIDATE CONSTRAINT %s", table, name);
}

bool foreign_keys_make(struct work *work, const char *table, const char *name,
                       const char *definition, struct error *error)
{
    PGresult *tables = find_tables(work, table, name, error);
    struct text quoted;
    text_init(&quoted, TEXT_UNBOUNDED);
    text_add_identifier(&quoted, name);
    bool done = tables != NULL;
    for (int row = 0; done && row < PQntuples(tables); row++)
        done = make_one(work, tables, row, quoted.data, definition, error);
    PQclear(tables);
    text_release(&quoted);
    return done;
}

bool foreign_keys_drop(struct work *work, const char *table, const char *name, struct error *error)
{
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    PGresult *tables = find_tables(work, table, name, error);
    for (int row = 0; tables && row < PQntuples(tables); row++) {
        if (query_boolean(tables, row, FIELD_IS_FREE)) { /* the others go with theirs */
            text_add_format(&script, "ALTER TABLE %s DROP CONSTRAINT ",
                            query_value(tables, row, FIELD_TABLE));
            text_add_identifier(&script, name);
            text_add_string(&script, ";\n");
        }
    }
    bool done = tables && (!script.length || work_alter(work, script.data, NULL, NULL, error));
    PQclear(tables);
    text_release(&script);
    return done;
}

/* ---------------------------------------------------------------- the names of their parts */

bool foreign_keys_add_renames(struct work *work, const char *table, const char *name,
                              const char *as, struct text *script, struct error *error)
{
    const char *parameters[] = {table, name, as};
    return work_add_from_query(
        work,
        "WITH RECURSIVE whole AS (SELECT * FROM pg_constraint WHERE conrelid = $1::regclass), "
        "part(oid, of) AS (SELECT n.oid, w.conname FROM pg_constraint n "
        "                    JOIN whole w ON n.conparentid = w.oid "
        "                   WHERE w.conname IN ($2, $3) "
        "  UNION ALL SELECT n.oid, p.of FROM pg_constraint n JOIN part p ON n.conparentid = p.oid) "
        "SELECT format(e'ALTER TABLE %s RENAME CONSTRAINT %I TO %I;\\n', n.conrelid::regclass, "
        "              n.conname, m.conname) "
        "  FROM part p JOIN pg_constraint n ON n.oid = p.oid "
        "  JOIN part q ON q.of = $3 JOIN pg_constraint m ON m.oid = q.oid "
        "   AND (m.conrelid, m.confrelid) = (n.conrelid, n.confrelid) "
        " WHERE p.of = $2 AND m.conname <> n.conname ORDER BY n.oid",
        parameters, 3, script, error);
}

bool foreign_keys_name_parts(struct work *work, const struct pair *pair, enum shape shape,
                             struct error *error)
{
    char oid[16], position[24];
    snprintf(oid, sizeof oid, "%u", pair->relation);
    snprintf(position, sizeof position, "%zu", (size_t)(pair - work->transition->pairs));
    const char *parameters[] = {
        oid,      pair->side[shape].name,        pair->side[SHAPE_NEW].name, work->transition->name,
        position, shape == SHAPE_OLD ? "t" : "f"};
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    bool done = work_add_from_query(
        work,
        "WITH RECURSIVE whole AS (SELECT * FROM pg_constraint WHERE conrelid = $1::oid "
        "                            AND conname = $2), "
        "part(oid) AS (SELECT n.oid FROM pg_constraint n JOIN whole w ON n.conparentid = w.oid "
        "  UNION ALL SELECT n.oid FROM pg_constraint n JOIN part p ON n.conparentid = p.oid), "
        "name AS (SELECT n.conrelid, n.conname, n.oid, CASE WHEN n.confrelid = w.confrelid THEN $3 "
        "                ELSE $3 || '_' || n.confrelid END AS made "
        "           FROM whole w, part p JOIN pg_constraint n ON n.oid = p.oid) "
        "SELECT format(e'ALTER TABLE %s RENAME CONSTRAINT %I TO %I;\\n', n.conrelid::regclass, "
        "              n.conname, CASE WHEN $6::boolean THEN s.old_name ELSE n.made END) "
        "  FROM name n LEFT JOIN segue.transition_pairs s ON s.transition = $4 "
        "   AND s.part_of = $5::int AND s.relation::oid = n.conrelid AND s.new_name = n.made "
        " WHERE n.conname <> CASE WHEN $6::boolean THEN s.old_name ELSE n.made END ORDER BY n.oid",
        parameters, 6, &script, error);
    done = done && (!script.length || work_alter(work, script.data, NULL, NULL, error));
    text_release(&script);
    return done;
}
