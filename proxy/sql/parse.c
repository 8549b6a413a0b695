/*
 * The door to libpg_query. The text is scanned first: the token stream is needed anyway, and gives
 * a bound on how deep the parser will recurse, before it does.
 */
#include "segue/sql/parse.h"

#include <pg_query.h>
#include <stdlib.h>

/* A setting of the lexer that libpg_query keeps from PostgreSQL, one per thread. */
extern __thread bool standard_conforming_strings;

/* ------------------------------------------------------------------ memory of the tree */

static void *tree_alloc(void *arena, size_t size)
{
    return arena_get(arena, size);
}

static void tree_free(void *arena, void *pointer)
{
    (void)arena, (void)pointer; /* given back with the arena */
}

/* ------------------------------------------------------------------ tokens */

static bool is_opening(PgQuery__Token kind)
{
    return kind == (PgQuery__Token)'(' || kind == (PgQuery__Token)'[';
}

static bool is_closing(PgQuery__Token kind)
{
    return kind == (PgQuery__Token)')' || kind == (PgQuery__Token)']';
}

static void copy_tokens(struct arena *arena, const PgQuery__ScanResult *scan, struct sql_tree *tree)
{
    tree->tokens = ARENA_NEW_ARRAY(arena, struct sql_tree_token, scan->n_tokens);
    uint16_t depth = 0;
    for (size_t i = 0; i < scan->n_tokens; i++) {
        const PgQuery__ScanToken *token = scan->tokens[i];
        if (token->token == PG_QUERY__TOKEN__SQL_COMMENT ||
            token->token == PG_QUERY__TOKEN__C_COMMENT)
            continue;
        if (is_closing(token->token) && depth > 0)
            depth--;
        tree->tokens[tree->token_count++] = (struct sql_tree_token){.start = (uint32_t)token->start,
                                                                    .end = (uint32_t)token->end,
                                                                    .kind = (uint16_t)token->token,
                                                                    .depth = depth};
        if (is_opening(token->token) && depth < UINT16_MAX)
            depth++;
    }
}

/* Tokens that can make the tree one level deeper. Those that surely cannot are named, so that a
 * forgotten one costs a false refusal at worst. */
static bool may_nest(const struct sql_tree_token *token)
{
    switch (token->kind) {
    case PG_QUERY__TOKEN__IDENT:
    case PG_QUERY__TOKEN__UIDENT:
    case PG_QUERY__TOKEN__FCONST:
    case PG_QUERY__TOKEN__SCONST:
    case PG_QUERY__TOKEN__USCONST:
    case PG_QUERY__TOKEN__BCONST:
    case PG_QUERY__TOKEN__XCONST:
    case PG_QUERY__TOKEN__ICONST:
    case PG_QUERY__TOKEN__PARAM:
    case PG_QUERY__TOKEN__NULL_P:
    case PG_QUERY__TOKEN__TRUE_P:
    case PG_QUERY__TOKEN__FALSE_P:
    case PG_QUERY__TOKEN__ROLE:
    case PG_QUERY__TOKEN__NAME_P:
    case PG_QUERY__TOKEN__TYPE_P:
    case PG_QUERY__TOKEN__AS:
    case PG_QUERY__TOKEN__SELECT: /* only behind a bracket or a UNION, which count */
    case PG_QUERY__TOKEN__ALL:
    case PG_QUERY__TOKEN__DISTINCT:
    case PG_QUERY__TOKEN__FROM:
    case PG_QUERY__TOKEN__LEFT: /* of JOIN, which counts */
    case PG_QUERY__TOKEN__INNER_P:
    case PG_QUERY__TOKEN__ON:
    case PG_QUERY__TOKEN__USING:
    case PG_QUERY__TOKEN__WHERE:
    case '.':
        return false;
    default:
        return true;
    }
}

/*
 * An upper bound on the depth of the tree: operators, joins and set operations between two commas
 * may each nest in the one before, brackets and CASE nest in what is around them. AND and OR do
 * not: the grammar makes flat lists of them.
 */
