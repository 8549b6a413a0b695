/*
 * Stars become the columns of the client's shape. Beside joins that merge columns the whole star is
 * spelled out, or every table in transition is derived, so that the star may stay.
 */
#include "../rewriter.h"

struct star {
    struct rewriter *rewriter;
    struct scope *scope;
    int32_t location;
    struct text text;
};

static bool is_altered(const struct scope_item *item)
{
    return table_of(item) && !table_of(item)->view->is_plain;
}

static void add_to_star(struct star *star, const char *sql)
{
    text_add_format(&star->text, "%s%s", star->text.length ? ", " : "", sql);
}

static bool add_table(struct star *star, const struct scope_item *item, const char *qualifier)
{
    const char *sql;
    if (!columns_sql(star->rewriter, star->scope, item, qualifier, star->location, true, &sql))
        return false;
    add_to_star(star, sql);
    return true;
}

static bool add_named_item(struct star *star, const struct scope_item *item)
{
    const char *qualifier = qualifier_of(star->rewriter, star->scope, item);
    if (!qualifier)
        return refuse(star->rewriter, star->location, "a star over tables of one name");
    if (is_altered(item))
        return add_table(star, item, qualifier);
    add_to_star(star, arena_format(star->rewriter->arena, "%s*", qualifier));
    return true;
}

/* What a column of a join is to the server; `sql` is NULL where it has no name of its own. */
struct spelled {
    const char *sql;
    bool needs_name; /* it would not be called as the column is */
};

static bool spell_joined(struct star *star, struct scope_item *item, size_t number,
                         struct spelled *spelled);

/* One column of an item that is no join. */
static bool spell_column(struct star *star, struct scope_item *item, size_t number,
                         struct spelled *spelled)
{
    struct rewriter *rewriter = star->rewriter;
    const char *qualifier = qualifier_of(rewriter, star->scope, item);
    if (!qualifier || !item->names_are_certain || scope_item_has_double(item, number))
        return true;
    if (!is_altered(item)) {
        spelled->sql = arena_format(rewriter->arena, "%s%s", qualifier,
                                    view_quote(rewriter->arena, item->columns[number].name));
        return true;
    }
    const struct view_column *column = &table_of(item)->view->columns[number];
    spelled->needs_name = column->read != VIEW_PLAIN;
    return column_sql(rewriter, star->scope, item, column, qualifier, star->location,
                      &spelled->sql);
}

/* A merged column has only its bare name, if that means it and nothing else. */
static const char *spell_merged(struct star *star, const struct scope_item *join, size_t number)
{
    const char *name = join->columns[number].name;
    struct scope_found found;
    if (scope_column_find(star->scope, name, &found) != SCOPE_FOUND || found.item != join ||
        found.column != number || is_captured(star->scope, found.seen, name))
        return NULL;
    return view_quote(star->rewriter->arena, name);
}

/*
 * What a join merges two columns into, where that is not just one of them: a value of the type that
 * both can have, which is as COALESCE finds it of the two in this order. CASE looks at ELSE first.
 */
static const char *merged_sql(struct arena *arena, enum scope_join kind, const char *left,
                              const char *right)
{
    switch (kind) {
    case SCOPE_JOIN_FULL:
        return arena_format(arena, "COALESCE(%s, %s)", left, right);
    case SCOPE_JOIN_LEFT:
        return arena_format(arena, "CASE WHEN false THEN %s ELSE %s END", right, left);
    case SCOPE_JOIN_RIGHT:
        return arena_format(arena, "CASE WHEN true THEN %s ELSE %s END", right, left);
    case SCOPE_JOIN_INNER: /* the left one, unless only the right one has the type already */
        return arena_format(arena,
                            "CASE WHEN pg_catalog.pg_typeof(COALESCE(%s, %s)) "
                            "OPERATOR(pg_catalog.<>) pg_catalog.pg_typeof(%s) THEN %s ELSE %s END",
                            left, right, left, right, left);
    }
    BUG("a join of kind %d", (int)kind);
}

static bool spell_both_sides(struct star *star, const struct scope_column *column,
                             struct spelled *spelled)
{
    struct spelled sides[2] = {{0}};
    for (size_t i = 0; i < 2; i++) {
        if (column->sides[i] &&
            !spell_joined(star, column->sides[i], column->side_columns[i], &sides[i]))
            return false;
        if (!sides[i].sql)
            return true;
    }
    spelled->sql = merged_sql(star->rewriter->arena, column->merged_by, sides[0].sql, sides[1].sql);
    spelled->needs_name = true;
    return true;
}

static bool spell_joined(struct star *star, struct scope_item *item, size_t number,
                         struct spelled *spelled)
{
    const struct scope_column *column = &item->columns[number];
    *spelled = (struct spelled){0};
    if (column->source)
        return spell_joined(star, column->source, column->source_column, spelled);
    if (!column->is_merged)
        return spell_column(star, item, number, spelled);
    spelled->sql = spell_merged(star, item, number);
    if (spelled->sql)
        return true;
    if (column->same)
        return spell_joined(star, column->same, column->same_column, spelled);
    return spell_both_sides(star, column, spelled);
}

/* A table in transition of this query that can be derived. */
static const struct scope_item *find_derivable(const struct scope *scope)
{
    for (size_t i = 0; i < scope->items.count; i++)
        if (is_altered(scope->items.items[i]) && !scope->items.items[i]->is_target)
            return scope->items.items[i];
    return NULL;
}

