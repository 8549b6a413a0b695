/*
 * PostgreSQL's messages put names between quotes, which translations write as their language does:
 * "x", »x«, « x », „x“. A value may stand between quotes, too: whether a message has names at all
 * is the caller's to know.
 */
#include "quoted.h"

#include <string.h>

/* In UTF-8 and, for the guillemets, in Latin 1, whose bytes also end their forms in UTF-8. */
static const char *const openings[] = {
    "\"",           "\xAB",         "\xAB ",        "\xAB\xA0",     "\xAB\xC2\xA0", "\xBB",
    "\xE2\x80\x9E", "\xE2\x80\x9C", "\xE2\x80\x9D", "\xE3\x80\x8C", "\xE3\x80\x8E"};
static const char *const closings[] = {
    "\"",          "\xBB", " \xBB",    "\xA0\xBB",     " \xC2\xBB",    "\xC2\xA0\xC2\xBB",
    "\xC2\xBB",    "\xAB", "\xC2\xAB", "\xE2\x80\x9C", "\xE2\x80\x9D", "\xE3\x80\x8D",
    "\xE3\x80\x8F"};

static bool ends_with_opening(const char *message, size_t at)
{
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        size_t length = strlen(openings[i]);
        if (length <= at && memcmp(message + at - length, openings[i], length) == 0)
            return true;
    }
    return false;
}

static bool begins_with_closing(const char *rest)
{
    for (size_t i = 0; i < sizeof closings / sizeof *closings; i++)
        if (strncmp(rest, closings[i], strlen(closings[i])) == 0)
            return true;
    return false;
}

/* The next place of the name from `from` on; NULL where there is none. */
static const char *find(const char *message, const char *from, const char *name)
{
    size_t length = strlen(name);
    if (length == 0)
        return NULL;
    for (const char *found = from; (found = strstr(found, name)); found++) {
        size_t at = (size_t)(found - message);
        bool is_qualified = at > 0 && found[-1] == '.';
        if ((is_qualified || ends_with_opening(message, at)) && begins_with_closing(found + length))
            return found;
    }
    return NULL;
}

bool quoted_has(const char *message, const char *name)
{
    return find(message, message, name) != NULL;
}

const char *quoted_replace(struct arena *arena, const char *message, const char *name,
                           const char *by)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    const char *from = message, *found;
    while ((found = find(message, from, name))) {
        text_add(&text, from, (size_t)(found - from));
        text_add_string(&text, by);
        from = found + strlen(name);
    }
    text_add_string(&text, from);
    const char *replaced = arena_string_range(arena, text.data, text.length);
    text_release(&text);
    return replaced;
}
