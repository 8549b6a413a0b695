/*
 * Settings: what segue.conf says. Immutable and counted: a RELOAD hands new ones to everybody who
 * holds the old.
 */
#ifndef SEGUE_CONFIG_SETTINGS_H
#define SEGUE_CONFIG_SETTINGS_H

#include "segue/base/error.h"
#include "segue/base/text.h"
#include "segue/transition/phase.h"

#include <stdatomic.h>
#include <stddef.h>

struct settings_listener {
    char *name;
    char *address; /* IP address, or a directory for a Unix socket `.s.PGSQL.<port>` in it; an
                      abstract one where it begins with '@' */
    int port;
    enum shape shape;
};

/* One of the servers. */
struct settings_host {
    char *name; /* IP address, name, or a directory for Unix sockets */
    int port;
};
enum { SETTINGS_HOSTS_MAX = 64 };

/* What a server must be for sessions to go there, in libpq's words. */
enum settings_target {
    TARGET_ANY,
    TARGET_READ_WRITE,
    TARGET_READ_ONLY,
    TARGET_PRIMARY,
    TARGET_STANDBY,
    TARGET_PREFER_STANDBY
};
const char *settings_target_name(enum settings_target target);

/* As libpq and PgBouncer name them. For clients `allow` and `prefer` are one: who asks gets it. */
enum settings_sslmode {
    SSLMODE_DISABLE,
    SSLMODE_ALLOW,
    SSLMODE_PREFER,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL
};

/* TLS with one side. Names of PEM files; NULL: none. */
struct settings_tls {
    int mode; /* enum settings_sslmode */
    char *certificate, *key, *authorities, *revocations;
    char *ciphers;          /* of TLS 1.2; NULL: PostgreSQL's default */
    char *minimum_protocol; /* "TLSv1.2" or "TLSv1.3" */
};

/* How those are known who come to the admin console's address; names as in PostgreSQL's
 * pg_hba.conf. */
enum settings_auth { AUTH_SCRAM, AUTH_TRUST };

struct settings_database {
    char *name;
    char *control_user;
    char *control_password_file; /* a libpq passfile; NULL: libpq's own default */
};

/* How commands that alter the database take their time. */
struct settings_pace {
    int move_timeout;     /* seconds: how long a phase move waits for sessions before it is taken
                             back */
    int lock_timeout;     /* milliseconds: of each try of a DDL statement */
    int retire_after;     /* seconds without use by an old-shape client before RETIRE */
    size_t backfill_rows; /* rows (about) per range */
    int backfill_pause;   /* milliseconds between two ranges */
    bool backfill_by_key; /* ranges of the primary key, not of ctid */
};

/* Of TCP connections with either side; 0: as the system has it. */
struct settings_tcp {
    bool keepalive;
    int keepidle, keepintvl; /* seconds */
    int keepcnt;
    int user_timeout; /* milliseconds */
};

struct settings {
    _Atomic int references;
    char *path; /* of the file; NULL: there was none */
    struct settings_listener *listeners;
    size_t listener_count;
    struct {
        char *unix_socket_dir;   /* "auto": see socket_directory.h; NULL: no Unix socket */
        char *address;           /* IP address; NULL: none */
        int port;                /* 0: no admin port */
        enum settings_auth auth; /* at the address; at the Unix socket the peer's user counts */
        char *users_file;        /* NULL: none */
        struct settings_tls tls; /* a file that is NULL: as in client_tls */
        int http_port; /* read, and kept for the metrics that a later issue brings; 0: none */
    } admin;
    struct {
        char *host, *port; /* as they were written: lists */
        enum settings_target target;
        struct settings_host *hosts; /* at least one */
        size_t host_count;
    } upstream;
    struct settings_tls client_tls, server_tls;
    char *auth_file; /* SCRAM verifiers of users; NULL: the server is asked */
    struct settings_database *databases;
    size_t database_count;
    int workers;
    int backlog;                /* of listen(2) */
    int max_client_conn;        /* over all listeners */
    int client_login_timeout;   /* seconds; 0: none */
    int server_connect_timeout; /* seconds */
    int cancel_wait_timeout;    /* seconds; so are those that follow, and 0 is none */
    int client_idle_timeout, idle_transaction_timeout, transaction_timeout, query_timeout;
    int max_user_client_connections, max_db_client_connections; /* 0: any number */
    struct settings_tcp tcp;
    struct settings_pace pace;
    size_t max_rewrite_size;   /* bytes: Query and Parse texts that must be held whole; above it
                                  54000 */
    size_t rewrite_cache_size; /* bytes, per worker */
    int log_level;             /* enum log_level */
    int log_format;            /* enum log_format */
    int log_destination;       /* enum log_destination */
};

/* With defaults filled in; NULL with `error` naming file, line and what was expected. */
struct settings *settings_load(const char *path, struct error *error);
/* The same from a string; `name` stands for the file in errors. For the demo and for tests. */
struct settings *settings_parse(const char *text, const char *name, struct error *error);
struct settings *settings_get(struct settings *settings); /* both on any thread */
void settings_put(struct settings *settings);             /* gives one reference back */

/* When a change of a setting in the file counts, once it is read again. */
enum settings_applies { APPLIES_AT_ONCE, APPLIES_TO_NEW_CONNECTIONS, APPLIES_AT_RESTART };
const char *settings_applies_name(enum settings_applies applies); /* "to new connections" */

/* Every setting with what it is, in the order of segue.conf: for SHOW CONFIG and for tests. */
struct settings_item {
    const char *section; /* "" for those outside a section */
    const char *title;   /* of the section: listen "old"; NULL where it has none */
    const char *name;
    const char *value;       /* as one would write it; "" where not set */
    const char *fallback;    /* the default; NULL: it must be given; "": it may be left out */
    const char *expected;    /* "a whole number from 1 to 65535" */
    const char *description; /* with its unit */
    enum settings_applies applies;
};
typedef void settings_visit(void *context, const struct settings_item *item);
void settings_each(const struct settings *settings, settings_visit *visit, void *context);

/*
 * Visits what `next`, just loaded, says otherwise than `running`, the settings in force. What only
 * a restart can change, `next` has as `running` afterwards: so it can take its place.
 */
struct settings_change {
    const char *name;           /* listen "old" port; or listen "old" for all of a section */
    const char *before, *after; /* as one would write them; "" where not set */
    enum settings_applies applies;
};
typedef void settings_change_visit(void *context, const struct settings_change *change);
void settings_replace(struct settings *next, const struct settings *running,
                      settings_change_visit *visit, void *context);
/* Do listeners and console fit together? Those that were parsed do; with `name` for the file in
 * errors. */
bool settings_fit(const struct settings *settings, const char *name,
                  struct error *error) MUST_CHECK;

/* Level, format and destination. */
void settings_apply_to_log(const struct settings *settings);

/* Can only processes of this machine reach an IP address? */
bool settings_is_loopback(const char *address);
/* Whoever comes to the admin console's address must use TLS: others can reach it, or it is so set.
 */
bool settings_admin_needs_tls(const struct settings *settings);

/* The libpq connection string of a database's control connection: to the one of several hosts that
 * can be written to. The caller frees. */
char *settings_control_conninfo(const struct settings *settings, const char *database);

#endif
