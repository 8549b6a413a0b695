/*
 * ON CONFLICT: EXCLUDED in the client's shape, and the arbiter, which must be the index that is
 * there.
 */
#include "insert.h"

/* EXCLUDED has what is about to be written: the own column wherever it is written. */
static struct scope_item *make_excluded(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct scope_item *item = ARENA_NEW(rewriter->arena, struct scope_item);
    *item = *at->target;
    item->alias = "excluded";
    item->schema = NULL;
    if (!at->view)
        return item;
    struct view *view = ARENA_NEW(rewriter->arena, struct view);
    *view = *at->view;
    view->columns = ARENA_NEW_ARRAY(rewriter->arena, struct view_column, view->column_count + 1);
    item->columns = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, item->column_count + 1);
    for (size_t i = 0; i < view->column_count; i++) {
        struct view_column *column = &view->columns[i];
        *column = at->view->columns[i];
        item->columns[i] = at->target->columns[i];
        if (!column->transition)
            continue;
        item->columns[i].meaning = column;
        if (column->transition->writes_own)
            column->read = strcmp(view_physical_name(column->transition, column->transition->shape,
                                                     column->number),
                                  column->name) == 0
                               ? VIEW_PLAIN
                               : VIEW_RENAMED;
    }
    struct place_of_table *place = ARENA_NEW(rewriter->arena, struct place_of_table);
    *place = (struct place_of_table){view, at->insert->relation};
    item->meaning = place;
    return item;
}

/* The arbiter must be the index that is there: columns of a key are not in transition. */
static bool check_arbiter(struct insertion *at, const PgQuery__InferClause *infer)
{
    for (size_t i = 0; infer && at->view && i < infer->n_index_elems; i++) {
        const PgQuery__IndexElem *element = infer->index_elems[i]->index_elem;
        const char *name = present(element->name);
        const struct view_column *column = name ? view_find(at->view, name) : NULL;
        if (column && column->transition && column->read != VIEW_PLAIN)
            return refuse(at->rewriter, infer->location, "ON CONFLICT on the column");
        if (name && !column && view_hides(at->view, name))
            return fail_at(at->rewriter, infer->location, "42703", "column \"%s\" does not exist",
                           name);
    }
    size_t mark = at->rewriter->edits.count;
    if (infer &&
        !(rewrite_list(at->rewriter, at->scope, infer->index_elems, infer->n_index_elems) &&
          rewrite_expression(at->rewriter, at->scope, sql_unwrap(infer->where_clause))))
        return false;
    if (at->rewriter->edits.count > mark)
        return refuse(at->rewriter, infer->location, "ON CONFLICT on the column");
    return true;
}

bool rewrite_conflict(struct insertion *at)
{
    const PgQuery__OnConflictClause *conflict = at->insert->on_conflict_clause;
    if (!conflict)
        return true;
    if (!check_arbiter(at, conflict->infer))
        return false;
    if (conflict->action != PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE)
        return true;
    scope_items_add(at->rewriter->arena, &at->scope->items, make_excluded(at));
    bool ok = rewrite_assignments(at->rewriter, at->scope, at->target, conflict->target_list,
                                  conflict->n_target_list) &&
              rewrite_expression(at->rewriter, at->scope, sql_unwrap(conflict->where_clause));
    at->scope->items.count--; /* RETURNING does not see EXCLUDED */
    return ok;
}
