/*
 * A query that an INSERT takes its rows from is wrapped, so that each row is evaluated once:
 *   INSERT INTO t (a, role, roles) SELECT v.c1, v.c2, f(v.c2) FROM (source) AS v(c1, c2)
 * Defaults that must be evaluated once come in front of the source's columns, in a derived table
 * around it, so that they are drawn row by row as in the plain statement.
 *
 * Many rows of VALUES that lack such a default are wrapped likewise: a WITH for each would cost.
 */
#include "insert.h"

/* ------------------------------------------------------------------ reading */

/* The item of the target list that gives output `number`; NULL where it is not told. */
static const sql_node *target_that_gives(const struct insertion *at, size_t number)
{
    const PgQuery__SelectStmt *select = at->select;
    if (select->larg || number >= select->n_target_list ||
        select->n_target_list != at->source_outputs.count)
        return NULL;
    return &select->target_list[number]->res_target->base;
}

static bool check_count(struct insertion *at)
{
    size_t given = at->source_outputs.count;
    if (!at->source_outputs.is_complete)
        return true; /* checked where it is wrapped */
    if (given > at->count) {
        const sql_node *target = target_that_gives(at, at->count);
        return fail_at(at->rewriter, target ? AS_NODE(ResTarget, target)->location : -1, "42601",
                       "INSERT has more expressions than target columns");
    }
    if (given < at->count)
        return fail_at(at->rewriter, at->insert->cols[given]->res_target->location, "42601",
                       "INSERT has more target columns than expressions");
    return true;
}

bool read_query(struct insertion *at)
{
    if (!rewrite_select(at->rewriter, at->scope, at->select, &at->source_outputs))
        return false;
    size_t given = at->source_outputs.is_complete ? at->source_outputs.count : SIZE_MAX;
    return find_columns(at, given) && check_count(at);
}

/* ------------------------------------------------------------------ wrapping */

static size_t count_drawn(const struct insertion *at)
{
    size_t count = 0;
    for (size_t i = 0; i < at->total; i++)
        count += is_drawn(at, i);
    return count;
}

/* True, and names the row of the source that a default is drawn for. */
static const char source_row[] = "(segue_s IS NULL) IS NOT NULL";

/* Is what the query gives for the place of its column's type, as far as Segue knows it? */
static enum view_taken taken_of_source(const struct insertion *at, size_t place)
{
    const struct outputs *outputs = &at->source_outputs;
    const struct view_column *column = at->columns[place];
    bool is_it = column && column->column && outputs->is_complete && place < outputs->count &&
                 outputs->columns[place].type_oid == column->column->type_oid;
    return is_it ? VIEW_TAKEN_FOR_CERTAIN : VIEW_TAKEN_UNSURE;
}

/* What stands for each place: the source's columns, which come behind `before` others, and the
 * defaults, the drawn ones from `drawn` on. */
static struct view_value *texts_of_source(struct insertion *at, size_t before, size_t drawn)
{
    struct rewriter *rewriter = at->rewriter;
    struct view_value *texts = ARENA_NEW_ARRAY(rewriter->arena, struct view_value, at->total + 1);
    for (size_t i = 0; i < at->total; i++) {
        texts[i].taken = VIEW_TAKEN_FOR_CERTAIN;
        if (is_drawn(at, i)) {
            texts[i].sql = source_column(rewriter, drawn++);
        } else if (i >= at->count) {
            texts[i].sql = default_sql(rewriter, at->columns[i], NULL);
        } else if (is_overridden(at, i)) {
            texts[i].sql = overriding_sql(at, i);
        } else {
            texts[i] =
                (struct view_value){source_column(rewriter, before + i), taken_of_source(at, i)};
        }
    }
    return texts;
}

/* "(nextval('s'))::integer" for each, each with what goes before and behind it. */
static void add_drawn(struct insertion *at, const char *before, const char *behind,
                      const char *condition, struct text *out)
{
    for (size_t i = 0; i < at->total; i++)
        if (is_drawn(at, i))
            text_add_format(out, "%s(%s)::%s%s", before,
                            default_sql(at->rewriter, at->columns[i], condition),
                            at->columns[i]->column->type_bare, behind);
}

/* Defaults that name the source's row must see it as it comes, not what its columns are made of. */
static bool draws_queries(const struct insertion *at)
{
    for (size_t i = 0; i < at->total; i++)
        if (is_drawn(at, i) && default_is_query(at->columns[i]->column))
            return true;
    return false;
}

static const char *taken(struct insertion *at, struct text *text)
{
    const char *string = arena_string_range(at->rewriter->arena, text->data, text->length);
    text_release(text);
    return string;
}

