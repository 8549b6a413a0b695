"""Keys, and what stands on them, go the whole way with their column: int to bigint."""

import pytest

from journey import Journey

pytestmark = pytest.mark.heavy

WIDER = """
transition "wider" {
    table = "%(table)s"
    old "%(column)s" { type = "integer"  from = "%(column)s::integer" }
    new "%(column)s" { type = "bigint"   from = "%(column)s::bigint" }
    lossless = true
    guard = "{guard}"
}
"""


@pytest.fixture
def journey(request, make_segue, cluster):
    made = []

    def make(old, fill, writes, reads, table="public.t", column="id", transitions=None, **more):
        """The new shape is the old one with bigint for {int}, bigserial for {serial}."""
        words = {"old": ("integer", "serial"), "new": ("bigint", "bigserial")}
        tables = {
            shape: old.replace("{int}", words[shape][0]).replace("{serial}", words[shape][1])
            for shape in words
        }
        definitions = transitions or {"wider": WIDER % {"table": table, "column": column}}
        made.append(Journey(
            make_segue, cluster, request.node.name[:40].replace("[", "_").replace("]", ""),
            tables, definitions, {"old": fill, "new": fill},
            [lambda n, w=w: {"old": w(n), "new": w(n)} for w in writes],
            {"old": reads, "new": reads}, **more,
        ))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_indexed_checked_not_null_column_with_a_default(journey):
    journey(
        old="""
            CREATE TABLE t (id int PRIMARY KEY, n {int} NOT NULL DEFAULT 7 CHECK (n > 0), m int);
            CREATE INDEX ON t (n);
            CREATE INDEX named_so ON t (m, n DESC NULLS LAST) WHERE n > 3;
            CREATE INDEX ON t ((n % 10)) INCLUDE (m);
            ALTER TABLE t ADD CONSTRAINT both_small CHECK (m + n < 100000);
            ALTER TABLE t ALTER n SET STATISTICS 250;
            ALTER TABLE t ALTER n SET (n_distinct = 5);
            COMMENT ON COLUMN t.n IS 'how "many"';
            GRANT SELECT (n), UPDATE (n) ON t TO alice;
        """,
        fill="INSERT INTO t VALUES (1, 5, 1), (2, 6, NULL), (3, 7, 3)",
        column="n",
        writes=[
            lambda k: f"INSERT INTO t (id, n, m) VALUES ({k}, {k}, 1)",
            lambda k: f"INSERT INTO t (id, m) VALUES ({k}, 2) RETURNING n, id",
            lambda k: f"UPDATE t SET n = n + 1, m = {k} WHERE id = 2",
            lambda k: "UPDATE t SET n = 0 WHERE id = 2",
            lambda k: "UPDATE t SET n = NULL WHERE id = 2",
            lambda k: "UPDATE t SET m = 99999 WHERE id = 1",
        ],
        reads=["SELECT id, n, m FROM t ORDER BY id", "SELECT n, count(*) FROM t GROUP BY n ORDER BY n"],
    ).whole()


def test_unique_constraints_and_indexes_of_every_kind(journey):
    journey(
        old="""
            CREATE TABLE t (id int PRIMARY KEY, tenant int, n {int}, alive boolean DEFAULT true,
                            UNIQUE (tenant, n), CONSTRAINT late UNIQUE (n, id) DEFERRABLE INITIALLY DEFERRED);
            CREATE UNIQUE INDEX ON t (n) WHERE alive;
            CREATE UNIQUE INDEX squares ON t ((n * 2), tenant) INCLUDE (alive);
            CREATE UNIQUE INDEX nulls ON t (tenant, n, alive) NULLS NOT DISTINCT;
        """,
        fill="INSERT INTO t VALUES (1, 1, 1, true), (2, 1, 2, false), (3, 2, 3, true)",
        column="n",
        writes=[
            lambda k: f"INSERT INTO t (id, tenant, n) VALUES ({k}, 1, {k})",
            lambda k: f"INSERT INTO t (id, tenant, n) VALUES ({k}, 1, 1)",
            lambda k: f"INSERT INTO t (id, tenant, n, alive) VALUES ({k}, {k}, 1, true)",
            lambda k: f"INSERT INTO t (id, tenant, n, alive) VALUES ({k}, {k}, NULL, NULL)",
            lambda k: f"UPDATE t SET n = {k} WHERE id = 2",
            lambda k: "UPDATE t SET n = 3 WHERE id = 1",
        ],
        reads=["SELECT id, tenant, n, alive FROM t ORDER BY id"],
    ).whole()


