#include "prepared.h"

#include "segue/base/memory.h"

#include "text_effects.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- sources */

struct source *source_intern(struct source_set *set, const char *key, size_t text_length,
                             size_t types_length)
{
    size_t length = text_length + 1 + types_length;
    struct source *source = NULL;
    HASH_FIND(hh, set->all, key, length, source);
    if (source)
        return source_get(source);
    source = memory_get(sizeof *source + length);
    *source = (struct source){
        .references = 1,
        .text_length = text_length,
        .types_length = types_length,
        .effects = text_effects((struct slice){key, text_length}),
    };
    memcpy(source->data, key, length);
    HASH_ADD_KEYPTR(hh, set->all, source->data, length, source);
    return source;
}

struct source *source_get(struct source *source)
{
    source->references++;
    return source;
}

void source_put(struct source_set *set, struct source *source)
{
    if (!source || --source->references > 0)
        return;
    HASH_DELETE(hh, set->all, source);
    free(source);
}

/* ---------------------------------------------------------------- definitions */

struct definition *definition_new(struct source *source, struct rewrite *rewrite, uint64_t context)
{
    struct definition *definition = memory_get(sizeof *definition);
    *definition = (struct definition){
        .references = 1,
        .context = context,
        .source = source,
        .rewrite = rewrite ? rewrite_get(rewrite) : NULL,
    };
    return definition;
}

struct definition *definition_get(struct definition *definition)
{
    definition->references++;
    return definition;
}

void definition_put(struct source_set *set, struct definition *definition)
{
    if (!definition || --definition->references > 0)
        return;
    source_put(set, definition->source);
    rewrite_put(definition->rewrite);
    rewrite_put(definition->told);
    free(definition);
}

struct slice definition_sent(const struct definition *definition)
{
    const struct rewrite *rewrite = definition->rewrite;
    if (rewrite && rewrite->outcome == REWRITE_CHANGED)
        return rewrite_parse_text(rewrite);
    return source_text(definition->source);
}

/* ---------------------------------------------------------------- the map */

void prepared_map_init(struct prepared_map *map, struct source_set *sources)
{
    *map = (struct prepared_map){.sources = sources};
}

static void set_definition(struct prepared_map *map, struct definition **place,
                           struct definition *definition)
{
    struct definition *before = *place;
    *place = definition ? definition_get(definition) : NULL;
    definition_put(map->sources, before);
}

static void slot_free(struct prepared_map *map, struct prepared *slot)
{
    HASH_DELETE(hh, map->named, slot);
    if (map->last_found == slot)
        map->last_found = NULL;
    set_definition(map, &slot->confirmed, NULL);
    set_definition(map, &slot->latest, NULL);
    free(slot->name);
    free(slot);
}

void prepared_map_release(struct prepared_map *map)
{
    struct prepared *slot, *next;
    HASH_ITER(hh, map->named, slot, next)
    slot_free(map, slot);
    set_definition(map, &map->unnamed.confirmed, NULL);
    set_definition(map, &map->unnamed.latest, NULL);
    map->unnamed.pending = 0;
}

struct prepared *prepared_find(struct prepared_map *map, const char *name)
{
    if (name[0] == '\0')
        return &map->unnamed;
    if (map->last_found && strcmp(map->last_found->name, name) == 0)
        return map->last_found;
    struct prepared *slot = NULL;
    HASH_FIND_STR(map->named, name, slot);
    if (slot)
        map->last_found = slot;
    return slot;
}

struct prepared *prepared_slot(struct prepared_map *map, const char *name)
{
    struct prepared *slot = prepared_find(map, name);
    if (slot)
        return slot;
    slot = NEW(struct prepared);
    slot->name = memory_string(name);
    HASH_ADD_KEYPTR(hh, map->named, slot->name, strlen(slot->name), slot);
    return slot;
}

static void drop_if_empty(struct prepared_map *map, struct prepared *slot)
{
    if (slot != &map->unnamed && slot->pending == 0 && !slot->confirmed)
        slot_free(map, slot);
}

void prepared_change(struct prepared_map *map, struct prepared *slot, struct definition *definition)
{
    slot->pending++;
    set_definition(map, &slot->latest, definition);
}

static void end_change(struct prepared_map *map, struct prepared *slot)
{
    BUG_ON(slot->pending == 0);
    if (--slot->pending == 0)
        set_definition(map, &slot->latest, NULL);
    drop_if_empty(map, slot);
}

void prepared_confirm(struct prepared_map *map, struct prepared *slot,
                      struct definition *definition)
{
    set_definition(map, &slot->confirmed, definition);
    end_change(map, slot);
}

void prepared_undo(struct prepared_map *map, struct prepared *slot)
{
    end_change(map, slot);
}

void prepared_set(struct prepared_map *map, const char *name, struct definition *definition)
{
    set_definition(map, &prepared_slot(map, name)->confirmed, definition);
}

void prepared_forget(struct prepared_map *map, const char *name)
{
    struct prepared *slot = prepared_find(map, name);
    if (!slot || slot == &map->unnamed)
        return;
    set_definition(map, &slot->confirmed, NULL);
    drop_if_empty(map, slot);
}

void prepared_forget_all(struct prepared_map *map)
{
    struct prepared *slot, *next;
    HASH_ITER(hh, map->named, slot, next)
    {
        set_definition(map, &slot->confirmed, NULL);
        drop_if_empty(map, slot);
    }
}

void prepared_forget_unnamed(struct prepared_map *map)
{
    set_definition(map, &map->unnamed.confirmed, NULL);
}
