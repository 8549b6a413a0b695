"""Every client connection ends for exactly one reason: told once in the log, counted in SHOW STATS."""

import contextlib
import re
import signal
import socket
import ssl
import struct
import threading
import time

import psycopg2
import pytest

import wire
from certificates import Authority
from ports import free_port

LINE = r"C-\d+ (?P<who>\S+) ended(?: before it was logged in)?, {reason}: .*" \
       r" \(after \d+\.\d{{3}} s, (?P<sent>\d+) bytes from the client, (?P<got>\d+) from the server\)"


def stats(segue):
    return {row["name"]: row["total"] for row in segue.admin("SHOW STATS").rows}


def ends(counts):
    return {name.removeprefix("ended_"): total for name, total in counts.items()
            if name.startswith("ended_")}


def settled(segue, sessions=0, seconds=60):
    """The counters once no more than so many clients are there: what was accepted is accounted for."""
    deadline = time.monotonic() + seconds
    while (counts := stats(segue))["clients_now"] > sessions:
        assert time.monotonic() < deadline, counts
        time.sleep(0.02)
    assert counts["clients_accepted"] == counts["clients_now"] + sum(ends(counts).values()), counts
    return counts


@contextlib.contextmanager
def ends_once(segue, reason):
    """One more end, and only this one; and the log's line, where it is a session."""
    before = ends(settled(segue))
    pattern = LINE.format(reason=reason)
    start = len(segue.log())
    yield
    deadline = time.monotonic() + 60
    while (after := ends(settled(segue)))[reason] == before[reason]:
        assert time.monotonic() < deadline, f"not ended:\n{segue.log()[start:]}"
        time.sleep(0.02)
    assert after == before | {reason: before[reason] + 1}
    if not reason.startswith("cancel_"):
        assert len(re.findall(pattern, segue.log()[start:])) == 1, segue.log()[start:]


class FakeServer:
    """A listening socket and what it does with each connection: for what PostgreSQL never does."""

    def __init__(self, behaviour):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.behaviour = behaviour
        self.held = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.held.append(connection)
                self.behaviour(connection)

    def close(self):
        self.listener.close()
        for connection in self.held:
            connection.close()


def let_in(connection):
    """Refuses TLS, reads the startup packet, lets everyone in."""
    connection.recv(8)
    connection.sendall(b"N")
    connection.recv(4096)
    connection.sendall(wire.message(b"R", struct.pack("!i", 0)) + wire.message(b"Z", b"I"))


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.fixture
def behind(make_segue):
    """A function: a proxy whose server is a fake one that does this, or one that is not there."""
    servers = []

    def start(behaviour, settings=""):
        server = FakeServer(behaviour) if behaviour else None
        servers.append(server)
        segue = make_segue(settings=settings, start=False)
        segue.change_config(f"port = {segue.cluster.port} }}",
                            f"port = {server.port if server else free_port()} }}")
        segue.wait_until_ready = lambda: until_admin_answers(segue)
        return segue.start()

    yield start
    for server in servers:
        if server:
            server.close()


def until_admin_answers(segue):
    deadline = time.monotonic() + 60
    while True:
        try:
            return segue.admin("SHOW VERSION")
        except psycopg2.OperationalError:
            segue.assert_running()
            assert time.monotonic() < deadline
            time.sleep(0.02)


DRIVERS = {}


def drives(reason):
    def note(function):
        DRIVERS[reason] = function
        return function

    return note


@pytest.fixture
def start(make_segue):
    def start(settings=""):
        return make_segue(settings=settings)

    return start


# ---------------------------------------------------------------- by the client


@drives("client_terminate")
def terminate(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "client_terminate"):
        with segue.raw() as connection:
            connection.send(wire.terminate())
            assert connection.read_all() == []


@drives("client_closed")
def close(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "client_closed"):
        segue.raw().close()
    with ends_once(segue, "client_closed"):  # before it said who it is
        wire.Connection(segue.old_port).close()


@drives("client_broken")
def break_off(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "client_broken"):
        reset(segue.raw().socket)


