/*
 * The cache of rewrites: an open-addressing table of entries, which also stand in a list from the
 * most to the least recently used. A hit hashes the text, compares it, and moves the entry to the
 * front; it allocates nothing.
 */
#include "segue/rewrite/rewrite.h"

#include "segue/base/memory.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Everything but the text that decides. */
struct key {
    uint64_t serial;
    uint64_t resolution;
    uint64_t new_shapes;
    uint64_t flags;
};

struct entry {
    uint64_t hash;
    struct key key;
    struct rewrite *rewrite;
    struct entry *newer, *older;
    size_t bytes;
    size_t length;
    char text[];
};

struct rewrite_cache {
    size_t max_bytes;
    size_t slot_count; /* a power of two */
    struct entry **slots;
    struct entry *newest, *oldest;
    struct rewrite *uncached; /* the last answer too large to keep */
    struct rewrite_cache_counters counters;
};

enum { SLOTS_AT_FIRST = 256 };

struct rewrite_cache *rewrite_cache_new(size_t max_bytes)
{
    struct rewrite_cache *cache = NEW(struct rewrite_cache);
    cache->max_bytes = max_bytes;
    cache->slot_count = SLOTS_AT_FIRST;
    cache->slots = NEW_ARRAY(struct entry *, cache->slot_count);
    return cache;
}

static struct key make_key(const struct rewrite_context *context)
{
    return (struct key){context->snapshot->serial,
                        context->resolution ? context->resolution->id : 0, context->new_shapes,
                        (uint64_t)context->standard_conforming_strings |
                            (uint64_t)context->encoding_is_safe << 1};
}

static uint64_t hash_of(const struct key *key, struct slice text)
{
    return XXH3_64bits_withSeed(text.data, text.length, XXH3_64bits(key, sizeof *key));
}

/* ------------------------------------------------------------------ the list */

static void unlink_entry(struct rewrite_cache *cache, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct rewrite_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

/* ------------------------------------------------------------------ the table: linear probing */

static size_t slot_of(const struct rewrite_cache *cache, uint64_t hash)
{
    return (size_t)hash & (cache->slot_count - 1);
}

static bool is_entry(const struct entry *entry, uint64_t hash, const struct key *key,
                     struct slice text)
{
    return entry->hash == hash && entry->length == text.length &&
           memcmp(&entry->key, key, sizeof *key) == 0 &&
           memcmp(entry->text, text.data, text.length) == 0;
}

/* The slot of the entry, or the free one where it would be. */
static size_t find_slot(const struct rewrite_cache *cache, uint64_t hash, const struct key *key,
                        struct slice text)
{
    size_t slot = slot_of(cache, hash);
    while (cache->slots[slot] && !is_entry(cache->slots[slot], hash, key, text))
        slot = (slot + 1) & (cache->slot_count - 1);
    return slot;
}

static size_t slot_holding(const struct rewrite_cache *cache, const struct entry *entry)
{
    size_t slot = slot_of(cache, entry->hash);
    while (cache->slots[slot] != entry)
        slot = (slot + 1) & (cache->slot_count - 1);
    return slot;
}

/* Closes the gap: what was pushed past it by a collision comes back. */
static void clear_slot(struct rewrite_cache *cache, size_t gap)
{
    size_t mask = cache->slot_count - 1;
    for (size_t slot = (gap + 1) & mask; cache->slots[slot]; slot = (slot + 1) & mask) {
        size_t home = slot_of(cache, cache->slots[slot]->hash);
        if (((slot - home) & mask) < ((slot - gap) & mask))
            continue;
        cache->slots[gap] = cache->slots[slot];
        gap = slot;
    }
    cache->slots[gap] = NULL;
}

static void grow_table(struct rewrite_cache *cache)
{
    free((void *)cache->slots);
    cache->slot_count *= 2;
    cache->slots = NEW_ARRAY(struct entry *, cache->slot_count);
    for (struct entry *entry = cache->newest; entry; entry = entry->older) {
        size_t slot = slot_of(cache, entry->hash);
        while (cache->slots[slot])
            slot = (slot + 1) & (cache->slot_count - 1);
        cache->slots[slot] = entry;
    }
}

static void drop_entry(struct rewrite_cache *cache, struct entry *entry)
{
    clear_slot(cache, slot_holding(cache, entry));
    unlink_entry(cache, entry);
    cache->counters.bytes -= entry->bytes;
    cache->counters.entries--;
    rewrite_put(entry->rewrite);
    free(entry);
}

void rewrite_cache_free(struct rewrite_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        drop_entry(cache, cache->oldest);
    rewrite_put(cache->uncached);
    free((void *)cache->slots);
    free(cache);
}

/* ------------------------------------------------------------------ finding */

static size_t bytes_of(const struct rewrite *rewrite, size_t length)
{
    size_t bytes = sizeof(struct entry) + length + sizeof *rewrite + rewrite->text.capacity +
                   rewrite->edit_count * sizeof *rewrite->edits +
                   rewrite->result_count * sizeof *rewrite->results;
    for (size_t i = 0; i < rewrite->named_count; i++)
        bytes += sizeof *rewrite->named +
                 (rewrite->named[i].name ? strlen(rewrite->named[i].name) + 1 : 0);
    return bytes;
}

static void make_room(struct rewrite_cache *cache, size_t bytes)
{
    while (cache->oldest && cache->counters.bytes + bytes > cache->max_bytes) {
        drop_entry(cache, cache->oldest);
        cache->counters.evictions++;
    }
}

static struct rewrite *keep_uncached(struct rewrite_cache *cache, struct rewrite *rewrite)
{
    rewrite_put(cache->uncached);
    cache->uncached = rewrite;
    return rewrite;
}

static struct rewrite *add_entry(struct rewrite_cache *cache, uint64_t hash, const struct key *key,
                                 struct slice text, struct rewrite *rewrite)
{
    size_t bytes = bytes_of(rewrite, text.length);
    if (bytes > cache->max_bytes / 4) /* one giant does not drive everything else out */
        return keep_uncached(cache, rewrite);
    make_room(cache, bytes);
    if ((cache->counters.entries + 1) * 2 > cache->slot_count)
        grow_table(cache);
    struct entry *entry = memory_get(sizeof *entry + text.length);
    *entry = (struct entry){
        .hash = hash, .key = *key, .rewrite = rewrite, .bytes = bytes, .length = text.length};
    memcpy(entry->text, text.data, text.length);
    cache->slots[find_slot(cache, hash, key, text)] = entry;
    link_newest(cache, entry);
    cache->counters.bytes += bytes;
    cache->counters.entries++;
    return rewrite;
}

struct rewrite *rewrite_cache_find(struct rewrite_cache *cache,
                                   const struct rewrite_context *context, struct slice text)
{
    struct key key = make_key(context);
    uint64_t hash = hash_of(&key, text);
    struct entry *entry = cache->slots[find_slot(cache, hash, &key, text)];
    if (entry) {
        cache->counters.hits++;
        if (entry != cache->newest) {
            unlink_entry(cache, entry);
            link_newest(cache, entry);
        }
        return entry->rewrite;
    }
    cache->counters.misses++;
    return add_entry(cache, hash, &key, text, rewrite_text(context, text));
}

void rewrite_cache_counters(const struct rewrite_cache *cache,
                            struct rewrite_cache_counters *counters)
{
    *counters = cache->counters;
}
