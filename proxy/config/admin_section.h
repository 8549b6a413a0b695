/* What the section admin must be as a whole. */
#ifndef SEGUE_PROXY_CONFIG_ADMIN_SECTION_H
#define SEGUE_PROXY_CONFIG_ADMIN_SECTION_H

#include "segue/config/settings.h"

/* Does the console listen there? */
bool admin_is_at(const struct settings *settings, const char *address, int port);
/* False with `error`, which begins with `name`, where it would let in whom nobody knows. */
bool admin_fits(const struct settings *settings, const char *name, struct error *error) MUST_CHECK;

#endif
