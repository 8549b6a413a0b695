"""What equivalence (test_rewriting.py) cannot tell of a rewritten statement."""

import pytest

import tables
import wire


LOSSY_NEW = [
    "SELECT roles FROM users",
    "SELECT * FROM users",
    "UPDATE users SET roles = '{x}'",
    "INSERT INTO users (id, roles) VALUES (10, '{x}')",
    "DELETE FROM transactions WHERE amount > 1",
]


@pytest.mark.parametrize("sql", LOSSY_NEW)
def test_in_phase_old_a_lossy_column_is_not_there_for_the_new_shape_and_the_phase_is_named(
    stands, sql
):
    with stands("old").raw("new") as connection:
        for data in (wire.query(sql), wire.extended(sql) + wire.sync()):
            connection.send(data)
            error = wire.error_of(connection.read_until())
            assert error.sqlstate == "55000"
            assert "old" in error.fields()["M"] + error.fields().get("D", "")
        assert connection.rows("SELECT count(*) FROM plain") == [["2"]]


VOLATILE = [
    "UPDATE users SET role = random()::text",
    "INSERT INTO users (id, role) VALUES (20, random()::text), (21, random()::text)",
    "INSERT INTO users (id, role) SELECT 30 + i, random()::text FROM generate_series(1, 5) i",
    "INSERT INTO users (id, role) VALUES (1, random()::text) ON CONFLICT (id) DO UPDATE"
    " SET role = EXCLUDED.role",
    "UPDATE users SET role = clock_timestamp()::text || pg_sleep(0.001)::text WHERE id < 3",
]


@pytest.mark.parametrize("sql", VOLATILE)
@pytest.mark.parametrize("phase", ["dual_old", "dual_own", "dual_new"])
def test_a_volatile_value_is_evaluated_once_for_both_columns_and_for_each_row(stands, phase, sql):
    segue = stands(phase)
    with segue.direct() as direct:
        tables.fill(direct, "both")
        before = direct.execute("SELECT id, role FROM users").fetchall()
    with segue.raw() as connection:
        messages = connection.query(sql)
    with segue.direct() as direct:
        tables.assert_parity(direct, "users_role")
        after = dict(direct.execute("SELECT id, role FROM users").fetchall())
        if any(m.kind == b"E" for m in messages):
            assert wire.error_of(messages).sqlstate == "0A000"
            assert after == dict(before)
        else:
            written = [role for i, role in after.items() if (i, role) not in before]
            assert written and len(set(written)) == len(written)


def test_a_value_that_does_not_convert_gives_the_servers_own_error(stands):
    for phase in ("dual_old", "dual_own", "dual_new", "new"):
        with stands(phase).raw() as connection:
            messages = connection.query("INSERT INTO transactions (id, amount) VALUES (50, 'abc')")
            assert wire.error_of(messages).sqlstate == "22P02"
            assert connection.rows("SELECT count(*) FROM transactions WHERE id = 50") == [["0"]]


def test_a_lossy_value_of_the_new_shape_survives_old_clients_that_do_not_mean_to_change_it(stand):
    if stand.phase_name in ("old", "new"):
        pytest.skip("one column only is written")
    untouching = [
        "UPDATE users SET name = 'other' WHERE id = 1",
        "UPDATE users SET role = 'x,y,z' WHERE id = 1",
        "UPDATE users SET id = id, name = name, role = role WHERE id = 1",
    ]
    with stand.raw("new") as new, stand.raw("old") as old, stand.direct() as direct:
        assert new.query("UPDATE users SET roles = ARRAY['x,y', 'z'] WHERE id = 1")[0].kind == b"C"
        for sql in untouching:
            assert old.query(sql)[0].kind == b"C", sql
            stored = direct.execute("SELECT roles FROM users WHERE id = 1").fetchone()[0]
            assert stored == ["x,y", "z"], sql
        old.send(wire.extended("UPDATE users SET role = $1, name = $2 WHERE id = $3",
                               ["x,y,z", "n", "1"]) + wire.sync())
        assert old.read_until()[-1].kind == b"Z"
        assert direct.execute("SELECT roles FROM users WHERE id = 1").fetchone()[0] == ["x,y", "z"]
        assert new.rows("SELECT roles FROM users WHERE id = 1") == [['{"x,y",z}']]
        old.query("UPDATE users SET role = 'meant' WHERE id = 1")
        assert new.rows("SELECT roles FROM users WHERE id = 1") == [["{meant}"]]


def test_an_error_position_counts_characters_of_the_clients_text(stands):
    # ä is one character and two bytes; the edit before it makes the sent text longer
    sql = "SELECT role, 'ä', nosuch FROM users"
    for phase in ("old", "dual_own", "dual_new", "new"):
        with stands(phase).raw() as connection:
            error = wire.error_of(connection.query(sql))
            assert error.fields()["P"] == str(sql.index("nosuch") + 1), phase


def test_binary_parameters_and_results_keep_their_types(stand):
    if stand.phase_name == "old":
        pytest.skip("a lossy transition's new columns are nowhere in phase old: tested on its own")
    with stand.connect("new", prepare_threshold=0) as connection:
        cursor = connection.cursor(binary=True)
        cursor.execute("UPDATE users SET roles = %b WHERE id = %b RETURNING roles", (["ü", "b"], 2))
        assert cursor.fetchone() == (["ü", "b"],)
    with stand.connect("old", prepare_threshold=0) as connection:
        cursor = connection.cursor(binary=True)
        cursor.execute("SELECT role FROM users WHERE role = %b", ("ü,b",))
        assert cursor.fetchone() == ("ü,b",)


def test_pitfall_17_statements_between_rewritten_ones_are_not_lost(stand):
    with stand.raw() as connection:
        messages = connection.query(
            "SET application_name = 'kept'; UPDATE users SET role = 'k' WHERE id = 1;"
            " SHOW application_name; UPDATE users SET role = 'l' WHERE id = 2"
        )
        assert wire.kinds(messages).replace("S", "") == "CCTDCCZ"
        assert connection.rows("SELECT role FROM users WHERE id < 3 ORDER BY id") == [["k"], ["l"]]


def test_pitfall_22_a_table_of_that_name_in_another_schema_is_left_alone(stand):
    with stand.direct() as direct:
        direct.execute("CREATE SCHEMA IF NOT EXISTS other;"
                       "DROP TABLE IF EXISTS other.users;"
                       "CREATE TABLE other.users (id int, role int)")
    with stand.raw() as connection:
        assert connection.query("INSERT INTO other.users (id, role) VALUES (1, 7)")[0].kind == b"C"
        assert connection.rows("SELECT role + 1 FROM other.users") == [["8"]]
        assert connection.rows("SELECT u.role FROM public.users u WHERE id = 2") == [["viewer"]]


def test_pitfall_28_a_converted_column_is_described_as_the_column_it_stands_for(stand):
    """Its table and attribute number are those of a real column, not zeros."""
    for shape, sql in (("old", "SELECT total_cents FROM orders"), ("new", "SELECT total FROM orders")):
        with stand.raw(shape) as connection:
            table, attnum = connection.query(sql)[0].columns()[0][1:3]
        with stand.direct() as direct:
            assert direct.execute("SELECT 'public.orders'::regclass::oid").fetchone() == (table,)
            assert direct.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum = %s",
                (table, attnum),
            ).fetchone()[0] in ("total", "total_cents")