static bool has_writing_cte(const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; select->with_clause && i < select->with_clause->n_ctes; i++)
        if (!SQL_IS(sql_unwrap(select->with_clause->ctes[i]->common_table_expr->ctequery),
                    select_stmt))
            return true;
    return false;
}

/*
 * Where it is not known how many columns the source has, another column is put behind them: too
 * many make its name ambiguous, too few make the list of names too long. Either is an error, as
 * the wrong number would be in the plain statement; without a column list there, too few would not.
 */
static void wrap_in(struct insertion *at, bool is_counted, size_t drawn)
{
    struct rewriter *rewriter = at->rewriter;
    bool is_nested = drawn > 0 || !is_counted;
    struct text before, after;
    text_init(&before, TEXT_UNBOUNDED);
    text_init(&after, TEXT_UNBOUNDED);
    text_add_format(&before, "SELECT %s FROM (", value_list(at, texts_of_source(at, drawn, 0)));
    if (is_nested) {
        text_add_string(&before, "SELECT ");
        add_drawn(at, "", ", ", source_row, &before);
        text_add_string(&before, "segue_s.*");
        if (!is_counted)
            text_add_format(&before, ", 0 AS c%zu", drawn + at->count + 1);
        text_add_string(&before, " FROM (");
        if (draws_queries(at)) {
            text_add_string(&before, "SELECT segue_s.* FROM (");
            text_add_string(&after, ") AS segue_s OFFSET 0");
        }
        text_add_string(&after, ") AS segue_s");
    }
    if (is_counted)
        text_add_format(&after, ") AS %s", source_alias(rewriter, drawn + at->count));
    else
        text_add_format(&after, ") AS %s WHERE %s = 0",
                        source_alias(rewriter, drawn + at->count + 1),
                        source_column(rewriter, drawn + at->count));
    edits_before(&rewriter->edits, token_start(rewriter, at->source_first), taken(at, &before));
    edits_after(&rewriter->edits, token_end(rewriter, at->source_end - 1), taken(at, &after));
}

bool wrap_query(struct insertion *at)
{
    if (has_writing_cte(at->select)) /* PostgreSQL's own words for the plain statement */
        return fail_at(at->rewriter, -1, "0A000",
                       "WITH clause containing a data-modifying statement must be at the top "
                       "level");
    cast_untyped_targets(at->rewriter, at->select, at->columns, at->count, &at->source_outputs);
    wrap_in(at, at->source_outputs.is_complete, count_drawn(at));
    return true;
}

/* ------------------------------------------------------------------ rows */

struct kinds {
    bool any_untyped, any_number, any_other;
};

static struct kinds kinds_in(const struct insertion *at, size_t place)
{
    struct kinds kinds = {0};
    for (size_t r = 0; r < at->row_count; r++) {
        const struct client_value *value = &at->rows[r][place];
        if (value->is_default)
            kinds.any_other = true;
        else if (is_untyped(value->node))
            kinds.any_untyped = true;
        else if (is_number(value->node))
            kinds.any_number = true;
        else
            kinds.any_other = true;
    }
    return kinds;
}

bool rows_can_be_wrapped(const struct insertion *at)
{
    if (at->row_count < 2 || count_drawn(at) == 0)
        return false;
    for (size_t i = 0; i < at->count; i++)
        if (!at->columns[i] || kinds_in(at, i).any_other)
            return false;
    return true;
}

/* Numbers among strings: each went to its column on its own, but the rows of a derived table must
 * agree on a type. */
static void cast_place(struct insertion *at, size_t place)
{
    if (!kinds_in(at, place).any_untyped)
        return;
    for (size_t r = 0; r < at->row_count; r++) {
        const struct client_value *value = &at->rows[r][place];
        size_t first = sql_token_at(&at->rewriter->tree, value->start);
        size_t end = sql_token_at(&at->rewriter->tree, value->end);
        cast_item(at->rewriter, (struct item_range){first, end}, value->node, at->columns[place]);
    }
}

void wrap_rows(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    size_t drawn = count_drawn(at);
    struct text defaults;
    text_init(&defaults, TEXT_UNBOUNDED);
    add_drawn(at, ", ", "", NULL, &defaults);
    const char *behind = taken(at, &defaults);
    for (size_t i = 0; i < at->count; i++)
        cast_place(at, i);
    for (size_t r = 0; r < at->row_count; r++)
        edits_after(&rewriter->edits, at->rows[r][at->count - 1].end, behind);
    const char *list = value_list(at, texts_of_source(at, 0, at->count));
    edits_before(&rewriter->edits, token_start(rewriter, at->source_first),
                 arena_format(rewriter->arena, "SELECT %s FROM (", list));
    edits_after(
        &rewriter->edits, token_end(rewriter, at->source_end - 1),
        arena_format(rewriter->arena, ") AS %s", source_alias(rewriter, at->count + drawn)));
}
