/*
 * A conversion is read by parsing "SELECT <text>": what comes out must be a bare SELECT of one
 * unnamed target. The text stands alone on its line, so that a comment at its end hides nothing.
 */
#include "segue/sql/expression.h"

#include "segue/sql/parse.h"
#include "segue/sql/position.h"

#include <stdlib.h>

static const char prefix[] = "SELECT ";
enum { PREFIX_LENGTH = sizeof prefix - 1 };

struct reading {
    struct arena *arena;
    const struct sql_tree *tree;
    struct sql_expression *expression;
    size_t column_room, function_room;
    struct error *error;
};

static bool refuse(struct reading *reading, int32_t location, const char *what)
{
    error_set(reading->error, "42601", "%s", what);
    if (reading->error && location >= PREFIX_LENGTH)
        reading->error->position =
            sql_position((struct slice){reading->tree->text, reading->tree->length},
                         (uint32_t)location, SQL_ENCODING_UTF8) -
            PREFIX_LENGTH;
    return false;
}

static void *grow(struct arena *arena, void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t more = *room ? *room * 2 : 8;
    void *wider = arena_get(arena, more * size);
    if (count)
        memcpy(wider, array, count * size);
    *room = more;
    return wider;
}

static bool read_column(struct reading *reading, const PgQuery__ColumnRef *column)
{
    const char *name = column->n_fields == 1 ? sql_string(column->fields[0]) : NULL;
    if (!name)
        return refuse(reading, column->location,
                      "a conversion names columns by their bare names, without a table or a star");
    const struct sql_tree_token *token =
        &reading->tree->tokens[sql_token_at(reading->tree, (uint32_t)column->location)];
    struct sql_expression *expression = reading->expression;
    expression->columns = grow(reading->arena, expression->columns, expression->column_count,
                               &reading->column_room, sizeof *expression->columns);
    expression->columns[expression->column_count++] =
        (struct sql_expression_column){token->start - PREFIX_LENGTH, token->end - PREFIX_LENGTH,
                                       arena_string(reading->arena, name)};
    return true;
}

static bool read_function(struct reading *reading, const PgQuery__FuncCall *call)
{
    if (call->agg_filter || call->over || call->agg_star || call->agg_distinct ||
        call->n_agg_order || call->agg_within_group)
        return refuse(reading, call->location,
                      "a conversion is computed from one row: aggregates and window functions "
                      "cannot be used in it");
    struct sql_expression *expression = reading->expression;
    expression->functions =
        grow(reading->arena, (void *)expression->functions, expression->function_count,
             &reading->function_room, sizeof *expression->functions);
    expression->functions[expression->function_count++] =
        arena_string(reading->arena, sql_string(call->funcname[call->n_funcname - 1]));
    return true;
}

static bool read_node(void *data, const sql_node *node)
{
    struct reading *reading = data;
    if (SQL_IS(node, sub_link))
        return refuse(reading, ((const PgQuery__SubLink *)(const void *)node)->location,
                      "a conversion cannot hold a sub-select");
    if (SQL_IS(node, param_ref))
        return refuse(reading, ((const PgQuery__ParamRef *)(const void *)node)->location,
                      "a conversion cannot hold a parameter");
    if (SQL_IS(node, set_to_default))
        return refuse(reading, ((const PgQuery__SetToDefault *)(const void *)node)->location,
                      "a conversion cannot be DEFAULT");
    if (SQL_IS(node, column_ref))
        return read_column(reading, (const PgQuery__ColumnRef *)(const void *)node);
    if (SQL_IS(node, func_call) &&
        !read_function(reading, (const PgQuery__FuncCall *)(const void *)node))
        return false;
    return sql_children(node, read_node, reading);
}

static bool is_bare_select(const PgQuery__SelectStmt *select)
{
    return select->op == PG_QUERY__SET_OPERATION__SETOP_NONE && select->n_distinct_clause == 0 &&
           !select->into_clause && select->n_target_list == 1 && select->n_from_clause == 0 &&
           !select->where_clause && select->n_group_clause == 0 && !select->having_clause &&
           select->n_window_clause == 0 && select->n_values_lists == 0 &&
           select->n_sort_clause == 0 && !select->limit_offset && !select->limit_count &&
           select->n_locking_clause == 0 && !select->with_clause;
}

static const PgQuery__ResTarget *only_target(const struct sql_tree *tree)
{
    if (tree->result->n_stmts != 1)
        return NULL;
    for (size_t i = 0; i < tree->token_count; i++)
        if (tree->tokens[i].kind == ';')
            return NULL;
    const sql_node *node = sql_unwrap(tree->result->stmts[0]->stmt);
    if (!SQL_IS(node, select_stmt))
        return NULL;
    const PgQuery__SelectStmt *select = (const void *)node;
    if (!is_bare_select(select) || select->target_list[0]->res_target->name[0])
        return NULL;
    return select->target_list[0]->res_target;
}

/* In the order of the text: the tree is walked in the order of its fields. */
static int by_start(const void *a, const void *b)
{
    const struct sql_expression_column *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

bool sql_expression_read(struct arena *arena, const char *text, struct sql_expression *expression,
                         struct error *error)
{
    *expression = (struct sql_expression){0};
    const char *whole = arena_format(arena, "%s%s", prefix, text);
    struct sql_tree tree;
    if (!sql_parse(arena, slice_of(whole), true, &tree, error)) {
        if (error && error->position > PREFIX_LENGTH)
            error->position -= PREFIX_LENGTH;
        return false;
    }
    struct reading reading = {
        .arena = arena, .tree = &tree, .expression = expression, .error = error};
    const PgQuery__ResTarget *target = only_target(&tree);
    if (!target)
        return refuse(&reading, 0, "a conversion is exactly one expression");
    if (!read_node(&reading, sql_unwrap(target->val)))
        return false;
    if (expression->column_count > 1)
        qsort(expression->columns, expression->column_count, sizeof *expression->columns, by_start);
    return true;
}
