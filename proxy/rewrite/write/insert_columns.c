/*
 * The columns that an INSERT sends: those that the client names, as far as they are written, and
 * behind the first of each transition the other shape's, then those of the shape that it left to
 * defaults which only Segue knows, or which must be the same for both shapes.
 */
#include "elements.h"
#include "insert.h"

/* ------------------------------------------------------------------ places */

/* A place that the client's list names. */
static const PgQuery__ResTarget *target_of(const struct insertion *at, size_t place)
{
    BUG_ON(place >= at->insert->n_cols);
    return at->insert->cols[place]->res_target;
}

bool is_element(const struct insertion *at, size_t place)
{
    return place < at->insert->n_cols && target_of(at, place)->n_indirection > 0;
}

static bool is_at(const struct insertion *at, size_t place,
                  const struct view_transition *transition, size_t number)
{
    return at->columns[place] && at->columns[place]->transition == transition &&
           at->columns[place]->number == number;
}

static size_t place_of(const struct insertion *at, size_t end,
                       const struct view_transition *transition, size_t number)
{
    for (size_t i = 0; i < end; i++)
        if (is_at(at, i, transition, number))
            return i;
    return end;
}

size_t first_own(const struct insertion *at, const struct view_transition *transition)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition == transition)
            return i;
    return at->count;
}

/* ------------------------------------------------------------------ elements: roles[1] */

static size_t count_places(const struct insertion *at, const struct view_column *column)
{
    size_t count = 0;
    for (size_t i = 0; i < at->count; i++)
        count += at->columns[i] == column;
    return count;
}

/* Parts that Segue cannot put together, the server can: where there is a guard, that fills the
 * other shape. */
static bool is_left_to_guard(const struct insertion *at, const struct view_transition *transition)
{
    if (at->guarded >> transition->index & 1)
        return true;
    if (!transition->writes_own || transition->at->transition->guard != GUARD_SYNC)
        return false;
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition == transition && is_element(at, i) &&
            !is_known_element(target_of(at, i), at->columns[i]->column))
            return true;
    return false;
}

static bool fills_other(const struct insertion *at, const struct view_transition *transition)
{
    return transition->writes_other && !is_left_to_guard(at, transition);
}

/* The array that elements make which are put into none. */
static const char *array_of(struct insertion *at, const struct view_column *column,
                            const struct view_value *texts)
{
    struct element *elements =
        ARENA_NEW_ARRAY(at->rewriter->arena, struct element, count_places(at, column));
    size_t count = 0;
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] == column)
            elements[count++] = (struct element){target_of(at, i), at->names[i], texts[i]};
    return elements_sql(at->rewriter, column->column, "NULL", elements, count);
}

/* ------------------------------------------------------------------ finding them */

static bool check_named(struct insertion *at, size_t place)
{
    const PgQuery__ResTarget *target = target_of(at, place);
    const struct view_column *column = at->columns[place];
    if (!column)
        return view_hides(at->view, target->name)
                   ? fail_at(at->rewriter, target->location, "42703",
                             "column \"%s\" of relation \"%s\" does not exist", target->name,
                             at->view->table->name)
                   : true;
    if (!column->transition)
        return true;
    if (column->transition->is_blocked)
        return refuse_blocked(at->rewriter, column->transition, target->location);
    size_t before = place_of(at, place, column->transition, column->number);
    if (before < place && !(is_element(at, before) && is_element(at, place)))
        return fail_at(at->rewriter, target->location, "42701",
                       "column \"%s\" specified more than once", target->name);
    return true;
}

static bool check_elements(struct insertion *at)
{
    for (size_t i = 0; i < at->count; i++) {
        const struct view_column *column = at->columns[i];
        if (!column || !column->transition || !is_element(at, i) ||
            !fills_other(at, column->transition) ||
            is_known_element(target_of(at, i), column->column))
            continue;
        return refuse(at->rewriter, target_of(at, i)->location,
                      "an INSERT of a part of the column");
    }
    return true;
}

static bool find_named(struct insertion *at)
{
    at->count = at->insert->n_cols;
    for (size_t i = 0; i < at->count; i++) {
        at->columns[i] = view_find(at->view, target_of(at, i)->name);
        if (!check_named(at, i))
            return false;
    }
    return check_elements(at);
}

