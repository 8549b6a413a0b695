"""
What has bitten other proxies and has no place in another file: each test carries the number of the
line in the list of pitfalls that it comes from.
"""

import struct
import time

import pytest

import tables
import wire


@pytest.fixture(params=["dual_own", "dual_new", "new"])
def segue(request, stands):
    segue = stands(request.param)
    with segue.direct() as direct:
        tables.fill(direct, "both")
    return segue


def test_pitfall_04_nothing_put_in_ends_the_batchs_implicit_transaction(segue):
    """The session's first rewritten statement, and all that it needs, come in the middle of a batch."""
    with segue.raw() as connection:
        connection.send(
            wire.extended("CREATE TEMP TABLE gone (role text) ON COMMIT DROP")
            + wire.extended("INSERT INTO gone SELECT role FROM users WHERE id = 2")
            + wire.extended("SELECT role FROM gone") + wire.sync()
        )
        messages = connection.read_until()
        assert [m.row() for m in messages if m.kind == b"D"] == [[b"viewer"]], messages
        assert wire.error_of(connection.query("TABLE gone")).sqlstate == "42P01"


def test_pitfall_04_the_first_rewritten_statement_may_come_in_any_state_of_a_transaction(segue):
    with segue.raw() as connection:
        connection.query("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY")
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
        assert connection.rows("SHOW transaction_isolation") == [["serializable"]]
        connection.query("COMMIT")
    with segue.raw() as connection:
        connection.query("BEGIN")
        # nothing may come before SET TRANSACTION: no snapshot may have been taken by then
        messages = connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert messages[0].kind == b"C"
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
        connection.query("COMMIT")
    with segue.raw() as connection:
        connection.query("BEGIN; SELECT nosuch")
        error = wire.error_of(connection.query("SELECT role FROM users"))
        assert error.sqlstate == "25P02"
        assert wire.transaction_state(connection.query("ROLLBACK")) == "I"
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]


def test_pitfall_05_a_flush_in_the_middle_keeps_the_portal(segue):
    with segue.raw() as connection:
        connection.send(wire.parse("SELECT role FROM users ORDER BY id") + wire.bind()
                        + wire.describe(b"P") + wire.flush())
        assert wire.kinds(connection.read_until(b"T")) == "12T"
        for expected in ([b"admin,editor"], [b"viewer"]):
            connection.send(wire.execute(rows=1) + wire.flush())
            assert connection.read_until(b"s")[0].row() == expected
        connection.send(wire.sync())
        assert wire.kinds(connection.read_until()) == "Z"


def test_pitfall_06_a_simple_query_in_an_unsynced_batch_commits_it(segue):
    with segue.raw() as connection:
        connection.send(wire.extended("UPDATE users SET role = 'in,batch' WHERE id = 1")
                        + wire.query("UPDATE users SET role = 'by,query' WHERE id = 2"))
        assert wire.kinds(connection.read_until()) == "12nCCZ"
        connection.send(wire.sync())
        connection.read_until()
        assert connection.rows("SELECT role FROM users WHERE id < 3 ORDER BY id") == [
            ["in,batch"], ["by,query"]
        ]


def test_pitfall_08_answers_come_message_by_message_in_order(segue):
    with segue.raw() as connection:
        batch = b""
        for i in range(50):
            batch += wire.parse("SELECT role FROM users WHERE id = $1", f"s{i}")
            batch += wire.bind(["2"], f"s{i}") + wire.execute() + wire.close(b"S", f"s{i}")
        connection.send(batch + wire.sync())
        assert wire.kinds(connection.read_until()) == "12DC3" * 50 + "Z"


def test_pitfall_11_describe_of_a_missing_statement_is_an_ordinary_error(segue):
    with segue.raw() as connection:
        connection.rows("SELECT role FROM users")
        connection.send(wire.describe(b"S", "nosuch") + wire.sync())
        assert wire.error_of(connection.read_until()).sqlstate == "26000"
        connection.send(wire.describe(b"P", "nosuch") + wire.sync())
        assert wire.error_of(connection.read_until()).sqlstate == "34000"
        assert connection.rows("SELECT 1") == [["1"]]


