/*
 * A SET list whose order matters, since the server learns a parameter's type from it: as it is
 * written in place, a conversion's cast comes before what the client assigns next. What the server
 * refuses of such a list has no place in the client's text then.
 */
#include "assign.h"

static uint32_t type_of(const struct assignment *assignment)
{
    if (!assignment->any || assignment->target->n_indirection > 0)
        return 0;
    return assignment->any->column     ? assignment->any->column->type_oid
           : assignment->any->physical ? assignment->any->physical->type_oid
                                       : 0;
}

static bool repeats_value(const struct set_list *set, const struct assignment *assignment)
{
    if (!assignment->column || !SQL_IS(assignment->value.node, param_ref))
        return false;
    int32_t number = AS_NODE(ParamRef, assignment->value.node)->number;
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *other = &set->assignments[i];
        bool is_alike = SQL_IS(other->value.node, param_ref) && type_of(other) != 0 &&
                        type_of(other) == type_of(assignment);
        if (other != assignment && !is_alike && has_parameter(other->value.node, number))
            return true;
    }
    return false;
}

/* Only lists of plain values, each assigned to all of a column. */
static bool is_simple(const struct set_list *set, const struct owned *owned, size_t count)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->assignments[i].item->source == SET_QUERY ||
            set->assignments[i].target->n_indirection > 0)
            return false;
    for (size_t i = 0; i < count; i++)
        if (owned[i].mode > WRITE_REPEATED || owned[i].is_carried)
            return false;
    return true;
}

static bool matters(const struct set_list *set, const struct owned *owned, size_t count)
{
    bool is_added = false, is_repeated = false;
    for (size_t i = 0; i < count; i++)
        is_added = is_added || owned[i].mode == WRITE_REPEATED;
    for (size_t i = 0; is_added && i < set->count && !is_repeated; i++)
        is_repeated = repeats_value(set, &set->assignments[i]);
    return is_repeated && is_simple(set, owned, count);
}

static void add(struct text *out, const char *name, const char *value)
{
    text_add_format(out, "%s%s = %s", out->length ? ", " : "", name, value);
}

static void add_given(const struct set_list *set, struct text *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *assignment = &set->assignments[i];
        const struct client_value *value = &assignment->value;
        if (assignment->column && !assignment->column->transition->writes_own)
            continue;
        bool is_word = value->is_default && !spells_default(assignment);
        add(out, assignment->name_sql,
            is_word ? "DEFAULT" : arena_format(set->rewriter->arena, "(%s)", value->sql));
    }
}

static void add_others(const struct owned *owned, struct text *out)
{
    struct view_value *assigned =
        ARENA_NEW_ARRAY(owned->set->rewriter->arena, struct view_value, owned->count);
    for (size_t i = 0; i < owned->count; i++)
        assigned[i] = value_for(&owned->assignments[i]->value, owned->assignments[i]->column);
    const char **others = other_values(owned, assigned);
    for (size_t i = 0; i < other_count(owned->transition); i++)
        add(out, other_name(owned, i), others[i]);
    for (size_t i = 0; i < own_count(owned->transition); i++)
        if (refreshed(owned, i))
            add(out, own_name(owned, i), refreshed(owned, i));
}

bool write_added_last(struct set_list *set, const struct owned *owned, size_t count)
{
    struct rewriter *rewriter = set->rewriter;
    if (!matters(set, owned, count))
        return false;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    add_given(set, &out);
    for (size_t i = 0; i < count; i++)
        if (owned[i].mode == WRITE_REPEATED)
            add_others(&owned[i], &out);
    edits_replace(&rewriter->edits, token_start(rewriter, set->items[0].range.first),
                  token_end(rewriter, set->items[set->item_count - 1].range.end - 1),
                  arena_string_range(rewriter->arena, out.data, out.length));
    text_release(&out);
    return true;
}
