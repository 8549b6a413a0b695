/*
 * Writing a SET list in place. The client's own assignments stay where they are; those of the other
 * shape's columns go behind them, or take their place where the own column is not written any more.
 * What may not be evaluated twice goes another way: assign_once.c.
 */
#include "assign.h"

#include "carry.h"
#include "elements.h"
#include "spell_in.h"

/* ------------------------------------------------------------------ how to write */

static bool is_assigned_once(const struct assignment *assignment)
{
    if (assignment->item->source == SET_QUERY)
        return true;
    return assignment->value.is_default ? assignment->column->column->default_is_volatile
                                        : !is_repeatable(assignment->value.node);
}

static bool can_leave_to_guard(const struct view_transition *transition)
{
    return transition->writes_own && transition->at->transition->guard == GUARD_SYNC;
}

static bool is_assigned(const struct owned *owned, size_t number)
{
    for (size_t i = 0; i < owned->count; i++)
        if (owned->assignments[i]->column->number == number &&
            owned->assignments[i]->target->n_indirection == 0)
            return true;
    return false;
}

/* Does the own column hold what the client reads? It need not where that is computed. */
static bool is_read_from_own(const struct owned *owned, size_t number)
{
    enum view_read read = own_column(owned->set->view, owned->transition, number)->read;
    return read == VIEW_PLAIN || read == VIEW_RENAMED;
}

/* Do the own columns hold after the assignments what the client would read? */
static bool are_own_right(const struct owned *owned)
{
    for (size_t i = 0; i < own_count(owned->transition); i++)
        if (!is_assigned(owned, i) && !is_read_from_own(owned, i))
            return false;
    return true;
}

/* The guard can fill the other columns from the own ones; where it does not, that is that. */
static bool leave_to_guard(struct owned *owned, const char *construct)
{
    owned->mode = WRITE_OWN;
    if (can_leave_to_guard(owned->transition) && are_own_right(owned))
        return true;
    return refuse_for(owned->set->rewriter, owned->transition,
                      owned->assignments[0]->target->location, construct);
}

/* Is the column an identity in the table, now? */
static bool is_identity(const struct owned *owned, enum shape shape)
{
    const struct catalog_column *column = catalog_column_find(
        owned->set->view->table, view_physical_name(owned->transition, shape, 0));
    return column && column->identity;
}

static bool draws_identity(const struct owned *owned)
{
    return owned->count == 1 && owned->assignments[0]->value.is_default &&
           owned->assignments[0]->column->column->identity == 'a';
}

/* What is GENERATED ALWAYS takes DEFAULT alone, and tells nobody which value that was. */
static bool choose_drawing(struct owned *owned)
{
    const struct view_transition *transition = owned->transition;
    if (!transition->writes_own) {
        owned->mode = is_identity(owned, shape_other(transition->shape)) ? WRITE_DRAWN : WRITE_ONCE;
        return true;
    }
    bool is_own = is_identity(owned, transition->shape);
    owned->mode = transition->writes_other ? WRITE_ONCE : WRITE_OWN;
    if (!transition->writes_other ||
        (!is_own && !is_identity(owned, shape_other(transition->shape))))
        return true;
    static const char construct[] = "SET .. = DEFAULT of an identity column GENERATED ALWAYS, in a "
                                    "phase that writes both columns,";
    return is_own
               ? leave_to_guard(owned, construct)
               : refuse(owned->set->rewriter, owned->assignments[0]->target->location, construct);
}

static bool can_be_carried(const struct owned *owned)
{
    for (size_t i = 0; i < owned->count; i++)
        if (is_assigned_once(owned->assignments[i]) &&
            (owned->assignments[i]->item->source == SET_QUERY ||
             owned->assignments[i]->target->n_indirection > 0 ||
             !carrier_takes(owned->assignments[i]->column->column)))
            return false;
    return true;
}

/* Where the list may have no sub-select that gives rows, values go by way of a condition. */
static bool choose_carrying(struct owned *owned)
{
    if (owned->mode != WRITE_ONCE || !owned->set->rewriter->carrier)
        return true;
    if (!can_be_carried(owned))
        return leave_to_guard(owned, "MERGE in which several clauses assign rows of sub-selects, "
                                     "or values of this type which must be evaluated once,");
    owned->mode = WRITE_REPEATED;
    owned->is_carried = true;
    return true;
}

