/*
 * One table row per setting: its section, name, type, default, range, and what it is. Everything
 * else (libconfuse's option arrays, checking, filling struct settings, SHOW CONFIG) follows from
 * it.
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

const char *const settings_section_names[SECTION_COUNT] = {"", "listen", "admin", "upstream",
                                                           "database"};

#define KIB(n) ((n)*1024L)
#define MIB(n) ((n)*1024L * 1024)
#define GIB(n) ((n)*1024L * 1024 * 1024)

#define IN_SETTINGS(field) offsetof(struct settings, field)
#define IN_LISTENER(field) offsetof(struct settings_listener, field)
#define IN_DATABASE(field) offsetof(struct settings_database, field)

const struct setting settings_table[] = {
    {SECTION_LISTEN, SETTING_ADDRESS, "address", "127.0.0.1", 0, 0, IN_LISTENER(address),
     "where clients connect: an IP address, or a directory for a Unix socket in it",
     APPLIES_AT_RESTART},
    {SECTION_LISTEN, SETTING_INTEGER, "port", NULL, 1, 65535, IN_LISTENER(port), "TCP port",
     APPLIES_AT_RESTART},
    {SECTION_LISTEN, SETTING_SHAPE, "shape", "old", 0, 0, IN_LISTENER(shape),
     "how clients of this port see tables in transition, unless they ask for segue.shape",
     APPLIES_TO_NEW_CONNECTIONS},

    {SECTION_ADMIN, SETTING_DIRECTORY, "unix_socket_dir", "auto", 0, 0,
     IN_SETTINGS(admin.unix_socket_dir),
     "directory of the admin console's Unix socket; auto: segue's own in /run or $XDG_RUNTIME_DIR; "
     "empty: none",
     APPLIES_AT_RESTART},
    {SECTION_ADMIN, SETTING_IP, "address", "", 0, 0, IN_SETTINGS(admin.address),
     "the IP address where the console listens too; empty: none", APPLIES_AT_RESTART},
    {SECTION_ADMIN, SETTING_INTEGER, "port", "6430", 0, 65535, IN_SETTINGS(admin.port),
     "TCP port of the admin console, and number of its Unix socket; 0: no console",
     APPLIES_AT_RESTART},
    {SECTION_ADMIN, SETTING_STRING, "users_file", "", 0, 0, IN_SETTINGS(admin.users_file),
     "the console's users: lines \"name\" \"SCRAM-SHA-256$..\" operator|viewer [peer=local_user]; "
     "`segue password` makes them",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_ADMIN, SETTING_AUTH, "auth_type", "scram-sha-256", 0, 0, IN_SETTINGS(admin.auth),
     "at the address: scram-sha-256 for users of users_file; trust lets everybody in as operator, "
     "on loopback only",
     APPLIES_AT_RESTART},
    {SECTION_ADMIN, SETTING_SSLMODE, "tls_sslmode", "prefer", 0, 0, IN_SETTINGS(admin.tls.mode),
     "TLS at the address, as client_tls_sslmode; an address that is not loopback is for TLS only",
     APPLIES_AT_RESTART},
    {SECTION_ADMIN, SETTING_STRING, "tls_cert_file", "", 0, 0, IN_SETTINGS(admin.tls.certificate),
     "PEM file of the certificate; empty: client_tls_cert_file and its key",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_ADMIN, SETTING_STRING, "tls_key_file", "", 0, 0, IN_SETTINGS(admin.tls.key),
     "PEM file of its private key, which only its owner may read", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_ADMIN, SETTING_STRING, "tls_ca_file", "", 0, 0, IN_SETTINGS(admin.tls.authorities),
     "PEM file of those who sign users' certificates; empty: client_tls_ca_file and its crl",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_ADMIN, SETTING_STRING, "tls_crl_file", "", 0, 0, IN_SETTINGS(admin.tls.revocations),
     "PEM file of users' certificates that hold no longer", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_ADMIN, SETTING_INTEGER, "http_port", "0", 0, 65535, IN_SETTINGS(admin.http_port),
     "reserved for metrics; 0: none", APPLIES_AT_RESTART},

    {SECTION_UPSTREAM, SETTING_STRING, "host", "127.0.0.1", 0, 0, IN_SETTINGS(upstream.host),
     "the PostgreSQL server: IP address, name, or the directory of its Unix socket (@name: an "
     "abstract one); or a list of them, parted by commas",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_UPSTREAM, SETTING_PORTS, "port", "5432", 0, 0, IN_SETTINGS(upstream.port),
     "its port; with several hosts one for all, or one for each", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_UPSTREAM, SETTING_TARGET, "target_session_attrs", "any", 0, 0,
     IN_SETTINGS(upstream.target),
     "what a server must be for sessions to go there, as libpq has it", APPLIES_TO_NEW_CONNECTIONS},

    {SECTION_DATABASE, SETTING_STRING, "control_user", "segue", 0, 0, IN_DATABASE(control_user),
     "the role that keeps the schema segue, alters tables and fills columns; it must own them",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_DATABASE, SETTING_STRING, "control_password_file", "", 0, 0,
     IN_DATABASE(control_password_file),
     "a libpq password file (host:port:database:user:password); empty: libpq's own default",
     APPLIES_TO_NEW_CONNECTIONS},

    {SECTION_TOP, SETTING_INTEGER, "workers", "0", 0, 256, IN_SETTINGS(workers),
     "threads that relay; 0: one per processor", APPLIES_AT_RESTART},
    {SECTION_TOP, SETTING_INTEGER, "backlog", "512", 1, 65535, IN_SETTINGS(backlog),
     "connections that may wait to be accepted, per listener and worker", APPLIES_AT_RESTART},
    {SECTION_TOP, SETTING_INTEGER, "max_client_conn", "1000", 1, 1000000,
     IN_SETTINGS(max_client_conn), "clients at a time, over all listeners", APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "client_login_timeout", "60", 0, 86400,
     IN_SETTINGS(client_login_timeout),
     "seconds a client may take from connecting to being logged in; 0: any",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_INTEGER, "server_connect_timeout", "15", 1, 3600,
     IN_SETTINGS(server_connect_timeout), "seconds a connection to the server may take",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_INTEGER, "max_user_client_connections", "0", 0, 1000000,
     IN_SETTINGS(max_user_client_connections), "clients at a time of one user; 0: any number",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "max_db_client_connections", "0", 0, 1000000,
     IN_SETTINGS(max_db_client_connections), "clients at a time of one database; 0: any number",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "client_idle_timeout", "0", 0, 86400,
     IN_SETTINGS(client_idle_timeout),
     "seconds a client may be idle outside of a transaction before it is ended; 0: any",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "idle_transaction_timeout", "0", 0, 86400,
     IN_SETTINGS(idle_transaction_timeout),
     "seconds a client may be idle in a transaction before it is ended; 0: any", APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "transaction_timeout", "0", 0, 86400,
     IN_SETTINGS(transaction_timeout),
     "seconds a transaction may take before its client is ended; 0: any", APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "query_timeout", "0", 0, 86400, IN_SETTINGS(query_timeout),
     "seconds a query may take before its client is ended; 0: any", APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "cancel_wait_timeout", "10", 0, 86400,
     IN_SETTINGS(cancel_wait_timeout),
     "seconds a cancel request may take to reach the server; 0: any", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_SWITCH, "tcp_keepalive", "on", 0, 0, IN_SETTINGS(tcp.keepalive),
     "ask silent peers whether they are there, on both sides", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_INTEGER, "tcp_keepidle", "0", 0, 32767, IN_SETTINGS(tcp.keepidle),
     "seconds of silence before the first such question; 0: as the system has it",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_INTEGER, "tcp_keepintvl", "0", 0, 32767, IN_SETTINGS(tcp.keepintvl),
     "seconds between two of them; 0: as the system has it", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_INTEGER, "tcp_keepcnt", "0", 0, 127, IN_SETTINGS(tcp.keepcnt),
     "how many go unanswered before the peer is held for gone; 0: as the system has it",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_INTEGER, "tcp_user_timeout", "0", 0, 2147483647,
     IN_SETTINGS(tcp.user_timeout),
     "milliseconds that what was sent may go unacknowledged before the peer is held for gone; 0: "
     "as "
     "the system has it",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_SSLMODE, "client_tls_sslmode", "disable", 0, 0,
     IN_SETTINGS(client_tls.mode),
     "TLS with clients: allow and prefer for those who ask, require, and verify-ca for those whose "
     "certificate holds, verify-full where it names the user",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "client_tls_cert_file", "", 0, 0,
     IN_SETTINGS(client_tls.certificate),
     "PEM file of the certificate that clients see, with its chain", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "client_tls_key_file", "", 0, 0, IN_SETTINGS(client_tls.key),
     "PEM file of its private key, which only its owner may read", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "client_tls_ca_file", "", 0, 0,
     IN_SETTINGS(client_tls.authorities),
     "PEM file of those who sign clients' certificates; empty: none is asked for",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "client_tls_crl_file", "", 0, 0,
     IN_SETTINGS(client_tls.revocations), "PEM file of clients' certificates that hold no longer",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "client_tls_ciphers", "", 0, 0, IN_SETTINGS(client_tls.ciphers),
     "ciphers of TLS 1.2, as OpenSSL lists them; empty: PostgreSQL's default",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "client_tls_min_protocol", "TLSv1.2", 0, 0,
     IN_SETTINGS(client_tls.minimum_protocol), "oldest version of TLS: TLSv1.2 or TLSv1.3",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_SSLMODE, "server_tls_sslmode", "prefer", 0, 0,
     IN_SETTINGS(server_tls.mode),
     "TLS with the server, as libpq's sslmode; not on its Unix socket", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "server_tls_cert_file", "", 0, 0,
     IN_SETTINGS(server_tls.certificate), "PEM file of the certificate that Segue shows the server",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "server_tls_key_file", "", 0, 0, IN_SETTINGS(server_tls.key),
     "PEM file of its private key, which only its owner may read", APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "server_tls_ca_file", "", 0, 0,
     IN_SETTINGS(server_tls.authorities),
     "PEM file of those who sign the server's certificate; empty: those that the system trusts",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "server_tls_crl_file", "", 0, 0,
     IN_SETTINGS(server_tls.revocations), "PEM file of servers' certificates that hold no longer",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "server_tls_ciphers", "", 0, 0, IN_SETTINGS(server_tls.ciphers),
     "ciphers of TLS 1.2, as OpenSSL lists them; empty: PostgreSQL's default",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "server_tls_min_protocol", "TLSv1.2", 0, 0,
     IN_SETTINGS(server_tls.minimum_protocol), "oldest version of TLS: TLSv1.2 or TLSv1.3",
     APPLIES_TO_NEW_CONNECTIONS},
    {SECTION_TOP, SETTING_STRING, "auth_file", "", 0, 0, IN_SETTINGS(auth_file),
     "PgBouncer's file of users and SCRAM verifiers, for logins that cannot be relayed; empty: the "
     "control "
     "connection asks pg_authid",
     APPLIES_TO_NEW_CONNECTIONS},

    {SECTION_TOP, SETTING_INTEGER, "move_timeout", "60", 1, 86400, IN_SETTINGS(pace.move_timeout),
     "seconds a phase move waits for transactions of the phase before; then it is taken back",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "lock_timeout", "500", 1, 600000, IN_SETTINGS(pace.lock_timeout),
     "milliseconds each try of a DDL statement waits for its lock, so that nobody queues behind",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "retire_after", "604800", 0, INT32_MAX,
     IN_SETTINGS(pace.retire_after),
     "seconds without a statement of an old-shape client before RETIRE is allowed",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_SIZE, "max_rewrite_size", "16777216", KIB(1), MIB(64),
     IN_SETTINGS(max_rewrite_size),
     "bytes of a statement's text that may have to be rewritten; a larger one gets an error",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_SIZE, "rewrite_cache_size", "16777216", KIB(64), GIB(16),
     IN_SETTINGS(rewrite_cache_size), "bytes for rewritten statements, per worker",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_SIZE, "backfill_rows", "5000", 1, 10000000,
     IN_SETTINGS(pace.backfill_rows), "rows, about, that a backfill writes per transaction",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_INTEGER, "backfill_pause", "0", 0, 60000,
     IN_SETTINGS(pace.backfill_pause), "milliseconds a backfill rests between two transactions",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_SWITCH, "backfill_by_key", "off", 0, 0, IN_SETTINGS(pace.backfill_by_key),
     "walk by the primary key instead of by place; PostgreSQL before 14 always does",
     APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_LEVEL, "log_level", "info", 0, 0, IN_SETTINGS(log_level),
     "least important events that are logged: debug, info, warning, error", APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_LOG_FORMAT, "log_format", "text", 0, 0, IN_SETTINGS(log_format),
     "a line of text, or an object of JSON, per event", APPLIES_AT_ONCE},
    {SECTION_TOP, SETTING_LOG_DESTINATION, "log_destination", "auto", 0, 0,
     IN_SETTINGS(log_destination),
     "where events go: stderr, or systemd's journal with a field per fact; auto: the journal where "
     "stderr is the journal's",
     APPLIES_AT_ONCE},
};
enum { SETTING_COUNT = sizeof settings_table / sizeof settings_table[0] };
const size_t settings_table_count = SETTING_COUNT;

/* ------------------------------------------------------------ checks while parsing */

