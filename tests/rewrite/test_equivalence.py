"""
The same statement on a plain table of the client's shape and, rewritten, on the table in transition:
same rows, tags, columns, types and errors, and afterwards the same contents, all rows in parity.
"""

import contextlib

import psycopg
import pytest
from cases import PARAMETERS, READS, VOLATILE, WORDS, WRITES
from world import SHAPES, STATES, build, database_of, rewrite

PARITY = """
SELECT count(*) FROM users
 WHERE NOT (roles IS NOT DISTINCT FROM string_to_array(role, ',')
            OR role IS NOT DISTINCT FROM array_to_string(roles, ','))
"""
PARITY_AMOUNT = """
SELECT count(*) FROM transactions
 WHERE NOT (amount_new IS NOT DISTINCT FROM amount::numeric(10,2)
            OR amount IS NOT DISTINCT FROM amount_new::text)
"""
CONTENTS = ("SELECT * FROM users ORDER BY id, name", "SELECT * FROM transactions ORDER BY id")
PHYSICAL = {"amount_new": "amount"}


def spell(statement, shape):
    # str.format would stumble over braces of arrays
    for word, text in WORDS[shape].items():
        if isinstance(text, str):
            statement = statement.replace("{" + word + "}", text)
    return statement


ALL = [(s, []) for s in READS + WRITES] + PARAMETERS + [(s, []) for s in VOLATILE]
CORNERS = [(state, shape) for state in STATES for shape in SHAPES]


@pytest.fixture(scope="session")
def world(cluster):
    build(cluster)
    return cluster


_answers = {}


@pytest.fixture
def corner(request, world, tmp_path_factory):
    """Everything rewritten for one phase and shape, once."""
    state, shape = request.param
    if request.param not in _answers:
        statements = [spell(s, shape) for s, _ in ALL] + list(CONTENTS)
        answers = rewrite(world, tmp_path_factory.mktemp("corner"), state, shape, statements)
        _answers[request.param] = dict(zip(statements, answers))
    return world, state, shape, _answers[request.param]


