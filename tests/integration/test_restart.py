"""Restart: another process takes the listening sockets, and nobody is refused meanwhile."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import psycopg
import psycopg2
import pytest

import tables
from adopted import Adopted, adopt_orphans
from callers import Callers, wait_until_ended
from commands import InBackground
from segue import BINARY, Segue, environment
from waiting import wait_until


def command(segue):
    def restart():
        (row,) = segue.admin("RESTART").rows
        assert re.search(r"process \d+ takes over", row["result"])

    return restart


def by_signal(segue):
    return lambda: segue.process.send_signal(signal.SIGUSR2)


@pytest.mark.parametrize("way", [command, by_signal])
def test_no_connection_is_refused(shop, way):
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    with Callers(shop.new) as callers:
        callers.wait_for(20)
        for _ in range(3):
            before = shop.take_over(way(shop))
            wait_until_ended(before)
            callers.wait_for(20)
    callers.assert_well(restarts=3)
    assert shop.phase("users_role") == "dual_own"
    shop.assert_running()


def test_a_transaction_ends_in_the_process_where_it_began(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    with shop.old(autocommit=False) as connection:
        connection.execute("UPDATE users SET role = 'kept' WHERE id = 1")
        before = shop.take_over(command(shop))
        # the new process serves while this transaction goes on in the one before
        with shop.new() as other:
            assert other.execute("SELECT count(*) FROM users").fetchone()
        assert before.poll() is None
        with pytest.raises(psycopg2.Error, match=f"process {before.pid}.*still has sessions") as refused:
            shop.admin("ADVANCE users_role")
        assert refused.value.pgcode == "55006"
        connection.execute("UPDATE users SET role = role || ',more' WHERE id = 1")
        connection.commit()
    wait_until_ended(before)
    with shop.new() as connection:
        assert connection.execute("SELECT roles FROM users WHERE id = 1").fetchone() == (["kept", "more"],)
    shop.move_to("users_role", "dual_own")
    with shop.direct() as direct:
        tables.assert_parity(direct, "users_role")


def test_who_began_while_the_process_before_was_there_is_waited_for(shop):
    """The server may have it from that one, which accepted sessions when this one had its databases."""
    shop.move_to("users_role", "dual_old", tables.definition("users_role", guard="off"))
    with shop.old(autocommit=False) as staying:
        staying.execute("SELECT 1")
        before = shop.take_over(command(shop))
        with shop.direct(autocommit=False) as left_behind:
            left_behind.execute("UPDATE users SET role = 'late' WHERE id = 1")
            staying.rollback()
            wait_until_ended(before)
            revert = InBackground(lambda: shop.admin("REVERT users_role TO old").notices)
            revert.join(1)
            assert shop.phase("users_role") == "dual_old"
            left_behind.commit()
            assert any("server process" in notice for notice in revert.finish())
    assert shop.phase("users_role") == "old"


def test_a_backfill_goes_on_in_the_process_after(shop):
    shop.change_config("workers", "backfill_rows = 100\nbackfill_pause = 50\nworkers")
    shop.restart()
    with shop.direct() as direct:
        direct.execute(
            "INSERT INTO users SELECT 1000 + i, 'n' || i, 'admin' FROM generate_series(1, 20000) AS i"
        )
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    waits = InBackground(shop.admin, "BACKFILL users_role START")
    wait_until(lambda: [row["state"] for row in shop.admin("SHOW BACKFILLS").rows] == ["running"])
    wait_until_ended(shop.take_over(command(shop)))
    with pytest.raises(psycopg2.Error, match='backfill of "users_role" was interrupted') as told:
        waits.finish()
    assert told.value.pgcode == "57P01"
    states = []
    deadline = time.monotonic() + 60
    while "done" not in states:
        assert time.monotonic() < deadline, states
        states += [row["state"] for row in shop.admin("SHOW BACKFILLS").rows]
        time.sleep(0.05)
    assert set(states) == {"running", "done"}
    shop.admin("VERIFY users_role")


def test_a_configuration_that_is_broken_leaves_the_process_as_it_is(shop):
    shop.change_config("workers = 2", "wrokers = 2")
    with pytest.raises(psycopg2.Error, match='unknown setting "wrokers"') as refused:
        shop.admin("RESTART")
    assert refused.value.pgcode == "58000"
    with shop.log_contains('SIGUSR2: .*unknown setting "wrokers"'):
        shop.process.send_signal(signal.SIGUSR2)
    with shop.old() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    shop.change_config("wrokers = 2", "workers = 2")
    wait_until_ended(shop.take_over(command(shop)))


IMPOSTOR = """#!/usr/bin/python3
import os, pathlib, signal, socket, time

