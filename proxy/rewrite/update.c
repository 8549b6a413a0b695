/*
 * UPDATE and DELETE, and the SET list that ON CONFLICT DO UPDATE shares with UPDATE.
 *
 * The client's own assignment stays where it is; those of the other shape's columns go behind it,
 * or take its place where the own column is not written any more.
 */
#include "write.h"

struct assignment {
    const PgQuery__ResTarget *target;
    size_t name;            /* token */
    struct item_range item; /* of a single assignment: all of "name = value" */
    const struct view_column *column;
    struct client_value value;
    size_t group; /* 0: single; assignments of one (..) = (..) have the same number */
    size_t place; /* in the group */
};

/* `(a, b) = source`. */
struct group {
    size_t names_open; /* token of the bracket around the names */
    size_t count;
    const sql_node *source;
    size_t source_first, source_end; /* tokens */
    bool is_row;
    struct item_range *items; /* of a row */
};

struct set_list {
    struct rewriter *rewriter;
    struct scope *scope;
    const struct scope_item *target;
    const struct view *view;
    size_t count;
    struct assignment *assignments;
    size_t group_count;
    struct group *groups; /* from 1 */
};

/* ------------------------------------------------------------------ reading the list */

static bool find_column(struct set_list *set, struct assignment *assignment)
{
    const char *name = assignment->target->name;
    if (!set->view)
        return true;
    assignment->column = view_find(set->view, name);
    if (!assignment->column && view_hides(set->view, name))
        return fail_at(set->rewriter, assignment->target->location, "42703",
                       "column \"%s\" of relation \"%s\" does not exist", name,
                       set->view->table->name);
    if (assignment->column && !assignment->column->transition)
        assignment->column = NULL;
    if (assignment->column && assignment->column->transition->is_blocked)
        return refuse_blocked(set->rewriter, assignment->column->transition,
                              assignment->target->location);
    return true;
}

static size_t find_equals(const struct rewriter *rewriter, size_t token)
{
    uint16_t depth = rewriter->tree.tokens[token].depth;
    while (token < rewriter->tree.token_count &&
           !(rewriter->tree.tokens[token].depth == depth && token_kind(rewriter, token) == '='))
        token++;
    return token;
}

static bool read_single(struct set_list *set, struct assignment *assignment)
{
    struct rewriter *rewriter = set->rewriter;
    assignment->item =
        (struct item_range){assignment->name, sql_item_end(&rewriter->tree, assignment->name)};
    size_t equals = find_equals(rewriter, assignment->name);
    struct item_range value = {equals + 1, assignment->item.end};
    return find_column(set, assignment) &&
           rewrite_list(rewriter, set->scope, assignment->target->indirection,
                        assignment->target->n_indirection) &&
           read_value(rewriter, set->scope, sql_unwrap(assignment->target->val), value,
                      assignment->column, &assignment->value);
}

static bool read_row(struct set_list *set, struct group *group)
{
    struct rewriter *rewriter = set->rewriter;
    size_t open = group->source_first;
    if (token_kind(rewriter, open) == PG_QUERY__TOKEN__ROW)
        open++;
    size_t count;
    group->items = split_items(rewriter, open, &count);
    if (count != group->count)
        group->items = NULL; /* the server's error */
    return true;
}

static bool begin_group(struct set_list *set, const struct assignment *first)
{
    struct rewriter *rewriter = set->rewriter;
    const PgQuery__MultiAssignRef *assign = first->target->val->multi_assign_ref;
    struct group *group = &set->groups[++set->group_count];
    size_t closing = first->name;
    uint16_t depth = rewriter->tree.tokens[first->name].depth;
    group->names_open = first->name - 1;
    while (closing < rewriter->tree.token_count && rewriter->tree.tokens[closing].depth >= depth)
        closing++;
    group->count = (size_t)assign->ncolumns;
    group->source = sql_unwrap(assign->source);
    group->source_first = closing + 2;
    group->source_end = sql_item_end(&rewriter->tree, closing + 2);
    group->is_row = SQL_IS(group->source, row_expr);
    if (group->is_row)
        return read_row(set, group);
    return rewrite_expression(rewriter, set->scope, group->source);
}

