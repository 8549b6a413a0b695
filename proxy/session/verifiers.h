/*
 * Verifiers: what is stored of users' passwords, from a file or from the server. Blocks: for
 * threads of a pool, never for a loop's.
 */
#ifndef SEGUE_SESSION_VERIFIERS_H
#define SEGUE_SESSION_VERIFIERS_H

#include "segue/auth/scram.h"
#include "segue/config/settings.h"

/* Is there anything to ask? */
bool verifiers_are_known(const struct settings *settings);

/*
 * The verifier of this user, or one that no proof satisfies where there is none; `database` may be
 * NULL, or one without an entry in the settings. False with `error` when nobody could be asked.
 */
bool verifiers_find(const struct settings *settings, const char *database, const char *user,
                    struct scram_verifier *verifier, struct error *error) MUST_CHECK;

#endif
