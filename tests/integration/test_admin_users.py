"""Users of the admin console: who is let in by password, and what a viewer may."""

import base64
import contextlib
import re
import subprocess

import psycopg
import psycopg2
import pytest

import admin_users
import tables
import wire
from admin_users import PASSWORD, connect, run
from remains import remains_of
from scram import MECHANISM_PLUS, Scram, attributes, initial_response, response
from segue import BINARY, Segue
from waiting import wait_until

ADDRESS = 'address = "127.0.0.1"  unix_socket_dir = ""'


@pytest.fixture
def guarded(make_segue):
    """A proxy whose console asks for a password."""
    return admin_users.configure(make_segue(start=False), ADDRESS).start()


@pytest.fixture
def guarded_shop(make_segue, shop_database):
    """The same on a database with tables."""
    segue = make_segue([shop_database], start=False)
    segue.admin_connect = lambda: psycopg2_connect(segue)
    return admin_users.configure(segue, ADDRESS).start()


def psycopg2_connect(segue, user="ann", password=PASSWORD):
    connection = psycopg2.connect(host="127.0.0.1", port=segue.admin_port, dbname="segue", user=user,
                                  password=password)
    connection.autocommit = True
    return connection


def fatal(messages):
    """The error that ended a connection."""
    error = wire.error_of(messages)
    assert error.fields()["S"] == "FATAL"
    return error


# ---------------------------------------------------------------- passwords


