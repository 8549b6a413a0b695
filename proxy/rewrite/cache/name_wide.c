/*
 * With AVX2, in three passes over a chunk of the text. What decides is the number of instructions
 * for each byte, and that no branch depends on a byte: a wrong guess costs as much as 50 bytes do.
 *
 * 1. Bytes become *codes* of four bits: 0 for what is of no word, so that a word's end is a byte
 *    like others; letters of either case have one code, which few other bytes share.
 *    (Bytes of a kind are told by their two halves, with a table of 16 entries for each, as
 *    simdjson does.) Beside that, a bit for each byte tells whether it is of no word, and another
 *    whether a word begins there.
 * 2. The codes from each place on are held against those of our words, a key of them: the words are
 *    spread over eight groups, and a table by code tells for which groups it fits at that place in
 *    a word. A place where a word begins, and one group fits all along, is noted. (The idea is
 *    Teddy's, of Hyperscan; it has two tables for each byte. To write down bits without a branch
 *    for each is simdjson's.)
 * 3. What was noted is looked up by its key. Few other words come so far: those that begin as ours
 *    do for eight bytes, or are made of pieces of one group.
 */
#include "name_wide.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx2,bmi,bmi2,popcnt")))

enum {
    GROUPS = NAME_WORDS_KEY, /* bits of a byte; lengths that are told apart */
    STEP = 32,               /* bytes of a register */
    BLOCK = 64,
    CHUNK = 2048, /* a multiple of BLOCK; what it needs stays in the cache next to the CPU */
};

/* ------------------------------------------------------------------ codes */

/* Of which word_byte holds: a bit for each set of bytes that is a product of halves. */
enum { DOLLAR = 1, DIGIT = 2, A_TO_O = 4, P_TO_Z = 8, LINE = 16, HIGH = 32 };
enum { TO_9 = DIGIT | A_TO_O | P_TO_Z | HIGH, TO_F = A_TO_O | HIGH };
static const uint8_t word_lows[16] = {
    DIGIT | P_TO_Z | HIGH, TO_9, TO_9, TO_9, TO_9 | DOLLAR, TO_9,       TO_9, TO_9, TO_9, TO_9,
    TO_F | P_TO_Z,         TO_F, TO_F, TO_F, TO_F,          TO_F | LINE};
static const uint8_t word_highs[16] = {0,      0,      DOLLAR, DIGIT, A_TO_O, P_TO_Z | LINE,
                                       A_TO_O, P_TO_Z, HIGH,   HIGH,  HIGH,   HIGH,
                                       HIGH,   HIGH,   HIGH,   HIGH};

/* By a byte's upper half: what its lower half is XORed with. So a to o have their own codes, and p
 * to z those of others than 0; those of frequent letters seldom meet. */
static const uint8_t turns[16] = {[2] = 9, [3] = 10, [5] = 14, [7] = 14};

static unsigned code_of(unsigned char c)
{
    return word_byte(c) ? (unsigned)((c & 15) ^ turns[c >> 4]) : 0;
}

static void add_word(struct name_wide *wide, const struct name_word *word, uint8_t group)
{
    for (size_t i = 0; i < NAME_WORDS_KEY; i++)
        for (unsigned code = 0; code < 16; code++)
            if (i > word->run || code == code_of((unsigned char)word->text[i]))
                wide->groups[i][code] |= group;
}

static size_t key_length(const struct name_word *word)
{
    return word->run < NAME_WORDS_KEY ? word->run : NAME_WORDS_KEY;
}

/*
 * Where each group of words ends. Words of one group are of one length where that can be: then the
 * end of a word tells most of what only begins like ours.
 */
static size_t make_groups(const struct name_words *words, size_t ends[GROUPS])
{
    size_t count = 0;
    for (size_t i = 1; i <= words->count; i++)
        if (i == words->count || key_length(&words->words[i]) != key_length(&words->words[i + 1]))
            ends[count++] = i;
    while (count < GROUPS) { /* the largest is halved */
        size_t largest = 0, most = 0;
        for (size_t i = 0; i < count; i++) {
            size_t size = ends[i] - (i ? ends[i - 1] : 0);
            if (size > most) {
                largest = i;
                most = size;
            }
        }
        memmove(ends + largest + 1, ends + largest, (count - largest) * sizeof *ends);
        ends[largest] -= most / 2;
        count++;
    }
    return count;
}

void name_wide_init(struct name_wide *wide, const struct name_words *words)
{
    size_t ends[GROUPS];
    size_t count = make_groups(words, ends);
    *wide = (struct name_wide){0};
    for (size_t i = 0, word = 1; i < count; i++)
        for (; word <= ends[i]; word++)
            if (words->words[word].run == words->words[word].length) /* not U&": see below */
                add_word(wide, &words->words[word], (uint8_t)(1u << i));
}

