/*
 * INSERT. The column list is made to name the physical columns (insert_columns.c), then rows of
 * VALUES are edited in place (insert_rows.c), and any other source is wrapped (insert_source.c).
 */
#include "insert.h"

/* ------------------------------------------------------------------ where things are */

/* After a dot or AS it is a name. */
static bool begins_returning(const struct insertion *at, size_t token)
{
    uint16_t before = token > 0 ? token_kind(at->rewriter, token - 1) : 0;
    return at->insert->n_returning_list > 0 &&
           token_kind(at->rewriter, token) == PG_QUERY__TOKEN__RETURNING && before != '.' &&
           before != PG_QUERY__TOKEN__AS;
}

static void find_places(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const PgQuery__RangeVar *relation = at->insert->relation;
    size_t token = relation_end(rewriter, relation);
    if (relation->alias)
        token += 2; /* AS alias */
    at->list_place = token;
    if (at->insert->n_cols > 0) {
        size_t count;
        at->names = split_items(rewriter, token, &count);
        token = sql_token_closing(&rewriter->tree, token) + 1;
    }
    if (token_kind(rewriter, token) == PG_QUERY__TOKEN__OVERRIDING) {
        at->override = token;
        token += 3;
    }
    at->source_first = token;
    uint16_t depth = token < rewriter->tree.token_count ? rewriter->tree.tokens[token].depth : 0;
    uint32_t conflict = at->insert->on_conflict_clause
                            ? (uint32_t)at->insert->on_conflict_clause->location
                            : UINT32_MAX;
    while (token < rewriter->tree.token_count) {
        const struct sql_tree_token *here = &rewriter->tree.tokens[token];
        if (here->depth < depth || (here->depth == depth && here->kind == ';') ||
            (here->depth == depth && begins_returning(at, token)) || here->start >= conflict)
            break;
        token++;
    }
    at->source_end = token;
}

/* ------------------------------------------------------------------ putting it together */

static bool read_source(struct insertion *at)
{
    if (!at->select)
        return find_columns(at, 0);
    if (is_plain_values(at))
        return find_columns(at, at->select->values_lists[0]->list->n_items) && read_rows(at);
    return read_query(at);
}

bool write_insertion(struct insertion *at)
{
    bool adds = false;
    for (size_t i = 0; i < at->view->transition_count; i++)
        adds = adds || adds_columns(at, &at->view->transitions[i]);
    if (at->view->is_plain && !adds)
        return true;
    if (!at->insert->n_cols && at->count > 0 && !at->view->order_is_known)
        return refuse(at->rewriter, at->insert->relation->location,
                      "INSERT without a column list into a table whose column order is lost");
    if (!check_identity(at))
        return false;
    override_values(at);
    if (!at->select) {
        write_default_values(at);
        return true;
    }
    if (at->count == 0)
        return true; /* the server's error */
    at->adds_last = at->rows && adds && repeats_parameter(at);
    put_column_list(at);
    if (!at->rows) /* without columns that are added only names differ */
        return !adds || wrap_query(at);
    if (rows_can_be_wrapped(at))
        wrap_rows(at);
    else
        write_rows(at);
    return true;
}

/* A target that is not in transition: only what its clauses refer to may be. */
static bool rewrite_foreign_source(struct insertion *at)
{
    if (!at->select)
        return true;
    struct outputs outputs;
    outputs_init(&outputs);
    return rewrite_select(at->rewriter, at->scope, at->select, &outputs);
}

bool rewrite_insert(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__InsertStmt *insert, struct outputs *outputs)
{
    struct insertion at = {.rewriter = rewriter, .insert = insert};
    at.scope = ARENA_NEW(rewriter->arena, struct scope);
    at.scope->parent = parent;
    outputs_init(&at.source_outputs);
    const sql_node *source = sql_unwrap(insert->select_stmt);
    at.select = source ? AS_NODE(SelectStmt, source) : NULL;
    struct scope hidden = {.parent = at.scope}; /* the source does not see the target */
    if (!rewrite_with(rewriter, at.scope, insert->with_clause) ||
        !add_target(rewriter, &hidden, insert->relation, &at.target))
        return false;
    at.view = table_of(at.target) ? table_of(at.target)->view : NULL;
    if (at.view) {
        find_places(&at);
        if (!read_source(&at) || !write_insertion(&at))
            return false;
    } else if (!rewrite_foreign_source(&at)) {
        return false;
    }
    scope_items_add(rewriter->arena, &at.scope->items, at.target);
    return rewrite_conflict(&at) && rewrite_targets(rewriter, at.scope, insert->returning_list,
                                                    insert->n_returning_list, outputs);
}
