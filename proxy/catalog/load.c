/*
 * Reading the catalog, or a part of it, from a server, in one query so that it is of one moment.
 *
 * Temporary relations are left out: a session's own are told by its enlist query. Whether a default
 * is volatile is told by the functions that it depends on; those of pg_catalog are pinned and leave
 * no dependency, so they are looked for by name.
 *
 * Which dropped column of a partition was which of its table's is told by who dropped them: what
 * is left of a column in pg_attribute is a row that nothing changes any more.
 */
#include "segue/catalog/catalog.h"

#include <libpq-fe.h>
#include <stdlib.h>

/*
 * Each part is read once, and the parts are joined by hashing: a database may have thousands of
 * tables and partitions. Their sizes cannot be foreseen, and a nested loop over two of them, which
 * looks cheap where few rows are expected, would take minutes.
 *
 * Where {..} stands, only tables count that are read. To print a default its table is locked: so
 * those of temporary tables are not, which other sessions alter as they like.
 */
static const char planning[] = "SET LOCAL enable_nestloop = off; ";

static const char tree[] =
    "tree(oid) AS (SELECT %u::pg_catalog.oid UNION SELECT i.inhrelid FROM tree t "
    "                JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid), ";

static const char parts[] =
    "up(oid, ancestor) AS ("
    "  SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i WHERE {i.inhrelid} "
    "  UNION SELECT u.oid, i.inhparent FROM up u "
    "          JOIN pg_catalog.pg_inherits i ON i.inhrelid = u.ancestor), "
    "ancestors(oid, list) AS MATERIALIZED (SELECT u.oid, "
    "    pg_catalog.string_agg(u.ancestor::pg_catalog.text, ' ' ORDER BY u.ancestor) "
    "  FROM up u GROUP BY u.oid), "
    "gone AS MATERIALIZED (SELECT a.attrelid, a.xmin::text AS dropper, pg_catalog.min(a.attnum) AS "
    "attnum, pg_catalog.count(*) AS n FROM pg_catalog.pg_attribute a WHERE a.attisdropped AND "
    "a.attnum > 0 AND a.attrelid IN (SELECT u.oid FROM up u UNION SELECT u.ancestor FROM up u) "
    "GROUP BY a.attrelid, a.xmin::text), "
    "beside(oid, list) AS MATERIALIZED (SELECT u.oid, pg_catalog.string_agg(pg_catalog.format("
    "    '%s %s %s', u.ancestor, t.attnum, coalesce(h.attnum, 0)), ' ' "
    "    ORDER BY u.ancestor, t.attnum) "
    "  FROM up u JOIN gone t ON t.attrelid = u.ancestor AND t.n = 1 "
    "  LEFT JOIN gone h ON h.attrelid = u.oid AND h.dropper = t.dropper "
    " WHERE h.n IS NULL OR h.n = 1 GROUP BY u.oid), "
    "calls(call) AS MATERIALIZED (SELECT DISTINCT p.proname::text || '(' FROM pg_catalog.pg_proc p "
    " WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.provolatile = 'v' "
    "   AND p.prokind = 'f'), "
    "calling(oid) AS MATERIALIZED (SELECT DISTINCT dep.objid FROM pg_catalog.pg_depend dep "
    "  JOIN pg_catalog.pg_proc p ON p.oid = dep.refobjid "
    " WHERE dep.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass "
    "   AND dep.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.provolatile = 'v'), "
    "defaults AS MATERIALIZED (SELECT d.oid, d.adrelid, d.adnum, "
    "    pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression FROM pg_catalog.pg_attrdef d "
    "  JOIN pg_catalog.pg_class r ON r.oid = d.adrelid AND r.relpersistence <> 't' "
    " WHERE {d.adrelid}), "
    "uniques(oid, list) AS MATERIALIZED (SELECT x.indrelid, "
    "    pg_catalog.string_agg(i.relname, E'\\n' ORDER BY i.relname) "
    "  FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
    " WHERE x.indisunique AND x.indisvalid AND x.indisready AND {x.indrelid} "
    " GROUP BY x.indrelid) ";

