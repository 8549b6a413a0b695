"""Proxies whose admin console has users, for the tests of it."""

import contextlib
import re
import subprocess

import psycopg

import wire
from segue import BINARY

PASSWORD = "correct horse"
USERS = {"ann": "operator", "watch": "viewer"}


def line(name, role="operator", peer=None, password=PASSWORD):
    """A line of users_file, as `segue password` makes it."""
    more = ["--peer", peer] if peer else []
    return subprocess.run([BINARY, "password", name, "--role", role, *more], input=password + "\n",
                          capture_output=True, text=True, check=True).stdout


def configure(segue, section="", lines=None):
    """Gives it users and this in its section admin, which listens on loopback; before the start."""
    segue.users_path = segue.directory / "users"
    write_users(segue, *(lines or [line(name, role) for name, role in USERS.items()]))
    text = segue.config_path.read_text()
    segue.config_path.write_text(re.sub(
        r"admin \{.*\}",
        f'admin {{ port = {segue.admin_port}  users_file = "{segue.users_path}"  {section} }}', text))
    return segue


def write_users(segue, *lines):
    segue.users_path.write_text("".join(one.rstrip("\n") + "\n" for one in lines))
    segue.users_path.chmod(0o600)


def connect(segue, user="ann", password=PASSWORD, host="127.0.0.1", **more):
    """psycopg 3 to its console."""
    return psycopg.connect(host=host, port=segue.admin_port, dbname="segue", user=user,
                           password=password, autocommit=True, connect_timeout=60, **more)


def run(segue, command, **more):
    with connect(segue, **more) as connection:
        return connection.execute(command).fetchall()


@contextlib.contextmanager
def asked(segue, user="ann", context=None):
    """A wire.Connection that was asked for a proof."""
    with wire.Connection(segue.admin_port) as connection:
        if context:
            connection.secure(context)
        connection.send(wire.startup_packet(user, "segue"))
        request = connection.read()
        assert request.kind == b"R" and request.body[:4] == b"\0\0\0\x0a", request
        connection.mechanisms = [name.decode() for name in request.body[4:].split(b"\0") if name]
        yield connection
