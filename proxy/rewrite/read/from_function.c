/* Functions in FROM: which columns they give, as far as a text can tell. */
#include "from.h"

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

bool read_function(struct rewriter *rewriter, struct scope *scope,
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

bool read_table_function(struct rewriter *rewriter, struct scope *scope,
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
