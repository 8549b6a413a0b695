"""The admin console as tools meet it: psql, drivers, and hostile bytes. Where it listens is in
test_admin_listening.py, what its commands do in test_admin_commands.py, test_change.py and
test_phases.py."""

import contextlib
import socket
import struct
import subprocess

import psycopg
import pytest

import wire
from waiting import admin_answers, wait_until

SHOWS = ("TRANSITIONS", "CLIENTS", "STATEMENTS", "FLEET", "BACKFILLS", "STATS", "CONFIG", "VERSION",
         "HELP")


@pytest.fixture
def admin(relay):
    """A raw, logged-in connection to the console of a proxy without transitions."""
    with wire.Connection(relay.admin_port) as connection:
        connection.login("ann", "segue")
        yield connection


def psycopg3(segue, **parameters):
    return psycopg.connect(host="127.0.0.1", port=segue.admin_port, dbname="segue", user="ann",
                           **parameters)


def psql(segue, *commands, check=True):
    arguments = [part for command in commands for part in ("-c", command)]
    return subprocess.run(
        ["psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", str(segue.admin_port), "-U", "ann",
         *arguments, "segue"],
        capture_output=True, text=True, timeout=30, check=check)


# ---------------------------------------------------------------- psql and drivers


def test_psql_runs_every_show(relay):
    for show in SHOWS:
        assert psql(relay, f"SHOW {show};").stderr == ""


def test_psql_says_several_commands_at_once_and_in_any_case(relay):
    out = psql(relay, "show version; ; Select 1; -- ping\n  sHoW Server_Version")
    assert out.stdout.splitlines()[1] == "1"
    assert out.stdout.startswith("segue ")


def test_psql_takes_sql_strings_in_every_notation(relay):
    for text in ("'it''s'", "E'it\\'s'", "$$it's$$", "$tag$it's$tag$"):
        assert psql(relay, f"SELECT {text}").stdout == "it's\n"
    assert psql(relay, "SELECT E'\\x41\\u00e9\\101\\n'").stdout == "AéA\n\n"


def test_an_error_points_at_its_place_and_offers_help(relay):
    out = psql(relay, "ADVANCE x TO dual_odd", check=False)
    assert out.returncode == 1
    assert 'syntax error at or near "dual_odd"' in out.stderr
    assert "LINE 1: ADVANCE x TO dual_odd\n                     ^" in out.stderr
    assert "HINT:  Usage: ADVANCE transition [TO phase]" in out.stderr
    assert "Did you mean SHOW" in psql(relay, "SHWO CLIENTS", check=False).stderr
    assert "Did you mean SHOW CLIENTS" in psql(relay, "SHOW CLIENT", check=False).stderr


@pytest.mark.parametrize("autocommit", [True, False])
def test_psycopg2_reads_rows_with_their_types(relay, autocommit):
    with contextlib.closing(relay.admin_connect()) as connection:
        connection.autocommit = autocommit
        with connection.cursor() as cursor:
            cursor.execute("SHOW STATS")
            rows = {name: total for name, total, _, _ in cursor.fetchall()}
            assert isinstance(rows["queries"], int)
            cursor.execute("SELECT %s", ("it's",))
            assert cursor.fetchone() == ("it's",)
        connection.commit()


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("binary", [True, False])
def test_psycopg3_works_over_both_protocols(relay, autocommit, binary):
    with psycopg3(relay, autocommit=autocommit) as connection:
        assert connection.info.server_version == 150000
        with connection.cursor(binary=binary) as cursor:
            cursor.execute("SHOW STATS")
            assert isinstance(dict((row[0], row[1]) for row in cursor)["queries"], int)
            for _ in range(3):
                cursor.execute("SELECT 1", prepare=True)
                assert cursor.fetchone() == (1,)
            with pytest.raises(psycopg.errors.SyntaxError):
                cursor.execute("NONSENSE", prepare=True)
        connection.rollback()
        with connection.pipeline():
            first = connection.execute("SHOW VERSION")
            second = connection.execute("SHOW HELP")
            assert first.fetchone()[0].startswith("segue ")
            assert len(second.fetchall()) > 20


