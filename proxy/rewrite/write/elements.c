/*
 * What PostgreSQL makes of an assignment to a[n]: the array reaches from the lower of its lower
 * bound and n to the higher of its upper bound and n, with NULLs between; one that is NULL or
 * empty, from n to n. It is put together from its first element, which is given the lower bound,
 * and the rest. The errors are those of the assignment: of an array of several dimensions 2202E, of
 * a subscript that is NULL 22004.
 */
#include "elements.h"

#include "spell_in.h"

bool is_known_element(const PgQuery__ResTarget *target, const struct transition_column *column)
{
    size_t length = strlen(column->type_bare);
    if (is_document(column))
        return is_known_path(target);
    if (target->n_indirection != 1 || length < 3 ||
        strcmp(column->type_bare + length - 2, "[]") != 0)
        return false;
    const sql_node *indirection = sql_unwrap(target->indirection[0]);
    return SQL_IS(indirection, a__indices) && !AS_NODE(AIndices, indirection)->is_slice &&
           is_repeatable(sql_unwrap(AS_NODE(AIndices, indirection)->uidx)) &&
           !has_in_over_columns(sql_unwrap(AS_NODE(AIndices, indirection)->uidx));
}

const char *element_type(struct rewriter *rewriter, const struct transition_column *column)
{
    size_t length = strlen(column->type_bare);
    return is_document(column) ? column->type_bare
                               : arena_string_range(rewriter->arena, column->type_bare, length - 2);
}

const char *element_subscript(struct rewriter *rewriter, const struct element *element,
                              size_t number)
{
    size_t open = element->name.first + 1;
    while (token_kind(rewriter, open) != '[')
        open++;
    for (; number > 0; number--)
        open = sql_token_closing(&rewriter->tree, open) + 1;
    size_t closing = sql_token_closing(&rewriter->tree, open);
    return edits_render(&rewriter->edits, 0, token_start(rewriter, open + 1),
                        token_end(rewriter, closing - 1));
}

/* The array, subscripts and values, each under a name of its own. */
static void add_inputs(struct text *out, struct rewriter *rewriter,
                       const struct transition_column *column, const char *array,
                       const struct element *elements, size_t count)
{
    text_add_format(out, "(SELECT (%s)::%s AS a", array, column->type_bare);
    for (size_t i = 0; i < count; i++)
        text_add_format(
            out, ", (%s)::integer AS n%zu, %s AS v%zu",
            element_subscript(rewriter, &elements[i], 0), i,
            view_judged_sql(rewriter->arena, element_type(rewriter, column), &elements[i].value),
            i);
    text_add_string(out, ") AS segue_a");
}

/* Their bounds: NULL where a subscript is. */
static void add_bound(struct text *out, const char *word, const char *function, size_t count)
{
    text_add_format(out, ", %s(pg_catalog.%s(segue_a.a, 1)", word, function);
    for (size_t i = 0; i < count; i++)
        text_add_format(out, ", segue_a.n%zu", i);
    text_add_char(out, ')');
    for (size_t i = 0; i < count; i++)
        text_add_format(out, " + 0 * segue_a.n%zu", i);
}

const char *elements_sql(struct rewriter *rewriter, const struct transition_column *column,
                         const char *before, const struct element *elements, size_t count)
{
    if (is_document(column))
        return document_sql(rewriter, before, elements, count);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    text_add_string(&out,
                    "(SELECT pg_catalog.array_cat(pg_catalog.array_fill(segue_l.l[1], ARRAY[1], "
                    "CASE WHEN pg_catalog.array_ndims(segue_l.a) > 1 THEN ARRAY[segue_l.low, "
                    "segue_l.low] ELSE ARRAY[segue_l.low] END), segue_l.l[2:]) FROM (SELECT "
                    "segue_b.a, segue_b.low, (SELECT pg_catalog.array_agg(CASE segue_i.i");
    for (size_t i = count; i-- > 0;)
        text_add_format(&out, " WHEN segue_b.n%zu THEN segue_b.v%zu", i, i);
    text_add_string(&out, " ELSE segue_b.a[segue_i.i] END ORDER BY segue_i.i) FROM "
                          "pg_catalog.generate_series(segue_b.low, segue_b.high) AS segue_i(i)) AS "
                          "l FROM (SELECT segue_a.*");
    add_bound(&out, "LEAST", "array_lower", count);
    text_add_string(&out, " AS low");
    add_bound(&out, "GREATEST", "array_upper", count);
    text_add_string(&out, " AS high FROM ");
    add_inputs(&out, rewriter, column, before, elements, count);
    text_add_string(&out, ") AS segue_b) AS segue_l)");
    return keep_text(rewriter, &out);
}
