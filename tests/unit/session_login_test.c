/* The way into a session: encryption, the server that is not there, who is sent away, cancel. */
#include "session_stage.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
