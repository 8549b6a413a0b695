/*
 * The cache of rewrites: an open-addressing table of entries, which also stand in a list from the
 * most to the least recently used. A hit hashes the text, compares it, and moves the entry to the
 * front; it allocates nothing.
 *
 * Entries are of two kinds, told apart by their keys: of a text, and of a token shape. A new text
 * is looked for by its shape before it is parsed. It gets an entry of its own only when it comes a
 * second time, so that literals which are never seen again drive nothing out.
 */
#include "segue/rewrite/rewrite.h"

#include "segue/base/memory.h"

#include "cache.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum key_flag {
    KEY_CONFORMING_STRINGS = 1,
    KEY_SAFE_ENCODING = 2,
    KEY_OF_SHAPE = 4,
    KEY_UNTIL_TRANSACTION_ENDS = 8,
    KEY_ENCODING = 16 /* times an enum sql_encoding */
};

struct entry {
    uint64_t hash;
    struct cache_key key;
    struct rewrite *rewrite;   /* of a text */
    struct template *template; /* of a shape; NULL: texts of this shape are rewritten one by one */
    struct entry *newer, *older;
    size_t bytes;
    size_t length;
    char text[]; /* or the bytes of the shape */
};

enum {
    SLOTS_AT_FIRST = 256,
    SEEN = 1024,
    SHAPE_KEPT_MAX = 1 << 20 /* bytes of the reusable shape that are kept from text to text */
};

struct rewrite_cache {
    size_t max_bytes;
    size_t slot_count; /* a power of two */
    struct entry **slots;
    struct entry *newest, *oldest;
    struct rewrite *uncached; /* the last answer that has no entry */
    struct token_shape shape; /* of the text at hand */
    uint64_t seen[SEEN];      /* hashes of texts that have no entry */
    struct rewrite_cache_counters counters;
};

struct rewrite_cache *rewrite_cache_new(size_t max_bytes)
{
    struct rewrite_cache *cache = NEW(struct rewrite_cache);
    cache->max_bytes = max_bytes;
    cache->slot_count = SLOTS_AT_FIRST;
    cache->slots = NEW_ARRAY(struct entry *, cache->slot_count);
    token_shape_init(&cache->shape);
    return cache;
}

struct cache_key cache_key_of(const struct rewrite_context *context)
{
    return (struct cache_key){
        context->snapshot->serial, context->resolution ? context->resolution->id : 0,
        context->new_shapes,
        (context->standard_conforming_strings ? KEY_CONFORMING_STRINGS : 0) |
            (context->encoding_is_safe ? KEY_SAFE_ENCODING : 0) |
            (context->is_until_transaction_ends ? KEY_UNTIL_TRANSACTION_ENDS : 0) |
            (uint64_t)context->encoding * KEY_ENCODING};
}

static uint64_t hash_of(const struct cache_key *key, struct slice text)
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

static bool is_entry(const struct entry *entry, uint64_t hash, const struct cache_key *key,
                     struct slice text)
{
    return entry->hash == hash && entry->length == text.length &&
           memcmp(&entry->key, key, sizeof *key) == 0 &&
           memcmp(entry->text, text.data, text.length) == 0;
}

/* The slot of the entry, or the free one where it would be. */
static size_t find_slot(const struct rewrite_cache *cache, uint64_t hash,
                        const struct cache_key *key, struct slice text)
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
    template_put(entry->template);
    free(entry);
}

void rewrite_cache_free(struct rewrite_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        drop_entry(cache, cache->oldest);
    rewrite_put(cache->uncached);
    token_shape_release(&cache->shape);
    free((void *)cache->slots);
    free(cache);
}

/* ------------------------------------------------------------------ finding */

static void make_room(struct rewrite_cache *cache, size_t bytes)
{
    while (cache->oldest && cache->counters.bytes + bytes > cache->max_bytes) {
        drop_entry(cache, cache->oldest);
        cache->counters.evictions++;
    }
}

void rewrite_cache_limit(struct rewrite_cache *cache, size_t max_bytes)
{
    cache->max_bytes = max_bytes;
    make_room(cache, 0);
}

static struct rewrite *keep_uncached(struct rewrite_cache *cache, struct rewrite *rewrite)
{
    rewrite_put(cache->uncached);
    cache->uncached = rewrite;
    return rewrite;
}

/* NULL where it would take too large a part of the cache: one giant does not drive everything else
 * out. Takes nothing over yet. */
static struct entry *add_entry(struct rewrite_cache *cache, uint64_t hash,
                               const struct cache_key *key, struct slice text, size_t bytes)
{
    bytes += sizeof(struct entry) + text.length;
    if (bytes > cache->max_bytes / 4)
        return NULL;
    make_room(cache, bytes);
    if ((cache->counters.entries + 1) * 2 > cache->slot_count)
        grow_table(cache);
    struct entry *entry = memory_get(sizeof *entry + text.length);
    *entry = (struct entry){.hash = hash, .key = *key, .bytes = bytes, .length = text.length};
    memcpy(entry->text, text.data, text.length);
    cache->slots[find_slot(cache, hash, key, text)] = entry;
    link_newest(cache, entry);
    cache->counters.bytes += bytes;
    cache->counters.entries++;
    return entry;
}

