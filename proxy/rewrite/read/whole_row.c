/*
 * Whole rows. To the server a row of the table has the physical columns; for a client it has those
 * of its shape. So a reference to a whole row becomes a sub-select that makes such a row,
 *   (SELECT segue_r FROM (SELECT u.id, <role> AS role) AS segue_r)
 * in place: what else the statement does with the table (GROUP BY its key, system columns, being
 * the target) still works. A field of a row is just the column.
 */
#include "../rewriter.h"

/* "u.id, <role> AS role, .."; without names "u.id, <role>, .." */
bool columns_sql(struct rewriter *rewriter, const struct scope *scope,
                 const struct scope_item *item, const char *qualifier, int32_t location,
                 bool with_names, const char **sql)
{
    const struct view *view = table_of(item)->view;
    if (!view->order_is_known)
        return refuse(rewriter, location, "all columns of a table whose column order is lost");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    bool ok = true;
    for (size_t i = 0; i < view->column_count && ok; i++) {
        const struct view_column *column = &view->columns[i];
        const char *read = NULL;
        ok = column_sql(rewriter, scope, item, column, qualifier, location, &read);
        if (!ok)
            break;
        text_add_format(&text, "%s%s", i ? ", " : "", read);
        if (with_names && column->read != VIEW_PLAIN)
            text_add_format(&text, " AS %s", view_quote(rewriter->arena, column->name));
    }
    *sql = arena_string_range(rewriter->arena, text.data, text.length);
    text_release(&text);
    return ok;
}

static bool row_sql(struct rewriter *rewriter, const struct scope *scope,
                    const struct scope_item *item, int32_t location, const char **sql)
{
    const char *qualifier = qualifier_of(rewriter, scope, item);
    /* each sub-select is a plan of its own: the server would not find it among grouping sets */
    if (!qualifier || (is_in_grouping_sets(scope, item) && !item->is_target))
        return need_derived(rewriter, item, location, "a whole-row reference");
    const char *columns;
    if (!columns_sql(rewriter, scope, item, qualifier, location, true, &columns))
        return false;
    const char *condition = /* the row that an outer join makes up is no row at all */
        item->is_nullable
            ? arena_format(rewriter->arena, " WHERE %stableoid IS NOT NULL", qualifier)
            : "";
    *sql = arena_format(rewriter->arena, "(SELECT segue_r FROM (SELECT %s%s) AS segue_r)", columns,
                        condition);
    return true;
}

/*
 * A list of column aliases gives names to a table's columns, but not to the fields of its row. To a
 * derived table's it does, so its row is made again under the table's own names.
 */
static bool renamed_row_sql(struct rewriter *rewriter, const struct scope *scope,
                            const struct scope_item *item, int32_t location, enum place place,
                            const char **sql)
{
    const char *qualifier = qualifier_of(rewriter, scope, item);
    if (!qualifier || is_in_grouping_sets(scope, item) || (place == PLACE_TARGET && scope->parent))
        return refuse(rewriter, location,
                      "a whole-row reference to a table with a column alias list");
    const struct view *view = view_of_item(item);
    struct text names;
    text_init(&names, TEXT_UNBOUNDED);
    for (size_t i = 0; i < view->column_count; i++)
        text_add_format(&names, "%s%s", i ? ", " : "",
                        view_quote(rewriter->arena, view->columns[i].name));
    const char *condition =
        item->is_nullable
            ? arena_format(rewriter->arena, " WHERE %s* IS DISTINCT FROM NULL", qualifier)
            : "";
    *sql = arena_format(rewriter->arena, "(SELECT segue_r FROM (SELECT %s*%s) AS segue_r (%.*s))",
                        qualifier, condition, (int)names.length, names.data);
    text_release(&names);
    return true;
}

/*
 * The server looks into a sub-select for the fields of a row that it gives, but not into one within
 * its target list: (x.u).role of FROM (SELECT u ..) AS x needs a table that has such rows.
 */
