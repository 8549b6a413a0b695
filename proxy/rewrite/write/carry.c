#include "carry.h"

/*
 * Types whose text says all of a value, whatever is set. Not among them: floating point
 * (extra_float_digits) and what is made of it, money, xml, times with a zone but the one that goes
 * as UTC, and types made by users, of which it is not known here what is in them.
 */
bool carrier_takes(const struct transition_column *column)
{
    static const uint32_t exact[] = {
        16,   17,   19,   20,   21,   23,   25,   26,   /* bool, bytea, name, integers, text, oid */
        1000, 1001, 1003, 1016, 1005, 1007, 1009, 1028, /* and arrays of them */
        114,  3802, 199,  3807,                         /* json, jsonb */
        650,  774,  829,  869,  651,  775,  1040, 1041, /* cidr, macaddr8, macaddr, inet */
        1042, 1043, 1560, 1562, 1014, 1015, 1561, 1563, /* character, bit */
        1082, 1083, 1114, 1184, 1186, 1266,             /* dates and times */
        1182, 1183, 1115, 1187, 1270,                   /* arrays of these but timestamptz */
        1700, 2950, 3220, 3614, 1231, 2951, 3221, 3643, /* numeric, uuid, pg_lsn, tsvector */
        3904, 3906, 3908, 3912, 3926,                   /* ranges */
    };
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (column->type_oid == exact[i])
            return true;
    return false;
}

/* A time that has a zone goes as that of UTC: the names that zones have for short can mean others.
 */
static bool has_zone(const struct transition_column *column)
{
    enum { TIMESTAMPTZ = 1184 };
    return column->type_oid == TIMESTAMPTZ;
}

const char *carrier_add(struct carrier *carrier, const struct transition_column *column,
                        const char *sql)
{
    struct arena *arena = carrier->rewriter->arena;
    const struct view_value unsure = {sql, VIEW_TAKEN_UNSURE};
    const char *value = view_assigned_sql(arena, column, &unsure, false);
    if (has_zone(column))
        value = arena_format(arena, "pg_catalog.timezone('UTC', %s)", value);
    carrier->values = arena_format(arena, "%s%s%s::text", carrier->values ? carrier->values : "",
                                   carrier->values ? ", " : "", value);
    const char *kept = arena_format(
        arena, "(pg_catalog.current_setting('segue.merge')::text[])[%zu]", ++carrier->count);
    if (has_zone(column))
        return arena_format(arena, "pg_catalog.timezone('UTC', %s::timestamp)", kept);
    return arena_format(arena, "%s::%s", kept, column->type_bare);
}

const char *carrier_condition(const struct carrier *carrier)
{
    return arena_format(carrier->rewriter->arena,
                        "pg_catalog.set_config('segue.merge', (ARRAY[%s])::text, true) IS NOT NULL",
                        carrier->values);
}
