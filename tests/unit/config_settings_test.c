#include "segue/config/settings.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LISTEN "listen \"old\" { port = 6432 }\n"

static void fails_with(const char *text, const char *message)
{
    struct error error = {0};
    struct settings *settings = settings_parse(text, "segue.conf", &error);
    assert_null(settings);
    assert_string_equal(error.sqlstate, "F0000");
    assert_string_equal(error.message, message);
}

static struct settings *parsed(const char *text)
{
    struct error error = {0};
    struct settings *settings = settings_parse(text, "segue.conf", &error);
    if (!settings)
        fail_msg("%s", error.message);
    return settings;
}

static void fills_defaults(void **state)
{
    (void)state;
    struct settings *settings = parsed(LISTEN);
    assert_int_equal(settings->listener_count, 1);
    assert_string_equal(settings->listeners[0].name, "old");
    assert_string_equal(settings->listeners[0].address, "127.0.0.1");
    assert_int_equal(settings->listeners[0].port, 6432);
    assert_int_equal(settings->listeners[0].shape, SHAPE_OLD);
    assert_int_equal(settings->admin.port, 6430);
    assert_string_equal(settings->admin.unix_socket_dir, "auto");
    assert_null(settings->admin.address);
    assert_int_equal(settings->admin.auth, AUTH_SCRAM);
    assert_string_equal(settings->upstream.host, "127.0.0.1");
    assert_int_equal(settings->upstream.host_count, 1);
    assert_int_equal(settings->upstream.hosts[0].port, 5432);
    assert_int_equal(settings->upstream.target, TARGET_ANY);
    assert_int_equal(settings->database_count, 0);
    assert_true(settings->workers >= 1);
    assert_int_equal(settings->log_level, LOG_INFO);
    settings_put(settings);
}

static void reads_every_section(void **state)
{
    (void)state;
    struct settings *settings = parsed(
        "listen \"old\" { address = \"127.0.0.1\"  port = 6432  shape = \"old\" }\n"
        "listen \"new\" { address = '::1' port = 6433  shape = new } // new app\n"
        "listen \"local\" { address = \"/run/segue\" port = 6433 }\n"
        "admin        { address = \"::1\" auth_type = \"trust\" port = 6430 http_port = 6480 }\n"
        "upstream     { host = \"/var/run/postgresql\"  port = 5433 }\n"
        "database \"shop\" { control_user = \"ann\" control_password_file = \"/etc/pw\" }\n"
        "database \"crm\" { }\n"
        "/* two\n   lines */ workers = 3 # three\n"
        "log_level = \"debug\"  max_rewrite_size = 4096\n");
    assert_int_equal(settings->listener_count, 3);
    assert_string_equal(settings->listeners[1].address, "::1");
    assert_int_equal(settings->listeners[1].shape, SHAPE_NEW);
    assert_int_equal(settings->admin.http_port, 6480);
    assert_string_equal(settings->admin.address, "::1");
    assert_int_equal(settings->admin.auth, AUTH_TRUST);
    assert_string_equal(settings->upstream.host, "/var/run/postgresql");
    assert_int_equal(settings->database_count, 2);
    assert_string_equal(settings->databases[0].control_password_file, "/etc/pw");
    assert_string_equal(settings->databases[1].control_user, "segue");
    assert_null(settings->databases[1].control_password_file);
    assert_int_equal(settings->workers, 3);
    assert_int_equal(settings->log_level, LOG_DEBUG);
    assert_int_equal(settings->max_rewrite_size, 4096);
    settings_put(settings);
}

