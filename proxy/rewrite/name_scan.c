/*
 * Words in texts. Every text from a client goes through name_scan_text, nearly none of them names a
 * table in transition: so it must cost next to nothing, and it allocates nothing.
 *
 * With AVX2, 32 places are looked at in one step: the first four bytes of each word, in either
 * case, are spread over eight buckets, and two 16-entry tables per byte, indexed by its low and its
 * high half, tell for which buckets it fits (the idea is Teddy's, of Hyperscan). What fits for
 * one bucket four times is looked at closely, as is every place elsewhere.
 */
#include "segue/rewrite/rewrite.h"

#include "segue/base/memory.h"
#include "words.h"

#include <stdlib.h>
#include <strings.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { FINGERPRINT = 4, /* as many pairs of tables in scan_steps */ BUCKETS = 8, STEP = 32 };

struct word {
    char *text; /* ASCII in lower case */
    size_t length;
    uint32_t bits;
    uint32_t next; /* of the same first byte; 0: none */
};

struct name_scan {
    size_t count;
    struct word *words; /* from 1 */
    uint8_t first[256]; /* index of the first word that begins so, either case */
    bool has_avx2;
    uint8_t low[FINGERPRINT][16]; /* buckets that a byte's half fits */
    uint8_t high[FINGERPRINT][16];
};

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static const struct {
    const char *text;
    uint32_t bits;
} keywords[] = {
    {"prepare", NAME_SCAN_PREPARED},
    {"execute", NAME_SCAN_PREPARED},
    {"deallocate", NAME_SCAN_PREPARED},
    {"segue", NAME_SCAN_SHAPE},
    {"search_path", NAME_SCAN_RESOLUTION},
    {"set_config", NAME_SCAN_RESOLUTION},
    {"role", NAME_SCAN_RESOLUTION},
    {"authorization", NAME_SCAN_RESOLUTION},
    {"temp", NAME_SCAN_RESOLUTION},
    {"temporary", NAME_SCAN_RESOLUTION},
    {"discard", NAME_SCAN_RESOLUTION | NAME_SCAN_PREPARED},
    {"create", NAME_SCAN_DDL},
    {"alter", NAME_SCAN_DDL},
    {"drop", NAME_SCAN_DDL},
    {"u&\"", NAME_SCAN_TABLE}, /* may spell any name by escapes */
};

static void add_word(struct name_scan *scan, const char *text, size_t length, uint32_t bits)
{
    scan->words = memory_resize(scan->words, (scan->count + 2) * sizeof *scan->words);
    struct word *word = &scan->words[++scan->count];
    *word =
        (struct word){.text = memory_string_range(text, length), .length = length, .bits = bits};
    for (size_t i = 0; i < length; i++)
        word->text[i] = (char)lower((unsigned char)word->text[i]);
    unsigned char first = (unsigned char)word->text[0];
    unsigned char upper = first >= 'a' && first <= 'z' ? (unsigned char)(first & ~0x20) : first;
    word->next = scan->first[first];
    scan->first[first] = scan->first[upper] = (uint8_t)scan->count;
}

/* A name as it stands between quotes: quotes in it are doubled. */
static void add_table(struct name_scan *scan, const char *name)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_identifier(&text, name);
    add_word(scan, text.data + 1, text.length - 2, NAME_SCAN_TABLE);
    text_release(&text);
}

/* Words that begin alike share a bucket. A word shorter than the fingerprint fits whatever
 * follows. */
static void add_fingerprint(struct name_scan *scan, const struct word *word)
{
    uint8_t bucket = (uint8_t)(1u << ((unsigned char)word->text[0] % BUCKETS));
    for (size_t i = 0; i < FINGERPRINT; i++) {
        if (i >= word->length) {
            for (size_t half = 0; half < 16; half++) {
                scan->low[i][half] |= bucket;
                scan->high[i][half] |= bucket;
            }
            continue;
        }
        unsigned char c = (unsigned char)word->text[i];
        unsigned char upper = c >= 'a' && c <= 'z' ? (unsigned char)(c & ~0x20) : c;
        scan->low[i][c & 15] |= bucket;
        scan->high[i][c >> 4] |= bucket;
        scan->low[i][upper & 15] |= bucket;
        scan->high[i][upper >> 4] |= bucket;
    }
}

