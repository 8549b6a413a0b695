/*
 * SELECT, VALUES and set operations. The order in which clauses are read is not PostgreSQL's where
 * it makes no difference; the rules for bare names in GROUP BY and ORDER BY are.
 */
#include "../rewriter.h"

static bool rewrite_values(struct rewriter *rewriter, struct scope *scope,
                           const PgQuery__SelectStmt *select, struct outputs *outputs)
{
    for (size_t i = 0; i < select->n_values_lists; i++) {
        const PgQuery__List *row = select->values_lists[i]->list;
        if (!rewrite_row_items(rewriter, scope, row->items, row->n_items))
            return false;
    }
    const PgQuery__List *first = select->values_lists[0]->list;
    for (size_t i = 0; i < first->n_items; i++) {
        const char *name = arena_format(rewriter->arena, "column%zu", i + 1);
        outputs_add(rewriter, outputs, &(struct scope_column){.name = name});
    }
    return true;
}

/* ------------------------------------------------------------------ bare names that may be outputs
 */

static const char *bare_name(const sql_node *node)
{
    if (!SQL_IS(node, column_ref) || AS_NODE(ColumnRef, node)->n_fields != 1)
        return NULL;
    return sql_string(AS_NODE(ColumnRef, node)->fields[0]);
}

static size_t find_output(const struct outputs *outputs, const char *name)
{
    for (size_t i = 0; i < outputs->count; i++)
        if (strcmp(outputs->columns[i].name, name) == 0)
            return i;
    return outputs->count;
}

/* ORDER BY and DISTINCT ON: a bare name is an output column first (SQL92). */
static bool rewrite_sort_item(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
                              const struct outputs *outputs)
{
    const char *name = bare_name(node);
    if (!name)
        return rewrite_expression(rewriter, scope, node);
    if (find_output(outputs, name) < outputs->count)
        return true;
    size_t mark = rewriter->edits.count;
    if (!rewrite_expression(rewriter, scope, node))
        return false;
    if (!outputs->is_complete && rewriter->edits.count > mark)
        return refuse(rewriter, AS_NODE(ColumnRef, node)->location,
                      "a bare name to sort by beside columns that Segue does not know (write it "
                      "with its table)");
    return true;
}

static bool rewrite_sort(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                         size_t count, const struct outputs *outputs)
{
    for (size_t i = 0; i < count; i++) {
        const sql_node *node = sql_unwrap(list[i]);
        if (SQL_IS(node, sort_by))
            node = sql_unwrap(AS_NODE(SortBy, node)->node);
        if (node && !rewrite_sort_item(rewriter, scope, node, outputs))
            return false;
    }
    return true;
}

/*
 * GROUP BY: a bare name is an input column first. Where this client has no such input column but
 * the server does, the output is named by its number.
 */
static bool rewrite_group_name(struct rewriter *rewriter, struct scope *scope,
                               const PgQuery__ColumnRef *reference, const struct outputs *outputs)
{
    const char *name = sql_string(reference->fields[0]);
    struct scope_found found;
    size_t output = find_output(outputs, name);
    struct scope level = *scope; /* an output's name comes before what is around the query */
    level.parent = NULL;
    if (output == outputs->count || scope_column_find(&level, name, &found) != SCOPE_NOT_FOUND)
        return rewrite_reference(rewriter, scope, reference, PLACE_EXPRESSION);
    for (size_t i = 0; i < scope->items.count; i++) {
        const struct place_of_table *table = table_of(scope->items.items[i]);
        if (!table || !view_hides(table->view, name))
            continue;
        if (!outputs->is_complete)
            return refuse(rewriter, reference->location, "GROUP BY an output's name");
        size_t token = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
        edits_replace(&rewriter->edits, token_start(rewriter, token), token_end(rewriter, token),
                      arena_format(rewriter->arena, "%zu", output + 1));
        return true;
    }
    return true;
}

static bool rewrite_group(struct rewriter *rewriter, struct scope *scope,
                          PgQuery__Node *const *list, size_t count, const struct outputs *outputs)
{
    for (size_t i = 0; i < count; i++) {
        const sql_node *node = sql_unwrap(list[i]);
        bool ok;
        if (SQL_IS(node, grouping_set))
            ok = rewrite_group(rewriter, scope, AS_NODE(GroupingSet, node)->content,
                               AS_NODE(GroupingSet, node)->n_content, outputs);
        else if (SQL_IS(node, row_expr) && AS_NODE(RowExpr, node)->row_format ==
                                               PG_QUERY__COERCION_FORM__COERCE_IMPLICIT_CAST)
            ok = rewrite_group(rewriter, scope, AS_NODE(RowExpr, node)->args,
                               AS_NODE(RowExpr, node)->n_args, outputs);
        else if (bare_name(node))
            ok = rewrite_group_name(rewriter, scope, AS_NODE(ColumnRef, node), outputs);
        else
            ok = rewrite_expression(rewriter, scope, node);
        if (!ok)
            return false;
    }
    return true;
}

