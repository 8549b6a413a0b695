/*
 * The tables of REWRITE.md ("Reading a logical column", "Writing") in code. Everything that depends
 * on phase, stage, shape and losslessness is decided here; the files by clause only ask.
 */
#include "view.h"

#include "places.h"

const char *view_quote(struct arena *arena, const char *name)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_identifier(&text, name);
    const char *quoted = arena_string_range(arena, text.data, text.length);
    text_release(&text);
    return quoted;
}

static const char *take(struct arena *arena, struct text *text)
{
    const char *taken = arena_string_range(arena, text->data, text->length);
    text_release(text);
    return taken;
}

/* ------------------------------------------------------------------ which columns there are */

static bool stage_has(enum stage stage, enum shape shape)
{
    switch (stage) {
    case STAGE_APPLIED:
        return shape == SHAPE_OLD;
    case STAGE_EXPANDED:
        return true;
    case STAGE_CONTRACTED:
        return shape == SHAPE_NEW;
    }
    BUG("stage %d", (int)stage);
}

const char *view_physical_name(const struct view_transition *transition, enum shape shape,
                               size_t number)
{
    return transition_column_name(&transition->at->transition->columns[shape][number],
                                  transition->at->stage);
}

/* The column of a shape that a physical column is; false where it is none of it. */
static bool is_of_shape(const struct view_transition *transition, enum shape shape,
                        const char *physical, size_t *number)
{
    if (!stage_has(transition->at->stage, shape))
        return false;
    for (size_t i = 0; i < transition->at->transition->column_count[shape]; i++)
        if (strcmp(view_physical_name(transition, shape, i), physical) == 0) {
            *number = i;
            return true;
        }
    return false;
}

static enum view_read how_read(const struct view_transition *transition,
                               const struct transition_column *column)
{
    switch (phase_reads(transition->at->phase, transition->shape)) {
    case PHASE_READ_OWN:
        return strcmp(transition_column_name(column, transition->at->stage), column->name) == 0
                   ? VIEW_PLAIN
                   : VIEW_RENAMED;
    case PHASE_READ_CONVERTED:
        return VIEW_CONVERTED;
    case PHASE_READ_PARITY:
        return transition->at->transition->lossless ? VIEW_CONVERTED : VIEW_PARITY;
    }
    BUG("phase read of %s", phase_name(transition->at->phase));
}

static void add_logical(struct view *view, const struct view_transition *transition, size_t number,
                        const struct catalog_column *physical)
{
    const struct transition_column *column =
        &transition->at->transition->columns[transition->shape][number];
    struct view_column *added = &view->columns[view->column_count++];
    *added = (struct view_column){.name = column->name,
                                  .read = how_read(transition, column),
                                  .transition = transition,
                                  .column = column,
                                  .number = number,
                                  .physical = physical};
    view->is_plain = view->is_plain && added->read == VIEW_PLAIN && !transition->is_blocked;
}

/* The dropped columns between two places, in order, where the client's shape has them. */
static void add_dropped_between(const struct rewrite_context *context, struct view *view, int after,
                                int before)
{
    for (;;) {
        const struct view_transition *owner = NULL;
        size_t number = 0;
        int first = before;
        for (size_t i = 0; i < view->transition_count; i++) {
            const struct view_transition *transition = &view->transitions[i];
            if (transition->at->stage != STAGE_CONTRACTED || transition->shape != SHAPE_OLD)
                continue;
            for (size_t c = 0; c < transition->at->transition->column_count[SHAPE_OLD]; c++) {
                int place = place_of_old(context, view, transition, c);
                if (place <= after || place >= first)
                    continue;
                owner = transition;
                number = c;
                first = place;
            }
        }
        if (!owner)
            return;
        add_logical(view, owner, number, NULL);
        after = first;
    }
}

/*
 * Where the numbers are not known: after CONTRACT the old columns' places are gaps in the table's
 * attribute numbers. Where there are more gaps than old columns, which are whose cannot be told.
 */
static size_t count_gaps(const struct catalog_table *table)
{
    size_t highest =
        table->column_count ? (size_t)table->columns[table->column_count - 1].attnum : 0;
    return highest - table->column_count;
}

static size_t count_dropped(const struct view *view)
{
    size_t dropped = 0;
    for (size_t i = 0; i < view->transition_count; i++)
        if (view->transitions[i].at->stage == STAGE_CONTRACTED)
            dropped += view->transitions[i].at->transition->column_count[SHAPE_OLD];
    return dropped;
}

/* The n-th dropped column, where the client's shape has it. */
static void add_dropped(struct view *view, size_t which)
{
    for (size_t i = 0; i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        if (transition->at->stage != STAGE_CONTRACTED)
            continue;
        size_t count = transition->at->transition->column_count[SHAPE_OLD];
        if (which < count) {
            if (transition->shape == SHAPE_OLD)
                add_logical(view, transition, which, NULL);
            return;
        }
        which -= count;
    }
}

