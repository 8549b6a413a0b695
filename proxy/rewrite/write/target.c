/* Target lists: what is computed keeps the name that the plain column would have given it. */
#include "../rewriter.h"

void outputs_init(struct outputs *outputs)
{
    *outputs = (struct outputs){.is_complete = true};
}

static void add_base(struct rewriter *rewriter, struct outputs *outputs,
                     const struct scope_column *column)
{
    if (outputs->base_count == outputs->base_room) {
        size_t room = outputs->base_room ? outputs->base_room * 2 : 8;
        struct output_base *wider = ARENA_NEW_ARRAY(rewriter->arena, struct output_base, room);
        if (outputs->base_count)
            memcpy(wider, outputs->bases, outputs->base_count * sizeof *wider);
        outputs->bases = wider;
        outputs->base_room = room;
    }
    outputs->bases[outputs->base_count++] =
        (struct output_base){outputs->count - 1, column->base, column->base_column};
}

void outputs_add(struct rewriter *rewriter, struct outputs *outputs,
                 const struct scope_column *column)
{
    if (outputs->count == outputs->room) {
        size_t room = outputs->room ? outputs->room * 2 : 8;
        struct scope_column *wider = ARENA_NEW_ARRAY(rewriter->arena, struct scope_column, room);
        if (outputs->count)
            memcpy(wider, outputs->columns, outputs->count * sizeof *wider);
        outputs->columns = wider;
        outputs->room = room;
    }
    struct scope_column *added = &outputs->columns[outputs->count++];
    *added = *column; /* to those outside it is a column of its own */
    added->meaning = NULL;
    added->source = NULL;
    added->is_merged = false;
    if (added->base)
        add_base(rewriter, outputs, added);
    added->base = NULL;
}

static void add_result(struct rewriter *rewriter, struct rewrite_result result)
{
    if (rewriter->result_count == rewriter->result_room) {
        size_t room = rewriter->result_room ? rewriter->result_room * 2 : 8;
        struct rewrite_result *wider =
            ARENA_NEW_ARRAY(rewriter->arena, struct rewrite_result, room);
        if (rewriter->result_count)
            memcpy(wider, rewriter->results, rewriter->result_count * sizeof *wider);
        rewriter->results = wider;
        rewriter->result_room = room;
    }
    rewriter->results[rewriter->result_count++] = result;
}

void tell_results(struct rewriter *rewriter, const struct outputs *outputs)
{
    if (!rewriter->tells_results || !outputs->is_complete) /* which column is which */
        return;
    for (size_t i = 0; i < outputs->count && i < UINT16_MAX; i++)
        if (outputs->columns[i].table_oid)
            add_result(rewriter,
                       (struct rewrite_result){.statement = rewriter->statement,
                                               .column = (uint16_t)i,
                                               .attnum = outputs->columns[i].attnum,
                                               .table_oid = outputs->columns[i].table_oid});
}

/* ------------------------------------------------------------------ targets */

static bool is_star(const PgQuery__ColumnRef *reference)
{
    return sql_string(reference->fields[reference->n_fields - 1]) == NULL;
}

/* A row that is computed stands for the table's: attribute number 0. */
static const struct scope_column *row_column(struct rewriter *rewriter, const struct scope *scope,
                                             const PgQuery__ColumnRef *reference)
{
    const struct scope_item *item = item_of_row(scope, &reference->base);
    if (!item || !item->row_oid)
        return NULL;
    struct scope_column *column = ARENA_NEW(rewriter->arena, struct scope_column);
    *column = (struct scope_column){.table_oid = item->row_oid, .typmod = -1};
    return column;
}

/* What a bare reference gives stands for; NULL where that is not known. */
static const struct scope_column *column_of(struct rewriter *rewriter, const struct scope *scope,
                                            const PgQuery__ColumnRef *reference)
{
    size_t fields = reference->n_fields;
    const char *column = sql_string(reference->fields[fields - 1]);
    struct scope_found found;
    struct scope_item *item;
    if (fields == 1)
        return scope_column_find(scope, column, &found) == SCOPE_FOUND
                   ? &found.item->columns[found.column]
                   : row_column(rewriter, scope, reference);
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(scope, schema, sql_string(reference->fields[fields - 2]), &item) !=
        SCOPE_FOUND)
        return NULL;
    size_t index = scope_item_column(item, column);
    return index < item->column_count ? &item->columns[index] : NULL;
}

