/*
 * Tables in FROM and as targets: the item each stands as in the scope, and the derived table that
 * takes the place of one in transition where editing in place would not do.
 */
#include "from.h"

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

/* "(SELECT .. FROM relation)" in the client's shape. */
static bool derived_table_sql(struct rewriter *rewriter, const struct view *view,
                              const char *relation, int32_t location, const char **sql)
{
    if (!view->order_is_known)
        return refuse(rewriter, location, "all columns of a table whose column order is lost");
    const char *qualifier =
        arena_format(rewriter->arena, "%s.", view_quote(rewriter->arena, view->table->name));
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    const char *separator = "(SELECT ";
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
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

bool is_derived(const struct rewriter *rewriter, const PgQuery__RangeVar *range)
{
    for (size_t i = 0; i < rewriter->derived_count; i++)
        if (rewriter->derived[i] == range)
            return true;
    return false;
}

static bool put_derived(struct rewriter *rewriter, const struct view *view,
                        const PgQuery__RangeVar *range, const char *sample)
{
    size_t start = relation_start(rewriter, range), end = relation_end(rewriter, range);
    uint32_t from = token_start(rewriter, start), to = token_end(rewriter, end - 1);
    const char *relation = arena_format(rewriter->arena, "%.*s%s", (int)(to - from),
                                        rewriter->source.data + from, sample);
    const char *sql = NULL;
    if (!derived_table_sql(rewriter, view, relation, range->location, &sql))
        return false;
    if (!range->alias)
        sql = arena_format(rewriter->arena, "%s AS %s", sql,
                           view_quote(rewriter->arena, range->relname));
    edits_replace(&rewriter->edits, from, to, sql);
    return true;
}

struct scope_item *new_item(struct rewriter *rewriter, const char *alias)
{
    struct scope_item *item = ARENA_NEW(rewriter->arena, struct scope_item);
    item->alias = alias;
    item->names_are_certain = true;
    item->is_relation_visible = alias != NULL;
    item->is_columns_visible = true;
    return item;
}

/*
 * The number that EXPAND will give: new columns come last, of several transitions in the order in
 * which the client's `*` has them.
 */
static int16_t number_to_come(const struct view *view, const struct view_column *column)
{
    size_t number = (size_t)view->table->last_attnum + 1 + column->number;
    for (const struct view_transition *before = view->transitions; before != column->transition;
         before++) {
        if (before->at->stage == STAGE_APPLIED)
            number += before->at->transition->column_count[SHAPE_NEW];
    }
    return (int16_t)number;
}

static int16_t number_of(const struct view *view, const struct view_column *column)
{
    if (column->physical)
        return column->physical->attnum;
    switch (column->transition->at->stage) {
    case STAGE_APPLIED:
    case STAGE_EXPANDED:
        return number_to_come(view, column);
    case STAGE_CONTRACTED:
        return view_old_number(view, column->transition, column->number);
    }
    BUG("stage of a transition");
}

/*
 * A result that the client sees computed stands for this column of the table. Its number is the
 * same in every phase: a dropped column keeps the one that it had, and one that EXPAND has yet to
 * add has the one that it will get.
 */
static void name_origin(struct scope_column *to, const struct view *view,
                        const struct view_column *column)
{
    if (column->read != VIEW_CONVERTED && column->read != VIEW_PARITY)
        return;
    int16_t attnum = number_of(view, column);
    to->table_oid = attnum ? view->table->oid : 0;
    to->attnum = attnum;
}

static void note_type(struct scope_column *to, const struct view_column *column)
{
    if (column->column) {
        to->type_oid = column->column->type_oid;
        to->typmod = column->column->typmod;
    } else if (column->physical) {
        to->type_oid = column->physical->type_oid;
        to->typmod = column->physical->typmod;
    }
}

static void fill_from_view(struct rewriter *rewriter, struct scope_item *item,
                           const struct view *view, bool in_place)
{
    item->column_count = view->column_count;
    item->columns = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, view->column_count);
    for (size_t i = 0; i < view->column_count; i++) {
        item->columns[i].name = view->columns[i].name;
        note_type(&item->columns[i], &view->columns[i]);
        if (in_place && view->columns[i].transition)
            item->columns[i].meaning = &view->columns[i];
        item->columns[i].base = item;
        item->columns[i].base_column = i;
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
        item->columns[i] = (struct scope_column){.name = table->columns[i].name,
                                                 .type_oid = table->columns[i].type_oid,
                                                 .typmod = table->columns[i].typmod};
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
                          const char *sample, struct scope_item **made)
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
    item->row_oid = view->is_plain ? 0 : table->oid;
    fill_from_view(rewriter, item, view, !derived);
    if (derived) {
        item->schema = NULL;
        item->derived = view;
        return put_derived(rewriter, view, range, sample);
    }
    struct place_of_table *place = ARENA_NEW(rewriter->arena, struct place_of_table);
    *place = (struct place_of_table){view, range};
    item->meaning = place;
    return true;
}

bool read_table(struct rewriter *rewriter, struct scope *scope, const PgQuery__RangeVar *range,
                const char *sample, struct scope_items *added)
{
    struct scope_item *item;
    const struct scope_cte *cte =
        present(range->schemaname) ? NULL : scope_cte_find(scope, range->relname);
    if (cte)
        item = item_of_cte(rewriter, cte, range->alias ? range->alias->aliasname : range->relname);
    else if (!item_of_table(rewriter, range, false, sample, &item))
        return false;
    if (range->alias && range->alias->n_colnames > 0) {
        if (table_of(item) && !table_of(item)->view->is_plain)
            return need_derived(rewriter, item, range->location, "a column alias list");
        scope_rename_columns(rewriter->arena, item, range->alias->colnames,
                             range->alias->n_colnames);
        item->renames_row = item->row_oid != 0;
    }
    scope_items_add(rewriter->arena, added, item);
    return true;
}

bool add_target(struct rewriter *rewriter, struct scope *scope, const PgQuery__RangeVar *range,
                struct scope_item **item)
{
    if (!item_of_table(rewriter, range, true, "", item)) /* no CTE hides it from being written */
        return false;
    scope_items_add(rewriter->arena, &scope->items, *item);
    return true;
}
