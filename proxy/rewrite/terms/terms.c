/*
 * Two ways to know which table a message is about. Violations of constraints carry its schema and
 * name in fields of their own, whatever text caused them, be it COMMIT. Errors of parse analysis
 * carry nothing but the message; there the tables are those that the text touches, and a name in it
 * is the server's own only where the position lies in text of Segue's, or where no client could
 * have written it.
 */
#include "segue/rewrite/terms.h"

#include "../read/view.h"
#include "detail.h"
#include "position.h"
#include "quoted.h"

#include <stdlib.h>

struct translation {
    struct arena *arena;
    const struct terms *terms;
    struct rewrite_context context; /* as far as views need it */
    struct wire_fields *fields;
    int sent_position;
    bool changed;
};

static const char *get(const struct translation *translation, char code)
{
    return wire_fields_get(translation->fields, code);
}

/* NULL takes the field away. */
static void set(struct translation *translation, char code, const char *value)
{
    const char *before = get(translation, code);
    if (!before || (value && strcmp(before, value) == 0))
        return;
    wire_fields_set(translation->fields, code,
                    value ? arena_string(translation->arena, value) : NULL);
    translation->changed = true;
}

static bool is_state(const struct translation *translation, const char *const *states)
{
    const char *state = get(translation, 'C');
    for (; state && *states; states++)
        if (strcmp(state, *states) == 0)
            return true;
    return false;
}

static void rename_quoted(struct translation *translation, const char *name, const char *by)
{
    const char *message = get(translation, 'M');
    if (message && strcmp(name, by) != 0)
        set(translation, 'M', quoted_replace(translation->arena, message, name, by));
}

/* ------------------------------------------------------------------ position */

static void tell_position(struct translation *translation)
{
    const char *sent = get(translation, 'P');
    if (!sent)
        return;
    const struct terms *terms = translation->terms;
    translation->sent_position = atoi(sent);
    int position = 0;
    if (!terms->drops_position)
        position = terms->rewrite ? rewrite_map_position(terms->rewrite, terms->client_text,
                                                         translation->sent_position)
                                  : translation->sent_position;
    set(translation, 'P', position > 0 ? arena_format(translation->arena, "%d", position) : NULL);
}

/* ------------------------------------------------------------------ a table that is named */

/* "a", "b": the columns that one of the other shape is made from, for between two quotes. */
static const char *own_names(struct translation *translation, const struct view *view,
                             const char *physical)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (size_t i = 0; i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        const struct transition *definition = transition->at->transition;
        enum shape other = shape_other(transition->shape);
        for (size_t c = 0; c < definition->column_count[other]; c++) {
            if (strcmp(view_physical_name(transition, other, c), physical) != 0)
                continue;
            for (size_t own = 0; own < definition->column_count[transition->shape]; own++)
                text_add_format(&text, "%s%s", text.length ? "\", \"" : "",
                                definition->columns[transition->shape][own].name);
        }
    }
    const char *names = arena_string_range(translation->arena, text.data, text.length);
    text_release(&text);
    return names;
}

static void tell_column(struct translation *translation, const struct view *view)
{
    const char *column = get(translation, 'c'), *table = get(translation, 't'), *name;
    if (!column)
        return;
    switch (column_meaning(view, column, &name)) {
    case COLUMN_IS_ITSELF:
        return;
    case COLUMN_IS_RENAMED:
    case COLUMN_IS_CONVERTED:
        set(translation, 'c', name);
        break;
    case COLUMN_IS_SEVERAL:
        name = own_names(translation, view, column);
        set(translation, 'c', NULL);
        break;
    }
    if (strcmp(column, table) != 0) /* else which of the two a quoted name is, is not certain */
        rename_quoted(translation, column, name);
}

static void tell_constraint(struct translation *translation, const struct view *view)
{
    const char *constraint = get(translation, 'n'), *table = get(translation, 't');
    for (size_t i = 0; constraint && i < view->transition_count; i++) {
        const struct view_transition *transition = &view->transitions[i];
        const char *name = pair_logical_name(transition->at->transition, view->table->oid,
                                             constraint, transition->shape);
        if (!name)
            continue;
        set(translation, 'n', name);
        if (strcmp(constraint, table) != 0)
            rename_quoted(translation, constraint, name);
        return;
    }
}

