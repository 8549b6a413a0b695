/*
 * What the files of this room share while one text is rewritten.
 *
 * Functions that walk give false to stop: either `error` is set (the text is refused), or a table
 * must be put in as a derived table after all, and the statement is begun again with that known.
 */
#ifndef SEGUE_REWRITE_REWRITER_H
#define SEGUE_REWRITE_REWRITER_H

#include "edits.h"
#include "read/view.h"
#include "segue/sql/scope.h"

#define AS_NODE(type, node) ((const PgQuery__##type *)(const void *)(node))

/* What a reference in FROM, or a target, to a table in transition is, while it stays in place. */
struct place_of_table {
    const struct view *view;
    const PgQuery__RangeVar *range;
};

struct named_list {
    size_t count, room;
    struct rewrite_named *list;
};

struct staging_list {
    size_t count, room;
    struct rewrite_staging *list;
};
/* The new entry, to be filled; its strings are on the heap. */
struct rewrite_staging *staging_list_add(struct staging_list *list);

/* What is said, where only groups can be read, of a table's column or row: group_key.c judges it
 * when all is known of the grouping. */
struct group_use {
    const struct scope_item *item;
    size_t column; /* of a derived table; GROUP_USE_ROW, or GROUP_USE_BELOW */
    int32_t location;
};
/* The row of a derived table; a computed column of one in place, used in a sub-select. */
#define GROUP_USE_ROW   SIZE_MAX
#define GROUP_USE_BELOW (SIZE_MAX - 1)

struct carrier;

struct rewriter {
    struct arena *arena;
    const struct rewrite_context *context;
    struct slice source;
    struct sql_tree tree;
    struct edits edits;
    struct error error;
    bool is_begun_again;
    bool is_condition;                 /* what is read is part of WHERE or ON */
    const PgQuery__RangeVar **derived; /* to be put in as derived tables */
    size_t derived_count, derived_room;
    struct scope_cte *filling; /* recursive CTE whose columns the next set operation tells */
    const char *first_table;   /* name of the first transition that the statement touches */
    uint64_t touched;
    uint32_t statement;      /* the one at hand, of the text's */
    size_t row_queries;      /* sub-selects that SET lists assign rows from, so far */
    struct carrier *carrier; /* not NULL: no SET list may be given one; this takes what it can */
    bool makes_table;        /* CREATE TABLE AS */
    bool tells_results;      /* its rows are shown to the client, by it or by what it makes */
    size_t result_count, result_room;
    struct rewrite_result *results;
    size_t group_use_count, group_use_room;
    struct group_use *group_uses;
    struct named_list named;
    struct staging_list stagings;
};

/* An output that is nothing but a table's column. */
struct output_base {
    size_t output;
    const struct scope_item *item;
    size_t column;
};

/* The columns that a query gives. */
struct outputs {
    size_t count, room;
    struct scope_column *columns;
    bool is_complete;
    size_t base_count, base_room;
    struct output_base *bases;
};
void outputs_init(struct outputs *outputs);
void outputs_add(struct rewriter *rewriter, struct outputs *outputs,
                 const struct scope_column *column);

/* ---- text.c: errors, always false */
bool refuse(struct rewriter *rewriter, int32_t location,
            const char *construct) MUST_CHECK; /* 0A000 */
/* The same, where it is this transition that stands in the way, and not just the first one that the
 * statement meets. */
bool refuse_for(struct rewriter *rewriter, const struct view_transition *transition,
                int32_t location, const char *construct) MUST_CHECK;
bool fail_at(struct rewriter *rewriter, int32_t location, const char *sqlstate, const char *format,
             ...) PRINTF_LIKE(4, 5) MUST_CHECK;
bool refuse_blocked(struct rewriter *rewriter, const struct view_transition *transition,
                    int32_t location) MUST_CHECK;

/* ---- reference.c: names in expressions */
enum place { PLACE_EXPRESSION, PLACE_TARGET };
bool rewrite_reference(struct rewriter *rewriter, const struct scope *scope,
                       const PgQuery__ColumnRef *reference, enum place place) MUST_CHECK;
bool rewrite_expression(struct rewriter *rewriter, struct scope *scope,
                        const sql_node *node) MUST_CHECK;
