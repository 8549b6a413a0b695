/*
 * Sessions between a client and a server that the test itself plays, over Unix sockets: one worker,
 * no PostgreSQL.
 */
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

static struct sockaddr_un name_of(const char *directory)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/.s.PGSQL.%d", directory, PORT);
    return name;
}

static void start(struct fixture *fixture, const char *more_settings)
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

static void stop(struct fixture *fixture)
{
    worker_stop(fixture->worker, WORKER_ENDS);
    worker_join(fixture->worker);
    settings_put(fixture->settings);
    if (fixture->listening >= 0)
        close(fixture->listening);
    unlink(fixture->server_path);
    assert_return_code(rmdir(fixture->server_directory), errno);
    assert_return_code(rmdir(fixture->proxy_directory), errno); /* the proxy's socket is gone */
}

static int connect_client(struct fixture *fixture)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = name_of(fixture->proxy_directory);
    assert_return_code(connect(fd, (struct sockaddr *)&name, sizeof name), errno);
    return fd;
}

static void await(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

static int accept_server(struct fixture *fixture)
{
    await(fixture->listening, POLLIN);
    int fd = accept(fixture->listening, NULL, NULL);
    assert_return_code(fd, errno);
    return fd;
}

static void send_all(int fd, const void *data, size_t length)
{
    assert_int_equal(send(fd, data, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void send_text(int fd, struct text *text)
{
    send_all(fd, text->data, text->length);
    text_clear(text);
}

/* Exactly these bytes are what comes next. */
static void expect(int fd, const void *expected, size_t length)
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

static void expect_end(int fd)
{
    char byte;
    await(fd, POLLIN);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* An ErrorResponse with this SQLSTATE, and then the end. */
static void expect_fatal(int fd, const char *sqlstate)
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

static void write_startup(struct text *out, const char *database, const char *options)
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
static void log_in(struct fixture *fixture, int *client, int *server)
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

static void close_both(int client, int server)
{
    close(client);
    close(server);
}

/* ---------------------------------------------------------------- login */

static void encryption_is_declined_once_each(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    const uint8_t ssl[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
    const uint8_t gss[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30};
    int client = connect_client(&fixture);
    for (size_t i = 0; i < sizeof gss; i++) /* cut at every byte */
        send_all(client, gss + i, 1);
    expect(client, "N", 1);
    send_all(client, ssl, sizeof ssl);
    expect(client, "N", 1);
    send_all(client, ssl, sizeof ssl);
    expect_fatal(client, "08P01");
    close(client);
    stop(&fixture);
}

static void bytes_behind_an_encryption_request_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    const uint8_t stuffed[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f, 0, 0, 0, 50};
    int client = connect_client(&fixture);
    send_all(client, stuffed, sizeof stuffed);
    expect_fatal(client, "08P01");
    close(client);
    stop(&fixture);
}

static void a_server_that_is_not_there_is_told_and_its_return_noticed(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    struct text startup;
    text_init(&startup, TEXT_UNBOUNDED);
    write_startup(&startup, "other", NULL);
    assert_return_code(unlink(fixture.server_path), errno);
    int client = connect_client(&fixture);
    send_all(client, startup.data, startup.length);
    expect_fatal(client, "08006");
    close(client);
    close(fixture.listening);
    struct sockaddr_un name = name_of(fixture.server_directory);
    fixture.listening = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_return_code(bind(fixture.listening, (struct sockaddr *)&name, sizeof name), errno);
    assert_return_code(listen(fixture.listening, 10), errno);
    int server;
    log_in(&fixture, &client, &server);
    close_both(client, server);
    text_release(&startup);
    stop(&fixture);
}

static void a_database_whose_transitions_are_not_loaded_waits_with_57P03(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "database \"shop\" { }");
    struct text startup;
    text_init(&startup, TEXT_UNBOUNDED);
    write_startup(&startup, "shop", NULL);
    int client = connect_client(&fixture);
    send_text(client, &startup);
    int server = accept_server(&fixture);
    expect_fatal(client, "57P03");
    expect_end(server);
    close_both(client, server);
    write_startup(&startup, "shop", "-c geqo=off -c segue.shape=no\\ such"); /* escaped blank */
    client = connect_client(&fixture);
    send_text(client, &startup);
    expect_fatal(client, "22023");
    close(client);
    text_release(&startup);
    stop(&fixture);
}

static void one_client_too_many_is_told(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "max_client_conn = 1");
    int client, server;
    log_in(&fixture, &client, &server);
    struct text startup;
    text_init(&startup, TEXT_UNBOUNDED);
    write_startup(&startup, "other", NULL);
    int second = connect_client(&fixture);
    send_text(second, &startup);
    expect_fatal(second, "53300");
    close(second);
    text_release(&startup);
    close_both(client, server);
    stop(&fixture);
}

static void a_client_that_does_not_log_in_is_sent_away(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "client_login_timeout = 1");
    int client = connect_client(&fixture);
    send_all(client, "\0\0", 2);
    expect_fatal(client, "08006");
    close(client);
    stop(&fixture);
}

static void a_cancel_request_reaches_the_server_and_ends_when_the_server_closes(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    const uint8_t cancel[] = {0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 42, 0, 0, 0, 43};
    int client = connect_client(&fixture);
    send_all(client, cancel, sizeof cancel);
    int server = accept_server(&fixture);
    expect(server, cancel, sizeof cancel);
    struct pollfd quiet = {.fd = client, .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 50), 0); /* not before */
    close(server);
    expect_end(client);
    close(client);
    stop(&fixture);
}

/* ---------------------------------------------------------------- relay */

static void write_requests(struct text *out)
{
    const uint8_t types[] = {0, 1, 0, 0, 0, 23};
    wire_write_query(out, SLICE("SELECT 1"));
    wire_write_parse(out, "s", SLICE("SELECT $1"), types, sizeof types);
    wire_write_bind(out, "p", "s");
    wire_write_execute(out, "p");
    wire_write_close(out, 'S', "s");
    wire_write_sync(out);
}

static void write_replies(struct text *out)
{
    const struct wire_column column = {"one", 23};
    const char *const values[] = {"1"};
    wire_write_row_description(out, &column, 1);
    wire_write_data_row(out, values, 1);
    wire_write_command_complete(out, "SELECT 1");
    wire_write_ready_for_query(out, 'I');
    wire_end(out, wire_begin(out, '1'));
    wire_end(out, wire_begin(out, '2'));
    wire_write_data_row(out, values, 1);
    wire_write_notice(out, "NOTICE", "00000", "in between");
    wire_write_command_complete(out, "SELECT 1");
    wire_end(out, wire_begin(out, '3'));
    wire_write_ready_for_query(out, 'I');
}

static void messages_cut_at_every_byte_arrive_unchanged(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "database \"other\" { }");
    struct snapshot *snapshot = snapshot_new(1, NULL, NULL, 0);
    worker_publish(fixture.worker, 0, snapshot);
    snapshot_put(snapshot);
    for (int i = 0; worker_oldest_serial(fixture.worker, 0) == 0 && i < PATIENCE_MS; i++)
        poll(NULL, 0, 1);
    int client, server;
    log_in(&fixture, &client, &server);
    struct text requests, replies;
    text_init(&requests, TEXT_UNBOUNDED);
    text_init(&replies, TEXT_UNBOUNDED);
    write_requests(&requests);
    write_replies(&replies);
    for (size_t cut = 1; cut < requests.length || cut < replies.length; cut++) {
        size_t first = cut < requests.length ? cut : requests.length;
        send_all(client, requests.data, first);
        if (first < requests.length)
            poll(NULL, 0, 1); /* so that the two parts are two reads */
        send_all(client, requests.data + first, requests.length - first);
        expect(server, requests.data, requests.length);
        first = cut < replies.length ? cut : replies.length;
        send_all(server, replies.data, first);
        if (first < replies.length)
            poll(NULL, 0, 1);
        send_all(server, replies.data + first, replies.length - first);
        expect(client, replies.data, replies.length);
    }
    text_release(&requests);
    text_release(&replies);
    close_both(client, server);
    stop(&fixture);
}

