/*
 * What an INSERT takes its values from: rows of VALUES edited in place, or any source wrapped, so
 * that each of its rows is evaluated once.
 */
#include "insert.h"

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
            add_other_values(at, transition, texts, ", ", &out);
            edits_after(&rewriter->edits, row[number].end,
                        arena_string_range(rewriter->arena, out.data, out.length));
        }
    } else if (is_first) {
        texts[number] = VALUE_MARK_STRING;
        add_other_values(at, transition, texts, "", &out);
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
            add_other_values(at, &at->view->transitions[i], texts_of_row(at, row), ", ", &out);
    if (out.length)
        edits_after(&at->rewriter->edits, row[at->count - 1].end,
                    arena_string_range(at->rewriter->arena, out.data, out.length));
    text_release(&out);
}

void write_rows(struct insertion *at)
{
    for (size_t r = 0; r < at->row_count; r++)
        write_row(at, at->rows[r]);
}

void write_default_values(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char *names = name_list(at, NULL);
    const char *values = value_list(at, NULL);
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

bool wrap_source(struct insertion *at)
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
    const char *list = value_list(at, texts);
    edits_before(&rewriter->edits, token_start(rewriter, at->source_first),
                 arena_format(rewriter->arena, "SELECT %s FROM (", list));
    edits_after(&rewriter->edits, token_end(rewriter, at->source_end - 1),
                arena_format(rewriter->arena, ") AS %s", source_alias(rewriter, at->count)));
    return true;
}
