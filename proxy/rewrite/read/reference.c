/*
 * Column references: what each means, and what a client's name for it becomes.
 *
 * A table in transition is in the scope with the columns of the client's shape. So a reference
 * means what it would mean on a plain table of that shape. What remains is to keep the physical
 * columns of the other shape from being seen where the server would see them.
 */
#include "../rewriter.h"

const struct place_of_table *table_of(const struct scope_item *item)
{
    return item ? item->meaning : NULL;
}

const struct view *view_of_item(const struct scope_item *item)
{
    return item->derived ? item->derived : table_of(item) ? table_of(item)->view : NULL;
}

bool need_derived(struct rewriter *rewriter, const struct scope_item *item, int32_t location,
                  const char *construct)
{
    const struct place_of_table *table = table_of(item);
    BUG_ON(table == NULL);
    if (item->is_target)
        return refuse(rewriter, location, construct);
    if (rewriter->derived_count == rewriter->derived_room) {
        size_t room = rewriter->derived_room ? rewriter->derived_room * 2 : 8;
        const PgQuery__RangeVar **wider =
            ARENA_NEW_ARRAY(rewriter->arena, const PgQuery__RangeVar *, room);
        if (rewriter->derived_count)
            memcpy((void *)wider, (void *)rewriter->derived,
                   rewriter->derived_count * sizeof *wider);
        rewriter->derived = wider;
        rewriter->derived_room = room;
    }
    rewriter->derived[rewriter->derived_count++] = table->range;
    rewriter->is_begun_again = true;
    return false;
}

const char *qualifier_of(struct rewriter *rewriter, const struct scope *scope,
                         const struct scope_item *item)
{
    struct scope_item *found;
    if (!item->is_relation_visible && scope->items.count == 1 && scope->items.items[0] == item)
        return ""; /* the arbiter of ON CONFLICT: columns of one table, never qualified */
    if (!item->alias)
        return NULL;
    if (scope_relation_find(scope, NULL, item->alias, &found) == SCOPE_FOUND && found == item)
        return arena_format(rewriter->arena, "%s.", view_quote(rewriter->arena, item->alias));
    if (item->schema &&
        scope_relation_find(scope, item->schema, item->alias, &found) == SCOPE_FOUND &&
        found == item)
        return arena_format(rewriter->arena, "%s.%s.", view_quote(rewriter->arena, item->schema),
                            view_quote(rewriter->arena, item->alias));
    return NULL;
}

static bool holds_item(const struct scope *scope, const struct scope_item *item)
{
    for (size_t i = 0; i < scope->items.count; i++)
        if (scope->items.items[i] == item)
            return true;
    return false;
}

bool is_in_grouping_sets(const struct scope *scope, const struct scope_item *item)
{
    for (; scope; scope = scope->parent)
        if (holds_item(scope, item))
            return scope->has_grouping_sets;
    return false;
}

static bool is_computed(const struct view_column *column)
{
    return column->read == VIEW_CONVERTED || column->read == VIEW_PARITY;
}

/* COLLATE is explicit, and wins or conflicts where a column's collation does not; a sub-select's is
 * implicit. */
static bool hide_collation(struct rewriter *rewriter, const struct scope *scope,
                           const struct scope_item *item, int32_t location, const char **sql)
{
    if (is_in_grouping_sets(scope, item)) /* see row_sql */
        return need_derived(rewriter, item, location, "GROUPING SETS over a column with COLLATE");
    *sql = arena_format(rewriter->arena, "(SELECT %s)", *sql);
    return true;
}

bool column_sql(struct rewriter *rewriter, const struct scope *scope, const struct scope_item *item,
                const struct view_column *column, const char *qualifier, int32_t location,
                const char **sql)
{
    if (column->transition && column->transition->is_blocked)
        return refuse_blocked(rewriter, column->transition, location);
    *sql = view_read_sql(rewriter->arena, column, qualifier);
    if (!is_computed(column))
        return true;
    note_computed_use(rewriter, scope, item, location);
    if (item->is_nullable && !column->column->keeps_null)
        *sql = arena_format(rewriter->arena, "((CASE WHEN %stableoid IS NOT NULL THEN %s END)::%s)",
                            qualifier, *sql, column->column->type);
    return !column->column->read_collation || hide_collation(rewriter, scope, item, location, sql);
}

