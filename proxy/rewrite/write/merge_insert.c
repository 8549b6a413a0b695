/*
 * WHEN NOT MATCHED THEN INSERT: one row of values over the source, written as the rows of INSERT ..
 * VALUES are (insert.h). What must be evaluated once for two columns goes by way of the clause's
 * condition (carry.h); of types that cannot, it is written to the own column alone, and the guard
 * fills the other, or it is refused.
 */
#include "merge.h"

#include "insert.h"

struct merged_row {
    struct insertion at;
    const PgQuery__MergeWhenClause *clause;
    bool has_star; /* a value that is several columns: the list is written anew */
};

static void find_places(struct merged_row *row, size_t insert)
{
    struct insertion *at = &row->at;
    size_t token = insert + 1, count;
    at->list_place = token;
    if (row->clause->n_target_list > 0) {
        at->names = split_items(at->rewriter, token, &count);
        token = sql_token_closing(&at->rewriter->tree, token) + 1;
    }
    if (token_kind(at->rewriter, token) == PG_QUERY__TOKEN__OVERRIDING) {
        at->override = token;
        token += 3;
    }
    at->source_first = token;
    at->source_end = row->clause->n_values > 0
                         ? sql_token_closing(&at->rewriter->tree, token + 1) + 1
                         : token + 2; /* DEFAULT VALUES */
}

/* ------------------------------------------------------------------ values that are several
 * columns */

/* The item whose columns a value is; NULL where it is one value. */
static const struct scope_item *starred_item(const struct insertion *at, const sql_node *value)
{
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, value);
    if (!SQL_IS(value, column_ref) || reference->n_fields < 2 ||
        sql_string(reference->fields[reference->n_fields - 1]))
        return NULL;
    return item_of_row(at->scope, value);
}

