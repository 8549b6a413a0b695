"""Several upstream hosts: which one a session gets, and what it is told where there is none."""

import contextlib
import socket
import struct
import time

import psycopg
import pytest

import tables
import wire
from cluster import SECRET, Cluster, Standby
from fake_server import AUTHENTICATION_OK, READY, FakeServer, error, parameter
from ports import free_port
from segue import Segue
from waiting import admin_answers, wait_until


@pytest.fixture(scope="module")
def primary():
    cluster = Cluster("wal_keep_size = 64MB")
    tables.create_template(cluster)
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def standby(primary):
    cluster = Standby(primary)
    yield cluster
    cluster.remove()


@pytest.fixture
def proxy(tmp_path):
    """A function that starts a proxy in front of (host, port)s; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(hosts, target="any", databases=(), settings="", cluster=None, wait=True):
            names = ",".join(host for host, _ in hosts)
            ports = ",".join(str(port) for _, port in hosts)
            segue = Segue(
                cluster, tmp_path, databases, settings, workers=1,
                upstream=f'host = "{names}"  port = "{ports}"  target_session_attrs = "{target}"',
            )
            if not wait:
                segue.wait_until_ready = lambda: wait_until(lambda: admin_answers(segue))
            segue.start()
            stack.callback(segue.stop)
            return segue

        yield start


def local(*clusters):
    return [("127.0.0.1", cluster.port) for cluster in clusters]


def server_of(segue, **parameters):
    """The port of the server that a new session is at."""
    with segue.connect("old", "postgres", **parameters) as connection:
        return int(connection.execute("SHOW port").fetchone()[0])


def refusal(segue, user="postgres"):
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet(user, "postgres"))
        return connection.read_all()[-1].fields()


@pytest.mark.parametrize(
    "target, first, expected",
    [
        ("any", "primary", "primary"),
        ("any", "standby", "standby"),
        ("read-write", "primary", "primary"),
        ("read-write", "standby", "primary"),
        ("primary", "standby", "primary"),
        ("read-only", "primary", "standby"),
        ("standby", "primary", "standby"),
        ("standby", "standby", "standby"),
        ("prefer-standby", "primary", "standby"),
    ],
)
def test_a_session_gets_the_first_server_of_the_kind_that_is_asked_for(
    proxy, primary, standby, target, first, expected
):
    named = {"primary": primary, "standby": standby}
    order = [primary, standby] if first == "primary" else [standby, primary]
    segue = proxy(local(*order), target)
    for _ in range(3):
        assert server_of(segue) == named[expected].port
    # libpq itself, asked the same, comes to the same
    with psycopg.connect(
        host="127.0.0.1,127.0.0.1", port=",".join(str(c.port) for c in order), user="postgres",
        dbname="postgres", target_session_attrs=target,
    ) as connection:
        assert int(connection.execute("SHOW port").fetchone()[0]) == named[expected].port


def test_prefer_standby_takes_a_primary_where_there_is_no_standby(proxy, primary):
    segue = proxy([("127.0.0.1", free_port()), *local(primary)], "prefer-standby")
    for user in ("postgres", "user_md5", "user_password", "user_scram"):
        assert server_of(segue, user=user, password=SECRET) == primary.port


@pytest.mark.parametrize("user", ["user_md5", "user_password"])
def test_a_password_is_asked_for_again_at_the_next_server(proxy, primary, standby, user):
    standby.catch_up(primary)
    segue = proxy(local(standby, primary), "read-write", wait=False)
    assert server_of(segue, user=user, password=SECRET) == primary.port


def test_a_scram_login_at_the_wrong_server_is_told_to_come_again_and_then_gets_the_right_one(
    proxy, primary, standby
):
    standby.catch_up(primary)
    segue = proxy(local(standby, primary), "read-write", wait=False)
    with pytest.raises(psycopg.OperationalError) as refused:
        server_of(segue, user="user_scram", password=SECRET)
    assert f'port {standby.port}: session is read-only' in str(refused.value)
    assert "Connect again" in str(refused.value)
    assert server_of(segue, user="user_scram", password=SECRET) == primary.port


def test_a_wrong_password_is_not_tried_elsewhere(proxy, primary, standby):
    segue = proxy(local(primary, standby), "read-write")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        server_of(segue, user="user_md5", password="wrong")


def test_read_write_follows_default_transaction_read_only_too(proxy, primary, standby):
    with primary.connect() as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("ALTER ROLE reader SET default_transaction_read_only = on")
    standby.catch_up(primary)
    segue = proxy(local(primary, standby), "read-write")
    told = refusal(segue, "reader")
    assert told["C"] == "08006"
    for cluster in (primary, standby):
        assert f'at "127.0.0.1", port {cluster.port}: session is read-only' in told["M"]
    assert server_of(segue) == primary.port


def test_what_the_client_hears_of_a_login_is_what_the_right_server_said(proxy, primary, standby):
    segue = proxy(local(standby, primary), "primary", wait=False)
    messages = {}
    for port in (segue.old_port, primary.port):
        with wire.Connection(port) as connection:
            connection.send(wire.startup_packet("postgres", "postgres"))
            messages[port] = [
                message if message.kind != b"K" else "a key"
                for message in connection.read_until(b"Z")
            ]
    assert messages[segue.old_port] == messages[primary.port]


def test_a_host_that_is_down_is_passed_over_and_remembered(proxy, primary):
    down = free_port()
    segue = proxy([("127.0.0.1", down), *local(primary)])
    for _ in range(3):
        assert server_of(segue) == primary.port
    lines = [line for line in segue.log().splitlines() if "cannot be reached" in line]
    assert len(lines) == 1 and f'the server at "127.0.0.1", port {down}' in lines[0], lines


def test_where_all_are_down_every_host_is_named_with_its_reason(proxy):
    ports = [free_port(), free_port()]
    hosts = [("127.0.0.1", ports[0]), ("::1", ports[1]), ("/nonexistent", 5432),
             ("@segue-nobody", 5432)]
    told = refusal(proxy(hosts, wait=False))
    assert told["C"] == "08006"
    for reason in (
        f'at "127.0.0.1", port {ports[0]}: connection refused',
        f'at "::1", port {ports[1]}: connection refused',
        'at "/nonexistent", port 5432: no such file or directory',
        'at "@segue-nobody", port 5432: connection refused',
    ):
        assert reason in told["M"]


def test_a_host_whose_name_is_unknown_is_passed_over(proxy, primary):
    segue = proxy([("no-such-host.invalid", 5432), *local(primary)])
    assert server_of(segue) == primary.port


@pytest.mark.parametrize("target", ["any", "read-write"])
def test_a_host_that_accepts_and_never_answers_is_passed_over_in_time(proxy, primary, target):
    with FakeServer(lambda connection: time.sleep(60)) as silent:
        segue = proxy(
            [("127.0.0.1", silent.port), *local(primary)], target,
            settings="server_connect_timeout = 1",
        )
        assert server_of(segue) == primary.port


def test_a_host_that_never_answers_tls_is_passed_over_in_time(proxy, primary):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", free_port()))
        silent.listen(8)
        segue = proxy(
            [silent.getsockname(), *local(primary)], settings="server_connect_timeout = 1"
        )
        assert server_of(segue) == primary.port


def starts_up(connection):
    connection.sendall(error("57P03", "the database system is starting up"))


def test_a_server_that_starts_up_is_passed_over(proxy, primary):
    with FakeServer(starts_up) as starting:
        segue = proxy([("127.0.0.1", starting.port), *local(primary)])
        assert server_of(segue) == primary.port


def test_where_it_is_alone_a_servers_own_words_are_told(proxy):
    with FakeServer(starts_up) as starting:
        told = refusal(proxy([("127.0.0.1", starting.port)], wait=False))
        assert (told["C"], told["M"]) == ("57P03", "the database system is starting up")


def test_a_server_of_before_version_14_is_asked_what_it_is(proxy, primary):
    """It tells no in_hot_standby."""
    asked = []

    def serve(connection):
        connection.sendall(AUTHENTICATION_OK + parameter("server_version", "13.4") + READY)
        asked.append(FakeServer.read_message(connection).body)
        values = [b"t", b"on"]
        row = struct.pack("!H", 2) + b"".join(struct.pack("!i", len(v)) + v for v in values)
        connection.sendall(
            wire.message(b"D", row) + wire.message(b"C", wire.cstring("SELECT 1")) + READY
        )
        FakeServer.read_message(connection)

    with FakeServer(serve) as old:
        segue = proxy([("127.0.0.1", old.port), *local(primary)], "read-write", wait=False)
        assert server_of(segue) == primary.port
        assert b"pg_is_in_recovery" in asked[0]
        segue.stop()
        segue.change_config('"read-write"', '"standby"')
        segue.start()
        with wire.Connection(segue.old_port) as connection:
            connection.send(wire.startup_packet("postgres", "postgres"))
            kinds = b"".join(message.kind for message in connection.read_until(b"Z"))
            assert kinds == b"RSZ", "nothing of the question"


def sleep_at(cluster, connection):
    """A session of this server has a query that will not end by itself."""
    connection.send(wire.query("SELECT pg_sleep(60)"))
    with cluster.connect() as watch:
        wait_until(lambda: watch.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'",
            [connection.pid]).fetchone())


def test_a_cancel_request_goes_to_the_server_of_its_session(proxy, primary, standby):
    for first, second, target in (
        (primary, standby, "standby"), (standby, primary, "primary"),
    ):
        segue = proxy(local(first, second), target)
        with segue.raw("old", "postgres") as connection:
            sleep_at(second, connection)
            with wire.Connection(segue.old_port) as canceller:
                canceller.send(wire.cancel_request(connection.pid, connection.key))
                assert canceller.read_all() == []
            assert [m.sqlstate for m in connection.read_until(b"Z") if m.kind == b"E"] == ["57014"]
        segue.stop()


def test_a_failover_moves_new_sessions_and_the_control_connection_to_the_promoted_standby(
    proxy, tmp_path
):
    first = Cluster("wal_keep_size = 64MB")
    second = None
    try:
        first.create_database("shop")
        with first.connect("shop") as connection:
            connection.execute(tables.CREATE["old"])
            tables.fill(connection, "old")
        second = Standby(first)
        segue = proxy(local(second, first), "read-write", ["shop"], cluster=first)
        segue.move_to("users_role", "dual_own", tables.definition("users_role"))
        with segue.new() as connection:
            connection.execute("INSERT INTO users (id, roles) VALUES (100, '{a,b}')")
            assert server_of(segue) == first.port
        second.catch_up(first)
        first.stop()
        second.promote()
        wait_until(lambda: segue.lets_in(segue.old_port, "shop"))
        assert server_of(segue) == second.port
        with segue.old() as connection:
            # until the control connection has followed
            wait_until(lambda: works(connection, "SELECT role FROM users WHERE id = 100"))
            assert connection.execute("SELECT role FROM users WHERE id = 100").fetchone() == ("a,b",)
        segue.move_to("users_role", "dual_new")
        with second.connect("shop") as connection:
            query = "SELECT phase FROM segue.transitions"
            assert connection.execute(query).fetchall() == [("dual_new",)]
    finally:
        first.remove()
        if second:
            second.remove()


@pytest.mark.parametrize("target", ["standby", "prefer-standby", "any"])
def test_a_session_at_a_standby_can_use_all_but_tables_in_transition(
    proxy, primary, standby, target
):
    primary.create_database("lagging", template="old_template")
    segue = proxy(local(standby, primary), target, ["lagging"], cluster=primary)
    segue.move_to("users_role", "dual_own", tables.definition("users_role"))
    standby.catch_up(primary)
    # where any server will do, the one of the control connection comes first
    expected = primary if target == "any" else standby
    assert server_of(segue) == expected.port
    with segue.new() as connection:
        assert connection.execute("SELECT count(*) FROM plain").fetchone() is not None
        if target == "any":
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (5,)
        else:
            for prepare in (False, True):
                with pytest.raises(psycopg.errors.CannotConnectNow, match="at another server"):
                    connection.execute("SELECT roles FROM users WHERE id = %s", [1], prepare=prepare)
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_session_at_the_old_primary_cannot_use_tables_in_transition_once_control_has_moved(
    proxy, tmp_path
):
    """Nobody fenced the old primary: what were written there would be lost."""
    first = Cluster("wal_keep_size = 64MB")
    second = None
    try:
        first.create_database("shop")
        with first.connect("shop") as connection:
            connection.execute(tables.CREATE["old"])
            tables.fill(connection, "old")
        second = Standby(first)
        segue = proxy(local(first, second), "read-write", ["shop"], cluster=first)
        segue.move_to("users_role", "dual_own", tables.definition("users_role"))
        second.catch_up(first)
        with segue.old() as connection:
            connection.execute("UPDATE users SET role = 'x' WHERE id = 1")
            second.promote()
            with first.connect() as master:
                # read-only from here on, for those who connect: the control connection must go
                master.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                master.execute("SELECT pg_reload_conf()")
                master.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'segue control'"
                )
            wait_until(lambda: server_of(segue) == second.port)
            with segue.old() as fresh:
                wait_until(lambda: works(fresh, "SELECT role FROM users WHERE id = 1"))
            connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(psycopg.errors.CannotConnectNow, match="at another server"):
                connection.execute("UPDATE users SET role = 'lost' WHERE id = 1")
    finally:
        first.remove()
        if second:
            second.remove()


def works(connection, statement):
    try:
        connection.execute(statement)
        return True
    except psycopg.errors.CannotConnectNow:
        return False


def test_who_logs_in_by_the_hosts_of_before_a_reload_takes_nothing_from_what_is_known(
    proxy, primary, standby
):
    """Where transitions can be used is what the control connection found out, and comes first."""
    segue = proxy(local(primary), databases=["old_template"])
    with wire.Connection(segue.old_port) as late:
        assert server_of(segue) == primary.port  # `late` was accepted before that
        segue.change_config(f'host = "127.0.0.1"  port = "{primary.port}"',
                            f'host = "127.0.0.1,127.0.0.1"  port = "{standby.port},{primary.port}"')
        segue.admin("RELOAD")
        wait_until(lambda: server_of(segue) == primary.port)
        late.login("postgres", "postgres")
        assert [server_of(segue) for _ in range(3)] == [primary.port] * 3


def test_a_cancel_request_finds_its_session_after_the_hosts_were_reloaded(
    proxy, primary, standby
):
    segue = proxy(local(primary))
    with segue.raw("old", "postgres") as connection:
        segue.change_config(f'"{primary.port}"', f'"{standby.port}"')
        segue.admin("RELOAD")
        wait_until(lambda: server_of(segue) == standby.port)
        sleep_at(primary, connection)
        with wire.Connection(segue.old_port) as canceller:
            canceller.send(wire.cancel_request(connection.pid, connection.key))
            assert canceller.read_all() == []
        assert [m.sqlstate for m in connection.read_until(b"Z") if m.kind == b"E"] == ["57014"]