static bool find_unnamed(struct insertion *at, size_t given)
{
    at->count = given < at->view->column_count ? given : at->view->column_count;
    for (size_t i = 0; i < at->count; i++) {
        at->columns[i] = &at->view->columns[i];
        if (at->columns[i]->transition && at->columns[i]->transition->is_blocked)
            return refuse_blocked(at->rewriter, at->columns[i]->transition,
                                  at->insert->relation->location);
    }
    return true;
}

static void add_left_out(struct insertion *at, const struct view_transition *transition)
{
    for (size_t i = 0; i < own_count(transition); i++)
        if (place_of(at, at->count, transition, i) == at->count)
            at->columns[at->total++] = own_column(at->view, transition, i);
}

bool find_columns(struct insertion *at, size_t given)
{
    size_t room = at->insert->n_cols + 2 * at->view->column_count;
    at->columns = ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *, room + 1);
    if (!(at->insert->n_cols ? find_named(at) : find_unnamed(at, given)))
        return false;
    at->total = at->count;
    for (size_t i = 0; i < at->view->transition_count; i++)
        add_left_out(at, &at->view->transitions[i]);
    return true;
}

/* ------------------------------------------------------------------ what becomes of a place */

bool is_sent(const struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    if (!column || !column->transition)
        return true;
    const struct view_transition *transition = column->transition;
    if (place < at->count || !transition->writes_own)
        return transition->writes_own;
    /* A new column's default is the shape's; whether the table has it too is not told. */
    return (column->column->default_expression || default_is_query(column->column)) &&
           (transition->shape == SHAPE_NEW ||
            (column->column->default_is_volatile && fills_other(at, transition)));
}

bool is_used_again(const struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    if (!column || !column->transition || !fills_other(at, column->transition))
        return false;
    const struct view_transition *transition = column->transition;
    size_t uses = is_sent(at, place);
    for (size_t i = 0; i < other_count(transition); i++) {
        const struct conversion *from =
            &transition->at->transition->columns[shape_other(transition->shape)][i].from;
        for (size_t s = 0; s < from->slot_count; s++)
            uses += from->slots[s] == column->number;
    }
    return uses > 1;
}

static bool is_written(const struct insertion *at, const struct view_column *column)
{
    return column->transition->writes_own || fills_other(at, column->transition);
}

bool is_drawn(const struct insertion *at, size_t place)
{
    if (place < at->count && !is_overridden(at, place))
        return false;
    const struct view_column *column = at->columns[place];
    return column->column && column->column->default_is_volatile &&
           (is_used_again(at, place) ||
            (default_is_query(column->column) && is_written(at, column)));
}

/*
 * An old column that nobody writes any more still has its default in the table. A volatile one is
 * kept from being evaluated for nothing, which would draw from its sequence: NULL is sent.
 */
static bool is_spared(const struct insertion *at, const struct view_transition *transition,
                      size_t number)
{
    if (transition->at->stage != STAGE_EXPANDED || phase_writes(transition->at->phase, SHAPE_OLD))
        return false;
    const struct catalog_column *column =
        catalog_column_find(at->view->table, view_physical_name(transition, SHAPE_OLD, number));
    return column && column->default_expression && column->default_is_volatile;
}

static size_t old_count(const struct view_transition *transition)
{
    return transition->at->transition->column_count[SHAPE_OLD];
}

bool adds_columns(const struct insertion *at, const struct view_transition *transition)
{
    if (fills_other(at, transition))
        return true;
    for (size_t i = 0; i < old_count(transition); i++)
        if (is_spared(at, transition, i))
            return true;
    for (size_t i = at->count; i < at->total; i++)
        if (at->columns[i]->transition == transition && is_sent(at, i))
            return true;
    return false;
}

/* ------------------------------------------------------------------ lists */

/* The values of the transition's own columns. */
static struct view_value *own_values(struct insertion *at, const struct view_transition *transition,
                                     const struct view_value *texts)
{
    size_t count = own_count(transition);
    struct view_value *values = ARENA_NEW_ARRAY(at->rewriter->arena, struct view_value, count);
    for (size_t i = 0; i < count; i++) {
        size_t place = place_of(at, at->total, transition, i);
        values[i] = texts[place];
        if (is_element(at, place))
            values[i] = (struct view_value){array_of(at, at->columns[place], texts),
                                            VIEW_TAKEN_FOR_CERTAIN};
    }
    return values;
}

