"""
COPY FROM through the proxy, message for message as on a plain table: every phase, both shapes, with
and without the guard; in the simple and the extended protocol, and where it goes wrong half way.
"""

import contextlib
import itertools
import subprocess
import threading
import time
from decimal import Decimal

import pytest

import wire
from cluster import binary
from segue import PHASES, Segue
from waiting import wait_until

TRANSITION = """
transition "price" {
    table = "public.items"
    old "price" { type = "text" default = "'1.00'" from = "price::text" }
    new "price" { type = "numeric(10,2)" from = "price::numeric" column = "price_new" }
    lossless = true
    guard = "%s"
}
"""
TRIGGER = """
CREATE FUNCTION items_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.label = 'skip' THEN RETURN NULL; END IF;
  IF NEW.label = 'loud' THEN RAISE NOTICE 'loud %', NEW.note; END IF;
  IF NEW.label = 'bad' THEN RAISE EXCEPTION 'bad %', NEW.note USING ERRCODE = 'P7777'; END IF;
  NEW.note := coalesce(upper(NEW.note), '-');
  RETURN NEW;
END $$;
CREATE TRIGGER items_in BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION items_in();
"""
COMMON = """
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label varchar(10) NOT NULL,
    %s
    twice int GENERATED ALWAYS AS (length(label) * 2) STORED,
    number int DEFAULT nextval('item_number'),
    note text,
    parent int REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED
    %s
"""
CREATE = {
    "old": "CREATE SEQUENCE item_number; CREATE TABLE items ("
    + COMMON % ("price text DEFAULT '1.00',", "") + ");" + TRIGGER,
    "new": "CREATE SEQUENCE item_number; CREATE TABLE items ("
    + COMMON % ("", ", price numeric(10,2) DEFAULT 1.00") + ");" + TRIGGER,
}
# Nothing of it is DDL, after which Segue would look at the table anew, each time.
EMPTY = """
    DELETE FROM items;
    SELECT setval('item_number', 1, false), setval(pg_get_serial_sequence('items', 'id'), 1, false);
    INSERT INTO items (label, price) VALUES ('first', '2.50'), ('second', NULL);
"""
CONTENTS = "SELECT id, label, price, twice, number, note, parent FROM items ORDER BY id, label"


@pytest.fixture(scope="module")
def plains(cluster):
    """A session to a plain database, by shape."""
    names = {}
    for shape in ("old", "new"):
        names[shape] = f"copy_plain_{shape}"
        cluster.create_database(names[shape])
        with cluster.connect(names[shape]) as connection:
            connection.execute(CREATE[shape])
    with contextlib.ExitStack() as stack:
        yield {shape: stack.enter_context(cluster.connect(name)) for shape, name in names.items()}


@pytest.fixture(scope="module", params=list(itertools.product(("off", "reject", "sync"), PHASES)),
                ids="-".join)
def corner(request, cluster, tmp_path_factory):
    """A proxy whose table is in one phase, with one kind of guard."""
    guard, phase = request.param
    name = f"copy_{guard}_{phase}"
    cluster.create_database(name)
    with cluster.connect(name) as connection:
        connection.execute(CREATE["old"])
        connection.execute(EMPTY)
    segue = Segue(cluster, tmp_path_factory.mktemp(name), [name]).start()
    segue.move_to("price", phase, TRANSITION % guard)
    segue.phase_name = phase
    if phase == "old":
        segue.admin("EXPAND price")
    with segue.direct() as segue.watcher, segue.old() as segue.writer:
        yield segue
    segue.stop()
    cluster.drop_database(name)


class Both:
    """The same said to a plain database and through the proxy."""

    def __init__(self, cluster, plain, segue, shape):
        self.cluster, self.database, self.segue, self.shape = cluster, plain.info.dbname, segue, shape
        for connection in (segue.writer, plain):
            connection.execute(EMPTY)

    def __enter__(self):
        self.plain = wire.Connection(self.cluster.port)
        self.plain.login("postgres", self.database)
        self.ours = self.segue.raw(self.shape)
        return self

    def __exit__(self, *_):
        self.plain.close()
        self.ours.close()

    def say(self, *script):
        """Bytes are sent; a string says up to which kinds of message is read. Gives ours."""
        told = []
        for connection in (self.plain, self.ours):
            messages = []
            for step in script:
                if isinstance(step, bytes):
                    connection.send(step)
                else:
                    messages += connection.read_until(step.encode())
            told.append(messages)
        assert shown(told[1]) == shown(told[0])
        return told[1]

    def check_contents(self):
        assert self.ours.rows(CONTENTS) == self.plain.rows(CONTENTS)
        assert leftovers(self.segue.watcher) == 0
        if self.segue.phase_name.startswith("dual"):
            assert self.segue.watcher.execute(
                "SELECT count(*) FROM items WHERE price_new IS DISTINCT FROM price::numeric"
            ).fetchone() == (0,)


