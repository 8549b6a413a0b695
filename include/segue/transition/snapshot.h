/*
 * Snapshot: everything that workers need to know about one database, as of one epoch. Immutable,
 * counted. The fleet publishes a new one on every phase move, hold, or change of the catalog; a
 * session holds the one that its transaction is pinned to.
 */
#ifndef SEGUE_TRANSITION_SNAPSHOT_H
#define SEGUE_TRANSITION_SNAPSHOT_H

#include "segue/catalog/catalog.h"
#include "segue/transition/transition.h"

enum { SNAPSHOT_TRANSITIONS_MAX = 64 }; /* sets of transitions are bits of a uint64_t */

struct snapshot_transition {
    struct transition *transition;
    enum phase phase;
    enum stage stage;
    bool held; /* new transactions that touch the table wait for the next snapshot (CONTRACT, PAUSE)
                */
};

struct snapshot {
    _Atomic uint32_t references;
    uint64_t epoch;          /* of the database's store: grows with every move */
    uint64_t serial;         /* unique in this process, grows with every publication */
    struct catalog *catalog; /* NULL only where transition_count is 0 */
    /* What tables in transition, and those that descend from them, are called: ASCII in lower case,
     * sorted, each once. The last ones hold bytes that only a quoted name can. */
    size_t name_count, odd_name_count;
    char **names;
    bool needs_utf8; /* a name or a conversion holds what is not ASCII */
    size_t transition_count;
    struct snapshot_transition transitions[]; /* transition_count */
};

/* One reference; takes references of its own on catalog and transitions. `serial` is drawn here. */
struct snapshot *snapshot_new(uint64_t epoch, struct catalog *catalog,
                              const struct snapshot_transition *transitions, size_t count);
struct snapshot *snapshot_get(struct snapshot *snapshot);
void snapshot_put(struct snapshot *snapshot); /* NULL is allowed */

/*
 * Shapes of a client: a default and exceptions by transition name, as in "new" or
 * "users_role=new,amount=old".
 */
struct shape_list {
    enum shape fallback;
    size_t count;
    struct {
        char *transition;
        enum shape shape;
    } * exceptions;
};
bool shape_list_parse(struct shape_list *list, const char *text, struct error *error) MUST_CHECK;
void shape_list_release(struct shape_list *list);
/* Bit i set: the client has the new shape in snapshot->transitions[i]. */
uint64_t shape_list_mask(const struct shape_list *list, const struct snapshot *snapshot);

#endif
