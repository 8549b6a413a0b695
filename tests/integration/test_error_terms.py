"""
What an error or a notice says besides its SQLSTATE: position, names of columns and constraints, message,
detail and hint are those of a plain table that has the client's shape, or are left out; never are they of a
column that the client does not have.

The columns are NOT NULL, of types that refuse values, and keep one name through the change. One proxy is
moved from phase to phase.
"""

import pytest

import tables
import wire
from segue import PHASES, Segue

CREATE = {
    "old": """CREATE TABLE people (id int PRIMARY KEY, code varchar(8) NOT NULL,
                                   note text CHECK (note <> 'bad'), rank int NOT NULL DEFAULT 1);
              CREATE TABLE child (id int REFERENCES people, code text);""",
    "new": """CREATE TABLE people (id int PRIMARY KEY, note text CHECK (note <> 'bad'),
                                   rank int NOT NULL DEFAULT 1, code numeric(6,2) NOT NULL);
              CREATE TABLE child (id int REFERENCES people, code text);""",
}
DEFINITION = """
transition "code" {
    table = "public.people"
    old "code" { type = "character varying(8)" from = "code::text" }
    new "code" { type = "numeric(6,2)"         from = "code::numeric" }
    lossless = true
    guard = "off"
}
"""
FILL = {
    shape: f"""TRUNCATE people, child;
               INSERT INTO people (id, code, note) VALUES (1, {one}, 'a'), (2, {two}, NULL);
               INSERT INTO child VALUES (1, 'x');"""
    for shape, one, two in (("old", "'1.50'", "'2.25'"), ("new", "1.5", "2.25"))
}
WORDS = {"old": {"value": "'3.75'"}, "new": {"value": "3.75"}}


@pytest.fixture(scope="module")
def strict(cluster, tmp_path_factory):
    """A function that moves the proxy to a phase; tests come in the order of phases."""
    cluster.create_database("strict")
    with cluster.connect("strict") as direct:
        direct.execute(CREATE["old"] + FILL["old"])
    segue = Segue(cluster, tmp_path_factory.mktemp("strict"), ["strict"]).start()

    def at(phase):
        segue.move_to("code", phase, DEFINITION)
        segue.phase_name = phase
        return segue

    yield at
    segue.stop()


@pytest.fixture(scope="module")
def plain(cluster):
    made = {}
    for shape in ("old", "new"):
        cluster.create_database(f"strict_{shape}")
        made[shape] = wire.Connection(cluster.port)
        made[shape].login("postgres", f"strict_{shape}")
        made[shape].query(CREATE[shape] + FILL[shape])
    yield made
    for connection in made.values():
        connection.close()


# what differs from one place in PostgreSQL's sources to the next tells nothing about tables
UNTOLD = "FLR"


def told(messages):
    return [
        {code: value for code, value in message.fields().items() if code not in UNTOLD}
        for message in messages if message.kind in b"EN"
    ]


def ask(connection, sql, values=None):
    connection.send(wire.query(sql) if values is None else wire.extended(sql, values) + wire.sync())
    return told(connection.read_until())


