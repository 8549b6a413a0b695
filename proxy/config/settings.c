/*
 * Everything that follows from the table of settings: libconfuse's option arrays, checking, filling
 * struct settings, SHOW CONFIG.
 */
#include "segue/config/settings.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/config/document.h"

#include "admin_section.h"
#include "hosts.h"
#include "setting.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ------------------------------------------------------------ checks while parsing */

static const struct setting *find(const char *section, const char *name)
{
    for (const struct setting *s = settings_table; s < settings_table + settings_table_count; s++)
        if (strcmp(settings_section_names[s->section], section) == 0 && strcmp(s->name, name) == 0)
            return s;
    BUG("no setting %s.%s", section, name);
}

static int check_value(cfg_t *cfg, cfg_opt_t *option)
{
    const char *section = strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
    const struct setting *setting = find(section, option->name);
    const char *value = cfg_opt_getnstr(option, cfg_opt_size(option) - 1);
    union {
        int integer;
        size_t size;
        char *string;
        enum shape shape;
    } field = {0};
    if (setting_store(setting, value, &field)) {
        setting_forget(setting, &field);
        return 0;
    }
    struct text wanted;
    text_init(&wanted, 256);
    setting_expected(setting, &wanted);
    document_fail(cfg, "%s = \"%s\": expected %s", option->name, value, wanted.data);
    text_release(&wanted);
    return -1;
}

/* A section that has just been closed. */
static int check_section(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *closed = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    const char *title = cfg_title(closed);
    if (title && !*title)
        return document_fail(cfg, "section %s needs a name that is not empty", option->name);
    for (const struct setting *s = settings_table; s < settings_table + settings_table_count; s++) {
        if (strcmp(settings_section_names[s->section], option->name) == 0 && !s->fallback &&
            !cfg_getstr(closed, s->name))
            return document_fail(cfg, "section %s \"%s\" lacks %s: expected %s = %ld .. %ld",
                                 option->name, title, s->name, s->name, s->minimum, s->maximum);
    }
    return 0;
}

/* ------------------------------------------------------------ libconfuse's options */

enum { SETTINGS_MOST = 128 };

struct options {
    cfg_opt_t of[SECTION_COUNT][SETTINGS_MOST + SECTION_COUNT];
};

static void options_fill(struct options *options)
{
    BUG_ON(settings_table_count > SETTINGS_MOST);
    static const cfg_opt_t end = CFG_END();
    size_t count[SECTION_COUNT] = {0};
    for (const struct setting *s = settings_table; s < settings_table + settings_table_count; s++) {
        cfg_opt_t option = CFG_STR(s->name, NULL, CFGF_NONE);
        option.def.string = s->fallback;
        option.validcb = check_value;
        options->of[s->section][count[s->section]++] = option;
    }
    for (int section = SECTION_LISTEN; section < SECTION_COUNT; section++) {
        bool titled = section == SECTION_LISTEN || section == SECTION_DATABASE;
        cfg_opt_t option =
            CFG_SEC(settings_section_names[section], options->of[section],
                    titled ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE);
        option.validcb = check_section;
        options->of[SECTION_TOP][count[SECTION_TOP]++] = option;
    }
    for (int section = 0; section < SECTION_COUNT; section++)
        options->of[section][count[section]] = end;
}

/* ------------------------------------------------------------ filling struct settings */

static void fill(enum setting_section section, cfg_t *cfg, void *base)
{
    for (const struct setting *s = settings_table; s < settings_table + settings_table_count; s++) {
        if (s->section != section)
            continue;
        const char *value = cfg_getstr(cfg, s->name);
        if (!setting_store(s, value, (char *)base + s->offset))
            BUG("a checked value does not fit: %s = %s", s->name, value);
    }
}

static struct settings *settings_from(cfg_t *cfg)
{
    struct settings *settings = NEW(struct settings);
    atomic_init(&settings->references, 1);
    fill(SECTION_TOP, cfg, settings);
    fill(SECTION_ADMIN, cfg_getsec(cfg, "admin"), settings);
    fill(SECTION_UPSTREAM, cfg_getsec(cfg, "upstream"), settings);
    settings->listener_count = cfg_size(cfg, "listen");
    settings->listeners = NEW_ARRAY(struct settings_listener, settings->listener_count + 1);
    for (unsigned i = 0; i < settings->listener_count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "listen", i);
        settings->listeners[i].name = memory_string(cfg_title(section));
        fill(SECTION_LISTEN, section, &settings->listeners[i]);
    }
    settings->database_count = cfg_size(cfg, "database");
    settings->databases = NEW_ARRAY(struct settings_database, settings->database_count + 1);
    for (unsigned i = 0; i < settings->database_count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "database", i);
        settings->databases[i].name = memory_string(cfg_title(section));
        fill(SECTION_DATABASE, section, &settings->databases[i]);
    }
    if (settings->workers == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        settings->workers = processors < 1 ? 1 : processors > 256 ? 256 : (int)processors;
    }
    return settings;
}

