/*
 * WHEN NOT MATCHED THEN INSERT: one row of values over the source, written for both shapes as a row
 * of INSERT .. VALUES is. There is no place here for a sub-select in which a value could be
 * evaluated once for two columns: such a value is the own column's alone and the guard fills the
 * other, or it is refused.
 */
#include "merge.h"

struct inserting {
    const struct merge_insert *insert;
    struct rewriter *rewriter;
    const struct view *view;
    struct item_range *names;  /* tokens of the list; NULL where there is none */
    size_t values_open;        /* token; of DEFAULT VALUES the word DEFAULT */
    struct item_range *ranges; /* of the values in the text */
    bool has_star;             /* a value that is several columns: the list is written anew */
    size_t count;
    const struct view_column **columns; /* NULL: the server's error */
    struct client_value *values;
};

static const char *keep(struct rewriter *rewriter, struct text *text)
{
    const char *kept = arena_string_range(rewriter->arena, text->data, text->length);
    text_release(text);
    return kept;
}

/* ------------------------------------------------------------------ reading */

static void find_places(struct inserting *at)
{
    struct rewriter *rewriter = at->rewriter;
    size_t token = at->insert->token + 1, count;
    if (at->insert->clause->n_target_list > 0) {
        at->names = split_items(rewriter, token, &count);
        token = sql_token_closing(&rewriter->tree, token) + 1;
    }
    if (token_kind(rewriter, token) == PG_QUERY__TOKEN__OVERRIDING)
        token += 3;
    at->values_open = token;
    if (at->insert->clause->n_values > 0) {
        at->values_open++;
        at->ranges = split_items(rewriter, at->values_open, &count);
        BUG_ON(count != at->insert->clause->n_values);
    }
}

static size_t width_of(const struct inserting *at, const sql_node *node,
                       const struct scope_item **item)
{
    *item = NULL;
    if (!SQL_IS(node, column_ref))
        return 1;
    const PgQuery__ColumnRef *reference = AS_NODE(ColumnRef, node);
    size_t fields = reference->n_fields;
    struct scope_item *found;
    if (sql_string(reference->fields[fields - 1]) || fields < 2)
        return 1;
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(at->insert->scope, schema, sql_string(reference->fields[fields - 2]),
                            &found) != SCOPE_FOUND ||
        !found->is_complete || !found->names_are_certain)
        return 0;
    *item = found;
    return found->column_count;
}

static int32_t start_of_value(const struct inserting *at, size_t number)
{
    return (int32_t)token_start(at->rewriter, at->ranges[number].first);
}

/* How many columns the values are; false where that is not known. */
static bool count_values(struct inserting *at, size_t *count)
{
    const PgQuery__MergeWhenClause *clause = at->insert->clause;
    *count = 0;
    for (size_t i = 0; i < clause->n_values; i++) {
        const struct scope_item *item;
        size_t width = width_of(at, sql_unwrap(clause->values[i]), &item);
        bool is_row = SQL_IS(sql_unwrap(clause->values[i]), a__indirection) &&
                      token_kind(at->rewriter, at->ranges[i].end - 1) == '*';
        if (width == 0 || is_row)
            return refuse(at->rewriter, start_of_value(at, i),
                          "a star in MERGE's INSERT over columns that Segue does not know");
        at->has_star = at->has_star || item;
        *count += width;
    }
    return true;
}

static bool find_column(struct inserting *at, size_t number)
{
    struct rewriter *rewriter = at->rewriter;
    const PgQuery__ResTarget *target =
        at->names ? at->insert->clause->target_list[number]->res_target : NULL;
    const struct view_column *column =
        target ? view_find(at->view, target->name) : &at->view->columns[number];
    int32_t location = target ? target->location : at->insert->relation->location;
    at->columns[number] = column;
    if (!column)
        return view_hides(at->view, target->name)
                   ? fail_at(rewriter, location, "42703",
                             "column \"%s\" of relation \"%s\" does not exist", target->name,
                             at->view->table->name)
                   : true;
    if (!column->transition)
        return true;
    if (column->transition->is_blocked)
        return refuse_blocked(rewriter, column->transition, location);
    if (target && target->n_indirection > 0 && column->transition->writes_other)
        return refuse(rewriter, location, "an INSERT of an element of the column");
    return true;
}

