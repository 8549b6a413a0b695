/*
 * Words are found by a key of eight bytes, by a multiplication and the upper bits of what comes
 * out. The multiplier is chosen so that no two keys collide: one look is enough.
 */
#include "name_words.h"

#include "segue/base/memory.h"

#include <stdlib.h>

enum { SLOTS_AT_FIRST = 128, TRIES = 64 };

enum word_flag { WORD_AFTER_SET = 1, WORD_PREFIX = 2 };

static const struct {
    const char *text;
    uint32_t bits;
    unsigned flags;
} keywords[] = {
    {"prepare", NAME_SCAN_PREPARED, 0},
    {"execute", NAME_SCAN_PREPARED, 0},
    {"deallocate", NAME_SCAN_PREPARED, 0},
    {"segue", NAME_SCAN_SHAPE, 0},
    {"search_path", NAME_SCAN_RESOLUTION, 0},
    {"set_config", NAME_SCAN_RESOLUTION, 0},
    {"role", NAME_SCAN_RESOLUTION, WORD_AFTER_SET},
    {"schema", NAME_SCAN_RESOLUTION, WORD_AFTER_SET}, /* SET SCHEMA is SET search_path */
    {"reset", NAME_SCAN_RESOLUTION, 0},
    {"authorization", NAME_SCAN_RESOLUTION, 0},
    {"temp", NAME_SCAN_RESOLUTION, 0},
    {"temporary", NAME_SCAN_RESOLUTION, 0},
    {"pg_temp", NAME_SCAN_RESOLUTION, 0},
    {"pg_temp_", NAME_SCAN_RESOLUTION, WORD_PREFIX},
    {"discard", NAME_SCAN_RESOLUTION | NAME_SCAN_PREPARED, 0},
    {"create", NAME_SCAN_DDL, 0},
    {"alter", NAME_SCAN_DDL, 0},
    {"drop", NAME_SCAN_DDL, 0},
    {"declare", NAME_SCAN_CURSOR, 0},
    {"fetch", NAME_SCAN_CURSOR, 0},
    {"close", NAME_SCAN_CURSOR, 0},
    {"u&\"", NAME_SCAN_TABLE | NAME_SCAN_RESOLUTION, 0}, /* may spell any name by escapes */
};

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* ------------------------------------------------------------------ the words */

static size_t run_length(const char *text)
{
    size_t run = 0;
    while (word_byte((unsigned char)text[run]))
        run++;
    return run;
}

static bool is_ascii(const struct name_word *word)
{
    return !words_are_foreign((struct slice){word->text, word->length});
}

/* The first bytes of a text, at most a key of them, folded. */
static uint64_t folded_bytes(const char *text, size_t length)
{
    uint64_t bytes = 0, mask = 0;
    memcpy(&bytes, text, length < sizeof bytes ? length : sizeof bytes);
    memset(&mask, 0xff, length < sizeof mask ? length : sizeof mask);
    return name_words_fold(bytes) & mask;
}

static void add_word(struct name_words *words, struct slice text, uint32_t bits, unsigned flags)
{
    words->words = memory_resize(words->words, (words->count + 2) * sizeof *words->words);
    struct name_word *word = &words->words[++words->count];
    *word = (struct name_word){.text = memory_string_range(text.data, text.length),
                               .length = text.length,
                               .bits = bits,
                               .after_set = flags & WORD_AFTER_SET,
                               .is_prefix = flags & WORD_PREFIX};
    for (size_t i = 0; i < text.length; i++)
        word->text[i] = (char)lower((unsigned char)word->text[i]);
    word->run = run_length(word->text);
    word->key = folded_bytes(word->text, word->run);
    word->is_exact = word->run == text.length && word->run < NAME_WORDS_KEY && is_ascii(word);
    BUG_ON(word->run == 0 || (word->is_prefix && word->run < NAME_WORDS_KEY));
}

/*
 * Of a name that holds what no identifier does, its longest word is looked for. A name that is
 * nearly as long as the server lets names be may be what it makes of a longer one: then its last
 * word may be longer in the text.
 */
static void add_table(struct name_words *words, const char *name)
{
    bool may_be_cut = strlen(name) >= WORDS_CUT_MIN;
    struct slice longest = {name, 0};
    bool is_prefix = false;
    for (const char *at = name; *at;) {
        size_t run = run_length(at);
        bool may_go_on = may_be_cut && !at[run];
        if (run > longest.length && (!may_go_on || run >= NAME_WORDS_KEY)) {
            longest = (struct slice){at, run};
            is_prefix = may_go_on;
        }
        at += run ? run : 1;
    }
    if (longest.length)
        add_word(words, longest, NAME_SCAN_TABLE, is_prefix ? WORD_PREFIX : 0);
    else
        words->always |= NAME_SCAN_TABLE;
}

