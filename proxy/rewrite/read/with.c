/* WITH: common table expressions, recursive ones among them. */
#include "../rewriter.h"

static void rename_outputs(struct rewriter *rewriter, struct scope_cte *cte,
                           const PgQuery__CommonTableExpr *expression)
{
    struct scope_item item = {.columns = cte->columns, .column_count = cte->column_count};
    scope_rename_columns(rewriter->arena, &item, expression->aliascolnames,
                         expression->n_aliascolnames);
    cte->columns = item.columns;
    cte->column_count = item.column_count;
}

static void add_generated(struct outputs *outputs, struct rewriter *rewriter,
                          const PgQuery__CommonTableExpr *expression)
{
    const char *names[3] = {
        expression->search_clause ? expression->search_clause->search_seq_column : NULL,
        expression->cycle_clause ? expression->cycle_clause->cycle_mark_column : NULL,
        expression->cycle_clause ? expression->cycle_clause->cycle_path_column : NULL};
    for (size_t i = 0; i < 3; i++)
        if (names[i])
            outputs_add(rewriter, outputs, &(struct scope_column){.name = names[i]});
}

static bool read_cte(struct rewriter *rewriter, struct scope *scope, bool recursive,
                     const PgQuery__CommonTableExpr *expression, struct scope_cte *cte)
{
    struct outputs outputs;
    outputs_init(&outputs);
    rewriter->filling = recursive ? cte : NULL;
    if (recursive)
        rename_outputs(rewriter, cte, expression);
    bool ok = rewrite_query(rewriter, scope, sql_unwrap(expression->ctequery), &outputs);
    rewriter->filling = NULL;
    if (!ok)
        return false;
    cte->columns = outputs.columns;
    cte->column_count = outputs.count;
    cte->is_complete = outputs.is_complete;
    rename_outputs(rewriter, cte, expression);
    if (expression->search_clause || expression->cycle_clause) {
        outputs.columns = cte->columns;
        outputs.count = outputs.room = cte->column_count;
        add_generated(&outputs, rewriter, expression);
        cte->columns = outputs.columns;
        cte->column_count = outputs.count;
    }
    return true;
}

bool rewrite_with(struct rewriter *rewriter, struct scope *scope, const PgQuery__WithClause *with)
{
    if (!with)
        return true;
    struct scope_cte *ctes = ARENA_NEW_ARRAY(rewriter->arena, struct scope_cte, with->n_ctes + 1);
    for (size_t i = 0; i < with->n_ctes; i++) {
        ctes[i].name = with->ctes[i]->common_table_expr->ctename;
        ctes[i].next = scope->ctes;
        if (with->recursive) /* all are in sight of each other */
            scope->ctes = &ctes[i];
    }
    for (size_t i = 0; i < with->n_ctes; i++) {
        if (!read_cte(rewriter, scope, with->recursive, with->ctes[i]->common_table_expr, &ctes[i]))
            return false;
        if (!with->recursive) {
            ctes[i].next = scope->ctes;
            scope->ctes = &ctes[i];
        }
    }
    return true;
}
