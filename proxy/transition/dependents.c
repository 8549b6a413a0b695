/*
 * Dependents: what hangs on the old columns in the server's catalogs, in the table, its partitions
 * and its children. Some of it is carried over to the new columns (pairing.c), some goes with the
 * old ones, and what neither may happen to is refused at APPLY.
 */
#include "pairing.h"

#include <libpq-fe.h>
#include <stdio.h>

/*
 * $3: the column has a partner. $4: the new one can be an identity. `fate`: r refused, c can be
 * carried over, if pairing.c finds a counterpart, l left behind.
 */
static const char dependents_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
    "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid), "
    "col AS (SELECT a.attrelid, a.attnum FROM tree JOIN pg_attribute a ON a.attrelid = tree.oid "
    "         WHERE a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped), "
    "dep AS (SELECT d.classid, d.objid, d.objsubid, d.deptype, c.attrelid, c.attnum "
    "          FROM col c JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass "
    "           AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum) "
    "SELECT DISTINCT regexp_replace(pg_describe_object(dep.classid, dep.objid, dep.objsubid), "
    "         '^rule _RETURN on ', ''), "
    "       CASE WHEN dep.classid = 'pg_class'::regclass AND x.indexrelid IS NOT NULL "
    "                 THEN CASE WHEN x.indisexclusion OR x.indisreplident THEN 'r' ELSE 'c' END "
    "            WHEN dep.classid = 'pg_class'::regclass THEN "
    "                 (SELECT CASE WHEN relkind <> 'S' THEN 'r' ELSE 'c' END "
    "                    FROM pg_class WHERE oid = dep.objid) "
    "            WHEN dep.classid = 'pg_constraint'::regclass THEN "
    "                 CASE WHEN n.contype = 'x' OR n.contype = 'f' AND NOT $3::boolean THEN 'r' "
    "                      ELSE 'c' END "
    "            WHEN dep.classid = 'pg_attrdef'::regclass THEN 'r' "
    "            WHEN dep.classid = 'pg_statistic_ext'::regclass THEN 'l' "
    "            ELSE 'r' END AS fate, "
    "       coalesce(n.conname, (SELECT relname FROM pg_class WHERE oid = x.indexrelid)), "
    "       n.contype = 'f' AND n.confrelid = dep.attrelid "
    "         AND dep.attnum = ANY (n.confkey) AS points_here "
    "  FROM dep "
    "  LEFT JOIN pg_index x ON dep.classid = 'pg_class'::regclass AND x.indexrelid = dep.objid "
    "  LEFT JOIN pg_constraint n ON dep.classid = 'pg_constraint'::regclass AND n.oid = dep.objid "
    "  LEFT JOIN pg_attrdef f ON dep.classid = 'pg_attrdef'::regclass AND f.oid = dep.objid "
    "  LEFT JOIN pg_trigger g ON dep.classid = 'pg_trigger'::regclass AND g.oid = dep.objid "
    " WHERE (f.oid IS NULL OR (f.adrelid, f.adnum) <> (dep.attrelid, dep.attnum)) "
    "   AND (g.oid IS NULL OR g.tgname NOT LIKE 'zzz\\_segue\\_guard\\_%') "
    "UNION ALL "
    "SELECT 'partition key of table ' || p.partrelid::regclass, 'r', NULL, NULL "
    "  FROM pg_partitioned_table p JOIN col c ON c.attrelid = p.partrelid "
    " WHERE c.attnum = ANY (p.partattrs::int2[]) "
    "UNION ALL "
    "SELECT CASE WHEN a.attidentity <> '' THEN 'an identity sequence' "
    "                                      ELSE 'a generation expression' END, "
    "       'r', NULL, NULL "
    "  FROM col c JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.attrelid, c.attnum) "
    " WHERE a.attidentity <> '' AND NOT $4::boolean OR a.attgenerated <> '' "
    "ORDER BY 2 DESC, 1";

enum { INT8_OID = 20, INT2_OID = 21, INT4_OID = 23 };

static bool can_be_identity(const struct transition *transition)
{
    const uint32_t type = transition->columns[SHAPE_NEW][0].type_oid;
    return transition->is_plain_cast && (type == INT2_OID || type == INT4_OID || type == INT8_OID);
}

/* What can be carried over in principle is, where a counterpart was found. */
static enum dependent_fate fate_of(const struct transition *transition, const PGresult *result,
                                   int row)
{
    char fate = query_value(result, row, 1)[0];
    const char *name = query_value(result, row, 2);
    bool points_here = query_boolean(result, row, 3);
    if (fate == 'r')
        return DEPENDENT_REFUSED;
    if (fate == 'c' && (!name || points_here || pair_find(transition, SHAPE_OLD, name)))
        return DEPENDENT_CARRIED;
    return DEPENDENT_LEFT;
}

bool transition_dependents(const struct transition *transition, struct pg_conn *connection,
                           transition_dependent_callback callback, void *context,
                           struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    for (size_t i = 0; i < transition->column_count[SHAPE_OLD]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_OLD][i];
        const char *parameters[] = {
            oid, column->physical,
            transition_partner(transition, SHAPE_OLD, i) == TRANSITION_NONE ? "f" : "t",
            can_be_identity(transition) ? "t" : "f"};
        PGresult *result = query_run_with(connection, dependents_query, parameters, 4, error);
        if (!result)
            return false;
        for (int row = 0; row < PQntuples(result); row++)
            callback(context, column, query_value(result, row, 0),
                     fate_of(transition, result, row));
        PQclear(result);
    }
    return true;
}

struct refusal {
    size_t count;
    char column[64];
    struct text list;
};

static void add_refused(void *context, const struct transition_column *column,
                        const char *description, enum dependent_fate fate)
{
    struct refusal *refusal = context;
    if (fate != DEPENDENT_REFUSED)
        return;
    if (refusal->count++ == 0)
        snprintf(refusal->column, sizeof refusal->column, "%s", column->name);
    else
        text_add_string(&refusal->list, ", ");
    text_add_string(&refusal->list, description);
}

bool dependents_fit(const struct transition *transition, struct pg_conn *connection,
                    struct error *error)
{
    struct refusal refusal = {0};
    text_init(&refusal.list, sizeof error->message - 200);
    bool done = transition_dependents(transition, connection, add_refused, &refusal, error);
    if (done && refusal.count > 0) {
        done = error_set(error, "0A000", "%s depend%s on column \"%s\"",
                         refusal.list.length ? refusal.list.data : "more than can be listed",
                         refusal.count == 1 ? "s" : "", refusal.column);
        error_detail(
            error, "%s",
            pairing_is_of_single_columns(transition)
                ? "Segue cannot carry generated columns, partition keys, exclusion "
                  "constraints, views, policies or triggers over to a new column."
                : "Where several columns change together, Segue cannot carry foreign keys, "
                  "exclusion constraints, generated columns, views, policies or triggers "
                  "over to new ones.");
        error_hint(error, "Drop what depends on it, or leave this column as it is.");
    }
    text_release(&refusal.list);
    return done;
}
