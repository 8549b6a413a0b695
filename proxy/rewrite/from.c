/*
 * FROM and WITH: from the tree to scope items, after PostgreSQL's transformFromClauseItem, and the
 * derived table that takes the place of a table in transition where editing in place would not do.
 */
#include "rewriter.h"

/* What one item of FROM adds: several, where it is a join without an alias. */
static bool read_item(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
                      struct scope_items *added) MUST_CHECK;

/* ------------------------------------------------------------------ tables */

const struct view *view_of(struct rewriter *rewriter, const struct catalog_table *table)
{
    const struct view *view = view_make(rewriter->arena, rewriter->context, table);
    if (view) {
        rewriter->touched |= view->touched;
        if (!rewriter->first_table)
            rewriter->first_table = view->transitions[0].at->transition->name;
    }
    return view;
}

const struct catalog_table *find_table(struct rewriter *rewriter, const PgQuery__RangeVar *range)
{
    return resolution_table(rewriter->context->resolution, rewriter->context->snapshot->catalog,
                            present(range->schemaname), range->relname, NULL);
}

size_t relation_start(const struct rewriter *rewriter, const PgQuery__RangeVar *range)
{
    size_t token = sql_token_at(&rewriter->tree, (uint32_t)range->location);
    while (token > 0 && (token_kind(rewriter, token - 1) == PG_QUERY__TOKEN__ONLY ||
                         (token > 1 && token_kind(rewriter, token - 1) == '(' &&
                          token_kind(rewriter, token - 2) == PG_QUERY__TOKEN__ONLY)))
        token--;
    return token;
}

size_t relation_end(const struct rewriter *rewriter, const PgQuery__RangeVar *range)
{
    size_t name = sql_token_at(&rewriter->tree, (uint32_t)range->location);
    size_t end = sql_name_end(&rewriter->tree, name);
    size_t start = relation_start(rewriter, range);
    if (start + 1 < name && token_kind(rewriter, start + 1) == '(')
        end++;
    if (token_kind(rewriter, end) == '*')
        end++;
    return end;
}

static const char *joined(struct rewriter *rewriter, struct text *text)
{
    const char *taken = arena_string_range(rewriter->arena, text->data, text->length);
    text_release(text);
    return taken;
}

static bool is_wanted(const char *const *only, size_t only_count, const char *name)
{
    for (size_t i = 0; i < only_count; i++)
        if (strcmp(only[i], name) == 0)
            return true;
    return only == NULL;
}

bool derived_table_sql(struct rewriter *rewriter, const struct view *view, const char *relation,
                       const char *const *only, size_t only_count, int32_t location,
                       const char **sql)
{
    if (!view->order_is_known && !only)
        return refuse(rewriter, location, "all columns of a table whose column order is lost");
    const char *qualifier =
        arena_format(rewriter->arena, "%s.", view_quote(rewriter->arena, view->table->name));
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    const char *separator = "(SELECT ";
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
        if (!is_wanted(only, only_count, column->name))
            continue;
        if (column->transition && column->transition->is_blocked) {
            text_release(&text);
            return refuse_blocked(rewriter, column->transition, location);
        }
        text_add_format(&text, "%s%s", separator,
                        view_read_sql(rewriter->arena, column, qualifier));
        if (column->read != VIEW_PLAIN)
            text_add_format(&text, " AS %s", view_quote(rewriter->arena, column->name));
        separator = ", ";
    }
    text_add_format(&text, "%s FROM %s)", view->column_count ? "" : separator, relation);
    *sql = joined(rewriter, &text);
    return true;
}

static bool is_derived(const struct rewriter *rewriter, const PgQuery__RangeVar *range)
{
    for (size_t i = 0; i < rewriter->derived_count; i++)
        if (rewriter->derived[i] == range)
            return true;
    return false;
}

