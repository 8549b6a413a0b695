/*
 * Does a text name a table in transition? Asked of texts that are parsed, and of the strings in
 * their trees, so a word is looked up among the names at once: a partitioned table has many.
 */
#include "words.h"

#include <stdlib.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 63 };

static size_t word_length(struct slice text, size_t at)
{
    size_t length = 0;
    while (at + length < text.length && word_byte((unsigned char)text.data[at + length]))
        length++;
    return length;
}

static int compare_word(const void *key, const void *name)
{
    const struct slice *word = key;
    const char *candidate = *(const char *const *)name;
    int order = strncasecmp(word->data, candidate, word->length);
    return order ? order : -(candidate[word->length] != '\0');
}

static bool is_name(const struct snapshot *snapshot, struct slice word)
{
    size_t count = snapshot->name_count - snapshot->odd_name_count;
    return count && bsearch(&word, (const void *)snapshot->names, count, sizeof *snapshot->names,
                            compare_word);
}

/* The server cuts a name that is too long, between two characters. */
static bool is_name_when_cut(const struct snapshot *snapshot, struct slice word)
{
    if (word.length <= NAME_MAX_BYTES)
        return is_name(snapshot, word);
    for (word.length = NAME_MAX_BYTES; word.length >= WORDS_CUT_MIN; word.length--)
        if (is_name(snapshot, word))
            return true;
    return false;
}

/* Every place where a word may begin: behind a multi-byte character's first byte, too, since in a
 * client's encoding the character may end there. */
static bool names_plain_table(const struct snapshot *snapshot, struct slice text)
{
    for (size_t at = 0; at < text.length;) {
        size_t length = word_length(text, at);
        for (size_t i = at; i < at + length; i++)
            if ((i == at || (i > at + 1 && (unsigned char)text.data[i - 2] >= 0x80 &&
                             (unsigned char)text.data[i - 1] < 0x80)) &&
                is_name_when_cut(snapshot, (struct slice){text.data + i, at + length - i}))
                return true;
        at += length ? length : 1;
    }
    return false;
}

/* Names that need quotes may stand anywhere, and a long one may go on behind what is left of it. */
static bool names_odd_table(const struct snapshot *snapshot, struct slice text)
{
    for (size_t i = snapshot->name_count - snapshot->odd_name_count; i < snapshot->name_count;
         i++) {
        const char *name = snapshot->names[i];
        size_t length = strlen(name);
        if (strchr(name, '"')) /* it is doubled in the text */
            return true;
        for (size_t at = 0; at + length <= text.length; at++)
            if (strncasecmp(text.data + at, name, length) == 0)
                return true;
    }
    return false;
}

bool words_are_foreign(struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return true;
    return false;
}

bool words_name_table(const struct snapshot *snapshot, struct slice text)
{
    return names_plain_table(snapshot, text) || names_odd_table(snapshot, text) ||
           (text.length > 2 && memmem(text.data, text.length, "&\"", 2) != NULL);
}
