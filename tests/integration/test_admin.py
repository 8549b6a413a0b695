"""The admin console as tools meet it: psql, drivers, and hostile bytes. What its commands do to a
database is in test_change.py and test_phases.py."""

import contextlib
import pathlib
import re
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time

import psycopg
import psycopg2
import pytest

import tables
import wire
from cluster import Cluster
from segue import BINARY, Segue

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


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


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


def test_what_drivers_say_on_connecting_is_taken_politely(admin):
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
        started = time.monotonic()
        assert relay.admin("SELECT 1").rows
        assert time.monotonic() - started < 1
        assert relay.resident_kilobytes() - before < 64 * 1024


def test_connections_beyond_the_limit_are_told_so(relay):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(wire.Connection(relay.admin_port))
            connection.login("ann", "segue")
        refused = stack.enter_context(wire.Connection(relay.admin_port))
        assert wire.error_of(refused.read_all()).sqlstate == "53300"
        connection.close()
        wait_until(lambda: _can_log_in(relay))


def _can_log_in(segue):
    try:
        segue.admin("SELECT 1")
        return True
    except psycopg2.OperationalError:
        return False


def test_one_who_never_logs_in_is_closed(make_segue):
    segue = make_segue(settings="client_login_timeout = 1")
    with segue.log_contains("did not log in in time"):
        with wire.Connection(segue.admin_port, timeout=5) as connection:
            assert connection.read_all() == []


# ---------------------------------------------------------------- where it listens


def serve_with_admin(make_segue, section):
    """Runs a proxy whose admin section is this one, to its end."""
    segue = make_segue(start=False)
    text = segue.config_path.read_text()
    given = f'admin {{ address = "127.0.0.1"  port = {segue.admin_port} }}'
    assert given in text
    segue.config_path.write_text(text.replace(given, section))
    return subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                          text=True, timeout=20, check=False)


def test_it_refuses_to_listen_beyond_loopback(make_segue):
    ended = serve_with_admin(make_segue, 'admin { address = "0.0.0.0" port = 21999 }')
    assert ended.returncode == 1
    assert "refuses to listen at 0.0.0.0: it has no authentication" in ended.stderr


def test_a_port_that_is_taken_is_told(make_segue):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve_with_admin(make_segue, f'admin {{ port = {port} }}')
    assert ended.returncode == 1
    assert f"cannot listen at 127.0.0.1 port {port}: address already in use" in ended.stderr


def test_at_a_unix_socket_only_its_own_user_may_connect_and_a_stale_one_is_replaced(make_segue):
    with tempfile.TemporaryDirectory(prefix="segue-admin-") as directory:
        segue = make_segue(start=False)
        text = segue.config_path.read_text()
        segue.config_path.write_text(
            re.sub(r"admin \{.*\}", f'admin {{ address = "{directory}" port = 6430 }}', text))
        segue.wait_until_ready = lambda: None
        path = pathlib.Path(directory) / ".s.PGSQL.6430"
        for end in (segue.kill9, segue.stop):
            segue.start()
            wait_until(path.exists)
            wait_until(lambda: _answers(directory))
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
            end()
        assert not path.exists()
        path.touch()
        ended = subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                               text=True, timeout=20, check=False)
        assert ended.returncode == 1 and f"cannot listen at {path}" in ended.stderr


def test_without_an_admin_port_it_serves_all_the_same(make_segue):
    segue = make_segue(start=False)
    text = segue.config_path.read_text()
    segue.config_path.write_text(re.sub(r"admin \{.*\}", "admin { port = 0 }", text))
    segue.wait_until_ready = lambda: None
    segue.start()
    wait_until(lambda: segue.lets_in(segue.old_port, "postgres"))
    assert "admin" not in segue.log()
    told = subprocess.run([BINARY, "status", "-c", segue.config_path], capture_output=True,
                          text=True, timeout=20, check=False)
    assert told.returncode == 2 and "there is no admin port" in told.stderr