PARENTS = """
    CREATE TABLE t (id {serial} PRIMARY KEY, name text, boss {boss} REFERENCES t (id));
    CREATE TABLE child (id int PRIMARY KEY, t_id int NOT NULL REFERENCES t ON DELETE CASCADE);
    CREATE TABLE other (t_id int REFERENCES t (id) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, what text);
    CREATE INDEX ON child (t_id);
"""


def test_a_serial_primary_key_that_others_and_itself_refer_to(journey):
    one = journey(
        old=PARENTS.replace("{boss}", "int"),
        fill="INSERT INTO t (name) VALUES ('a'), ('b'), ('c'); UPDATE t SET boss = 1 WHERE id > 1;"
        " INSERT INTO child VALUES (1, 1), (2, 2); INSERT INTO other VALUES (3, 'x')",
        writes=[
            lambda k: f"INSERT INTO t (id, name) VALUES ({k * 100}, 'n{k}')",
            lambda k: f"INSERT INTO child VALUES ({k}, {(k - 1) * 100})",
            lambda k: f"INSERT INTO child VALUES ({k}, 77777777)",
            lambda k: f"INSERT INTO other VALUES ({(k - 3) * 100}, 'other {k}')",
            lambda k: f"UPDATE t SET boss = 1 WHERE id = {(k - 4) * 100}",
            lambda k: f"UPDATE t SET boss = 987654 WHERE id = {(k - 5) * 100}",
            lambda k: "DELETE FROM t WHERE id = 1",
            lambda k: f"UPDATE t SET id = {k * 100 + 50} WHERE id = 3",
            lambda k: "UPDATE t SET id = 3 WHERE name = 'c'",
            lambda k: f"INSERT INTO t (id, name) VALUES (2, 'twice')",
        ],
        reads=[
            "SELECT id, name, boss FROM t ORDER BY id",
            "SELECT * FROM child ORDER BY id",
            "SELECT * FROM other ORDER BY t_id",
            "SELECT c.id, t.name FROM child c JOIN t ON t.id = c.t_id ORDER BY 1",
        ],
    )
    one.whole()


CHILDREN = """
    CREATE TABLE t (id int PRIMARY KEY, a {int}, b int, p int REFERENCES t,
                    UNIQUE (id, a), FOREIGN KEY (id, b) REFERENCES t (id, a));
    CREATE TABLE elsewhere (a int, b int, PRIMARY KEY (a, b));
    INSERT INTO elsewhere VALUES (1, 1), (2, 2), (3, 3);
    ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES elsewhere MATCH FULL ON DELETE CASCADE;
    ALTER TABLE t ADD CONSTRAINT unproven FOREIGN KEY (a) REFERENCES t NOT VALID;
"""


def test_foreign_keys_from_the_column(journey):
    journey(
        old=CHILDREN,
        fill="INSERT INTO t VALUES (1, 1, 1, NULL), (2, 2, 2, 1)",
        column="a",
        guard="sync",
        writes=[
            lambda k: f"INSERT INTO t (id, a, b, p) VALUES ({k}, NULL, NULL, 1)",
            lambda k: f"INSERT INTO t (id, a, b, p) VALUES ({k}, {k}, 1, 1)",
            lambda k: f"UPDATE t SET a = 1, b = 1 WHERE id = {k - 2}",
            lambda k: "UPDATE t SET a = 2 WHERE id = 1",
            lambda k: "UPDATE t SET a = 1, b = NULL WHERE id = 1",
            lambda k: "DELETE FROM t WHERE id = 1",
        ],
        reads=["SELECT id, a, b, p FROM t ORDER BY id"],
    ).whole()


