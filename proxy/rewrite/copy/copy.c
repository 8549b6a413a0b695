/*
 * COPY: which columns it means, and out of a table in transition, where it becomes COPY of a query.
 * Into one: copy_in.c.
 */
#include "copy.h"

/* ------------------------------------------------------------------ where things are */

static void find_places(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct copy_places *places = &at->places;
    places->relation = relation_start(rewriter, at->copy->relation);
    places->copy = places->relation - 1;
    if (token_kind(rewriter, places->copy) == PG_QUERY__TOKEN__BINARY)
        places->binary = places->copy--;
    BUG_ON(token_kind(rewriter, places->copy) != PG_QUERY__TOKEN__COPY);
    places->list = relation_end(rewriter, at->copy->relation);
    places->direction = at->copy->n_attlist > 0
                            ? sql_token_closing(&rewriter->tree, places->list) + 1
                            : places->list;
    places->target = places->direction + 1;
    if (token_kind(rewriter, places->target) == PG_QUERY__TOKEN__PROGRAM)
        places->target++;
    size_t token = places->target + 1;
    if (token_kind(rewriter, token) == PG_QUERY__TOKEN__USING ||
        token_kind(rewriter, token) == PG_QUERY__TOKEN__DELIMITERS) {
        places->delimiters = token;
        token += token_kind(rewriter, token) == PG_QUERY__TOKEN__USING;
        places->delimiters_literal = token + 1;
        token += 2;
    }
    if (token_kind(rewriter, token) == PG_QUERY__TOKEN__WITH ||
        token_kind(rewriter, token) == PG_QUERY__TOKEN__WITH_LA)
        token++;
    places->options = token;
    while (token < rewriter->tree.token_count && token_kind(rewriter, token) != ';')
        token++;
    places->end = token;
}

const PgQuery__DefElem *copy_option(const PgQuery__CopyStmt *copy, const char *name)
{
    for (size_t i = 0; i < copy->n_options; i++) {
        const PgQuery__DefElem *option = copy->options[i]->def_elem;
        if (strcmp(option->defname, name) == 0)
            return option;
    }
    return NULL;
}

/* ------------------------------------------------------------------ columns */

static bool is_generated(const struct view_column *column)
{
    return column->physical && column->physical->is_generated;
}

bool copy_fail_unknown(struct copying *at, const char *name)
{
    struct rewriter *rewriter = at->rewriter;
    bool failed = fail_at(rewriter, -1, "42703", "column \"%s\" of relation \"%s\" does not exist",
                          name, at->view->table->name);
    if (view_hides(at->view, name))
        error_hint(&rewriter->error,
                   "The table is in transition, and this connection sees it in another shape. "
                   "Tools that read the catalog, as pg_dump does, must connect to the server "
                   "itself.");
    return failed;
}

/* As the server looks a list through. */
static bool find_named_column(struct copying *at, const char *name)
{
    struct rewriter *rewriter = at->rewriter;
    const struct view *view = at->view;
    const struct view_column *column = view_find(view, name);
    if (!column)
        return copy_fail_unknown(at, name);
    if (is_generated(column)) {
        bool failed = fail_at(rewriter, -1, "42P10", "column \"%s\" is a generated column", name);
        error_detail(&rewriter->error, "Generated columns cannot be used in COPY.");
        return failed;
    }
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] == column)
            return fail_at(rewriter, -1, "42701", "column \"%s\" specified more than once", name);
    at->columns[at->count++] = column;
    return true;
}

