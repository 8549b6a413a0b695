/*
 * The token shape of a text: its bytes with the constants and comments left out. Texts of one shape
 * are rewritten alike, so that literals need not be parsed again (template.h).
 *
 * Constants stay in the shape where they may be more than values: in statements that are no queries
 * (DO and CREATE FUNCTION hold code in them, SET holds names), in the list of ORDER BY and GROUP BY
 * (ordinals of columns), as modifiers of types, behind UESCAPE.
 */
#ifndef SEGUE_REWRITE_SHAPE_H
#define SEGUE_REWRITE_SHAPE_H

#include "segue/base/text.h"

#include <stdint.h>

enum shape_constant_kind {
    CONSTANT_STRING,
    CONSTANT_BITS,
    CONSTANT_INTEGER, /* an int4 */
    CONSTANT_FLOAT,
    CONSTANT_COMMENT
};

struct shape_constant {
    uint32_t start, end; /* bytes of the text */
    enum shape_constant_kind kind;
    char first; /* in lower case; tells how a string or a comment is quoted */
};

/* Reusable: what one text needed, the next one finds there. */
struct token_shape {
    char *bytes; /* what texts of the shape have in common, and a mark for each constant */
    size_t length, room;
    uint32_t core_start, core_end; /* of the text: from its first token to its last */
    size_t count, constant_room;
    struct shape_constant *constants;
};

void token_shape_init(struct token_shape *shape);
void token_shape_release(struct token_shape *shape);

/* False where the text has none: it ends in the middle of a token, or holds what is none.
 * `standard_conforming_strings` as in the session. */
bool token_shape_read(struct token_shape *shape, struct slice text,
                      bool standard_conforming_strings);

#endif
