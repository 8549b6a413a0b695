"""TLS with clients and with the server: who is let in, who is not, and what is told."""

import base64
import os
import socket
import ssl
import struct
import subprocess

import psycopg
import pytest

import wire
from certificates import Authority
from cluster import SECRET, Cluster
from fake_server import FakeServer, error
from remains import remains_of
from scram import MECHANISM, MECHANISM_PLUS, Scram, initial_response, response
from segue import BINARY, Segue


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def files(authority):
    """(certificate, key) by whose they are."""
    return {
        "segue": authority.issue("segue.test", "DNS:localhost,IP:127.0.0.1"),
        "server": authority.issue("localhost", "DNS:localhost,IP:127.0.0.1", "server"),
        "alice": authority.issue("alice"),
        "harness": authority.issue("segue"),
        "stranger": Authority(authority.directory / "strange", "strangers").issue("alice"),
    }


@pytest.fixture(scope="module")
def tls_cluster(authority, files):
    """A PostgreSQL with TLS, where `postgres` is let in over TLS only."""
    cluster = Cluster()
    hba = (cluster.data / "pg_hba.conf").read_text()
    (cluster.data / "pg_hba.conf").write_text(
        "hostssl all certified 127.0.0.1/32 cert map=segue\nhostnossl all tls_only all reject\n" + hba
    )
    (cluster.data / "pg_ident.conf").write_text("segue segue.test certified\n")
    with cluster.connect() as connection:
        connection.execute("CREATE ROLE tls_only LOGIN")
        connection.execute("CREATE ROLE certified LOGIN")
    cluster.speak_tls(*files["server"], authority)  # which makes it read the other files, too
    yield cluster
    cluster.remove()


def client_settings(authority, files, mode):
    certificate, key = files["segue"]
    return (f'client_tls_sslmode = "{mode}"\nclient_tls_cert_file = "{certificate}"\n'
            f'client_tls_key_file = "{key}"\nclient_tls_ca_file = "{authority.certificate}"\n')


def upstream_tls(connection):
    """Whether PostgreSQL sees TLS on its side of this session."""
    return connection.execute(
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ).fetchone()[0]


@pytest.fixture
def start_with(make_segue, authority, files):
    """A proxy with this client_tls_sslmode and more settings, started."""

    def start(mode, more=""):
        segue = make_segue(settings=client_settings(authority, files, mode) + more, start=False)
        segue.tls = ssl.create_default_context(cafile=authority.certificate)
        segue.tls.load_cert_chain(*files["harness"])
        return segue.start()

    return start


def parameters(authority, certificate=None, **more):
    """Of a libpq client that checks whom it talks to; with this certificate of its own, or none."""
    own, key = certificate or ("/none", "/none")
    return {"sslmode": "verify-full", "sslrootcert": str(authority.certificate), "sslcert": str(own),
            "sslkey": str(key)} | more


# ---------------------------------------------------------------- with clients


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


# ---------------------------------------------------------------- with the server


@pytest.fixture
def in_front_of(tls_cluster, tmp_path):
    """A proxy in front of the PostgreSQL that speaks TLS, with these settings."""
    started = []

    def start(settings):
        directory = tmp_path / f"upstream{len(started)}"
        directory.mkdir()
        started.append(Segue(tls_cluster, directory, settings=settings))
        return started[-1].start()

    yield start
    for segue in started:
        segue.stop()


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_the_server_is_asked_for_tls(in_front_of, authority, mode):
    segue = in_front_of(f'server_tls_sslmode = "{mode}"\n'
                        f'server_tls_ca_file = "{authority.certificate}"\n')
    with segue.old(sslmode="disable") as connection:
        assert upstream_tls(connection)
        big = "x" * 3_000_000
        assert connection.execute("SELECT %s::text", [big]).fetchone() == (big,)


def test_the_server_is_not_asked_where_that_is_disabled(in_front_of):
    with in_front_of('server_tls_sslmode = "disable"\n').old(sslmode="disable") as connection:
        assert not upstream_tls(connection)


