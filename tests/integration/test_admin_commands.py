"""The admin console's commands, as far as they are the console's own: which transition is meant,
what is shown, what is held. What they do to a database is in test_change.py and test_phases.py."""

import contextlib
import threading
import time

import psycopg2
import pytest

import tables
from cluster import Cluster
from segue import Segue
from waiting import admin_answers, wait_until


def test_transitions_are_found_by_name_over_all_databases(make_segue, cluster):
    names = []
    for name in ("admin_one", "admin_two"):
        cluster.create_database(name, template="old_template")
        names.append(name)
    segue = make_segue(names)
    definition = tables.definition("amount").replace("'", "''")
    with pytest.raises(psycopg2.Error, match="which of the 2 configured databases") as refused:
        segue.admin(f"APPLY '{definition}'")
    assert "DATABASE" in str(refused.value)
    segue.admin(f"APPLY '{definition}' DATABASE admin_one")
    segue.admin("EXPAND amount")
    segue.admin(f"APPLY '{definition}' FROM 'x.conf' DATABASE \"admin_two\"")
    with pytest.raises(psycopg2.Error, match="exists in 2 databases"):
        segue.admin("EXPAND amount")
    segue.admin("EXPAND admin_two.amount")
    stages = {(row["database"], row["name"]): row["stage"]
              for row in segue.admin("SHOW TRANSITIONS").rows}
    assert stages == {("admin_one", "amount"): "expanded", ("admin_two", "amount"): "expanded"}
    with pytest.raises(psycopg2.Error, match="not in the configuration"):
        segue.admin("EXPAND elsewhere.amount")
    with pytest.raises(psycopg2.Error, match='Did you mean "amount"'):
        segue.admin("EXPAND amuont")


def test_a_definition_that_is_wrong_names_its_file_and_line(shop):
    definition = tables.definition("amount").replace("guard", "gaurd").replace("'", "''")
    with pytest.raises(psycopg2.Error, match=r"changes/amount\.conf:6: ") as refused:
        shop.admin(f"APPLY '{definition}' FROM 'changes/amount.conf'")
    assert refused.value.pgcode == "F0000"


def test_a_definition_that_is_cut_does_not_spoil_the_next(shop):
    definition = tables.definition("amount")
    cut = definition[: definition.index("amount::text") + 3].replace("'", "''")
    for _ in range(2):
        with pytest.raises(psycopg2.Error):
            shop.admin(f"APPLY '{cut}'")
    definition = definition.replace("'", "''")
    shop.admin(f"APPLY '{definition}'")


def test_rewrite_shows_each_phase_and_executes_nothing(shop):
    for transition in tables.DEFINITIONS:
        definition = tables.definition(transition).replace("'", "''")
        shop.admin(f"APPLY '{definition}'")
    rows = shop.admin("REWRITE FOR old 'UPDATE users SET role = ''x,y'' WHERE id = 1'").rows
    assert [row["phase"] for row in rows] == ["old", "dual_old", "dual_own", "dual_new", "new"]
    assert [row["now"] for row in rows] == [True, False, False, False, False]
    assert rows[0]["outcome"] == "untouched"
    assert rows[2]["outcome"] == "changed" and "roles" in rows[2]["sql"]
    row, = shop.admin("REWRITE FOR new IN dual_own 'SELECT role FROM users'").rows
    assert row["outcome"] == "changed" or row["outcome"] == "refused"
    row, = shop.admin("REWRITE FOR old IN new $$SELECT 1$$").rows
    assert (row["outcome"], row["sql"]) == ("untouched", "SELECT 1")
    with shop.direct() as direct:
        assert direct.execute("SELECT role FROM users WHERE id = 1").fetchone() == ("admin,editor",)


def test_check_and_plan_speak_of_a_file_that_nobody_applied(shop):
    definition = tables.definition("users_role").replace("'", "''")
    assert "ADD COLUMN" in repr(shop.admin(f"PLAN '{definition}'").rows).upper()
    shop.admin(f"CHECK '{definition}'")
    assert shop.admin("SHOW TRANSITIONS").rows == []


def test_pause_holds_new_transactions_on_tables_in_transition_until_resume(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    shop.admin("PAUSE")
    assert shop.transitions()["users_role"]["held"] is True
    with shop.old() as connection:
        assert connection.execute("SELECT count(*) FROM plain").fetchone() == (2,)
    answers = []

    def ask():
        with shop.old() as connection:
            answers.append(connection.execute("SELECT count(*) FROM users").fetchone()[0])

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.4)
    assert answers == []
    with pytest.raises(psycopg2.Error, match="busy with another command: PAUSE"):
        shop.admin("ADVANCE users_role")
    shop.admin("RESUME")
    asking.join(60)
    assert answers == [5]
    assert shop.transitions()["users_role"]["held"] is False
    assert shop.admin("RESUME").rows == [{"result": "nothing was paused"}]


