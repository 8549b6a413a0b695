/*
 * Conditions on a computed column, turned to the column that it is computed from, so that the
 * latter's index serves. A condition is turned only where that follows from the conversion itself:
 *
 *   (id_new)::integer = $1        becomes  ((id_new)::integer = $1 AND id_new = $1)
 *   (amount_new)::text = '10.50'  becomes  (.. AND amount_new = <'10.50' read as a number, if it
 *                                              is one as numbers are printed>)
 *
 * The condition itself stays and decides; what is added is true, or NULL, wherever it is. It stands
 * behind, so that a parameter has the type that it gets on a plain table. Between integers whose
 * types are known the two say the same, and the turned one alone is sent.
 *
 * Only conversions that are a cast and nothing else, of a transition declared lossless, between
 * types whose output is known here.
 */
#include "turn.h"
#include "../write/write.h"

static const struct view_column *find_column(const struct scope *scope,
                                             const PgQuery__ColumnRef *reference,
                                             struct scope_item **item)
{
    size_t fields = reference->n_fields;
    const char *name = sql_string(reference->fields[fields - 1]);
    struct scope_found found;
    if (!name)
        return NULL;
    if (fields == 1) {
        if (scope_column_find(scope, name, &found) != SCOPE_FOUND)
            return NULL;
        *item = found.item;
        return table_of(*item) ? found.item->columns[found.column].meaning : NULL;
    }
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(scope, schema, sql_string(reference->fields[fields - 2]), item) !=
            SCOPE_FOUND ||
        !table_of(*item))
        return NULL;
    return view_find(table_of(*item)->view, name);
}

static bool read_turned(struct rewriter *rewriter, const struct scope *scope, const sql_node *node,
                        struct turned *turned)
{
    struct scope_item *item;
    *turned = (struct turned){0};
    if (!SQL_IS(node, column_ref))
        return false;
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    turned->column = find_column(scope, reference, &item);
    turned->turn = turned->column ? turn_of(turned->column) : TURN_NONE;
    const char *qualifier = turned->turn ? qualifier_of(rewriter, scope, item) : NULL;
    if (!qualifier)
        return false;
    const struct view_transition *transition = turned->column->transition;
    enum shape other = shape_other(transition->shape);
    turned->other = &transition->at->transition->columns[other][0];
    turned->sql =
        arena_format(rewriter->arena, "%s%s", qualifier,
                     view_quote(rewriter->arena, view_physical_name(transition, other, 0)));
    turned->first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    turned->end = turned->first + 2 * reference->n_fields - 1;
    return true;
}

/* ------------------------------------------------------------------ what it is compared with */

static bool is_constant(const sql_node *node)
{
    return SQL_IS(node, param_ref) || SQL_IS(node, a__const);
}

/* After what it is compared with: so an operand of these tokens is all of it. */
static bool ends_operand(const struct rewriter *rewriter, size_t token)
{
    switch (token_kind(rewriter, token)) {
    case 0: /* the text's end */
    case ')':
    case ']':
    case ',':
    case ';':
    case PG_QUERY__TOKEN__AND:
    case PG_QUERY__TOKEN__OR:
    case PG_QUERY__TOKEN__GROUP_P:
    case PG_QUERY__TOKEN__ORDER:
    case PG_QUERY__TOKEN__LIMIT:
    case PG_QUERY__TOKEN__OFFSET:
    case PG_QUERY__TOKEN__FETCH:
    case PG_QUERY__TOKEN__FOR:
    case PG_QUERY__TOKEN__HAVING:
    case PG_QUERY__TOKEN__WHERE:
    case PG_QUERY__TOKEN__WINDOW:
    case PG_QUERY__TOKEN__UNION:
    case PG_QUERY__TOKEN__INTERSECT:
    case PG_QUERY__TOKEN__EXCEPT:
    case PG_QUERY__TOKEN__RETURNING:
    case PG_QUERY__TOKEN__JOIN:
    case PG_QUERY__TOKEN__LEFT:
    case PG_QUERY__TOKEN__RIGHT:
    case PG_QUERY__TOKEN__FULL:
    case PG_QUERY__TOKEN__INNER_P:
    case PG_QUERY__TOKEN__CROSS:
    case PG_QUERY__TOKEN__NATURAL:
    case PG_QUERY__TOKEN__ON:
        return true;
    default:
        return false;
    }
}

