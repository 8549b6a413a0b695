/* A partition made after CONTRACT never had the column: it stands where the table has it, as long
 * as the partition has its other columns in the table's order, as one has by default. That it never
 * had it must be certain: of a table with a gap that is nobody's it is not. */
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

static bool is_new_column(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        for (size_t c = 0; c < transition->at->transition->column_count[SHAPE_NEW]; c++)
            if (strcmp(view_physical_name(transition, SHAPE_NEW, c), name) == 0)
                return true;
    }
    return false;
}

static const struct transition_column *find_kept_old(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        const struct transition *definition = transition->at->transition;
        if (transition->at->stage != STAGE_CONTRACTED || transition->shape != SHAPE_OLD)
            continue;
        for (size_t c = 0; c < definition->column_count[SHAPE_OLD]; c++)
            if (strcmp(definition->columns[SHAPE_OLD][c].name, name) == 0)
                return is_new_column(view, name) ? NULL : &definition->columns[SHAPE_OLD][c];
    }
    return NULL;
}

bool is_kept_old(const struct view *view, const char *name)
{
    return find_kept_old(view, name) != NULL;
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
    const char *name = definition->columns[SHAPE_OLD][number].name;
    const struct catalog_column *kept =
        is_kept_old(view, name) ? catalog_column_find(view->table, name) : NULL;
    if (kept)
        return kept->attnum;
    const struct catalog_dropped *dropped = find_dropped(view, definition, attnum);
    return dropped ? dropped->here : 0;
}

/* Is each number without a column known to be that of one which an ancestor lost, too? pg_upgrade
 * makes all catalogs anew, in transactions of its own. */
static bool are_gaps_known(const struct catalog_table *table)
{
    size_t column = 0;
    for (int16_t number = 1; number <= table->last_attnum; number++) {
        bool is_known = column < table->column_count && table->columns[column].attnum == number;
        column += is_known;
        for (size_t i = 0; !is_known && i < table->dropped_count; i++)
            is_known = table->dropped[i].here == number;
        if (!is_known)
            return false;
    }
    return true;
}

static bool never_had(const struct view *view, const struct transition *transition, size_t number)
{
    const struct catalog_dropped *dropped =
        find_dropped(view, transition, transition->columns[SHAPE_OLD][number].attnum);
    return dropped && dropped->here == 0 && are_gaps_known(view->table);
}

/* Which number in the table has what is here, or was, at this one; 0: it is not the table's. */
static int16_t number_there(const struct view *view, const struct catalog_table *table,
                            int16_t here)
{
    for (size_t i = 0; i < view->table->dropped_count; i++) {
        const struct catalog_dropped *dropped = &view->table->dropped[i];
        if (dropped->ancestor == table->oid && dropped->here == here)
            return dropped->there;
    }
    for (size_t i = 0; i < view->table->column_count; i++) {
        const struct catalog_column *column = &view->table->columns[i];
        if (column->attnum != here)
            continue;
        const struct catalog_column *there = catalog_column_find(table, column->name);
        const struct transition_column *kept = find_kept_old(view, column->name);
        return there ? there->attnum : kept ? kept->attnum : 0;
    }
    return 0;
}

/* Before the first column that comes behind it in the transition's table, be it one that is gone;
 * 0 where the two tables have them in different orders. */
static int place_of_table(const struct rewrite_context *context, const struct view *view,
                          const struct transition *transition, int16_t attnum)
{
    enum { HALF = 2048 };
    const struct catalog_table *table =
        catalog_find_oid(context->snapshot->catalog, transition->table_oid);
    int next = 0, last = 0, last_there = 0;
    for (int16_t here = 1; table && here <= view->table->last_attnum; here++) {
        int16_t there = number_there(view, table, here);
        if (!there)
            continue;
        if (there < last_there)
            return 0;
        if (!next && there > attnum)
            next = here;
        last_there = there;
        last = here;
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
    return never_had(view, definition, number) ? place_of_table(context, view, definition, attnum)
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