static bool put_derived(struct rewriter *rewriter, const struct view *view,
                        const PgQuery__RangeVar *range)
{
    size_t start = relation_start(rewriter, range), end = relation_end(rewriter, range);
    uint32_t from = token_start(rewriter, start), to = token_end(rewriter, end - 1);
    const char *relation =
        arena_string_range(rewriter->arena, rewriter->source.data + from, to - from);
    const char *sql = NULL;
    if (!derived_table_sql(rewriter, view, relation, NULL, 0, range->location, &sql))
        return false;
    if (!range->alias)
        sql = arena_format(rewriter->arena, "%s AS %s", sql,
                           view_quote(rewriter->arena, range->relname));
    edits_replace(&rewriter->edits, from, to, sql);
    return true;
}

static struct scope_item *new_item(struct rewriter *rewriter, const char *alias)
{
    struct scope_item *item = ARENA_NEW(rewriter->arena, struct scope_item);
    item->alias = alias;
    item->names_are_certain = true;
    item->is_relation_visible = alias != NULL;
    item->is_columns_visible = true;
    return item;
}

/* A result that the client sees computed stands for this column of the table. */
static void name_origin(struct scope_column *to, const struct view *view,
                        const struct view_column *column)
{
    if ((column->read != VIEW_CONVERTED && column->read != VIEW_PARITY) || !column->physical)
        return;
    to->table_oid = view->table->oid;
    to->attnum = column->physical->attnum;
}

static void fill_from_view(struct rewriter *rewriter, struct scope_item *item,
                           const struct view *view, bool in_place)
{
    item->column_count = view->column_count;
    item->columns = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, view->column_count);
    for (size_t i = 0; i < view->column_count; i++) {
        item->columns[i].name = view->columns[i].name;
        if (in_place && view->columns[i].transition)
            item->columns[i].meaning = &view->columns[i];
        name_origin(&item->columns[i], view, &view->columns[i]);
    }
    item->is_complete = true;
}

static void fill_from_catalog(struct rewriter *rewriter, struct scope_item *item,
                              const struct catalog_table *table)
{
    item->column_count = table->column_count;
    item->columns = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, table->column_count);
    for (size_t i = 0; i < table->column_count; i++)
        item->columns[i].name = table->columns[i].name;
    item->is_complete = true;
}

static struct scope_item *item_of_cte(struct rewriter *rewriter, const struct scope_cte *cte,
                                      const char *alias)
{
    struct scope_item *item = new_item(rewriter, alias);
    item->column_count = cte->column_count;
    item->columns = cte->columns;
    item->is_complete = cte->is_complete;
    return item;
}

/* The item of a table that is read or written, without what its alias does to the columns. */
static bool item_of_table(struct rewriter *rewriter, const PgQuery__RangeVar *range, bool is_target,
                          struct scope_item **made)
{
    const char *alias = range->alias ? range->alias->aliasname : range->relname;
    struct scope_item *item = new_item(rewriter, alias);
    *made = item;
    item->is_target = is_target;
    const struct catalog_table *table = find_table(rewriter, range);
    if (!table)
        return true; /* temporary, or not there: its columns are not known */
    if (!range->alias)
        item->schema = table->schema;
    const struct view *view = view_of(rewriter, table);
    if (!view) {
        fill_from_catalog(rewriter, item, table);
        return true;
    }
    bool derived = is_derived(rewriter, range);
    fill_from_view(rewriter, item, view, !derived);
    if (derived) {
        item->schema = NULL;
        return put_derived(rewriter, view, range);
    }
    struct place_of_table *place = ARENA_NEW(rewriter->arena, struct place_of_table);
    *place = (struct place_of_table){view, range};
    item->meaning = place;
    return true;
}

