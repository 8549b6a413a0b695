/*
 * Target lists: stars become the shape's columns, and what is computed keeps the name that the
 * plain column would have given it.
 */
#include "rewriter.h"

void outputs_init(struct outputs *outputs)
{
    *outputs = (struct outputs){.is_complete = true};
}

void outputs_add(struct rewriter *rewriter, struct outputs *outputs,
                 const struct scope_column *column)
{
    if (outputs->count == outputs->room) {
        size_t room = outputs->room ? outputs->room * 2 : 8;
        struct scope_column *wider = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, room);
        if (outputs->count)
            memcpy(wider, outputs->columns, outputs->count * sizeof *wider);
        outputs->columns = wider;
        outputs->room = room;
    }
    outputs->columns[outputs->count++] = (struct scope_column){
        .name = column->name, .table_oid = column->table_oid, .attnum = column->attnum};
}

void tell_results(struct rewriter *rewriter, const struct outputs *outputs)
{
    if (!rewriter->tells_results)
        return;
    rewriter->results = ARENA_NEW_ARRAY(rewriter->arena, struct rewrite_result, outputs->count + 1);
    rewriter->result_count = 0;
    if (!outputs->is_complete)
        return; /* which column is which is not certain */
    for (size_t i = 0; i < outputs->count && i < UINT16_MAX; i++)
        if (outputs->columns[i].table_oid)
            rewriter->results[rewriter->result_count++] = (struct rewrite_result){
                (uint16_t)i, outputs->columns[i].attnum, outputs->columns[i].table_oid};
}

/* ------------------------------------------------------------------ stars */

struct star {
    struct rewriter *rewriter;
    struct scope *scope;
    int32_t location;
    struct text text;
};

static bool is_altered(const struct scope_item *item)
{
    return table_of(item) && !table_of(item)->view->is_plain;
}

static bool add_columns(struct star *star, const struct view *view, const char *qualifier)
{
    if (!view->order_is_known)
        return refuse(star->rewriter, star->location,
                      "all columns of a table whose column order is lost");
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
        if (column->transition && column->transition->is_blocked)
            return refuse_blocked(star->rewriter, column->transition, star->location);
        text_add_format(&star->text, "%s%s", star->text.length ? ", " : "",
                        view_read_sql(star->rewriter->arena, column, qualifier));
        if (column->read != VIEW_PLAIN)
            text_add_format(&star->text, " AS %s", view_quote(star->rewriter->arena, column->name));
    }
    return true;
}

static bool add_item(struct star *star, const struct scope_item *item) MUST_CHECK;

static bool add_named_item(struct star *star, const struct scope_item *item)
{
    const char *qualifier = qualifier_of(star->rewriter, star->scope, item);
    if (!qualifier)
        return refuse(star->rewriter, star->location, "a star over tables of one name");
    if (is_altered(item))
        return add_columns(star, table_of(item)->view, qualifier);
    text_add_format(&star->text, "%s%s*", star->text.length ? ", " : "", qualifier);
    return true;
}

static bool add_item(struct star *star, const struct scope_item *item)
{
    if (item->left && item->right)
        return add_item(star, item->left) && add_item(star, item->right);
    return add_named_item(star, item);
}

/* Joins that merge columns put them first; spelling that out is the server's to do. */
static bool has_merged(const struct scope *scope)
{
    for (size_t i = 0; i < scope->items.count; i++)
        if (scope->items.items[i]->merged_count > 0)
            return true;
    return false;
}

static bool rewrite_bare_star(struct rewriter *rewriter, struct scope *scope,
                              const PgQuery__ColumnRef *reference, const char **sql)
{
    const struct scope_item *altered = NULL;
    for (size_t i = 0; i < scope->items.count && !altered; i++)
        if (is_altered(scope->items.items[i]))
            altered = scope->items.items[i];
    *sql = NULL;
    if (!altered)
        return true;
    if (has_merged(scope))
        return need_derived(rewriter, altered, reference->location, "a star over a merged join");
    struct star star = {rewriter, scope, reference->location, {0}};
    text_init(&star.text, TEXT_UNBOUNDED);
    bool ok = true;
    for (size_t i = 0; i < scope->items.count && ok; i++)
        if (scope->items.items[i]->is_columns_visible)
            ok = add_item(&star, scope->items.items[i]);
    if (ok)
        *sql = arena_string_range(rewriter->arena, star.text.data, star.text.length);
    text_release(&star.text);
    return ok;
}

