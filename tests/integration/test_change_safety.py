"""Changing the database under circumstances that are not ideal: what may not be lost or held up."""

import threading
import time

import pytest

import tables
import wire
from commands import refused
from waiting import wait_until


def column(direct, table, name):
    """(type, not null, default) of a column; None where there is none."""
    return direct.execute(
        "SELECT format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)"
        "  FROM pg_attribute a"
        "  LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)"
        " WHERE a.attrelid = %s::regclass AND a.attname = %s AND NOT a.attisdropped",
        (table, name),
    ).fetchone()


@pytest.fixture
def owned(make_segue, shop_database, cluster):
    """A proxy whose control user owns the table users and is nothing more."""
    with cluster.connect(shop_database) as connection:
        connection.execute(
            "DO $$BEGIN CREATE ROLE owner_only LOGIN; EXCEPTION WHEN duplicate_object THEN END$$"
        )
        connection.execute(f'GRANT CREATE ON DATABASE "{shop_database}" TO owner_only')
        connection.execute("ALTER TABLE users OWNER TO owner_only")
    segue = make_segue(
        settings=f'database "{shop_database}" {{ control_user = "owner_only" }}', start=False
    )
    segue.databases = [shop_database]
    return segue.start()


def test_an_owner_that_is_no_superuser_takes_a_transition_to_its_end(owned):
    owned.move_to("users_role", "new", tables.definition("users_role"))
    owned.admin("CONTRACT users_role")
    with owned.old() as old, owned.new() as new:
        assert old.execute("SELECT role FROM users WHERE id = 1").fetchone() == ("admin,editor",)
        found = new.execute("SELECT roles FROM users WHERE id = 1").fetchone()
        assert found == (["admin", "editor"],)


def test_functions_on_the_search_path_are_not_called_in_place_of_postgresqls(
        make_segue, shop_database, cluster):
    """Who may create in public could lie in wait there with arguments that fit better."""
    with cluster.connect(shop_database) as connection:
        for signature in ("pg_try_advisory_lock(int)", "pg_advisory_xact_lock(int)",
                          "lure(oid, regtype)", "lure(numeric, smallint)"):
            connection.execute(f"CREATE FUNCTION public.{signature} RETURNS bool LANGUAGE plpgsql"
                               " AS $$BEGIN RAISE 'lured'; END$$")
        connection.execute("CREATE OPERATOR public.= (leftarg = oid, rightarg = regtype,"
                           " function = public.lure)")
        connection.execute("CREATE OPERATOR public.+ (leftarg = numeric, rightarg = smallint,"
                           " function = public.lure)")
    segue = make_segue([shop_database])
    definition = tables.definition("users_role")
    segue.admin("CHECK '" + definition.replace("'", "''") + "'")
    segue.move_to("users_role", "dual_new", definition)
    segue.admin("RELOAD")
    assert "lured" not in segue.log()


def test_only_the_owner_of_the_table_may_apply(owned):
    text = refused(owned, "APPLY '" + tables.definition("amount").replace("'", "''") + "'", "42501")
    assert "owner of table public.transactions" in text


