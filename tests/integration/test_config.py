"""Bad configuration: file, line, what was expected, and exit status 2."""

import re
import subprocess

import pytest

from ports import free_port
from segue import BINARY

GOOD = """\
listen "old" { address = "127.0.0.1"  port = %(old)d  shape = "old" }
admin        { address = "127.0.0.1"  auth_type = "trust"  unix_socket_dir = ""  port = %(admin)d }
upstream     { host = "127.0.0.1"  port = %(upstream)d }
workers = 1
"""
BAD = {
    "an unknown key": (GOOD + "wrokers = 2\n", 5, "wrokers"),
    "an unknown key in a section": (GOOD.replace("shape =", "shap ="), 1, "shap"),
    "an unknown section": (GOOD + 'databse "x" { }\n', 5, "databse"),
    "a number that is none": (GOOD.replace("workers = 1", "workers = many"), 4, "many"),
    "a number out of range": (GOOD.replace("workers = 1", "workers = -3"), 4, "-3"),
    "a port out of range": (GOOD.replace("port = %(upstream)d", "port = 70000"), 3, "70000"),
    "a shape that is none": (GOOD.replace('"old" }', '"odd" }'), 1, "odd"),
    "an unclosed section": (GOOD + 'database "x" {\n', None, None),
}


def serve(path, *more):
    return subprocess.run([BINARY, "serve", "-c", path, *more], capture_output=True, text=True, timeout=60,
                          check=False)


@pytest.mark.parametrize("text, line, word", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_named_with_its_file_and_what_is_wrong(tmp_path, text, line, word):
    path = tmp_path / "bad.conf"
    path.write_text(text % {"old": free_port(), "admin": free_port(), "upstream": 21999})
    done = serve(path)
    assert done.returncode == 2, done.stderr
    assert "bad.conf" in done.stderr
    if line:
        assert f":{line}" in done.stderr or f"line {line}" in done.stderr
    if word:
        assert word in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    done = serve(tmp_path / "nosuch.conf")
    assert done.returncode == 2
    assert "nosuch.conf" in done.stderr


@pytest.mark.parametrize("settings, told", [
    ('address = "0.0.0.0"', "without authentication: it has no users_file"),
    ('address = "127.0.0.1"', "without authentication: it has no users_file"),
    ('address = "::"  auth_type = "trust"', "without authentication: auth_type"),
    ('address = "10.0.0.1"  users_file = "/nosuch"', "listen at 10.0.0.1 without TLS"),
    ('address = "127.0.0.1"  users_file = "/nosuch"  tls_sslmode = "require"', "without TLS"),
    ('address = "127.0.0.1"  users_file = "/nosuch"', 'cannot open users_file "/nosuch"'),
    ('unix_socket_dir = ""', "admin has neither unix_socket_dir nor address"),
    ('address = "127.0.0.1"  auth_type = "md5"', "expected scram-sha-256 or trust"),
    ('address = "/tmp"', "expected an IP address, or nothing"),
    ('unix_socket_dir = "tmp"', "expected the full path of a directory, auto, or nothing"),
])
def test_an_admin_port_that_would_let_strangers_in_is_refused(tmp_path, settings, told):
    path = tmp_path / "open.conf"
    text = GOOD % {"old": free_port(), "admin": free_port(), "upstream": 21999}
    path.write_text(re.sub("admin .*", f"admin {{ {settings} }}", text))
    for check in ([], ["--check"]):
        done = serve(path, *check)
        assert done.returncode == (2 if check or "users_file \"" not in told else 1), done.stderr
        assert told in done.stderr


def test_a_port_that_is_taken_is_named(cluster, tmp_path):
    path = tmp_path / "taken.conf"
    path.write_text(GOOD % {"old": cluster.port, "admin": free_port(), "upstream": cluster.port})
    done = serve(path)
    assert done.returncode != 0
    assert str(cluster.port) in done.stderr