static void add_physical(struct view *view, const char **hidden,
                         const struct catalog_column *column)
{
    for (size_t i = 0; i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        size_t number;
        if (is_of_shape(transition, transition->shape, column->name, &number)) {
            if (strcmp(column->name,
                       transition->at->transition->columns[transition->shape][number].name) != 0)
                hidden[view->hidden_count++] = column->name;
            add_logical(view, transition, number, column);
            return;
        }
        if (is_of_shape(transition, shape_other(transition->shape), column->name, &number)) {
            hidden[view->hidden_count++] = column->name;
            view->is_plain = false;
            return;
        }
    }
    view->columns[view->column_count++] =
        (struct view_column){.name = column->name, .physical = column};
}

/*
 * New columns that the catalog does not have: EXPAND is still to add them, or, in a preview of a
 * later phase, will have.
 */
static void add_to_come(struct view *view, const char **hidden,
                        const struct view_transition *transition)
{
    const struct transition *definition = transition->at->transition;
    for (size_t i = 0; i < definition->column_count[SHAPE_NEW]; i++) {
        const char *physical = view_physical_name(transition, SHAPE_NEW, i);
        if (transition->at->stage == STAGE_EXPANDED && catalog_column_find(view->table, physical))
            continue;
        if (transition->shape == SHAPE_NEW)
            add_logical(view, transition, i, NULL);
        if (transition->at->stage == STAGE_EXPANDED) {
            view->is_plain = false;
            if (!view_find(view, physical))
                hidden[view->hidden_count++] = physical;
        }
    }
}

static void fill_columns(struct arena *arena, const struct rewrite_context *context,
                         struct view *view)
{
    const struct catalog_table *table = view->table;
    size_t room = table->column_count;
    for (size_t i = 0; i < view->transition_count; i++)
        for (int shape = 0; shape < SHAPE_COUNT; shape++)
            room += view->transitions[i].at->transition->column_count[shape];
    view->columns = ARENA_NEW_ARRAY(arena, struct view_column, room + 1);
    const char **hidden = ARENA_NEW_ARRAY(arena, const char *, room + 1);
    view->has_numbers_of_table = has_numbers_of_table(context, view);
    bool places_are_known = are_places_known(context, view);
    size_t dropped = places_are_known ? 0 : count_dropped(view);
    view->order_is_known = dropped == 0 || (count_gaps(table) == dropped &&
                                            (view->has_numbers_of_table || dropped == 1));
    size_t gap = 0;
    int16_t expected = 1;
    int before = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (is_kept_old(view, table->columns[i].name))
            continue;
        for (; view->order_is_known && dropped && expected < table->columns[i].attnum; expected++)
            add_dropped(view, gap++);
        if (places_are_known)
            add_dropped_between(context, view, before, place_of_number(table->columns[i].attnum));
        before = place_of_number(table->columns[i].attnum);
        add_physical(view, hidden, &table->columns[i]);
        expected = (int16_t)(table->columns[i].attnum + 1);
    }
    if (places_are_known)
        add_dropped_between(context, view, before, place_of_number(INT16_MAX));
    if (!view->order_is_known)
        while (gap < dropped)
            add_dropped(view, gap++);
    for (size_t i = 0; i < view->transition_count; i++)
        if (view->transitions[i].at->stage != STAGE_CONTRACTED)
            add_to_come(view, hidden, &view->transitions[i]);
    view->hidden = hidden;
}

/* The table itself, or a child that has all its columns, under the same names. */
static bool is_on(const struct snapshot_transition *at, const struct catalog_table *table)
{
    const struct transition *transition = at->transition;
    if (transition->table_oid)
        return catalog_descends(table, transition->table_oid);
    return strcmp(transition->schema, table->schema) == 0 &&
           strcmp(transition->table, table->name) == 0;
}

static struct view_transition meet(const struct rewrite_context *context, size_t index)
{
    const struct snapshot_transition *at = &context->snapshot->transitions[index];
    enum shape shape = context->new_shapes >> index & 1 ? SHAPE_NEW : SHAPE_OLD;
    return (struct view_transition){
        .at = at,
        .index = (unsigned)index,
        .shape = shape,
        .writes_own = stage_has(at->stage, shape) && phase_writes(at->phase, shape),
        .writes_other =
            stage_has(at->stage, shape_other(shape)) && phase_writes(at->phase, shape_other(shape)),
        .is_blocked = !at->transition->lossless && shape == SHAPE_NEW && at->phase == PHASE_OLD,
    };
}

const struct view *view_make(struct arena *arena, const struct rewrite_context *context,
                             const struct catalog_table *table)
{
    const struct snapshot *snapshot = context->snapshot;
    struct view *view = NULL;
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        if (!is_on(&snapshot->transitions[i], table))
            continue;
        if (!view) {
            view = ARENA_NEW(arena, struct view);
            view->table = table;
            view->is_plain = true;
            view->transitions =
                ARENA_NEW_ARRAY(arena, struct view_transition, snapshot->transition_count);
        }
        /* EXPAND comes between two statements of a session that knows only APPLIED: from then on
         * its stars must not show the new columns. */
        if (snapshot->transitions[i].stage == STAGE_APPLIED)
            view->is_plain = false;
        view->transitions[view->transition_count++] = meet(context, i);
        view->touched |= UINT64_C(1) << i;
    }
    if (view)
        fill_columns(arena, context, view);
    return view;
}

