/*
 * What the WHERE of a COPY FROM names. It sees one table and no sub-selects, so a reference is the
 * column, or is qualified by the table's name; anything else is the server's error.
 */
#include "copy.h"

struct walk {
    struct copying *at;
    copy_reference_callback callback;
    void *data;
};

/* Are the fields before the last one the table's own name? */
static bool is_table_name(const struct copying *at, const PgQuery__ColumnRef *node, size_t count)
{
    const struct catalog_table *table = at->view->table;
    if (count == 0 || count > 2)
        return false;
    const char *name = sql_string(node->fields[count - 1]);
    const char *schema = count == 2 ? sql_string(node->fields[0]) : table->schema;
    return name && schema && strcmp(name, table->name) == 0 && strcmp(schema, table->schema) == 0;
}

static bool meet_reference(const struct walk *walk, const PgQuery__ColumnRef *node)
{
    struct copying *at = walk->at;
    struct copy_reference reference = {.node = node};
    size_t last = node->n_fields - 1;
    const char *name = sql_string(node->fields[last]);
    if (node->n_fields == 1) {
        bool is_row = !view_find(at->view, name) && strcmp(name, at->view->table->name) == 0;
        reference.name = is_row ? NULL : name;
    } else if (is_table_name(at, node, last)) {
        reference.name = name;
        reference.is_qualified = true;
    } else if (is_table_name(at, node, node->n_fields)) {
        reference.name = NULL;
    } else {
        return true;
    }
    reference.column = reference.name ? view_find(at->view, reference.name) : NULL;
    return walk->callback(at, &reference, walk->data);
}

static bool look_at(void *data, const sql_node *node)
{
    if (SQL_IS(node, column_ref))
        return meet_reference(data, AS_NODE(ColumnRef, node));
    return sql_children(node, look_at, data);
}

bool copy_where_references(struct copying *at, copy_reference_callback callback, void *data)
{
    struct walk walk = {at, callback, data};
    const sql_node *condition = sql_unwrap(at->copy->where_clause);
    return !condition || look_at(&walk, condition);
}