static bool find_columns(struct inserting *at, size_t given)
{
    const PgQuery__MergeWhenClause *clause = at->insert->clause;
    size_t room = at->names ? clause->n_target_list : at->view->column_count;
    at->count = clause->n_values ? given : at->names ? room : 0;
    if (given > room)
        return fail_at(at->rewriter, at->has_star ? -1 : start_of_value(at, room), "42601",
                       "INSERT has more expressions than target columns");
    if (at->names && clause->n_values && given < room)
        return fail_at(at->rewriter, clause->target_list[given]->res_target->location, "42601",
                       "INSERT has more target columns than expressions");
    at->columns = ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *, at->count + 1);
    for (size_t i = 0; i < at->count; i++)
        if (!find_column(at, i))
            return false;
    return true;
}

/* Each column of a star is a value of its own. */
static void read_star(struct inserting *at, const struct scope_item *item, size_t place)
{
    struct arena *arena = at->rewriter->arena;
    const char *qualifier = qualifier_of(at->rewriter, at->insert->scope, item);
    for (size_t i = 0; i < item->column_count; i++)
        at->values[place + i].sql = arena_format(arena, "%s%s", qualifier ? qualifier : "",
                                                 view_quote(arena, item->columns[i].name));
}

static bool read_values(struct inserting *at)
{
    const PgQuery__MergeWhenClause *clause = at->insert->clause;
    at->values = ARENA_NEW_ARRAY(at->rewriter->arena, struct client_value, at->count + 1);
    size_t place = 0;
    for (size_t i = 0; i < clause->n_values; i++) {
        const sql_node *node = sql_unwrap(clause->values[i]);
        const struct scope_item *item;
        size_t width = width_of(at, node, &item);
        if (!read_value(at->rewriter, at->insert->scope, node, at->ranges[i], at->columns[place],
                        &at->values[place]))
            return false;
        if (item) {
            at->values[place].node = NULL;
            read_star(at, item, place);
        }
        place += width;
    }
    return true;
}

/* ------------------------------------------------------------------ transitions */

/* Where a column of the shape is given; at->count where it is left out. */
static size_t place_of(const struct inserting *at, const struct view_transition *transition,
                       size_t number)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition == transition &&
            at->columns[i]->number == number)
            return i;
    return at->count;
}

static size_t first_own(const struct inserting *at, const struct view_transition *transition)
{
    for (size_t i = 0; i < at->count; i++)
        if (at->columns[i] && at->columns[i]->transition == transition)
            return i;
    return at->count;
}

/* May the value of the own column be written out twice? */
static bool can_be_repeated(const struct inserting *at, const struct view_transition *transition,
                            size_t number)
{
    size_t place = place_of(at, transition, number);
    if (place == at->count || at->values[place].is_default)
        return !own_column(at->view, transition, number)->column->default_is_volatile;
    return is_deterministic(at->values[place].node);
}

/* How often the conversions use it, where the own column is not written. */
static size_t count_uses(const struct view_transition *transition, size_t number)
{
    const struct transition_column *others =
        transition->at->transition->columns[shape_other(transition->shape)];
    size_t uses = 0;
    for (size_t i = 0; i < other_count(transition); i++)
        for (size_t s = 0; s < others[i].from.slot_count; s++)
            uses += others[i].from.slots[s] == number;
    return uses;
}

static bool needs_two(const struct inserting *at, const struct view_transition *transition)
{
    for (size_t i = 0; i < own_count(transition); i++)
        if (!can_be_repeated(at, transition, i) &&
            (transition->writes_own || count_uses(transition, i) > 1))
            return true;
    return false;
}

/* Are the other shape's columns written by this statement? If not, it is the guard that does. */
static bool fills_other(const struct inserting *at, const struct view_transition *transition)
{
    return transition->writes_other && !needs_two(at, transition);
}

static bool check_transition(const struct inserting *at, const struct view_transition *transition)
{
    if (!transition->writes_other || !needs_two(at, transition) ||
        (transition->writes_own && transition->at->transition->guard == GUARD_SYNC))
        return true;
    return refuse(at->rewriter, at->insert->relation->location,
                  "MERGE that inserts a value which must be evaluated once");
}

