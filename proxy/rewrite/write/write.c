/* Values are spans of the client's text, and SQL that is built around them keeps the first in
 * place: so an error in it still has its position. */
#include "write.h"

struct item_range *split_items(struct rewriter *rewriter, size_t opening, size_t *count)
{
    const struct sql_tree *tree = &rewriter->tree;
    size_t closing = sql_token_closing(tree, opening);
    uint16_t depth = (uint16_t)(tree->tokens[opening].depth + 1);
    size_t commas = 0;
    for (size_t i = opening + 1; i < closing; i++)
        commas += tree->tokens[i].kind == ',' && tree->tokens[i].depth == depth;
    struct item_range *items = ARENA_NEW_ARRAY(rewriter->arena, struct item_range, commas + 1);
    size_t first = opening + 1;
    *count = 0;
    for (size_t i = first; i <= closing; i++) {
        bool ends = i == closing || (tree->tokens[i].kind == ',' && tree->tokens[i].depth == depth);
        if (!ends)
            continue;
        if (i > first)
            items[(*count)++] = (struct item_range){first, i};
        first = i + 1;
    }
    return items;
}

const char *keep_text(struct rewriter *rewriter, struct text *text)
{
    const char *kept = arena_string_range(rewriter->arena, text->data, text->length);
    text_release(text);
    return kept;
}

const char *next_identity_sql(struct arena *arena, const struct catalog_table *table,
                              const char *column)
{
    struct text name, text;
    text_init(&name, TEXT_UNBOUNDED);
    text_init(&text, TEXT_UNBOUNDED);
    text_add_identifier(&name, table->schema);
    text_add_char(&name, '.');
    text_add_identifier(&name, table->name);
    text_add_string(&text, "pg_catalog.nextval(pg_catalog.pg_get_serial_sequence(");
    text_add_literal(&text, name.data);
    text_add_string(&text, ", ");
    text_add_literal(&text, column);
    text_add_string(&text, ")::pg_catalog.regclass)");
    const char *sql = arena_string_range(arena, text.data, text.length);
    text_release(&name);
    text_release(&text);
    return sql;
}

bool default_is_query(const struct transition_column *column)
{
    return column->default_is_volatile && !column->default_expression;
}

/*
 * The other shape's defaults, converted. A conversion that names a column twice must not draw from
 * its default twice.
 */
static const char *converted_default(struct rewriter *rewriter, const struct view_column *column,
                                     const char *condition)
{
    const struct view_transition *transition = column->transition;
    const struct transition_column *others =
        transition->at->transition->columns[shape_other(transition->shape)];
    const char **arguments =
        ARENA_NEW_ARRAY(rewriter->arena, const char *, other_count(transition));
    struct text values, out;
    text_init(&values, TEXT_UNBOUNDED);
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < other_count(transition); i++) {
        arguments[i] = arena_format(rewriter->arena, "segue_d.c%zu", i + 1);
        text_add_format(&values, "%s(%s)::%s AS c%zu", i ? ", " : "",
                        others[i].default_expression ? others[i].default_expression : "NULL",
                        others[i].type, i + 1);
    }
    text_add_string(&out, "(SELECT (");
    conversion_render(&column->column->from, arguments, &out);
    text_add_format(&out, ")::%s FROM (SELECT %s%s%s OFFSET 0) AS segue_d)", column->column->type,
                    values.data, condition ? " WHERE " : "", condition ? condition : "");
    const char *sql = arena_string_range(rewriter->arena, out.data, out.length);
    text_release(&values);
    text_release(&out);
    return sql;
}

const char *default_sql(struct rewriter *rewriter, const struct view_column *column,
                        const char *condition)
{
    if (!column)
        return "NULL";
    if (column->column && default_is_query(column->column))
        return converted_default(rewriter, column, condition);
    if (column->column)
        return column->column->default_expression ? column->column->default_expression : "NULL";
    return column->physical && column->physical->default_expression
               ? column->physical->default_expression
               : "NULL";
}

struct view_value value_for(const struct client_value *value, const struct view_column *column)
{
    bool is_of_shape = column && column->column;
    enum view_taken taken = value->is_default || !is_of_shape ? VIEW_TAKEN_FOR_CERTAIN
                            : value->node ? view_takes(column->column, value->node)
                                          : VIEW_TAKEN_UNSURE;
    return (struct view_value){value->sql, taken};
}

