"""Backfill: pause, resume, cancel, kill -9 amid it, writers beside it, and what it may not write."""

import threading
import time

import psycopg2
import pytest

import tables
from commands import InBackground, refused
from waiting import settled, wait_until

ROWS = 60_000
SLOW = "backfill_rows = 500\nbackfill_pause = 40"  # some three seconds for ROWS


@pytest.fixture
def by_key():
    """Tests of both ways to walk over a table parametrise this."""
    return "off"


both_ways = pytest.mark.parametrize("by_key", ["off", "on"])


@pytest.fixture
def big(make_segue, shop_database, cluster, by_key):
    """users_role in dual_old over ROWS rows, none of them backfilled; ranges small and slow."""
    with cluster.connect(shop_database) as connection:
        connection.execute(
            "TRUNCATE users; INSERT INTO users SELECT i, 'user ' || i,"
            f" 'r' || i % 7 || ',x' FROM generate_series(1, {ROWS}) i"
        )
    segue = make_segue([shop_database], settings=f"{SLOW}\nbackfill_by_key = {by_key}")
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    return segue


def backfill(segue, transition="users_role"):
    """The row of SHOW BACKFILLS."""
    return {row["transition"]: row for row in segue.admin("SHOW BACKFILLS").rows}[transition]


def set_and_reload(segue, setting):
    with open(segue.config_path, "a", encoding="utf-8") as file:
        file.write(setting + "\n")
    segue.admin("RELOAD")


def filled(segue):
    with segue.direct() as direct:
        return direct.execute("SELECT count(*) FROM users WHERE roles IS NOT NULL").fetchone()[0]


@both_ways
def test_a_backfill_fills_every_row_and_tells_its_progress(big):
    done = big.admin("BACKFILL users_role START")
    assert done.rows and done.notices
    assert any("%" in notice for notice in done.notices)
    assert filled(big) == ROWS
    assert backfill(big)["state"] == "done"
    with big.direct() as direct:
        tables.assert_parity(direct, "users_role")
    big.admin("VERIFY users_role")


def test_a_backfill_writes_only_rows_that_are_not_in_parity(big):
    with big.new() as connection:
        connection.execute("UPDATE users SET roles = ARRAY['kept,whole'] WHERE id = 17")
    with big.direct() as direct:
        before = direct.execute("SELECT xmin::text FROM users WHERE id = 17").fetchone()
        big.admin("BACKFILL users_role START")
        assert direct.execute("SELECT xmin::text FROM users WHERE id = 17").fetchone() == before
        assert direct.execute("SELECT roles FROM users WHERE id = 17").fetchone() == (["kept,whole"],)


def test_a_backfill_can_be_paused_and_resumed(big):
    running = InBackground(big.admin, "BACKFILL users_role START")
    wait_until(lambda: filled(big) > 0)
    set_and_reload(big, "backfill_pause = 60000")  # counts at once
    assert 0 < settled(lambda: filled(big)) < ROWS
    assert backfill(big)["state"] == "running"
    set_and_reload(big, "backfill_pause = 0")
    big.admin("BACKFILL users_role PAUSE")
    assert 0 < settled(lambda: filled(big)) < ROWS
    assert backfill(big)["state"] == "paused"
    assert "backfill" in refused(big, "ADVANCE users_role").lower()
    big.admin("BACKFILL users_role RESUME")
    wait_until(lambda: filled(big) == ROWS)
    wait_until(lambda: backfill(big)["state"] == "done")
    running.finish()


def test_a_backfill_can_be_cancelled_and_started_anew(big):
    running = InBackground(big.admin, "BACKFILL users_role START")
    wait_until(lambda: filled(big) > 0)
    big.admin("BACKFILL users_role CANCEL")
    try:
        running.finish()
    except psycopg2.Error as told:
        assert "cancel" in str(told).lower()
    assert backfill(big)["state"] == "cancelled"
    assert filled(big) < ROWS
    big.admin("BACKFILL users_role START")
    assert filled(big) == ROWS


