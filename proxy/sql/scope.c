/*
 * Looking names up, level by level. The order of levels and what hides what follow colNameToVar,
 * refnameNamespaceItem and transformFromClauseItem of PostgreSQL's parser.
 */
#include "segue/sql/scope.h"

void scope_items_add(struct arena *arena, struct scope_items *items, struct scope_item *item)
{
    if (items->count == items->room) {
        size_t room = items->room ? items->room * 2 : 4;
        struct scope_item **wider = ARENA_NEW_ARRAY(arena, struct scope_item *, room);
        if (items->count)
            memcpy((void *)wider, (void *)items->items, items->count * sizeof *wider);
        items->items = wider;
        items->room = room;
    }
    items->items[items->count++] = item;
}

size_t scope_item_column(const struct scope_item *item, const char *name)
{
    for (size_t i = 0; i < item->column_count; i++)
        if (strcmp(item->columns[i].name, name) == 0)
            return i;
    return item->column_count;
}

static bool can_be_seen(const struct scope *scope)
{
    return !scope->in_from || scope->lateral_active;
}

bool scope_item_has_double(const struct scope_item *item, size_t column)
{
    for (size_t i = column + 1; i < item->column_count; i++)
        if (strcmp(item->columns[i].name, item->columns[column].name) == 0)
            return true;
    return false;
}

static void follow_joins(struct scope_found *found)
{
    struct scope_column *column = &found->item->columns[found->column];
    while (column->source) {
        found->item = column->source;
        found->column = column->source_column;
        column = &found->item->columns[found->column];
    }
}

static enum scope_answer find_in_level(const struct scope *scope, const char *name,
                                       struct scope_found *found)
{
    bool incomplete = false;
    enum scope_answer answer = SCOPE_NOT_FOUND;
    for (size_t i = 0; i < scope->items.count; i++) {
        struct scope_item *item = scope->items.items[i];
        if (!item->is_columns_visible)
            continue;
        incomplete = incomplete || !item->is_complete;
        size_t column = scope_item_column(item, name);
        if (column == item->column_count)
            continue;
        if (answer != SCOPE_NOT_FOUND || scope_item_has_double(item, column))
            return SCOPE_AMBIGUOUS;
        *found = (struct scope_found){item, column, item};
        answer = item->names_are_certain ? SCOPE_FOUND : SCOPE_UNSURE;
    }
    if (answer == SCOPE_FOUND)
        follow_joins(found);
    return answer == SCOPE_NOT_FOUND && incomplete ? SCOPE_UNSURE : answer;
}

enum scope_answer scope_column_find(const struct scope *scope, const char *name,
                                    struct scope_found *found)
{
    for (; scope; scope = scope->parent) {
        if (!can_be_seen(scope))
            continue;
        enum scope_answer answer = find_in_level(scope, name, found);
        if (answer != SCOPE_NOT_FOUND)
            return answer;
    }
    return SCOPE_NOT_FOUND;
}

static bool is_called(const struct scope_item *item, const char *schema, const char *name)
{
    if (!item->is_relation_visible || !item->alias || strcmp(item->alias, name) != 0)
        return false;
    return !schema || (item->schema && strcmp(item->schema, schema) == 0);
}

enum scope_answer scope_relation_find(const struct scope *scope, const char *schema,
                                      const char *name, struct scope_item **item)
{
    *item = NULL;
    for (; scope; scope = scope->parent) {
        if (!can_be_seen(scope))
            continue;
        for (size_t i = 0; i < scope->items.count; i++) {
            if (!is_called(scope->items.items[i], schema, name))
                continue;
            if (*item)
                return SCOPE_AMBIGUOUS;
            *item = scope->items.items[i];
        }
        if (*item)
            return SCOPE_FOUND;
    }
    return SCOPE_NOT_FOUND;
}

const struct scope_cte *scope_cte_find(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->parent)
        for (const struct scope_cte *cte = scope->ctes; cte; cte = cte->next)
            if (strcmp(cte->name, name) == 0)
                return cte;
    return NULL;
}

/* ------------------------------------------------------------------ joins */

struct side {
    struct scope_item *const *items;
    size_t count;
};

