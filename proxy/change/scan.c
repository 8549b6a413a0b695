#include "scan.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { TID_RANGE_SCANS_SINCE = 140000, UNKNOWN_ROWS_PER_BLOCK = 50, SAMPLE_BLOCKS = 16 };

/* A table that was never analysed: its first blocks tell how many rows one holds. */
static bool sample_density(PGconn *connection, struct scan_leaf *leaf, struct error *error)
{
    uint64_t blocks = leaf->blocks < SAMPLE_BLOCKS ? leaf->blocks : SAMPLE_BLOCKS;
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT pg_catalog.count(*) FROM ONLY %s WHERE ctid < '(%llu,0)'::tid",
                    leaf->name, (unsigned long long)blocks);
    PGresult *result = query_run(connection, query.data, error);
    text_release(&query);
    if (!result)
        return false;
    double rows = (double)query_integer(result, 0, 0);
    PQclear(result);
    if (rows > 0)
        leaf->rows_per_block = rows / (double)blocks;
    return true;
}

static bool read_leaves(struct scan *scan, PGconn *connection, const char *oid, struct error *error)
{
    const char *parameters[] = {oid};
    PGresult *result = query_run_with(
        connection,
        "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
        "  SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
        "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || "
        "         pg_catalog.quote_ident(c.relname), "
        "       pg_catalog.pg_relation_size(c.oid) / "
        "         pg_catalog.current_setting('block_size')::bigint, "
        "       CASE WHEN c.relpages > 0 AND c.reltuples > 0 THEN c.reltuples / c.relpages END "
        "  FROM (SELECT DISTINCT oid FROM tree) t JOIN pg_catalog.pg_class c ON c.oid = t.oid "
        "  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        " WHERE c.relkind = 'r' ORDER BY c.oid",
        parameters, 1, error);
    if (!result)
        return false;
    scan->leaf_count = (size_t)PQntuples(result);
    scan->leaves = NEW_ARRAY(struct scan_leaf, scan->leaf_count);
    for (int row = 0; row < (int)scan->leaf_count; row++) {
        const char *density = query_value(result, row, 3);
        scan->leaves[row] = (struct scan_leaf){
            .oid = (uint32_t)query_integer(result, row, 0),
            .name = memory_string(query_value(result, row, 1)),
            .blocks = (uint64_t)query_integer(result, row, 2),
            .rows_per_block = density ? strtod(density, NULL) : UNKNOWN_ROWS_PER_BLOCK,
        };
        scan->blocks += scan->leaves[row].blocks;
    }
    bool done = true;
    for (int row = 0; done && row < (int)scan->leaf_count; row++) {
        struct scan_leaf *leaf = &scan->leaves[row];
        if (!query_value(result, row, 3) && leaf->blocks > 0 && !scan->by_key)
            done = sample_density(connection, leaf, error);
    }
    PQclear(result);
    return done;
}

static bool read_key(struct scan *scan, PGconn *connection, const char *oid, struct error *error)
{
    const char *parameters[] = {oid};
    PGresult *result = query_run_with(
        connection,
        "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.n), "
        "       pg_catalog.string_agg(pg_catalog.format('%L || coalesce(%I::text, ''NULL'')', "
        "         CASE WHEN k.n > 1 THEN ', ' ELSE '' END || a.attname || ' = ', a.attname), "
        "         ' || ' ORDER BY k.n) "
        "  FROM pg_catalog.pg_index x, "
        "       pg_catalog.unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n), "
        "       pg_catalog.pg_attribute a "
        " WHERE x.indrelid = $1::oid AND x.indisprimary AND k.n <= x.indnkeyatts "
        "   AND a.attrelid = x.indrelid AND a.attnum = k.attnum",
        parameters, 1, error);
    if (!result)
        return false;
    scan->key = memory_string(query_value(result, 0, 0));
    scan->row_name =
        memory_string(scan->key ? query_value(result, 0, 1) : "'ctid = ' || ctid::text");
    PQclear(result);
    return true;
}