def test_segue_shows_the_server_its_certificate(in_front_of, authority, files):
    certificate, key = files["segue"]
    segue = in_front_of(f'server_tls_sslmode = "verify-full"\n'
                        f'server_tls_ca_file = "{authority.certificate}"\n'
                        f'server_tls_cert_file = "{certificate}"\nserver_tls_key_file = "{key}"\n')
    with segue.old(user="certified", sslmode="disable") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("certified",)


@pytest.mark.parametrize("mode, host, trusted, revoked, why", [
    ("verify-ca", "127.0.0.1", "stranger", None, "self-signed certificate in certificate chain"),
    ("verify-ca", "127.1", "authority", None, None),  # a name of the address that is not the certificate's
    ("verify-full", "127.1", "authority", None, "hostname mismatch"),
    ("verify-ca", "127.0.0.1", "authority", "segue", None),
    ("verify-ca", "127.0.0.1", "authority", "server", "certificate revoked"),
])
def test_a_server_whose_certificate_does_not_hold_is_not_talked_to(
        tls_cluster, authority, files, tmp_path, mode, host, trusted, revoked, why):
    trust = authority.certificate if trusted == "authority" else files["stranger"][0].parent / "strangers.crt"
    settings = f'server_tls_sslmode = "{mode}"\nserver_tls_ca_file = "{trust}"\n'
    if revoked:
        authority.revoke(tmp_path / "revoked.crl", files[revoked][0])
        settings += f'server_tls_crl_file = "{tmp_path / "revoked.crl"}"\n'
    segue = Segue(tls_cluster, tmp_path, settings=settings,
                  upstream=f'host = "{host}"  port = {tls_cluster.port}')
    segue.lets_in = lambda *_: True  # nobody need be let in
    segue.start()
    if why:
        with pytest.raises(psycopg.OperationalError, match=f"certificate is not accepted: {why}"):
            segue.old(sslmode="disable")
    else:
        segue.old(sslmode="disable").close()
    segue.stop()


def test_a_server_without_tls_is_refused_where_tls_is_required(cluster, tmp_path):
    segue = Segue(cluster, tmp_path, settings='server_tls_sslmode = "require"\n')
    segue.lets_in = lambda *_: True
    segue.start()
    with pytest.raises(psycopg.OperationalError, match="does not support TLS"):
        segue.old(sslmode="disable")
    segue.stop()


@pytest.mark.parametrize("host, told", [("localhost", "localhost"), ("127.0.0.1", None)])
def test_the_server_is_told_by_which_name_it_was_called(cluster, files, tmp_path, host, told):
    """
    SNI, by which a proxy before many servers knows whom is meant; an address is no name. A cancel
    request, which holds a secret, comes by TLS as well.
    """
    names, packets = [], []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files["server"])
    context.sni_callback = lambda _, name, __: names.append(name)

    def serve(connection):
        assert connection.recv(8) == wire.ssl_request()
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as secured:
            packets.append(FakeServer.read_startup(secured))
            if packets[-1] != wire.cancel_request(1, 2):
                secured.sendall(error("53300", "that was all"))

    with socket.create_server(("127.0.0.1", 0)) as server:
        segue = Segue(cluster, tmp_path, settings='server_tls_sslmode = "require"\n',
                      upstream=f'host = "{host}"  port = {server.getsockname()[1]}')
        segue.lets_in = lambda *_: True
        segue.start()
        with wire.Connection(segue.old_port) as client:
            client.send(wire.startup_packet("postgres", "postgres"))
            serve(server.accept()[0])
            assert client.read_all()[-1].sqlstate == "53300"
        with wire.Connection(segue.old_port) as canceller:
            canceller.send(wire.cancel_request(1, 2))
            serve(server.accept()[0])
            assert canceller.read_all() == []
        segue.stop()
    assert names == [told, told]
    assert packets == [wire.startup_packet("postgres", "postgres"), wire.cancel_request(1, 2)]