def _answers(directory):
    try:
        with psycopg.connect(host=directory, port=6430, dbname="segue", user="ann") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


# ---------------------------------------------------------------- commands


def test_transitions_are_found_by_name_over_all_databases(make_segue, cluster):
    names = []
    for name in ("admin_one", "admin_two"):
        cluster.create_database(name, template="old_template")
        names.append(name)
    segue = make_segue(names)
    definition = tables.definition("amount").replace("'", "''")
    with pytest.raises(psycopg2.Error, match="which of the 2 configured databases") as refused:
        segue.admin(f"APPLY '{definition}'")
    assert "DATABASE" in str(refused.value)
    segue.admin(f"APPLY '{definition}' DATABASE admin_one")
    segue.admin("EXPAND amount")
    segue.admin(f"APPLY '{definition}' FROM 'x.conf' DATABASE \"admin_two\"")
    with pytest.raises(psycopg2.Error, match="exists in 2 databases"):
        segue.admin("EXPAND amount")
    segue.admin("EXPAND admin_two.amount")
    stages = {(row["database"], row["name"]): row["stage"]
              for row in segue.admin("SHOW TRANSITIONS").rows}
    assert stages == {("admin_one", "amount"): "expanded", ("admin_two", "amount"): "expanded"}
    with pytest.raises(psycopg2.Error, match="not in the configuration"):
        segue.admin("EXPAND elsewhere.amount")
    with pytest.raises(psycopg2.Error, match='Did you mean "amount"'):
        segue.admin("EXPAND amuont")


def test_a_definition_that_is_wrong_names_its_file_and_line(shop):
    definition = tables.definition("amount").replace("guard", "gaurd").replace("'", "''")
    with pytest.raises(psycopg2.Error, match=r"changes/amount\.conf:6: ") as refused:
        shop.admin(f"APPLY '{definition}' FROM 'changes/amount.conf'")
    assert refused.value.pgcode == "F0000"


def test_a_definition_that_is_cut_does_not_spoil_the_next(shop):
    definition = tables.definition("amount")
    cut = definition[: definition.index("amount::text") + 3].replace("'", "''")
    for _ in range(2):
        with pytest.raises(psycopg2.Error):
            shop.admin(f"APPLY '{cut}'")
    definition = definition.replace("'", "''")
    shop.admin(f"APPLY '{definition}'")


def test_rewrite_shows_each_phase_and_executes_nothing(shop):
    for transition in tables.DEFINITIONS:
        definition = tables.definition(transition).replace("'", "''")
        shop.admin(f"APPLY '{definition}'")
    rows = shop.admin("REWRITE FOR old 'UPDATE users SET role = ''x,y'' WHERE id = 1'").rows
    assert [row["phase"] for row in rows] == ["old", "dual_old", "dual_own", "dual_new", "new"]
    assert [row["now"] for row in rows] == [True, False, False, False, False]
    assert rows[0]["outcome"] == "untouched"
    assert rows[2]["outcome"] == "changed" and "roles" in rows[2]["sql"]
    row, = shop.admin("REWRITE FOR new IN dual_own 'SELECT role FROM users'").rows
    assert row["outcome"] == "changed" or row["outcome"] == "refused"
    row, = shop.admin("REWRITE FOR old IN new $$SELECT 1$$").rows
    assert (row["outcome"], row["sql"]) == ("untouched", "SELECT 1")
    with shop.direct() as direct:
        assert direct.execute("SELECT role FROM users WHERE id = 1").fetchone() == ("admin,editor",)


def test_check_and_plan_speak_of_a_file_that_nobody_applied(shop):
    definition = tables.definition("users_role").replace("'", "''")
    assert "ADD COLUMN" in repr(shop.admin(f"PLAN '{definition}'").rows).upper()
    shop.admin(f"CHECK '{definition}'")
    assert shop.admin("SHOW TRANSITIONS").rows == []