before, channel = map(int, os.environ["SEGUE_PREDECESSOR"].split(":"))
channel = socket.socket(fileno=channel)
pathlib.Path("{mark}").write_text(str(os.getpid()))
for word in "{words}":
    if word == "w":
        while pathlib.Path("{mark}").exists():
            time.sleep(0.01)
    elif word == "g":
        assert channel.recv(1) == b"g"
    else:
        channel.sendall(word.encode())
if {ending} is None:
    os._exit(0)
os.kill(before, signal.SIGSTOP)  # so that it learns of both at once
channel.sendall({ending})
os.kill(before, signal.SIGTERM)
os.kill(before, signal.SIGCONT)
time.sleep(300)
"""


class Program:
    """A copy of the binary that a proxy is started by, in whose place something else can be put."""

    def __init__(self, segue, directory):
        self.path, self.mark = directory / "segue", directory / "mark"
        shutil.copy(BINARY, self.path)
        segue.stop()
        segue.binary = str(self.path)
        segue.start()

    def put(self, make):
        new = self.path.with_suffix(".new")
        make(new)
        new.chmod(0o755)
        new.replace(self.path)

    def put_impostor(self, words, ending=None):
        """What says these words, and dies; or says the `ending`, and sends a SIGTERM. At w, it waits until
        its mark is gone."""
        text = IMPOSTOR.format(words=words, ending=ending, mark=self.mark)
        self.put(lambda path: path.write_text(text))

    def put_itself(self):
        self.put(lambda path: shutil.copy(BINARY, path))

    def impostor(self):
        return Adopted(int(self.mark.read_text()))


def test_a_successor_that_dies_before_it_is_in_charge_takes_nothing_along(shop, tmp_path):
    """Whatever it had said by then: S is that it serves."""
    program = Program(shop, tmp_path)
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    process = shop.process
    with Callers(shop.new) as callers:
        callers.wait_for(10)
        for words in ("R", "Rg"):
            program.put_impostor(words)
            with pytest.raises(psycopg2.Error, match="it ended before it served") as refused:
                shop.admin("RESTART")
            assert refused.value.pgcode == "58000"
        program.put_impostor("RgS")
        with shop.log_contains("has ended: this one goes on as before"):
            by_signal(shop)()
        callers.wait_for(10)
        shop.move_to("users_role", "dual_own")  # it has its databases again, and nothing is locked
        assert shop.process is process and process.poll() is None
        program.put_itself()
        wait_until_ended(shop.take_over(command(shop)))
        callers.wait_for(10)
    callers.assert_well(restarts=1)
    assert shop.phase("users_role") == "dual_own"


def test_a_restart_that_nobody_waits_for_does_not_take_the_next_shutdown_for_itself(shop, tmp_path):
    program = Program(shop, tmp_path)
    program.put_impostor("RgwS")
    client = psycopg.connect(host="127.0.0.1", port=shop.admin_port, dbname="segue", user="segue")
    client.pgconn.send_query(b"RESTART")
    wait_until(program.mark.exists)
    client.close()
    with shop.log_contains("has ended: this one goes on as before"):
        program.mark.unlink()
    process, shop.process = shop.process, None
    with contextlib.suppress(psycopg2.OperationalError):
        shop.admin("SHUTDOWN")
    wait_until_ended(process)
    shop.assert_clean_log()
    program.put_itself()
    shop.start()


@pytest.mark.long  # the successor has half a minute
def test_a_successor_that_cannot_load_what_was_loaded_does_not_take_over(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    shop.change_config('control_user = "segue"', 'control_user = "nobody_there"')
    with Callers(shop.new) as callers:
        with pytest.raises(psycopg2.Error, match="it could not load the transitions") as refused:
            shop.admin("RESTART")
        assert refused.value.pgcode == "58000"
        callers.wait_for(10)
    callers.assert_well(restarts=0)
    shop.change_config('control_user = "nobody_there"', 'control_user = "segue"')
    wait_until_ended(shop.take_over(command(shop)))
    shop.move_to("users_role", "dual_own")


@pytest.mark.parametrize("ending", [b"", b"S"], ids=["while it loads", "as it serves"])
def test_a_sigterm_before_the_successor_is_in_charge_is_for_both(shop, tmp_path, ending):
    program = Program(shop, tmp_path)
    program.put_impostor("Rg", ending)
    adopt_orphans()
    process, shop.process = shop.process, None
    process.send_signal(signal.SIGUSR2)
    wait_until_ended(process)
    assert program.impostor().wait(20) == -signal.SIGTERM
    assert "takes over" not in shop.log()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", shop.old_port))
    shop.assert_clean_log()
    program.put_itself()
    shop.start()


def test_a_pause_is_not_left_behind(shop):
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))
    shop.admin("PAUSE")
    with pytest.raises(psycopg2.Error, match="busy with another command: PAUSE"):
        shop.admin("RESTART")
    shop.admin("RESUME")
    wait_until_ended(shop.take_over(command(shop)))


@pytest.mark.parametrize("before, after", [(1, 3), (3, 1)])
def test_the_number_of_workers_may_change(shop, before, after):
    shop.change_config("workers = 2", f"workers = {before}")
    shop.restart()
    shop.change_config(f"workers = {before}", f"workers = {after}")
    with Callers(shop.old) as callers:
        callers.wait_for(10)
        wait_until_ended(shop.take_over(command(shop)))
        callers.wait_for(30)
    callers.assert_well(restarts=1)


def test_a_unix_socket_stays_at_its_path(make_segue, tmp_path):
    directory = tmp_path / "sockets"
    directory.mkdir()
    segue = make_segue(settings=f'listen "local" {{ address = "{directory}"  port = 6432 }}')
    path = directory / ".s.PGSQL.6432"
    inode = path.stat().st_ino

    def ask():
        with psycopg.connect(host=str(directory), port=6432, user="postgres", dbname="postgres") as connection:
            assert connection.execute("SELECT 7").fetchone() == (7,)

    ask()
    wait_until_ended(segue.take_over(command(segue)))
    assert path.stat().st_ino == inode
    ask()


class Manager:
    """What systemd is to a service of Type=notify: a socket that it tells its state to."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)
        self.said = []

    def wait_for(self, pattern):
        while not any(re.fullmatch(pattern, line) for line in self.said):
            self.said += self.socket.recv(4096).decode().splitlines()

    def wait_for_nothing_more(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.said += self.socket.recv(4096).decode().splitlines()
        self.socket.settimeout(20)

    def close(self):
        self.socket.close()


def test_the_service_manager_is_told(make_segue, tmp_path, monkeypatch):
    with contextlib.closing(Manager(tmp_path)) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
        segue = make_segue()
        manager.wait_for("READY=1")
        manager.said.clear()
        wait_until_ended(segue.take_over(command(segue)))
        manager.wait_for("READY=1")
        manager.wait_for_nothing_more()
        # STOPPING would be said of the service: systemd would give it a while, and then kill it
        assert manager.said == [f"MAINPID={segue.process.pid}", "READY=1"]
        manager.said.clear()
        segue.stop()
        manager.wait_for("STOPPING=1")


@pytest.mark.skipif(
    not shutil.which("systemd-socket-activate"), reason="needs systemd-socket-activate of package systemd"
)
def test_sockets_may_come_from_systemd(cluster, tmp_path):
    segue = Segue(cluster, tmp_path, workers=2)
    ports = [segue.old_port, segue.new_port, segue.admin_port]
    with open(segue.log_path, "ab") as log:
        segue.process = subprocess.Popen(
            ["systemd-socket-activate", *[f"--listen=127.0.0.1:{port}" for port in ports],
             "--fdname=old:new:admin",
             *[f"--setenv={name}={value}" for name, value in environment().items()
               if name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")],
             BINARY, "serve", "-c", segue.config_path],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(),
        )  # fmt: skip
    try:
        segue.wait_until_ready()
        assert "belongs to no listener" not in segue.log()
        assert segue.admin("SHOW VERSION").rows
        descriptors = pathlib.Path(f"/proc/{segue.process.pid}/fd")
        listening = set()
        for name in os.listdir(descriptors):
            with contextlib.suppress(FileNotFoundError):  # one that was closed meanwhile
                listening.add(os.readlink(descriptors / name))
        assert len([name for name in listening if name.startswith("socket:")]) >= len(ports)
    finally:
        segue.stop()
