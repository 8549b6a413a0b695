/*
 * Edits on the client's text: what is replaced, and what is put in before or after something of it.
 * Offsets are bytes of the client's text. Texts are kept, not copied; they live in the arena.
 *
 * Work goes from inside to outside: an insertion *before* a place comes in front of those already
 * there, one *after* it behind them. So the text of a range can be taken with its edits applied,
 * and used again elsewhere.
 */
#ifndef SEGUE_REWRITE_EDITS_H
#define SEGUE_REWRITE_EDITS_H

#include "segue/base/arena.h"
#include "segue/rewrite/rewrite.h"

enum edit_kind { EDIT_AFTER, EDIT_BEFORE, EDIT_REPLACE };

struct edit {
    uint32_t start, end; /* equal but for EDIT_REPLACE */
    enum edit_kind kind;
    uint32_t sequence;
    const char *text;
};

struct edits {
    struct arena *arena;
    struct slice source;
    size_t count, room;
    struct edit *list;
};

void edits_init(struct edits *edits, struct arena *arena, struct slice source);
void edits_before(struct edits *edits, uint32_t at, const char *text);
void edits_after(struct edits *edits, uint32_t at, const char *text);
/* Of no effect are from then on the edits that lie in the range. */
void edits_replace(struct edits *edits, uint32_t start, uint32_t end, const char *text);
/* Takes back all edits but the first `count`. */
void edits_truncate(struct edits *edits, size_t count);
/* The text of a range, edits number `since` and later applied. */
const char *edits_render(const struct edits *edits, size_t since, uint32_t start, uint32_t end);
/* Applies all; fills text, edit_count and edits. */
void edits_apply(struct edits *edits, struct rewrite *rewrite);

#endif
