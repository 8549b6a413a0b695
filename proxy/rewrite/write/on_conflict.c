/*
 * ON CONFLICT. EXCLUDED stands in the client's shape, over what is about to be written.
 *
 * The arbiter is told by the columns of an index, so it must be one whose column holds every row's
 * value in this phase: the own column's where that is so, and then everything said about it (an
 * expression, a condition, an operator class, a collation) stays as it is. Otherwise it is the
 * other shape's, whose index finds the same conflicts only where no two values of this shape
 * convert to one, that is, where the transition is lossless. What is said about that column is said
 * of the own one's name alone, unless the conversion is a plain cast: then it means the same over
 * the other (pairing.c makes its indexes so).
 *
 * In a lossy transition the own column serves as long as its index is there, which goes before the
 * column falls behind.
 */
#include "insert.h"

/* ------------------------------------------------------------------ whose index is there */

/* Only while the column holds every row's value does its unique index stand: change/pairs.c. */
static bool has_index(const struct insertion *at, const struct view_transition *transition,
                      const struct pair *pair)
{
    const struct catalog_table *table =
        catalog_find_oid(at->rewriter->context->snapshot->catalog, pair->relation);
    return table && transition->at->stage == STAGE_EXPANDED &&
           catalog_has_unique_index(table, pair->side[transition->shape].name);
}

static bool has_own_index(const struct insertion *at, const struct view_transition *transition)
{
    const struct transition *definition = transition->at->transition;
    for (size_t i = 0; i < definition->pair_count; i++)
        if (pair_is_unique(definition->pairs[i].kind) &&
            has_index(at, transition, &definition->pairs[i]))
            return true;
    return false;
}

/* May the own column's index be the arbiter? */
static bool is_own_arbiter(const struct insertion *at, const struct view_transition *transition)
{
    if (!transition->writes_own)
        return false;
    return phase_needs(transition->at->phase, transition->shape) ||
           (!transition->at->transition->lossless && has_own_index(at, transition));
}

/* Does SQL over the own column mean the same over the other one? */
static bool is_said_of_other(const struct view_transition *transition)
{
    return transition->at->transition->lossless && transition->at->transition->is_plain_cast;
}

/* ------------------------------------------------------------------ the table as these clauses see
 * it */

/* How a column of the transition is read in place of `column`'s own way. */
typedef void (*turn_column)(const struct insertion *at, struct view_column *column);

static void read_own(struct view_column *column)
{
    const struct view_transition *transition = column->transition;
    const char *physical = view_physical_name(transition, transition->shape, column->number);
    column->read = strcmp(physical, column->name) == 0 ? VIEW_PLAIN : VIEW_RENAMED;
}

static void read_what_is_written(const struct insertion *at, struct view_column *column)
{
    (void)at;
    if (column->transition->writes_own)
        read_own(column);
}

/* Expressions and conditions of an index. */
static void read_what_is_indexed(const struct insertion *at, struct view_column *column)
{
    const struct view_transition *transition = column->transition;
    if (is_own_arbiter(at, transition)) {
        read_own(column);
    } else if (is_said_of_other(transition)) {
        column->read = VIEW_RENAMED;
        column->column =
            &transition->at->transition->columns[shape_other(transition->shape)][column->number];
    }
}

static struct scope_item *make_item(struct insertion *at, turn_column turn)
{
    struct rewriter *rewriter = at->rewriter;
    struct scope_item *item = ARENA_NEW(rewriter->arena, struct scope_item);
    *item = *at->target;
    if (!at->view)
        return item;
    struct view *view = ARENA_NEW(rewriter->arena, struct view);
    *view = *at->view;
    view->columns = ARENA_NEW_ARRAY(rewriter->arena, struct view_column, view->column_count + 1);
    item->columns = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, item->column_count + 1);
    for (size_t i = 0; i < view->column_count; i++) {
        struct view_column *column = &view->columns[i];
        *column = at->view->columns[i];
        item->columns[i] = at->target->columns[i];
        if (!column->transition)
            continue;
        item->columns[i].meaning = column;
        turn(at, column);
    }
    struct place_of_table *place = ARENA_NEW(rewriter->arena, struct place_of_table);
    *place = (struct place_of_table){view, at->insert->relation};
    item->meaning = place;
    return item;
}

/* ------------------------------------------------------------------ the arbiter */

struct arbiter {
    struct insertion *at;
    const PgQuery__InferClause *infer;
    struct item_range *items;
    struct scope *scope; /* of the table's columns, which cannot be qualified there */
};

/* NULL where the element is no column in transition. */
static const struct view_column *column_of(const struct arbiter *arbiter, size_t number)
{
    const char *name = present(arbiter->infer->index_elems[number]->index_elem->name);
    const struct view_column *column = name ? view_find(arbiter->at->view, name) : NULL;
    return column && column->transition ? column : NULL;
}

