"""Hostile bytes: an end as PostgreSQL makes it, and nothing else disturbed."""

import random
import socket
import struct
import time

import pytest

import wire
from waiting import wait_until

STARTUP = wire.startup_packet("alice", "postgres")


@pytest.fixture
def neighbour(relay):
    """A well-behaved session in the middle of a transaction while others misbehave."""
    with relay.raw() as connection:
        connection.query("BEGIN; CREATE TEMP TABLE mine (a int); INSERT INTO mine VALUES (42)")
        yield connection
        assert connection.rows("SELECT a FROM mine") == [["42"]]
        assert connection.rows("COMMIT") == []


def ending(port, data, half_close=True):
    """
    What a server does with these bytes of a client that sends no more: the SQLSTATE of its last
    error, None where it closes without a word. It must close, and soon.
    """
    with wire.Connection(port) as connection:
        try:
            connection.send(data)
            if half_close:
                connection.half_close()
        except OSError:
            pass
        received = b""
        try:
            while chunk := connection.socket.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        except TimeoutError:
            pytest.fail(f"still open after {data[:40]!r}")
        return received


BEFORE_LOGIN = {
    "nothing": b"",
    "one byte": b"\0",
    "three bytes": b"\0\0\0",
    "a length alone": struct.pack("!i", 50),
    "a length of zero": struct.pack("!i", 0) + STARTUP[4:],
    "a length of four": struct.pack("!i", 4),
    "a negative length": struct.pack("!i", -1) + STARTUP[4:],
    "the most negative length": struct.pack("!I", 0x80000000) + STARTUP[4:],
    "the greatest length": struct.pack("!I", 0x7FFFFFFF) + STARTUP[4:],
    "a length beyond the limit": struct.pack("!ii", 10001, wire.PROTOCOL_3_0) + b"x" * 9993,
    "a packet cut short": STARTUP[:-5],
    "no terminator": struct.pack("!ii", 8 + 10, wire.PROTOCOL_3_0) + b"user\0alice",
    "a terminator in the middle": struct.pack("!ii", 8 + 17, wire.PROTOCOL_3_0)
    + b"user\0alice\0\0junk\0\0",
    "a name without a value": struct.pack("!ii", 8 + 6, wire.PROTOCOL_3_0) + b"user\0\0",
    "no user": struct.pack("!ii", 8 + 20, wire.PROTOCOL_3_0) + b"database\0postgres\0\0\0",
    "no parameters": struct.pack("!ii", 9, wire.PROTOCOL_3_0) + b"\0",
    "a cancel too short": struct.pack("!iii", 12, wire.CANCEL_REQUEST_CODE, 1),
    "a cancel too long": struct.pack("!iiiii", 20, wire.CANCEL_REQUEST_CODE, 1, 1, 1),
    "a cancel for nobody": wire.cancel_request(2**31 - 1, 12345),
    "ssl twice": wire.ssl_request() + wire.ssl_request(),
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100f8010000f40303") + bytes(64),
    "zeros": bytes(20000),
    "ones": b"\xff" * 20000,
}


@pytest.mark.parametrize("data", BEFORE_LOGIN.values(), ids=BEFORE_LOGIN.keys())
def test_a_bad_startup_ends_and_disturbs_no_one(relay, neighbour, data):
    received = ending(relay.old_port, data)
    # at most a refusal of encryption and one FATAL: no session was had
    assert b"R\0\0\0\x08\0\0\0\0" not in received
    assert neighbour.rows("SELECT 1") == [["1"]]


def test_pitfall_37_bytes_behind_an_encryption_request_are_not_taken_as_a_session(relay, neighbour):
    for request in (wire.ssl_request(), wire.gss_request()):
        received = ending(relay.old_port, request + STARTUP)
        assert b"R\0\0\0\x08\0\0\0\0" not in received, "a startup in the clear was accepted"


def test_pitfall_38_a_second_request_of_one_kind_is_refused(relay, neighbour):
    with wire.Connection(relay.old_port) as connection:
        for request in (wire.ssl_request(), wire.gss_request()):
            connection.send(request)
            assert connection.read_bytes(1) == b"N"
        connection.send(wire.ssl_request())
        received = connection.socket.recv(1000)
        assert received != b"N"


@pytest.mark.parametrize("length", [-1, 0, 3, -(2**31), 2**31 - 1, 2**30 + 1])
@pytest.mark.parametrize("kind", [b"Q", b"P", b"B", b"X", b"d", b"p"])
def test_pitfall_41_a_message_of_impossible_length_ends_the_session(relay, neighbour, kind, length):
    with relay.raw() as connection:
        connection.send(kind + struct.pack("!i", length) + b"abcdefgh")
        connection.half_close()
        connection.read_all()
    assert neighbour.rows("SELECT 1") == [["1"]]


