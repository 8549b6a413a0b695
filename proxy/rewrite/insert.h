/* One INSERT, and what the files about it share. */
#ifndef SEGUE_REWRITE_INSERT_H
#define SEGUE_REWRITE_INSERT_H

#include "write.h"

struct insertion {
    struct rewriter *rewriter;
    struct scope *scope;
    const PgQuery__InsertStmt *insert;
    struct scope_item *target;
    const struct view *view;
    const PgQuery__SelectStmt *select; /* NULL: DEFAULT VALUES */
    struct outputs source_outputs;
    size_t list_place;   /* token that a column list that is not there would stand before */
    size_t source_first; /* token */
    size_t source_end;   /* one past its last token */
    size_t count;        /* columns given */
    const struct view_column **columns; /* NULL: the server's error */
    struct item_range *names;           /* tokens of the list; NULL where there is none */
    size_t row_count;
    struct client_value **rows; /* of a plain VALUES; NULL otherwise */
    bool is_wrapped;
};

/* ---- insert_columns.c: which columns are sent, and what goes into those that are added */
/* Place of the transition's first given column; at->count where none is given. */
size_t first_own(const struct insertion *at, const struct view_transition *transition);
/* Must a value be evaluated once and used twice? */
bool needs_wrapping(const struct insertion *at, const struct view_transition *transition);
bool check_defaults(struct insertion *at, const struct view_transition *transition) MUST_CHECK;
/* Do columns of the transition come that the client did not name? */
bool adds_columns(const struct insertion *at, const struct view_transition *transition);
/*
 * Appends what stands for the transition's columns from `texts`, one per given column: own values
 * that are left out are their defaults.
 */
void add_other_values(struct insertion *at, const struct view_transition *transition,
                      const char *const *texts, const char *separator, struct text *out);
/* The list that is sent, from one text per given column. */
const char *value_list(struct insertion *at, const char *const *texts);
const char *name_list(struct insertion *at, const char *const *names);
void put_column_list(struct insertion *at);

/* ---- insert_source.c: where the values come from, as it is sent */
void write_rows(struct insertion *at);
void write_default_values(struct insertion *at);
bool wrap_source(struct insertion *at) MUST_CHECK;

/* ---- on_conflict.c */
bool rewrite_conflict(struct insertion *at) MUST_CHECK;

#endif