static const struct setting *find(const char *section, const char *name)
{
    for (const struct setting *s = settings_table; s < settings_table + SETTING_COUNT; s++)
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
    for (const struct setting *s = settings_table; s < settings_table + SETTING_COUNT; s++) {
        if (strcmp(settings_section_names[s->section], option->name) == 0 && !s->fallback &&
            !cfg_getstr(closed, s->name))
            return document_fail(cfg, "section %s \"%s\" lacks %s: expected %s = %ld .. %ld",
                                 option->name, title, s->name, s->name, s->minimum, s->maximum);
    }
    return 0;
}

/* ------------------------------------------------------------ libconfuse's options */

struct options {
    cfg_opt_t of[SECTION_COUNT][SETTING_COUNT + SECTION_COUNT];
};

static void options_fill(struct options *options)
{
    static const cfg_opt_t end = CFG_END();
    size_t count[SECTION_COUNT] = {0};
    for (const struct setting *s = settings_table; s < settings_table + SETTING_COUNT; s++) {
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
    for (const struct setting *s = settings_table; s < settings_table + SETTING_COUNT; s++) {
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
    if (listeners_fit(settings, name, error) && admin_fits(settings, name, error) &&
        hosts_fill(settings, name, error))
        return settings;
    settings_free(settings);
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

void settings_free(struct settings *settings)
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
    for (const struct setting *s = settings_table; s < settings_table + SETTING_COUNT; s++)
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
