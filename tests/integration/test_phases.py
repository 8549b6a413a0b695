"""Phase moves: pinned transactions, moves that wait or are taken back, and kill -9 at any time."""

import contextlib
import random
import threading
import time

import psycopg
import psycopg2
import pytest

import tables
import wire
from commands import InBackground, refused
from segue import PHASES
from waiting import wait_until


@pytest.fixture
def users(shop):
    """users_role in dual_own: everything is in parity."""
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    return shop


def test_a_transaction_keeps_its_phase_while_a_move_waits_and_others_go_on(users):
    with users.raw("old") as pinned, users.raw("old") as other:
        pinned.query("BEGIN; UPDATE users SET role = 'first' WHERE id = 1")
        move = InBackground(users.admin, "ADVANCE users_role TO dual_new")
        time.sleep(0.7)
        assert move.is_alive(), "the move did not wait for the transaction"
        # those that begin now are in the new phase and are not held up
        assert other.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
        other.query("UPDATE users SET role = 'second' WHERE id = 2")
        # the pinned one goes on in its own
        assert pinned.rows("SELECT role FROM users WHERE id = 1") == [["first"]]
        pinned.query("UPDATE users SET role = role || ',more' WHERE id = 1")
        assert move.is_alive()
        assert wire.transaction_state(pinned.query("COMMIT")) == "I"
        move.finish()
        assert pinned.rows("SELECT role FROM users WHERE id < 3 ORDER BY id") == [
            ["first,more"], ["second"]
        ]
    assert users.phase("users_role") == "dual_new"
    with users.direct() as direct:
        tables.assert_parity(direct, "users_role")


@pytest.mark.parametrize("start, to", [("dual_new", "new"), ("dual_old", "old")])
def test_the_guard_serves_a_copy_until_the_last_session_has_left_the_dual_phases(shop, start, to):
    shop.move_to("users_role", start, tables.definition("users_role"))
    step = "ADVANCE" if to == "new" else "REVERT"
    with shop.old() as pinned:
        pinned.execute("BEGIN")
        pinned.execute("SELECT role FROM users WHERE id = 1")
        move = InBackground(shop.admin, f"{step} users_role TO {to}")
        time.sleep(0.7)
        assert move.is_alive(), "the move did not wait for the transaction"
        with pinned.cursor().copy("COPY users (id, name, role) FROM STDIN") as copy:
            copy.write_row((900, "copied", "admin,copy"))
        pinned.execute("COMMIT")
        move.finish()
    with shop.direct() as direct:
        assert direct.execute("SELECT role, roles FROM users WHERE id = 900").fetchone() == (
            "admin,copy", ["admin", "copy"])


def test_an_unsynced_batch_pins_its_phase_too(users):
    with users.raw("old") as pinned:
        pinned.send(wire.extended("UPDATE users SET role = 'one' WHERE id = 1") + wire.flush())
        pinned.read_until(b"C")
        move = InBackground(users.admin, "ADVANCE users_role TO dual_new")
        time.sleep(0.5)
        assert move.is_alive()
        pinned.send(wire.extended("UPDATE users SET role = 'two' WHERE id = 2") + wire.sync())
        pinned.read_until()
        move.finish()
    with users.direct() as direct:
        tables.assert_parity(direct, "users_role")


def test_idle_sessions_hold_up_no_move(users):
    clients = [users.raw("old") for _ in range(20)]
    for client in clients:
        client.rows("SELECT role FROM users")
    users.move_to("users_role", "dual_new")  # it would be taken back if it had to wait for them
    for client in clients:
        assert len(client.rows("SELECT role FROM users")) == 5
        client.close()


def test_a_move_that_waits_too_long_is_taken_back_and_says_what_held_it_up(
    make_segue, shop_database
):
    segue = make_segue([shop_database], settings="move_timeout = 1")
    segue.move_to("users_role", "dual_own", tables.definition("users_role"))
    with segue.raw("old") as pinned:
        pinned.query("BEGIN; UPDATE users SET role = 'held' WHERE id = 1")
        with pytest.raises(psycopg2.Error) as refused:
            segue.admin("ADVANCE users_role TO dual_new")
        assert refused.value.pgcode == "55P03"
        assert "1" in str(refused.value)
        assert segue.phase("users_role") == "dual_own"
        with segue.raw("new") as other:
            assert other.rows("SELECT roles FROM users WHERE id = 2") == [["{viewer}"]]
        assert wire.transaction_state(pinned.query("COMMIT")) == "I"
    segue.move_to("users_role", "dual_new")
    with segue.direct() as direct:
        tables.assert_parity(direct, "users_role")


