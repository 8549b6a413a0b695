/*
 * The client's terms: what the server says in an error or a notice names physical columns and
 * constraints, and counts positions in the text that it was sent. Here it is turned into what the
 * same message would say over a plain table of the client's shape.
 *
 * What cannot be told for certain is left out, where the field may be (position, column, detail,
 * hint); the message itself keeps the server's words. Messages may be in any language: names are
 * found by the fields of their own that come with them, and in the text only between quotes.
 */
#ifndef SEGUE_REWRITE_TERMS_H
#define SEGUE_REWRITE_TERMS_H

#include "segue/base/arena.h"
#include "segue/rewrite/rewrite.h"
#include "segue/wire/message.h"

struct terms {
    const struct snapshot *snapshot; /* NULL: of no transition */
    uint64_t new_shapes;             /* of the client */
    const struct rewrite *rewrite;   /* of the text that it is about; NULL: none, or not known */
    struct slice client_text;        /* where `rewrite` is not NULL */
    bool drops_position;             /* it counts in a text that the client never sent */
};

/* Changes the fields in place; new values are the arena's. False where nothing need be changed. */
bool terms_translate(struct arena *arena, const struct terms *terms, struct wire_fields *fields);

#endif
