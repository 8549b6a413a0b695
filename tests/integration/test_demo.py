"""`segue demo`: the whole journey with no failed statement, and nothing left behind, however it ends."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg
import psycopg2
import pytest

from ports import COUNT, DEMO, FIRST
from segue import BINARY

# The demo takes the first ports that are free: two at a time would take the same.
FIRST_PORT = FIRST + COUNT - DEMO
SHORT = ["--rows", "2000", "--seconds", "1", "--connections", "3", "--port", str(FIRST_PORT)]


@pytest.fixture
def temporary_directory():
    """Not pytest's own, which the demo's unprivileged server could not reach."""
    directory = tempfile.mkdtemp(prefix="segue-test-demo-")
    os.chmod(directory, 0o755)
    yield pathlib.Path(directory)
    shutil.rmtree(directory)


def start(temporary_directory, *arguments):
    return subprocess.Popen(
        [BINARY, "demo", *arguments],
        env={**os.environ, "TMPDIR": str(temporary_directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(demo, pattern):
    """What the demo prints up to the first line that matches."""
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return "".join(lines)
    raise AssertionError(f"no {pattern!r} in:\n{''.join(lines)}")


def processes_of(temporary_directory):
    """Of the server and the proxy: their command lines name the demo's directory."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, NotADirectoryError):
            continue
        if entry.name.isdigit() and str(temporary_directory) in command:
            found.append(command)
    return found


def wait_until_gone(temporary_directory):
    deadline = time.monotonic() + 60
    while processes_of(temporary_directory):
        assert time.monotonic() < deadline, processes_of(temporary_directory)
        time.sleep(0.1)


@pytest.mark.timeout(280)
def test_takes_both_transitions_all_the_way_without_a_failed_statement(temporary_directory):
    demo = start(temporary_directory, *SHORT)
    output, _ = demo.communicate(timeout=270)
    assert demo.returncode == 0, output
    for step in ("dual_old", "backfill", "dual_own", "dual_new", "new", "contracted"):
        assert re.search(rf"^{step}\b", output, re.MULTILINE), output
    statements, failed = re.search(r"ok +(\d+) statements ran, (\d+) failed", output).groups()
    assert int(statements) > 1000 and int(failed) == 0
    assert re.search(r"ok +0 rows out of parity", output)
    assert re.search(r"ok +\d{4,} rows read from PostgreSQL directly, 0 differ", output)
    assert "\033" not in output, "no colour when it is not a terminal"
    assert not list(temporary_directory.iterdir())
    wait_until_gone(temporary_directory)


def take_the_printed_journey(output, conninfos):
    """What the demo tells a user to try must work as it stands there."""
    commands = re.search(r"APPLY '.*CONTRACT rename;", output, re.DOTALL).group()
    with contextlib.closing(psycopg2.connect(conninfos[3])) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            for command in filter(str.strip, commands.split(";")):
                cursor.execute(command)
    with psycopg.connect(conninfos[0]) as old, psycopg.connect(conninfos[1]) as new:
        assert old.execute("SELECT name FROM users WHERE id = 7").fetchone() == new.execute(
            "SELECT full_name FROM users WHERE id = 7"
        ).fetchone()


@pytest.mark.timeout(280)
def test_keeps_it_all_running_until_ctrl_c(temporary_directory):
    demo = start(temporary_directory, *SHORT, "--seconds", "0", "--quiet", "--keep")
    output = read_until(demo, "Ctrl-C ends it all")
    conninfos = re.findall(r'psql "([^"]+)"', output)
    assert len(conninfos) == 4, output
    for conninfo in conninfos[:3]:
        with psycopg.connect(conninfo) as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchone()[0] >= 2000
    old, new = (psycopg.connect(conninfo) for conninfo in conninfos[:2])
    with old, new:
        old.execute("UPDATE users SET role = 'dev,ops' WHERE id = 1")
        old.commit()
        assert new.execute("SELECT roles FROM users WHERE id = 1").fetchone() == (["dev", "ops"],)
    take_the_printed_journey(output, conninfos)
    demo.send_signal(signal.SIGINT)
    output = demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, output
    assert not list(temporary_directory.iterdir())
    wait_until_gone(temporary_directory)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cleans_up_when_it_is_interrupted(temporary_directory, number):
    demo = start(temporary_directory, *SHORT, "--seconds", "30")
    read_until(demo, "^before")
    demo.send_signal(number)
    output = demo.communicate(timeout=60)[0]
    assert demo.returncode == 1
    assert "interrupted" in output
    assert not list(temporary_directory.iterdir())
    wait_until_gone(temporary_directory)


def test_leaves_no_process_when_it_is_killed(temporary_directory):
    demo = start(temporary_directory, *SHORT, "--seconds", "30")
    read_until(demo, "^before")
    assert len(processes_of(temporary_directory)) >= 2
    demo.kill()
    demo.communicate(timeout=60)
    wait_until_gone(temporary_directory)


def test_says_why_the_server_did_not_start(temporary_directory):
    binaries = temporary_directory / "bin"
    binaries.mkdir()
    for name in ("initdb", "postgres"):
        (binaries / name).write_text("#!/bin/sh\necho 'out of coffee' >&2\nexit 7\n")
        (binaries / name).chmod(0o755)
    demo = start(temporary_directory, *SHORT, "--bindir", str(binaries))
    output = demo.communicate(timeout=60)[0]
    assert demo.returncode == 1
    assert "initdb ended with status 7" in output
    assert "out of coffee" in output
    assert list(temporary_directory.iterdir()) == [binaries]


@pytest.mark.parametrize(
    "arguments", [["--rows", "none"], ["--rows", "1"], ["--nonsense"], ["surplus"]]
)
def test_refuses_wrong_options(temporary_directory, arguments):
    demo = start(temporary_directory, *arguments)
    output = demo.communicate(timeout=30)[0]
    assert demo.returncode == 2
    assert "Usage: segue demo" in output
    assert not list(temporary_directory.iterdir())
