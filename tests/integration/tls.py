"""A proxy and a PostgreSQL that speak TLS: fixtures of the tests of it, and what their clients say."""

import ssl

import pytest

from certificates import Authority
from cluster import Cluster
from segue import Segue


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def files(authority):
    """(certificate, key) by whose they are."""
    return {
        "segue": authority.issue("segue.test", "DNS:localhost,IP:127.0.0.1"),
        "server": authority.issue("localhost", "DNS:localhost,IP:127.0.0.1", "server"),
        "alice": authority.issue("alice"),
        "harness": authority.issue("segue"),
        "stranger": Authority(authority.directory / "strange", "strangers").issue("alice"),
    }


@pytest.fixture(scope="module")
def tls_cluster(authority, files):
    """A PostgreSQL with TLS, where `postgres` is let in over TLS only."""
    cluster = Cluster()
    hba = (cluster.data / "pg_hba.conf").read_text()
    (cluster.data / "pg_hba.conf").write_text(
        "hostssl all certified 127.0.0.1/32 cert map=segue\nhostnossl all tls_only all reject\n" + hba
    )
    (cluster.data / "pg_ident.conf").write_text("segue segue.test certified\n")
    with cluster.connect() as connection:
        connection.execute("CREATE ROLE tls_only LOGIN")
        connection.execute("CREATE ROLE certified LOGIN")
    cluster.speak_tls(*files["server"], authority)  # which makes it read the other files, too
    yield cluster
    cluster.remove()


def client_settings(authority, files, mode):
    certificate, key = files["segue"]
    return (f'client_tls_sslmode = "{mode}"\nclient_tls_cert_file = "{certificate}"\n'
            f'client_tls_key_file = "{key}"\nclient_tls_ca_file = "{authority.certificate}"\n')


def upstream_tls(connection):
    """Whether PostgreSQL sees TLS on its side of this session."""
    return connection.execute(
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ).fetchone()[0]


@pytest.fixture
def start_with(make_segue, authority, files):
    """A proxy with this client_tls_sslmode and more settings, started."""

    def start(mode, more=""):
        segue = make_segue(settings=client_settings(authority, files, mode) + more, start=False)
        segue.tls = ssl.create_default_context(cafile=authority.certificate)
        segue.tls.load_cert_chain(*files["harness"])
        return segue.start()

    return start


def parameters(authority, certificate=None, **more):
    """Of a libpq client that checks whom it talks to; with this certificate of its own, or none."""
    own, key = certificate or ("/none", "/none")
    return {"sslmode": "verify-full", "sslrootcert": str(authority.certificate), "sslcert": str(own),
            "sslkey": str(key)} | more


@pytest.fixture
def in_front_of(tls_cluster, tmp_path):
    """A proxy in front of the PostgreSQL that speaks TLS, with these settings."""
    started = []

    def start(settings):
        directory = tmp_path / f"upstream{len(started)}"
        directory.mkdir()
        started.append(Segue(tls_cluster, directory, settings=settings))
        return started[-1].start()

    yield start
    for segue in started:
        segue.stop()
