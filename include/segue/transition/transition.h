/*
 * Transition: one change of shape of one table, as defined by a transition file and bound to the
 * database's catalog at APPLY. Immutable and counted; phase and stage are beside it, in the
 * snapshot.
 */
#ifndef SEGUE_TRANSITION_TRANSITION_H
#define SEGUE_TRANSITION_TRANSITION_H

#include "segue/base/text.h"
#include "segue/transition/pair.h"
#include "segue/transition/phase.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 * A conversion: SQL over the other shape's columns, cut at its column references, so that any SQL
 * can be put in their places. Every piece is followed by a slot, save the last.
 *   "string_to_array(role, ',')"  ->  pieces "string_to_array(", ", ',')"   slots {0}
 */
struct conversion {
    char *source; /* as written */
    size_t slot_count;
    char **pieces;   /* slot_count + 1 */
    uint16_t *slots; /* index into the other shape's columns */
};

/* Appends the expression with `arguments[i]` (SQL text, put in as it is: parenthesise before) for
 * column i. */
void conversion_render(const struct conversion *conversion, const char *const *arguments,
                       struct text *out);

struct transition_column {
    char *name;      /* logical: what clients of this shape call it */
    char *physical;  /* in the table until CONTRACT; for old columns equal to name */
    char *type;      /* as format_type prints it, with typmod: what reads are cast to */
    char *type_bare; /* the same without typmod: what written values are cast to (REWRITE.md, trap
                        1) */
    char *default_expression; /* NULL where the shape declares none */
    bool default_is_volatile;
    bool default_is_declared; /* by the definition; otherwise the database's, or derived */
    bool not_null;
    bool not_null_is_declared;
    /*
     * GENERATED .. AS IDENTITY, to the clients of this shape: 'a' ALWAYS, 'd' BY DEFAULT, 0 none.
     * Whether the column in the table is one changes with the phases, so that it can be told is all
     * there is: default_expression is the nextval of its sequence (volatile), a statement that
     * writes it must say OVERRIDING SYSTEM VALUE (which is allowed where there is no identity), and
     * what ALWAYS forbids (428C9) is judged by this.
     */
    char identity;
    uint32_t type_oid;
    int32_t typmod;
    bool is_domain;
    int16_t attnum; /* kept when CONTRACT drops the column: where `*` has it; 0 where not known */
    uint32_t collation; /* 0 where the type has none */
    /* The collation that a computed value must be given to be as the column's own, quoted; NULL
     * where it has that anyway. */
    char *read_collation;
    bool keeps_null; /* converted from NULLs alone it is NULL */
    struct conversion from;
};

enum guard { GUARD_OFF, GUARD_SYNC, GUARD_REJECT };
const char *guard_name(enum guard guard);
bool guard_parse(const char *name, enum guard *guard);

struct transition {
    _Atomic uint32_t references;
    char *name;
    char *schema; /* of the table; NULL until bound where the definition names none */
    char *table;
    uint32_t table_oid; /* 0 until bound */
    bool lossless;
    bool is_plain_cast; /* one column of each shape, and both conversions are casts between types of
                           one category: SQL over the one column means the same over the other */
    bool conversions_fit;   /* each was planned, and calls nothing volatile: it may be evaluated */
    bool depends_on_styles; /* conversions put dates or intervals into words, or read them */
    char *date_style, *interval_style; /* then: what a session's settings must be; bound. Or NULL */
    enum guard guard;
    struct transition_column *columns[SHAPE_COUNT];
    size_t column_count[SHAPE_COUNT];
    struct pair *pairs; /* pair.h */
    size_t pair_count;
    char *source; /* the text of the transition file's block, as given to APPLY */

    /* Use, counted by workers with relaxed order, read by SHOW and RETIRE. Never part of its
     * meaning. */
    _Atomic uint64_t statements[SHAPE_COUNT];
    _Atomic uint64_t last_used_ms[SHAPE_COUNT]; /* clock_real_ms; 0 never */
    _Atomic uint64_t counted_since_ms;          /* since when this process counts */
};

