/* Joins: what they merge, what is seen of them, and when a table must be derived for one. */
#include "from.h"

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
    bool ok = rewrite_condition(rewriter, scope, join->quals);
    scope->items = kept;
    scope->in_from = was_in_from;
    return ok;
}

void append_items(struct rewriter *rewriter, struct scope_items *to, const struct scope_items *from)
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
    append_items(rewriter, &scope->items, left); /* for LATERAL on the right */
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
            joined_item->columns[i].source = joined_item->columns[i].same = NULL;
        scope_rename_columns(rewriter->arena, joined_item, join->alias->colnames,
                             join->alias->n_colnames);
    } else {
        for (size_t i = 0; i < both->count; i++)
            both->items[i]->is_columns_visible = false;
        append_items(rewriter, added, both);
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

static void make_nullable(struct scope_items *side)
{
    for (size_t i = 0; i < side->count; i++)
        side->items[i]->is_nullable = true;
}

/* Whose row may be made up, seen from outside the join; its own condition sees real ones. */
static void note_outer(enum scope_join kind, struct scope_items *left, struct scope_items *right)
{
    if (kind == SCOPE_JOIN_LEFT || kind == SCOPE_JOIN_FULL)
        make_nullable(right);
    if (kind == SCOPE_JOIN_RIGHT || kind == SCOPE_JOIN_FULL)
        make_nullable(left);
}

static enum scope_join kind_of(const PgQuery__JoinExpr *join)
{
    if (join->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT)
        return SCOPE_JOIN_LEFT;
    if (join->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT)
        return SCOPE_JOIN_RIGHT;
    if (join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL)
        return SCOPE_JOIN_FULL;
    return SCOPE_JOIN_INNER;
}

bool read_join(struct rewriter *rewriter, struct scope *scope, const PgQuery__JoinExpr *join,
               struct scope_items *added)
{
    struct scope_items left = {0}, right = {0}, both = {0};
    if (!read_sides(rewriter, scope, join, &left, &right))
        return false;
    append_items(rewriter, &both, &left);
    append_items(rewriter, &both, &right);
    size_t count;
    const char **names = join->is_natural ? natural_names(rewriter, &left, &right, &count)
                                          : using_names(rewriter, join, &count);
    const struct scope_item *misfit = find_misfit(&both, join, names, count);
    if (misfit)
        return need_derived(rewriter, misfit, table_of(misfit)->range->location,
                            "a join by USING or NATURAL");
    if (!read_condition(rewriter, scope, join, &both))
        return false;
    note_outer(kind_of(join), &left, &right);
    struct scope_item *item = scope_join(rewriter->arena, kind_of(join), left.items, left.count,
                                         right.items, right.count, names, count);
    add_join(rewriter, join, &both, item, added);
    return true;
}
