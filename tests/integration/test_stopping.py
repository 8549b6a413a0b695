"""The end of a proxy by a signal: who is let finish, and for how long."""

import signal
import socket

import pytest

from waiting import wait_until


@pytest.fixture
def stopping(make_segue):
    """A proxy that a test ends, and two sessions: one idle, one in a transaction."""
    segue = make_segue()
    with segue.raw() as idle, segue.raw() as busy:
        busy.query("BEGIN")
        yield segue, idle, busy
        assert segue.process.wait(20) == 0
        segue.process = None
        segue.assert_clean_log()


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def told(connection):
    fields = connection.read_all()[-1].fields()
    return fields["S"], fields["C"]


def test_a_second_sigterm_ends_what_the_first_let_go_on(stopping):
    segue, idle, busy = stopping
    segue.process.send_signal(signal.SIGTERM)
    assert told(idle) == ("FATAL", "57P01")
    wait_until(lambda: is_refused(segue.old_port) and is_refused(segue.admin_port))
    assert busy.rows("SELECT 1") == [["1"]]
    assert segue.process.poll() is None
    with segue.log_contains("SIGTERM again: ending at once"):
        segue.process.send_signal(signal.SIGTERM)
    assert told(busy) == ("FATAL", "57P01")


def test_sigint_ends_all_at_once(stopping):
    segue, idle, busy = stopping
    segue.process.send_signal(signal.SIGINT)
    assert told(idle) == told(busy) == ("FATAL", "57P01")