def test_pause_holds_new_transactions_on_tables_in_transition_until_resume(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    shop.admin("PAUSE")
    assert shop.transitions()["users_role"]["held"] is True
    with shop.old() as connection:
        assert connection.execute("SELECT count(*) FROM plain").fetchone() == (2,)
    answers = []

    def ask():
        with shop.old() as connection:
            answers.append(connection.execute("SELECT count(*) FROM users").fetchone()[0])

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.4)
    assert answers == []
    with pytest.raises(psycopg2.Error, match="busy with another command: PAUSE"):
        shop.admin("ADVANCE users_role")
    shop.admin("RESUME")
    asking.join(10)
    assert answers == [5]
    assert shop.transitions()["users_role"]["held"] is False
    assert shop.admin("RESUME").rows == [{"result": "nothing was paused"}]


@pytest.fixture
def mortal_cluster():
    """A cluster of the test's own, which it may stop."""
    cluster = Cluster()
    cluster.create_database("mortal")
    with cluster.connect("mortal") as connection:
        connection.execute(tables.CREATE["old"])
        tables.fill(connection, "old")
    yield cluster
    cluster.remove()


def test_pause_outlives_a_restart_of_the_server(mortal_cluster, tmp_path):
    segue = Segue(mortal_cluster, tmp_path, ["mortal"]).start()
    definition = tables.definition("users_role").replace("'", "''")
    segue.admin(f"APPLY '{definition}'")
    segue.admin("PAUSE")
    mortal_cluster.stop()
    wait_until(lambda: segue.admin("SHOW FLEET").rows[0]["state"] == "lost")
    assert segue.transitions()["users_role"]["held"] is True
    mortal_cluster.start()
    wait_until(lambda: segue.admin("SHOW FLEET").rows[0]["state"] == "ready")
    assert segue.transitions()["users_role"]["held"] is True
    segue.admin("RESUME")
    assert segue.transitions()["users_role"]["held"] is False
    segue.stop()


def test_a_database_that_is_not_loaded_is_told_with_the_reason(make_segue):
    segue = make_segue(["nosuch"], start=False)
    segue.wait_until_ready = lambda: None
    segue.start()
    wait_until(lambda: _can_log_in(segue))
    wait_until(lambda: "does not exist" in segue.admin("SHOW FLEET").rows[0]["reason"])
    told = segue.admin("SHOW TRANSITIONS")
    assert told.rows == [] and "nosuch" in told.notices[0]
    for command in ("PAUSE", "REWRITE FOR old 'SELECT 1'", "RELOAD"):
        with pytest.raises(psycopg2.Error, match="control connection") as refused:
            segue.admin(command)
        assert refused.value.pgcode == "08006", command
    with pytest.raises(psycopg2.Error, match="control connection"):
        segue.admin("EXPAND x")


