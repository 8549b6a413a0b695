/*
 * Rows of VALUES are edited in place: so each value still goes to its column on its own, DEFAULT
 * stays what it is, and an error in a value has its position. A value that must be evaluated once
 * but is needed twice moves into WITH:
 *   WITH segue_1 AS (SELECT f() AS v)
 *   INSERT INTO t (role, roles) VALUES ((SELECT v FROM segue_1), g((SELECT v FROM segue_1)))
 */
#include "insert.h"
#include "spell_in.h"

bool is_plain_values(const struct insertion *at)
{
    const PgQuery__SelectStmt *select = at->select;
    return select->n_values_lists > 0 && select->n_sort_clause == 0 && !select->limit_count &&
           !select->limit_offset && !select->with_clause && select->n_locking_clause == 0 &&
           token_kind(at->rewriter, at->source_first) == PG_QUERY__TOKEN__VALUES;
}

/* ------------------------------------------------------------------ reading */

/* `open` is the row's bracket. */
static bool check_length(struct insertion *at, size_t row, size_t open,
                         const struct item_range *items, size_t count)
{
    struct rewriter *rewriter = at->rewriter;
    if (row > 0 && count != at->select->values_lists[0]->list->n_items)
        return fail_at(rewriter, (int32_t)token_start(rewriter, open + 1), "42601",
                       "VALUES lists must all be the same length");
    if (count > at->count)
        return fail_at(rewriter, (int32_t)token_start(rewriter, items[at->count].first), "42601",
                       "INSERT has more expressions than target columns");
    if (count < at->count)
        return fail_at(rewriter, (int32_t)token_start(rewriter, at->names[count].first), "42601",
                       "INSERT has more target columns than expressions");
    return true;
}

void fill_defaults(struct insertion *at, struct client_value *row)
{
    for (size_t i = at->count; i < at->total; i++)
        row[i] = (struct client_value){
            .is_default = true,
            .sql = default_sql(at->rewriter, at->columns[i], at->row_condition)};
}

/* What the server says of a part as well, but of none that goes into an expression; and what means
 * something else where the value is evaluated. */
static bool check_place(struct insertion *at, size_t place, struct client_value *value)
{
    const struct view_column *column = at->columns[place];
    if (!column || !column->transition)
        return true;
    bool is_part = is_element(at, place);
    int32_t location;
    if (is_part && value->is_default)
        return fail_default_part(at->rewriter, at->insert->cols[place]->res_target);
    /* only MERGE's have columns */
    return at->scope->items.count == 0 || (!is_part && !is_cut_inside(column->column)) ||
           spell_in(at->rewriter, value, &location) ||
           refuse_for(at->rewriter, column->transition, location,
                      "IN over a query of columns, in a value that is evaluated a level deeper,");
}

bool read_place(struct insertion *at, size_t place, const sql_node *node, struct item_range range,
                struct client_value *value)
{
    if (!read_value(at->rewriter, at->scope, node, range, at->columns[place], value))
        return false;
    if (value->is_default)
        value->sql = default_sql(at->rewriter, at->columns[place], at->row_condition);
    return check_place(at, place, value);
}

static bool read_row(struct insertion *at, size_t number, size_t open)
{
    struct rewriter *rewriter = at->rewriter;
    const PgQuery__List *row = at->select->values_lists[number]->list;
    size_t count;
    struct item_range *items = split_items(rewriter, open, &count);
    BUG_ON(count != row->n_items);
    if (!check_length(at, number, open, items, count))
        return false;
    struct client_value *values = ARENA_NEW_ARRAY(rewriter->arena, struct client_value, at->total);
    at->rows[number] = values;
    for (size_t i = 0; i < count; i++)
        if (!read_place(at, i, sql_unwrap(row->items[i]), items[i], &values[i]))
            return false;
    fill_defaults(at, values);
    return true;
}

bool read_rows(struct insertion *at)
{
    at->row_count = at->select->n_values_lists;
    at->rows = ARENA_NEW_ARRAY(at->rewriter->arena, struct client_value *, at->row_count);
    size_t open = at->source_first + 1;
    for (size_t r = 0; r < at->row_count; r++) {
        if (!read_row(at, r, open))
            return false;
        open = sql_token_closing(&at->rewriter->tree, open) + 2;
    }
    return true;
}