static size_t partner_of(const struct view_column *column)
{
    const struct view_transition *transition = column->transition;
    return transition_partner(transition->at->transition, transition->shape, column->number);
}

/* A column is told by its partner; those that have none, that is, change together, by all of the
 * other shape's that have none. */
static bool are_told_together(const struct view_column *a, const struct view_column *b)
{
    if (!a || !b || a->transition != b->transition)
        return false;
    return a->number == b->number ||
           (partner_of(a) == TRANSITION_NONE && partner_of(b) == TRANSITION_NONE);
}

static size_t count_told_together(const struct view_column *column)
{
    const struct view_transition *transition = column->transition;
    if (partner_of(column) != TRANSITION_NONE)
        return 1;
    size_t count = 0;
    for (size_t i = 0; i < own_count(transition); i++)
        count +=
            transition_partner(transition->at->transition, transition->shape, i) == TRANSITION_NONE;
    return count;
}

/* True where all that are told together are there, each of them plain. */
static bool names_all(const struct arbiter *arbiter, const struct view_column *column)
{
    size_t found = 0;
    for (size_t i = 0; i < arbiter->infer->n_index_elems; i++) {
        const PgQuery__IndexElem *element = arbiter->infer->index_elems[i]->index_elem;
        if (!are_told_together(column_of(arbiter, i), column))
            continue;
        if (element->n_opclass > 0 || element->n_collation > 0)
            return false;
        found++;
    }
    return found == count_told_together(column);
}

static size_t first_element(const struct arbiter *arbiter, const struct view_column *column)
{
    size_t i = 0;
    while (i < arbiter->infer->n_index_elems && !are_told_together(column_of(arbiter, i), column))
        i++;
    return i;
}

static const char *other_names(struct rewriter *rewriter, const struct view_column *column)
{
    const struct view_transition *transition = column->transition;
    const enum shape other = shape_other(transition->shape);
    const size_t partner = partner_of(column);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < other_count(transition); i++) {
        bool is_it = partner == TRANSITION_NONE ? transition_partner(transition->at->transition,
                                                                     other, i) == TRANSITION_NONE
                                                : i == partner;
        if (is_it)
            text_add_format(&out, "%s%s", out.length ? ", " : "",
                            physical_quoted(rewriter, transition, other, i));
    }
    const char *names = arena_string_range(rewriter->arena, out.data, out.length);
    text_release(&out);
    return names;
}

/* Without one no index can be the arbiter, in no shape. */
static bool has_unique_pair(const struct view_transition *transition)
{
    const struct transition *definition = transition->at->transition;
    for (size_t i = 0; i < definition->pair_count; i++)
        if (pair_is_unique(definition->pairs[i].kind))
            return true;
    return false;
}

static bool no_such_index(struct rewriter *rewriter)
{
    return fail_at(rewriter, -1, "42P10",
                   "there is no unique or exclusion constraint matching the ON CONFLICT "
                   "specification");
}

/* The operator class of the other column that is to it what `name` is to the own one; or NULL. */
static const char *other_class(const struct view_column *column, const char *name)
{
    static const struct {
        uint32_t type_oid;
        const char *name, *pattern; /* by default, and for LIKE */
    } classes[] = {
        {20, "int8_ops", NULL},
        {21, "int2_ops", NULL},
        {23, "int4_ops", NULL},
        {25, "text_ops", "text_pattern_ops"},
        {700, "float4_ops", NULL},
        {701, "float8_ops", NULL},
        {1042, "bpchar_ops", "bpchar_pattern_ops"},
        {1043, "varchar_ops", "varchar_pattern_ops"},
        {1082, "date_ops", NULL},
        {1114, "timestamp_ops", NULL},
        {1184, "timestamptz_ops", NULL},
        {1700, "numeric_ops", NULL},
    };
    const struct view_transition *transition = column->transition;
    uint32_t other =
        transition->at->transition->columns[shape_other(transition->shape)][0].type_oid;
    bool is_default = false, is_pattern = false;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        is_default = is_default || strcmp(classes[i].name, name) == 0;
        is_pattern = is_pattern || (classes[i].pattern && strcmp(classes[i].pattern, name) == 0);
    }
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (classes[i].type_oid == other)
            return is_default ? classes[i].name : is_pattern ? classes[i].pattern : NULL;
    return NULL;
}

