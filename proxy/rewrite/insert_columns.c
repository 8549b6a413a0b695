/*
 * The columns that an INSERT sends: those that the client names, as far as they are written, and
 * behind the first of each transition the other shape's.
 */
#include "insert.h"

size_t first_own(const struct insertion *at, const struct view_transition *transition)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition == transition)
            return i;
    return at->count;
}

/* Where a column of the shape is given; at->count where it is left out. */
static size_t place_of(const struct insertion *at, const struct view_transition *transition,
                       size_t number)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition == transition &&
            at->columns[i]->number == number)
            return i;
    return at->count;
}

/* A new column's default is the shape's; whether the table has it too is not told. */
static bool writes_default(const struct insertion *at, const struct view_transition *transition,
                           size_t number)
{
    return transition->writes_own && transition->shape == SHAPE_NEW &&
           place_of(at, transition, number) == at->count &&
           own_column(at->view, transition, number)->column->default_expression != NULL;
}

bool needs_wrapping(const struct insertion *at, const struct view_transition *transition)
{
    if (!transition->writes_other)
        return false;
    for (size_t r = 0; r < at->row_count; r++)
        for (size_t i = 0; i < at->count; i++) {
            if (!at->columns[i] || at->columns[i]->transition != transition)
                continue;
            const struct client_value *value = &at->rows[r][i];
            bool repeatable = value->is_default ? !at->columns[i]->column->default_is_volatile
                                                : is_repeatable(value->node);
            /* written to one column only and used once, it is evaluated once */
            if (!repeatable && (transition->writes_own || other_count(transition) > 1))
                return true;
        }
    return false;
}

/*
 * The column is left to a volatile default of the table's: only the server knows its value. The
 * guard can fill the other column from it.
 */
static bool leaves_volatile_default(const struct insertion *at,
                                    const struct view_transition *transition)
{
    for (size_t i = 0; i < own_count(transition); i++)
        if (place_of(at, transition, i) == at->count &&
            own_column(at->view, transition, i)->column->default_is_volatile)
            return true;
    return false;
}

static bool is_left_to_guard(const struct insertion *at, const struct view_transition *transition)
{
    return transition->writes_own && transition->shape == SHAPE_OLD &&
           transition->at->transition->guard == GUARD_SYNC &&
           leaves_volatile_default(at, transition);
}

/* Are the other shape's columns written by this statement? */
static bool fills_other(const struct insertion *at, const struct view_transition *transition)
{
    return transition->writes_other && !is_left_to_guard(at, transition);
}

bool check_defaults(struct insertion *at, const struct view_transition *transition)
{
    if (!fills_other(at, transition) || !leaves_volatile_default(at, transition))
        return true;
    return refuse(at->rewriter, at->insert->relation->location,
                  "an INSERT that leaves the column to its volatile default");
}

void add_other_values(struct insertion *at, const struct view_transition *transition,
                      const char *const *texts, const char *separator, struct text *out)
{
    struct rewriter *rewriter = at->rewriter;
    size_t count = own_count(transition);
    const char **values = ARENA_NEW_ARRAY(rewriter->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        size_t place = place_of(at, transition, i);
        values[i] =
            place < at->count ? texts[place] : default_sql(own_column(at->view, transition, i));
    }
    for (size_t i = 0; fills_other(at, transition) && i < other_count(transition); i++) {
        text_add_format(out, "%s%s", separator,
                        view_convert_sql(rewriter->arena, transition, i, values));
        separator = ", ";
    }
    for (size_t i = 0; i < count; i++)
        if (writes_default(at, transition, i)) {
            text_add_format(out, "%s(%s)", separator, values[i]);
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
    for (size_t i = 0; i < own_count(transition); i++)
        if (writes_default(at, transition, i)) {
            text_add_format(out, "%s%s", separator,
                            physical_quoted(at->rewriter, transition, transition->shape, i));
            separator = ", ";
        }
}

bool adds_columns(const struct insertion *at, const struct view_transition *transition)
{
    if (fills_other(at, transition))
        return true;
    for (size_t i = 0; i < own_count(transition); i++)
        if (writes_default(at, transition, i))
            return true;
    return false;
}

/* ------------------------------------------------------------------ building lists */

/*
 * A list with one text per given column becomes the list that is sent: `own` gives the text of a
 * column that stays, NULL of one that goes; what is added comes behind the transition's first.
 */
typedef void (*add_function)(struct insertion *at, const struct view_transition *transition,
                             const void *data, const char *separator, struct text *out);

static bool stays(const struct view_column *column)
{
    return !column || !column->transition || column->transition->writes_own;
}

static void add_names_of(struct insertion *at, const struct view_transition *transition,
                         const void *data, const char *separator, struct text *out)
{
    (void)data;
    add_other_names(at, transition, separator, out);
}

static void add_values_of(struct insertion *at, const struct view_transition *transition,
                          const void *data, const char *separator, struct text *out)
{
    add_other_values(at, transition, data, separator, out);
}

static const char *build_list(struct insertion *at, const char *const *texts, add_function add,
                              const void *data)
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++) {
        if (stays(at->columns[i]))
            text_add_format(&out, "%s%s", out.length ? ", " : "", texts[i]);
        const struct view_transition *transition =
            at->columns[i] ? at->columns[i]->transition : NULL;
        if (transition && first_own(at, transition) == i)
            add(at, transition, data, out.length ? ", " : "", &out);
    }
    for (size_t i = 0; i < at->view->transition_count; i++)
        if (first_own(at, &at->view->transitions[i]) == at->count)
            add(at, &at->view->transitions[i], data, out.length ? ", " : "", &out);
    const char *list = arena_string_range(at->rewriter->arena, out.data, out.length);
    text_release(&out);
    return list;
}

const char *value_list(struct insertion *at, const char *const *texts)
{
    return build_list(at, texts, add_values_of, (const void *)texts);
}

const char *name_list(struct insertion *at, const char *const *names)
{
    return build_list(at, names, add_names_of, NULL);
}

static const char *physical_name_of(struct insertion *at, size_t number)
{
    const struct view_column *column = at->columns[number];
    if (column && column->transition)
        return physical_quoted(at->rewriter, column->transition, column->transition->shape,
                               column->number);
    if (at->names && at->insert->cols[number])
        return arena_string_range(at->rewriter->arena,
                                  at->rewriter->source.data +
                                      token_start(at->rewriter, at->names[number].first),
                                  token_end(at->rewriter, at->names[number].end - 1) -
                                      token_start(at->rewriter, at->names[number].first));
    return view_quote(at->rewriter->arena, column->name);
}

void put_column_list(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char **names = ARENA_NEW_ARRAY(rewriter->arena, const char *, at->count + 1);
    for (size_t i = 0; i < at->count; i++)
        names[i] = physical_name_of(at, i);
    const char *list = name_list(at, names);
    if (at->names)
        edits_replace(&rewriter->edits, token_start(rewriter, at->names[0].first),
                      token_end(rewriter, at->names[at->count - 1].end - 1), list);
    else
        edits_after(&rewriter->edits, token_end(rewriter, at->list_place - 1),
                    arena_format(rewriter->arena, " (%s)", list));
}
