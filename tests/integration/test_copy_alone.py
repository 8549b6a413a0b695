"""COPY FROM in circumstances that need not be tested in every phase under every guard."""

import subprocess
import threading
import time

import pytest

import wire
from cluster import binary
from copying import COPY, CREATE, EMPTY, TRANSITION, data, leftovers
from segue import PHASES
from waiting import wait_until


@pytest.fixture
def shop(make_segue, cluster):
    name = f"copy_shop_{time.monotonic_ns()}"
    cluster.create_database(name)
    with cluster.connect(name) as connection:
        connection.execute(CREATE["old"])
        connection.execute(EMPTY)
    yield make_segue([name])
    cluster.drop_database(name)


def shop_leftovers(shop):
    with shop.direct() as direct:
        return leftovers(direct)


def test_a_prepared_copy_is_made_anew_for_each_phase(shop):
    with shop.raw("old") as connection:
        connection.send(wire.parse(COPY, "s") + wire.sync())
        connection.read_until()
        for number, phase in enumerate(PHASES):
            shop.move_to("price", phase, TRANSITION % "off")
            connection.send(wire.bind(name="s") + wire.execute() + wire.sync())
            connection.read_until(b"G")
            connection.send(data(f"p{number}\t{number}.50\tx\n") + wire.copy_done() + wire.sync())
            assert wire.kinds(connection.read_until()) == "CZ"
        for shape in ("old", "new"):
            with shop.connect(shape) as reader:
                assert [float(r[0]) for r in reader.execute(
                    "SELECT price FROM items WHERE label LIKE 'p_' ORDER BY label")] == [
                        n + 0.5 for n in range(len(PHASES))]


def test_a_move_waits_for_a_copy_that_is_under_way(shop):
    shop.move_to("price", "dual_own", TRANSITION % "off")
    with shop.raw("new") as connection:
        connection.send(wire.query(COPY))
        connection.read_until(b"G")
        connection.send(data("a\t1.50\tx\n"))
        move = threading.Thread(target=shop.admin, args=("ADVANCE price TO dual_new",))
        move.start()
        time.sleep(0.7)
        assert move.is_alive(), "the move did not wait"
        connection.send(data("b\t2.50\tx\n") + wire.copy_done())
        assert wire.kinds(connection.read_until()) == "CZ"
        move.join(60)
        assert not move.is_alive()
    with shop.direct() as direct:
        assert direct.execute("SELECT price, price_new::text FROM items WHERE label IN ('a', 'b') "
                              "ORDER BY label").fetchall() == [("1.50", "1.50"), ("2.50", "2.50")]


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_a_cancel_and_a_lost_client_leave_nothing_behind(shop, protocol):
    shop.move_to("price", "dual_own", TRANSITION % "off")
    begin = {"simple": wire.query(COPY), "extended": wire.extended(COPY) + wire.sync()}[protocol]
    with shop.raw("new") as connection:
        connection.send(begin)
        connection.read_until(b"G")
        connection.send(data("a\t1.50\tx\n"))
        canceller = wire.Connection(shop.port("new"))
        canceller.send(wire.cancel_request(connection.pid, connection.key))
        canceller.close()
        time.sleep(0.3)
        connection.send(data("a\t1.50\tx\n" * 20000)) # the server looks up when it reads
        error = wire.error_of(connection.read_until(b"E"))
        assert error.sqlstate == "57014"
        connection.send(wire.copy_done() + wire.sync())
        connection.read_until()
        connection.send(wire.query("SELECT count(*) FROM items"))
        messages = connection.read_until()
        while not any(m.kind == b"D" for m in messages): # the Sync's
            messages = connection.read_until()
        assert [m.row() for m in messages if m.kind == b"D"] == [[b"2"]]
    for last in (b"", wire.copy_done()[:3]):
        with shop.raw("new") as connection:
            connection.send(begin)
            connection.read_until(b"G")
            connection.send(data("a\t1.50\tx\n") + last)
    wait_until(lambda: shop_leftovers(shop) == 0)
    with shop.old() as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (2,)