const struct view_column *view_find(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->column_count; i++)
        if (strcmp(view->columns[i].name, name) == 0)
            return &view->columns[i];
    return NULL;
}

bool view_hides(const struct view *view, const char *name)
{
    if (view_find(view, name))
        return false;
    for (size_t i = 0; i < view->hidden_count; i++)
        if (strcmp(view->hidden[i], name) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ reading */

/* Physical columns of a shape as arguments of a conversion. */
static const char **physical_arguments(struct arena *arena,
                                       const struct view_transition *transition, enum shape shape,
                                       const char *qualifier)
{
    size_t count = transition->at->transition->column_count[shape];
    const char **arguments = ARENA_NEW_ARRAY(arena, const char *, count);
    for (size_t i = 0; i < count; i++)
        arguments[i] = arena_format(arena, "%s%s", qualifier,
                                    view_quote(arena, view_physical_name(transition, shape, i)));
    return arguments;
}

static const char *cast_conversion(struct arena *arena, const struct transition_column *column,
                                   const char *const *arguments, const char *type)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_char(&text, '(');
    conversion_render(&column->from, arguments, &text);
    text_add_format(&text, ")::%s", type);
    return take(arena, &text);
}

static const char *collated(struct arena *arena, const struct transition_column *column,
                            const char *sql)
{
    return column->read_collation
               ? arena_format(arena, "%s COLLATE %s", sql, column->read_collation)
               : sql;
}

/* "a IS NOT DISTINCT FROM x AND .." over the columns of a shape: each against its conversion from
 * the other shape. */
static const char *own_is_converted(struct arena *arena, const struct view_transition *transition,
                                    enum shape shape, const char *const *values,
                                    const char *const *other)
{
    const struct transition *definition = transition->at->transition;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < definition->column_count[shape]; i++) {
        const struct transition_column *column = &definition->columns[shape][i];
        text_add_format(
            &text, "%s%s IS NOT DISTINCT FROM %s", i ? " AND " : "", values[i],
            collated(arena, column, cast_conversion(arena, column, other, column->type_bare)));
    }
    return take(arena, &text);
}

const char *view_read_sql(struct arena *arena, const struct view_column *column,
                          const char *qualifier)
{
    const struct view_transition *transition = column->transition;
    if (column->read == VIEW_PLAIN)
        return arena_format(arena, "%s%s", qualifier, view_quote(arena, column->name));
    const char *own = arena_format(
        arena, "%s%s", qualifier,
        view_quote(arena, transition_column_name(column->column, transition->at->stage)));
    if (column->read == VIEW_RENAMED)
        return own;
    enum shape other = shape_other(transition->shape);
    const char **arguments = physical_arguments(arena, transition, other, qualifier);
    const char *converted =
        collated(arena, column->column,
                 cast_conversion(arena, column->column, arguments, column->column->type));
    if (column->read == VIEW_CONVERTED)
        return arena_format(arena, "(%s)", converted);
    const char **owns = physical_arguments(arena, transition, transition->shape, qualifier);
    return arena_format(arena, "(CASE WHEN %s THEN %s ELSE %s END)",
                        own_is_converted(arena, transition, other, arguments, owns), own,
                        converted);
}

/* ------------------------------------------------------------------ writing */

/* The value is converted as the own column will hold it: rounded to its scale, say. */
static const char **cast_values(struct arena *arena, const struct view_transition *transition,
                                const struct view_value *values)
{
    const struct transition *definition = transition->at->transition;
    size_t count = definition->column_count[transition->shape];
    bool own_is_written = phase_writes(transition->at->phase, transition->shape);
    const char **cast = ARENA_NEW_ARRAY(arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        const struct transition_column *column = &definition->columns[transition->shape][i];
        cast[i] = view_assigned_sql(arena, column, &values[i], own_is_written);
    }
    return cast;
}

const char *view_convert_sql(struct arena *arena, const struct view_transition *transition,
                             size_t number, const struct view_value *values)
{
    const struct transition_column *other =
        &transition->at->transition->columns[shape_other(transition->shape)][number];
    return cast_conversion(arena, other, cast_values(arena, transition, values), other->type_bare);
}

const char *view_update_sql(struct arena *arena, const struct view_transition *transition,
                            size_t number, const struct view_value *values, const char *qualifier)
{
    const char *converted = view_convert_sql(arena, transition, number, values);
    if (transition->at->transition->lossless)
        return converted;
    enum shape other = shape_other(transition->shape);
    const char **others = physical_arguments(arena, transition, other, qualifier);
    return arena_format(arena, "CASE WHEN %s THEN %s ELSE %s END",
                        own_is_converted(arena, transition, transition->shape,
                                         cast_values(arena, transition, values), others),
                        others[number], converted);
}
