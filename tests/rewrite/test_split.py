"""
A transition of one column into two: an UPDATE that assigns one of them takes the other from the row.
The statements run through the rewriter in each state, and the same on a plain table.
"""

import json
import pathlib
import subprocess

import pytest
from world import STATES, SHAPES, tool

TRANSITION = """
transition "split" {
    table = "public.people"
    old "name"  { type = "text" from = "first || ' ' || last" }
    new "first" { type = "text" from = "split_part(name, ' ', 1)" }
    new "last"  { type = "text" from = "split_part(name, ' ', 2)" }
    lossless = true
}
"""
PLAIN = {
    "old": "CREATE TABLE people (id int PRIMARY KEY, name text, note text)",
    "new": "CREATE TABLE people (id int PRIMARY KEY, note text, first text, last text)",
}
TABLE = "CREATE TABLE people (id int PRIMARY KEY, name text, note text, first text, last text)"
CONTRACT = "ALTER TABLE people DROP COLUMN name"
PEOPLE = [(1, "ann", "lee"), (2, "bo", "ray"), (3, "cy", "poe")]
STATEMENTS = {
    "old": [
        "SELECT * FROM people ORDER BY id",
        "SELECT name, length(name) FROM people WHERE name LIKE 'b%' ORDER BY name",
        "INSERT INTO people (id, name) VALUES (4, 'di fox'), (5, 'ed kay')",
        "INSERT INTO people VALUES (4, 'di fox', 'n')",
        "INSERT INTO people (id, name) SELECT 4, 'di fox'",
        "UPDATE people SET name = 'x y' WHERE id = 1 RETURNING *",
        "UPDATE people SET name = replace(name, ' ', 'x '), note = name",
        "UPDATE people SET (note, name) = ('n', name || 'z')",
        "UPDATE people p SET name = (SELECT 'q ' || p.id)",
        "DELETE FROM people WHERE name = 'bo ray' RETURNING name",
    ],
    "new": [
        "SELECT * FROM people ORDER BY id",
        "SELECT last, first FROM people WHERE first LIKE 'b%' ORDER BY last",
        "INSERT INTO people (id, first, last) VALUES (4, 'di', 'fox'), (5, 'ed', 'kay')",
        "INSERT INTO people VALUES (4, 'n', 'di', 'fox')",
        "INSERT INTO people (last, id, first) SELECT 'fox', 4, 'di'",
        "UPDATE people SET first = 'x' WHERE id = 1 RETURNING *",
        "UPDATE people SET last = first, note = last, first = last",
        "UPDATE people SET (first, last) = ('a', last || 'b')",
        "UPDATE people SET (last, note, first) = ROW ('a', 'n', 'c') WHERE id = 2",
        "UPDATE people p SET last = (SELECT 'q' || p.id)",
        "UPDATE people p SET last = (SELECT 'q' || p.id), first = 'z'",
        "DELETE FROM people WHERE first = 'bo' RETURNING last",
    ],
}
CONTENTS = "SELECT * FROM people ORDER BY id"
PARITY = "SELECT count(*) FROM people WHERE name IS DISTINCT FROM first || ' ' || last"


def fill(connection, state):
    for id_, first, last in PEOPLE:
        stale = state in ("old", "applied") or (state == "dual_old" and id_ == 2)
        name = "stale name" if state in ("new", "contracted") else f"{first} {last}"
        connection.execute(
            "INSERT INTO people (id, name, first, last) VALUES (%s, %s, %s, %s)",
            (id_, name, None if stale else first, None if stale else last),
        )


def rewrite(cluster, directory, database, state, shape, statements):
    path = pathlib.Path(directory) / "split.conf"
    path.write_text(TRANSITION)
    server = f"host=127.0.0.1 port={cluster.port} user=postgres dbname={database}"
    done = subprocess.run(
        [tool(), server, path, *STATES[state], shape], input="\0".join(statements).encode(),
        capture_output=True, check=False, timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def run(connection, sql):
    cursor = connection.execute(sql)
    return cursor.statusmessage, cursor.fetchall() if cursor.description else None


@pytest.fixture(scope="module")
def plain(cluster):
    cluster.create_database("split_plain")
    with cluster.connect("split_plain", prepare_threshold=None) as connection:
        yield connection


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("state", STATES)
def test_one_column_into_two(cluster, plain, tmp_path, state, shape):
    database = f"split_{state}_{shape}"
    cluster.create_database(database)
    statements = STATEMENTS[shape]
    with cluster.connect(database, prepare_threshold=None) as connection:
        connection.execute(TABLE)
        fill(connection, state)
        if state == "applied":
            connection.execute("ALTER TABLE people DROP COLUMN first, DROP COLUMN last")
        if state == "contracted":
            connection.execute(CONTRACT)
        answers = rewrite(cluster, tmp_path, database, state, shape, statements)
        sent = {
            sql: answer["text"] if answer["outcome"] == "changed" else sql
            for sql, answer in zip(statements, answers)
        }
        for sql, answer in zip(statements, answers):
            assert answer["outcome"] != "refused", (sql, answer["message"])
            plain.execute("BEGIN; DROP TABLE IF EXISTS people; " + PLAIN[shape])
            for id_, first, last in PEOPLE:
                values = (id_, f"{first} {last}") if shape == "old" else (id_, first, last)
                columns = "id, name" if shape == "old" else "id, first, last"
                marks = ", ".join(["%s"] * len(values))
                plain.execute(f"INSERT INTO people ({columns}) VALUES ({marks})", values)
            connection.execute("BEGIN")
            expected, got = run(plain, sql), run(connection, sent[sql])
            assert got[0] == expected[0]
            assert sorted(map(repr, got[1] or [])) == sorted(map(repr, expected[1] or [])), sent[sql]
            assert run(connection, sent[CONTENTS]) == run(plain, CONTENTS), sent[sql]
            if state in ("dual_own", "dual_new"):
                assert connection.execute(PARITY).fetchone() == (0,), sent[sql]
            connection.execute("ROLLBACK")
            plain.execute("ROLLBACK")
