/*
 * ON CONFLICT. EXCLUDED stands in the client's shape, over what is about to be written.
 *
 * The arbiter is told by the columns of an index, so it must be one whose column holds every row's
 * value in this phase: the own column's where that is so, and then everything said about it (an
 * expression, a condition, an operator class, a collation) stays as it is. Otherwise it is the
 * other shape's, whose index finds the same conflicts only where no two values of this shape
 * convert to one, that is, where the transition is lossless.
 */
#include "insert.h"

/* ------------------------------------------------------------------ the table as these clauses see
 * it */

typedef bool (*own_is_there)(const struct view_transition *transition);

static bool is_written(const struct view_transition *transition)
{
    return transition->writes_own;
}

static bool is_written_and_whole(const struct view_transition *transition)
{
    return transition->writes_own && phase_needs(transition->at->phase, transition->shape);
}

/* The target with the own columns read as they are, wherever they are there. */
static struct scope_item *make_item(struct insertion *at, own_is_there is_there)
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
        if (is_there(column->transition))
            column->read = strcmp(view_physical_name(column->transition, column->transition->shape,
                                                     column->number),
                                  column->name) == 0
                               ? VIEW_PLAIN
                               : VIEW_RENAMED;
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

static const struct view_column *column_of(const struct arbiter *arbiter, size_t number)
{
    const char *name = present(arbiter->infer->index_elems[number]->index_elem->name);
    const struct view_column *column = name ? view_find(arbiter->at->view, name) : NULL;
    return column && column->transition ? column : NULL;
}

/* The own columns' places among the elements: true where all are there, each of them plain. */
static bool names_all(const struct arbiter *arbiter, const struct view_transition *transition)
{
    size_t found = 0;
    for (size_t i = 0; i < arbiter->infer->n_index_elems; i++) {
        const PgQuery__IndexElem *element = arbiter->infer->index_elems[i]->index_elem;
        const struct view_column *column = column_of(arbiter, i);
        if (!column || column->transition != transition)
            continue;
        if (element->n_opclass > 0 || element->n_collation > 0)
            return false;
        found++;
    }
    return found == own_count(transition);
}

static size_t first_element(const struct arbiter *arbiter, const struct view_transition *transition)
{
    size_t i = 0;
    while (!column_of(arbiter, i) || column_of(arbiter, i)->transition != transition)
        i++;
    return i;
}

static const char *other_names(struct rewriter *rewriter, const struct view_transition *transition)
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < other_count(transition); i++)
        text_add_format(&out, "%s%s", i ? ", " : "",
                        physical_quoted(rewriter, transition, shape_other(transition->shape), i));
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

static bool map_to_other(struct arbiter *arbiter, size_t number)
{
    struct rewriter *rewriter = arbiter->at->rewriter;
    const struct view_transition *transition = column_of(arbiter, number)->transition;
    struct item_range item = arbiter->items[number];
    if (!transition->at->transition->lossless && !has_unique_pair(transition))
        return no_such_index(rewriter);
    if (!transition->at->transition->lossless)
        return refuse(rewriter, arbiter->infer->location,
                      "ON CONFLICT on the column of a lossy transition, in a phase that keeps it "
                      "converted,");
    if (!names_all(arbiter, transition))
        return refuse(rewriter, arbiter->infer->location,
                      "ON CONFLICT on the column with an operator class or a collation, or on some "
                      "of the columns only,");
    bool is_first = first_element(arbiter, transition) == number;
    size_t from = is_first ? item.first : item.first - 1; /* with the comma before it */
    edits_replace(&rewriter->edits, token_start(rewriter, from), token_end(rewriter, item.end - 1),
                  is_first ? other_names(rewriter, transition) : "");
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
    if (!is_written_and_whole(column->transition))
        return map_to_other(arbiter, number);
    const char *physical =
        view_physical_name(column->transition, column->transition->shape, column->number);
    size_t token = arbiter->items[number].first;
    if (strcmp(physical, name) != 0)
        edits_replace(&rewriter->edits, token_start(rewriter, token), token_end(rewriter, token),
                      view_quote(rewriter->arena, physical));
    return true;
}

/* An expression or a condition: an index of the other column's has another. */
static bool map_expression(struct arbiter *arbiter, const sql_node *node)
{
    struct insertion *at = arbiter->at;
    size_t mark = at->rewriter->edits.count;
    if (!rewrite_expression(at->rewriter, arbiter->scope, node))
        return false;
    bool is_touched = at->rewriter->edits.count > mark;
    for (size_t i = 0; is_touched && i < at->view->transition_count; i++)
        if (!is_written_and_whole(&at->view->transitions[i]))
            return refuse(at->rewriter, arbiter->infer->location,
                          "ON CONFLICT on an expression or condition over the column, in a phase "
                          "that keeps it converted,");
    return true;
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
    enum shape side = pair_side(transition->at->phase, transition->shape);
    bool is_final = transition->at->stage == STAGE_CONTRACTED;
    const char *inference = is_final ? pair->final_inference : pair->side[side].inference;
    if (side == SHAPE_OLD && strcmp(pair->side[side].name, infer->conname) == 0)
        return true; /* it stands there under the name that the client says */
    if (pair->is_deferrable)
        return fail_at(rewriter, -1, "55000",
                       "ON CONFLICT does not support deferrable unique constraints/exclusion "
                       "constraints as arbiters");
    if (side != transition->shape && !transition->at->transition->lossless)
        return refuse(
            rewriter, infer->location,
            "ON CONFLICT on a constraint of a lossy transition, in a phase that keeps its "
            "column converted,");
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
    struct scope_item *item = make_item(at, is_written_and_whole);
    item->is_relation_visible = false;
    scope_items_add(at->rewriter->arena, &scope.items, item);
    size_t count;
    arbiter.items = split_items(
        at->rewriter, sql_token_at(&at->rewriter->tree, (uint32_t)infer->location), &count);
    BUG_ON(count != infer->n_index_elems);
    for (size_t i = 0; i < count; i++) {
        const PgQuery__IndexElem *element = infer->index_elems[i]->index_elem;
        if (!(present(element->name) ? map_column(&arbiter, i)
                                     : map_expression(&arbiter, sql_unwrap(element->expr))))
            return false;
    }
    return map_expression(&arbiter, sql_unwrap(infer->where_clause));
}

/* ------------------------------------------------------------------ the action */

static struct scope_item *make_excluded(struct insertion *at)
{
    struct scope_item *item = make_item(at, is_written);
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
