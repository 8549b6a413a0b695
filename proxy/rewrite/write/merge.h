/* Between merge.c and merge_insert.c. */
#ifndef SEGUE_REWRITE_MERGE_H
#define SEGUE_REWRITE_MERGE_H

#include "carry.h"

/* A WHEN clause that inserts, from the token of its INSERT. `scope` sees the source alone. */
struct merge_insert {
    struct rewriter *rewriter;
    struct scope *scope;
    PgQuery__RangeVar *relation;
    const struct view *view; /* NULL: the target is not in transition */
    const PgQuery__MergeWhenClause *clause;
    size_t token;
    struct carrier *carrier;
};

bool rewrite_merge_insert(const struct merge_insert *insert) MUST_CHECK;

#endif
