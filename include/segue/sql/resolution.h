/*
 * Resolution: how a server session resolves names, told by the enlist query (segue/session).
 * Immutable, and counted per worker (not atomic). Within a set equal resolutions are one object, so
 * pointers compare.
 */
#ifndef SEGUE_SQL_RESOLUTION_H
#define SEGUE_SQL_RESOLUTION_H

#include "segue/catalog/catalog.h"

struct resolution {
    uint32_t references;
    uint64_t released; /* when nobody held it any more: a number that grows */
    uint64_t id;       /* unique in the process, for cache keys; never 0 */
    size_t schema_count;
    char **schemas; /* current_schemas(true), in order; the session's own temporary schema among
                       them */
    size_t temporary_count;
    char **temporaries; /* names of the session's own temporary relations, sorted */
};

struct resolution_set; /* interns; one per worker. Of the members that nobody holds some are kept.
                        */
struct resolution_set *resolution_set_new(void);
void resolution_set_free(struct resolution_set *set);
/* Strings are copied; `temporaries` need not be sorted. One reference for the caller. */
struct resolution *resolution_intern(struct resolution_set *set, const char *const *schemas,
                                     size_t schema_count, const char *const *temporaries,
                                     size_t temporary_count);
struct resolution *resolution_get(struct resolution *resolution);
void resolution_put(struct resolution_set *set,
                    struct resolution *resolution); /* NULL is allowed */

/*
 * The table that a reference means in this session; schema may be NULL. NULL where it is a
 * temporary relation or not in the catalog; `is_temporary` (may be NULL) tells the two apart.
 */
const struct catalog_table *resolution_table(const struct resolution *resolution,
                                             const struct catalog *catalog, const char *schema,
                                             const char *name, bool *is_temporary);

#endif
