/*
 * Pairs as they come and go with the phases, see segue/transition/pair.h. Within this room only.
 */
#ifndef SEGUE_CHANGE_PAIRS_H
#define SEGUE_CHANGE_PAIRS_H

#include "work.h"

/* What a phase wants of something that comes and goes. */
enum wish { WISH_ABSENT, WISH_PRESENT, WISH_ANY };

/* Makes what the phase needs and takes away what would do harm in it, as trimmings_fit does. */
bool pairs_fit(struct work *work, enum phase phase, enum trim when, struct error *error) MUST_CHECK;

/* ---- pairs.c: for the files below ---- */
/* "schema" and "schema"."table", quoted, of the table that a pair is on; indexes are in its schema.
 */
bool pairs_find_table(struct work *work, uint32_t relation, struct text *schema, struct text *table,
                      struct error *error) MUST_CHECK;
bool pairs_is_primary(struct work *work, uint32_t relation, const char *constraint, bool *primary,
                      struct error *error) MUST_CHECK;
/* DDL under short locks. */
bool pairs_alter(struct work *work, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
/* Outside of a transaction, where its waits are behind nobody's back: no one queues behind it. */
bool pairs_run(struct work *work, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
/* The pair's index on one table, concurrently; all SQL, `index` with its schema. */
bool pairs_build_index(struct work *work, const struct pair *pair, enum shape shape,
                       const char *name, const char *index, const char *table,
                       struct error *error) MUST_CHECK;
/* "USING btree (a) INCLUDE (b) NULLS NOT DISTINCT" as a constraint has it, behind UNIQUE. */
void pairs_add_key(const char *definition, struct text *out);
const char *pairs_deferral(const struct pair *pair);
bool pairs_is_not_valid(const char *definition); /* of a constraint, declared so */

/* ---- partitions.c: an index of a partitioned table, leaf by leaf, concurrently ---- */
/* `exists`: the whole does, though not all of its parts may. */
bool partitions_build(struct work *work, const struct pair *pair, enum shape shape, bool exists,
                      struct error *error) MUST_CHECK;
/* What is left in the partitions once the whole is gone. */
bool partitions_remove(struct work *work, const struct pair *pair, enum shape shape,
                       struct error *error) MUST_CHECK;
/* Gives the parts of an index (SQL) the names that this side's have. */
bool partitions_add_renames(struct work *work, const struct pair *pair, enum shape shape,
                            const char *index, struct text *script, struct error *error) MUST_CHECK;

/* ---- primary.c: the primary key of a partitioned table, handed over ---- */
/* Builds what the key will stand on, and adds the change-over to the script. */
bool primary_prepare(struct work *work, const struct pair *pair, enum shape to, const char *table,
                     struct text *script, struct error *error) MUST_CHECK;
/* What comes after it, where a change-over was made. */
bool primary_finish(struct work *work, const struct pair *pair, enum shape shape,
                    struct error *error) MUST_CHECK;
/* Of names of its indexes until then. */
const char *primary_suffix(enum shape shape);

/* ---- foreign_keys.c: foreign keys of any table (SQL), from or to partitioned ones ----
 */
/* Goes on with one that is there in part. */
bool foreign_keys_make(struct work *work, const char *table, const char *name,
                       const char *definition, struct error *error) MUST_CHECK;
bool foreign_keys_drop(struct work *work, const char *table, const char *name,
                       struct error *error) MUST_CHECK;
/* The parts of `name` get the names that those of `as` have, once these are gone. */
bool foreign_keys_add_renames(struct work *work, const char *table, const char *name,
                              const char *as, struct text *script, struct error *error) MUST_CHECK;
/* The parts of a pair's get the names that this side's have. */
bool foreign_keys_name_parts(struct work *work, const struct pair *pair, enum shape shape,
                             struct error *error) MUST_CHECK;

/*
 * ---- handover.c: what only one column can have: the primary key, what other tables' foreign keys
 * point at, the identity ----
 */
bool handover_to(struct work *work, enum shape shape, struct error *error) MUST_CHECK;
/* Makes those anew, over the primary key, that stand on what stood in for it (primary.c); adds
 * their change-over. */
bool handover_add_references_over(struct work *work, const struct pair *pair, enum shape shape,
                                  struct text *script, struct error *error) MUST_CHECK;

/* ---- settle.c: what CONTRACT does besides, before and after the old columns are dropped ---- */
bool settle_add_before(struct work *work, struct text *script, struct error *error) MUST_CHECK;
bool settle_add_after(struct work *work, struct text *script, struct error *error) MUST_CHECK;

/* ---- outfit.c: what the new columns get from the old ones at EXPAND: grants, comment, storage
 * ----
 */
bool outfit_add_script(struct work *work, struct text *script, struct error *error) MUST_CHECK;

#endif
