/*
 * COPY FROM by way of a temporary table of the session, in its transaction:
 *
 *   CREATE TEMPORARY TABLE pg_temp.s ON COMMIT DROP AS SELECT id, role FROM users WITH NO DATA;
 *   ALTER TABLE pg_temp.s ALTER role SET DEFAULT 'user';     -- columns that the client leaves out
 *   COPY pg_temp.s (id) FROM STDIN WHERE id > 1;             -- the client's own text
 *   INSERT INTO users (id, role, roles) SELECT ..;           -- as the rewriter makes of it
 *   DROP TABLE pg_temp.s
 *
 * Its columns are those of the client's shape, by name and type, so that formats, options,
 * defaults, the condition and the errors in the data are PostgreSQL's own. What the INSERT must say
 * is asked of the rewriter itself: it is the client's shape's INSERT of these columns.
 *
 * No condition of the table is on the temporary one: a trigger may still put NULLs right.
 */
#include "copy.h"

#include "segue/base/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct staging {
    struct copying *at;
    const char *table; /* quoted, with its schema */
    const char *name;
    size_t count; /* of the columns: those given come first */
    const struct view_column **columns;
};

static const char *take(struct staging *staging, struct text *text)
{
    const char *taken = arena_string_range(staging->at->rewriter->arena, text->data, text->length);
    text_release(text);
    return taken;
}

/* ------------------------------------------------------------------ columns */

static bool has_column(const struct staging *staging, const struct view_column *column)
{
    for (size_t i = 0; i < staging->count; i++)
        if (staging->columns[i] == column)
            return true;
    return false;
}

/* A column that the condition reads has its default before the condition is asked. */
static bool add_condition_column(struct staging *staging, const struct view_column *column,
                                 int32_t location)
{
    struct copying *at = staging->at;
    if (has_column(staging, column))
        return true;
    if (column->physical && column->physical->is_generated) {
        bool failed = fail_at(at->rewriter, -1, "42P10",
                              "generated columns are not supported in COPY FROM WHERE conditions");
        error_detail(&at->rewriter->error, "Column \"%s\" is a generated column.", column->name);
        return failed;
    }
    if (column->column && default_is_query(column->column))
        return refuse(at->rewriter, location,
                      "a column left to a volatile default of the other shape's, in COPY FROM .. "
                      "WHERE,");
    staging->columns[staging->count++] = column;
    return true;
}

/* The row has all columns. */
static bool add_condition_columns(struct copying *at, const struct copy_reference *reference,
                                  void *data)
{
    struct staging *staging = data;
    int32_t location = reference->node->location;
    if (reference->name)
        return !reference->column || add_condition_column(staging, reference->column, location);
    for (size_t i = 0; i < at->view->column_count; i++)
        if (!add_condition_column(staging, &at->view->columns[i], location))
            return false;
    return true;
}

static bool find_staging_columns(struct staging *staging)
{
    struct copying *at = staging->at;
    const struct view *view = at->view;
    staging->columns =
        ARENA_NEW_ARRAY(at->rewriter->arena, const struct view_column *, view->column_count + 1);
    for (size_t i = 0; i < at->count; i++)
        staging->columns[staging->count++] = at->columns[i];
    for (size_t i = 0; i < view->column_count; i++) {
        const struct view_column *column = &view->columns[i];
        if (!column->transition || has_column(staging, column))
            continue;
        if (column->transition->is_blocked)
            return refuse_blocked(at->rewriter, column->transition, at->copy->relation->location);
        if (default_is_query(column->column)) /* the INSERT draws it */
            continue;
        staging->columns[staging->count++] = column;
    }
    return copy_where_references(at, add_condition_columns, staging);
}

static const char *default_of(struct staging *staging, const struct view_column *column)
{
    if (column->column)
        return column->column->default_expression;
    if (column->physical && column->physical->identity)
        return next_identity_sql(staging->at->rewriter->arena, staging->at->view->table,
                                 column->name);
    return column->physical ? column->physical->default_expression : NULL;
}

/* ------------------------------------------------------------------ the statements */

/* A column that exists gives its type with all that belongs to it, a collation too. In the order of
 * the client's table, which its rows have. */
