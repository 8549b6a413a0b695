/* The SET list of an UPDATE, of ON CONFLICT or of MERGE, as set_list.c reads it for assign.c. */
#ifndef SEGUE_REWRITE_SET_LIST_H
#define SEGUE_REWRITE_SET_LIST_H

#include "write.h"

enum set_source {
    SET_SINGLE, /* name = value */
    SET_ROW,    /* (names) = (values): the same as single assignments */
    SET_QUERY   /* (names) = (SELECT ..), or a row with a star in it */
};

struct assignment {
    const PgQuery__ResTarget *target;
    struct set_item *item;
    size_t place;                     /* in the item */
    struct item_range name;           /* tokens, with subscripts and fields */
    const char *name_sql;             /* as the table has it */
    const struct view_column *column; /* NULL where it is not in transition */
    const struct view_column *any;    /* likewise, but any column of the view */
    struct client_value value;        /* not of a query's */
};

/* What stands between two commas of the list. */
struct set_item {
    enum set_source source;
    struct item_range range; /* tokens */
    size_t count;
    struct assignment *assignments;
    /* A query: its text, and whether it is known to give `count` columns. A row with a star is the
     * query that its items make. */
    struct client_value query;
    bool is_starred, is_counted;
};

struct set_list {
    struct rewriter *rewriter;
    struct scope *scope;
    const struct scope_item *target;
    const struct view *view; /* NULL: the target is not in transition */
    size_t count;
    struct assignment *assignments; /* in the order of the text */
    size_t item_count;
    struct set_item *items;
};

/* Reads the list and rewrites the expressions in it. */
bool set_list_read(struct set_list *set, PgQuery__Node *const *list) MUST_CHECK;

#endif