def test_resume_lets_go_what_a_pause_still_waits_for(shop):
    """And what comes after it holds is the next command's, not that PAUSE's."""
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    refused = []

    def pause():
        with pytest.raises(psycopg2.Error) as error:
            shop.admin("PAUSE")
        refused.append(error.value.pgcode)

    with shop.old(autocommit=False) as connection:
        connection.execute("UPDATE users SET role = 'kept' WHERE id = 1")
        pausing = threading.Thread(target=pause)
        pausing.start()
        wait_until(lambda: shop.transitions()["users_role"]["held"])
        assert shop.admin("RESUME").rows == [{"result": "1 database resumed"}]
        assert shop.transitions()["users_role"]["held"] is False
        pausing.join(60)
        connection.commit()
    assert refused == ["55000"]
    shop.admin("PAUSE")
    assert shop.transitions()["users_role"]["held"] is True
    resumed = []
    resuming = [threading.Thread(target=lambda: resumed.extend(shop.admin("RESUME").rows))
                for _ in range(4)]
    for thread in resuming:
        thread.start()
    for thread in resuming:
        thread.join(60)
    assert sorted(row["result"] for row in resumed) == ["1 database resumed"] + ["nothing was paused"] * 3


@pytest.fixture
def mortal_cluster():
    """A cluster of the test's own, which it may stop."""
    cluster = Cluster()
    cluster.create_database("mortal")
    with cluster.connect("mortal") as connection:
        connection.execute(tables.CREATE["old"])
        tables.fill(connection, "old")
    yield cluster
    cluster.remove()


def test_pause_outlives_a_restart_of_the_server(mortal_cluster, tmp_path):
    segue = Segue(mortal_cluster, tmp_path, ["mortal"]).start()
    definition = tables.definition("users_role").replace("'", "''")
    segue.admin(f"APPLY '{definition}'")
    segue.admin("PAUSE")
    mortal_cluster.stop()
    wait_until(lambda: segue.admin("SHOW FLEET").rows[0]["state"] == "lost")
    assert segue.transitions()["users_role"]["held"] is True
    mortal_cluster.start()
    wait_until(lambda: segue.admin("SHOW FLEET").rows[0]["state"] == "ready")
    assert segue.transitions()["users_role"]["held"] is True
    segue.admin("RESUME")
    assert segue.transitions()["users_role"]["held"] is False
    segue.stop()


def test_a_database_that_is_not_loaded_is_told_with_the_reason(make_segue):
    segue = make_segue(["nosuch"], start=False)
    segue.wait_until_ready = lambda: None
    segue.start()
    wait_until(lambda: admin_answers(segue))
    wait_until(lambda: "does not exist" in segue.admin("SHOW FLEET").rows[0]["reason"])
    told = segue.admin("SHOW TRANSITIONS")
    assert told.rows == [] and "nosuch" in told.notices[0]
    for command in ("PAUSE", "REWRITE FOR old 'SELECT 1'", "RELOAD"):
        with pytest.raises(psycopg2.Error, match="control connection") as refused:
            segue.admin(command)
        assert refused.value.pgcode == "08006", command
    with pytest.raises(psycopg2.Error, match="control connection"):
        segue.admin("EXPAND x")


def test_show_clients_and_statements_count_by_shape(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    with shop.old() as old, shop.new() as new:
        old.execute("SELECT role FROM users")
        for _ in range(3):
            new.execute("SELECT roles FROM users")
        shapes = [row["shape"] for row in shop.admin("SHOW CLIENTS").rows]
        assert sorted(shapes) == ["new", "old"]
        row = shop.transitions()["users_role"]
        assert (row["old_clients"], row["new_clients"]) == (1, 1)
    used = {row["shape"]: row for row in shop.admin("SHOW STATEMENTS").rows}
    assert used["old"]["statements"] == 1 and used["new"]["statements"] == 3
    assert used["new"]["last_used"] >= used["old"]["last_used"]


def test_show_fleet_names_who_holds_a_move_up(make_segue, shop_database):
    shop = make_segue([shop_database], settings="move_timeout = 10")
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    with shop.old() as slow:
        slow.execute("BEGIN")
        slow.execute("SELECT role FROM users")
        pid = slow.info.backend_pid
        moving = threading.Thread(target=lambda: _try(shop.admin, "ADVANCE users_role"))
        moving.start()
        wait_until(lambda: shop.admin("SHOW FLEET").rows[0]["held_up_by"] == 1)
        row, = shop.admin("SHOW FLEET").rows
        assert f"server process {pid}" in row["first_held_up_by"]
        slow.execute("COMMIT")
        moving.join(60)
    wait_until(lambda: shop.admin("SHOW FLEET").rows[0]["held_up_by"] == 0)
    assert shop.phase("users_role") == "dual_new"


def _try(function, *arguments):
    with contextlib.suppress(psycopg2.Error):
        function(*arguments)
