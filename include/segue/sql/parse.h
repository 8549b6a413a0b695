/*
 * Parsing a text of SQL: the tree of libpg_query and the tokens it was made of.
 *
 * Other rooms may look into the tree (its types are in pg_query.pb-c.h); only this one calls the
 * library. Locations in the tree and in tokens are byte offsets into the text.
 */
#ifndef SEGUE_SQL_PARSE_H
#define SEGUE_SQL_PARSE_H

#include "segue/base/arena.h"

#include <pg_query/pg_query.pb-c.h>
#include <stdint.h>

enum {
    SQL_TEXT_MAX = 64 << 20, /* bytes of a text that is parsed; 54000 beyond */
    SQL_DEPTH_MAX = 4000     /* levels of nesting; 54001 beyond. The parser recurses: with the 64 MB
                                stack of a worker that is 16 kB a level, with 8 MB 2 kB */
};

/* Comments are left out. `depth` is the number of brackets open before the token: an opening
 * bracket and its closing one have the same. */
struct sql_tree_token {
    uint32_t start, end;
    uint16_t kind; /* PgQuery__Token; brackets, commas and the like are their ASCII code */
    uint16_t depth;
};

struct sql_tree {
    const char *text;
    uint32_t length;
    PgQuery__ParseResult *result;
    size_t token_count;
    struct sql_tree_token *tokens;
};

/*
 * Parses `text` (NUL-terminated at text.data[text.length]) as PostgreSQL 15 does. The tree lives in
 * the arena. False with the parser's own message and position (42601), or a ceiling (54000, 54001).
 */
bool sql_parse(struct arena *arena, struct slice text, bool standard_conforming_strings,
               struct sql_tree *tree, struct error *error) MUST_CHECK;

/* Index of the first token that starts at or after `offset`; token_count where there is none. */
size_t sql_token_at(const struct sql_tree *tree, uint32_t offset);
/* Index of the bracket that closes the one at `token`; token_count where there is none. */
size_t sql_token_closing(const struct sql_tree *tree, size_t token);
/*
 * Where the item that starts with `token` ends, as an index one past its last token: an item of a
 * target list, SET list, VALUES row or argument list ends at the comma or bracket of its own depth,
 * or where the next clause begins.
 */
size_t sql_item_end(const struct sql_tree *tree, size_t token);
/* One past the last token of a dotted name that starts with `token`: name (. name | . *)*. */
size_t sql_name_end(const struct sql_tree *tree, size_t token);

/*
 * Nodes. A `sql_node` is any message of the tree, never the Node wrapper itself; its type is its
 * descriptor: SQL_IS(node, column_ref).
 */
typedef ProtobufCMessage sql_node;
#define SQL_IS(node, type) ((node) != NULL && (node)->descriptor == &pg_query__##type##__descriptor)

/* Takes the wrapper off; NULL gives NULL. */
const sql_node *sql_unwrap(const PgQuery__Node *node);
/* Calls `visit` for each child that there is, wrappers taken off. Stops at the first false, and
 * gives it. */
typedef bool (*sql_visit)(void *data, const sql_node *node);
bool sql_children(const sql_node *node, sql_visit visit, void *data);
/* The string of a String node; NULL for any other. */
const char *sql_string(const PgQuery__Node *node);

#endif
