/*
 * One settings in place of another: told setting by setting from the table, and what has to wait
 * for a restart is put back, so that whoever counts listeners, databases or workers may go on
 * counting.
 */
#include "segue/base/memory.h"

#include "setting.h"

#include <stdlib.h>

const char *settings_applies_name(enum settings_applies applies)
{
    switch (applies) {
    case APPLIES_AT_ONCE:
        return "at once";
    case APPLIES_TO_NEW_CONNECTIONS:
        return "to new connections";
    case APPLIES_AT_RESTART:
        return "at restart";
    }
    BUG("settings applies %d", (int)applies);
}

struct comparison {
    settings_change_visit *visit;
    void *context;
};

/* ---------------------------------------------------------------- one section */

static const struct setting *first_of(enum setting_section section)
{
    const struct setting *setting = settings_table;
    while (setting->section != section)
        setting++;
    return setting;
}

static const struct setting *after(const struct setting *setting)
{
    enum setting_section section = setting->section;
    const struct setting *end = settings_table + settings_table_count;
    for (setting++; setting < end; setting++)
        if (setting->section == section)
            return setting;
    return NULL;
}

static void show(const struct setting *setting, const void *base, struct text *out)
{
    text_init(out, TEXT_UNBOUNDED);
    setting_show(setting, (const char *)base + setting->offset, out);
}

static void tell(const struct comparison *comparison, const struct setting *setting,
                 const char *title, const char *before, const char *after_it)
{
    const char *section = settings_section_names[setting->section];
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    if (title)
        text_add_format(&name, "%s \"%s\" %s", section, title, setting->name);
    else
        text_add_format(&name, "%s%s%s", section, *section ? " " : "", setting->name);
    const struct settings_change change = {name.data, before, after_it, setting->applies};
    comparison->visit(comparison->context, &change);
    text_release(&name);
}

/* `next` gets back what waits for a restart. */
static void compare_section(const struct comparison *comparison, enum setting_section section,
                            const char *title, void *next, const void *running)
{
    for (const struct setting *s = first_of(section); s; s = after(s)) {
        struct text old_value, new_value;
        show(s, running, &old_value);
        show(s, next, &new_value);
        if (strcmp(old_value.data, new_value.data) != 0) {
            tell(comparison, s, title, old_value.data, new_value.data);
            if (s->applies == APPLIES_AT_RESTART &&
                !setting_store(s, old_value.data, (char *)next + s->offset))
                BUG("a value in force does not fit: %s = %s", s->name, old_value.data);
        }
        text_release(&old_value);
        text_release(&new_value);
    }
}

/* ---------------------------------------------------------------- sections with titles */

/* Of structs that begin with their title. */
struct section_list {
    enum setting_section section;
    void *items;
    size_t count, size;
};

static void *item_at(const struct section_list *list, size_t i)
{
    return (char *)list->items + i * list->size;
}

static char **title_of(void *item)
{
    return item;
}

static void *find_item(const struct section_list *list, const char *title)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(*title_of(item_at(list, i)), title) == 0)
            return item_at(list, i);
    return NULL;
}

static void copy_item(const struct section_list *list, void *to, void *from)
{
    *title_of(to) = memory_string(*title_of(from));
    for (const struct setting *s = first_of(list->section); s; s = after(s)) {
        struct text value;
        show(s, from, &value);
        if (!setting_store(s, value.data, (char *)to + s->offset))
            BUG("a value in force does not fit: %s = %s", s->name, value.data);
        text_release(&value);
    }
}

static void release_item(const struct section_list *list, void *item)
{
    free(*title_of(item));
    for (const struct setting *s = first_of(list->section); s; s = after(s))
        setting_forget(s, (char *)item + s->offset);
}

static void tell_of_section(const struct comparison *comparison, const struct section_list *list,
                            void *item, bool was_added)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    text_add_format(&name, "%s \"%s\"", settings_section_names[list->section], *title_of(item));
    const struct settings_change change = {name.data, was_added ? "" : "there",
                                           was_added ? "there" : "", APPLIES_AT_RESTART};
    comparison->visit(comparison->context, &change);
    text_release(&name);
}

/* The sections in force, in their order, with what may change of them; those that came or went wait
 * for a restart. `next->items` is replaced. */
static void compare_list(const struct comparison *comparison, struct section_list *next,
                         const struct section_list *running)
{
    void *items = memory_zero(running->count + 1, running->size);
    for (size_t i = 0; i < running->count; i++) {
        void *before = item_at(running, i);
        void *now = find_item(next, *title_of(before));
        if (now)
            compare_section(comparison, next->section, *title_of(before), now, before);
        else
            tell_of_section(comparison, next, before, false);
        copy_item(next, (char *)items + i * running->size, now ? now : before);
    }
    for (size_t i = 0; i < next->count; i++) {
        void *item = item_at(next, i);
        if (!find_item(running, *title_of(item)))
            tell_of_section(comparison, next, item, true);
        release_item(next, item);
    }
    free(next->items);
    next->items = items;
    next->count = running->count;
}

/* ---------------------------------------------------------------- the interface */

static struct section_list listeners_of(const struct settings *settings)
{
    return (struct section_list){SECTION_LISTEN, settings->listeners, settings->listener_count,
                                 sizeof *settings->listeners};
}

static struct section_list databases_of(const struct settings *settings)
{
    return (struct section_list){SECTION_DATABASE, settings->databases, settings->database_count,
                                 sizeof *settings->databases};
}

void settings_replace(struct settings *next, const struct settings *running,
                      settings_change_visit *visit, void *context)
{
    const struct comparison comparison = {visit, context};
    struct section_list listeners = listeners_of(next), old_listeners = listeners_of(running);
    compare_list(&comparison, &listeners, &old_listeners);
    next->listeners = listeners.items;
    next->listener_count = listeners.count;
    compare_section(&comparison, SECTION_ADMIN, NULL, next, running);
    compare_section(&comparison, SECTION_UPSTREAM, NULL, next, running);
    struct section_list databases = databases_of(next), old_databases = databases_of(running);
    compare_list(&comparison, &databases, &old_databases);
    next->databases = databases.items;
    next->database_count = databases.count;
    compare_section(&comparison, SECTION_TOP, NULL, next, running);
}