static int32_t location_of(const sql_node *constant)
{
    return SQL_IS(constant, param_ref) ? AS_NODE(ParamRef, constant)->location
                                       : AS_NODE(AConst, constant)->location;
}

/* Is the constant that one token and no more? */
static bool is_token(const struct rewriter *rewriter, const sql_node *node, size_t token)
{
    return is_constant(node) && sql_token_at(&rewriter->tree, (uint32_t)location_of(node)) == token;
}

/* The tokens of a constant, perhaps negative and with a cast to a type of one word, that begins
 * with `first`; `first` itself where it is anything else. */
static size_t constant_end(const struct rewriter *rewriter, const sql_node *node, size_t first)
{
    bool is_cast = SQL_IS(node, type_cast);
    const sql_node *inner = is_cast ? sql_unwrap(AS_NODE(TypeCast, node)->arg) : node;
    if (!is_constant(inner) || token_kind(rewriter, first) == '(')
        return first;
    size_t end = first + (token_kind(rewriter, first) == '-' ? 2 : 1);
    if (is_cast) {
        if (token_kind(rewriter, end) != PG_QUERY__TOKEN__TYPECAST)
            return first;
        end = sql_name_end(&rewriter->tree, end + 1);
        if (token_kind(rewriter, end) == '[' && token_kind(rewriter, end + 1) == ']')
            end += 2;
    }
    return ends_operand(rewriter, end) ? end : first;
}

/* ------------------------------------------------------------------ by kind of condition */

/* `added` is put behind the condition of tokens [first, end). */
static void add_turned(struct rewriter *rewriter, size_t first, size_t end, const char *added)
{
    edits_before(&rewriter->edits, token_start(rewriter, first), "(");
    edits_after(&rewriter->edits, token_end(rewriter, end - 1),
                arena_format(rewriter->arena, " AND %s)", added));
}

static void replace_turned(struct rewriter *rewriter, const struct turned *turned)
{
    edits_replace(&rewriter->edits, token_start(rewriter, turned->first),
                  token_end(rewriter, turned->end - 1), turned->sql);
}

static bool is_int4(const sql_node *node)
{
    return SQL_IS(node, a__const) &&
           AS_NODE(AConst, node)->val_case == PG_QUERY__A__CONST__VAL_IVAL;
}

/* A column of an integer type, that stays as it is. */
static bool is_integer_column(const struct scope *scope, const sql_node *node)
{
    struct scope_found found;
    struct scope_item *item;
    if (!SQL_IS(node, column_ref))
        return false;
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    size_t fields = reference->n_fields;
    const char *name = sql_string(reference->fields[fields - 1]);
    if (!name)
        return false;
    if (fields == 1)
        return scope_column_find(scope, name, &found) == SCOPE_FOUND &&
               is_integer_type(found.item->columns[found.column].type_oid);
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(scope, schema, sql_string(reference->fields[fields - 2]), &item) !=
        SCOPE_FOUND)
        return false;
    size_t index = scope_item_column(item, name);
    return index < item->column_count && is_integer_type(item->columns[index].type_oid);
}

static bool is_equality(const char *operator)
{
    return strcmp(operator, "=") == 0;
}

static bool is_order(const char *operator)
{
    return strcmp(operator, "<") == 0 || strcmp(operator, ">") == 0 ||
           strcmp(operator, "<=") == 0 || strcmp(operator, ">=") == 0;
}