/* ------------------------------------------------------------------ values that move into WITH */

static bool must_move(const struct insertion *at, const struct client_value *value, size_t place)
{
    if (!is_used_again(at, place))
        return false;
    if (value->is_default)
        return at->columns[place]->column->default_is_volatile;
    return at->carrier ? !is_deterministic(value->node) : !is_repeatable(value->node);
}

static void move_value(struct insertion *at, struct client_value *value, size_t place)
{
    value->is_moved = true;
    if (at->carrier) {
        value->sql = carrier_add(at->carrier, at->columns[place]->column, value->sql);
        return;
    }
    const char *separator = at->moved_count++ ? ", " : "";
    if (value->is_default)
        text_add_format(&at->moved, "%ssegue_%zu AS (SELECT (%s)::%s AS v)", separator,
                        at->moved_count, value->sql, at->columns[place]->column->type_bare);
    else
        text_add_format(&at->moved, "%ssegue_%zu AS (SELECT %s AS v)", separator, at->moved_count,
                        value->sql);
    value->sql = arena_format(at->rewriter->arena, "(SELECT v FROM segue_%zu)", at->moved_count);
}

void move_values(struct insertion *at, struct client_value *row)
{
    for (size_t i = 0; i < at->total; i++)
        if (must_move(at, &row[i], i))
            move_value(at, &row[i], i);
}

static void put_moved(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct edits *edits = &rewriter->edits;
    size_t word = relation_start(rewriter, at->insert->relation) - 2; /* INSERT INTO */
    const char *moved = arena_string_range(rewriter->arena, at->moved.data, at->moved.length);
    if (at->moved_count == 0)
        return;
    if (at->insert->with_clause)
        edits_after(edits, token_end(rewriter, word - 1),
                    arena_format(rewriter->arena, ", %s", moved));
    else
        edits_before(edits, token_start(rewriter, word),
                     arena_format(rewriter->arena, "WITH %s ", moved));
}

/* ------------------------------------------------------------------ writing */

static struct view_value *texts_of_row(struct insertion *at, const struct client_value *row)
{
    struct view_value *texts =
        ARENA_NEW_ARRAY(at->rewriter->arena, struct view_value, at->total + 1);
    for (size_t i = 0; i < at->total; i++)
        texts[i] = value_for(&row[i], at->columns[i]);
    return texts;
}

/* What is added of a transition, behind a value or in its place. */
static const char *others_of_row(struct insertion *at, const struct view_transition *transition,
                                 const struct view_value *texts, const char *separator)
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    add_other_values(at, transition, texts, separator, &out);
    return keep_text(at->rewriter, &out);
}

static void write_sent(struct insertion *at, struct client_value *row, size_t place)
{
    struct edits *edits = &at->rewriter->edits;
    const struct view_transition *transition = at->columns[place]->transition;
    const struct client_value *value = &row[place];
    if (value->is_moved)
        edits_replace(edits, value->start, value->end, value->sql);
    else if (value->is_default && (transition->shape == SHAPE_NEW || value->is_spelled))
        edits_replace(edits, value->start, value->end,
                      arena_format(at->rewriter->arena, "(%s)", value->sql));
    if (first_own(at, transition) == place)
        edits_after(edits, value->end, others_of_row(at, transition, texts_of_row(at, row), ", "));
}

/* The own column is not written: the others' values take the place of its first. */
static void write_unsent(struct insertion *at, struct client_value *row, size_t place)
{
    struct rewriter *rewriter = at->rewriter;
    const struct view_transition *transition = at->columns[place]->transition;
    if (first_own(at, transition) != place) { /* with the comma before it */
        size_t comma = sql_token_at(&rewriter->tree, row[place].start) - 1;
        edits_replace(&rewriter->edits, token_start(rewriter, comma), row[place].end, "");
        return;
    }
    struct view_value *texts = texts_of_row(at, row);
    texts[place].sql = VALUE_MARK_STRING;
    const char *others = others_of_row(at, transition, texts, "");
    if (is_element(at, place))
        place_part(rewriter, row[place].start, &row[place], others);
    else
        place_value(rewriter, row[place].start, &row[place], others);
}