static const char catalog_query[] =
    "SELECT c.oid, n.nspname, c.relname, c.relkind, a.attname, "
    "       pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod, a.attnum, "
    "       a.attnotnull, a.attgenerated <> '', a.attidentity, "
    "       CASE WHEN a.attgenerated = '' THEN d.expression END, "
    "       d.oid IS NOT NULL AND (f.oid IS NOT NULL OR (pg_catalog.strpos(d.expression, '(') > 0 "
    "         AND EXISTS (SELECT 1 FROM calls v "
    "                      WHERE pg_catalog.strpos(d.expression, v.call) > 0))), "
    "       u.list, k.indkey::text, c.relnatts, " CATALOG_SERVER_SQL ", q.list, b.list "
    "  FROM pg_catalog.pg_class c "
    "  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "  LEFT JOIN pg_catalog.pg_attribute a "
    "    ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "  LEFT JOIN defaults d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "  LEFT JOIN calling f ON f.oid = d.oid "
    "  LEFT JOIN ancestors u ON u.oid = c.oid "
    "  LEFT JOIN pg_catalog.pg_index k "
    "    ON k.indrelid = c.oid AND k.indisprimary AND k.indimmediate "
    "  LEFT JOIN uniques q ON q.oid = c.oid "
    "  LEFT JOIN beside b ON b.oid = c.oid "
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND {c.oid} "
    " ORDER BY c.oid, a.attnum";

enum field {
    FIELD_OID,
    FIELD_SCHEMA,
    FIELD_TABLE,
    FIELD_KIND,
    FIELD_COLUMN,
    FIELD_TYPE,
    FIELD_TYPE_OID,
    FIELD_TYPMOD,
    FIELD_ATTNUM,
    FIELD_NOT_NULL,
    FIELD_GENERATED,
    FIELD_IDENTITY,
    FIELD_DEFAULT,
    FIELD_VOLATILE,
    FIELD_ANCESTORS,
    FIELD_KEY,
    FIELD_LAST_ATTNUM,
    FIELD_SERVER,
    FIELD_UNIQUE_INDEXES,
    FIELD_DROPPED,
    FIELD_COUNT
};

static uint32_t read_oid(const PGresult *result, int row, enum field field)
{
    return (uint32_t)strtoul(PQgetvalue(result, row, (int)field), NULL, 10);
}

static int read_int(const PGresult *result, int row, enum field field)
{
    return (int)strtol(PQgetvalue(result, row, (int)field), NULL, 10);
}

static bool read_bool(const PGresult *result, int row, enum field field)
{
    return PQgetvalue(result, row, (int)field)[0] == 't';
}

static void add_column(struct catalog_builder *builder, const PGresult *result, int row)
{
    struct catalog_column column = {
        .name = PQgetvalue(result, row, FIELD_COLUMN),
        .type = PQgetvalue(result, row, FIELD_TYPE),
        .default_expression =
            PQgetisnull(result, row, FIELD_DEFAULT) ? NULL : PQgetvalue(result, row, FIELD_DEFAULT),
        .type_oid = read_oid(result, row, FIELD_TYPE_OID),
        .typmod = read_int(result, row, FIELD_TYPMOD),
        .attnum = (int16_t)read_int(result, row, FIELD_ATTNUM),
        .not_null = read_bool(result, row, FIELD_NOT_NULL),
        .is_generated = read_bool(result, row, FIELD_GENERATED),
        .identity = PQgetvalue(result, row, FIELD_IDENTITY)[0],
        .default_is_volatile = read_bool(result, row, FIELD_VOLATILE),
    };
    catalog_add_column(builder, &column);
}

/* "16384 16390" */
static void add_ancestors(struct catalog_builder *builder, const char *list)
{
    enum { MOST = 64 }; /* levels above a table; deeper than any that is partitioned by hand */
    uint32_t oids[MOST];
    size_t count = 0;
    for (char *end; *list && count < MOST; list = end) {
        oids[count++] = (uint32_t)strtoul(list, &end, 10);
        if (end == list)
            break;
    }
    if (count)
        catalog_add_ancestors(builder, oids, count);
}

