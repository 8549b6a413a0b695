"""
The programs of drivers/: how each is built and started, and how one is led through rounds.

    <program> idioms    does what its driver is used for, once, and ends
    <program> rounds    waits on stdin for the number of a round, does the round, prints "."; round 0
                        only ends what the one before has left open

It finds where to connect in PGHOST, PGPORT, PGUSER, PGDATABASE (PGPASSWORD and PGSSLROOTCERT where it is
to log in over TLS), its shape in SHAPE, and in BASE the first id of the rows that its rounds may write.

Java, Go and Rust are compiled and npm's packages fetched once for all runs, in tests/.cache: again only
when what they are made from has changed.
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import threading

DRIVERS = pathlib.Path(__file__).parent / "drivers"
CACHE = pathlib.Path(__file__).resolve().parents[1] / ".cache" / "drivers"
JARS = ":".join(f"/usr/share/java/{name}.jar" for name in ("postgresql", "HikariCP", "slf4j-api", "slf4j-nop"))


def _java(into):
    _run(["javac", "-cp", JARS, "-d", into, *sorted(DRIVERS.glob("java/*.java"))])


def _go(into):
    # Debian's libraries are a GOPATH, not modules
    _run(["go", "build", "-o", into / "pgx", *sorted(DRIVERS.glob("go/*.go"))],
         GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="", GOCACHE=into / "go-cache")


def _rust(into):
    """Debian's cargo and Debian's crates, whatever else the machine has: nothing is fetched."""
    shutil.copytree(DRIVERS / "rust", into, dirs_exist_ok=True)
    (into / ".cargo").mkdir(exist_ok=True)
    (into / ".cargo" / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "debian"\n'
        '[source.debian]\ndirectory = "/usr/share/cargo/registry"\n')
    _run(["/usr/bin/cargo", "build", "--offline", "--quiet"], cwd=into, CARGO_HOME=into / "home",
         RUSTC="/usr/bin/rustc", CARGO_TARGET_DIR=into / "target")


def _node(into):
    shutil.copytree(DRIVERS / "node", into, dirs_exist_ok=True)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=into)


BUILDS = {"java": _java, "go": _go, "rust": _rust, "node": _node}

# By what speaks the protocol for them.
LIBPQ = {
    "psql": ["/usr/bin/python3", "psql_.py"],
    "psycopg 2": ["/usr/bin/python3", "psycopg_2.py"],
    "psycopg 3": ["/usr/bin/python3", "psycopg3.py"],
    "Perl DBD::Pg": ["perl", "perl_dbi.pl"],
    "PHP PDO": ["php", "php_pdo.php"],
    "PHP pgsql": ["php", "php_pgsql.php"],
    "Ruby pg": ["ruby", "ruby_pg.rb"],
}
THEIR_OWN = {
    "asyncpg": ["/usr/bin/python3", "asyncpg_.py"],
    "pg8000": ["/usr/bin/python3", "pg8000_.py"],
    "JDBC": ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}:{CACHE}/java", "Jdbc"],
    "node pg": ["node", f"{CACHE}/node/pg.js"],
    "node postgres": ["node", f"{CACHE}/node/postgres.js"],
    "Go pgx": [f"{CACHE}/go/pgx"],
    "Rust tokio-postgres": [f"{CACHE}/rust/target/debug/tokio-postgres-driver"],
}
ORMS = {
    "SQLAlchemy": ["/usr/bin/python3", "sqlalchemy_.py"],
    "Django": ["/usr/bin/python3", "django_.py"],
    "ActiveRecord": ["ruby", "active_record.rb"],
}
COMMANDS = LIBPQ | THEIR_OWN | ORMS
BUILT_BY = {"JDBC": "java", "node pg": "node", "node postgres": "node", "Go pgx": "go",
            "Rust tokio-postgres": "rust"}


# A statement that shall be canceled sleeps in nap(); who cancels it waits until it does, by wait_for_nap(). So
# no request comes too early and none is late, and nobody waits for longer than he must.
NAPS = """
    CREATE OR REPLACE FUNCTION nap(who int) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(who), pg_sleep(60);
        RETURN 'nobody canceled';
    END $$;
    CREATE OR REPLACE FUNCTION wait_for_nap(who int) RETURNS bool LANGUAGE plpgsql AS $$
    BEGIN
        FOR i IN 1 .. 6000 LOOP
            IF EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                       WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = who) THEN
                RETURN true;
            END IF;
            PERFORM pg_sleep(0.01);
        END LOOP;
        RAISE 'nobody naps';
    END $$;
"""
CANCELED = re.compile("^canceled|ERROR:  57014")
HEARD = re.compile(r"^heard .*(hello|news|\d)|^Asynchronous notification")


def assert_canceled_and_heard(transcript):
    """What two transcripts could agree on by leaving it out."""
    for event in (CANCELED, HEARD):
        assert any(event.search(line) for line in transcript), transcript
    assert not any("nobody canceled" in line for line in transcript), transcript


def _run(command, cwd=None, **environment):
    _require(command[0])
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, timeout=1200,
        env=os.environ | {name: str(value) for name, value in environment.items()})
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}{done.stderr}"


def _require(program):
    assert shutil.which(program), f"{program} is missing: tests/run installs it, from conf/packages/tests.txt"


def _digest(folder):
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def build(driver):
    """Makes what the driver's program needs; processes that test side by side wait for one another."""
    kind = BUILT_BY.get(driver)
    if kind is None:
        _require(COMMANDS[driver][0])
        return
    into, made_from = CACHE / kind, _digest(DRIVERS / kind)
    into.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{kind}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = into / "made-from"
        if stamp.exists() and stamp.read_text() == made_from:
            return
        BUILDS[kind](into)
        stamp.write_text(made_from)


def environment(port, database, shape, **more):
    return os.environ | {
        "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": database,
        "SHAPE": shape, "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC"} | more


def attempt(driver, port, database, shape):
    """The program's idioms, however they end: its status, what it printed and what it complained of."""
    build(driver)
    return subprocess.run(
        [*COMMANDS[driver], "idioms"], cwd=DRIVERS, capture_output=True, text=True, timeout=120,
        check=False, stdin=subprocess.DEVNULL, env=environment(port, database, shape))


def idioms(driver, port, database, shape):
    """What the program prints; it must end well."""
    done = attempt(driver, port, database, shape)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


class Program:
    """A program that is led through rounds; it keeps its connections, statements and cursor."""

    def __init__(self, driver, port, database, shape, base, **more):
        build(driver)
        self.name = f"{driver}, {shape} shape, port {port}"
        self.process = subprocess.Popen(
            [*COMMANDS[driver], "rounds"], cwd=DRIVERS, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(port, database, shape, BASE=str(base), **more))
        self.errors = []
        self.reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr))
        self.reader.start()

    def begin(self, number):
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: `finish` tells why

    def finish(self):
        """What it printed in the round that has begun."""
        lines = []
        for line in self.process.stdout:
            if line == ".\n":
                return lines
            lines.append(line.rstrip("\n"))
        self.process.wait(60)
        self.reader.join(60)
        raise AssertionError(f"{self.name} ended:\n" + "\n".join(lines) + "\n" + "".join(self.errors))

    def end(self):
        """Tells it to close what it has open and to end, which it must do well."""
        self.process.stdin.close()
        status = self.process.wait(60)
        self.reader.join(60)
        self.process.stdout.close()
        assert status == 0, f"{self.name} ended with {status}:\n" + "".join(self.errors)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(60)
