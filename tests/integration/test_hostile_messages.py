"""
Every message of a client cut at every byte, with every impossible length, in every wrong place: it ends
as with PostgreSQL itself, which is asked, and a session beside it does not notice.
"""

import io
import struct

import pytest

import wire
from cluster import SECRET

PARSED = wire.parse("SELECT $1::int", "s", [23]) + wire.sync()
COPYING = wire.query("CREATE TEMP TABLE c (a int); COPY c FROM STDIN")
# what comes before it, where it has its place; then the message
MESSAGES = {
    "Query": (b"", wire.query("SELECT 1")),
    "Parse": (b"", wire.parse("SELECT $1::int", "t", [23])),
    "Bind": (PARSED, wire.bind(["17", None][:1], "s", "p", [0], [1])),
    "Describe": (PARSED, wire.describe(b"S", "s")),
    "Execute": (PARSED + wire.bind(["17"], "s", "p"), wire.execute("p", 5)),
    "Close": (PARSED, wire.close(b"S", "s")),
    "FunctionCall": (b"", wire.function_call(1397, [b"-42"])),
    "CopyData": (COPYING, wire.copy_data(b"1\n2\n")),
    "CopyDone": (COPYING, wire.copy_done()),
    "CopyFail": (COPYING, wire.copy_fail("no more")),
    "Password": (b"", wire.password("secret")),
    "Flush": (b"", wire.flush()),
    "Sync": (b"", wire.sync()),
    "Terminate": (b"", wire.terminate()),
}
IMPOSSIBLE_LENGTHS = (0, 1, 2, 3, -1, -(2**31), 2**31 - 1)


@pytest.fixture
def neighbour(relay):
    with relay.raw("new") as connection:
        connection.query("BEGIN; CREATE TEMP TABLE mine AS SELECT 42 AS a")
        yield connection
        assert connection.rows("SELECT a FROM mine") == [["42"]]


def outcome(port, data, startup=None):
    """What a server says to these bytes of a client that sends no more, until it closes."""
    with wire.Connection(port, timeout=30) as connection:
        if startup:
            connection.send(startup + wire.terminate())
        else:
            connection.login("alice", "postgres")
            connection.send(data)
            connection.half_close()
        # a server that closed with something unread resets the connection: what it said may be lost
        messages = connection.read_all()
    return [
        (m.kind, m.sqlstate) if m.kind in b"EN" else (m.kind, m.body if m.kind in b"DZC" else b"")
        for m in messages if m.kind not in b"KS"
    ]


def assert_same_end(cluster, relay, data, startup=None):
    expected = outcome(cluster.port, data, startup)
    assert outcome(relay.old_port, data, startup) == expected, data


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_ends_too_early_by_its_own_count(cluster, relay, neighbour, name):
    before, message = MESSAGES[name]
    for length in range(len(message) - 5):
        cut = wire.message(message[:1], message[5 : 5 + length])
        assert_same_end(cluster, relay, before + cut + wire.sync())
    assert neighbour.rows("SELECT 1") == [["1"]]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_that_goes_on_too_long_by_its_own_count(cluster, relay, neighbour, name):
    before, message = MESSAGES[name]
    for more in (b"\0", b"x", b"\0" * 100):
        longer = wire.message(message[:1], message[5:] + more)
        assert_same_end(cluster, relay, before + longer + wire.sync())
    assert neighbour.rows("SELECT 1") == [["1"]]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_whose_sender_leaves_in_the_middle(cluster, relay, neighbour, name):
    before, message = MESSAGES[name]
    # PostgreSQL judges a type that it does not expect before it has the length; Segue has both first
    least = 5 if name == "Password" else 1
    for length in range(least, len(message)):
        assert_same_end(cluster, relay, before + message[:length])
    assert neighbour.rows("SELECT 1") == [["1"]]


@pytest.mark.parametrize("length", IMPOSSIBLE_LENGTHS)
def test_a_message_of_an_impossible_length(cluster, relay, neighbour, length):
    for before, message in MESSAGES.values():
        data = before + message[:1] + struct.pack("!i", length) + message[5:]
        assert_same_end(cluster, relay, data)
    assert neighbour.rows("SELECT 1") == [["1"]]


