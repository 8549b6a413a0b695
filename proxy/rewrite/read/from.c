/*
 * FROM: from the tree to scope items, after PostgreSQL's transformFromClauseItem. Tables, functions
 * and joins have files of their own.
 */
#include "from.h"

static bool read_sub_select(struct rewriter *rewriter, struct scope *scope,
                            const PgQuery__RangeSubselect *range, struct scope_items *added)
{
    struct outputs outputs;
    outputs_init(&outputs);
    bool was_active = scope->lateral_active;
    scope->lateral_active = range->lateral;
    bool ok = rewrite_query(rewriter, scope, sql_unwrap(range->subquery), &outputs);
    scope->lateral_active = was_active;
    if (!ok)
        return false;
    struct scope_item *item = new_item(rewriter, range->alias ? range->alias->aliasname : NULL);
    item->columns = outputs.columns;
    item->column_count = outputs.count;
    item->is_complete = outputs.is_complete;
    if (range->alias)
        scope_rename_columns(rewriter->arena, item, range->alias->colnames,
                             range->alias->n_colnames);
    scope_items_add(rewriter->arena, added, item);
    return true;
}

/* The tokens of "TABLESAMPLE method (..) [REPEATABLE (..)]": [first, end). */
static void find_sample(const struct rewriter *rewriter, const PgQuery__RangeTableSample *sample,
                        size_t *first, size_t *end)
{
    size_t method = sql_token_at(&rewriter->tree, (uint32_t)sample->location);
    *first = method - 1;
    *end = sql_token_closing(&rewriter->tree, sql_name_end(&rewriter->tree, method)) + 1;
    if (token_kind(rewriter, *end) == PG_QUERY__TOKEN__REPEATABLE)
        *end = sql_token_closing(&rewriter->tree, *end + 1) + 1;
}

/* A derived table cannot be sampled; the table in it can. */
static bool read_sample(struct rewriter *rewriter, struct scope *scope,
                        const PgQuery__RangeTableSample *sample, struct scope_items *added)
{
    const sql_node *relation = sql_unwrap(sample->relation);
    size_t first, end;
    find_sample(rewriter, sample, &first, &end);
    size_t mark = rewriter->edits.count;
    if (!rewrite_list(rewriter, scope, sample->args, sample->n_args) ||
        !rewrite_expression(rewriter, scope, sql_unwrap(sample->repeatable)))
        return false;
    if (!SQL_IS(relation, range_var) || !is_derived(rewriter, AS_NODE(RangeVar, relation)))
        return read_item(rewriter, scope, relation, added);
    uint32_t from = token_start(rewriter, first), to = token_end(rewriter, end - 1);
    const char *text =
        arena_format(rewriter->arena, " %s", edits_render(&rewriter->edits, mark, from, to));
    edits_replace(&rewriter->edits, from, to, "");
    return read_table(rewriter, scope, AS_NODE(RangeVar, relation), text, added);
}

bool read_item(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
               struct scope_items *added)
{
    if (SQL_IS(node, range_var))
        return read_table(rewriter, scope, AS_NODE(RangeVar, node), "", added);
    if (SQL_IS(node, range_subselect))
        return read_sub_select(rewriter, scope, AS_NODE(RangeSubselect, node), added);
    if (SQL_IS(node, range_function))
        return read_function(rewriter, scope, AS_NODE(RangeFunction, node), added);
    if (SQL_IS(node, range_table_sample))
        return read_sample(rewriter, scope, AS_NODE(RangeTableSample, node), added);
    if (SQL_IS(node, range_table_func))
        return read_table_function(rewriter, scope, AS_NODE(RangeTableFunc, node), added);
    if (SQL_IS(node, join_expr))
        return read_join(rewriter, scope, AS_NODE(JoinExpr, node), added);
    return refuse(rewriter, -1, "an item of FROM that Segue does not know");
}

bool rewrite_from(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                  size_t count)
{
    scope->in_from = true;
    for (size_t i = 0; i < count; i++) {
        struct scope_items added = {0};
        if (!read_item(rewriter, scope, sql_unwrap(list[i]), &added))
            return false;
        append_items(rewriter, &scope->items, &added);
    }
    scope->in_from = false;
    return true;
}
