"""The admin console's handshake of TLS: cut, nonsense, in the wrong place, never ended."""

import contextlib
import ssl

import pytest

import wire
from admin_tls import authority, configured, files, required, secured  # fixtures
from admin_tls import context_of, fatal, is_asked, verified, wrap
from admin_users import PASSWORD, connect, run
from scram import Scram


def test_direct_tls_needs_the_name_of_the_protocol(required, authority):
    with wire.Connection(required.admin_port) as connection:
        wrap(connection, context_of(authority, "postgresql"))
        Scram(PASSWORD).login(connection, "ann")
        assert connection.rows("SELECT current_user") == [["ann"]]
    with wire.Connection(required.admin_port) as connection:
        wrap(connection, context_of(authority))
        error = fatal(connection.read_all())
        assert error.sqlstate == "08P01" and "ALPN" in error.fields()["M"]
    with wire.Connection(required.admin_port) as connection:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            wrap(connection, context_of(authority, "http/1.1"))


def test_direct_tls_is_not_spoken_where_there_is_none(configured, authority):
    segue = configured('tls_sslmode = "disable"').start()
    with wire.Connection(segue.admin_port) as connection:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            wrap(connection, context_of(authority, "postgresql"))
    assert run(segue, "SELECT 1") == [(1,)]


class Cut:
    """TLS whose every byte is a segment of its own, by a wire.Connection."""

    def __init__(self, connection, context):
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def _exchange(self, call):
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self._send()
                data = self.connection.socket.recv(65536)
                assert data, "it was closed"
                self.incoming.write(data)

    def _send(self):
        data = self.outgoing.read()
        self.connection.send_cut(data, *range(1, len(data)), pause=0)

    def shake_hands(self):
        self._exchange(self.tls.do_handshake)
        self._send()

    def ask(self, data):
        self.tls.write(data)
        self._send()
        return self._exchange(lambda: self.tls.read(65536))


@pytest.mark.parametrize("direct", [False, True], ids=["by SSLRequest", "direct"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_may_be_cut_at_every_byte(required, authority, direct, version):
    context = context_of(authority, "postgresql")
    context.minimum_version = context.maximum_version = version
    with wire.Connection(required.admin_port) as connection:
        if not direct:
            connection.send_cut(wire.ssl_request(), *range(1, 8), pause=0)
            assert connection.read_bytes(1) == b"S"
        cut = Cut(connection, context)
        cut.shake_hands()
        assert cut.ask(wire.startup_packet("ann", "segue")).startswith(b"R")


@pytest.mark.parametrize("said", [
    lambda hello: wire.ssl_request() + wire.startup_packet("ann", "segue"),
    lambda hello: wire.ssl_request() + wire.ssl_request(),
    lambda hello: wire.ssl_request() + hello,
    lambda hello: wire.ssl_request() + b"\0",
    lambda hello: wire.gss_request() + wire.ssl_request(),
    lambda hello: wire.gss_request() + wire.startup_packet("ann", "segue"),
], ids=["startup", "request", "hello", "byte", "both requests", "startup after GSS"])
def test_bytes_sent_ahead_of_the_handshake_are_refused(secured, authority, said):
    """CVE-2021-23214: what came in the clear must not be taken for what was encrypted."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context_of(authority).wrap_bio(ssl.MemoryBIO(), outgoing,
                                       server_hostname="localhost").do_handshake()
    with wire.Connection(secured.admin_port) as connection:
        connection.send(said(outgoing.read()))
        assert fatal(connection.read_all()).sqlstate == "08P01"


@pytest.mark.parametrize("nonsense", [
    b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"nonsense", wire.startup_packet("ann", "segue"),
    wire.ssl_request()], ids=["length", "text", "startup", "request"])
def test_a_handshake_that_is_nonsense_disturbs_nobody(secured, authority, nonsense):
    with connect(secured, **verified(authority)) as steady:
        with secured.log_contains(r"A-\d+ 127\S+ closed: the TLS handshake failed"):
            with wire.Connection(secured.admin_port) as connection:
                connection.send(wire.ssl_request())
                assert connection.read_bytes(1) == b"S"
                connection.send(nonsense)
                while connection.socket.recv(4096):
                    pass
        assert steady.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("request_again", [wire.ssl_request, wire.gss_request])
def test_within_tls_no_encryption_is_begun(secured, authority, request_again):
    with wire.Connection(secured.admin_port) as connection:
        connection.secure(context_of(authority))
        connection.send(request_again())
        if request_again is wire.ssl_request:
            assert fatal(connection.read_all()).sqlstate == "08P01"
        else:
            assert connection.read_bytes(1) == b"N"
            assert is_asked(connection)


def test_who_stops_in_a_handshake_is_closed_in_time(configured, authority):
    segue = configured('tls_sslmode = "require"', settings="client_login_timeout = 1").start()
    with segue.log_contains("did not log in in time", times=2):
        with wire.Connection(segue.admin_port) as stopped, wire.Connection(segue.admin_port) as late:
            stopped.send(wire.ssl_request())
            assert stopped.read_bytes(1) == b"S"
            stopped.send(b"\x16\x03\x01\x02\x00")
            late.secure(context_of(authority))
            assert stopped.read_all() == [] and late.read_all() == []


def test_it_ends_well_in_the_middle_of_a_handshake(required):
    with wire.Connection(required.admin_port) as connection:
        connection.send(wire.ssl_request())
        assert connection.read_bytes(1) == b"S"
        connection.send(b"\x16\x03\x01\x02\x00\x01")
        required.stop()