static void star_outputs(struct rewriter *rewriter, const struct scope_item *item,
                         struct outputs *outputs)
{
    outputs->is_complete = outputs->is_complete && item->is_complete && item->names_are_certain;
    for (size_t i = 0; i < item->column_count; i++)
        outputs_add(rewriter, outputs, &item->columns[i]);
}

/* TABLE users: a SELECT whose star is not in the text. */
static void spell_table_out(struct rewriter *rewriter, const struct scope *scope, const char *sql)
{
    for (size_t i = 0; i < scope->items.count; i++) {
        const struct place_of_table *table = table_of(scope->items.items[i]);
        if (!table)
            continue;
        size_t word = relation_start(rewriter, table->range) - 1;
        edits_replace(&rewriter->edits, token_start(rewriter, word), token_end(rewriter, word),
                      arena_format(rewriter->arena, "SELECT %s FROM", sql));
    }
}

static bool rewrite_star(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__ColumnRef *reference, struct outputs *outputs)
{
    const char *sql;
    if (!rewrite_bare_star(rewriter, scope, reference, &sql))
        return false;
    for (size_t i = 0; i < scope->items.count; i++)
        if (scope->items.items[i]->is_columns_visible)
            star_outputs(rewriter, scope->items.items[i], outputs);
    if (!sql)
        return true;
    if (reference->location < 0)
        spell_table_out(rewriter, scope, sql);
    else
        edits_replace(&rewriter->edits, (uint32_t)reference->location,
                      (uint32_t)reference->location + 1, sql);
    return true;
}

/* An alias behind `u.*` means nothing to the server either; it goes with the star. */
static bool rewrite_qualified_star(struct rewriter *rewriter, struct scope *scope,
                                   const PgQuery__ResTarget *target, struct outputs *outputs)
{
    const PgQuery__ColumnRef *reference = target->val->column_ref;
    size_t fields = reference->n_fields;
    struct scope_item *item;
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(scope, schema, sql_string(reference->fields[fields - 2]), &item) !=
        SCOPE_FOUND) {
        outputs->is_complete = false; /* the server's error */
        return true;
    }
    star_outputs(rewriter, item, outputs);
    if (!is_altered(item))
        return true;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    size_t star_token = first + 2 * (fields - 1);
    const char *qualifier =
        arena_string_range(rewriter->arena, rewriter->source.data + reference->location,
                           token_start(rewriter, star_token) - (uint32_t)reference->location);
    struct star star = {rewriter, scope, reference->location, {0}};
    text_init(&star.text, TEXT_UNBOUNDED);
    bool ok = add_columns(&star, table_of(item)->view, qualifier);
    size_t last = present(target->name) ? sql_item_end(&rewriter->tree, first) - 1 : star_token;
    if (ok)
        edits_replace(&rewriter->edits, (uint32_t)reference->location, token_end(rewriter, last),
                      arena_string_range(rewriter->arena, star.text.data, star.text.length));
    text_release(&star.text);
    return ok;
}

/* ------------------------------------------------------------------ targets */

static bool is_star(const PgQuery__ColumnRef *reference)
{
    return sql_string(reference->fields[reference->n_fields - 1]) == NULL;
}

/* What a bare reference gives stands for; NULL where that is not known. */
static const struct scope_column *column_of(const struct scope *scope,
                                            const PgQuery__ColumnRef *reference)
{
    size_t fields = reference->n_fields;
    const char *column = sql_string(reference->fields[fields - 1]);
    struct scope_found found;
    struct scope_item *item;
    if (fields == 1)
        return scope_column_find(scope, column, &found) == SCOPE_FOUND
                   ? &found.item->columns[found.column]
                   : NULL;
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(scope, schema, sql_string(reference->fields[fields - 2]), &item) !=
        SCOPE_FOUND)
        return NULL;
    size_t index = scope_item_column(item, column);
    return index < item->column_count ? &item->columns[index] : NULL;
}

static void add_output_like(struct rewriter *rewriter, struct outputs *outputs, const char *name,
                            const struct scope_column *from)
{
    outputs_add(rewriter, outputs,
                &(struct scope_column){.name = name,
                                       .table_oid = from ? from->table_oid : 0,
                                       .attnum = from ? from->attnum : (int16_t)0});
}

