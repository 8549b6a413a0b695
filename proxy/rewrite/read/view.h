/*
 * A table in transition as one client sees it at one snapshot: its logical columns in order, where
 * each is read from and written to, and which physical columns do not exist for this client.
 */
#ifndef SEGUE_REWRITE_VIEW_H
#define SEGUE_REWRITE_VIEW_H

#include "segue/base/arena.h"
#include "segue/rewrite/rewrite.h"
#include "segue/sql/parse.h"

enum view_read {
    VIEW_PLAIN,     /* the physical column, by its own name */
    VIEW_RENAMED,   /* the physical column, by another name */
    VIEW_CONVERTED, /* computed */
    VIEW_PARITY     /* own column where in parity, else computed */
};

/* One transition on the table, as this client meets it. */
struct view_transition {
    const struct snapshot_transition *at;
    unsigned index; /* in the snapshot */
    enum shape shape;
    bool writes_own, writes_other;
    bool is_blocked; /* lossy, new shape, phase old: 55000 */
};

struct view_column {
    const char *name; /* logical */
    enum view_read read;
    const struct view_transition *transition; /* NULL: not in transition */
    const struct transition_column *column;   /* NULL likewise */
    size_t number;                            /* of the shape's columns */
    const struct catalog_column *physical;    /* NULL where the table does not have it */
};

struct view {
    const struct catalog_table *table;
    size_t transition_count;
    struct view_transition *transitions;
    size_t column_count;
    struct view_column *columns; /* logical, in order */
    bool has_numbers_of_table;   /* a child's columns may have other numbers than its table's */
    bool order_is_known;         /* false: a dropped column's place cannot be told */
    const char *const *hidden;
    size_t hidden_count;
    bool is_plain; /* the physical table is what this client sees: nothing need be read otherwise */
    uint64_t touched;
};

/* NULL where no transition of the snapshot is on the table. */
const struct view *view_make(struct arena *arena, const struct rewrite_context *context,
                             const struct catalog_table *table);
const struct view_column *view_find(const struct view *view, const char *name);
bool view_hides(const struct view *view, const char *name);

/*
 * SQL that reads the logical column, in brackets where it is an expression. `qualifier` is put
 * before every physical column ("u.", "").
 */
const char *view_read_sql(struct arena *arena, const struct view_column *column,
                          const char *qualifier);

/* The number of an old column that CONTRACT dropped from the view's table; 0 where it is not known,
 * or the table never had it. */
int16_t view_old_number(const struct view *view, const struct view_transition *transition,
                        size_t number);

/* Names of the transition's columns of a shape as the table has them now. */
const char *view_physical_name(const struct view_transition *transition, enum shape shape,
                               size_t number);

/* What a client gives to a column: how is it known that the column takes values of its type? */
enum view_taken {
    VIEW_TAKEN_UNSURE,     /* not at all */
    VIEW_TAKEN_PARAMETER,  /* it has the type of the column, unless the client declared another */
    VIEW_TAKEN_FOR_CERTAIN /* a literal, say */
};
struct view_value {
    const char *sql;
    enum view_taken taken;
};

/* `(from)::type_bare` of the other shape's column `number`, over SQL texts for this shape's
 * columns, each of which is cast to its type first. */
const char *view_convert_sql(struct arena *arena, const struct view_transition *transition,
                             size_t number, const struct view_value *values);
/* The same, for what the client writes over a row that exists: a lossy transition keeps the row's
 * value where it already reads as `values`. */
const char *view_update_sql(struct arena *arena, const struct view_transition *transition,
                            size_t number, const struct view_value *values, const char *qualifier);

/* The value as the column would hold it: one of a type that it does not take is an error (42804).
 * Where the value is assigned to the column, too, that refuses what is too long. */
const char *view_assigned_sql(struct arena *arena, const struct transition_column *column,
                              const struct view_value *value, bool is_assigned);
/* Strings take anything. */
bool type_takes_all(uint32_t type_oid);
/* The value as one of the type, whatever it is assigned to. */
const char *view_judged_sql(struct arena *arena, const char *type, const struct view_value *value);
/* Of such a type, what is too long would be cut by a cast, and no function refuses it: a value is
 * evaluated a level deeper, where the assignment is. */
bool is_cut_inside(const struct transition_column *column);
/* How it is known that the column takes the value that a node is. */
enum view_taken view_takes(const struct transition_column *column, const sql_node *value);
/* The type without its modifier, for a cast that neither truncates nor rounds: "character
 * varying(20)" -> "character varying". */
const char *view_bare_type(struct arena *arena, const char *type);
const char *view_quote(struct arena *arena, const char *name);

#endif