struct transition *transition_get(struct transition *transition);
void transition_put(struct transition *transition); /* NULL is allowed */

const struct transition_column *transition_find_logical(const struct transition *transition,
                                                        enum shape shape, const char *name);
const struct transition_column *transition_find_physical(const struct transition *transition,
                                                         enum shape shape, const char *physical);
/*
 * The one column of the other shape whose value and this one's follow from each other alone: of a
 * split, none; where a pair of columns changes one by one, each has one. Its number, or
 * TRANSITION_NONE.
 */
#define TRANSITION_NONE ((size_t)-1)
size_t transition_partner(const struct transition *transition, enum shape shape, size_t column);
/* Their names in the table as an array, "{id}", of both shapes in the same order. */
void transition_partner_names(const struct transition *transition, enum shape shape,
                              struct text *out);
/* The name of the column in the table now: `physical`, or `name` once contracted. */
const char *transition_column_name(const struct transition_column *column, enum stage stage);

/*
 * "new IS NOT DISTINCT FROM forward(old) OR old IS NOT DISTINCT FROM backward(new)", over all
 * columns of both shapes; every physical column prefixed with `qualifier` ("NEW.", "u.", "").
 */
void transition_parity(const struct transition *transition, const char *qualifier,
                       struct text *out);
/* `(from)::type` of a shape's column, over the physical columns of the other shape, so prefixed. */
void transition_converted(const struct transition *transition, enum shape shape, size_t column,
                          const char *qualifier, struct text *out);

/*
 * Parses transition definitions (the text of a transition file). Gives *count unbound transitions,
 * each with one reference, in an array that the caller frees. On failure NULL, and the error names
 * file
 * (`file_name`, as the user knows it), line and what was expected; nothing is kept.
 */
struct transition **transition_parse(const char *text, const char *file_name, size_t *count,
                                     struct error *error);

/* Carries the counts of use over from the object that this one replaces at a reload. */
void transition_carry_use(struct transition *transition, const struct transition *from);

/* Cuts `source` at its column references, which must be among `names` (the other shape's columns).
 */
bool conversion_init(struct conversion *conversion, const char *source, const char *const *names,
                     size_t name_count, struct error *error) MUST_CHECK;
void conversion_release(struct conversion *conversion);

/*
 * Looks the definition up in the database: table, columns, types, defaults. Fills the bound fields.
 * Blocking, in the caller's transaction, and leaves search_path = pg_catalog for the rest of it, so
 * that every name it stores is qualified. `stage` says which physical columns are there to be
 * looked up. Where table_oid is set already the table is found by it, whatever its name is by now.
 */
struct pg_conn;
bool transition_bind(struct transition *transition, struct pg_conn *connection, enum stage stage,
                     struct error *error) MUST_CHECK;

/*
 * For a bound transition that is about to be applied: asks the server to type-check the conversions
 * both ways and the parity test, under a search path of pg_catalog alone, as clients of any search
 * path will run them; refuses volatile ones, names that are taken, and what cannot be carried over
 * (a view on the column, ..); finds the pairs. In the caller's transaction, which must be rolled
 * back to before the call (temporary tables are made) whatever the outcome.
 */
bool transition_fit(struct transition *transition, struct pg_conn *connection,
                    struct error *error) MUST_CHECK;

/* What hangs on the old columns, in the table and its partitions: "index users_role_idx". */
enum dependent_fate {
    DEPENDENT_REFUSED, /* transition_fit refuses the transition because of it */
    DEPENDENT_CARRIED, /* has a counterpart (pair.h), or is moved over at CONTRACT */
    DEPENDENT_LEFT     /* goes with the old columns */
};
typedef void (*transition_dependent_callback)(void *context, const struct transition_column *column,
                                              const char *description, enum dependent_fate fate);
bool transition_dependents(const struct transition *transition, struct pg_conn *connection,
                           transition_dependent_callback callback, void *context,
                           struct error *error) MUST_CHECK;

#endif
