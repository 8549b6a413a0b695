/* Offenders: rows over which an expression fails. Within this room only. */
#ifndef SEGUE_CHANGE_OFFENDERS_H
#define SEGUE_CHANGE_OFFENDERS_H

#include "scan.h"

/* `row`: "id = 42"; `ctid`: where it is; `why`: the server's message for it. */
typedef void (*offender_callback)(void *context, const char *row, const char *ctid,
                                  const char *why);

/*
 * Finds the rows of a leaf, within `condition`, for which evaluating `expression` fails; the first
 * `most` of them, by halving. *found gets their number. A value that changes meanwhile is not an
 * offender any more. Not inside a transaction.
 */
bool offenders_find(struct pg_conn *connection, const struct scan *scan,
                    const struct scan_leaf *leaf, const char *condition, const char *expression,
                    size_t most, offender_callback callback, void *context, size_t *found,
                    struct error *error) MUST_CHECK;

#endif