static bool choose_mode(struct owned *owned)
{
    bool any_part = false, any_once = false, all_counted = true;
    for (size_t i = 0; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        any_part = any_part || (assignment->target->n_indirection > 0 &&
                                !is_known_element(assignment->target, assignment->column->column));
        any_once = any_once || is_assigned_once(assignment);
        all_counted =
            all_counted && (assignment->item->source != SET_QUERY || assignment->item->is_counted);
    }
    owned->mode = WRITE_NOTHING;
    if (owned->count == 0)
        return true;
    if (draws_identity(owned))
        return choose_drawing(owned) && choose_carrying(owned);
    owned->mode = WRITE_OWN;
    if (!owned->transition->writes_other)
        return true;
    if (any_part)
        return leave_to_guard(owned, "an assignment to such a part of the column");
    if (!all_counted)
        return leave_to_guard(owned, "an assignment from a row whose columns Segue does not know");
    owned->mode = any_once ? WRITE_ONCE : WRITE_REPEATED;
    return choose_carrying(owned);
}

/* The server's error, which would not see it where the identity is on the other column. */
static bool check_identity(const struct owned *owned)
{
    for (size_t i = 0; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        if (assignment->column->column->identity != 'a' || assignment->value.is_default)
            continue;
        bool ok = fail_at(owned->set->rewriter, -1, "428C9",
                          "column \"%s\" can only be updated to DEFAULT", assignment->column->name);
        error_detail(&owned->set->rewriter->error,
                     "Column \"%s\" is an identity column defined as GENERATED ALWAYS.",
                     assignment->column->name);
        return ok;
    }
    return true;
}

/* The server's error, which would not see it where one of the two goes. */
static bool check_doubles(const struct owned *owned)
{
    for (size_t i = 0; i < owned->count; i++)
        for (size_t j = 0; j < i; j++)
            if (owned->assignments[i]->column == owned->assignments[j]->column &&
                (owned->assignments[i]->target->n_indirection == 0 ||
                 owned->assignments[j]->target->n_indirection == 0))
                return fail_at(owned->set->rewriter, -1, "42601",
                               "multiple assignments to same column \"%s\"",
                               owned->assignments[i]->column->name);
    return true;
}

/* Likewise, of a part that is no assignment of its own any more. */
static bool check_parts(const struct owned *owned)
{
    for (size_t i = 0; i < owned->count; i++)
        if (owned->assignments[i]->target->n_indirection > 0 &&
            owned->assignments[i]->value.is_default)
            return fail_default_part(owned->set->rewriter, owned->assignments[i]->target);
    return true;
}

/* What means something else a level deeper is spelled out where a value is put there. */
static bool prepare_deeper(struct owned *owned)
{
    for (size_t i = 0; owned->mode == WRITE_REPEATED && i < owned->count; i++) {
        struct assignment *assignment = owned->assignments[i];
        int32_t location;
        bool is_deeper =
            assignment->target->n_indirection > 0 || is_cut_inside(assignment->column->column);
        if (is_deeper && !spell_in(owned->set->rewriter, &assignment->value, &location))
            return refuse_for(
                owned->set->rewriter, owned->transition, location,
                "IN over a query of columns, in a value that is evaluated a level deeper,");
    }
    return true;
}

static bool gather(struct set_list *set, const struct view_transition *transition,
                   struct owned *owned)
{
    *owned = (struct owned){.set = set, .transition = transition};
    owned->assignments = ARENA_NEW_ARRAY(set->rewriter->arena, struct assignment *, set->count + 1);
    for (size_t i = 0; i < set->count; i++)
        if (set->assignments[i].column && set->assignments[i].column->transition == transition)
            owned->assignments[owned->count++] = &set->assignments[i];
    if (!check_doubles(owned) || !check_parts(owned) || !check_identity(owned) ||
        !choose_mode(owned) || !prepare_deeper(owned))
        return false;
    owned->qualifier = qualifier_of(set->rewriter, set->scope, set->target);
    if (owned->mode <= WRITE_OWN || owned->qualifier)
        return true;
    return refuse(set->rewriter, owned->assignments[0]->target->location,
                  "an assignment beside a table of the same alias");
}

/* ------------------------------------------------------------------ single assignments in place */

/* Where the text of an assignment begins. Those of a row become single ones: the first with all
 * that is before its value, the others behind the one before. */
static uint32_t lead_of(const struct rewriter *rewriter, const struct assignment *assignment)
{
    const struct set_item *item = assignment->item;
    return assignment->place > 0 ? item->assignments[assignment->place - 1].value.end
                                 : token_start(rewriter, item->range.first);
}

void replace_assignment(struct rewriter *rewriter, const struct assignment *assignment,
                        const char *sql)
{
    const char *listed =
        arena_format(rewriter->arena, "%s%s", assignment->place > 0 ? ", " : "", sql);
    uint32_t start = lead_of(rewriter, assignment);
    if (assignment->target->n_indirection > 0)
        place_part(rewriter, start, &assignment->value, listed);
    else
        place_value(rewriter, start, &assignment->value, listed);
}