bool rewrite_whole_row(struct rewriter *rewriter, const struct scope *scope,
                       const struct scope_item *item, const PgQuery__ColumnRef *reference,
                       enum place place)
{
    const char *sql = NULL;
    if (item->renames_row) {
        if (!renamed_row_sql(rewriter, scope, item, reference->location, place, &sql))
            return false;
    } else if (place == PLACE_TARGET && scope->parent && !item->is_target) {
        return need_derived(rewriter, item, reference->location, "a whole-row reference");
    } else if (!row_sql(rewriter, scope, item, reference->location, &sql)) {
        return false;
    }
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    size_t last = first + 2 * (reference->n_fields - 1);
    size_t named = sql_string(reference->fields[reference->n_fields - 1]) ? reference->n_fields
                                                                          : reference->n_fields - 1;
    if (place == PLACE_TARGET)
        sql = arena_format(rewriter->arena, "%s AS %s", sql,
                           view_quote(rewriter->arena, sql_string(reference->fields[named - 1])));
    edits_replace(&rewriter->edits, token_start(rewriter, first), token_end(rewriter, last), sql);
    return true;
}

/* ------------------------------------------------------------------ (u).role, role(u) */

struct scope_item *item_of_row(const struct scope *scope, const sql_node *node)
{
    if (!SQL_IS(node, column_ref))
        return NULL;
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    size_t fields = reference->n_fields;
    const char *name = sql_string(reference->fields[fields - 1]);
    struct scope_found found;
    struct scope_item *item;
    if (name && (fields > 1 || scope_column_find(scope, name, &found) != SCOPE_NOT_FOUND))
        return NULL;
    if (!name && --fields == 0)
        return NULL;
    const char *schema = fields > 1 ? sql_string(reference->fields[fields - 2]) : NULL;
    name = sql_string(reference->fields[fields - 1]);
    return scope_relation_find(scope, schema, name, &item) == SCOPE_FOUND ? item : NULL;
}

/* The same, where the row looks otherwise to this client than to the server. */
static struct scope_item *row_of_table(const struct scope *scope, const sql_node *node)
{
    struct scope_item *item = item_of_row(scope, node);
    return item && table_of(item) && !table_of(item)->view->is_plain ? item : NULL;
}

/* A row whose fields, to the server too, have the names of a list of column aliases. */
static bool leaves_renamed_row(struct rewriter *rewriter, const struct scope *scope,
                               const sql_node *node)
{
    const struct scope_item *item = item_of_row(scope, node);
    if (!item || !item->renames_row)
        return false;
    note_group_use(rewriter, scope, item, GROUP_USE_ROW);
    return true;
}

/* The brackets around a row whose field is taken: tokens [first, end). */
static void widen_to_brackets(const struct rewriter *rewriter, size_t *first, size_t *end)
{
    while (*first > 0 && token_kind(rewriter, *first - 1) == '(' &&
           token_kind(rewriter, *end) == ')') {
        --*first;
        ++*end;
    }
}

static bool field_of_row(struct rewriter *rewriter, const struct scope *scope,
                         const struct scope_item *item, const PgQuery__AIndirection *node,
                         const char *field)
{
    const PgQuery__ColumnRef *row = node->arg->column_ref;
    const struct view *view = table_of(item)->view;
    const struct view_column *column = view_find(view, field);
    if (!column && view_hides(view, field))
        return fail_at(rewriter, row->location, "42703", "column %s.%s does not exist", item->alias,
                       field);
    if (!column || !column->transition)
        return true; /* the server's physical row has it, too */
    const char *qualifier = qualifier_of(rewriter, scope, item);
    if (!qualifier)
        return need_derived(rewriter, item, row->location, "a field of a row");
    const char *sql;
    if (!column_sql(rewriter, scope, item, column, qualifier, row->location, &sql))
        return false;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)row->location);
    size_t end = first + 2 * row->n_fields - 1;
    widen_to_brackets(rewriter, &first, &end);
    if (token_kind(rewriter, end) != '.')
        return refuse(rewriter, row->location, "a field of a row");
    edits_replace(&rewriter->edits, token_start(rewriter, first), token_end(rewriter, end + 1),
                  arena_format(rewriter->arena, "(%s)", sql));
    return true;
}