def kill_halfway(big):
    running = InBackground(big.admin, "BACKFILL users_role START")
    wait_until(lambda: filled(big) > ROWS // 10)
    big.kill9()
    with pytest.raises(psycopg2.Error):
        running.finish()


@both_ways
def test_a_backfill_goes_on_after_kill_9_from_where_it_was(big, by_key):
    kill_halfway(big)
    stopped_at = filled(big)
    assert stopped_at < ROWS
    big.start()
    wait_until(lambda: filled(big) == ROWS)
    wait_until(lambda: backfill(big)["state"] == "done")
    # had it begun anew, it would have seen what was done once more; by place that is seen again as
    # it is, for what was written then has moved to the table's end
    if by_key == "on":
        assert ROWS <= backfill(big)["rows_seen"] < ROWS + stopped_at // 2
    with big.direct() as direct:
        tables.assert_parity(direct, "users_role")
    big.admin("VERIFY users_role")
    big.admin("ADVANCE users_role")


def test_a_backfill_that_walked_by_place_can_go_on_by_key(big):
    kill_halfway(big)
    big.change_config("backfill_by_key = off", "backfill_by_key = on")
    big.start()
    wait_until(lambda: backfill(big)["state"] == "done")
    assert filled(big) == ROWS


def test_a_paused_backfill_is_still_paused_after_a_restart(big):
    running = InBackground(big.admin, "BACKFILL users_role START")
    wait_until(lambda: filled(big) > 0)
    big.admin("BACKFILL users_role PAUSE")
    big.restart()
    try:
        running.finish()
    except psycopg2.Error:
        pass  # its connection ended with the process
    assert settled(lambda: filled(big)) < ROWS
    assert backfill(big)["state"] == "paused"
    big.admin("BACKFILL users_role RESUME")
    wait_until(lambda: filled(big) == ROWS)


@both_ways
def test_writers_of_both_shapes_and_a_backfill_leave_every_row_in_parity(big):
    stop = threading.Event()

    def writer(shape, column, value):
        with big.connect(shape) as connection:
            i = 1
            while not stop.is_set():
                i = i * 7919 % ROWS + 1
                connection.execute(f"UPDATE users SET {column} = %s WHERE id = %s", (value, i))

    writers = [InBackground(writer, "old", "role", "o,p"),
               InBackground(writer, "new", "roles", ["q,r", "s"])]
    try:
        big.admin("BACKFILL users_role START")
    finally:
        stop.set()
        for thread in writers:
            thread.finish()
    with big.direct() as direct:
        tables.assert_parity(direct, "users_role")
    big.admin("VERIFY users_role")


def test_a_backfill_waits_for_a_locked_row_and_blocks_no_one(big):
    with big.direct(autocommit=False) as holder:
        holder.execute("SELECT 1 FROM users WHERE id = 30000 FOR UPDATE")
        running = InBackground(big.admin, "BACKFILL users_role START")
        time.sleep(1)
        with big.old() as connection:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute("UPDATE users SET role = 'free' WHERE id = 1")
        holder.rollback()
        running.finish()
    assert filled(big) == ROWS


def test_a_value_that_does_not_convert_fails_the_backfill_with_the_servers_words(shop):
    with shop.direct() as direct:
        direct.execute("UPDATE transactions SET amount = 'ten' WHERE id = 2")
    shop.move_to("amount", "dual_old", tables.definition("amount"))
    with pytest.raises(psycopg2.Error) as failed:
        shop.admin("BACKFILL amount START")
    assert "ten" in str(failed.value)
    assert backfill(shop, "amount")["state"] == "failed"
    with shop.old() as connection:
        connection.execute("UPDATE transactions SET amount = '10.00' WHERE id = 2")
    shop.admin("BACKFILL amount START")
    assert backfill(shop, "amount")["state"] == "done"
    shop.move_to("amount", "new")


def test_a_backfill_never_writes_the_columns_that_lead(shop):
    """One that was begun before the other shape came to lead: with the guard off, it would undo writes."""
    shop.move_to("users_role", "dual_own", tables.definition("users_role", guard="off"))
    set_and_reload(shop, "backfill_pause = 60000")  # it has written, and rests
    shop.admin("BACKFILL users_role START NOWAIT")
    wait_until(lambda: backfill(shop)["rows_seen"] == 5)
    assert "a backfill of \"users_role\" is running" in refused(shop, "ADVANCE users_role", "55000")
    shop.admin("BACKFILL users_role PAUSE")
    shop.admin("ADVANCE users_role")
    with shop.direct() as direct:
        direct.execute("UPDATE users SET roles = '{direct}' WHERE id = 4")
        assert "id = 4" in refused(shop, "VERIFY users_role", "55000")
        assert "no backward backfill" in refused(shop, "BACKFILL users_role RESUME", "55000")
        shop.admin("BACKFILL users_role START NOWAIT")
        wait_until(lambda: backfill(shop)["rows_seen"] == 5)
        assert (backfill(shop)["direction"], backfill(shop)["rows_written"]) == ("backward", 1)
        assert direct.execute("SELECT role, roles FROM users WHERE id = 4").fetchone() == (
            "direct", ["direct"])
    # what VERIFY found stands until a backfill is done
    shop.admin("BACKFILL users_role CANCEL")
    assert "id = 4" in refused(shop, "ADVANCE users_role", "55000")
    shop.admin("VERIFY users_role")
    shop.admin("ADVANCE users_role")


def test_a_backfill_that_cannot_go_on_fails_and_can_be_ended(make_segue, shop_database, cluster):
    segue = make_segue([shop_database], settings="backfill_pause = 60000")
    with cluster.connect(shop_database) as direct:
        direct.execute("ALTER TABLE users DROP CONSTRAINT users_pkey")
        segue.move_to("users_role", "dual_old", tables.definition("users_role"))
        segue.admin("BACKFILL users_role START NOWAIT")
        wait_until(lambda: backfill(segue)["rows_seen"] == 5)
        segue.admin("BACKFILL users_role PAUSE")
        set_and_reload(segue, "backfill_by_key = on")
        segue.admin("BACKFILL users_role RESUME NOWAIT")
        wait_until(lambda: backfill(segue)["state"] == "failed")
        assert "without a primary key" in backfill(segue)["reason"]
        # its table goes while nobody is there
        direct.execute("ALTER TABLE users ADD PRIMARY KEY (id)")
        segue.admin("BACKFILL users_role START NOWAIT")
        wait_until(lambda: backfill(segue)["rows_seen"] == 5)
        segue.kill9()
        direct.execute("DROP TABLE users")
        with segue.log_contains("the backfill tries again: .*not loaded"):
            segue.start()
        with segue.log_contains("the backfill ends: the store does not call"):
            segue.admin("RETIRE users_role FORCE")


def test_tables_without_a_primary_key_and_empty_ones_are_backfilled(shop):
    with shop.direct() as direct:
        direct.execute("ALTER TABLE users DROP CONSTRAINT users_pkey; TRUNCATE orders")
    for transition in ("users_role", "order_total"):
        shop.move_to(transition, "new", tables.definition(transition))
    with shop.new() as connection:
        assert connection.execute("SELECT roles FROM users WHERE id = 1").fetchone() == (
            ["admin", "editor"],
        )
