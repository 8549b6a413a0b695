"""A PostgreSQL protocol 3 client made for tests: it says exactly what it is told to say.

Builders give the bytes of one message; `Connection` sends bytes (whole, cut at chosen places, or one
by one) and reads messages. Nothing here is polite: it never answers, retries or checks what a test
did not ask for.
"""

import hashlib
import socket
import struct
import time

PROTOCOL_3_0 = 196608
SSL_REQUEST_CODE = 80877103
GSS_REQUEST_CODE = 80877104
CANCEL_REQUEST_CODE = 80877102


class Message:
    """One message from the server: its type, a one-byte string, and its body."""

    def __init__(self, kind, body):
        self.kind = kind
        self.body = body

    def __eq__(self, other):
        return (self.kind, self.body) == (other.kind, other.body)

    def __repr__(self):
        if self.kind in b"EN":
            return f"{self.kind.decode()}{self.fields()}"
        return f"{self.kind.decode('latin-1')}{self.body!r}"

    def fields(self):
        """Of an ErrorResponse or NoticeResponse: {'C': sqlstate, 'M': message, ..}."""
        fields = {}
        for part in self.body.split(b"\0"):
            if part:
                fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
        return fields

    @property
    def sqlstate(self):
        return self.fields()["C"]

    def row(self):
        """Of a DataRow: its values as bytes, None for NULL."""
        count = struct.unpack_from("!H", self.body)[0]
        at, values = 2, []
        for _ in range(count):
            length = struct.unpack_from("!i", self.body, at)[0]
            at += 4
            values.append(None if length < 0 else self.body[at : at + length])
            at += max(length, 0)
        return values

    def columns(self):
        """Of a RowDescription: (name, table oid, attnum, type oid, typmod, format) each."""
        count = struct.unpack_from("!H", self.body)[0]
        at, columns = 2, []
        for _ in range(count):
            end = self.body.index(b"\0", at)
            name = self.body[at:end].decode()
            table, attnum, type_oid, _, typmod, form = struct.unpack_from("!IhIhih", self.body, end + 1)
            columns.append((name, table, attnum, type_oid, typmod, form))
            at = end + 19
        return columns