static struct rewrite *keep_text(struct rewrite_cache *cache, uint64_t hash,
                                 const struct cache_key *key, struct slice text,
                                 struct rewrite *rewrite)
{
    struct entry *entry = add_entry(cache, hash, key, text, rewrite_bytes(rewrite));
    if (!entry)
        return keep_uncached(cache, rewrite);
    entry->rewrite = rewrite;
    return rewrite;
}

static struct entry *find_entry(struct rewrite_cache *cache, uint64_t hash,
                                const struct cache_key *key, struct slice text)
{
    struct entry *entry = cache->slots[find_slot(cache, hash, key, text)];
    if (entry && entry != cache->newest) {
        unlink_entry(cache, entry);
        link_newest(cache, entry);
    }
    return entry;
}

/* Was this text answered before, not long ago? */
static bool is_seen_again(struct rewrite_cache *cache, uint64_t hash)
{
    uint64_t *seen = &cache->seen[hash % SEEN];
    bool again = *seen == hash;
    *seen = hash;
    return again;
}

struct rewrite *cache_keep(struct rewrite_cache *cache, const struct cache_key *key,
                           struct slice text, struct rewrite *rewrite)
{
    uint64_t hash = hash_of(key, text);
    return is_seen_again(cache, hash) ? keep_text(cache, hash, key, text, rewrite)
                                      : keep_uncached(cache, rewrite);
}

/* ------------------------------------------------------------------ by token shape */

static struct slice bytes_of(const struct token_shape *shape)
{
    return (struct slice){shape->bytes, shape->length};
}

bool cache_find_template(struct rewrite_cache *cache, struct cache_key key,
                         const struct token_shape *shape, struct template **template)
{
    key.flags |= KEY_OF_SHAPE;
    struct slice bytes = bytes_of(shape);
    const struct entry *entry = find_entry(cache, hash_of(&key, bytes), &key, bytes);
    *template = entry ? entry->template : NULL;
    return entry != NULL;
}

void cache_add_template(struct rewrite_cache *cache, struct cache_key key,
                        const struct token_shape *shape, struct template *template)
{
    key.flags |= KEY_OF_SHAPE;
    struct slice bytes = bytes_of(shape);
    uint64_t hash = hash_of(&key, bytes);
    if (find_entry(cache, hash, &key, bytes)) /* made by another session meanwhile */
        return;
    struct entry *entry =
        add_entry(cache, hash, &key, bytes, template ? template_bytes(template) : 0);
    if (entry)
        entry->template = template ? template_get(template) : NULL;
}

bool cache_read_shape(struct token_shape *shape, const struct rewrite_context *context,
                      struct slice text)
{
    if (!context->encoding_is_safe ||
        !token_shape_read(shape, text, context->standard_conforming_strings))
        return false;
    bool is_text = shape->count == 0 && shape->core_end - shape->core_start == text.length;
    return !is_text;
}

/* The answer to a text of this shape; one reference. */
static struct rewrite *find_by_shape(struct rewrite_cache *cache,
                                     const struct rewrite_context *context,
                                     const struct cache_key *key, struct slice text)
{
    struct template *template;
    if (cache_find_template(cache, *key, &cache->shape, &template)) {
        *(template ? &cache->counters.shape_hits : &cache->counters.misses) += 1;
        return template ? template_fill(template, text, &cache->shape)
                        : rewrite_text(context, text);
    }
    template = template_new(context, text, &cache->shape);
    cache_add_template(cache, *key, &cache->shape, template);
    cache->counters.misses++;
    struct rewrite *rewrite =
        template ? template_fill(template, text, &cache->shape) : rewrite_text(context, text);
    template_put(template);
    return rewrite;
}

struct rewrite *rewrite_cache_look(struct rewrite_cache *cache,
                                   const struct rewrite_context *context, struct slice text)
{
    struct cache_key key = cache_key_of(context);
    const struct entry *entry = find_entry(cache, hash_of(&key, text), &key, text);
    if (!entry)
        return NULL;
    cache->counters.hits++;
    return entry->rewrite;
}

struct rewrite *rewrite_cache_find(struct rewrite_cache *cache,
                                   const struct rewrite_context *context, struct slice text)
{
    struct cache_key key = cache_key_of(context);
    uint64_t hash = hash_of(&key, text);
    const struct entry *entry = find_entry(cache, hash, &key, text);
    if (entry) {
        cache->counters.hits++;
        return entry->rewrite;
    }
    if (!cache_read_shape(&cache->shape, context, text)) {
        cache->counters.misses++;
        return keep_text(cache, hash, &key, text, rewrite_text(context, text));
    }
    struct rewrite *rewrite = find_by_shape(cache, context, &key, text);
    if (cache->shape.room > SHAPE_KEPT_MAX)
        token_shape_release(&cache->shape);
    return is_seen_again(cache, hash) ? keep_text(cache, hash, &key, text, rewrite)
                                      : keep_uncached(cache, rewrite);
}

void cache_count(struct rewrite_cache *cache, bool is_hit)
{
    *(is_hit ? &cache->counters.shape_hits : &cache->counters.misses) += 1;
}

void rewrite_cache_counters(const struct rewrite_cache *cache,
                            struct rewrite_cache_counters *counters)
{
    *counters = cache->counters;
}