struct name_scan *name_scan_new(const struct snapshot *snapshot)
{
    struct name_scan *scan = NEW(struct name_scan);
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        add_word(scan, keywords[i].text, strlen(keywords[i].text), keywords[i].bits);
    for (size_t i = 0; snapshot && i < snapshot->transition_count; i++)
        add_table(scan, snapshot->transitions[i].transition->table);
    for (size_t i = 1; i <= scan->count; i++)
        add_fingerprint(scan, &scan->words[i]);
#if defined(__x86_64__)
    scan->has_avx2 = __builtin_cpu_supports("avx2");
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
    free(scan);
}

static bool ends_word(struct slice text, size_t at, const struct word *word)
{
    size_t end = at + word->length;
    return !word_byte((unsigned char)word->text[word->length - 1]) || end == text.length ||
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

static bool matches(struct slice text, size_t at, const struct word *word)
{
    if (text.length - at < word->length)
        return false;
    for (size_t i = 1; i < word->length; i++)
        if (lower((unsigned char)text.data[at + i]) != (unsigned char)word->text[i])
            return false;
    return ends_word(text, at, word);
}

/* ------------------------------------------------------------------ SET ROLE, not SET role = */

/* The word that ends before `at`, blanks skipped; length 0 where there is none. */
static struct slice word_before(struct slice text, size_t at)
{
    while (at > 0 && strchr(" \t\r\n\f\v", text.data[at - 1]) && text.data[at - 1])
        at--;
    size_t end = at;
    while (at > 0 && word_byte((unsigned char)text.data[at - 1]) &&
           (at == end || text.data[at - 1] != '$')) /* $$BEGIN: a body's quotes end there */
        at--;
    return (struct slice){text.data + at, end - at};
}

static bool is_word(struct slice word, const char *expected)
{
    return word.length == strlen(expected) && strncasecmp(word.data, expected, word.length) == 0;
}

/* What is found out about a text at most once. */
struct scanned {
    struct slice text;
    bool comments_looked_for, has_comments;
};

static bool has_comments(struct scanned *scanned)
{
    struct slice text = scanned->text;
    if (!scanned->comments_looked_for)
        scanned->has_comments = memmem(text.data, text.length, "--", 2) != NULL ||
                                memmem(text.data, text.length, "/*", 2) != NULL;
    scanned->comments_looked_for = true;
    return scanned->has_comments;
}

/* Does a comment, which is not looked through, perhaps end where the blanks before `at` begin? */
static bool may_follow_comment(struct scanned *scanned, size_t at)
{
    struct slice text = scanned->text;
    bool new_line = false;
    for (; at > 0 && text.data[at - 1] && strchr(" \t\r\n\f\v", text.data[at - 1]); at--)
        new_line = new_line || text.data[at - 1] == '\n' || text.data[at - 1] == '\r';
    return (new_line || (at > 0 && text.data[at - 1] == '/')) && has_comments(scanned);
}

/* SET or RESET that begins at `at` is a statement's first word, not a clause of UPDATE. */
static bool begins_statement(struct scanned *scanned, size_t at)
{
    struct slice text = scanned->text;
    if (may_follow_comment(scanned, at))
        return true;
    struct slice before = word_before(text, at);
    if (before.length ==
        0) { /* the beginning, a semicolon, or a bracket or quote that ends a name */
        size_t end = (size_t)(before.data - text.data);
        return end == 0 || (text.data[end - 1] != ')' && text.data[end - 1] != '"');
    }
    return is_word(before, "begin") || is_word(before, "then") || is_word(before, "else") ||
           is_word(before, "loop") || before.data[before.length - 1] == '$';
}

/*
 * `role` is a likely name of a column. The session's role changes only by SET or RESET at the
 * beginning of a statement; UPDATE t SET role = .. has a name before its SET. Where a comment may
 * stand between the words the answer is yes.
 */
static bool may_set_role(struct scanned *scanned, size_t at)
{
    struct slice text = scanned->text;
    if (may_follow_comment(scanned, at))
        return true;
    struct slice word = word_before(text, at);
    if (is_word(word, "local") || is_word(word, "session")) {
        at = (size_t)(word.data - text.data);
        if (may_follow_comment(scanned, at))
            return true;
        word = word_before(text, at);
    }
    if (is_word(word, "reset"))
        return true;
    return is_word(word, "set") && begins_statement(scanned, (size_t)(word.data - text.data));
}

static uint32_t bits_at(const struct name_scan *scan, struct scanned *scanned, size_t at)
{
    struct slice text = scanned->text;
    uint32_t bits = 0;
    if (!begins_word(text, at))
        return 0;
    for (uint32_t i = scan->first[(unsigned char)text.data[at]]; i; i = scan->words[i].next) {
        const struct word *word = &scan->words[i];
        if (!matches(text, at, word))
            continue;
        if (word->length == 4 && memcmp(word->text, "role", 4) == 0 &&
            word->bits == NAME_SCAN_RESOLUTION && !may_set_role(scanned, at))
            continue;
        bits |= word->bits;
    }
    return bits;
}

static uint32_t scan_bytes(const struct name_scan *scan, struct scanned *scanned)
{
    struct slice text = scanned->text;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.length; i++)
        if (scan->first[(unsigned char)text.data[i]])
            bits |= bits_at(scan, scanned, i);
    return bits;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline __m256i table_of(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

/* The buckets that each byte fits at one place of the fingerprint. */
__attribute__((target("avx2"))) static inline __m256i fits_at(const char *bytes, __m256i low,
                                                              __m256i high)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i these = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(these, 4), half);
    return _mm256_and_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(these, half)),
                            _mm256_shuffle_epi8(high, upper));
}