def shown(messages):
    """
    Without what tells where in the server's sources an error arose, the line of the data, which an
    INSERT has not, and the values of a row that fails, which has the columns of the real table.
    """
    out = []
    for kind, value in wire.masked(messages):
        if kind in (b"E", b"N"):
            value = {k: v for k, v in value.items()
                     if k not in "FLRW" and not v.startswith("Failing row contains")}
        out.append((kind, value))
    return out


@pytest.fixture(params=["old", "new"])
def both(request, cluster, plains, corner):
    with Both(cluster, plains[request.param], corner, request.param) as both:
        yield both
    corner.assert_running()
    corner.assert_clean_log()


def data(*rows):
    return wire.copy_data("".join(rows).encode())


COPY = "COPY items (label, price, note) FROM STDIN"
ROWS = data("a\t1.50\tx\n", "b\t\\N\t\\N\n", "skip\t1.00\t\\N\n") + data("loud\t7.25\tn\n")


def test_a_simple_query(both):
    messages = both.say(wire.query(COPY), "G", ROWS + wire.copy_done(), "Z")
    assert wire.kinds(messages) == "GNCZ" and messages[2].body == b"COPY 3\0"
    both.check_contents()


def test_the_extended_protocol_as_libpq_speaks_it(both):
    messages = both.say(wire.extended(COPY) + wire.sync(), "G",
                        ROWS + wire.copy_done() + wire.sync(), "Z")
    assert wire.kinds(messages) == "12nGNCZ"
    both.check_contents()


def test_an_extended_batch_in_one_go(both):
    both.say(wire.extended(COPY) + ROWS + wire.copy_done() + wire.sync() + wire.query("SELECT 1"),
             "Z", "Z")
    both.check_contents()


def test_flush_and_sync_amid_the_data_mean_nothing(both):
    amid = wire.flush() + wire.sync()
    both.say(wire.extended(COPY) + wire.flush(), "G",
             data("a\t1.00\tx\n") + amid + data("b\t2.00\ty\n") + amid + wire.copy_done() + wire.flush(),
             "C", wire.sync(), "Z")
    both.say(wire.query(COPY), "G", data("c\t1.00\tx\n") + amid + data("d\t2.00\ty\n") + wire.copy_done(),
             "Z")
    both.check_contents()


def test_a_named_statement_is_executed_again_and_again(both):
    both.say(wire.parse(COPY, "s") + wire.sync(), "Z")
    for portal in ("", "p"):
        both.say(wire.bind(name="s", portal=portal) + wire.execute(portal) + wire.sync(), "G",
                 data("a\t1.50\tx\n") + wire.copy_done() + wire.sync(), "Z")
    both.check_contents()


def test_two_copies_in_one_batch(both):
    one = wire.bind(name="s") + wire.execute()
    both.say(wire.parse(COPY, "s") + one + wire.flush(), "G", data("a\t1.00\tx\n") + wire.copy_done()
             + one + wire.flush(), "G", data("b\t1.00\tx\n") + wire.copy_done() + wire.sync(), "Z")
    both.check_contents()


ERRORS = {
    "a value that cannot be read": data("a\t1.00\tx\n", "much too long a label\t1.00\tx\n", "c\t1.00\tx\n"),
    "a column too few": data("a\t1\n"),
    "a null where none may be": data("a\t1.00\tx\n", "\\N\t1.00\tx\n"),
    "the trigger": data("a\t1.00\tx\n", "bad\t1.00\tx\n"),
}


@pytest.mark.parametrize("wrong", ERRORS)
def test_an_error_in_the_data_undoes_all_of_it(both, wrong):
    rows = ERRORS[wrong]
    messages = both.say(wire.query(COPY), "G", rows + wire.copy_done(), "Z")
    assert wire.transaction_state(messages) == "I"
    both.say(wire.extended(COPY) + wire.sync(), "G", rows + wire.copy_done() + wire.sync(), "Z")
    both.say(wire.extended(COPY) + rows + wire.copy_done() + wire.sync(), "Z")
    both.say(wire.query("SELECT count(*) FROM items"), "Z")
    both.check_contents()


def test_the_context_of_an_error_names_the_clients_table(both):
    messages = both.say(wire.query(COPY), "G", ERRORS["a value that cannot be read"]
                        + wire.copy_done(), "Z")
    assert wire.error_of(messages).fields()["W"] == (
        'COPY items, line 2, column label: "much too long a label"')


