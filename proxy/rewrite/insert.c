/*
 * INSERT. The column list is made to name the physical columns, then either every VALUES row is
 * edited in place, or the source is wrapped, so that each of its rows is evaluated once:
 *   INSERT INTO t (a, role, roles) SELECT v.c1, v.c2, f(v.c2) FROM (source) AS v(c1, c2)
 */
#include "write.h"

struct insertion {
    struct rewriter *rewriter;
    struct scope *scope;
    const PgQuery__InsertStmt *insert;
    struct scope_item *target;
    const struct view *view;
    const PgQuery__SelectStmt *select; /* NULL: DEFAULT VALUES */
    struct outputs source_outputs;
    size_t list_place;   /* token that a column list that is not there would stand before */
    size_t source_first; /* token */
    size_t source_end;   /* one past its last token */
    size_t count;        /* columns given */
    const struct view_column **columns; /* NULL: the server's error */
    struct item_range *names;           /* tokens of the list; NULL where there is none */
    size_t row_count;
    struct client_value **rows; /* of a plain VALUES; NULL otherwise */
    bool is_wrapped;
};

/* ------------------------------------------------------------------ where things are */

/* After a dot or AS it is a name. */
static bool begins_returning(const struct insertion *at, size_t token)
{
    uint16_t before = token > 0 ? token_kind(at->rewriter, token - 1) : 0;
    return at->insert->n_returning_list > 0 &&
           token_kind(at->rewriter, token) == PG_QUERY__TOKEN__RETURNING && before != '.' &&
           before != PG_QUERY__TOKEN__AS;
}

static void find_places(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const PgQuery__RangeVar *relation = at->insert->relation;
    size_t token = relation_end(rewriter, relation);
    if (relation->alias)
        token += 2; /* AS alias */
    at->list_place = token;
    if (at->insert->n_cols > 0) {
        size_t count;
        at->names = split_items(rewriter, token, &count);
        token = sql_token_closing(&rewriter->tree, token) + 1;
    }
    if (token_kind(rewriter, token) == PG_QUERY__TOKEN__OVERRIDING)
        token += 3;
    at->source_first = token;
    uint16_t depth = token < rewriter->tree.token_count ? rewriter->tree.tokens[token].depth : 0;
    uint32_t conflict = at->insert->on_conflict_clause
                            ? (uint32_t)at->insert->on_conflict_clause->location
                            : UINT32_MAX;
    while (token < rewriter->tree.token_count) {
        const struct sql_tree_token *here = &rewriter->tree.tokens[token];
        if (here->depth < depth || (here->depth == depth && here->kind == ';') ||
            (here->depth == depth && begins_returning(at, token)) || here->start >= conflict)
            break;
        token++;
    }
    at->source_end = token;
}

static bool is_plain_values(const struct insertion *at)
{
    const PgQuery__SelectStmt *select = at->select;
    return select->n_values_lists > 0 && select->n_sort_clause == 0 && !select->limit_count &&
           !select->limit_offset && !select->with_clause && select->n_locking_clause == 0 &&
           token_kind(at->rewriter, at->source_first) == PG_QUERY__TOKEN__VALUES;
}

/* ------------------------------------------------------------------ columns */

static bool find_named_column(struct insertion *at, size_t number)
{
    const PgQuery__ResTarget *target = at->insert->cols[number]->res_target;
    const struct view_column *column = view_find(at->view, target->name);
    at->columns[number] = column;
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
    if (target->n_indirection > 0 && column->transition->writes_other)
        return refuse(at->rewriter, target->location, "an INSERT of an element of the column");
    return true;
}

static bool find_columns(struct insertion *at, size_t given)
{
    size_t count = at->insert->n_cols ? at->insert->n_cols : given;
    if (!at->insert->n_cols && count > at->view->column_count)
        count = at->view->column_count; /* more values than columns is the server's error */
    at->count = count;
    at->columns = ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (at->insert->n_cols) {
            if (!find_named_column(at, i))
                return false;
            continue;
        }
        at->columns[i] = &at->view->columns[i];
        if (at->columns[i]->transition && at->columns[i]->transition->is_blocked)
            return refuse_blocked(at->rewriter, at->columns[i]->transition,
                                  at->insert->relation->location);
    }
    return true;
}

/* ------------------------------------------------------------------ the source */

