"""Partitioned tables, and tables that inherit: the whole way, named by the parent's or the part's name."""

import pytest

from journey import Journey, describe

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


def test_keys_and_foreign_keys_of_partitioned_tables(make_segue, cluster):
    """Of two levels, with parts that are named otherwise; pointed at by plain and by partitioned tables."""
    ddl = """
        CREATE TABLE up (n {int} NOT NULL, day int NOT NULL, PRIMARY KEY (day, n));
        INSERT INTO up VALUES (1, 1), (2, 2), (3, 200);
        CREATE TABLE t (n {int} NOT NULL, day int NOT NULL, m int, boss {int},
                        PRIMARY KEY (n, day), CONSTRAINT twice UNIQUE (day, n, m) DEFERRABLE,
                        CONSTRAINT leads FOREIGN KEY (boss, day) REFERENCES t (n, day))
            PARTITION BY RANGE (day);
        CREATE UNIQUE INDEX ON t (m, day, (n * 2)) WHERE m > 0;
        CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (100);
        CREATE TABLE high PARTITION OF t FOR VALUES FROM (100) TO (10000) PARTITION BY HASH (day);
        CREATE SCHEMA "Far";
        CREATE TABLE "Far"."One" PARTITION OF high FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE two (m int, boss {int}, n {int} NOT NULL, day int NOT NULL,
                          CONSTRAINT "its Own" PRIMARY KEY (n, day),
                          CONSTRAINT its_twice UNIQUE (day, n, m) DEFERRABLE);
        ALTER TABLE high ATTACH PARTITION two FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE UNIQUE INDEX alone ON low (n) WHERE m = 77;
        ALTER TABLE t ADD FOREIGN KEY (day, n) REFERENCES up (day, n) ON DELETE CASCADE;
        CREATE TABLE child (t_day int, t_n int, FOREIGN KEY (t_n, t_day) REFERENCES t,
                            CONSTRAINT turned FOREIGN KEY (t_day, t_n) REFERENCES t (day, n));
        CREATE TABLE heirs (n int, day int, CONSTRAINT inherits FOREIGN KEY (n, day) REFERENCES t
                            ON UPDATE CASCADE) PARTITION BY RANGE (day);
        CREATE TABLE heirs_low PARTITION OF heirs FOR VALUES FROM (0) TO (100);
        CREATE TABLE heirs_high PARTITION OF heirs DEFAULT;
    """
    fill = """
        INSERT INTO t (n, day, m) VALUES (1, 1, 1), (2, 2, 2), (3, 200, 3);
        INSERT INTO child VALUES (1, 1), (200, 3);
        INSERT INTO heirs VALUES (2, 2), (3, 200);
    """
    tables = {s: ddl.replace("{int}", t) for s, t in (("old", "integer"), ("new", "bigint"))}
    writes = [
        lambda k: f"INSERT INTO up (n, day) VALUES ({k}, {k % 50}), ({k}, {k + 300}), ({k}, {k + 301})",
        lambda k: f"INSERT INTO t (n, day, m) VALUES ({k - 1}, {(k - 1) % 50}, {k})",
        lambda k: f"INSERT INTO t (n, day, m) VALUES ({k - 2}, {k - 2 + 300}, 1), ({k - 2}, {k - 2 + 301}, 2)",
        lambda k: f"INSERT INTO t (n, day) VALUES ({k}, {k + 7})",
        lambda k: "INSERT INTO t (n, day) VALUES (3, 200)",
        lambda k: f"INSERT INTO t (n, day, m) VALUES (2, 2, {k}) ON CONFLICT (n, day) DO UPDATE "
                  "SET m = excluded.m + t.m RETURNING n, m",
        lambda k: f"INSERT INTO t (n, day, m) VALUES (3, 200, {k}) ON CONFLICT ON CONSTRAINT t_pkey "
                  "DO UPDATE SET m = excluded.m RETURNING n, m",
        lambda k: f"INSERT INTO child SELECT day, n FROM t WHERE m = {k - 6}",
        lambda k: f"INSERT INTO child VALUES ({k + 300}, {k + 12345})",
        lambda k: "DELETE FROM t WHERE n = 3",
        lambda k: f"UPDATE t SET boss = 1 WHERE day = 1 RETURNING n, boss",
        lambda k: f"UPDATE t SET boss = {k + 100000} WHERE day = 2",
        lambda k: f"INSERT INTO heirs SELECT n, day FROM t WHERE day > 300 ORDER BY day LIMIT 1",
        lambda k: f"INSERT INTO heirs VALUES ({k + 54321}, 5)",
        lambda k: f"DELETE FROM up WHERE n = {k - 40}",
        lambda k: f"INSERT INTO low (n, day, m) VALUES (1, 3, 77)",
        lambda k: f"""INSERT INTO two (n, day, m) SELECT 3, 200, 1""",
    ]
    reads = ["SELECT n, day, m, boss FROM t ORDER BY 1, 2", "SELECT * FROM child ORDER BY 1, 2",
             "SELECT n, day FROM heirs_high ORDER BY 1, 2", "SELECT count(n) FROM up"]
    wider = WIDER.replace("public.t", "{table}").replace("wider", "{name}")
    one = Journey(make_segue, cluster, "partitioned_keys", tables,
                  {name: wider.replace("{table}", f"public.{table}").replace("{name}", name)
                       .replace('"n"', f'"{column}"').replace('"n::', f'"{column}::')
                   for name, table, column in (("up", "up", "n"), ("boss", "t", "boss"), ("wider", "t", "n"))},
                  {"old": fill, "new": fill}, [both(w) for w in writes],
                  {"old": reads, "new": reads}, schemas=("public", "Far"), guard="sync")
    one.use("old, expanded")
    one.go(("dual_old", "dual_own", "dual_new"))
    one.go(("new",))
    one.go(("dual_new", "dual_own", "dual_old", "old"))
    with one.segue.direct() as connection:
        # made anew over a primary key it tells its columns in the key's order: the same foreign key
        turned = "FOREIGN KEY (t_n, t_day) REFERENCES t(n, day)"
        assert connection.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                                  " WHERE conname = 'turned'").fetchone() == (turned,)
        for database in (connection, *one.plain.values()):
            database.execute("ALTER TABLE child DROP CONSTRAINT turned")
        ours = describe(connection, ("public", "Far"))
    plain = describe(one.plain["old"], ("public", "Far"))
    for what in ("constraints", "indexes"):
        assert ours[what] == plain[what]
    one.go(("dual_old", "dual_own", "dual_new", "new"))
    one.contract()
    one.retire()
    one.compare_tables()
    one.close()
