/*
 * GROUP BY a primary key: PostgreSQL then lets the row's other columns be used ungrouped. Here it
 * needs help, but only where the client's key is grouped whole; elsewhere its error stands.
 *
 * In place, a key in transition is one of two columns, and neither need be what the client's name
 * is read from. So both are put beside it: a row has one value of each, and the groups stay what
 * they are. A derived table has no key at all: what is used of it is put beside the key. And a
 * computed column that is grouped is an expression, which the server does not know again in a
 * sub-select: there the table must be derived.
 */
#include "../rewriter.h"

static const struct scope *level_of(const struct scope *scope, const struct scope_item *item)
{
    for (; scope; scope = scope->parent)
        for (size_t i = 0; i < scope->items.count; i++)
            if (scope->items.items[i] == item)
                return scope;
    return NULL;
}

static void add_use(struct rewriter *rewriter, struct group_use use)
{
    if (rewriter->group_use_count == rewriter->group_use_room) {
        size_t room = rewriter->group_use_room ? rewriter->group_use_room * 2 : 16;
        struct group_use *wider = ARENA_NEW_ARRAY(rewriter->arena, struct group_use, room);
        if (rewriter->group_use_count)
            memcpy(wider, rewriter->group_uses, rewriter->group_use_count * sizeof *wider);
        rewriter->group_uses = wider;
        rewriter->group_use_room = room;
    }
    rewriter->group_uses[rewriter->group_use_count++] = use;
}

/* A merged column may be made of both sides'. */
static void note_column_use(struct rewriter *rewriter, const struct scope_column *column)
{
    if (column->base) {
        if (column->base->derived)
            add_use(rewriter, (struct group_use){column->base, column->base_column, -1});
        return;
    }
    for (size_t i = 0; i < 2; i++)
        if (column->sides[i])
            note_column_use(rewriter, &column->sides[i]->columns[column->side_columns[i]]);
}

void note_group_use(struct rewriter *rewriter, const struct scope *scope,
                    const struct scope_item *seen, size_t column)
{
    const struct scope *level = level_of(scope, seen);
    if (!level || !level->reads_groups)
        return;
    if (column < seen->column_count) {
        note_column_use(rewriter, &seen->columns[column]);
    } else if (column == GROUP_USE_ROW && seen->derived) {
        add_use(rewriter, (struct group_use){seen, GROUP_USE_ROW, -1});
    }
}

void note_computed_use(struct rewriter *rewriter, const struct scope *scope,
                       const struct scope_item *item, int32_t location)
{
    const struct scope *level = level_of(scope, item);
    if (level && level != scope && level->reads_groups)
        add_use(rewriter, (struct group_use){item, GROUP_USE_BELOW, location});
}

/* ------------------------------------------------------------------ what is grouped */

/* A column of a table that GROUP BY names, by its name, an output's name or an output's number. */
struct grouped {
    const struct scope_item *item;
    size_t column;
    uint32_t end; /* of the element, in the text */
    bool in_set;  /* of GROUPING SETS, ROLLUP or CUBE: of some groups only */
};

struct grouping {
    struct rewriter *rewriter;
    struct scope *scope;
    const struct outputs *outputs;
    bool in_set;
    size_t count, room;
    struct grouped *list;
};

static void add_grouped(struct grouping *grouping, struct grouped grouped)
{
    if (grouping->count == grouping->room) {
        size_t room = grouping->room ? grouping->room * 2 : 8;
        struct grouped *wider = ARENA_NEW_ARRAY(grouping->rewriter->arena, struct grouped, room);
        if (grouping->count)
            memcpy(wider, grouping->list, grouping->count * sizeof *wider);
        grouping->list = wider;
        grouping->room = room;
    }
    grouped.in_set = grouping->in_set;
    grouping->list[grouping->count++] = grouped;
}