static void tell_detail(struct translation *translation, const struct view *view)
{
    static const char *const rows[] = {"23502", "23514", "44000", NULL};
    static const char *const keys[] = {"23503", "23505", NULL};
    static const char *const pairs_of_keys[] = {"23P01", NULL}; /* told apart by their words only */
    const char *detail = get(translation, 'D');
    if (!detail)
        return;
    if (is_state(translation, rows)) {
        set(translation, 'D', detail_of_row(translation->arena, view, detail));
    } else if (is_state(translation, keys) || is_state(translation, pairs_of_keys)) {
        const char *told = detail_of_key(translation->arena, view, detail);
        bool is_certain = told && (is_state(translation, keys) || strcmp(told, detail) == 0);
        set(translation, 'D', is_certain ? told : NULL);
    }
}

/* NULL where the message names no table in transition, or one that is as the client sees it. */
static const struct view *view_of_fields(const struct translation *translation)
{
    const char *schema = get(translation, 's'), *table = get(translation, 't');
    if (!schema || !table)
        return NULL;
    const struct catalog_table *found =
        catalog_find(translation->terms->snapshot->catalog, schema, table);
    const struct view *view =
        found ? view_make(translation->arena, &translation->context, found) : NULL;
    return view && !view->is_plain ? view : NULL;
}

/* ------------------------------------------------------------------ tables that a text touches */

/* The last name of "u.role", without its quotes. NULL for a star. */
static const char *last_name(struct arena *arena, struct slice reference)
{
    bool quoted = false;
    size_t start = 0;
    for (size_t i = 0; i < reference.length; i++) {
        quoted ^= reference.data[i] == '"';
        if (!quoted && reference.data[i] == '.')
            start = i + 1;
    }
    char *name = arena_string_range(arena, reference.data + start, reference.length - start);
    if (strcmp(name, "*") == 0)
        return NULL;
    size_t length = 0;
    bool is_quoted = name[0] == '"';
    for (size_t i = is_quoted; name[i]; i++) {
        if (is_quoted && name[i] == '"' && name[++i] != '"')
            break;
        bool folds = !is_quoted && name[i] >= 'A' && name[i] <= 'Z';
        name[length++] = folds ? (char)(name[i] | 0x20) : name[i];
    }
    name[length] = '\0';
    return name;
}

/* The client's name that the text around the position stands for; NULL where there is none. */
static const char *name_at_position(const struct translation *translation, bool *is_ours)
{
    const struct terms *terms = translation->terms;
    const struct rewrite_edit *edit = edit_at_position(terms->rewrite, translation->sent_position);
    *is_ours = edit != NULL;
    struct slice replaced = {NULL, 0};
    if (edit)
        replaced = replaced_name(edit, terms->client_text);
    return replaced.length ? last_name(translation->arena, replaced) : NULL;
}

/* A hint may offer a column that this client does not have. */
static void tell_hint(struct translation *translation, const char *physical, bool is_own,
                      const char *name)
{
    const char *hint = get(translation, 'H');
    if (hint && quoted_has(hint, physical))
        set(translation, 'H',
            is_own ? quoted_replace(translation->arena, hint, physical, name) : NULL);
}

static void tell_names(struct translation *translation, const struct view *view)
{
    /* undefined column: its message has the client's own words; its hint has not */
    static const char *const undefined[] = {"42703", NULL};
    static const char *const naming[] = {"42601", "42701", "42702", "42803",
                                         "42804", "428C9", "42501", NULL};
    bool is_ours;
    const char *replaced = name_at_position(translation, &is_ours);
    bool hints = is_state(translation, undefined), names = is_state(translation, naming);
    for (size_t i = 0; i < view->table->column_count && (hints || names); i++) {
        const char *name, *physical = view->table->columns[i].name;
        enum column_meaning meaning = column_meaning(view, physical, &name);
        if (meaning == COLUMN_IS_ITSELF)
            continue;
        bool is_own = meaning == COLUMN_IS_RENAMED;
        if (hints)
            tell_hint(translation, physical, is_own, name);
        else if (is_ours && replaced)
            rename_quoted(translation, physical, replaced);
        else if (is_own || (is_ours && name))
            rename_quoted(translation, physical, name);
    }
}