@drives("protocol_violation")
def violate(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "protocol_violation"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(struct.pack("!ii", 4, 0))
            connection.read_all()
    with ends_once(segue, "protocol_violation"):
        with segue.raw() as connection:
            connection.send(wire.message(b"?"))
            assert connection.read_all()[-1].sqlstate == "08P01"


@drives("tls_failed")
def fail_tls(start, behind, tmp_path):
    certificate, key = Authority(tmp_path).issue("segue.test")
    segue = start(f'client_tls_sslmode = "allow"\nclient_tls_cert_file = "{certificate}"\n'
                  f'client_tls_key_file = "{key}"')
    with ends_once(segue, "tls_failed"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.ssl_request())
            assert connection.read_bytes(1) == b"S"
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                ssl.create_default_context().wrap_socket(connection.socket, server_hostname="x")


@drives("login_refused")
def refuse_login(start, behind, tmp_path):
    segue = start('database "template1" { control_user = "nobody" }')
    with ends_once(segue, "login_refused"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.startup_packet("alice", "template1",
                                                options="-c segue.shape=sideways"))
            assert connection.read_all()[-1].sqlstate == "22023"


# ---------------------------------------------------------------- by the server


@drives("login_failed")
def fail_login(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "login_failed"):
        with pytest.raises(wire.Closed):
            segue.raw(user="user_rejected")


@drives("server_terminated")
def be_terminated(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "server_terminated"):
        with segue.raw() as connection, segue.direct() as direct:
            direct.execute("SELECT pg_terminate_backend(%s)", [connection.pid])
            assert connection.read_all()[-1].sqlstate == "57P01"


@drives("server_closed")
def lose_server(start, behind, tmp_path):
    def leave(connection):
        let_in(connection)
        connection.close()

    segue = behind(leave)
    with ends_once(segue, "server_closed"):
        with segue.raw() as connection:
            assert connection.read_all() == []


@drives("server_broken")
def break_server(start, behind, tmp_path):
    def leave(connection):
        let_in(connection)
        connection.recv(1)  # the rest of it stays unread
        reset(connection)

    segue = behind(leave)
    with ends_once(segue, "server_broken"):
        with segue.raw() as connection:
            connection.send(wire.query("SELECT 1"))
            assert connection.read_all() == []


@drives("server_nonsense")
def hear_nonsense(start, behind, tmp_path):
    def talk(connection):
        let_in(connection)
        connection.sendall(b"D" + struct.pack("!i", 1))

    segue = behind(talk)
    with ends_once(segue, "server_nonsense"):
        with segue.raw() as connection:
            (told,) = connection.read_all()
            assert told.fields()["C"] == "08P01"


@drives("server_unreachable")
def reach_nobody(start, behind, tmp_path):
    segue = behind(None)
    with ends_once(segue, "server_unreachable"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.startup_packet("alice", "postgres"))
            assert connection.read_all()[-1].sqlstate == "08006"


@drives("database_not_loaded")
def meet_no_transitions(start, behind, tmp_path):
    segue = start('database "template1" { control_user = "nobody" }')
    with ends_once(segue, "database_not_loaded"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.startup_packet("alice", "template1"))
            assert connection.read_all()[-1].sqlstate == "57P03"


# ---------------------------------------------------------------- limits and time-outs


def until_let_in(segue, seconds=60):
    """A place is free again only when the connection before is gone to the last byte."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return segue.raw()
        except wire.Closed:
            assert time.monotonic() < deadline, segue.log_tail()
            time.sleep(0.02)


@drives("max_client_conn")
def be_one_too_many(start, behind, tmp_path):
    segue = start("max_client_conn = 1")
    with until_let_in(segue):
        before = ends(settled(segue, sessions=1))
        with wire.Connection(segue.old_port) as second:
            second.send(wire.startup_packet("alice", "postgres"))
            assert second.read_all()[-1].sqlstate == "53300"
        after = ends(settled(segue, sessions=1))
        assert after == before | {"max_client_conn": before["max_client_conn"] + 1}


@drives("client_login_timeout")
def log_in_slowly(start, behind, tmp_path):
    segue = start("client_login_timeout = 1")
    with ends_once(segue, "client_login_timeout"):
        with wire.Connection(segue.old_port) as connection:
            assert connection.read_all()[-1].sqlstate == "08006"


@drives("server_connect_timeout")
def wait_for_the_server(start, behind, tmp_path):
    segue = behind(lambda connection: None, "server_connect_timeout = 1")
    with ends_once(segue, "server_connect_timeout"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.startup_packet("alice", "postgres"))
            assert connection.read_all()[-1].sqlstate == "08006"


def one_of_a_kind(start, setting, **second):
    segue = start(f"{setting} = 1")
    with until_let_in(segue):
        before = ends(settled(segue, sessions=1))
        with pytest.raises(wire.Closed):
            segue.raw(**second)
        after = ends(settled(segue, sessions=1))
        assert after == before | {setting: before[setting] + 1}


@drives("max_user_client_connections")
def be_one_too_many_of_a_user(start, behind, tmp_path):
    one_of_a_kind(start, "max_user_client_connections", database="template1")


@drives("max_db_client_connections")
def be_one_too_many_of_a_database(start, behind, tmp_path):
    one_of_a_kind(start, "max_db_client_connections", user="alice")


def take_too_long(start, setting, *said):
    segue = start(f"{setting} = 1")
    with ends_once(segue, setting):
        with segue.raw() as connection:
            for message in said:
                connection.send(message)
            assert connection.read_all()[-1].kind == b"E"


@drives("client_idle_timeout")
def be_idle(start, behind, tmp_path):
    take_too_long(start, "client_idle_timeout")


@drives("idle_transaction_timeout")
def be_idle_in_a_transaction(start, behind, tmp_path):
    take_too_long(start, "idle_transaction_timeout", wire.query("BEGIN"))


@drives("transaction_timeout")
def have_a_long_transaction(start, behind, tmp_path):
    take_too_long(start, "transaction_timeout", wire.query("BEGIN"))


@drives("query_timeout")
def have_a_long_query(start, behind, tmp_path):
    take_too_long(start, "query_timeout", wire.query("SELECT pg_sleep(60)"))


# ---------------------------------------------------------------- by the operator


@drives("killed")
def be_killed(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "killed"):
        with segue.raw(application_name="victim") as connection:
            connection.query("BEGIN")
            (victim,) = [row["id"] for row in segue.admin("SHOW CLIENTS").rows
                         if row["application"] == "victim"]
            killed = segue.admin(f"KILL_CLIENT {victim}")
            assert killed.rows == [{"result": f"client {victim} was ended"}]
            error = connection.read_all()[-1]
            assert (error.fields()["S"], error.sqlstate) == ("FATAL", "57P01")


@drives("shutdown")
def shut_down(start, behind, tmp_path):
    segue = start()
    with segue.raw() as connection:
        connection.query("BEGIN")
        with segue.log_contains(LINE.format(reason="shutdown"), times=1):
            segue.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)  # the drain begins: the transaction may come to its end
            connection.send(wire.query("COMMIT"))
            assert connection.read_all()[-1].sqlstate == "57P01"
    assert segue.process.wait(60) == 0
    segue.process = None


# ---------------------------------------------------------------- cancel requests


@drives("cancel_delivered")
def cancel(start, behind, tmp_path):
    segue = start()
    with ends_once(segue, "cancel_delivered"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.cancel_request(1, 2))
            assert connection.read_all() == []


@drives("cancel_failed")
def cancel_in_vain(start, behind, tmp_path):
    slow = behind(lambda connection: None, "cancel_wait_timeout = 1\nserver_connect_timeout = 60")
    with ends_once(slow, "cancel_failed"):
        with wire.Connection(slow.old_port) as connection:
            connection.send(wire.cancel_request(1, 2))
            connection.read_all()
    segue = behind(None)
    with ends_once(segue, "cancel_failed"):
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.cancel_request(1, 2))
            connection.read_all()


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("reason", DRIVERS)
def test_ends_for_one_reason(start, behind, tmp_path, reason):
    DRIVERS[reason](start, behind, tmp_path)


def test_every_reason_that_is_counted_is_driven_here(relay):
    assert set(ends(stats(relay))) == set(DRIVERS)


def test_the_log_names_the_session_and_what_it_moved(start):
    segue = start()
    with segue.raw(user="alice") as connection:
        connection.rows("SELECT repeat('x', 100000)")
        start_of_log = len(segue.log())
        connection.send(wire.terminate())
        assert connection.read_all() == []
    settled(segue)
    line = re.search(LINE.format(reason="client_terminate"), segue.log()[start_of_log:])
    assert line["who"].startswith("postgres/alice@127.0.0.1:")
    assert int(line["got"]) > 100000 and 50 < int(line["sent"]) < 1000


@pytest.mark.parametrize("command, state, told", [
    ("KILL_CLIENT 4711", "42704", "there is no client 4711"),
    ("KILL_CLIENT 'me'", "22P02", '"me" is no id'),
    ("KILL_CLIENT me", "22P02", '"me" is no id'),
    ("KILL_CLIENT -1", "42601", "KILL_CLIENT client"),
    ("KILL_CLIENT", "42601", "KILL_CLIENT client"),
])
def test_only_a_client_that_is_there_is_killed(relay, command, state, told):
    with relay.raw() as connection:
        with pytest.raises(psycopg2.Error) as refused:
            relay.admin(command)
        assert refused.value.pgcode == state and told in str(refused.value)
        assert connection.rows("SELECT 1") == [["1"]]
