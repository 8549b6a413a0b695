/* What the files about FROM share. Each `read_` adds the scope items that its node stands for. */
#ifndef SEGUE_REWRITE_FROM_H
#define SEGUE_REWRITE_FROM_H

#include "../rewriter.h"

/* Several items, where it is a join without an alias. */
bool read_item(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
               struct scope_items *added) MUST_CHECK;
void append_items(struct rewriter *rewriter, struct scope_items *to,
                  const struct scope_items *from);

/* relation.c; `alias` may be NULL, `sample` is the text of TABLESAMPLE or "" */
struct scope_item *new_item(struct rewriter *rewriter, const char *alias);
bool read_table(struct rewriter *rewriter, struct scope *scope, const PgQuery__RangeVar *range,
                const char *sample, struct scope_items *added) MUST_CHECK;
/* Must it be put in as a derived table? */
bool is_derived(const struct rewriter *rewriter, const PgQuery__RangeVar *range);

/* from_function.c */
bool read_function(struct rewriter *rewriter, struct scope *scope,
                   const PgQuery__RangeFunction *range, struct scope_items *added) MUST_CHECK;
bool read_table_function(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__RangeTableFunc *range,
                         struct scope_items *added) MUST_CHECK;

/* join.c */
bool read_join(struct rewriter *rewriter, struct scope *scope, const PgQuery__JoinExpr *join,
               struct scope_items *added) MUST_CHECK;

#endif
