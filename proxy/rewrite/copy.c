/*
 * COPY. Out of a table in transition it becomes COPY of a query. Into one, rows pass by unseen: the
 * client's own column is written, and the guard must fill the other.
 */
#include "rewriter.h"

struct copying {
    struct rewriter *rewriter;
    const PgQuery__CopyStmt *copy;
    const struct view *view;
    size_t count;
    const struct view_column **columns;
};

static bool find_columns(struct copying *at)
{
    const PgQuery__CopyStmt *copy = at->copy;
    const struct view *view = at->view;
    at->columns = ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *,
                                  copy->n_attlist + view->column_count + 1);
    for (size_t i = 0; i < copy->n_attlist; i++) {
        const struct view_column *column = view_find(view, sql_string(copy->attlist[i]));
        if (!column)
            return fail_at(at->rewriter, -1, "42703",
                           "column \"%s\" of relation \"%s\" does not exist",
                           sql_string(copy->attlist[i]), view->table->name);
        at->columns[at->count++] = column;
    }
    if (copy->n_attlist == 0 && !view->order_is_known)
        return refuse(at->rewriter, copy->relation->location,
                      "COPY without a column list of a table whose column order is lost");
    for (size_t i = 0; copy->n_attlist == 0 && i < view->column_count; i++)
        if (!view->columns[i].physical || !view->columns[i].physical->is_generated)
            at->columns[at->count++] = &view->columns[i];
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i]->transition && at->columns[i]->transition->is_blocked)
            return refuse_blocked(at->rewriter, at->columns[i]->transition,
                                  copy->relation->location);
    return true;
}

/* Bytes of the table and its column list. */
static void find_range(const struct copying *at, uint32_t *start, uint32_t *end,
                       uint32_t *relation_to)
{
    struct rewriter *rewriter = at->rewriter;
    size_t token = relation_end(rewriter, at->copy->relation);
    *start = token_start(rewriter, relation_start(rewriter, at->copy->relation));
    *relation_to = *end = token_end(rewriter, token - 1);
    if (at->copy->n_attlist > 0)
        *end = token_end(rewriter, sql_token_closing(&rewriter->tree, token));
}

static bool copy_out(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    uint32_t start, end, relation_to;
    find_range(at, &start, &end, &relation_to);
    const char *qualifier =
        arena_format(rewriter->arena, "%s.", view_quote(rewriter->arena, at->view->table->name));
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++) {
        text_add_format(&text, "%s%s", i ? ", " : "(SELECT ",
                        view_read_sql(rewriter->arena, at->columns[i], qualifier));
        if (at->columns[i]->read != VIEW_PLAIN)
            text_add_format(&text, " AS %s", view_quote(rewriter->arena, at->columns[i]->name));
    }
    /* COPY of a table leaves its children out */
    text_add_format(&text, " FROM ONLY %.*s)", (int)(relation_to - start),
                    rewriter->source.data + start);
    edits_replace(&rewriter->edits, start, end,
                  arena_string_range(rewriter->arena, text.data, text.length));
    text_release(&text);
    return true;
}

static bool check_copy_in(struct copying *at, const struct view_transition *transition)
{
    int32_t location = at->copy->relation->location;
    bool is_given = false;
    for (size_t i = 0; i < at->count; i++)
        is_given = is_given || at->columns[i]->transition == transition;
    if (!transition->writes_own && (is_given || transition->writes_other))
        return refuse(at->rewriter, location, "COPY FROM in this phase");
    if (transition->writes_other && transition->at->transition->guard != GUARD_SYNC)
        return refuse(at->rewriter, location, "COPY FROM without the guard in sync");
    if (!is_given && transition->shape == SHAPE_NEW)
        return refuse(at->rewriter, location, "COPY FROM that leaves the column out");
    return true;
}

static bool copy_in(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    for (size_t i = 0; i < at->view->transition_count; i++)
        if (!check_copy_in(at, &at->view->transitions[i]))
            return false;
    if (at->copy->where_clause)
        return refuse(rewriter, at->copy->relation->location, "COPY FROM with WHERE");
    uint32_t start, end, relation_to;
    find_range(at, &start, &end, &relation_to);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++) {
        const struct view_column *column = at->columns[i];
        const char *name =
            column->transition
                ? view_physical_name(column->transition, column->transition->shape, column->number)
                : column->name;
        text_add_format(&text, "%s%s", i ? ", " : " (", view_quote(rewriter->arena, name));
    }
    text_add_char(&text, ')');
    const char *list = arena_string_range(rewriter->arena, text.data, text.length);
    text_release(&text);
    if (end > relation_to)
        edits_replace(&rewriter->edits, relation_to, end, list);
    else
        edits_after(&rewriter->edits, end, list);
    return true;
}

bool rewrite_copy(struct rewriter *rewriter, const PgQuery__CopyStmt *copy)
{
    if (copy->query) {
        rewriter->tells_results = false;
        return rewrite_statement(rewriter, sql_unwrap(copy->query));
    }
    const struct catalog_table *table = find_table(rewriter, copy->relation);
    struct copying at = {.rewriter = rewriter, .copy = copy};
    at.view = table ? view_of(rewriter, table) : NULL;
    if (!at.view || at.view->is_plain) {
        for (size_t i = 0; at.view && copy->is_from && i < at.view->transition_count; i++)
            if (at.view->transitions[i].writes_other)
                return refuse(rewriter, copy->relation->location, "COPY FROM in this phase");
        return true;
    }
    if (!find_columns(&at))
        return false;
    return copy->is_from ? copy_in(&at) : copy_out(&at);
}