/* "16384 2 3 16384 5 0" */
static void add_dropped(struct catalog_builder *builder, const char *list)
{
    enum { MOST = 64 }; /* of more, columns of later transitions have lost their places */
    struct catalog_dropped dropped[MOST];
    size_t count = 0;
    for (char *end; *list && count < MOST; list = end) {
        dropped[count].ancestor = (uint32_t)strtoul(list, &end, 10);
        dropped[count].there = (int16_t)strtol(end, &end, 10);
        dropped[count++].here = (int16_t)strtol(end, &end, 10);
    }
    if (count)
        catalog_add_dropped(builder, dropped, count);
}

/* "1 3" */
static void add_key(struct catalog_builder *builder, const char *list)
{
    enum { MOST = 32 }; /* columns of an index */
    int16_t key[MOST];
    size_t count = 0;
    for (char *end; *list && count < MOST; list = end) {
        key[count++] = (int16_t)strtol(list, &end, 10);
        if (end == list)
            break;
    }
    if (count)
        catalog_add_key(builder, key, count);
}

static struct catalog *build(const PGresult *result)
{
    struct catalog_builder *builder = catalog_begin();
    uint32_t present = 0;
    if (PQntuples(result) > 0)
        catalog_set_server(builder, strtoll(PQgetvalue(result, 0, FIELD_SERVER), NULL, 10));
    for (int row = 0; row < PQntuples(result); row++) {
        uint32_t oid = read_oid(result, row, FIELD_OID);
        if (oid != present) {
            catalog_add_table(builder, oid, PQgetvalue(result, row, FIELD_SCHEMA),
                              PQgetvalue(result, row, FIELD_TABLE),
                              PQgetvalue(result, row, FIELD_KIND)[0]);
            add_ancestors(builder, PQgetvalue(result, row, FIELD_ANCESTORS));
            add_dropped(builder, PQgetvalue(result, row, FIELD_DROPPED));
            add_key(builder, PQgetvalue(result, row, FIELD_KEY));
            catalog_add_last_attnum(builder, (int16_t)read_int(result, row, FIELD_LAST_ATTNUM));
            catalog_add_unique_indexes(builder, PQgetvalue(result, row, FIELD_UNIQUE_INDEXES));
            present = oid;
        }
        if (!PQgetisnull(result, row, FIELD_COLUMN)) /* a table may have no columns */
            add_column(builder, result, row);
    }
    return catalog_finish(builder);
}

static void add_sql(struct text *out, const char *sql, bool only_tree)
{
    for (const char *brace; (brace = strchr(sql, '{')); sql = strchr(brace, '}') + 1) {
        text_add_slice(out, (struct slice){sql, (size_t)(brace - sql)});
        if (only_tree)
            text_add_format(out, "%.*s IN (SELECT t.oid FROM tree t)", (int)strcspn(brace + 1, "}"),
                            brace + 1);
        else
            text_add_string(out, "true");
    }
    text_add_string(out, sql);
}

/* 0: all tables. */
static struct catalog *load(PGconn *connection, uint32_t oid, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "%sWITH RECURSIVE ", planning);
    if (oid)
        text_add_format(&query, tree, oid);
    add_sql(&query, parts, oid != 0);
    add_sql(&query, catalog_query, oid != 0);
    PGresult *result = PQexec(connection, query.data);
    text_release(&query);
    struct catalog *catalog = NULL;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQnfields(result) == FIELD_COUNT) {
        catalog = build(result);
    } else {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        error_set(error, sqlstate ? sqlstate : "08006", "the catalog cannot be read: %s",
                  PQerrorMessage(connection));
    }
    PQclear(result);
    return catalog;
}

struct catalog *catalog_load(struct pg_conn *connection, struct error *error)
{
    return load(connection, 0, error);
}

struct catalog *catalog_load_tree(struct pg_conn *connection, uint32_t oid, struct error *error)
{
    return load(connection, oid, error);
}
