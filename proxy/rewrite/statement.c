/* Which kind of statement it is, and where the queries in it are. */
#include "rewriter.h"

static bool refuse_if_mentioned(struct rewriter *rewriter, const sql_node *statement,
                                const char *construct)
{
    const struct view *view;
    int32_t location;
    if (!mentions_table(rewriter, statement, &view, &location))
        return true;
    return refuse(rewriter, location, construct);
}

bool rewrite_query(struct rewriter *rewriter, struct scope *parent, const sql_node *query,
                   struct outputs *outputs)
{
    if (SQL_IS(query, select_stmt))
        return rewrite_select(rewriter, parent, AS_NODE(SelectStmt, query), outputs);
    if (SQL_IS(query, insert_stmt))
        return rewrite_insert(rewriter, parent, AS_NODE(InsertStmt, query), outputs);
    if (SQL_IS(query, update_stmt))
        return rewrite_update(rewriter, parent, AS_NODE(UpdateStmt, query), outputs);
    if (SQL_IS(query, delete_stmt))
        return rewrite_delete(rewriter, parent, AS_NODE(DeleteStmt, query), outputs);
    outputs->is_complete = false;
    if (SQL_IS(query, merge_stmt))
        return rewrite_merge(rewriter, parent, AS_NODE(MergeStmt, query));
    return refuse_if_mentioned(rewriter, query, "this kind of query");
}

static bool is_query(const sql_node *node)
{
    return SQL_IS(node, select_stmt) || SQL_IS(node, insert_stmt) || SQL_IS(node, update_stmt) ||
           SQL_IS(node, delete_stmt) || SQL_IS(node, merge_stmt);
}

const PgQuery__IntoClause *into_of(const PgQuery__SelectStmt *select)
{
    while (select->larg)
        select = select->larg;
    return select->into_clause;
}

static bool makes_table(const sql_node *query)
{
    return SQL_IS(query, select_stmt) && into_of(AS_NODE(SelectStmt, query));
}

/* A row of the client's shape has no type that a column could be of. */
static bool check_made_columns(struct rewriter *rewriter, const struct outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++)
        if (outputs->columns[i].table_oid && outputs->columns[i].attnum == 0)
            return refuse(rewriter, -1, "a new table with a column of the table's row type");
    return true;
}

static bool rewrite_top_query(struct rewriter *rewriter, const sql_node *query)
{
    struct outputs outputs;
    outputs_init(&outputs);
    if (!rewrite_query(rewriter, NULL, query, &outputs))
        return false;
    if ((rewriter->makes_table || makes_table(query)) && !check_made_columns(rewriter, &outputs))
        return false;
    tell_results(rewriter, &outputs);
    return true;
}

/* The query of a statement that holds one; what comes of it is described by another text. */
static bool rewrite_held(struct rewriter *rewriter, const PgQuery__Node *query)
{
    rewriter->tells_results = false;
    return rewrite_statement(rewriter, sql_unwrap(query));
}

static bool rewrite_create_table_as(struct rewriter *rewriter,
                                    const PgQuery__CreateTableAsStmt *create)
{
    if (create->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW)
        return refuse_if_mentioned(rewriter, sql_unwrap(create->query),
                                   "CREATE MATERIALIZED VIEW, which would outlive the phase,");
    rewriter->makes_table = true;
    return rewrite_held(rewriter, create->query);
}

bool rewrite_statement(struct rewriter *rewriter, const sql_node *statement)
{
    if (is_query(statement))
        return rewrite_top_query(rewriter, statement);
    if (SQL_IS(statement, explain_stmt))
        return rewrite_held(rewriter, AS_NODE(ExplainStmt, statement)->query);
    if (SQL_IS(statement, prepare_stmt)) /* its EXECUTE is described as the query itself */
        return rewrite_statement(rewriter, sql_unwrap(AS_NODE(PrepareStmt, statement)->query));
    if (SQL_IS(statement, declare_cursor_stmt)) /* as its FETCH is */
        return rewrite_statement(rewriter,
                                 sql_unwrap(AS_NODE(DeclareCursorStmt, statement)->query));
    if (SQL_IS(statement, create_table_as_stmt))
        return rewrite_create_table_as(rewriter, AS_NODE(CreateTableAsStmt, statement));
    if (SQL_IS(statement, copy_stmt))
        return rewrite_copy(rewriter, AS_NODE(CopyStmt, statement));
    return rewrite_utility(rewriter, statement);
}
