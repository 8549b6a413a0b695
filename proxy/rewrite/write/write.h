/* What INSERT and UPDATE share: values of the client's text, and where copies of them go. */
#ifndef SEGUE_REWRITE_WRITE_H
#define SEGUE_REWRITE_WRITE_H

#include "../rewriter.h"

/* Stands in SQL for the client's value: the first time for its own text, then for copies. */
#define VALUE_MARK        '\1'
#define VALUE_MARK_STRING "\1"

/* A value in the client's text: bytes [start, end). */
struct client_value {
    uint32_t start, end;
    const sql_node *node;
    bool is_default; /* the word DEFAULT, or left out */
    bool is_moved;   /* its text stands elsewhere: `sql` names it */
    bool is_spelled; /* a default that does not stand in the text as the word, nor is left out */
    const char *sql; /* as rewritten; for DEFAULT what the shape's column has */
};

/* Ranges of tokens [first, end) between the commas of a bracket. */
struct item_range {
    size_t first, end;
};
struct item_range *split_items(struct rewriter *rewriter, size_t opening, size_t *count);

/* The value as conversions of the column take it. */
struct view_value value_for(const struct client_value *value, const struct view_column *column);

/* Rewrites the value's expression and fills `value`; `column` may be NULL. */
bool read_value(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
                struct item_range range, const struct view_column *column,
                struct client_value *value) MUST_CHECK;

/* Fails as the server does where a part, roles[1] or address.street, is given DEFAULT. */
bool fail_default_part(struct rewriter *rewriter, const PgQuery__ResTarget *target) MUST_CHECK;

/*
 * The default of the shape's own column, as an expression. `condition` is one that is true and
 * names a row: so a default that takes a sub-select is evaluated for each such row. NULL where it
 * stands for one row only.
 */
const char *default_sql(struct rewriter *rewriter, const struct view_column *column,
                        const char *condition);
/* The next number of an identity of the table. */
const char *next_identity_sql(struct arena *arena, const struct catalog_table *table,
                              const char *column);
/* Is it none that a column of a table could have, since it takes a sub-select? */
bool default_is_query(const struct transition_column *column);

/*
 * Replaces [start, value->start) and appends after value->end, so that what stands there is `sql`
 * with the client's own text at its first VALUE_MARK. Replaces everything where there is no mark.
 */
void place_value(struct rewriter *rewriter, uint32_t start, const struct client_value *value,
                 const char *sql);
/* The same, but none of it is the client's own: an error in it has no place in the client's text.
 * Of a value that a part does not take, PostgreSQL tells where the column is named. */
void place_part(struct rewriter *rewriter, uint32_t start, const struct client_value *value,
                const char *sql);
/* What the text holds, for as long as the rewriting lasts; it is released. */
const char *keep_text(struct rewriter *rewriter, struct text *text);
/* `sql` with every mark replaced by the value's text. */
const char *fill_value(struct rewriter *rewriter, const char *sql, const char *value);

const char *physical_quoted(struct rewriter *rewriter, const struct view_transition *transition,
                            enum shape shape, size_t number);
size_t other_count(const struct view_transition *transition);
size_t own_count(const struct view_transition *transition);
/* The view's column for a number of the transition's own shape. */
const struct view_column *own_column(const struct view *view,
                                     const struct view_transition *transition, size_t number);
/* A literal or parameter that takes the type of where it goes. */
bool is_untyped(const sql_node *node);
bool is_number(const sql_node *node);
/*
 * Is it parameter `number`, or is that part of it? Where one is the whole of several values of a
 * row, PostgreSQL gives it a type only when it assigns them, one after the other, and refuses a
 * second type (42P08). A conversion's cast would have given it one by then, unless it is read last.
 */
bool has_parameter(const sql_node *node, int32_t number);
/* Puts a cast to the column's type around the item: an untyped one, but a parameter's type the
 * client may have declared. */
void cast_item(struct rewriter *rewriter, struct item_range range, const sql_node *node,
               const struct view_column *column);
/* Casts the untyped ones among a SELECT's items to the types of the columns that they go to
 * (REWRITE.md, trap 3). `outputs` are what the SELECT gives. */
void cast_untyped_targets(struct rewriter *rewriter, const PgQuery__SelectStmt *select,
                          const struct view_column *const *columns, size_t count,
                          const struct outputs *outputs);
/* Columns of a wrapped source: "segue_v.c3". */
const char *source_column(struct rewriter *rewriter, size_t number);
/* "segue_v(c1, c2, ..)". */
const char *source_alias(struct rewriter *rewriter, size_t count);

#endif