# ---------------------------------------------------------------- entry conditions


def test_a_phase_is_entered_only_when_its_condition_is_met_and_the_refusal_names_it(shop):
    shop.move_to("users_role", "old", tables.definition("users_role"))
    assert "expand" in refused(shop, "ADVANCE users_role").lower()
    shop.admin("EXPAND users_role")
    shop.admin("ADVANCE users_role")
    assert shop.phase("users_role") == "dual_old"
    assert "backfill" in refused(shop, "ADVANCE users_role").lower()
    shop.admin("BACKFILL users_role START")
    assert "verif" in refused(shop, "ADVANCE users_role").lower()
    shop.admin("VERIFY users_role")
    shop.admin("ADVANCE users_role")
    assert shop.phase("users_role") == "dual_own"
    shop.admin("ADVANCE users_role TO new")
    assert shop.phase("users_role") == "new"
    shop.admin("REVERT users_role")
    assert shop.phase("users_role") == "dual_new"
    # old values went stale while only the new column was written: they are filled in first
    assert "backfill" in refused(shop, "REVERT users_role").lower()


def test_moves_know_their_direction_and_their_ends(users):
    refused(users, "ADVANCE users_role TO dual_old")
    refused(users, "REVERT users_role TO new")
    refused(users, "ADVANCE no_such_transition", sqlstate="42704")
    refused(users, "CONTRACT users_role")
    users.move_to("users_role", "old")
    refused(users, "REVERT users_role")
    with users.old() as connection:
        assert connection.execute("SELECT role FROM users WHERE id = 1").fetchone() == (
            "admin,editor",
        )


def test_every_move_is_in_the_audit_log(users):
    users.move_to("users_role", "dual_new")
    users.move_to("users_role", "dual_own")
    with users.direct() as direct:
        columns = direct.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'segue'"
        ).fetchall()
        audit = [name for (name,) in columns if "audit" in name]
        assert len(audit) == 1
        text = [str(row) for row in direct.execute(f"TABLE segue.{audit[0]}").fetchall()]
    for action in ("apply", "expand", "backfill", "verify", "advance", "revert"):
        assert any(f"'{action}'" in row for row in text), action


# ---------------------------------------------------------------- kill -9


@pytest.mark.parametrize("phase", PHASES)
def test_a_proxy_that_is_killed_and_started_again_goes_on_where_it_was(shop, phase):
    shop.move_to("users_role", phase, tables.definition("users_role"))
    shape = "old" if phase == "old" else "new"
    before = shop.transitions()["users_role"]
    busy = shop.raw("old")
    busy.query("BEGIN; UPDATE users SET role = 'uncommitted' WHERE id = 1")
    shop.kill9()
    busy.close()
    shop.start()
    after = shop.transitions()["users_role"]
    assert (after["phase"], after["stage"]) == (before["phase"], before["stage"])
    with shop.raw("old") as old, shop.raw(shape) as other:
        old.query("SET lock_timeout = '10s'")
        assert old.rows("SELECT role FROM users WHERE id < 3 ORDER BY id") == [
            ["admin,editor"], ["viewer"]
        ]
        assert old.query("UPDATE users SET role = 'after,all' WHERE id = 2")[0].kind == b"C"
        column = "role" if shape == "old" else "roles[1]"
        assert other.rows(f"SELECT {column} FROM users WHERE id = 2") == [
            ["after,all" if shape == "old" else "after"]
        ]
    if phase != "new":
        shop.move_to("users_role", PHASES[PHASES.index(phase) + 1])


def test_a_second_proxy_for_the_same_database_is_kept_out(users, make_segue):
    other = make_segue(users.databases, start=False)
    other.log_path.touch()
    other.wait_until_ready = lambda: time.sleep(1)
    with other.log_contains(r"(?i)another|already|held|claim|advisory|55006"):
        other.start()
    assert not other.lets_in(other.old_port, users.databases[0]) or refusal_of(other)
    assert users.phase("users_role") == "dual_own"


