"""TLS with clients: who is let in, who is not, and what is told."""

import os
import socket
import ssl
import subprocess

import psycopg
import pytest

import wire
from segue import BINARY
from tls import authority, files, start_with  # fixtures
from tls import parameters


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
def test_a_client_that_asks_for_tls_gets_it_and_everything_works(start_with, authority, mode):
    segue = start_with(mode)
    with segue.old(**parameters(authority)) as connection:
        assert connection.pgconn.ssl_in_use
        # more than one record, more than one buffer, both ways
        big = "x" * 3_000_000
        assert connection.execute("SELECT %s::text", [big]).fetchone() == (big,)
        rows = connection.execute("SELECT i, repeat('y', 100) FROM generate_series(1, 50000) i")
        assert len(rows.fetchall()) == 50000
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", [i]) for i in range(500)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(500))


def test_pitfall_44_one_large_row_over_tls_costs_what_as_many_bytes_in_small_ones_do(
        start_with, authority):
    """Written as a whole again and again it would cost the square of its size."""
    segue = start_with("require")
    with segue.old(**parameters(authority)) as connection:
        def seconds(rows):  # of the proxy's own CPU, which other processes do not lengthen
            sql = f"SELECT repeat('x', {40_000_000 // rows}) FROM generate_series(1, {rows})"
            taken = []
            for _ in range(3):
                before = segue.cpu_seconds()
                cursor = connection.execute(sql)
                assert sum(len(row[0]) for row in cursor) == 40_000_000
                taken.append(segue.cpu_seconds() - before)
            return min(taken)

        assert seconds(rows=1) < 4 * seconds(rows=40)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_both_versions_of_tls_are_spoken(start_with, authority, version):
    segue = start_with("require")
    with segue.old(**parameters(authority, ssl_min_protocol_version=version,
                                ssl_max_protocol_version=version)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_may_be_held_to_the_newest_version(start_with, authority):
    segue = start_with("require", 'client_tls_min_protocol = "TLSv1.3"\n')
    with pytest.raises(psycopg.OperationalError, match="protocol version"):
        segue.old(**parameters(authority, ssl_max_protocol_version="TLSv1.2"))
    segue.old(**parameters(authority)).close()


def test_a_client_in_the_clear_is_let_in_where_tls_is_only_offered(start_with):
    with start_with("allow").old(sslmode="disable") as connection:
        assert not connection.pgconn.ssl_in_use


def test_a_client_in_the_clear_is_told_to_use_tls_where_it_is_required(start_with):
    with pytest.raises(psycopg.OperationalError, match="this port is for TLS only"):
        start_with("require").old(sslmode="disable")


def test_a_certificate_is_demanded_and_verified(start_with, authority, files):
    segue = start_with("verify-ca")
    with segue.old(**parameters(authority, files["alice"])) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    for certificate in (None, files["stranger"]):
        with pytest.raises(psycopg.OperationalError):
            segue.old(**parameters(authority, certificate)).execute("SELECT 1")


def test_verify_full_means_the_user_of_the_certificate(start_with, authority, files):
    segue = start_with("verify-full")
    with segue.old(user="alice", **parameters(authority, files["alice"])) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("alice",)
    with pytest.raises(psycopg.OperationalError,
                       match='certificate authentication failed for user "postgres"'):
        segue.old(user="postgres", **parameters(authority, files["alice"]))


def test_bytes_sent_ahead_of_the_handshake_are_refused(start_with):
    """CVE-2021-23214: what came in the clear must not be taken for what was encrypted."""
    segue = start_with("allow")
    with wire.Connection(segue.old_port) as connection:
        startup = wire.startup_packet("postgres", "postgres")
        connection.send(wire.ssl_request() + startup)
        messages = connection.read_all()
    assert [message.kind for message in messages] == [b"E"]
    assert b"unencrypted data" in messages[0].body


def test_direct_tls_needs_the_name_of_the_protocol(start_with, authority):
    segue = start_with("require")
    context = ssl.create_default_context(cafile=authority.certificate)
    context.set_alpn_protocols(["postgresql"])
    with wire.Connection(segue.old_port) as connection:
        connection.socket = context.wrap_socket(connection.socket, server_hostname="localhost")
        connection.login("postgres", "postgres")
        assert connection.parameters["server_version"]
    with wire.Connection(segue.old_port) as connection:
        context = ssl.create_default_context(cafile=authority.certificate)
        connection.socket = context.wrap_socket(connection.socket, server_hostname="localhost")
        assert b"ALPN" in connection.read_all()[0].body
    with wire.Connection(segue.old_port) as connection:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.set_alpn_protocols(["http/1.1"])
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(connection.socket, server_hostname="localhost")


def test_a_handshake_that_is_nonsense_disturbs_nobody(start_with, authority):
    segue = start_with("allow")
    with segue.old(**parameters(authority)) as steady:
        for after in (b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"nonsense", b""):
            with socket.create_connection(("127.0.0.1", segue.old_port)) as hostile:
                hostile.sendall(wire.ssl_request())
                assert hostile.recv(1) == b"S"
                hostile.sendall(after)
                hostile.shutdown(socket.SHUT_WR)
                while hostile.recv(4096):
                    pass
            assert steady.execute("SELECT 1").fetchone() == (1,)


def test_cancel_reaches_a_statement_over_tls(start_with, authority):
    segue = start_with("allow")
    with segue.old(**parameters(authority)) as connection:
        with segue.old(**parameters(authority)) as other:
            sleeping = connection.info.backend_pid
            cancel = connection.pgconn.get_cancel()
            connection.pgconn.send_query(b"SELECT pg_sleep(60)")
            while not other.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'", [sleeping]
            ).fetchone():
                pass
            cancel.cancel()
            result = connection.pgconn.get_result()
            assert b"canceling statement" in result.error_message
            while connection.pgconn.get_result():
                pass


# ---------------------------------------------------------------- files


def encrypt(key):
    made = key.with_suffix(".encrypted")
    subprocess.run(["openssl", "pkey", "-aes256", "-passout", "pass:open sesame", "-in", key, "-out", made],
                   check=True)
    made.replace(key)


@pytest.mark.parametrize("break_it, told", [
    (lambda c, k: k.chmod(0o644), "may be read by others"),
    pytest.param(lambda c, k: os.chown(k, 1, 1), "belongs to another user", marks=pytest.mark.skipif(
        os.geteuid() != 0, reason="only root gives files away")),
    (lambda c, k: encrypt(k), "is encrypted"),
    (lambda c, k: k.write_text("nonsense"), "could not load the private key"),
    (lambda c, k: c.write_text("nonsense"), "could not load the certificate"),
    (lambda c, k: c.unlink(), "could not load the certificate"),
])
def test_a_file_that_is_wrong_is_told_at_start(make_segue, authority, break_it, told):
    certificate, key = authority.issue("broken", file=f"broken{abs(hash(told)) % 1000}")
    break_it(certificate, key)
    segue = make_segue(start=False, settings='client_tls_sslmode = "require"\n'
                       f'client_tls_cert_file = "{certificate}"\nclient_tls_key_file = "{key}"\n')
    done = subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode != 0
    assert told in done.stderr