def test_a_foreign_key_that_writes_the_column_by_itself(journey):
    journey(
        old="""
            CREATE TABLE up (id int PRIMARY KEY);
            INSERT INTO up SELECT generate_series(1, 200);
            CREATE TABLE t (id int PRIMARY KEY, a {int} REFERENCES up ON UPDATE CASCADE ON DELETE SET NULL);
        """,
        fill="INSERT INTO t VALUES (1, 1), (2, 2)",
        column="a",
        guard="sync",
        writes=[
            lambda k: f"INSERT INTO t VALUES ({k}, {k - 80})",
            lambda k: f"UPDATE up SET id = 1000 + {k} WHERE id = {k - 81}",
            lambda k: f"DELETE FROM up WHERE id = {k - 80}",
            lambda k: f"INSERT INTO t VALUES ({k}, {k - 82})",
            lambda k: f"DELETE FROM up WHERE id = {k - 83}",
        ],
        reads=["SELECT id, a FROM t ORDER BY id", "SELECT id FROM up ORDER BY id"],
    ).whole()


@pytest.mark.parametrize("kind", ["ALWAYS", "BY DEFAULT"])
def test_an_identity_primary_key(journey, kind):
    journey(
        old=f"""
            CREATE TABLE t (id {{int}} GENERATED {kind} AS IDENTITY (INCREMENT BY 3 CACHE 1) PRIMARY KEY, n int);
            CREATE TABLE child (t_id int REFERENCES t);
            GRANT USAGE ON SEQUENCE t_id_seq TO alice;
            COMMENT ON SEQUENCE t_id_seq IS 'counts';
        """,
        fill="INSERT INTO t (n) VALUES (1), (2), (3); INSERT INTO child VALUES (4)",
        writes=[
            lambda k: f"INSERT INTO t (id, n) OVERRIDING SYSTEM VALUE VALUES ({k * 1000}, 1)",
            lambda k: f"INSERT INTO child VALUES ({(k - 1) * 1000})",
            lambda k: f"UPDATE t SET n = {k} WHERE id = 4",
        ],
        reads=["SELECT id, n FROM t ORDER BY id", "SELECT * FROM child ORDER BY 1"],
    ).whole()


def test_parent_and_child_change_together_and_apart(journey):
    one = journey(
        old="""
            CREATE TABLE t (id {serial} PRIMARY KEY, boss int REFERENCES t);
            CREATE TABLE child (id int PRIMARY KEY, t_id {int} REFERENCES t ON DELETE CASCADE);
            CREATE INDEX ON child (t_id);
        """,
        fill="INSERT INTO t (id) VALUES (1), (2); INSERT INTO child VALUES (1, 1)",
        transitions={
            "up": WIDER.replace('"wider"', '"up"') % {"table": "t", "column": "id"},
            "down": WIDER.replace('"wider"', '"down"') % {"table": "public.child", "column": "t_id"},
        },
        writes=[
            lambda k: f"INSERT INTO t (id, boss) VALUES ({k}, 2)",
            lambda k: f"INSERT INTO child VALUES ({k}, {k - 1})",
            lambda k: f"INSERT INTO child VALUES ({k}, 7654321)",
            lambda k: f"UPDATE child SET t_id = 2 WHERE id = {k - 2}",
            lambda k: "DELETE FROM t WHERE id = 2 AND false",
        ],
        reads=["SELECT id, boss FROM t ORDER BY 1", "SELECT id, t_id FROM child ORDER BY 1"],
    )
    one.use("old")
    for up, down in [("new", "dual_own"), ("dual_own", "new"), ("new", "old"), ("new", "new")]:
        for transition, phase in (("up", up), ("down", down)):
            if one.segue.phase(transition) != phase:
                one.segue.move_to(transition, phase)
        one.use(f"up {up}, down {down}")
    one.segue.admin("CONTRACT up")
    one.use("up contracted")
    one.segue.move_to("down", "dual_old")
    one.use("up contracted, down dual_old")
    one.segue.move_to("down", "new")
    one.segue.admin("CONTRACT down")
    one.use("contracted")
    one.retire()
    one.compare_tables()


