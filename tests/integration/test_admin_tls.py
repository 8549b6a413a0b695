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
from admin_tls import authority, configured, files, required, secured  # fixtures
from admin_tls import BEYOND, conninfo, context_of, fatal, is_asked, psql, verified
from admin_users import PASSWORD, connect, run
from scram import MECHANISM, MECHANISM_PLUS, Scram, initial_response, response
from segue import BINARY, environment
from waiting import wait_until


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
                           text=True, timeout=60, check=False)
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
                           capture_output=True, text=True, timeout=60, check=False)
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