/* `name COLLATE collation class`, said of the other column; NULL where it cannot be. */
static const char *element_of_other(struct arbiter *arbiter, size_t number,
                                    const struct view_column *column)
{
    const PgQuery__IndexElem *element = arbiter->infer->index_elems[number]->index_elem;
    struct arena *arena = arbiter->at->rewriter->arena;
    const char *sql = other_names(arbiter->at->rewriter, column);
    for (size_t i = 0; i < element->n_collation; i++)
        sql = arena_format(arena, "%s%s%s", sql, i ? "." : " COLLATE ",
                           view_quote(arena, sql_string(element->collation[i])));
    if (element->n_opclass == 0)
        return sql;
    const char *name = other_class(column, sql_string(element->opclass[element->n_opclass - 1]));
    return name && element->n_opclassopts == 0 ? arena_format(arena, "%s %s", sql, name) : NULL;
}

static bool map_to_other(struct arbiter *arbiter, size_t number, const struct view_column *column)
{
    struct rewriter *rewriter = arbiter->at->rewriter;
    const struct view_transition *transition = column->transition;
    struct item_range item = arbiter->items[number];
    if (!transition->at->transition->lossless && !has_unique_pair(transition))
        return no_such_index(rewriter);
    if (!transition->at->transition->lossless)
        return refuse(rewriter, arbiter->infer->location,
                      "ON CONFLICT on the column of a lossy transition, in a phase that keeps it "
                      "converted,");
    bool is_first = first_element(arbiter, column) == number;
    size_t from = is_first ? item.first : item.first - 1; /* with the comma before it */
    const char *sql = !is_first ? "" : other_names(rewriter, column);
    if (!names_all(arbiter, column))
        sql = is_said_of_other(transition) ? element_of_other(arbiter, number, column) : NULL;
    if (!sql)
        return refuse(rewriter, arbiter->infer->location,
                      "ON CONFLICT on the column with an operator class or a collation, or on some "
                      "of the columns only,");
    edits_replace(&rewriter->edits, token_start(rewriter, from), token_end(rewriter, item.end - 1),
                  sql);
    return true;
}

static bool map_column(struct arbiter *arbiter, size_t number)
{
    struct rewriter *rewriter = arbiter->at->rewriter;
    const char *name = arbiter->infer->index_elems[number]->index_elem->name;
    const struct view_column *column = column_of(arbiter, number);
    if (!column)
        return view_hides(arbiter->at->view, name)
                   ? fail_at(rewriter, arbiter->infer->location, "42703",
                             "column \"%s\" does not exist", name)
                   : true;
    if (column->transition->is_blocked)
        return refuse_blocked(rewriter, column->transition, arbiter->infer->location);
    if (!is_own_arbiter(arbiter->at, column->transition))
        return map_to_other(arbiter, number, column);
    const char *physical =
        view_physical_name(column->transition, column->transition->shape, column->number);
    size_t token = arbiter->items[number].first;
    if (strcmp(physical, name) != 0)
        edits_replace(&rewriter->edits, token_start(rewriter, token), token_end(rewriter, token),
                      view_quote(rewriter->arena, physical));
    return true;
}

/* The transition of a column that the node names and that is computed there; NULL: none. */
struct naming {
    const struct view *view;
    const struct view_transition *found;
};

static bool look_for_computed(void *data, const sql_node *node)
{
    struct naming *naming = data;
    if (!SQL_IS(node, column_ref))
        return sql_children(node, look_for_computed, data);
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    for (size_t i = 0; i < reference->n_fields; i++) {
        const char *name = sql_string(reference->fields[i]);
        const struct view_column *column = name ? view_find(naming->view, name) : NULL;
        if (column && column->transition &&
            (column->read == VIEW_CONVERTED || column->read == VIEW_PARITY))
            naming->found = column->transition;
    }
    return !naming->found;
}

/*
 * An expression of an index, or its condition. Over a column that is computed there no index of
 * the plain table's has any (APPLY refuses it), unless what is said of one column is said of the
 * other: a condition then says nothing of any index and is read as it is.
 */
static bool map_expression(struct arbiter *arbiter, const sql_node *node, bool is_element)
{
    struct insertion *at = arbiter->at;
    struct naming naming = {.view = table_of(arbiter->scope->items.items[0])->view};
    if (node)
        (void)look_for_computed(&naming, node);
    if (naming.found && naming.found->is_blocked)
        return refuse_blocked(at->rewriter, naming.found, arbiter->infer->location);
    if (naming.found && naming.found->at->transition->is_plain_cast)
        return refuse(at->rewriter, arbiter->infer->location,
                      "ON CONFLICT on an expression or condition over the column of a lossy "
                      "transition, in a phase that keeps it converted,");
    if (naming.found && is_element)
        return no_such_index(at->rewriter);
    return rewrite_expression(at->rewriter, arbiter->scope, node);
}

/* ------------------------------------------------------------------ ON CONSTRAINT */