/* What cannot be spelled out stays a star, once no table in transition is left in place. */
static bool cannot_spell(struct star *star)
{
    const struct scope_item *altered = find_derivable(star->scope);
    return altered
               ? need_derived(star->rewriter, altered, star->location, "a star over a merged join")
               : refuse(star->rewriter, star->location, "a star over a merged join");
}

/* A join that merges columns has them first; without an alias it cannot be named itself. */
static bool add_merging_join(struct star *star, struct scope_item *join)
{
    for (size_t i = 0; i < join->column_count; i++) {
        struct spelled spelled;
        if (!spell_joined(star, join, i, &spelled))
            return false;
        if (!spelled.sql)
            return cannot_spell(star);
        add_to_star(star, spelled.sql);
        if (spelled.needs_name)
            text_add_format(&star->text, " AS %s",
                            view_quote(star->rewriter->arena, join->columns[i].name));
    }
    return true;
}

static bool add_item(struct star *star, struct scope_item *item)
{
    if (!item->left || !item->right)
        return add_named_item(star, item);
    if (item->merged_count == 0)
        return add_item(star, item->left) && add_item(star, item->right);
    return item->is_complete ? add_merging_join(star, item) : cannot_spell(star);
}

static bool rewrite_bare_star(struct rewriter *rewriter, struct scope *scope,
                              const PgQuery__ColumnRef *reference, const char **sql)
{
    const struct scope_item *altered = NULL;
    for (size_t i = 0; i < scope->items.count && !altered; i++)
        if (is_altered(scope->items.items[i]))
            altered = scope->items.items[i];
    *sql = NULL;
    if (!altered)
        return true;
    struct star star = {rewriter, scope, reference->location, {0}};
    text_init(&star.text, TEXT_UNBOUNDED);
    bool ok = true;
    for (size_t i = 0; i < scope->items.count && ok; i++)
        if (scope->items.items[i]->is_columns_visible)
            ok = add_item(&star, scope->items.items[i]);
    if (ok)
        *sql = arena_string_range(rewriter->arena, star.text.data, star.text.length);
    text_release(&star.text);
    return ok;
}

void star_outputs(struct rewriter *rewriter, const struct scope *scope,
                  const struct scope_item *item, struct outputs *outputs)
{
    outputs->is_complete = outputs->is_complete && item->is_complete && item->names_are_certain;
    for (size_t i = 0; i < item->column_count; i++) {
        outputs_add(rewriter, outputs, &item->columns[i]);
        note_group_use(rewriter, scope, item, i);
    }
}

/* TABLE users: a SELECT whose star is not in the text. */
static void spell_table_out(struct rewriter *rewriter, const struct scope *scope, const char *sql)
{
    for (size_t i = 0; i < scope->items.count; i++) {
        const struct place_of_table *table = table_of(scope->items.items[i]);
        if (!table)
            continue;
        size_t word = relation_start(rewriter, table->range) - 1;
        edits_replace(&rewriter->edits, token_start(rewriter, word), token_end(rewriter, word),
                      arena_format(rewriter->arena, "SELECT %s FROM", sql));
    }
}

bool rewrite_star(struct rewriter *rewriter, struct scope *scope,
                  const PgQuery__ColumnRef *reference, struct outputs *outputs)
{
    const char *sql;
    if (!rewrite_bare_star(rewriter, scope, reference, &sql))
        return false;
    for (size_t i = 0; i < scope->items.count; i++)
        if (scope->items.items[i]->is_columns_visible)
            star_outputs(rewriter, scope, scope->items.items[i], outputs);
    if (!sql)
        return true;
    if (reference->location < 0)
        spell_table_out(rewriter, scope, sql);
    else
        edits_replace(&rewriter->edits, (uint32_t)reference->location,
                      (uint32_t)reference->location + 1, sql);
    return true;
}

/* An alias behind `u.*` means nothing to the server either; it goes with the star. */
bool rewrite_qualified_star(struct rewriter *rewriter, struct scope *scope,
                            const PgQuery__ResTarget *target, struct outputs *outputs)
{
    const PgQuery__ColumnRef *reference = target->val->column_ref;
    size_t fields = reference->n_fields;
    struct scope_item *item;
    const char *schema = fields > 2 ? sql_string(reference->fields[fields - 3]) : NULL;
    if (scope_relation_find(scope, schema, sql_string(reference->fields[fields - 2]), &item) !=
        SCOPE_FOUND) {
        outputs->is_complete = false; /* the server's error */
        return true;
    }
    star_outputs(rewriter, scope, item, outputs);
    if (!is_altered(item))
        return true;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->location);
    size_t star_token = first + 2 * (fields - 1);
    const char *qualifier =
        arena_string_range(rewriter->arena, rewriter->source.data + reference->location,
                           token_start(rewriter, star_token) - (uint32_t)reference->location);
    const char *sql;
    if (!columns_sql(rewriter, scope, item, qualifier, reference->location, true, &sql))
        return false;
    size_t last = present(target->name) ? sql_item_end(&rewriter->tree, first) - 1 : star_token;
    edits_replace(&rewriter->edits, (uint32_t)reference->location, token_end(rewriter, last), sql);
    return true;
}
