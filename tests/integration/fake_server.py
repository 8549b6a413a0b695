"""Servers that are not PostgreSQL: as much of one as a test needs, in a thread."""

import contextlib
import socket
import struct
import threading

import wire
from ports import free_port


def error(sqlstate, text):
    fields = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0M" + text.encode() + b"\0\0"
    return wire.message(b"E", fields)


def parameter(name, value):
    return wire.message(b"S", wire.cstring(name) + wire.cstring(value))


AUTHENTICATION_OK = wire.message(b"R", struct.pack("!i", 0))
READY = wire.message(b"Z", b"I")


class FakeServer:
    """
    Each connection is given to `serve(connection)`, a function of a test, in a thread of its own;
    `connection` is a socket, closed when the function returns. SSLRequest is answered with N before.
    """

    def __init__(self, serve, host="127.0.0.1", port=None):
        self.serve = serve
        self.port = port or free_port()
        self.startups = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, self.port))
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return  # closed by the test
            threading.Thread(target=self.handle, args=[connection], daemon=True).start()

    def handle(self, connection):
        with connection:
            try:
                packet = self.read_startup(connection)
                if packet == wire.ssl_request():
                    connection.sendall(b"N")
                    packet = self.read_startup(connection)
                self.startups.append(packet)
                self.serve(connection)
            except (OSError, EOFError):
                pass  # the proxy left, as it may

    @staticmethod
    def read_exactly(connection, count):
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    @classmethod
    def read_startup(cls, connection):
        head = cls.read_exactly(connection, 4)
        return head + cls.read_exactly(connection, struct.unpack("!i", head)[0] - 4)

    @classmethod
    def read_message(cls, connection):
        head = cls.read_exactly(connection, 5)
        return wire.Message(head[:1], cls.read_exactly(connection, struct.unpack("!i", head[1:])[0] - 4))

    def close(self):
        # accept() goes on in its thread until somebody comes or the socket is shut down
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TamperingServer(FakeServer):
    """
    In front of a real one: every byte is passed on, until a client says `trigger` while `said` is not
    None: then that is the answer, and with `closes` the connection ends behind it.
    """

    def __init__(self, behind, trigger):
        self.behind = behind
        self.trigger = trigger
        self.said, self.closes = None, False
        super().__init__(None)

    def handle(self, connection):
        with connection, socket.create_connection(("127.0.0.1", self.behind)) as real:
            threading.Thread(target=self.pass_on, args=[real, connection], daemon=True).start()
            with contextlib.suppress(OSError):  # either side may have left
                while data := connection.recv(65536):
                    if self.said is None or self.trigger not in data:
                        real.sendall(data)
                        continue
                    connection.sendall(self.said)
                    if self.closes:
                        break
                real.shutdown(socket.SHUT_WR)

    @staticmethod
    def pass_on(real, connection):
        with contextlib.suppress(OSError):
            while data := real.recv(65536):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_RDWR)