static bool read_rows(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    at->row_count = at->select->n_values_lists;
    at->rows = ARENA_NEW_ARRAY(rewriter->arena, struct client_value *, at->row_count);
    size_t open = at->source_first + 1;
    for (size_t r = 0; r < at->row_count; r++) {
        const PgQuery__List *row = at->select->values_lists[r]->list;
        size_t count;
        struct item_range *items = split_items(rewriter, open, &count);
        BUG_ON(count != row->n_items);
        if (count != at->count)
            return fail_at(rewriter, (int32_t)token_start(rewriter, open), "42601",
                           count > at->count ? "INSERT has more expressions than target columns"
                                             : "INSERT has more target columns than expressions");
        at->rows[r] = ARENA_NEW_ARRAY(rewriter->arena, struct client_value, count);
        for (size_t i = 0; i < count; i++)
            if (!read_value(rewriter, at->scope, sql_unwrap(row->items[i]), items[i],
                            at->columns[i], &at->rows[r][i]))
                return false;
        open = sql_token_closing(&rewriter->tree, open) + 2;
    }
    return true;
}

static bool read_source(struct insertion *at)
{
    if (!at->select)
        return find_columns(at, 0);
    if (is_plain_values(at))
        return find_columns(at, at->select->values_lists[0]->list->n_items) && read_rows(at);
    at->is_wrapped = true;
    if (!rewrite_select(at->rewriter, at->scope, at->select, &at->source_outputs))
        return false;
    if (!at->insert->n_cols && !at->source_outputs.is_complete)
        return refuse(
            at->rewriter, at->insert->relation->location,
            "INSERT without a column list from a query whose columns Segue does not know");
    return find_columns(at, at->source_outputs.count);
}

/* ------------------------------------------------------------------ transitions */

static size_t first_own(const struct insertion *at, const struct view_transition *transition)
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

/* Must a value be evaluated once and used twice? */
static bool needs_wrapping(const struct insertion *at, const struct view_transition *transition)
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

static bool check_defaults(struct insertion *at, const struct view_transition *transition)
{
    if (!fills_other(at, transition) || !leaves_volatile_default(at, transition))
        return true;
    return refuse(at->rewriter, at->insert->relation->location,
                  "an INSERT that leaves the column to its volatile default");
}

/*
 * Appends what stands for the transition's columns from `texts`, one per given column: own values
 * that are left out are their defaults.
 */
static void add_others(struct insertion *at, const struct view_transition *transition,
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

/* The names that go with add_others. */
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

/* Do columns of the transition come that the client did not name? */
static bool adds_columns(const struct insertion *at, const struct view_transition *transition)
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
    add_others(at, transition, data, separator, out);
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

static void put_column_list(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char **names = ARENA_NEW_ARRAY(rewriter->arena, const char *, at->count + 1);
    for (size_t i = 0; i < at->count; i++)
        names[i] = physical_name_of(at, i);
    const char *list = build_list(at, names, add_names_of, NULL);
    if (at->names)
        edits_replace(&rewriter->edits, token_start(rewriter, at->names[0].first),
                      token_end(rewriter, at->names[at->count - 1].end - 1), list);
    else
        edits_after(&rewriter->edits, token_end(rewriter, at->list_place - 1),
                    arena_format(rewriter->arena, " (%s)", list));
}

/* ------------------------------------------------------------------ VALUES in place */

static const char **texts_of_row(struct insertion *at, const struct client_value *row)
{
    const char **texts = ARENA_NEW_ARRAY(at->rewriter->arena, const char *, at->count + 1);
    for (size_t i = 0; i < at->count; i++)
        texts[i] = row[i].sql;
    return texts;
}

static void write_value(struct insertion *at, struct client_value *row, size_t number)
{
    struct rewriter *rewriter = at->rewriter;
    const struct view_transition *transition = at->columns[number]->transition;
    bool is_first = first_own(at, transition) == number;
    const char **texts = texts_of_row(at, row);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    if (transition->writes_own) {
        if (row[number].is_default && transition->shape == SHAPE_NEW)
            edits_replace(&rewriter->edits, row[number].start, row[number].end,
                          arena_format(rewriter->arena, "(%s)", row[number].sql));
        if (is_first) {
            add_others(at, transition, texts, ", ", &out);
            edits_after(&rewriter->edits, row[number].end,
                        arena_string_range(rewriter->arena, out.data, out.length));
        }
    } else if (is_first) {
        texts[number] = VALUE_MARK_STRING;
        add_others(at, transition, texts, "", &out);
        place_value(rewriter, row[number].start, &row[number],
                    arena_string_range(rewriter->arena, out.data, out.length));
    } else { /* with the comma before it */
        size_t comma = sql_token_at(&rewriter->tree, row[number].start) - 1;
        edits_replace(&rewriter->edits, token_start(rewriter, comma), row[number].end, "");
    }
    text_release(&out);
}

static void write_row(struct insertion *at, struct client_value *row)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition)
            write_value(at, row, i);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->view->transition_count; i++)
        if (first_own(at, &at->view->transitions[i]) == at->count)
            add_others(at, &at->view->transitions[i], texts_of_row(at, row), ", ", &out);
    if (out.length)
        edits_after(&at->rewriter->edits, row[at->count - 1].end,
                    arena_string_range(at->rewriter->arena, out.data, out.length));
    text_release(&out);
}