static bool read_table(struct rewriter *rewriter, struct scope *scope,
                       const PgQuery__RangeVar *range, struct scope_items *added)
{
    struct scope_item *item;
    const struct scope_cte *cte =
        present(range->schemaname) ? NULL : scope_cte_find(scope, range->relname);
    if (cte)
        item = item_of_cte(rewriter, cte, range->alias ? range->alias->aliasname : range->relname);
    else if (!item_of_table(rewriter, range, false, &item))
        return false;
    if (range->alias && range->alias->n_colnames > 0) {
        if (table_of(item) && !table_of(item)->view->is_plain)
            return need_derived(rewriter, item, range->location, "a column alias list");
        scope_rename_columns(rewriter->arena, item, range->alias->colnames,
                             range->alias->n_colnames);
    }
    scope_items_add(rewriter->arena, added, item);
    return true;
}

bool add_target(struct rewriter *rewriter, struct scope *scope, const PgQuery__RangeVar *range,
                struct scope_item **item)
{
    if (!present(range->schemaname) && scope_cte_find(scope, range->relname)) {
        /* PostgreSQL refuses a CTE as a target: the error is the server's to give */
        *item = new_item(rewriter, range->relname);
    } else if (!item_of_table(rewriter, range, true, item)) {
        return false;
    }
    scope_items_add(rewriter->arena, &scope->items, *item);
    return true;
}

/* ------------------------------------------------------------------ sub-selects, functions */

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

static void set_names(struct rewriter *rewriter, struct scope_item *item, const char *const *names,
                      size_t count)
{
    item->columns = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, count + 1);
    item->column_count = count;
    for (size_t i = 0; i < count; i++)
        item->columns[i].name = names[i];
}

/* Built-in functions that give a set of one column, named as the alias is. */
static bool gives_one_column(const char *function)
{
    static const char *const names[] = {"generate_series",       "unnest",
                                        "regexp_split_to_table", "string_to_table",
                                        "generate_subscripts",   "jsonb_object_keys",
                                        "json_object_keys",      "regexp_matches"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], function) == 0)
            return true;
    return false;
}

/*
 * A function's columns: those of a column definition list are certain; the names of an alias list
 * come first; a scalar function's one column is called as its alias. Of others nothing is known.
 */
static bool name_function_columns(struct rewriter *rewriter, struct scope_item *item,
                                  const PgQuery__RangeFunction *range, const char *function)
{
    if (range->n_coldeflist > 0) {
        const char **names = ARENA_NEW_ARRAY(rewriter->arena, const char *, range->n_coldeflist);
        for (size_t i = 0; i < range->n_coldeflist; i++)
            names[i] = range->coldeflist[i]->column_def->colname;
        set_names(rewriter, item, names, range->n_coldeflist);
        item->is_complete = true;
    } else if (!range->is_rowsfrom && !range->ordinality && function &&
               gives_one_column(function)) {
        set_names(rewriter, item, &item->alias, 1);
        item->is_complete = true;
    } else if (!range->alias || range->alias->n_colnames == 0) {
        set_names(rewriter, item, &item->alias, 1);
        item->names_are_certain = false;
    }
    if (range->alias)
        scope_rename_columns(rewriter->arena, item, range->alias->colnames,
                             range->alias->n_colnames);
    return true;
}

static const char *name_of_function(const PgQuery__RangeFunction *range)
{
    if (range->n_functions == 0 || range->functions[0]->node_case != PG_QUERY__NODE__NODE_LIST)
        return NULL;
    const PgQuery__List *pair = range->functions[0]->list;
    const sql_node *call = pair->n_items ? sql_unwrap(pair->items[0]) : NULL;
    if (!SQL_IS(call, func_call))
        return call ? sql_column_name(call) : NULL;
    const PgQuery__FuncCall *function = AS_NODE(FuncCall, call);
    return sql_string(function->funcname[function->n_funcname - 1]);
}

static bool read_function(struct rewriter *rewriter, struct scope *scope,
                          const PgQuery__RangeFunction *range, struct scope_items *added)
{
    bool was_active = scope->lateral_active;
    scope->lateral_active = true; /* functions in FROM are lateral without the word */
    bool ok = rewrite_list(rewriter, scope, range->functions, range->n_functions);
    scope->lateral_active = was_active;
    if (!ok)
        return false;
    const char *function = name_of_function(range);
    struct scope_item *item = new_item(rewriter, range->alias ? range->alias->aliasname : function);
    if (!item->alias)
        item->alias = "";
    if (!name_function_columns(rewriter, item, range, function))
        return false;
    scope_items_add(rewriter->arena, added, item);
    return true;
}