def test_a_user_of_the_file_logs_in_with_psql_and_drivers(guarded):
    with guarded.log_contains(r"A-\d+ ann@127\S+ .*logged in as operator by SCRAM-SHA-256", times=3):
        assert run(guarded, "SELECT current_user") == [("ann",)]
        with contextlib.closing(psycopg2_connect(guarded)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SHOW VERSION")
                assert cursor.fetchone()[0].startswith("segue ")
        told = subprocess.run(
            ["psql", "-XAt", f"host=127.0.0.1 port={guarded.admin_port} dbname=segue user=ann "
             f"password='{PASSWORD}'", "-c", "SELECT current_user"],
            capture_output=True, text=True, timeout=30, check=True)
        assert told.stdout == "ann\n"


def test_a_password_may_have_any_letters(make_segue):
    # NFKC: clients and verifier agree on what ﬁ, Ⅸ and a soft hyphen are
    password = "pä\u00adss ﬁ Ⅸ 'q' \"d\" \\ 密碼" + "x" * 300
    segue = admin_users.configure(make_segue(start=False), ADDRESS,
                                  [admin_users.line('o"neil', password=password)]).start()
    assert run(segue, "SELECT 1", user='o"neil', password=password) == [(1,)]


def test_strangers_cannot_tell_who_exists(make_segue):
    """A wrong password, no such user, one without a password: the same course, the same words."""
    segue = admin_users.configure(make_segue(start=False), ADDRESS, [
        admin_users.line("ann"), '"local" "" operator peer=root']).start()
    courses = []
    for user in ("ann", "nobody", "local", "x" * 64):
        salts = set()
        for _ in range(2):
            with admin_users.asked(segue, user) as connection:
                scram = Scram("wrong")
                connection.send(initial_response(scram.first()))
                first = connection.read().body[4:]
                connection.send(response(scram.final(first)))
                error = fatal(connection.read_all())
            said = attributes(first)
            salts.add(said["s"])
            courses.append((connection.mechanisms, said["i"], len(said["s"]), len(said["r"]),
                            error.sqlstate, error.fields()["M"].replace(user, "")))
        assert len(salts) == 1, "a user's salt must not change"
    assert len(set(map(str, courses))) == 1, courses
    assert courses[0][4] == "28P01"


def test_a_wrong_password_is_told_to_drivers(guarded):
    with guarded.log_contains('closed: password authentication failed for user "ann"'):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(guarded, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=guarded.admin_port, dbname="segue", user="ann",
                        passfile="/nonexistent")


@pytest.mark.parametrize("said", [
    wire.query("SHUTDOWN"),
    wire.parse("SHUTDOWN"),
    wire.terminate(),
    wire.startup_packet("ann", "segue"),
    wire.ssl_request(),
    wire.message(b"p", b""),
    wire.message(b"p", b"SCRAM-SHA-256"),
    wire.message(b"p", b"SCRAM-SHA-256\0\0\0\0"),
    wire.message(b"p", b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
    wire.message(b"p", b"SCRAM-SHA-256\0\0\0\0\x05n,,"),
    wire.password(PASSWORD),
    initial_response(Scram(PASSWORD).first(), "scram-sha-256"),
    initial_response(Scram(PASSWORD).first(), "PLAIN"),
    initial_response(Scram(PASSWORD, header="p=tls-server-end-point,,").first(), MECHANISM_PLUS),
    initial_response(Scram(PASSWORD, header="p=tls-server-end-point,,").first()),
    initial_response(b""),
    initial_response(b"n,"),
    initial_response(b"n,,"),
    initial_response(b"x,,n=,r=abc"),
    initial_response(b"n,a=bob,n=,r=abc"),
    initial_response(b"n,,m=x,n=,r=abc"),
    initial_response(b"n,,n="),
    initial_response(b"n,,n=,r="),
    initial_response(b"n,,n=,r=a\x01b"),
    initial_response(b"n,,n=,r=a\0b"),
    initial_response(b"n,,n=,r=" + b"a" * 1100),
    b"p\x00\x00\x00\x03",
    b"p\x00\x00\x08\x00" + b"x" * 100,
    b"p\x3f\xff\xff\xff" + b"x" * 100,
    b"p\xff\xff\xff\xff",
    b"\x16\x03\x01\x02\x00\x01",
], ids=lambda said: repr(said[:40]))
def test_what_is_no_first_message_is_refused_and_disturbs_nobody(relay_with_users, said):
    with connect(relay_with_users) as bystander:
        with admin_users.asked(relay_with_users) as connection:
            connection.send(said)
            assert fatal(connection.read_all()).sqlstate in ("08P01", "0A000")
        assert bystander.execute("SELECT 1").fetchone() == (1,)


def _final(spoil):
    """A final message made of a good one."""
    return lambda scram, first: spoil(scram.final(first), first)


@pytest.mark.parametrize("final, sqlstate", [
    (_final(lambda good, first: good[:-4] + b"AAA="), "28P01"),
    (_final(lambda good, first: good.replace(b"p=", b"p=AAAA", 1)), "08P01"),
    (_final(lambda good, first: good[: good.index(b",p=")]), "08P01"),
    (_final(lambda good, first: good + b",p="), "08P01"),
    (_final(lambda good, first: good.replace(b"c=biws", b"c=eSws")), "08P01"),
    (_final(lambda good, first: good.replace(b"c=biws,", b"")), "08P01"),
    (_final(lambda good, first: good.replace(b"c=biws", b"c=biws,x=1")), "08P01"),
    (_final(lambda good, first: good.replace(b",p=", b",x=1,p=")), "28P01"),
    (_final(lambda good, first: b"\0" + good), "08P01"),
    (_final(lambda good, first: b""), "08P01"),
    (_final(lambda good, first: good + b"=" * 1100), "08P01"),
    (lambda scram, first: scram.final(first, nonce=scram.nonce), "08P01"),
    (lambda scram, first: Scram("wrong").final(first), "28P01"),
    (lambda scram, first: Scram("").final(first), "28P01"),
], ids=range(14))
def test_a_final_message_that_proves_nothing_is_refused(relay_with_users, final, sqlstate):
    with admin_users.asked(relay_with_users) as connection:
        scram = Scram(PASSWORD)
        connection.send(initial_response(scram.first()))
        first = connection.read().body[4:]
        connection.send(response(final(scram, first)))
        assert fatal(connection.read_all()).sqlstate == sqlstate


def test_what_was_overheard_cannot_be_said_again(relay_with_users):
    scram = Scram(PASSWORD)
    with admin_users.asked(relay_with_users) as connection:
        connection.send(initial_response(scram.first()))
        final = scram.final(connection.read().body[4:])
        connection.send(response(final))
        assert wire.kinds(connection.read_until()).endswith("KZ")
    with admin_users.asked(relay_with_users) as connection:
        connection.send(initial_response(scram.first()))
        connection.read()
        connection.send(response(final))
        assert fatal(connection.read_all()).sqlstate == "08P01"


def test_a_login_may_be_cut_at_every_byte(relay_with_users):
    with wire.Connection(relay_with_users.admin_port) as connection:
        scram = Scram(PASSWORD)
        packet = wire.startup_packet("ann", "segue")
        connection.send_cut(packet, *range(1, len(packet)), pause=0)
        connection.read()
        first = initial_response(scram.first())
        connection.send_cut(first, *range(1, len(first)), pause=0)
        final = response(scram.final(connection.read().body[4:]))
        connection.send_cut(final, *range(1, len(final)), pause=0)
        messages = connection.read_until()
    assert wire.kinds(messages).startswith("RR")
    assert scram.server_signature


@pytest.fixture(scope="module")
def relay_with_users(cluster, tmp_path_factory):
    """One proxy for the module, whose console asks for a password."""
    segue = admin_users.configure(Segue(cluster, tmp_path_factory.mktemp("users")), ADDRESS).start()
    yield segue
    segue.stop()


# ---------------------------------------------------------------- roles


PLACEHOLDERS = {
    "transition": "users_role", "phase": "dual_old", "shape": "old", "client": "1", "database": None,
    "'definition'": None, "'file'": "'x.conf'", "'sql'": "'SELECT role FROM users'",
}


def instances(pattern, database, definition):
    """The command of a pattern of SHOW HELP, without and with what may be left out."""
    known = PLACEHOLDERS | {"database": f'"{database}"', "'definition'": f"'{definition}'"}
    words = lambda text: " ".join(known[word] if word in known else word for word in text.split())
    for text in (re.sub(r"\[.*?\]", "", pattern), re.sub(r"[\[\]]", "", pattern)):
        for word in words(text).split():
            assert word.isupper() or word in " ".join(known.values()), f"{word} of {pattern}"
        yield words(text)


def state_of(segue):
    """All that commands could change: the schema, what it holds, the table, and who is held."""
    with segue.direct() as direct:
        audit = direct.execute("SELECT count(*) FROM segue.audit").fetchone()
        columns = direct.execute("SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass "
                                 "ORDER BY attnum").fetchall()
        objects = direct.execute("SELECT count(*) FROM pg_class").fetchone()
    return audit, columns, objects, segue.transitions()


def test_a_viewer_sees_everything_and_changes_nothing(guarded_shop):
    definition = tables.definition("users_role").replace("'", "''")
    guarded_shop.admin(f"APPLY '{definition}'")
    commands = {row["command"]: row["role"] for row in guarded_shop.admin("SHOW HELP").rows}
    before = state_of(guarded_shop)
    database = guarded_shop.databases[0]
    allowed = set()
    with connect(guarded_shop, "watch") as viewer:
        for pattern, role in commands.items():
            for command in instances(pattern, database, definition):
                # both protocols
                for binary in (False, True):
                    try:
                        viewer.execute(command, binary=binary, prepare=binary)
                        refused = None
                    except psycopg.Error as error:
                        refused = error
                    assert getattr(refused, "sqlstate", None) != "42601", f"{command}: {refused}"
                    if role == "viewer":
                        assert getattr(refused, "sqlstate", None) != "42501", command
                        allowed.add(pattern.split()[0])
                    else:
                        assert refused is not None and refused.sqlstate == "42501", command
                        assert 'user "watch" is a viewer' in str(refused)
        assert viewer.execute("SELECT current_user").fetchone() == ("watch",)
    assert allowed == {"SHOW", "CHECK", "PLAN", "REWRITE"}
    assert len(commands) > 25
    assert state_of(guarded_shop) == before
    guarded_shop.assert_running()


@pytest.mark.parametrize("dependent", ["nothing", "a view"])
@pytest.mark.parametrize("expression", [
    "setval('public.counter', 42)::text",
    "pg_terminate_backend(pg_backend_pid())::text",
    "query_to_xml('DELETE FROM users', true, true, '')::text",
    "unnest(ARRAY[setval('public.counter', 42)])::text",
    "(SELECT rolpassword FROM pg_authid LIMIT 1)",
    "role); DELETE FROM users; SELECT (1",
])
def test_a_viewers_definition_acts_on_nothing(guarded_shop, dependent, expression):
    """CHECK evaluates what it says, as the control user: nothing there may be able to act."""
    with guarded_shop.direct() as direct:
        direct.execute("CREATE SEQUENCE counter")
        if dependent == "a view":
            direct.execute("CREATE VIEW roles_of_users AS SELECT role FROM users")
    definition = (f'transition "evil" {{ table = "public.users"  lossless = false '
                  f'old "role" {{ type = "text" from = "roles" }} '
                  f'new "roles" {{ type = "text" from = "{expression}" }} }}').replace("'", "''")
    with connect(guarded_shop, "watch") as viewer:
        for command in (f"CHECK '{definition}'", f"PLAN '{definition}'",
                        f"REWRITE FOR old 'SELECT role FROM users WHERE id = $1' USING '{definition}'",
                        f"REWRITE FOR new 'SELECT {expression.replace(chr(39), chr(39) * 2)}'"):
            try:
                viewer.execute(command)
            except psycopg.Error as error:
                assert error.sqlstate in ("42601", "42P17", "F0000", "0A000"), error
    with guarded_shop.direct() as direct:
        assert direct.execute("SELECT last_value, is_called FROM counter").fetchone() == (1, False)
        assert direct.execute("SELECT count(*) FROM users").fetchone() == (5,)


@contextlib.contextmanager
def raw_viewer(segue):
    """A wire.Connection of watch, logged in."""
    with admin_users.asked(segue, "watch") as connection:
        scram = Scram(PASSWORD)
        connection.send(initial_response(scram.first()))
        connection.send(response(scram.final(connection.read().body[4:])))
        connection.read_until()
        yield connection


def test_what_was_refused_or_failed_is_not_executed_by_a_second_execute(guarded):
    """In a block, portals outlive the Sync."""
    with raw_viewer(guarded) as connection:
        connection.query("BEGIN")
        for command, sqlstate in {"SHUTDOWN": "42501", "RESTART": "42501", "RELOAD": "42501",
                                  "CHECK nothing": "42704", "SHOW nothing": "42704"}.items():
            connection.send(wire.parse(command) + wire.bind(portal="p") + wire.execute("p") +
                            wire.sync())
            assert wire.error_of(connection.read_until()).sqlstate == sqlstate, command
            connection.send(wire.describe(b"P", "p") + wire.execute("p") + wire.sync())
            assert wire.error_of(connection.read_until()).sqlstate == "34000", command
        # nor does what went well happen again
        for command in ("COMMIT", "BEGIN"):
            connection.send(wire.parse(command) + wire.bind() + 2 * wire.execute() + wire.sync())
            assert wire.kinds(connection.read_until()) == "12CCZ", command
        assert connection.rows("SELECT 3") == [["3"]]
    assert "SHUTDOWN: no new connections" not in guarded.log()
    guarded.assert_running()


def test_a_query_of_several_commands_stops_at_what_a_viewer_may_not(guarded):
    with raw_viewer(guarded) as connection:
        messages = connection.query("SELECT 1; RELOAD; SELECT 2")
        assert wire.kinds(messages) == "TDCEZ" and wire.error_of(messages).sqlstate == "42501"
        assert connection.rows("SELECT 3") == [["3"]]


def test_the_audit_log_names_the_user(guarded_shop):
    guarded_shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    with guarded_shop.direct() as direct:
        who = {row[0] for row in direct.execute("SELECT who FROM segue.audit").fetchall()}
    assert len(who) >= 1 and all(re.fullmatch(r"ann@127\.0\.0\.1:\d+", one) for one in who), who
    assert re.search(r"A-\d+ ann@127\S+ .*ADVANCE users_role: done", guarded_shop.log())


# ---------------------------------------------------------------- the file


def test_reload_reads_the_users_again(guarded):
    with connect(guarded) as already_in:
        admin_users.write_users(guarded, admin_users.line("bob", password="new"))
        run(guarded, "RELOAD")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(guarded)
        assert run(guarded, "SELECT 1", user="bob", password="new") == [(1,)]
        assert already_in.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            already_in.execute("RELOAD")


def test_nothing_of_a_users_verifier_is_left_when_he_is(guarded):
    """Neither what was read nor a list that has grown since lies about in memory that was given back."""
    lines = [admin_users.line(name, password=name) for name in ("bob", "cid", "dan", "eve")]
    stored_key = re.search(r"\$([^$:]+):[^:]+$", lines[0].rstrip().split()[1].strip('"')).group(1)
    secrets = stored_key.encode(), base64.b64decode(stored_key)
    admin_users.write_users(guarded, admin_users.line("ann"), *lines)
    run(guarded, "RELOAD")
    assert remains_of(guarded, *secrets) == [0, 1]
    admin_users.write_users(guarded, admin_users.line("ann"))
    run(guarded, "RELOAD")
    assert remains_of(guarded, *secrets) == [0, 0]


def test_a_role_that_is_lowered_counts_for_who_is_in_and_what_is_prepared(guarded):
    with connect(guarded) as already_in:
        already_in.execute("RELOAD", prepare=True)
        admin_users.write_users(guarded, admin_users.line("ann", role="viewer"),
                                admin_users.line("bob"))
        already_in.execute("RELOAD", prepare=True)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match='"ann" is a viewer'):
            already_in.execute("RELOAD", prepare=True)
        admin_users.write_users(guarded, admin_users.line("ann"))
        run(guarded, "RELOAD", user="bob")
        assert already_in.execute("RELOAD", prepare=True).fetchall()


def test_a_reload_that_would_fit_only_after_a_restart_changes_nothing(guarded):
    """The address waits for a restart; without its users nobody could come in by it until then."""
    guarded.change_config(ADDRESS, f'unix_socket_dir = "{guarded.directory}"')
    guarded.change_config(f'users_file = "{guarded.users_path}"', "")
    with pytest.raises(psycopg.Error, match="127.0.0.1 without authentication") as refused:
        run(guarded, "RELOAD")
    assert "until a restart" in refused.value.diag.message_detail
    assert "-> nothing" not in guarded.log(), "told as if it were in force"
    assert run(guarded, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("spoil, told", [
    (lambda path: path.write_text("ann secret operator\n"), "users:1: the second word of user"),
    (lambda path: path.write_text("# nobody\n"), "has no user with a verifier"),
    (lambda path: path.chmod(0o644), "may be read by others"),
    (lambda path: path.unlink(), "cannot open users_file"),
])
def test_a_users_file_that_is_wrong_leaves_the_users_as_they_were(guarded, spoil, told):
    spoil(guarded.users_path)
    with pytest.raises(psycopg.Error) as refused:
        run(guarded, "RELOAD")
    assert told in str(refused.value) and "secret" not in str(refused.value)
    assert run(guarded, "SELECT 1") == [(1,)]
    ended = subprocess.run([BINARY, "serve", "--check", "-c", guarded.config_path],
                           capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and told in ended.stderr


# ---------------------------------------------------------------- crowds


def test_a_crowd_that_never_logs_in_locks_nobody_out(guarded):
    """Silent ones, and such as begin to log in and stop; the limit is far below their number."""
    with contextlib.ExitStack() as stack:
        for i in range(200):
            connection = stack.enter_context(wire.Connection(guarded.admin_port))
            if i % 2:
                connection.send(wire.startup_packet("ann", "segue"))
        assert run(guarded, "SELECT 1") == [(1,)]
        wait_until(lambda: guarded.log().count("that have not logged in are enough") >= 149)
        assert run(guarded, "SHOW VERSION")[0][0].startswith("segue ")


def test_who_stops_halfway_is_closed_in_time(make_segue):
    segue = admin_users.configure(make_segue(start=False, settings="client_login_timeout = 1"),
                                  ADDRESS).start()
    with segue.log_contains("did not log in in time"):
        with admin_users.asked(segue) as connection:
            connection.send(initial_response(Scram(PASSWORD).first()))
            assert wire.kinds(connection.read_all()) == "R"
    with connect(segue) as in_time, pytest.raises(psycopg.OperationalError):
        connect(segue, password="wrong")
        assert in_time.execute("SELECT 1").fetchone() == (1,)