static void names_file_line_and_nearest_for_an_unknown_key(void **state)
{
    (void)state;
    struct error error = {0};
    assert_null(settings_parse(LISTEN "\nadmin {\n  prot = 1\n}\n", "a.conf", &error));
    assert_string_equal(error.message, "a.conf:4: unknown setting \"prot\" in section admin");
    assert_string_equal(error.detail,
                        "Expected one of: unix_socket_dir, address, port, users_file, auth_type, "
                        "tls_sslmode, tls_cert_file, tls_key_file, tls_ca_file, tls_crl_file, "
                        "http_port.");
    assert_string_equal(error.hint, "Did you mean \"port\"?");
    fails_with("\n\nwrokers = 2\n" LISTEN, "segue.conf:3: unknown setting \"wrokers\"");
    fails_with("lisen \"x\" { }", "segue.conf:1: unknown setting \"lisen\"");
}

static void says_what_was_expected_of_a_value(void **state)
{
    (void)state;
    fails_with(LISTEN "workers = many",
               "segue.conf:2: workers = \"many\": expected a whole number from 0 to 256");
    fails_with(LISTEN "workers = 257",
               "segue.conf:2: workers = \"257\": expected a whole number from 0 to 256");
    fails_with(LISTEN "workers = 99999999999999999999999",
               "segue.conf:2: workers = \"99999999999999999999999\": expected a whole number from "
               "0 to 256");
    fails_with("listen \"x\" {\n port = 70000 }",
               "segue.conf:2: port = \"70000\": expected a whole number from 1 to 65535");
    fails_with("listen \"x\" {\n\n shape = \"newer\" }",
               "segue.conf:3: shape = \"newer\": expected old or new");
    fails_with("listen \"x\" {\n address = \"localhost\" }",
               "segue.conf:2: address = \"localhost\": expected an IP address, or the full path of "
               "a directory");
    fails_with(LISTEN "log_level = loud",
               "segue.conf:2: log_level = \"loud\": expected debug, info, warning or error");
    fails_with(LISTEN "upstream { host = \"\" }",
               "segue.conf:2: host = \"\": expected a string that is not empty");
}

static void finds_what_is_not_closed(void **state)
{
    (void)state;
    fails_with(LISTEN "\nupstream {\n host = \"a\"\n",
               "segue.conf:3: the section that begins here is not closed");
    fails_with(LISTEN "upstream { host = \"a }\n",
               "segue.conf:2: the string that begins here is not closed");
    fails_with("/* oh\n" LISTEN, "segue.conf:1: the comment that begins here is not closed");
    fails_with(LISTEN "}", "segue.conf:2: unexpected }");
}

/* libconfuse's lexer would stay inside the string, or give up in the middle of it. */
static void a_failed_parse_leaves_the_next_one_alone(void **state)
{
    (void)state;
    fails_with("workers = 'a", "segue.conf:1: the string that begins here is not closed");
    settings_put(parsed(LISTEN));
    fails_with("workers = \"a\\400\"", "segue.conf:1: \\4 in a string");
    settings_put(parsed(LISTEN));
    fails_with("workers = { 1 }", "segue.conf:1: unexpected token '{'");
    settings_put(parsed(LISTEN));
    fails_with("workers", "segue.conf:1: premature end of file");
    settings_put(parsed(LISTEN));
    settings_put(parsed("#\n/**/" LISTEN "//"));
}

static void refuses_what_only_the_whole_can_tell(void **state)
{
    (void)state;
    fails_with("workers = 2", "segue.conf: no port to listen at");
    fails_with("listen \"x\" { }",
               "segue.conf:1: section listen \"x\" lacks port: expected port = 1 .. 65535");
    fails_with("listen \"\" { port = 3 }",
               "segue.conf:1: section listen needs a name that is not empty");
    fails_with(LISTEN LISTEN, "segue.conf:2: found duplicate title 'old'");
    fails_with(LISTEN "listen \"b\" { port = 6432 }",
               "segue.conf: listen \"old\" and listen \"b\" both have 127.0.0.1 port 6432");
    fails_with(LISTEN "admin { address = \"127.0.0.1\" port = 6432 }",
               "segue.conf: listen \"old\" and admin both have 127.0.0.1 port 6432");
    fails_with(
        "listen \"l\" { address = \"/run/x\" port = 6430 } admin { unix_socket_dir = /run/x }",
        "segue.conf: listen \"l\" and admin both have /run/x port 6430");
}