# Statements; those of SAME are told of alike in every phase and shape, to the last field.
SAME = [
    "SELECT nosuch FROM people",
    "SELECT 'é', code, p.nosuch FROM people p",
    "SELECT code_segue FROM people",
    "SELECT cod FROM people",
    "SELECT people.cote FROM people",
    "SELECT nosuch.code FROM people",
    "SELECT 'é', code, count(*) FROM people",
    "SELECT p.code, count(*) FROM people p GROUP BY p.id",
    "SELECT *, count(*) FROM people",
    "SELECT people.id FROM people, child WHERE code = people.code",
    "SELECT id FROM people WHERE code + 'é'::date IS NULL",
    "SELECT upper(code, 1) FROM people",
    "SELECT id FROM people WHERE code",
    "SELECT 'é'; SELECT code FROM people; SELECT code, nosuch FROM people",
    "SELECT 1; SELECT code FROM people WHERE id = 1/0; SELECT 2",
    "SELECT code FROM people WHERE note = 'é' AND id = 'é'",
    "INSERT INTO people (id, code) VALUES (1, {value})",
    "INSERT INTO people (id, code, nosuch) VALUES (3, {value}, 1)",
    "INSERT INTO people (id, code, code) VALUES (3, {value}, {value})",
    "INSERT INTO people (id, code) VALUES (3)",
    "INSERT INTO people (id, code) VALUES (3, {value}, 4)",
    "INSERT INTO people (id, code) VALUES ('é', {value})",
    "UPDATE people SET id = 2 WHERE code = {value} OR id = 1",
    "UPDATE people SET nosuch = 1, code = {value}",
    "UPDATE people SET code = {value}, code = {value}",
    "UPDATE people SET code = {value} WHERE nosuch = 1",
    "UPDATE people SET code = nosuch",
    "UPDATE people SET rank = DEFAULT, code = (SELECT {value} FROM nosuch)",
    "DELETE FROM people WHERE id = 1",
    "DELETE FROM people WHERE code = 'é'::date",
    "INSERT INTO child VALUES (77, 'x')",
    "PREPARE p AS SELECT code, nosuch FROM people",
    "DECLARE c CURSOR FOR SELECT code FROM people",
    "EXPLAIN SELECT code, nosuch FROM people",
    "DO $$ BEGIN PERFORM nosuch; END $$",
    "DO $$ BEGIN RAISE NOTICE 'a \"code\" of %', 1; END $$",
]
# Here the row, or the value, is shown in DETAIL where the client's column is in the table, and is left out
# where it is computed.
VIOLATIONS = [
    "INSERT INTO people (id, code) VALUES (NULL, {value})",
    "INSERT INTO people (id, code) VALUES (3, NULL)",
    "INSERT INTO people (id) VALUES (3)",
    "INSERT INTO people (id, code, rank) VALUES (3, {value}, NULL)",
    "INSERT INTO people (id, code, note) VALUES (3, {value}, 'bad')",
    "INSERT INTO people VALUES (3)",
    "UPDATE people SET code = NULL WHERE id = 1",
    "UPDATE people SET note = 'bad' WHERE id = 2",
    "INSERT INTO people (id, code) VALUES (1, {value}) ON CONFLICT (id) DO UPDATE SET code = NULL",
]
VALUES = {
    "old": ["INSERT INTO people (id, code) VALUES (3, '123456789')",
            "UPDATE people SET code = '123456789' WHERE id = 1",
            "UPDATE people SET code = code || '123456789' WHERE id = 1"],
    "new": ["INSERT INTO people (id, code) VALUES (3, 'é')",
            "INSERT INTO people (id, code) VALUES (3, 12345.5)",
            "INSERT INTO people (id, code) SELECT 3, code * 10000 FROM people WHERE id = 1",
            "UPDATE people SET code = 'abc' WHERE id = 1",
            "UPDATE people SET code = 12345 WHERE id = 1",
            "UPDATE people SET code = code / 0 WHERE id = 1",
            "UPDATE people SET code = true WHERE id = 1",
            "INSERT INTO people (id, code) VALUES (3, true)",
            "SELECT id FROM people WHERE code = 'é'"],
}
PARAMETERS = {
    "old": [("INSERT INTO people (id, code) VALUES ($1, $2)", ["3", "123456789"]),
            ("UPDATE people SET code = $1 WHERE id = $2", [None, "1"]),
            ("UPDATE people SET code = $1 WHERE id = $2", ["1.50", "é"])],
    "new": [("INSERT INTO people (id, code) VALUES ($1, $2)", ["3", "abc"]),
            ("INSERT INTO people (id, code) VALUES ($1, $2)", ["3", "12345"]),
            ("UPDATE people SET code = $1 WHERE id = $2", [None, "1"]),
            ("UPDATE people SET code = $1 WHERE id = $2", ["1.50", "é"])],
}


def spell(sql, shape):
    return sql.replace("{value}", WORDS[shape]["value"])


def both(strict, plain, phase, shape, sql, values=None):
    """Undone afterwards, should it succeed."""
    segue = strict(phase)
    answers = []
    with segue.raw(shape) as connection:
        for asked in (plain[shape], connection):
            begun = asked.query("BEGIN")
            answers.append(ask(asked, spell(sql, shape), values))
            assert not told(begun) and not told(asked.query("ROLLBACK"))
    return answers


CORNERS = [(phase, shape) for phase in PHASES for shape in ("old", "new")]


