"""Thousands of sessions at a time: a server that only logs in, and clients that only stay."""

import resource
import selectors
import socket
import struct
import threading

import wire
from ports import free_port


WANTED = 25_000  # descriptors: what ten thousand sessions take, and some


def most_descriptors():
    """How many this process may have open, after it has asked for more where it may not have enough."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < WANTED:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED, WANTED))
        except ValueError:
            pass  # only root may, and not everywhere
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def allow_descriptors(count):
    """Raises this process's limit, which the proxies that it starts inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))


# What PostgreSQL 15 says of a session that needs no password; the key is filled in.
PARAMETERS = {
    "application_name": "", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
    "default_transaction_read_only": "off", "in_hot_standby": "off", "integer_datetimes": "on",
    "IntervalStyle": "postgres", "is_superuser": "on", "server_encoding": "UTF8",
    "server_version": "15.8", "session_authorization": "postgres",
    "standard_conforming_strings": "on", "TimeZone": "Etc/UTC",
}
GREETING = wire.message(b"R", struct.pack("!i", 0)) + b"".join(
    wire.message(b"S", wire.cstring(name) + wire.cstring(value))
    for name, value in PARAMETERS.items()
)
READY = wire.message(b"Z", b"I")


class CrowdServer:
    """Lets everybody in, without TLS, and finds no rows for any query; in a thread of its own."""

    def __init__(self):
        self.port = free_port()
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.1):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.answer(key.fileobj)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except BlockingIOError:
                return
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)

    def answer(self, connection):
        try:
            data = connection.recv(4096)
        except ConnectionError:
            data = b""
        if not data or data[:1] == b"X":
            self.selector.unregister(connection)
            connection.close()
        elif data[:1] == b"Q":
            connection.sendall(wire.message(b"C", wire.cstring("SELECT 0")) + READY)
        elif data == wire.ssl_request():
            connection.sendall(b"N")
        else:  # a startup packet, which is small enough to come whole
            self.count += 1
            key = wire.message(b"K", struct.pack("!ii", self.count, self.count * 7919 % 2**31))
            connection.sendall(GREETING + key + READY)

    def close(self):
        self.stopping = True
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def log_in(port, count, tls=None, user="postgres", together=50):
    """That many logged-in sockets that have made a query, `together` at a time on their way."""
    packet = wire.startup_packet(user, "postgres")
    sessions = []
    while len(sessions) < count:
        batch = []
        for _ in range(min(together, count - len(sessions))):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            if tls:
                connection.sendall(wire.ssl_request())
                assert connection.recv(1) == b"S"
                connection = tls.wrap_socket(connection)
            connection.sendall(packet)
            batch.append(connection)
        for step in (None, wire.query("SELECT")):
            for connection in batch:
                if step:
                    connection.sendall(step)
            for connection in batch:
                read_until_ready(connection)
        sessions += batch
    return sessions


def read_until_ready(connection):
    said = b""
    while not said.endswith(READY):
        more = connection.recv(65536)
        assert more, said
        said += more


def resident(pid):
    """Kilobytes of a process's memory that no other shares."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError(f"process {pid} has no VmRSS")