static void write_default_values(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char *names = build_list(at, NULL, add_names_of, NULL);
    const char *values = build_list(at, NULL, add_values_of, NULL);
    if (names[0] == '\0')
        return;
    edits_replace(&rewriter->edits, token_start(rewriter, at->source_first),
                  token_end(rewriter, at->source_end - 1),
                  arena_format(rewriter->arena, "(%s) VALUES (%s)", names, values));
}

/* ------------------------------------------------------------------ the wrapped source */

static bool prepare_wrapped_value(struct insertion *at, struct client_value *value, size_t number)
{
    struct rewriter *rewriter = at->rewriter;
    const struct view_column *column = at->columns[number];
    if (!value->is_default) {
        size_t first = sql_token_at(&rewriter->tree, value->start);
        size_t end = sql_token_at(&rewriter->tree, value->end);
        cast_row_constant(rewriter, value->node, (struct item_range){first, end}, column);
        return true;
    }
    if (!column ||
        (column->physical && (column->physical->is_identity || column->physical->is_generated)))
        return refuse(rewriter, (int32_t)value->start,
                      "DEFAULT of a generated column beside a value that must be evaluated once");
    const char *type = column->column ? column->column->type_bare
                                      : view_bare_type(rewriter->arena, column->physical->type);
    edits_replace(&rewriter->edits, value->start, value->end,
                  arena_format(rewriter->arena, "(%s)::%s", value->sql, type));
    return true;
}

static bool prepare_source(struct insertion *at)
{
    if (!at->rows) {
        cast_untyped_targets(at->rewriter, at->select, at->columns, at->count);
        return true;
    }
    for (size_t r = 0; r < at->row_count; r++)
        for (size_t i = 0; i < at->count; i++)
            if (!prepare_wrapped_value(at, &at->rows[r][i], i))
                return false;
    return true;
}

static bool has_writing_cte(const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; select->with_clause && i < select->with_clause->n_ctes; i++)
        if (!SQL_IS(sql_unwrap(select->with_clause->ctes[i]->common_table_expr->ctequery),
                    select_stmt))
            return true;
    return false;
}

static bool wrap_source(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    if (has_writing_cte(at->select))
        return refuse(rewriter, at->insert->relation->location,
                      "INSERT from a query with a data-modifying WITH inside it (put the WITH "
                      "before INSERT)");
    if (!prepare_source(at))
        return false;
    size_t given = at->rows ? at->count : at->source_outputs.count;
    if (given < at->count)
        given = at->count; /* the server's error */
    const char **texts = ARENA_NEW_ARRAY(rewriter->arena, const char *, at->count + 1);
    for (size_t i = 0; i < at->count; i++)
        texts[i] = source_column(rewriter, i);
    const char *list = build_list(at, texts, add_values_of, (const void *)texts);
    edits_before(&rewriter->edits, token_start(rewriter, at->source_first),
                 arena_format(rewriter->arena, "SELECT %s FROM (", list));
    edits_after(&rewriter->edits, token_end(rewriter, at->source_end - 1),
                arena_format(rewriter->arena, ") AS %s", source_alias(rewriter, at->count)));
    return true;
}

/* ------------------------------------------------------------------ putting it together */

