/* The words that a text is scanned for, found again by the first bytes of a word in the text. */
#ifndef SEGUE_REWRITE_NAME_WORDS_H
#define SEGUE_REWRITE_NAME_WORDS_H

#include "after_set.h"
#include "words.h"

enum {
    NAME_WORDS_KEY = 8,      /* bytes that a word is found by */
    NAME_WORDS_RUN_MAX = 31, /* what is longer is told apart no further */
};

/* Begins with a byte that can be part of an unquoted identifier. */
struct name_word {
    char *text; /* ASCII in lower case */
    size_t length;
    size_t run; /* bytes before the first that is of no identifier */
    uint64_t key;
    uint32_t bits;
    uint32_t next;  /* with the same key; 0: none */
    bool after_set; /* counts only where SET may stand before it */
    bool is_prefix; /* longer words count too; its run is at least a key */
    bool is_exact;  /* what has its slot's bytes and run is this word */
};

/* What the words of one key have in common. */
struct name_slot {
    uint64_t bytes, mask; /* of a text's bytes, folded; bytes 0: free, and fits none */
    uint32_t word;
    uint8_t run, run_mask; /* run_mask 0: of any length */
    bool after_set;        /* all of them count only there */
};

struct name_words {
    size_t count;
    struct name_word *words; /* from 1; neighbours are of like length, and begin alike */
    struct name_slot *slots; /* each key has one of its own */
    unsigned shift;
    uint64_t multiplier;
    uint32_t always; /* bits of names that cannot be looked for */
};

/* NULL: no tables. */
void name_words_init(struct name_words *words, const struct snapshot *snapshot);
void name_words_release(struct name_words *words);

/*
 * Makes letters lower case. Some bytes of no identifier, and some beyond ASCII, become the same as
 * others; they are told apart by the run, and when words are compared.
 */
static inline uint64_t name_words_fold(uint64_t bytes)
{
    return bytes | UINT64_C(0x2020202020202020);
}

/* `key` is the folded bytes of a word in a text, 0 behind its end. */
static inline const struct name_slot *name_words_slot(const struct name_words *words, uint64_t key)
{
    return &words->slots[(key * words->multiplier) >> words->shift];
}

/* May the slot's words be there, where these bytes are and so long a run, at most RUN_MAX? */
static inline bool name_slot_fits(const struct name_slot *slot, uint64_t folded, size_t run)
{
    return !(((folded ^ slot->bytes) & slot->mask) | ((run ^ slot->run) & slot->run_mask));
}

/* The bits of the words that are at that place; the slot fits there. */
uint32_t name_words_bits(const struct name_words *words, struct scanned_text *scanned,
                         const struct name_slot *slot, size_t at);

/* The same for a place of which nothing is known. */
uint32_t name_words_bits_at(const struct name_words *words, struct scanned_text *scanned,
                            size_t at);

#endif
