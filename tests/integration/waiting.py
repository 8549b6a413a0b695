"""What tests wait for."""

import time

import psycopg2


def wait_until(condition, seconds=60):
    """What it gives once that is true. A busy machine takes its time: how much is not what is tested."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def settled(measure, seconds=60):
    """What `measure` gives once it has given the same for half a second: closing takes a moment."""
    deadline = time.monotonic() + seconds
    found, since = measure(), time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline, f"still changing: {found}"
        time.sleep(0.02)
        if (now := measure()) != found:
            found, since = now, time.monotonic()
    return found


def wait_until_asked(cluster, text):
    """Until a session at the server is at work on a query that begins so."""
    with cluster.connect() as direct:
        wait_until(lambda: direct.execute(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND starts_with(query, %s)"
            " AND pid <> pg_backend_pid()", [text]).fetchone())


def admin_answers(segue):
    """Whether its admin port lets somebody in."""
    try:
        segue.admin("SELECT 1")
        return True
    except psycopg2.OperationalError:
        return False