/* Only what lets nobody in unknown: users at an address, TLS where others can reach it. */
static void an_admin_address_needs_users_and_one_for_others_tls(void **state)
{
    (void)state;
#define USERS "users_file = \"/u\" "
#define TLS   "tls_cert_file = \"/c\" tls_key_file = \"/k\" "
    static const char *const good[] = {
        "",
        "address = \"127.0.0.2\" auth_type = \"trust\"",
        "address = \"::1\" " USERS,
        "address = \"127.0.0.1\" tls_sslmode = \"disable\" " USERS,
        "address = \"0.0.0.0\" " USERS TLS,
        "address = \"10.0.0.1\" auth_type = \"trust\" port = 0",
    };
    static const char *const bad[] = {
        "unix_socket_dir = \"\"",
        "address = \"127.0.0.1\"",
        "address = \"127.0.0.1\" tls_sslmode = \"require\" " USERS,
        "address = \"10.0.0.1\" auth_type = \"trust\" " USERS TLS,
        "address = \"::\" " TLS,
        "address = \"::\" " USERS,
        "address = \"::ffff:127.0.0.1\" auth_type = \"trust\"",
        "address = \"::\" tls_sslmode = \"disable\" " USERS TLS,
    };
    char text[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, LISTEN "admin { %s }", good[i]);
        settings_put(parsed(text));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error error = {0};
        snprintf(text, sizeof text, LISTEN "admin { %s }", bad[i]);
        if (settings_parse(text, "segue.conf", &error))
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(error.sqlstate, "F0000");
        assert_true(error.hint[0] != '\0');
    }
}

static void reads_lists_of_hosts(void **state)
{
    (void)state;
    struct settings *settings = parsed(LISTEN "upstream { host = \"a,::1,@s\" port = \"1,2,3\" "
                                              "target_session_attrs = \"prefer-standby\" }");
    assert_int_equal(settings->upstream.host_count, 3);
    assert_string_equal(settings->upstream.hosts[1].name, "::1");
    assert_int_equal(settings->upstream.hosts[2].port, 3);
    assert_int_equal(settings->upstream.target, TARGET_PREFER_STANDBY);
    settings_put(settings);
    settings = parsed(LISTEN "upstream { host = \"a,b\" port = 7 }");
    assert_int_equal(settings->upstream.hosts[1].port, 7);
    settings_put(settings);
    fails_with(LISTEN "upstream { host = \"a,b,c\" port = \"1,2\" }",
               "segue.conf: upstream has 3 hosts and 2 ports: expected one port for all, or one "
               "for each");
    fails_with(LISTEN "upstream { host = \"a,,c\" }",
               "segue.conf: a host of upstream is empty: host = \"a,,c\"");
    fails_with(LISTEN "upstream { port = \"1,x\" }",
               "segue.conf:2: port = \"1,x\": expected a whole number from 1 to 65535, or a list "
               "such as \"5432,5433\"");
}

static void takes_environment_variables_in_strings(void **state)
{
    (void)state;
    setenv("SEGUE_TEST_HOST", "db.example", 1);
    struct settings *settings = parsed(LISTEN "upstream { host = \"${SEGUE_TEST_HOST}\" }");
    assert_string_equal(settings->upstream.host, "db.example");
    settings_put(settings);
}

static void a_missing_file_is_an_error_with_its_name(void **state)
{
    (void)state;
    struct error error = {0};
    assert_null(settings_load("/nonexistent/segue.conf", &error));
    assert_string_equal(error.message,
                        "cannot open /nonexistent/segue.conf: No such file or directory");
    assert_null(settings_load("/", &error));
    assert_string_equal(error.sqlstate, "58030");
}