COUNTED = {
    "serial": "CREATE TABLE t (id {serial} PRIMARY KEY, name text UNIQUE, m int);",
    "always": "CREATE TABLE t (id {int} GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, m int);",
    "default": "CREATE TABLE t (id {int} GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text UNIQUE, m int);",
}


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("guard", ["reject", "sync"])
def test_ids_are_drawn_from_the_sequence_once_by_both_applications(journey, kind, guard):
    journey(
        old=COUNTED[kind],
        guard=guard,
        fill="INSERT INTO t (name) VALUES ('a'), ('b')",
        writes=[
            lambda k: f"INSERT INTO t (name) VALUES ('n{k}') RETURNING id",
            lambda k: f"INSERT INTO t (name, m) VALUES ('x{k}', 1), ('y{k}', 2) RETURNING name, id",
            lambda k: f"INSERT INTO t (id, name) VALUES (DEFAULT, 'd{k}') RETURNING id",
            lambda k: f"INSERT INTO t (name) SELECT 's{k}' || g FROM generate_series(1, 2) g RETURNING id",
            lambda k: "INSERT INTO t DEFAULT VALUES RETURNING id",
            lambda k: f"INSERT INTO t (id, name) VALUES ({k * 1000}, 'e{k}') RETURNING id",
            lambda k: f"INSERT INTO t (id, name) OVERRIDING SYSTEM VALUE VALUES ({k * 1000 + 1}, 'f{k}')",
            lambda k: "INSERT INTO t (name) VALUES ('a') RETURNING id",
            lambda k: "INSERT INTO t (name, m) VALUES ('a', 3) ON CONFLICT (name) DO UPDATE "
                      "SET m = coalesce(t.m, 0) + excluded.m RETURNING id, m",
            lambda k: f"INSERT INTO t (id, m) OVERRIDING SYSTEM VALUE VALUES (2, {k}) "
                      "ON CONFLICT (id) DO UPDATE SET m = excluded.m, name = t.name RETURNING id, m",
            lambda k: f"UPDATE t SET id = {k * 1000 + 5} WHERE name = 'n{k - 20}' RETURNING id",
        ] + [
            # of GENERATED ALWAYS nothing else than DEFAULT can be written: refused in transition
            lambda k: f"UPDATE t SET id = DEFAULT WHERE name = 'x{k - 21}' RETURNING id",
        ] * (kind != "always"),
        reads=["SELECT id, name, m FROM t ORDER BY id"],
    ).whole()


def test_a_role_that_may_only_insert_goes_on_inserting(make_segue, cluster):
    """What may insert into a table with an identity needs no right to its sequence: it must stay so."""
    cluster.create_database("insert_only")
    with cluster.connect("insert_only") as connection:
        connection.execute(
            "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int);"
            "GRANT INSERT (n, id), SELECT (n), UPDATE (n) ON t TO alice"
        )
    segue = make_segue(["insert_only"])
    for phase in ("dual_old", "dual_own", "dual_new", "new", "dual_new", "dual_own", "dual_old", "old",
                  "dual_old", "dual_own", "dual_new", "new", "contracted"):
        if phase == "contracted":
            segue.admin("CONTRACT wider")
        else:
            definition = (WIDER % {"table": "t", "column": "id"}).replace("{guard}", "reject")
            segue.move_to("wider", phase, definition)
        for shape in ("old", "new"):
            with segue.connect(shape, user="alice", prepare_threshold=None) as alice:
                alice.execute("INSERT INTO t (n) VALUES (1), (2)")
                alice.execute("UPDATE t SET n = n + 1 WHERE n = 2")
    with segue.direct() as direct:
        assert direct.execute("SELECT count(*), max(id), count(DISTINCT id) FROM t").fetchone() == (
            52, 52, 52)


SPLIT = """
transition "split" {
    table = "public.t"
    old "name"  { type = "text"  from = "first || ' ' || last" }
    new "first" { type = "text"  from = "split_part(name, ' ', 1)"  not_null = true }
    new "last"  { type = "text"  from = "split_part(name, ' ', 2)"  not_null = true }
    lossless = true
    guard = "{guard}"
}
"""
PARTNERS = """
transition "partners" {
    table = "public.s"
    old "a" { type = "integer"  from = "d::integer" }
    old "b" { type = "integer"  from = "b::integer" }
    new "b" { type = "bigint"   from = "b::bigint" }
    new "d" { type = "bigint"   from = "a::bigint" }
    lossless = true
    guard = "{guard}"
}
"""


