"""An admin console with TLS: its proxies, as fixtures, and those who come to it."""

import ssl
import subprocess

import pytest

import admin_users
import wire
from admin_users import PASSWORD
from certificates import Authority

BEYOND = "198.51.100.7"  # of RFC 5737's networks for documentation: nobody's


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("admin_tls"))


@pytest.fixture(scope="module")
def files(authority):
    """(certificate, key) by whose they are."""
    names = f"DNS:localhost,IP:127.0.0.1,IP:{BEYOND}"
    return {
        "console": authority.issue("console.test", names),
        "second": authority.issue("second.test", names),
        "ann": authority.issue("ann"),
        "watch": authority.issue("watch"),
        "stranger": Authority(authority.directory / "strange", "strangers").issue("ann"),
    }


@pytest.fixture
def configured(make_segue, files):
    """A function that makes a proxy whose console has a certificate, users, and this in its section."""

    def make(section="", address="127.0.0.1", databases=(), settings=""):
        certificate, key = files["console"]
        return admin_users.configure(
            make_segue(databases, settings=settings, start=False),
            f'address = "{address}"  unix_socket_dir = ""  tls_cert_file = "{certificate}"  '
            f'tls_key_file = "{key}"  {section}')

    return make


@pytest.fixture
def secured(configured):
    return configured().start()


@pytest.fixture
def required(configured):
    return configured('tls_sslmode = "require"').start()


def context_of(authority, *protocols):
    context = ssl.create_default_context(cafile=authority.certificate)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def verified(authority, certificate=None, **more):
    """Of a libpq client that checks whom it talks to."""
    own, key = certificate or ("/none", "/none")
    return {"sslmode": "verify-full", "sslrootcert": str(authority.certificate), "sslcert": str(own),
            "sslkey": str(key)} | more


def conninfo(segue, **more):
    known = {"host": "127.0.0.1", "port": segue.admin_port, "dbname": "segue", "user": "ann",
             "password": PASSWORD, "connect_timeout": 10}
    return " ".join(f"{name}='{value}'" for name, value in (known | more).items())


def psql(where, command="SELECT current_user", runner=()):
    return subprocess.run([*runner, "psql", "-XAt", where, "-c", command], capture_output=True,
                          text=True, timeout=60, check=False)


def wrap(connection, context, name="localhost"):
    """Direct TLS."""
    connection.socket = context.wrap_socket(connection.socket, server_hostname=name)
    return connection.socket


def fatal(messages):
    """The one thing that was said: an error that ended the connection."""
    assert wire.kinds(messages) == "E", messages
    assert messages[0].fields()["S"] == "FATAL"
    return messages[0]


def is_asked(connection):
    """Whether ann is asked for a password."""
    connection.send(wire.startup_packet("ann", "segue"))
    return connection.read().kind == b"R"
