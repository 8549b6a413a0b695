"""A condition on a computed column uses the index of the column that it is computed from."""

import pytest
from cases_turned import TURNED

# (shape, state, statement, what the plan's index condition must begin with)
SERVED = [
    ("old", "dual_new", "SELECT id FROM items WHERE num = $1", "num_new = $1"),
    ("old", "new", "SELECT id FROM items WHERE num = 30", "num_new = 30"),
    ("old", "new", "SELECT id FROM items WHERE num = '30'", "num_new = 30"),
    ("old", "contracted", "SELECT id FROM items WHERE num = $1", "num = $1"),
    ("old", "new", "SELECT id FROM items WHERE num IN (30, 31)", "num_new = ANY ("),
    ("old", "new", "SELECT id FROM items WHERE num = ANY ($1)", "num_new = ANY ($1"),
    ("old", "new", "SELECT id FROM items WHERE num BETWEEN 30 AND 31", "(num_new >= 30) AND (num_new <= 31"),
    ("old", "new", "SELECT id FROM items WHERE num < $1", "num_new < $1"),
    ("new", "old", "SELECT id FROM items WHERE num = $1", "num = $1"),
    ("old", "new", "SELECT id FROM items WHERE code = '30.50'", "code_new = 30.50"),
    ("old", "new", "SELECT id FROM items WHERE code IN ('30.50', '31.50')", "code_new = ANY ("),
    ("old", "new", "SELECT id FROM items WHERE code = $1", "code_new = CASE"),
    ("old", "new", "SELECT id FROM items WHERE serial = '30000000210'", "serial_new = '30000000210'::bigint"),
    ("old", "new", "SELECT id FROM items WHERE tag = 't30'", "tag_new = 't30'"),
    ("old", "new", "SELECT id FROM items WHERE ref = '0000001e-0000-0000-0000-00000000abcd'", "ref_new = '0000001e"),
    ("old", "new", "UPDATE items SET note = 1 WHERE num = 30", "num_new = 30"),
    ("old", "new", "DELETE FROM items WHERE code = '30.50'", "code_new = 30.50"),
    ("old", "new", "SELECT j.id FROM items i JOIN items j ON j.num = i.num WHERE i.id = 30", "num_new = i.num_new"),
    ("old", "new", "SELECT j.id FROM items i JOIN items j ON j.num = i.note WHERE i.id = 30", "num_new = i.note"),
]
# what these mean depends on more than the other column
NOT_SERVED = [
    ("new", "old", "SELECT id FROM items WHERE code = 30.50"),
    ("old", "new", "SELECT id FROM items WHERE num <> 30"),
    ("old", "new", "SELECT id FROM items WHERE NOT (code = 'x')"),
]


@pytest.fixture(scope="module")
def plan_of(stand, cluster):
    databases = stand.databases_of(TURNED)

    def plan_of(shape, state, statement):
        session = stand.rewritten(TURNED, state, shape, "off")
        answer = session.ask(statement)
        assert answer["outcome"] == "changed", answer
        with cluster.connect(databases.in_state(state)) as connection:
            connection.execute("BEGIN")
            if state in ("old", "applied"):
                connection.execute("CREATE INDEX ON items (num); CREATE INDEX ON items (code)")
            connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
            connection.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off")
            connection.execute("SET LOCAL enable_mergejoin = off")
            connection.execute("PREPARE planned AS " + answer["text"])
            parameters = "('{30}')" if "ANY" in statement else "('30')" if "$1" in statement else ""
            lines = [row[0] for row in connection.execute("EXPLAIN EXECUTE planned" + parameters)]
            connection.execute("DEALLOCATE ALL; ROLLBACK")
        return [line.strip() for line in lines]

    return plan_of


@pytest.mark.parametrize(("shape", "state", "statement", "expected"), SERVED)
def test_the_index_serves(plan_of, shape, state, statement, expected):
    plan = plan_of(shape, state, statement)
    conditions = [line for line in plan if line.startswith("Index Cond:")]
    assert any(expected in line for line in conditions), plan


@pytest.mark.parametrize(("shape", "state", "statement"), NOT_SERVED)
def test_what_is_not_certain_is_left_alone(plan_of, shape, state, statement):
    plan = plan_of(shape, state, statement)
    assert not any(line.startswith("Index Cond:") for line in plan), plan
