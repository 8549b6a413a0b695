"""How sessions of the relay end, whoever ends them; and how what they do is cancelled."""

import os
import pty
import select
import signal
import struct
import threading
import time

import psycopg
import pytest

import wire
from relayed import both
from waiting import wait_until_asked


def backend_is_gone(cluster, pid, seconds=60):
    deadline = time.monotonic() + seconds
    with cluster.connect() as connection:
        while connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)
        ).fetchone():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


@pytest.mark.parametrize("how", ["terminate", "close", "reset", "half message"])
def test_the_server_session_ends_with_the_client(cluster, relay, how):
    connection = relay.raw()
    connection.query("BEGIN; SELECT 1")
    if how == "terminate":
        connection.send(wire.terminate())
        assert connection.read_all() == []
    elif how == "reset":
        connection.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER
    elif how == "half message":
        connection.send(wire.query("SELECT 'never sent whole'")[:-3])
    connection.close()
    assert backend_is_gone(cluster, connection.pid)


def test_pitfall_47_a_client_that_dies_leaves_no_lock_behind(cluster, relay):
    connection = relay.raw()
    connection.query("BEGIN; SELECT pg_advisory_lock(4711)")
    connection.close()
    with relay.raw() as other:
        other.query("SET lock_timeout = '5s'")
        assert wire.kinds(other.query("SELECT pg_advisory_lock(4711)")) == "TDCZ"


def test_pitfall_46_a_half_closed_client_gets_every_answer(cluster, relay):
    def conversation(connection):
        connection.send(
            wire.query("SELECT generate_series(1, 50000)") + wire.query("SELECT pg_sleep(0.3)")
            + wire.query("SELECT 'last'")
        )
        connection.half_close()
        return connection.read_all()

    shown = both(cluster, relay, conversation)
    assert shown[-3][1].endswith(b"last")


def test_a_client_that_terminates_at_once_still_has_its_statement_done(cluster, relay):
    with relay.raw() as connection:
        connection.query("DROP TABLE IF EXISTS done_at_once; CREATE TABLE done_at_once (a int)")
        connection.send(wire.query("INSERT INTO done_at_once VALUES (1)") + wire.terminate())
        connection.read_all()
    with cluster.connect() as connection:
        assert connection.execute("TABLE done_at_once").fetchall() == [(1,)]
        connection.execute("DROP TABLE done_at_once")


# ---------------------------------------------------------------- cancel


def test_psycopg_cancels_its_query(relay, cluster):
    with relay.old() as connection:
        def cancel():
            wait_until_asked(cluster, "SELECT pg_sleep(1001)")
            connection.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(1001)")
        canceller.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def read_terminal(terminal, until, seconds=60):
    """What a program writes to its terminal, up to and with `until`."""
    text, deadline = "", time.monotonic() + seconds
    while until not in text:
        assert time.monotonic() < deadline, f"no {until!r} in {text!r}"
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 4096).decode()
    return text


def test_ctrl_c_in_psql_cancels_the_query_and_the_session_goes_on(relay, cluster):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(
            "psql",
            ["psql", "-X", "-n", "-h", "127.0.0.1", "-p", str(relay.old_port), "-U", "alice",
             "-d", "postgres", "-At"],
            {**os.environ, "TERM": "dumb", "PAGER": ""},
        )
    try:
        os.write(terminal, b"SELECT 'be' || 'gun';\n")
        read_terminal(terminal, "begun")
        os.write(terminal, b"SELECT pg_sleep(1002);\n")
        wait_until_asked(cluster, "SELECT pg_sleep(1002)")
        os.write(terminal, b"\x03")
        read_terminal(terminal, "canceling statement due to user request")
        os.write(terminal, b"SELECT 'still' || ' here';\n")
        read_terminal(terminal, "still here")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize("trailing", [b"", b"\0"], ids=["exact", "trailing-nul"])
def test_pitfall_52_the_servers_own_key_cancels(cluster, relay, trailing):
    with relay.raw() as connection:
        with cluster.connect() as direct:
            assert direct.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (connection.pid,)
            ).fetchone() == (1,)
        connection.send(wire.query("SELECT pg_sleep(1003)"))
        wait_until_asked(cluster, "SELECT pg_sleep(1003)")
        with wire.Connection(relay.new_port) as canceller:
            canceller.send(wire.cancel_request(connection.pid, connection.key) + trailing)
            assert canceller.read_all() == []
        assert wire.error_of(connection.read_until()).sqlstate == "57014"


def test_a_cancel_with_a_wrong_key_does_nothing(relay):
    with relay.raw() as connection:
        connection.send(wire.query("SELECT pg_sleep(0.5)"))
        with wire.Connection(relay.old_port) as canceller:
            canceller.send(wire.cancel_request(connection.pid, connection.key ^ 1))
            assert canceller.read_all() == []
        assert wire.kinds(connection.read_until()) == "TDCZ"