AFTER_LOGIN = {
    "an unknown type": wire.message(b"\x7f", b"what?"),
    "a type of the server's": wire.message(b"Z", b"I"),
    "a zero byte": b"\0" * 5,
    "a query without its terminator": wire.message(b"Q", b"SELECT 1"),
    "a query with bytes behind its terminator": wire.message(b"Q", b"SELECT 1\0SELECT 2\0"),
    "an empty query message": wire.message(b"Q"),
    "a parse without its terminators": wire.message(b"P", b"abc"),
    "a parse with a bad count": wire.message(b"P", b"\0SELECT 1\0\xff\xff"),
    "a bind that ends early": wire.message(b"B", b"\0\0\0\x05"),
    "a bind with a negative count": wire.message(b"B", b"\0\0\xff\xff"),
    "an empty bind": wire.message(b"B"),
    "a describe of nothing": wire.message(b"D", b"X\0"),
    "a close of nothing": wire.message(b"C", b"X\0"),
    "an empty execute": wire.message(b"E"),
    "copy data without a copy": wire.copy_data(b"1\n") * 3,
    "a password out of turn": wire.password("x"),
    "a function call of nothing": wire.message(b"F", b"\0\0"),
    "a startup packet again": STARTUP,
    "an http request": b"GET / HTTP/1.1\r\n\r\n",
    "a sync with a body": wire.message(b"S", b"body"),
}


@pytest.mark.parametrize("data", AFTER_LOGIN.values(), ids=AFTER_LOGIN.keys())
def test_a_bad_message_ends_as_with_the_server(cluster, relay, neighbour, data):
    """Same SQLSTATEs in the same order, or an end in both places."""
    ends = []
    for port in (cluster.port, relay.old_port):
        with wire.Connection(port) as connection:
            connection.login("alice", "postgres")
            connection.send(data + wire.sync())
            connection.half_close()
            ends.append([m.sqlstate if m.kind == b"E" else m.kind for m in connection.read_all()])
    assert ends[1] == ends[0]
    assert neighbour.rows("SELECT 1") == [["1"]]


def mutations(seed, count):
    """Conversations with a few bytes changed, cut or doubled."""
    generator = random.Random(seed)
    whole = (
        STARTUP + wire.query("SELECT 1") + wire.extended("SELECT $1::int", ["1"], "s")
        + wire.sync() + wire.query("COPY (SELECT 1) TO STDOUT") + wire.terminate()
    )
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 6)):
            place = generator.randrange(len(data))
            kind = generator.randrange(4)
            if kind == 0:
                data[place] = generator.randrange(256)
            elif kind == 1:
                del data[place : place + generator.randint(1, 20)]
            elif kind == 2:
                data[place:place] = generator.randbytes(generator.randint(1, 20))
            else:
                data[place:place] = data[place : place + generator.randint(1, 60)]
        yield bytes(data)


@pytest.mark.parametrize("seed", [1, 2, pytest.param(3, marks=pytest.mark.long)])
def test_changed_conversations_disturb_no_one(relay, neighbour, seed):
    count = 2000 if seed == 3 else 150
    for data in mutations(seed, count):
        with socket.create_connection(("127.0.0.1", relay.old_port), timeout=60) as client:
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            except TimeoutError:
                pytest.fail(f"hangs on {data!r}")
    assert neighbour.rows("SELECT 1") == [["1"]]


@pytest.mark.parametrize("seed", [1, 2])
def test_random_bytes_disturb_no_one(relay, neighbour, seed):
    generator = random.Random(seed)
    for i in range(100):
        prefix = STARTUP if i % 2 else b""
        ending(relay.new_port, prefix + generator.randbytes(generator.randint(1, 3000)))
    assert neighbour.rows("SELECT 1") == [["1"]]


def test_pitfall_40_a_promise_of_much_before_login_takes_no_memory(relay, neighbour):
    before = relay.resident_kilobytes()
    clients = [wire.Connection(relay.old_port) for _ in range(20)]
    for client in clients:
        client.send(struct.pack("!ii", 0x3FFFFFFF, wire.PROTOCOL_3_0) + b"user\0")
    time.sleep(0.5)
    assert relay.resident_kilobytes() - before < 16 * 1024
    for client in clients:
        client.close()


def test_a_promise_of_much_after_login_takes_no_memory(relay, neighbour):
    before = relay.resident_kilobytes()
    clients = [relay.raw() for _ in range(10)]
    for kind, client in zip(b"QPBdFQPBdF", clients):
        client.send(bytes([kind]) + struct.pack("!i", 0x3FFFFFF0) + b"x" * 1000)
    time.sleep(0.5)
    assert relay.resident_kilobytes() - before < 16 * 1024
    for client in clients:
        client.close()


def test_a_client_that_never_logs_in_is_ended(make_segue):
    segue = make_segue(settings="client_login_timeout = 1")
    with wire.Connection(segue.old_port) as connection:
        connection.send(STARTUP[:10])
        assert connection.read_all()[-1].sqlstate == "08006"


def test_a_client_too_many_is_told_so(make_segue):
    segue = make_segue(settings="max_client_conn = 3", workers=1)
    wait_until(lambda: not segue.admin("SHOW CLIENTS").rows)  # those of the start-up check
    clients = [segue.raw() for _ in range(3)]
    with wire.Connection(segue.old_port) as connection:
        connection.send(STARTUP)
        assert connection.read_all()[-1].sqlstate == "53300"
    for client in clients:
        assert client.rows("SELECT 1") == [["1"]]
        client.close()
