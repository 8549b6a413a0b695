/*
 * Words in texts. Every text from a client goes through name_scan_text, nearly none of them names a
 * table in transition: so it must cost next to nothing, and it allocates nothing.
 *
 * With AVX2, 32 places are looked at in one step. A text is first *folded*: letters become lower
 * case, and whatever is not of a word becomes 0, so that the end of a word is a byte like others.
 * Then the four bytes from each place on are held against those of our words: these are spread over
 * eight buckets, and two 16-entry tables per byte, indexed by its low and its high half, tell for
 * which buckets it fits (the idea is Teddy's, of Hyperscan). The words that fit four times are
 * looked up by eight bytes, in a table without collisions: that costs little more than the step
 * itself, so that a text may be full of words that look like ours.
 */
#include "segue/rewrite/rewrite.h"

#include "after_set.h"
#include "segue/base/memory.h"
#include "words.h"

#include <stdlib.h>
#include <strings.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    KEY = 8,         /* bytes of a word that are looked up */
    FINGERPRINT = 4, /* of which so many choose the places: as many pairs of tables */
    BUCKETS = 8,
    STEP = 32,
    CHUNK = 1024,        /* bytes that are folded in one go */
    FOLDED_SPECIAL = 2,  /* what `&` becomes: the second byte of U&"..." */
    FOLDED_LETTER = 0x20 /* the lowest byte of a word */
};

enum { SLOTS_AT_FIRST = 128, TRIES = 64 };

struct word {
    char *text; /* ASCII in lower case */
    size_t length;
    uint64_t key;
    uint32_t bits;
    uint32_t next;  /* with the same key; 0: none */
    bool after_set; /* counts only where SET may stand before it */
    bool is_prefix; /* longer words count too */
    bool is_key;    /* nothing but its key need be the same */
};

/* By key: a multiplication, and the upper bits of what came out. */
struct slot {
    uint64_t key; /* 0: free */
    uint32_t word;
};

struct name_scan {
    size_t count;
    struct word *words; /* from 1 */
    struct slot *slots;
    size_t slot_count; /* a power of two */
    unsigned shift;
    uint64_t multiplier;
    uint32_t always; /* bits of names that cannot be looked for */
    bool is_wide;
    uint8_t low[FINGERPRINT][16]; /* buckets that a byte's half fits */
    uint8_t high[FINGERPRINT][16];
};

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* ------------------------------------------------------------------ the words */

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

static size_t run_length(const char *text, size_t length)
{
    size_t run = 0;
    while (run < length && word_byte((unsigned char)text[run]))
        run++;
    return run;
}

/* Of the word that the first `run` bytes are. Some bytes that are not letters become the same, too:
 * they are told apart later. */
static uint64_t key_of(const char *text, size_t run)
{
    char folded[KEY] = {0};
    for (size_t i = 0; i < run && i < KEY; i++)
        folded[i] = (char)(text[i] | 0x20);
    uint64_t key;
    memcpy(&key, folded, sizeof key);
    return key;
}

static void add_word(struct name_scan *scan, struct slice text, uint32_t bits, unsigned flags)
{
    scan->words = memory_resize(scan->words, (scan->count + 2) * sizeof *scan->words);
    struct word *word = &scan->words[++scan->count];
    *word = (struct word){.text = memory_string_range(text.data, text.length),
                          .length = text.length,
                          .bits = bits,
                          .after_set = flags & WORD_AFTER_SET,
                          .is_prefix = flags & WORD_PREFIX};
    for (size_t i = 0; i < text.length; i++)
        word->text[i] = (char)lower((unsigned char)word->text[i]);
    size_t run = run_length(word->text, text.length);
    word->key = key_of(word->text, run);
    word->is_key = run == text.length && run < KEY;
}

/*
 * Of a name that holds what no word does, its longest word is looked for. A name that is nearly as
 * long as the server lets names be may be what it makes of a longer one.
 */
static void add_table(struct name_scan *scan, const char *name)
{
    struct slice longest = {name, 0};
    for (const char *at = name; *at;) {
        size_t run = run_length(at, strlen(at));
        if (run > longest.length)
            longest = (struct slice){at, run};
        at += run ? run : 1;
    }
    bool may_go_on = strlen(name) >= WORDS_CUT_MIN && !longest.data[longest.length];
    if (longest.length)
        add_word(scan, longest, NAME_SCAN_TABLE, may_go_on ? WORD_PREFIX : 0);
    else
        scan->always |= NAME_SCAN_TABLE;
}

