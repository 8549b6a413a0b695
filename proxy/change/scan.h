/*
 * Scan: going over a table in pieces. Within this room only.
 *
 * The leaves are the table itself, or its partitions and children. Each is gone over in ranges of
 * ctid (TID range scans); before PostgreSQL 14, which has none, and where the settings say so, in
 * ranges of the primary key. A position of the other kind, from before the settings changed, begins
 * the leaf anew.
 */
#ifndef SEGUE_CHANGE_SCAN_H
#define SEGUE_CHANGE_SCAN_H

#include "segue/base/query.h"
#include "segue/base/text.h"

struct scan_leaf {
    uint32_t oid;
    char *name; /* quoted, with its schema */
    uint64_t blocks;
    double rows_per_block;
};

struct scan {
    bool by_key;    /* ranges of the primary key */
    char *key;      /* "\"id\", \"b\"": the primary key's columns, quoted; NULL: there is none */
    char *row_name; /* SQL that names a row: "id = 42"; by its ctid where there is no key */
    struct scan_leaf *leaves; /* by OID */
    size_t leaf_count;
    uint64_t blocks; /* of all leaves */
};

/* By key also where the server could do otherwise: `by_key`. */
bool scan_init(struct scan *scan, struct pg_conn *connection, uint32_t table_oid, bool by_key,
               struct error *error) MUST_CHECK;
void scan_release(struct scan *scan);

/*
 * The next range of a leaf from `position` on ("" at its start; otherwise what the range before
 * gave), of about so many rows. `condition`: SQL over the leaf's columns. Where the leaf ends,
 * `last`.
 */
struct scan_range {
    struct text condition;
    struct text next; /* position after it */
    uint64_t blocks;  /* that it covers; before PostgreSQL 14 estimated */
    bool last;
};
void scan_range_init(struct scan_range *range);
void scan_range_release(struct scan_range *range);
bool scan_next(const struct scan *scan, struct pg_conn *connection, const struct scan_leaf *leaf,
               const char *position, size_t rows, struct scan_range *range,
               struct error *error) MUST_CHECK;

#endif