bool read_value(struct rewriter *rewriter, struct scope *scope, const sql_node *node,
                struct item_range range, const struct view_column *column,
                struct client_value *value)
{
    size_t mark = rewriter->edits.count;
    value->start = token_start(rewriter, range.first);
    value->end = token_end(rewriter, range.end - 1);
    value->node = node;
    value->is_default = SQL_IS(node, set_to_default);
    value->is_moved = value->is_spelled = false;
    if (!rewrite_expression(rewriter, scope, node))
        return false;
    value->sql = value->is_default ? default_sql(rewriter, column, NULL)
                                   : edits_render(&rewriter->edits, mark, value->start, value->end);
    return true;
}

bool fail_default_part(struct rewriter *rewriter, const PgQuery__ResTarget *target)
{
    return fail_at(rewriter, target->location, "0A000", "cannot set %s to DEFAULT",
                   SQL_IS(sql_unwrap(target->indirection[0]), a__indices) ? "an array element"
                                                                          : "a subfield");
}

const char *fill_value(struct rewriter *rewriter, const char *sql, const char *value)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (; *sql; sql++) {
        if (*sql == VALUE_MARK)
            text_add_string(&text, value);
        else
            text_add_char(&text, *sql);
    }
    const char *filled = arena_string_range(rewriter->arena, text.data, text.length);
    text_release(&text);
    return filled;
}

void place_value(struct rewriter *rewriter, uint32_t start, const struct client_value *value,
                 const char *sql)
{
    const char *mark = strchr(sql, VALUE_MARK);
    if (!mark || value->is_default || value->is_moved) {
        edits_replace(&rewriter->edits, start, value->end, fill_value(rewriter, sql, value->sql));
        return;
    }
    const char *before = arena_string_range(rewriter->arena, sql, (size_t)(mark - sql));
    if (start < value->start)
        edits_replace(&rewriter->edits, start, value->start, before);
    else
        edits_before(&rewriter->edits, start, before);
    edits_after(&rewriter->edits, value->end, fill_value(rewriter, mark + 1, value->sql));
}

void place_part(struct rewriter *rewriter, uint32_t start, const struct client_value *value,
                const char *sql)
{
    edits_replace(&rewriter->edits, start, value->end, "");
    edits_after(&rewriter->edits, value->end, fill_value(rewriter, sql, value->sql));
}

const char *physical_quoted(struct rewriter *rewriter, const struct view_transition *transition,
                            enum shape shape, size_t number)
{
    return view_quote(rewriter->arena, view_physical_name(transition, shape, number));
}

size_t other_count(const struct view_transition *transition)
{
    return transition->at->transition->column_count[shape_other(transition->shape)];
}

size_t own_count(const struct view_transition *transition)
{
    return transition->at->transition->column_count[transition->shape];
}

const struct view_column *own_column(const struct view *view,
                                     const struct view_transition *transition, size_t number)
{
    for (size_t i = 0; i < view->column_count; i++)
        if (view->columns[i].transition == transition && view->columns[i].number == number)
            return &view->columns[i];
    BUG("transition \"%s\" has no column %zu in its view", transition->at->transition->name,
        number);
}

bool is_untyped(const sql_node *node)
{
    if (SQL_IS(node, param_ref))
        return true;
    if (!SQL_IS(node, a__const))
        return false;
    const PgQuery__AConst *constant = AS_NODE(AConst, node);
    return constant->isnull || constant->val_case == PG_QUERY__A__CONST__VAL_SVAL;
}

bool is_number(const sql_node *node)
{
    return SQL_IS(node, a__const) &&
           (AS_NODE(AConst, node)->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
            AS_NODE(AConst, node)->val_case == PG_QUERY__A__CONST__VAL_FVAL);
}

static bool is_other_parameter(void *data, const sql_node *node)
{
    if (SQL_IS(node, param_ref) && AS_NODE(ParamRef, node)->number == *(const int32_t *)data)
        return false;
    return sql_children(node, is_other_parameter, data);
}

bool has_parameter(const sql_node *node, int32_t number)
{
    return node && !is_other_parameter(&number, node);
}

void cast_item(struct rewriter *rewriter, struct item_range range, const sql_node *node,
               const struct view_column *column)
{
    const char *type = column->column ? column->column->type_bare
                                      : view_bare_type(rewriter->arena, column->physical->type);
    uint32_t oid = column->column ? column->column->type_oid : column->physical->type_oid;
    uint32_t start = token_start(rewriter, range.first), end = token_end(rewriter, range.end - 1);
    struct view_value value = {VALUE_MARK_STRING, VIEW_TAKEN_FOR_CERTAIN};
    if (SQL_IS(node, param_ref) && !type_takes_all(oid))
        value.taken = VIEW_TAKEN_PARAMETER;
    struct client_value item = {.start = start, .end = end};
    item.sql = edits_render(&rewriter->edits, 0, start, end);
    place_value(rewriter, start, &item, view_judged_sql(rewriter->arena, type, &value));
}

