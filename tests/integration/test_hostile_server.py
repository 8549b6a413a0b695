"""A server that says what no server says: its own client is told or let go, and nobody else notices."""

import struct

import pytest

import wire
from fake_server import AUTHENTICATION_OK, READY, FakeServer, error
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