bool rewrite_list(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                  size_t count) MUST_CHECK;
const struct place_of_table *table_of(const struct scope_item *item);
/* The table that it is, in place or derived; NULL where it is none in transition. */
const struct view *view_of_item(const struct scope_item *item);
/* The table that a type is the row type of; NULL where there is none. */
const struct catalog_table *table_of_type(struct rewriter *rewriter, const PgQuery__TypeName *type);
/* The table shall be a derived table: begin again; refused where it is a target. */
bool need_derived(struct rewriter *rewriter, const struct scope_item *item, int32_t location,
                  const char *construct) MUST_CHECK;
/*
 * SQL that reads a column of the item where `scope` is: as view_read_sql, but as a column of the
 * plain table would behave in an expression. It is NULL in the row that an outer join makes up, and
 * its collation is implicit.
 */
bool column_sql(struct rewriter *rewriter, const struct scope *scope, const struct scope_item *item,
                const struct view_column *column, const char *qualifier, int32_t location,
                const char **sql) MUST_CHECK;
bool is_in_grouping_sets(const struct scope *scope, const struct scope_item *item);
/* Would the server find a column that is hidden from this client, no further out than `seen`? */
bool is_captured(const struct scope *scope, const struct scope_item *seen, const char *name);
/* "alias." for a column of the item as named from `scope`; NULL where it cannot be named. */
const char *qualifier_of(struct rewriter *rewriter, const struct scope *scope,
                         const struct scope_item *item);

/* ---- whole_row.c */
bool rewrite_whole_row(struct rewriter *rewriter, const struct scope *scope,
                       const struct scope_item *item, const PgQuery__ColumnRef *reference,
                       enum place place) MUST_CHECK;
/* The item whose whole row a node is, as u or u.*; NULL where it is anything else. */
struct scope_item *item_of_row(const struct scope *scope, const sql_node *node);
/* All columns of the client's shape, separated by commas, each with its name or not. */
bool columns_sql(struct rewriter *rewriter, const struct scope *scope,
                 const struct scope_item *item, const char *qualifier, int32_t location,
                 bool with_names, const char **sql) MUST_CHECK;
bool rewrite_indirection(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__AIndirection *node) MUST_CHECK;
/* (u).* where it gives columns; `done` is false where `value` is anything else. */
bool rewrite_row_star(struct rewriter *rewriter, const struct scope *scope, const sql_node *value,
                      bool with_names, bool *done) MUST_CHECK;
/* The item whose row is cast to the type that it has anyway, as in u::users; NULL where it is any
 * other cast. */
const struct scope_item *item_of_row_cast(struct rewriter *rewriter, const struct scope *scope,
                                          const PgQuery__TypeCast *cast);
/* Takes such a cast away; `done` is false for any other. */
bool rewrite_row_cast(struct rewriter *rewriter, struct scope *scope, const PgQuery__TypeCast *cast,
                      bool *done) MUST_CHECK;
/* role(u) for u.role; `done` is false where it is an ordinary call. */
bool rewrite_call_on_row(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__FuncCall *call, bool *done) MUST_CHECK;
/* Items of ROW() or of a row of VALUES: stars give columns. */
bool rewrite_row_items(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                       size_t count) MUST_CHECK;

/* ---- group_key.c: GROUP BY a primary key still means its row's other columns */
bool keep_group_key(struct rewriter *rewriter, struct scope *scope,
                    const PgQuery__SelectStmt *select, const struct outputs *outputs) MUST_CHECK;
/* A column, or (GROUP_USE_ROW) the row, of what was found in `seen` is named where `scope` is. */
void note_group_use(struct rewriter *rewriter, const struct scope *scope,
                    const struct scope_item *seen, size_t column);
/* A computed column of a table in place is. */
void note_computed_use(struct rewriter *rewriter, const struct scope *scope,
                       const struct scope_item *item, int32_t location);

/* ---- turn.c: conditions that an index on the other column may serve */
bool rewrite_condition(struct rewriter *rewriter, struct scope *scope,
                       const PgQuery__Node *condition) MUST_CHECK;
/* `done` is false where nothing was done. */
bool turn_condition(struct rewriter *rewriter, struct scope *scope,
                    const PgQuery__AExpr *expression, bool *done) MUST_CHECK;

/* ---- star.c: * and u.* in a target list; what they give goes to `outputs` */
bool rewrite_star(struct rewriter *rewriter, struct scope *scope,
                  const PgQuery__ColumnRef *reference, struct outputs *outputs) MUST_CHECK;
bool rewrite_qualified_star(struct rewriter *rewriter, struct scope *scope,
                            const PgQuery__ResTarget *target, struct outputs *outputs) MUST_CHECK;
