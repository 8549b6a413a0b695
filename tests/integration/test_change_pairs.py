"""Keys, indexes and constraints on a column in transition: what is refused, what fails, what is resumed."""

import contextlib
import threading

import psycopg
import psycopg2
import pytest

from commands import refused
from waiting import wait_until

CODES = """
transition "codes" {
    table = "public.t"
    old "code"   { type = "text"     from = "number::text" }
    new "number" { type = "integer"  from = "code::integer" }
    guard = "sync"
}
"""
SPLIT = """
transition "codes" {
    table = "public.t"
    old "code" { type = "text"  from = "a || '-' || b" }
    new "a"    { type = "text"  from = "split_part(code, '-', 1)" }
    new "b"    { type = "text"  from = "split_part(code, '-', 2)" }
}
"""
TABLE = "CREATE TABLE t (id int PRIMARY KEY, code text); CREATE TABLE other (id int, code text);"


@pytest.fixture
def shop(make_segue, cluster, shop_database):
    with cluster.connect(shop_database) as connection:
        connection.execute(TABLE)
    return make_segue([shop_database])


@pytest.mark.parametrize("definition, ddl, names", [
    (CODES, "CREATE VIEW v AS SELECT code FROM t; CREATE VIEW w AS SELECT id FROM t WHERE code > ''",
     ["view public.v", "view public.w"]),
    (CODES, "ALTER TABLE t ADD g text GENERATED ALWAYS AS (code || '!') STORED", ["column g"]),
    (CODES, "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (code <> '')",
     ["policy p"]),
    (CODES, "CREATE TRIGGER tr BEFORE UPDATE OF code ON t FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()", ["trigger tr"]),
    (CODES, "ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING btree (code WITH =)", ["apart"]),
    (CODES, "ALTER TABLE t ALTER code SET NOT NULL; CREATE UNIQUE INDEX ri ON t (code);"
            "ALTER TABLE t REPLICA IDENTITY USING INDEX ri", ["ri"]),
    (CODES, "CREATE UNIQUE INDEX small ON t (lower(code))", ["unique index \"small\""]),
    (CODES, "ALTER TABLE other ADD UNIQUE (code);"
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (code) REFERENCES other (code)",
     ["foreign key \"f\"", "compared"]),
    (CODES.replace('"sync"', '"off"').replace("integer", "varchar").replace("::varchar", "::text"),
     "ALTER TABLE other ADD UNIQUE (code); ALTER TABLE t ADD CONSTRAINT f "
     "FOREIGN KEY (code) REFERENCES other (code) ON DELETE SET NULL", ["guard must be sync"]),
    (SPLIT, "ALTER TABLE t ADD CONSTRAINT u UNIQUE (code); ALTER TABLE other ADD CONSTRAINT f "
            "FOREIGN KEY (code) REFERENCES t (code)", ["constraint f"]),
    (SPLIT, "ALTER TABLE t ADD CONSTRAINT u UNIQUE (code)", ["unique \"u\"", "may be NULL"]),
], ids=lambda value: value[0].split(" ")[-1].strip("\"") if isinstance(value, list) else "")
def test_what_cannot_be_carried_over_is_refused_by_name(shop, definition, ddl, names):
    with shop.direct() as direct:
        direct.execute(ddl)
    text = refused(shop, "APPLY '" + definition.replace("'", "''") + "'", "0A000")
    for name in names:
        assert name in text
    assert "HINT" in text
    assert "- APPLY refuses: " in str(shop.admin("CHECK '" + definition.replace("'", "''") + "'").rows)


def test_check_and_plan_tell_what_is_carried_over(shop):
    with shop.direct() as direct:
        direct.execute("ALTER TABLE t ADD CONSTRAINT u UNIQUE (code);"
                       "CREATE INDEX simple ON t (code); CREATE INDEX ex ON t (lower(code))")
    report = str(shop.admin("CHECK '" + CODES.replace("'", "''") + "'").rows)
    assert "constraint u on table public.t on column code is carried over" in report
    assert "index public.simple on column code is carried over" in report
    assert "- index public.ex depends on column code and goes with it at CONTRACT" in report
    shop.apply(CODES)
    plan = str(shop.admin("PLAN codes").rows)
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in plan and "DROP CONSTRAINT" in plan