static void name_target(struct rewriter *rewriter, const PgQuery__ResTarget *target,
                        const char *name)
{
    size_t end =
        sql_item_end(&rewriter->tree, sql_token_at(&rewriter->tree, (uint32_t)target->location));
    edits_after(&rewriter->edits, token_end(rewriter, end - 1),
                arena_format(rewriter->arena, " AS %s", view_quote(rewriter->arena, name)));
}

static bool rewrite_reference_target(struct rewriter *rewriter, struct scope *scope,
                                     const PgQuery__ResTarget *target, struct outputs *outputs)
{
    const PgQuery__ColumnRef *reference = target->val->column_ref;
    if (is_star(reference))
        return reference->n_fields == 1 ? rewrite_star(rewriter, scope, reference, outputs)
                                        : rewrite_qualified_star(rewriter, scope, target, outputs);
    const char *name = present(target->name);
    const char *column = sql_string(reference->fields[reference->n_fields - 1]);
    add_output_like(rewriter, outputs, name ? name : column, column_of(scope, reference));
    bool is_bare = target->location == reference->location; /* else it stands in brackets */
    size_t mark = rewriter->edits.count;
    if (!rewrite_reference(rewriter, scope, reference,
                           !name && is_bare ? PLACE_TARGET : PLACE_EXPRESSION))
        return false;
    if (!name && !is_bare && rewriter->edits.count > mark)
        name_target(rewriter, target, column);
    return true;
}

/* (u).role and (u).*: the table whose row it is; NULL where it is anything else. */
static const struct scope_item *row_of(const struct scope *scope, const sql_node *value)
{
    if (!SQL_IS(value, a__indirection) || AS_NODE(AIndirection, value)->n_indirection != 1)
        return NULL;
    const sql_node *row = sql_unwrap(AS_NODE(AIndirection, value)->arg);
    struct scope_found found;
    struct scope_item *item;
    if (!SQL_IS(row, column_ref) || AS_NODE(ColumnRef, row)->n_fields != 1)
        return NULL;
    const char *name = sql_string(AS_NODE(ColumnRef, row)->fields[0]);
    if (!name || scope_column_find(scope, name, &found) != SCOPE_NOT_FOUND ||
        scope_relation_find(scope, NULL, name, &item) != SCOPE_FOUND)
        return NULL;
    return item;
}

static void add_value_output(struct rewriter *rewriter, const struct scope *scope,
                             const sql_node *value, const char *name, struct outputs *outputs)
{
    const struct scope_item *item = row_of(scope, value);
    const struct scope_column *from = NULL;
    if (item) {
        const char *field = sql_string(AS_NODE(AIndirection, value)->indirection[0]);
        size_t index = field ? scope_item_column(item, field) : item->column_count;
        from = index < item->column_count ? &item->columns[index] : NULL;
    }
    add_output_like(rewriter, outputs, name, from);
}

static bool expands(const sql_node *value)
{
    if (!SQL_IS(value, a__indirection))
        return false;
    const PgQuery__AIndirection *node = AS_NODE(AIndirection, value);
    return node->indirection[node->n_indirection - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static bool rewrite_target(struct rewriter *rewriter, struct scope *scope,
                           const PgQuery__ResTarget *target, struct outputs *outputs)
{
    const sql_node *value = sql_unwrap(target->val);
    if (SQL_IS(value, column_ref))
        return rewrite_reference_target(rewriter, scope, target, outputs);
    size_t mark = rewriter->edits.count;
    if (!rewrite_expression(rewriter, scope, value))
        return false;
    if (expands(value)) {
        const struct scope_item *item = row_of(scope, value);
        if (item)
            star_outputs(rewriter, item, outputs);
        else
            outputs->is_complete = false; /* how many columns that is, is not known */
        return true;
    }
    const char *name = present(target->name);
    const char *figured = name ? name : sql_column_name(value);
    add_value_output(rewriter, scope, value, figured, outputs);
    if (!name && rewriter->edits.count > mark && strcmp(figured, "?column?") != 0)
        name_target(rewriter, target, figured);
    return true;
}

bool rewrite_targets(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                     size_t count, struct outputs *outputs)
{
    for (size_t i = 0; i < count; i++)
        if (!rewrite_target(rewriter, scope, list[i]->res_target, outputs))
            return false;
    return true;
}
