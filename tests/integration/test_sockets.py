"""Unix sockets by path and by abstract name, IPv6, and names with several addresses, on both sides."""

import os
import socket
import subprocess

import psycopg
import pytest

import wire
from cluster import Cluster
from fake_server import AUTHENTICATION_OK, READY, FakeServer
from ports import free_port
from segue import Segue
from waiting import admin_answers, wait_until

# Hosts files are read from /etc: a name of our own takes a private mount of it.
PRIVATE_HOSTS = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']


def may_mount():
    probe = [*PRIVATE_HOSTS[:3], "-c", "mount --bind /etc/hosts /etc/hosts"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def everywhere():
    """A server on both loopbacks, a Unix socket in its directory, and an abstract one."""
    cluster = Cluster("listen_addresses = '127.0.0.1,::1'")
    name = f"@segue-test-{os.getpid()}"
    cluster.append("postgresql.conf",
                   f"unix_socket_directories = '{cluster.directory},{name}'\n")
    cluster.append("pg_hba.conf", "host all all ::1/128 trust\n")
    cluster.stop()
    cluster.start()
    cluster.abstract = name
    yield cluster
    cluster.remove()


@pytest.fixture
def proxy(everywhere, tmp_path):
    started = []

    def start(host, settings="", target="any"):
        segue = Segue(
            everywhere, tmp_path, settings=settings,
            upstream=f'host = "{host}"  port = {everywhere.port}  target_session_attrs = "{target}"',
        )
        started.append(segue)
        return segue.start()

    yield start
    for segue in started:
        segue.stop()


def peer_of(connection):
    """How the server sees who connects: None by a Unix socket."""
    return connection.execute("SELECT host(inet_client_addr())").fetchone()[0]


def place(everywhere, kind):
    return {
        "path": str(everywhere.directory), "abstract": everywhere.abstract, "IPv4": "127.0.0.1",
        "IPv6": "::1",
    }[kind]


@pytest.mark.parametrize("upstream", ["path", "abstract", "IPv4", "IPv6"])
@pytest.mark.parametrize("listen", ["path", "abstract", "IPv4", "IPv6"])
def test_every_kind_of_socket_on_either_side(proxy, everywhere, tmp_path, listen, upstream):
    directory = tmp_path / "sockets"
    directory.mkdir()
    at = {"path": str(directory), "abstract": f"@segue-listen-{os.getpid()}", "IPv4": "127.0.0.1",
          "IPv6": "::1"}[listen]
    port = free_port()
    segue = proxy(
        place(everywhere, upstream), f'listen "tested" {{ address = "{at}"  port = {port} }}'
    )
    # libpq's own idea of these names
    with psycopg.connect(host=at, port=port, user="postgres", dbname="postgres") as connection:
        expected = {"IPv4": "127.0.0.1", "IPv6": "::1"}.get(upstream)
        assert peer_of(connection) == expected
        pid = connection.info.backend_pid
        clients = {row["server_pid"]: row for row in segue.admin("SHOW CLIENTS").rows}
        assert clients[pid]["address"].startswith(
            {"IPv4": "127.0.0.1:", "IPv6": "[::1]:"}.get(listen, "local")
        )
    segue.stop()
    assert os.listdir(directory) == []


def test_an_abstract_name_is_taken_by_one_process_only(proxy, everywhere, tmp_path):
    at, port = f"@segue-taken-{os.getpid()}", free_port()
    line = f'listen "tested" {{ address = "{at}"  port = {port} }}'
    proxy("127.0.0.1", line)
    second = tmp_path / "second"
    second.mkdir()
    other = Segue(everywhere, second, settings=line)
    with pytest.raises(AssertionError, match="segue ended with"):
        other.start()
    assert f'cannot listen on "{at}", port {port}: address already in use' in other.log()
    other.process = None


def test_a_name_that_is_as_long_as_can_be_is_taken(proxy):
    at, port = "@" + "n" * 89, free_port()
    proxy("127.0.0.1", f'listen "tested" {{ address = "{at}"  port = {port} }}')
    psycopg.connect(host=at, port=port, user="postgres", dbname="postgres").close()


def test_one_port_on_both_loopbacks(proxy):
    port = free_port()
    proxy("127.0.0.1", "\n".join(
        f'listen "{name}" {{ address = "{at}"  port = {port} }}'
        for name, at in (("four", "127.0.0.1"), ("six", "::1"))
    ))
    for host in ("127.0.0.1", "::1"):
        psycopg.connect(host=host, port=port, user="postgres", dbname="postgres").close()


@pytest.mark.skipif(not may_mount(), reason="a hosts file of its own takes the right to mount")
class TestNamesWithSeveralAddresses:
    @pytest.fixture
    def named(self, tmp_path, monkeypatch):
        """Starts a proxy for which many.test has two addresses; gives it, listening."""
        hosts = tmp_path / "hosts"
        hosts.write_text("::1 many.test\n127.0.0.1 many.test\n127.0.0.1 localhost\n")
        started = []

        def start(port, settings="", target="any"):
            segue = Segue(
                None, tmp_path, settings=settings,
                upstream=f'host = "many.test"  port = {port}  target_session_attrs = "{target}"',
            )
            run = subprocess.Popen
            monkeypatch.setattr(
                subprocess, "Popen",
                lambda command, **rest: run([*PRIVATE_HOSTS, hosts, *command], **rest),
            )
            segue.wait_until_ready = lambda: wait_until(lambda: admin_answers(segue))
            segue.start()
            monkeypatch.setattr(subprocess, "Popen", run)
            started.append(segue)
            return segue

        yield start
        for segue in started:
            segue.stop()

    def test_the_first_is_taken_where_it_answers(self, named, everywhere):
        with named(everywhere.port).connect("old", "postgres") as connection:
            assert peer_of(connection) == "::1"

    def test_the_next_is_tried_where_one_refuses(self, named, cluster):
        with named(cluster.port).connect("old", "postgres") as connection:
            assert peer_of(connection) == "127.0.0.1"

    def test_the_next_is_tried_where_one_is_silent(self, named, cluster):
        with socket.socket(socket.AF_INET6) as silent:
            silent.bind(("::1", cluster.port))
            silent.listen(8)
            segue = named(cluster.port, "server_connect_timeout = 1")
            with segue.connect("old", "postgres") as connection:
                assert peer_of(connection) == "127.0.0.1"

    def test_every_address_is_named_where_all_refuse(self, named):
        port = free_port()
        with wire.Connection(named(port).old_port) as connection:
            connection.send(wire.startup_packet("postgres", "postgres"))
            told = connection.read_all()[-1].fields()["M"]
        for address in ("::1", "127.0.0.1"):
            assert f'at "many.test" ({address}), port {port}: connection refused' in told

    def test_the_kind_is_asked_of_each_address_and_a_cancel_finds_the_right_one(
        self, named, cluster
    ):
        def standby(connection):
            status = b"".join(
                wire.message(b"S", wire.cstring(name) + wire.cstring("on"))
                for name in ("in_hot_standby", "default_transaction_read_only")
            )
            connection.sendall(AUTHENTICATION_OK + status + READY)
            FakeServer.read_message(connection)

        with FakeServer(standby, "::1", cluster.port) as fake:
            segue = named(cluster.port, target="read-write")
            with segue.raw("old", "postgres") as connection:
                assert len(fake.startups) == 1, "it was asked first"
                connection.send(wire.query("SELECT pg_sleep(60)"))
                with cluster.connect() as watch:
                    wait_until(lambda: watch.execute(
                        "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'",
                        [connection.pid]).fetchone())
                with wire.Connection(segue.old_port) as canceller:
                    canceller.send(wire.cancel_request(connection.pid, connection.key))
                    assert canceller.read_all() == []
                sqlstates = [m.sqlstate for m in connection.read_until(b"Z") if m.kind == b"E"]
                assert sqlstates == ["57014"]
            assert len(fake.startups) == 1, "the cancel request did not go there"
