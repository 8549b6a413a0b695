/* How assign.c, assign_last.c and assign_once.c write what set_list.c has read. */
#ifndef SEGUE_REWRITE_ASSIGN_H
#define SEGUE_REWRITE_ASSIGN_H

#include "set_list.h"

enum write_mode {
    WRITE_NOTHING,  /* none of the transition's columns is assigned */
    WRITE_OWN,      /* only what the client assigns */
    WRITE_REPEATED, /* the values again, converted */
    WRITE_ONCE,     /* through a sub-select */
    WRITE_DRAWN     /* an identity's DEFAULT, to the one column that is written */
};

/* The assignments to a transition's own columns. */
struct owned {
    struct set_list *set;
    const struct view_transition *transition;
    enum write_mode mode;
    bool is_carried; /* REPEATED: what is evaluated once goes by way of MERGE's condition (carry.h)
                      */
    const char *qualifier;
    size_t count;
    struct assignment **assignments; /* in the order of the text */
    size_t cluster;                  /* ONCE: those that share a sub-select have the same */
};

/* ---- assign.c */
/* Replaces all of a single assignment, or of a row's, with SQL around its value's text. */
void replace_assignment(struct rewriter *rewriter, const struct assignment *assignment,
                        const char *sql);
/* With the comma before it; never the first of the list. */
void remove_assignment(struct rewriter *rewriter, const struct assignment *assignment);
/* Does DEFAULT stand for an expression that the table's column has not as its default? */
bool spells_default(const struct assignment *assignment);
const char *own_name(const struct owned *owned, size_t number);
const char *other_name(const struct owned *owned, size_t number);
/* What the other shape's columns become: one text for each. `assigned[n]` is the value of the n-th
 * assignment; columns that are not assigned have the row's. */
const char **other_values(const struct owned *owned, const struct view_value *assigned);
/* Are elements of the own column assigned, rather than all of it? */
bool has_elements(const struct owned *owned, size_t number);
/* Can they be assigned as they are, since the column holds what the client reads? */
bool elements_stay(const struct owned *owned, size_t number);
/* The array that they make of what the client reads. */
const char *with_elements(const struct owned *owned, size_t number,
                          const struct view_value *assigned);
/* What an own column that is not assigned is given all the same; NULL: nothing. */
const char *refreshed(const struct owned *owned, size_t number);

/* ---- assign_last.c */
/*
 * Is a parameter the value of a column in transition, and beside that in a value of another type
 * (has_parameter)? Then the whole list is written anew, what is added behind all that the client
 * gives. False where nothing was done.
 */
bool write_added_last(struct set_list *set, const struct owned *owned, size_t count);

/* ---- assign_once.c */
bool write_clusters(struct set_list *set, struct owned *owned, size_t count);

#endif