# ---- what a client sends ----


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def cstring(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def startup_packet(user, database, protocol=PROTOCOL_3_0, **parameters):
    body = struct.pack("!i", protocol)
    for name, value in {"user": user, "database": database, **parameters}.items():
        body += cstring(name) + cstring(value)
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def ssl_request():
    return struct.pack("!ii", 8, SSL_REQUEST_CODE)


def gss_request():
    return struct.pack("!ii", 8, GSS_REQUEST_CODE)


def cancel_request(pid, key):
    return struct.pack("!iiii", 16, CANCEL_REQUEST_CODE, pid, key)


def query(sql):
    return message(b"Q", cstring(sql))


def parse(sql, name="", types=()):
    return message(
        b"P", cstring(name) + cstring(sql) + struct.pack(f"!H{len(types)}I", len(types), *types)
    )


def bind(values=(), name="", portal="", formats=(), result_formats=()):
    body = cstring(portal) + cstring(name)
    body += struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            value = value if isinstance(value, bytes) else str(value).encode()
            body += struct.pack("!i", len(value)) + value
    body += struct.pack(f"!H{len(result_formats)}H", len(result_formats), *result_formats)
    return message(b"B", body)


def describe(kind, name=""):
    """`kind` is b"S" for a statement, b"P" for a portal."""
    return message(b"D", kind + cstring(name))


def close(kind, name=""):
    return message(b"C", kind + cstring(name))


def execute(portal="", rows=0):
    return message(b"E", cstring(portal) + struct.pack("!i", rows))


def sync():
    return message(b"S")


def flush():
    return message(b"H")


def terminate():
    return message(b"X")


def copy_data(data):
    return message(b"d", data)


def copy_done():
    return message(b"c")


def copy_fail(reason):
    return message(b"f", cstring(reason))


def function_call(oid, arguments, result_format=0):
    """Arguments as text."""
    body = struct.pack("!IHHH", oid, 1, 0, len(arguments))
    for argument in arguments:
        body += struct.pack("!i", len(argument)) + argument
    return message(b"F", body + struct.pack("!H", result_format))


def password(text):
    return message(b"p", cstring(text))


def extended(sql, values=(), name=""):
    """Parse, Bind, Describe, Execute: no Sync."""
    return parse(sql, name) + bind(values, name) + describe(b"P") + execute()


class Closed(Exception):
    """The server closed the connection; what it said before is in `messages`."""

    def __init__(self, messages):
        super().__init__(f"the server closed the connection after {messages}")
        self.messages = messages


class Connection:
    """A socket to a server (`host` may be a Unix socket's directory) and the bytes read so far."""

    def __init__(self, port, host="127.0.0.1", timeout=60, receive_buffer=None):
        is_local = str(host).startswith("/")
        self.socket = socket.socket(
            socket.AF_UNIX if is_local else socket.AF_INET, socket.SOCK_STREAM
        )
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(f"{host}/.s.PGSQL.{port}" if is_local else (host, port))
        if not is_local:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.pid = self.key = None
        self.parameters = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_cut(self, data, *places, pause=0.002):
        """Sends `data` cut at the given offsets, each piece in a segment of its own."""
        start = 0
        for place in [*sorted(places), len(data)]:
            if place > start:
                self.socket.sendall(data[start:place])
                time.sleep(pause)
                start = place

    def secure(self, context):
        """TLS by SSLRequest; `context` is an ssl.SSLContext."""
        self.send(ssl_request())
        answer = self.read_bytes(1)
        assert answer == b"S", answer
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    # ---- reading ----

    def read_bytes(self, count):
        while len(self.received) < count:
            data = self.socket.recv(65536)
            if not data:
                raise Closed([])
            self.received += data
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def read(self):
        head = self.read_bytes(5)
        length = struct.unpack("!i", head[1:])[0]
        assert length >= 4, f"a message of length {length}"
        return Message(head[:1], self.read_bytes(length - 4))

    def read_until(self, kind=b"Z", count=1):
        """Every message up to the `count`th of this kind, that one included."""
        messages = []
        try:
            while count:
                messages.append(self.read())
                count -= messages[-1].kind in kind
        except Closed:
            raise Closed(messages) from None
        return messages

    def read_all(self):
        """Every message until the server closes."""
        messages = []
        try:
            while True:
                messages.append(self.read())
        except (Closed, ConnectionResetError):
            assert not self.received, f"a message cut short: {self.received!r}"
            return messages

    # ---- the usual conversations ----

    def login(self, user, database, secret=None, **parameters):
        """Sends the startup packet and goes through to the first ReadyForQuery."""
        self.send(startup_packet(user, database, **parameters))
        messages = []
        while True:
            try:
                received = self.read()
            except Closed:
                raise Closed(messages) from None
            messages.append(received)
            if received.kind == b"R":
                self.answer_authentication(received.body, user, secret)
            elif received.kind == b"K":
                self.pid, self.key = struct.unpack("!ii", received.body)
            elif received.kind == b"S":
                name, value = received.body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif received.kind == b"E":
                raise Closed(messages)
            elif received.kind == b"Z":
                return messages

    def answer_authentication(self, body, user, secret):
        code = struct.unpack("!i", body[:4])[0]
        if code == 3:
            self.send(password(secret))
        elif code == 5:
            inner = hashlib.md5((secret + user).encode()).hexdigest().encode()
            self.send(password("md5" + hashlib.md5(inner + body[4:8]).hexdigest()))
        else:
            assert code == 0, f"authentication request {code} is not for this client"

    def query(self, sql):
        self.send(query(sql))
        return self.read_until()

    def rows(self, sql):
        """Rows of a simple query as lists of text."""
        messages = self.query(sql)
        errors = [m for m in messages if m.kind == b"E"]
        assert not errors, errors
        return [
            [None if value is None else value.decode() for value in m.row()]
            for m in messages
            if m.kind == b"D"
        ]


def kinds(messages):
    """Their types as one string, as in "12TDCZ"."""
    return b"".join(m.kind for m in messages).decode()


def error_of(messages):
    """The one ErrorResponse among them."""
    (error,) = [m for m in messages if m.kind == b"E"]
    return error


def transaction_state(messages):
    """What the last ReadyForQuery says: "I", "T" or "E"."""
    return [m for m in messages if m.kind == b"Z"][-1].body.decode()


FIRST_USER_OID = 16384


def masked(messages):
    """Without what differs from one server process to the next: keys, pids, salts, OIDs."""
    shown = []
    for message in messages:
        if message.kind == b"K":
            shown.append((b"K", len(message.body)))
        elif message.kind == b"A":
            shown.append((b"A", message.body[4:]))
        elif message.kind == b"R" and len(message.body) > 4:
            shown.append((b"R", message.body[:4]))
        elif message.kind == b"T":
            columns = [(c[0], c[1] > FIRST_USER_OID, *c[2:]) for c in message.columns()]
            shown.append((b"T", columns))
        elif message.kind in (b"E", b"N"):
            fields = message.fields()
            if fields.get("s", "").startswith("pg_temp_"):
                fields["s"] = "pg_temp"
            shown.append((message.kind, fields))
        else:
            shown.append((message.kind, message.body))
    return shown