/* Is it the name, in the database, of what this client knows by another one? */
static bool is_hidden_constraint(const struct view_transition *transition, const char *name)
{
    const struct transition *definition = transition->at->transition;
    const char *logical = pair_logical_name(definition, 0, name, transition->shape);
    return logical && strcmp(logical, name) != 0;
}

static bool no_such_constraint(struct insertion *at, const char *name)
{
    return fail_at(at->rewriter, -1, "42704", "constraint \"%s\" for table \"%s\" does not exist",
                   name, at->view->table->name);
}

/* The side that is there arbitrates: told by what infers it, as its name comes and goes. */
static bool map_pair(struct insertion *at, const PgQuery__InferClause *infer,
                     const struct view_transition *transition, const struct pair *pair)
{
    struct rewriter *rewriter = at->rewriter;
    bool is_lossless = transition->at->transition->lossless;
    enum shape side = !is_lossless && transition->writes_own && has_index(at, transition, pair)
                          ? transition->shape
                          : pair_side(transition->at->phase, transition->shape);
    bool is_final = transition->at->stage == STAGE_CONTRACTED;
    const char *inference = is_final ? pair->final_inference : pair->side[side].inference;
    if (side != transition->shape && !is_lossless)
        return refuse(
            rewriter, infer->location,
            "ON CONFLICT on a constraint of a lossy transition, in a phase that keeps its "
            "column converted,");
    /* It stands there under the name that the client says; a primary key, once handed over, comes
     * back as an index first. */
    bool is_for_sure = pair->kind != PAIR_PRIMARY_KEY || transition->at->phase == PHASE_OLD;
    if (side == SHAPE_OLD && is_for_sure && strcmp(pair->side[side].name, infer->conname) == 0)
        return true;
    if (pair->is_deferrable)
        return fail_at(rewriter, -1, "55000",
                       "ON CONFLICT does not support deferrable unique constraints/exclusion "
                       "constraints as arbiters");
    BUG_ON(inference == NULL);
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)infer->location), end = first;
    while (token_kind(rewriter, end) != PG_QUERY__TOKEN__DO)
        end++;
    edits_replace(&rewriter->edits, token_start(rewriter, first), token_end(rewriter, end - 1),
                  inference);
    return true;
}

static bool map_constraint(struct insertion *at, const PgQuery__InferClause *infer)
{
    for (size_t i = 0; i < at->view->transition_count; i++) {
        const struct view_transition *transition = &at->view->transitions[i];
        const struct pair *pair =
            pair_find(transition->at->transition, transition->shape, infer->conname);
        if (pair && (pair->kind == PAIR_PRIMARY_KEY || pair->kind == PAIR_UNIQUE))
            return map_pair(at, infer, transition, pair);
        if (!pair && is_hidden_constraint(transition, infer->conname))
            return no_such_constraint(at, infer->conname);
    }
    return true;
}

static bool rewrite_arbiter(struct insertion *at, const PgQuery__InferClause *infer)
{
    if (!infer || !at->view)
        return true;
    if (present(infer->conname))
        return map_constraint(at, infer);
    struct scope scope = {0};
    struct arbiter arbiter = {.at = at, .infer = infer, .scope = &scope};
    struct scope_item *item = make_item(at, read_what_is_indexed);
    item->is_relation_visible = false;
    scope_items_add(at->rewriter->arena, &scope.items, item);
    size_t count;
    arbiter.items = split_items(
        at->rewriter, sql_token_at(&at->rewriter->tree, (uint32_t)infer->location), &count);
    BUG_ON(count != infer->n_index_elems);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__IndexElem *element = infer->index_elems[i]->index_elem;
        if (!(present(element->name) ? map_column(&arbiter, i)
                                     : map_expression(&arbiter, sql_unwrap(element->expr), true)))
            return false;
    }
    return map_expression(&arbiter, sql_unwrap(infer->where_clause), false);
}

/* ------------------------------------------------------------------ the action */

static struct scope_item *make_excluded(struct insertion *at)
{
    struct scope_item *item = make_item(at, read_what_is_written);
    item->alias = "excluded";
    item->schema = NULL;
    return item;
}

bool rewrite_conflict(struct insertion *at)
{
    const PgQuery__OnConflictClause *conflict = at->insert->on_conflict_clause;
    if (!conflict)
        return true;
    if (!rewrite_arbiter(at, conflict->infer))
        return false;
    if (conflict->action != PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE)
        return true;
    scope_items_add(at->rewriter->arena, &at->scope->items, make_excluded(at));
    bool ok = rewrite_assignments(at->rewriter, at->scope, at->target, conflict->target_list,
                                  conflict->n_target_list) &&
              rewrite_expression(at->rewriter, at->scope, sql_unwrap(conflict->where_clause));
    at->scope->items.count--; /* RETURNING does not see EXCLUDED */
    return ok;
}
