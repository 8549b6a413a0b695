/*
 * The token shape of a text: its bytes with the constants left out. Texts of one shape are
 * rewritten alike, so that literals need not be parsed again (template.h).
 *
 * Only a single SELECT, INSERT, UPDATE, DELETE, WITH or VALUES has one: elsewhere a constant may be
 * code (DO), a name (SET) or a file. Comments at either edge are left out too, as drivers put a new
 * one in every text.
 */
#ifndef SEGUE_REWRITE_SHAPE_H
#define SEGUE_REWRITE_SHAPE_H

#include "segue/base/text.h"

#include <stdint.h>

enum shape_constant_kind { CONSTANT_STRING, CONSTANT_BITS, CONSTANT_INTEGER, CONSTANT_FLOAT };

struct shape_constant {
    uint32_t start, end; /* bytes of the text */
    enum shape_constant_kind kind;
};

/* Reusable: what one text needed, the next one finds there. */
struct token_shape {
    struct text bytes; /* what texts of the shape have in common, and a mark for each constant */
    uint32_t core_start, core_end; /* of the text, edge comments left out */
    size_t count, room;
    struct shape_constant *constants;
};

void token_shape_init(struct token_shape *shape);
void token_shape_release(struct token_shape *shape);

/* False where the text has none. `standard_conforming_strings` as in the session. */
bool token_shape_read(struct token_shape *shape, struct slice text,
                      bool standard_conforming_strings);

#endif
