"""Where the admin console listens, and what it says where it cannot."""

import pathlib
import re
import socket
import subprocess
import tempfile

import psycopg

from segue import BINARY
from waiting import wait_until


def serve_with_admin(make_segue, section):
    """Runs a proxy whose admin section is this one, to its end."""
    segue = make_segue(start=False)
    text = segue.config_path.read_text()
    segue.config_path.write_text(re.sub(r"admin \{.*\}", section, text))
    return subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                          text=True, timeout=60, check=False)


def test_a_port_that_is_taken_is_told(make_segue):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve_with_admin(make_segue, f'admin {{ address = "127.0.0.1" auth_type = "trust" '
                                             f'unix_socket_dir = "" port = {port} }}')
    assert ended.returncode == 1
    assert f'cannot listen on "127.0.0.1", port {port}: address already in use' in ended.stderr


def test_a_stale_unix_socket_is_replaced_and_what_is_none_is_left_alone(make_segue):
    with tempfile.TemporaryDirectory(prefix="segue-admin-") as directory:
        segue = make_segue(start=False)
        text = segue.config_path.read_text()
        segue.config_path.write_text(
            re.sub(r"admin \{.*\}", f'admin {{ unix_socket_dir = "{directory}" port = 6430 }}', text))
        segue.wait_until_ready = lambda: None
        path = pathlib.Path(directory) / ".s.PGSQL.6430"
        for end in (segue.kill9, segue.stop):
            segue.start()
            wait_until(path.exists)
            wait_until(lambda: _answers(directory))
            end()
        assert not path.exists()
        path.touch()
        ended = subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                               text=True, timeout=60, check=False)
        assert ended.returncode == 1
        assert f'cannot listen on "{directory}", port 6430: address already in use' in ended.stderr
        assert path.is_file()


def test_without_an_admin_port_it_serves_all_the_same(make_segue):
    segue = make_segue(start=False)
    text = segue.config_path.read_text()
    segue.config_path.write_text(re.sub(r"admin \{.*\}", "admin { port = 0 }", text))
    segue.wait_until_ready = lambda: None
    segue.start()
    wait_until(lambda: segue.lets_in(segue.old_port, "postgres"))
    assert "admin" not in segue.log()
    told = subprocess.run([BINARY, "status", "-c", segue.config_path], capture_output=True,
                          text=True, timeout=60, check=False)
    assert told.returncode == 2 and "there is no admin port" in told.stderr


def _answers(directory):
    try:
        with psycopg.connect(host=directory, port=6430, dbname="segue", user="ann") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
