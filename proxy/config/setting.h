/* Setting: one row of the table of settings, and its value as text and as a field of a struct. */
#ifndef SEGUE_PROXY_CONFIG_SETTING_H
#define SEGUE_PROXY_CONFIG_SETTING_H

#include "segue/base/text.h"
#include "segue/config/settings.h"

enum setting_section {
    SECTION_TOP, /* outside of every section */
    SECTION_LISTEN,
    SECTION_ADMIN,
    SECTION_UPSTREAM,
    SECTION_DATABASE
};
enum { SECTION_COUNT = 5 };

enum setting_type {
    SETTING_INTEGER,         /* int */
    SETTING_SIZE,            /* size_t */
    SETTING_STRING,          /* char *; not empty, unless that is the default */
    SETTING_ADDRESS,         /* char *; to listen at */
    SETTING_IP,              /* char *; to listen at; NULL: none */
    SETTING_DIRECTORY,       /* char *; for a Unix socket in it, or "auto"; NULL: none */
    SETTING_SHAPE,           /* enum shape */
    SETTING_LEVEL,           /* int, an enum log_level */
    SETTING_SSLMODE,         /* int, an enum settings_sslmode */
    SETTING_LOG_FORMAT,      /* int, an enum log_format */
    SETTING_LOG_DESTINATION, /* int, an enum log_destination */
    SETTING_TARGET,          /* int, an enum settings_target */
    SETTING_PORTS,           /* char *: a port, or a list of them */
    SETTING_AUTH,            /* int, an enum settings_auth */
    SETTING_SWITCH           /* bool */
};

struct setting {
    enum setting_section section;
    enum setting_type type;
    const char *name;
    const char *fallback; /* NULL: must be given */
    long minimum, maximum;
    size_t offset; /* in struct settings_listener, settings_database, or settings */
    const char *description;
    enum settings_applies applies;
};
extern const struct setting settings_table[];
extern const size_t settings_table_count;
extern const char *const settings_section_names[SECTION_COUNT]; /* "" outside of every section */

/* Puts the value into the field; false where it does not fit the setting. A string that the field
 * had is freed. */
bool setting_store(const struct setting *setting, const char *value, void *field) MUST_CHECK;
/* Frees what the field holds. */
void setting_forget(const struct setting *setting, void *field);
/* The field's value as one would write it. */
void setting_show(const struct setting *setting, const void *field, struct text *out);
/* "a whole number from 1 to 65535" */
void setting_expected(const struct setting *setting, struct text *out);

#endif
