"""A server that says what no server says: its own client is told or let go, and nobody else notices."""

import struct

import pytest

import tables
import wire
from fake_server import AUTHENTICATION_OK, READY, FakeServer, TamperingServer, error
from segue import Segue
from waiting import admin_answers, wait_until


def header(kind, length):
    return kind + struct.pack("!i", length)


TABLE = wire.message(b"T", struct.pack("!H", 1) + b"a\0" + struct.pack("!IhIhih", 0, 0, 23, 4, -1, 0))
ROW = wire.message(b"D", struct.pack("!Hi", 1, 1) + b"7")
# what it says before the login is over, and the class of state that the client is told
AT_LOGIN = {
    "nothing, and closes": (b"", ("08",)),
    "a length of zero": (header(b"R", 0), ("08",)),
    "a length of three": (header(b"R", 3), ("08",)),
    "a negative length": (header(b"R", -1), ("08",)),
    "the most negative length": (header(b"R", -(2**31)), ("08",)),
    "a request of two megabytes": (header(b"R", 2**21) + bytes(2**20), ("08",)),
    "a key of a gigabyte": (AUTHENTICATION_OK + header(b"K", 2**30) + bytes(2**20), ("08",)),
    "an error without its end": (wire.message(b"E", b"SFATAL\0C53300\0Mfull"), ("08", "53")),
    "half an error": (error("53300", "full")[:-7], ("08",)),
    "an HTTP answer": (b"HTTP/1.1 400 Bad Request\r\n\r\n", ("08",)),
}
AFTER_A_QUERY = {
    "nothing, and closes": b"",
    "half a row": TABLE + ROW[:-3],
    "half a header": TABLE + ROW[:3],
    "rows without a description": ROW * 3,
    "a length of three": TABLE + header(b"D", 3),
    "a negative length": TABLE + header(b"D", -5) + bytes(100),
    "a row of two gigabytes": TABLE + header(b"D", 2**31 - 1) + bytes(1000),
    "a description that promises columns": wire.message(b"T", b"\xff\xff") + ROW,
    "an answer to nothing": wire.message(b"C", b"SELECT 1\0") * 5,
    "ready, again and again": READY * 50,
    "ready, for what nobody knows": wire.message(b"Z", b"?") + wire.message(b"Z"),
    "an unknown type": wire.message(b"\x01", b"x" * 50),
    "a COPY that nobody asked for": wire.message(b"G", b"\0\0\0") + wire.message(b"W", b""),
    "keys and names amid it": wire.message(b"K", b"") + wire.message(b"S", b"x") + wire.message(b"A"),
    "an error of nothing": wire.message(b"E") + wire.message(b"N"),
    "a login, again": AUTHENTICATION_OK + READY,
}


@pytest.fixture
def behind(cluster, tmp_path):
    """A function: a proxy whose server says this to every client but `neighbour`, whose it is good to."""
    made = []

    def start(at_login, after_query=None):
        def serve(connection):
            if b"neighbour" in server.startups[-1] or at_login is None:
                connection.sendall(AUTHENTICATION_OK + READY)
            else:
                connection.sendall(at_login)
                return
            while (message := FakeServer.read_message(connection)).kind == b"Q":
                if message.body == b"hurt\0":
                    connection.sendall(after_query)
                    return
                connection.sendall(TABLE + ROW + wire.message(b"C", b"SELECT 1\0") + READY)

        server = FakeServer(serve)
        segue = Segue(cluster, tmp_path, upstream=f'host = "127.0.0.1"  port = {server.port}')
        segue.wait_until_ready = lambda: wait_until(lambda: admin_answers(segue))
        made.extend([segue, server])
        return segue.start()

    yield start
    segue, server = made
    segue.stop()
    server.close()


@pytest.mark.parametrize("said, states", AT_LOGIN.values(), ids=AT_LOGIN.keys())
def test_at_the_login(behind, said, states):
    segue = behind(said)
    with segue.raw(user="neighbour") as neighbour:
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.startup_packet("alice", "postgres"))
            messages = connection.read_all()
            assert messages and messages[-1].sqlstate[:2] in states, messages
        assert neighbour.rows("well") == [["7"]]


@pytest.mark.parametrize("said", AFTER_A_QUERY.values(), ids=AFTER_A_QUERY.keys())
def test_in_answer_to_a_query(behind, said):
    segue = behind(None, said)
    with segue.raw(user="neighbour") as neighbour, segue.raw() as connection:
        assert connection.rows("well") == [["7"]]
        connection.send(wire.query("hurt"))
        received = b""
        while data := connection.socket.recv(65536):  # until it is let go
            received += data
        assert neighbour.rows("well") == [["7"]]
    wait_until(lambda: not segue.admin("SHOW CLIENTS").rows)


