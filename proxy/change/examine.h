/*
 * What PLAN and CHECK share: a look at a transition, applied or only defined, that changes nothing.
 * Within this room only.
 */
#ifndef SEGUE_CHANGE_EXAMINE_H
#define SEGUE_CHANGE_EXAMINE_H

#include "work.h"

/* Writes about one bound transition. `refusal`: why APPLY would refuse it; NULL where it would not,
 * or has been applied. */
typedef bool (*examine_function)(struct work *work, const struct error *refusal, struct text *out,
                                 struct error *error);

bool examine_applied(struct change *change, const char *transition, const char *what,
                     examine_function function, struct text *out, struct error *error) MUST_CHECK;
/* Each transition of the text, bound in a transaction that is rolled back. */
bool examine_definition(struct change *change, const char *definition, const char *file_name,
                        const char *what, examine_function function, struct text *out,
                        struct error *error) MUST_CHECK;

#endif