/* ------------------------------------------------------------ what only the whole can tell */

static bool same_place(const char *address, int port, const char *other, int other_port)
{
    return port == other_port && strcmp(address, other) == 0;
}

static bool listeners_fit(const struct settings *settings, const char *name, struct error *error)
{
    if (settings->listener_count == 0) {
        error_set(error, "F0000", "%s: no port to listen at", name);
        error_hint(error, "Add: listen \"old\" { port = 6432 shape = \"old\" }");
        return false;
    }
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct settings_listener *a = &settings->listeners[i];
        for (size_t j = i + 1; j < settings->listener_count; j++) {
            const struct settings_listener *b = &settings->listeners[j];
            if (same_place(a->address, a->port, b->address, b->port))
                return error_set(error, "F0000",
                                 "%s: listen \"%s\" and listen \"%s\" both have %s port %d", name,
                                 a->name, b->name, a->address, a->port);
        }
        if (admin_is_at(settings, a->address, a->port))
            return error_set(error, "F0000", "%s: listen \"%s\" and admin both have %s port %d",
                             name, a->name, a->address, a->port);
    }
    return true;
}

bool settings_fit(const struct settings *settings, const char *name, struct error *error)
{
    return listeners_fit(settings, name, error) && admin_fits(settings, name, error);
}

/* ------------------------------------------------------------ the interface */

struct settings *settings_parse(const char *text, const char *name, struct error *error)
{
    struct options options;
    options_fill(&options);
    cfg_t *cfg = document_parse(options.of[SECTION_TOP], text, name, DOCUMENT_LOCAL, error);
    if (!cfg)
        return NULL;
    struct settings *settings = settings_from(cfg);
    document_free(cfg);
    if (settings_fit(settings, name, error) && hosts_fill(settings, name, error))
        return settings;
    settings_put(settings);
    return NULL;
}

enum { FILE_MAX = 1024 * 1024 };

static bool read_file(const char *path, struct text *content, struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        error_set(error, "58P01", "cannot open %s: %s", path, strerror(errno));
        error_hint(error, "Say where it is with -c FILE.");
        return false;
    }
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        text_add(content, chunk, got);
    bool fine = !ferror(file);
    if (!fine)
        error_set(error, "58030", "cannot read %s: %s", path, strerror(errno));
    fclose(file);
    if (fine && content->overflow)
        return error_set(error, "F0000", "%s is too large: expected at most %d bytes", path,
                         FILE_MAX);
    if (fine && strlen(content->data) != content->length)
        return error_set(error, "F0000", "%s holds a zero byte: expected text", path);
    return fine;
}

struct settings *settings_load(const char *path, struct error *error)
{
    struct text content;
    text_init(&content, FILE_MAX);
    struct settings *settings = NULL;
    if (read_file(path, &content, error))
        settings = settings_parse(content.data, path, error);
    if (settings)
        settings->path = memory_string(path);
    text_release(&content);
    return settings;
}

static void free_tls(struct settings_tls *tls)
{
    free(tls->certificate);
    free(tls->key);
    free(tls->authorities);
    free(tls->revocations);
    free(tls->ciphers);
    free(tls->minimum_protocol);
}

struct settings *settings_get(struct settings *settings)
{
    atomic_fetch_add(&settings->references, 1);
    return settings;
}

void settings_put(struct settings *settings)
{
    if (!settings || atomic_fetch_sub(&settings->references, 1) > 1)
        return;
    for (size_t i = 0; i < settings->listener_count; i++) {
        free(settings->listeners[i].name);
        free(settings->listeners[i].address);
    }
    for (size_t i = 0; i < settings->database_count; i++) {
        free(settings->databases[i].name);
        free(settings->databases[i].control_user);
        free(settings->databases[i].control_password_file);
    }
    free_tls(&settings->admin.tls);
    free_tls(&settings->client_tls);
    free_tls(&settings->server_tls);
    free(settings->auth_file);
    free(settings->listeners);
    free(settings->databases);
    free(settings->admin.unix_socket_dir);
    free(settings->admin.address);
    free(settings->admin.users_file);
    hosts_release(settings);
    free(settings->path);
    free(settings);
}

