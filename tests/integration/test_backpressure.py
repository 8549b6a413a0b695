"""A peer that does not read is waited for, with a bounded amount of its bytes in memory."""

import struct
import threading
import time

import pytest

import tables
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


def test_pitfall_43_a_client_that_stops_reading_costs_no_memory_and_disturbs_no_one(proxy):
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


@pytest.mark.parametrize(
    "count", [pytest.param(2000, id="120MB"), pytest.param(8500, id="510MB", marks=pytest.mark.long)]
)
def test_pitfall_42_a_client_that_sends_far_ahead_of_reading_is_not_deadlocked(proxy, count):
    """
    Queries pipelined, their answers as large, both directions full: the client reads nothing until it
    has sent what it can, then slowly; the server rests now and then.
    """
    size = 60_000
    with slow_connection(proxy) as connection:
        before = proxy.resident_kilobytes()
        most = [0]
        problems = []

        def send():
            try:
                for i in range(count):
                    rest = ", pg_sleep(0.02)" if i % 50 == 25 else ""
                    connection.send(wire.query(f"SELECT '{i:06}{'z' * size}'{rest}"))
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


# ---------------------------------------------------------------- single messages

GIGABYTE = 0x3FFFFFFE  # what PostgreSQL takes at most, the length itself included
SIZES = [pytest.param(100_000_000, id="100MB"),
         pytest.param(1_000_000_000, id="1GB", marks=pytest.mark.long)]


class Watched:
    """The most that the proxy has grown by."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.before = proxy.resident_kilobytes()
        self.most = 0

    def look(self):
        self.most = max(self.most, grown(self.proxy, self.before))


def send_in_chunks(connection, header, size, watched):
    connection.send(header)
    chunk = b"m" * (1 << 20)
    while size:
        connection.send(chunk[: min(size, len(chunk))])
        size -= min(size, len(chunk))
        watched.look()


@pytest.mark.parametrize(
    "size", [pytest.param(100_000_000, id="100MB"),
             pytest.param(GIGABYTE - 4, id="the largest there is", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("kind", ["B", "Q"])
def test_a_message_to_the_server_streams_through(proxy, kind, size):
    """The server reads all of it, and says what is wrong with it at its end: there is no end of a string."""
    with proxy.raw(timeout=300) as connection:
        watched = Watched(proxy)
        send_in_chunks(connection, kind.encode() + struct.pack("!i", size + 4), size, watched)
        connection.send(wire.sync() if kind == "B" else b"")
        assert wire.error_of(connection.read_until()).sqlstate == "08P01"
        assert connection.rows("SELECT 1") == [["1"]]
        assert watched.most < ROOM_KILOBYTES


@pytest.mark.parametrize("size", SIZES)
def test_a_message_to_the_client_streams_through(proxy, size):
    with slow_connection(proxy) as connection:
        connection.socket.settimeout(300)
        watched = Watched(proxy)
        connection.send(wire.query(f"SELECT repeat('x', {size})"))
        assert connection.read().kind == b"T"
        assert connection.read_bytes(1) == b"D"
        left = struct.unpack("!i", connection.read_bytes(4))[0] - 4
        assert left == size + 6
        left -= len(connection.received)
        connection.received.clear()
        while left:
            left -= len(connection.socket.recv(min(left, 1 << 20)))
            watched.look()
        assert wire.kinds(connection.read_until()) == "CZ"
        assert watched.most < ROOM_KILOBYTES


@pytest.mark.parametrize("size", SIZES)
def test_a_text_on_a_table_in_transition_above_the_ceiling_is_refused_unread(shop, size):
    """54000, and the session goes on: within a block it has failed, as with any error."""
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    with shop.raw(timeout=300) as connection:
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
        connection.query("BEGIN")
        watched = Watched(shop)
        send_in_chunks(connection, b"Q" + struct.pack("!i", size + 4), size, watched)
        messages = connection.read_until()
        assert wire.error_of(messages).sqlstate == "54000"
        assert wire.transaction_state(messages) == "E"
        assert watched.most < ROOM_KILOBYTES
        connection.query("ROLLBACK")
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