static void add_output_like(struct rewriter *rewriter, struct outputs *outputs, const char *name,
                            const struct scope_column *from)
{
    outputs_add(rewriter, outputs,
                &(struct scope_column){.name = name,
                                       .table_oid = from ? from->table_oid : 0,
                                       .attnum = from ? from->attnum : (int16_t)0,
                                       .type_oid = from ? from->type_oid : 0,
                                       .typmod = from ? from->typmod : -1,
                                       .base = from ? from->base : NULL,
                                       .base_column = from ? from->base_column : 0});
}

static void name_target(struct rewriter *rewriter, const PgQuery__ResTarget *target,
                        const char *name)
{
    size_t end =
        sql_item_end(&rewriter->tree, sql_token_at(&rewriter->tree, (uint32_t)target->location));
    edits_after(&rewriter->edits, token_end(rewriter, end - 1),
                arena_format(rewriter->arena, " AS %s", view_quote(rewriter->arena, name)));
}

static bool rewrite_reference_target(struct rewriter *rewriter, struct scope *scope,
                                     const PgQuery__ResTarget *target, struct outputs *outputs)
{
    const PgQuery__ColumnRef *reference = target->val->column_ref;
    if (is_star(reference))
        return reference->n_fields == 1 ? rewrite_star(rewriter, scope, reference, outputs)
                                        : rewrite_qualified_star(rewriter, scope, target, outputs);
    const char *name = present(target->name);
    const char *column = sql_string(reference->fields[reference->n_fields - 1]);
    add_output_like(rewriter, outputs, name ? name : column, column_of(rewriter, scope, reference));
    bool is_bare = target->location == reference->location; /* else it stands in brackets */
    size_t mark = rewriter->edits.count;
    if (!rewrite_reference(rewriter, scope, reference,
                           !name && is_bare ? PLACE_TARGET : PLACE_EXPRESSION))
        return false;
    if (!name && !is_bare && rewriter->edits.count > mark)
        name_target(rewriter, target, column);
    return true;
}

/* The row that (u).role, (u).* and role(u) take a field of, and the field's name. */
static const sql_node *row_and_field(const sql_node *value, const char **field)
{
    if (SQL_IS(value, a__indirection) && AS_NODE(AIndirection, value)->n_indirection == 1) {
        *field = sql_string(AS_NODE(AIndirection, value)->indirection[0]);
        return sql_unwrap(AS_NODE(AIndirection, value)->arg);
    }
    if (SQL_IS(value, func_call) && AS_NODE(FuncCall, value)->n_args == 1) {
        const PgQuery__FuncCall *call = AS_NODE(FuncCall, value);
        *field = sql_string(call->funcname[call->n_funcname - 1]);
        return sql_unwrap(call->args[0]);
    }
    return NULL;
}

static const struct scope_item *item_of_field(struct rewriter *rewriter, const struct scope *scope,
                                              const sql_node *value, const char **field)
{
    const sql_node *row = row_and_field(value, field);
    if (SQL_IS(row, type_cast))
        return item_of_row_cast(rewriter, scope, AS_NODE(TypeCast, row));
    return item_of_row(scope, row);
}

/* 0 where it has a modifier, is an array, or is none of those that are known. */
static uint32_t type_named(const PgQuery__TypeName *type)
{
    static const struct {
        const char *name;
        uint32_t oid;
    } types[] = {{"bool", 16},    {"int8", 20},      {"int2", 21},          {"int4", 23},
                 {"text", 25},    {"float8", 701},   {"date", 1082},        {"timestamp", 1114},
                 {"uuid", 2950},  {"varchar", 1043}, {"timestamptz", 1184}, {"numeric", 1700},
                 {"jsonb", 3802}, {"interval", 1186}};
    if (type->n_names == 0 || type->n_typmods || type->n_array_bounds)
        return 0;
    const char *name = sql_string(type->names[type->n_names - 1]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].oid;
    return 0;
}

