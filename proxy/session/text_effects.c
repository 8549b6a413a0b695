/*
 * Looks at the word that each statement begins with, and for a few words anywhere. Every ';' counts
 * as the end of a statement, also one inside a literal: too many beginnings do no harm, one too few
 * would.
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

/* Past whitespace, opening brackets and comments, which nest. */
static const char *skip_to_word(const char *at, const char *end)
{
    for (;;) {
        while (at < end && (isspace((unsigned char)*at) || *at == '('))
            at++;
        if (end - at < 2)
            return at;
        if (at[0] == '-' && at[1] == '-') {
            while (at < end && *at != '\n' && *at != '\r')
                at++;
        } else if (at[0] == '/' && at[1] == '*') {
            int depth = 0;
            do {
                if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
                    depth++;
                    at += 2;
                } else if (end - at >= 2 && at[0] == '*' && at[1] == '/') {
                    depth--;
                    at += 2;
                } else {
                    at++;
                }
            } while (depth > 0 && at < end);
        } else {
            return at;
        }
    }
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
    for (size_t i = 0; i < sizeof everywhere / sizeof everywhere[0]; i++) {
        if (word_is(word, length, everywhere[i]))
            return TEXT_CHANGES_RESOLUTION;
    }
    if (length >= 7 && strncasecmp(word, "pg_temp", 7) == 0)
        return TEXT_CHANGES_RESOLUTION;
    for (size_t i = 0; in_set && i < sizeof after_set / sizeof after_set[0]; i++) {
        if (word_is(word, length, after_set[i]))
            return TEXT_CHANGES_RESOLUTION;
    }
    return 0;
}

uint32_t text_effects(struct slice text)
{
    const char *end = text.data + text.length;
    const char *at = skip_to_word(text.data, end);
    uint32_t effects = 0;
    bool is_first = true, in_set = false;
    while (at < end) {
        if (is_word(*at)) {
            const char *word = at;
            while (at < end && is_word(*at))
                at++;
            size_t length = (size_t)(at - word);
            if (is_first) {
                effects |= effect_of_verb(word, length);
                in_set = word_is(word, length, "set") || word_is(word, length, "reset");
            }
            effects |= effect_of_word(word, length, in_set);
            is_first = false;
        } else if (*at == ';') {
            at = skip_to_word(at + 1, end);
            is_first = true;
        } else {
            at++;
        }
    }
    return effects;
}
