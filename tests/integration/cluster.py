"""A throwaway PostgreSQL cluster: fast, on loopback and a Unix socket, gone at the end."""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import time

import psycopg

from data_directory import data_directory
from ports import free_port
from waiting import wait_until

SECRET = "open sesame"  # the password of every user that has one
HBA = """
local all all trust
host all user_md5 127.0.0.1/32 md5
host all user_scram 127.0.0.1/32 scram-sha-256
host all user_password 127.0.0.1/32 password
host all user_rejected 127.0.0.1/32 reject
host replication all 127.0.0.1/32 trust
host all all 127.0.0.1/32 trust
"""
SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = logical
max_wal_senders = 4
max_connections = 200
shared_buffers = 64MB
max_wal_size = 256MB
jit = off
autovacuum = off
max_prepared_transactions = 4
log_min_messages = warning
"""


def binary(name):
    bindir = subprocess.run(
        ["pg_config", "--bindir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return os.path.join(bindir, name)


class Cluster:
    """
    Made and started by its constructor; `stop` and `start` may be called between. `settings` are
    lines put at the end of postgresql.conf.
    """

    def __init__(self, settings=""):
        self.prepare()
        self.run(
            "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
            "--locale=C", "--pgdata", self.data,
        )
        self.append("postgresql.conf", SETTINGS)
        self.append("postgresql.conf", settings + "\n")
        self.place()
        (self.data / "pg_hba.conf").write_text(HBA)
        self.start()
        with self.connect() as connection:
            connection.execute("CREATE ROLE alice LOGIN")
            connection.execute("CREATE ROLE segue LOGIN SUPERUSER")
            connection.execute("SET password_encryption = 'md5'")
            connection.execute(f"CREATE ROLE user_md5 LOGIN PASSWORD '{SECRET}'")
            connection.execute("SET password_encryption = 'scram-sha-256'")
            for user in ("user_scram", "user_password", "user_rejected"):
                connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{SECRET}'")

    def prepare(self):
        """A directory and a port of its own."""
        self.directory = data_directory()
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.port = free_port()
        # initdb and postgres refuse to run as root
        self.run_as = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            self.run_as = {
                "user": owner.pw_uid,
                "group": owner.pw_gid,
                "extra_groups": [],
                "cwd": self.directory,
            }

    def place(self):
        self.append("postgresql.conf", f"port = {self.port}\n")
        self.append("postgresql.conf", f"unix_socket_directories = '{self.directory}'\n")

    def append(self, name, text):
        with open(self.data / name, "a", encoding="utf-8") as file:
            file.write(text)

    def run(self, program, *arguments):
        done = subprocess.run(
            [binary(program), *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **self.run_as,
        )
        assert done.returncode == 0, done.stdout

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [binary("postgres"), "-D", self.data], stdout=log, stderr=log, **self.run_as
            )
        for _ in range(200):
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError("PostgreSQL did not start: " + self.log.read_text())

    def stop(self, how=signal.SIGINT):
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def speak_tls(self, certificate, key, authority):
        """With those who connect from now on; `authority` signs its clients' certificates."""
        files = {"ssl_cert_file": certificate, "ssl_key_file": key, "ssl_ca_file": authority.certificate}
        settings = {"ssl": "on"}
        for name, file in files.items():
            settings[name] = copy = self.data / f"{name}.pem"
            shutil.copy(file, copy)
            if self.run_as:
                os.chown(copy, self.run_as["user"], self.run_as["group"])
            copy.chmod(0o600)
        with self.connect() as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.reload_tls(True)

    def speak_no_tls(self):
        """With those who connect from now on."""
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM RESET ssl")
        self.reload_tls(False)

    def reload_tls(self, on):
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while True:
            with self.connect() as connection:
                if connection.pgconn.ssl_in_use == on:
                    return
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, database="postgres", user="postgres", **parameters):
        """Direct, psycopg 3, autocommit."""
        parameters.setdefault("autocommit", True)
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, dbname=database, **parameters
        )

    def insist(self, statement):
        """
        On a statement that wants a database for itself: PostgreSQL gives those in it five seconds to go,
        which is not enough on a busy machine.
        """
        def try_once():
            with contextlib.suppress(psycopg.errors.ObjectInUse), self.connect() as connection:
                connection.execute(statement)
                return True

        wait_until(try_once)

    def drop_database(self, name):
        self.insist(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def create_database(self, name, template=None):
        self.drop_database(name)
        self.insist(f'CREATE DATABASE "{name}" TEMPLATE {template or "template0"} {self.strategy}')

    @functools.cached_property
    def strategy(self):
        """Of CREATE DATABASE, from PostgreSQL 15 on: without it a copy costs two checkpoints."""
        with self.connect() as connection:
            return "STRATEGY wal_log" if connection.info.server_version >= 150000 else ""


class Standby(Cluster):
    """A streaming standby of another cluster, which answers queries."""

    def __init__(self, primary):
        self.prepare()
        self.run(
            "pg_basebackup", "--host=127.0.0.1", f"--port={primary.port}", "--username=postgres",
            "--pgdata", self.data, "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
        )
        self.place()
        self.start()

    def promote(self):
        with self.connect() as connection:
            assert connection.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)

    def catch_up(self, primary):
        """Until it has replayed all that the primary has written."""
        with primary.connect() as connection:
            connection.execute("SET synchronous_commit = on")  # what is not flushed is not sent
            connection.execute("SELECT pg_logical_emit_message(true, '', '')")
            written = connection.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        with self.connect() as connection:
            deadline = time.monotonic() + 60
            while not connection.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]
            ).fetchone()[0]:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)