static bool is_row_star(const sql_node *value)
{
    if (!SQL_IS(value, a__indirection))
        return false;
    const PgQuery__AIndirection *node = AS_NODE(AIndirection, value);
    return node->indirection[node->n_indirection - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static bool count_values(struct merged_row *row, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < row->clause->n_values; i++) {
        const sql_node *value = sql_unwrap(row->clause->values[i]);
        const struct scope_item *item = starred_item(&row->at, value);
        if (is_row_star(value) || (item && (!item->is_complete || !item->names_are_certain)))
            return refuse(row->at.rewriter, row->at.insert->relation->location,
                          "a star in MERGE's INSERT over columns that Segue does not know");
        row->has_star = row->has_star || item;
        *count += item ? item->column_count : 1;
    }
    return true;
}

/* The columns of a star, each as a value of its own. */
static void spread_star(struct insertion *at, const struct scope_item *item,
                        struct client_value *values)
{
    struct arena *arena = at->rewriter->arena;
    const char *qualifier = qualifier_of(at->rewriter, at->scope, item);
    for (size_t i = 0; i < item->column_count; i++)
        values[i].sql = arena_format(arena, "%s%s", qualifier ? qualifier : "",
                                     view_quote(arena, item->columns[i].name));
}

static bool read_starred(struct merged_row *row)
{
    struct insertion *at = &row->at;
    size_t count, place = 0;
    struct item_range *ranges = split_items(at->rewriter, at->source_first + 1, &count);
    struct client_value *values =
        ARENA_NEW_ARRAY(at->rewriter->arena, struct client_value, at->total + 1);
    for (size_t i = 0; i < count; i++) {
        const sql_node *node = sql_unwrap(row->clause->values[i]);
        const struct scope_item *item = starred_item(at, node);
        if (!read_place(at, place, node, ranges[i], &values[place]))
            return false;
        if (item) {
            values[place].node = NULL;
            spread_star(at, item, &values[place]);
        } else if (values[place].is_default && !(at->columns[place] && at->columns[place]->column))
            values[place].sql = "DEFAULT";
        place += item ? item->column_count : 1;
    }
    fill_defaults(at, values);
    at->row_count = 1;
    at->rows = ARENA_NEW_ARRAY(at->rewriter->arena, struct client_value *, 1);
    at->rows[0] = values;
    return true;
}

static void write_starred(struct insertion *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct view_value *texts = ARENA_NEW_ARRAY(rewriter->arena, struct view_value, at->total);
    move_values(at, at->rows[0]);
    for (size_t i = 0; i < at->total; i++)
        texts[i] = value_for(&at->rows[0][i], at->columns[i]);
    put_column_list(at);
    edits_replace(&rewriter->edits, token_end(rewriter, at->source_first + 1),
                  token_start(rewriter, at->source_end - 1), value_list(at, texts));
}

/* ------------------------------------------------------------------ values for two columns */

static bool must_be_once(const struct insertion *at, size_t place)
{
    if (!is_used_again(at, place))
        return false;
    const struct client_value *value = at->rows ? &at->rows[0][place] : NULL;
    return !value || value->is_default || is_overridden(at, place)
               ? at->columns[place]->column->default_is_volatile
               : !is_deterministic(value->node);
}

static bool can_be_carried(const struct insertion *at, size_t place)
{
    return !is_element(at, place) && carrier_takes(at->columns[place]->column);
}

static bool leave_to_guard(struct insertion *at)
{
    for (size_t i = 0; i < at->total; i++) {
        if (!must_be_once(at, i) || can_be_carried(at, i))
            continue;
        const struct view_transition *transition = at->columns[i]->transition;
        if (!transition->writes_own || transition->at->transition->guard != GUARD_SYNC)
            return refuse_for(at->rewriter, transition, at->insert->relation->location,
                              "MERGE that inserts a value of this type which must be evaluated "
                              "once");
        at->guarded |= UINT64_C(1) << transition->index;
    }
    return true;
}

/* ------------------------------------------------------------------ the clause */

/* A default that takes a sub-select would be evaluated once for all rows if it named none. */
static bool name_source_row(struct insertion *at)
{
    bool is_needed = false;
    for (size_t i = 0; i < at->total; i++)
        is_needed = is_needed || (at->columns[i] && at->columns[i]->column &&
                                  default_is_query(at->columns[i]->column));
    for (size_t i = 0; is_needed && i < at->scope->items.count; i++) {
        const char *qualifier = qualifier_of(at->rewriter, at->scope, at->scope->items.items[i]);
        if (!qualifier)
            continue;
        at->row_condition =
            arena_format(at->rewriter->arena, "((%s*) IS NULL) IS NOT NULL", qualifier);
        return true;
    }
    return !is_needed || refuse(at->rewriter, at->insert->relation->location,
                                "MERGE from a source without a name, beside a volatile default of "
                                "the other shape's,");
}

static bool rewrite_row(struct merged_row *row)
{
    struct insertion *at = &row->at;
    size_t given;
    if (!count_values(row, &given) || !find_columns(at, given) || !name_source_row(at))
        return false;
    if (row->has_star && given != at->count)
        return fail_at(at->rewriter, -1, "42601",
                       given > at->count ? "INSERT has more expressions than target columns"
                                         : "INSERT has more target columns than expressions");
    if (row->has_star ? !read_starred(row) : at->select && !read_rows(at))
        return false;
    if (!leave_to_guard(at))
        return false;
    if (!row->has_star)
        return write_insertion(at);
    if (!at->names && !at->view->order_is_known)
        return refuse(at->rewriter, at->insert->relation->location,
                      "INSERT without a column list into a table whose column order is lost");
    if (!check_identity(at))
        return false;
    override_values(at);
    write_starred(at);
    return true;
}

bool rewrite_merge_insert(const struct merge_insert *insert)
{
    const PgQuery__MergeWhenClause *clause = insert->clause;
    if (!insert->view)
        return rewrite_list(insert->rewriter, insert->scope, clause->target_list,
                            clause->n_target_list) &&
               rewrite_row_items(insert->rewriter, insert->scope, clause->values, clause->n_values);
    PgQuery__List values = PG_QUERY__LIST__INIT;
    values.items = clause->values;
    values.n_items = clause->n_values;
    PgQuery__Node list = PG_QUERY__NODE__INIT, *lists[] = {&list};
    list.node_case = PG_QUERY__NODE__NODE_LIST;
    list.list = &values;
    PgQuery__SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
    select.values_lists = lists;
    select.n_values_lists = 1;
    PgQuery__InsertStmt statement = PG_QUERY__INSERT_STMT__INIT;
    statement.relation = insert->relation;
    statement.cols = clause->target_list;
    statement.n_cols = clause->n_target_list;
    statement.override = clause->override;
    struct merged_row row = {.clause = clause,
                             .at = {.rewriter = insert->rewriter,
                                    .scope = insert->scope,
                                    .insert = &statement,
                                    .view = insert->view,
                                    .select = clause->n_values ? &select : NULL,
                                    .carrier = insert->carrier}};
    find_places(&row, insert->token);
    return rewrite_row(&row);
}
