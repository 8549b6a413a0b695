/*
 * Pairs as they come and go with the phases, see segue/transition/pair.h. Within this room only.
 */
#ifndef SEGUE_CHANGE_PAIRS_H
#define SEGUE_CHANGE_PAIRS_H

#include "work.h"

/* Makes what the phase needs and takes away what would do harm in it, as trimmings_fit does. */
bool pairs_fit(struct work *work, enum phase phase, enum trim when, struct error *error) MUST_CHECK;

/* "schema"."table", quoted, of the table that a pair is on. */
bool pairs_find_table(struct work *work, uint32_t relation, struct text *table,
                      struct error *error) MUST_CHECK;

/* ---- partitions.c: an index of a partitioned table, leaf by leaf, concurrently ---- */
bool partitions_build(struct work *work, const struct pair *pair, enum shape shape,
                      struct error *error) MUST_CHECK;

/*
 * ---- handover.c: what only one column can have: the primary key, what other tables' foreign keys
 * point at, the identity ----
 */
bool handover_to(struct work *work, enum shape shape, struct error *error) MUST_CHECK;

/* ---- settle.c: what CONTRACT does besides, before and after the old columns are dropped ---- */
bool settle_add_before(struct work *work, struct text *script, struct error *error) MUST_CHECK;
bool settle_add_after(struct work *work, struct text *script, struct error *error) MUST_CHECK;

/* ---- outfit.c: what the new columns get from the old ones at EXPAND: grants, comment, storage
 * ----
 */
bool outfit_add_script(struct work *work, struct text *script, struct error *error) MUST_CHECK;

#endif