/* A new column's default is the shape's; whether the table has it too is not told. */
static bool writes_default(const struct inserting *at, const struct view_transition *transition,
                           size_t number)
{
    return transition->writes_own && transition->shape == SHAPE_NEW &&
           place_of(at, transition, number) == at->count &&
           own_column(at->view, transition, number)->column->default_expression != NULL;
}

/* ------------------------------------------------------------------ the lists */

/*
 * The columns that come with the transition's: their names, or what is written to them. Own values
 * are `texts`, or where left out their defaults.
 */
static void add_others(const struct inserting *at, const struct view_transition *transition,
                       const char *const *texts, struct text *out)
{
    struct rewriter *rewriter = at->rewriter;
    size_t count = own_count(transition);
    const char **values = ARENA_NEW_ARRAY(rewriter->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        size_t place = place_of(at, transition, i);
        values[i] =
            place < at->count ? texts[place] : default_sql(own_column(at->view, transition, i));
    }
    for (size_t i = 0; fills_other(at, transition) && i < other_count(transition); i++)
        text_add_format(out, "%s%s", out->length ? ", " : "",
                        view_convert_sql(rewriter->arena, transition, i, values));
    for (size_t i = 0; i < count; i++)
        if (writes_default(at, transition, i))
            text_add_format(out, "%s(%s)", out->length ? ", " : "", values[i]);
}

static void add_other_names(const struct inserting *at, const struct view_transition *transition,
                            struct text *out)
{
    enum shape other = shape_other(transition->shape);
    for (size_t i = 0; fills_other(at, transition) && i < other_count(transition); i++)
        text_add_format(out, "%s%s", out->length ? ", " : "",
                        physical_quoted(at->rewriter, transition, other, i));
    for (size_t i = 0; i < own_count(transition); i++)
        if (writes_default(at, transition, i))
            text_add_format(out, "%s%s", out->length ? ", " : "",
                            physical_quoted(at->rewriter, transition, transition->shape, i));
}

/* What is sent for the value, by itself. */
static const char *own_text(const struct inserting *at, size_t number)
{
    const struct client_value *value = &at->values[number];
    const struct view_column *column = at->columns[number];
    bool spelled =
        value->is_default && column && column->transition && column->transition->shape == SHAPE_NEW;
    if (spelled)
        return arena_format(at->rewriter->arena, "(%s)", value->sql);
    return value->is_default ? "DEFAULT" : value->sql;
}

static const char *name_text(const struct inserting *at, size_t number)
{
    struct rewriter *rewriter = at->rewriter;
    const struct view_column *column = at->columns[number];
    if (column && column->transition)
        return physical_quoted(rewriter, column->transition, column->transition->shape,
                               column->number);
    if (!at->names)
        return view_quote(rewriter->arena, column->name);
    uint32_t start = token_start(rewriter, at->names[number].first);
    return arena_string_range(rewriter->arena, rewriter->source.data + start,
                              token_end(rewriter, at->names[number].end - 1) - start);
}

static bool stays(const struct view_column *column)
{
    return !column || !column->transition || column->transition->writes_own;
}

/* The list of names, or of values, that is sent. */
static const char *build_list(const struct inserting *at, bool names)
{
    const char **texts = ARENA_NEW_ARRAY(at->rewriter->arena, const char *, at->count + 1);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; !names && i < at->count; i++)
        texts[i] = at->values[i].sql;
    for (size_t i = 0; i <= at->count; i++) {
        if (i < at->count && stays(at->columns[i]))
            text_add_format(&out, "%s%s", out.length ? ", " : "",
                            names ? name_text(at, i) : own_text(at, i));
        for (size_t t = 0; t < at->view->transition_count; t++) {
            const struct view_transition *transition = &at->view->transitions[t];
            if (first_own(at, transition) != i)
                continue;
            if (names)
                add_other_names(at, transition, &out);
            else
                add_others(at, transition, texts, &out);
        }
    }
    return keep(at->rewriter, &out);
}

/* ------------------------------------------------------------------ writing */

/* The transition's first value keeps its place, with what comes of it; the rest of them stay or go.
 */
