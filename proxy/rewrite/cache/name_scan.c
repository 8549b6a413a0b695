/*
 * Words in texts. Every text from a client goes through name_scan_text, nearly none of them names a
 * table in transition: so it must cost next to nothing, and it allocates nothing. `name_words` has
 * the words, `name_wide` is the way that a text goes on most machines.
 */
#include "name_scan.h"

#include "name_wide.h"
#include "segue/base/memory.h"

#include <stdlib.h>

struct name_scan {
    struct name_words words;
    struct name_wide wide;
    bool is_wide;
    bool begins_ours[256]; /* by byte: one of the words begins so */
};

struct name_scan *name_scan_new(const struct snapshot *snapshot)
{
    struct name_scan *scan = NEW(struct name_scan);
    name_words_init(&scan->words, snapshot);
    name_wide_init(&scan->wide, &scan->words);
    scan->is_wide = name_wide_is_possible();
    for (size_t i = 1; i <= scan->words.count; i++) {
        unsigned char first = (unsigned char)scan->words.words[i].text[0];
        scan->begins_ours[first] = true;
        if (first >= 'a' && first <= 'z')
            scan->begins_ours[first ^ 0x20] = true;
    }
    return scan;
}

void name_scan_free(struct name_scan *scan)
{
    if (!scan)
        return;
    name_words_release(&scan->words);
    free(scan);
}

uint32_t name_scan_text_plainly(const struct name_scan *scan, struct slice text)
{
    struct scanned_text scanned = {.text = text};
    uint32_t bits = scan->words.always;
    for (size_t i = 0; i < text.length; i++)
        if (scan->begins_ours[(unsigned char)text.data[i]])
            bits |= name_words_bits_at(&scan->words, &scanned, i);
    return bits;
}

uint32_t name_scan_text(const struct name_scan *scan, struct slice text)
{
    if (!scan->is_wide)
        return name_scan_text_plainly(scan, text);
    struct scanned_text scanned = {.text = text};
    return scan->words.always | name_wide_scan(&scan->wide, &scan->words, &scanned);
}