static bool depth_is_bounded(struct arena *arena, const struct sql_tree *tree)
{
    uint32_t *level = ARENA_NEW_ARRAY(arena, uint32_t, SQL_DEPTH_MAX + 2);
    size_t open = 0;
    size_t depth = 0;
    for (size_t i = 0; i < tree->token_count; i++) {
        const struct sql_tree_token *token = &tree->tokens[i];
        bool closes = is_closing(token->kind) || token->kind == PG_QUERY__TOKEN__END_P;
        bool opens = is_opening(token->kind) || token->kind == PG_QUERY__TOKEN__CASE;
        bool resets = token->kind == ',' || token->kind == ';' ||
                      token->kind == PG_QUERY__TOKEN__AND || token->kind == PG_QUERY__TOKEN__OR;
        if (closes) {
            depth -= level[open];
            level[open] = 0;
            if (open > 0)
                open--;
        } else if (resets) {
            uint32_t bracket = open > 0 ? 1 : 0;
            depth -= level[open] - bracket;
            level[open] = bracket;
        } else if (opens) {
            level[++open] = 1;
            depth++;
        } else if (may_nest(token)) {
            level[open]++;
            depth++;
        }
        if (depth > SQL_DEPTH_MAX)
            return false;
    }
    return true;
}

static bool set_parser_error(const PgQueryError *from, struct error *error)
{
    error_set(error, "42601", "%s", from->message ? from->message : "syntax error");
    if (error)
        error->position = from->cursorpos > 0 ? from->cursorpos : 0;
    return false;
}

static bool scan_text(struct arena *arena, struct sql_tree *tree, struct error *error)
{
    ProtobufCAllocator allocator = {tree_alloc, tree_free, arena};
    PgQueryScanResult result = pg_query_scan(tree->text);
    bool ok = true;
    if (result.error) {
        ok = set_parser_error(result.error, error);
    } else {
        PgQuery__ScanResult *scan = pg_query__scan_result__unpack(
            &allocator, result.pbuf.len, (const uint8_t *)result.pbuf.data);
        BUG_ON(scan == NULL);
        copy_tokens(arena, scan, tree);
    }
    pg_query_free_scan_result(result);
    return ok;
}

static bool parse_text(struct arena *arena, struct sql_tree *tree, struct error *error)
{
    ProtobufCAllocator allocator = {tree_alloc, tree_free, arena};
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(tree->text);
    bool ok = true;
    if (result.error) {
        ok = set_parser_error(result.error, error);
    } else {
        tree->result = pg_query__parse_result__unpack(&allocator, result.parse_tree.len,
                                                      (const uint8_t *)result.parse_tree.data);
        BUG_ON(tree->result == NULL);
    }
    pg_query_free_protobuf_parse_result(result);
    return ok;
}

bool sql_parse(struct arena *arena, struct slice text, bool conforming, struct sql_tree *tree,
               struct error *error)
{
    *tree = (struct sql_tree){.text = text.data, .length = (uint32_t)text.length};
    if (text.length > SQL_TEXT_MAX) {
        error_set(error, "54000", "statement of %zu bytes is too long to be rewritten",
                  text.length);
        error_hint(error,
                   "The ceiling is %d bytes for a text that names a table in transition; "
                   "send values as parameters, or fewer rows at a time.",
                   SQL_TEXT_MAX);
        return false;
    }
    standard_conforming_strings = conforming;
    if (!scan_text(arena, tree, error))
        return false;
    if (!depth_is_bounded(arena, tree)) {
        error_set(error, "54001", "statement is nested too deeply to be rewritten");
        error_hint(error,
                   "The ceiling is %d levels of brackets and chained operators; use "
                   "= ANY(array) or VALUES in place of a long chain.",
                   SQL_DEPTH_MAX);
        return false;
    }
    return parse_text(arena, tree, error);
}

int sql_position(struct slice text, uint32_t offset)
{
    int position = 1;
    for (size_t i = 0; i < offset && i < text.length; i++)
        if (((unsigned char)text.data[i] & 0xC0) != 0x80)
            position++;
    return position;
}
