/*
 * `role` is a likely name of a column. The session's role changes only by SET at the beginning of a
 * statement; UPDATE t SET role = .. has a name before its SET. The text is read backwards from the
 * word; as columns called so come often, the byte or two before it decide nearly always.
 */
#include "after_set.h"

#include "words.h"

#include <strings.h>

const bool after_set_bytes[256] = {
    ['t'] = true,  ['T'] = true,  ['l'] = true,  ['L'] = true,  ['n'] = true,
    ['N'] = true,  ['/'] = true,  ['"'] = true,  [' '] = true,  ['\t'] = true,
    ['\n'] = true, ['\v'] = true, ['\f'] = true, ['\r'] = true,
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* Can what ends before `at` be SET, LOCAL or SESSION, a comment, or more blanks? */
static bool may_end_set(struct slice text, size_t at)
{
    char last = text.data[at - 1], before = at > 1 ? (char)(text.data[at - 2] | 0x20) : '\0';
    switch (last | 0x20) {
    case 't': /* SELECT is frequent */
        return before == 'e';
    case 'l':
        return before == 'a';
    case 'n':
        return before == 'o';
    default:
        return last == '/' || is_blank(last);
    }
}

static bool surely_follows_other(struct slice text, size_t at)
{
    if (at == 0 || is_newline(text.data[at - 1]))
        return at == 0;
    if (is_blank(text.data[at - 1]))
        at--;
    return at == 0 || !may_end_set(text, at);
}

/* The word that ends before `at`, blanks skipped; length 0 where there is none. */
static struct slice word_before(struct slice text, size_t at)
{
    while (at > 0 && is_blank(text.data[at - 1]))
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

static bool has_comments(struct scanned_text *scanned)
{
    struct slice text = scanned->text;
    if (!scanned->comments_looked_for)
        scanned->has_comments = memmem(text.data, text.length, "--", 2) != NULL ||
                                memmem(text.data, text.length, "/*", 2) != NULL;
    scanned->comments_looked_for = true;
    return scanned->has_comments;
}

/* Does a comment, which is not looked through, perhaps end where the blanks before `at` begin? */
static bool may_follow_comment(struct scanned_text *scanned, size_t at)
{
    struct slice text = scanned->text;
    bool new_line = false;
    for (; at > 0 && is_blank(text.data[at - 1]); at--)
        new_line = new_line || is_newline(text.data[at - 1]);
    return (new_line || (at > 0 && text.data[at - 1] == '/')) && has_comments(scanned);
}

/* SET that begins at `at` is a statement's first word, not a clause of UPDATE. */
static bool begins_statement(struct scanned_text *scanned, size_t at)
{
    struct slice text = scanned->text;
    if (may_follow_comment(scanned, at))
        return true;
    struct slice before = word_before(text, at);
    if (before.length == 0) { /* the beginning, a semicolon, or what ends a name */
        size_t end = (size_t)(before.data - text.data);
        return end == 0 || (text.data[end - 1] != ')' && text.data[end - 1] != '"');
    }
    return is_word(before, "begin") || is_word(before, "then") || is_word(before, "else") ||
           is_word(before, "loop") || before.data[before.length - 1] == '$';
}

__attribute__((noinline)) static bool look_back(struct scanned_text *scanned, size_t at)
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
    return is_word(word, "set") && begins_statement(scanned, (size_t)(word.data - text.data));
}

bool may_follow_set(struct scanned_text *scanned, size_t at)
{
    if (at > 0 && scanned->text.data[at - 1] == '"')
        at--;
    return !surely_follows_other(scanned->text, at) && look_back(scanned, at);
}
