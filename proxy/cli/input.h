/* Input: the text of a file that the user names. */
#ifndef SEGUE_PROXY_CLI_INPUT_H
#define SEGUE_PROXY_CLI_INPUT_H

#include "segue/base/text.h"

/* Adds it to `text`, whose ceiling holds; "-" is the standard input. CLI_OK, or what to exit with:
 * the reason has been told. */
int input_read(const char *subcommand, const char *name, struct text *text);

#endif
