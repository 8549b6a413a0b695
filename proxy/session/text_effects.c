/*
 * Looks at the word that each statement begins with, and for a few words anywhere. Too many
 * beginnings do no harm, one too few would.
 */
#include "text_effects.h"

#include <ctype.h>
#include <strings.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool word_is(const char *word, size_t length, const char *expected)
{
    return strlen(expected) == length && strncasecmp(word, expected, length) == 0;
}

/* What a statement that begins with this word can do. SET and RESET: only with one of the names
 * that effect_of_word knows. */
static uint32_t effect_of_verb(const char *word, size_t length)
{
    static const struct {
        const char *word;
        uint32_t effect;
    } verbs[] = {
        {"discard", TEXT_CHANGES_RESOLUTION},
        {"create", TEXT_CHANGES_SCHEMA},
        {"alter", TEXT_CHANGES_SCHEMA},
        {"drop", TEXT_CHANGES_SCHEMA},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (word_is(word, length, verbs[i].word))
            return verbs[i].effect;
    }
    return 0;
}

static uint32_t effect_of_word(const char *word, size_t length, bool in_set)
{
    static const char *const everywhere[] = {"set_config", "temp", "temporary"};
    /* SET SCHEMA is SET search_path; u&"..." may spell anything */
    static const char *const after_set[] = {
        "search_path", "role", "authorization", "schema", "segue", "all", "u"};
    static const char *const writing[] = {"insert", "update", "delete", "merge", "execute"};
    for (size_t i = 0; i < sizeof everywhere / sizeof everywhere[0]; i++) {
        if (word_is(word, length, everywhere[i]))
            return TEXT_CHANGES_RESOLUTION;
    }
    for (size_t i = 0; i < sizeof writing / sizeof writing[0]; i++) {
        if (word_is(word, length, writing[i]))
            return TEXT_WRITES;
    }
    if (length >= 7 && strncasecmp(word, "pg_temp", 7) == 0)
        return TEXT_CHANGES_RESOLUTION;
    for (size_t i = 0; in_set && i < sizeof after_set / sizeof after_set[0]; i++) {
        if (word_is(word, length, after_set[i]))
            return TEXT_CHANGES_RESOLUTION;
    }
    return 0;
}

/*
 * Where a statement may begin: at the start, behind ';', and behind the end of what may be a
 * comment. Neither literals nor comments are followed, so nothing in them can hide a beginning.
 */
struct position {
    bool may_begin;
    bool line_has_dashes; /* a comment may end with this line */
};

static void pass_character(struct position *position, const char *at, const char *end)
{
    bool has_next = end - at > 1;
    if (*at == '\n' || *at == '\r') {
        position->may_begin |= position->line_has_dashes;
        position->line_has_dashes = false;
    } else if (*at == ';' || (*at == '*' && has_next && at[1] == '/')) {
        position->may_begin = true;
    } else if (*at == '-' && has_next && at[1] == '-') {
        position->line_has_dashes = true;
    } else if (*at != '/' && !isspace((unsigned char)*at)) {
        position->may_begin = false;
    }
}

uint32_t text_effects(struct slice text)
{
    const char *at = text.data, *end = text.data + text.length;
    uint32_t effects = 0;
    struct position position = {.may_begin = true};
    bool in_set = false;
    while (at < end) {
        if (!is_word(*at)) {
            pass_character(&position, at++, end);
            continue;
        }
        const char *word = at;
        while (at < end && is_word(*at))
            at++;
        size_t length = (size_t)(at - word);
        if (position.may_begin) {
            effects |= effect_of_verb(word, length);
            in_set = word_is(word, length, "set") || word_is(word, length, "reset");
        }
        effects |= effect_of_word(word, length, in_set);
        position.may_begin = false;
    }
    return effects;
}