/* column = value, value = column; between integers <, > and the like, too. */
static bool turn_operator(struct rewriter *rewriter, struct scope *scope,
                          const PgQuery__AExpr *expression, bool *done)
{
    const sql_node *left = sql_unwrap(expression->lexpr), *right = sql_unwrap(expression->rexpr);
    const char *operator= sql_string(expression->name[0]);
    size_t at = sql_token_at(&rewriter->tree, (uint32_t)expression->location);
    struct turned turned, other;
    bool is_left = read_turned(rewriter, scope, left, &turned) && turned.end == at;
    bool is_right = read_turned(rewriter, scope, right, &other) && other.first == at + 1;
    const sql_node *value = is_left ? right : left;
    if (!is_left && is_right)
        turned = other;
    if ((!is_left && !is_right) ||
        !(is_equality(operator) || (turned.turn == TURN_INTEGER && is_order(operator))))
        return true;
    if (turned.turn == TURN_INTEGER && is_left && is_right && other.turn == TURN_INTEGER) {
        replace_turned(rewriter, &turned);
        replace_turned(rewriter, &other);
        *done = true;
        return true;
    }
    if (turned.turn == TURN_INTEGER && (is_int4(value) || is_integer_column(scope, value))) {
        replace_turned(rewriter, &turned);
        *done = true;
        return rewrite_expression(rewriter, scope, value);
    }
    size_t first = is_left ? at + 1 : at - 1; /* on the left only of one token */
    size_t end = constant_end(rewriter, value, first);
    if (!is_left && (!is_token(rewriter, value, first) || !ends_operand(rewriter, turned.end)))
        return true;
    if (is_left && end == first)
        return true;
    if (!is_left)
        end = at;
    *done = true;
    if (!rewrite_expression(rewriter, scope, is_left ? left : right))
        return false;
    const char *text = turned_value(rewriter, &turned, value, first, end);
    add_turned(rewriter, is_left ? turned.first : first, is_left ? end : turned.end,
               is_left ? arena_format(rewriter->arena, "%s %s %s", turned.sql, operator, text)
                       : arena_format(rewriter->arena, "%s %s %s", text, operator, turned.sql));
    return true;
}

/* column IN (a, b) */
static bool turn_in(struct rewriter *rewriter, struct scope *scope,
                    const PgQuery__AExpr *expression, bool *done)
{
    const sql_node *list = sql_unwrap(expression->rexpr);
    size_t at = sql_token_at(&rewriter->tree, (uint32_t)expression->location);
    struct turned turned;
    if (!is_equality(sql_string(expression->name[0])) || !SQL_IS(list, list) ||
        !read_turned(rewriter, scope, sql_unwrap(expression->lexpr), &turned) || turned.end != at ||
        token_kind(rewriter, at + 1) != '(')
        return true;
    const PgQuery__List *values = AS_NODE(List, list);
    size_t count;
    struct item_range *items = split_items(rewriter, at + 1, &count);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_format(&text, "%s IN (", turned.sql);
    bool ok = count == values->n_items;
    for (size_t i = 0; i < count && ok; i++) {
        ok = constant_end(rewriter, sql_unwrap(values->items[i]), items[i].first) == items[i].end;
        if (ok)
            text_add_format(&text, "%s%s", i ? ", " : "",
                            turned_value(rewriter, &turned, sql_unwrap(values->items[i]),
                                         items[i].first, items[i].end));
    }
    text_add_char(&text, ')');
    const char *added = arena_string_range(rewriter->arena, text.data, text.length);
    text_release(&text);
    if (!ok)
        return true;
    *done = true;
    if (!rewrite_expression(rewriter, scope, sql_unwrap(expression->lexpr)))
        return false;
    add_turned(rewriter, turned.first, sql_token_closing(&rewriter->tree, at + 1) + 1, added);
    return true;
}