void remove_assignment(struct rewriter *rewriter, const struct assignment *assignment)
{
    uint32_t start = assignment->place > 0
                         ? lead_of(rewriter, assignment)
                         : token_start(rewriter, assignment->item->range.first - 1);
    edits_replace(&rewriter->edits, start, assignment->value.end, "");
}

/* The new columns' defaults are the shape's, not the table's; but for an identity that is there. */
bool spells_default(const struct assignment *assignment)
{
    return assignment->value.is_default && assignment->column &&
           assignment->column->transition->shape == SHAPE_NEW &&
           !(assignment->column->physical && assignment->column->physical->identity);
}

static void spell_default(struct rewriter *rewriter, const struct assignment *assignment)
{
    if (spells_default(assignment))
        edits_replace(&rewriter->edits, assignment->value.start, assignment->value.end,
                      arena_format(rewriter->arena, "(%s)", assignment->value.sql));
}

/* A row's assignments, each on its own. */
static void open_row(struct rewriter *rewriter, const struct set_item *item)
{
    for (size_t i = 0; i < item->count; i++) {
        const struct assignment *assignment = &item->assignments[i];
        edits_replace(
            &rewriter->edits, lead_of(rewriter, assignment), assignment->value.start,
            arena_format(rewriter->arena, "%s%s = ", i ? ", " : "", assignment->name_sql));
    }
    edits_replace(&rewriter->edits, item->assignments[item->count - 1].value.end,
                  token_end(rewriter, item->range.end - 1), "");
}

static void open_rows(struct set_list *set, const struct owned *owned, size_t count)
{
    for (size_t i = 0; i < set->item_count; i++) {
        const struct set_item *item = &set->items[i];
        bool is_changed = false;
        for (size_t t = 0; t < count; t++)
            for (size_t a = 0; owned[t].mode >= WRITE_REPEATED && a < owned[t].count; a++)
                is_changed = is_changed || owned[t].assignments[a]->item == item;
        if (is_changed && item->source == SET_ROW)
            open_row(set->rewriter, item);
    }
}

/* ------------------------------------------------------------------ the other shape's columns */

const char *own_name(const struct owned *owned, size_t number)
{
    return physical_quoted(owned->set->rewriter, owned->transition, owned->transition->shape,
                           number);
}

/* An own column that is not assigned, nor read, is brought up to what the client reads: behind the
 * backfill it would be another row's part beside the one that is assigned. */
const char *refreshed(const struct owned *owned, size_t number)
{
    if (!owned->transition->writes_own || is_assigned(owned, number) ||
        is_read_from_own(owned, number) || has_elements(owned, number))
        return NULL;
    return view_read_sql(owned->set->rewriter->arena,
                         own_column(owned->set->view, owned->transition, number), owned->qualifier);
}

bool has_elements(const struct owned *owned, size_t number)
{
    for (size_t i = 0; i < owned->count; i++)
        if (owned->assignments[i]->column->number == number &&
            owned->assignments[i]->target->n_indirection > 0)
            return true;
    return false;
}

bool elements_stay(const struct owned *owned, size_t number)
{
    return is_read_from_own(owned, number);
}

const char *with_elements(const struct owned *owned, size_t number,
                          const struct view_value *assigned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    const struct view_column *column = own_column(owned->set->view, owned->transition, number);
    struct element *elements = ARENA_NEW_ARRAY(rewriter->arena, struct element, owned->count);
    size_t count = 0;
    for (size_t i = 0; i < owned->count; i++)
        if (owned->assignments[i]->column == column)
            elements[count++] = (struct element){owned->assignments[i]->target,
                                                 owned->assignments[i]->name, assigned[i]};
    return elements_sql(rewriter, column->column,
                        view_read_sql(rewriter->arena, column, owned->qualifier), elements, count);
}

const char *other_name(const struct owned *owned, size_t number)
{
    return physical_quoted(owned->set->rewriter, owned->transition,
                           shape_other(owned->transition->shape), number);
}

const char **other_values(const struct owned *owned, const struct view_value *assigned)
{
    struct arena *arena = owned->set->rewriter->arena;
    const struct view_transition *transition = owned->transition;
    struct view_value *values = ARENA_NEW_ARRAY(arena, struct view_value, own_count(transition));
    for (size_t i = 0; i < own_count(transition); i++)
        values[i] = (struct view_value){
            view_read_sql(arena, own_column(owned->set->view, transition, i), owned->qualifier),
            VIEW_TAKEN_FOR_CERTAIN};
    for (size_t i = 0; i < owned->count; i++)
        values[owned->assignments[i]->column->number] = assigned[i];
    for (size_t i = 0; i < own_count(transition); i++)
        if (has_elements(owned, i))
            values[i] =
                (struct view_value){with_elements(owned, i, assigned), VIEW_TAKEN_FOR_CERTAIN};
    const char **others = ARENA_NEW_ARRAY(arena, const char *, other_count(transition));
    for (size_t i = 0; i < other_count(transition); i++)
        others[i] = view_update_sql(arena, transition, i, values, owned->qualifier);
    return others;
}

