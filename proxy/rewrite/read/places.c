/* A partition made after CONTRACT never had the column: it stands where the table has it, as long
 * as the partition has its other columns in the table's order, as one has by default. */
#include "places.h"

bool has_numbers_of_table(const struct rewrite_context *context, const struct view *view)
{
    const struct catalog_table *table = catalog_find_oid(
        context->snapshot->catalog, view->transitions[0].at->transition->table_oid);
    if (!table || table == view->table)
        return true;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct catalog_column *column =
            catalog_column_find(view->table, table->columns[i].name);
        if (!column || column->attnum != table->columns[i].attnum)
            return false;
    }
    return true;
}

static const struct catalog_dropped *
find_dropped(const struct view *view, const struct transition *transition, int16_t attnum)
{
    for (size_t i = 0; i < view->table->dropped_count; i++) {
        const struct catalog_dropped *dropped = &view->table->dropped[i];
        if (dropped->ancestor == transition->table_oid && dropped->there == attnum)
            return dropped;
    }
    return NULL;
}

int16_t view_old_number(const struct view *view, const struct view_transition *transition,
                        size_t number)
{
    const struct transition *definition = transition->at->transition;
    int16_t attnum = definition->columns[SHAPE_OLD][number].attnum;
    if (view->has_numbers_of_table || attnum == 0)
        return attnum;
    const struct catalog_dropped *dropped = find_dropped(view, definition, attnum);
    return dropped ? dropped->here : 0;
}

/* Before the first column that comes behind it in the transition's table; 0 where the two tables
 * have them in different orders. */
static int place_of_table(const struct rewrite_context *context, const struct view *view,
                          const struct transition *transition, int16_t attnum)
{
    enum { HALF = 2048 };
    const struct catalog_table *table =
        catalog_find_oid(context->snapshot->catalog, transition->table_oid);
    int next = 0, last = 0, last_there = 0;
    for (size_t i = 0; table && i < view->table->column_count; i++) {
        const struct catalog_column *here = &view->table->columns[i];
        const struct catalog_column *there = catalog_column_find(table, here->name);
        if (there && there->attnum < last_there)
            return 0;
        if (there)
            last_there = there->attnum;
        if (there && !next && there->attnum > attnum)
            next = here->attnum;
        if (there)
            last = here->attnum;
    }
    return place_of_number(next ? next : last + 1) - HALF + attnum;
}

int place_of_old(const struct rewrite_context *context, const struct view *view,
                 const struct view_transition *transition, size_t number)
{
    const struct transition *definition = transition->at->transition;
    int16_t attnum = definition->columns[SHAPE_OLD][number].attnum;
    int16_t known = view_old_number(view, transition, number);
    if (known || attnum == 0)
        return place_of_number(known);
    return find_dropped(view, definition, attnum)
               ? place_of_table(context, view, definition, attnum)
               : 0;
}

bool are_places_known(const struct rewrite_context *context, const struct view *view)
{
    for (size_t i = 0; i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        if (transition->at->stage != STAGE_CONTRACTED)
            continue;
        for (size_t c = 0; c < transition->at->transition->column_count[SHAPE_OLD]; c++)
            if (place_of_old(context, view, transition, c) == 0)
                return false;
    }
    return true;
}
