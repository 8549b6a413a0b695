/* Finding ends in the token stream: nodes of the tree carry where they start, not where they end.
 */
#include "segue/sql/parse.h"

size_t sql_token_at(const struct sql_tree *tree, uint32_t offset)
{
    size_t low = 0, high = tree->token_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree->tokens[middle].start < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t sql_token_closing(const struct sql_tree *tree, size_t token)
{
    for (size_t i = token + 1; i < tree->token_count; i++)
        if (tree->tokens[i].depth == tree->tokens[token].depth &&
            (tree->tokens[i].kind == ')' || tree->tokens[i].kind == ']'))
            return i;
    return tree->token_count;
}

/* After these a keyword is a name: `AS from`, `u.from`. */
static bool makes_a_name(const struct sql_tree *tree, size_t token, size_t first)
{
    return token > first && (tree->tokens[token - 1].kind == PG_QUERY__TOKEN__AS ||
                             tree->tokens[token - 1].kind == '.');
}

/* How deep in CASE .. END the token lies, where it does so `cases` levels deep before it. */
static unsigned count_case(const struct sql_tree *tree, size_t token, size_t first, unsigned cases)
{
    if (makes_a_name(tree, token, first))
        return cases;
    if (tree->tokens[token].kind == PG_QUERY__TOKEN__CASE)
        return cases + 1;
    return tree->tokens[token].kind == PG_QUERY__TOKEN__END_P && cases > 0 ? cases - 1 : cases;
}

static bool begins_clause(const struct sql_tree *tree, size_t token, size_t first)
{
    uint16_t before = token > first ? tree->tokens[token - 1].kind : 0;
    switch (tree->tokens[token].kind) {
    case PG_QUERY__TOKEN__FROM:
        return before != PG_QUERY__TOKEN__DISTINCT; /* IS [NOT] DISTINCT FROM */
    case PG_QUERY__TOKEN__GROUP_P:
        return before != PG_QUERY__TOKEN__WITHIN;
    case PG_QUERY__TOKEN__WITH: { /* CREATE TABLE .. AS SELECT .. WITH NO DATA */
        uint16_t after = token + 1 < tree->token_count ? tree->tokens[token + 1].kind : 0;
        return after == PG_QUERY__TOKEN__NO || after == PG_QUERY__TOKEN__DATA_P;
    }
    case PG_QUERY__TOKEN__ON: /* CONFLICT */
    case PG_QUERY__TOKEN__INTO:
    case PG_QUERY__TOKEN__WHERE:
    case PG_QUERY__TOKEN__HAVING:
    case PG_QUERY__TOKEN__WINDOW:
    case PG_QUERY__TOKEN__UNION:
    case PG_QUERY__TOKEN__INTERSECT:
    case PG_QUERY__TOKEN__EXCEPT:
    case PG_QUERY__TOKEN__ORDER:
    case PG_QUERY__TOKEN__LIMIT:
    case PG_QUERY__TOKEN__OFFSET:
    case PG_QUERY__TOKEN__FETCH:
    case PG_QUERY__TOKEN__FOR:
    case PG_QUERY__TOKEN__RETURNING:
        return true;
    default:
        return false;
    }
}

size_t sql_item_end(const struct sql_tree *tree, size_t token)
{
    if (token >= tree->token_count)
        return tree->token_count;
    uint16_t depth = tree->tokens[token].depth;
    unsigned cases = 0;
    for (size_t i = token; i < tree->token_count; i++) {
        const struct sql_tree_token *at = &tree->tokens[i];
        if (at->depth < depth)
            return i;
        if (at->depth > depth)
            continue;
        cases = count_case(tree, i, token, cases);
        if (at->kind == ',' || at->kind == ';')
            return i;
        if (at->kind == PG_QUERY__TOKEN__WHEN && cases == 0 && !makes_a_name(tree, i, token))
            return i; /* of MERGE */
        if (i > token && !makes_a_name(tree, i, token) && begins_clause(tree, i, token))
            return i;
    }
    return tree->token_count;
}

size_t sql_name_end(const struct sql_tree *tree, size_t token)
{
    size_t end = token + 1;
    while (end + 1 < tree->token_count && tree->tokens[end].kind == '.')
        end += 2;
    return end;
}