static void a_client_that_has_said_all_still_gets_its_answer(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    int client, server;
    log_in(&fixture, &client, &server);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    wire_write_query(&text, SLICE("SELECT 1"));
    size_t length = text.length;
    send_all(client, text.data, length);
    assert_return_code(shutdown(client, SHUT_WR), errno);
    expect(server, text.data, length);
    expect_end(server);
    text_clear(&text);
    wire_write_command_complete(&text, "SELECT 1");
    wire_write_ready_for_query(&text, 'I');
    send_all(server, text.data, text.length);
    close(server);
    expect(client, text.data, text.length);
    expect_end(client);
    close(client);
    text_release(&text);
    stop(&fixture);
}

static void nonsense_reaches_the_server_as_its_header_only(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    int client, server;
    log_in(&fixture, &client, &server);
    const uint8_t bad[] = {'Q', 0, 0, 0, 3, 'x', 'y', 'z', 'Q', 0, 0, 0, 5, 0};
    send_all(client, bad, sizeof bad);
    expect(server, bad, 5);
    struct pollfd quiet = {.fd = server, .events = POLLIN};
    assert_int_equal(poll(&quiet, 1, 50), 0);
    close(server); /* as PostgreSQL does */
    expect_end(client);
    close(client);
    stop(&fixture);
}

/* Writes until the proxy takes no more; gives how many bytes it took. */
static size_t flood(int fd, const char *block, size_t length, size_t enough)
{
    size_t taken = 0;
    while (taken < enough) {
        ssize_t part = send(fd, block, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (part < 0) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            if (poll(&room, 1, 200) == 0)
                return taken;
            continue;
        }
        taken += (size_t)part;
    }
    return taken;
}

