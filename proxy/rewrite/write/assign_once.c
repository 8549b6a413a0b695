/*
 * What may not be evaluated twice, or is a query's row, is evaluated in a sub-select, together with
 * whatever else is assigned to the transition's columns:
 *   (role, name, roles) = (WITH segue_q1(c1, c2) AS MATERIALIZED (the client's query)
 *                          SELECT segue_q1.c1, segue_q1.c2, f(segue_q1.c1)
 *                            FROM (SELECT value WHERE u.ctid IS NOT NULL OFFSET 0) AS segue_v(c1)
 *                                 LEFT JOIN segue_q1 ON true)
 * The values refer to the row: without that they would be evaluated once for the whole statement
 * (REWRITE.md, trap 2). A query does not, unless it did so itself: the plain statement evaluates it
 * once, too, and as a common table expression so does this one. The outer join is for a query
 * without a row, which assigns NULLs.
 */
#include "assign.h"

#include "elements.h"
#include "spell_in.h"

/* What one sub-select gives: single values, and whole queries with all that they assign. */
struct cluster {
    struct set_list *set;
    const struct owned *owned; /* all */
    size_t owned_count, number;
    const char **texts; /* by assignment of the list: what stands for its value; NULL: not of it */
    size_t *query_number; /* by item of the list, from 1; 0: not of it */
    size_t value_count, query_count;
};

static const struct owned *owner_of(const struct cluster *cluster,
                                    const struct assignment *assignment)
{
    for (size_t i = 0; assignment->column && i < cluster->owned_count; i++)
        if (cluster->owned[i].transition == assignment->column->transition)
            return cluster->owned[i].mode == WRITE_ONCE &&
                           cluster->owned[i].cluster == cluster->number
                       ? &cluster->owned[i]
                       : NULL;
    return NULL;
}

/* Finds the members, and what stands for the value of each. */
static void find_members(struct cluster *cluster)
{
    struct set_list *set = cluster->set;
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *assignment = &set->assignments[i];
        size_t item = (size_t)(assignment->item - set->items);
        if (owner_of(cluster, assignment) && assignment->item->source == SET_QUERY &&
            !cluster->query_number[item])
            cluster->query_number[item] = ++cluster->query_count;
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *assignment = &set->assignments[i];
        size_t query = cluster->query_number[assignment->item - set->items];
        if (query)
            cluster->texts[i] =
                arena_format(set->rewriter->arena, "segue_q%zu.c%zu", query, assignment->place + 1);
        else if (owner_of(cluster, assignment))
            cluster->texts[i] = source_column(set->rewriter, cluster->value_count++);
    }
}

static void add_pair(struct text *names, struct text *values, const char *name, const char *value)
{
    text_add_format(names, "%s%s", names->length ? ", " : "", name);
    text_add_format(values, "%s%s", values->length ? ", " : "", value);
}

/* What stands for the values of the owned assignments. */
static struct view_value *texts_of(const struct cluster *cluster, const struct owned *owned)
{
    struct view_value *assigned =
        ARENA_NEW_ARRAY(cluster->set->rewriter->arena, struct view_value, owned->count);
    for (size_t i = 0; i < owned->count; i++) {
        const struct assignment *assignment = owned->assignments[i];
        if (assignment->item->source != SET_QUERY)
            assigned[i] = value_for(&assignment->value, assignment->column);
        assigned[i].sql = cluster->texts[assignment - cluster->set->assignments];
    }
    return assigned;
}

static void add_others(const struct cluster *cluster, const struct owned *owned, struct text *names,
                       struct text *values)
{
    const char **others = other_values(owned, texts_of(cluster, owned));
    for (size_t i = 0; i < own_count(owned->transition); i++)
        if (owned->transition->writes_own && has_elements(owned, i) && !elements_stay(owned, i))
            add_pair(names, values, own_name(owned, i),
                     with_elements(owned, i, texts_of(cluster, owned)));
    for (size_t i = 0; i < other_count(owned->transition); i++)
        add_pair(names, values, other_name(owned, i), others[i]);
    for (size_t i = 0; i < own_count(owned->transition); i++)
        if (refreshed(owned, i))
            add_pair(names, values, own_name(owned, i), refreshed(owned, i));
}

