"""
Columns as they are in the field - NOT NULL, a default, a length, an index - and two transitions on one
table: every phase in turn, both shapes, against what the plain table does.
"""

import pytest

import wire

TABLE = """
    CREATE TABLE people (
        id int PRIMARY KEY,
        grade varchar(8) NOT NULL DEFAULT 'basic',
        born text
    );
    CREATE INDEX ON people (grade);
    INSERT INTO people VALUES (1, 'gold', '2000-01-31'), (2, 'basic', NULL);
"""
TRANSITIONS = {
    "grade": """
transition "grade" {
    table = "public.people"
    old "grade"  { type = "varchar(8)"  from = "CASE level WHEN 2 THEN 'gold' WHEN 1 THEN 'basic' END" }
    new "level"  { type = "integer"     from = "CASE grade WHEN 'gold' THEN 2 WHEN 'basic' THEN 1 END" }
    lossless = true
    guard = "sync"
}
""",
    "born": """
transition "born" {
    table = "public.people"
    old "born"     { type = "text"  from = "birthday::text" }
    new "birthday" { type = "date"  from = "born::date" }
    guard = "sync"
}
""",
}
# The two go their ways apart: where one is, where the other is.
WAY = [
    ("old", "dual_old"),
    ("dual_old", "dual_own"),
    ("dual_own", "dual_new"),
    ("dual_new", "new"),
    ("new", "dual_new"),
    ("new", "new"),
]


@pytest.fixture
def people(make_segue, cluster, shop_database):
    with cluster.connect(shop_database) as connection:
        connection.execute(TABLE)
    segue = make_segue([shop_database])
    for name, definition in TRANSITIONS.items():
        segue.move_to(name, "old", definition)
        segue.admin(f"EXPAND {name}")

    def each_step():
        for grade, born in WAY:
            segue.move_to("grade", grade)
            segue.move_to("born", born)
            yield f"grade in {grade}, born in {born}"

    segue.each_step = each_step
    return segue


def sqlstate(connection, sql):
    return wire.error_of(connection.query(sql)).sqlstate


def test_defaults_lengths_and_not_null_hold_for_both_shapes_in_every_phase(people):
    new_options = "-c segue.shape=new"
    with people.raw("old") as old, people.raw("old", options=new_options) as new:
        for number, step in enumerate(people.each_step()):
            a, b, c = (100 * (number + 1) + i for i in range(3))
            assert old.query(f"INSERT INTO people (id) VALUES ({a})")[0].kind == b"C", step
            assert new.query(f"INSERT INTO people (id, level) VALUES ({b}, 2)")[0].kind == b"C", step
            assert new.query(f"INSERT INTO people (id, level) VALUES ({c}, DEFAULT)")[0].kind == b"C"
            for i, grade, level in ((a, "basic", "1"), (b, "gold", "2"), (c, "basic", "1")):
                assert old.rows(f"SELECT grade FROM people WHERE id = {i}") == [[grade]], step
                assert new.rows(f"SELECT level FROM people WHERE id = {i}") == [[level]], step
            assert sqlstate(old, f"UPDATE people SET grade = NULL WHERE id = {a}") == "23502", step
            assert sqlstate(new, f"UPDATE people SET level = NULL WHERE id = {a}") == "23502", step
            assert sqlstate(old, "INSERT INTO people (id, grade) VALUES (999, NULL)") == "23502", step
            assert old.rows("SELECT count(*) FROM people WHERE grade = 'gold'") == [
                [str(number + 2)]
            ], step


def test_two_transitions_on_one_table_do_not_disturb_each_other(people):
    mixed = "-c segue.shape=grade=new,born=old"
    with people.raw("old") as old, people.raw("old", options=mixed) as half:
        for number, step in enumerate(people.each_step()):
            old.send(wire.extended("UPDATE people SET born = $1, grade = $2 WHERE id = 1",
                                   [f"2001-02-0{number + 1}", "basic"]) + wire.sync())
            assert "E" not in wire.kinds(old.read_until()), step
            assert half.rows("SELECT level, born FROM people WHERE id = 1") == [
                ["1", f"2001-02-0{number + 1}"]
            ], step
            assert half.query("UPDATE people SET level = 2 WHERE born LIKE '2001%'")[0].kind == b"C"
            assert old.rows("SELECT * FROM people WHERE id = 1") == [
                ["1", "gold", f"2001-02-0{number + 1}"]
            ], step
            # where the columns will be once all is contracted: a new column comes last
            assert [c[0] for c in half.query("SELECT * FROM people")[0].columns()] == [
                "id", "born", "level"
            ], step