static size_t common_length(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

/* Partitions have many names that begin alike: they are looked for by what they share. */
static void add_tables(struct name_scan *scan, const struct snapshot *snapshot)
{
    enum { MANY = 8 };
    size_t plain = snapshot->name_count - snapshot->odd_name_count;
    for (size_t i = 0, end; i < plain; i = end) {
        const char *name = snapshot->names[i];
        size_t shared = strlen(name);
        for (end = i + 1; end < plain && common_length(name, snapshot->names[end]) >= KEY; end++) {
            size_t length = common_length(name, snapshot->names[end]);
            shared = length < shared ? length : shared;
        }
        if (end - i > MANY) {
            add_word(scan, (struct slice){name, shared}, NAME_SCAN_TABLE, WORD_PREFIX);
            continue;
        }
        for (size_t n = i; n < end; n++)
            add_table(scan, snapshot->names[n]);
    }
    for (size_t i = plain; i < snapshot->name_count; i++)
        add_table(scan, snapshot->names[i]);
}

/* ------------------------------------------------------------------ the table of keys */

static struct slot *slot_of(const struct name_scan *scan, uint64_t key)
{
    return &scan->slots[(key * scan->multiplier) >> scan->shift];
}

/* False on a collision of two keys. */
static bool fill_slots(struct name_scan *scan)
{
    memset(scan->slots, 0, scan->slot_count * sizeof *scan->slots);
    for (uint32_t i = 1; i <= scan->count; i++) {
        struct word *word = &scan->words[i];
        struct slot *slot = slot_of(scan, word->key);
        if (slot->key && slot->key != word->key)
            return false;
        word->next = slot->key ? slot->word : 0;
        *slot = (struct slot){word->key, i};
    }
    return true;
}

static void make_slots(struct name_scan *scan)
{
    scan->multiplier = UINT64_C(0x9E3779B97F4A7C15);
    for (scan->slot_count = SLOTS_AT_FIRST;; scan->slot_count *= 2) {
        free(scan->slots);
        scan->slots = NEW_ARRAY(struct slot, scan->slot_count);
        scan->shift = 64 - (unsigned)__builtin_ctzll(scan->slot_count);
        for (int try = 0; try < TRIES; try++) {
            if (fill_slots(scan))
                return;
            scan->multiplier = scan->multiplier * UINT64_C(6364136223846793005) + 2;
        }
    }
}

/* ------------------------------------------------------------------ the tables of buckets */

static void add_byte(struct name_scan *scan, size_t place, uint8_t bucket, unsigned char byte)
{
    scan->low[place][byte & 15] |= bucket;
    scan->high[place][byte >> 4] |= bucket;
}

/* As a text is folded: behind a word comes what is of none, then anything. */
static void add_folded(struct name_scan *scan, const struct word *word, uint8_t bucket)
{
    bool ends_at_word = !word->is_prefix && word_byte((unsigned char)word->text[word->length - 1]);
    for (size_t i = 0; i < FINGERPRINT; i++) {
        unsigned char c = i < word->length ? (unsigned char)word->text[i] : 0;
        bool is_any = i > word->length || (i == word->length && !ends_at_word);
        for (size_t half = 0; half < 16 && is_any; half++) {
            scan->low[i][half] |= bucket;
            scan->high[i][half] |= bucket;
        }
        if (is_any)
            continue;
        if (c == '&') {
            add_byte(scan, i, bucket, FOLDED_SPECIAL);
        } else if (i < word->length && word_byte(c)) {
            add_byte(scan, i, bucket, c | 0x20);
        } else {
            add_byte(scan, i, bucket, 0);
            if (i == word->length)
                add_byte(scan, i, bucket, FOLDED_SPECIAL);
        }
    }
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Words that begin alike share a bucket: so it fits little else. */
static void make_buckets(struct name_scan *scan)
{
    qsort(scan->words + 1, scan->count, sizeof *scan->words, compare_words);
    for (size_t i = 0; i < scan->count; i++)
        add_folded(scan, &scan->words[i + 1], (uint8_t)(1u << (i * BUCKETS / scan->count)));
}

struct name_scan *name_scan_new(const struct snapshot *snapshot)
{
    struct name_scan *scan = NEW(struct name_scan);
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        add_word(scan, slice_of(keywords[i].text), keywords[i].bits, keywords[i].flags);
    if (snapshot)
        add_tables(scan, snapshot);
    make_buckets(scan);
    make_slots(scan);
#if defined(__x86_64__)
    scan->is_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
#endif
    return scan;
}

void name_scan_free(struct name_scan *scan)
{
    if (!scan)
        return;
    for (size_t i = 1; i <= scan->count; i++)
        free(scan->words[i].text);
    free(scan->words);
    free(scan->slots);
    free(scan);
}

/* ------------------------------------------------------------------ one place */

static bool ends_word(struct slice text, size_t at, const struct word *word)
{
    size_t end = at + word->length;
    return word->is_prefix || end == text.length ||
           !word_byte((unsigned char)word->text[word->length - 1]) ||
           !word_byte((unsigned char)text.data[end]);
}

/*
 * A byte of a word before it makes it part of that word. But a byte behind one of a multi-byte
 * character may be the rest of that character in a client's encoding.
 */
static bool begins_word(struct slice text, size_t at)
{
    if (at == 0 || !word_byte((unsigned char)text.data[at - 1]) ||
        !word_byte((unsigned char)text.data[at]))
        return true;
    return at > 1 && (unsigned char)text.data[at - 2] >= 0x80 &&
           (unsigned char)text.data[at - 1] < 0x80;
}

__attribute__((noinline)) static bool matches(struct slice text, size_t at, const struct word *word)
{
    if (text.length - at < word->length)
        return false;
    for (size_t i = 0; i < word->length; i++)
        if (lower((unsigned char)text.data[at + i]) != (unsigned char)word->text[i])
            return false;
    return ends_word(text, at, word);
}

/* The key is that of the slot. */
static uint32_t bits_at(const struct name_scan *scan, struct scanned_text *scanned,
                        const struct slot *slot, size_t at)
{
    uint32_t bits = 0;
    for (uint32_t i = slot->word; i; i = scan->words[i].next) {
        const struct word *word = &scan->words[i];
        if ((word->is_key || matches(scanned->text, at, word)) &&
            (!word->after_set || may_follow_set(scanned, at)))
            bits |= word->bits;
    }
    return bits;
}

static uint32_t scan_words(const struct name_scan *scan, struct scanned_text *scanned)
{
    struct slice text = scanned->text;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (!word_byte((unsigned char)text.data[i]) || !begins_word(text, i))
            continue;
        size_t left = text.length - i;
        uint64_t key = key_of(text.data + i, run_length(text.data + i, left < KEY ? left : KEY));
        const struct slot *slot = slot_of(scan, key);
        if (slot->key == key)
            bits |= bits_at(scan, scanned, slot, i);
    }
    return bits;
}

/* ------------------------------------------------------------------ many places at once */

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx2,bmi,bmi2")))

/* A part of a text, folded, between what comes before and behind it. */
struct chunk {
    char before[STEP];
    char bytes[CHUNK + STEP * 3]; /* a step more is looked at, and folded to two steps' end */
};

WIDE static inline __m256i load(const char *bytes)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)bytes);
}

