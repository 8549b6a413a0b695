"""
Pitfalls by their number (README.md), the ones about messages rather than SQL: what is compared with
PostgreSQL byte for byte in test_conversations.py is said here of tables in transition, one fact a test.
"""

import struct

import pytest

import tables
import wire
from fake_server import AUTHENTICATION_OK, READY, FakeServer


@pytest.fixture(params=["dual_own", "new"])
def segue(request, stands):
    segue = stands(request.param)
    with segue.direct() as direct:
        tables.fill(direct, "both")
    return segue


def test_pitfall_09_close_of_what_is_not_there_is_no_error(segue):
    with segue.raw() as connection:
        connection.rows("SELECT role FROM users")
        connection.send(wire.close(b"S", "no") + wire.close(b"P", "no") + wire.sync())
        assert wire.kinds(connection.read_until()) == "33Z"


def test_pitfall_10_close_of_a_portal_keeps_the_statement_of_its_name(segue):
    with segue.raw() as connection:
        connection.send(wire.parse("SELECT role FROM users WHERE id = 2", "x") + wire.bind([], "x", "x")
                        + wire.close(b"P", "x") + wire.bind([], "x") + wire.execute() + wire.sync())
        messages = connection.read_until()
        assert wire.kinds(messages) == "123" + "2DCZ"
        assert messages[4].row() == [b"viewer"]


def test_pitfall_12_describe_has_parameters_even_where_there_are_none(segue):
    with segue.raw() as connection:
        connection.send(wire.parse("SELECT role FROM users", "r")
                        + wire.parse("UPDATE users SET role = role", "w") + wire.describe(b"S", "r")
                        + wire.describe(b"S", "w") + wire.bind([], "w") + wire.describe(b"P")
                        + wire.sync())
        messages = connection.read_until()
        assert wire.kinds(messages) == "11" + "tT" + "tn" + "2n" + "Z"
        assert messages[2].body == messages[4].body == b"\0\0"


@pytest.mark.parametrize("sql", ["CREATE VIEW seen AS SELECT role FROM users",
                                 "ALTER TABLE users RENAME role TO rolle"])
def test_pitfall_15_what_cannot_be_rewritten_is_not_sent_as_it_is(segue, sql):
    with segue.raw() as connection, segue.direct() as direct:
        error = wire.error_of(connection.query(sql))
        assert error.sqlstate == "0A000"
        (sent,) = direct.execute("SELECT query FROM pg_stat_activity WHERE pid = %s",
                                 (connection.pid,)).fetchone()
        assert sql not in sent
        assert direct.execute("SELECT to_regclass('seen')").fetchone() == (None,)


def test_pitfall_16_no_statement_of_a_text_is_left_out(segue):
    with segue.raw() as connection:
        text = ("BEGIN; SET LOCAL work_mem = '5MB'; UPDATE users SET role = 'a' WHERE id = 1; SHOW work_mem;"
                " SELECT role FROM users WHERE id = 1; ROLLBACK; SHOW work_mem")
        messages = connection.query(text)
        tags = [m.body.rstrip(b"\0").decode() for m in messages if m.kind == b"C"]
        assert tags == ["BEGIN", "SET", "UPDATE 1", "SHOW", "SELECT 1", "ROLLBACK", "SHOW"]
        assert [m.row() for m in messages if m.kind == b"D"] == [[b"5MB"], [b"a"], [b"4MB"]]


def test_pitfall_18_a_position_counts_characters_and_an_inner_one_is_left_alone(segue):
    with segue.raw() as connection:
        sql = "SELECT 'äöü', role, nosuch FROM users"
        assert wire.error_of(connection.query(sql)).fields()["P"] == str(sql.index("nosuch") + 1)
        inner = "DO $$ BEGIN EXECUTE 'SELECT nosuch'; END $$"
        for text in (inner, f"SELECT role FROM users; {inner}"):
            fields = wire.error_of(connection.query(text)).fields()
            assert (fields["p"], fields["q"], "P" in fields) == ("8", "SELECT nosuch", False)


