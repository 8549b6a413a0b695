/*
 * May an expression be evaluated twice in one statement? Not where it calls what may be volatile.
 * The catalog does not tell which functions are, so only built-in ones that are known not to be are
 * taken at their word; a sub-select is evaluated once because it costs.
 */
#include "../rewriter.h"

#include <stdlib.h>

/* Sorted. Immutable or stable in PostgreSQL's pg_proc. */
static const char *const known[] = {
    "abs",
    "age",
    "array_append",
    "array_cat",
    "array_length",
    "array_position",
    "array_prepend",
    "array_remove",
    "array_replace",
    "array_to_json",
    "array_to_string",
    "ascii",
    "bit_length",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "convert_from",
    "convert_to",
    "date",
    "date_part",
    "date_trunc",
    "decode",
    "div",
    "encode",
    "extract",
    "floor",
    "format",
    "initcap",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_set",
    "jsonb_strip_nulls",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_timestamp",
    "md5",
    "mod",
    "now",
    "numeric",
    "octet_length",
    "overlay",
    "position",
    "power",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "regexp_match",
    "regexp_matches",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha256",
    "sign",
    "split_part",
    "sqrt",
    "statement_timestamp",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "text",
    "timezone",
    "to_char",
    "to_date",
    "to_hex",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "transaction_timestamp",
    "translate",
    "trunc",
    "upper",
};

static int compare_names(const void *key, const void *member)
{
    return strcmp(key, *(const char *const *)member);
}

static bool is_known(const PgQuery__FuncCall *call)
{
    const char *schema = call->n_funcname > 1 ? sql_string(call->funcname[0]) : NULL;
    const char *name = sql_string(call->funcname[call->n_funcname - 1]);
    if (schema && strcmp(schema, "pg_catalog") != 0)
        return false;
    return bsearch(name, (const void *)known, sizeof known / sizeof *known, sizeof *known,
                   compare_names) != NULL;
}

/* Aggregates for which the order of their input is nothing. */
static bool is_orderless_aggregate(const PgQuery__FuncCall *call)
{
    static const char *const names[] = {"count", "max", "min", "bool_and", "bool_or", "every"};
    if (call->n_funcname > 1 && strcmp(sql_string(call->funcname[0]), "pg_catalog") != 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], sql_string(call->funcname[call->n_funcname - 1])) == 0)
            return call->over == NULL;
    return false;
}

/* Does a query's result depend on which of its rows come first? */
static bool depends_on_order(const PgQuery__SelectStmt *select)
{
    return select->limit_count || select->limit_offset || select->n_distinct_clause > 0 ||
           select->n_locking_clause > 0;
}

static bool visit(void *data, const sql_node *node)
{
    const bool *allows_queries = data;
    if (SQL_IS(node, sub_link) && !*allows_queries)
        return false;
    if (SQL_IS(node, select_stmt) && depends_on_order(AS_NODE(SelectStmt, node)))
        return false;
    if (SQL_IS(node, func_call) && !is_known(AS_NODE(FuncCall, node)) &&
        !(*allows_queries && is_orderless_aggregate(AS_NODE(FuncCall, node))))
        return false;
    return sql_children(node, visit, data);
}

bool is_repeatable(const sql_node *expression)
{
    bool allows_queries = false;
    return expression == NULL || visit(&allows_queries, expression);
}

bool is_deterministic(const sql_node *expression)
{
    bool allows_queries = true;
    return expression == NULL || visit(&allows_queries, expression);
}
