/* Conversions: cut once at their column references, rendered as often as statements need them. */
#include "segue/base/memory.h"
#include "segue/sql/expression.h"
#include "segue/transition/transition.h"

#include <stdlib.h>

static bool find_name(const char *const *names, size_t count, const char *name, size_t *index)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool refuse_column(struct error *error, const char *source, const char *column,
                          const char *const *names, size_t name_count)
{
    struct text list;
    text_init(&list, TEXT_UNBOUNDED);
    for (size_t i = 0; i < name_count; i++)
        text_add_format(&list, "%s\"%s\"", i ? ", " : "", names[i]);
    error_set(error, "42703", "column \"%s\" does not exist in the other shape", column);
    error_detail(error, "The conversion is: %s", source);
    error_hint(error, "A conversion is SQL over the other shape's columns: %s.", list.data);
    text_release(&list);
    return false;
}

bool conversion_init(struct conversion *conversion, const char *source, const char *const *names,
                     size_t name_count, struct error *error)
{
    struct arena arena;
    struct sql_expression expression;
    *conversion = (struct conversion){0};
    arena_init(&arena);
    bool done = sql_expression_read(&arena, source, &expression, error);
    if (!done)
        goto out;
    conversion->source = memory_string(source);
    conversion->pieces = NEW_ARRAY(char *, expression.column_count + 1);
    conversion->slots = NEW_ARRAY(uint16_t, expression.column_count);
    size_t from = 0;
    for (size_t i = 0; i < expression.column_count; i++) {
        const struct sql_expression_column *column = &expression.columns[i];
        size_t index;
        done = find_name(names, name_count, column->name, &index);
        if (!done) {
            refuse_column(error, source, column->name, names, name_count);
            conversion_release(conversion);
            goto out;
        }
        conversion->pieces[i] = memory_string_range(source + from, column->start - from);
        conversion->slots[i] = (uint16_t)index;
        conversion->slot_count = i + 1;
        from = column->end;
    }
    conversion->pieces[conversion->slot_count] = memory_string(source + from);
out:
    arena_release(&arena);
    return done;
}

void conversion_release(struct conversion *conversion)
{
    if (conversion->pieces) {
        for (size_t i = 0; i <= conversion->slot_count; i++)
            free(conversion->pieces[i]);
    }
    free(conversion->pieces);
    free(conversion->slots);
    free(conversion->source);
    *conversion = (struct conversion){0};
}

void conversion_render(const struct conversion *conversion, const char *const *arguments,
                       struct text *out)
{
    for (size_t i = 0; i < conversion->slot_count; i++) {
        text_add_string(out, conversion->pieces[i]);
        text_add_string(out, arguments[conversion->slots[i]]);
    }
    text_add_string(out, conversion->pieces[conversion->slot_count]);
}
