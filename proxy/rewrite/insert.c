/*
 * INSERT. The column list is made to name the physical columns, then either every VALUES row is
 * edited in place, or the source is wrapped, so that each of its rows is evaluated once:
 *   INSERT INTO t (a, role, roles) SELECT v.c1, v.c2, f(v.c2) FROM (source) AS v(c1, c2)
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
    if (token_kind(rewriter, token) == PG_QUERY__TOKEN__OVERRIDING)
        token += 3;
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

static bool is_plain_values(const struct insertion *at)
{
    const PgQuery__SelectStmt *select = at->select;
    return select->n_values_lists > 0 && select->n_sort_clause == 0 && !select->limit_count &&
           !select->limit_offset && !select->with_clause && select->n_locking_clause == 0 &&
           token_kind(at->rewriter, at->source_first) == PG_QUERY__TOKEN__VALUES;
}

/* ------------------------------------------------------------------ columns */

static bool find_named_column(struct insertion *at, size_t number)
{
    const PgQuery__ResTarget *target = at->insert->cols[number]->res_target;
    const struct view_column *column = view_find(at->view, target->name);
    at->columns[number] = column;
    if (!column)
        return view_hides(at->view, target->name)
                   ? fail_at(at->rewriter, target->location, "42703",
                             "column \"%s\" of relation \"%s\" does not exist", target->name,
                             at->view->table->name)
                   : true;
    if (!column->transition)
        return true;
    if (column->transition->is_blocked)
        return refuse_blocked(at->rewriter, column->transition, target->location);
    if (target->n_indirection > 0 && column->transition->writes_other)
        return refuse(at->rewriter, target->location, "an INSERT of an element of the column");
    return true;
}

static bool find_columns(struct insertion *at, size_t given)
{
    size_t count = at->insert->n_cols ? at->insert->n_cols : given;
    if (!at->insert->n_cols && count > at->view->column_count)
        count = at->view->column_count; /* more values than columns is the server's error */
    at->count = count;
    at->columns = ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (at->insert->n_cols) {
            if (!find_named_column(at, i))
                return false;
            continue;
        }
        at->columns[i] = &at->view->columns[i];
        if (at->columns[i]->transition && at->columns[i]->transition->is_blocked)
            return refuse_blocked(at->rewriter, at->columns[i]->transition,
                                  at->insert->relation->location);
    }
    return true;
}

/* ------------------------------------------------------------------ the source */

/* As the server says it, at the place that it names: the first that is too many. */
static bool fail_count(struct insertion *at, size_t row, const struct item_range *items,
                       size_t count)
{
    if (row > 0)
        return fail_at(at->rewriter, (int32_t)token_start(at->rewriter, items[0].first), "42601",
                       "VALUES lists must all be the same length");
    if (count > at->count)
        return fail_at(at->rewriter, (int32_t)token_start(at->rewriter, items[at->count].first),
                       "42601", "INSERT has more expressions than target columns");
    return fail_at(at->rewriter, (int32_t)token_start(at->rewriter, at->names[count].first),
                   "42601", "INSERT has more target columns than expressions");
}

static bool read_rows(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    at->row_count = at->select->n_values_lists;
    at->rows = ARENA_NEW_ARRAY(rewriter->arena, struct client_value *, at->row_count);
    size_t open = at->source_first + 1;
    for (size_t r = 0; r < at->row_count; r++) {
        const PgQuery__List *row = at->select->values_lists[r]->list;
        size_t count;
        struct item_range *items = split_items(rewriter, open, &count);
        BUG_ON(count != row->n_items);
        if (count != at->count)
            return fail_count(at, r, items, count);
        at->rows[r] = ARENA_NEW_ARRAY(rewriter->arena, struct client_value, count);
        for (size_t i = 0; i < count; i++)
            if (!read_value(rewriter, at->scope, sql_unwrap(row->items[i]), items[i],
                            at->columns[i], &at->rows[r][i]))
                return false;
        open = sql_token_closing(&rewriter->tree, open) + 2;
    }
    return true;
}

static bool read_source(struct insertion *at)
{
    if (!at->select)
        return find_columns(at, 0);
    if (is_plain_values(at))
        return find_columns(at, at->select->values_lists[0]->list->n_items) && read_rows(at);
    at->is_wrapped = true;
    if (!rewrite_select(at->rewriter, at->scope, at->select, &at->source_outputs))
        return false;
    if (!at->insert->n_cols && !at->source_outputs.is_complete)
        return refuse(
            at->rewriter, at->insert->relation->location,
            "INSERT without a column list from a query whose columns Segue does not know");
    return find_columns(at, at->source_outputs.count);
}

/* ------------------------------------------------------------------ putting it together */

static bool write_source(struct insertion *at)
{
    bool adds = false, wraps = at->is_wrapped;
    for (size_t i = 0; i < at->view->transition_count; i++) {
        const struct view_transition *transition = &at->view->transitions[i];
        if (!check_defaults(at, transition))
            return false;
        adds = adds || adds_columns(at, transition);
        wraps = wraps || needs_wrapping(at, transition);
    }
    if (at->view->is_plain && !adds)
        return true;
    if (!at->insert->n_cols && at->count > 0 && !at->view->order_is_known)
        return refuse(at->rewriter, at->insert->relation->location,
                      "INSERT without a column list into a table whose column order is lost");
    if (!at->select) {
        write_default_values(at);
        return true;
    }
    if (at->count == 0)
        return true; /* the server's error */
    put_column_list(at);
    if (!adds && at->is_wrapped)
        return true; /* only names differ */
    if (wraps)
        return wrap_source(at);
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
        if (!read_source(&at) || !write_source(&at))
            return false;
    } else if (!rewrite_foreign_source(&at)) {
        return false;
    }
    scope_items_add(rewriter->arena, &at.scope->items, at.target);
    return rewrite_conflict(&at) && rewrite_targets(rewriter, at.scope, insert->returning_list,
                                                    insert->n_returning_list, outputs);
}
