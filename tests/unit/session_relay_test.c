/* What a session relays, and how it ends. */
#include "session_stage.h"

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