def test_rows_are_not_kept_in_the_proxy(shop):
    shop.move_to("price", "dual_own", TRANSITION % "off")
    line = b"filler\t1.50\t" + b"x" * 500 + b"\n"
    for begin, end in ((wire.query(COPY), b""), (wire.extended(COPY) + wire.sync(), wire.sync())):
        with shop.raw("new", timeout=120) as connection:
            connection.send(begin)
            connection.read_until(b"G")
            before, most = shop.resident_kilobytes(), 0
            for _ in range(600):
                connection.send(wire.copy_data(line * 128))
                most = max(most, shop.resident_kilobytes())
            connection.send(wire.copy_done() + end)
            messages = connection.read_until()
            assert messages[-2].body == b"COPY 76800\0"
            assert most - before < 20_000
    assert shop_leftovers(shop) == 0


def test_without_the_right_to_make_temporary_tables_the_error_says_what_to_do(shop):
    shop.move_to("price", "dual_own", TRANSITION % "off")
    name = shop.databases[0]
    with shop.direct() as direct:
        direct.execute(f"""
            DROP ROLE IF EXISTS copier; CREATE ROLE copier LOGIN;
            REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC;
            GRANT INSERT (label, price, price_new, note) ON items TO copier;
            GRANT USAGE ON SEQUENCE item_number TO copier""")
    with shop.raw("old", user="copier") as connection:
        for begin in (wire.query(COPY), wire.extended(COPY) + wire.sync()):
            connection.send(begin)
            error = wire.error_of(connection.read_until())
            assert error.sqlstate == "42501"
            assert "GRANT TEMPORARY" in error.fields()["H"]
    with shop.direct() as direct: # the right to INSERT is enough: nothing of the table is read
        direct.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO copier')
    with shop.raw("old", user="copier") as connection:
        connection.send(wire.query(COPY))
        connection.read_until(b"G")
        connection.send(data("a\t1.50\tx\n") + wire.copy_done())
        assert wire.kinds(connection.read_until()) == "CZ"
    with shop.direct() as direct:
        direct.execute(f'DROP OWNED BY copier; REVOKE ALL ON DATABASE "{name}" FROM copier; '
                       "DROP ROLE copier")


def test_freeze_is_taken_and_freezes_nothing(shop):
    shop.move_to("price", "dual_own", TRANSITION % "off")
    frozen = "COPY items (label) FROM STDIN (FREEZE)"
    with shop.raw("new") as connection:
        for begin in (wire.query(frozen), wire.extended(frozen) + wire.sync()):
            connection.query("BEGIN; TRUNCATE items")
            connection.send(begin)
            connection.read_until(b"G")
            connection.send(data("froze\n") + wire.copy_done())
            if begin[:1] != b"Q":
                connection.send(wire.sync())
            assert "E" not in wire.kinds(connection.read_until())
            connection.query("COMMIT")
            with shop.direct() as direct:
                assert direct.execute("SELECT label, price_new::text = price FROM items").fetchall() == [("froze", True)]


def test_an_explicit_null_beats_the_old_columns_default_under_the_guard_in_sync(shop):
    for phase in ("dual_old", "dual_own", "dual_new"):
        shop.move_to("price", phase, TRANSITION % "sync")
        with shop.new() as connection:
            connection.execute("DELETE FROM items")
            with connection.cursor().copy("COPY items (label, price) FROM STDIN") as copy:
                copy.write_row(("none", None))
            assert connection.execute("SELECT price FROM items").fetchone() == (None,)
        with shop.old() as connection:
            assert connection.execute("SELECT price FROM items").fetchone() == (None,)


def test_each_copy_is_counted_once(shop):
    shop.move_to("price", "dual_own", TRANSITION % "off")

    def statements():
        return {row["shape"]: int(row["statements"]) for row in shop.admin("SHOW STATEMENTS").rows}

    for begin, end in ((wire.query(COPY), b""), (wire.extended(COPY) + wire.sync(), wire.sync())):
        with shop.raw("new") as connection:
            before = statements()
            connection.send(begin)
            connection.read_until(b"G")
            connection.send(data("a\t1.50\tx\n") + wire.copy_done() + end)
            connection.read_until()
            after = statements()
        assert (after["new"] - before["new"], after["old"] - before["old"]) == (1, 0)


def test_pg_dump_must_connect_to_the_server_itself(shop, cluster):
    shop.move_to("price", "dual_own", TRANSITION % "off")
    for shape in ("old", "new"):
        done = subprocess.run(
            [binary("pg_dump"), "-h", "127.0.0.1", "-p", str(shop.port(shape)), "-U", "postgres",
             "--data-only", "--table", "items", shop.databases[0]],
            capture_output=True, text=True, check=False,
        )
        assert done.returncode != 0
        assert "price_new" in done.stderr and "must connect to the server itself" in done.stderr
