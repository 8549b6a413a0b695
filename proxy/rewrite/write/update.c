/* UPDATE and DELETE. Their SET lists: assign.c. */
#include "../rewriter.h"

/*
 * Two tables of one name are the server's error; said here, since what is assigned could not be
 * told from the other table's columns.
 */
static bool check_name(struct rewriter *rewriter, const struct scope *scope,
                       const struct scope_item *target)
{
    if (!table_of(target) || qualifier_of(rewriter, scope, target))
        return true;
    return fail_at(rewriter, -1, "42712", "table name \"%s\" specified more than once",
                   target->alias);
}

bool rewrite_update(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__UpdateStmt *update, struct outputs *outputs)
{
    struct scope *scope = ARENA_NEW(rewriter->arena, struct scope);
    scope->parent = parent;
    struct scope_item *target;
    return rewrite_with(rewriter, scope, update->with_clause) &&
           add_target(rewriter, scope, update->relation, &target) &&
           rewrite_from(rewriter, scope, update->from_clause, update->n_from_clause) &&
           check_name(rewriter, scope, target) &&
           rewrite_assignments(rewriter, scope, target, update->target_list,
                               update->n_target_list) &&
           rewrite_condition(rewriter, scope, update->where_clause) &&
           rewrite_targets(rewriter, scope, update->returning_list, update->n_returning_list,
                           outputs);
}

bool rewrite_delete(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__DeleteStmt *stmt, struct outputs *outputs)
{
    struct scope *scope = ARENA_NEW(rewriter->arena, struct scope);
    scope->parent = parent;
    struct scope_item *target;
    return rewrite_with(rewriter, scope, stmt->with_clause) &&
           add_target(rewriter, scope, stmt->relation, &target) &&
           rewrite_from(rewriter, scope, stmt->using_clause, stmt->n_using_clause) &&
           check_name(rewriter, scope, target) &&
           rewrite_condition(rewriter, scope, stmt->where_clause) &&
           rewrite_targets(rewriter, scope, stmt->returning_list, stmt->n_returning_list, outputs);
}