bool name_wide_is_possible(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

/* ------------------------------------------------------------------ first pass */

/* Behind the text's end all bytes are of no word, as far as is looked. */
struct chunk {
    uint8_t before[STEP]; /* the last step over a text ends with it, and may begin here */
    uint8_t codes[CHUNK + BLOCK * 3];
    uint64_t ends[CHUNK / BLOCK + 2];   /* bytes of no word */
    uint64_t begins[CHUNK / BLOCK + 1]; /* where a word begins */
    uint16_t places[CHUNK + BLOCK];
    bool has_ampersand;
};

/* A bit for each byte of a block. */
struct masks {
    uint64_t ends;
    uint64_t high; /* beyond ASCII */
};

WIDE static inline __m256i load(const void *bytes)
{
    return _mm256_loadu_si256(bytes);
}

WIDE static inline __m256i table_of(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

WIDE static inline uint32_t mask_of(__m256i bytes)
{
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

WIDE static inline struct masks fold_step(uint8_t *codes, const char *bytes, __m256i *ampersands)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i these = load(bytes);
    __m256i low = _mm256_and_si256(these, half);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(these, 4), half);
    __m256i kinds = _mm256_and_si256(_mm256_shuffle_epi8(table_of(word_lows), low),
                                     _mm256_shuffle_epi8(table_of(word_highs), high));
    __m256i is_other = _mm256_cmpeq_epi8(kinds, _mm256_setzero_si256());
    *ampersands = _mm256_or_si256(*ampersands, _mm256_cmpeq_epi8(these, _mm256_set1_epi8('&')));
    __m256i turned = _mm256_xor_si256(low, _mm256_shuffle_epi8(table_of(turns), high));
    _mm256_storeu_si256((__m256i *)(void *)codes, _mm256_andnot_si256(is_other, turned));
    return (struct masks){mask_of(is_other), mask_of(these)};
}

WIDE static inline struct masks fold_block(uint8_t *codes, const char *bytes, __m256i *ampersands)
{
    struct masks first = fold_step(codes, bytes, ampersands);
    struct masks second = fold_step(codes + STEP, bytes + STEP, ampersands);
    return (struct masks){first.ends | second.ends << STEP, first.high | second.high << STEP};
}

/* The last bytes of a text, fewer than a step: with as many before them as make a step. */
WIDE static inline struct masks fold_last(uint8_t *codes, struct slice text, size_t count,
                                          __m256i *ampersands)
{
    if (text.length >= STEP) {
        struct masks masks =
            fold_step(codes + count - STEP, text.data + text.length - STEP, ampersands);
        return (struct masks){masks.ends >> (STEP - count), masks.high >> (STEP - count)};
    }
    char last[STEP] = {0};
    memcpy(last, text.data, count);
    return fold_step(codes, last, ampersands);
}

WIDE static struct masks fold_part(uint8_t *codes, struct slice text, size_t count,
                                   __m256i *ampersands)
{
    struct masks masks = {0};
    size_t first = count / STEP * STEP;
    if (first)
        masks = fold_step(codes, text.data + text.length - count, ampersands);
    struct masks last = fold_last(codes + first, text, count - first, ampersands);
    masks.ends |= last.ends << first | ~UINT64_C(0) << count;
    masks.high |= last.high << first;
    return masks;
}

/* Of the bytes before a chunk, in the uppermost bits. */
static struct masks masks_before(struct slice text, size_t at)
{
    if (at == 0)
        return (struct masks){.ends = ~UINT64_C(0)};
    unsigned char last = (unsigned char)text.data[at - 1];
    unsigned char second = (unsigned char)text.data[at - 2]; /* chunks are longer than a byte */
    return (struct masks){(uint64_t)!word_byte(last) << 63,
                          (uint64_t)(last >> 7) << 63 | (uint64_t)(second >> 7) << 62};
}

/*
 * A byte of a word before it makes it part of that word. But a byte behind one of a multi-byte
 * character may be the rest of that character in a client's encoding.
 */
static inline uint64_t beginnings(struct masks before, struct masks these)
{
    uint64_t behind_other = these.ends << 1 | before.ends >> 63;
    uint64_t behind_high = these.high << 1 | before.high >> 63;
    uint64_t behind_two = these.high << 2 | before.high >> 62;
    return (behind_other | (behind_two & ~behind_high)) & ~these.ends;
}

/* Of the chunk and the block behind it, into which its words may go on. */
WIDE static void fold_chunk(struct chunk *chunk, struct slice text, size_t at)
{
    size_t left = text.length - at, count = left < CHUNK + BLOCK ? left : CHUNK + BLOCK;
    struct masks before = masks_before(text, at);
    __m256i ampersands = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        struct masks these = fold_block(chunk->codes + i, text.data + at + i, &ampersands);
        chunk->ends[i / BLOCK] = these.ends;
        chunk->begins[i / BLOCK] = beginnings(before, these);
        before = these;
    }
    if (count == left) {
        struct masks these = {.ends = ~UINT64_C(0)};
        if (i < count)
            these = fold_part(chunk->codes + i, text, count - i, &ampersands);
        chunk->ends[i / BLOCK] = these.ends;
        chunk->begins[i / BLOCK] = beginnings(before, these);
        chunk->ends[i / BLOCK + 1] = ~UINT64_C(0);
        memset(chunk->codes + count, 0, BLOCK + STEP);
    }
    chunk->has_ampersand = mask_of(ampersands) != 0;
}

