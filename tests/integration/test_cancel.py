"""A cancel request that comes close behind its query: on a connection of its own, so that it may be
met before what it is to cancel. It has to find it as it does with PostgreSQL itself. (Cancelling
what has long begun: test_relay_ends.py; over TLS: test_tls.py.)"""

import pytest

import tables
import wire
from waiting import wait_until

SESSIONS = 24


def cancel(connection, port):
    with wire.Connection(port) as canceller:
        canceller.send(wire.cancel_request(connection.pid, connection.key))
        assert canceller.read_all() == []


def lost(port, database):
    """Of so many sessions' first queries, each cancelled in the same breath: how many ran on."""
    count = 0
    for _ in range(SESSIONS):
        with wire.Connection(port) as connection:
            connection.login("postgres", database)
            connection.send(wire.query("SELECT pg_sleep(0.25)"))
            cancel(connection, port)
            errors = [m.sqlstate for m in connection.read_until() if m.kind == b"E"]
            assert errors in ([], ["57014"])
            count += not errors
    return count


def test_a_cancel_on_its_querys_heels_is_lost_no_more_often_than_by_postgresql(cluster, stands):
    """PostgreSQL itself loses some: the backend may not have read the query yet."""
    stand = stands("dual_old")
    database = stand.databases[0]
    direct = lost(cluster.port, database)
    assert lost(stand.old_port, database) <= direct + SESSIONS // 3


WAITING = {
    "Query": wire.query("SELECT role FROM users WHERE id = 1"),
    "Parse": wire.extended("SELECT role FROM users WHERE id = 1") + wire.sync(),
}


def test_a_statement_that_segue_holds_can_be_cancelled(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    shop.admin("PAUSE")
    with shop.raw() as connection:
        for said in WAITING.values():
            connection.query("BEGIN")
            connection.send(said)
            wait_until(lambda: "held" in [row["state"] for row in shop.admin("SHOW CLIENTS").rows])
            cancel(connection, shop.new_port)
            messages = connection.read_until()
            assert wire.kinds(messages) == "EZ" and messages[0].sqlstate == "57014"
            assert messages[0].fields()["M"] == "canceling statement due to user request"
            assert messages[-1].body == b"E", "the server's transaction has failed, too"
            connection.query("ROLLBACK")
        shop.admin("RESUME")
        assert connection.rows("SELECT role FROM users WHERE id = 1") == [["admin,editor"]]


@pytest.mark.parametrize("statement", ("SELECT pg_sleep(30)", "SELECT role FROM users WHERE id = 1"))
def test_what_waits_for_a_question_of_segues_is_cancelled_with_it(shop, statement):
    """The server is at the question, and would tell only of that."""
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    with shop.raw() as connection, shop.direct(autocommit=False) as locker:
        locker.execute("LOCK TABLE pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE")
        connection.send(wire.query(statement))
        blocked = "SELECT count(*) FROM pg_catalog.pg_locks WHERE NOT granted AND pid = %s"
        wait_until(lambda: locker.execute(blocked, (connection.pid,)).fetchone() == (1,))
        cancel(connection, shop.old_port)
        messages = connection.read_until()
        assert wire.kinds(messages) == "EZ" and messages[0].sqlstate == "57014"
        locker.rollback()
        assert connection.rows("SELECT role FROM users WHERE id = 1") == [["admin,editor"]]