def test_a_value_too_long_for_its_column_is_refused_in_every_phase(people):
    with people.raw("old") as old:
        for step in people.each_step():
            messages = old.query("UPDATE people SET grade = 'much too long' WHERE id = 1")
            assert wire.error_of(messages).sqlstate == "22001", step


COPY_LINES = b"11\tgold\t2002-03-04\n12\tbasic\t\\N\n"


def test_copy_from_stdin_is_in_parity_or_refused(people):
    for number, step in enumerate(people.each_step()):
        with people.raw("old") as old:
            old.query("DELETE FROM people WHERE id > 10")
            old.send(wire.query("COPY people (id, grade, born) FROM STDIN"))
            first = old.read()
            if first.kind == b"E":
                assert first.sqlstate == "0A000", step
                old.read_until()
                continue
            assert first.kind == b"G", step
            old.send(wire.copy_data(COPY_LINES) + wire.copy_done())
            assert wire.kinds(old.read_until()) == "CZ", step
            assert old.rows("SELECT id, grade, born FROM people WHERE id > 10 ORDER BY id") == [
                ["11", "gold", "2002-03-04"], ["12", "basic", None]
            ], step
            if number > 0:
                with people.raw("new") as new:
                    assert new.rows(
                        "SELECT id, level, birthday FROM people WHERE id > 10 ORDER BY id"
                    ) == [["11", "2", "2002-03-04"], ["12", "1", None]], step


def test_after_contract_names_types_and_defaults_are_the_new_ones(people):
    for _ in people.each_step():
        pass
    for name in TRANSITIONS:
        people.admin(f"CONTRACT {name}")
    with people.raw("old") as old, people.raw("new") as new, people.direct() as direct:
        columns = direct.execute(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_name = 'people' ORDER BY ordinal_position"
        ).fetchall()
        assert columns == [("id", "integer", "NO"), ("level", "integer", "NO"),
                           ("birthday", "date", "YES")]
        assert old.query("INSERT INTO people (id, born) VALUES (50, '1999-12-31')")[0].kind == b"C"
        assert new.rows("SELECT level, birthday FROM people WHERE id = 50") == [["1", "1999-12-31"]]
        direct.execute("INSERT INTO people (id) VALUES (51)")
        assert old.rows("SELECT grade, born FROM people WHERE id = 51") == [["basic", None]]
        assert sqlstate(new, "UPDATE people SET level = NULL") == "23502"


def one_by_one(name):
    return f"""
transition "{name}" {{
    table = "public.wide"
    old "{name}"      {{ type = "integer"  from = "{name}_text::integer" }}
    new "{name}_text" {{ type = "text"     from = "{name}::text" }}
    lossless = true
}}
"""


@pytest.mark.parametrize("first, second", ["xy", "yx"])
def test_a_partition_made_between_two_contracts_has_the_columns_in_the_tables_order(shop, first, second):
    """It never had the one, and loses the other."""
    with shop.direct() as direct:
        direct.execute("CREATE TABLE wide (a int, x int, y int, z int) PARTITION BY RANGE (a);"
                       "CREATE TABLE wide_low PARTITION OF wide FOR VALUES FROM (0) TO (100);"
                       "INSERT INTO wide VALUES (1, 2, 3, 4)")
        shop.move_to(first, "new", one_by_one(first))
        shop.admin(f"CONTRACT {first}")
        direct.execute("CREATE TABLE wide_high PARTITION OF wide FOR VALUES FROM (100) TO (200)")
        shop.move_to(second, "new", one_by_one(second))
        shop.admin(f"CONTRACT {second}")
    with shop.old() as old:
        old.execute("INSERT INTO wide_high VALUES (101, 2, 3, 4)")
        old.execute("INSERT INTO wide VALUES (102, 5, 6, 7)")
        cursor = old.execute("SELECT * FROM wide_high ORDER BY a")
        assert [column.name for column in cursor.description] == ["a", "x", "y", "z"]
        assert cursor.fetchall() == [(101, 2, 3, 4), (102, 5, 6, 7)]
        assert old.execute("SELECT x, y FROM wide_high WHERE a = 101").fetchone() == (2, 3)
        assert old.execute("SELECT * FROM wide").fetchall()[0] == (1, 2, 3, 4)
