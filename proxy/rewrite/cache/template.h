/*
 * A rewrite for every text of one token shape (shape.h): what is sent, with holes for the
 * constants.
 *
 * How it is found: the text is rewritten once with constants of our own in place of the client's,
 * each of them different and none of them in the text; wherever they turn up in what came out, a
 * constant of the client's goes. So the rewriter need not know of templates, and nothing that it
 * does may depend on a constant's value, save those that stay in the shape.
 */
#ifndef SEGUE_REWRITE_TEMPLATE_H
#define SEGUE_REWRITE_TEMPLATE_H

#include "segue/rewrite/rewrite.h"
#include "shape.h"

struct template;

/*
 * NULL where this shape has none: it cannot be parsed, or has too many constants. Parses once.
 * `shape` is that of `text`. One reference for the caller; counted per worker (not atomic), but
 * otherwise immutable, so that another thread may fill it.
 */
struct template *template_new(const struct rewrite_context *context, struct slice text,
                              const struct token_shape *shape);
struct template *template_get(struct template *template);
void template_put(struct template *template); /* NULL is allowed */
size_t template_bytes(const struct template *template);

/* The rewrite of another text of the same shape; one reference, for the caller. */
struct rewrite *template_fill(const struct template *template, struct slice text,
                              const struct token_shape *shape);

#endif
