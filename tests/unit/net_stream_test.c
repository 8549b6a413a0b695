#include "segue/net/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void on_closed(struct stream *stream)
{
    *(bool *)stream->owner = true;
}

static int option_of(const struct stream *stream, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(stream->socket, level, option, &value, &size), 0);
    return value;
}

static void with_stream(const struct stream_tcp *tcp, void check(const struct stream *stream))
{
    static const struct stream_events events = {.on_closed = on_closed};
    uv_loop_t loop;
    struct stream_pool pool;
    struct stream stream;
    bool closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    stream_pool_init(&pool, &loop);
    if (tcp)
        pool.tcp = *tcp;
    stream_init_tcp(&stream, &loop, &pool, &events, &closed);
    assert_int_equal(uv_tcp_open(&stream.tcp, socket(AF_INET, SOCK_STREAM, 0)), 0);
    stream_connected(&stream);
    check(&stream);
    stream_close(&stream);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(closed);
    stream_pool_release(&pool);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void is_watched_as_it_was_told(const struct stream *stream)
{
    assert_int_equal(option_of(stream, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_KEEPIDLE), 11);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_KEEPINTVL), 12);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_KEEPCNT), 13);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_USER_TIMEOUT), 14000);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_NODELAY), 1);
}

static void is_not_watched(const struct stream *stream)
{
    assert_int_equal(option_of(stream, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_NODELAY), 1);
}

static void is_as_the_system_has_it(const struct stream *stream)
{
    int fresh = socket(AF_INET, SOCK_STREAM, 0), idle;
    socklen_t size = sizeof idle;
    assert_int_equal(getsockopt(fresh, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size), 0);
    close(fresh);
    assert_int_equal(option_of(stream, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(stream, IPPROTO_TCP, TCP_KEEPIDLE), idle);
}

static void tcp_settings_reach_the_socket(void **state)
{
    (void)state;
    const struct stream_tcp all = {true, 11, 12, 13, 14000};
    with_stream(&all, is_watched_as_it_was_told);
    const struct stream_tcp off = {.keepalive = false, .keepidle = 11};
    with_stream(&off, is_not_watched);
    const struct stream_tcp plain = {.keepalive = true};
    with_stream(&plain, is_as_the_system_has_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_settings_reach_the_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