def test_pitfall_19_comments_and_hints_reach_the_server(segue):
    sql = "/*+ SeqScan(users) */ SELECT role /* inside */ FROM users -- tail\n /*trace='1'*/"
    with segue.raw() as connection, segue.direct() as direct:
        connection.query("BEGIN")
        connection.query(sql)
        (sent,) = direct.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s", (connection.pid,)
        ).fetchone()
        for part in ("/* inside */", "-- tail\n", "/*trace='1'*/"):
            assert part in sent
        assert sent.startswith("/*+ SeqScan(users) */"), "a hint must stay in front"
        connection.query("COMMIT")


def test_pitfall_21_texts_that_differ_by_their_comments_are_each_right(segue):
    with segue.raw() as connection:
        for i in range(20):
            for comment in (f"/*{i}*/", f"/* {'x' * i} */", f"-- {i}\n"):
                assert connection.rows(f"{comment}SELECT role FROM users WHERE id = 2{comment}") == [
                    ["viewer"]
                ]
                error = wire.error_of(connection.query(f"{comment}SELECT role, nosuch FROM users"))
                assert error.fields()["P"] == str(len(comment) + 14)


def test_pitfall_24_one_parameter_in_two_roles_keeps_its_number_and_type(segue):
    with segue.raw() as connection:
        connection.send(
            wire.parse("UPDATE users SET role = $2, name = $1 WHERE role = $2 OR name = $1", "u")
            + wire.describe(b"S", "u") + wire.bind(["ann", "viewer"], "u") + wire.execute()
            + wire.sync()
        )
        messages = connection.read_until()
        described = next(m for m in messages if m.kind == b"t")
        assert struct.unpack("!HII", described.body) == (2, 25, 25)
        assert connection.rows("SELECT id, name, role FROM users WHERE id < 3 ORDER BY id") == [
            ["1", "ann", "viewer"], ["2", "ann", "viewer"]
        ]


def test_pitfall_25_types_that_the_client_declares_are_respected(segue):
    varchar, int8 = 1043, 20
    with segue.raw() as connection:
        connection.send(
            wire.parse("UPDATE users SET role = $1 WHERE id = $2", "u", [varchar, int8])
            + wire.describe(b"S", "u") + wire.sync()
        )
        described = connection.read_until()[1]
        assert struct.unpack("!HII", described.body) == (2, varchar, int8)
        connection.send(wire.bind([b"v,w", struct.pack("!q", 1)], "u", formats=[0, 1])
                        + wire.execute() + wire.sync())
        assert wire.kinds(connection.read_until()) == "2CZ"
        assert connection.rows("SELECT role FROM users WHERE id = 1") == [["v,w"]]


@pytest.mark.parametrize("formats", [[], [0], [1], [1, 0], [0, 1]])
def test_pitfall_26_parameter_formats_may_be_none_one_or_all(segue, formats):
    values = [b"b,c", b"2"]
    spread = (formats * 2 if len(formats) == 1 else formats) or [0, 0]
    if spread[1]:
        values[1] = struct.pack("!i", 2)
    with segue.raw() as connection:
        connection.send(
            wire.parse("UPDATE users SET role = $1 WHERE id = $2 RETURNING role", types=[25, 23])
            + wire.bind(values, formats=formats, result_formats=[1]) + wire.execute() + wire.sync()
        )
        assert connection.read_until()[2].row() == [b"b,c"]


