/*
 * GROUP BY a primary key: PostgreSQL then lets the row's other columns be used ungrouped. But in
 * transition the key is one of two columns, and neither need be what the client's name is read
 * from. So both are put beside it: a row has one value of each, and the groups stay what they are
 * as long as the key is that one column.
 */
#include "../rewriter.h"

/* A reference to a column in transition of a table of this query's own. */
struct own_column {
    const PgQuery__ColumnRef *reference;
    const struct view_column *column;
    const char *qualifier; /* "u." */
};

static bool is_of_this_query(const struct scope *scope, const struct scope_item *item)
{
    for (size_t i = 0; i < scope->items.count; i++)
        if (scope->items.items[i] == item)
            return true;
    return false;
}

static uint32_t qualifier_end(const struct rewriter *rewriter, const PgQuery__ColumnRef *reference)
{
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    return token_end(rewriter, first + 2 * (reference->n_fields - 1) - 1);
}

static void find_qualified(struct rewriter *rewriter, const struct scope *scope,
                           struct own_column *bare)
{
    size_t fields = bare->reference->n_fields;
    const char *name = sql_string(bare->reference->fields[fields - 1]);
    const char *table = sql_string(bare->reference->fields[fields - 2]);
    const char *schema = fields > 2 ? sql_string(bare->reference->fields[fields - 3]) : NULL;
    struct scope_item *item;
    if (!name || scope_relation_find(scope, schema, table, &item) != SCOPE_FOUND ||
        !table_of(item) || !is_of_this_query(scope, item))
        return;
    uint32_t start = (uint32_t)bare->reference->location;
    bare->column = view_find(table_of(item)->view, name);
    bare->qualifier = arena_string_range(rewriter->arena, rewriter->source.data + start,
                                         qualifier_end(rewriter, bare->reference) - start);
}

static void find_unqualified(struct rewriter *rewriter, const struct scope *scope,
                             struct own_column *bare)
{
    const char *name = sql_string(bare->reference->fields[0]);
    struct scope_found found;
    if (!name || scope_column_find(scope, name, &found) != SCOPE_FOUND || !table_of(found.item) ||
        !is_of_this_query(scope, found.item))
        return;
    bare->column = found.item->columns[found.column].meaning;
    bare->qualifier = qualifier_of(rewriter, scope, found.item);
}

static bool find_own_column(struct rewriter *rewriter, const struct scope *scope,
                            const sql_node *node, struct own_column *found)
{
    *found = (struct own_column){0};
    if (!node || !SQL_IS(node, column_ref))
        return false;
    found->reference = AS_NODE(ColumnRef, node);
    if (found->reference->n_fields > 1)
        find_qualified(rewriter, scope, found);
    else
        find_unqualified(rewriter, scope, found);
    return found->column && found->column->transition && found->qualifier;
}

static bool is_whole_key(const struct transition *transition)
{
    for (size_t i = 0; i < transition->pair_count; i++) {
        const struct pair *pair = &transition->pairs[i];
        if (pair->kind == PAIR_PRIMARY_KEY && pair->side[SHAPE_OLD].inference)
            return !strchr(pair->side[SHAPE_OLD].inference, ',');
    }
    return false;
}

/* Where only one side is written, and the client's own, it is the key itself. */
static bool reads_key(const struct view_transition *transition)
{
    return transition->writes_own && !transition->writes_other;
}

static uint32_t reference_end(const struct rewriter *rewriter, const PgQuery__ColumnRef *reference)
{
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    return token_end(rewriter, first + 2 * (reference->n_fields - 1));
}

static void add_columns(struct rewriter *rewriter, const struct own_column *key, uint32_t place)
{
    const struct view_transition *transition = key->column->transition;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        bool is_there = shape == (int)SHAPE_OLD ? transition->at->stage != STAGE_CONTRACTED
                                                : transition->at->stage != STAGE_APPLIED;
        if (is_there)
            text_add_format(
                &out, ", %s%s", key->qualifier,
                view_quote(rewriter->arena, view_physical_name(transition, (enum shape)shape, 0)));
    }
    edits_after(&rewriter->edits, place, arena_string_range(rewriter->arena, out.data, out.length));
    text_release(&out);
}

void keep_group_key(struct rewriter *rewriter, const struct scope *scope,
                    const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; !scope->has_grouping_sets && i < select->n_group_clause; i++) {
        struct own_column key;
        /* GROUP BY 2 is left alone: what is done must not depend on a constant */
        if (find_own_column(rewriter, scope, sql_unwrap(select->group_clause[i]), &key) &&
            key.column->transition->at->transition->lossless &&
            is_whole_key(key.column->transition->at->transition) &&
            !reads_key(key.column->transition))
            add_columns(rewriter, &key, reference_end(rewriter, key.reference));
    }
}