static bool write_source(struct insertion *at)
{
    bool adds = false, wraps = at->is_wrapped;
    for (size_t i = 0; i < at->view->transition_count; i++) {
        const struct view_transition *transition = &at->view->transitions[i];
        if (!check_defaults(at, transition))
            return false;
        adds = adds || adds_columns(at, transition);
        wraps = wraps || needs_wrapping(at, transition);
    }
    if (at->view->is_plain && !adds)
        return true;
    if (!at->insert->n_cols && at->count > 0 && !at->view->order_is_known)
        return refuse(at->rewriter, at->insert->relation->location,
                      "INSERT without a column list into a table whose column order is lost");
    if (!at->select) {
        write_default_values(at);
        return true;
    }
    if (at->count == 0)
        return true; /* the server's error */
    put_column_list(at);
    if (!adds && at->is_wrapped)
        return true; /* only names differ */
    if (wraps)
        return wrap_source(at);
    for (size_t r = 0; r < at->row_count; r++)
        write_row(at, at->rows[r]);
    return true;
}

/* ------------------------------------------------------------------ ON CONFLICT */

/* EXCLUDED has what is about to be written: the own column wherever it is written. */
static struct scope_item *make_excluded(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct scope_item *item = ARENA_NEW(rewriter->arena, struct scope_item);
    *item = *at->target;
    item->alias = "excluded";
    item->schema = NULL;
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
        if (column->transition->writes_own)
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

/* The arbiter must be the index that is there: columns of a key are not in transition. */
static bool check_arbiter(struct insertion *at, const PgQuery__InferClause *infer)
{
    for (size_t i = 0; infer && at->view && i < infer->n_index_elems; i++) {
        const PgQuery__IndexElem *element = infer->index_elems[i]->index_elem;
        const char *name = present(element->name);
        const struct view_column *column = name ? view_find(at->view, name) : NULL;
        if (column && column->transition && column->read != VIEW_PLAIN)
            return refuse(at->rewriter, infer->location, "ON CONFLICT on the column");
        if (name && !column && view_hides(at->view, name))
            return fail_at(at->rewriter, infer->location, "42703", "column \"%s\" does not exist",
                           name);
    }
    size_t mark = at->rewriter->edits.count;
    if (infer &&
        !(rewrite_list(at->rewriter, at->scope, infer->index_elems, infer->n_index_elems) &&
          rewrite_expression(at->rewriter, at->scope, sql_unwrap(infer->where_clause))))
        return false;
    if (at->rewriter->edits.count > mark)
        return refuse(at->rewriter, infer->location, "ON CONFLICT on the column");
    return true;
}

static bool rewrite_conflict(struct insertion *at)
{
    const PgQuery__OnConflictClause *conflict = at->insert->on_conflict_clause;
    if (!conflict)
        return true;
    if (!check_arbiter(at, conflict->infer))
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

/* A target that is not in transition: only what its clauses refer to may be. */
static bool rewrite_foreign_source(struct insertion *at)
{
    if (!at->select)
        return true;
    struct outputs outputs;
    outputs_init(&outputs);
    return rewrite_select(at->rewriter, at->scope, at->select, &outputs);
}

bool rewrite_insert(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__InsertStmt *insert, struct outputs *outputs)
{
    struct insertion at = {.rewriter = rewriter, .insert = insert};
    at.scope = ARENA_NEW(rewriter->arena, struct scope);
    at.scope->parent = parent;
    outputs_init(&at.source_outputs);
    const sql_node *source = sql_unwrap(insert->select_stmt);
    at.select = source ? AS_NODE(SelectStmt, source) : NULL;
    struct scope hidden = {.parent = at.scope}; /* the source does not see the target */
    if (!rewrite_with(rewriter, at.scope, insert->with_clause) ||
        !add_target(rewriter, &hidden, insert->relation, &at.target))
        return false;
    at.view = table_of(at.target) ? table_of(at.target)->view : NULL;
    if (at.view) {
        find_places(&at);
        if (!read_source(&at) || !write_source(&at))
            return false;
    } else if (!rewrite_foreign_source(&at)) {
        return false;
    }
    scope_items_add(rewriter->arena, &at.scope->items, at.target);
    return rewrite_conflict(&at) && rewrite_targets(rewriter, at.scope, insert->returning_list,
                                                    insert->n_returning_list, outputs);
}
