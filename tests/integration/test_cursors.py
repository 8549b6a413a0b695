"""UPDATE and DELETE .. WHERE CURRENT OF a cursor that was declared through Segue, in every phase."""

import pytest

import tables
from segue import PHASES

COLUMN = {"old": "role", "new": "roles"}
VALUE = {"old": ("'viewer,owner'", "viewer,owner"), "new": ("'{viewer,owner}'", ["viewer", "owner"])}
# Each stays a plain scan of the table in every phase, or is locked by FOR UPDATE.
CURSORS = {
    "the column": "SELECT {column}, id FROM users",
    "a condition on it": "SELECT * FROM users WHERE {column} IS NOT NULL",
    "whole rows": "SELECT u FROM users u",
    "locked": "SELECT {column} FROM users ORDER BY id FOR UPDATE",
    "a join, locked": "SELECT u.{column} FROM users u LEFT JOIN plain p ON p.id = u.id ORDER BY u.id "
                      "FOR UPDATE OF u",
}


def shapes_of(phase):
    return ("old",) if phase == "old" else ("old", "new")  # the transition is lossy


@pytest.mark.parametrize("guard", ["off", "sync", "reject"])
def test_current_of_in_every_phase(shop, guard):
    for phase in PHASES:
        shop.move_to("users_role", phase, tables.definition("users_role", guard))
        for shape in shapes_of(phase):
            with shop.connect(shape, prepare_threshold=None) as app:
                for what, query in CURSORS.items():
                    use_cursor(app, shape, query, f"{phase}, {shape}, {what}")
        if phase in ("dual_own", "dual_new"):
            with shop.direct() as direct:
                tables.assert_parity(direct, "users_role")


def use_cursor(app, shape, query, where):
    column, (literal, value) = COLUMN[shape], VALUE[shape]
    app.execute("BEGIN")
    app.execute("DECLARE c CURSOR FOR " + query.format(column=column))
    app.execute("FETCH 2 FROM c")
    changed = app.execute(
        f"UPDATE users SET {column} = {literal} WHERE CURRENT OF c RETURNING id, {column}").fetchall()
    assert len(changed) == 1 and changed[0][1] == value, where
    again = app.execute(
        f"UPDATE users AS u SET (name, {column}) = (SELECT 'cur' || random(), u.{column}) "
        f"WHERE CURRENT OF c RETURNING u.id, u.{column}").fetchall()
    assert again == changed, where
    app.execute("FETCH c")
    gone = app.execute("DELETE FROM users WHERE CURRENT OF c RETURNING id").fetchall()
    assert len(gone) == 1 and (gone[0][0] != changed[0][0]), where
    left = app.execute(f"SELECT id FROM users WHERE {column} = {literal}").fetchall()
    assert left == [(changed[0][0],)], where
    app.execute("ROLLBACK")