WIDE static inline __m256i table_of(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

/* What both halves of each byte have in common. */
WIDE static inline __m256i look_up(__m256i bytes, __m256i low, __m256i high)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
    return _mm256_and_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half)),
                            _mm256_shuffle_epi8(high, upper));
}

/* Of which word_byte holds: a bit for each set of bytes that is a product of halves. */
enum { DOLLAR = 1, DIGIT = 2, A_TO_O = 4, P_TO_Z = 8, LINE = 16, HIGH = 32 };
enum { TO_9 = DIGIT | A_TO_O | P_TO_Z | HIGH, TO_F = A_TO_O | HIGH };
static const uint8_t word_lows[16] = {
    DIGIT | P_TO_Z | HIGH, TO_9, TO_9, TO_9, TO_9 | DOLLAR, TO_9,       TO_9, TO_9, TO_9, TO_9,
    TO_F | P_TO_Z,         TO_F, TO_F, TO_F, TO_F,          TO_F | LINE};
static const uint8_t word_highs[16] = {0,      0,      DOLLAR, DIGIT, A_TO_O, P_TO_Z | LINE,
                                       A_TO_O, P_TO_Z, HIGH,   HIGH,  HIGH,   HIGH,
                                       HIGH,   HIGH,   HIGH,   HIGH};

WIDE static inline void fold(char *folded, const char *bytes)
{
    __m256i these = load(bytes);
    __m256i is_other = _mm256_cmpeq_epi8(look_up(these, table_of(word_lows), table_of(word_highs)),
                                         _mm256_setzero_si256());
    __m256i letters =
        _mm256_andnot_si256(is_other, _mm256_or_si256(these, _mm256_set1_epi8(FOLDED_LETTER)));
    __m256i special = _mm256_and_si256(_mm256_cmpeq_epi8(these, _mm256_set1_epi8('&')),
                                       _mm256_set1_epi8(FOLDED_SPECIAL));
    _mm256_storeu_si256((__m256i *)(void *)folded, _mm256_or_si256(letters, special));
}

