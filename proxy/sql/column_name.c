/*
 * The name of an unnamed target, after FigureColnameInternal of PostgreSQL's parse_target.c. Its
 * strengths: 0 none, 1 weak (a type or CASE, kept where nothing better is inside), 2 good.
 */
#include "segue/sql/scope.h"

struct figure {
    const char *name;
    int strength;
};

static struct figure figure_name(const sql_node *node);

#define AS_NODE(type, node) ((const PgQuery__##type *)(const void *)(node))

static const struct figure nothing;

static struct figure good(const char *name)
{
    return (struct figure){name, 2};
}

static const char *last_string(PgQuery__Node *const *list, size_t count)
{
    const char *name = NULL;
    for (size_t i = 0; i < count; i++)
        if (sql_string(list[i]))
            name = sql_string(list[i]);
    return name;
}

static struct figure of_list(PgQuery__Node *const *list, size_t count)
{
    const char *name = last_string(list, count);
    return name ? good(name) : nothing;
}

static struct figure of_indirection(const PgQuery__AIndirection *node)
{
    const char *name = last_string(node->indirection, node->n_indirection);
    return name ? good(name) : figure_name(sql_unwrap(node->arg));
}

static struct figure of_type_cast(const PgQuery__TypeCast *cast)
{
    struct figure inner = figure_name(sql_unwrap(cast->arg));
    if (inner.strength > 1 || !cast->type_name)
        return inner;
    const char *type = last_string(cast->type_name->names, cast->type_name->n_names);
    return type ? (struct figure){type, 1} : inner;
}

static struct figure of_case(const PgQuery__CaseExpr *node)
{
    struct figure inner = figure_name(sql_unwrap(node->defresult));
    return inner.strength > 1 ? inner : (struct figure){"case", 1};
}

static struct figure of_select(const sql_node *node)
{
    if (!SQL_IS(node, select_stmt))
        return nothing;
    const PgQuery__SelectStmt *select = AS_NODE(SelectStmt, node);
    while (select->larg)
        select = select->larg;
    if (select->n_values_lists > 0)
        return good("column1");
    if (select->n_target_list == 0)
        return nothing;
    const PgQuery__ResTarget *target = select->target_list[0]->res_target;
    if (target->name[0])
        return good(target->name);
    return good(sql_column_name(sql_unwrap(target->val)));
}

static struct figure of_sub_link(const PgQuery__SubLink *link)
{
    switch (link->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        return good("exists");
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
        return good("array");
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
        return of_select(sql_unwrap(link->subselect));
    default: /* of libpg_query, not ours: the others have no name */
        return nothing;
    }
}

static struct figure of_value_function(const PgQuery__SQLValueFunction *node)
{
    switch (node->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        return good("current_date");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
        return good("current_time");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
        return good("current_timestamp");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
        return good("localtime");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
        return good("localtimestamp");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
        return good("current_role");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
        return good("current_user");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
        return good("user");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
        return good("session_user");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
        return good("current_catalog");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
        return good("current_schema");
    default:
        return nothing;
    }
}

static struct figure of_xml(const PgQuery__XmlExpr *node)
{
    switch (node->op) {
    case PG_QUERY__XML_EXPR_OP__IS_XMLCONCAT:
        return good("xmlconcat");
    case PG_QUERY__XML_EXPR_OP__IS_XMLELEMENT:
        return good("xmlelement");
    case PG_QUERY__XML_EXPR_OP__IS_XMLFOREST:
        return good("xmlforest");
    case PG_QUERY__XML_EXPR_OP__IS_XMLPARSE:
        return good("xmlparse");
    case PG_QUERY__XML_EXPR_OP__IS_XMLPI:
        return good("xmlpi");
    case PG_QUERY__XML_EXPR_OP__IS_XMLROOT:
        return good("xmlroot");
    default:
        return nothing;
    }
}

static struct figure figure_name(const sql_node *node)
{
    if (SQL_IS(node, column_ref))
        return of_list(AS_NODE(ColumnRef, node)->fields, AS_NODE(ColumnRef, node)->n_fields);
    if (SQL_IS(node, a__indirection))
        return of_indirection(AS_NODE(AIndirection, node));
    if (SQL_IS(node, func_call))
        return of_list(AS_NODE(FuncCall, node)->funcname, AS_NODE(FuncCall, node)->n_funcname);
    if (SQL_IS(node, a__expr))
        return AS_NODE(AExpr, node)->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? good("nullif")
                                                                                   : nothing;
    if (SQL_IS(node, type_cast))
        return of_type_cast(AS_NODE(TypeCast, node));
    if (SQL_IS(node, collate_clause))
        return figure_name(sql_unwrap(AS_NODE(CollateClause, node)->arg));
    if (SQL_IS(node, grouping_func))
        return good("grouping");
    if (SQL_IS(node, sub_link))
        return of_sub_link(AS_NODE(SubLink, node));
    if (SQL_IS(node, case_expr))
        return of_case(AS_NODE(CaseExpr, node));
    if (SQL_IS(node, a__array_expr))
        return good("array");
    if (SQL_IS(node, row_expr))
        return good("row");
    if (SQL_IS(node, coalesce_expr))
        return good("coalesce");
    if (SQL_IS(node, min_max_expr))
        return good(AS_NODE(MinMaxExpr, node)->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest"
                                                                                       : "least");
    if (SQL_IS(node, sqlvalue_function))
        return of_value_function(AS_NODE(SQLValueFunction, node));
    if (SQL_IS(node, xml_expr))
        return of_xml(AS_NODE(XmlExpr, node));
    if (SQL_IS(node, xml_serialize))
        return good("xmlserialize");
    return nothing;
}

const char *sql_column_name(const sql_node *expression)
{
    struct figure figure = figure_name(expression);
    return figure.name ? figure.name : "?column?";
}
