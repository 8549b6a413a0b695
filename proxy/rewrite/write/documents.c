/*
 * What PostgreSQL makes of an assignment to doc['a'][1]: as jsonb_set does, but what is missing on
 * the way is made, an array where the key is a number; an array is filled with nulls up to a number
 * beyond its end, and one before its beginning is an error, as is a scalar on the way (22023: that
 * of jsonb_set on a scalar). A NULL becomes a document by what its first key is.
 */
#include "elements.h"

bool is_document(const struct transition_column *column)
{
    enum { JSONB = 3802 };
    return column->type_oid == JSONB;
}

static bool is_number_key(const PgQuery__ResTarget *target, size_t number)
{
    const sql_node *key =
        sql_unwrap(AS_NODE(AIndices, sql_unwrap(target->indirection[number]))->uidx);
    return AS_NODE(AConst, key)->val_case == PG_QUERY__A__CONST__VAL_IVAL;
}

/* Of anything but a literal it is not known whether it is a number to the server. */
bool is_known_path(const PgQuery__ResTarget *target)
{
    for (size_t i = 0; i < target->n_indirection; i++) {
        const sql_node *node = sql_unwrap(target->indirection[i]);
        if (!SQL_IS(node, a__indices) || AS_NODE(AIndices, node)->is_slice)
            return false;
        const sql_node *key = sql_unwrap(AS_NODE(AIndices, node)->uidx);
        if (!SQL_IS(key, a__const) || AS_NODE(AConst, key)->isnull ||
            (AS_NODE(AConst, key)->val_case != PG_QUERY__A__CONST__VAL_IVAL &&
             AS_NODE(AConst, key)->val_case != PG_QUERY__A__CONST__VAL_SVAL))
            return false;
    }
    return target->n_indirection > 0;
}

/* Does the server take the key for the number of an element? Only where it is an int4, with what
 * strtol() leaves out before it. */
static const char *is_number_sql(struct rewriter *rewriter, const char *key)
{
    return arena_format(rewriter->arena,
                        "CASE WHEN pg_catalog.textregexeq(%s, E'^[ \\t-\\r]*[+-]?0*[0-9]{1,10}$') "
                        "THEN %s::bigint BETWEEN -2147483648 AND 2147483647 ELSE false END",
                        key, key);
}

/*
 * The document on a level, and its key there. What is missing is made, and there a number counts
 * for nothing if it is negative. The value stands beside the first, so that nothing of ours is in
 * the scope of the client's text.
 */
static void add_level(struct rewriter *rewriter, struct text *out, const char *before,
                      const struct element *element, size_t level)
{
    const char *key = element_subscript(rewriter, element, level);
    if (level == 0) {
        text_add_format(
            out,
            "(SELECT coalesce(%s, '%s'::jsonb) AS b, (%s)::text AS k, coalesce(%s, 'null'::jsonb) "
            "AS v) AS segue_k0",
            before, is_number_key(element->target, level) ? "[]" : "{}", key,
            view_judged_sql(rewriter->arena, "jsonb", &element->value));
        return;
    }
    const char *is_number = is_number_sql(rewriter, "segue_n.k");
    text_add_format(out,
                    "(SELECT coalesce(segue_n.b, CASE WHEN %s THEN '[]'::jsonb ELSE '{}'::jsonb "
                    "END) AS b, CASE WHEN segue_n.b IS NULL AND %s THEN CASE WHEN "
                    "segue_n.k::bigint < 0 THEN '0' ELSE segue_n.k END ELSE segue_n.k END AS k "
                    "FROM (SELECT %s AS b, (%s)::text AS k) AS segue_n) AS segue_k%zu",
                    is_number, is_number, before, key, level);
}

/* An array that reaches as far as the key, which is a number; a scalar where it is one before its
 * beginning. */
static void add_filled(struct rewriter *rewriter, struct text *out, const char *alias)
{
    text_add_format(
        out,
        "CASE WHEN pg_catalog.jsonb_typeof(%s.b) = 'array' AND %s THEN CASE WHEN %s.k::bigint < "
        "-pg_catalog.jsonb_array_length(%s.b) THEN '0'::jsonb WHEN %s.k::bigint > "
        "pg_catalog.jsonb_array_length(%s.b) THEN pg_catalog.jsonb_concat(%s.b, "
        "(SELECT pg_catalog.jsonb_agg(NULL::text) FROM "
        "pg_catalog.generate_series(pg_catalog.jsonb_array_length(%s.b)::bigint + 1, "
        "%s.k::bigint))) ELSE %s.b END ELSE %s.b END",
        alias, is_number_sql(rewriter, arena_format(rewriter->arena, "%s.k", alias)), alias, alias,
        alias, alias, alias, alias, alias, alias, alias);
}

static const char *path_sql(struct rewriter *rewriter, const char *before,
                            const struct element *element, size_t level)
{
    const char *alias = arena_format(rewriter->arena, "segue_k%zu", level);
    const char *rest =
        level + 1 < element->target->n_indirection
            ? path_sql(rewriter,
                       arena_format(rewriter->arena, "pg_catalog.jsonb_extract_path(%s.b, %s.k)",
                                    alias, alias),
                       element, level + 1)
            : "segue_k0.v";
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    text_add_string(&out, "(SELECT pg_catalog.jsonb_set(");
    add_filled(rewriter, &out, alias);
    text_add_format(&out, ", ARRAY[%s.k], %s, true) FROM ", alias, rest);
    add_level(rewriter, &out, before, element, level);
    text_add_char(&out, ')');
    return keep_text(rewriter, &out);
}

const char *document_sql(struct rewriter *rewriter, const char *before,
                         const struct element *elements, size_t count)
{
    const char *document = arena_format(rewriter->arena, "(%s)::jsonb", before);
    for (size_t i = 0; i < count; i++)
        document = path_sql(rewriter, document, &elements[i], 0);
    return document;
}
