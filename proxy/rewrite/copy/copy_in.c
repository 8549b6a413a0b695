/*
 * COPY into a table in transition. Its rows pass by unseen, so no value of theirs can be converted
 * on the way. Where the client's own columns are all that is written, or the guard in `sync` fills
 * the others, the rows go straight into the table; else through a temporary one (copy_stage.c).
 */
#include "copy.h"

static bool is_given(const struct copying *at, const struct view_transition *transition,
                     size_t number)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i]->transition == transition && at->columns[i]->number == number)
            return true;
    return false;
}

/* A new column's default is the shape's; whether the table has it too is not told. */
static bool leaves_new_default(const struct copying *at, const struct view_transition *transition)
{
    const struct transition *definition = transition->at->transition;
    if (transition->shape == SHAPE_OLD)
        return false;
    for (size_t i = 0; i < definition->column_count[SHAPE_NEW]; i++)
        if ((definition->columns[SHAPE_NEW][i].default_expression ||
             default_is_query(&definition->columns[SHAPE_NEW][i])) &&
            !is_given(at, transition, i))
            return true;
    return false;
}

/*
 * The guard takes an INSERT's NULL in a column of the new shape for a column left out, and then
 * believes the old column's default: so it serves the old shape only.
 */
static bool writes_directly(const struct copying *at, const struct view_transition *transition)
{
    if (!transition->writes_own)
        return false;
    if (transition->writes_other)
        return transition->shape == SHAPE_OLD && transition->at->transition->guard == GUARD_SYNC;
    return !leaves_new_default(at, transition);
}

/* Does the statement name columns beside its list? There the client's names must do. */
static bool names_columns(const struct copying *at)
{
    static const char *const options[] = {"header", "force_quote", "force_null", "force_not_null"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (copy_option(at->copy, options[i]))
            return true;
    return at->copy->where_clause != NULL;
}

static bool keeps_names(const struct copying *at)
{
    for (size_t i = 0; i < at->view->column_count; i++)
        if (strcmp(copy_physical_name(&at->view->columns[i]), at->view->columns[i].name) != 0)
            return false;
    return true;
}

static bool is_column(struct copying *at, const struct copy_reference *reference, void *data)
{
    (void)at;
    (void)data;
    return reference->name != NULL;
}

static bool can_be_direct(struct copying *at)
{
    if (!at->view->is_plain && !copy_where_references(at, is_column, NULL))
        return false; /* the row has the columns of both shapes */
    for (size_t i = 0; i < at->view->transition_count; i++)
        if (!writes_directly(at, &at->view->transitions[i]))
            return false;
    return keeps_names(at) || !names_columns(at);
}

static bool check_reference(struct copying *at, const struct copy_reference *reference, void *data)
{
    (void)data;
    if (!reference->name || reference->column || !view_hides(at->view, reference->name))
        return true;
    return fail_at(
        at->rewriter, reference->node->location, "42703", "column %s%s%s%s does not exist",
        reference->is_qualified ? at->view->table->name : "\"", reference->is_qualified ? "." : "",
        reference->name, reference->is_qualified ? "" : "\"");
}

static bool is_copied(const struct copying *at, const struct view_column *column)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] == column)
            return true;
    return false;
}

/* The table that the rows go into may have other columns than the client's: so its lists are looked
 * through here. */
static bool check_forced(struct copying *at, const char *option, const char *keyword)
{
    const PgQuery__DefElem *given = copy_option(at->copy, option);
    const sql_node *names = given ? sql_unwrap(given->arg) : NULL;
    for (size_t i = 0; SQL_IS(names, list) && i < AS_NODE(List, names)->n_items; i++) {
        const char *name = sql_string(AS_NODE(List, names)->items[i]);
        const struct view_column *column = name ? view_find(at->view, name) : NULL;
        if (!column)
            return copy_fail_unknown(at, name ? name : "*");
        if (!is_copied(at, column))
            return fail_at(at->rewriter, -1, "42P10", "%s column \"%s\" not referenced by COPY",
                           keyword, name);
    }
    return true;
}

/* Straight into the table: only the column list is made to say what the client means by it. */
static void put_column_list(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++)
        text_add_format(&text, "%s%s", i ? ", " : " (",
                        view_quote(rewriter->arena, copy_physical_name(at->columns[i])));
    text_add_char(&text, ')');
    const char *list = arena_string_range(rewriter->arena, text.data, text.length);
    text_release(&text);
    uint32_t start = token_end(rewriter, at->places.list - 1);
    if (at->copy->n_attlist > 0)
        edits_replace(&rewriter->edits, start, token_end(rewriter, at->places.direction - 1), list);
    else
        edits_after(&rewriter->edits, start, list);
}

bool copy_in(struct copying *at)
{
    if (!copy_where_references(at, check_reference, NULL) ||
        !check_forced(at, "force_null", "FORCE_NULL") ||
        !check_forced(at, "force_not_null", "FORCE_NOT_NULL"))
        return false;
    if (!can_be_direct(at))
        return copy_in_staged(at);
    if (at->count > 0)
        put_column_list(at);
    return true;
}
