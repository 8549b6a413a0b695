"""Limits and time-outs: whom they end, with what words, and whom they leave alone."""

import collections
import contextlib
import ctypes
import os
import pathlib
import socket
import stat
import threading
import time

import psycopg
import pytest

import tables
import wire
from waiting import wait_until


def stats(segue):
    return {row["name"]: row["total"] for row in segue.admin("SHOW STATS").rows}


def refusal(segue, **parameters):
    with pytest.raises(wire.Closed) as refused:
        segue.raw(**parameters).close()
    error = refused.value.messages[-1].fields()
    assert error["S"] == "FATAL"
    return error


def enter(segue, **parameters):
    """A place is free again only when the connection before is gone to the last byte."""
    entered = []

    def try_once():
        with contextlib.suppress(wire.Closed):
            entered.append(segue.raw(**parameters))
        return entered

    wait_until(try_once)
    return entered[0]


# ---------------------------------------------------------------- how many


def test_one_more_than_max_client_conn_is_refused_whatever_worker_it_comes_to(make_segue):
    """The count is exact over all workers: of a crowd at once, just so many get in."""
    segue = make_segue(settings="max_client_conn = 20", workers=4)
    wait_until(lambda: stats(segue)["clients_now"] == 0)
    time.sleep(0.2)  # the harness's own connections are gone to the last byte
    outcomes = collections.Counter()
    barrier = threading.Barrier(50)
    inside = []

    def come():
        barrier.wait()
        try:
            inside.append(segue.raw())
            outcomes["in"] += 1
        except wire.Closed as refused:
            outcomes[refused.messages[-1].sqlstate] += 1

    crowd = [threading.Thread(target=come) for _ in range(50)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert outcomes == {"in": 20, "53300": 30}
    assert stats(segue)["ended_max_client_conn"] == 30
    for connection in inside:
        assert connection.rows("SELECT 1") == [["1"]]
    inside.pop().close()
    enter(segue).close()
    for connection in inside:
        connection.close()


def test_max_user_client_connections_counts_each_user_for_himself(make_segue):
    segue = make_segue(settings="max_user_client_connections = 2", workers=3)
    with segue.raw(user="alice") as first, segue.raw(user="alice") as second, \
            enter(segue, user="segue"):
        error = refusal(segue, user="alice")
        assert (error["C"], error["M"]) == ("53300", 'too many connections for role "alice"')
        assert error["D"] == "max_user_client_connections is 2."
        assert first.rows("SELECT 1") == second.rows("SELECT 1") == [["1"]]
        first.send(wire.terminate())
        first.read_all()
        enter(segue, user="alice").close()
    assert stats(segue)["ended_max_user_client_connections"] >= 1


def test_a_name_is_cut_off_where_the_server_cuts_it_off(make_segue, cluster):
    """What stands behind its 63 bytes makes nobody another user, and no database another one."""
    role, database = "r" * 63, "d" * 63
    cluster.create_database(database)
    with cluster.connect() as direct:
        direct.execute(f"CREATE ROLE {role} LOGIN")
    segue = make_segue([database], settings="max_user_client_connections = 1")
    with segue.raw(user=role) as first:
        assert first.rows("SELECT current_user, current_database()") == [[role, database]]
        for more in ("", "x", "x" * 100):
            assert refusal(segue, user=role + more)["C"] == "53300"
    # a database that has transitions knows what may stand here; any other leaves it to the server
    for more in ("", "x", "x" * 100):
        error = refusal(segue, database=database + more, options="-c segue.shape=sideways")
        assert error["C"] == "22023"
    with cluster.connect() as direct:
        direct.execute(f"DROP ROLE {role}")


def test_who_fails_to_log_in_takes_no_place_of_the_user_s(make_segue):
    segue = make_segue(settings="max_user_client_connections = 1")
    with wire.Connection(segue.old_port) as impostor:
        impostor.send(wire.startup_packet("user_password", "postgres"))
        impostor.read()  # the password is asked for
        segue.raw(user="user_password", secret="open sesame").close()


def test_max_db_client_connections_counts_each_database_for_itself(make_segue):
    segue = make_segue(settings="max_db_client_connections = 1", workers=3)
    with enter(segue, database="postgres"):
        error = refusal(segue, database="postgres", user="alice")
        assert (error["C"], error["M"]) == ("53300", 'too many connections for database "postgres"')
        segue.raw(database="template1").close()
    assert stats(segue)["ended_max_db_client_connections"] >= 1


# ---------------------------------------------------------------- how long


def ends_with(connection, state, what):
    """The FATAL error that ends it, within what a time-out of one second may take."""
    error = connection.read_all()[-1].fields()
    assert (error["S"], error["C"]) == ("FATAL", state)
    assert error["M"] == f"terminating connection due to {what} timeout"
    return error


def works_on(begin, sql):
    """
    The session that `begin` gives, once it was at work for longer than the time-out of a second and the
    two that it may be late. None where it was ended because this process was kept from working for so long.
    """
    begun = asked = time.monotonic()
    slowest = 0
    connection = begin()
    try:
        while asked < begun + 4:
            connection.query(sql)
            time.sleep(0.2)
            slowest, asked = max(slowest, time.monotonic() - asked), time.monotonic()
        return connection
    except (wire.Closed, OSError):
        connection.close()
        slowest = max(slowest, time.monotonic() - asked)
        assert slowest >= 1, f"it was ended, and no round of its work took more than {slowest:.2f} s"
        return None


def at_work(begin, sql="SELECT 1"):
    """A session that was left alone while it worked."""
    return wait_until(lambda: works_on(begin, sql), seconds=200)


def in_a_transaction(segue):
    connection = segue.raw()
    connection.query("BEGIN")
    return connection


def test_client_idle_timeout_ends_who_says_nothing_and_nobody_else(make_segue):
    segue = make_segue(settings="client_idle_timeout = 1")
    with segue.raw() as idle, in_a_transaction(segue) as in_transaction, segue.raw() as in_query:
        in_query.send(wire.query("SELECT pg_sleep(5)"))
        at_work(segue.raw).close()
        error = ends_with(idle, "57P05", "idle-session")
        assert error["H"] == "client_idle_timeout of segue.conf is 1 second."
        assert in_transaction.rows("SELECT 1") == [["1"]]
        assert wire.transaction_state(in_query.read_until()) == "I"
    assert stats(segue)["ended_client_idle_timeout"] >= 1


def test_idle_transaction_timeout_ends_it_as_postgresql_words_it(make_segue, cluster):
    segue = make_segue(settings="idle_transaction_timeout = 1")
    with in_a_transaction(segue) as in_transaction, segue.raw() as failed, segue.raw() as batch, \
            segue.raw() as idle:
        failed.query("BEGIN; SELECT 1/0")
        batch.send(wire.extended("SELECT 1") + wire.flush())  # no Sync: its transaction is open
        at_work(lambda: in_a_transaction(segue)).close()
        with cluster.connect() as direct:  # PostgreSQL's own words
            direct.execute("SET idle_in_transaction_session_timeout = 100")
            with pytest.raises(psycopg.OperationalError) as its_own:
                direct.execute("BEGIN")
                time.sleep(1)
                direct.execute("SELECT 1")
        for connection in (in_transaction, failed, batch):
            ends_with(connection, "25P03", "idle-in-transaction")
        assert "terminating connection due to idle-in-transaction timeout" in str(its_own.value)
        assert idle.rows("SELECT 1") == [["1"]]
    assert stats(segue)["ended_idle_transaction_timeout"] >= 3


def test_query_timeout_ends_one_long_query_but_no_long_row_of_short_ones(make_segue):
    segue = make_segue(settings="query_timeout = 2")
    with segue.raw() as long, segue.raw() as long_extended, segue.raw() as pipelined, \
            segue.raw() as idle:
        long.send(wire.query("SELECT pg_sleep(60)"))
        long_extended.send(wire.extended("SELECT pg_sleep(60)") + wire.sync())
        pipelined.send(b"".join(wire.query("SELECT pg_sleep(0.5)") for _ in range(12)))
        ends_with(long, "57014", "query")
        ends_with(long_extended, "57014", "query")
        assert len(pipelined.read_until(count=12)) == 12 * 4
        assert idle.rows("SELECT 1") == [["1"]]
    assert stats(segue)["ended_query_timeout"] == 2


def test_transaction_timeout_ends_one_long_transaction_but_no_row_of_short_ones(make_segue):
    segue = make_segue(settings="transaction_timeout = 1")
    with segue.raw() as idle:
        def work_until_it_is_ended():
            with in_a_transaction(segue) as long, contextlib.suppress(wire.Closed, OSError):
                while True:  # busy in it all the time
                    long.query("SELECT 1")
                    time.sleep(0.2)

        ending = threading.Thread(target=work_until_it_is_ended, daemon=True)
        ending.start()
        at_work(segue.raw, sql="BEGIN; SELECT pg_sleep(0.3); COMMIT").close()
        ending.join(60)
        assert not ending.is_alive(), "the transaction was never ended"
        assert idle.rows("SELECT 1") == [["1"]]
    assert stats(segue)["ended_transaction_timeout"] >= 1


def test_who_waits_for_segue_is_not_over_time(make_segue, shop_database):
    """PAUSE holds a statement: that is neither idle nor a long query."""
    segue = make_segue([shop_database], "query_timeout = 1\nclient_idle_timeout = 1")
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    segue.admin("PAUSE")
    with segue.raw() as held:
        held.send(wire.query("SELECT role FROM users WHERE id = 1"))
        wait_until(lambda: any(row["state"] == "held" for row in segue.admin("SHOW CLIENTS").rows))
        time.sleep(4)
        segue.admin("RESUME")
        assert [m.row() for m in held.read_until() if m.kind == b"D"] == [[b"admin,editor"]]


def test_time_outs_that_a_reload_brings_count_from_then_on(make_segue):
    segue = make_segue()
    with segue.raw() as idle:
        idle.query("BEGIN")
        time.sleep(2.5)
        with open(segue.config_path, "a", encoding="utf-8") as file:
            file.write("idle_transaction_timeout = 3\n")
        begun = time.monotonic()
        segue.admin("RELOAD")
        ends_with(idle, "25P03", "idle-in-transaction")
        assert time.monotonic() - begun > 2.9, "time was counted that was allowed"


# ---------------------------------------------------------------- sockets


def keepalive_timers(ports):
    """Of established connections at these local ports, as /proc has them: is one running?"""
    lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    return [row[5].split(":")[0] == "02" for row in fields
            if row[3] == "01" and int(row[1].split(":")[1], 16) in ports]


PIDFD_GETFD = 438  # of any architecture


def sockets_of(segue, ports):
    """The proxy's own connected TCP sockets at these local ports, as if they were ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(segue.process.pid)
    for name in os.listdir(f"/proc/{segue.process.pid}/fd"):
        descriptor = libc.syscall(PIDFD_GETFD, process, int(name), 0)
        if descriptor < 0:
            continue  # one that was closed meanwhile
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            continue
        with socket.socket(fileno=descriptor) as one:
            if one.family == socket.AF_INET and one.getsockname()[1] in ports:
                with contextlib.suppress(OSError):  # it listens
                    one.getpeername()
                    yield one
    os.close(process)


def test_how_tcp_watches_is_as_the_settings_say_on_both_sides(make_segue):
    options = {"tcp_keepidle": (socket.TCP_KEEPIDLE, 77), "tcp_keepintvl": (socket.TCP_KEEPINTVL, 7),
               "tcp_keepcnt": (socket.TCP_KEEPCNT, 4), "tcp_user_timeout": (socket.TCP_USER_TIMEOUT, 12345)}
    segue = make_segue(settings="\n".join(f"{name} = {value}" for name, (_, value) in options.items()))
    with segue.raw() as connection, segue.direct() as direct:
        (upstream_port,), = direct.execute(
            "SELECT client_port FROM pg_stat_activity WHERE pid = %s", [connection.pid]).fetchall()
        for port in (segue.old_port, upstream_port):
            told = [{name: one.getsockopt(socket.IPPROTO_TCP, option) for name, (option, _) in options.items()}
                    for one in sockets_of(segue, {port})]
            assert told == [{name: value for name, (_, value) in options.items()}]


@pytest.mark.parametrize("switch", ["on", "off"])
def test_tcp_keepalive_is_on_both_sides_or_on_none(make_segue, switch):
    segue = make_segue(settings=f"tcp_keepalive = {switch}\ntcp_keepidle = 1000")
    with segue.raw() as connection, segue.direct() as direct:
        (upstream_port,), = direct.execute(
            "SELECT client_port FROM pg_stat_activity WHERE pid = %s", [connection.pid]).fetchall()
        wait_until(lambda: keepalive_timers({segue.old_port}) == [switch == "on"])
        wait_until(lambda: keepalive_timers({upstream_port}) == [switch == "on"])