static void a_slow_reader_stops_its_producer_and_only_that(void **state)
{
    (void)state;
    enum { BLOCK = 8192, ENOUGH = 64 * 1024 * 1024 };
    struct fixture fixture;
    start(&fixture, "");
    int client, server;
    log_in(&fixture, &client, &server);
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    wire_write_query(&query, SLICE("SELECT 1"));
    send_all(client, query.data, query.length);
    expect(server, query.data, query.length);
    /* One DataRow of ENOUGH bytes, streamed by a server while the client does not read. */
    uint8_t header[5] = {'D', 0, 0, 0, 0};
    uint32_t counted = ENOUGH + 4;
    for (int i = 0; i < 4; i++)
        header[1 + i] = (uint8_t)(counted >> (24 - 8 * i));
    send_all(server, header, sizeof header);
    char block[BLOCK];
    memset(block, 'x', sizeof block);
    size_t taken = flood(server, block, sizeof block, ENOUGH);
    assert_true(taken < 4 * 1024 * 1024);
    /* The other direction is open all the while. */
    send_all(client, query.data, query.length);
    expect(server, query.data, query.length);
    /* And everything arrives once the client reads. */
    expect(client, header, sizeof header);
    for (size_t read = 0, sent = taken; read < ENOUGH;) {
        if (sent < ENOUGH) {
            size_t part = ENOUGH - sent < BLOCK ? ENOUGH - sent : BLOCK;
            ssize_t more = send(server, block, part, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += more > 0 ? (size_t)more : 0;
        }
        char got[4 * BLOCK];
        ssize_t part = recv(client, got, sizeof got, sent < ENOUGH ? MSG_DONTWAIT : 0);
        assert_true(part > 0 || (part < 0 && errno == EAGAIN));
        read += part > 0 ? (size_t)part : 0;
    }
    text_release(&query);
    close_both(client, server);
    stop(&fixture);
}

/* ---------------------------------------------------------------- the end */

static void draining_ends_the_idle_and_lets_a_transaction_end(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    int idle, idle_server, busy, busy_server;
    log_in(&fixture, &idle, &idle_server);
    log_in(&fixture, &busy, &busy_server);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    wire_write_query(&text, SLICE("BEGIN"));
    send_all(busy, text.data, text.length);
    expect(busy_server, text.data, text.length);
    text_clear(&text);
    wire_write_command_complete(&text, "BEGIN");
    wire_write_ready_for_query(&text, 'T');
    send_all(busy_server, text.data, text.length);
    expect(busy, text.data, text.length);

    worker_stop(fixture.worker, WORKER_DRAINS);
    expect_fatal(idle, "57P01");
    text_clear(&text);
    wire_write_query(&text, SLICE("COMMIT"));
    send_all(busy, text.data, text.length);
    expect(busy_server, text.data, text.length);
    text_clear(&text);
    wire_write_command_complete(&text, "COMMIT");
    wire_write_ready_for_query(&text, 'I');
    send_all(busy_server, text.data, text.length);
    expect(busy, text.data, text.length);
    expect_fatal(busy, "57P01");
    text_release(&text);
    close_both(idle, idle_server);
    close_both(busy, busy_server);
    stop(&fixture);
}

static void clients_are_described(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    int client, server;
    log_in(&fixture, &client, &server);
    size_t count;
    struct worker_client *clients = worker_clients(fixture.worker, &count);
    assert_int_equal(count, 1);
    assert_string_equal(clients[0].user, "alice");
    assert_string_equal(clients[0].database, "other");
    assert_string_equal(clients[0].shape, "old");
    assert_string_equal(clients[0].state, "idle");
    assert_int_equal(clients[0].server_pid, 42);
    worker_clients_free(clients, count);
    close_both(client, server);
    stop(&fixture);
}

static void a_second_listener_on_the_same_path_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, "");
    struct error error;
    assert_null(worker_start(fixture.settings, 0, NULL, NULL, &error));
    assert_string_equal(error.sqlstate, "55006");
    int client, server;
    log_in(&fixture, &client, &server); /* the first one still listens */
    close_both(client, server);
    stop(&fixture);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encryption_is_declined_once_each),
        cmocka_unit_test(bytes_behind_an_encryption_request_are_refused),
        cmocka_unit_test(a_server_that_is_not_there_is_told_and_its_return_noticed),
        cmocka_unit_test(a_database_whose_transitions_are_not_loaded_waits_with_57P03),
        cmocka_unit_test(one_client_too_many_is_told),
        cmocka_unit_test(a_client_that_does_not_log_in_is_sent_away),
        cmocka_unit_test(a_cancel_request_reaches_the_server_and_ends_when_the_server_closes),
        cmocka_unit_test(messages_cut_at_every_byte_arrive_unchanged),
        cmocka_unit_test(a_client_that_has_said_all_still_gets_its_answer),
        cmocka_unit_test(nonsense_reaches_the_server_as_its_header_only),
        cmocka_unit_test(a_slow_reader_stops_its_producer_and_only_that),
        cmocka_unit_test(draining_ends_the_idle_and_lets_a_transaction_end),
        cmocka_unit_test(clients_are_described),
        cmocka_unit_test(a_second_listener_on_the_same_path_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