def test_pitfall_29_no_cached_plan_breaks_on_the_way(shop):
    """`*` prepared before the table had its new column, executed to the end of the line and beyond."""
    shop.move_to("users_role", "old", tables.definition("users_role"))
    with shop.raw() as connection:
        connection.send(wire.parse("SELECT * FROM users WHERE id = $1", "s") + wire.describe(b"S", "s")
                        + wire.sync())
        described = connection.read_until()[2].columns()
        connection.query("PREPARE p AS SELECT * FROM users WHERE id = 2")

        def assert_same(where):
            connection.send(wire.bind(["2"], "s") + wire.describe(b"P") + wire.execute() + wire.sync())
            messages = connection.read_until()
            assert wire.kinds(messages) == "2TDCZ", (where, messages)
            assert [c[0] for c in messages[1].columns()] == [c[0] for c in described]
            assert messages[2].row() == [b"2", b"bob", b"viewer"]
            assert connection.rows("EXECUTE p") == [["2", "bob", "viewer"]], where

        assert_same("applied")
        shop.admin("EXPAND users_role")
        assert_same("expanded")
        for phase in ("dual_old", "dual_own", "dual_new", "new"):
            shop.move_to("users_role", phase)
            assert_same(phase)
        shop.admin("CONTRACT users_role")
        assert_same("contracted")


def binary_row(number, text):
    value = struct.pack("!i", -1) if text is None else struct.pack("!i", len(text)) + text
    return struct.pack("!hii", 2, 4, number) + value


@pytest.mark.parametrize("options, data", [
    ("", b"77\t\\\\.\\t,b\n78\t\\N\n79\ty\n\\.\n"),
    ("(FORMAT csv, HEADER)", b'id,role\n77,"\\.\t,b"\n78,\n79,"y"\n'),
    ("(FORMAT binary)", b"PGCOPY\n\xff\r\n\0" + bytes(8) + binary_row(77, b"\\.\t,b")
     + binary_row(78, None) + binary_row(79, b"y") + struct.pack("!h", -1)),
], ids=["text", "csv", "binary"])
def test_pitfall_36_copy_boundaries_are_nobodys_business(segue, options, data):
    """Each byte is a message of its own: of a row, a quote, an escape, a length."""
    with segue.raw() as connection:
        connection.send(wire.query(f"BEGIN; COPY users (id, role) FROM STDIN {options}"))
        connection.read_until(b"G")
        for i in range(len(data)):
            connection.send(wire.copy_data(data[i : i + 1]))
        connection.send(wire.copy_done())
        assert connection.read_until()[-2].body == b"COPY 3\0"
        assert connection.rows("SELECT role FROM users WHERE id > 76 ORDER BY id") == [
            ["\\.\t,b"], [None], ["y"]
        ]
        connection.query("ROLLBACK")


def test_pitfall_39_a_very_long_login_is_taken_in_pieces(segue):
    long_value = "x" * 9000
    packet = wire.startup_packet("alice", segue.databases[0], application_name=long_value)
    with wire.Connection(segue.old_port) as connection:
        connection.send_cut(packet, *range(1, len(packet), 700))
        assert connection.read_until()[-1].kind == b"Z"
        assert connection.rows("SELECT 1") == [["1"]]


def test_pitfall_45_many_small_round_trips_do_not_stall(segue):
    def fastest(connection, sql):
        taken = []
        for _ in range(50):
            begun = time.monotonic()
            connection.send(wire.parse(sql))
            connection.send(wire.bind(["2"]))
            connection.send(wire.execute())
            connection.send(wire.sync())
            assert wire.kinds(connection.read_until()) == "12DCZ"
            taken.append(time.monotonic() - begun)
        return min(taken)

    with segue.raw() as connection, wire.Connection(segue.cluster.port) as direct:
        direct.login("postgres", segue.databases[0])
        # a stall of Nagle and delayed acknowledgement is 40 ms, each time: two hundred times as long
        longest = 40 * fastest(direct, "SELECT name FROM users WHERE id = $1")
        assert fastest(connection, "SELECT role FROM users WHERE id = $1") < longest


def test_pitfall_54_a_session_ended_by_the_server_while_idle_ends_for_the_client(segue):
    with segue.raw() as connection:
        connection.rows("SELECT role FROM users")
        connection.query("SET idle_session_timeout = 200")
        messages = connection.read_all()
        assert messages[-1].sqlstate == "57P05"
