"""The real binary under test: started with a configuration of its own, watched, stopped, killed."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import psycopg
import psycopg2

import wire
from adopted import Adopted, adopt_orphans
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SEGUE_BINARY", str(ROOT / "build" / "dev" / "segue"))
PHASES = ("old", "dual_old", "dual_own", "dual_new", "new")
SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer|\bBUG\b"
)


def environment():
    """Ours, and for a binary built with sanitizers: a small quarantine, since tests watch its memory."""
    options = os.environ.get("ASAN_OPTIONS", "exitcode=86")
    return {"UBSAN_OPTIONS": "print_stacktrace=1"} | os.environ | {
        "ASAN_OPTIONS": options + ":quarantine_size_mb=4"
    }


class Admin:
    """What a command on the admin port gave: rows as dicts, notices, and the command's tag."""

    def __init__(self, rows, notices, tag):
        self.rows = rows
        self.notices = notices
        self.tag = tag

    def __repr__(self):
        return f"Admin({self.tag!r}, {self.rows}, notices={self.notices})"


class Segue:
    """
    One `segue serve`. Ports are drawn once, so a restart comes back where it was; the log is
    appended to. `settings` are lines put at the end of segue.conf.
    """

    def __init__(
        self, cluster, directory, databases=(), settings="", workers=2, upstream=None
    ):
        self.cluster = cluster
        self.upstream = upstream or f'host = "127.0.0.1"  port = {cluster.port}'
        self.directory = pathlib.Path(directory)
        self.databases = list(databases)
        self.old_port, self.new_port, self.admin_port = free_port(), free_port(), free_port()
        self.log_path = self.directory / "segue.log"
        self.config_path = self.directory / "segue.conf"
        self.process = None
        self.tls = None  # an ssl.SSLContext, where logging in takes TLS
        self.binary = BINARY
        self.runner = []  # what runs it, as in ["setpriv", ..]; it must become it
        self.environment = {}  # more of it
        self.config_path.write_text(self.config(settings, workers), encoding="utf-8")

    def config(self, settings, workers):
        lines = [
            f'listen "old" {{ address = "127.0.0.1"  port = {self.old_port}  shape = "old" }}',
            f'listen "new" {{ address = "127.0.0.1"  port = {self.new_port}  shape = "new" }}',
            # "auto" is one place for all proxies of a machine
            f'admin {{ address = "127.0.0.1"  auth_type = "trust"  unix_socket_dir = ""  '
            f'port = {self.admin_port} }}',
            f"upstream {{ {self.upstream} }}",
            f"workers = {workers}",
        ]
        lines += [f'database "{name}" {{ control_user = "segue" }}' for name in self.databases]
        return "\n".join(lines + [settings, ""])

    # ---- life ----

    def start(self):
        assert self.process is None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.runner, self.binary, "serve", "-c", self.config_path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment() | self.environment,
            )
        self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds=60):
        """Every port answers, and each database has its transitions loaded."""
        deadline = time.monotonic() + seconds
        for port in (self.old_port, self.new_port):
            for database in self.databases or ["postgres"]:
                while not self.lets_in(port, database):
                    self.assert_running()
                    assert time.monotonic() < deadline, "not ready:\n" + self.log_tail()
                    time.sleep(0.02)
        while True:
            try:
                wire.Connection(self.admin_port).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "no admin port:\n" + self.log_tail()
                time.sleep(0.02)

    def lets_in(self, port, database):
        try:
            with wire.Connection(port) as connection:
                if self.tls:
                    connection.secure(self.tls)
                connection.login("segue", database)
                connection.send(wire.terminate())
            return True
        except (OSError, wire.Closed):
            return False

    def assert_running(self):
        assert self.process is not None, "segue did not start, or was stopped"
        status = self.process.poll()
        assert status is None, f"segue ended with {status}:\n" + self.log_tail()

    def stop(self):
        """SIGTERM; fails when the proxy had ended before, ends badly or leaves a sanitizer's report."""
        if self.process is None:
            return
        self.assert_running()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
            raise AssertionError("segue did not stop on SIGTERM:\n" + self.log_tail()) from None
        self.process = None
        self.assert_clean_log()
        assert status == 0, f"segue ended with {status}:\n" + self.log_tail()

    def take_over(self, start):
        """`start()` makes a successor take this one's place; from now on that is the process."""
        adopt_orphans()
        before = self.process
        begun = len(self.log())
        start()
        deadline = time.monotonic() + 60
        while not (found := re.search(r"process (\d+) takes over", self.log()[begun:])):
            assert time.monotonic() < deadline, "nobody took over:\n" + self.log_tail()
            time.sleep(0.02)
        self.process = Adopted(int(found.group(1)))
        while any(row["state"] != "ready" for row in self.admin("SHOW FLEET").rows):
            assert time.monotonic() < deadline, "not loaded:\n" + self.log_tail()
            time.sleep(0.02)
        return before

    def kill9(self):
        self.assert_running()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None
        self.assert_clean_log()

    def change_config(self, before, after):
        """For the next start."""
        config = self.config_path.read_text(encoding="utf-8")
        assert before in config
        self.config_path.write_text(config.replace(before, after), encoding="utf-8")

    def restart(self):
        self.stop()
        return self.start()

    def assert_clean_log(self):
        report = SANITIZER.search(self.log())
        assert report is None, self.log()[report.start() :][:8000]

    # ---- what it says and needs ----

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, characters=3000):
        return self.log()[-characters:]

    @contextlib.contextmanager
    def log_contains(self, pattern, times=None, seconds=60):
        """The block makes the log say this (a regular expression), `times` times where given."""
        start = len(self.log())
        yield
        deadline = time.monotonic() + seconds
        while True:
            found = re.findall(pattern, self.log()[start:])
            if found and (times is None or len(found) >= times):
                break
            assert time.monotonic() < deadline, (
                f"no {pattern!r} in what the block logged:\n" + self.log()[start:]
            )
            time.sleep(0.02)
        assert times is None or len(found) == times, f"{pattern!r} was logged {len(found)} times"

    def resident_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def cpu_seconds(self):
        """What the process has used of the CPU so far."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    # ---- connections ----

    def port(self, shape):
        return {"old": self.old_port, "new": self.new_port}[shape]

    def connect(self, shape, database=None, user="postgres", **parameters):
        """psycopg 3 through the port of this shape, autocommit unless told otherwise."""
        parameters.setdefault("autocommit", True)
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port(shape),
            user=user,
            dbname=database or (self.databases or ["postgres"])[0],
            **parameters,
        )

    def old(self, **parameters):
        return self.connect("old", **parameters)

    def new(self, **parameters):
        return self.connect("new", **parameters)

    def direct(self, database=None, **parameters):
        """psycopg 3 to PostgreSQL itself."""
        return self.cluster.connect(database or (self.databases or ["postgres"])[0], **parameters)

    def raw(self, shape="old", database=None, user="postgres", secret=None, timeout=60, **startup):
        """A logged-in wire.Connection through the port of this shape."""
        connection = wire.Connection(self.port(shape), timeout=timeout)
        connection.login(user, database or (self.databases or ["postgres"])[0], secret, **startup)
        return connection

    # ---- the admin port ----

    def admin_connect(self):
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.admin_port, dbname="segue", user="segue", connect_timeout=60
        )
        connection.autocommit = True
        return connection

    def admin(self, command):
        """Runs one command; a refusal is a psycopg2.Error with `pgcode` and the text."""
        with contextlib.closing(self.admin_connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(command)
                names = [column.name for column in cursor.description or ()]
                rows = [dict(zip(names, row)) for row in cursor.fetchall()] if names else []
                return Admin(rows, [notice.strip() for notice in connection.notices],
                             cursor.statusmessage)

    def apply(self, definition):
        return self.admin("APPLY '" + definition.replace("'", "''") + "'")

    def transitions(self):
        """SHOW TRANSITIONS by name."""
        return {row["name"]: row for row in self.admin("SHOW TRANSITIONS").rows}

    def phase(self, transition):
        return self.transitions()[transition]["phase"]

    def move_to(self, transition, phase, definition=None):
        """
        Does whatever it takes to get there: apply (the `definition`'s text), expand, backfill and
        verify before the stops that ask for them, advance or revert stop by stop.
        """
        if transition not in self.transitions():
            assert definition, f"{transition} is not applied"
            self.apply(definition)
        row = self.transitions()[transition]
        if row["stage"] == "applied" and phase != "old":
            self.admin(f"EXPAND {transition}")
        here, there = PHASES.index(row["phase"]), PHASES.index(phase)
        step = 1 if there > here else -1
        for stop in range(here + step, there + step, step) if here != there else ():
            self.move_one(transition, PHASES[stop], "ADVANCE" if step > 0 else "REVERT")
        assert self.phase(transition) == phase

    def move_one(self, transition, phase, verb):
        """One stop; the backfill and verification that the stop asks for come first."""
        backfill_before = {"ADVANCE": "dual_own", "REVERT": "dual_own"}[verb]
        if phase == backfill_before:
            self.admin(f"BACKFILL {transition} START")
            self.admin(f"VERIFY {transition}")
        self.admin(f"{verb} {transition} TO {phase}")
