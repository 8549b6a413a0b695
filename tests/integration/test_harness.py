"""The harness itself, against PostgreSQL direct: what the other tests stand on."""

import pathlib
import types

import pytest

import conversation
import tables
import wire
from dealing import TOGETHER, dealt

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


class Item:
    """As much of a test as what deals tests out asks for."""

    def __init__(self, path, scope="function", heavy=False):
        self.path, self.heavy = pathlib.Path(path), heavy
        definition = types.SimpleNamespace(scope=scope)
        self._fixtureinfo = types.SimpleNamespace(name2fixturedefs={"fixture": [definition]})

    def get_closest_marker(self, name):
        return name == "heavy" and self.heavy or None


def test_heavy_tests_are_dealt_out_evenly_among_the_others_of_their_folder():
    light = [Item("one/a.py") for _ in range(100)]
    heavy = [Item("one/b.py", heavy=True) for _ in range(10)]
    other = [Item("other/a.py") for _ in range(50)]
    order = dealt(light + heavy + other)
    assert [item for item in order if not item.heavy] == light + other
    places = [order.index(item) for item in heavy]
    assert all(b - a == 11 for a, b in zip(places, places[1:])), places
    assert places[0] < 11 and places[-1] <= 110 - 10, places  # the last has its share behind it
    assert dealt(heavy) == heavy


def test_few_tests_are_dealt_into_a_module_whose_fixtures_would_be_made_anew():
    module = [Item("one/a.py"), *(Item("one/a.py", "module") for _ in range(298)), Item("one/a.py")]
    heavy = [Item("one/b.py", heavy=True) for _ in range(90)]
    rest = [Item("one/c.py") for _ in range(150)]
    order = dealt(module + heavy + rest)
    assert [item for item in order if not item.heavy] == module + rest
    among = order[: order.index(module[-1])]
    torn = sum(a in module and b.heavy for a, b in zip(among, among[1:]))
    assert torn == len(module) / TOGETHER - 1
    places = [order.index(item) for item in heavy]
    assert all(b - a <= TOGETHER + 1 for a, b in zip(places, places[1:])), places
    assert len(order) == len(set(order)) == 540


def test_a_conversation_is_cut_everywhere_but_far_inside_of_filler():
    data = b"Q\0\0\0\x0dSELECT 1\0" + b"x" * 1000 + b"C" + bytes(range(256)) * 2
    places = conversation.telling_places(data, 3)
    assert set(range(3, len(data))) - set(places) == set(range(14 + 100, 14 + 1000 - 100))
    assert places == sorted(places)