/*
 * A value that cannot be cast to its column's type cannot be assigned to it either: to the client
 * it is an assignment (42804), though what failed is the cast before the conversion. A cast that
 * the client wrote itself is in its own text.
 */
static void tell_cast(struct translation *translation)
{
    static const char *const no_cast[] = {"42846", NULL};
    const struct terms *terms = translation->terms;
    if (!terms->rewrite || !is_state(translation, no_cast))
        return;
    if (edit_at_position(terms->rewrite, translation->sent_position) && !get(translation, 'P'))
        set(translation, 'C', "42804");
}

/*
 * 'COPY users, line 3, column role: "x"', in whatever language: the column's name is not between
 * quotes, but ends what comes before the data. NULL where it is not this name.
 */
static const char *copy_context(struct arena *arena, const char *context, const char *table,
                                const char *physical, const char *name)
{
    size_t table_length = strlen(table), length = strlen(physical);
    if (strncmp(context, "COPY ", 5) != 0 || strncmp(context + 5, table, table_length) != 0)
        return NULL;
    const char *colon = strchr(context + 5 + table_length, ':');
    if (!colon || (size_t)(colon - context) < 5 + table_length + 1 + length)
        return NULL;
    const char *found = colon - length;
    if (found[-1] != ' ' || strncmp(found, physical, length) != 0)
        return NULL;
    return arena_format(arena, "%.*s%s%s", (int)(found - context), context, name, colon);
}

/* The data of a COPY that goes straight into the table, whose column has another name meanwhile. */
static void tell_copy(struct translation *translation, const struct view *view)
{
    static const char *const bad_format[] = {"22P04", NULL}; /* data for a column are missing */
    const char *context = get(translation, 'W');
    if (!context || strncmp(context, "COPY ", 5) != 0)
        return;
    for (size_t i = 0; i < view->table->column_count; i++) {
        const char *name, *physical = view->table->columns[i].name;
        if (column_meaning(view, physical, &name) != COLUMN_IS_RENAMED)
            continue;
        const char *told =
            copy_context(translation->arena, context, view->table->name, physical, name);
        if (told)
            set(translation, 'W', told);
        if (is_state(translation, bad_format))
            rename_quoted(translation, physical, name);
    }
}

static void tell_touched(struct translation *translation)
{
    const struct terms *terms = translation->terms;
    const struct snapshot *snapshot = terms->snapshot;
    uint64_t told = 0;
    for (size_t i = 0; terms->rewrite && i < snapshot->transition_count; i++) {
        if (!(terms->rewrite->touched & ~told & UINT64_C(1) << i))
            continue;
        const struct transition *transition = snapshot->transitions[i].transition;
        const struct catalog_table *table =
            catalog_find_oid(snapshot->catalog, transition->table_oid);
        const struct view *view =
            table ? view_make(translation->arena, &translation->context, table) : NULL;
        if (!view)
            continue;
        told |= view->touched;
        tell_names(translation, view);
        tell_copy(translation, view);
    }
}

bool terms_translate(struct arena *arena, const struct terms *terms, struct wire_fields *fields)
{
    struct translation translation = {
        .arena = arena,
        .terms = terms,
        .context = {.snapshot = terms->snapshot, .new_shapes = terms->new_shapes},
        .fields = fields,
    };
    tell_position(&translation);
    tell_cast(&translation);
    if (!terms->snapshot || terms->snapshot->transition_count == 0)
        return translation.changed;
    const struct view *view = view_of_fields(&translation);
    if (view) {
        tell_column(&translation, view);
        tell_constraint(&translation, view);
        tell_detail(&translation, view);
    } else if (!get(&translation, 't')) {
        tell_touched(&translation);
    }
    return translation.changed;
}