bool scan_init(struct scan *scan, struct pg_conn *connection, uint32_t table_oid, bool by_key,
               struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", table_oid);
    *scan = (struct scan){.by_key = by_key || PQserverVersion(connection) < TID_RANGE_SCANS_SINCE};
    if (!read_leaves(scan, connection, oid, error) || !read_key(scan, connection, oid, error)) {
        scan_release(scan);
        return false;
    }
    if (scan->by_key && !scan->key) {
        scan_release(scan);
        error_set(
            error, "0A000",
            "a table without a primary key needs PostgreSQL 14 or later here, and backfill_by_key "
            "off");
        return false;
    }
    return true;
}

void scan_release(struct scan *scan)
{
    for (size_t i = 0; i < scan->leaf_count; i++)
        free(scan->leaves[i].name);
    free(scan->leaves);
    free(scan->key);
    free(scan->row_name);
    *scan = (struct scan){0};
}

void scan_range_init(struct scan_range *range)
{
    *range = (struct scan_range){0};
    text_init(&range->condition, TEXT_UNBOUNDED);
    text_init(&range->next, TEXT_UNBOUNDED);
}

void scan_range_release(struct scan_range *range)
{
    text_release(&range->condition);
    text_release(&range->next);
}

static void next_by_block(const struct scan_leaf *leaf, const char *position, size_t rows,
                          struct scan_range *range)
{
    unsigned long long begin = strtoull(position, NULL, 10);
    double wanted = (double)rows / leaf->rows_per_block;
    unsigned long long end = begin + (wanted < 1 ? 1 : (unsigned long long)wanted);
    range->last = end >= leaf->blocks;
    if (range->last)
        end = leaf->blocks > begin ? leaf->blocks : begin;
    range->blocks = end - begin;
    text_add_format(&range->condition, "ctid >= '(%llu,0)'::tid AND ctid < '(%llu,0)'::tid", begin,
                    end);
    text_add_format(&range->next, "%llu", end);
}

/* A key position is a list of literals, quoted by the server: "'12', 'abc'". */
static bool next_by_key(const struct scan *scan, PGconn *connection, const struct scan_leaf *leaf,
                        const char *position, size_t rows, struct scan_range *range,
                        struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    if (position[0])
        text_add_format(&range->condition, "(%s) > (%s)", scan->key, position);
    else
        text_add_string(&range->condition, "true");
    text_add_format(&query,
                    "SELECT (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(v.value), ', ' "
                    "ORDER BY v.n) FROM pg_catalog.json_array_elements_text("
                    "pg_catalog.json_build_array(%s)) WITH ORDINALITY v(value, n)) "
                    "FROM ONLY %s WHERE %s ORDER BY %s OFFSET %zu LIMIT 1",
                    scan->key, leaf->name, range->condition.data, scan->key, rows - 1);
    PGresult *result = query_run(connection, query.data, error);
    text_release(&query);
    if (!result)
        return false;
    double blocks = (double)rows / leaf->rows_per_block;
    range->blocks = blocks < 1 ? 1 : (uint64_t)blocks;
    range->last = PQntuples(result) == 0;
    if (!range->last) {
        text_add_string(&range->next, query_value(result, 0, 0));
        text_add_format(&range->condition, " AND (%s) <= (%s)", scan->key, range->next.data);
    }
    PQclear(result);
    return true;
}

bool scan_next(const struct scan *scan, struct pg_conn *connection, const struct scan_leaf *leaf,
               const char *position, size_t rows, struct scan_range *range, struct error *error)
{
    text_clear(&range->condition);
    text_clear(&range->next);
    bool is_key = position[0] == '\''; /* a list of literals, not the number of a block */
    if (is_key != scan->by_key)
        position = "";
    if (scan->by_key)
        return next_by_key(scan, connection, leaf, position, rows, range, error);
    next_by_block(leaf, position, rows, range);
    return true;
}
