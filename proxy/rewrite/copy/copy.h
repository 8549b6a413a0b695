/* What the files about COPY share. */
#ifndef SEGUE_REWRITE_COPY_H
#define SEGUE_REWRITE_COPY_H

#include "../write/write.h"

/* Tokens of a COPY of a table:
 * COPY [BINARY] name [(columns)] FROM|TO [PROGRAM] target [[USING] DELIMITERS '..'] [WITH] options
 */
struct copy_places {
    size_t copy;
    size_t binary; /* 0: not there */
    size_t relation, list;
    size_t direction;
    size_t target;                         /* STDIN, STDOUT or a string: its last token */
    size_t delimiters, delimiters_literal; /* 0: not there; the first tokens of both */
    size_t options;                        /* what follows WITH, or where that would be */
    size_t end;                            /* one past the statement's last token */
};

struct copying {
    struct rewriter *rewriter;
    const PgQuery__CopyStmt *copy;
    const struct view *view;
    struct copy_places places;
    size_t count;
    const struct view_column **columns; /* that are copied, in order */
};

/* ---- copy_in.c: FROM */
bool copy_in(struct copying *at) MUST_CHECK;

/* ---- copy_stage.c: FROM by way of a temporary table */
bool copy_in_staged(struct copying *at) MUST_CHECK;

/* ---- copy_where.c: what the condition of a COPY FROM names */
struct copy_reference {
    const PgQuery__ColumnRef *node;
    const char *name;                 /* of the column; NULL: the whole row */
    const struct view_column *column; /* NULL where the client's shape has none of this name */
    bool is_qualified;                /* by the table's name */
};
typedef bool (*copy_reference_callback)(struct copying *at, const struct copy_reference *reference,
                                        void *data);
/* Calls for each reference until one says false; gives false then. */
bool copy_where_references(struct copying *at, copy_reference_callback callback, void *data);

/* 42703; false. */
bool copy_fail_unknown(struct copying *at, const char *name) MUST_CHECK;
/* NULL where the option is not given. */
const PgQuery__DefElem *copy_option(const PgQuery__CopyStmt *copy, const char *name);
/* Names of the transition's own column as the table has it now; of any other its own. */
const char *copy_physical_name(const struct view_column *column);

static inline struct slice copy_source(const struct copying *at, size_t first, size_t end)
{
    uint32_t start = token_start(at->rewriter, first);
    return (struct slice){at->rewriter->source.data + start,
                          token_end(at->rewriter, end - 1) - start};
}

#endif
