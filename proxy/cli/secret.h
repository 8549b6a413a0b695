/* Passwords: asked for on the terminal, and what is stored of them. */
#ifndef SEGUE_PROXY_CLI_SECRET_H
#define SEGUE_PROXY_CLI_SECRET_H

#include "segue/base/text.h"

/* Is there a terminal? */
bool secret_can_ask(void) MUST_CHECK;
/* False where there is no terminal to ask on, or the user gave up. The caller wipes by
 * secret_release. */
bool secret_ask(const char *prompt, struct text *password) MUST_CHECK;
/* The first line of the standard input, for scripts. False where there is none, or it is too long:
 * then `password->overflow`. */
bool secret_read_line(struct text *password) MUST_CHECK;
void secret_release(struct text *password);

/* `SCRAM-SHA-256$..`, as PostgreSQL would store it: made by libpq, which prepares the password's
 * letters (SASLprep) just as clients will. The caller frees. NULL with `error`. */
char *secret_verifier(const char *password, struct error *error);

#endif