def test_an_error_waits_for_no_end_of_the_data(both):
    rows = data("a\t1\n") + data("b\t1.00\tx\n" * 20000)
    both.say(wire.query(COPY), "G", rows, "Z")
    both.say(data("late\t1.00\tx\n") + wire.copy_done() + wire.query("SELECT 1"), "Z")
    both.say(wire.extended(COPY) + wire.sync(), "G", rows, "E",
             data("late\t1.00\tx\n") + wire.copy_done() + wire.sync(), "Z")
    both.say(wire.query("SELECT 2"), "Z")
    both.check_contents()


def test_copy_fail(both):
    for rows in (b"", data("a\t1.00\tx\n")):
        both.say(wire.query(COPY), "G", rows + wire.copy_fail("no more"), "Z")
        both.say(wire.extended(COPY) + wire.sync(), "G",
                 rows + wire.copy_fail("no more") + wire.sync(), "Z")
        both.say(wire.extended(COPY) + rows + wire.copy_fail("no more") + wire.sync(), "Z")
    both.check_contents()


@pytest.mark.parametrize("ahead", ["", "SAVEPOINT s"])
def test_within_a_transaction(both, ahead):
    both.say(wire.query(f"BEGIN; {ahead}"), "Z")
    for _ in range(2):
        messages = both.say(wire.query(COPY), "G", ROWS + wire.copy_done(), "Z")
        assert wire.transaction_state(messages) == "T"
        both.say(wire.extended(COPY) + wire.sync(), "G", ROWS + wire.copy_done() + wire.sync(), "Z")
    messages = both.say(wire.query(COPY), "G", ERRORS["the trigger"] + wire.copy_done(), "Z")
    assert wire.transaction_state(messages) == "E"
    both.say(wire.query(COPY), "Z")
    both.say(wire.extended(COPY) + wire.sync(), "Z")
    both.say(wire.query("ROLLBACK TO s" if ahead else "ROLLBACK"), "Z")
    both.say(wire.query("COMMIT" if ahead else "SELECT 1"), "Z")
    both.check_contents()


def test_a_transaction_goes_on_after_rollback_to_a_savepoint(both):
    both.say(wire.query("BEGIN"), "Z", wire.query(COPY), "G", ROWS + wire.copy_done(), "Z")
    both.say(wire.query("SAVEPOINT s"), "Z", wire.query(COPY), "G",
             ERRORS["a column too few"] + wire.copy_done(), "Z")
    both.say(wire.query("ROLLBACK TO SAVEPOINT s"), "Z")
    both.say(wire.query(COPY), "G", data("c\t1.00\tx\n") + wire.copy_done(), "Z")
    both.say(wire.query("COMMIT"), "Z")
    both.check_contents()


def test_beside_other_statements_of_one_text(both):
    both.say(wire.query(f"INSERT INTO items (label) VALUES ('z'); {COPY}; {COPY}; "
                        "SELECT count(*) FROM items"),
             "G", ROWS + wire.copy_done(), "G", ROWS + wire.copy_done(), "Z")
    both.say(wire.query(f"BEGIN; {COPY}; COMMIT; SELECT 1"), "G", ROWS + wire.copy_done(), "Z")
    both.say(wire.query(f"{COPY}; SELECT 1/0"), "G", ROWS + wire.copy_done(), "Z")
    both.say(wire.parse(f"{COPY}; {COPY}") + wire.sync(), "Z")
    both.check_contents()


def test_an_error_at_commit_comes_instead_of_the_completion(both):
    sql = "COPY items (label, parent) FROM STDIN"
    messages = both.say(wire.query(sql), "G", data("a\t99\n") + wire.copy_done(), "Z")
    assert wire.kinds(messages) == "GEZ"
    both.say(wire.query(sql), "G", data("a\t1\n") + wire.copy_done(), "Z")
    both.check_contents()


def test_identity_generated_columns_and_defaults(both):
    for sql, rows in {
        "COPY items (id, label) FROM STDIN": data("100\ta\n", "101\tb\n"),
        "COPY items (label) FROM STDIN": data("c\n", "d\n"),
        "COPY items (label, number) FROM STDIN": data("e\t7\n", "f\t\\N\n"),
        "COPY items (id, label) FROM STDIN WHERE number % 2 = 0": data("200\tg\n", "201\th\n"),
        "COPY items (label) FROM STDIN WHERE price IS NOT NULL": data("j\n", "k\n"),
        "COPY items (id, label, price, number) FROM STDIN WHERE price IS NULL":
            data("300\tl\t1.00\t1\n", "301\tm\t\\N\t1\n"),
    }.items():
        both.say(wire.query(sql), "G", rows + wire.copy_done(), "Z")
    both.say(wire.query("COPY items (label, twice) FROM STDIN"), "Z")
    both.say(wire.query("COPY items (label) FROM STDIN WHERE twice > 1"), "Z")
    both.say(wire.query("COPY items (label, nosuch) FROM STDIN"), "Z")
    both.check_contents()


