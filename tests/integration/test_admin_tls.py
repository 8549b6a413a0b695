"""TLS at the admin console's address: who gets it, who must have it, and what passwords bind to."""

import contextlib
import hashlib
import re
import shutil
import ssl
import subprocess

import psycopg
import psycopg2
import pytest

import admin_users
import elsewhere
import tables
import wire
from admin_users import PASSWORD, connect, run
from certificates import Authority
from scram import MECHANISM, MECHANISM_PLUS, Scram, initial_response, response
from segue import BINARY, environment
from waiting import wait_until

BEYOND = "198.51.100.7"  # of RFC 5737's networks for documentation: nobody's


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("admin_tls"))


@pytest.fixture(scope="module")
def files(authority):
    """(certificate, key) by whose they are."""
    names = f"DNS:localhost,IP:127.0.0.1,IP:{BEYOND}"
    return {
        "console": authority.issue("console.test", names),
        "second": authority.issue("second.test", names),
        "ann": authority.issue("ann"),
        "watch": authority.issue("watch"),
        "stranger": Authority(authority.directory / "strange", "strangers").issue("ann"),
    }


@pytest.fixture
def configured(make_segue, files):
    """A function that makes a proxy whose console has a certificate, users, and this in its section."""

    def make(section="", address="127.0.0.1", databases=(), settings=""):
        certificate, key = files["console"]
        return admin_users.configure(
            make_segue(databases, settings=settings, start=False),
            f'address = "{address}"  unix_socket_dir = ""  tls_cert_file = "{certificate}"  '
            f'tls_key_file = "{key}"  {section}')

    return make


@pytest.fixture
def secured(configured):
    return configured().start()


@pytest.fixture
def required(configured):
    return configured('tls_sslmode = "require"').start()


def context_of(authority, *protocols):
    context = ssl.create_default_context(cafile=authority.certificate)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def verified(authority, certificate=None, **more):
    """Of a libpq client that checks whom it talks to."""
    own, key = certificate or ("/none", "/none")
    return {"sslmode": "verify-full", "sslrootcert": str(authority.certificate), "sslcert": str(own),
            "sslkey": str(key)} | more


def conninfo(segue, **more):
    known = {"host": "127.0.0.1", "port": segue.admin_port, "dbname": "segue", "user": "ann",
             "password": PASSWORD, "connect_timeout": 10}
    return " ".join(f"{name}='{value}'" for name, value in (known | more).items())


def psql(where, command="SELECT current_user", runner=()):
    return subprocess.run([*runner, "psql", "-XAt", where, "-c", command], capture_output=True,
                          text=True, timeout=60, check=False)


def wrap(connection, context, name="localhost"):
    """Direct TLS."""
    connection.socket = context.wrap_socket(connection.socket, server_hostname=name)
    return connection.socket


def fatal(messages):
    """The one thing that was said: an error that ended the connection."""
    assert wire.kinds(messages) == "E", messages
    assert messages[0].fields()["S"] == "FATAL"
    return messages[0]


# ---------------------------------------------------------------- who gets it


def test_psql_and_drivers_verify_whom_they_talk_to(secured, authority):
    with secured.log_contains(r"A-\d+ ann@127\S+ .*logged in as operator by SCRAM-SHA-256-PLUS over "
                              r"TLSv1.3", times=3):
        with connect(secured, **verified(authority)) as connection:
            assert connection.pgconn.ssl_in_use
            assert connection.execute("SELECT current_user").fetchone() == ("ann",)
        with contextlib.closing(psycopg2.connect(conninfo(secured, **verified(authority)))) as other:
            with other.cursor() as cursor:
                cursor.execute("SHOW VERSION")
                assert cursor.fetchone()[0].startswith("segue ")
        told = psql(conninfo(secured, **verified(authority)))
        assert (told.stdout, told.stderr) == ("ann\n", "")


def test_clients_notice_another_authority_and_another_name(secured, authority, files):
    strange = files["stranger"][0].parent / "strangers.crt"
    with secured.log_contains("closed: the TLS handshake failed"):
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            connect(secured, **verified(authority, sslrootcert=str(strange)))
    with pytest.raises(psycopg.OperationalError, match='does not match host name "elsewhere.test"'):
        connect(secured, host="elsewhere.test", hostaddr="127.0.0.1", **verified(authority))
    assert run(secured, "SELECT 1", **verified(authority)) == [(1,)]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("binding", ["require", "prefer", "disable"])
