"""COPY through the relay: both ways, in both protocols, and what goes wrong in it."""

import pytest

import wire
from relayed import both, send_and_read


def test_copy_in_text_and_binary_and_out_again(relay):
    with relay.old() as connection:
        connection.execute("CREATE TEMP TABLE copied (a int, b text)")
        rows = [(i, f"row {i} \t\n\\") for i in range(5000)]
        cursor = connection.cursor()
        for form in ("TEXT", "BINARY"):
            with cursor.copy(f"COPY copied FROM STDIN (FORMAT {form})") as copy:
                copy.set_types(["int4", "text"])
                for row in rows:
                    copy.write_row(row)
            assert cursor.rowcount == 5000
            with cursor.copy(f"COPY copied TO STDOUT (FORMAT {form})") as copy:
                copy.set_types(["int4", "text"])
                assert list(copy.rows()) == rows
            connection.execute("TRUNCATE copied")


COPY_SETUP = "CREATE TEMP TABLE copied (a int PRIMARY KEY)"


@pytest.mark.parametrize(
    "data",
    [
        wire.copy_data(b"1\n2\n") + wire.copy_done(),
        wire.copy_data(b"1\n2") + wire.copy_data(b"3\n4\n") + wire.copy_done(),
        wire.copy_data(b"1\n") + wire.copy_fail("no more"),
        wire.copy_data(b"one\n") + wire.copy_data(b"2\n") * 100 + wire.copy_done(),
        wire.copy_data(b"1\n1\n") + wire.copy_done(),
        wire.copy_done(),
        wire.copy_data(b"1\n") + wire.flush() + wire.sync() + wire.copy_data(b"2\n") + wire.copy_done(),
    ],
    ids=["well", "rows-cut", "fail", "bad-value", "duplicate", "empty", "flush-and-sync-within"],
)
def test_copy_in_is_answered_as_by_the_server(cluster, relay, data):
    def conversation(connection):
        messages = connection.query(COPY_SETUP)
        connection.send(wire.query("COPY copied FROM STDIN"))
        messages += connection.read_until(b"G")
        connection.send(data)
        messages += connection.read_until()
        return messages + connection.query("SELECT count(*) FROM copied")

    both(cluster, relay, conversation)


def test_pitfall_48_copy_data_behind_a_copy_error_is_dropped(cluster, relay):
    def conversation(connection):
        messages = connection.query(COPY_SETUP)
        connection.send(wire.query("COPY copied FROM STDIN"))
        messages += connection.read_until(b"G")
        connection.send(wire.copy_data(b"x\n"))
        messages += connection.read_until()
        connection.send(wire.copy_data(b"1\n") + wire.copy_done() + wire.query("SELECT 1"))
        return messages + connection.read_until()

    both(cluster, relay, conversation)


def test_copy_in_the_extended_protocol_is_answered_as_by_the_server(cluster, relay):
    def conversation(connection):
        messages = connection.query(COPY_SETUP)
        connection.send(wire.extended("COPY copied FROM STDIN"))
        messages += connection.read_until(b"G")
        connection.send(wire.copy_data(b"7\n") + wire.copy_done() + wire.sync())
        messages += connection.read_until()
        connection.send(wire.extended("COPY copied TO STDOUT") + wire.sync())
        return messages + connection.read_until()

    both(cluster, relay, conversation)


def test_copy_out_that_fails_in_the_middle_is_answered_as_by_the_server(cluster, relay):
    sql = "COPY (SELECT 1/(5000 - i) FROM generate_series(1, 9000) i) TO STDOUT"
    shown = both(cluster, relay, send_and_read(wire.query(sql) + wire.query("SELECT 1"), count=2))
    assert any(kind == b"d" for kind, _ in shown)
    assert any(kind == b"E" and fields["C"] == "22012" for kind, fields in shown)


def test_copies_in_a_multi_statement_query_are_answered_as_by_the_server(cluster, relay):
    def conversation(connection):
        messages = connection.query(COPY_SETUP)
        connection.send(wire.query("COPY copied FROM STDIN; COPY copied FROM STDIN; TABLE copied"))
        for line in (b"1\n", b"2\n"):
            messages += connection.read_until(b"G")
            connection.send(wire.copy_data(line) + wire.copy_done())
        return messages + connection.read_until()

    both(cluster, relay, conversation)
