/*
 * A stage for sessions between a client and a server that the test itself plays, over Unix sockets:
 * one worker, no PostgreSQL.
 */
#ifndef SEGUE_TESTS_SESSION_STAGE_H
#define SEGUE_TESTS_SESSION_STAGE_H

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/session/worker.h"
#include "segue/wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { PORT = 5432, PATIENCE_MS = 10000 };

struct fixture {
    char proxy_directory[64], server_directory[64], server_path[112];
    int listening; /* the server's */
    struct settings *settings;
    struct worker *worker;
};

static inline struct sockaddr_un name_of(const char *directory)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/.s.PGSQL.%d", directory, PORT);
    return name;
}

static inline void start(struct fixture *fixture, const char *more_settings)
{
    *fixture = (struct fixture){.listening = -1};
    snprintf(fixture->proxy_directory, sizeof fixture->proxy_directory, "/tmp/segue-test-XXXXXX");
    snprintf(fixture->server_directory, sizeof fixture->server_directory, "/tmp/segue-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->proxy_directory));
    assert_non_null(mkdtemp(fixture->server_directory));
    struct sockaddr_un name = name_of(fixture->server_directory);
    snprintf(fixture->server_path, sizeof fixture->server_path, "%s", name.sun_path);
    fixture->listening = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_return_code(bind(fixture->listening, (struct sockaddr *)&name, sizeof name), errno);
    assert_return_code(listen(fixture->listening, 10), errno);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_format(&text,
                    "listen \"old\" { address = \"%s\" port = %d shape = \"old\" }\n"
                    "upstream { host = \"%s\" port = %d }\n"
                    "workers = 1\n%s\n",
                    fixture->proxy_directory, PORT, fixture->server_directory, PORT, more_settings);
    struct error error;
    fixture->settings = settings_parse(text.data, "test", &error);
    if (!fixture->settings)
        fail_msg("%s", error.message);
    text_release(&text);
    fixture->worker = worker_start(fixture->settings, 0, NULL, NULL, &error);
    if (!fixture->worker)
        fail_msg("%s", error.message);
    worker_accept(fixture->worker);
}

static inline void stop(struct fixture *fixture)
{
    worker_stop(fixture->worker, WORKER_ENDS);
    worker_join(fixture->worker);
    worker_free(fixture->worker);
    settings_put(fixture->settings);
    if (fixture->listening >= 0)
        close(fixture->listening);
    unlink(fixture->server_path);
    assert_return_code(rmdir(fixture->server_directory), errno);
    assert_return_code(rmdir(fixture->proxy_directory), errno); /* the proxy's socket is gone */
}

static inline int connect_client(struct fixture *fixture)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = name_of(fixture->proxy_directory);
    assert_return_code(connect(fd, (struct sockaddr *)&name, sizeof name), errno);
    return fd;
}

static inline void await(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

static inline int accept_server(struct fixture *fixture)
{
    await(fixture->listening, POLLIN);
    int fd = accept(fixture->listening, NULL, NULL);
    assert_return_code(fd, errno);
    return fd;
}

static inline void send_all(int fd, const void *data, size_t length)
{
    assert_int_equal(send(fd, data, length, MSG_NOSIGNAL), (ssize_t)length);
}

static inline void send_text(int fd, struct text *text)
{
    send_all(fd, text->data, text->length);
    text_clear(text);
}

/* Exactly these bytes are what comes next. */
static inline void expect(int fd, const void *expected, size_t length)
{
    char *got = memory_get(length);
    for (size_t have = 0; have < length;) {
        await(fd, POLLIN);
        ssize_t part = recv(fd, got + have, length - have, 0);
        assert_true(part > 0);
        have += (size_t)part;
    }
    assert_memory_equal(got, expected, length);
    free(got);
}

static inline void expect_end(int fd)
{
    char byte;
    await(fd, POLLIN);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* An ErrorResponse with this SQLSTATE, and then the end. */
static inline void expect_fatal(int fd, const char *sqlstate)
{
    uint8_t got[4096];
    size_t have = 0;
    for (;;) {
        await(fd, POLLIN);
        ssize_t part = recv(fd, got + have, sizeof got - have, 0);
        assert_true(part >= 0);
        if (part == 0)
            break;
        have += (size_t)part;
    }
    assert_true(have > 5);
    assert_int_equal(got[0], 'E');
    assert_string_equal(wire_error_field(got + 5, have - 5, 'C'), sqlstate);
    assert_string_equal(wire_error_field(got + 5, have - 5, 'V'), "FATAL");
}

static inline void write_startup(struct text *out, const char *database, const char *options)
{
    size_t begun = wire_begin(out, 0);
    wire_add_int32(out, 196608);
    wire_add_cstring(out, "user");
    wire_add_cstring(out, "alice");
    wire_add_cstring(out, "database");
    wire_add_cstring(out, database);
    if (options) {
        wire_add_cstring(out, "options");
        wire_add_cstring(out, options);
    }
    text_add_char(out, '\0');
    wire_end(out, begun);
}

/* Logged in, on both sides. */
static inline void log_in(struct fixture *fixture, int *client, int *server)
{
    struct text startup, answer;
    text_init(&startup, TEXT_UNBOUNDED);
    text_init(&answer, TEXT_UNBOUNDED);
    write_startup(&startup, "other", NULL);
    *client = connect_client(fixture);
    send_all(*client, startup.data, startup.length);
    *server = accept_server(fixture);
    expect(*server, startup.data, startup.length);
    wire_write_authentication_ok(&answer);
    wire_write_parameter_status(&answer, "client_encoding", "UTF8");
    wire_write_backend_key(&answer, 42, 43);
    wire_write_ready_for_query(&answer, 'I');
    send_all(*server, answer.data, answer.length);
    expect(*client, answer.data, answer.length);
    text_release(&startup);
    text_release(&answer);
}

static inline void close_both(int client, int server)
{
    close(client);
    close(server);
}

#endif