def test_pitfall_20_a_hint_stays_the_first_thing_in_a_text(segue):
    hint = "/*+ IndexScan(users) */"
    with segue.raw() as connection, segue.direct() as direct:
        connection.query("BEGIN")
        for sql in ("SELECT role FROM users", "UPDATE users SET role = 'h' WHERE id = 1",
                    "INSERT INTO users (id, role) VALUES (77, 'h')", "DELETE FROM users WHERE role = 'h'"):
            connection.query(f"{hint} {sql}")
            (sent,) = direct.execute("SELECT query FROM pg_stat_activity WHERE pid = %s",
                                     (connection.pid,)).fetchone()
            assert sent.startswith(hint), sql
        connection.query("ROLLBACK")


@pytest.mark.parametrize("value, sqlstate", [(b"a\0b", "22021"), (b"\xff", "22021"), (b"", None)])
def test_pitfall_27_a_parameter_is_as_long_as_it_says(segue, value, sqlstate):
    with segue.raw() as connection:
        connection.send(wire.parse("UPDATE users SET role = $1 WHERE id = 1 RETURNING role", types=[25])
                        + wire.bind([value]) + wire.execute() + wire.sync())
        messages = connection.read_until()
        if sqlstate:
            assert wire.error_of(messages).sqlstate == sqlstate
        else:
            assert messages[2].row() == [value]


def test_pitfall_48_what_follows_data_without_their_end_is_refused_where_the_copy_had_failed(segue):
    """
    While the COPY goes on the server ends the session for it (test_conversations.py). Had it failed,
    it would be a statement, which only could not be looked at before that was known.
    """
    with segue.raw() as connection:
        connection.query("SET search_path = public")  # how names resolve is to be asked again
        connection.send(wire.query("COPY plain FROM STDIN") + wire.copy_data(b"x\tq\n") + wire.sync()
                        + wire.query("SELECT role FROM users"))
        messages = connection.read_until(count=3)
        assert wire.kinds(messages) == "GEZ" + "Z" + "EZ"
        assert [m.sqlstate for m in messages if m.kind == b"E"] == ["22P02", "55000"]
        assert "CopyDone" in messages[-2].fields()["H"]
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]


def server_with_key(key):
    """Whoever logs in gets the key, where there is one; queries are answered with nothing."""

    def serve(connection):
        if struct.unpack_from("!i", server.startups[-1], 4)[0] == wire.CANCEL_REQUEST_CODE:
            return
        told = b"" if key is None else wire.message(b"K", struct.pack("!i", 4711) + key)
        connection.sendall(AUTHENTICATION_OK + told + READY)
        while FakeServer.read_message(connection).kind == b"Q":
            connection.sendall(wire.message(b"C", b"SELECT 0\0") + READY)

    server = FakeServer(serve)
    return server


@pytest.mark.parametrize("length", [None, 4, 5, 32, 255, 256])
@pytest.mark.parametrize("minor", [0, 2])
def test_pitfall_51_a_key_of_any_length_or_none_is_passed_on_and_cancels(make_segue, cluster, length, minor):
    server = server_with_key(None if length is None else bytes(range(1, 1 + length % 256)).ljust(length, b"k"))
    segue = make_segue(start=False)
    segue.change_config(f"port = {cluster.port} }}", f"port = {server.port} }}")
    segue.lets_in = lambda *_: True
    segue.start()
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet("alice", "postgres", wire.PROTOCOL_3_0 + minor))
        messages = connection.read_until()
        assert wire.kinds(messages) == ("RZ" if length is None else "RKZ")
        assert wire.kinds(connection.query("SELECT 1")) == "CZ"
    if length is not None:
        body = struct.pack("!i", wire.CANCEL_REQUEST_CODE) + messages[1].body
        packet = struct.pack("!i", len(body) + 4) + body
        with wire.Connection(segue.new_port) as canceller:
            canceller.send(packet)
            assert canceller.read_all() == []
        assert server.startups[-1] == packet
    server.close()


def test_pitfall_53_the_version_is_negotiated_once_and_every_option_named(segue):
    options = {f"_pq_.option{i}": "x" for i in range(20)}
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet("postgres", segue.databases[0], wire.PROTOCOL_3_0 + 2, **options))
        messages = connection.read_until()
        (negotiated,) = [m for m in messages if m.kind == b"v"]
        minor, count = struct.unpack_from("!ii", negotiated.body)
        named = negotiated.body[8:].split(b"\0")[:-1]
        assert (minor & 0xFFFF, count) == (0, 20)
        assert [name.decode() for name in named] == list(options)
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