static bool is_among(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static size_t count_columns(struct side side)
{
    size_t count = 0;
    for (size_t i = 0; i < side.count; i++)
        if (side.items[i]->is_columns_visible)
            count += side.items[i]->column_count;
    return count;
}

static bool add_side(struct scope_item *join, struct side side, const char *const *using_names,
                     size_t using_count)
{
    bool complete = true;
    for (size_t i = 0; i < side.count; i++) {
        struct scope_item *item = side.items[i];
        if (!item->is_columns_visible)
            continue;
        complete = complete && item->is_complete;
        for (size_t c = 0; c < item->column_count; c++) {
            if (is_among(using_names, using_count, item->columns[c].name))
                continue;
            struct scope_column *column = &join->columns[join->column_count++];
            *column = item->columns[c];
            column->source = item;
            column->source_column = c;
        }
    }
    return complete;
}

/* The item of a side whose columns stand for all of it: the join's own where there is one. */
static struct scope_item *item_of_side(struct side side)
{
    for (size_t i = side.count; i > 0; i--)
        if (side.items[i - 1]->is_columns_visible)
            return side.items[i - 1];
    return NULL;
}

static const struct scope_column *find_in_side(struct side side, const char *name,
                                               struct scope_item **found)
{
    for (size_t i = 0; i < side.count; i++) {
        struct scope_item *item = side.items[i];
        size_t column = item->is_columns_visible ? scope_item_column(item, name) : SIZE_MAX;
        if (item->is_columns_visible && column < item->column_count) {
            *found = item;
            return &item->columns[column];
        }
    }
    return NULL;
}

/* The type that the two sides are brought to; 0 where that is not known here. */
static uint32_t common_type(uint32_t left, uint32_t right)
{
    static const uint32_t widening[] = {21, 23, 20}; /* int2, int4, int8 */
    size_t count = sizeof widening / sizeof *widening, wider = 0, found = 0;
    if (left == right)
        return left;
    for (size_t i = 0; i < count; i++)
        if (widening[i] == left || widening[i] == right) {
            wider = i;
            found++;
        }
    return found == 2 ? widening[wider] : 0;
}

static bool is_as_merged(const struct scope_column *column, const struct scope_column *merged)
{
    return column->type_oid == merged->type_oid && column->typmod == merged->typmod;
}

/* The side whose column the merged one is, since it need not be brought to its type; NULL: neither.
 */
static const struct scope_column *merged_side(enum scope_join kind, const struct scope_column *left,
                                              const struct scope_column *right,
                                              const struct scope_column *merged)
{
    switch (kind) {
    case SCOPE_JOIN_FULL:
        return NULL;
    case SCOPE_JOIN_RIGHT:
        return is_as_merged(right, merged) ? right : NULL;
    case SCOPE_JOIN_LEFT:
        return is_as_merged(left, merged) ? left : NULL;
    case SCOPE_JOIN_INNER:
        return is_as_merged(left, merged) ? left : is_as_merged(right, merged) ? right : NULL;
    }
    BUG("join %d", (int)kind);
}

/* After PostgreSQL's buildMergedJoinVar. */
static struct scope_column merge(enum scope_join kind, const struct side *sides, const char *name)
{
    struct scope_item *items[2] = {NULL, NULL};
    const struct scope_column *left = find_in_side(sides[0], name, &items[0]);
    const struct scope_column *right = find_in_side(sides[1], name, &items[1]);
    struct scope_column merged = {.name = name, .typmod = -1, .is_merged = true, .merged_by = kind};
    for (size_t i = 0; i < 2; i++) {
        const struct scope_column *column = i == 0 ? left : right;
        merged.sides[i] = items[i];
        merged.side_columns[i] = column ? (size_t)(column - items[i]->columns) : 0;
    }
    merged.type_oid = left && right ? common_type(left->type_oid, right->type_oid) : 0;
    if (merged.type_oid == 0)
        return merged;
    if (left->typmod == right->typmod)
        merged.typmod = left->typmod;
    const struct scope_column *from = merged_side(kind, left, right, &merged);
    if (from) {
        merged.table_oid = from->table_oid;
        merged.attnum = from->attnum;
        merged.same = items[from == right];
        merged.same_column = (size_t)(from - merged.same->columns);
        merged.base = from->base;
        merged.base_column = from->base_column;
    }
    return merged;
}

struct scope_item *scope_join(struct arena *arena, enum scope_join kind,
                              struct scope_item *const *left, size_t left_count,
                              struct scope_item *const *right, size_t right_count,
                              const char *const *using_names, size_t using_count)
{
    struct side sides[2] = {{left, left_count}, {right, right_count}};
    struct scope_item *join = ARENA_NEW(arena, struct scope_item);
    size_t room = using_count + count_columns(sides[0]) + count_columns(sides[1]);
    join->columns = ARENA_NEW_ARRAY(arena, struct scope_column, room);
    join->names_are_certain = true;
    join->is_columns_visible = true;
    join->merged_count = using_count;
    join->left = item_of_side(sides[0]);
    join->right = item_of_side(sides[1]);
    for (size_t i = 0; i < using_count; i++)
        join->columns[join->column_count++] = merge(kind, sides, using_names[i]);
    bool left_complete = add_side(join, sides[0], using_names, using_count);
    join->is_complete = add_side(join, sides[1], using_names, using_count) && left_complete;
    return join;
}

void scope_rename_columns(struct arena *arena, struct scope_item *item, PgQuery__Node *const *names,
                          size_t count)
{
    if (count == 0)
        return;
    size_t total = item->column_count > count ? item->column_count : count;
    struct scope_column *columns = ARENA_NEW_ARRAY(arena, struct scope_column, total);
    if (item->column_count)
        memcpy(columns, item->columns, item->column_count * sizeof *columns);
    for (size_t i = 0; i < count; i++)
        columns[i].name = sql_string(names[i]);
    item->columns = columns;
    item->column_count = total;
}
