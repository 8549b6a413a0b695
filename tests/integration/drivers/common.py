"""What the Python programs share: where to connect, how a role looks in a shape, and the transcript."""

import datetime
import decimal
import os
import select
import sys
import threading

SHAPE = os.environ["SHAPE"]
HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]
COLUMN = {"old": "role", "new": "roles"}[SHAPE]
TOTAL = {"old": "total_cents", "new": "total"}[SHAPE]
# the rows of its own that a program may write in its rounds
BASE = int(os.environ.get("BASE", "0"))
USER_ROWS = f"FROM users WHERE id BETWEEN {BASE} AND {BASE + 9} ORDER BY id"
ORDER_ROWS = f"FROM orders WHERE id BETWEEN {BASE} AND {BASE + 99} ORDER BY id"

# a statement that sleeps in one of these rows until it is canceled, and one that waits until it does
NAPPER = BASE or 1
NAP = f"UPDATE users SET {COLUMN} = NULL, name = nap({NAPPER}) WHERE id = {NAPPER}"
WAIT_FOR_NAP = f"SELECT wait_for_nap({NAPPER})"


def role(*names):
    return list(names) if SHAPE == "new" else ",".join(names)


def total(cents):
    return cents if SHAPE == "old" else decimal.Decimal(cents) / 100


def amount(number):
    """Of a transaction: the column keeps its name in either shape, only the type differs."""
    return f"{number}.25" if SHAPE == "old" else decimal.Decimal(f"{number}.25")


def plain(value):
    """The value without the driver's own types for a row."""
    if isinstance(value, (str, int, float, decimal.Decimal, datetime.datetime, type(None))):
        return value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value]


def say(what, *values):
    """A line of the transcript."""
    print(what, *(repr(plain(value)) for value in values), flush=True)


def heard(connection):
    """What a connection of psycopg 2 is told next on the channel that it listens to."""
    while not connection.notifies:
        assert select.select([connection], [], [], 30)[0], "nobody notifies"
        connection.poll()
    notify = connection.notifies.pop(0)
    return notify.channel, notify.payload


def when_napping(wait, cancel):
    """A started thread: once `wait` has seen the statement at work it is canceled."""
    def wait_and_cancel():
        wait()
        cancel()

    thread = threading.Thread(target=wait_and_cancel)
    thread.start()
    return thread


def run(idioms, rounds):
    """What the program was asked for: `rounds()` gives the function that does the round of a number."""
    if sys.argv[1] == "idioms":
        idioms()
        return
    one_round = rounds()
    for line in sys.stdin:
        one_round(int(line))
        print(".", flush=True)
