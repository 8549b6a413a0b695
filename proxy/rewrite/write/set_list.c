/* Reading a SET list: which column each assignment means, and where its value is in the text. */
#include "set_list.h"

static bool find_column(struct set_list *set, struct assignment *assignment)
{
    const char *name = assignment->target->name;
    if (!set->view)
        return true;
    const struct view_column *column = view_find(set->view, name);
    assignment->any = column;
    if (!column && view_hides(set->view, name))
        return fail_at(set->rewriter, assignment->target->location, "42703",
                       "column \"%s\" of relation \"%s\" does not exist", name,
                       set->view->table->name);
    if (!column || !column->transition)
        return true;
    if (column->transition->is_blocked)
        return refuse_blocked(set->rewriter, column->transition, assignment->target->location);
    assignment->column = column;
    return true;
}

/* The own column by its physical name. */
static void map_name(struct rewriter *rewriter, const struct assignment *assignment)
{
    const struct view_transition *transition = assignment->column->transition;
    const char *physical =
        view_physical_name(transition, transition->shape, assignment->column->number);
    if (strcmp(physical, assignment->column->name) != 0)
        edits_replace(&rewriter->edits, token_start(rewriter, assignment->name.first),
                      token_end(rewriter, assignment->name.first),
                      view_quote(rewriter->arena, physical));
}

static bool read_name(struct set_list *set, struct assignment *assignment)
{
    struct rewriter *rewriter = set->rewriter;
    if (!find_column(set, assignment) ||
        !rewrite_list(rewriter, set->scope, assignment->target->indirection,
                      assignment->target->n_indirection))
        return false;
    if (assignment->column)
        map_name(rewriter, assignment);
    assignment->name_sql =
        edits_render(&rewriter->edits, 0, token_start(rewriter, assignment->name.first),
                     token_end(rewriter, assignment->name.end - 1));
    return true;
}

/* Its value, of which a default is each row's own. */
static bool read_assigned(struct set_list *set, struct assignment *assignment, const sql_node *node,
                          struct item_range range)
{
    struct rewriter *rewriter = set->rewriter;
    struct client_value *value = &assignment->value;
    if (!read_value(rewriter, set->scope, node, range, assignment->column, value))
        return false;
    const char *qualifier =
        value->is_default ? qualifier_of(rewriter, set->scope, set->target) : NULL;
    if (qualifier)
        value->sql = default_sql(rewriter, assignment->column,
                                 arena_format(rewriter->arena, "%sctid IS NOT NULL", qualifier));
    return true;
}

static size_t find_equals(const struct rewriter *rewriter, size_t token)
{
    uint16_t depth = rewriter->tree.tokens[token].depth;
    while (token < rewriter->tree.token_count &&
           !(rewriter->tree.tokens[token].depth == depth && token_kind(rewriter, token) == '='))
        token++;
    return token;
}

static bool read_single(struct set_list *set, struct assignment *assignment)
{
    struct rewriter *rewriter = set->rewriter;
    size_t name = sql_token_at(&rewriter->tree, (uint32_t)assignment->target->location);
    size_t equals = find_equals(rewriter, name);
    size_t end = sql_item_end(&rewriter->tree, equals + 1);
    struct set_item *item = &set->items[set->item_count++];
    *item = (struct set_item){
        .source = SET_SINGLE, .range = {name, end}, .count = 1, .assignments = assignment};
    assignment->item = item;
    assignment->name = (struct item_range){name, equals};
    return read_name(set, assignment) &&
           read_assigned(set, assignment, sql_unwrap(assignment->target->val),
                         (struct item_range){equals + 1, end});
}

/* ------------------------------------------------------------------ (a, b) = (..) */

static bool refuse_count(struct set_list *set, int32_t location)
{
    return fail_at(set->rewriter, location, "42601",
                   "number of columns does not match number of values");
}

static bool is_star(const sql_node *node)
{
    if (SQL_IS(node, column_ref)) {
        const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
        return !sql_string(reference->fields[reference->n_fields - 1]);
    }
    if (!SQL_IS(node, a__indirection))
        return false;
    const PgQuery__AIndirection *indirection = AS_NODE(AIndirection, node);
    return indirection->indirection[indirection->n_indirection - 1]->node_case ==
           PG_QUERY__NODE__NODE_A_STAR;
}

static bool has_star(const PgQuery__RowExpr *row)
{
    for (size_t i = 0; i < row->n_args; i++)
        if (is_star(sql_unwrap(row->args[i])))
            return true;
    return false;
}

/* How many columns a star stands for; 0 where that is not known. */
static size_t width_of(const struct set_list *set, const sql_node *node)
{
    if (!is_star(node))
        return 1;
    if (!SQL_IS(node, column_ref) || AS_NODE(ColumnRef, node)->n_fields < 2)
        return 0;
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    size_t fields = reference->n_fields;
    struct scope_item *item;
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(set->scope, schema, sql_string(reference->fields[fields - 2]), &item) !=
            SCOPE_FOUND ||
        !item->is_complete || !item->names_are_certain)
        return 0;
    return item->column_count;
}

/* The bracket around a row's items: others may be around it, and the word ROW before it. */
static size_t row_bracket(struct rewriter *rewriter, size_t token)
{
    for (;;) {
        size_t count;
        if (token_kind(rewriter, token) == PG_QUERY__TOKEN__ROW)
            return token + 1;
        (void)split_items(rewriter, token, &count);
        if (count != 1) /* brackets around one value make no row */
            return token;
        token++;
    }
}