def test_bytes_behind_the_servers_answer_are_refused(make_segue, cluster):
    """CVE-2021-23222: somebody between may have put them there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        segue = make_segue(start=False)
        segue.change_config(f"port = {cluster.port} }}", f"port = {server.getsockname()[1]} }}")
        segue.lets_in = lambda *_: True
        segue.start()
        with wire.Connection(segue.old_port) as client:
            client.send(wire.startup_packet("postgres", "postgres"))
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(8) == wire.ssl_request()
                accepted.sendall(b"SR\0\0\0\x08\0\0\0\0")
                assert b"unencrypted data" in client.read_all()[0].body


# ---------------------------------------------------------------- passwords, over two connections


@pytest.fixture
def both_legs(tls_cluster, authority, files, tmp_path):
    """A proxy with TLS on both sides, with its own certificate or the server's, and these settings."""
    started = []

    def start(certificate="segue", settings="", databases=()):
        directory = tmp_path / f"both{len(started)}"
        directory.mkdir()
        own = files if certificate == "segue" else {"segue": files["server"]}
        segue = Segue(tls_cluster, directory, databases,
                      client_settings(authority, own, "allow") + 'server_tls_sslmode = "require"\n'
                      + settings)
        started.append(segue)
        return segue.start()

    yield start
    for segue in started:
        segue.stop()


PASSWORD = {"user": "user_scram", "password": SECRET}


