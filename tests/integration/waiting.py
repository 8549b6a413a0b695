"""What tests wait for."""

import time

import psycopg2


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def admin_answers(segue):
    """Whether its admin port lets somebody in."""
    try:
        segue.admin("SELECT 1")
        return True
    except psycopg2.OperationalError:
        return False