static const char *create_sql(struct staging *staging)
{
    struct copying *at = staging->at;
    struct arena *arena = at->rewriter->arena;
    struct slice relation = copy_source(at, at->places.relation, at->places.list);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_format(&text, "CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT ", staging->table);
    const char *separator = "";
    for (size_t i = 0; i < at->view->column_count; i++) {
        const struct view_column *column = &at->view->columns[i];
        if (!has_column(staging, column))
            continue;
        const char *value = column->physical
                                ? view_quote(arena, column->physical->name)
                                : arena_format(arena, "NULL::%s", column->column->type);
        text_add_format(&text, "%s%s AS %s", separator, value, view_quote(arena, column->name));
        separator = ", ";
    }
    text_add_format(&text, " FROM %.*s WITH NO DATA", (int)relation.length, relation.data);
    return take(staging, &text);
}

/* NULL where none is needed. */
static const char *defaults_sql(struct staging *staging)
{
    struct arena *arena = staging->at->rewriter->arena;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = staging->at->count; i < staging->count; i++) {
        const struct view_column *column = staging->columns[i];
        const char *value = default_of(staging, column);
        if (value)
            text_add_format(&text, "%s ALTER COLUMN %s SET DEFAULT %s", text.length ? "," : "",
                            view_quote(arena, column->name), value);
    }
    const char *actions = take(staging, &text);
    return *actions ? arena_format(arena, "ALTER TABLE %s%s", staging->table, actions) : NULL;
}

/* COPY may write an identity column, whichever kind it is. */
static bool writes_identity(const struct staging *staging)
{
    for (size_t i = 0; i < staging->count; i++)
        if (staging->columns[i]->physical && staging->columns[i]->physical->identity)
            return true;
    return false;
}

static const char *plain_insert_sql(struct staging *staging)
{
    struct copying *at = staging->at;
    struct arena *arena = at->rewriter->arena;
    struct slice relation = copy_source(at, at->places.relation, at->places.list);
    struct text names, values;
    text_init(&names, TEXT_UNBOUNDED);
    text_init(&values, TEXT_UNBOUNDED);
    for (size_t i = 0; i < staging->count; i++) {
        const char *name = view_quote(arena, staging->columns[i]->name);
        text_add_format(&names, "%s%s", i ? ", " : "", name);
        text_add_format(&values, "%ssegue_s.%s", i ? ", " : "", name);
    }
    const char *sql = arena_format(arena, "INSERT INTO %.*s (%s)%s SELECT %s FROM %s AS segue_s",
                                   (int)relation.length, relation.data, names.data,
                                   writes_identity(staging) ? " OVERRIDING SYSTEM VALUE" : "",
                                   values.data, staging->table);
    text_release(&names);
    text_release(&values);
    return sql;
}

/* NULL where the rewriter refuses it. */
static const char *insert_sql(struct staging *staging)
{
    struct rewriter *rewriter = staging->at->rewriter;
    const char *plain = plain_insert_sql(staging);
    struct rewrite *rewrite = rewrite_text(rewriter->context, slice_of(plain));
    const char *sql = NULL;
    switch (rewrite->outcome) {
    case REWRITE_UNTOUCHED:
        sql = plain;
        break;
    case REWRITE_CHANGED:
        sql = arena_string(rewriter->arena, rewrite->text.data);
        break;
    case REWRITE_REFUSED:
        rewriter->error = *rewrite->error;
        rewriter->error.position = 0; /* in a text that is not the client's */
        break;
    case REWRITE_NEEDS_RESOLUTION:
        BUG("names were resolved before");
    }
    rewrite_put(rewrite);
    return sql;
}

/* ------------------------------------------------------------------ the client's own text */

/* What says the table's name, before a column's or as the row, says the temporary one's. */
static bool rename_table(struct copying *at, const struct copy_reference *reference, void *data)
{
    const struct staging *staging = data;
    if (reference->name && !reference->is_qualified)
        return true;
    struct rewriter *rewriter = at->rewriter;
    size_t first = sql_token_at(&rewriter->tree, (uint32_t)reference->node->location);
    size_t end = sql_name_end(&rewriter->tree, first);
    size_t last = reference->is_qualified ? end - 3 : end - 1;
    edits_replace(&rewriter->edits, token_start(rewriter, first), token_end(rewriter, last),
                  view_quote(rewriter->arena, staging->name));
    return true;
}

