"""What tests wait for."""

import time

import psycopg2


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def settled(measure, seconds=20):
    """What `measure` gives once it has given the same for half a second: closing takes a moment."""
    deadline = time.monotonic() + seconds
    found, since = measure(), time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline, f"still changing: {found}"
        time.sleep(0.02)
        if (now := measure()) != found:
            found, since = now, time.monotonic()
    return found


def admin_answers(segue):
    """Whether its admin port lets somebody in."""
    try:
        segue.admin("SELECT 1")
        return True
    except psycopg2.OperationalError:
        return False