/* Zeros behind the text's end, as far as a step may look. */
WIDE static void fold_chunk(struct chunk *chunk, struct slice text)
{
    size_t length = text.length < CHUNK + STEP ? text.length : CHUNK + STEP;
    size_t at = 0;
    for (; at + STEP <= length; at += STEP)
        fold(chunk->bytes + at, text.data + at);
    char last[STEP * 2] = {0};
    memcpy(last, text.data + at, length - at);
    fold(chunk->bytes + at, last);
    fold(chunk->bytes + at + STEP, last + STEP);
}

/* Bytes of no word. */
WIDE static inline uint32_t other_mask(__m256i folded)
{
    const __m256i highest = _mm256_set1_epi8(FOLDED_LETTER - 1);
    return (uint32_t)_mm256_movemask_epi8(
        _mm256_cmpeq_epi8(_mm256_min_epu8(folded, highest), folded));
}

/* As begins_word has it. */
WIDE static inline uint32_t beginnings(const char *folded)
{
    __m256i before = load(folded - 1);
    uint32_t high = (uint32_t)_mm256_movemask_epi8(before);
    uint32_t second_high = (uint32_t)_mm256_movemask_epi8(load(folded - 2));
    return other_mask(before) | (second_high & ~high);
}

/* The key of the word at a place is what is left of its bytes when those behind its end are gone.
 */
WIDE static inline uint32_t look_at(const struct name_scan *scan, struct scanned_text *scanned,
                                    const char *folded, uint64_t ends, size_t at)
{
    uint64_t bytes;
    memcpy(&bytes, folded, sizeof bytes);
    uint64_t key = _bzhi_u64(bytes, (unsigned)_tzcnt_u64(ends | 1u << KEY) * 8);
    const struct slot *slot = slot_of(scan, key);
    return __builtin_expect(slot->key == key, 0) ? bits_at(scan, scanned, slot, at) : 0;
}

WIDE static uint32_t scan_chunk(const struct name_scan *scan, struct scanned_text *scanned,
                                const struct chunk *chunk, size_t offset, size_t length)
{
    const __m256i low0 = table_of(scan->low[0]), high0 = table_of(scan->high[0]);
    const __m256i low1 = table_of(scan->low[1]), high1 = table_of(scan->high[1]);
    const __m256i low2 = table_of(scan->low[2]), high2 = table_of(scan->high[2]);
    const __m256i low3 = table_of(scan->low[3]), high3 = table_of(scan->high[3]);
    const __m256i zero = _mm256_setzero_si256();
    uint32_t bits = 0;
    for (size_t at = 0; at < length; at += STEP) {
        const char *bytes = chunk->bytes + at;
        __m256i fits = _mm256_and_si256(_mm256_and_si256(look_up(load(bytes), low0, high0),
                                                         look_up(load(bytes + 1), low1, high1)),
                                        _mm256_and_si256(look_up(load(bytes + 2), low2, high2),
                                                         look_up(load(bytes + 3), low3, high3)));
        uint32_t places = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(fits, zero));
        if (!places)
            continue;
        uint64_t ends = other_mask(load(bytes)) | (uint64_t)other_mask(load(bytes + STEP)) << STEP;
        for (places &= beginnings(bytes); places; places = _blsr_u32(places)) {
            size_t place = (size_t)_tzcnt_u32(places);
            bits |= look_at(scan, scanned, bytes + place, ends >> place, offset + at + place);
        }
    }
    return bits;
}

WIDE static uint32_t scan_wide(const struct name_scan *scan, struct scanned_text *scanned)
{
    struct slice text = scanned->text;
    struct chunk chunk;
    memset(chunk.before, 0, sizeof chunk.before);
    uint32_t bits = 0;
    for (size_t at = 0; at < text.length; at += CHUNK) {
        size_t left = text.length - at, length = left < CHUNK ? left : CHUNK;
        fold_chunk(&chunk, (struct slice){text.data + at, left});
        bits |= scan_chunk(scan, scanned, &chunk, at, length);
        memcpy(chunk.before, chunk.bytes + CHUNK - STEP, STEP);
    }
    return bits;
}
#endif

uint32_t name_scan_text(const struct name_scan *scan, struct slice text)
{
    struct scanned_text scanned = {.text = text};
#if defined(__x86_64__)
    if (scan->is_wide)
        return scan->always | scan_wide(scan, &scanned);
#endif
    return scan->always | scan_words(scan, &scanned);
}
