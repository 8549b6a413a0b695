/*
 * Scope: what names mean at one level of a statement, modelled on PostgreSQL's parse_relation.c.
 *
 * Each query level has a scope, its parent is the level around it. A scope holds items, one per
 * thing that can be named in FROM, and the common table expressions of its WITH. All memory is the
 * arena's; items do not move.
 */
#ifndef SEGUE_SQL_SCOPE_H
#define SEGUE_SQL_SCOPE_H

#include "segue/catalog/catalog.h"
#include "segue/sql/parse.h"

struct scope_item;

enum scope_join { SCOPE_JOIN_INNER, SCOPE_JOIN_LEFT, SCOPE_JOIN_RIGHT, SCOPE_JOIN_FULL };

struct scope_column {
    const char *name;
    const void *meaning; /* the owner's word on the column; NULL for an ordinary one */
    uint32_t table_oid;  /* the column that a computed one stands for; 0: none, or not computed */
    int16_t attnum;
    uint32_t type_oid; /* 0: not known */
    int32_t typmod;
    bool is_merged;            /* by USING or NATURAL */
    struct scope_item *source; /* of a join's column that is not merged: where it comes from */
    size_t source_column;
    /* The table's column that it is nothing but, through joins and their aliases; NULL: not told.
     */
    const struct scope_item *base;
    size_t base_column;
    /* Of a merged column: the two sides, NULL where one is not known; and, where it is nothing but
     * one side's, that one. */
    struct scope_item *sides[2];
    size_t side_columns[2];
    struct scope_item *same;
    size_t same_column;
    enum scope_join merged_by;
};

struct scope_item {
    const char *alias;  /* what qualifies its columns; NULL for a join without an alias */
    const char *schema; /* of a relation without an alias: it may be qualified by it too */
    size_t column_count;
    struct scope_column *columns;
    bool is_complete;         /* false: it may have columns that are not listed */
    bool names_are_certain;   /* false: a listed column may not be there (functions) */
    bool is_relation_visible; /* can be named as a qualifier */
    bool is_columns_visible;  /* its columns can be named bare */
    const void *meaning;      /* the owner's word on the item; NULL for an ordinary one */
    const void *derived;      /* the same, where a derived table took its place */
    uint32_t row_oid;         /* the table that its computed rows stand for; 0: none */
    bool renames_row; /* its row has not the names of the table's row: a column alias list */
    bool is_target;   /* of INSERT, UPDATE, DELETE */
    bool is_nullable; /* an outer join may make up its row, of NULLs */
    /* A join without an alias: its sides, for expanding a star. */
    struct scope_item *left, *right;
    size_t merged_count;
};

/* Growing arrays of items. */
struct scope_items {
    size_t count, room;
    struct scope_item **items;
};
void scope_items_add(struct arena *arena, struct scope_items *items, struct scope_item *item);

struct scope_cte {
    const char *name;
    size_t column_count;
    struct scope_column *columns;
    bool is_complete;
    struct scope_cte *next;
};

struct scope {
    struct scope *parent;
    struct scope_items items;
    struct scope_cte *ctes;
    /* While FROM is read: items may be seen from below only through LATERAL. */
    bool in_from, lateral_active;
    bool has_grouping_sets;
    bool is_grouped;   /* it has a GROUP BY */
    bool reads_groups; /* the clause at hand is about groups: targets, HAVING, WINDOW, ORDER BY */
};

enum scope_answer { SCOPE_FOUND, SCOPE_NOT_FOUND, SCOPE_AMBIGUOUS, SCOPE_UNSURE };

struct scope_found {
    struct scope_item *item; /* the item that the name means; a join's unmerged column leads to
                                what it was joined from */
    size_t column;
    struct scope_item *seen; /* the item it was found in */
};

/* A bare name, from inside to outside. */
enum scope_answer scope_column_find(const struct scope *scope, const char *name,
                                    struct scope_found *found);
/* A qualifier. */
enum scope_answer scope_relation_find(const struct scope *scope, const char *schema,
                                      const char *name, struct scope_item **item);
/* Index of a column of the item; its column_count where there is none. */
size_t scope_item_column(const struct scope_item *item, const char *name);
/* Has a later column of the item the same name? */
bool scope_item_has_double(const struct scope_item *item, size_t column);
const struct scope_cte *scope_cte_find(const struct scope *scope, const char *name);

/*
 * The item that a join makes of two sides (without alias). `using_names` are the columns it merges.
 */
struct scope_item *scope_join(struct arena *arena, enum scope_join kind,
                              struct scope_item *const *left, size_t left_count,
                              struct scope_item *const *right, size_t right_count,
                              const char *const *using_names, size_t using_count);

/* Gives the item's columns the names of an alias' list; more names than columns is the server's
 * error. */
void scope_rename_columns(struct arena *arena, struct scope_item *item, PgQuery__Node *const *names,
                          size_t count);

/*
 * The name that PostgreSQL gives to a target without AS (FigureColname); "?column?" where it finds
 * none.
 */
const char *sql_column_name(const sql_node *expression);

#endif