static bool read_starred_row(struct set_list *set, struct set_item *item,
                             const PgQuery__RowExpr *row, const struct item_range *values)
{
    struct rewriter *rewriter = set->rewriter;
    size_t place = 0;
    item->source = SET_QUERY;
    item->is_starred = item->is_counted = true;
    item->query.start = token_start(rewriter, values[0].first);
    item->query.end = token_end(rewriter, values[row->n_args - 1].end - 1);
    if (!rewrite_row_items(rewriter, set->scope, row->args, row->n_args))
        return false;
    for (size_t i = 0; i < row->n_args; i++) {
        const sql_node *node = sql_unwrap(row->args[i]);
        size_t width = width_of(set, node);
        item->is_counted = item->is_counted && width > 0;
        if (item->is_counted && place < item->count && width == 1 && is_untyped(node) &&
            item->assignments[place].any)
            cast_item(rewriter, values[i], node, item->assignments[place].any);
        place += width;
    }
    if (item->is_counted && place != item->count && set->view)
        return refuse_count(set, row->location);
    item->query.sql = edits_render(&rewriter->edits, 0, item->query.start, item->query.end);
    return true;
}

static bool read_row(struct set_list *set, struct set_item *item, const PgQuery__RowExpr *row,
                     size_t source)
{
    struct rewriter *rewriter = set->rewriter;
    size_t count;
    struct item_range *values = split_items(rewriter, row_bracket(rewriter, source), &count);
    BUG_ON(count != row->n_args);
    if (count > 0 && has_star(row))
        return read_starred_row(set, item, row, values);
    if (count != item->count) /* of a table that is none of ours the server says so */
        return !set->view || refuse_count(set, row->location);
    item->source = SET_ROW;
    for (size_t i = 0; i < count; i++)
        if (!read_assigned(set, &item->assignments[i], sql_unwrap(row->args[i]), values[i]))
            return false;
    return true;
}

static bool read_query(struct set_list *set, struct set_item *item, const PgQuery__SubLink *link,
                       size_t source)
{
    struct rewriter *rewriter = set->rewriter;
    struct outputs outputs;
    outputs_init(&outputs);
    size_t closing = sql_token_closing(&rewriter->tree, source);
    item->source = SET_QUERY;
    item->query.start = token_start(rewriter, source + 1);
    item->query.end = token_end(rewriter, closing - 1);
    if (!rewrite_select(rewriter, set->scope, AS_NODE(SelectStmt, sql_unwrap(link->subselect)),
                        &outputs))
        return false;
    item->is_counted = outputs.is_complete;
    if (outputs.is_complete && outputs.count != item->count && set->view)
        return refuse_count(set, link->location);
    item->query.sql = edits_render(&rewriter->edits, 0, item->query.start, item->query.end);
    rewriter->row_queries++;
    return true;
}

static bool read_source(struct set_list *set, struct set_item *item, const sql_node *source,
                        size_t token)
{
    struct rewriter *rewriter = set->rewriter;
    if (SQL_IS(source, row_expr))
        return read_row(set, item, AS_NODE(RowExpr, source), token);
    if (SQL_IS(source, sub_link) &&
        AS_NODE(SubLink, source)->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK)
        return read_query(set, item, AS_NODE(SubLink, source), token);
    if (!set->view)
        return rewrite_expression(rewriter, set->scope, source);
    return fail_at(
        rewriter, -1, "0A000",
        "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
}

/* The list has one target for each name; `first` is the group's. */
static bool read_group(struct set_list *set, PgQuery__Node *const *list, struct assignment *first)
{
    struct rewriter *rewriter = set->rewriter;
    const PgQuery__MultiAssignRef *assign = first->target->val->multi_assign_ref;
    size_t open = sql_token_at(&rewriter->tree, (uint32_t)first->target->location) - 1;
    size_t source = sql_token_closing(&rewriter->tree, open) + 2; /* behind ") =" */
    struct set_item *item = &set->items[set->item_count++];
    *item = (struct set_item){.range = {open, sql_item_end(&rewriter->tree, source)},
                              .assignments = first};
    struct item_range *names = split_items(rewriter, open, &item->count);
    BUG_ON(item->count != (size_t)assign->ncolumns);
    for (size_t i = 0; i < item->count; i++) {
        first[i] = (struct assignment){
            .target = list[i]->res_target, .item = item, .place = i, .name = names[i]};
        if (!read_name(set, &first[i]))
            return false;
    }
    return read_source(set, item, sql_unwrap(assign->source), source);
}

bool set_list_read(struct set_list *set, PgQuery__Node *const *list)
{
    struct arena *arena = set->rewriter->arena;
    set->assignments = ARENA_NEW_ARRAY(arena, struct assignment, set->count + 1);
    set->items = ARENA_NEW_ARRAY(arena, struct set_item, set->count + 1);
    for (size_t i = 0; i < set->count;) {
        struct assignment *assignment = &set->assignments[i];
        assignment->target = list[i]->res_target;
        bool grouped = SQL_IS(sql_unwrap(assignment->target->val), multi_assign_ref);
        if (!(grouped ? read_group(set, &list[i], assignment) : read_single(set, assignment)))
            return false;
        i += set->items[set->item_count - 1].count;
    }
    return true;
}