/* ------------------------------------------------------------------ second pass */

WIDE static inline uint32_t misfits(const struct name_wide *wide, const uint8_t *codes)
{
    __m256i groups = _mm256_shuffle_epi8(table_of(wide->groups[0]), load(codes));
    for (size_t i = 1; i < NAME_WORDS_KEY; i++)
        groups = _mm256_and_si256(groups,
                                  _mm256_shuffle_epi8(table_of(wide->groups[i]), load(codes + i)));
    return mask_of(_mm256_cmpeq_epi8(groups, _mm256_setzero_si256()));
}

/* Most often there is none, or one. */
WIDE static inline uint16_t *note_places(uint16_t *next, uint64_t places, size_t at)
{
    enum { AT_ONCE = 2 };
    uint16_t *end = next + _mm_popcnt_u64(places);
    for (int i = 0; i < AT_ONCE; i++, places = _blsr_u64(places))
        next[i] = (uint16_t)(at + _tzcnt_u64(places));
    for (next += AT_ONCE; __builtin_expect(next < end, 0); places = _blsr_u64(places))
        *next++ = (uint16_t)(at + _tzcnt_u64(places));
    return end;
}

WIDE static size_t find_places(const struct name_wide *wide, struct chunk *chunk, size_t length)
{
    uint16_t *next = chunk->places;
    for (size_t i = 0; i < length; i += BLOCK) {
        uint64_t others = misfits(wide, chunk->codes + i) |
                          (uint64_t)misfits(wide, chunk->codes + i + STEP) << STEP;
        next = note_places(next, chunk->begins[i / BLOCK] & ~others, i);
    }
    return (size_t)(next - chunk->places);
}

/* ------------------------------------------------------------------ third pass */

static inline uint64_t bytes_at(struct slice text, size_t at)
{
    uint64_t bytes = 0;
    if (__builtin_expect(text.length - at >= sizeof bytes, 1))
        memcpy(&bytes, text.data + at, sizeof bytes);
    else
        memcpy(&bytes, text.data + at, text.length - at);
    return bytes;
}

/* `fits`: may one of the slot's words be there? */
WIDE static inline const struct name_slot *slot_at(const struct name_words *words,
                                                   const struct chunk *chunk, struct slice text,
                                                   size_t place, bool *fits)
{
    uint64_t ends, folded = name_words_fold(bytes_at(text, place));
    memcpy(&ends, (const uint8_t *)chunk->ends + place / 8, sizeof ends);
    unsigned run = (unsigned)_tzcnt_u64(ends >> place % 8 | 1u << NAME_WORDS_RUN_MAX);
    const struct name_slot *slot = name_words_slot(words, _bzhi_u64(folded, run * 8));
    *fits = name_slot_fits(slot, folded, run);
    return slot;
}

WIDE static uint32_t look_up_places(const struct name_words *words, struct scanned_text *scanned,
                                    struct chunk *chunk, size_t count, size_t offset)
{
    struct slice text = {scanned->text.data + offset, scanned->text.length - offset};
    uint16_t *places = chunk->places;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t place = places[i];
        places[kept] = place;
        bool fits;
        const struct name_slot *slot = slot_at(words, chunk, text, place, &fits);
        bool counts = !slot->after_set | may_follow_set_at_a_glance(scanned->text, offset + place);
        kept += fits & counts;
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < kept; i++) {
        bool fits;
        const struct name_slot *slot = slot_at(words, chunk, text, places[i], &fits);
        bits |= name_words_bits(words, scanned, slot, offset + places[i]);
    }
    return bits;
}

/* U&" is of one letter, as many words are: so it is found by its second byte, which few texts hold.
 */
static uint32_t look_up_escapes(const struct name_words *words, struct scanned_text *scanned,
                                size_t at, size_t length)
{
    uint32_t bits = 0;
    for (size_t i = at; i < at + length; i++)
        if (i > 0 && scanned->text.data[i] == '&')
            bits |= name_words_bits_at(words, scanned, i - 1);
    return bits;
}

WIDE uint32_t name_wide_scan(const struct name_wide *wide, const struct name_words *words,
                             struct scanned_text *scanned)
{
    struct slice text = scanned->text;
    struct chunk chunk;
    uint32_t bits = 0;
    for (size_t at = 0; at < text.length; at += CHUNK) {
        size_t left = text.length - at, length = left < CHUNK ? left : CHUNK;
        fold_chunk(&chunk, text, at);
        size_t count = find_places(wide, &chunk, length);
        bits |= look_up_places(words, scanned, &chunk, count, at);
        if (chunk.has_ampersand)
            bits |= look_up_escapes(words, scanned, at, length);
    }
    return bits;
}

#else /* name_scan.c does without */

bool name_wide_is_possible(void)
{
    return false;
}

void name_wide_init(struct name_wide *wide, const struct name_words *words)
{
    (void)words;
    *wide = (struct name_wide){0};
}

uint32_t name_wide_scan(const struct name_wide *wide, const struct name_words *words,
                        struct scanned_text *scanned)
{
    (void)wide, (void)words, (void)scanned;
    BUG("a scan that this machine cannot make");
}

#endif
