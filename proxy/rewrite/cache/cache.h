/* The cache, as a large text sees it, which goes through it in steps (large.c). */
#ifndef SEGUE_REWRITE_CACHE_H
#define SEGUE_REWRITE_CACHE_H

#include "template.h"

/* Everything but the text that decides. */
struct cache_key {
    uint64_t serial;
    uint64_t resolution;
    uint64_t new_shapes;
    uint64_t flags;
};
struct cache_key cache_key_of(const struct rewrite_context *context);

/* False where the text is not to be looked for by its shape. [any thread] */
bool cache_read_shape(struct token_shape *shape, const struct rewrite_context *context,
                      struct slice text);
/* False where the shape is not known; a shape that is may have no template (NULL). */
bool cache_find_template(struct rewrite_cache *cache, struct cache_key key,
                         const struct token_shape *shape, struct template **template);
/* Takes a reference of its own, where there is room for it. */
void cache_add_template(struct rewrite_cache *cache, struct cache_key key,
                        const struct token_shape *shape, struct template *template);
/* Takes the rewrite over, for good where the text was seen before. Valid until the next look-up. */
struct rewrite *cache_keep(struct rewrite_cache *cache, const struct cache_key *key,
                           struct slice text, struct rewrite *rewrite);
void cache_count(struct rewrite_cache *cache, bool is_hit);

#endif
