"""How long an INSERT of many rows takes to rewrite, and that the server takes what comes of it."""

import pytest
from cases_insert import INSERTS
from cases_insert_sources import SOURCES
from stand import count_of, parity


def many(count, values):
    rows = ", ".join(values(i) for i in range(count))
    return f"INSERT INTO users (id, name, role) VALUES {rows}"


def seconds(session, sql):
    session.kept.clear()
    began = session.rewriter.cpu_seconds()
    answer = session.ask(sql)
    assert answer["outcome"] == "changed", answer["message"]
    return session.rewriter.cpu_seconds() - began


@pytest.mark.parametrize(
    "values",
    [
        lambda i: f"({i + 100}, 'n{i}', 'r{i}')",
        lambda i: f"({i + 100}, 'n{i}', 'r' || draw())",
        lambda i: f"({i + 100}, 'n{i}', DEFAULT)",
        lambda i: f"({i + 100}, 'n{i}', (SELECT role FROM users WHERE id = 1))",
    ],
    ids=["constants", "volatile", "defaults", "reading"],
)
@pytest.mark.parametrize("state", ["dual_own", "dual_new", "new"])
def test_many_rows_take_linear_time(stand, state, values):
    session = stand.rewritten(INSERTS, state, "old", "off")
    some, more = many(1000, values), many(8000, values)
    assert seconds(session, more) < 8 * 3 * seconds(session, some)
    session.server.begin()
    session.begin()
    try:
        answer, _ = session.run(some, "simple", (), (), b"")
        assert answer.tag == "INSERT 0 1000;", answer
        if state != "new": # there the old column is not written
            counts = session.server.contents([parity(t) for t in stand.described(INSERTS)])
            assert {count_of(rows) for rows in counts} == {0}
    finally:
        session.server.rollback(False)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("shape", ["old", "new"])
@pytest.mark.parametrize("state", ["dual_old", "dual_own", "dual_new", "new"])
def test_a_source_of_another_number_of_columns_is_an_error(stand, state, shape, count):
    """Without a column list, and not known to Segue: the plain table takes too few, and Segue does not."""
    session = stand.rewritten(SOURCES, state, shape, "off")
    names = ", ".join(f"c{i} int" for i in range(count))
    session.server.begin()
    session.begin()
    try:
        session.run(f"CREATE TEMP TABLE t ({names}) ON COMMIT DROP", "simple", (), (), b"")
        session.look_again()
        answer, _ = session.run("INSERT INTO codes SELECT * FROM t", "simple", (), (), b"")
        assert answer.sqlstate[:2] == "42", answer
    finally:
        session.server.rollback(False)
