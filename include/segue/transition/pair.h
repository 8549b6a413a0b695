/*
 * Pairs: what stands on the old column of a transition (a key, an index, a check, a foreign key),
 * and its counterpart over the new one. Found at APPLY, stored, part of the transition. Where
 * several columns change, only some keys have one: see pairing.c.
 *
 * A key, an index or a foreign key of a partitioned table is one whole and a part in each
 * partition, each with a name of its own; the parts are pairs too (is_part), after all wholes.
 *
 * Which of the two are in the database follows from the phase. The old one is there, and enforced,
 * up to dual_own and as long after as the old columns are complete; the new one from dual_own on.
 * So of a pair that a statement must name, `pair_side` is always there:
 *
 *   old, dual_old     the old one, also for clients of the new shape
 *   dual_own          each shape's own
 *   dual_new, new     the new one, also for clients of the old shape
 *
 * A primary key's counterpart is an index, no constraint, as long as the other is the primary key.
 * So ON CONFLICT ON CONSTRAINT is best turned into an inference (pair_side's `inference`).
 * Either index may raise a violation: `pair_logical_name` tells what the client knows it as.
 */
#ifndef SEGUE_TRANSITION_PAIR_H
#define SEGUE_TRANSITION_PAIR_H

#include "segue/base/text.h"
#include "segue/transition/phase.h"

#include <stdint.h>

struct transition;

enum pair_kind {
    PAIR_PRIMARY_KEY,
    PAIR_UNIQUE,       /* constraint */
    PAIR_UNIQUE_INDEX, /* no constraint stands on it */
    PAIR_INDEX,
    PAIR_CHECK,
    PAIR_FOREIGN_KEY /* from the column; those that point at it are looked up when they move */
};
enum { PAIR_KIND_COUNT = 6 };
const char *pair_kind_name(enum pair_kind kind); /* "primary key" */
bool pair_kind_parse(const char *name, enum pair_kind *kind);
static inline bool pair_is_unique(enum pair_kind kind)
{
    return kind <= PAIR_UNIQUE_INDEX;
}
static inline bool pair_is_index(enum pair_kind kind)
{
    return kind <= PAIR_INDEX;
}

struct pair_of_shape {
    char *name;    /* of the constraint and its index in the database, now: the new one's is made up
                      until CONTRACT */
    char *logical; /* what a plain table of this shape calls it, so what its clients say and read */
    char *definition; /* what comes behind CREATE INDEX .. ON t or ADD CONSTRAINT name */
    /*
     * Of a unique pair: what infers it behind ON CONFLICT, over the physical columns as they are
     * named now: "(\"id_segue\")", "(lower(\"name\"::text)) WHERE \"alive\"". NULL of others.
     */
    char *inference;
};

struct pair {
    enum pair_kind kind;
    uint32_t relation; /* the table that it is on: the transition's, or a child of it */
    bool is_part;      /* of the pair at `part_of`, in a partition; it comes and goes with it */
    size_t part_of;
    bool is_deferrable, is_deferred; /* deferrable constraints arbitrate no ON CONFLICT: 55000 */
    struct pair_of_shape side[SHAPE_COUNT];
    char *final_inference; /* of the new one, once CONTRACT has given its column the final name */
};

void pair_release(struct pair *pair);

/* Whose of the two is there in the phase for sure, for a client of that shape. */
enum shape pair_side(enum phase phase, enum shape client);

/* The pair that a client of the shape calls so; NULL where there is none. */
const struct pair *pair_find(const struct transition *transition, enum shape client,
                             const char *logical);
/* What a client of the shape knows the constraint or index of that name in the database as, on the
 * table with that OID or (0) any; NULL where it belongs to no pair, and keeps its name. */
const char *pair_logical_name(const struct transition *transition, uint32_t relation,
                              const char *name, enum shape client);

#endif
