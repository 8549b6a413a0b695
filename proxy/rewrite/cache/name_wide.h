/* The scan of a text for words, 64 places at once, where the machine can. */
#ifndef SEGUE_REWRITE_NAME_WIDE_H
#define SEGUE_REWRITE_NAME_WIDE_H

#include "name_words.h"

/* By place in a word, and by a byte's code: groups of words that have such a byte there. */
struct name_wide {
    uint8_t groups[NAME_WORDS_KEY][16];
};

bool name_wide_is_possible(void);
void name_wide_init(struct name_wide *wide, const struct name_words *words);
uint32_t name_wide_scan(const struct name_wide *wide, const struct name_words *words,
                        struct scanned_text *scanned);

#endif