/* The names assigned to, and the target list that goes with them. */
static void list_pairs(const struct cluster *cluster, struct text *names, struct text *values)
{
    struct set_list *set = cluster->set;
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *assignment = &set->assignments[i];
        const struct owned *owner = owner_of(cluster, assignment);
        if (!cluster->texts[i])
            continue;
        bool is_part = assignment->target->n_indirection > 0;
        if (!owner || (is_part && owner->transition->writes_own &&
                       elements_stay(owner, assignment->column->number)))
            add_pair(names, values, assignment->name_sql, cluster->texts[i]);
        else if (owner->transition->writes_own && !is_part)
            add_pair(names, values, own_name(owner, assignment->column->number), cluster->texts[i]);
    }
    for (size_t i = 0; i < cluster->owned_count; i++)
        if (cluster->owned[i].mode == WRITE_ONCE && cluster->owned[i].cluster == cluster->number)
            add_others(cluster, &cluster->owned[i], names, values);
}

/* What means something else a level deeper is spelled out. */
static bool prepare_move(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->set->count; i++) {
        struct assignment *assignment = &cluster->set->assignments[i];
        int32_t location;
        if (cluster->texts[i] && assignment->item->source != SET_QUERY &&
            !spell_in(cluster->set->rewriter, &assignment->value, &location))
            return refuse_for(cluster->set->rewriter, assignment->column->transition, location,
                              "IN over a query of columns, in a value that must be evaluated "
                              "once,");
    }
    return true;
}

/* The first of the members in the text stays where it is. */
static const struct assignment *anchor_of(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->set->count; i++)
        if (cluster->texts[i])
            return &cluster->set->assignments[i];
    BUG("a cluster without members");
}

static bool is_untyped_value(const struct client_value *value)
{
    return value->is_default || is_untyped(value->node);
}

static void add_values(const struct cluster *cluster, const struct assignment *anchor,
                       struct text *out)
{
    struct set_list *set = cluster->set;
    const char *separator = "(SELECT ";
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *assignment = &set->assignments[i];
        if (!cluster->texts[i] || assignment->item->source == SET_QUERY)
            continue;
        const char *sql = assignment == anchor ? VALUE_MARK_STRING : assignment->value.sql;
        text_add_string(out, separator);
        const struct transition_column *column = assignment->column->column;
        if (is_untyped_value(&assignment->value))
            text_add_format(out, "(%s)::%s", sql,
                            assignment->target->n_indirection > 0
                                ? element_type(set->rewriter, column)
                                : column->type_bare);
        else
            text_add_string(out, sql);
        separator = ", ";
    }
    if (cluster->value_count == 0) {
        text_add_string(out, "(SELECT 1) AS segue_v");
        return;
    }
    text_add_format(out, " WHERE %sctid IS NOT NULL OFFSET 0) AS %s",
                    qualifier_of(set->rewriter, set->scope, set->target),
                    source_alias(set->rewriter, cluster->value_count));
}

static void add_query(const struct cluster *cluster, const struct set_item *item, size_t number,
                      bool is_anchor, struct text *out)
{
    text_add_format(out, "%ssegue_q%zu(", number > 1 ? ", " : "WITH ", number);
    for (size_t i = 0; i < item->count; i++)
        text_add_format(out, "%sc%zu", i ? ", " : "", i + 1);
    text_add_format(out, ") AS MATERIALIZED (%s%s", item->is_starred ? "SELECT " : "",
                    is_anchor ? VALUE_MARK_STRING : item->query.sql);
    if (item->is_starred)
        text_add_format(
            out, " WHERE %sctid IS NOT NULL",
            qualifier_of(cluster->set->rewriter, cluster->set->scope, cluster->set->target));
    text_add_char(out, ')');
}

