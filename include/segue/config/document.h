/*
 * Documents in libconfuse's syntax: segue.conf and transition files. This is the only way to
 * libconfuse, for its lexer is one global that keeps its state between parses and across threads,
 * and takes an unclosed string, comment or section without a word (see proxy/config/README.md).
 */
#ifndef SEGUE_CONFIG_DOCUMENT_H
#define SEGUE_CONFIG_DOCUMENT_H

#include "segue/base/error.h"

#include <confuse.h>

enum document_origin {
    DOCUMENT_LOCAL, /* a file of the operator's: "${NAME}" in a string is an environment variable */
    DOCUMENT_FOREIGN /* text that came over a connection: "${NAME}" is those seven characters */
};

/*
 * Parses `text` by `options`. NULL with `error` (F0000) whose message begins "name:line: ", says
 * what is wrong and, in detail or hint, what was expected. The caller frees with document_free.
 * Safe on any thread: one parse at a time.
 */
cfg_t *document_parse(cfg_opt_t *options, const char *text, const char *name,
                      enum document_origin origin, struct error *error);
/* Never cfg_free: it frees the buffer that the lexer reads from, whoever is parsing. */
void document_free(cfg_t *cfg);

/*
 * For validation callbacks (cfg_opt_t.validcb), which run inside document_parse: fails the parse at
 * the present line. Returns -1, to be returned. Only the first failure of a parse is kept.
 */
int document_fail(cfg_t *cfg, const char *format, ...) PRINTF_LIKE(2, 3);
void document_hint(const char *format, ...) PRINTF_LIKE(1, 2); /* after document_fail */

#endif