/* Is it of PostgreSQL's own grammar, as int is, so that it can mean nothing else? */
static bool is_built_in(const PgQuery__TypeName *type)
{
    return type->n_names == 2 && strcmp(sql_string(type->names[0]), "pg_catalog") == 0;
}

/* A cast to the type that a column or row has anyway is none; of any other the type is known. */
static const struct scope_column *cast_column(struct rewriter *rewriter, const struct scope *scope,
                                              const PgQuery__TypeCast *cast)
{
    const sql_node *value = sql_unwrap(cast->arg);
    if (item_of_row_cast(rewriter, scope, cast))
        return row_column(rewriter, scope, AS_NODE(ColumnRef, value));
    uint32_t oid = type_named(cast->type_name);
    bool is_column = SQL_IS(value, column_ref) && !is_star(AS_NODE(ColumnRef, value));
    const struct scope_column *column =
        is_column ? column_of(rewriter, scope, AS_NODE(ColumnRef, value)) : NULL;
    if (oid && column && column->type_oid == oid && column->typmod == -1)
        return column;
    if (!oid || !is_built_in(cast->type_name) || (is_column && (!column || !column->type_oid)))
        return NULL;
    struct scope_column *typed = ARENA_NEW(rewriter->arena, struct scope_column);
    *typed = (struct scope_column){.type_oid = oid, .typmod = -1};
    return typed;
}

/* The column that a value is, seen through what the server sees through. */
static const struct scope_column *column_of_value(struct rewriter *rewriter,
                                                  const struct scope *scope, const sql_node *value)
{
    if (SQL_IS(value, type_cast))
        return cast_column(rewriter, scope, AS_NODE(TypeCast, value));
    const char *field = NULL;
    const struct scope_item *item = item_of_field(rewriter, scope, value, &field);
    size_t index = item && field ? scope_item_column(item, field) : 0;
    return item && field && index < item->column_count ? &item->columns[index] : NULL;
}

static void add_value_output(struct rewriter *rewriter, const struct scope *scope,
                             const sql_node *value, const char *name, struct outputs *outputs)
{
    add_output_like(rewriter, outputs, name, column_of_value(rewriter, scope, value));
}

static bool expands(const sql_node *value)
{
    if (!SQL_IS(value, a__indirection))
        return false;
    const PgQuery__AIndirection *node = AS_NODE(AIndirection, value);
    return node->indirection[node->n_indirection - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static bool rewrite_target(struct rewriter *rewriter, struct scope *scope,
                           const PgQuery__ResTarget *target, struct outputs *outputs)
{
    const sql_node *value = sql_unwrap(target->val);
    if (SQL_IS(value, column_ref))
        return rewrite_reference_target(rewriter, scope, target, outputs);
    size_t mark = rewriter->edits.count;
    bool done;
    if (!rewrite_row_star(rewriter, scope, value, true, &done) ||
        (!done && !rewrite_expression(rewriter, scope, value)))
        return false;
    if (expands(value)) {
        const char *field;
        const struct scope_item *item = item_of_field(rewriter, scope, value, &field);
        if (item)
            star_outputs(rewriter, scope, item, outputs);
        else
            outputs->is_complete = false; /* how many columns that is, is not known */
        return true;
    }
    const char *name = present(target->name);
    const char *figured = name ? name : sql_column_name(value);
    add_value_output(rewriter, scope, value, figured, outputs);
    if (!name && rewriter->edits.count > mark && strcmp(figured, "?column?") != 0)
        name_target(rewriter, target, figured);
    return true;
}

bool rewrite_targets(struct rewriter *rewriter, struct scope *scope, PgQuery__Node *const *list,
                     size_t count, struct outputs *outputs)
{
    for (size_t i = 0; i < count; i++)
        if (!rewrite_target(rewriter, scope, list[i]->res_target, outputs))
            return false;
    return true;
}
