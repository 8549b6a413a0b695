"""Many hostile clients at a time: a session beside them is served all the while, and none leaves a thing."""

import contextlib
import itertools
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import wire
from certificates import Authority
from waiting import settled, wait_until

SECONDS = 2  # client_login_timeout; a flood lasts as long at least
STARTUP = wire.startup_packet("alice", "postgres")

# A well-behaved client, in a process of its own: a session that asks all the time, and every tenth time a
# new one. For each line on stdin it tells how many answers it had since, and the median and the longest
# of its waits.
BYSTANDER = """
import select, sys, time
import wire
port, waits = int(sys.argv[1]), []
with wire.Connection(port, timeout=120) as session:
    session.login("alice", "postgres")
    session.query("CREATE TEMP TABLE mine AS SELECT 0 AS a")
    for number in range(1, 10**9):
        begun = time.monotonic()
        session.query("UPDATE mine SET a = a + 1")
        assert session.rows("SELECT a FROM mine") == [[str(number)]]
        if number % 10 == 0:
            with wire.Connection(port, timeout=120) as another:
                another.login("alice", "postgres")
                assert another.rows("SELECT 1") == [["1"]]
                another.send(wire.terminate())
                assert another.read_all() == []
        waits.append(time.monotonic() - begun)
        if select.select([sys.stdin], [], [], 0.002)[0]:
            if not sys.stdin.readline():
                break
            print(len(waits), sorted(waits)[len(waits) // 2], max(waits), flush=True)
            waits = []
"""


class Bystander:
    def __init__(self, port):
        self.process = subprocess.Popen(
            [sys.executable, "-c", BYSTANDER, str(port)], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parent)},
        )

    def told(self):
        """(answers, median, longest) since it was asked last."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answers, median, longest = self.process.stdout.readline().split()
        return int(answers), float(median), float(longest)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


def descriptors(segue):
    return len(os.listdir(f"/proc/{segue.process.pid}/fd"))


def clients(segue):
    return {row["name"]: row["total"] for row in segue.admin("SHOW STATS").rows}["clients_now"]


@contextlib.contextmanager
def undisturbed(segue):
    """
    A bystander's answers are right while the block runs; it is not slowed down more than by having to share
    two processors, and never kept waiting for as long as the half of it all, unless one who talks to the
    server itself is, too: that is the machine. Then as many descriptors are open as before. What it gives
    is true until the block has lasted for so long that this tells something.
    """
    wait_until(lambda: clients(segue) == 0)
    before = settled(lambda: descriptors(segue))
    with contextlib.closing(Bystander(segue.old_port)) as bystander, \
         contextlib.closing(Bystander(segue.cluster.port)) as control:
        bystander.told()
        time.sleep(1)
        _, quiet, _ = bystander.told()
        control.told()
        begun = time.monotonic()
        yield lambda: time.monotonic() - begun < max(SECONDS, 100 * quiet)
        lasted = time.monotonic() - begun
        assert lasted > 0.9 * max(SECONDS, 100 * quiet), "the block ended early: nothing is known"
        answers, median, longest = bystander.told()
        _, median_direct, longest_direct = control.told()
        assert answers > 0 and median < 50 * max(quiet, median_direct), (answers, quiet, median, median_direct)
        assert longest < max(lasted / 2, 3 * longest_direct), (lasted, longest, longest_direct)
    wait_until(lambda: clients(segue) == 0)
    wait_until(lambda: descriptors(segue) == before)


def over_and_over(items, goes_on):
    """All of them once, and again for as long as it goes on."""
    for number, item in enumerate(itertools.cycle(items)):
        if number >= len(items) and not goes_on():
            break
        yield item


@pytest.fixture
def patient(make_segue):
    return make_segue(settings=f"client_login_timeout = {SECONDS}\nmax_client_conn = 1000")


def many(count, segue, data=b""):
    connections = [wire.Connection(segue.old_port, timeout=60) for _ in range(count)]
    for connection in connections:
        connection.send(data)
    return connections


def assert_timed_out(connections):
    for connection in connections:
        assert connection.read_all()[-1].sqlstate == "08006"
        connection.close()


def test_five_hundred_clients_that_never_speak(patient):
    with undisturbed(patient):
        assert_timed_out(many(500, patient))


def test_two_hundred_clients_that_stop_in_the_middle_of_their_startup(patient):
    with undisturbed(patient):
        assert_timed_out(many(200, patient, STARTUP[:-1]))


def test_clients_that_say_who_they_are_byte_by_byte(patient):
    """Each byte comes well within the time, all of them do not."""
    with undisturbed(patient):
        connections = many(100, patient)
        begun = time.monotonic()
        for byte in STARTUP[:-1]:
            if time.monotonic() - begun > 2 * SECONDS:
                break
            for connection in connections:
                with contextlib.suppress(OSError):  # it was ended by now
                    connection.send(bytes([byte]))
            time.sleep(SECONDS / 8)
        for connection in connections:
            with contextlib.suppress(OSError):  # a byte that came after its end resets it
                connection.read_all()
            connection.close()
        assert patient.log().count("client_login_timeout") >= len(connections)


def test_clients_that_give_no_password(patient):
    """The server asks, and they say nothing: the server's session goes with them."""
    with undisturbed(patient):
        connections = many(60, patient, wire.startup_packet("user_password", "postgres"))
        for connection in connections:
            assert connection.read().kind == b"R"
        assert_timed_out(connections)