static void write_value(const struct inserting *at, size_t number)
{
    struct rewriter *rewriter = at->rewriter;
    const struct client_value *value = &at->values[number];
    const struct view_transition *transition = at->columns[number]->transition;
    bool is_first = first_own(at, transition) == number;
    const char **texts = ARENA_NEW_ARRAY(rewriter->arena, const char *, at->count);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++)
        texts[i] = i == number && !transition->writes_own ? VALUE_MARK_STRING : at->values[i].sql;
    if (is_first)
        add_others(at, transition, texts, &out);
    const char *others = keep(rewriter, &out);
    if (transition->writes_own) {
        if (value->is_default)
            edits_replace(&rewriter->edits, value->start, value->end, own_text(at, number));
        if (*others)
            edits_after(&rewriter->edits, value->end,
                        arena_format(rewriter->arena, ", %s", others));
    } else if (is_first) {
        place_value(rewriter, value->start, value, others);
    } else { /* with the comma before it */
        size_t comma = sql_token_at(&rewriter->tree, value->start) - 1;
        edits_replace(&rewriter->edits, token_start(rewriter, comma), value->end, "");
    }
}

static void write_values_in_place(const struct inserting *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char **texts = ARENA_NEW_ARRAY(rewriter->arena, const char *, at->count);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < at->count; i++) {
        texts[i] = at->values[i].sql;
        if (at->columns[i] && at->columns[i]->transition)
            write_value(at, i);
    }
    for (size_t t = 0; t < at->view->transition_count; t++)
        if (first_own(at, &at->view->transitions[t]) == at->count)
            add_others(at, &at->view->transitions[t], texts, &out);
    const char *others = keep(rewriter, &out);
    if (*others)
        edits_after(&rewriter->edits, at->values[at->count - 1].end,
                    arena_format(rewriter->arena, ", %s", others));
}

static void write_names(const struct inserting *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char *names = build_list(at, true);
    if (at->names)
        edits_replace(&rewriter->edits, token_start(rewriter, at->names[0].first),
                      token_end(rewriter, at->names[at->count - 1].end - 1), names);
    else
        edits_after(&rewriter->edits, token_end(rewriter, at->insert->token),
                    arena_format(rewriter->arena, " (%s)", names));
}

static void write_default_values(const struct inserting *at)
{
    struct rewriter *rewriter = at->rewriter;
    const char *names = build_list(at, true);
    if (*names)
        edits_replace(
            &rewriter->edits, token_start(rewriter, at->values_open),
            token_end(rewriter, at->values_open + 1),
            arena_format(rewriter->arena, "(%s) VALUES (%s)", names, build_list(at, false)));
}

static bool write_insert(struct inserting *at)
{
    struct rewriter *rewriter = at->rewriter;
    bool adds = false;
    for (size_t t = 0; t < at->view->transition_count; t++) {
        const struct view_transition *transition = &at->view->transitions[t];
        if (!check_transition(at, transition))
            return false;
        adds = adds || fills_other(at, transition);
        for (size_t i = 0; i < own_count(transition); i++)
            adds = adds || writes_default(at, transition, i);
    }
    if (at->view->is_plain && !adds)
        return true;
    if (!at->insert->clause->n_values) {
        write_default_values(at);
        return true;
    }
    if (!at->names && !at->view->order_is_known)
        return refuse(rewriter, at->insert->relation->location,
                      "INSERT without a column list into a table whose column order is lost");
    write_names(at);
    if (!at->has_star) {
        write_values_in_place(at);
        return true;
    }
    edits_replace(&rewriter->edits, token_end(rewriter, at->values_open),
                  token_start(rewriter, sql_token_closing(&rewriter->tree, at->values_open)),
                  build_list(at, false));
    return true;
}

bool rewrite_merge_insert(const struct merge_insert *insert)
{
    struct inserting at = {.insert = insert, .rewriter = insert->rewriter, .view = insert->view};
    const PgQuery__MergeWhenClause *clause = insert->clause;
    if (!insert->view)
        return rewrite_list(insert->rewriter, insert->scope, clause->target_list,
                            clause->n_target_list) &&
               rewrite_row_items(insert->rewriter, insert->scope, clause->values, clause->n_values);
    size_t given;
    find_places(&at);
    return count_values(&at, &given) && find_columns(&at, given) && read_values(&at) &&
           write_insert(&at);
}