def test_scram_ends_at_segue_where_both_sides_use_tls(both_legs, authority):
    segue = both_legs(databases=["postgres"])
    with segue.old(**PASSWORD, **parameters(authority)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("user_scram",)
        assert upstream_tls(connection)
    for binding in ("disable", "require"):
        with segue.old(**PASSWORD, **parameters(authority, channel_binding=binding)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("header, mechanism", [("y,,", MECHANISM), ("p=tls-server-end-point,,", MECHANISM),
                                               ("n,,", MECHANISM_PLUS), ("y,,", MECHANISM_PLUS),
                                               ("p=tls-unique,,", MECHANISM_PLUS)])
def test_who_takes_the_channel_binding_away_is_found_out(both_legs, authority, header, mechanism):
    segue = both_legs(databases=["postgres"])
    with wire.Connection(segue.old_port) as connection:
        connection.secure(ssl.create_default_context(cafile=authority.certificate))
        connection.send(wire.startup_packet("user_scram", "postgres"))
        offered = [name.decode() for name in connection.read().body[4:].split(b"\0") if name]
        assert offered == [MECHANISM_PLUS, MECHANISM]
        connection.send(initial_response(Scram(SECRET, header=header).first(), mechanism))
        assert wire.error_of(connection.read_all()).sqlstate == "08P01"


def test_a_proof_that_was_bound_to_another_certificate_is_refused(both_legs, authority):
    """Somebody who shows one of his own in between hears a right password, and cannot use it."""
    segue = both_legs(databases=["postgres"])
    scram = Scram(SECRET, header="p=tls-server-end-point,,", binding=bytes(32))
    with wire.Connection(segue.old_port) as connection:
        connection.secure(ssl.create_default_context(cafile=authority.certificate))
        connection.send(wire.startup_packet("user_scram", "postgres"))
        connection.read()
        connection.send(initial_response(scram.first(), MECHANISM_PLUS))
        connection.send(response(scram.final(connection.read().body[4:])))
        assert wire.error_of(connection.read_all()).sqlstate == "08P01"


def test_a_wrong_password_is_wrong_at_segue_too(both_legs, authority):
    segue = both_legs(databases=["postgres"])
    for password in ("wrong", SECRET + " ", "x" * 900):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            segue.old(user="user_scram", password=password, **parameters(authority))


def test_a_changed_password_counts_at_once(both_legs, authority, tls_cluster):
    segue = both_legs(databases=["postgres"])
    with tls_cluster.connect() as connection:
        try:
            segue.old(**PASSWORD, **parameters(authority)).close()
            connection.execute("ALTER ROLE user_scram PASSWORD 'second'")
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                segue.old(**PASSWORD, **parameters(authority))
            segue.old(user="user_scram", password="second", **parameters(authority)).close()
        finally:
            connection.execute(f"ALTER ROLE user_scram PASSWORD '{SECRET}'")


def test_what_the_server_forbids_stays_forbidden(both_legs, authority, tls_cluster):
    """VALID UNTIL is checked where the login really is."""
    segue = both_legs(databases=["postgres"])
    with tls_cluster.connect() as connection:
        connection.execute("ALTER ROLE user_scram VALID UNTIL '2001-01-01'")
        try:
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                segue.old(**PASSWORD, **parameters(authority))
        finally:
            connection.execute("ALTER ROLE user_scram VALID UNTIL 'infinity'")


def test_verifiers_may_come_from_a_file(both_legs, authority, tls_cluster, tmp_path):
    with tls_cluster.connect() as connection:
        stored = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'user_scram'").fetchone()[0]
    users = tmp_path / "users.txt"
    users.write_text(f'"somebody" "SCRAM-SHA-256$nonsense"\n"user_scram" "{stored}"\n')
    segue = both_legs(settings=f'auth_file = "{users}"\n')
    segue.old(**PASSWORD, **parameters(authority)).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        segue.old(user="user_scram", password="wrong", **parameters(authority))
    stored_key = stored.rpartition("$")[2].partition(":")[0]
    assert remains_of(segue, stored_key.encode(), base64.b64decode(stored_key)) == [0, 0]


def test_with_the_servers_certificate_scram_is_relayed_with_its_channel_binding(
        both_legs, authority):
    segue = both_legs(certificate="server")
    with segue.old(**PASSWORD, **parameters(authority, channel_binding="require")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("user_scram",)


def test_without_verifiers_a_client_is_told_what_to_do(both_legs, authority):
    segue = both_legs()
    with pytest.raises(psycopg.OperationalError, match="channel_binding=disable"):
        segue.old(**PASSWORD, **parameters(authority))
    segue.old(**PASSWORD, **parameters(authority, channel_binding="disable")).close()


def test_a_client_in_the_clear_logs_in_to_a_server_with_tls(in_front_of):
    """libpq gives up where -PLUS is offered without TLS."""
    segue = in_front_of('server_tls_sslmode = "require"\n')
    with segue.old(**PASSWORD, sslmode="disable") as connection:
        assert upstream_tls(connection)


def test_a_client_with_tls_logs_in_to_a_server_without(start_with, authority):
    with start_with("require").old(**PASSWORD, **parameters(authority)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("user_scram",)


def test_answers_out_of_turn_are_refused(both_legs, authority):
    segue = both_legs(databases=["postgres"])
    context = ssl.create_default_context(cafile=authority.certificate)
    first = b"SCRAM-SHA-256\0" + struct.pack("!i", 8) + b"n,,n=,r="
    for answers in ([b"SCRAM-SHA-256-PLUS\0" + struct.pack("!i", 0)],
                    [b"SCRAM-SHA-1\0" + struct.pack("!i", 0)],
                    [b"SCRAM-SHA-256\0" + struct.pack("!i", 1000) + b"n,,n=,r=abc"],
                    [b"SCRAM-SHA-256\0" + struct.pack("!i", -1)],
                    [first], [b""], [b"x" * 60000]):
        with wire.Connection(segue.old_port) as connection:
            connection.secure(context)
            connection.send(wire.startup_packet("user_scram", "postgres"))
            assert connection.read().kind == b"R"
            for answer in answers:
                connection.send(b"p" + struct.pack("!i", len(answer) + 4) + answer)
            messages = connection.read_all()
            assert messages[-1].kind == b"E" and messages[-1].sqlstate == "08P01"


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