def test_values_that_are_the_same_in_the_new_shape_keep_its_unique_index_away(shop):
    with shop.direct() as direct:
        direct.execute("ALTER TABLE t ADD CONSTRAINT u UNIQUE (code);"
                       "INSERT INTO t VALUES (1, '7'), (2, '07'), (3, '8')")
    shop.move_to("codes", "dual_old", CODES)
    shop.admin("BACKFILL codes START")
    shop.admin("VERIFY codes")
    text = refused(shop, "ADVANCE codes", "23505")
    assert "(number)=(7)" in text and "HINT" in text
    assert shop.phase("codes") == "dual_old"
    with shop.direct() as direct, shop.old() as old:
        left = direct.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone()
        assert left == (0,)
        old.execute("UPDATE t SET code = '9' WHERE id = 2")
        shop.admin("ADVANCE codes")
        with pytest.raises(psycopg.errors.UniqueViolation):
            old.execute("INSERT INTO t VALUES (4, '8')")
    shop.move_to("codes", "old")
    with shop.direct() as direct:
        names = direct.execute("SELECT indexrelid::regclass::text FROM pg_index "
                               " WHERE indrelid = 't'::regclass ORDER BY 1").fetchall()
        assert names == [("t_pkey",), ("u",)]


class Command(threading.Thread):
    """A command under way; `outcome` is its answer, or the error."""

    def __init__(self, segue, command):
        super().__init__()
        self.connection = segue.admin_connect()
        self.command = command
        self.outcome = None
        self.start()

    def run(self):
        try:
            with contextlib.closing(self.connection), self.connection.cursor() as cursor:
                cursor.execute(self.command)
                self.outcome = cursor.fetchall()
        except psycopg2.Error as problem:
            self.outcome = problem

    def finish(self):
        self.join(60)
        assert not self.is_alive()
        return self.outcome


def test_an_index_that_was_left_half_built_is_built_again(shop):
    with shop.direct() as direct:
        direct.execute("CREATE UNIQUE INDEX u ON t (code); INSERT INTO t VALUES (1, '7')")
    shop.move_to("codes", "dual_old", CODES)
    shop.admin("BACKFILL codes START")
    shop.admin("VERIFY codes")
    with shop.direct() as direct, shop.direct(autocommit=False) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT * FROM other")  # an old snapshot: the build waits for it

        def begin_to_build():
            advance = Command(shop, "ADVANCE codes")
            return advance, wait_until(lambda: direct.execute(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                " AND query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%'").fetchone())

        advance, _ = begin_to_build()
        with shop.old() as old:  # nobody waits behind it
            old.execute("UPDATE t SET code = '6' WHERE id = 1")
        advance.connection.cancel()  # Ctrl-C
        assert advance.finish().pgcode == "57014"
        advance, building = begin_to_build()
        direct.execute("SELECT pg_terminate_backend(%s)", building)
        assert isinstance(advance.finish(), psycopg2.Error)
        assert shop.phase("codes") == "dual_old"
        assert direct.execute(
            "SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (1,)
        reader.rollback()
        shop.admin("ADVANCE codes")
        assert direct.execute(
            "SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)
    shop.move_to("codes", "new")


WIDER = """
transition "wider" {
    table = "public.wide"
    old "id" { type = "integer"  from = "id::integer" }
    new "id" { type = "bigint"   from = "id::bigint" }
    lossless = true
}
"""


def test_foreign_keys_that_were_half_handed_over_are_taken_back(make_segue, shop_database, cluster):
    """A handover that a lock keeps from its end leaves new ones beside those that it was to replace."""
    segue = make_segue([shop_database], settings="move_timeout = 1")
    keys = ("SELECT n.conrelid::regclass::text, n.conname, a.atttypid::regtype::text, n.convalidated"
            "  FROM pg_constraint n JOIN pg_attribute a ON a.attrelid = n.confrelid"
            "   AND a.attnum = n.confkey[1] WHERE n.confrelid = 'wide'::regclass ORDER BY 1, 2")
    with cluster.connect(shop_database) as direct:
        direct.execute("CREATE TABLE wide (id int PRIMARY KEY); INSERT INTO wide VALUES (1), (2);"
                       "CREATE TABLE a (wide_id int REFERENCES wide); INSERT INTO a VALUES (1);"
                       "CREATE TABLE b (wide_id int REFERENCES wide)")
        segue.move_to("wider", "dual_new", WIDER)
        with segue.direct(autocommit=False) as holder:
            holder.execute("INSERT INTO b VALUES (2)")
            refused(segue, "ADVANCE wider", "55P03")
            holder.commit()
        assert len(direct.execute(keys).fetchall()) == 3
        segue.move_to("wider", "dual_old")
        as_before = [("a", "a_wide_id_fkey", "integer", True), ("b", "b_wide_id_fkey", "integer", True)]
        assert direct.execute(keys).fetchall() == as_before
        segue.move_to("wider", "new")
        assert direct.execute(keys).fetchall() == [
            (table, name, "bigint", True) for table, name, _, _ in as_before]