static bool is_star(const sql_node *node)
{
    if (!SQL_IS(node, column_ref))
        return false;
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    return !sql_string(reference->fields[reference->n_fields - 1]);
}

/* Does GROUP BY or ORDER BY mean the query's output `place`, by its number or its name, or by the
 * same parameter? */
static bool means_output(const PgQuery__SelectStmt *select, const PgQuery__ResTarget *target,
                         size_t place, const sql_node *key, bool is_grouped)
{
    const char *name = present(target->name) ? target->name : "?column?";
    if (SQL_IS(key, sort_by))
        key = sql_unwrap(AS_NODE(SortBy, key)->node);
    if (SQL_IS(key, grouping_set)) {
        const PgQuery__GroupingSet *set = AS_NODE(GroupingSet, key);
        for (size_t i = 0; i < set->n_content; i++)
            if (means_output(select, target, place, sql_unwrap(set->content[i]), is_grouped))
                return true;
        return false;
    }
    if (SQL_IS(key, a__const) && AS_NODE(AConst, key)->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        return AS_NODE(AConst, key)->ival->ival == (int32_t)place + 1;
    if (SQL_IS(key, param_ref))
        return has_parameter(sql_unwrap(target->val), AS_NODE(ParamRef, key)->number);
    if (!SQL_IS(key, column_ref) || AS_NODE(ColumnRef, key)->n_fields > 1)
        return false;
    const char *named = sql_string(AS_NODE(ColumnRef, key)->fields[0]);
    /* GROUP BY prefers columns of FROM, where it has one of the name */
    return named && strcmp(named, name) == 0 && !(is_grouped && select->n_from_clause > 0);
}

/* Then the server has made a text of it before it comes to where it goes. */
static bool is_made_text(const PgQuery__SelectStmt *select, const PgQuery__ResTarget *target,
                         size_t place)
{
    for (size_t i = 0; i < select->n_group_clause; i++)
        if (means_output(select, target, place, sql_unwrap(select->group_clause[i]), true))
            return true;
    for (size_t i = 0; i < select->n_sort_clause; i++)
        if (means_output(select, target, place, sql_unwrap(select->sort_clause[i]), false))
            return true;
    return false;
}

static void cast_target(struct rewriter *rewriter, const PgQuery__SelectStmt *select,
                        const PgQuery__ResTarget *target, size_t place,
                        const struct view_column *column)
{
    if (!column || !is_untyped(sql_unwrap(target->val)) || is_made_text(select, target, place))
        return;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)target->location);
    size_t end = first + 1; /* a literal or a parameter is one token; brackets may be around */
    if (token_kind(rewriter, first) == '(')
        end = sql_token_closing(&rewriter->tree, first) + 1;
    cast_item(rewriter, (struct item_range){first, end}, sql_unwrap(target->val), column);
}

void cast_untyped_targets(struct rewriter *rewriter, const PgQuery__SelectStmt *select,
                          const struct view_column *const *columns, size_t count,
                          const struct outputs *outputs)
{
    size_t items = select->n_target_list, at = 0;
    if (select->larg || select->n_values_lists > 0 || select->n_distinct_clause > 0)
        return; /* there the server has made them text already */
    for (; at < items && at < count; at++) {
        if (is_star(sql_unwrap(select->target_list[at]->res_target->val)))
            break;
        cast_target(rewriter, select, select->target_list[at]->res_target, at, columns[at]);
    }
    if (!outputs->is_complete)
        return;
    /* behind the last star they are counted from the end */
    for (size_t behind = 1; behind < items - at && behind <= outputs->count; behind++) {
        const PgQuery__ResTarget *target = select->target_list[items - behind]->res_target;
        size_t place = outputs->count - behind;
        if (is_star(sql_unwrap(target->val)))
            break;
        if (place < count)
            cast_target(rewriter, select, target, place, columns[place]);
    }
}

const char *source_column(struct rewriter *rewriter, size_t number)
{
    return arena_format(rewriter->arena, "segue_v.c%zu", number + 1);
}

const char *source_alias(struct rewriter *rewriter, size_t count)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_string(&text, "segue_v(");
    for (size_t i = 0; i < count; i++)
        text_add_format(&text, "%sc%zu", i ? ", " : "", i + 1);
    text_add_char(&text, ')');
    const char *alias = arena_string_range(rewriter->arena, text.data, text.length);
    text_release(&text);
    return alias;
}