def test_who_is_cut_off_while_another_has_the_database_holds_whatever_is_said(users):
    """A phase may have passed: neither RESUME nor RELOAD lets anybody go."""
    def held():
        return users.transitions()["users_role"]["held"]

    with users.direct() as other, users.direct() as direct:
        claim = threading.Thread(target=other.execute, args=("SELECT pg_advisory_lock(1936025461)",))
        claim.start()
        wait_until(lambda: direct.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1936025461"
            " AND NOT granted").fetchone() == (1,))
        direct.execute("SELECT pg_terminate_backend(pid) FROM pg_locks"
                       " WHERE locktype = 'advisory' AND objid = 1936025461 AND granted")
        wait_until(held)
        claim.join(60)
        for command in ("PAUSE", "RESUME", "RELOAD", "PAUSE"):
            users.admin(command)
            assert held(), command
        other.execute("SELECT pg_advisory_unlock(1936025461)")
        wait_until(lambda: users.admin("SHOW FLEET").rows[0]["state"] == "ready")
        assert held()
        users.admin("RESUME")
        assert not held()


def test_what_a_command_stored_and_never_published_is_published(users):
    """As one does that loses its connection in its COMMIT."""
    with users.direct() as direct:
        direct.execute("WITH m AS (UPDATE segue.meta SET epoch = epoch + 1 RETURNING epoch)"
                       " UPDATE segue.transitions SET phase = 'dual_new', epoch = m.epoch FROM m")
    wait_until(lambda: users.phase("users_role") == "dual_new")


def test_a_store_that_another_version_made_is_not_read(users):
    """Nothing is known of its transitions: so nobody is let in who could do harm, and it is said why."""
    wait_until_ready = users.wait_until_ready
    users.stop()
    with users.direct() as direct:
        direct.execute("UPDATE segue.meta SET version = version - 1")
        users.wait_until_ready = lambda: None  # it cannot be, yet
        with users.log_contains("made by another version of Segue"):
            users.start()

        def is_told():
            with contextlib.suppress(OSError):
                try:
                    with users.raw("old") as connection:
                        return wire.error_of(connection.query("SELECT role FROM users"))
                except wire.Closed as closed:
                    return wire.error_of(closed.messages)

        assert wait_until(is_told).sqlstate == "57P03"
        (row,) = users.admin("SHOW FLEET").rows
        assert "made by another version of Segue" in row["reason"]
        direct.execute("UPDATE segue.meta SET version = version + 1")
    wait_until_ready()
    assert users.phase("users_role")
    with users.old() as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone()


def refusal_of(segue):
    with segue.raw("old") as connection:
        return wire.error_of(connection.query("SELECT role FROM users")).sqlstate == "57P03"


# ---------------------------------------------------------------- under load


def test_clients_of_both_shapes_under_load_see_no_error_while_the_phase_goes_back_and_forth(shop):
    shop.move_to("order_total", "dual_own", tables.definition("order_total"))
    stop = threading.Event()
    statements = [0]

    def app(shape, seed):
        generator = random.Random(seed)
        column = "total_cents" if shape == "old" else "total"
        unit = 1 if shape == "old" else 0.01
        with shop.connect(shape, prepare_threshold=seed % 3) as connection:
            while not stop.is_set():
                i = 1000 * seed + generator.randrange(20)
                cents = generator.randrange(100_000)
                with connection.transaction():
                    connection.execute(
                        f"INSERT INTO orders (id, user_id, {column}) VALUES (%s, %s, %s)"
                        f" ON CONFLICT (id) DO UPDATE SET {column} = EXCLUDED.{column}",
                        (i, seed, round(cents * unit, 2)),
                    )
                    (value,) = connection.execute(
                        f"SELECT {column} FROM orders WHERE id = %s", (i,)
                    ).fetchone()
                assert float(value) == pytest.approx(cents * unit)
                connection.execute(f"UPDATE orders SET {column} = {column} + {unit} WHERE id = {i}")
                (value,) = connection.execute(
                    f"SELECT {column} FROM orders WHERE id = {i}").fetchone()
                assert float(value) == pytest.approx((cents + 1) * unit)
                statements[0] += 4

    apps = [InBackground(app, shape, seed) for shape in ("old", "new") for seed in
            ((1, 2) if shape == "old" else (3, 4))]
    try:
        for phase in ("dual_new", "new", "dual_new", "dual_own", "dual_old", "dual_own"):
            time.sleep(0.4)
            shop.move_to("order_total", phase)
            assert all(app.is_alive() for app in apps), [app.problem for app in apps]
    finally:
        stop.set()
        for thread in apps:
            thread.finish()
    assert statements[0] > 100
    with shop.direct() as direct:
        tables.assert_parity(direct, "order_total")


