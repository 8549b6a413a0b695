/* Values of settings: what fits each type, and how it is told. */
#include "setting.h"

#include "segue/base/memory.h"
#include "segue/config/settings.h"
#include "segue/transition/phase.h"

#include "hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/* Settings whose value is one of a few words, and is kept as the number of the word. */
static const char *const sslmode_names[] = {"disable",   "allow",       "prefer", "require",
                                            "verify-ca", "verify-full", NULL};
static const char *const auth_names[] = {"scram-sha-256", "trust", NULL};
static const char *const level_names[] = {"debug", "info", "warning", "error", NULL};
static const char *const format_names[] = {"text", "json", NULL};
static const char *const destination_names[] = {"auto", "stderr", "journal", NULL};
static const char *const target_names[] = {"any",     "read-write",     "read-only", "primary",
                                           "standby", "prefer-standby", NULL};
static const char *const *const words[] = {
    [SETTING_SSLMODE] = sslmode_names,   [SETTING_LEVEL] = level_names,
    [SETTING_LOG_FORMAT] = format_names, [SETTING_LOG_DESTINATION] = destination_names,
    [SETTING_TARGET] = target_names,     [SETTING_AUTH] = auth_names};

static bool is_ip(const char *value)
{
    struct in6_addr parsed; /* room for either family */
    return inet_pton(AF_INET, value, &parsed) == 1 || inet_pton(AF_INET6, value, &parsed) == 1;
}

static bool is_directory(const char *value)
{
    /* room for ".s.PGSQL.65535" in sockaddr_un */
    return (value[0] == '/' || value[0] == '@') && strlen(value) <= 90;
}

static bool find_word(const char *const *names, const char *word, int *found)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], word) == 0) {
            *found = i;
            return true;
        }
    }
    return false;
}

/* "debug, info, warning or error" */
static void add_words(struct text *out, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        if (i > 0)
            text_add_string(out, names[i + 1] ? ", " : " or ");
        text_add_string(out, names[i]);
    }
}

static bool number_parse(const struct setting *setting, const char *value, long *number)
{
    char *end;
    errno = 0;
    *number = strtol(value, &end, 10);
    return end != value && !*end && !errno && *number >= setting->minimum &&
           *number <= setting->maximum;
}

static void replace_string(char **field, const char *value, bool empty_is_none)
{
    free(*field);
    *field = empty_is_none && !*value ? NULL : memory_string(value);
}

bool setting_store(const struct setting *setting, const char *value, void *field)
{
    long number;
    switch (setting->type) {
    case SETTING_INTEGER:
        if (!number_parse(setting, value, &number))
            return false;
        *(int *)field = (int)number;
        return true;
    case SETTING_SIZE:
        if (!number_parse(setting, value, &number))
            return false;
        *(size_t *)field = (size_t)number;
        return true;
    case SETTING_STRING:
        if (!*value && setting->fallback && *setting->fallback)
            return false;
        replace_string(field, value, true);
        return true;
    case SETTING_ADDRESS:
        if (!is_ip(value) && !is_directory(value))
            return false;
        replace_string(field, value, false);
        return true;
    case SETTING_PORTS:
        if (!hosts_are_ports(value))
            return false;
        replace_string(field, value, false);
        return true;
    case SETTING_IP:
        if (*value && !is_ip(value))
            return false;
        replace_string(field, value, true);
        return true;
    case SETTING_DIRECTORY:
        if (*value && strcmp(value, "auto") != 0 && !is_directory(value))
            return false;
        replace_string(field, value, true);
        return true;
    case SETTING_SHAPE:
        return shape_parse(value, field);
    case SETTING_LEVEL:
    case SETTING_SSLMODE:
    case SETTING_LOG_FORMAT:
    case SETTING_LOG_DESTINATION:
    case SETTING_TARGET:
    case SETTING_AUTH:
        return find_word(words[setting->type], value, field);
    case SETTING_SWITCH:
        *(bool *)field = strcmp(value, "on") == 0;
        return *(bool *)field || strcmp(value, "off") == 0;
    }
    BUG("setting type %d", setting->type);
}

void setting_show(const struct setting *setting, const void *field, struct text *out)
{
    switch (setting->type) {
    case SETTING_INTEGER:
        text_add_format(out, "%d", *(const int *)field);
        return;
    case SETTING_SIZE:
        text_add_format(out, "%zu", *(const size_t *)field);
        return;
    case SETTING_STRING:
    case SETTING_PORTS:
    case SETTING_ADDRESS:
    case SETTING_IP:
    case SETTING_DIRECTORY: {
        const char *string = *(char *const *)field;
        text_add_string(out, string ? string : "");
        return;
    }
    case SETTING_SHAPE:
        text_add_string(out, shape_name(*(const enum shape *)field));
        return;
    case SETTING_LEVEL:
    case SETTING_SSLMODE:
    case SETTING_LOG_FORMAT:
    case SETTING_LOG_DESTINATION:
    case SETTING_TARGET:
    case SETTING_AUTH:
        text_add_string(out, words[setting->type][*(const int *)field]);
        return;
    case SETTING_SWITCH:
        text_add_string(out, *(const bool *)field ? "on" : "off");
        return;
    }
    BUG("setting type %d", setting->type);
}

void setting_expected(const struct setting *setting, struct text *out)
{
    switch (setting->type) {
    case SETTING_INTEGER:
    case SETTING_SIZE:
        text_add_format(out, "a whole number from %ld to %ld", setting->minimum, setting->maximum);
        return;
    case SETTING_STRING:
        text_add_string(out, "a string");
        if (!setting->fallback || *setting->fallback)
            text_add_string(out, " that is not empty");
        return;
    case SETTING_ADDRESS:
        text_add_string(out, "an IP address, or the full path of a directory");
        return;
    case SETTING_IP:
        text_add_string(out, "an IP address, or nothing");
        return;
    case SETTING_DIRECTORY:
        text_add_string(out, "the full path of a directory, auto, or nothing");
        return;
    case SETTING_SHAPE:
        text_add_string(out, "old or new");
        return;
    case SETTING_LEVEL:
    case SETTING_SSLMODE:
    case SETTING_LOG_FORMAT:
    case SETTING_LOG_DESTINATION:
    case SETTING_TARGET:
    case SETTING_AUTH:
        add_words(out, words[setting->type]);
        return;
    case SETTING_PORTS:
        text_add_string(out, "a whole number from 1 to 65535, or a list such as \"5432,5433\"");
        return;
    case SETTING_SWITCH:
        text_add_string(out, "on or off");
        return;
    }
    BUG("setting type %d", setting->type);
}

void setting_forget(const struct setting *setting, void *field)
{
    switch (setting->type) {
    case SETTING_STRING:
    case SETTING_ADDRESS:
    case SETTING_IP:
    case SETTING_DIRECTORY:
    case SETTING_PORTS:
        free(*(char **)field);
        return;
    case SETTING_INTEGER:
    case SETTING_SIZE:
    case SETTING_SHAPE:
    case SETTING_LEVEL:
    case SETTING_SSLMODE:
    case SETTING_LOG_FORMAT:
    case SETTING_LOG_DESTINATION:
    case SETTING_TARGET:
    case SETTING_AUTH:
    case SETTING_SWITCH:
        return;
    }
    BUG("setting type %d", setting->type);
}

const char *settings_target_name(enum settings_target target)
{
    return target_names[target];
}
