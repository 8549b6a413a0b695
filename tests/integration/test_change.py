"""What alters the database: expand, verify, guard, contract, retire, and their refusals."""

import threading
import time

import psycopg
import psycopg2
import pytest

import tables
import wire
from commands import InBackground, refused
from waiting import wait_until


# ---------------------------------------------------------------- verify


def test_verify_finds_a_planted_mismatch_counts_it_and_names_it(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role", guard="off"))
    with shop.direct() as direct:
        direct.execute("UPDATE users SET roles = '{planted}' WHERE id = 4")
        text = refused(shop, "VERIFY users_role", sqlstate="55000")
        assert "1 row" in text and "id = 4" in text
        # and the moves that ask for parity are closed until it is mended
        refused(shop, "ADVANCE users_role")
        direct.execute("UPDATE users SET roles = string_to_array(role, ',') WHERE id = 4")
    assert "5" in str(shop.admin("VERIFY users_role").rows)
    shop.admin("ADVANCE users_role")


# ---------------------------------------------------------------- guard


def test_guard_sync_fills_the_other_column_on_direct_writes(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role", guard="sync"))
    with shop.direct() as direct:
        direct.execute("UPDATE users SET role = 'past,segue' WHERE id = 1")
        direct.execute("UPDATE users SET roles = '{new,side}' WHERE id = 2")
        direct.execute("INSERT INTO users (id, role) VALUES (10, 'in,serted')")
        assert direct.execute(
            "SELECT role, roles FROM users WHERE id IN (1, 2, 10) ORDER BY id"
        ).fetchall() == [
            ("past,segue", ["past", "segue"]), ("new,side", ["new", "side"]),
            ("in,serted", ["in", "serted"]),
        ]
        tables.assert_parity(direct, "users_role")


def test_guard_reject_refuses_direct_writes_out_of_parity_and_no_others(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role", guard="reject"))
    with shop.direct() as direct:
        with pytest.raises(psycopg.Error) as error:
            direct.execute("UPDATE users SET role = 'past' WHERE id = 1")
        assert "users_role" in str(error.value)
        direct.execute("UPDATE users SET name = 'fine' WHERE id = 1")
        direct.execute("UPDATE users SET role = 'a,b', roles = '{a,b}' WHERE id = 1")
        tables.assert_parity(direct, "users_role")
    with shop.old() as connection:
        connection.execute("UPDATE users SET role = 'through' WHERE id = 1")


def test_guard_off_lets_them_pass_and_verify_finds_them(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role", guard="off"))
    with shop.direct() as direct:
        direct.execute("UPDATE users SET role = 'past' WHERE id = 1")
        assert [row[0] for row in tables.out_of_parity(direct, "users_role")] == [1]
        assert direct.execute(
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'users'::regclass AND NOT tgisinternal"
        ).fetchone() == (0,)


# ---------------------------------------------------------------- contract and retire


@pytest.mark.parametrize("transition", tables.DEFINITIONS)
def test_after_contract_only_the_new_column_is_there_and_both_shapes_work(shop, transition):
    shop.move_to(transition, "new", tables.definition(transition))
    shop.admin(f"CONTRACT {transition}")
    table = tables.TABLE[transition]
    old, new = {"users_role": ("role", "roles"), "amount": ("amount", "amount"),
                "order_total": ("total_cents", "total")}[transition]
    with shop.direct() as direct, shop.raw("old") as old_client, shop.raw("new") as new_client:
        columns = [name for (name,) in direct.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum", (table,))]
        assert columns == ["id", "name" if table == "users" else "user_id", new]
        value = {"users_role": ("a,b", "{a,b}"), "amount": ("7.25", "7.25"),
                 "order_total": ("725", "7.25")}[transition]
        old_client.send(wire.extended(f"UPDATE {table} SET {old} = $1 WHERE id = 1 RETURNING {old}",
                                      [value[0]]) + wire.sync())
        assert old_client.read_until()[3].row() == [value[0].encode()]
        assert new_client.rows(f"SELECT {new} FROM {table} WHERE id = 1") == [[value[1]]]
        new_client.query(f"INSERT INTO {table} (id, {new}) VALUES (50, '{value[1]}')")
        assert old_client.rows(f"SELECT {old} FROM {table} WHERE id = 50") == [[value[0]]]
        assert len(old_client.rows(f"SELECT * FROM {table}")[0]) == 3
        assert [c[0] for c in old_client.query(f"SELECT * FROM {table}")[0].columns()][-1] == old


def test_after_contract_stars_and_defaults_are_the_old_ones_whatever_else_was_dropped(shop):
    with shop.direct() as direct:
        direct.execute("ALTER TABLE users ADD junk int, ADD extra int DEFAULT 7,"
                       " ALTER role SET DEFAULT 'guest'; ALTER TABLE users DROP junk")
    shop.move_to("users_role", "new", tables.definition("users_role"))
    shop.admin("CONTRACT users_role")
    for _ in range(2):
        with shop.old() as old, shop.new() as new:
            row = old.execute("SELECT * FROM users WHERE id = 1")
            assert [column.name for column in row.description] == ["id", "name", "role", "extra"]
            assert row.fetchone() == (1, "ann", "admin,editor", 7)
            old.execute("DELETE FROM users WHERE id > 59")
            old.execute("INSERT INTO users VALUES (60, 'sixty', 'x,y', 8)")
            old.execute("INSERT INTO users (id) VALUES (61)")
            rows = new.execute("SELECT * FROM users WHERE id > 59 ORDER BY id").fetchall()
            assert rows == [(60, "sixty", 8, ["x", "y"]), (61, None, 7, ["guest"])]
        shop.restart()  # and the same from what is in the store


def test_contract_makes_clients_wait_and_fail_never(shop):
    shop.move_to("users_role", "new", tables.definition("users_role"))
    stop = threading.Event()
    count = [0]

    def app(shape, column):
        with shop.connect(shape, prepare_threshold=0) as connection:
            while not stop.is_set():
                connection.execute(f"SELECT {column} FROM users WHERE id = %s", (1,)).fetchone()
                connection.execute(f"UPDATE users SET {column} = {column} WHERE id = 2")
                count[0] += 1

    apps = [InBackground(app, "old", "role"), InBackground(app, "new", "roles")]
    try:
        time.sleep(0.5)
        shop.admin("CONTRACT users_role")
        before = count[0]
        wait_until(lambda: count[0] > before + 20 or not all(a.is_alive() for a in apps))
    finally:
        stop.set()
        for thread in apps:
            thread.finish()


def test_contract_survives_kill_9(shop):
    shop.move_to("amount", "new", tables.definition("amount"))
    shop.admin("CONTRACT amount")
    shop.kill9()
    shop.start()
    assert shop.transitions()["amount"]["stage"] == "contracted"
    with shop.raw("old") as old, shop.raw("new") as new:
        assert old.rows("SELECT amount || '' FROM transactions WHERE id = 1") == [["10.50"]]
        assert new.rows("SELECT amount + 1 FROM transactions WHERE id = 1") == [["11.50"]]


def test_the_old_values_are_kept_by_contract(shop):
    shop.move_to("users_role", "new", tables.definition("users_role"))
    shop.admin("CONTRACT users_role")
    with shop.direct() as direct:
        kept = direct.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid ="
            " relnamespace WHERE nspname = 'segue' AND relkind = 'r' AND relname LIKE '%undo%'"
        ).fetchall()
        assert kept
        rows = [direct.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in kept]
        assert 5 in rows


def test_retire_is_refused_while_old_clients_use_the_table_unless_forced(shop):
    shop.move_to("users_role", "new", tables.definition("users_role"))
    refused(shop, "RETIRE users_role")  # not contracted
    shop.admin("CONTRACT users_role")
    with shop.old() as connection:
        connection.execute("SELECT role FROM users")
    refused(shop, "RETIRE users_role")
    shop.admin("RETIRE users_role FORCE")
    assert "users_role" not in shop.transitions()
    with shop.raw("old") as connection:
        assert wire.error_of(connection.query("SELECT role FROM users")).sqlstate == "42703"
        assert connection.rows("SELECT roles FROM users WHERE id = 2") == [["{viewer}"]]


def test_retire_is_allowed_when_no_old_client_was_seen_for_long_enough(make_segue, shop_database):
    segue = make_segue([shop_database], settings="retire_after = 1")
    segue.move_to("users_role", "new", tables.definition("users_role"))
    segue.admin("CONTRACT users_role")
    with segue.old() as connection:
        connection.execute("SELECT role FROM users")
    time.sleep(1.5)
    segue.admin("RETIRE users_role")
    assert segue.transitions() == {}


# ---------------------------------------------------------------- APPLY's refusals

BAD = {
    "no table": ('table = "public.users"', 'table = "public.nosuch"', "42P01", "nosuch"),
    "no old column": ('old "role"', 'old "rolle"', "42703", "rolle"),
    "the wrong type": ('"role"  { type = "text"', '"role"  { type = "integer"', None, "integer"),
    "no such type": ('type = "text[]"', 'type = "texxt"', "42704", "texxt"),
    "no such column in the expression": ("string_to_array(role,", "string_to_array(rolle,", "42703",
                                         "rolle"),
    "no such function": ("string_to_array(", "string_to_arry(", "42883", "string_to_arry"),
    "an expression of another type": ("string_to_array(role, ',')", "length(role)", None, "integer"),
    "a syntax error": ("string_to_array(role, ',')", "string_to_array(role,", "42601", None),
    "a volatile conversion": ("string_to_array(role, ',')", "ARRAY[role, random()::text]", None,
                              "random"),
    "a new column that is there": ("roles", "name", "42701", "name"),
    "a schema that is not there": ("public.users", "nosuch.users", None, "nosuch"),
}


@pytest.mark.parametrize("find, replace, sqlstate, word", BAD.values(), ids=BAD.keys())
def test_a_transition_that_does_not_fit_is_refused_at_apply(shop, find, replace, sqlstate, word):
    text = tables.definition("users_role")
    assert find in text
    with pytest.raises(psycopg2.Error) as error:
        shop.admin("APPLY '" + text.replace(find, replace).replace("'", "''") + "'")
    assert word is None or word in str(error.value)
    if sqlstate:
        assert error.value.pgcode == sqlstate, str(error.value)
    assert shop.transitions() == {}
    with shop.raw() as connection:
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]


def test_an_unknown_key_of_a_definition_is_told_with_its_line(shop):
    text = tables.definition("users_role").replace("guard =", "gard =")
    with pytest.raises(psycopg2.Error) as error:
        shop.admin("APPLY '" + text.replace("'", "''") + "'")
    assert "gard" in str(error.value)
    assert "7" in str(error.value)


def test_a_name_can_be_applied_once_and_a_column_be_in_one_transition(shop):
    shop.move_to("users_role", "old", tables.definition("users_role"))
    text = tables.definition("users_role").replace("'", "''")
    refused(shop, f"APPLY '{text}'")
    with pytest.raises(psycopg2.Error):
        shop.admin("APPLY '" + text.replace('"users_role"', '"again"') + "'")
    assert list(shop.transitions()) == ["users_role"]


def test_expand_gives_up_on_a_lock_in_time_and_can_be_said_again(make_segue, shop_database):
    segue = make_segue([shop_database], settings="lock_timeout = 200")
    segue.move_to("users_role", "old", tables.definition("users_role"))
    with segue.direct(autocommit=False) as holder:
        holder.execute("SELECT 1 FROM users")
        expand = InBackground(segue.admin, "EXPAND users_role")
        time.sleep(0.8)
        with segue.old() as connection:  # nobody queues behind it for long
            connection.execute("SET statement_timeout = '5s'")
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (5,)
        holder.rollback()
        try:
            expand.finish()
        except psycopg2.Error as told:
            assert told.pgcode == "55P03"
            segue.admin("EXPAND users_role")
    assert segue.transitions()["users_role"]["stage"] == "expanded"