bool rewrite_row_star(struct rewriter *rewriter, const struct scope *scope, const sql_node *value,
                      bool with_names, bool *done)
{
    const PgQuery__AIndirection *node = AS_NODE(AIndirection, value);
    *done = false;
    if (!SQL_IS(value, a__indirection) || node->n_indirection != 1 ||
        node->indirection[0]->node_case != PG_QUERY__NODE__NODE_A_STAR)
        return true;
    const struct scope_item *item = row_of_table(scope, sql_unwrap(node->arg));
    if (!item)
        return true;
    *done = true;
    const PgQuery__ColumnRef *row = node->arg->column_ref;
    const char *qualifier = qualifier_of(rewriter, scope, item);
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)row->location);
    size_t end = first + 2 * row->n_fields - 1;
    widen_to_brackets(rewriter, &first, &end);
    if (!qualifier || token_kind(rewriter, end) != '.')
        return need_derived(rewriter, item, row->location, "all fields of a row");
    const char *sql;
    if (!columns_sql(rewriter, scope, item, qualifier, row->location, with_names, &sql))
        return false;
    edits_replace(&rewriter->edits, token_start(rewriter, first), token_end(rewriter, end + 1),
                  sql);
    return true;
}

const struct scope_item *item_of_row_cast(struct rewriter *rewriter, const struct scope *scope,
                                          const PgQuery__TypeCast *cast)
{
    const PgQuery__TypeName *type = cast->type_name;
    const struct scope_item *item = item_of_row(scope, sql_unwrap(cast->arg));
    const struct view *view = item ? view_of_item(item) : NULL;
    bool is_it = view && !view->is_plain && !type->n_array_bounds && !type->n_typmods &&
                 !type->setof && table_of_type(rewriter, type) == view->table;
    return is_it ? item : NULL;
}

bool rewrite_indirection(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__AIndirection *node)
{
    const sql_node *row = sql_unwrap(node->arg);
    const struct scope_item *item = row_of_table(scope, row);
    const char *field = node->n_indirection ? sql_string(node->indirection[0]) : NULL;
    const struct scope_item *cast =
        SQL_IS(row, type_cast) ? item_of_row_cast(rewriter, scope, AS_NODE(TypeCast, row)) : NULL;
    if (cast && !cast->derived) /* a record made in place has no fields to the server */
        return need_derived(rewriter, cast, AS_NODE(TypeCast, row)->location,
                            "a field of a row that is cast");
    if (cast && cast->renames_row)
        return refuse(rewriter, AS_NODE(TypeCast, row)->location,
                      "a field of a row that is cast, of a table with a column alias list,");
    bool ok = item && field ? field_of_row(rewriter, scope, item, node, field)
                            : leaves_renamed_row(rewriter, scope, row) ||
                                  rewrite_expression(rewriter, scope, row);
    return ok && rewrite_list(rewriter, scope, node->indirection, node->n_indirection);
}

/* The cast's words: behind the value, as in u::users, or around it. */
static bool take_cast_away(struct rewriter *rewriter, const PgQuery__TypeCast *cast)
{
    const struct sql_tree *tree = &rewriter->tree;
    size_t sign = sql_token_at(tree, (uint32_t)cast->location);
    size_t type = sql_token_at(tree, (uint32_t)cast->type_name->location);
    uint32_t end = token_end(rewriter, sql_name_end(tree, type) - 1);
    if (token_kind(rewriter, sign) == PG_QUERY__TOKEN__TYPECAST) {
        edits_replace(&rewriter->edits, token_start(rewriter, sign), end, "");
        return true;
    }
    if (token_kind(rewriter, sign) != PG_QUERY__TOKEN__CAST ||
        token_kind(rewriter, type - 1) != PG_QUERY__TOKEN__AS)
        return refuse(rewriter, cast->location, "the row type of the table");
    edits_replace(&rewriter->edits, token_start(rewriter, sign), token_end(rewriter, sign), "");
    edits_replace(&rewriter->edits, token_start(rewriter, type - 1), end, "");
    return true;
}