def test_rows_that_a_policy_hides_fail_a_backfill_and_are_not_left_out(owned):
    owned.move_to("users_role", "dual_old", tables.definition("users_role"))
    with owned.direct() as direct:
        direct.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        direct.execute("CREATE POLICY few ON users USING (id < 3)")
        refused(owned, "BACKFILL users_role START", "42501")
        refused(owned, "VERIFY users_role", "42501")
        refused(owned, "ADVANCE users_role", "55000")
        direct.execute("ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
    owned.move_to("users_role", "dual_own")


def test_not_null_and_default_go_from_the_old_column_to_the_new_and_back(shop):
    with shop.direct() as direct, shop.old() as old, shop.new() as new:
        direct.execute("UPDATE users SET role = 'none' WHERE role IS NULL")
        direct.execute("ALTER TABLE users ALTER role SET NOT NULL, ALTER role SET DEFAULT 'user'")
        shop.apply(tables.definition("users_role"))
        shop.admin("EXPAND users_role")
        for number, phase in enumerate(("dual_old", "dual_own", "dual_new", "new")):
            shop.move_to("users_role", phase)
            for shape, connection in enumerate((old, new)):
                key = 100 + 10 * number + shape
                connection.execute("INSERT INTO users (id) VALUES (%s)", (key,))
                found = old.execute("SELECT role FROM users WHERE id = %s", (key,)).fetchone()
                assert found == ("user",)
                found = new.execute("SELECT roles FROM users WHERE id = %s", (key,)).fetchone()
                assert found == (["user"],)
        assert column(direct, "users", "role")[1] is False  # not written any more
        assert column(direct, "users", "roles")[1] is True
        assert "string_to_array" in column(direct, "users", "roles")[2]
        shop.move_to("users_role", "dual_own")
        assert column(direct, "users", "role") == ("text", True, "'user'::text")
        assert column(direct, "users", "roles") == ("text[]", False, None)
        tables.assert_parity(direct, "users_role")
        shop.move_to("users_role", "new")
        shop.admin("CONTRACT users_role")
        assert column(direct, "users", "role") is None
        assert column(direct, "users", "roles")[1] is True
        old.execute("INSERT INTO users (id) VALUES (200)")
        assert new.execute("SELECT roles FROM users WHERE id = 200").fetchone() == (["user"],)


def test_what_a_not_null_left_that_was_not_proved_to_its_end_refuses_nobody(shop):
    with shop.direct() as direct, shop.old() as old:
        direct.execute("UPDATE users SET role = 'none' WHERE role IS NULL")
        direct.execute("ALTER TABLE users ALTER role SET NOT NULL")
        shop.move_to("users_role", "dual_own", tables.definition("users_role"))
        # as of an ADVANCE that was cancelled, and found no moment to clean up
        direct.execute(
            "ALTER TABLE users ADD CONSTRAINT segue_not_null_roles CHECK (roles IS NOT NULL) NOT VALID"
        )
        shop.move_to("users_role", "old")
        old.execute("INSERT INTO users (id, role) VALUES (100, 'late')")
        shop.move_to("users_role", "dual_new")
        assert column(direct, "users", "roles")[1] is True


def test_a_check_on_the_old_column_keeps_phase_new_closed(shop):
    with shop.direct() as direct:
        direct.execute("ALTER TABLE users ADD CONSTRAINT no_root CHECK (role <> 'root')")
        shop.move_to("users_role", "dual_new", tables.definition("users_role"))
        text = refused(shop, "ADVANCE users_role", "0A000")
        assert "no_root" in text
        assert shop.phase("users_role") == "dual_new"
        direct.execute("ALTER TABLE users DROP CONSTRAINT no_root")
    shop.move_to("users_role", "new")


def test_a_long_transaction_delays_contract_and_nobody_else(shop):
    shop.move_to("users_role", "new", tables.definition("users_role"))
    with shop.old(autocommit=False) as long, shop.new() as other:
        long.execute("UPDATE users SET role = 'long' WHERE id = 1")
        contract = threading.Thread(target=shop.admin, args=("CONTRACT users_role",))
        contract.start()
        for _ in range(20):  # were they held until CONTRACT went on, it would be for good
            other.execute("UPDATE users SET roles = '{quick}' WHERE id = 2")
            time.sleep(0.05)
        assert contract.is_alive()
        long.commit()
        contract.join(60)
        assert not contract.is_alive()
    assert shop.transitions()["users_role"]["stage"] == "contracted"
    with shop.direct() as direct:
        rows = direct.execute("SELECT roles FROM users WHERE id < 3 ORDER BY id").fetchall()
        assert rows == [(["long"],), (["quick"],)]


def test_a_reader_that_segue_does_not_know_holds_contract_up_not_its_clients(shop):
    shop.move_to("users_role", "new", tables.definition("users_role"))
    with shop.direct(autocommit=False) as dump, shop.new() as client:
        dump.execute("SELECT count(*) FROM users")  # keeps its lock, as pg_dump does
        contract = threading.Thread(target=shop.admin, args=("CONTRACT users_role",))
        contract.start()
        done = 0
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            client.execute("UPDATE users SET roles = '{x}' WHERE id = 2")
            done += 1
        assert contract.is_alive() and done > 3
        dump.rollback()
        contract.join(60)
        assert not contract.is_alive()
    assert shop.transitions()["users_role"]["stage"] == "contracted"


def test_contract_learns_what_a_commit_has_done_whose_answer_was_lost(shop):
    """It has taken place: clients are let go only with what the table is like now."""
    shop.move_to("users_role", "new", tables.definition("users_role"))
    told = []

    def contract():
        told.append(refused(shop, "CONTRACT users_role", "08006"))

    with shop.direct() as direct, shop.old() as old:
        # this one commit waits for a standby that there is not
        direct.execute("CREATE FUNCTION segue.wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
                       " PERFORM set_config('synchronous_commit', 'on', true); RETURN new; END$$")
        direct.execute("CREATE TRIGGER wait BEFORE UPDATE ON segue.transitions FOR EACH ROW"
                       " WHEN (new.stage = 'contracted') EXECUTE FUNCTION segue.wait()")
        try:
            direct.execute("ALTER SYSTEM SET synchronous_commit = 'local'")
            direct.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            direct.execute("SELECT pg_reload_conf()")
            wait_until(lambda: direct.execute("SHOW synchronous_standby_names").fetchone()[0])
            contracting = threading.Thread(target=contract)
            contracting.start()
            wait_until(lambda: direct.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event = 'SyncRep' AND datname = current_database()").fetchall())
            contracting.join(60)
        finally:
            direct.execute("ALTER SYSTEM RESET synchronous_commit")
            direct.execute("ALTER SYSTEM RESET synchronous_standby_names")
            direct.execute("SELECT pg_reload_conf()")
        assert "SHOW TRANSITIONS tells" in told[0]
        assert old.execute("SELECT role FROM users WHERE id = 1").fetchone() == ("admin,editor",)
        row = shop.transitions()["users_role"]
        assert (row["stage"], row["held"]) == ("contracted", False)


def test_a_statement_of_a_killed_proxy_is_waited_for(make_segue, shop_database):
    segue = make_segue([shop_database])
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    with segue.direct() as direct, segue.direct(autocommit=False) as locker:
        locker.execute("SELECT FROM users WHERE id = 1 FOR UPDATE")
        with segue.raw("old") as client:
            client.send(wire.query("UPDATE users SET role = 'late' WHERE id = 1"))
            while not direct.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ).fetchone():
                time.sleep(0.02)
            segue.kill9()
        segue.start()
        said = []
        revert = threading.Thread(
            target=lambda: said.extend(segue.admin("REVERT users_role TO old").notices)
        )
        revert.start()
        revert.join(1)
        assert revert.is_alive() and segue.phase("users_role") == "dual_old"
        locker.rollback()
        revert.join(60)
        assert any("server process" in notice for notice in said)
        # written in dual_old, and dual_old it still was
        assert direct.execute("SELECT role, roles FROM users WHERE id = 1").fetchone() == (
            "late", ["late"],
        )
        assert segue.phase("users_role") == "old"


def test_the_old_values_of_an_earlier_transition_are_not_overwritten(shop):
    shop.move_to("users_role", "new", tables.definition("users_role"))
    shop.admin("CONTRACT users_role")
    shop.admin("RETIRE users_role FORCE")
    with shop.direct() as direct:
        direct.execute("ALTER TABLE users RENAME roles TO role")
        direct.execute("ALTER TABLE users ALTER role TYPE text USING array_to_string(role, ',')")
        again = tables.definition("users_role")
        text = refused(shop, "APPLY '" + again.replace("'", "''") + "'", "42P07")
        assert "undo_users_role" in text
        direct.execute('DROP TABLE segue."undo_users_role"')
        shop.apply(again)


def test_retire_in_phase_old_undoes_apply_and_expand(shop):
    shop.apply(tables.definition("users_role"))
    shop.admin("EXPAND users_role")
    shop.admin("RETIRE users_role FORCE")
    with shop.direct() as direct, shop.old() as old:
        assert column(direct, "users", "roles") is None
        assert old.execute("SELECT * FROM users WHERE id = 2").fetchone() == (2, "bob", "viewer")
    assert shop.transitions() == {}


def test_a_transition_whose_table_was_dropped_is_left_out_and_can_be_retired(shop):
    shop.apply(tables.definition("users_role"))
    shop.apply(tables.definition("amount"))
    with shop.direct() as direct:
        direct.execute("DROP TABLE users")
    shop.restart()
    assert set(shop.transitions()) == {"amount"}
    refused(shop, "RETIRE users_role", "55000")
    shop.admin("RETIRE users_role FORCE")
    refused(shop, "RETIRE users_role FORCE", "42704")
    with shop.direct() as direct:
        assert direct.execute("SELECT name FROM segue.transitions").fetchall() == [("amount",)]


PEOPLE = """
transition "names" {
    table = "people"
    old "name"  { type = "text"  from = "first || ' ' || last" }
    new "first" { type = "text"  from = "split_part(name, ' ', 1)"  not_null = true }
    new "last"  { type = "text"  from = "split_part(name, ' ', 2)" }
}
"""


def test_one_column_becomes_two_over_partitions(shop):
    with shop.direct() as direct:
        direct.execute(
            "CREATE TABLE people (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);"
            "CREATE TABLE people_1 PARTITION OF people FOR VALUES FROM (0) TO (500);"
            "CREATE TABLE people_2 PARTITION OF people FOR VALUES FROM (500) TO (2000);"
            "INSERT INTO people SELECT i, 'F' || i || ' L' || i FROM generate_series(1, 1500) i"
        )
        shop.move_to("names", "new", PEOPLE)
        shop.admin("CONTRACT names")
        assert direct.execute(
            "SELECT count(*) FROM people WHERE first = 'F' || id AND last = 'L' || id"
        ).fetchone() == (1500,)
        assert column(direct, "people", "first")[1] is True
        assert direct.execute("SELECT count(name) FROM segue.undo_names").fetchone() == (1500,)
    with shop.old() as old:
        assert old.execute("SELECT name FROM people WHERE id = 700").fetchone() == ("F700 L700",)


def test_a_name_that_depends_on_the_search_path_is_refused_unless_it_has_its_schema(shop):
    with shop.direct() as direct:
        direct.execute(
            "CREATE FUNCTION public.split(t text) RETURNS text[] IMMUTABLE LANGUAGE sql"
            " AS $$ SELECT string_to_array(t, ',') $$"
        )
    bare = tables.definition("users_role").replace("string_to_array(role, ',')", "split(role)")
    assert "schema" in refused(shop, "APPLY '" + bare.replace("'", "''") + "'", "42883")
    shop.apply(bare.replace("split(role)", "public.split(role)"))


def test_check_names_what_it_finds_and_plan_what_it_would_do(shop):
    with shop.direct() as direct:
        direct.execute("UPDATE transactions SET amount = 'ten' WHERE id = 2")
        direct.execute("UPDATE transactions SET amount = '7.5' WHERE id = 3")
        direct.execute("CREATE INDEX by_amount ON transactions (amount)")
    text = tables.definition("amount").replace("'", "''")
    found = "\n".join(str(row) for row in shop.admin(f"CHECK '{text}'").rows)
    assert "index public.by_amount" in found
    assert "id = 2" in found and '"ten"' in found
    assert "do not come back" in found and "id = 3" in found
    plan = "\n".join(str(row) for row in shop.admin(f"PLAN '{text}'").rows)
    assert 'ADD COLUMN "amount_new" numeric(12,2)' in plan
    assert 'RENAME COLUMN "amount_new" TO "amount"' in plan
    assert shop.transitions() == {}
