"""Whole conversations compared byte for byte: said to PostgreSQL itself, and to it through Segue.

A script is all that a client says, from its startup packet to its last byte, and then the end of its
side. So nothing is waited for in between, the server answers everything that it will ever answer, and
one reading to the end has all of it. `say` takes a script in pieces, as the network might cut it.

What may differ between two server processes is taken out by `masked`, and nothing else.
"""

import random
import re
import socket
import struct
import time

import wire

SECONDS = 20  # within which a server must have answered everything and closed
AT_ONCE = 30  # connections
HANGS = b"<still open>"  # at the end of what was read from a server that did not close


def login(user="alice", database="postgres", **parameters):
    return wire.startup_packet(user, database, **parameters)


# ---------------------------------------------------------------- saying


def open_socket(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def write(connection, data, is_last):
    """A server that has closed already takes nothing more: what it said before is still read."""
    try:
        connection.sendall(data)
        if is_last:
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def read_to_the_end(connection):
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass  # closed with something unread: TCP's way of saying it, not the protocol's
    except TimeoutError:
        received += HANGS
    return received


def say_at_once(port, scripts):
    """Each script (a list of pieces) on a connection of its own, their pieces in step."""
    steps = max(map(len, scripts))
    pause = 0.002 if steps < 10 else 0.0003
    connections = [open_socket(port) for _ in scripts]
    try:
        for step in range(steps):
            for connection, pieces in zip(connections, scripts):
                if step < len(pieces):
                    write(connection, pieces[step], step == len(pieces) - 1)
            time.sleep(pause)
        return [read_to_the_end(connection) for connection in connections]
    finally:
        for connection in connections:
            connection.close()


def say(port, scripts, at_once=AT_ONCE):
    """What is answered to each of the scripts, a list of pieces each."""
    answers = []
    for start in range(0, len(scripts), at_once):
        answers += say_at_once(port, scripts[start : start + at_once])
    return answers


def answer(port, *pieces):
    """To one script."""
    return say_at_once(port, [pieces])[0]


# ---------------------------------------------------------------- cutting


def cut(data, *places):
    bounds = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in zip(bounds, bounds[1:]) if a < b]


BYTE_BY_BYTE = 600  # no more bytes than these are sent one by one
FILLER = re.compile(rb"(.)\1{299,}", re.S)
FILLERS_ENDS = 100


def telling_places(data, first):
    """Each place from `first` on, but those far inside of filler, where one is as another."""
    places = set(range(first, len(data)))
    for filler in FILLER.finditer(data):
        places -= set(range(filler.start() + FILLERS_ENDS, filler.end() - FILLERS_ENDS))
    return sorted(places)


def ways_to_cut(begin, rest, seed, most=10):
    """
    Of a startup packet and what follows it, as lists of pieces: every byte alone, and `most` single
    telling places of the `rest` drawn by chance, or all of them where they are fewer, and a few by
    threes.
    """
    chance = random.Random(seed)
    data, first = begin + rest, len(begin)
    places = telling_places(data, first)
    ways = [cut(data, *range(first, len(data))[:BYTE_BY_BYTE])]
    single = places if len(places) <= most else sorted(chance.sample(places, most))
    ways += [cut(data, place) for place in single]
    if len(places) > 3:
        ways += [cut(data, *chance.sample(places, 3)) for _ in range(3)]
    return ways


# ---------------------------------------------------------------- comparing


def split_messages(data):
    """Its messages, each with type and length; what is no whole message is the last one."""
    messages = []
    while len(data) >= 5:
        length = struct.unpack_from("!i", data, 1)[0]
        if length < 4 or len(data) < length + 1:
            break
        messages.append(data[: length + 1])
        data = data[length + 1 :]
    return messages + ([data] if data else [])


def mask_tables(message):
    """
    RowDescription: the table's OID, which each database deals out anew, and the column's number in it,
    which a column of a later date has another of.
    """
    data = bytearray(message)
    count = struct.unpack_from("!H", data, 5)[0]
    at = 7
    for _ in range(count):
        at = data.index(b"\0", at) + 1
        if struct.unpack_from("!I", data, at)[0] >= wire.FIRST_USER_OID:
            data[at : at + 6] = b"oid no"
        at += 18
    return bytes(data)


def mask_message(message):
    kind = message[:1]
    if kind == b"K":  # BackendKeyData: which process serves, and the secret it drew
        return message[:5] + b"k" * (len(message) - 5)
    if kind == b"A":  # NotificationResponse: the process that notified
        return message[:5] + b"pid " + message[9:]
    if kind == b"R" and len(message) == 13:  # AuthenticationMD5Password: the salt it drew
        return message[:9] + b"salt"
    if kind == b"T":
        return mask_tables(message)
    if kind in (b"E", b"N"):
        # the schema of a session's temporary tables is numbered as its process's slot is
        changed = re.sub(rb"pg_temp_[0-9]+", b"pg_temp_N", message[5:])
        return kind + struct.pack("!i", len(changed) + 4) + changed
    return message


def masked(data):
    """A list of messages, each as it came but for what no two sessions have in common."""
    return [mask_message(message) for message in split_messages(data)]


def assert_same(direct, through, how):
    expected, got = masked(direct), masked(through)
    assert not direct.endswith(HANGS), f"{how}: PostgreSQL itself never ends"
    if got == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(expected, got)) if a != b),
              min(len(expected), len(got)))
    raise AssertionError(
        f"{how}: message {at} differs\n  directly: {expected[at : at + 3]}\n"
        f"  through:  {got[at : at + 3]}\n  both before: {expected[max(0, at - 4) : at]}"
    )


class Target:
    """A port, and the startup packet to begin with there."""

    def __init__(self, port, begin):
        self.port = port
        self.begin = begin


def compare(direct, through, rest, most=10, at_once=AT_ONCE):
    """The script whole, and cut in many ways, is answered as PostgreSQL itself answers it whole."""
    expected = answer(direct.port, direct.begin + rest)
    ways = [[through.begin + rest]]
    if rest:
        ways += ways_to_cut(through.begin, rest, len(rest), most)
    for pieces, got in zip(ways, say(through.port, ways, at_once)):
        assert_same(expected, got, f"in pieces of {[len(piece) for piece in pieces[:5]]} ..")