static uint32_t reference_end(const struct rewriter *rewriter, const PgQuery__ColumnRef *reference)
{
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    return token_end(rewriter, first + 2 * (reference->n_fields - 1));
}

static bool replace_reference(struct rewriter *rewriter, const struct scope *scope,
                              const struct scope_item *item, const PgQuery__ColumnRef *reference,
                              const struct view_column *column, const char *qualifier,
                              enum place place)
{
    const char *sql;
    if (!column_sql(rewriter, scope, item, column, qualifier, reference->location, &sql))
        return false;
    if (column->read == VIEW_PLAIN)
        return true;
    if (place == PLACE_TARGET)
        sql = arena_format(rewriter->arena, "%s AS %s", sql,
                           view_quote(rewriter->arena, column->name));
    edits_replace(&rewriter->edits, (uint32_t)reference->location,
                  reference_end(rewriter, reference), sql);
    return true;
}

/* Is the name one that this client and the server would understand differently? */
static bool is_of_concern(const struct scope_item *item, const char *name)
{
    const struct place_of_table *table = table_of(item);
    if (!table)
        return false;
    if (view_hides(table->view, name))
        return true;
    const struct view_column *column = view_find(table->view, name);
    return column && column->transition &&
           (column->read != VIEW_PLAIN || column->transition->is_blocked);
}

static const struct scope_item *find_concern(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->parent)
        for (size_t i = 0; i < scope->items.count; i++)
            if (is_of_concern(scope->items.items[i], name))
                return scope->items.items[i];
    return NULL;
}

bool is_captured(const struct scope *scope, const struct scope_item *seen, const char *name)
{
    for (; scope; scope = scope->parent) {
        for (size_t i = 0; i < scope->items.count; i++) {
            const struct place_of_table *table = table_of(scope->items.items[i]);
            if (scope->items.items[i] != seen && table && view_hides(table->view, name))
                return true;
        }
        if (holds_item(scope, seen))
            return false;
    }
    return false;
}

/* May another item between here and the one have a column of the name? */
static bool is_name_free(const struct scope *scope, const struct scope_item *item, const char *name)
{
    for (; scope; scope = scope->parent) {
        for (size_t i = 0; i < scope->items.count; i++) {
            const struct scope_item *other = scope->items.items[i];
            const struct place_of_table *table = table_of(other);
            if (other == item)
                continue;
            if (!other->is_complete || !other->names_are_certain ||
                scope_item_column(other, name) < other->column_count ||
                (table && view_hides(table->view, name)))
                return false;
        }
        if (holds_item(scope, item))
            return true;
    }
    return false;
}

/* Can the transition's physical columns be named bare, and mean those of the item? */
static bool are_names_free(const struct scope *scope, const struct scope_item *item,
                           const struct view_transition *transition)
{
    for (enum shape shape = SHAPE_OLD; shape <= SHAPE_NEW; shape++)
        for (size_t i = 0; i < transition->at->transition->column_count[shape]; i++)
            if (!is_name_free(scope, item, view_physical_name(transition, shape, i)))
                return false;
    return true;
}

static bool use_found(struct rewriter *rewriter, const struct scope *scope,
                      const PgQuery__ColumnRef *reference, const char *name,
                      const struct scope_found *found, enum place place)
{
    const struct view_column *column = found->item->columns[found->column].meaning;
    const char *qualifier = qualifier_of(rewriter, scope, found->item);
    if (!qualifier && column && found->item->is_target && column->read != VIEW_PLAIN &&
        are_names_free(scope, found->item, column->transition))
        qualifier = ""; /* a target cannot be derived; its columns can be named all the same */
    if (table_of(found->item) && column) {
        if (column->read == VIEW_PLAIN && !is_captured(scope, found->seen, name))
            return replace_reference(rewriter, scope, found->item, reference, column, "", place);
        if (!qualifier)
            return need_derived(rewriter, found->item, reference->location,
                                "a column of a table whose alias is hidden here");
        if (column->read != VIEW_PLAIN)
            return replace_reference(rewriter, scope, found->item, reference, column, qualifier,
                                     place);
    } else if (!is_captured(scope, found->seen, name)) {
        return true;
    }
    if (!qualifier)
        return refuse(rewriter, reference->location,
                      "a bare name that two tables have in their physical columns");
    edits_before(&rewriter->edits, (uint32_t)reference->location, qualifier);
    return true;
}