def row(*values):
    body = struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return wire.message(b"D", body)


def answer(*rows, tag=b"SELECT 3\0"):
    """To the question how names resolve (enlist.c), told by these rows."""
    begun, ended = wire.message(b"3") + wire.message(b"1") + wire.message(b"2"), wire.message(b"3") * 2
    return begun + b"".join(rows) + wire.message(b"C", tag) + ended + READY


SHAPE, SCHEMA, SERVER = row(b"h", None), row(b"s", b"public"), row(b"p", b"1")
NONSENSE = ("08P01",)
CLOSED = ("closed",)
# in answer to the question, whether the connection ends there, and what the client is told
TO_THE_QUESTION = {
    "nothing, and closes": (b"", True, CLOSED),
    "half a row": (answer(SHAPE)[:30], True, CLOSED),
    "a length of three": (header(b"3", 3), False, NONSENSE),
    "a length of two gigabytes": (header(b"3", 2**31 - 1) + bytes(100), False, NONSENSE),
    "no rows": (answer(), False, NONSENSE),
    "no server": (answer(SHAPE, SCHEMA), False, NONSENSE),
    "no shape": (answer(SCHEMA, SERVER), False, NONSENSE),
    "a server of letters": (answer(SHAPE, SCHEMA, row(b"p", b"\xff" * 18)), False, NONSENSE),
    "a server beyond counting": (answer(SHAPE, SCHEMA, row(b"p", b"9" * 400)), False, NONSENSE),
    "a schema of no name": (answer(SHAPE, SERVER, row(b"s", None)), False, NONSENSE),
    "a temporary table of no name": (answer(SHAPE, SERVER, SCHEMA, row(b"t", None)), False, NONSENSE),
    "a row of no kind": (answer(SHAPE, SCHEMA, SERVER, row(None, None)), False, NONSENSE),
    "a row of an unknown kind": (answer(SHAPE, SCHEMA, SERVER, row(b"?", b"x")), False, NONSENSE),
    "a row of one value": (answer(SHAPE, SCHEMA, SERVER, row(b"t")), False, NONSENSE),
    "an empty row": (answer(SHAPE, SCHEMA, SERVER, wire.message(b"D")), False, NONSENSE),
    "a value beyond its row": (answer(SHAPE, SCHEMA, SERVER, row(b"t", b"name")[:-4].replace(
        b"D\0\0\0\x13", b"D\0\0\0\x0f")), False, NONSENSE),
    "another server, and a shape of nothing": (answer(row(b"h", b"x" * 99999), SCHEMA, SERVER), False,
                                               ("57P03",)),
    "an error of nothing": (wire.message(b"E") + READY, False, ("XX000",)),
    "a fatal error": (error("57P01", "gone"), True, ("57P01",)),
}


@pytest.fixture(scope="module")
def tampered(cluster, tmp_path_factory):
    """A proxy with a transition under way, whose server's answers to its question are the test's."""
    cluster.create_database("tampered", template="old_template")
    with TamperingServer(cluster.port, b"segue_enlist") as server:
        segue = Segue(cluster, tmp_path_factory.mktemp("tampered"), ["tampered"],
                      upstream=f'host = "127.0.0.1"  port = {server.port}').start()
        segue.move_to("users_role", "dual_old", tables.definition("users_role"))
        segue.server = server
        yield segue
        segue.stop()


@pytest.mark.parametrize("said, closes, told", TO_THE_QUESTION.values(), ids=TO_THE_QUESTION.keys())
def test_in_answer_to_a_question_of_segues(tampered, said, closes, told):
    """The client's statement does not run by it, and behind nonsense the next one asks again."""
    ask = "SELECT role FROM users WHERE id = 1"
    with tampered.raw() as neighbour, tampered.raw() as connection:
        assert neighbour.rows(ask) == [["admin,editor"]]
        tampered.server.said, tampered.server.closes = said, closes
        connection.send(wire.query(ask))
        try:
            messages = connection.read_until()
        except wire.Closed as closed:
            messages = closed.messages
        tampered.server.said = None
        errors = [m.sqlstate for m in messages if m.kind == b"E"]
        assert (tuple(errors) or CLOSED) == told and b"D" not in [m.kind for m in messages]
        if told == NONSENSE and messages[-1].kind == b"Z":
            assert connection.rows(ask) == [["admin,editor"]]
        assert neighbour.rows(ask) == [["admin,editor"]]
    tampered.assert_running()
    tampered.assert_clean_log()