static bool read_grouped(struct set_list *set, struct assignment *assignment)
{
    const PgQuery__MultiAssignRef *assign = assignment->target->val->multi_assign_ref;
    if (assign->colno == 1 && !begin_group(set, assignment))
        return false;
    assignment->group = set->group_count;
    assignment->place = (size_t)assign->colno - 1;
    if (!find_column(set, assignment))
        return false;
    const struct group *group = &set->groups[assignment->group];
    if (!group->items)
        return true;
    const PgQuery__RowExpr *row = AS_NODE(RowExpr, group->source);
    return read_value(set->rewriter, set->scope, sql_unwrap(row->args[assignment->place]),
                      group->items[assignment->place], assignment->column, &assignment->value);
}

static bool read_list(struct set_list *set, PgQuery__Node *const *list)
{
    for (size_t i = 0; i < set->count; i++) {
        struct assignment *assignment = &set->assignments[i];
        assignment->target = list[i]->res_target;
        assignment->name =
            sql_token_at(&set->rewriter->tree, (uint32_t)assignment->target->location);
        bool grouped = SQL_IS(sql_unwrap(assignment->target->val), multi_assign_ref);
        if (!(grouped ? read_grouped(set, assignment) : read_single(set, assignment)))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ one transition of the list */

/* The assignments to a transition's own columns. */
struct owned {
    struct set_list *set;
    const struct view_transition *transition;
    size_t count;
    struct assignment **assignments; /* in the order of the text */
    bool all_repeatable, any_element, any_grouped, any_default;
};

static struct owned gather(struct set_list *set, const struct view_transition *transition)
{
    struct owned owned = {.set = set, .transition = transition, .all_repeatable = true};
    owned.assignments = ARENA_NEW_ARRAY(set->rewriter->arena, struct assignment *, set->count + 1);
    for (size_t i = 0; i < set->count; i++) {
        struct assignment *assignment = &set->assignments[i];
        if (!assignment->column || assignment->column->transition != transition)
            continue;
        owned.assignments[owned.count++] = assignment;
        bool repeatable = assignment->value.is_default
                              ? !assignment->column->column->default_is_volatile
                              : is_repeatable(assignment->value.node);
        owned.all_repeatable = owned.all_repeatable && repeatable;
        owned.any_element = owned.any_element || assignment->target->n_indirection > 0;
        owned.any_grouped = owned.any_grouped || assignment->group > 0;
        owned.any_default = owned.any_default || assignment->value.is_default;
    }
    return owned;
}

static const char *target_qualifier(struct owned *owned)
{
    return qualifier_of(owned->set->rewriter, owned->set->scope, owned->set->target);
}

/* The row's values after the assignments, in the client's shape: `assigned` for the n-th one. */
static const char **values_after(struct owned *owned, const char *const *assigned,
                                 const char *qualifier)
{
    struct rewriter *rewriter = owned->set->rewriter;
    size_t count = own_count(owned->transition);
    const char **values = ARENA_NEW_ARRAY(rewriter->arena, const char *, count);
    for (size_t i = 0; i < count; i++)
        values[i] = view_read_sql(rewriter->arena,
                                  own_column(owned->set->view, owned->transition, i), qualifier);
    for (size_t i = 0; i < owned->count; i++)
        values[owned->assignments[i]->column->number] = assigned[i];
    return values;
}

static void add_others(struct owned *owned, const char *const *assigned, const char *qualifier,
                       const char *separator, bool with_names, struct text *out)
{
    struct rewriter *rewriter = owned->set->rewriter;
    const char **values = values_after(owned, assigned, qualifier);
    for (size_t i = 0; i < other_count(owned->transition); i++) {
        text_add_string(out, separator);
        if (with_names)
            text_add_format(out, "%s = ",
                            physical_quoted(rewriter, owned->transition,
                                            shape_other(owned->transition->shape), i));
        text_add_string(out,
                        view_update_sql(rewriter->arena, owned->transition, i, values, qualifier));
        separator = ", ";
    }
}

static const char *keep(struct rewriter *rewriter, struct text *text)
{
    const char *kept = arena_string_range(rewriter->arena, text->data, text->length);
    text_release(text);
    return kept;
}

/* The own column by its physical name. */
static void map_name(struct rewriter *rewriter, const struct assignment *assignment)
{
    const struct view_transition *transition = assignment->column->transition;
    const char *physical =
        view_physical_name(transition, transition->shape, assignment->column->number);
    if (strcmp(physical, assignment->column->name) != 0)
        edits_replace(&rewriter->edits, token_start(rewriter, assignment->name),
                      token_end(rewriter, assignment->name), view_quote(rewriter->arena, physical));
}

/* The new columns' defaults are the shape's, not the table's. */
static void spell_default(struct rewriter *rewriter, const struct assignment *assignment)
{
    if (assignment->value.is_default && assignment->column->transition->shape == SHAPE_NEW)
        edits_replace(&rewriter->edits, assignment->value.start, assignment->value.end,
                      arena_format(rewriter->arena, "(%s)", assignment->value.sql));
}

static bool keep_own(struct owned *owned)
{
    for (size_t i = 0; i < owned->count; i++) {
        map_name(owned->set->rewriter, owned->assignments[i]);
        spell_default(owned->set->rewriter, owned->assignments[i]);
    }
    return true;
}

/* Takes an assignment out, with the comma before it; never the first of the list. */
static void remove_item(struct rewriter *rewriter, const struct assignment *assignment)
{
    edits_replace(&rewriter->edits, token_start(rewriter, assignment->item.first - 1),
                  token_end(rewriter, assignment->item.end - 1), "");
}

static const char **texts_of(struct owned *owned, bool marks)
{
    const char **texts =
        ARENA_NEW_ARRAY(owned->set->rewriter->arena, const char *, owned->count + 1);
    for (size_t i = 0; i < owned->count; i++)
        texts[i] = marks && i == 0 ? VALUE_MARK_STRING : owned->assignments[i]->value.sql;
    return texts;
}

static bool write_repeated(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    struct assignment *first = owned->assignments[0];
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    const char *qualifier = target_qualifier(owned);
    if (owned->transition->writes_own) {
        add_others(owned, texts_of(owned, false), qualifier, ", ", true, &text);
        (void)keep_own(owned);
        edits_after(&rewriter->edits, token_end(rewriter, first->item.end - 1),
                    keep(rewriter, &text));
        return true;
    }
    add_others(owned, texts_of(owned, true), qualifier, "", true, &text);
    for (size_t i = 1; i < owned->count; i++)
        remove_item(rewriter, owned->assignments[i]);
    place_value(rewriter, token_start(rewriter, first->item.first), &first->value,
                keep(rewriter, &text));
    return true;
}

/*
 * The values are evaluated once, in a sub-select that refers to the row: without that it would be
 * evaluated once for the whole statement (REWRITE.md, trap 2).
 */
static bool write_once(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    const struct view_transition *transition = owned->transition;
    const char *qualifier = target_qualifier(owned);
    const char **columns = ARENA_NEW_ARRAY(rewriter->arena, const char *, owned->count + 1);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    const char *separator = "(";
    for (size_t i = 0; i < owned->count; i++) {
        columns[i] = source_column(rewriter, i);
        if (!transition->writes_own)
            continue;
        text_add_format(&text, "%s%s", separator,
                        physical_quoted(rewriter, transition, transition->shape,
                                        owned->assignments[i]->column->number));
        separator = ", ";
    }
    for (size_t i = 0; i < other_count(transition); i++) {
        text_add_format(&text, "%s%s", separator,
                        physical_quoted(rewriter, transition, shape_other(transition->shape), i));
        separator = ", ";
    }
    text_add_string(&text, ") = (SELECT ");
    for (size_t i = 0; transition->writes_own && i < owned->count; i++)
        text_add_format(&text, "%s%s", i ? ", " : "", columns[i]);
    add_others(owned, columns, qualifier, transition->writes_own ? ", " : "", false, &text);
    for (size_t i = 0; i < owned->count; i++)
        text_add_format(&text, "%s(%s)::%s AS c%zu", i ? ", " : " FROM (SELECT ",
                        i ? owned->assignments[i]->value.sql : VALUE_MARK_STRING,
                        owned->assignments[i]->column->column->type_bare, i + 1);
    text_add_format(&text, " WHERE %sctid IS NOT NULL OFFSET 0) AS segue_v)", qualifier);
    for (size_t i = 1; i < owned->count; i++)
        remove_item(rewriter, owned->assignments[i]);
    place_value(rewriter, token_start(rewriter, owned->assignments[0]->item.first),
                &owned->assignments[0]->value, keep(rewriter, &text));
    return true;
}

/* ------------------------------------------------------------------ (a, b) = (..) */

static const char *names_of(struct owned *owned, bool own, const char *separator)
{
    struct rewriter *rewriter = owned->set->rewriter;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; own && i < owned->count; i++) {
        text_add_format(&text, "%s%s", separator,
                        physical_quoted(rewriter, owned->transition, owned->transition->shape,
                                        owned->assignments[i]->column->number));
        separator = ", ";
    }
    for (size_t i = 0; i < other_count(owned->transition); i++) {
        text_add_format(
            &text, "%s%s", separator,
            physical_quoted(rewriter, owned->transition, shape_other(owned->transition->shape), i));
        separator = ", ";
    }
    return keep(rewriter, &text);
}

static void put_names(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    const struct assignment *first = owned->assignments[0];
    if (owned->transition->writes_own) {
        map_name(rewriter, first);
        edits_after(&rewriter->edits, token_end(rewriter, first->name),
                    names_of(owned, false, ", "));
    } else {
        edits_replace(&rewriter->edits, token_start(rewriter, first->name),
                      token_end(rewriter, first->name), names_of(owned, false, ""));
    }
}

/* Of the columns behind the first: kept under their own names, or taken out with their values. */
static void put_rest_of_row(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    for (size_t i = 1; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        if (owned->transition->writes_own) {
            map_name(rewriter, assignment);
            spell_default(rewriter, assignment);
            continue;
        }
        edits_replace(&rewriter->edits, token_start(rewriter, assignment->name - 1),
                      token_end(rewriter, assignment->name), "");
        size_t comma = sql_token_at(&rewriter->tree, assignment->value.start) - 1;
        edits_replace(&rewriter->edits, token_start(rewriter, comma), assignment->value.end, "");
    }
}

static bool write_row(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    struct assignment *first = owned->assignments[0];
    if (!owned->all_repeatable)
        return refuse(rewriter, first->target->location,
                      "a row assignment that calls a function which may be volatile");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    put_names(owned);
    if (owned->transition->writes_own) {
        add_others(owned, texts_of(owned, false), target_qualifier(owned), ", ", false, &text);
        spell_default(rewriter, first);
        edits_after(&rewriter->edits, first->value.end, keep(rewriter, &text));
    } else {
        add_others(owned, texts_of(owned, true), target_qualifier(owned), "", false, &text);
        place_value(rewriter, first->value.start, &first->value, keep(rewriter, &text));
    }
    put_rest_of_row(owned);
    return true;
}

/* (a, role) = (SELECT x, y ..): the query gives its columns to a wrapper, which converts. */
static bool write_wrapped(struct owned *owned, const struct group *group)
{
    struct rewriter *rewriter = owned->set->rewriter;
    if (!SQL_IS(group->source, sub_link))
        return refuse(rewriter, owned->assignments[0]->target->location,
                      "an assignment of several columns from this source");
    put_names(owned);
    const struct assignment *first = owned->assignments[0];
    const char *assigned[1] = {source_column(rewriter, first->place)};
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_string(&text, "SELECT ");
    for (size_t i = 0; i < group->count; i++) {
        bool is_own = i == first->place;
        if (!is_own || owned->transition->writes_own)
            text_add_format(&text, "%s%s", i ? ", " : "", source_column(rewriter, i));
        if (is_own)
            add_others(owned, assigned, target_qualifier(owned),
                       i || owned->transition->writes_own ? ", " : "", false, &text);
    }
    text_add_string(&text, " FROM (");
    edits_before(&rewriter->edits, token_start(rewriter, group->source_first + 1),
                 keep(rewriter, &text));
    edits_after(&rewriter->edits, token_end(rewriter, group->source_end - 2),
                arena_format(rewriter->arena, ") AS %s", source_alias(rewriter, group->count)));
    return true;
}

static bool write_group(struct owned *owned)
{
    const struct assignment *first = owned->assignments[0];
    const struct group *group = &owned->set->groups[first->group];
    bool same_group = true;
    for (size_t i = 1; i < owned->count; i++)
        same_group = same_group && owned->assignments[i]->group == first->group;
    if (!same_group || (owned->count > 1 && !group->is_row))
        return refuse(owned->set->rewriter, first->target->location,
                      "an assignment of several columns of one transition from several sources");
    if (!group->is_row)
        return write_wrapped(owned, group);
    if (!group->items)
        return true; /* the server's error */
    bool leaves_one = !owned->transition->writes_own && group->count == owned->count &&
                      other_count(owned->transition) == 1;
    if (leaves_one && token_kind(owned->set->rewriter, group->source_first) == '(')
        edits_before(&owned->set->rewriter->edits,
                     token_start(owned->set->rewriter, group->source_first),
                     "ROW"); /* brackets around one value make no row */
    return write_row(owned);
}

static bool write_transition(struct set_list *set, const struct view_transition *transition)
{
    struct owned owned = gather(set, transition);
    if (owned.count == 0)
        return true;
    if (!transition->writes_other)
        return keep_own(&owned);
    int32_t location = owned.assignments[0]->target->location;
    if (owned.any_element) {
        if (transition->writes_own && transition->at->transition->guard == GUARD_SYNC)
            return keep_own(&owned);
        return refuse(set->rewriter, location, "an assignment to an element of the column");
    }
    if (!target_qualifier(&owned))
        return refuse(set->rewriter, location, "an assignment beside a table of the same alias");
    if (owned.any_grouped)
        return write_group(&owned);
    return owned.all_repeatable ? write_repeated(&owned) : write_once(&owned);
}

bool rewrite_assignments(struct rewriter *rewriter, struct scope *scope,
                         const struct scope_item *target, PgQuery__Node *const *list, size_t count)
{
    struct set_list set = {
        .rewriter = rewriter,
        .scope = scope,
        .target = target,
        .view = table_of(target) ? table_of(target)->view : NULL,
        .count = count,
        .assignments = ARENA_NEW_ARRAY(rewriter->arena, struct assignment, count + 1),
        .groups = ARENA_NEW_ARRAY(rewriter->arena, struct group, count + 2),
    };
    if (!read_list(&set, list))
        return false;
    for (size_t i = 0; set.view && i < set.view->transition_count; i++)
        if (!write_transition(&set, &set.view->transitions[i]))
            return false;
    return true;
}

/* ------------------------------------------------------------------ statements */

bool rewrite_update(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__UpdateStmt *update, struct outputs *outputs)
{
    struct scope *scope = ARENA_NEW(rewriter->arena, struct scope);
    scope->parent = parent;
    struct scope_item *target;
    return rewrite_with(rewriter, scope, update->with_clause) &&
           add_target(rewriter, scope, update->relation, &target) &&
           rewrite_from(rewriter, scope, update->from_clause, update->n_from_clause) &&
           rewrite_assignments(rewriter, scope, target, update->target_list,
                               update->n_target_list) &&
           rewrite_condition(rewriter, scope, update->where_clause) &&
           rewrite_targets(rewriter, scope, update->returning_list, update->n_returning_list,
                           outputs);
}

bool rewrite_delete(struct rewriter *rewriter, struct scope *parent,
                    const PgQuery__DeleteStmt *stmt, struct outputs *outputs)
{
    struct scope *scope = ARENA_NEW(rewriter->arena, struct scope);
    scope->parent = parent;
    struct scope_item *target;
    return rewrite_with(rewriter, scope, stmt->with_clause) &&
           add_target(rewriter, scope, stmt->relation, &target) &&
           rewrite_from(rewriter, scope, stmt->using_clause, stmt->n_using_clause) &&
           rewrite_condition(rewriter, scope, stmt->where_clause) &&
           rewrite_targets(rewriter, scope, stmt->returning_list, stmt->n_returning_list, outputs);
}