def test_psycopg3_is_told_that_there_are_no_parameters(relay):
    with psycopg3(relay, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="no parameters"):
            connection.execute("SELECT %s", ("x",))
        with psycopg.ClientCursor(connection) as cursor:
            assert cursor.execute("SELECT %s", ("x",)).fetchone() == ("x",)


def test_pitfall_55_what_drivers_say_on_connecting_is_taken_politely(admin):
    for said, kinds in {
        "SET extra_float_digits = 3": "CZ",
        "SET application_name = 'DBeaver'": "CZ",
        "SET client_encoding TO 'UTF8'": "CZ",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": "CZ",
        "SHOW TRANSACTION ISOLATION LEVEL": "TDCZ",
        "show standard_conforming_strings": "TDCZ",
        "select version()": "TDCZ",
        "SELECT pg_catalog.version()": "TDCZ",
        "SELECT current_database()": "TDCZ",
        "select 1 as one": "TDCZ",
        "": "IZ",
        ";": "IZ",
        "-- ping": "IZ",
        "/* ping /* nested */ */": "IZ",
        "DISCARD ALL": "CZ",
        "DEALLOCATE ALL": "CZ",
    }.items():
        assert wire.kinds(admin.query(said)) == kinds, said


def test_an_encoding_other_than_utf8_is_refused_not_pretended(admin):
    for said in ("SET client_encoding = 'LATIN1'", "SET NAMES 'LATIN1'"):
        assert wire.error_of(admin.query(said)).sqlstate == "22023"


def test_a_transaction_block_is_kept_in_name_and_rollback_says_that_it_undoes_nothing(admin):
    assert wire.transaction_state(admin.query("BEGIN")) == "T"
    assert wire.kinds(admin.query("BEGIN")) == "NCZ"
    assert wire.transaction_state(admin.query("RELOAD")) == "T"
    messages = admin.query("ROLLBACK")
    assert "nothing was rolled back" in messages[0].fields()["M"]
    assert wire.transaction_state(messages) == "I"
    assert wire.kinds(admin.query("COMMIT")) == "NCZ"
    # also of a command whose rows were not all asked for
    admin.query("BEGIN")
    admin.send(wire.parse("RELOAD") + wire.bind() + wire.execute(rows=1) + wire.sync())
    assert wire.kinds(admin.read_until()) == "12DsZ"
    assert "nothing was rolled back" in admin.query("ROLLBACK")[0].fields()["M"]


def test_the_first_error_ends_a_query_of_several_commands(admin):
    messages = admin.query("SELECT 1; RETIRE nosuch; SELECT 2")
    assert wire.kinds(messages) == "TDCEZ"
    assert messages[3].sqlstate == "42704"


def test_nothing_runs_of_a_query_that_cannot_be_read(admin):
    assert wire.kinds(admin.query("SELECT 1; SELECT nonsense")) == "EZ"


# ---------------------------------------------------------------- protocol


def test_parameters_are_reported_as_by_postgresql(admin):
    assert admin.parameters["client_encoding"] == "UTF8"
    assert admin.parameters["standard_conforming_strings"] == "on"
    assert admin.parameters["server_version"].startswith("15")
    assert admin.parameters["session_authorization"] == "ann"


def test_encryption_is_declined_once_each_in_any_order(relay):
    with wire.Connection(relay.admin_port) as connection:
        for request in (wire.gss_request(), wire.ssl_request()):
            connection.send(request)
            assert connection.read_bytes(1) == b"N"
        connection.login("ann", "segue")
        assert connection.rows("SELECT 1") == [["1"]]


@pytest.mark.parametrize("said", [
    wire.ssl_request() * 2,
    wire.ssl_request() + wire.startup_packet("ann", "segue"),
    b"\x00\x00\x00\x04",
    b"\x7f\xff\xff\xff" + b"\x00\x03\x00\x00",
    wire.startup_packet("ann", "segue")[:-1] + b"x",
    wire.startup_packet("ann", "segue", protocol=131072),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
])
def test_a_hostile_startup_ends_in_a_close(relay, said):
    with wire.Connection(relay.admin_port) as connection:
        connection.send(said)
        messages = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.socket.recv(4096):
                messages += data
        assert b"Z\0\0\0\x05I" not in messages
    assert relay.admin("SELECT 1").rows


