/*
 * Statements that are neither queries nor hold one. Those that touch a table in transition and
 * would outlive the phase, or alter what the transition stands on, are refused; the rest is let
 * through.
 */
#include "rewriter.h"

#include "cache/words.h"

/* ------------------------------------------------------------------ is the table mentioned? */

struct search {
    struct rewriter *rewriter;
    const sql_node *ignored; /* the name of what is being created */
    const struct view *view;
    int32_t location;
};

static bool is_table(struct search *search, const PgQuery__RangeVar *range)
{
    const struct catalog_table *table = find_table(search->rewriter, range);
    const struct view *view = table ? view_of(search->rewriter, table) : NULL;
    if (!view)
        return false;
    search->view = view;
    search->location = range->location;
    return true;
}

static bool is_row_type(struct search *search, const PgQuery__TypeName *type)
{
    if (type->n_names == 0 || type->n_names > 2)
        return false;
    PgQuery__RangeVar range = PG_QUERY__RANGE_VAR__INIT;
    range.relname = (char *)(uintptr_t)sql_string(type->names[type->n_names - 1]);
    if (type->n_names == 2)
        range.schemaname = (char *)(uintptr_t)sql_string(type->names[0]);
    range.location = type->location;
    return is_table(search, &range);
}

static bool look_at(void *data, const sql_node *node)
{
    struct search *search = data;
    if (node == search->ignored)
        return true;
    if (SQL_IS(node, range_var))
        return !is_table(search, AS_NODE(RangeVar, node));
    if (SQL_IS(node, type_name))
        return !is_row_type(search, AS_NODE(TypeName, node));
    if (SQL_IS(node, into_clause))
        return true;
    return sql_children(node, look_at, search);
}

static const sql_node *name_being_made(const sql_node *statement)
{
    if (SQL_IS(statement, create_stmt))
        return &AS_NODE(CreateStmt, statement)->relation->base;
    if (SQL_IS(statement, view_stmt))
        return &AS_NODE(ViewStmt, statement)->view->base;
    return NULL;
}

static bool search_table(struct search *search, const sql_node *statement)
{
    search->ignored = name_being_made(statement);
    return !look_at(search, statement);
}

bool mentions_table(struct rewriter *rewriter, const sql_node *statement, const struct view **view,
                    int32_t *location)
{
    struct search search = {.rewriter = rewriter};
    bool found = search_table(&search, statement);
    *view = search.view;
    *location = search.location;
    return found;
}

/* ------------------------------------------------------------------ are its columns named? */

static bool is_transition_column(const struct view *view, const char *name)
{
    if (view_hides(view, name))
        return true;
    const struct view_column *column = view_find(view, name);
    return column && column->transition;
}

static bool names_no_column(void *data, const sql_node *node)
{
    const struct view *view = data;
    const ProtobufCMessageDescriptor *type = node->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING || field->label == PROTOBUF_C_LABEL_REPEATED)
            continue;
        const char *string =
            *(const char *const *)(const void *)((const char *)node + field->offset);
        if (string && is_transition_column(view, string))
            return false;
    }
    return sql_children(node, names_no_column, data);
}

/* ------------------------------------------------------------------ by kind */

