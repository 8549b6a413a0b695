"""
COPY FROM through the proxy, message for message as on a plain table: every phase, both shapes, with
and without the guard; in the simple and the extended protocol, and where it goes wrong half way.
"""

import contextlib
import itertools
import subprocess
from decimal import Decimal

import pytest

import wire
from cluster import binary
from copying import CONTENTS, COPY, CREATE, EMPTY, ROWS, TRANSITION, data, leftovers
from segue import PHASES, Segue


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
                        seen.append(sorted(b"".join(copy).splitlines()))  # a table has no order
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