__attribute__((target("avx2"))) static uint32_t scan_steps(const struct name_scan *scan,
                                                           struct scanned *scanned)
{
    const __m256i low0 = table_of(scan->low[0]), high0 = table_of(scan->high[0]);
    const __m256i low1 = table_of(scan->low[1]), high1 = table_of(scan->high[1]);
    const __m256i low2 = table_of(scan->low[2]), high2 = table_of(scan->high[2]);
    const __m256i low3 = table_of(scan->low[3]), high3 = table_of(scan->high[3]);
    struct slice text = scanned->text;
    char end[STEP + FINGERPRINT] = {0}; /* the last bytes, with what a step reads behind them */
    uint32_t bits = 0;
    for (size_t at = 0; at < text.length; at += STEP) {
        const char *bytes = text.data + at;
        if (text.length - at < sizeof end) {
            memset(end, 0, sizeof end);
            memcpy(end, bytes, text.length - at);
            bytes = end;
        }
        __m256i fits = _mm256_and_si256(
            _mm256_and_si256(fits_at(bytes, low0, high0), fits_at(bytes + 1, low1, high1)),
            _mm256_and_si256(fits_at(bytes + 2, low2, high2), fits_at(bytes + 3, low3, high3)));
        uint32_t places =
            ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(fits, _mm256_setzero_si256()));
        for (; places; places &= places - 1) {
            size_t place = at + (size_t)__builtin_ctz(places);
            if (place < text.length)
                bits |= bits_at(scan, scanned, place);
        }
    }
    return bits;
}
#endif

uint32_t name_scan_text(const struct name_scan *scan, struct slice text)
{
    struct scanned scanned = {.text = text};
#if defined(__x86_64__)
    if (scan->has_avx2)
        return scan_steps(scan, &scanned);
#endif
    return scan_bytes(scan, &scanned);
}

bool words_name_table(const struct snapshot *snapshot, struct slice text)
{
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        const char *name = snapshot->transitions[i].transition->table;
        struct word word = {.text = (char *)(uintptr_t)name, .length = strlen(name)};
        if (strchr(name, '"'))
            return true;
        for (size_t at = 0; at + word.length <= text.length; at++)
            if (strncasecmp(text.data + at, name, word.length) == 0 && ends_word(text, at, &word) &&
                begins_word(text, at))
                return true;
    }
    return text.length > 2 && memmem(text.data, text.length, "&\"", 2) != NULL;
}