static bool read_table_function(struct rewriter *rewriter, struct scope *scope,
                                const PgQuery__RangeTableFunc *range, struct scope_items *added)
{
    bool was_active = scope->lateral_active;
    scope->lateral_active = true;
    bool ok = rewrite_expression(rewriter, scope, sql_unwrap(range->docexpr)) &&
              rewrite_expression(rewriter, scope, sql_unwrap(range->rowexpr)) &&
              rewrite_list(rewriter, scope, range->columns, range->n_columns);
    scope->lateral_active = was_active;
    if (!ok)
        return false;
    struct scope_item *item =
        new_item(rewriter, range->alias ? range->alias->aliasname : "xmltable");
    const char **names = ARENA_NEW_ARRAY(rewriter->arena, const char *, range->n_columns + 1);
    for (size_t i = 0; i < range->n_columns; i++)
        names[i] = range->columns[i]->range_table_func_col->colname;
    set_names(rewriter, item, names, range->n_columns);
    item->is_complete = true;
    if (range->alias)
        scope_rename_columns(rewriter->arena, item, range->alias->colnames,
                             range->alias->n_colnames);
    scope_items_add(rewriter->arena, added, item);
    return true;
}

static bool read_sample(struct rewriter *rewriter, struct scope *scope,
                        const PgQuery__RangeTableSample *sample, struct scope_items *added)
{
    const sql_node *relation = sql_unwrap(sample->relation);
    if (SQL_IS(relation, range_var) && is_derived(rewriter, AS_NODE(RangeVar, relation)))
        return refuse(rewriter, sample->location,
                      "TABLESAMPLE together with a whole-row reference or column alias list");
    return read_item(rewriter, scope, relation, added) &&
           rewrite_list(rewriter, scope, sample->args, sample->n_args) &&
           rewrite_expression(rewriter, scope, sql_unwrap(sample->repeatable));
}

/* ------------------------------------------------------------------ joins */

static bool has_visible_column(const struct scope_items *items, const char *name)
{
    for (size_t i = 0; i < items->count; i++)
        if (items->items[i]->is_columns_visible &&
            scope_item_column(items->items[i], name) < items->items[i]->column_count)
            return true;
    return false;
}

static const char **natural_names(struct rewriter *rewriter, const struct scope_items *left,
                                  const struct scope_items *right, size_t *count)
{
    size_t room = 0;
    for (size_t i = 0; i < left->count; i++)
        room += left->items[i]->column_count;
    const char **names = ARENA_NEW_ARRAY(rewriter->arena, const char *, room + 1);
    *count = 0;
    for (size_t i = 0; i < left->count; i++) {
        const struct scope_item *item = left->items[i];
        for (size_t c = 0; item->is_columns_visible && c < item->column_count; c++)
            if (has_visible_column(right, item->columns[c].name))
                names[(*count)++] = item->columns[c].name;
    }
    return names;
}

static const char **using_names(struct rewriter *rewriter, const PgQuery__JoinExpr *join,
                                size_t *count)
{
    const char **names = ARENA_NEW_ARRAY(rewriter->arena, const char *, join->n_using_clause + 1);
    *count = join->n_using_clause;
    for (size_t i = 0; i < *count; i++)
        names[i] = sql_string(join->using_clause[i]);
    return names;
}

/* A table of the side that stays in place, though the join needs it to look as this client sees it:
 * NULL where there is none. */
static const struct scope_item *find_misfit(const struct scope_items *side,
                                            const PgQuery__JoinExpr *join, const char *const *names,
                                            size_t count)
{
    for (size_t i = 0; i < side->count; i++) {
        const struct place_of_table *table = table_of(side->items[i]);
        if (!table || table->view->is_plain)
            continue;
        if (join->is_natural || join->alias)
            return side->items[i];
        for (size_t n = 0; n < count; n++) {
            const struct view_column *column = view_find(table->view, names[n]);
            if (view_hides(table->view, names[n]) || (column && column->read != VIEW_PLAIN))
                return side->items[i];
        }
    }
    return NULL;
}

