#include "segue/transition/transition.h"

#include "segue/base/memory.h"

#include <stdlib.h>

enum { GUARD_COUNT = 3 };
static const char *const guard_names[GUARD_COUNT] = {"off", "sync", "reject"};

const char *guard_name(enum guard guard)
{
    return guard_names[guard];
}

bool guard_parse(const char *name, enum guard *guard)
{
    for (int i = 0; i < GUARD_COUNT; i++) {
        if (strcmp(name, guard_names[i]) == 0) {
            *guard = (enum guard)i;
            return true;
        }
    }
    return false;
}

struct transition *transition_get(struct transition *transition)
{
    atomic_fetch_add_explicit(&transition->references, 1, memory_order_relaxed);
    return transition;
}

static void release_column(struct transition_column *column)
{
    free(column->name);
    free(column->physical);
    free(column->type);
    free(column->type_bare);
    free(column->default_expression);
    free(column->read_collation);
    conversion_release(&column->from);
}

void transition_put(struct transition *transition)
{
    if (!transition ||
        atomic_fetch_sub_explicit(&transition->references, 1, memory_order_acq_rel) != 1)
        return;
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++)
            release_column(&transition->columns[shape][i]);
        free(transition->columns[shape]);
    }
    for (size_t i = 0; i < transition->pair_count; i++)
        pair_release(&transition->pairs[i]);
    free(transition->pairs);
    free(transition->name);
    free(transition->schema);
    free(transition->table);
    free(transition->source);
    free(transition->date_style);
    free(transition->interval_style);
    free(transition);
}

/* Does the column's conversion name that one of the other shape? */
static bool is_made_from(const struct transition_column *column, size_t other)
{
    for (size_t i = 0; i < column->from.slot_count; i++)
        if (column->from.slots[i] == other)
            return true;
    return false;
}

static bool are_bound(const struct transition *transition, enum shape shape, size_t column,
                      size_t other)
{
    return is_made_from(&transition->columns[shape][column], other) ||
           is_made_from(&transition->columns[shape_other(shape)][other], column);
}

/* The only one that is bound to it; TRANSITION_NONE where there is none, or another. */
static size_t only_bound(const struct transition *transition, enum shape shape, size_t column)
{
    size_t found = TRANSITION_NONE;
    for (size_t i = 0; i < transition->column_count[shape_other(shape)]; i++) {
        if (!are_bound(transition, shape, column, i))
            continue;
        if (found != TRANSITION_NONE)
            return TRANSITION_NONE;
        found = i;
    }
    return found;
}

size_t transition_partner(const struct transition *transition, enum shape shape, size_t column)
{
    if (transition->column_count[SHAPE_OLD] == 1 && transition->column_count[SHAPE_NEW] == 1)
        return 0;
    const size_t other = only_bound(transition, shape, column);
    bool is_mutual =
        other != TRANSITION_NONE && only_bound(transition, shape_other(shape), other) == column;
    return is_mutual ? other : TRANSITION_NONE;
}

void transition_partner_names(const struct transition *transition, enum shape shape,
                              struct text *out)
{
    size_t count = 0;
    struct text array;
    text_init(&array, TEXT_UNBOUNDED);
    for (size_t i = 0; i < transition->column_count[SHAPE_OLD]; i++) {
        size_t partner = transition_partner(transition, SHAPE_OLD, i);
        if (partner == TRANSITION_NONE)
            continue;
        text_add_array_item(&array,
                            transition->columns[shape][shape == SHAPE_OLD ? i : partner].physical);
        count++;
    }
    text_add_string(out, count ? array.data : "{");
    text_add_char(out, '}');
    text_release(&array);
}

const struct transition_column *transition_find_logical(const struct transition *transition,
                                                        enum shape shape, const char *name)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        if (strcmp(transition->columns[shape][i].name, name) == 0)
            return &transition->columns[shape][i];
    }
    return NULL;
}

const struct transition_column *transition_find_physical(const struct transition *transition,
                                                         enum shape shape, const char *physical)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        if (strcmp(transition->columns[shape][i].physical, physical) == 0)
            return &transition->columns[shape][i];
    }
    return NULL;
}

const char *transition_column_name(const struct transition_column *column, enum stage stage)
{
    return stage == STAGE_CONTRACTED ? column->name : column->physical;
}

static void add_physical(const struct transition_column *column, const char *qualifier,
                         struct text *out)
{
    text_add_string(out, qualifier);
    text_add_identifier(out, column->physical);
}

void transition_converted(const struct transition *transition, enum shape shape, size_t column,
                          const char *qualifier, struct text *out)
{
    const enum shape other = shape_other(shape);
    const size_t count = transition->column_count[other];
    const char **arguments = NEW_ARRAY(const char *, count);
    for (size_t i = 0; i < count; i++) {
        struct text argument;
        text_init(&argument, TEXT_UNBOUNDED);
        add_physical(&transition->columns[other][i], qualifier, &argument);
        arguments[i] = text_take(&argument);
    }
    const struct transition_column *target = &transition->columns[shape][column];
    text_add_char(out, '(');
    conversion_render(&target->from, arguments, out);
    text_add_format(out, ")::%s", target->type);
    if (target->read_collation)
        text_add_format(out, " COLLATE %s", target->read_collation);
    for (size_t i = 0; i < count; i++)
        free((char *)arguments[i]);
    free(arguments);
}

/* "new IS NOT DISTINCT FROM forward(old)" over all columns of a shape. */
static void add_equality(const struct transition *transition, enum shape shape,
                         const char *qualifier, struct text *out)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        if (i)
            text_add_string(out, " AND ");
        add_physical(&transition->columns[shape][i], qualifier, out);
        text_add_string(out, " IS NOT DISTINCT FROM ");
        transition_converted(transition, shape, i, qualifier, out);
    }
}

void transition_parity(const struct transition *transition, const char *qualifier, struct text *out)
{
    add_equality(transition, SHAPE_NEW, qualifier, out);
    text_add_string(out, " OR ");
    add_equality(transition, SHAPE_OLD, qualifier, out);
}

void transition_carry_use(struct transition *transition, const struct transition *from)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        atomic_store_explicit(&transition->statements[shape],
                              atomic_load_explicit(&from->statements[shape], memory_order_relaxed),
                              memory_order_relaxed);
        atomic_store_explicit(
            &transition->last_used_ms[shape],
            atomic_load_explicit(&from->last_used_ms[shape], memory_order_relaxed),
            memory_order_relaxed);
    }
    atomic_store_explicit(&transition->counted_since_ms,
                          atomic_load_explicit(&from->counted_since_ms, memory_order_relaxed),
                          memory_order_relaxed);
}
