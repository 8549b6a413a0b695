"""What the Python programs share: where to connect, how a role looks in a shape, and the transcript."""

import datetime
import decimal
import os

SHAPE = os.environ["SHAPE"]
HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]
COLUMN = {"old": "role", "new": "roles"}[SHAPE]
TOTAL = {"old": "total_cents", "new": "total"}[SHAPE]


def role(*names):
    return list(names) if SHAPE == "new" else ",".join(names)


def total(cents):
    return cents if SHAPE == "old" else decimal.Decimal(cents) / 100


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