static const char *cluster_sql(const struct cluster *cluster, const struct assignment *anchor)
{
    struct set_list *set = cluster->set;
    struct text names, values, out;
    text_init(&names, TEXT_UNBOUNDED);
    text_init(&values, TEXT_UNBOUNDED);
    text_init(&out, TEXT_UNBOUNDED);
    list_pairs(cluster, &names, &values);
    text_add_format(&out, "(%s) = (", names.data);
    for (size_t i = 0; i < set->item_count; i++)
        if (cluster->query_number[i])
            add_query(cluster, &set->items[i], cluster->query_number[i],
                      &set->items[i] == anchor->item, &out);
    text_add_format(&out, "%sSELECT %s FROM ", cluster->query_count ? " " : "", values.data);
    add_values(cluster, anchor, &out);
    for (size_t i = 1; i <= cluster->query_count; i++)
        text_add_format(&out, " LEFT JOIN segue_q%zu ON true", i);
    text_add_char(&out, ')');
    text_release(&names);
    text_release(&values);
    return keep_text(set->rewriter, &out);
}

static void put_anchor(struct rewriter *rewriter, const struct assignment *anchor, const char *sql)
{
    const struct set_item *item = anchor->item;
    if (item->source != SET_QUERY) {
        replace_assignment(rewriter, anchor, sql);
        return;
    }
    edits_replace(&rewriter->edits, item->query.end, token_end(rewriter, item->range.end - 1), "");
    place_value(rewriter, token_start(rewriter, item->range.first), &item->query, sql);
}

static bool write_cluster(struct set_list *set, const struct owned *owned, size_t owned_count,
                          size_t number)
{
    struct rewriter *rewriter = set->rewriter;
    struct cluster cluster = {
        .set = set, .owned = owned, .owned_count = owned_count, .number = number};
    cluster.texts = ARENA_NEW_ARRAY(rewriter->arena, const char *, set->count);
    cluster.query_number = ARENA_NEW_ARRAY(rewriter->arena, size_t, set->item_count);
    find_members(&cluster);
    if (!prepare_move(&cluster))
        return false;
    const struct assignment *anchor = anchor_of(&cluster);
    const char *sql = cluster_sql(&cluster, anchor);
    for (size_t i = 0; i < set->count; i++) {
        const struct assignment *member = &set->assignments[i];
        if (!cluster.texts[i] || member == anchor)
            continue;
        if (member->item->source != SET_QUERY)
            remove_assignment(rewriter, member);
        else if (member->place == 0 && member->item != anchor->item)
            edits_replace(&rewriter->edits, token_start(rewriter, member->item->range.first - 1),
                          token_end(rewriter, member->item->range.end - 1), "");
    }
    put_anchor(rewriter, anchor, sql);
    rewriter->row_queries++;
    return true;
}

static bool share_query(const struct owned *a, const struct owned *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (a->assignments[i]->item == b->assignments[j]->item &&
                a->assignments[i]->item->source == SET_QUERY)
                return true;
    return false;
}

/* Transitions that take columns of one query share its sub-select. */
static void join_clusters(struct owned *owned, size_t count)
{
    for (size_t i = 0; i < count; i++)
        owned[i].cluster = i;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            size_t from = owned[i].cluster, to = owned[j].cluster;
            if (owned[i].mode != WRITE_ONCE || owned[j].mode != WRITE_ONCE ||
                !share_query(&owned[i], &owned[j]))
                continue;
            for (size_t k = 0; k < count; k++)
                if (owned[k].cluster == from)
                    owned[k].cluster = to;
        }
}

bool write_clusters(struct set_list *set, struct owned *owned, size_t count)
{
    join_clusters(owned, count);
    for (size_t number = 0; number < count; number++)
        for (size_t i = 0; i < count; i++)
            if (owned[i].mode == WRITE_ONCE && owned[i].cluster == number) {
                if (!write_cluster(set, owned, count, number))
                    return false;
                break;
            }
    return true;
}
