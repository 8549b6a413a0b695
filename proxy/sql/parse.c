/*
 * The door to libpg_query. The text is scanned first, by our own scanner, which makes no message of
 * every token as the library's does: the token stream is needed anyway, and gives a bound on how
 * deep the parser will recurse, before it does.
 */
#include "segue/sql/parse.h"

#include "token_type.h"

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

static bool is_opening(uint16_t kind)
{
    return kind == '(' || kind == '[';
}

static bool is_closing(uint16_t kind)
{
    return kind == ')' || kind == ']';
}

static void add_token(struct arena *arena, struct sql_tree *tree, size_t *room,
                      struct sql_tree_token token)
{
    if (tree->token_count == *room) {
        const struct sql_tree_token *before = tree->tokens;
        *room = *room ? *room * 2 : tree->length / 4 + 16;
        tree->tokens = ARENA_NEW_ARRAY(arena, struct sql_tree_token, *room);
        if (before)
            memcpy(tree->tokens, before, tree->token_count * sizeof *before);
    }
    tree->tokens[tree->token_count++] = token;
}

/* May UESCAPE follow the last token? U&"a!00e4" UESCAPE '!' is one name, as it is to the grammar.
 */
static bool takes_escape(const struct sql_tree *tree)
{
    if (tree->token_count == 0)
        return false;
    const struct sql_tree_token *last = &tree->tokens[tree->token_count - 1];
    return last->end - last->start > 2 && tree->text[last->start + 1] == '&' &&
           (tree->text[last->start] | 0x20) == 'u';
}

/* False where the text ends in the middle of a token, or holds what is none: the parser says so,
 * in its own words. */
static bool scan_text(struct arena *arena, bool conforming, struct sql_tree *tree)
{
    struct sql_scanner scanner;
    sql_scanner_init(&scanner, (struct slice){tree->text, tree->length}, conforming);
    size_t room = 0;
    uint16_t depth = 0;
    bool is_escape = false;
    struct sql_token token;
    while ((token = sql_scanner_next(&scanner)).kind > SQL_TOKEN_ERROR) {
        if (token.kind == SQL_TOKEN_COMMENT)
            continue;
        uint16_t kind = sql_token_type(tree->text, tree->length, &token);
        if (is_escape) {
            tree->tokens[tree->token_count - 1].end = token.end;
            is_escape = false;
            continue;
        }
        is_escape = kind == PG_QUERY__TOKEN__UESCAPE && takes_escape(tree);
        if (is_escape)
            continue;
        if (is_closing(kind) && depth > 0)
            depth--;
        add_token(arena, tree, &room,
                  (struct sql_tree_token){
                      .start = token.start, .end = token.end, .kind = kind, .depth = depth});
        if (is_opening(kind) && depth < UINT16_MAX)
            depth++;
    }
    return token.kind == SQL_TOKEN_END;
}

/* ------------------------------------------------------------------ depth */

/* Tokens that can make the tree one level deeper. Those that surely cannot are named, so that a
 * forgotten one costs a false refusal at worst. */
static bool may_nest(uint16_t kind)
{
    switch (kind) {
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

/* Joins and set operations nest in the one before, whatever stands between them. */
static bool chains(uint16_t kind)
{
    return kind == PG_QUERY__TOKEN__JOIN || kind == PG_QUERY__TOKEN__UNION ||
           kind == PG_QUERY__TOKEN__INTERSECT || kind == PG_QUERY__TOKEN__EXCEPT;
}

/* What is open: a statement, a bracket, a CASE. */
struct level {
    uint32_t depth;   /* that it adds: itself, and what nests since the last comma */
    uint32_t chained; /* that it adds until it is closed */
    bool is_case;
};

struct nesting {
    struct level *levels;
    size_t open;
    size_t depth; /* of all levels together */
};

static void open_level(struct nesting *nesting, bool is_case)
{
    nesting->levels[++nesting->open] = (struct level){.depth = 1, .is_case = is_case};
    nesting->depth++;
}

static void close_level(struct nesting *nesting)
{
    const struct level *level = &nesting->levels[nesting->open];
    nesting->depth -= level->depth + level->chained;
    nesting->open--;
}

/* A CASE that is still open was a name. */
static void close_bracket(struct nesting *nesting)
{
    while (nesting->open > 0 && nesting->levels[nesting->open].is_case)
        close_level(nesting);
    if (nesting->open > 0)
        close_level(nesting);
}

static void begin_item(struct nesting *nesting, bool is_statement)
{
    struct level *level = &nesting->levels[nesting->open];
    uint32_t own = nesting->open > 0 ? 1 : 0;
    nesting->depth -= level->depth - own;
    level->depth = own;
    if (is_statement) {
        nesting->depth -= level->chained;
        level->chained = 0;
    }
}

/*
 * An upper bound on the depth of the tree: operators between two commas may each nest in the one
 * before, brackets and CASE nest in what is around them, and so do joins and set operations. AND
 * and OR do not: the grammar makes flat lists of them.
 */
static bool depth_is_bounded(struct arena *arena, const struct sql_tree *tree)
{
    struct nesting nesting = {.levels = ARENA_NEW_ARRAY(arena, struct level, SQL_DEPTH_MAX + 2)};
    uint16_t before = 0;
    for (size_t i = 0; i < tree->token_count && nesting.depth <= SQL_DEPTH_MAX; i++) {
        uint16_t kind = tree->tokens[i].kind;
        bool is_name = before == '.' || before == PG_QUERY__TOKEN__AS; /* u.end, AS case */
        before = kind;
        if (is_closing(kind))
            close_bracket(&nesting);
        else if (is_opening(kind))
            open_level(&nesting, false);
        else if (kind == PG_QUERY__TOKEN__CASE && !is_name)
            open_level(&nesting, true);
        else if (kind == PG_QUERY__TOKEN__END_P && !is_name && nesting.levels[nesting.open].is_case)
            close_level(&nesting);
        else if (kind == ',' || kind == ';' || kind == PG_QUERY__TOKEN__AND ||
                 kind == PG_QUERY__TOKEN__OR)
            begin_item(&nesting, kind == ';');
        else if (chains(kind))
            nesting.levels[nesting.open].chained++, nesting.depth++;
        else if (may_nest(kind))
            nesting.levels[nesting.open].depth++, nesting.depth++;
    }
    return nesting.depth <= SQL_DEPTH_MAX;
}

/* ------------------------------------------------------------------ parsing */

static bool set_parser_error(const PgQueryError *from, struct error *error)
{
    error_set(error, "42601", "%s", from->message ? from->message : "syntax error");
    if (error)
        error->position = from->cursorpos > 0 ? from->cursorpos : 0;
    return false;
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
    bool scanned = scan_text(arena, conforming, tree);
    if (!depth_is_bounded(arena, tree)) {
        error_set(error, "54001", "statement is nested too deeply to be rewritten");
        error_hint(error,
                   "The ceiling is %d levels of brackets and chained operators; use "
                   "= ANY(array) or VALUES in place of a long chain.",
                   SQL_DEPTH_MAX);
        return false;
    }
    standard_conforming_strings = conforming;
    if (!parse_text(arena, tree, error))
        return false;
    if (!scanned)
        error_set(error, "0A000", "the statement could not be taken apart");
    return scanned;
}