/* DISTINCT alone is a list of one empty node. */
static bool rewrite_distinct(struct rewriter *rewriter, struct scope *scope,
                             const PgQuery__SelectStmt *select, const struct outputs *outputs)
{
    return rewrite_sort(rewriter, scope, select->distinct_clause, select->n_distinct_clause,
                        outputs);
}

static bool rewrite_limits(struct rewriter *rewriter, struct scope *scope,
                           const PgQuery__SelectStmt *select)
{
    return rewrite_expression(rewriter, scope, sql_unwrap(select->limit_offset)) &&
           rewrite_expression(rewriter, scope, sql_unwrap(select->limit_count));
}

static bool has_grouping_sets(const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; i < select->n_group_clause; i++)
        if (select->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
            return true;
    return false;
}

/* What follows is about groups, or about the rows that they are made of. Always true. */
static bool read_groups(struct scope *scope, bool reads_groups)
{
    scope->reads_groups = reads_groups && scope->is_grouped;
    return true;
}

static bool rewrite_plain_select(struct rewriter *rewriter, struct scope *scope,
                                 const PgQuery__SelectStmt *select, struct outputs *outputs)
{
    scope->has_grouping_sets = has_grouping_sets(select);
    scope->is_grouped = select->n_group_clause > 0;
    return rewrite_from(rewriter, scope, select->from_clause, select->n_from_clause) &&
           read_groups(scope, true) &&
           rewrite_targets(rewriter, scope, select->target_list, select->n_target_list, outputs) &&
           read_groups(scope, false) && rewrite_condition(rewriter, scope, select->where_clause) &&
           rewrite_group(rewriter, scope, select->group_clause, select->n_group_clause, outputs) &&
           read_groups(scope, true) &&
           rewrite_expression(rewriter, scope, sql_unwrap(select->having_clause)) &&
           rewrite_list(rewriter, scope, select->window_clause, select->n_window_clause) &&
           rewrite_distinct(rewriter, scope, select, outputs) &&
           rewrite_sort(rewriter, scope, select->sort_clause, select->n_sort_clause, outputs) &&
           keep_group_key(rewriter, scope, select, outputs) &&
           rewrite_limits(rewriter, scope, select);
}

/* The names are those of the left side; nothing of it is a table's column any more. */
static void take_names(struct rewriter *rewriter, const struct outputs *left,
                       struct outputs *outputs)
{
    for (size_t i = 0; i < left->count; i++)
        outputs_add(rewriter, outputs, &(struct scope_column){.name = left->columns[i].name});
    outputs->is_complete = left->is_complete;
}

static bool rewrite_set_operation(struct rewriter *rewriter, struct scope *scope,
                                  const PgQuery__SelectStmt *select, struct scope_cte *filling,
                                  struct outputs *outputs)
{
    struct outputs left, right;
    outputs_init(&left);
    outputs_init(&right);
    if (!rewrite_select(rewriter, scope, select->larg, &left))
        return false;
    take_names(rewriter, &left, outputs);
    if (filling && filling->column_count < outputs->count) {
        /* the names of an alias list are there already, and come first */
        struct scope_column *columns =
            ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, outputs->count);
        memcpy(columns, outputs->columns, outputs->count * sizeof *columns);
        for (size_t i = 0; i < filling->column_count; i++)
            columns[i].name = filling->columns[i].name;
        filling->columns = columns;
        filling->column_count = outputs->count;
    }
    if (filling)
        filling->is_complete = outputs->is_complete;
    /* ORDER BY of a set operation can only name outputs */
    return rewrite_select(rewriter, scope, select->rarg, &right) &&
           rewrite_limits(rewriter, scope, select);
}

static bool rewrite_any_select(struct rewriter *rewriter, struct scope *parent,
                               const PgQuery__SelectStmt *select, struct outputs *outputs)
{
    struct scope_cte *filling = rewriter->filling;
    rewriter->filling = NULL;
    struct scope *scope = ARENA_NEW(rewriter->arena, struct scope);
    scope->parent = parent;
    if (!rewrite_with(rewriter, scope, select->with_clause))
        return false;
    if (select->larg)
        return rewrite_set_operation(rewriter, scope, select, filling, outputs);
    if (select->n_values_lists > 0)
        return rewrite_values(rewriter, scope, select, outputs) &&
               rewrite_limits(rewriter, scope, select);
    return rewrite_plain_select(rewriter, scope, select, outputs);
}

bool rewrite_select(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__SelectStmt *select, struct outputs *outputs)
{
    bool was_condition = rewriter->is_condition;
    rewriter->is_condition = false; /* a sub-select within one has its own */
    bool ok = rewrite_any_select(rewriter, parent, select, outputs);
    rewriter->is_condition = was_condition;
    return ok;
}