def test_keys_of_several_columns_that_change_together_or_side_by_side(make_segue, cluster):
    split = {"old": "name text NOT NULL", "new": "first text NOT NULL, last text NOT NULL"}
    key = {"old": "name", "new": "first, last"}
    a, b = {"old": "a integer", "new": "d bigint"}, {"old": "b integer", "new": "b bigint"}
    tables = {
        s: f"""
            CREATE TABLE t (tenant int NOT NULL, {split[s]}, m int, PRIMARY KEY (tenant, {key[s]}),
                            UNIQUE ({key[s]}, m));
            CREATE UNIQUE INDEX ON t ({key[s]}) INCLUDE (tenant) WHERE m > 100;
            CREATE TABLE s ({a[s]}, {b[s]} PRIMARY KEY, boss int REFERENCES s ON DELETE CASCADE,
                            UNIQUE ({a[s].split()[0]}, b));
            CREATE UNIQUE INDEX ON s ({a[s].split()[0]} DESC) WHERE boss > 1;
            CREATE TABLE child (s_b int REFERENCES s, s_a int,
                                FOREIGN KEY (s_a, s_b) REFERENCES s ({a[s].split()[0]}, b));
        """ for s in key
    }

    def name(shape, n):
        return f"'f{n} l{n}'" if shape == "old" else f"'f{n}', 'l{n}'"

    def in_words(make):
        return lambda k: {s: make(k, s, key[s], a[s].split()[0]) for s in key}

    fill = {
        s: f"INSERT INTO t (tenant, {key[s]}, m) VALUES (1, {name(s, 1)}, 1), (1, {name(s, 2)}, 200);"
           f"INSERT INTO s ({a[s].split()[0]}, b) VALUES (1, 1), (2, 2); INSERT INTO child VALUES (1, 1)"
        for s in key
    }
    writes = [
        lambda k, s, key, a: f"INSERT INTO t (tenant, {key}, m) VALUES (1, {name(s, k)}, {k})",
        lambda k, s, key, a: f"INSERT INTO t (tenant, {key}, m) VALUES (1, {name(s, 1)}, {k})",
        lambda k, s, key, a: f"INSERT INTO t (tenant, {key}, m) VALUES ({k}, {name(s, 2)}, 300)",
        lambda k, s, key, a: f"INSERT INTO t (tenant, {key}, m) VALUES (1, {name(s, 2)}, {k}) "
                             f"ON CONFLICT (tenant, {key}) DO UPDATE SET m = t.m + excluded.m RETURNING {key}, m",
        lambda k, s, key, a: f"INSERT INTO t ({key}, tenant, m) VALUES ({name(s, 2)}, 1, {k}) "
                             "ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING RETURNING m",
        lambda k, s, key, a: f"INSERT INTO s ({a}, b) VALUES ({k}, {k + 1}), ({k + 1}, {k + 2})",
        lambda k, s, key, a: f"INSERT INTO s (b, {a}) VALUES (2, {k}) ON CONFLICT (b) DO UPDATE "
                             f"SET {a} = excluded.{a} RETURNING {a}, b",
        lambda k, s, key, a: f"INSERT INTO s (b, {a}) VALUES (1, 1) ON CONFLICT ({a}, b) DO NOTHING",
        lambda k, s, key, a: f"INSERT INTO child VALUES ({k - 2}, {k - 3})",
        lambda k, s, key, a: f"INSERT INTO child VALUES ({k - 2}, {k - 2})",
        lambda k, s, key, a: f"UPDATE s SET boss = 2 WHERE b = {k - 3} RETURNING {a}",
        lambda k, s, key, a: "DELETE FROM s WHERE b = 1",
        lambda k, s, key, a: f"UPDATE t SET ({key}) = ROW({name(s, 1)}) WHERE m = {k - 12} RETURNING m",
        lambda k, s, key, a: f"UPDATE t SET ({key}) = ROW({name(s, k)}) WHERE m = {k - 13} RETURNING {key}",
    ]
    one = Journey(
        make_segue, cluster, "several_keys", tables, {"split": SPLIT, "partners": PARTNERS}, fill,
        [in_words(w) for w in writes],
        {s: [f"SELECT tenant, {key[s]}, m FROM t ORDER BY 1, 2, 3", "SELECT * FROM child ORDER BY 1, 2",
             f"SELECT {a[s].split()[0]}, b, boss FROM s ORDER BY b"] for s in key},
    )
    one.whole()