static void edit_copy(struct staging *staging)
{
    struct copying *at = staging->at;
    struct rewriter *rewriter = at->rewriter;
    edits_replace(&rewriter->edits, token_start(rewriter, at->places.relation),
                  token_end(rewriter, at->places.list - 1), staging->table);
    if (at->copy->n_attlist == 0 && at->count > 0) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        for (size_t i = 0; i < at->count; i++)
            text_add_format(&text, "%s%s", i ? ", " : " (",
                            view_quote(rewriter->arena, at->columns[i]->name));
        text_add_char(&text, ')');
        edits_after(&rewriter->edits, token_end(rewriter, at->places.list - 1),
                    take(staging, &text));
    }
    bool done = copy_where_references(at, rename_table, staging);
    BUG_ON(!done);
}

/* ------------------------------------------------------------------ */

static bool is_off(const PgQuery__DefElem *option)
{
    static const char *const words[] = {"false", "off"};
    const sql_node *value = sql_unwrap(option->arg);
    if (SQL_IS(value, integer))
        return AS_NODE(Integer, value)->ival == 0;
    if (SQL_IS(value, boolean))
        return !AS_NODE(Boolean, value)->boolval;
    for (size_t i = 0; SQL_IS(value, string) && i < sizeof words / sizeof *words; i++)
        if (strcmp(AS_NODE(String, value)->sval, words[i]) == 0)
            return true;
    return false;
}

/* What the server says of the table, it would not say of the temporary one. */
static bool check_options(struct copying *at)
{
    const PgQuery__DefElem *freeze = copy_option(at->copy, "freeze");
    if (!freeze || is_off(freeze) || at->view->table->kind != 'p')
        return true;
    return fail_at(at->rewriter, -1, "0A000", "cannot perform COPY FREEZE on a partitioned table");
}

static void note_staging(struct staging *staging, const char *create, const char *defaults,
                         const char *insert)
{
    struct copying *at = staging->at;
    struct rewriter *rewriter = at->rewriter;
    const char *drop = arena_format(rewriter->arena, "DROP TABLE %s", staging->table);
    uint32_t start = token_start(rewriter, at->places.copy);
    uint32_t end = token_end(rewriter, at->places.end - 1);
    edits_before(&rewriter->edits, start,
                 arena_format(rewriter->arena, "%s; %s%s", create, defaults ? defaults : "",
                              defaults ? "; " : ""));
    edits_after(&rewriter->edits, end, arena_format(rewriter->arena, "; %s; %s", insert, drop));
    struct rewrite_staging *noted = staging_list_add(&rewriter->stagings);
    *noted = (struct rewrite_staging){
        .statement = rewriter->statement,
        .reads_client = !at->copy->is_program && !present(at->copy->filename),
        .copy_start = start, /* in the client's text; where they were sent, once it is known */
        .copy_end = end,
        .name = memory_string(staging->name),
        .schema = memory_string(at->view->table->schema),
        .table = memory_string(at->view->table->name),
        .create = memory_string(create),
        .defaults = defaults ? memory_string(defaults) : NULL,
        .insert = memory_string(insert),
        .drop = memory_string(drop),
    };
}

bool copy_in_staged(struct copying *at)
{
    struct rewriter *rewriter = at->rewriter;
    struct staging staging = {.at = at};
    uint64_t hash = XXH3_64bits_withSeed(rewriter->source.data, rewriter->source.length,
                                         rewriter->context->snapshot->serial);
    staging.name = arena_format(rewriter->arena, "segue_copy_%016llx", (unsigned long long)hash);
    staging.table = arena_format(rewriter->arena, "pg_temp.%s", staging.name);
    if (!check_options(at) || !find_staging_columns(&staging))
        return false;
    const char *insert = insert_sql(&staging);
    if (!insert)
        return false;
    edit_copy(&staging);
    note_staging(&staging, create_sql(&staging), defaults_sql(&staging), insert);
    return true;
}