static bool column_does_not_exist(struct rewriter *rewriter, const PgQuery__ColumnRef *reference,
                                  const char *table, const char *name)
{
    if (table)
        return fail_at(rewriter, reference->location, "42703", "column %s.%s does not exist", table,
                       name);
    return fail_at(rewriter, reference->location, "42703", "column \"%s\" does not exist", name);
}

static bool is_system_column(const char *name)
{
    static const char *const names[] = {"tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A table has columns of the system, a derived table in its place has not: by its name alone
 * another table's would be found. */
static bool is_lost_with_table(const struct scope_item *item, const char *name)
{
    return item->derived && is_system_column(name) &&
           scope_item_column(item, name) == item->column_count;
}

static bool names_lost_column(const struct scope *scope, const char *name)
{
    while (scope && scope->items.count == 0)
        scope = scope->parent;
    for (size_t i = 0; scope && i < scope->items.count; i++)
        if (scope->items.items[i]->is_columns_visible &&
            is_lost_with_table(scope->items.items[i], name))
            return true;
    return false;
}

static bool refuse_system_column(struct rewriter *rewriter, const PgQuery__ColumnRef *reference)
{
    return refuse(
        rewriter, reference->location,
        "a system column of a table that is also joined by USING or NATURAL on its column, "
        "or has column aliases,");
}

static bool use_bare_name(struct rewriter *rewriter, const struct scope *scope,
                          const PgQuery__ColumnRef *reference, enum place place)
{
    const char *name = sql_string(reference->fields[0]);
    struct scope_found found;
    struct scope_item *item;
    switch (scope_column_find(scope, name, &found)) {
    case SCOPE_FOUND:
        note_group_use(rewriter, scope, found.seen, scope_item_column(found.seen, name));
        return use_found(rewriter, scope, reference, name, &found, place);
    case SCOPE_AMBIGUOUS:
        if (!find_concern(scope, name))
            return true;
        return fail_at(rewriter, reference->location, "42702",
                       "column reference \"%s\" is ambiguous", name);
    case SCOPE_UNSURE:
        if (!find_concern(scope, name))
            return true;
        return refuse(rewriter, reference->location,
                      "a bare column name beside a function or temporary table whose columns "
                      "Segue does not know (write it with its table)");
    case SCOPE_NOT_FOUND:
        break;
    }
    if (names_lost_column(scope, name))
        return refuse_system_column(rewriter, reference);
    bool is_row = scope_relation_find(scope, NULL, name, &item) == SCOPE_FOUND;
    if (is_row)
        note_group_use(rewriter, scope, item, GROUP_USE_ROW);
    if (is_row && (item->renames_row || (table_of(item) && !table_of(item)->view->is_plain)))
        return rewrite_whole_row(rewriter, scope, item, reference, place);
    if (find_concern(scope, name))
        return column_does_not_exist(rewriter, reference, NULL, name);
    return true;
}

static bool use_qualified_name(struct rewriter *rewriter, const struct scope *scope,
                               const PgQuery__ColumnRef *reference, enum place place)
{
    size_t fields = reference->n_fields;
    const char *name = sql_string(reference->fields[fields - 1]);
    const char *table = sql_string(reference->fields[fields - 2]);
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    struct scope_item *item;
    if (scope_relation_find(scope, schema, table, &item) != SCOPE_FOUND)
        return true;
    if (name && is_lost_with_table(item, name))
        return refuse_system_column(rewriter, reference);
    note_group_use(rewriter, scope, item, name ? scope_item_column(item, name) : GROUP_USE_ROW);
    if (!name && item->renames_row)
        return rewrite_whole_row(rewriter, scope, item, reference, place);
    if (!table_of(item) || table_of(item)->view->is_plain)
        return true;
    if (!name) /* u.* within an expression */
        return rewrite_whole_row(rewriter, scope, item, reference, place);
    const struct view *view = table_of(item)->view;
    const struct view_column *column = view_find(view, name);
    if (!column)
        return view_hides(view, name) ? column_does_not_exist(rewriter, reference, table, name)
                                      : true;
    if (!column->transition)
        return true;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    uint32_t qualifier_end = token_end(rewriter, first + 2 * (fields - 1) - 1);
    const char *qualifier =
        arena_string_range(rewriter->arena, rewriter->source.data + reference->location,
                           qualifier_end - (uint32_t)reference->location);
    return replace_reference(rewriter, scope, item, reference, column, qualifier, place);
}

bool rewrite_reference(struct rewriter *rewriter, const struct scope *scope,
                       const PgQuery__ColumnRef *reference, enum place place)
{
    if (reference->n_fields > 1)
        return use_qualified_name(rewriter, scope, reference, place);
    if (sql_string(reference->fields[0]))
        return use_bare_name(rewriter, scope, reference, place);
    return true; /* a lone star is the target list's; anywhere else it is the server's error */
}

/* ------------------------------------------------------------------ expressions */

struct walk {
    struct rewriter *rewriter;
    struct scope *scope;
};

const struct catalog_table *table_of_type(struct rewriter *rewriter, const PgQuery__TypeName *type)
{
    if (type->n_names == 0 || type->n_names > 2)
        return NULL;
    PgQuery__RangeVar range = PG_QUERY__RANGE_VAR__INIT;
    range.relname = (char *)(uintptr_t)sql_string(type->names[type->n_names - 1]);
    if (type->n_names == 2)
        range.schemaname = (char *)(uintptr_t)sql_string(type->names[0]);
    return find_table(rewriter, &range);
}

static bool check_type(struct rewriter *rewriter, const PgQuery__TypeName *type)
{
    const struct catalog_table *table = table_of_type(rewriter, type);
    const struct view *view = table ? view_of(rewriter, table) : NULL;
    if (!view || view->is_plain)
        return true;
    return refuse(rewriter, type->location, "the row type of the table");
}

static bool walk_node(void *data, const sql_node *node)
{
    struct walk *walk = data;
    return rewrite_expression(walk->rewriter, walk->scope, node);
}

/* Inside xmlforest and the like an unnamed column gives its name, as in a target list. */
static bool rewrite_named_argument(struct rewriter *rewriter, struct scope *scope,
                                   const PgQuery__ResTarget *argument)
{
    const sql_node *value = sql_unwrap(argument->val);
    if (!argument->name[0] && SQL_IS(value, column_ref))
        return rewrite_reference(rewriter, scope, AS_NODE(ColumnRef, value), PLACE_TARGET);
    return rewrite_expression(rewriter, scope, value);
}

bool rewrite_expression(struct rewriter *rewriter, struct scope *scope, const sql_node *node)
{
    if (!node)
        return true;
    if (SQL_IS(node, column_ref))
        return rewrite_reference(rewriter, scope, AS_NODE(ColumnRef, node), PLACE_EXPRESSION);
    if (SQL_IS(node, select_stmt)) {
        struct outputs outputs;
        outputs_init(&outputs);
        return rewrite_select(rewriter, scope, AS_NODE(SelectStmt, node), &outputs);
    }
    if (SQL_IS(node, type_name))
        return check_type(rewriter, AS_NODE(TypeName, node));
    if (SQL_IS(node, res_target))
        return rewrite_named_argument(rewriter, scope, AS_NODE(ResTarget, node));
    if (SQL_IS(node, a__indirection))
        return rewrite_indirection(rewriter, scope, AS_NODE(AIndirection, node));
    if (SQL_IS(node, row_expr))
        return rewrite_row_items(rewriter, scope, AS_NODE(RowExpr, node)->args,
                                 AS_NODE(RowExpr, node)->n_args);
    if (SQL_IS(node, func_call)) {
        bool done;
        if (!rewrite_call_on_row(rewriter, scope, AS_NODE(FuncCall, node), &done))
            return false;
        if (done)
            return true;
    }
    if (SQL_IS(node, type_cast)) {
        bool done;
        if (!rewrite_row_cast(rewriter, scope, AS_NODE(TypeCast, node), &done))
            return false;
        if (done)
            return true;
    }
    if (SQL_IS(node, a__expr)) {
        bool done;
        if (!turn_condition(rewriter, scope, AS_NODE(AExpr, node), &done))
            return false;
        if (done)
            return true;
    }
    struct walk walk = {rewriter, scope};
    return sql_children(node, walk_node, &walk);
}

bool rewrite_list(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                  size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!rewrite_expression(rewriter, scope, sql_unwrap(list[i])))
            return false;
    return true;
}