static void add_output(struct grouping *grouping, size_t output, uint32_t end)
{
    for (size_t i = 0; i < grouping->outputs->base_count; i++) {
        const struct output_base *base = &grouping->outputs->bases[i];
        if (base->output == output)
            add_grouped(grouping,
                        (struct grouped){.item = base->item, .column = base->column, .end = end});
    }
}

static void add_column(struct grouping *grouping, const struct scope_column *column, uint32_t end)
{
    if (column->base)
        add_grouped(grouping, (struct grouped){
                                  .item = column->base, .column = column->base_column, .end = end});
}

/* A bare name is an input column of this level, else an output. */
static void read_bare_name(struct grouping *grouping, const char *name, uint32_t end)
{
    struct scope level = *grouping->scope;
    level.parent = NULL;
    struct scope_found found;
    enum scope_answer answer = scope_column_find(&level, name, &found);
    if (answer == SCOPE_FOUND)
        add_column(grouping, &found.item->columns[found.column], end);
    if (answer != SCOPE_NOT_FOUND)
        return;
    for (size_t i = 0; i < grouping->outputs->count; i++)
        if (strcmp(grouping->outputs->columns[i].name, name) == 0) {
            add_output(grouping, i, end);
            return;
        }
}

static void read_name(struct grouping *grouping, const PgQuery__ColumnRef *reference)
{
    const struct rewriter *rewriter = grouping->rewriter;
    size_t fields = reference->n_fields;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    uint32_t end = token_end(rewriter, first + 2 * (fields - 1));
    const char *name = sql_string(reference->fields[fields - 1]);
    if (!name)
        return;
    if (fields == 1) {
        read_bare_name(grouping, name, end);
        return;
    }
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    struct scope_item *item;
    if (scope_relation_find(grouping->scope, schema, sql_string(reference->fields[fields - 2]),
                            &item) != SCOPE_FOUND ||
        level_of(grouping->scope, item) != grouping->scope)
        return;
    size_t column = scope_item_column(item, name);
    if (column < item->column_count)
        add_column(grouping, &item->columns[column], end);
}

/*
 * An output's number. Only where a text's token shape keeps it (cache/shape.c): what is done must
 * not depend on a constant that another text of the shape has otherwise.
 */
static void read_number(struct grouping *grouping, const PgQuery__AConst *constant)
{
    const struct rewriter *rewriter = grouping->rewriter;
    if (constant->val_case != PG_QUERY__A__CONST__VAL_IVAL || constant->location < 0 ||
        !grouping->outputs->is_complete)
        return;
    size_t token = sql_token_at(&rewriter->tree, (uint32_t)constant->location);
    uint16_t before = token ? token_kind(rewriter, token - 1) : 0;
    int32_t number = constant->ival->ival;
    if (number > 0 && (before == PG_QUERY__TOKEN__BY || before == PG_QUERY__TOKEN__ALL ||
                       before == PG_QUERY__TOKEN__DISTINCT || before == ',' || before == '('))
        add_output(grouping, (size_t)number - 1, token_end(rewriter, token));
}

static bool is_implicit_row(const sql_node *node)
{
    return SQL_IS(node, row_expr) &&
           AS_NODE(RowExpr, node)->row_format == PG_QUERY__COERCION_FORM__COERCE_IMPLICIT_CAST;
}

static void read_elements(struct grouping *grouping, PgQuery__Node *const *list, size_t count);

static bool is_in_range(const struct grouping *grouping, size_t first, size_t end,
                        const struct grouped *grouped)
{
    for (size_t i = first; i < end; i++)
        if (grouping->list[i].item == grouped->item && grouping->list[i].column == grouped->column)
            return true;
    return false;
}

/* Does it always group by all that it names? ROLLUP, CUBE and further sets do not. */
static bool is_one_set(const sql_node *node)
{
    if (!is_implicit_row(node))
        return !SQL_IS(node, grouping_set);
    for (size_t i = 0; i < AS_NODE(RowExpr, node)->n_args; i++)
        if (SQL_IS(sql_unwrap(AS_NODE(RowExpr, node)->args[i]), grouping_set))
            return false;
    return true;
}

