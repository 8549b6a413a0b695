"""Commands of the admin console that take their time: progress, cancel, and the process's end."""

import contextlib

import pytest

import tables
import wire


@pytest.fixture
def long(make_segue, shop_database, cluster):
    """A proxy whose backfill of users takes a good while."""
    with cluster.connect(shop_database) as direct:
        direct.execute("INSERT INTO users SELECT i, 'n' || i, 'a,b' FROM generate_series(10, 20000) i")
    segue = make_segue([shop_database], settings="backfill_rows = 50\nbackfill_pause = 100")
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    return segue


def test_a_long_command_sends_notices_and_stops_nobody(long):
    with wire.Connection(long.admin_port) as connection:
        connection.login("ann", "segue")
        connection.send(wire.query("BACKFILL users_role START"))
        assert connection.read().kind == b"N"
        for _ in range(20):
            assert long.admin("SELECT 1").rows
        row, = long.admin("SHOW BACKFILLS").rows
        assert row["state"] == "running" and 0 <= row["percent"] < 100
        long.admin("BACKFILL users_role CANCEL")
        connection.read_until()


def test_ctrl_c_ends_a_long_command_with_an_error(long):
    with wire.Connection(long.admin_port) as connection:
        connection.login("ann", "segue")
        connection.send(wire.query("BACKFILL users_role START; SELECT 1"))
        assert connection.read().kind == b"N"
        with wire.Connection(long.admin_port) as other:
            other.send(wire.cancel_request(connection.pid, connection.key ^ 1))
            assert other.read_all() == []
        connection.send(wire.query("SELECT 2"))
        with wire.Connection(long.admin_port) as other:
            other.send(wire.cancel_request(connection.pid, connection.key))
            assert other.read_all() == []
        messages = connection.read_until(count=2)
        assert wire.kinds(messages).lstrip("N") == "EZTDCZ"
        assert wire.error_of(messages).sqlstate == "57014"


def test_who_disconnects_in_a_long_command_disturbs_nothing(long):
    connection = wire.Connection(long.admin_port)
    connection.login("ann", "segue")
    connection.send(wire.query("BACKFILL users_role START"))
    assert connection.read().kind == b"N"
    connection.close()
    assert long.admin("SELECT 1").rows
    long.assert_running()


def test_sigterm_in_a_long_command_ends_it(long):
    connection = wire.Connection(long.admin_port)
    connection.login("ann", "segue")
    connection.send(wire.query("BACKFILL users_role START"))
    assert connection.read().kind == b"N"
    long.stop()
    with contextlib.suppress(wire.Closed, ConnectionResetError):
        assert connection.read_all()[-1].sqlstate == "57P01"
    connection.close()


def test_shutdown_answers_and_ends_the_process(make_segue):
    segue = make_segue()
    with wire.Connection(segue.admin_port) as connection:
        connection.login("ann", "segue")
        messages = connection.query("SHUTDOWN")
        assert wire.kinds(messages) == "TDCZ"
        assert segue.process.wait(60) == 0
    segue.process = None
    segue.assert_clean_log()


def test_an_idle_console_is_told_when_the_process_ends(make_segue):
    segue = make_segue()
    with wire.Connection(segue.admin_port) as connection:
        connection.login("ann", "segue")
        segue.stop()
        assert wire.error_of(connection.read_all()).sqlstate == "57P01"