def test_the_other_columns_do_not_exist(both):
    hidden = {"old": "price_new", "new": "price_old"}[both.shape]
    messages = both.ours.query(f"COPY items (label, {hidden}) FROM STDIN")
    assert wire.error_of(messages).sqlstate == "42703"
    both.say(wire.query(f"COPY items (label) FROM STDIN WHERE {hidden} IS NULL"), "Z")


def test_a_position_is_that_of_the_clients_text(both):
    for sql in ("COPY items (label) FROM STDIN (FORMAT csv, nosuch 1)",
                "/* é */ COPY items (label) FROM STDIN WHERE nosuch = 1",
                "COPY items (label) FROM STDIN WHERE length(label, 1) = 1"):
        messages = both.say(wire.query(sql), "Z")
        assert "P" in wire.error_of(messages).fields()
        both.say(wire.extended(sql) + wire.sync(), "Z")


def test_a_program_and_a_file_on_the_server(both):
    for sql in ("COPY items (label, price) FROM PROGRAM 'echo a,1.25; echo b,2.00' CSV",
                "COPY items (label) FROM PROGRAM 'exit 3'", "COPY items FROM '/nosuch/file'"):
        both.say(wire.query(sql), "Z")
        both.say(wire.extended(sql) + wire.sync(), "Z")
        both.say(wire.extended(sql) + wire.extended("SELECT 1") + wire.sync(), "Z")
    both.check_contents()


def test_in_a_read_only_transaction(both):
    both.say(wire.query("BEGIN READ ONLY"), "Z", wire.query(COPY), "Z", wire.query("ROLLBACK"), "Z")
    both.say(wire.query("BEGIN READ ONLY"), "Z", wire.extended(COPY) + wire.sync(), "Z",
             wire.query("ROLLBACK"), "Z")


def test_psycopg_text_and_binary_and_back(cluster, plains, corner):
    rows = [("p", "1.50", "x"), ("q", None, None), ("é\t\\", "0.25", "y\n")]
    for shape in ("old", "new"):
        seen = []
        types = ["varchar", {"old": "text", "new": "numeric"}[shape], "text"]
        with Both(cluster, plains[shape], corner, shape):
            for connect in (lambda: cluster.connect(plains[shape].info.dbname), lambda: corner.connect(shape)):
                with connect() as connection, connection.cursor() as cursor:
                    for form in ("text", "binary"):
                        with cursor.copy(f"COPY items (label, price, note) FROM STDIN "
                                         f"(FORMAT {form})") as copy:
                            copy.set_types(types)
                            for row in rows:
                                copy.write_row(adapted(row, shape))
                        assert cursor.rowcount == 3
                    with cursor.copy("COPY items TO STDOUT") as copy:
                        seen.append(b"".join(copy))
        assert seen[0] == seen[1]


def adapted(row, shape):
    label, price, note = row
    return label, Decimal(price) if shape == "new" and price else price, note


def test_psql_copies_both_ways(cluster, corner, tmp_path):
    (tmp_path / "rows.csv").write_text("label,price\nps,4.25\nql,\n")
    for shape in ("old", "new"):
        with corner.old() as connection:
            connection.execute(EMPTY)
        done = subprocess.run(
            [binary("psql"), "-X", "-h", "127.0.0.1", "-p", str(corner.port(shape)), "-U", "postgres",
             corner.databases[0], "-v", "ON_ERROR_STOP=1",
             "-c", f"\\copy items (label, price) FROM '{tmp_path}/rows.csv' CSV HEADER",
             "-c", "\\copy items (label, price, note) TO STDOUT CSV"],
            capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "COPY 2\nfirst,2.50,-\nsecond,,-\nps,4.25,-\nql,,-\n"


# ---------------------------------------------------------------- what need not be asked everywhere


@pytest.fixture
def shop(make_segue, cluster):
    name = f"copy_shop_{time.monotonic_ns()}"
    cluster.create_database(name)
    with cluster.connect(name) as connection:
        connection.execute(CREATE["old"])
        connection.execute(EMPTY)
    yield make_segue([name])
    cluster.drop_database(name)


def leftovers(direct):
    return direct.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'segue_copy%'").fetchone()[0]


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
        move.join(20)
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

