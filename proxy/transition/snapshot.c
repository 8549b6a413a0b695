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

static void add_name(struct snapshot *snapshot, const char *name)
{
    snapshot->table_names = memory_resize(snapshot->table_names, (snapshot->table_name_count + 1) *
                                                                     sizeof *snapshot->table_names);
    snapshot->table_names[snapshot->table_name_count++] = name;
}

static void add_names(struct snapshot *snapshot, const struct transition *transition)
{
    add_name(snapshot, transition->table);
    for (size_t i = 0; transition->table_oid && i < catalog_count(snapshot->catalog); i++) {
        const struct catalog_table *table = catalog_at(snapshot->catalog, i);
        if (table->oid != transition->table_oid && catalog_descends(table, transition->table_oid))
            add_name(snapshot, table->name);
    }
}

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
        add_names(snapshot, transitions[i].transition);
    }
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
    catalog_put(snapshot->catalog);
    free(snapshot->table_names);
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
