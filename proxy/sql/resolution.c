/*
 * Resolutions are interned: a fleet of sessions that connect alike share one object, so the cache
 * of rewrites, whose key holds its id, serves them all. Those that nobody holds are kept for a
 * while: the next session, or the next transaction of the same one, finds the cache warm.
 */
#include "segue/sql/resolution.h"

#include "segue/base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { KEPT = 256 /* that nobody holds */ };

struct resolution_set {
    size_t count, room;
    struct resolution **members;
    size_t kept;
    uint64_t releases; /* so far */
};

static _Atomic uint64_t next_id = 1;

struct resolution_set *resolution_set_new(void)
{
    return NEW(struct resolution_set);
}

static void free_strings(char **strings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(strings[i]);
    free((void *)strings);
}

static void resolution_free(struct resolution *resolution)
{
    free_strings(resolution->schemas, resolution->schema_count);
    free_strings(resolution->temporaries, resolution->temporary_count);
    free(resolution);
}

void resolution_set_free(struct resolution_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        resolution_free(set->members[i]);
    free((void *)set->members);
    free(set);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char **copy_strings(const char *const *strings, size_t count)
{
    char **copies = NEW_ARRAY(char *, count + 1);
    for (size_t i = 0; i < count; i++)
        copies[i] = memory_string(strings[i]);
    return copies;
}

static bool same_strings(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

static bool same_resolution(const struct resolution *a, const struct resolution *b)
{
    return same_strings(a->schemas, a->schema_count, b->schemas, b->schema_count) &&
           same_strings(a->temporaries, a->temporary_count, b->temporaries, b->temporary_count);
}

static void add_member(struct resolution_set *set, struct resolution *resolution)
{
    if (set->count == set->room) {
        set->room = set->room ? set->room * 2 : 8;
        set->members = memory_resize((void *)set->members, set->room * sizeof *set->members);
    }
    set->members[set->count++] = resolution;
}

struct resolution *resolution_intern(struct resolution_set *set, const char *const *schemas,
                                     size_t schema_count, const char *const *temporaries,
                                     size_t temporary_count)
{
    struct resolution *candidate = NEW(struct resolution);
    candidate->schemas = copy_strings(schemas, schema_count);
    candidate->schema_count = schema_count;
    candidate->temporaries = copy_strings(temporaries, temporary_count);
    candidate->temporary_count = temporary_count;
    qsort((void *)candidate->temporaries, temporary_count, sizeof *candidate->temporaries,
          compare_strings);
    for (size_t i = 0; i < set->count; i++)
        if (same_resolution(set->members[i], candidate)) {
            resolution_free(candidate);
            set->kept -= set->members[i]->references == 0;
            return resolution_get(set->members[i]);
        }
    candidate->references = 1;
    candidate->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    add_member(set, candidate);
    return candidate;
}

static void drop_longest_kept(struct resolution_set *set)
{
    size_t longest = set->count;
    for (size_t i = 0; i < set->count; i++)
        if (set->members[i]->references == 0 &&
            (longest == set->count || set->members[i]->released < set->members[longest]->released))
            longest = i;
    BUG_ON(longest == set->count);
    resolution_free(set->members[longest]);
    set->members[longest] = set->members[--set->count];
    set->kept--;
}

struct resolution *resolution_get(struct resolution *resolution)
{
    resolution->references++;
    return resolution;
}

void resolution_put(struct resolution_set *set, struct resolution *resolution)
{
    if (!resolution)
        return;
    BUG_ON(resolution->references == 0);
    if (--resolution->references > 0)
        return;
    resolution->released = ++set->releases;
    if (++set->kept > KEPT)
        drop_longest_kept(set);
}

static bool is_temporary_name(const struct resolution *resolution, const char *name)
{
    return resolution->temporary_count > 0 &&
           bsearch(&name, resolution->temporaries, resolution->temporary_count,
                   sizeof *resolution->temporaries, compare_strings) != NULL;
}

/* "pg_temp" and the session's own "pg_temp_3" both name its temporary schema. */
static bool is_temporary_schema(const char *schema)
{
    return strcmp(schema, "pg_temp") == 0 || strncmp(schema, "pg_temp_", 8) == 0;
}

static const struct catalog_table *find_on_path(const struct resolution *resolution,
                                                const struct catalog *catalog, const char *name,
                                                bool *is_temporary)
{
    bool listed = false; /* current_schemas(true) leaves pg_temp out until it exists */
    for (size_t i = 0; i < resolution->schema_count; i++)
        listed = listed || is_temporary_schema(resolution->schemas[i]);
    if (!listed && is_temporary_name(resolution, name)) {
        *is_temporary = true;
        return NULL;
    }
    for (size_t i = 0; i < resolution->schema_count; i++) {
        const char *schema = resolution->schemas[i];
        if (is_temporary_schema(schema)) {
            if (!is_temporary_name(resolution, name))
                continue;
            *is_temporary = true;
            return NULL;
        }
        const struct catalog_table *table = catalog_find(catalog, schema, name);
        if (table)
            return table;
    }
    return NULL;
}

const struct catalog_table *resolution_table(const struct resolution *resolution,
                                             const struct catalog *catalog, const char *schema,
                                             const char *name, bool *is_temporary)
{
    bool unused;
    if (!is_temporary)
        is_temporary = &unused;
    *is_temporary = false;
    if (!schema)
        return find_on_path(resolution, catalog, name, is_temporary);
    if (is_temporary_schema(schema)) {
        *is_temporary = true;
        return NULL;
    }
    return catalog_find(catalog, schema, name);
}
