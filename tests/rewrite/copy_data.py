"""
Rows for COPY FROM STDIN, in its three formats. A value is None or text, as PostgreSQL would read it for
a column of a kind (garden.py); in binary it is what the kind's type is in the client's shape.
"""

import datetime
import struct

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TEXT_OID = 25
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n"}


def text_rows(rows, delimiter="\t", null="\\N"):
    def field(value):
        if value is None:
            return null
        value = "".join(ESCAPED.get(c, c) for c in value)
        return value.replace(delimiter, "\\" + delimiter) if delimiter != "\t" else value

    return "".join(delimiter.join(map(field, row)) + "\n" for row in rows).encode()


def csv_rows(rows, delimiter=",", null="", quote='"'):
    """A value that is quoted is never NULL."""
    def field(value):
        return null if value is None else quote + value.replace(quote, quote * 2) + quote

    return "".join(delimiter.join(map(field, row)) + "\n" for row in rows).encode()


# ---- binary ----


def array(items):
    data = struct.pack("!iii", int(bool(items)), int(None in items), TEXT_OID)
    data += struct.pack("!ii", len(items), 1) if items else b""
    for item in items:
        value = None if item is None else item.encode()
        data += struct.pack("!i", -1 if value is None else len(value)) + (value or b"")
    return data


def numeric(text):
    """In groups of four decimal digits, the first before the point."""
    digits = text.lstrip("-")
    whole, _, fraction = digits.partition(".")
    scale = len(fraction)
    whole = whole.zfill(-(-len(whole) // 4) * 4)
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int((whole + fraction)[i : i + 4]) for i in range(0, len(whole + fraction), 4)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        groups, weight = groups[1:], weight - 1
    while groups and groups[-1] == 0:
        groups = groups[:-1]
    sign = 0x4000 if text.startswith("-") and groups else 0
    return struct.pack(f"!hhHh{len(groups)}h", len(groups), weight if groups else 0, sign, scale, *groups)


def date(text):
    return struct.pack("!i", (datetime.date.fromisoformat(text) - datetime.date(2000, 1, 1)).days)


def of_kind(kind, shape, value):
    if kind == "int" or (kind == "qty" and shape == "old"):
        return struct.pack("!i", int(value))
    if kind == "qty":
        return struct.pack("!q", int(value))
    if kind == "arr":
        return array(value)
    if kind == "money" and shape == "new":
        return numeric(value)
    return date(value) if kind == "date" else value.encode()


def binary_rows(rows, kinds, shape):
    data = SIGNATURE
    for row in rows:
        data += struct.pack("!h", len(row))
        for kind, value in zip(kinds, row):
            field = None if value is None else of_kind(kind, shape, value)
            data += struct.pack("!i", -1 if field is None else len(field)) + (field or b"")
    return data + struct.pack("!h", -1)


def array_text(items):
    return "{" + ",".join(
        "NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for item in items
    ) + "}"
