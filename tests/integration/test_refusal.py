"""What cannot be rewritten with certainty is refused by name, and the transaction is where it must be."""

import pytest

import tables
import wire

# statement: words of the message that name the construct (any one of them)
REFUSED = {
    "CREATE VIEW refused AS SELECT role FROM users": ["view"],
    "CREATE RULE refused AS ON DELETE TO users DO NOTHING": ["rule"],
    "ALTER TABLE users DROP COLUMN role": ["alter table"],
    "ALTER TABLE users ALTER COLUMN role TYPE varchar(10)": ["alter table"],
    "ALTER TABLE users RENAME COLUMN role TO r": ["rename", "alter table"],
}
# What may be rewritten or refused, but never anything else: (statement, words)
EITHER = {
    "SELECT row_to_json(u) FROM users u": ["whole-row", "row"],
    "SELECT u FROM users u": ["whole-row", "row"],
    "SELECT * FROM users AS u(a, b, c)": ["alias"],
    "SELECT * FROM users NATURAL JOIN plain": ["natural"],
    "TABLE users": ["table"],
    "COPY users TO STDOUT": ["copy"],
}


@pytest.fixture(params=["simple", "extended"])
def say(request):
    """Sends one statement by this protocol and gives the answers up to ReadyForQuery."""

    def say_by_protocol(connection, sql):
        if request.param == "simple":
            connection.send(wire.query(sql))
        else:
            connection.send(wire.extended(sql) + wire.sync())
        return connection.read_until()

    return say_by_protocol


@pytest.fixture(params=["dual_old", "dual_new", "new"])
def refusing(request, stands):
    segue = stands(request.param)
    with segue.direct() as direct:
        tables.fill(direct, "both")
    return segue


def assert_refused(messages, words):
    error = wire.error_of(messages)
    assert error.sqlstate == "0A000"
    text = error.fields()["M"].lower()
    assert any(word in text for word in words), text
    return error


@pytest.mark.parametrize("sql", REFUSED)
def test_outside_a_transaction_the_construct_is_named_and_the_session_goes_on(refusing, say, sql):
    with refusing.raw() as connection:
        messages = say(connection, sql)
        assert_refused(messages, REFUSED[sql])
        assert wire.transaction_state(messages) == "I"
        assert say(connection, "SELECT role FROM users WHERE id = 2")[-1].body == b"I"


@pytest.mark.parametrize("sql", REFUSED)
def test_within_a_transaction_it_fails_as_with_any_error(refusing, say, sql):
    with refusing.raw() as connection:
        say(connection, "BEGIN")
        say(connection, "UPDATE users SET role = 'never' WHERE id = 1")
        messages = say(connection, sql)
        assert_refused(messages, REFUSED[sql])
        assert wire.transaction_state(messages) == "E"
        assert wire.error_of(say(connection, "SELECT 1")).sqlstate == "25P02"
        messages = say(connection, "COMMIT")
        assert messages[-2].body == b"ROLLBACK\0"
        assert wire.transaction_state(messages) == "I"
        rows = connection.rows("SELECT role FROM users WHERE id = 1")
        assert rows == [["admin,editor"]]


def test_a_savepoint_before_it_can_be_rolled_back_to(refusing, say):
    with refusing.raw() as connection:
        for sql in ("BEGIN", "UPDATE users SET role = 'kept' WHERE id = 1", "SAVEPOINT a"):
            say(connection, sql)
        assert wire.transaction_state(say(connection, next(iter(REFUSED)))) == "E"
        assert wire.transaction_state(say(connection, "ROLLBACK TO a")) == "T"
        assert wire.transaction_state(say(connection, "COMMIT")) == "I"
        assert connection.rows("SELECT role FROM users WHERE id = 1") == [["kept"]]


def test_a_refused_part_fails_its_whole_multi_statement_text(refusing):
    with refusing.raw() as connection:
        messages = connection.query(
            "UPDATE users SET role = 'never' WHERE id = 1; CREATE VIEW v AS SELECT role FROM users"
        )
        assert_refused(messages, ["view"])
        assert wire.transaction_state(messages) == "I"
        assert connection.rows("SELECT role FROM users WHERE id = 1") == [["admin,editor"]]


