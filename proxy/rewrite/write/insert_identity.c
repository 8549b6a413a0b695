/*
 * An identity that is in transition counts on a column of the table that changes with the phases.
 * So its values are given by the statement, which must say OVERRIDING SYSTEM VALUE, and what
 * GENERATED ALWAYS forbids is judged here.
 */
#include "insert.h"

static bool has_identity(const struct view_transition *transition)
{
    const struct transition *definition = transition->at->transition;
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t i = 0; i < definition->column_count[shape]; i++)
            if (definition->columns[shape][i].identity)
                return true;
    return false;
}

/* A DEFAULT of the new shape's is spelled out, whatever the table has. */
static bool spells_default(const struct insertion *at, const struct view_transition *transition)
{
    for (size_t r = 0; transition->shape == SHAPE_NEW && r < at->row_count; r++)
        for (size_t i = 0; i < at->count; i++)
            if (at->columns[i] && at->columns[i]->transition == transition &&
                at->rows[r][i].is_default)
                return true;
    return false;
}

/* Does the statement give values that the table's own identity gives otherwise? */
static bool gives_identity(const struct insertion *at)
{
    for (size_t i = 0; i < at->view->transition_count; i++) {
        const struct view_transition *transition = &at->view->transitions[i];
        if (has_identity(transition) && (adds_columns(at, transition) || !transition->writes_own ||
                                         spells_default(at, transition)))
            return true;
    }
    return false;
}

const char *overriding(const struct insertion *at)
{
    return !at->override && gives_identity(at) ? " OVERRIDING SYSTEM VALUE" : "";
}

/* Another identity of the table, whose values OVERRIDING is about, too. */
static bool is_another(const struct view_column *column)
{
    return column && !column->transition && column->physical && column->physical->identity;
}

bool is_overridden(const struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    return at->insert->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE && column &&
           ((column->column && column->column->identity) || is_another(column)) &&
           gives_identity(at);
}

const char *overriding_sql(struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    return is_another(column)
               ? next_identity_sql(at->rewriter->arena, at->view->table, column->name)
               : default_sql(at->rewriter, column, NULL);
}

/*
 * What is not taken still takes part in what types are. PostgreSQL evaluates it in one of several
 * rows, but not in a single one.
 */
static void override_value(struct insertion *at, size_t place, struct client_value *value)
{
    const struct view_column *column = at->columns[place];
    struct arena *arena = at->rewriter->arena;
    const char *type = column->column ? column->column->type_bare : column->physical->type;
    const char *drawn = arena_format(arena, "(%s)::%s", overriding_sql(at, place), type);
    value->sql =
        at->row_count == 1
            ? arena_format(arena, "CASE WHEN true THEN %s ELSE %s END", drawn, value->sql)
            : arena_format(arena, "CASE WHEN coalesce(%s, NULL::%s) IS NULL THEN %s ELSE %s END",
                           value->sql, type, drawn, drawn);
    value->is_default = value->is_spelled = true;
}

void override_values(struct insertion *at)
{
    for (size_t i = 0; i < at->count; i++)
        for (size_t r = 0; is_overridden(at, i) && r < at->row_count; r++)
            if (!at->rows[r][i].is_default)
                override_value(at, i, &at->rows[r][i]);
}

void put_overriding(struct insertion *at)
{
    if (at->insert->override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE ||
        !gives_identity(at))
        return;
    size_t word = at->override + 1;
    edits_replace(&at->rewriter->edits, token_start(at->rewriter, word),
                  token_end(at->rewriter, word), "SYSTEM");
}

static bool gives_value(const struct insertion *at, size_t place)
{
    for (size_t r = 0; r < at->row_count; r++)
        if (!at->rows[r][place].is_default)
            return true;
    return !at->rows;
}

static bool refuse_value(struct insertion *at, const char *name)
{
    bool ok = fail_at(at->rewriter, -1, "428C9",
                      "cannot insert a non-DEFAULT value into column \"%s\"", name);
    error_detail(&at->rewriter->error,
                 "Column \"%s\" is an identity column defined as GENERATED ALWAYS.", name);
    error_hint(&at->rewriter->error, "Use OVERRIDING SYSTEM VALUE to override.");
    return ok;
}

bool check_identity(struct insertion *at)
{
    if (!gives_identity(at))
        return true;
    if (at->insert->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE)
        return true;
    for (size_t i = 0; i < at->count; i++) {
        const struct view_column *column = at->columns[i];
        bool is_always = column && ((column->column && column->column->identity == 'a') ||
                                    (is_another(column) && column->physical->identity == 'a'));
        if (is_always && !is_overridden(at, i) && gives_value(at, i))
            return refuse_value(at, column->name);
    }
    return true;
}
