"""Passwords where TLS is spoken on both sides, so that SCRAM may have to end at Segue."""

import base64
import ssl
import struct

import psycopg
import pytest

import wire
from cluster import SECRET
from remains import remains_of
from scram import MECHANISM, MECHANISM_PLUS, Scram, initial_response, response
from segue import Segue
from tls import authority, files, in_front_of, start_with, tls_cluster  # fixtures
from tls import client_settings, parameters, upstream_tls


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
