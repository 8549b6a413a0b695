/*
 * Catalog: which relations a database has and which columns they have, as of one moment. Immutable
 * once built, counted, shared by all threads.
 *
 * It serves name resolution (segue/sql/scope.h): the columns of every table, view and matview,
 * system ones included; temporary relations are not in it (a session's own are in its `struct
 * resolution`).
 */
#ifndef SEGUE_CATALOG_CATALOG_H
#define SEGUE_CATALOG_CATALOG_H

#include "segue/base/error.h"
#include "segue/base/text.h"

#include <stdint.h>

struct catalog_column {
    const char *name;
    const char *type;               /* format_type(atttypid, atttypmod): "numeric(12,2)" */
    const char *default_expression; /* pg_get_expr; NULL where there is none */
    uint32_t type_oid;
    int32_t typmod;
    int16_t attnum;
    bool not_null;
    bool is_generated;        /* GENERATED ALWAYS AS (..) STORED */
    char identity;            /* GENERATED .. AS IDENTITY: 'a' ALWAYS, 'd' BY DEFAULT, 0 none */
    bool default_is_volatile; /* the default calls a volatile function */
};

/* A column of an ancestor's that was dropped, and the one that went from this table with it, in the
 * same transaction, in which neither lost another. */
struct catalog_dropped {
    uint32_t ancestor;
    int16_t there;
    int16_t here; /* 0: the table lost none then, so it never had it */
};

struct catalog_table {
    const char *schema;
    const char *name;
    uint32_t oid;
    char kind; /* pg_class.relkind: r, p, v, m, f */
    size_t column_count;
    const struct catalog_column *columns; /* by attnum, dropped ones left out */
    size_t ancestor_count;
    const uint32_t *ancestors; /* what it is a partition of or inherits from, near and far */
    size_t key_count;
    const int16_t *key; /* attribute numbers of the primary key */
    size_t dropped_count;
    const struct catalog_dropped *dropped;
    int16_t last_attnum; /* the highest that it ever gave out: the next column has the one behind */
    size_t unique_index_count;
    const char *const *unique_indexes; /* names of those that are enforced, sorted */
};

struct catalog; /* opaque */

struct catalog *catalog_get(struct catalog *catalog);
void catalog_put(struct catalog *catalog); /* NULL is allowed */

/* NULL where there is none. Names are exact (already folded). */
const struct catalog_table *catalog_find(const struct catalog *catalog, const char *schema,
                                         const char *name);
const struct catalog_table *catalog_find_oid(const struct catalog *catalog, uint32_t oid);
/* Is it that table, a partition or a child of it? */
bool catalog_descends(const struct catalog_table *table, uint32_t oid);
/* By schema and name, from 0 on. */
const struct catalog_table *catalog_at(const struct catalog *catalog, size_t index);
const struct catalog_column *catalog_column_find(const struct catalog_table *table,
                                                 const char *name);
/* Has the table a unique index of this name, now? */
bool catalog_has_unique_index(const struct catalog_table *table, const char *name);
size_t catalog_count(const struct catalog *catalog);
/* When the server that it is of was started, which no two servers share: microseconds since 1970;
 * 0 where that was never told. */
int64_t catalog_server(const struct catalog *catalog);
/* XXH3 over everything in it: equal catalogs have equal fingerprints. */
uint64_t catalog_fingerprint(const struct catalog *catalog);

/*
 * Building, for the loader and for tests: begin, then tables with their columns, then finish.
 * Strings are copied. The builder is consumed by catalog_finish, which gives a catalog with one
 * reference.
 */
struct catalog_builder;
struct catalog_builder *catalog_begin(void);
void catalog_add_table(struct catalog_builder *builder, uint32_t oid, const char *schema,
                       const char *name, char kind);
/* Of the table added last, before its columns. */
void catalog_add_ancestors(struct catalog_builder *builder, const uint32_t *oids, size_t count);
void catalog_add_dropped(struct catalog_builder *builder, const struct catalog_dropped *dropped,
                         size_t count);
void catalog_add_key(struct catalog_builder *builder, const int16_t *key, size_t count);
/* Of the table added last; otherwise it is that of its last column. */
void catalog_add_last_attnum(struct catalog_builder *builder, int16_t last_attnum);
/* One a line, sorted. */
void catalog_add_unique_indexes(struct catalog_builder *builder, const char *names);
void catalog_add_column(struct catalog_builder *builder, const struct catalog_column *column);
struct catalog *catalog_finish(struct catalog_builder *builder);

void catalog_set_server(struct catalog_builder *builder, int64_t started);

/* The SQL expression for catalog_server; it depends on no setting of the session's. */
#define CATALOG_SERVER_SQL                                                                         \
    "pg_catalog.int8(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())"         \
    " OPERATOR(pg_catalog.*) 1000000.0::pg_catalog.float8)"

/*
 * Read from a server (blocking; never on a loop's thread; in no transaction). NULL with `error` set
 * on failure. catalog_load_tree reads the table with this oid and its descendants alone: none,
 * where there is none.
 */
struct pg_conn;
struct catalog *catalog_load(struct pg_conn *connection, struct error *error);
struct catalog *catalog_load_tree(struct pg_conn *connection, uint32_t oid, struct error *error);
/* The catalog with what was read of a tree since, `root` and its descendants, in their places. If
 * nothing else was changed it is the same as one that is read then, with the same fingerprint. */
struct catalog *catalog_with_tree(const struct catalog *catalog, const struct catalog *tree,
                                  uint32_t root);

#endif
