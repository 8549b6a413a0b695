"""The harness itself, against PostgreSQL direct: what the other tests stand on."""

import pytest

import tables
import wire

QUERIES = ["SELECT 1", "SELECT 'a' AS a, NULL AS b, '' AS c", "VALUES (1), (2)"]


@pytest.fixture
def server(cluster):
    with wire.Connection(cluster.port) as connection:
        connection.login("alice", "postgres")
        yield connection


def test_wire_reads_rows_columns_and_the_transaction_state(server):
    messages = server.query("BEGIN; SELECT 1::int8 AS one, NULL, 'x'")
    assert wire.kinds(messages) == "CTDCZ"
    assert messages[1].columns()[0][0] == "one"
    assert messages[1].columns()[0][3] == 20
    assert messages[2].row() == [b"1", None, b"x"]
    assert wire.transaction_state(messages) == "T"


def test_wire_reads_an_error_by_field(server):
    error = wire.error_of(server.query("SELECT nosuch"))
    assert error.sqlstate == "42703"
    assert error.fields()["P"] == "8"


def test_wire_speaks_the_extended_protocol(server):
    server.send(wire.extended("SELECT $1::int + $2::int", ["3", b"4"]) + wire.sync())
    messages = server.read_until()
    assert wire.kinds(messages) == "12TDCZ"
    assert messages[3].row() == [b"7"]


def test_wire_sends_cut_messages(server):
    whole = b"".join(wire.query(sql) for sql in QUERIES)
    server.send(whole)
    together = server.read_until(count=3)
    server.send_cut(whole, *range(1, len(whole)), pause=0)
    assert server.read_until(count=3) == together


@pytest.mark.parametrize("user", ["user_md5", "user_password"])
def test_wire_logs_in_by_password(cluster, user):
    with wire.Connection(cluster.port) as connection:
        connection.login(user, "postgres", "open sesame")
        assert connection.rows("SELECT current_user") == [[user]]


def test_wire_reads_until_the_server_closes(cluster):
    with wire.Connection(cluster.port) as connection:
        connection.send(wire.startup_packet("alice", "no such database"))
        messages = connection.read_all()
        assert messages[-1].sqlstate == "3D000"


def test_the_fixture_rows_are_the_same_in_both_shapes_and_in_parity(cluster, oracles):
    with cluster.connect(oracles["old"]) as old, cluster.connect(oracles["new"]) as new:
        tables.fill(old, "old")
        tables.fill(new, "new")
        convert = {"users_role": "array_to_string(roles, ',')", "amount": "amount::text",
                   "order_total": "(total * 100)::bigint"}
        for transition, expression in convert.items():
            table, (column, *_) = tables.TABLE[transition], tables.PHYSICAL[transition]
            assert (
                old.execute(f"SELECT {column} FROM {table} ORDER BY id").fetchall()
                == new.execute(f"SELECT {expression} FROM {table} ORDER BY id").fetchall()
            )


def test_a_row_out_of_parity_is_found(cluster):
    cluster.create_database("parity", template="old_template")
    with cluster.connect("parity") as connection:
        connection.execute("ALTER TABLE users ADD roles text[];"
                           "ALTER TABLE transactions ADD amount_new numeric(12,2);"
                           "ALTER TABLE orders ADD total numeric(12,2)")
        tables.fill(connection, "both")
        tables.assert_parity(connection)
        connection.execute("UPDATE orders SET total = 5 WHERE id = 2")
        assert [row[0] for row in tables.out_of_parity(connection, "order_total")] == [2]