static void add_common(struct grouping *grouping, struct grouped grouped)
{
    bool was_in_set = grouping->in_set;
    grouping->in_set = false;
    add_grouped(grouping, grouped);
    grouping->in_set = was_in_set;
}

/* What GROUPING SETS name; and, once more, what is in each of them: that all groups have. */
static void read_sets(struct grouping *grouping, const PgQuery__GroupingSet *sets, bool is_inner)
{
    const struct rewriter *rewriter = grouping->rewriter;
    size_t start = grouping->count;
    size_t *ends = ARENA_NEW_ARRAY(rewriter->arena, size_t, sets->n_content + 1);
    bool all_are_one = sets->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS;
    for (size_t i = 0; i < sets->n_content; i++) {
        read_elements(grouping, &sets->content[i], 1);
        ends[i] = grouping->count;
        all_are_one = all_are_one && is_one_set(sql_unwrap(sets->content[i]));
    }
    if (is_inner || !all_are_one || sets->n_content == 0)
        return;
    size_t opening = sql_token_at(&rewriter->tree, (uint32_t)sets->location) + 2;
    size_t closing = sql_token_closing(&rewriter->tree, opening);
    for (size_t i = start; i < ends[0]; i++) {
        struct grouped grouped = grouping->list[i];
        bool is_common = true;
        for (size_t s = 1; s < sets->n_content; s++)
            is_common = is_common && is_in_range(grouping, ends[s - 1], ends[s], &grouped);
        grouped.end = token_end(rewriter, closing);
        if (is_common)
            add_common(grouping, grouped);
    }
}

/* What stands beside grouping sets is in each of them. */
static void read_elements(struct grouping *grouping, PgQuery__Node *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const sql_node *node = sql_unwrap(list[i]);
        bool was_in_set = grouping->in_set;
        if (SQL_IS(node, column_ref)) {
            read_name(grouping, AS_NODE(ColumnRef, node));
        } else if (SQL_IS(node, a__const)) {
            read_number(grouping, AS_NODE(AConst, node));
        } else if (is_implicit_row(node)) {
            read_elements(grouping, AS_NODE(RowExpr, node)->args, AS_NODE(RowExpr, node)->n_args);
        } else if (SQL_IS(node, grouping_set)) {
            grouping->in_set = true;
            read_sets(grouping, AS_NODE(GroupingSet, node), was_in_set);
            grouping->in_set = was_in_set;
        }
    }
}

static const struct grouped *find_grouped(const struct grouping *grouping,
                                          const struct scope_item *item, size_t column)
{
    for (size_t i = 0; i < grouping->count; i++)
        if (grouping->list[i].item == item && grouping->list[i].column == column &&
            !grouping->list[i].in_set)
            return &grouping->list[i];
    return NULL;
}

/* In a set, too: there it is NULL in the groups of others, and must stay so. */
static bool is_named(const struct grouping *grouping, const struct scope_item *item, size_t column)
{
    for (size_t i = 0; i < grouping->count; i++)
        if (grouping->list[i].item == item && grouping->list[i].column == column)
            return true;
    return false;
}

/* ------------------------------------------------------------------ the key */

/* Of single columns: what stands for several is not looked into. */
static bool has_key_pair(const struct view *view, const struct transition *transition)
{
    if (transition->column_count[SHAPE_OLD] != 1 || transition->column_count[SHAPE_NEW] != 1)
        return false;
    for (size_t i = 0; i < transition->pair_count; i++)
        if (transition->pairs[i].kind == PAIR_PRIMARY_KEY &&
            transition->pairs[i].relation == view->table->oid)
            return true;
    return false;
}

