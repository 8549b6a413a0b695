"""PREPARE and EXECUTE as SQL: a statement that was prepared for an older phase is prepared again, unseen."""

import contextlib

import psycopg2
import pytest

import tables


@contextlib.contextmanager
def simple_session(segue, shape):
    """psycopg2, which speaks the simple protocol."""
    connection = psycopg2.connect(
        host="127.0.0.1", port=segue.port(shape), user="postgres", dbname=segue.databases[0]
    )
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def physical(segue, key):
    with segue.direct() as connection:
        return connection.execute("SELECT * FROM users WHERE id = %s", [key]).fetchone()


def ask(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall() if cursor.description else None


def go_through_the_phases(shop, step):
    """Calls step(name) before anything, and in each phase up to CONTRACT."""
    step("before")
    definition = tables.definition("users_role", guard="off").replace("'", "''")
    shop.admin(f"APPLY '{definition}'")
    step("applied")
    shop.admin("EXPAND users_role")
    step("old")
    shop.admin("ADVANCE users_role TO dual_old")
    step("dual_old")
    shop.admin("BACKFILL users_role")
    shop.admin("VERIFY users_role")
    for phase in ("dual_own", "dual_new", "new"):
        shop.admin(f"ADVANCE users_role TO {phase}")
        step(phase)
    shop.admin("CONTRACT users_role")
    step("contracted")


def test_an_old_client_executes_what_it_prepared_before_there_was_a_transition(shop):
    with simple_session(shop, "old") as cursor:
        cursor.execute("PREPARE r AS SELECT * FROM users WHERE id = $1")
        cursor.execute("PREPARE w AS UPDATE users SET role = $2 WHERE id = $1 RETURNING *")

        def step(name):
            role = f"dev,{name}"
            assert ask(cursor, f"EXECUTE w(1, '{role}')")[0][2] == role, name
            assert ask(cursor, "EXECUTE r(1)")[0][2] == role, name
            with simple_session(shop, "old") as other:
                assert ask(other, "SELECT role FROM users WHERE id = 1") == [(role,)], name

        go_through_the_phases(shop, step)
    assert physical(shop, 1)[-1] == ["dev", "contracted"]


@pytest.mark.parametrize(
    "text",
    [
        "PREPARE w AS UPDATE users SET role = $2 WHERE id = $1;",
        "SELECT 1; PREPARE w AS UPDATE users SET role = $2 WHERE id = $1; SELECT 2",
        "/* ours */ PREPARE w AS UPDATE users SET role = $2 WHERE id = $1 -- and that is all",
    ],
)
def test_a_prepare_is_found_again_wherever_it_stood_in_its_text(shop, text):
    with simple_session(shop, "old") as cursor:
        cursor.execute(text)

        def step(name):
            cursor.execute(f"EXECUTE w(2, 'dev,{name}')")
            with simple_session(shop, "old") as other:
                assert ask(other, "SELECT role FROM users WHERE id = 2") == [(f"dev,{name}",)], name

        go_through_the_phases(shop, step)
    assert physical(shop, 2)[-1] == ["dev", "contracted"]


def test_a_star_is_spelled_out_before_expand_adds_a_column_to_it(shop):
    """Else a prepared star would fail between the new column's coming and Segue's telling."""
    definition = tables.definition("users_role", guard="off").replace("'", "''")
    shop.admin(f"APPLY '{definition}'")
    with shop.old() as old:
        rows = old.execute("SELECT * FROM users ORDER BY id", prepare=True).fetchall()
        with shop.direct() as direct:
            direct.execute("ALTER TABLE users ADD COLUMN roles text[]")
            assert old.execute("SELECT * FROM users ORDER BY id", prepare=True).fetchall() == rows
            direct.execute("ALTER TABLE users DROP COLUMN roles")
