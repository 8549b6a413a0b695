/* One INSERT, and what the files about it share. */
#ifndef SEGUE_REWRITE_INSERT_H
#define SEGUE_REWRITE_INSERT_H

#include "carry.h"

/*
 * Places in what is inserted: first the columns that the client gives, in its order, then those of
 * its shape in transition that it leaves out, which get their defaults.
 */
struct insertion {
    struct rewriter *rewriter;
    struct scope *scope;
    const PgQuery__InsertStmt *insert;
    struct scope_item *target;
    const struct view *view;
    const PgQuery__SelectStmt *select; /* NULL: DEFAULT VALUES */
    struct outputs source_outputs;
    size_t override;     /* token OVERRIDING; 0 where there is none */
    size_t list_place;   /* token that a column list that is not there would stand before */
    size_t source_first; /* token */
    size_t source_end;   /* one past its last token */
    size_t count;        /* places given by the client */
    size_t total;        /* places */
    const struct view_column **columns; /* of each place; NULL: the server's error */
    struct item_range *names;           /* tokens of the list; NULL where there is none */
    size_t row_count;
    struct client_value **rows; /* of a plain VALUES, `total` values each; NULL otherwise */
    bool adds_last;             /* what is added comes behind all that the client gives */
    struct carrier *carrier;    /* MERGE: what takes values that would move into WITH; or NULL */
    const char *row_condition;  /* MERGE: true, and names the source's row; NULL elsewhere */
    uint64_t guarded;           /* transitions of which the guard fills the other shape */
    size_t moved_count;         /* values that moved into WITH */
    struct text moved;
};

/* ---- insert.c: the column list and the values, once both are read */
bool write_insertion(struct insertion *at) MUST_CHECK;

/* ---- insert_columns.c: which columns are sent, and what goes into those that are added */
/* The places of a list without columns, or of one that names them; `given` values come. */
bool find_columns(struct insertion *at, size_t given) MUST_CHECK;
/* Is it roles[1] or address.street? */
bool is_element(const struct insertion *at, size_t place);
/* Is the place's own column written by what is sent? */
bool is_sent(const struct insertion *at, size_t place);
/* Is what the place gets used more than once, by its own column and by conversions? */
bool is_used_again(const struct insertion *at, size_t place);
/* A column whose default must be evaluated once for several uses, or in a sub-select. */
bool is_drawn(const struct insertion *at, size_t place);
/* The transition's first place that the client gives; at->count where it gives none. */
size_t first_own(const struct insertion *at, const struct view_transition *transition);
/* Do columns of the transition come that the client did not name? */
bool adds_columns(const struct insertion *at, const struct view_transition *transition);
/* Appends what the client does not give of the transition, over one text per place. */
void add_other_values(struct insertion *at, const struct view_transition *transition,
                      const struct view_value *texts, const char *separator, struct text *out);
/* All that is sent, over one text per place. */
const char *value_list(struct insertion *at, const struct view_value *texts);
const char *name_list(struct insertion *at);
void put_column_list(struct insertion *at);

/* ---- insert_identity.c: GENERATED .. AS IDENTITY, of columns in transition */
bool check_identity(struct insertion *at) MUST_CHECK;
/* What is to stand behind the column list: " OVERRIDING SYSTEM VALUE" or "". */
const char *overriding(const struct insertion *at);
/* OVERRIDING USER VALUE: what the client gives to the place is not taken, but its default. */
bool is_overridden(const struct insertion *at, size_t place);
/* And that default. */
const char *overriding_sql(struct insertion *at, size_t place);
/* The values of such places in rows become their defaults. */
void override_values(struct insertion *at);
/* Makes that clause say SYSTEM VALUE, where the statement gives identities. */
void put_overriding(struct insertion *at);

/* ---- insert_rows.c: rows of VALUES, and DEFAULT VALUES */
bool is_plain_values(const struct insertion *at);
bool read_rows(struct insertion *at) MUST_CHECK;
/* read_value, for the place's column. */
bool read_place(struct insertion *at, size_t place, const sql_node *node, struct item_range range,
                struct client_value *value) MUST_CHECK;
/* Gives the left-out places of a row their defaults. */
void fill_defaults(struct insertion *at, struct client_value *row);
/* Puts a name in the place of what must be evaluated once. */
void move_values(struct insertion *at, struct client_value *row);
/* Is a parameter the value of a column in transition, and beside that in a value of another type?
 * (has_parameter) */
bool repeats_parameter(const struct insertion *at);
void write_rows(struct insertion *at);
void write_default_values(struct insertion *at);

/* ---- insert_source.c: a query, or rows as one */
bool read_query(struct insertion *at) MUST_CHECK;
bool wrap_query(struct insertion *at) MUST_CHECK;
/* Can rows that must be evaluated once be a derived table, without a change to any value's type? */
bool rows_can_be_wrapped(const struct insertion *at);
void wrap_rows(struct insertion *at);

/* ---- on_conflict.c */
bool rewrite_conflict(struct insertion *at) MUST_CHECK;

#endif
