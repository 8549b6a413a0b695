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

bool is_overridden(const struct insertion *at, size_t place)
{
    const struct view_column *column = at->columns[place];
    return at->insert->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE && column &&
           column->column && column->column->identity && gives_identity(at);
}

/*
 * What is not taken still takes part in what types are. PostgreSQL evaluates it in one of several
 * rows, but not in a single one.
 */
static void override_value(struct insertion *at, size_t place, struct client_value *value)
{
    const struct transition_column *column = at->columns[place]->column;
    struct arena *arena = at->rewriter->arena;
    const char *drawn = arena_format(
        arena, "(%s)::%s", default_sql(at->rewriter, at->columns[place], NULL), column->type_bare);
    value->sql =
        at->row_count == 1
            ? arena_format(arena, "CASE WHEN true THEN %s ELSE %s END", drawn, value->sql)
            : arena_format(arena, "CASE WHEN coalesce(%s, NULL::%s) IS NULL THEN %s ELSE %s END",
                           value->sql, column->type_bare, drawn, drawn);
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

/* Another identity of the table, whose values OVERRIDING would be about, too. */
static bool is_another(const struct view_column *column)
{
    return column && !column->transition && column->physical && column->physical->is_identity;
}

bool check_identity(struct insertion *at)
{
    if (!gives_identity(at))
        return true;
    int32_t location = at->insert->relation->location;
    if (at->insert->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE)
        return true;
    for (size_t i = 0; i < at->count; i++) {
        const struct view_column *column = at->columns[i];
        if (column && column->column && column->column->identity == 'a' && !is_overridden(at, i) &&
            gives_value(at, i))
            return refuse_value(at, column->name);
        if (is_another(column) && gives_value(at, i))
            return refuse(at->rewriter, location, "a value for another identity column");
    }
    return true;
}
