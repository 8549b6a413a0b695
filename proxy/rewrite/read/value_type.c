/* The types that values are brought to: a column's own, as an assignment would, or without its
 * modifier. */
#include "view.h"

static bool is_among(uint32_t type_oid, const uint32_t *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (type_oid == types[i])
            return true;
    return false;
}

static bool is_numeric(uint32_t type_oid)
{
    static const uint32_t types[] = {20, 21, 23, 700, 701, 1700};
    return is_among(type_oid, types, sizeof types / sizeof *types);
}

bool type_takes_all(uint32_t type_oid)
{
    static const uint32_t types[] = {19, 25, 1042, 1043};
    return is_among(type_oid, types, sizeof types / sizeof *types);
}

enum view_taken view_takes(const struct transition_column *column, const sql_node *value)
{
    if (type_takes_all(column->type_oid))
        return VIEW_TAKEN_FOR_CERTAIN;
    if (SQL_IS(value, param_ref))
        return VIEW_TAKEN_PARAMETER;
    if (!SQL_IS(value, a__const))
        return VIEW_TAKEN_UNSURE;
    const PgQuery__AConst *constant = (const PgQuery__AConst *)(const void *)value;
    bool is_number = constant->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
                     constant->val_case == PG_QUERY__A__CONST__VAL_FVAL;
    bool is_string = constant->isnull || constant->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    return is_string || (is_number && is_numeric(column->type_oid)) ? VIEW_TAKEN_FOR_CERTAIN
                                                                    : VIEW_TAKEN_UNSURE;
}

/*
 * A cast takes text for a number or a document, which an assignment does not. There is one place in
 * an expression where the server judges a value as if it were assigned: what a column of XMLTABLE
 * is by default. That sub-select is never reached, so the planner drops it; what is evaluated is
 * the cast.
 */
static const char *judged(struct arena *arena, const struct view_value *value, const char *type)
{
    return arena_format(arena,
                        "CASE WHEN false THEN (SELECT segue_x FROM XMLTABLE('' PASSING NULL "
                        "COLUMNS segue_x %s PATH '' DEFAULT (%s))) ELSE (%s)::%s END",
                        type, value->sql, value->sql, type);
}

/* A parameter that is assigned, too, is judged there: for want of a cast to the type it is refused
 * all the same, and told of as of an assignment (terms.c). */
static const char *cast(struct arena *arena, const struct transition_column *column,
                        const struct view_value *value, const char *type, bool is_assigned)
{
    bool is_judged = value->taken != VIEW_TAKEN_FOR_CERTAIN && !type_takes_all(column->type_oid) &&
                     !(is_assigned && value->taken == VIEW_TAKEN_PARAMETER);
    return is_judged ? judged(arena, value, type)
                     : arena_format(arena, "(%s)::%s", value->sql, type);
}

const char *view_judged_sql(struct arena *arena, const char *type, const struct view_value *value)
{
    return value->taken == VIEW_TAKEN_FOR_CERTAIN
               ? arena_format(arena, "(%s)::%s", value->sql, type)
               : judged(arena, value, type);
}

bool is_cut_inside(const struct transition_column *column)
{
    size_t length = strlen(column->type);
    bool is_array = length > 2 && strcmp(column->type + length - 2, "[]") == 0;
    return column->is_domain || (is_array && column->typmod >= 0);
}

/*
 * The value as an assignment to the column would make it. A cast rounds a number or a time as an
 * assignment does, but cuts a string that is too long, without a word; the functions behind those
 * casts refuse it (22001) when told that the cast is not explicit. For domains and arrays the
 * assignment itself is evaluated.
 */
const char *view_assigned_sql(struct arena *arena, const struct transition_column *column,
                              const struct view_value *value, bool is_assigned)
{
    static const struct {
        uint32_t type_oid;
        const char *name;
    } cut[] = {{1042, "bpchar"}, {1043, "varchar"}, {1560, "bit"}, {1562, "varbit"}};
    if (is_assigned)
        return arena_format(arena, "(%s)", cast(arena, column, value, column->type, true));
    if (is_cut_inside(column))
        return arena_format(arena,
                            "(SELECT segue_x FROM XMLTABLE('/x' PASSING '<x/>' COLUMNS segue_x %s "
                            "PATH 'y' DEFAULT (%s)))",
                            column->type, value->sql);
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
        if (column->type_oid == cut[i].type_oid && column->typmod >= 0) {
            const char *bare = arena_format(arena, "pg_catalog.\"%s\"", cut[i].name);
            return arena_format(arena, "%s(%s, %d, false)", bare,
                                cast(arena, column, value, bare, false), column->typmod);
        }
    return arena_format(arena, "(%s)", cast(arena, column, value, column->type, false));
}

/* Is a bare name of a type that stands for a length of one ("character" is character(1))? */
static const char *without_implied_length(struct arena *arena, const char *type)
{
    static const struct {
        const char *name, *meant;
    } implied[] = {{"character", "pg_catalog.bpchar"}, {"bit", "pg_catalog.\"bit\""}};
    for (size_t i = 0; i < sizeof implied / sizeof *implied; i++) {
        size_t length = strlen(implied[i].name);
        if (strncmp(type, implied[i].name, length) == 0 &&
            (type[length] == '\0' || type[length] == '['))
            return arena_format(arena, "%s%s", implied[i].meant, type + length);
    }
    return type;
}

const char *view_bare_type(struct arena *arena, const char *type)
{
    char *bare = arena_string(arena, type);
    char *to = bare;
    bool quoted = false;
    int depth = 0;
    for (const char *from = type; *from; from++) {
        if (*from == '"')
            quoted = !quoted;
        if (!quoted && *from == '(')
            depth++;
        if (depth == 0)
            *to++ = *from;
        if (!quoted && *from == ')')
            depth--;
    }
    *to = '\0';
    return without_implied_length(arena, bare);
}