def cases(listed):
    for phase, shape in CORNERS:
        for case in listed[shape] if isinstance(listed, dict) else listed:
            text = case if isinstance(case, str) else f"{case[0]} {case[1]}"
            yield pytest.param(phase, shape, case, id=f"{phase}-{shape}-{text[:70]}")


@pytest.mark.parametrize("phase, shape, sql", cases(SAME))
def test_an_error_is_told_as_on_a_plain_table(strict, plain, phase, shape, sql):
    expected, ours = both(strict, plain, phase, shape, sql)
    without_hints(expected, ours)
    assert ours == expected


def without_hints(expected, ours):
    """A hint is the same or left out, since the server looks for likeness among the columns that it has."""
    for theirs, mine in zip(expected, ours):
        if "H" not in mine:
            theirs.pop("H", None)
        elif "H" not in theirs:
            assert "segue" not in mine.pop("H")


@pytest.mark.parametrize("phase, shape, sql", cases(VIOLATIONS))
def test_a_violated_constraint_is_told_as_on_a_plain_table(strict, plain, phase, shape, sql):
    expected, ours = both(strict, plain, phase, shape, sql)
    reads_own = {"old": ("old", "dual_old", "dual_own"), "new": ("dual_own", "dual_new", "new")}
    if phase not in reads_own[shape]:
        assert "D" not in ours[0]
        expected[0].pop("D")
    assert ours == expected


@pytest.mark.parametrize("phase, shape, sql", cases(VALUES))
def test_a_bad_value_is_refused_as_on_a_plain_table(strict, plain, phase, shape, sql):
    expected, ours = both(strict, plain, phase, shape, sql)
    check_value_error(expected, ours)


@pytest.mark.parametrize("phase, shape, case", cases(PARAMETERS))
def test_a_bad_parameter_is_refused_as_on_a_plain_table(strict, plain, phase, shape, case):
    expected, ours = both(strict, plain, phase, shape, *case)
    check_value_error(expected, ours)


def check_value_error(expected, ours):
    """Position and detail are the same or left out; nothing else differs."""
    for theirs, mine in zip(expected, ours):
        for code in "PDW":
            if code not in mine:
                theirs.pop(code, None)
        if theirs["C"] == "42804": # the words may be of the cast that stands for the assignment
            theirs["M"] = mine["M"]
            theirs.pop("H"), mine.pop("H", None)
    assert ours == expected


def test_a_warning_about_a_place_in_the_text_is_told_at_that_place(strict, plain):
    sql = "SELECT 'é', code, 'a\\\\b' FROM people"
    for phase in PHASES:
        for shape in ("old", "new"):
            with strict(phase).raw(shape) as connection:
                answers = []
                for asked in (plain[shape], connection):
                    asked.query("SET standard_conforming_strings = off")
                    answers.append(ask(asked, sql))
                assert answers[0][0]["S"] == "WARNING" and answers[0][0]["P"]
                assert answers[1] == answers[0], (phase, shape)


def test_what_a_function_says_of_its_own_text_is_left_alone(strict, plain):
    sql = "DO $$ DECLARE x people%ROWTYPE; BEGIN SELECT code, nosuch INTO x FROM child; END $$"
    expected = ask(plain["old"], sql)
    assert expected[0]["p"] and expected[0]["q"]
    for phase in ("old", "dual_own"):
        with strict(phase).raw() as connection:
            ours = ask(connection, sql)
            assert ours == expected or ours[0]["C"] == "0A000" # a body that names the table


COPIED = {"old": [b"3\n", b"3\t1.5\n4x\t2.5\n", b"3\t123456789\n"],
          "new": [b"3\n", b"3\t1.5\n4x\t2.5\n", b"3\tx\n", b"3\t1.5\n4\t12345\n"]}


@pytest.mark.parametrize("phase, shape, data", [
    (phase, shape, data) for phase, shape in CORNERS for data in COPIED[shape]])
def test_bad_data_of_a_copy_are_told_of_the_clients_table_and_columns(strict, plain, phase, shape, data):
    sent = wire.query("COPY people (id, code) FROM STDIN") + wire.copy_data(data) + wire.copy_done()
    answers = []
    with strict(phase).raw(shape) as connection:
        for asked in (plain[shape], connection):
            asked.send(sent)
            answers.append(told(asked.read_until()))
    assert answers[0][0]["W"].startswith("COPY people, line ")
    assert answers[1] == answers[0]