/* What libpq itself reads back is what was meant, quotes and backslashes included. */
static void conninfo_survives_libpq(void **state)
{
    (void)state;
    struct settings *settings =
        parsed(LISTEN "upstream { host = \"/tmp/a b\" port = 5555 }\n"
                      "database \"o'clock\\\\ x\" { control_user = \"a b\" "
                      "control_password_file = \"/etc/segue/pass\" }\nserver_connect_timeout = 7");
    char *conninfo = settings_control_conninfo(settings, "o'clock\\ x");
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);
    assert_non_null(options);
    int seen = 0;
    for (PQconninfoOption *o = options; o->keyword; o++) {
        const char *expected = strcmp(o->keyword, "host") == 0              ? "/tmp/a b"
                               : strcmp(o->keyword, "port") == 0            ? "5555"
                               : strcmp(o->keyword, "dbname") == 0          ? "o'clock\\ x"
                               : strcmp(o->keyword, "user") == 0            ? "a b"
                               : strcmp(o->keyword, "passfile") == 0        ? "/etc/segue/pass"
                               : strcmp(o->keyword, "connect_timeout") == 0 ? "7"
                                                                            : NULL;
        if (expected) {
            assert_string_equal(o->val, expected);
            seen++;
        }
    }
    assert_int_equal(seen, 6);
    PQconninfoFree(options);
    free(conninfo);
    settings_put(settings);
}

/* ---- the shipped files ---- */

static char *shipped(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/conf/%s", SEGUE_SOURCE_DIR, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    struct text content;
    text_init(&content, TEXT_UNBOUNDED);
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        text_add(&content, chunk, got);
    fclose(file);
    return text_take(&content);
}

struct shown {
    const char *file;
    size_t count;
};

static void is_in_the_file_with_its_default(void *context, const struct settings_item *item)
{
    struct shown *shown = context;
    shown->count++;
    char assignment[128];
    snprintf(assignment, sizeof assignment, "%s = ", item->name);
    if (!strstr(shown->file, assignment))
        fail_msg("conf/segue.conf does not explain %s", item->name);
    bool exemplary = item->title || *item->section; /* examples may differ from defaults there */
    if (!exemplary && strcmp(item->name, "workers") != 0)
        assert_string_equal(item->value, item->fallback);
}

static void the_shipped_file_explains_every_setting(void **state)
{
    (void)state;
    char *text = shipped("segue.conf");
    struct settings *settings = parsed(text);
    struct shown shown = {.file = text};
    settings_each(settings, is_in_the_file_with_its_default, &shown);
    assert_true(shown.count >= 24);
    settings_put(settings);
    free(text);
}

static void the_minimal_file_is_enough(void **state)
{
    (void)state;
    char *text = shipped("segue-minimal.conf");
    struct settings *settings = parsed(text);
    assert_int_equal(settings->listener_count, 2);
    assert_int_equal(settings->database_count, 1);
    settings_put(settings);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_defaults),
        cmocka_unit_test(reads_every_section),
        cmocka_unit_test(names_file_line_and_nearest_for_an_unknown_key),
        cmocka_unit_test(says_what_was_expected_of_a_value),
        cmocka_unit_test(finds_what_is_not_closed),
        cmocka_unit_test(a_failed_parse_leaves_the_next_one_alone),
        cmocka_unit_test(refuses_what_only_the_whole_can_tell),
        cmocka_unit_test(reads_lists_of_hosts),
        cmocka_unit_test(an_admin_address_needs_users_and_one_for_others_tls),
        cmocka_unit_test(takes_environment_variables_in_strings),
        cmocka_unit_test(a_missing_file_is_an_error_with_its_name),
        cmocka_unit_test(conninfo_survives_libpq),
        cmocka_unit_test(the_shipped_file_explains_every_setting),
        cmocka_unit_test(the_minimal_file_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
