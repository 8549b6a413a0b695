/*
 * Snapshots and the shapes of clients.
 *
 * A snapshot is one allocation, its transitions at the end of it. Counts are atomic, since the main
 * thread makes them and workers drop them; everything else is written before the first hand-over
 * and never again.
 */
#include "segue/transition/snapshot.h"

#include "segue/base/memory.h"

#include <stdlib.h>

static _Atomic uint64_t last_serial;

/* ------------------------------------------------------------------ names */

static void add_name(struct snapshot *snapshot, size_t *room, const char *name)
{
    if (snapshot->name_count == *room) {
        *room = *room ? *room * 2 : 8;
        snapshot->names = memory_resize((void *)snapshot->names, *room * sizeof *snapshot->names);
    }
    char *lower = memory_string(name);
    for (char *c = lower; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    snapshot->names[snapshot->name_count++] = lower;
}

static bool is_odd(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < 0x80 && *name != '_' && *name != '$' &&
            !(*name >= 'a' && *name <= 'z') && !(*name >= '0' && *name <= '9'))
            return true;
    return false;
}

static int compare_names(const void *a, const void *b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    if (is_odd(left) != is_odd(right))
        return is_odd(left) ? 1 : -1;
    return strcmp(left, right);
}

static uint32_t oid_of(const struct snapshot *snapshot, const struct transition *transition)
{
    if (transition->table_oid || !transition->schema)
        return transition->table_oid;
    const struct catalog_table *table =
        catalog_find(snapshot->catalog, transition->schema, transition->table);
    return table ? table->oid : 0;
}

static void gather_names(struct snapshot *snapshot)
{
    size_t room = 0;
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        const struct transition *transition = snapshot->transitions[i].transition;
        uint32_t oid = oid_of(snapshot, transition);
        add_name(snapshot, &room, transition->table);
        for (size_t t = 0; t < catalog_count(snapshot->catalog); t++) {
            const struct catalog_table *table = catalog_at(snapshot->catalog, t);
            if (table->ancestor_count && catalog_descends(table, oid))
                add_name(snapshot, &room, table->name);
        }
    }
    if (snapshot->name_count == 0)
        return;
    qsort((void *)snapshot->names, snapshot->name_count, sizeof *snapshot->names, compare_names);
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->name_count; i++) {
        if (kept && strcmp(snapshot->names[kept - 1], snapshot->names[i]) == 0) {
            free(snapshot->names[i]);
            continue;
        }
        snapshot->names[kept++] = snapshot->names[i];
        snapshot->odd_name_count += is_odd(snapshot->names[i]);
    }
    snapshot->name_count = kept;
}

static bool is_ascii(const char *string)
{
    for (; string && *string; string++)
        if ((unsigned char)*string >= 0x80)
            return false;
    return true;
}

static bool column_is_ascii(const struct transition_column *column)
{
    return is_ascii(column->name) && is_ascii(column->physical) && is_ascii(column->type) &&
           is_ascii(column->default_expression) && is_ascii(column->from.source);
}

static bool needs_utf8(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->name_count; i++)
        if (!is_ascii(snapshot->names[i]))
            return true;
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        const struct transition *transition = snapshot->transitions[i].transition;
        for (int shape = 0; shape < SHAPE_COUNT; shape++)
            for (size_t c = 0; c < transition->column_count[shape]; c++)
                if (!column_is_ascii(&transition->columns[shape][c]))
                    return true;
    }
    return false;
}

/* ------------------------------------------------------------------ life */

struct snapshot *snapshot_new(uint64_t epoch, struct catalog *catalog,
                              const struct snapshot_transition *transitions, size_t count)
{
    BUG_ON(count > SNAPSHOT_TRANSITIONS_MAX);
    BUG_ON(count > 0 && !catalog);
    struct snapshot *snapshot =
        memory_zero(1, sizeof *snapshot + count * sizeof snapshot->transitions[0]);
    atomic_init(&snapshot->references, 1);
    snapshot->epoch = epoch;
    snapshot->serial = atomic_fetch_add(&last_serial, 1) + 1;
    snapshot->catalog = catalog ? catalog_get(catalog) : NULL;
    snapshot->transition_count = count;
    for (size_t i = 0; i < count; i++) {
        snapshot->transitions[i] = transitions[i];
        transition_get(transitions[i].transition);
    }
    gather_names(snapshot);
    snapshot->needs_utf8 = needs_utf8(snapshot);
    return snapshot;
}

struct snapshot *snapshot_get(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_put(struct snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < snapshot->transition_count; i++)
        transition_put(snapshot->transitions[i].transition);
    for (size_t i = 0; i < snapshot->name_count; i++)
        free(snapshot->names[i]);
    free((void *)snapshot->names);
    catalog_put(snapshot->catalog);
    free(snapshot);
}

static void add_exception(struct shape_list *list, const char *name, size_t length,
                          enum shape shape)
{
    list->exceptions =
        memory_resize(list->exceptions, (list->count + 1) * sizeof *list->exceptions);
    list->exceptions[list->count].transition = memory_string_range(name, length);
    list->exceptions[list->count].shape = shape;
    list->count++;
}

/* "shape" or "transition=shape" */
static bool parse_item(struct shape_list *list, const char *item, size_t length)
{
    const char *equals = memchr(item, '=', length);
    const char *value = equals ? equals + 1 : item;
    size_t value_length = length - (size_t)(value - item);
    char shape_text[16];
    if (value_length >= sizeof shape_text || equals == item)
        return false;
    memcpy(shape_text, value, value_length);
    shape_text[value_length] = '\0';
    enum shape shape;
    if (!shape_parse(shape_text, &shape))
        return false;
    if (equals)
        add_exception(list, item, (size_t)(equals - item), shape);
    else
        list->fallback = shape;
    return true;
}

bool shape_list_parse(struct shape_list *list, const char *text, struct error *error)
{
    *list = (struct shape_list){.fallback = SHAPE_OLD};
    const char *item = text;
    for (;;) {
        item += strspn(item, " ");
        size_t length = strcspn(item, ",");
        size_t trimmed = length;
        while (trimmed > 0 && item[trimmed - 1] == ' ')
            trimmed--;
        if (!parse_item(list, item, trimmed)) {
            error_set(error, "22023", "invalid value for parameter \"segue.shape\": \"%s\"", text);
            error_hint(error,
                       "Say \"old\", \"new\", or a list such as \"users_role=new,amount=old\".");
            shape_list_release(list);
            return false;
        }
        if (!item[length])
            return true;
        item += length + 1;
    }
}

void shape_list_release(struct shape_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->exceptions[i].transition);
    free(list->exceptions);
    *list = (struct shape_list){.fallback = SHAPE_OLD};
}

static enum shape shape_in(const struct shape_list *list, const char *transition)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->exceptions[i].transition, transition) == 0)
            return list->exceptions[i].shape;
    }
    return list->fallback;
}

uint64_t shape_list_mask(const struct shape_list *list, const struct snapshot *snapshot)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        if (shape_in(list, snapshot->transitions[i].transition->name) == SHAPE_NEW)
            mask |= UINT64_C(1) << i;
    }
    return mask;
}