def test_another_database_is_refused_by_name(relay):
    with wire.Connection(relay.admin_port) as connection:
        with pytest.raises(wire.Closed) as closed:
            connection.login("ann", "shop")
    error = closed.value.messages[-1]
    assert error.sqlstate == "3D000" and "admin console" in error.fields()["M"]


def test_a_newer_minor_version_is_negotiated_down(relay):
    with wire.Connection(relay.admin_port) as connection:
        connection.send(wire.startup_packet("ann", "segue", protocol=196610))
        first = connection.read_until(b"Z")[0]
        assert (first.kind, first.body) == (b"v", struct.pack("!ii", 196608, 0))


@pytest.mark.parametrize("said", [
    wire.message(b"Q", b"no terminator"),
    b"Q\x00\x00\x00\x03",
    b"Q\xff\xff\xff\xff",
    b"Q\x3f\xff\xff\xff" + b"x" * 100,
    wire.message(b"P", b"name\0sql"),
    wire.message(b"B", b"\0\0\0"),
    wire.message(b"B", b"\0\0\0\xff\0\0\0\0"),
    wire.message(b"D", b"X\0"),
    wire.message(b"E", b"\0"),
    wire.message(b"\x00", b""),
    wire.message(b"z", b""),
])
def test_malformed_bytes_end_that_connection_only(relay, admin, said):
    with relay.log_contains(r"A-\d+ bob@\S+ .*closed: "):
        with wire.Connection(relay.admin_port) as connection:
            connection.login("bob", "segue")
            connection.send(said)
            messages = connection.read_all()
            assert messages[-1].kind == b"E" and messages[-1].fields()["S"] == "FATAL"
    assert admin.rows("SELECT 1") == [["1"]]


def test_messages_may_be_cut_at_every_byte(relay):
    said = (wire.ssl_request(),
            wire.startup_packet("ann", "segue")
            + wire.query("SELECT 1; SHOW VERSION")
            + wire.extended("SELECT 'a;b'") + wire.sync())
    with wire.Connection(relay.admin_port) as connection:
        connection.send_cut(said[0], *range(1, len(said[0])), pause=0.001)
        assert connection.read_bytes(1) == b"N"
        connection.send_cut(said[1], *range(1, len(said[1])), pause=0)
        messages = connection.read_until(count=3)
        assert wire.kinds(messages).lstrip("RSK") == "ZTDCTDCZ12TDCZ"


def test_the_extended_protocol_keeps_statements_and_portals(admin):
    admin.send(wire.parse("SHOW HELP", "help") + wire.describe(b"S", "help") + wire.sync())
    messages = admin.read_until()
    assert wire.kinds(messages) == "1tTZ"
    assert messages[1].body == b"\0\0"
    admin.send(wire.bind(name="help", portal="p") + wire.execute("p", 2) + wire.execute("p", 3)
               + wire.execute("p") + wire.close(b"P", "p") + wire.sync())
    messages = admin.read_until()
    assert wire.kinds(messages).startswith("2DDsDDDsDDDD")
    assert wire.kinds(messages).endswith("DC3Z")
    admin.send(wire.parse("SELECT 1", "help") + wire.sync())
    assert wire.error_of(admin.read_until()).sqlstate == "42P05"
    admin.send(wire.close(b"S", "help") + wire.close(b"S", "nosuch") + wire.sync())
    assert wire.kinds(admin.read_until()) == "33Z"


