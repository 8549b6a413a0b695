/* Which computed columns can be turned, and to what a value that they are compared with is. */
#include "turn.h"

enum {
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_VARCHAR = 1043,
    TYPE_NUMERIC = 1700,
    TYPE_UUID = 2950
};
enum { VARCHAR_HEADER = 4, NUMERIC_PRECISION_SHIFT = 16 };

/* ------------------------------------------------------------------ which columns */

bool is_integer_type(uint32_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

static bool is_string(uint32_t type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR;
}

/* The most characters that a value of the type is printed with; 0: not known, or not bounded. */
static int printed_length(const struct transition_column *column)
{
    switch (column->type_oid) {
    case TYPE_INT2:
        return 6;
    case TYPE_INT4:
        return 11;
    case TYPE_INT8:
        return 20;
    case TYPE_UUID:
        return 36;
    case TYPE_NUMERIC: /* sign and point */
        return column->typmod < VARCHAR_HEADER
                   ? 0
                   : ((column->typmod - VARCHAR_HEADER) >> NUMERIC_PRECISION_SHIFT & 0xFFFF) + 2;
    default:
        return 0;
    }
}

static bool holds_printed(const struct transition_column *column,
                          const struct transition_column *other)
{
    int length = printed_length(other);
    return length > 0 && (column->typmod < 0 || column->typmod - VARCHAR_HEADER >= length);
}

/* Is the conversion "column" or "column::type" and nothing else? */
static bool is_cast(const struct transition_column *column)
{
    static const struct {
        uint32_t type;
        const char *name;
    } names[] = {{TYPE_INT2, "smallint"},   {TYPE_INT2, "int2"},
                 {TYPE_INT4, "integer"},    {TYPE_INT4, "int"},
                 {TYPE_INT4, "int4"},       {TYPE_INT8, "bigint"},
                 {TYPE_INT8, "int8"},       {TYPE_TEXT, "text"},
                 {TYPE_VARCHAR, "varchar"}, {TYPE_VARCHAR, "character varying"},
                 {TYPE_VARCHAR, "text"},    {TYPE_TEXT, "varchar"}};
    const struct conversion *from = &column->from;
    if (from->slot_count != 1 || from->pieces[0][0])
        return false;
    const char *rest = from->pieces[1];
    if (!*rest)
        return true;
    if (strncmp(rest, "::", 2) != 0)
        return false;
    rest += 2;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == column->type_oid && strcmp(rest, names[i].name) == 0)
            return true;
    return strcmp(rest, column->type) == 0;
}

enum turn turn_of(const struct view_column *column)
{
    const struct view_transition *transition = column->transition;
    if (!transition || column->read != VIEW_CONVERTED || transition->is_blocked)
        return TURN_NONE;
    const struct transition *definition = transition->at->transition;
    if (!definition->lossless || definition->column_count[SHAPE_OLD] != 1 ||
        definition->column_count[SHAPE_NEW] != 1 || !is_cast(column->column) ||
        column->column->read_collation)
        return TURN_NONE;
    const struct transition_column *own = column->column;
    const struct transition_column *other = &definition->columns[shape_other(transition->shape)][0];
    if (is_integer_type(own->type_oid) && is_integer_type(other->type_oid))
        return TURN_INTEGER;
    if (is_string(own->type_oid) && is_string(other->type_oid)) /* else it is a relabelling */
        return own->typmod >= 0 ? TURN_STRING : TURN_NONE;
    if (is_string(own->type_oid) && holds_printed(own, other))
        return TURN_PRINTED;
    return TURN_NONE;
}

const char *token_text(const struct rewriter *rewriter, size_t first, size_t end)
{
    uint32_t start = token_start(rewriter, first);
    return arena_string_range(rewriter->arena, rewriter->source.data + start,
                              token_end(rewriter, end - 1) - start);
}

/* ------------------------------------------------------------------ turning a value */

static const char *read_if_printed(struct rewriter *rewriter, const char *value, const char *type,
                                   int length, const char *pattern)
{
    return arena_format(rewriter->arena,
                        "CASE WHEN pg_catalog.length((%s)::pg_catalog.text) <= %d THEN CASE WHEN "
                        "pg_catalog.textregexeq((%s)::pg_catalog.text, '%s') THEN "
                        "((%s)::pg_catalog.text)::pg_catalog.%s END END",
                        value, length, value, pattern, value, type);
}

/*
 * What the other column is where its text is `value`; NULL for a text that no value is printed as.
 * It must not raise an error, whatever the text.
 */
static const char *unprinted(struct rewriter *rewriter, const struct transition_column *other,
                             const char *value)
{
    int length = printed_length(other);
    switch (other->type_oid) {
    case TYPE_INT2:
    case TYPE_INT4: /* eleven characters are an int8, which compares with either */
        return read_if_printed(rewriter, value, "int8", length, "^-?[0-9]+$");
    case TYPE_INT8: /* of those as long, some are too large */
        return read_if_printed(rewriter, value, "numeric", length, "^-?[0-9]+$");
    case TYPE_NUMERIC:
        return read_if_printed(rewriter, value, "numeric", length, "^(NaN|-?[0-9]+([.][0-9]+)?)$");
    case TYPE_UUID:
        return read_if_printed(rewriter, value, "uuid", length,
                               "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$");
    default:
        BUG("type %u is not printed", other->type_oid);
    }
}

/* A string without a type has that of the column that it is compared with. */
bool is_untyped_string(const sql_node *node)
{
    return SQL_IS(node, a__const) &&
           AS_NODE(AConst, node)->val_case == PG_QUERY__A__CONST__VAL_SVAL;
}

/* The constant of tokens [first, end). An int8 is read as a number that may be too large for one,
 * and only then made one. */
const char *turned_value(struct rewriter *rewriter, const struct turned *turned,
                         const sql_node *node, size_t first, size_t end)
{
    const char *value = token_text(rewriter, first, end);
    if (turned->turn != TURN_PRINTED)
        return is_untyped_string(node) ? arena_format(rewriter->arena, "(%s)::%s", value,
                                                      turned->column->column->type_bare)
                                       : value;
    const char *read = unprinted(rewriter, turned->other, value);
    if (turned->other->type_oid != TYPE_INT8)
        return arena_format(rewriter->arena, "(%s)", read);
    return arena_format(rewriter->arena,
                        "(CASE WHEN (%s) BETWEEN -9223372036854775808 AND 9223372036854775807 "
                        "THEN (%s)::pg_catalog.int8 END)",
                        read, read);
}