static size_t common_length(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

/* Partitions have many names that begin alike: they are looked for by what they share. */
static void add_tables(struct name_words *words, const struct snapshot *snapshot)
{
    enum { MANY = 8 };
    size_t plain = snapshot->name_count - snapshot->odd_name_count;
    for (size_t i = 0, end; i < plain; i = end) {
        const char *name = snapshot->names[i];
        size_t shared = strlen(name);
        for (end = i + 1; end < plain; end++) {
            size_t length = common_length(name, snapshot->names[end]);
            if (length < NAME_WORDS_KEY)
                break;
            shared = length < shared ? length : shared;
        }
        if (end - i > MANY) {
            add_word(words, (struct slice){name, shared}, NAME_SCAN_TABLE, WORD_PREFIX);
            continue;
        }
        for (size_t n = i; n < end; n++)
            add_table(words, snapshot->names[n]);
    }
    for (size_t i = plain; i < snapshot->name_count; i++)
        add_table(words, snapshot->names[i]);
}

static int compare_words(const void *a, const void *b)
{
    const struct name_word *first = a, *second = b;
    size_t run = first->run < NAME_WORDS_KEY ? first->run : NAME_WORDS_KEY;
    size_t other_run = second->run < NAME_WORDS_KEY ? second->run : NAME_WORDS_KEY;
    return run == other_run ? strcmp(first->text, second->text) : run < other_run ? -1 : 1;
}

/* ------------------------------------------------------------------ their slots */

static struct name_slot slot_of(const struct name_word *word)
{
    struct name_slot slot = {.bytes = folded_bytes(word->text, word->length)};
    memset(&slot.mask, 0xff, word->length < sizeof slot.mask ? word->length : sizeof slot.mask);
    slot.run = (uint8_t)(word->run < NAME_WORDS_RUN_MAX ? word->run : NAME_WORDS_RUN_MAX);
    slot.run_mask = word->is_prefix ? 0 : 0xff;
    slot.after_set = word->after_set;
    return slot;
}

/* So that it fits wherever one of the two does: they have one key. */
static void merge_slot(struct name_slot *slot, const struct name_slot *other)
{
    if (slot->bytes != other->bytes)
        slot->mask = 0xff; /* U&" and a table called u */
    if (slot->run != other->run || !other->run_mask)
        slot->run_mask = 0;
    slot->after_set = slot->after_set && other->after_set;
}

/* False on a collision of two keys. */
static bool fill_slots(struct name_words *words, size_t slot_count)
{
    for (size_t i = 0; i < slot_count; i++)
        words->slots[i] = (struct name_slot){.mask = ~UINT64_C(0)};
    for (uint32_t i = 1; i <= words->count; i++) {
        struct name_word *word = &words->words[i];
        struct name_slot *slot = (struct name_slot *)name_words_slot(words, word->key);
        if (slot->bytes && words->words[slot->word].key != word->key)
            return false;
        struct name_slot own = slot_of(word);
        word->next = slot->word;
        if (slot->bytes)
            merge_slot(slot, &own);
        else
            *slot = own;
        slot->word = i;
    }
    return true;
}

static void make_slots(struct name_words *words)
{
    words->multiplier = UINT64_C(0x9E3779B97F4A7C15); /* 2^64 by the golden ratio (Knuth) */
    for (size_t count = SLOTS_AT_FIRST;; count *= 2) {
        free(words->slots);
        words->slots = NEW_ARRAY(struct name_slot, count);
        words->shift = 64 - (unsigned)__builtin_ctzll(count);
        for (int try = 0; try < TRIES; try++) {
            if (fill_slots(words, count))
                return;
            words->multiplier = words->multiplier * UINT64_C(6364136223846793005) + 2;
        }
    }
}

void name_words_init(struct name_words *words, const struct snapshot *snapshot)
{
    *words = (struct name_words){0};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        add_word(words, slice_of(keywords[i].text), keywords[i].bits, keywords[i].flags);
    if (snapshot)
        add_tables(words, snapshot);
    qsort(words->words + 1, words->count, sizeof *words->words, compare_words);
    make_slots(words);
}

void name_words_release(struct name_words *words)
{
    for (size_t i = 1; i <= words->count; i++)
        free(words->words[i].text);
    free(words->words);
    free(words->slots);
}

/* ------------------------------------------------------------------ one place */

static bool ends_word(struct slice text, size_t at, const struct name_word *word)
{
    size_t end = at + word->length;
    return word->is_prefix || end == text.length || word->run < word->length ||
           !word_byte((unsigned char)text.data[end]);
}

static bool matches(struct slice text, size_t at, const struct name_word *word)
{
    if (text.length - at < word->length)
        return false;
    for (size_t i = 0; i < word->length; i++)
        if (lower((unsigned char)text.data[at + i]) != (unsigned char)word->text[i])
            return false;
    return ends_word(text, at, word);
}

/*
 * A byte of a word before it makes it part of that word. But a byte behind one of a multi-byte
 * character may be the rest of that character in a client's encoding.
 */
static bool begins_word(struct slice text, size_t at)
{
    if (at == 0 || !word_byte((unsigned char)text.data[at - 1]))
        return true;
    return at > 1 && (unsigned char)text.data[at - 2] >= 0x80 &&
           (unsigned char)text.data[at - 1] < 0x80;
}

uint32_t name_words_bits(const struct name_words *words, struct scanned_text *scanned,
                         const struct name_slot *slot, size_t at)
{
    bool is_shared = words->words[slot->word].next;
    uint32_t bits = 0;
    for (uint32_t i = slot->word; i; i = words->words[i].next) {
        const struct name_word *word = &words->words[i];
        if (((word->is_exact && !is_shared) || matches(scanned->text, at, word)) &&
            (!word->after_set || may_follow_set(scanned, at)))
            bits |= word->bits;
    }
    return bits;
}

uint32_t name_words_bits_at(const struct name_words *words, struct scanned_text *scanned, size_t at)
{
    struct slice rest = {scanned->text.data + at, scanned->text.length - at};
    size_t run = 0;
    while (run < rest.length && run < NAME_WORDS_RUN_MAX &&
           word_byte((unsigned char)rest.data[run]))
        run++;
    if (run == 0 || !begins_word(scanned->text, at))
        return 0;
    const struct name_slot *slot = name_words_slot(words, folded_bytes(rest.data, run));
    return name_slot_fits(slot, folded_bytes(rest.data, rest.length), run)
               ? name_words_bits(words, scanned, slot, at)
               : 0;
}