/* column = ANY ($1) */
static bool turn_any(struct rewriter *rewriter, struct scope *scope,
                     const PgQuery__AExpr *expression, bool *done)
{
    const sql_node *array = sql_unwrap(expression->rexpr);
    size_t at = sql_token_at(&rewriter->tree, (uint32_t)expression->location);
    struct turned turned;
    if (!is_equality(sql_string(expression->name[0])) ||
        !read_turned(rewriter, scope, sql_unwrap(expression->lexpr), &turned) ||
        turned.turn == TURN_PRINTED || turned.end != at || token_kind(rewriter, at + 2) != '(')
        return true;
    size_t closing = sql_token_closing(&rewriter->tree, at + 2);
    if (constant_end(rewriter, array, at + 3) != closing)
        return true;
    *done = true;
    if (!rewrite_expression(rewriter, scope, sql_unwrap(expression->lexpr)))
        return false;
    const char *type = is_untyped_string(array) ? arena_format(rewriter->arena, "::%s[]",
                                                               turned.column->column->type_bare)
                                                : "";
    add_turned(rewriter, turned.first, closing + 1,
               arena_format(rewriter->arena, "%s = ANY ((%s)%s)", turned.sql,
                            token_text(rewriter, at + 3, closing), type));
    return true;
}

/* column BETWEEN a AND b, of integers */
static bool turn_between(struct rewriter *rewriter, struct scope *scope,
                         const PgQuery__AExpr *expression, bool *done)
{
    const sql_node *list = sql_unwrap(expression->rexpr);
    size_t at = sql_token_at(&rewriter->tree, (uint32_t)expression->location);
    struct turned turned;
    if (!read_turned(rewriter, scope, sql_unwrap(expression->lexpr), &turned) ||
        turned.turn != TURN_INTEGER || turned.end != at || !SQL_IS(list, list) ||
        AS_NODE(List, list)->n_items != 2)
        return true;
    const PgQuery__List *bounds = AS_NODE(List, list);
    size_t middle = constant_end(rewriter, sql_unwrap(bounds->items[0]), at + 1);
    if (middle == at + 1 || token_kind(rewriter, middle) != PG_QUERY__TOKEN__AND)
        return true;
    size_t end = constant_end(rewriter, sql_unwrap(bounds->items[1]), middle + 1);
    if (end == middle + 1)
        return true;
    *done = true;
    if (!rewrite_expression(rewriter, scope, sql_unwrap(expression->lexpr)))
        return false;
    add_turned(rewriter, turned.first, end,
               arena_format(
                   rewriter->arena, "%s BETWEEN %s AND %s", turned.sql,
                   turned_value(rewriter, &turned, sql_unwrap(bounds->items[0]), at + 1, middle),
                   turned_value(rewriter, &turned, sql_unwrap(bounds->items[1]), middle + 1, end)));
    return true;
}

/* Operators without a schema are pg_catalog's, unless the session looks elsewhere first. */
static bool has_own_operators(const struct rewriter *rewriter)
{
    const struct resolution *resolution = rewriter->context->resolution;
    for (size_t i = 0; i < resolution->schema_count; i++) {
        if (strcmp(resolution->schemas[i], "pg_catalog") == 0)
            return false;
        if (strncmp(resolution->schemas[i], "pg_temp", 7) != 0) /* holds no operators to be found */
            return true;
    }
    return true;
}

bool turn_condition(struct rewriter *rewriter, struct scope *scope,
                    const PgQuery__AExpr *expression, bool *done)
{
    *done = false;
    if (!rewriter->is_condition || expression->n_name != 1 || !expression->lexpr ||
        !expression->rexpr || has_own_operators(rewriter))
        return true;
    if (expression->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP)
        return turn_operator(rewriter, scope, expression, done);
    if (expression->kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN)
        return turn_in(rewriter, scope, expression, done);
    if (expression->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY)
        return turn_any(rewriter, scope, expression, done);
    if (expression->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN)
        return turn_between(rewriter, scope, expression, done);
    return true;
}

bool rewrite_condition(struct rewriter *rewriter, struct scope *scope,
                       const PgQuery__Node *condition)
{
    bool was_condition = rewriter->is_condition;
    rewriter->is_condition = true;
    bool ok = rewrite_expression(rewriter, scope, sql_unwrap(condition));
    rewriter->is_condition = was_condition;
    return ok;
}