bool rewrite_row_cast(struct rewriter *rewriter, struct scope *scope, const PgQuery__TypeCast *cast,
                      bool *done)
{
    const struct scope_item *item = item_of_row_cast(rewriter, scope, cast);
    *done = item != NULL;
    if (!item)
        return true;
    if (!item->derived && scope->parent && !item->is_target) /* as rewrite_whole_row */
        return need_derived(rewriter, item, cast->location, "a whole-row reference");
    return take_cast_away(rewriter, cast) &&
           rewrite_expression(rewriter, scope, sql_unwrap(cast->arg));
}

static bool is_bare_call(const PgQuery__FuncCall *call)
{
    return call->n_funcname == 1 && call->n_args == 1 && call->n_agg_order == 0 &&
           !call->agg_filter && !call->over && !call->agg_star && !call->agg_distinct &&
           !call->func_variadic && !call->agg_within_group;
}

bool rewrite_call_on_row(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__FuncCall *call, bool *done)
{
    *done = false;
    if (!is_bare_call(call))
        return true;
    const char *name = sql_string(call->funcname[0]);
    const struct scope_item *any = item_of_row(scope, sql_unwrap(call->args[0]));
    if (any && any->renames_row && scope_item_column(any, name) < any->column_count) {
        *done = leaves_renamed_row(rewriter, scope, sql_unwrap(call->args[0]));
        return true;
    }
    const struct scope_item *item = row_of_table(scope, sql_unwrap(call->args[0]));
    if (!item)
        return true;
    const struct view *view = table_of(item)->view;
    const struct view_column *column = view_find(view, name);
    if (!column && !view_hides(view, name))
        return true;
    *done = true;
    if (!column)
        return fail_at(rewriter, call->location, "42883", "function %s(%s) does not exist", name,
                       view->table->name);
    if (!column->transition)
        return true; /* the physical row has it, too */
    const char *qualifier = qualifier_of(rewriter, scope, item);
    if (!qualifier)
        return need_derived(rewriter, item, call->location, "a field of a row");
    const char *sql;
    if (!column_sql(rewriter, scope, item, column, qualifier, call->location, &sql))
        return false;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)call->location);
    size_t closing = sql_token_closing(&rewriter->tree, first + 1);
    edits_replace(&rewriter->edits, token_start(rewriter, first), token_end(rewriter, closing),
                  arena_format(rewriter->arena, "(%s)", sql));
    return true;
}

/* ------------------------------------------------------------------ ROW (u.*) */

/* A star among the arguments: u.* */
static bool rewrite_star_argument(struct rewriter *rewriter, const struct scope *scope,
                                  const struct scope_item *item,
                                  const PgQuery__ColumnRef *reference)
{
    const char *qualifier = qualifier_of(rewriter, scope, item);
    if (!qualifier)
        return need_derived(rewriter, item, reference->location, "all fields of a row");
    const char *sql;
    if (!columns_sql(rewriter, scope, item, qualifier, reference->location, false, &sql))
        return false;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    edits_replace(&rewriter->edits, token_start(rewriter, first),
                  token_end(rewriter, first + 2 * (reference->n_fields - 1)), sql);
    return true;
}

static bool is_star(const sql_node *node)
{
    return SQL_IS(node, column_ref) &&
           !sql_string(AS_NODE(ColumnRef, node)->fields[AS_NODE(ColumnRef, node)->n_fields - 1]);
}

/* In a row constructor a star gives columns. */
bool rewrite_row_items(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const sql_node *argument = sql_unwrap(list[i]);
        const struct scope_item *item = is_star(argument) ? row_of_table(scope, argument) : NULL;
        bool done = false, ok;
        if (item)
            ok = rewrite_star_argument(rewriter, scope, item, AS_NODE(ColumnRef, argument));
        else
            ok = rewrite_row_star(rewriter, scope, argument, false, &done) &&
                 (done || (is_star(argument) && leaves_renamed_row(rewriter, scope, argument)) ||
                  rewrite_expression(rewriter, scope, argument));
        if (!ok)
            return false;
    }
    return true;
}