def test_both_versions_and_every_channel_binding(secured, authority, version, binding):
    how = "SCRAM-SHA-256" + ("" if binding == "disable" else "-PLUS")
    with secured.log_contains(f"logged in as viewer by {how} over {version}$"):
        assert run(secured, "SELECT current_user", user="watch", channel_binding=binding,
                   ssl_min_protocol_version=version, ssl_max_protocol_version=version,
                   **verified(authority)) == [("watch",)]


def test_without_tls_no_channel_can_be_bound(secured):
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        connect(secured, sslmode="disable", channel_binding="require")
    with admin_users.asked(secured) as connection:
        assert connection.mechanisms == [MECHANISM]


def test_a_journey_goes_over_tls(configured, authority, shop_database):
    segue = configured('tls_sslmode = "require"', databases=[shop_database]).start()

    def admin_connect():
        connection = psycopg2.connect(conninfo(segue, **verified(authority)))
        connection.autocommit = True
        return connection

    segue.admin_connect = admin_connect
    segue.move_to("users_role", "dual_own", tables.definition("users_role"))
    # more than a record and more than a buffer, at once
    with wire.Connection(segue.admin_port) as connection:
        connection.secure(context_of(authority))
        Scram(PASSWORD, header="n,,").login(connection, "ann")
        messages = connection.query("SHOW HELP;" * 300)
        assert wire.kinds(messages).count("C") == 300


def test_a_unix_socket_needs_no_tls_and_offers_none(configured, tmp_path):
    segue = configured('tls_sslmode = "require"')
    segue.change_config('unix_socket_dir = ""', f'unix_socket_dir = "{tmp_path}"')
    segue.start()
    with psycopg.connect(host=str(tmp_path), port=segue.admin_port, dbname="segue", user="bob",
                         sslmode="prefer") as connection:
        assert not connection.pgconn.ssl_in_use
    with wire.Connection(segue.admin_port, host=tmp_path) as connection:
        connection.send(wire.ssl_request())
        assert connection.read_bytes(1) == b"N"
        assert connection.login("bob", "segue")


def test_where_it_is_disabled_it_is_not_offered(configured, authority):
    segue = configured('tls_sslmode = "disable"').start()
    with wire.Connection(segue.admin_port) as connection:
        connection.send(wire.ssl_request())
        assert connection.read_bytes(1) == b"N"
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL"):
        connect(segue, **verified(authority))
    assert run(segue, "SELECT 1") == [(1,)]


def test_the_certificate_of_the_proxys_clients_is_lent(make_segue, authority, files):
    certificate, key = files["second"]
    segue = admin_users.configure(
        make_segue(start=False, settings=f'client_tls_sslmode = "allow"\nclient_tls_cert_file = '
                   f'"{certificate}"\nclient_tls_key_file = "{key}"\n'),
        'address = "127.0.0.1"  unix_socket_dir = ""  tls_sslmode = "require"').start()
    with wire.Connection(segue.admin_port) as connection:
        connection.secure(context_of(authority))
        assert connection.socket.getpeercert(binary_form=True) == der(certificate)
        assert is_asked(connection)


def is_asked(connection):
    """Whether ann is asked for a password."""
    connection.send(wire.startup_packet("ann", "segue"))
    return connection.read().kind == b"R"


def der(certificate):
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


# ---------------------------------------------------------------- who must have it


def test_in_the_clear_nobody_is_asked_for_a_password_where_tls_is_required(required, authority):
    with pytest.raises(psycopg.OperationalError, match="this port is for TLS only") as refused:
        connect(required, sslmode="disable")
    assert "Connect with sslmode=require or stricter." in str(refused.value)
    with wire.Connection(required.admin_port) as connection:
        connection.send(wire.startup_packet("ann", "segue"))
        assert fatal(connection.read_all()).sqlstate == "28000"
    assert run(required, "SELECT 1", **verified(authority)) == [(1,)]


def test_a_certificate_is_demanded_and_verified(configured, authority, files):
    segue = configured(f'tls_sslmode = "verify-ca"  tls_ca_file = "{authority.certificate}"').start()
    for own in ("ann", "watch"):
        assert run(segue, "SELECT current_user", **verified(authority, files[own])) == [("ann",)]
    for own in (None, files["stranger"]):
        with pytest.raises(psycopg.OperationalError):
            run(segue, "SELECT 1", **verified(authority, own))
    # it is no substitute for the password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(segue, password="wrong", **verified(authority, files["ann"]))