def test_a_client_waiting_on_a_lock_is_cancelled_through_the_proxy(users):
    with users.raw("old") as holder, users.old() as waiter:
        holder.query("BEGIN; UPDATE users SET role = 'held' WHERE id = 1")
        timer = threading.Timer(0.3, waiter.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            waiter.execute("UPDATE users SET role = 'w' WHERE id = 1")
        timer.join()
        assert waiter.execute("SELECT role FROM users WHERE id = 2").fetchone() == ("viewer",)


# ---------------------------------------------------------------- interrupted in the act


def test_a_proxy_killed_while_a_move_waits_comes_back_in_one_of_the_two_phases(users):
    with users.raw("old") as pinned:
        pinned.query("BEGIN; UPDATE users SET role = 'in flight' WHERE id = 1")
        move = InBackground(users.admin, "ADVANCE users_role TO dual_new")
        time.sleep(0.5)
        assert move.is_alive()
        users.kill9()
        with pytest.raises(psycopg2.Error):
            move.finish()
    users.start()
    assert users.phase("users_role") in ("dual_own", "dual_new")
    with users.raw("old") as old, users.raw("new") as new:
        old.query("SET lock_timeout = '10s'")
        assert old.query("UPDATE users SET role = 'x,y' WHERE id = 1")[0].kind == b"C"
        assert new.rows("SELECT roles FROM users WHERE id = 1") == [["{x,y}"]]
    users.move_to("users_role", "new")
    users.move_to("users_role", "old")
    with users.direct() as direct:
        assert direct.execute("SELECT role FROM users WHERE id = 1").fetchone() == ("x,y",)


def test_the_control_connection_is_regained_and_statements_flow_meanwhile(users):
    with users.raw("old") as client, users.direct() as direct:
        client.rows("SELECT role FROM users")
        killed = direct.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename = 'segue' AND application_name LIKE 'segue%'"
        ).fetchone()[0]
        assert killed >= 1
        assert client.rows("SELECT note FROM plain WHERE id = 1") == [["one"]]
        assert client.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
        deadline = time.monotonic() + 60
        while True:
            try:
                users.move_to("users_role", "dual_new")
                break
            except psycopg2.Error:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert client.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]


# ---------------------------------------------------------------- the end of a process


def test_sigterm_lets_a_transaction_end_and_then_ends_its_session(users):
    with users.raw("old") as busy, users.raw("old") as idle:
        busy.query("BEGIN; UPDATE users SET role = 'to the end' WHERE id = 1")
        stop = InBackground(users.stop)
        assert idle.read_all()[-1].sqlstate == "57P01"
        assert busy.query("UPDATE users SET name = 'too' WHERE id = 1")[0].kind == b"C"
        busy.send(wire.query("COMMIT"))
        assert wire.kinds(busy.read_all())[:2] == "CZ"
        stop.finish()
    with users.direct() as direct:
        assert direct.execute("SELECT name, role FROM users WHERE id = 1").fetchone() == (
            "too", "to the end"
        )


def test_a_text_too_large_to_rewrite_is_refused_where_it_touches_and_passes_where_not(
    make_segue, shop_database
):
    segue = make_segue([shop_database], settings="max_rewrite_size = 100000")
    segue.move_to("users_role", "dual_own", tables.definition("users_role"))
    padding = "/*" + "x" * 200_000 + "*/"
    with segue.raw("old") as connection:
        for data in (wire.query(f"SELECT role FROM users {padding}"),
                     wire.extended(f"SELECT role FROM users {padding}") + wire.sync()):
            connection.send(data)
            assert wire.error_of(connection.read_until()).sqlstate == "54000"
        assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]
        connection.query("BEGIN")
        messages = connection.query(f"UPDATE users SET role = 'x' {padding}")
        assert wire.transaction_state(messages) == "E"
        connection.query("ROLLBACK")
        # a large value is a parameter: nothing of it is looked at
        connection.send(wire.extended("UPDATE users SET role = $1 WHERE id = 1", ["y" * 3_000_000])
                        + wire.sync())
        assert wire.kinds(connection.read_until())[-2:] == "CZ"
        assert connection.rows("SELECT length(role) FROM users WHERE id = 1") == [["3000000"]]
