"""Where the admin console listens, and what it says where it cannot."""

import pathlib
import re
import socket
import stat
import subprocess
import tempfile

import psycopg

from segue import BINARY
from waiting import wait_until


def serve_with_admin(make_segue, section):
    """Runs a proxy whose admin section is this one, to its end."""
    segue = make_segue(start=False)
    text = segue.config_path.read_text()
    given = f'admin {{ address = "127.0.0.1"  port = {segue.admin_port} }}'
    assert given in text
    segue.config_path.write_text(text.replace(given, section))
    return subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                          text=True, timeout=20, check=False)


def test_it_refuses_to_listen_beyond_loopback(make_segue):
    ended = serve_with_admin(make_segue, 'admin { address = "0.0.0.0" port = 21999 }')
    assert ended.returncode == 1
    assert "refuses to listen at 0.0.0.0: it has no authentication" in ended.stderr


def test_a_port_that_is_taken_is_told(make_segue):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve_with_admin(make_segue, f'admin {{ port = {port} }}')
    assert ended.returncode == 1
    assert f'cannot listen on "127.0.0.1", port {port}: address already in use' in ended.stderr


def test_at_a_unix_socket_only_its_own_user_may_connect_and_a_stale_one_is_replaced(make_segue):
    with tempfile.TemporaryDirectory(prefix="segue-admin-") as directory:
        segue = make_segue(start=False)
        text = segue.config_path.read_text()
        segue.config_path.write_text(
            re.sub(r"admin \{.*\}", f'admin {{ address = "{directory}" port = 6430 }}', text))
        segue.wait_until_ready = lambda: None
        path = pathlib.Path(directory) / ".s.PGSQL.6430"
        for end in (segue.kill9, segue.stop):
            segue.start()
            wait_until(path.exists)
            wait_until(lambda: _answers(directory))
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
            end()
        assert not path.exists()
        path.touch()
        ended = subprocess.run([BINARY, "serve", "-c", segue.config_path], capture_output=True,
                               text=True, timeout=20, check=False)
        assert ended.returncode == 1
        assert f'cannot listen on "{directory}", port 6430: address already in use' in ended.stderr


def test_without_an_admin_port_it_serves_all_the_same(make_segue):
    segue = make_segue(start=False)
    text = segue.config_path.read_text()
    segue.config_path.write_text(re.sub(r"admin \{.*\}", "admin { port = 0 }", text))
    segue.wait_until_ready = lambda: None
    segue.start()
    wait_until(lambda: segue.lets_in(segue.old_port, "postgres"))
    assert "admin" not in segue.log()
    told = subprocess.run([BINARY, "status", "-c", segue.config_path], capture_output=True,
                          text=True, timeout=20, check=False)
    assert told.returncode == 2 and "there is no admin port" in told.stderr


def _answers(directory):
    try:
        with psycopg.connect(host=directory, port=6430, dbname="segue", user="ann") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