static void write_own(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    for (size_t i = 0; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        const struct client_value *value = &assignment->value;
        if (value->is_moved)
            edits_replace(&rewriter->edits, value->start, value->end, value->sql);
        else if (assignment->item->source != SET_QUERY)
            spell_default(rewriter, assignment);
    }
}

/* Elements of what the column does not hold: all of it is written. */
static void write_elements(struct owned *owned, size_t number, const struct view_value *assigned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    const struct assignment *first = NULL;
    for (size_t i = 0; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        if (assignment->column->number != number)
            continue;
        if (first)
            remove_assignment(rewriter, assignment);
        else
            first = assignment;
    }
    BUG_ON(!first);
    replace_assignment(rewriter, first,
                       arena_format(rewriter->arena, "%s = %s", own_name(owned, number),
                                    with_elements(owned, number, assigned)));
}

static void carry_values(struct owned *owned)
{
    for (size_t i = 0; i < owned->count; i++) {
        struct assignment *assignment = owned->assignments[i];
        if (!is_assigned_once(assignment))
            continue;
        assignment->value.sql = carrier_add(owned->set->rewriter->carrier,
                                            assignment->column->column, assignment->value.sql);
        assignment->value.is_moved = true;
    }
}

static void write_repeated(struct owned *owned)
{
    struct rewriter *rewriter = owned->set->rewriter;
    bool keeps = owned->transition->writes_own;
    if (owned->is_carried)
        carry_values(owned);
    struct view_value *assigned = ARENA_NEW_ARRAY(rewriter->arena, struct view_value, owned->count);
    for (size_t i = 0; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        assigned[i] = value_for(&assignment->value, assignment->column);
        if (i == 0 && !keeps)
            assigned[i].sql = VALUE_MARK_STRING;
    }
    const char **others = other_values(owned, assigned);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < other_count(owned->transition); i++)
        text_add_format(&text, "%s%s = %s", i || keeps ? ", " : "", other_name(owned, i),
                        others[i]);
    for (size_t i = 0; i < own_count(owned->transition); i++)
        if (refreshed(owned, i))
            text_add_format(&text, ", %s = %s", own_name(owned, i), refreshed(owned, i));
    const struct assignment *first = owned->assignments[0];
    if (keeps) {
        write_own(owned);
        for (size_t i = 0; i < own_count(owned->transition); i++)
            if (has_elements(owned, i) && !elements_stay(owned, i))
                write_elements(owned, i, assigned);
        edits_after(&rewriter->edits, first->value.end, keep_text(rewriter, &text));
        return;
    }
    for (size_t i = 1; i < owned->count; i++)
        remove_assignment(rewriter, owned->assignments[i]);
    replace_assignment(rewriter, first, keep_text(rewriter, &text));
}

static void write_drawn(struct owned *owned)
{
    replace_assignment(
        owned->set->rewriter, owned->assignments[0],
        arena_format(owned->set->rewriter->arena, "%s = DEFAULT", other_name(owned, 0)));
}

/* ------------------------------------------------------------------ the list */

bool rewrite_assignments(struct rewriter *rewriter, struct scope *scope,
                         const struct scope_item *target, PgQuery__Node *const *list, size_t count)
{
    struct set_list set = {
        .rewriter = rewriter,
        .scope = scope,
        .target = target,
        .view = table_of(target) ? table_of(target)->view : NULL,
        .count = count,
    };
    if (!set_list_read(&set, list))
        return false;
    if (!set.view)
        return true;
    size_t transitions = set.view->transition_count;
    struct owned *owned = ARENA_NEW_ARRAY(rewriter->arena, struct owned, transitions);
    for (size_t i = 0; i < transitions; i++)
        if (!gather(&set, &set.view->transitions[i], &owned[i]))
            return false;
    if (write_added_last(&set, owned, transitions))
        return true;
    open_rows(&set, owned, transitions);
    for (size_t i = 0; i < transitions; i++) {
        if (owned[i].mode == WRITE_OWN)
            write_own(&owned[i]);
        if (owned[i].mode == WRITE_REPEATED)
            write_repeated(&owned[i]);
        if (owned[i].mode == WRITE_DRAWN)
            write_drawn(&owned[i]);
    }
    return write_clusters(&set, owned, transitions);
}