def test_a_flood_of_cancel_requests_with_wrong_keys(patient):
    with undisturbed(patient) as goes_on:
        for sent, key in enumerate(over_and_over(range(300), goes_on), 1):
            with wire.Connection(patient.old_port) as connection:
                connection.send(wire.cancel_request(key * 7, key))
                if key % 3:
                    assert connection.read_all() == []
    ended = {row["name"]: row["total"] for row in patient.admin("SHOW STATS").rows}
    assert ended["ended_cancel_delivered"] + ended["ended_cancel_failed"] == sent


def pour(connection, goes_on=lambda: True, times=None):
    """Queries, until it is ended."""
    data = wire.query("x" * 65536)
    with contextlib.suppress(OSError):
        for _ in itertools.repeat(None, times) if times else itertools.count():
            if not goes_on():
                break
            connection.send(data)


def in_threads(function, arguments):
    threads = [threading.Thread(target=function, args=[argument]) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_floods_of_bytes_before_the_login(patient):
    """Kept for later is what may be pipelined, and not more, however much comes."""
    startup = wire.startup_packet("user_password", "postgres")

    def flood(_):
        while goes_on():
            with wire.Connection(patient.old_port, timeout=60) as connection:
                connection.send(startup)
                pour(connection, goes_on)

    memory = patient.resident_kilobytes()
    with undisturbed(patient) as goes_on:
        connections = many(20, patient, startup)
        in_threads(lambda connection: pour(connection, times=64), connections)
        assert patient.resident_kilobytes() - memory < 32 * 1024
        for connection in connections:
            connection.close()
        in_threads(flood, range(20))


# ---------------------------------------------------------------- TLS


@pytest.fixture
def secured(make_segue, tmp_path):
    certificate, key = Authority(tmp_path).issue("localhost")
    return make_segue(settings=f"""
        client_login_timeout = {SECONDS}
        client_tls_sslmode = "allow"
        client_tls_cert_file = "{certificate}"
        client_tls_key_file = "{key}"
    """)


def hello():
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_garbage_instead_of_a_handshake(secured):
    first = hello()
    garbage = [b"\0" * 100, b"\xff" * 5000, STARTUP, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" * 4000,
               b"\x15\x03\x01\0\x02\x02\x28", b"\x14\x03\x03\0\x01\x01", first + b"\x17\x03\x03\0\x05hello"]
    garbage += [first[:length] for length in range(1, len(first), 7)]
    garbage += [first[:at] + bytes([first[at] ^ 0x55]) + first[at + 1 :] for at in range(0, len(first), 5)]
    with undisturbed(secured) as goes_on:
        for data in over_and_over(garbage, goes_on):
            with wire.Connection(secured.old_port, timeout=60) as connection:
                connection.send(wire.ssl_request())
                assert connection.read_bytes(1) == b"S"
                with contextlib.suppress(OSError):
                    connection.send(data)
                    connection.half_close()
                    while connection.socket.recv(65536):
                        pass


def test_garbage_amid_a_session_under_tls(secured):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    records = [b"\x17\x03\x03\0\x20" + bytes(32), b"SELECT 1", b"\x16\x03\x03\xff\xff", b"\x15\x03\x03\0\x02\x01\0"]
    with undisturbed(secured) as goes_on:
        for garbage in over_and_over(records, goes_on):
            connection = wire.Connection(secured.old_port, timeout=60)
            connection.secure(context)
            connection.login("alice", "postgres")
            plain = socket.socket(fileno=os.dup(connection.socket.fileno()))
            plain.settimeout(60)
            plain.sendall(garbage)
            plain.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while plain.recv(65536):
                    pass
            plain.close()
            connection.close()


@pytest.mark.parametrize("version, letter, told, refused", [
    ("-tls1_2", "R", "RENEGOTIATING", True), ("-tls1_3", "K", "KEYUPDATE", False),
], ids=["a renegotiation of TLS 1.2 is refused", "keys of TLS 1.3 may change"])
def test_a_client_that_wants_other_keys(secured, version, letter, told, refused):
    with undisturbed(secured) as goes_on:
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{secured.old_port}", "-starttls", "postgres",
             version], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        wait_until(lambda: clients(secured) >= 2)
        while goes_on():
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                client.stdin.write(letter + "\n")
                client.stdin.flush()
        said, _ = client.communicate(timeout=60)  # it is not logged in: the time-out ends it
        assert told in said, said
        assert ("no renegotiation" in said) is refused, said
