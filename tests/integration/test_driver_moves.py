"""
Real drivers while the operator moves phases: programs of both shapes go on with their connections,
prepared statements and open cursor, all the way and back, and in every round one cancels a statement of
its own. Beside each runs the same program on a plain table of its shape, and what the two print must be
the same. Segue speaks TLS with the server, and with the new applications, which log in with SCRAM.

Many walk the way together, each with rows of its own: what a driver does must not depend on who else
is there, and the way itself costs more than those who go it.
"""

import ssl

import pytest

import programs
import tables
from certificates import Authority
from cluster import SECRET
from commands import InBackground

# whose passwords PostgreSQL has
USERS = {"user_scram", "user_md5"}
THERE = ("dual_old", "dual_own", "dual_new", "new")
BACK = ("dual_new", "dual_own", "dual_old")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def cluster_with_tls(cluster, authority):
    cluster.speak_tls(*authority.issue("server", "DNS:localhost,IP:127.0.0.1"), authority)
    yield cluster
    cluster.speak_no_tls()


@pytest.fixture
def shop_with_tls(cluster_with_tls, make_segue, shop_database, authority):
    """TLS with the server, and with the clients that ask for it."""
    certificate, key = authority.issue("segue.test", "DNS:localhost,IP:127.0.0.1")
    segue = make_segue([shop_database], settings=(
        f'client_tls_sslmode = "allow"\nclient_tls_cert_file = "{certificate}"\n'
        f'client_tls_key_file = "{key}"\n'
        f'server_tls_sslmode = "verify-full"\nserver_tls_ca_file = "{authority.certificate}"\n'
        "move_timeout = 600\n"), start=False)  # so many programs on so few processors
    segue.tls = ssl.create_default_context(cafile=authority.certificate)
    return segue.start()


def base(drivers, driver, shape):
    """The first of the rows that are this program's own."""
    return 1000 + 2000 * drivers.index(driver) + {"old": 0, "new": 1000}[shape]


def give_rows(connection, shape, bases):
    """Ten rows for the program of each base, as a plain table of `shape` has them."""
    role = {"old": "'r' || i || ',x'", "new": "ARRAY['r' || i, 'x']"}[shape]
    money = {"old": "i || '.50'", "new": "i + 0.50"}[shape]
    total = {"old": "i * 100", "new": "i"}[shape]
    for first in bases:
        rows = f"generate_series({first}, {first + 9}) i"
        connection.execute(f"INSERT INTO users SELECT i, 'n' || i, {role} FROM {rows}")
        connection.execute(f"INSERT INTO transactions SELECT i, i, {money} FROM {rows}")
        connection.execute(f"INSERT INTO orders SELECT i, i, {total} FROM {rows}")
    connection.execute(programs.NAPS)
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {', '.join(USERS)}")


class Pair:
    """A program of this shape through Segue, and the one on a plain table that says what is right."""

    def __init__(self, journey, driver, shape, first, **more):
        self.name, self.shape = f"{driver}, {shape} shape", shape
        self.through = programs.Program(
            driver, journey.segue.port(shape), journey.segue.databases[0], shape, first, **more)
        self.plain = programs.Program(
            driver, journey.segue.cluster.port, journey.plain[shape], shape, first)

    def begin(self, number):
        self.through.begin(number)
        self.plain.begin(number)

    def finish(self, number):
        got, expected = self.through.finish(), self.plain.finish()
        assert got == expected
        if number:
            programs.assert_canceled_and_heard(got)

    def end(self):
        self.through.end()
        self.plain.end()

    def kill(self):
        self.through.kill()
        self.plain.kill()


class Journey:
    """
    Rounds, one after the other, for the pairs of programs that are there; moves meanwhile. Who goes
    wrong stays behind, the others go on.
    """

    def __init__(self, segue, plain):
        self.segue, self.plain, self.number = segue, plain, 0
        self.pairs, self.wrong = [], {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pair in self.pairs:
            pair.kill()

    def join(self, driver, shape, first, **more):
        self.pairs.append(Pair(self, driver, shape, first, **more))

    def each(self, where, do, pairs):
        for pair in pairs:
            try:
                do(pair)
            except AssertionError as problem:
                self.wrong[f"{pair.name}, {where}"] = str(problem)
                self.pairs.remove(pair)
                pair.kill()

    def leave(self, shape):
        """The application of this shape ends."""
        leaving = [pair for pair in self.pairs if pair.shape == shape]
        self.each("at its end", Pair.end, leaving)
        self.pairs = [pair for pair in self.pairs if pair.shape != shape]

    def all_do(self, number, where):
        pairs = list(self.pairs)
        for pair in pairs:
            pair.begin(number)
        self.each(f"round {number}, {where}", lambda pair: pair.finish(number), pairs)

    def round(self, where):
        self.number += 1
        self.all_do(self.number, where)

    def move(self, phase, *transitions):
        """One stop, while rounds go on; then two more, the second of which ends the cursor of the first."""
        move = InBackground(lambda: [self.segue.move_to(name, phase) for name in transitions])
        while move.is_alive():
            self.round(f"on the way to {phase}")
            move.join(0.2)  # it shares the processors with the programs, whose cursors are open
            self.all_do(0, f"on the way to {phase}")
            move.join(1)  # for the locks that it waits for
        move.finish()
        for _ in range(2):
            self.round(f"in {phase}")


def tls(driver, authority):
    """How the new application of this driver logs in."""
    user = "user_md5" if driver == "pg8000" else "user_scram"  # of Debian's pg8000 the best
    return {"PGUSER": user, "PGPASSWORD": SECRET, "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(authority.certificate)}


def assert_tls_with_the_server(connection, drivers):
    sessions = connection.execute(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()").fetchall()
    assert len(sessions) > 2 * len(drivers)
    assert set(sessions) == {(True,)}


@pytest.mark.heavy
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "drivers", [list(group) for group in (programs.LIBPQ, programs.THEIR_OWN, programs.ORMS)], ids=", ".join)
def test_drivers_notice_nothing_while_phases_move(shop_with_tls, cluster, drivers, authority):
    segue, plain = shop_with_tls, {"old": "plain_old", "new": "plain_new"}
    bases = [base(drivers, driver, shape) for driver in drivers for shape in plain]
    for shape, database in plain.items():
        cluster.create_database(database)
        with cluster.connect(database) as connection:
            connection.execute(tables.CREATE[shape])
            give_rows(connection, shape, bases)
    with segue.direct() as connection, Journey(segue, plain) as journey:
        give_rows(connection, "old", bases)
        for name in tables.DEFINITIONS:
            segue.move_to(name, "old", tables.definition(name))
            segue.admin(f"EXPAND {name}")
        for driver in drivers:
            journey.join(driver, "old", base(drivers, driver, "old"), PGSSLMODE="disable")
        journey.round("in old")
        # the new application comes when there is a place for what only it can say
        journey.move("dual_old", *tables.DEFINITIONS)
        for driver in drivers:
            journey.join(driver, "new", base(drivers, driver, "new"), **tls(driver, authority))
        journey.round("with the new application")
        assert_tls_with_the_server(connection, drivers)
        for phase in THERE[1:] + BACK:
            journey.move(phase, *tables.DEFINITIONS)
        tables.assert_parity(connection)
        # what is lossless goes on to the old phase with both, the rest when the new one has left
        journey.move("old", "order_total")
        journey.leave("new")
        journey.move("old", "users_role", "amount")
        journey.leave("old")
    segue.assert_clean_log()
    assert journey.wrong == {}