STARTUP = wire.startup_packet("alice", "postgres")
WRONG_ORDER = {
    "a Bind before its Parse": wire.bind(name="s") + PARSED + wire.sync(),
    "an Execute before its Bind": wire.execute("p") + wire.sync() + PARSED,
    "a Describe of what is not there": wire.describe(b"P", "p") + wire.sync(),
    "the end of a COPY that nobody began": wire.copy_done() + wire.query("SELECT 1"),
    "the failure of a COPY that nobody began": wire.copy_fail("x") + wire.query("SELECT 1"),
    "data of a COPY that nobody began": wire.copy_data(b"1\n") * 50 + wire.query("SELECT 1"),
    "a Parse amid a COPY": COPYING + wire.parse("SELECT 1") + wire.sync(),
    "a Query amid a COPY": COPYING + wire.query("SELECT 1"),
    "a password after the login": wire.password("x") + wire.query("SELECT 1"),
    "a second startup packet": STARTUP + wire.query("SELECT 1"),
    "an SSLRequest after the login": wire.ssl_request() + wire.query("SELECT 1"),
    "a GSSENCRequest after the login": wire.gss_request() + wire.query("SELECT 1"),
    "a cancel request after the login": wire.cancel_request(1, 1) + wire.query("SELECT 1"),
    "Syncs by the hundred": wire.sync() * 300,
    "something after Terminate": wire.terminate() + wire.query("SELECT 1"),
}


@pytest.mark.parametrize("data", WRONG_ORDER.values(), ids=WRONG_ORDER.keys())
def test_messages_in_a_wrong_order(cluster, relay, neighbour, data):
    assert_same_end(cluster, relay, data)
    assert neighbour.rows("SELECT 1") == [["1"]]


def packet(body, protocol=wire.PROTOCOL_3_0):
    return struct.pack("!ii", len(body) + 8, protocol) + body


WHO = b"user\0alice\0database\0postgres\0"
STARTUPS = {
    "as many options as fit": packet(WHO + b"a\0b\0" * 2480 + b"\0"),
    "settings by the hundred": packet(WHO + b"work_mem\0001MB\0" * 600 + b"\0"),
    "one option many times": packet(WHO + b"user\0alice\0" * 800 + b"\0"),
    "ten thousand options": packet(WHO + b"a\0b\0" * 10000 + b"\0"),
    "ten thousand unknown protocol options": packet(WHO + b"_pq_.a\0b\0" * 10000 + b"\0"),
    "protocol options as many as fit": packet(WHO + b"_pq_.a\0b\0" * 1000 + b"\0"),
    "a name of a thousand bytes": packet(b"user\0" + b"u" * 1000 + b"\0database\0postgres\0\0"),
    "a value of nine thousand bytes": packet(WHO + b"application_name\0" + b"a" * 9000 + b"\0\0"),
    "options without end": packet(WHO + b"options\0" + b"-c x.y=z " * 900 + b"\0\0"),
    "no last zero": packet(WHO),
    "no zero at all": packet(b"user"),
    "protocol 4": packet(WHO + b"\0", 4 << 16),
    "protocol 3.9999": packet(WHO + b"\0", (3 << 16) + 9999),
    "a query instead of a password": wire.startup_packet("user_password", "postgres")
    + wire.query("SELECT 1"),
    "a Sync instead of a password": wire.startup_packet("user_md5", "postgres") + wire.sync(),
    "an empty SASL answer": wire.startup_packet("user_scram", "postgres") + wire.message(b"p"),
    "a SASL answer that promises more": wire.startup_packet("user_scram", "postgres")
    + wire.message(b"p", b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=x"),
    "a huge password": wire.startup_packet("user_password", "postgres")
    + wire.password("x" * 100000),
}


@pytest.mark.parametrize("data", STARTUPS.values(), ids=STARTUPS.keys())
def test_a_strange_startup_ends_as_with_the_server(cluster, relay, neighbour, data):
    assert_same_end(cluster, relay, b"", data)
    assert neighbour.rows("SELECT 1") == [["1"]]


@pytest.mark.parametrize("user", ["user_password", "user_md5"])
def test_a_query_that_comes_with_the_password_is_rewritten_as_any_other(stands, user):
    """It is one for after the login, though it comes before: not relayed unseen."""
    segue = stands("dual_new")
    with segue.direct() as direct:
        direct.execute("TRUNCATE users; GRANT SELECT ON users TO PUBLIC")
        direct.execute("INSERT INTO users (id, name, role, roles) VALUES (1, 'n', 'stale', '{new}')")
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet(user, segue.databases[0]))
        asked = connection.read()
        answer = io.BytesIO()
        connection.send = answer.write  # the answer and the query leave in one piece
        connection.answer_authentication(asked.body, user, SECRET)
        del connection.send
        connection.send(answer.getvalue() + wire.query("SELECT role FROM users"))
        rows = [m.row() for m in connection.read_until(count=2) if m.kind == b"D"]
        assert rows == [[b"new"]]