def test_pitfall_01_a_refusal_does_not_overtake_answers_before_it(refusing):
    refused = next(iter(REFUSED))
    with refusing.raw() as connection:
        connection.send(
            wire.query("SELECT pg_sleep(0.2)") + wire.query(refused) + wire.query("SELECT 1")
            + wire.extended("SELECT 2") + wire.extended(refused) + wire.extended("SELECT 3")
            + wire.sync() + wire.query("SELECT 4")
        )
        shown = wire.kinds(connection.read_until(count=5))
        assert shown == "TDCZ" + "EZ" + "TDCZ" + "12TDCEZ" + "TDCZ"


def test_pitfall_03_a_refused_parse_fails_the_batch_on_the_server(refusing):
    """What was executed before it in the same unsynced batch is rolled back."""
    with refusing.raw() as connection:
        connection.send(
            wire.extended("UPDATE users SET role = 'never' WHERE id = 1")
            + wire.parse(next(iter(REFUSED))) + wire.bind() + wire.execute() + wire.sync()
        )
        messages = connection.read_until()
        assert wire.error_of(messages).sqlstate == "0A000"
        assert wire.kinds(messages)[-2:] == "EZ"
        assert connection.rows("SELECT role FROM users WHERE id = 1") == [["admin,editor"]]


def test_a_refused_named_statement_does_not_exist_afterwards(refusing):
    with refusing.raw() as connection:
        connection.send(wire.parse(next(iter(REFUSED)), "s") + wire.sync())
        assert wire.error_of(connection.read_until()).sqlstate == "0A000"
        connection.send(wire.bind([], "s") + wire.execute() + wire.sync())
        assert wire.error_of(connection.read_until()).sqlstate == "26000"
        connection.send(wire.parse("SELECT 1", "s") + wire.bind([], "s") + wire.execute() + wire.sync())
        assert wire.kinds(connection.read_until()) == "12DCZ"


@pytest.mark.parametrize("sql", EITHER)
def test_what_may_be_rewritten_is_answered_as_on_a_plain_table_or_refused_by_name(
    cluster, oracles, refusing, sql
):
    with wire.Connection(cluster.port) as plain:
        plain.login("postgres", oracles["old"])
        plain.query(tables.FILL["old"])
        expected = plain.query(sql)
    with refusing.raw() as connection:
        messages = connection.query(sql)
        if any(m.kind == b"E" for m in messages):
            assert_refused(messages, EITHER[sql])
        else:
            assert sorted(m.body for m in messages if m.kind in b"Dd") == sorted(
                m.body for m in expected if m.kind in b"Dd"
            )


def test_ddl_and_odd_statements_on_other_tables_pass(refusing):
    with refusing.raw() as connection:
        for sql in (
            "CREATE TEMP VIEW fine AS SELECT note FROM plain",
            "COPY plain TO STDOUT",
            "MERGE INTO plain p USING (SELECT 1 AS id) s ON p.id = s.id WHEN MATCHED THEN DO NOTHING",
            "SELECT row_to_json(p) FROM plain p",
            "VACUUM plain",
        ):
            assert not [m for m in connection.query(sql) if m.kind == b"E"], sql


def test_a_text_that_cannot_be_parsed_gets_the_servers_own_error(refusing):
    sql = "SELECT role FROM users WHERE WHERE"
    with refusing.raw() as connection:
        error = wire.error_of(connection.query(sql))
        assert error.sqlstate == "42601"
        assert error.fields()["P"] == str(sql.rindex("WHERE") + 1)


def test_pitfall_34_a_client_only_encoding_is_refused_where_it_matters(refusing):
    with refusing.raw(client_encoding="SJIS") as connection:
        assert connection.rows("SELECT note FROM plain WHERE id = 1") == [["one"]]
        error = wire.error_of(connection.query("SELECT role FROM users"))
        assert error.sqlstate == "0A000"
        assert "client encoding" in error.fields()["M"]


@pytest.mark.parametrize("terms", [2_000, 60_000])
def test_pitfall_35_deep_sql_is_answered_or_refused_and_disturbs_no_one(refusing, terms):
    sql = "SELECT role FROM users WHERE id = 1" + "+1" * terms
    with refusing.raw(timeout=60) as connection, refusing.raw() as neighbour:
        messages = connection.query(sql)
        if any(m.kind == b"E" for m in messages):
            assert wire.error_of(messages).sqlstate in ("54001", "54000", "0A000")
        assert neighbour.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