static bool read_condition(struct rewriter *rewriter, struct scope *scope,
                           const PgQuery__JoinExpr *join, const struct scope_items *both)
{
    struct scope_items kept = scope->items;
    bool was_in_from = scope->in_from;
    scope->items = *both;
    scope->in_from = false;
    bool ok = rewrite_expression(rewriter, scope, sql_unwrap(join->quals));
    scope->items = kept;
    scope->in_from = was_in_from;
    return ok;
}

static void append(struct rewriter *rewriter, struct scope_items *to,
                   const struct scope_items *from)
{
    for (size_t i = 0; i < from->count; i++)
        scope_items_add(rewriter->arena, to, from->items[i]);
}

static bool read_sides(struct rewriter *rewriter, struct scope *scope,
                       const PgQuery__JoinExpr *join, struct scope_items *left,
                       struct scope_items *right)
{
    if (!read_item(rewriter, scope, sql_unwrap(join->larg), left))
        return false;
    size_t count = scope->items.count;
    append(rewriter, &scope->items, left); /* for LATERAL on the right */
    bool ok = read_item(rewriter, scope, sql_unwrap(join->rarg), right);
    scope->items.count = count;
    return ok;
}

static void add_join(struct rewriter *rewriter, const PgQuery__JoinExpr *join,
                     struct scope_items *both, struct scope_item *joined_item,
                     struct scope_items *added)
{
    if (join->alias) {
        joined_item->alias = join->alias->aliasname;
        joined_item->is_relation_visible = true;
        joined_item->left = joined_item->right = NULL;
        for (size_t i = 0; i < joined_item->column_count; i++)
            joined_item->columns[i].source = NULL;
        scope_rename_columns(rewriter->arena, joined_item, join->alias->colnames,
                             join->alias->n_colnames);
    } else {
        for (size_t i = 0; i < both->count; i++)
            both->items[i]->is_columns_visible = false;
        append(rewriter, added, both);
    }
    scope_items_add(rewriter->arena, added, joined_item);
    if (join->join_using_alias) {
        struct scope_item *merged = new_item(rewriter, join->join_using_alias->aliasname);
        merged->columns = joined_item->columns;
        merged->column_count = joined_item->merged_count;
        merged->is_complete = true;
        merged->is_columns_visible = false;
        scope_items_add(rewriter->arena, added, merged);
    }
}

static bool read_join(struct rewriter *rewriter, struct scope *scope, const PgQuery__JoinExpr *join,
                      struct scope_items *added)
{
    struct scope_items left = {0}, right = {0}, both = {0};
    if (!read_sides(rewriter, scope, join, &left, &right))
        return false;
    append(rewriter, &both, &left);
    append(rewriter, &both, &right);
    size_t count;
    const char **names = join->is_natural ? natural_names(rewriter, &left, &right, &count)
                                          : using_names(rewriter, join, &count);
    const struct scope_item *misfit = find_misfit(&both, join, names, count);
    if (misfit)
        return need_derived(rewriter, misfit, table_of(misfit)->range->location,
                            "a join by USING or NATURAL");
    if (!read_condition(rewriter, scope, join, &both))
        return false;
    struct scope_item *item =
        scope_join(rewriter->arena, left.items, left.count, right.items, right.count, names, count);
    add_join(rewriter, join, &both, item, added);
    return true;
}

static bool read_item(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
                      struct scope_items *added)
{
    if (SQL_IS(node, range_var))
        return read_table(rewriter, scope, AS_NODE(RangeVar, node), added);
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
        append(rewriter, &scope->items, &added);
    }
    scope->in_from = false;
    return true;
}

/* ------------------------------------------------------------------ WITH */

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
