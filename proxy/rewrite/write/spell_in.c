/* Each part keeps being an IN: `x = v` would be the same but where transform_null_equals is set. */
#include "spell_in.h"

struct spelling {
    struct rewriter *rewriter;
    struct client_value *value;
    int32_t location; /* of the IN that cannot be spelled out */
    bool any;
};

static bool has_none_of(void *data, const sql_node *node)
{
    const ProtobufCMessageDescriptor *type = data;
    return node->descriptor != type && sql_children(node, has_none_of, data);
}

static bool has_column(const sql_node *node)
{
    return !has_none_of((void *)(uintptr_t)&pg_query__column_ref__descriptor, node);
}

static bool has_query(const sql_node *node)
{
    return !has_none_of((void *)(uintptr_t)&pg_query__sub_link__descriptor, node);
}

/* ------------------------------------------------------------------ where the left side begins */

struct leftmost {
    uint32_t from, found;
};

/* Every node that begins an expression tells where; those that the grammar makes up tell nothing,
 * which is a place outside of the value. */
static bool find_leftmost(void *data, const sql_node *node)
{
    struct leftmost *leftmost = data;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(node->descriptor, "location");
    if (field) {
        int32_t location = *(const int32_t *)(const void *)((const char *)node + field->offset);
        if (location >= (int32_t)leftmost->from && (uint32_t)location < leftmost->found)
            leftmost->found = (uint32_t)location;
    }
    return sql_children(node, find_leftmost, data);
}

/* The first token of what stands before the token `at`, brackets and all. */
static size_t left_side(const struct spelling *spelling, const sql_node *node, size_t at)
{
    const struct sql_tree *tree = &spelling->rewriter->tree;
    struct leftmost leftmost = {spelling->value->start, tree->tokens[at].start};
    (void)find_leftmost(&leftmost, node);
    size_t first = sql_token_at(tree, leftmost.found);
    while (tree->tokens[first].depth > tree->tokens[at].depth)
        first--;
    return first;
}

/* ------------------------------------------------------------------ one IN */

struct in {
    const PgQuery__List *items;
    size_t first, at, open; /* tokens: of the left side, IN or NOT, and the list's bracket */
    struct item_range *ranges;
    size_t constant_count;
};

static const char *text_of(struct rewriter *rewriter, size_t first, size_t end)
{
    return edits_render(&rewriter->edits, 0, token_start(rewriter, first),
                        token_end(rewriter, end - 1));
}

static void add_item(struct rewriter *rewriter, const struct in *in, size_t item, struct text *out)
{
    text_add_string(out, text_of(rewriter, in->ranges[item].first, in->ranges[item].end));
}

/* "x IN (", behind what came before. */
static void begin_part(struct rewriter *rewriter, const struct in *in, struct text *out)
{
    bool is_not = token_kind(rewriter, in->at) != PG_QUERY__TOKEN__IN_P;
    text_add_format(out, "%s%s %s (", out->length > 1 ? is_not ? " AND " : " OR " : "",
                    text_of(rewriter, in->first, in->at), is_not ? "NOT IN" : "IN");
}

static void spell_parts(struct rewriter *rewriter, const struct in *in)
{
    bool is_together = in->constant_count > 1; /* one alone is compared in its turn */
    const char *separator = "";
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    text_add_char(&out, '(');
    if (is_together) {
        begin_part(rewriter, in, &out);
        for (size_t i = 0; i < in->items->n_items; i++) {
            if (has_column(sql_unwrap(in->items->items[i])))
                continue;
            text_add_string(&out, separator);
            add_item(rewriter, in, i, &out);
            separator = ", ";
        }
        text_add_char(&out, ')');
    }
    for (size_t i = 0; i < in->items->n_items; i++) {
        if (is_together && !has_column(sql_unwrap(in->items->items[i])))
            continue;
        begin_part(rewriter, in, &out);
        add_item(rewriter, in, i, &out);
        text_add_char(&out, ')');
    }
    text_add_char(&out, ')');
    size_t closing = sql_token_closing(&rewriter->tree, in->open);
    edits_replace(&rewriter->edits, token_start(rewriter, in->first), token_end(rewriter, closing),
                  arena_string_range(rewriter->arena, out.data, out.length));
    text_release(&out);
}

static bool spell_one(struct spelling *spelling, const PgQuery__AExpr *node,
                      const PgQuery__List *items)
{
    struct rewriter *rewriter = spelling->rewriter;
    struct in in = {.items = items};
    for (size_t i = 0; i < items->n_items; i++) {
        const sql_node *item = sql_unwrap(items->items[i]);
        bool is_column = has_column(item);
        in.constant_count += !is_column;
        if (is_column && has_query(item)) { /* is a column in it of the statement's level? */
            spelling->location = node->location;
            return false;
        }
    }
    in.at = sql_token_at(&rewriter->tree, (uint32_t)node->location);
    in.open = in.at + (token_kind(rewriter, in.at) == PG_QUERY__TOKEN__IN_P ? 1 : 2);
    in.first = left_side(spelling, sql_unwrap(node->lexpr), in.at);
    size_t count;
    in.ranges = split_items(rewriter, in.open, &count);
    BUG_ON(count != items->n_items);
    spell_parts(rewriter, &in);
    spelling->any = true;
    return true;
}

/* Of at least two items, one of them with a column. */
static const PgQuery__List *items_with_column(const sql_node *node)
{
    const PgQuery__AExpr *in = SQL_IS(node, a__expr) ? AS_NODE(AExpr, node) : NULL;
    if (!in || in->kind != PG_QUERY__A__EXPR__KIND__AEXPR_IN)
        return NULL;
    const PgQuery__List *items = AS_NODE(List, sql_unwrap(in->rexpr));
    return items->n_items < 2 || !has_column(&items->base) ? NULL : items;
}

/* From inside to outside, so that an outer one has the inner ones as they are spelled. */
static bool spell_node(void *data, const sql_node *node)
{
    if (SQL_IS(node, select_stmt))
        return true; /* a level deeper in either */
    if (!sql_children(node, spell_node, data))
        return false;
    const PgQuery__List *items = items_with_column(node);
    return !items || spell_one(data, AS_NODE(AExpr, node), items);
}

static bool has_no_in(void *data, const sql_node *node)
{
    return SQL_IS(node, select_stmt) ||
           (!items_with_column(node) && sql_children(node, has_no_in, data));
}

bool has_in_over_columns(const sql_node *node)
{
    return node && !has_no_in(NULL, node);
}

bool spell_in(struct rewriter *rewriter, struct client_value *value, int32_t *location)
{
    struct spelling spelling = {.rewriter = rewriter, .value = value};
    if (value->node && !spell_node(&spelling, value->node)) {
        *location = spelling.location;
        return false;
    }
    if (spelling.any)
        value->sql = edits_render(&rewriter->edits, 0, value->start, value->end);
    return true;
}