/* What the user calls the statement. */
static const char *statement_name(const sql_node *statement)
{
    static const struct {
        const ProtobufCMessageDescriptor *kind;
        const char *name;
    } names[] = {
        {&pg_query__alter_table_stmt__descriptor, "ALTER TABLE"},
        {&pg_query__rename_stmt__descriptor, "ALTER TABLE .. RENAME"},
        {&pg_query__view_stmt__descriptor, "CREATE VIEW"},
        {&pg_query__rule_stmt__descriptor, "CREATE RULE"},
        {&pg_query__index_stmt__descriptor, "CREATE INDEX"},
        {&pg_query__create_trig_stmt__descriptor, "CREATE TRIGGER"},
        {&pg_query__grant_stmt__descriptor, "GRANT or REVOKE"},
        {&pg_query__create_stats_stmt__descriptor, "CREATE STATISTICS"},
        {&pg_query__create_policy_stmt__descriptor, "CREATE POLICY"},
        {&pg_query__alter_policy_stmt__descriptor, "ALTER POLICY"},
        {&pg_query__create_publication_stmt__descriptor, "CREATE PUBLICATION"},
        {&pg_query__alter_publication_stmt__descriptor, "ALTER PUBLICATION"},
        {&pg_query__alter_object_schema_stmt__descriptor, "ALTER .. SET SCHEMA"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (statement->descriptor == names[i].kind)
            return names[i].name;
    return "a statement of this kind";
}

static bool refuse_column(struct rewriter *rewriter, const struct search *search,
                          const sql_node *statement)
{
    return refuse(
        rewriter, search->location,
        arena_format(rewriter->arena, "%s on a column in transition", statement_name(statement)));
}

/* A partition may come and go. */
static bool is_child(const struct view *view)
{
    uint32_t oid = view->transitions[0].at->transition->table_oid;
    return oid && oid != view->table->oid;
}

/* The names of the objects of DROP TABLE: lists of strings. */
static bool drops_table(struct search *search, const PgQuery__DropStmt *drop)
{
    if (drop->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
        return false;
    for (size_t i = 0; i < drop->n_objects; i++) {
        const PgQuery__List *names = drop->objects[i]->list;
        PgQuery__RangeVar range = PG_QUERY__RANGE_VAR__INIT;
        range.relname = (char *)(uintptr_t)sql_string(names->items[names->n_items - 1]);
        if (names->n_items > 1)
            range.schemaname = (char *)(uintptr_t)sql_string(names->items[names->n_items - 2]);
        range.location = -1;
        if (is_table(search, &range) && !is_child(search->view))
            return true;
    }
    return false;
}

static bool check_alter_table(struct rewriter *rewriter, const PgQuery__AlterTableStmt *alter)
{
    struct search search = {.rewriter = rewriter};
    if (!is_table(&search, alter->relation) ||
        names_no_column((void *)(uintptr_t)search.view, &alter->base))
        return true;
    return refuse_column(rewriter, &search, &alter->base);
}

/* A new partition has the table's columns, by nature. */
static bool is_plain_partition(const PgQuery__CreateStmt *create, const struct view *view)
{
    return create->partbound && names_no_column((void *)(uintptr_t)view, &create->base);
}

static bool check_create_table(struct rewriter *rewriter, const PgQuery__CreateStmt *create)
{
    struct search search = {.rewriter = rewriter};
    for (size_t i = 0; i < create->n_inh_relations; i++)
        if (!look_at(&search, sql_unwrap(create->inh_relations[i])) &&
            !is_plain_partition(create, search.view))
            return refuse(rewriter, search.location, "CREATE TABLE as a child of the table");
    for (size_t i = 0; i < create->n_table_elts; i++) {
        const sql_node *element = sql_unwrap(create->table_elts[i]);
        if (SQL_IS(element, table_like_clause) && !look_at(&search, element))
            return refuse(rewriter, search.location, "CREATE TABLE (LIKE the table)");
    }
    return true;
}

static bool check_rename(struct rewriter *rewriter, const PgQuery__RenameStmt *rename)
{
    struct search search = {.rewriter = rewriter};
    if (!rename->relation || !is_table(&search, rename->relation))
        return true;
    if (rename->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
        return refuse(rewriter, search.location, "ALTER TABLE .. RENAME");
    if (names_no_column((void *)(uintptr_t)search.view, &rename->base))
        return true;
    return refuse_column(rewriter, &search, &rename->base);
}

/* The text of a function or DO block: the statements in it pass by unseen. */
static bool body_mentions(void *data, const sql_node *node)
{
    struct rewriter *rewriter = data;
    if (SQL_IS(node, string)) {
        const char *body = AS_NODE(String, node)->sval;
        if (words_name_table(rewriter->context->snapshot, slice_of(body)))
            return false;
    }
    return sql_children(node, body_mentions, data);
}

static bool check_function(struct rewriter *rewriter, const sql_node *statement)
{
    struct search search = {.rewriter = rewriter};
    if (search_table(&search, statement))
        return refuse(rewriter, search.location,
                      "a function over the table, which would outlive the phase,");
    PgQuery__Node *const *options = SQL_IS(statement, do_stmt)
                                        ? AS_NODE(DoStmt, statement)->args
                                        : AS_NODE(CreateFunctionStmt, statement)->options;
    size_t count = SQL_IS(statement, do_stmt) ? AS_NODE(DoStmt, statement)->n_args
                                              : AS_NODE(CreateFunctionStmt, statement)->n_options;
    for (size_t i = 0; i < count; i++) {
        const sql_node *option = sql_unwrap(options[i]);
        if (!SQL_IS(option, def_elem) || strcmp(AS_NODE(DefElem, option)->defname, "as") != 0 ||
            body_mentions(rewriter, option))
            continue;
        return refuse(rewriter, -1,
                      SQL_IS(statement, do_stmt) ? "DO with a body that names the table"
                                                 : "a function with a body that names the table");
    }
    return true;
}

static bool is_harmless(const sql_node *statement)
{
    return SQL_IS(statement, truncate_stmt) || SQL_IS(statement, vacuum_stmt) ||
           SQL_IS(statement, lock_stmt) || SQL_IS(statement, cluster_stmt) ||
           SQL_IS(statement, reindex_stmt) || SQL_IS(statement, comment_stmt) ||
           SQL_IS(statement, sec_label_stmt) || SQL_IS(statement, alter_owner_stmt) ||
           SQL_IS(statement, refresh_mat_view_stmt);
}

/* DDL that is harmless while it names none of the transition's columns. */
static bool may_be_harmless(const sql_node *statement)
{
    return SQL_IS(statement, index_stmt) || SQL_IS(statement, create_trig_stmt) ||
           SQL_IS(statement, grant_stmt) || SQL_IS(statement, create_stats_stmt) ||
           SQL_IS(statement, create_policy_stmt) || SQL_IS(statement, alter_policy_stmt) ||
           SQL_IS(statement, create_publication_stmt) || SQL_IS(statement, alter_publication_stmt);
}

bool rewrite_utility(struct rewriter *rewriter, const sql_node *statement)
{
    struct search search = {.rewriter = rewriter};
    if (SQL_IS(statement, alter_table_stmt))
        return check_alter_table(rewriter, AS_NODE(AlterTableStmt, statement));
    if (SQL_IS(statement, create_stmt))
        return check_create_table(rewriter, AS_NODE(CreateStmt, statement));
    if (SQL_IS(statement, rename_stmt))
        return check_rename(rewriter, AS_NODE(RenameStmt, statement));
    if (SQL_IS(statement, do_stmt) || SQL_IS(statement, create_function_stmt))
        return check_function(rewriter, statement);
    if (SQL_IS(statement, drop_stmt))
        return drops_table(&search, AS_NODE(DropStmt, statement))
                   ? refuse(rewriter, -1, "DROP TABLE")
                   : true;
    if (!search_table(&search, statement) || is_harmless(statement))
        return true;
    if (may_be_harmless(statement))
        return names_no_column((void *)(uintptr_t)search.view, statement)
                   ? true
                   : refuse_column(rewriter, &search, statement);
    return refuse(rewriter, search.location,
                  arena_format(rewriter->arena,
                               "%s, which would outlive the phase or alter the table,",
                               statement_name(statement)));
}
