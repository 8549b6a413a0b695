/*
 * Walking the tree by what protobuf-c knows of its messages, so that a node type which is not
 * thought of here is still walked through.
 */
#include "segue/sql/parse.h"

const sql_node *sql_unwrap(const PgQuery__Node *node)
{
    if (!node || node->node_case == PG_QUERY__NODE__NODE__NOT_SET)
        return NULL;
    return &node->alias->base; /* every member of the union points to a message */
}

const char *sql_string(const PgQuery__Node *node)
{
    if (!node || node->node_case != PG_QUERY__NODE__NODE_STRING)
        return NULL;
    return node->string->sval;
}

static const sql_node *take_wrapper_off(const sql_node *node)
{
    if (!SQL_IS(node, node))
        return node;
    return sql_unwrap((const PgQuery__Node *)(const void *)node);
}

static bool visit_one(const sql_node *child, sql_visit visit, void *data)
{
    child = take_wrapper_off(child);
    return child == NULL || visit(data, child);
}

static bool visit_field(const sql_node *node, const ProtobufCFieldDescriptor *field,
                        sql_visit visit, void *data)
{
    const char *bytes = (const char *)node;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = *(const size_t *)(const void *)(bytes + field->quantifier_offset);
        const sql_node *const *children =
            *(const sql_node *const *const *)(const void *)(bytes + field->offset);
        for (size_t i = 0; i < count; i++)
            if (!visit_one(children[i], visit, data))
                return false;
        return true;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t set = *(const uint32_t *)(const void *)(bytes + field->quantifier_offset);
        if (set != field->id)
            return true;
    }
    return visit_one(*(const sql_node *const *)(const void *)(bytes + field->offset), visit, data);
}

bool sql_children(const sql_node *node, sql_visit visit, void *data)
{
    const ProtobufCMessageDescriptor *type = node->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
            !visit_field(node, &type->fields[i], visit, data))
            return false;
    return true;
}