class Outcome:
    """What a client sees of a statement."""

    def __init__(self, connection, sql, parameters, patches=()):
        result = connection.pgconn.exec_params(sql.encode(), parameters)
        self.sqlstate = (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
        self.message = result.error_message.decode()
        self.tag = (result.command_status or b"").decode()
        columns = range(result.nfields)
        self.columns = [
            (result.fname(i).decode(), result.ftype(i), result.fmod(i)) for i in columns
        ]
        self.rows = [
            tuple(result.get_value(r, i) for i in columns) for r in range(result.ntuples)
        ]
        origins = [(result.ftable(i), result.ftablecol(i)) for i in columns]
        for column, table, number in patches if origins else ():
            assert origins[column] == (0, 0), "a column that is not computed was patched"
            origins[column] = (table, number)
        self.origins = [self.name(connection, *origin) for origin in origins] if origins else []

    @staticmethod
    def name(connection, table, number):
        if not table:
            return None
        row = connection.execute(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid "
            "WHERE c.oid = %s AND attnum = %s", (table, number),
        ).fetchone()
        return row and (row[0], PHYSICAL.get(row[1], row[1]))


def parameters_of(parameters, shape):
    return [WORDS[shape][p] if isinstance(p, str) else p for p in parameters]


def parameter_types(connection, sql):
    prepared = connection.pgconn.prepare(b"described", sql.encode())
    if prepared.status != psycopg.pq.ExecStatus.COMMAND_OK:
        return None
    description = connection.pgconn.describe_prepared(b"described")
    return [description.param_type(i) for i in range(description.nparams)]


def touches_users(sql):
    return "users" in sql


def check_not_refused(answer, sql, state, shape):
    if answer["outcome"] != "refused":
        return True
    if answer["sqlstate"] == "55000":
        assert state in ("old", "applied") and shape == "new" and touches_users(sql), answer
        return False
    # errors that the plain table gives too are compared as errors
    assert answer["sqlstate"] in ("42703", "42702", "42601"), answer["message"]
    return True


def sent(answer, sql):
    return answer["text"] if answer["outcome"] == "changed" else sql


def contents(connection, answers, queries):
    return [Outcome(connection, sent(answers[q], q) if answers else q, []).rows for q in queries]


def is_ordered(sql):
    return "ORDER BY" in sql


def compare_rows(plain, ours, sql):
    if is_ordered(sql):
        assert ours.rows == plain.rows
    else:
        assert sorted(map(repr, ours.rows)) == sorted(map(repr, plain.rows))


_connections = {}


@contextlib.contextmanager
def undone(cluster, database):
    """A connection on which nothing that is done stays done."""
    if database not in _connections:
        _connections[database] = cluster.connect(database, prepare_threshold=None)
    connection = _connections[database]
    connection.execute("BEGIN")
    connection.execute("SELECT setval('users_id_seq', 100)")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")
        connection.execute("DEALLOCATE ALL")


def check_parity(connection, state, sql):
    if not state.startswith("dual"):
        return
    written_all = sql.startswith("UPDATE") and "WHERE" not in sql
    made = "" if state != "dual_old" or written_all else " AND id >= 20"
    if "UPDATE transactions" not in sql:
        assert connection.execute(PARITY + made).fetchone() == (0,)
    if "UPDATE users" not in sql:
        assert connection.execute(PARITY_AMOUNT + made).fetchone() == (0,)


def compare_refusal(answer, connection, sql, parameters):
    """What Segue refuses itself, the server would have refused in the same words."""
    plain = Outcome(connection, sql, parameters)
    first_line = plain.message.splitlines()[0].removeprefix("ERROR:").strip()
    assert (answer["sqlstate"], answer["message"]) == (plain.sqlstate, first_line)


def compare(corner, case, plain_connection, our_connection):
    _, state, shape, answers = corner
    sql = spell(case[0], shape)
    parameters = parameters_of(case[1], shape)
    text = sent(answers[sql], sql)
    if parameters:
        assert parameter_types(our_connection, text) == parameter_types(plain_connection, sql)
    plain = Outcome(plain_connection, sql, parameters)
    ours = Outcome(our_connection, text, parameters, answers[sql]["results"])
    assert (ours.sqlstate, ours.tag, ours.columns) == (
        plain.sqlstate, plain.tag, plain.columns
    ), ours.message + text
    compare_rows(plain, ours, sql)
    if STATES[state][1] == "expanded": # else the table may not have the column that is meant
        assert ours.origins == plain.origins
    if plain.sqlstate:
        return
    check_parity(our_connection, state, sql)
    if "ALTER TABLE" not in sql:
        readable = [q for q in CONTENTS if answers[q]["outcome"] != "refused"]
        assert contents(our_connection, answers, readable) == contents(
            plain_connection, None, readable
        ), text


@pytest.mark.parametrize("corner", CORNERS, indirect=True, ids="-".join)
@pytest.mark.parametrize("case", [c for c in ALL if c[0] not in VOLATILE], ids=lambda c: c[0][:70])
def test_same_as_on_the_plain_table(corner, case):
    cluster, state, shape, answers = corner
    sql = spell(case[0], shape)
    if not check_not_refused(answers[sql], sql, state, shape):
        return
    with undone(cluster, database_of(shape=shape)) as plain:
        if answers[sql]["outcome"] == "refused":
            compare_refusal(answers[sql], plain, sql, parameters_of(case[1], shape))
            return
        with undone(cluster, database_of(state=state)) as ours:
            compare(corner, case, plain, ours)


@pytest.mark.parametrize("corner", CORNERS, indirect=True, ids="-".join)
@pytest.mark.parametrize("statement", VOLATILE, ids=lambda s: s[:60])
def test_trap_2_a_volatile_expression_is_evaluated_once_per_row(corner, statement):
    cluster, state, shape, answers = corner
    sql = spell(statement, shape)
    answer = answers[sql]
    if not check_not_refused(answer, sql, state, shape):
        return
    with undone(cluster, database_of(state=state)) as connection:
        outcome = Outcome(connection, sent(answer, sql), [])
        assert not outcome.sqlstate, outcome.message
        column = "role" if state not in ("new", "contracted") else "roles::text"
        made = f"length({column}) > 30"
        if state.startswith("dual"):
            assert connection.execute(PARITY + f" AND {made}").fetchone() == (0,)
        count = connection.execute(
            f"SELECT count(*), count(DISTINCT {column}) FROM users WHERE {made}"
        ).fetchone()
        assert count[0] == count[1] >= 1, "rows share one evaluation"