def test_verify_full_means_the_user_of_the_certificate(configured, authority, files):
    segue = configured(
        f'tls_sslmode = "verify-full"  tls_ca_file = "{authority.certificate}"').start()
    assert run(segue, "SELECT current_user", **verified(authority, files["ann"])) == [("ann",)]
    with pytest.raises(psycopg.OperationalError,
                       match='certificate authentication failed for user "ann"') as refused:
        connect(segue, **verified(authority, files["watch"]))
    assert "common name of the client's certificate must be the user's name" in str(refused.value)


# ---------------------------------------------------------------- beyond loopback


@pytest.fixture
def beyond(configured):
    """A proxy whose console is at an address that is not loopback's, in a network of its own."""
    segue = configured(address=BEYOND)
    segue.runner = elsewhere.network(BEYOND)
    segue.wait_until_ready = lambda: wait_until(
        lambda: f"listens at {BEYOND} port" in segue.log())
    return segue.start()


def test_beyond_loopback_nobody_comes_in_without_tls(beyond, authority):
    runner = elsewhere.beside(beyond, "--net")
    told = psql(conninfo(beyond, host=BEYOND, **verified(authority)), runner=runner)
    assert (told.returncode, told.stdout, told.stderr) == (0, "ann\n", "")
    told = psql(conninfo(beyond, host=BEYOND, sslmode="disable"), runner=runner)
    assert told.returncode == 2 and told.stdout == ""
    assert "this port is for TLS only" in told.stderr


@pytest.mark.parametrize("section, hint", [
    ("", "Set tls_cert_file and tls_key_file in section admin"),
    ('tls_sslmode = "require"', "Set tls_cert_file and tls_key_file in section admin"),
    ('tls_sslmode = "disable"  tls_cert_file = "{0}"  tls_key_file = "{1}"',
     "Only a loopback address can have tls_sslmode"),
])
def test_beyond_loopback_it_does_not_listen_without_tls(make_segue, files, section, hint):
    segue = admin_users.configure(make_segue(start=False), f'address = "{BEYOND}"  '
                                  + section.format(*files["console"]))
    ended = subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                           text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert f"admin refuses to listen at {BEYOND} without TLS" in ended.stderr
    assert hint in ended.stderr


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"),
                    reason="needs systemd-socket-activate of package systemd")
