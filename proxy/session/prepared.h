/*
 * Prepared statements of a session: which text stands behind each name, and what was sent for it.
 *
 * A change of a name (Parse, Close, a re-preparation) is *pending* from the moment it is sent and
 * is confirmed or undone when its reply is matched, in order. What a Bind that is sent now will
 * meet is the newest pending definition, or, where none is pending, the confirmed one.
 */
#ifndef SEGUE_SESSION_PREPARED_H
#define SEGUE_SESSION_PREPARED_H

#include "segue/rewrite/rewrite.h"

#define HASH_FUNCTION(key, length, hash) (hash) = (unsigned)XXH3_64bits((key), (length))
#include <uthash.h>
#include <xxhash.h>

/* A client's text and parameter types; equal ones are one object per worker. */
struct source {
    uint32_t references;
    uint32_t effects; /* bits of text_effect */
    size_t text_length;
    size_t types_length;
    UT_hash_handle hh;
    char data[]; /* text, NUL, parameter types as in Parse */
};
struct source_set {
    struct source *all;
};
/* `key`: text, NUL, parameter types: as they lie in a Parse message. One reference. */
struct source *source_intern(struct source_set *set, const char *key, size_t text_length,
                             size_t types_length);
struct source *source_get(struct source *source);
void source_put(struct source_set *set, struct source *source); /* NULL is allowed */
static inline struct slice source_text(const struct source *source)
{
    return (struct slice){source->data, source->text_length};
}

/* What was sent for a text in one context (struct session, `context`). Counted. */
struct definition {
    uint32_t references;
    bool is_sql;  /* made by SQL PREPARE: `source` is that statement */
    bool is_lost; /* the server has no such statement any more: prepare it again before use */
    uint64_t context;
    struct source *source;
    struct rewrite *rewrite; /* NULL: the text names no table in transition */
    /* Where not NULL: the columns of its rows are told there, of that statement. */
    struct rewrite *told;
    uint32_t told_statement;
};
/* Takes over the reference on `source`, and its own on `rewrite` (which may be NULL). */
struct definition *definition_new(struct source *source, struct rewrite *rewrite, uint64_t context);
struct definition *definition_get(struct definition *definition);
void definition_put(struct source_set *set, struct definition *definition); /* NULL is allowed */
/* What stands on the server for it. */
struct slice definition_sent(const struct definition *definition);

struct prepared {
    char *name;                   /* "" is the unnamed statement */
    struct definition *confirmed; /* NULL: not on the server */
    struct definition *latest;    /* of the newest pending change; NULL: a Close */
    uint32_t pending;
    UT_hash_handle hh;
};

struct prepared_map {
    struct prepared *named;
    struct prepared unnamed;
    struct prepared *last_found; /* a driver uses one name many times in a row; NULL: none */
    struct source_set *sources;
};

void prepared_map_init(struct prepared_map *map, struct source_set *sources);
void prepared_map_release(struct prepared_map *map);

/* NULL where the name was never seen. Valid until something is confirmed or undone. */
struct prepared *prepared_find(struct prepared_map *map, const char *name);
struct prepared *prepared_slot(struct prepared_map *map, const char *name); /* made if need be */
/* What a message sent now will meet; NULL: nothing. */
static inline struct definition *prepared_current(const struct prepared *slot)
{
    return slot->pending ? slot->latest : slot->confirmed;
}

/* A change is under way; `definition` NULL: it goes away. Takes a reference of its own. */
void prepared_change(struct prepared_map *map, struct prepared *slot,
                     struct definition *definition);
/* Its reply came. Takes a reference of its own; the slot may be gone afterwards. */
void prepared_confirm(struct prepared_map *map, struct prepared *slot,
                      struct definition *definition);
/* It failed, or was skipped. The slot may be gone afterwards. */
void prepared_undo(struct prepared_map *map, struct prepared *slot);

/* At a reply, without a pending change of its own (SQL PREPARE and DEALLOCATE). */
void prepared_set(struct prepared_map *map, const char *name, struct definition *definition);
void prepared_forget(struct prepared_map *map, const char *name);
void prepared_forget_all(struct prepared_map *map);
void prepared_forget_unnamed(struct prepared_map *map);

#endif