void add_other_values(struct insertion *at, const struct view_transition *transition,
                      const struct view_value *texts, const char *separator, struct text *out)
{
    if (fills_other(at, transition)) {
        const struct view_value *values = own_values(at, transition, texts);
        for (size_t i = 0; i < other_count(transition); i++) {
            text_add_format(out, "%s%s", separator,
                            view_convert_sql(at->rewriter->arena, transition, i, values));
            separator = ", ";
        }
    }
    for (size_t i = at->count; i < at->total; i++)
        if (at->columns[i]->transition == transition && is_sent(at, i)) {
            text_add_format(out, "%s(%s)", separator, texts[i].sql);
            separator = ", ";
        }
    for (size_t i = 0; i < old_count(transition); i++)
        if (is_spared(at, transition, i)) {
            text_add_format(out, "%sNULL", separator);
            separator = ", ";
        }
}

/* The names that go with add_other_values. */
static void add_other_names(struct insertion *at, const struct view_transition *transition,
                            const char *separator, struct text *out)
{
    enum shape other = shape_other(transition->shape);
    for (size_t i = 0; fills_other(at, transition) && i < other_count(transition); i++) {
        text_add_format(out, "%s%s", separator,
                        physical_quoted(at->rewriter, transition, other, i));
        separator = ", ";
    }
    for (size_t i = at->count; i < at->total; i++)
        if (at->columns[i]->transition == transition && is_sent(at, i)) {
            text_add_format(out, "%s%s", separator,
                            physical_quoted(at->rewriter, transition, transition->shape,
                                            at->columns[i]->number));
            separator = ", ";
        }
    for (size_t i = 0; i < old_count(transition); i++)
        if (is_spared(at, transition, i)) {
            text_add_format(out, "%s%s", separator,
                            physical_quoted(at->rewriter, transition, SHAPE_OLD, i));
            separator = ", ";
        }
}

static void add_others(struct insertion *at, const struct view_transition *transition,
                       const struct view_value *texts, struct text *out)
{
    const char *separator = out->length ? ", " : "";
    if (texts)
        add_other_values(at, transition, texts, separator, out);
    else
        add_other_names(at, transition, separator, out);
}

static const char *text_from(struct insertion *at, size_t first, size_t end)
{
    uint32_t start = token_start(at->rewriter, first);
    return arena_string_range(at->rewriter->arena, at->rewriter->source.data + start,
                              end > first ? token_end(at->rewriter, end - 1) - start : 0);
}

static const char *physical_name_of(struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    const struct item_range *name = at->names ? &at->names[place] : NULL;
    if (column && column->transition)
        return arena_format(at->rewriter->arena, "%s%s",
                            physical_quoted(at->rewriter, column->transition,
                                            column->transition->shape, column->number),
                            is_element(at, place) ? text_from(at, name->first + 1, name->end) : "");
    return name ? text_from(at, name->first, name->end)
                : view_quote(at->rewriter->arena, column->name);
}

/* `texts` NULL: the names. */
static const char *build_list(struct insertion *at, const struct view_value *texts)
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++) {
        if (is_sent(at, i))
            text_add_format(&out, "%s%s", out.length ? ", " : "",
                            texts ? texts[i].sql : physical_name_of(at, i));
        const struct view_transition *transition =
            at->columns[i] ? at->columns[i]->transition : NULL;
        if (transition && first_own(at, transition) == i && !at->adds_last)
            add_others(at, transition, texts, &out);
    }
    for (size_t i = 0; i < at->view->transition_count; i++)
        if (at->adds_last || first_own(at, &at->view->transitions[i]) == at->count)
            add_others(at, &at->view->transitions[i], texts, &out);
    const char *list = arena_string_range(at->rewriter->arena, out.data, out.length);
    text_release(&out);
    return list;
}

const char *value_list(struct insertion *at, const struct view_value *texts)
{
    return build_list(at, texts);
}

const char *name_list(struct insertion *at)
{
    return build_list(at, NULL);
}

void put_column_list(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char *list = name_list(at);
    if (at->names) {
        uint32_t end = token_end(rewriter, at->names[at->count - 1].end - 1);
        edits_replace(&rewriter->edits, token_start(rewriter, at->names[0].first), end, list);
        edits_after(&rewriter->edits, token_end(rewriter, sql_token_at(&rewriter->tree, end)),
                    overriding(at));
        put_overriding(at);
    } else {
        edits_after(&rewriter->edits, token_end(rewriter, at->list_place - 1),
                    arena_format(rewriter->arena, " (%s)%s", list, overriding(at)));
        put_overriding(at);
    }
}