def test_show_clients_and_statements_count_by_shape(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    with shop.old() as old, shop.new() as new:
        old.execute("SELECT role FROM users")
        for _ in range(3):
            new.execute("SELECT roles FROM users")
        shapes = [row["shape"] for row in shop.admin("SHOW CLIENTS").rows]
        assert sorted(shapes) == ["new", "old"]
        row = shop.transitions()["users_role"]
        assert (row["old_clients"], row["new_clients"]) == (1, 1)
    used = {row["shape"]: row for row in shop.admin("SHOW STATEMENTS").rows}
    assert used["old"]["statements"] == 1 and used["new"]["statements"] == 3
    assert used["new"]["last_used"] >= used["old"]["last_used"]


def test_show_fleet_names_who_holds_a_move_up(make_segue, shop_database):
    shop = make_segue([shop_database], settings="move_timeout = 10")
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    with shop.old() as slow:
        slow.execute("BEGIN")
        slow.execute("SELECT role FROM users")
        pid = slow.info.backend_pid
        moving = threading.Thread(target=lambda: _try(shop.admin, "ADVANCE users_role"))
        moving.start()
        wait_until(lambda: shop.admin("SHOW FLEET").rows[0]["held_up_by"] == 1)
        row, = shop.admin("SHOW FLEET").rows
        assert f"server process {pid}" in row["first_held_up_by"]
        slow.execute("COMMIT")
        moving.join(20)
    wait_until(lambda: shop.admin("SHOW FLEET").rows[0]["held_up_by"] == 0)
    assert shop.phase("users_role") == "dual_new"


def _try(function, *arguments):
    with contextlib.suppress(psycopg2.Error):
        function(*arguments)


# ---------------------------------------------------------------- long commands


@pytest.fixture
def long(make_segue, shop_database, cluster):
    """A proxy whose backfill of users takes a good while."""
    with cluster.connect(shop_database) as direct:
        direct.execute("INSERT INTO users SELECT i, 'n' || i, 'a,b' FROM generate_series(10, 20000) i")
    segue = make_segue([shop_database], settings="backfill_rows = 50\nbackfill_pause = 100")
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    return segue


def test_a_long_command_sends_notices_and_stops_nobody(long):
    with wire.Connection(long.admin_port) as connection:
        connection.login("ann", "segue")
        connection.send(wire.query("BACKFILL users_role START"))
        assert connection.read().kind == b"N"
        started = time.monotonic()
        for _ in range(20):
            assert long.admin("SELECT 1").rows
        assert time.monotonic() - started < 5
        row, = long.admin("SHOW BACKFILLS").rows
        assert row["state"] == "running" and 0 <= row["percent"] < 100
        long.admin("BACKFILL users_role CANCEL")
        connection.read_until()


def test_ctrl_c_ends_a_long_command_with_an_error(long):
    with wire.Connection(long.admin_port) as connection:
        connection.login("ann", "segue")
        connection.send(wire.query("BACKFILL users_role START; SELECT 1"))
        assert connection.read().kind == b"N"
        with wire.Connection(long.admin_port) as other:
            other.send(wire.cancel_request(connection.pid, connection.key ^ 1))
            assert other.read_all() == []
        connection.send(wire.query("SELECT 2"))
        with wire.Connection(long.admin_port) as other:
            other.send(wire.cancel_request(connection.pid, connection.key))
            assert other.read_all() == []
        messages = connection.read_until(count=2)
        assert wire.kinds(messages).lstrip("N") == "EZTDCZ"
        assert wire.error_of(messages).sqlstate == "57014"


def test_who_disconnects_in_a_long_command_disturbs_nothing(long):
    connection = wire.Connection(long.admin_port)
    connection.login("ann", "segue")
    connection.send(wire.query("BACKFILL users_role START"))
    assert connection.read().kind == b"N"
    connection.close()
    assert long.admin("SELECT 1").rows
    long.assert_running()


def test_sigterm_in_a_long_command_ends_it(long):
    connection = wire.Connection(long.admin_port)
    connection.login("ann", "segue")
    connection.send(wire.query("BACKFILL users_role START"))
    assert connection.read().kind == b"N"
    long.stop()
    with contextlib.suppress(wire.Closed, ConnectionResetError):
        assert connection.read_all()[-1].sqlstate == "57P01"
    connection.close()


def test_shutdown_answers_and_ends_the_process(make_segue):
    segue = make_segue()
    with wire.Connection(segue.admin_port) as connection:
        connection.login("ann", "segue")
        messages = connection.query("SHUTDOWN")
        assert wire.kinds(messages) == "TDCZ"
        assert segue.process.wait(10) == 0
    segue.process = None
    segue.assert_clean_log()


def test_an_idle_console_is_told_when_the_process_ends(make_segue):
    segue = make_segue()
    with wire.Connection(segue.admin_port) as connection:
        connection.login("ann", "segue")
        segue.stop()
        assert wire.error_of(connection.read_all()).sqlstate == "57P01"