@pytest.mark.parametrize("said, sqlstate", [
    (wire.describe(b"S", "nosuch"), "26000"),
    (wire.describe(b"P", "nosuch"), "34000"),
    (wire.bind(name="nosuch"), "26000"),
    (wire.execute("nosuch"), "34000"),
    (wire.parse("SELECT 1; SELECT 2"), "42601"),
    (wire.parse("SELECT $1"), "0A000"),
    (wire.parse("SELECT 1") + wire.bind(["x"]), "08P01"),
    (wire.parse("SHOW nosuch") + wire.bind() + wire.execute(), "42704"),
])
def test_an_error_skips_to_sync(admin, said, sqlstate):
    admin.send(said + wire.parse("SELECT 1", "skipped") + wire.query("SELECT 1") + wire.sync())
    messages = admin.read_until()
    assert wire.kinds(messages).lstrip("12") == "EZ"
    assert wire.error_of(messages).sqlstate == sqlstate
    admin.send(wire.describe(b"S", "skipped") + wire.sync())
    assert wire.error_of(admin.read_until()).sqlstate == "26000"


def test_an_empty_statement_has_no_rows(admin):
    admin.send(wire.extended("-- ping") + wire.sync())
    assert wire.kinds(admin.read_until()) == "12nIZ"


def test_a_function_call_is_refused_and_the_connection_goes_on(admin):
    admin.send(wire.function_call(1, []))
    assert wire.kinds(admin.read_until()) == "EZ"
    assert admin.rows("SELECT 1") == [["1"]]


def test_a_message_above_the_ceiling_is_refused_before_it_is_read(relay):
    with wire.Connection(relay.admin_port) as connection:
        connection.login("ann", "segue")
        connection.send(b"Q" + struct.pack("!i", 64 * 1024 * 1024) + b"SELECT '")
        assert wire.error_of(connection.read_all()).sqlstate == "54000"


def test_a_client_that_does_not_read_costs_a_bounded_amount(relay):
    before = relay.resident_kilobytes()
    with wire.Connection(relay.admin_port, receive_buffer=4096) as slow:
        slow.login("ann", "segue")
        slow.socket.settimeout(1)
        flood = wire.query("SHOW HELP") * 1000
        with contextlib.suppress(socket.timeout):
            while True:
                slow.send(flood)
        assert relay.admin("SELECT 1").rows
        assert relay.resident_kilobytes() - before < 64 * 1024


@pytest.mark.parametrize("said", [
    80 * (wire.parse("SHOW CONFIG") + wire.bind() + wire.execute()) + wire.sync(),
    wire.query("SHOW CONFIG;" * 80),
], ids=["pipeline", "query"])
def test_many_commands_at_once_are_all_answered_and_others_meanwhile(relay, admin, said):
    """Also where the kernel takes all that was answered so far at once: nothing is to drain then."""
    with wire.Connection(relay.admin_port, receive_buffer=16 * 1024 * 1024) as connection:
        connection.login("ann", "segue")
        connection.send(said)
        assert admin.rows("SELECT 1") == [["1"]]
        assert wire.kinds(connection.read_until()).count("C") == 80


def test_what_is_told_of_clients_is_utf8_whatever_they_say(relay):
    """Else one who never logs in could keep an operator's driver from reading SHOW CLIENTS."""
    startup = wire.startup_packet("user_scram", "postgres", application_name="caf?")
    with wire.Connection(relay.old_port) as client:
        client.send(startup.replace(b"caf?", b"caf\xe9"))
        assert client.read().kind == b"R"
        with psycopg3(relay) as connection:
            names = [row[3] for row in connection.execute("SHOW CLIENTS").fetchall()]
    assert "caf\ufffd" in names


def test_connections_beyond_the_limit_are_told_so(relay):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(wire.Connection(relay.admin_port))
            connection.login("ann", "segue")
        refused = stack.enter_context(wire.Connection(relay.admin_port))
        assert wire.error_of(refused.read_all()).sqlstate == "53300"
        connection.close()
        wait_until(lambda: admin_answers(relay))


def test_one_who_never_logs_in_is_closed(make_segue):
    segue = make_segue(settings="client_login_timeout = 1")
    with segue.log_contains("did not log in in time"):
        with wire.Connection(segue.admin_port) as connection:
            assert connection.read_all() == []