static bool find_columns(struct copying *at)
{
    const PgQuery__CopyStmt *copy = at->copy;
    const struct view *view = at->view;
    at->columns =
        ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *, view->column_count + 1);
    for (size_t i = 0; i < copy->n_attlist; i++)
        if (!find_named_column(at, sql_string(copy->attlist[i])))
            return false;
    if (copy->n_attlist == 0 && !view->order_is_known)
        return refuse(at->rewriter, copy->relation->location,
                      "COPY without a column list of a table whose column order is lost");
    for (size_t i = 0; copy->n_attlist == 0 && i < view->column_count; i++)
        if (!is_generated(&view->columns[i]))
            at->columns[at->count++] = &view->columns[i];
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i]->transition && at->columns[i]->transition->is_blocked)
            return refuse_blocked(at->rewriter, at->columns[i]->transition,
                                  copy->relation->location);
    return true;
}

const char *copy_physical_name(const struct view_column *column)
{
    return column->transition
               ? view_physical_name(column->transition, column->transition->shape, column->number)
               : column->name;
}

/* ------------------------------------------------------------------ out */

/* COPY of a query has neither BINARY nor DELIMITERS in front: they become options of it. */
static void move_old_options(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    const struct copy_places *places = &at->places;
    bool is_list = token_kind(rewriter, places->options) == '(';
    const char *options = "";
    if (places->binary) {
        edits_replace(&rewriter->edits, token_start(rewriter, places->binary),
                      token_end(rewriter, places->binary), "");
        options = is_list ? ", FORMAT binary" : " BINARY";
    }
    if (places->delimiters) {
        struct slice literal =
            copy_source(at, places->delimiters_literal, places->delimiters_literal + 1);
        edits_replace(&rewriter->edits, token_start(rewriter, places->delimiters),
                      token_end(rewriter, places->delimiters_literal), "");
        options = arena_format(rewriter->arena, "%s%s DELIMITER %.*s", options, is_list ? "," : "",
                               (int)literal.length, literal.data);
    }
    if (is_list) {
        size_t closing = sql_token_closing(&rewriter->tree, places->options);
        edits_before(&rewriter->edits, token_start(rewriter, closing), options);
    } else {
        edits_after(&rewriter->edits, token_end(rewriter, places->options - 1), options);
    }
}

static const char *select_sql(struct copying *at)
{
    struct arena *arena = at->rewriter->arena;
    const char *qualifier = arena_format(arena, "%s.", view_quote(arena, at->view->table->name));
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++) {
        text_add_format(&text, "%s%s", i ? ", " : "",
                        view_read_sql(arena, at->columns[i], qualifier));
        if (at->columns[i]->read != VIEW_PLAIN)
            text_add_format(&text, " AS %s", view_quote(arena, at->columns[i]->name));
    }
    struct slice relation = copy_source(at, at->places.relation, at->places.list);
    /* COPY of a table leaves its children out */
    const char *sql = arena_format(arena, "(SELECT %s FROM ONLY %.*s)", text.data,
                                   (int)relation.length, relation.data);
    text_release(&text);
    return sql;
}

static bool copy_out(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    if (at->view->table->kind == 'p') {
        bool failed = fail_at(rewriter, -1, "42809", "cannot copy from partitioned table \"%s\"",
                              at->view->table->name);
        error_hint(&rewriter->error, "Try the COPY (SELECT ...) TO variant.");
        return failed;
    }
    edits_replace(&rewriter->edits, token_start(rewriter, at->places.relation),
                  token_end(rewriter, at->places.direction - 1), select_sql(at));
    move_old_options(at);
    return true;
}

/* ------------------------------------------------------------------ */

bool rewrite_copy(struct rewriter *rewriter, const PgQuery__CopyStmt *copy)
{
    if (copy->query) {
        rewriter->tells_results = false;
        return rewrite_statement(rewriter, sql_unwrap(copy->query));
    }
    const struct catalog_table *table = find_table(rewriter, copy->relation);
    struct copying at = {.rewriter = rewriter, .copy = copy};
    at.view = table ? view_of(rewriter, table) : NULL;
    if (!at.view || at.view->is_plain)
        return true;
    find_places(&at);
    if (!find_columns(&at))
        return false;
    return copy->is_from ? copy_in(&at) : copy_out(&at);
}
