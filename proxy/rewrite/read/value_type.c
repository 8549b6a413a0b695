/* The types that values are brought to: a column's own, as an assignment would, or without its
 * modifier. */
#include "view.h"

/*
 * Types to which an assignment takes nothing that coalesce would not bring to one type with them.
 * Not among them: strings, and arrays of such, to which anything can be assigned; json, jsonb,
 * interval, time and money, to which a type of another category can, or one that no cast leads
 * back from; types that are not built in.
 */
static bool is_strict(uint32_t type_oid)
{
    static const uint32_t strict[] = {20,   21,   23,   700,  701,  1700, /* numbers */
                                      16,   17,   142,  2950, /* bool, bytea, xml, uuid */
                                      1082, 1114, 1184,       /* date, timestamp, timestamptz */
                                      650,  869,  774,  829,  /* cidr, inet, macaddr8, macaddr */
                                      3904, 3906, 3908, 3910, 3912, 3926, /* ranges */
                                      1000, 1005, 1007, 1016, 1021, 1022,
                                      1231, 1001, 2951, /* arrays of these */
                                      1182, 1115, 1185};
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++)
        if (type_oid == strict[i])
            return true;
    return false;
}

/*
 * The value as an assignment to the column would make it. A cast rounds a
 * number or a time as an assignment does, but cuts a string that is too long, without a word; the
 * functions behind those casts refuse it (22001) when told that the cast is not explicit. And a
 * cast takes text for a number or a date, which an assignment does not: the types of coalesce must
 * be of one category (42804).
 */
const char *view_assigned_sql(struct arena *arena, const struct transition_column *column,
                              const char *value, bool is_assigned)
{
    static const struct {
        uint32_t type_oid;
        const char *name;
    } cut[] = {{1042, "bpchar"}, {1043, "varchar"}, {1560, "bit"}, {1562, "varbit"}};
    size_t length = strlen(column->type);
    /* elements would be cut */
    bool is_array = length > 2 && strcmp(column->type + length - 2, "[]") == 0;
    const char *type = is_array && !is_assigned ? column->type_bare : column->type;
    for (size_t i = 0; !is_assigned && i < sizeof cut / sizeof *cut; i++)
        if (column->type_oid == cut[i].type_oid && column->typmod >= 0)
            return arena_format(arena, "pg_catalog.\"%s\"((%s)::pg_catalog.\"%s\", %d, false)",
                                cut[i].name, value, cut[i].name, column->typmod);
    if (is_strict(column->type_oid))
        return arena_format(arena, "(coalesce((%s), NULL::%s)::%s)", value, column->type_bare,
                            type);
    return arena_format(arena, "((%s)::%s)", value, type);
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
