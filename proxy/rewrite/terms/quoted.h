/* A name between quotes in a message of the server's, whose language is not known. */
#ifndef SEGUE_REWRITE_QUOTED_H
#define SEGUE_REWRITE_QUOTED_H

#include "segue/base/arena.h"

/* Does it stand between quotes, alone or (for "u.name") behind a qualifier? */
bool quoted_has(const char *message, const char *name);
/* The message with every such name replaced. */
const char *quoted_replace(struct arena *arena, const char *message, const char *name,
                           const char *by);

#endif