/* A column that is not in transition, but an identity, too. */
static void write_beside(struct insertion *at, const struct client_value *value)
{
    if (value->is_spelled)
        edits_replace(&at->rewriter->edits, value->start, value->end, value->sql);
}

static uint32_t type_of_place(const struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    if (!column || is_element(at, place))
        return 0;
    return column->column ? column->column->type_oid : column->physical->type_oid;
}

static bool repeats_place(const struct insertion *at, const struct client_value *row, size_t place)
{
    const struct view_column *column = at->columns[place];
    if (!column || !column->transition || !SQL_IS(row[place].node, param_ref))
        return false;
    int32_t number = AS_NODE(ParamRef, row[place].node)->number;
    for (size_t i = 0; i < at->count; i++) {
        bool is_alike = SQL_IS(row[i].node, param_ref) && type_of_place(at, i) != 0 &&
                        type_of_place(at, i) == type_of_place(at, place);
        if (i != place && !is_alike && has_parameter(row[i].node, number))
            return true;
    }
    return false;
}

bool repeats_parameter(const struct insertion *at)
{
    for (size_t r = 0; r < at->row_count; r++)
        for (size_t i = 0; i < at->count; i++)
            if (repeats_place(at, at->rows[r], i))
                return true;
    return false;
}

/* Does the word DEFAULT say what the column gets, and is its text for nothing else? */
static bool stays_default(const struct insertion *at, const struct client_value *row, size_t place)
{
    const struct view_column *column = at->columns[place];
    if (!row[place].is_default || row[place].is_spelled || row[place].is_moved)
        return false;
    return !column || !column->transition ||
           (column->transition->shape == SHAPE_OLD && is_sent(at, place) &&
            !is_used_again(at, place));
}

/* In the order of names that have what is added last. */
static void write_row_anew(struct insertion *at, struct client_value *row)
{
    for (size_t i = 0; i < at->count; i++)
        if (stays_default(at, row, i))
            row[i].sql = "DEFAULT";
    edits_replace(&at->rewriter->edits, row[0].start, row[at->count - 1].end,
                  value_list(at, texts_of_row(at, row)));
}

static void write_row(struct insertion *at, struct client_value *row)
{
    move_values(at, row);
    if (at->adds_last) {
        write_row_anew(at, row);
        return;
    }
    for (size_t i = 0; i < at->count; i++) {
        if (!at->columns[i])
            continue;
        if (!at->columns[i]->transition)
            write_beside(at, &row[i]);
        else if (is_sent(at, i))
            write_sent(at, row, i);
        else
            write_unsent(at, row, i);
    }
    for (size_t i = 0; i < at->view->transition_count; i++) {
        const struct view_transition *transition = &at->view->transitions[i];
        if (first_own(at, transition) == at->count)
            edits_after(&at->rewriter->edits, row[at->count - 1].end,
                        others_of_row(at, transition, texts_of_row(at, row), ", "));
    }
}

void write_rows(struct insertion *at)
{
    text_init(&at->moved, TEXT_UNBOUNDED);
    for (size_t r = 0; r < at->row_count; r++)
        write_row(at, at->rows[r]);
    put_moved(at);
    text_release(&at->moved);
}

void write_default_values(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char *names = name_list(at);
    if (names[0] == '\0')
        return;
    struct client_value *row = ARENA_NEW_ARRAY(rewriter->arena, struct client_value, at->total + 1);
    fill_defaults(at, row);
    text_init(&at->moved, TEXT_UNBOUNDED);
    move_values(at, row);
    const char *values = value_list(at, texts_of_row(at, row));
    edits_replace(
        &rewriter->edits, token_start(rewriter, at->source_first),
        token_end(rewriter, at->source_end - 1),
        arena_format(rewriter->arena, "(%s)%s VALUES (%s)", names, overriding(at), values));
    put_moved(at);
    text_release(&at->moved);
}