def test_a_socket_that_was_handed_over_lets_nobody_in_from_beyond_loopback_without_tls(
        make_segue, authority, files):
    """Its address is the unit's, and need not be the one for which segue.conf was found right."""
    certificate, key = files["console"]
    segue = admin_users.configure(
        make_segue(start=False), f'address = "127.0.0.1"  unix_socket_dir = ""  '
        f'tls_cert_file = "{certificate}"  tls_key_file = "{key}"')
    segue.runner = [*elsewhere.network(BEYOND), "systemd-socket-activate",
                    f"--listen=0.0.0.0:{segue.admin_port}", "--fdname=admin",
                    *(f"--setenv={name}={value}" for name, value in environment().items()
                      if name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"))]
    segue.wait_until_ready = lambda: wait_until(lambda: "Listening on" in segue.log())
    segue.start()
    runner = elsewhere.beside(segue, "--net")
    assert psql(conninfo(segue, sslmode="disable"), runner=runner).stdout == "ann\n"
    told = psql(conninfo(segue, host=BEYOND, sslmode="disable"), runner=runner)
    assert told.returncode == 2 and "this port is for TLS only" in told.stderr
    told = psql(conninfo(segue, host=BEYOND, **verified(authority)), runner=runner)
    assert (told.stdout, told.stderr) == ("ann\n", "")


# ---------------------------------------------------------------- the handshake


def test_direct_tls_needs_the_name_of_the_protocol(required, authority):
    with wire.Connection(required.admin_port) as connection:
        wrap(connection, context_of(authority, "postgresql"))
        Scram(PASSWORD).login(connection, "ann")
        assert connection.rows("SELECT current_user") == [["ann"]]
    with wire.Connection(required.admin_port) as connection:
        wrap(connection, context_of(authority))
        error = fatal(connection.read_all())
        assert error.sqlstate == "08P01" and "ALPN" in error.fields()["M"]
    with wire.Connection(required.admin_port) as connection:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            wrap(connection, context_of(authority, "http/1.1"))


def test_direct_tls_is_not_spoken_where_there_is_none(configured, authority):
    segue = configured('tls_sslmode = "disable"').start()
    with wire.Connection(segue.admin_port) as connection:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            wrap(connection, context_of(authority, "postgresql"))
    assert run(segue, "SELECT 1") == [(1,)]


class Cut:
    """TLS whose every byte is a segment of its own, by a wire.Connection."""

    def __init__(self, connection, context):
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def _exchange(self, call):
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self._send()
                data = self.connection.socket.recv(65536)
                assert data, "it was closed"
                self.incoming.write(data)

    def _send(self):
        data = self.outgoing.read()
        self.connection.send_cut(data, *range(1, len(data)), pause=0)

    def shake_hands(self):
        self._exchange(self.tls.do_handshake)
        self._send()

    def ask(self, data):
        self.tls.write(data)
        self._send()
        return self._exchange(lambda: self.tls.read(65536))


@pytest.mark.parametrize("direct", [False, True], ids=["by SSLRequest", "direct"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_may_be_cut_at_every_byte(required, authority, direct, version):
    context = context_of(authority, "postgresql")
    context.minimum_version = context.maximum_version = version
    with wire.Connection(required.admin_port) as connection:
        if not direct:
            connection.send_cut(wire.ssl_request(), *range(1, 8), pause=0)
            assert connection.read_bytes(1) == b"S"
        cut = Cut(connection, context)
        cut.shake_hands()
        assert cut.ask(wire.startup_packet("ann", "segue")).startswith(b"R")


@pytest.mark.parametrize("said", [
    lambda hello: wire.ssl_request() + wire.startup_packet("ann", "segue"),
    lambda hello: wire.ssl_request() + wire.ssl_request(),
    lambda hello: wire.ssl_request() + hello,
    lambda hello: wire.ssl_request() + b"\0",
    lambda hello: wire.gss_request() + wire.ssl_request(),
    lambda hello: wire.gss_request() + wire.startup_packet("ann", "segue"),
], ids=["startup", "request", "hello", "byte", "both requests", "startup after GSS"])
def test_bytes_sent_ahead_of_the_handshake_are_refused(secured, authority, said):
    """CVE-2021-23214: what came in the clear must not be taken for what was encrypted."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context_of(authority).wrap_bio(ssl.MemoryBIO(), outgoing,
                                       server_hostname="localhost").do_handshake()
    with wire.Connection(secured.admin_port) as connection:
        connection.send(said(outgoing.read()))
        assert fatal(connection.read_all()).sqlstate == "08P01"


@pytest.mark.parametrize("nonsense", [
    b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"nonsense", wire.startup_packet("ann", "segue"),
    wire.ssl_request()], ids=["length", "text", "startup", "request"])
def test_a_handshake_that_is_nonsense_disturbs_nobody(secured, authority, nonsense):
    with connect(secured, **verified(authority)) as steady:
        with secured.log_contains(r"A-\d+ 127\S+ closed: the TLS handshake failed"):
            with wire.Connection(secured.admin_port) as connection:
                connection.send(wire.ssl_request())
                assert connection.read_bytes(1) == b"S"
                connection.send(nonsense)
                while connection.socket.recv(4096):
                    pass
        assert steady.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("request_again", [wire.ssl_request, wire.gss_request])
def test_within_tls_no_encryption_is_begun(secured, authority, request_again):
    with wire.Connection(secured.admin_port) as connection:
        connection.secure(context_of(authority))
        connection.send(request_again())
        if request_again is wire.ssl_request:
            assert fatal(connection.read_all()).sqlstate == "08P01"
        else:
            assert connection.read_bytes(1) == b"N"
            assert is_asked(connection)


def test_who_stops_in_a_handshake_is_closed_in_time(configured, authority):
    segue = configured('tls_sslmode = "require"', settings="client_login_timeout = 1").start()
    with segue.log_contains("did not log in in time", times=2):
        with wire.Connection(segue.admin_port) as stopped, wire.Connection(segue.admin_port) as late:
            stopped.send(wire.ssl_request())
            assert stopped.read_bytes(1) == b"S"
            stopped.send(b"\x16\x03\x01\x02\x00")
            late.secure(context_of(authority))
            assert stopped.read_all() == [] and late.read_all() == []


def test_it_ends_well_in_the_middle_of_a_handshake(required):
    with wire.Connection(required.admin_port) as connection:
        connection.send(wire.ssl_request())
        assert connection.read_bytes(1) == b"S"
        connection.send(b"\x16\x03\x01\x02\x00\x01")
        required.stop()


# ---------------------------------------------------------------- what a password is bound to


def end_point(certificate):
    """tls-server-end-point (RFC 5929)."""
    return hashlib.sha256(der(certificate)).digest()


@pytest.mark.parametrize("header, whose, mechanism, sqlstate", [
    ("p=tls-server-end-point,,", "console", MECHANISM_PLUS, None),
    ("n,,", None, MECHANISM, None),
    # somebody between, who shows a certificate of his own
    ("p=tls-server-end-point,,", "second", MECHANISM_PLUS, "28P01|08P01"),
    # somebody between, who took -PLUS off the list
    ("y,,", None, MECHANISM, "08P01|28P01"),
    ("p=tls-unique,,", "console", MECHANISM_PLUS, "08P01"),
    ("p=tls-server-end-point,,", "console", MECHANISM, "08P01"),
    ("n,,", None, MECHANISM_PLUS, "08P01"),
    ("y,,", None, MECHANISM_PLUS, "08P01"),
    ("p=tls-server-end-point,,", None, MECHANISM_PLUS, "28P01|08P01"),
])
def test_a_password_is_proved_to_who_shows_the_certificate(
        secured, authority, files, header, whose, mechanism, sqlstate):
    binding = end_point(files[whose][0]) if whose else b""
    scram = Scram(PASSWORD, header=header, binding=binding)
    with admin_users.asked(secured, context=context_of(authority)) as connection:
        assert connection.mechanisms == [MECHANISM_PLUS, MECHANISM]
        connection.send(initial_response(scram.first(), mechanism))
        answer = connection.read()
        if answer.kind == b"R":
            connection.send(response(scram.final(answer.body[4:])))
            answer = connection.read()
        if sqlstate:
            assert answer.kind == b"E" and re.fullmatch(sqlstate, answer.sqlstate), answer
        else:
            assert answer.kind == b"R"
            assert wire.kinds(connection.read_until()).startswith("R")


# ---------------------------------------------------------------- its files


@pytest.fixture
def own(configured, files, tmp_path):
    """A proxy whose certificate is a file of the test's own, and the paths."""
    paths = tmp_path / "own.crt", tmp_path / "own.key"
    put(files["console"], paths)
    segue = configured()
    certificate, key = files["console"]
    segue.change_config(f'"{certificate}"', f'"{paths[0]}"')
    segue.change_config(f'"{key}"', f'"{paths[1]}"')
    return segue.start(), paths


def put(pair, paths):
    for source, path in zip(pair, paths):
        shutil.copy(source, path)
        path.chmod(0o600)


def shown(segue, authority):
    with wire.Connection(segue.admin_port) as connection:
        connection.secure(context_of(authority))
        return connection.socket.getpeercert(binary_form=True)


def test_reload_brings_a_new_certificate(own, authority, files):
    segue, paths = own
    with connect(segue, **verified(authority)) as before:
        assert shown(segue, authority) == der(files["console"][0])
        put(files["second"], paths)
        assert shown(segue, authority) == der(files["console"][0])
        run(segue, "RELOAD", **verified(authority))
        assert shown(segue, authority) == der(files["second"][0])
        assert run(segue, "SELECT 1", **verified(authority, channel_binding="require")) == [(1,)]
        assert before.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("spoil, told", [
    (lambda paths: paths[1].chmod(0o644), "may be read by others"),
    (lambda paths: paths[1].unlink(), "could not read the private key"),
    (lambda paths: paths[0].write_text("nonsense"), "could not load the certificate"),
])
def test_a_certificate_that_is_wrong_leaves_the_old_one(own, authority, files, spoil, told):
    segue, paths = own
    spoil(paths)
    with segue.log_contains(f"nothing was changed: .*{told}"):
        with pytest.raises(psycopg.Error, match=told):
            run(segue, "RELOAD", **verified(authority))
    assert shown(segue, authority) == der(files["console"][0])
    ended = subprocess.run([BINARY, "serve", "--check", "-c", segue.config_path],
                           capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2 and told in ended.stderr


def test_reload_turns_tls_into_a_condition(own, authority):
    segue, _ = own
    assert run(segue, "SELECT 1", sslmode="disable") == [(1,)]
    segue.change_config("admin {", 'admin { tls_sslmode = "require" ')
    told = run(segue, "RELOAD", sslmode="disable")
    assert ("admin tls_sslmode: prefer -> require, for new connections",) in told
    with pytest.raises(psycopg.OperationalError, match="this port is for TLS only"):
        connect(segue, sslmode="disable")
    assert run(segue, "SELECT 1", **verified(authority)) == [(1,)]