static void visit_one(const struct setting *setting, const char *title, const void *base,
                      settings_visit *visit, void *context)
{
    struct text value, wanted;
    text_init(&value, TEXT_UNBOUNDED);
    text_init(&wanted, TEXT_UNBOUNDED);
    setting_show(setting, (const char *)base + setting->offset, &value);
    setting_expected(setting, &wanted);
    struct settings_item item = {.section = settings_section_names[setting->section],
                                 .title = title,
                                 .name = setting->name,
                                 .value = value.data,
                                 .fallback = setting->fallback,
                                 .expected = wanted.data,
                                 .description = setting->description,
                                 .applies = setting->applies};
    visit(context, &item);
    text_release(&value);
    text_release(&wanted);
}

static void visit_section(enum setting_section section, const char *title, const void *base,
                          settings_visit *visit, void *context)
{
    for (const struct setting *s = settings_table; s < settings_table + settings_table_count; s++)
        if (s->section == section)
            visit_one(s, title, base, visit, context);
}

void settings_each(const struct settings *settings, settings_visit *visit, void *context)
{
    for (size_t i = 0; i < settings->listener_count; i++)
        visit_section(SECTION_LISTEN, settings->listeners[i].name, &settings->listeners[i], visit,
                      context);
    visit_section(SECTION_ADMIN, NULL, settings, visit, context);
    visit_section(SECTION_UPSTREAM, NULL, settings, visit, context);
    for (size_t i = 0; i < settings->database_count; i++)
        visit_section(SECTION_DATABASE, settings->databases[i].name, &settings->databases[i], visit,
                      context);
    visit_section(SECTION_TOP, NULL, settings, visit, context);
}

void settings_apply_to_log(const struct settings *settings)
{
    log_set_level((enum log_level)settings->log_level);
    log_set_format((enum log_format)settings->log_format);
    log_set_destination((enum log_destination)settings->log_destination);
}

/* ------------------------------------------------------------ connection string */

static const struct settings_database *find_database(const struct settings *settings,
                                                     const char *name)
{
    for (size_t i = 0; i < settings->database_count; i++)
        if (strcmp(settings->databases[i].name, name) == 0)
            return &settings->databases[i];
    return NULL;
}

/* libpq's quoting: within '..', a backslash before ' and before a backslash. */
static void add_parameter(struct text *out, const char *keyword, const char *value)
{
    text_add_format(out, "%s%s='", out->length ? " " : "", keyword);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            text_add_char(out, '\\');
        text_add_char(out, *value);
    }
    text_add_char(out, '\'');
}

/* The control connections trust and show what the sessions' do. */
static void add_tls(struct text *out, const struct settings_tls *tls)
{
    static const char *const modes[] = {"disable", "allow",     "prefer",
                                        "require", "verify-ca", "verify-full"};
    add_parameter(out, "sslmode", modes[tls->mode]);
    if (tls->certificate)
        add_parameter(out, "sslcert", tls->certificate);
    if (tls->key)
        add_parameter(out, "sslkey", tls->key);
    if (tls->authorities)
        add_parameter(out, "sslrootcert", tls->authorities);
    if (tls->revocations)
        add_parameter(out, "sslcrl", tls->revocations);
    add_parameter(out, "ssl_min_protocol_version", tls->minimum_protocol);
}

char *settings_control_conninfo(const struct settings *settings, const char *database)
{
    const struct settings_database *found = find_database(settings, database);
    char number[16];
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    add_parameter(&out, "host", settings->upstream.host);
    add_parameter(&out, "port", settings->upstream.port);
    if (settings->upstream.host_count > 1)
        add_parameter(&out, "target_session_attrs", "read-write");
    add_parameter(&out, "dbname", database);
    add_tls(&out, &settings->server_tls);
    if (found && found->control_user)
        add_parameter(&out, "user", found->control_user);
    if (found && found->control_password_file)
        add_parameter(&out, "passfile", found->control_password_file);
    snprintf(number, sizeof number, "%d", settings->server_connect_timeout);
    add_parameter(&out, "connect_timeout", number);
    return text_take(&out);
}
