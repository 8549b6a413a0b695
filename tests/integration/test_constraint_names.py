"""
A constraint that Segue carries over has two names in the database: a client of each shape is told the one
that its own plain table has, in every phase.
"""

import pytest

import wire
from segue import PHASES, Segue

TABLE = """
CREATE TABLE t (id int PRIMARY KEY, {column} {type},
                CONSTRAINT t_{column}_key UNIQUE ({column}),
                CONSTRAINT t_{column}_check CHECK ({column} <> {zero}),
                CONSTRAINT t_{column}_fkey FOREIGN KEY ({column}) REFERENCES other (key));
"""
OTHER = "CREATE TABLE other (key int PRIMARY KEY); INSERT INTO other VALUES (1), (2), ({zero});"
ROWS = "INSERT INTO t VALUES (1, 1)"
WORDS = {
    "old": {"{column}": "code", "{type}": "int", "{zero}": "0"},
    "new": {"{column}": "number", "{type}": "bigint", "{zero}": "0"},
}
DEFINITION = """
transition "codes" {
    table = "public.t"
    old "code"   { type = "integer"  from = "number::integer" }
    new "number" { type = "bigint"   from = "code::bigint" }
    lossless = true
    guard = "sync"
}
"""
VIOLATIONS = {
    "23505": "INSERT INTO t (id, {column}) VALUES (2, 1)",
    "23514": "INSERT INTO t (id, {column}) VALUES (2, 0)",
    "23503": "INSERT INTO t (id, {column}) VALUES (2, 77)",
}


def spell(text, shape):
    for word, spelled in WORDS[shape].items():
        text = text.replace(word, spelled)
    return text


@pytest.fixture(scope="module")
def carried(cluster, tmp_path_factory):
    """(a function that moves the proxy to a phase, a plain connection by shape)"""
    plain = {}
    for shape in ("old", "new"):
        name = f"carried_plain_{shape}"
        cluster.create_database(name)
        plain[shape] = wire.Connection(cluster.port)
        plain[shape].login("postgres", name)
        plain[shape].query(spell(OTHER + TABLE, shape) + ROWS)
    cluster.create_database("carried")
    with cluster.connect("carried") as direct:
        direct.execute(spell(OTHER + TABLE, "old") + ROWS)
    segue = Segue(cluster, tmp_path_factory.mktemp("carried"), ["carried"]).start()

    def at(phase):
        segue.move_to("codes", phase, DEFINITION)
        return segue

    yield at, plain
    for connection in plain.values():
        connection.close()
    segue.stop()


def told(connection, sql):
    fields = wire.error_of(connection.query(sql)).fields()
    return fields["C"], fields["n"], fields["M"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("shape", ["old", "new"])
@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_constraint_is_told_by_the_name_that_the_clients_table_has(carried, phase, shape, violation):
    at, plain = carried
    sql = spell(VIOLATIONS[violation], shape)
    with at(phase).raw(shape) as ours:
        answer = told(ours, sql)
    assert answer[0] == violation
    assert answer == told(plain[shape], sql)


@pytest.mark.parametrize("shape", ["old", "new"])
def test_it_is_told_so_after_contract(carried, shape):
    at, plain = carried
    segue = at("new")
    if segue.transitions()["codes"]["stage"] != "contracted":
        segue.admin("CONTRACT codes")
    with segue.raw(shape) as ours:
        for sql in VIOLATIONS.values():
            assert told(ours, spell(sql, shape)) == told(plain[shape], spell(sql, shape))