static bool is_number_of(const struct view *view, const char *physical, int16_t attnum)
{
    const struct catalog_column *column = catalog_column_find(view->table, physical);
    return column && column->attnum == attnum;
}

/* The client's column that a column of the server's key is to it; column_count where it is none
 * that is a key for certain. */
static size_t key_column(const struct view *view, int16_t attnum)
{
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
        const struct view_transition *transition = column->transition;
        bool is_it = column->physical && column->physical->attnum == attnum;
        if (transition && !is_it)
            is_it = is_number_of(
                view, view_physical_name(transition, shape_other(transition->shape), 0), attnum);
        if (!is_it)
            continue;
        bool is_key = !transition || (transition->at->transition->lossless &&
                                      has_key_pair(view, transition->at->transition));
        return is_key ? i : view->column_count;
    }
    return view->column_count;
}

static bool groups_key(const struct grouping *grouping, const struct scope_item *item)
{
    const struct view *view = view_of_item(item);
    for (size_t i = 0; i < view->table->key_count; i++)
        if (!find_grouped(grouping, item, key_column(view, view->table->key[i])))
            return false;
    return view->table->key_count > 0;
}

/* ------------------------------------------------------------------ in place */

/* Where only one side is written, and the client's own, it is the key itself. */
static bool reads_key(const struct view_transition *transition)
{
    return transition->writes_own && !transition->writes_other;
}

static void add_physical_columns(struct grouping *grouping,
                                 const struct view_transition *transition,
                                 const struct grouped *key)
{
    BUG_ON(!key); /* the whole key is grouped */
    struct rewriter *rewriter = grouping->rewriter;
    const char *qualifier = qualifier_of(rewriter, grouping->scope, key->item);
    if (!qualifier)
        return; /* hidden by another: its other columns cannot be used either */
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        bool is_there = shape == (int)SHAPE_OLD ? transition->at->stage != STAGE_CONTRACTED
                                                : transition->at->stage != STAGE_APPLIED;
        if (is_there)
            text_add_format(
                &out, ", %s%s", qualifier,
                view_quote(rewriter->arena, view_physical_name(transition, (enum shape)shape, 0)));
    }
    edits_after(&rewriter->edits, key->end,
                arena_string_range(rewriter->arena, out.data, out.length));
    text_release(&out);
}

static void keep_key_in_place(struct grouping *grouping, const struct scope_item *item)
{
    const struct view *view = view_of_item(item);
    for (size_t i = 0; i < view->table->key_count; i++) {
        size_t column = key_column(view, view->table->key[i]);
        const struct view_transition *transition = view->columns[column].transition;
        if (transition && !reads_key(transition))
            add_physical_columns(grouping, transition, find_grouped(grouping, item, column));
    }
}

/* ------------------------------------------------------------------ derived */

/* json, xml, and the geometric types without an order cannot be grouped. */
static bool can_be_grouped(uint32_t type_oid)
{
    static const uint32_t never[] = {114,  199, 142,  143, 600,  1017, 601, 1018, 602,
                                     1019, 603, 1020, 604, 1027, 628,  629, 718,  719};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (type_oid == never[i])
            return false;
    return true;
}

/* The column's name at this level: the table's own, or that of the join that has swallowed it. */
static const char *name_at_level(struct grouping *grouping, const struct scope_item *item,
                                 size_t column)
{
    struct rewriter *rewriter = grouping->rewriter;
    const char *own = qualifier_of(rewriter, grouping->scope, item);
    if (own && level_of(grouping->scope, item) == grouping->scope &&
        !scope_item_has_double(item, column))
        return arena_format(rewriter->arena, "%s%s", own,
                            view_quote(rewriter->arena, item->columns[column].name));
    for (size_t i = 0; i < grouping->scope->items.count; i++) {
        const struct scope_item *join = grouping->scope->items.items[i];
        const char *qualifier = qualifier_of(rewriter, grouping->scope, join);
        for (size_t c = 0; qualifier && c < join->column_count; c++)
            if (join->columns[c].base == item && join->columns[c].base_column == column &&
                scope_item_column(join, join->columns[c].name) == c &&
                !scope_item_has_double(join, c))
                return arena_format(rewriter->arena, "%s%s", qualifier,
                                    view_quote(rewriter->arena, join->columns[c].name));
    }
    return NULL;
}