void star_outputs(struct rewriter *rewriter, const struct scope *scope,
                  const struct scope_item *item, struct outputs *outputs);

/* ---- target.c: target lists and RETURNING */
bool rewrite_targets(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                     size_t count, struct outputs *outputs) MUST_CHECK;
void tell_results(struct rewriter *rewriter, const struct outputs *outputs);

/* ---- from.c, relation.c, with.c */
bool rewrite_from(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                  size_t count) MUST_CHECK;
bool rewrite_with(struct rewriter *rewriter, struct scope *scope,
                  const PgQuery__WithClause *with) MUST_CHECK;
/* The target of a statement that writes; its view is NULL where it is not in transition. */
bool add_target(struct rewriter *rewriter, struct scope *scope, const PgQuery__RangeVar *range,
                struct scope_item **item) MUST_CHECK;
const struct catalog_table *find_table(struct rewriter *rewriter, const PgQuery__RangeVar *range);
const struct view *view_of(struct rewriter *rewriter, const struct catalog_table *table);
/* One past the last token of a table's name, with ONLY's brackets and the star. */
size_t relation_end(const struct rewriter *rewriter, const PgQuery__RangeVar *range);
/* Its first token: ONLY where there is one. */
size_t relation_start(const struct rewriter *rewriter, const PgQuery__RangeVar *range);

/* ---- select.c */
bool rewrite_select(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__SelectStmt *select, struct outputs *outputs) MUST_CHECK;

/* ---- insert.c, update.c, merge.c, assign.c, statement.c */
bool rewrite_insert(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__InsertStmt *insert, struct outputs *outputs) MUST_CHECK;
bool rewrite_update(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__UpdateStmt *update, struct outputs *outputs) MUST_CHECK;
bool rewrite_delete(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__DeleteStmt *stmt, struct outputs *outputs) MUST_CHECK;
bool rewrite_merge(struct rewriter *rewriter, struct scope *parent,
                   const PgQuery__MergeStmt *merge) MUST_CHECK;
/* A query of any kind: SELECT, INSERT, UPDATE, DELETE, MERGE. */
bool rewrite_query(struct rewriter *rewriter, struct scope *parent, const sql_node *query,
                   struct outputs *outputs) MUST_CHECK;
bool rewrite_statement(struct rewriter *rewriter, const sql_node *statement) MUST_CHECK;
/* SELECT .. INTO: of a set operation the first SELECT has it. NULL where there is none. */
const PgQuery__IntoClause *into_of(const PgQuery__SelectStmt *select);
/* The SET list of an UPDATE, of ON CONFLICT or of MERGE. */
bool rewrite_assignments(struct rewriter *rewriter, struct scope *scope,
                         const struct scope_item *target, PgQuery__Node *const *list,
                         size_t count) MUST_CHECK;

/* ---- repeatable.c: may an expression be evaluated twice? (REWRITE.md, trap 2) */
bool is_repeatable(const sql_node *expression);
/* The same, where a sub-select, which costs, may be evaluated twice, too. */
bool is_deterministic(const sql_node *expression);

/* ---- utility.c: statements that are not queries */
bool mentions_table(struct rewriter *rewriter, const sql_node *statement, const struct view **view,
                    int32_t *location);
bool rewrite_utility(struct rewriter *rewriter, const sql_node *statement) MUST_CHECK;
bool rewrite_copy(struct rewriter *rewriter, const PgQuery__CopyStmt *copy) MUST_CHECK;

/* ---- facts.c */
void note_facts(struct rewriter *rewriter, const sql_node *statement, uint32_t number);

/* Bytes of tokens. */
static inline uint32_t token_start(const struct rewriter *rewriter, size_t token)
{
    return token < rewriter->tree.token_count ? rewriter->tree.tokens[token].start
                                              : rewriter->tree.length;
}
static inline uint32_t token_end(const struct rewriter *rewriter, size_t token)
{
    return token < rewriter->tree.token_count ? rewriter->tree.tokens[token].end
                                              : rewriter->tree.length;
}
static inline uint16_t token_kind(const struct rewriter *rewriter, size_t token)
{
    return token < rewriter->tree.token_count ? rewriter->tree.tokens[token].kind : 0;
}
/* NULL for a string that is absent. */
static inline const char *present(const char *string)
{
    return string && string[0] ? string : NULL;
}

#endif
