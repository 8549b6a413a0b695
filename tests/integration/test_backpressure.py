"""A peer that does not read is waited for, with a bounded amount of its bytes in memory."""

import threading
import time

import pytest

import wire

ROOM_KILOBYTES = 24 * 1024  # what the proxy may grow by while hundreds of megabytes wait


@pytest.fixture
def proxy(make_segue):
    """A proxy of the test's own, so that its memory is the test's alone."""
    return make_segue()


def grown(proxy, before):
    return proxy.resident_kilobytes() - before


def slow_connection(proxy):
    connection = wire.Connection(proxy.old_port, timeout=60, receive_buffer=64 * 1024)
    connection.login("alice", "postgres")
    return connection


def test_a_client_that_stops_reading_costs_no_memory_and_disturbs_no_one(proxy):
    with slow_connection(proxy) as lazy, proxy.raw() as busy:
        busy.query("SELECT repeat('x', 1000000)")
        before = proxy.resident_kilobytes()
        # 300 MB of small rows, none of them read for a while
        lazy.send(wire.query("SELECT repeat('x', 3000) FROM generate_series(1, 100000)"))
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert busy.rows("SELECT 1") == [["1"]]
            assert grown(proxy, before) < ROOM_KILOBYTES
        rows = 0
        while (message := lazy.read()).kind != b"Z":
            rows += message.kind == b"D"
        assert rows == 100_000
        assert grown(proxy, before) < ROOM_KILOBYTES


def test_one_huge_row_for_a_client_that_stops_reading_streams_through(proxy):
    with slow_connection(proxy) as lazy:
        before = proxy.resident_kilobytes()
        lazy.send(wire.query("SELECT repeat('x', 100000000)"))
        time.sleep(2)
        assert grown(proxy, before) < ROOM_KILOBYTES
        messages = lazy.read_until()
        assert len(messages[1].row()[0]) == 100_000_000
        assert grown(proxy, before) < ROOM_KILOBYTES


def test_a_huge_parameter_for_a_busy_server_waits_in_the_clients_socket(proxy):
    with proxy.raw(timeout=60) as connection:
        before = proxy.resident_kilobytes()
        value = b"y" * 100_000_000
        sender = threading.Thread(
            target=connection.send,
            args=(wire.query("SELECT pg_sleep(1.5)") + wire.parse("SELECT length($1::text)")
                  + wire.bind([value]) + wire.execute() + wire.sync(),),
        )
        sender.start()
        time.sleep(1)
        assert grown(proxy, before) < ROOM_KILOBYTES
        messages = connection.read_until(count=2)
        sender.join()
        assert messages[-3].row() == [b"100000000"]
        assert grown(proxy, before) < ROOM_KILOBYTES


def test_pitfall_42_a_client_that_sends_far_ahead_of_reading_is_not_deadlocked(proxy):
    """
    More than 100 MB of queries pipelined, their answers as large, both directions full: the client
    reads nothing until it has sent a good part, then both slowly.
    """
    count, size = 2000, 60_000
    with slow_connection(proxy) as connection:
        before = proxy.resident_kilobytes()
        most = [0]
        problems = []

        def send():
            try:
                for i in range(count):
                    connection.send(wire.query(f"SELECT '{i:06}{'z' * size}'"))
            except OSError as problem:
                problems.append(problem)

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(1.5)  # by now both directions stand still
        most[0] = max(most[0], grown(proxy, before))
        for i in range(count):
            messages = connection.read_until()
            assert messages[1].row()[0][:6] == b"%06d" % i
            if i % 50 == 0:
                most[0] = max(most[0], grown(proxy, before))
                time.sleep(0.01)
        sender.join()
        assert problems == []
        assert most[0] < ROOM_KILOBYTES


def test_copy_in_faster_than_the_server_takes_it_is_bounded(proxy):
    line = b"c" * 999 + b"\n"
    with proxy.raw(timeout=60) as connection:
        connection.query("CREATE TEMP TABLE sink (a text)")
        before = proxy.resident_kilobytes()
        connection.send(wire.query("COPY sink FROM STDIN"))
        connection.read_until(b"G")
        chunk = wire.copy_data(line * 64)
        for _ in range(1600):  # 100 MB
            connection.send(chunk)
        most = grown(proxy, before)
        connection.send(wire.copy_done())
        connection.read_until()
        assert connection.rows("SELECT count(*) FROM sink") == [["102400"]]
        assert most < ROOM_KILOBYTES


@pytest.mark.long
def test_fifty_clients_that_stop_reading_cost_a_bounded_buffer_each(proxy):
    before = proxy.resident_kilobytes()
    clients = [slow_connection(proxy) for _ in range(50)]
    for client in clients:
        client.send(wire.query("SELECT repeat('x', 3000) FROM generate_series(1, 20000)"))
    time.sleep(5)
    assert grown(proxy, before) < 50 * 1024 + ROOM_KILOBYTES
    for client in clients:
        assert sum(message.kind == b"D" for message in client.read_until()) == 20_000
        client.close()