/* Is it used of the item? Whoever uses the row uses all its columns: (u).role is one of them. */
static bool is_used(const struct rewriter *rewriter, const struct scope_item *item, size_t column)
{
    for (size_t i = 0; i < rewriter->group_use_count; i++)
        if (rewriter->group_uses[i].item == item &&
            (rewriter->group_uses[i].column == column ||
             rewriter->group_uses[i].column == GROUP_USE_ROW))
            return true;
    return false;
}

static void keep_key_of_derived(struct grouping *grouping, const struct scope_item *item,
                                uint32_t place)
{
    struct rewriter *rewriter = grouping->rewriter;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    bool row_can_be_grouped = true;
    for (size_t i = 0; i < view_of_item(item)->column_count; i++) {
        bool can_be = can_be_grouped(item->columns[i].type_oid);
        row_can_be_grouped = row_can_be_grouped && can_be;
        if (!can_be || !is_used(rewriter, item, i) || is_named(grouping, item, i))
            continue;
        const char *name = name_at_level(grouping, item, i);
        if (name)
            text_add_format(&out, ", %s", name);
    }
    if (row_can_be_grouped && is_used(rewriter, item, GROUP_USE_ROW)) {
        const char *qualifier = qualifier_of(rewriter, grouping->scope, item);
        if (qualifier && qualifier[0])
            text_add_format(&out, ", %s*", qualifier);
    }
    edits_after(&rewriter->edits, place, arena_string_range(rewriter->arena, out.data, out.length));
    text_release(&out);
}

/* ------------------------------------------------------------------ all of it */

/* Is it the first to name its item, of those that all groups have? */
static bool is_first_of_item(const struct grouping *grouping, size_t element)
{
    for (size_t i = 0; i < element; i++)
        if (grouping->list[i].item == grouping->list[element].item && !grouping->list[i].in_set)
            return false;
    return !grouping->list[element].in_set;
}

/* A computed column of a table that stays in place is used in a sub-select, and no key is there to
 * allow it. */
static bool derive_used_below(struct grouping *grouping)
{
    bool keys_count = !grouping->scope->has_grouping_sets; /* see row_sql */
    struct rewriter *rewriter = grouping->rewriter;
    for (size_t i = 0; i < rewriter->group_use_count; i++) {
        const struct group_use *use = &rewriter->group_uses[i];
        if (use->column == GROUP_USE_BELOW &&
            level_of(grouping->scope, use->item) == grouping->scope &&
            !(keys_count && groups_key(grouping, use->item)))
            return need_derived(rewriter, use->item, use->location,
                                "a grouped column in a sub-select");
    }
    return true;
}

bool keep_group_key(struct rewriter *rewriter, struct scope *scope,
                    const PgQuery__SelectStmt *select, const struct outputs *outputs)
{
    if (!scope->is_grouped)
        return true;
    struct grouping grouping = {.rewriter = rewriter, .scope = scope, .outputs = outputs};
    read_elements(&grouping, select->group_clause, select->n_group_clause);
    if (!derive_used_below(&grouping))
        return false;
    for (size_t i = 0; i < grouping.count; i++) {
        const struct scope_item *item = grouping.list[i].item;
        if (!is_first_of_item(&grouping, i) || !groups_key(&grouping, item))
            continue;
        if (item->derived)
            keep_key_of_derived(&grouping, item, grouping.list[i].end);
        else
            keep_key_in_place(&grouping, item);
    }
    return true;
}
