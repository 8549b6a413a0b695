"""A look-up by a key in transition uses an index, whichever shape the client has, and says the same."""

import psycopg
import pytest

from segue import PHASES

WIDER = """
transition "wider" {
    table = "public.t"
    old "id" { type = "integer"  from = "id::integer" }
    new "id" { type = "bigint"   from = "id::bigint" }
    lossless = true
    guard = "reject"
}
"""
TABLE = """
    CREATE TABLE t (id %s PRIMARY KEY, name text);
    INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 20000) g;
    CREATE TABLE child (id int, t_id int);
    INSERT INTO child SELECT g, g %% 7 FROM generate_series(1, 20) g;
    ANALYZE;
"""
LOOKUPS = [
    "SELECT name FROM t WHERE id = 7",
    "SELECT name FROM t WHERE '7' = id",
    "SELECT name FROM t AS x WHERE x.id IN (3, '4', 5) ORDER BY 1",
    "SELECT name FROM t WHERE public.t.id BETWEEN 3 AND '5' AND name <> 'x' ORDER BY 1",
    "SELECT name FROM t WHERE id = ANY ('{3,4}') ORDER BY 1",
    "SELECT name FROM t WHERE id < 4 AND NOT (id >= 3 OR id IS NULL) ORDER BY 1",
    "SELECT c.id FROM child c JOIN t ON t.id = c.t_id WHERE c.id = 3",
    "UPDATE t SET name = name WHERE id = 9 RETURNING name",
    "DELETE FROM t WHERE id = 0",
]
OTHERS = [
    "SELECT t.id, t.name, count(c.id) FROM t LEFT JOIN child c ON c.t_id = t.id WHERE t.id < 5 GROUP BY t.id ORDER BY 1",
    "SELECT count(*), id, name FROM t WHERE id < 4 GROUP BY name, t.id ORDER BY 2",
    "SELECT name, id + 1 FROM t WHERE id < 4 GROUP BY id HAVING count(*) = 1 ORDER BY id DESC",
    "SELECT name FROM t WHERE id < 4 GROUP BY ROLLUP (id) ORDER BY 1",
    "SELECT name FROM t GROUP BY t_id",
    "SELECT id > 3, count(*) FROM t WHERE id <= 5 GROUP BY id > 3 ORDER BY 1",
    "SELECT id FROM t WHERE id <= 4 GROUP BY id HAVING id > 2 ORDER BY id",
    "SELECT count(*) FROM t WHERE id = 3000000000",
    "SELECT count(*) FROM t WHERE id = '3000000000'",
    "SELECT count(*) FROM t WHERE id = 'seven'",
    "SELECT count(*) FROM t WHERE id = 2.5",
    "SELECT count(*) FROM t WHERE id = NULL",
    "SELECT count(*) FROM t WHERE id = ANY (ARRAY['1'])",
    "SELECT count(*) FROM child c LEFT JOIN t ON t.id = c.t_id AND t.id > 2 WHERE t.id IS NULL",
]
PARAMETERS = [
    ("SELECT name FROM t WHERE id = %s", (7,)),
    ("SELECT name FROM t WHERE id = %s", (3000000000,)),
    ("SELECT name FROM t WHERE id = %s", (__import__("decimal").Decimal("2.5"),)),
    ("SELECT name FROM t WHERE id IN (%s, %s) ORDER BY 1", (7, 3000000000)),
    ("SELECT name FROM t WHERE id = ANY (%s) ORDER BY 1", ([7, 8],)),
    ("SELECT name FROM t WHERE id = ANY (%s) ORDER BY 1", ([7, 3000000000],)),
    ("SELECT name FROM t WHERE id BETWEEN %s AND %s", ("7", 7)),
]


def outcome(connection, sql, parameters=None):
    try:
        return connection.execute(sql, parameters).fetchall()
    except psycopg.ProgrammingError as nothing:
        return nothing.sqlstate
    except psycopg.Error as problem:
        return problem.sqlstate


def described(connection, sql):
    connection.pgconn.prepare(b"d", sql)
    result = connection.pgconn.describe_prepared(b"d")
    types = [result.param_type(i) for i in range(result.nparams)]
    connection.execute("DEALLOCATE d")
    return types


@pytest.fixture
def plain(cluster):
    connections = {}
    for shape, type_ in (("old", "int"), ("new", "bigint")):
        cluster.create_database(f"lookups_{shape}")
        connections[shape] = cluster.connect(f"lookups_{shape}", prepare_threshold=None)
        connections[shape].execute(TABLE % type_)
    yield connections
    for connection in connections.values():
        connection.close()


def plans_scan_all(connection, sql):
    plan = connection.execute("EXPLAIN " + sql).fetchall()
    return any("Seq Scan on t" in row[0] for row in plan)


def test_in_every_phase(make_segue, cluster, plain):
    cluster.create_database("lookups")
    with cluster.connect("lookups") as connection:
        connection.execute(TABLE % "int")
    segue = make_segue(["lookups"])
    for phase in PHASES + ("contracted",):
        if phase == "contracted":
            segue.admin("CONTRACT wider")
        else:
            segue.move_to("wider", phase, WIDER)
        with segue.direct() as direct:
            direct.execute("VACUUM ANALYZE t")
        for shape in ("old", "new"):
            with segue.connect(shape, prepare_threshold=None) as client:
                for sql in LOOKUPS + OTHERS:
                    assert outcome(client, sql) == outcome(plain[shape], sql), (phase, shape, sql)
                for sql, parameters in PARAMETERS:
                    assert outcome(client, sql, parameters) == outcome(
                        plain[shape], sql, parameters), (phase, shape, sql, parameters)
                for sql in (b"SELECT FROM t WHERE id = $1 AND $2 < id", b"SELECT FROM t WHERE id IN ($1)",
                            b"SELECT FROM t WHERE id = ANY ($1)"):
                    assert described(client, sql) == described(plain[shape], sql), (phase, sql)
                client.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
                for sql in LOOKUPS:
                    assert not plans_scan_all(client, sql), (phase, shape, sql)
