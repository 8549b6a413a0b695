"""Partitioned tables, and tables that inherit: the whole way, named by the parent's or the part's name."""

import pytest

from journey import Journey

pytestmark = pytest.mark.heavy

WIDER = """
transition "wider" {
    table = "public.t"
    old "n" { type = "integer"  from = "n::integer" }
    new "n" { type = "bigint"   from = "n::bigint" }
    lossless = true
    guard = "{guard}"
}
"""
PARTITIONED = """
    CREATE TABLE t (id int, n {int} NOT NULL DEFAULT 5 CHECK (n > 0), m int, PRIMARY KEY (id))
        PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (150);
    CREATE TABLE high PARTITION OF t FOR VALUES FROM (150) TO (10000) PARTITION BY HASH (id);
    CREATE SCHEMA "Far";
    CREATE TABLE "Far"."One" PARTITION OF high FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE two (m int, id int NOT NULL, n {int} NOT NULL DEFAULT 5,
                      CONSTRAINT t_n_check CHECK (n > 0));
    ALTER TABLE high ATTACH PARTITION two FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE INDEX ON t (n);
    CREATE INDEX odd ON t (m, n) WHERE n > 3;
    GRANT SELECT (n) ON t TO alice;
    GRANT SELECT (n) ON low TO alice;
"""
INHERITED = """
    CREATE TABLE t (id int PRIMARY KEY, n {int} DEFAULT 5 CHECK (n > 0), m int);
    CREATE TABLE low (extra text, PRIMARY KEY (id)) INHERITS (t);
    CREATE TABLE high () INHERITS (low);
    CREATE TABLE two () INHERITS (t);
    CREATE INDEX ON t (n);
    CREATE INDEX ON low (n);
    CREATE UNIQUE INDEX ON two (n);
"""
FILL = """
    INSERT INTO t (id, n, m) VALUES (1, 1, 1), (2, 2, 2);
    INSERT INTO low (id, n, m) VALUES (11, 11, 1), (12, 5, 2);
"""


def both(function):
    return lambda n: {"old": function(n), "new": function(n)}


@pytest.mark.parametrize("kind", ["partitioned", "inherited"])
@pytest.mark.parametrize("guard", ["reject", "sync"])
def test_a_column_in_the_table_and_all_its_parts(make_segue, cluster, kind, guard):
    ddl = {"partitioned": PARTITIONED, "inherited": INHERITED}[kind]
    tables = {s: ddl.replace("{int}", t) for s, t in (("old", "integer"), ("new", "bigint"))}
    writes = [
        lambda k: f"INSERT INTO t (id, n, m) VALUES ({k}, {k}, 1), ({k + 5000}, {k}, 2)",
        lambda k: f"INSERT INTO t (id, m) VALUES ({k}, 7) RETURNING n",
        lambda k: f"INSERT INTO t (id, n) VALUES ({k}, 0)",
        lambda k: f"UPDATE t SET n = n + 1 WHERE id IN (1, 11, {k - 3}) RETURNING id, n",
        lambda k: f"UPDATE low SET n = {k} WHERE id IN (11, 12) RETURNING n, id",
        lambda k: f"DELETE FROM t WHERE id = {k - 6} + 5000 RETURNING n",
        lambda k: "SELECT id, n FROM ONLY t ORDER BY 1",
    ]
    reads = [
        "SELECT id, n, m FROM t ORDER BY id",
        "SELECT id, n FROM low ORDER BY id",
        "SELECT tableoid::regclass::text, count(*), sum(n) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT l.n, t.n FROM low l JOIN t USING (id) ORDER BY 1, 2",
        "SELECT * FROM (SELECT n FROM two) x ORDER BY 1",
    ]
    if kind == "partitioned":
        writes += [
            lambda k: f"UPDATE t SET id = id + 3000 WHERE id = {k - 7} RETURNING id, n",
            lambda k: f"""INSERT INTO "Far"."One" (id, n) SELECT {k} + 7000, {k}
                          WHERE satisfies_hash_partition('high'::regclass, 2, 0, {k} + 7000)""",
        ]
        reads.append('SELECT id, n FROM "Far"."One" ORDER BY id')
    else:
        writes += [
            lambda k: f"INSERT INTO high (id, n, extra) VALUES ({k} + 9000, {k}, 'x') RETURNING n",
            lambda k: f"INSERT INTO two (id, n) VALUES ({k} + 9500, {k})",
            lambda k: f"INSERT INTO two (id, n) VALUES ({k} + 9600, {k} - 1)",
        ]
    one = Journey(make_segue, cluster, f"{kind}_{guard}", tables, {"wider": WIDER},
                  {"old": FILL, "new": FILL}, [both(w) for w in writes],
                  {"old": reads, "new": reads}, schemas=("public", "Far"), guard=guard)
    one.use("old, expanded")
    one.go(("dual_old",))
    guards = {"partitioned": {"high", "low", "t", "two", '"Far"."One"'},
              "inherited": {"t", "low", "high", "two"}}[kind]
    with one.segue.direct() as direct:
        found = direct.execute("SELECT tgrelid::regclass::text FROM pg_trigger "
                               " WHERE tgname LIKE 'zzz%'").fetchall()
        assert {row[0] for row in found} == guards
    one.go(("dual_own", "dual_new", "new"))
    one.go(("dual_new", "dual_own", "dual_old", "old", "dual_old", "dual_own", "dual_new", "new"))
    one.contract()
    one.retire()
    one.compare_tables()
    one.close()
