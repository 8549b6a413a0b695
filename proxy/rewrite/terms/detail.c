/*
 * The server shows values between brackets, not quoted, and cuts long ones. So a row is taken apart
 * only where it can be in one way: where there are as many separators as the table has columns,
 * less one. All words around the brackets may be in any language.
 */
#include "detail.h"

#include "../cache/words.h"

/* ------------------------------------------------------------------ columns */

static bool is_other_column(const struct view_transition *transition, const char *physical,
                            size_t *number)
{
    enum shape other = shape_other(transition->shape);
    for (size_t i = 0; i < transition->at->transition->column_count[other]; i++) {
        *number = i;
        if (strcmp(view_physical_name(transition, other, i), physical) == 0)
            return true;
    }
    return false;
}

/* The one column of the client's shape that a column of the other is converted from. */
static const char *only_source(const struct view_transition *transition, size_t number)
{
    const struct transition *definition = transition->at->transition;
    const struct conversion *from =
        &definition->columns[shape_other(transition->shape)][number].from;
    for (size_t i = 1; i < from->slot_count; i++)
        if (from->slots[i] != from->slots[0])
            return NULL;
    return from->slot_count ? definition->columns[transition->shape][from->slots[0]].name : NULL;
}

enum column_meaning column_meaning(const struct view *view, const char *physical, const char **name)
{
    *name = physical;
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
        if (!column->physical || strcmp(column->physical->name, physical) != 0)
            continue;
        *name = column->name;
        return strcmp(column->name, physical) == 0 ? COLUMN_IS_ITSELF : COLUMN_IS_RENAMED;
    }
    for (size_t i = 0; i < view->transition_count; i++) {
        size_t number;
        if (!is_other_column(&view->transitions[i], physical, &number))
            continue;
        *name = only_source(&view->transitions[i], number);
        return *name ? COLUMN_IS_CONVERTED : COLUMN_IS_SEVERAL;
    }
    return COLUMN_IS_ITSELF;
}

/* ------------------------------------------------------------------ rows */

static const char *take(struct arena *arena, struct text *text)
{
    const char *taken = arena_string_range(arena, text->data, text->length);
    text_release(text);
    return taken;
}

/* Cuts "a, b, c" at its separators; false where there are not `count` pieces. */
static bool cut_values(struct arena *arena, struct slice values, size_t count, struct slice **cut)
{
    struct slice *pieces = ARENA_NEW_ARRAY(arena, struct slice, count + 1);
    size_t found = 0, start = 0;
    for (size_t i = 0; i <= values.length; i++) {
        bool is_end = i == values.length;
        if (!is_end && (i + 1 == values.length || memcmp(values.data + i, ", ", 2) != 0))
            continue;
        if (found == count)
            return false;
        pieces[found++] = (struct slice){values.data + start, i - start};
        start = i + 2;
    }
    *cut = pieces;
    return found == count;
}

/* Does the client read this column where it stands in the table? */
static bool is_own_value(const struct view_column *column)
{
    return column->physical && (column->read == VIEW_PLAIN || column->read == VIEW_RENAMED);
}

const char *detail_of_row(struct arena *arena, const struct view *view, const char *detail)
{
    const char *open = strchr(detail, '('), *close = strrchr(detail, ')');
    struct slice *values;
    if (!open || !close || close < open || strstr(detail, ") = ("))
        return NULL; /* of a client that may see some columns only */
    struct slice inside = {open + 1, (size_t)(close - open) - 1};
    if (!cut_values(arena, inside, view->table->column_count, &values))
        return NULL;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add(&text, detail, (size_t)(open - detail) + 1);
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
        if (!is_own_value(column)) {
            text_release(&text);
            return NULL;
        }
        text_add_string(&text, i ? ", " : "");
        text_add_slice(&text, values[column->physical - view->table->columns]);
    }
    text_add_string(&text, close);
    return take(arena, &text);
}

/* ------------------------------------------------------------------ keys */

/* The name that an item is; NULL where it is an expression. */
static const char *name_of_item(struct arena *arena, struct slice item)
{
    bool is_quoted = item.length > 1 && item.data[0] == '"';
    size_t end = is_quoted ? item.length - 1 : item.length;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = is_quoted; i < end; i++) {
        char c = item.data[i];
        if (is_quoted ? c == '"' && item.data[++i] != '"' : !word_byte((unsigned char)c)) {
            text_release(&text);
            return NULL;
        }
        text_add_char(&text, c);
    }
    return take(arena, &text);
}

/* As quote_identifier of PostgreSQL writes it, keywords aside. */
static void add_name(struct text *text, const char *name)
{
    bool is_plain = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    for (const char *c = name; *c && is_plain; c++)
        is_plain = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
    if (is_plain)
        text_add_string(text, name);
    else
        text_add_identifier(text, name);
}

/* Where the item that begins at `start` ends: at a comma of its own depth, outside quotes. */
static size_t end_of_item(struct slice list, size_t start)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = start; i < list.length; i++) {
        char c = list.data[i];
        quoted ^= c == '"';
        depth += !quoted && c == '(';
        depth -= !quoted && c == ')';
        if (!quoted && depth == 0 && c == ',')
            return i;
    }
    return list.length;
}

static bool mentions(struct slice expression, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i + length <= expression.length; i++)
        if (memcmp(expression.data + i, name, length) == 0)
            return true;
    return false;
}

/* May an expression be shown to the client as it is? */
static bool expression_is_its_own(const struct view *view, struct slice item)
{
    for (size_t i = 0; i < view->table->column_count; i++) {
        const char *name, *physical = view->table->columns[i].name;
        if (column_meaning(view, physical, &name) != COLUMN_IS_ITSELF && mentions(item, physical))
            return false;
    }
    return true;
}

static bool add_item(struct arena *arena, const struct view *view, struct slice item,
                     struct text *text)
{
    const char *physical = name_of_item(arena, item), *name;
    if (!physical) {
        text_add_slice(text, item);
        return expression_is_its_own(view, item);
    }
    switch (column_meaning(view, physical, &name)) {
    case COLUMN_IS_ITSELF:
        text_add_slice(text, item);
        return true;
    case COLUMN_IS_RENAMED:
        add_name(text, name);
        return true;
    case COLUMN_IS_CONVERTED:
    case COLUMN_IS_SEVERAL:
        return false;
    }
    BUG("meaning of column %s", physical);
}

const char *detail_of_key(struct arena *arena, const struct view *view, const char *detail)
{
    const char *open = strchr(detail, '('), *close = open ? strstr(open, ")=(") : NULL;
    if (!close)
        return NULL;
    struct slice list = {open + 1, (size_t)(close - open) - 1};
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add(&text, detail, (size_t)(open - detail) + 1);
    bool is_own = true;
    for (size_t start = 0; start < list.length && is_own;) {
        size_t end = end_of_item(list, start);
        text_add_string(&text, start ? ", " : "");
        is_own = add_item(arena, view, (struct slice){list.data + start, end - start}, &text);
        start = end + 2;
    }
    text_add_string(&text, close);
    const char *told = take(arena, &text);
    return is_own ? told : NULL;
}
