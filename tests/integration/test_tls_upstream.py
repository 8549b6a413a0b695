"""TLS with the server: which one is talked to, and what it is shown."""

import socket
import ssl

import psycopg
import pytest

import wire
from fake_server import FakeServer, error
from segue import Segue
from tls import authority, files, in_front_of, tls_cluster  # fixtures
from tls import upstream_tls


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_the_server_is_asked_for_tls(in_front_of, authority, mode):
    segue = in_front_of(f'server_tls_sslmode = "{mode}"\n'
                        f'server_tls_ca_file = "{authority.certificate}"\n')
    with segue.old(sslmode="disable") as connection:
        assert upstream_tls(connection)
        big = "x" * 3_000_000
        assert connection.execute("SELECT %s::text", [big]).fetchone() == (big,)


def test_the_server_is_not_asked_where_that_is_disabled(in_front_of):
    with in_front_of('server_tls_sslmode = "disable"\n').old(sslmode="disable") as connection:
        assert not upstream_tls(connection)


def test_segue_shows_the_server_its_certificate(in_front_of, authority, files):
    certificate, key = files["segue"]
    segue = in_front_of(f'server_tls_sslmode = "verify-full"\n'
                        f'server_tls_ca_file = "{authority.certificate}"\n'
                        f'server_tls_cert_file = "{certificate}"\nserver_tls_key_file = "{key}"\n')
    with segue.old(user="certified", sslmode="disable") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("certified",)


@pytest.mark.parametrize("mode, host, trusted, revoked, why", [
    ("verify-ca", "127.0.0.1", "stranger", None, "self-signed certificate in certificate chain"),
    ("verify-ca", "127.1", "authority", None, None),  # a name of the address that is not the certificate's
    ("verify-full", "127.1", "authority", None, "hostname mismatch"),
    ("verify-ca", "127.0.0.1", "authority", "segue", None),
    ("verify-ca", "127.0.0.1", "authority", "server", "certificate revoked"),
])
def test_a_server_whose_certificate_does_not_hold_is_not_talked_to(
        tls_cluster, authority, files, tmp_path, mode, host, trusted, revoked, why):
    trust = authority.certificate if trusted == "authority" else files["stranger"][0].parent / "strangers.crt"
    settings = f'server_tls_sslmode = "{mode}"\nserver_tls_ca_file = "{trust}"\n'
    if revoked:
        authority.revoke(tmp_path / "revoked.crl", files[revoked][0])
        settings += f'server_tls_crl_file = "{tmp_path / "revoked.crl"}"\n'
    segue = Segue(tls_cluster, tmp_path, settings=settings,
                  upstream=f'host = "{host}"  port = {tls_cluster.port}')
    segue.lets_in = lambda *_: True  # nobody need be let in
    segue.start()
    if why:
        with pytest.raises(psycopg.OperationalError, match=f"certificate is not accepted: {why}"):
            segue.old(sslmode="disable")
    else:
        segue.old(sslmode="disable").close()
    segue.stop()


def test_a_server_without_tls_is_refused_where_tls_is_required(cluster, tmp_path):
    segue = Segue(cluster, tmp_path, settings='server_tls_sslmode = "require"\n')
    segue.lets_in = lambda *_: True
    segue.start()
    with pytest.raises(psycopg.OperationalError, match="does not support TLS"):
        segue.old(sslmode="disable")
    segue.stop()


@pytest.mark.parametrize("host, told", [("localhost", "localhost"), ("127.0.0.1", None)])
def test_the_server_is_told_by_which_name_it_was_called(cluster, files, tmp_path, host, told):
    """
    SNI, by which a proxy before many servers knows whom is meant; an address is no name. A cancel
    request, which holds a secret, comes by TLS as well.
    """
    names, packets = [], []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files["server"])
    context.sni_callback = lambda _, name, __: names.append(name)

    def serve(connection):
        assert connection.recv(8) == wire.ssl_request()
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as secured:
            packets.append(FakeServer.read_startup(secured))
            if packets[-1] != wire.cancel_request(1, 2):
                secured.sendall(error("53300", "that was all"))

    with socket.create_server(("127.0.0.1", 0)) as server:
        segue = Segue(cluster, tmp_path, settings='server_tls_sslmode = "require"\n',
                      upstream=f'host = "{host}"  port = {server.getsockname()[1]}')
        segue.lets_in = lambda *_: True
        segue.start()
        with wire.Connection(segue.old_port) as client:
            client.send(wire.startup_packet("postgres", "postgres"))
            serve(server.accept()[0])
            assert client.read_all()[-1].sqlstate == "53300"
        with wire.Connection(segue.old_port) as canceller:
            canceller.send(wire.cancel_request(1, 2))
            serve(server.accept()[0])
            assert canceller.read_all() == []
        segue.stop()
    assert names == [told, told]
    assert packets == [wire.startup_packet("postgres", "postgres"), wire.cancel_request(1, 2)]


def test_bytes_behind_the_servers_answer_are_refused(make_segue, cluster):
    """CVE-2021-23222: somebody between may have put them there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        segue = make_segue(start=False)
        segue.change_config(f"port = {cluster.port} }}", f"port = {server.getsockname()[1]} }}")
        segue.lets_in = lambda *_: True
        segue.start()
        with wire.Connection(segue.old_port) as client:
            client.send(wire.startup_packet("postgres", "postgres"))
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(8) == wire.ssl_request()
                accepted.sendall(b"SR\0\0\0\x08\0\0\0\0")
                assert b"unencrypted data" in client.read_all()[0].body
