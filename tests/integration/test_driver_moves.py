"""
Real drivers while the operator moves phases: programs of both shapes go on with their connections,
prepared statements and open cursor, all the way and back. Beside each runs the same program on a plain
table of its shape, and what the two print must be the same in every round. The new application comes in
over TLS and logs in with SCRAM, where its program has TLS at all.
"""

import contextlib
import ssl

import pytest

import programs
import tables
from certificates import Authority
from cluster import SECRET
from test_phases import InBackground

BASE = {"old": 1000, "new": 2000}
IN_THE_CLEAR = {"Rust tokio-postgres", "pg8000"}  # their programs have no TLS
THERE = ("dual_old", "dual_own", "dual_new", "new")
BACK = ("dual_new", "dual_own", "dual_old")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def shop_with_tls(make_segue, shop_database, authority):
    certificate, key = authority.issue("segue.test", "DNS:localhost,IP:127.0.0.1")
    segue = make_segue([shop_database], settings=(
        f'client_tls_sslmode = "allow"\nclient_tls_cert_file = "{certificate}"\n'
        f'client_tls_key_file = "{key}"\n'), start=False)
    segue.tls = ssl.create_default_context(cafile=authority.certificate)
    return segue.start()


def give_rows(connection, shape):
    """Ten rows for the programs of either shape, as a plain table of `shape` has them."""
    role = {"old": "'r' || i || ',x'", "new": "ARRAY['r' || i, 'x']"}[shape]
    money = {"old": "i || '.50'", "new": "i + 0.50"}[shape]
    total = {"old": "i * 100", "new": "i"}[shape]
    for base in BASE.values():
        rows = f"generate_series({base}, {base + 9}) i"
        connection.execute(f"INSERT INTO users SELECT i, 'n' || i, {role} FROM {rows}")
        connection.execute(f"INSERT INTO transactions SELECT i, i, {money} FROM {rows}")
        connection.execute(f"INSERT INTO orders SELECT i, i, {total} FROM {rows}")
    connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO user_scram")


class Pair:
    """A program of this shape through Segue, and the one on a plain table that says what is right."""

    def __init__(self, driver, segue, cluster, plain, shape, **more):
        self.through = programs.Program(
            driver, segue.port(shape), segue.databases[0], shape, BASE[shape], **more)
        self.plain = programs.Program(driver, cluster.port, plain, shape, BASE[shape])

    def begin(self, number):
        self.through.begin(number)
        self.plain.begin(number)

    def finish(self, where):
        got, expected = self.through.finish(), self.plain.finish()
        assert got == expected, where


class Journey:
    """Rounds, one after the other, for the pairs of programs that are there; moves meanwhile."""

    def __init__(self, segue):
        self.segue, self.pairs, self.number = segue, [], 0

    def round(self, where):
        self.number += 1
        for pair in self.pairs:
            pair.begin(self.number)
        for pair in self.pairs:
            pair.finish(f"round {self.number}, {where}")

    def move(self, phase, *transitions):
        """One stop, while rounds go on; then two more, the first of which ends the cursor of before."""
        move = InBackground(lambda: [self.segue.move_to(name, phase) for name in transitions])
        while move.is_alive():
            self.round(f"on the way to {phase}")
            move.join(0.2)  # it shares the processors with the programs
        move.finish()
        for _ in range(2):
            self.round(f"in {phase}")


def tls(driver, authority):
    if driver in IN_THE_CLEAR:
        return {}
    return {"PGUSER": "user_scram", "PGPASSWORD": SECRET, "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(authority.certificate)}


@pytest.mark.heavy
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("driver", programs.COMMANDS)
def test_a_driver_notices_nothing_while_phases_move(
        shop_with_tls, cluster, driver, authority):
    segue, plain = shop_with_tls, {}
    with segue.direct() as connection, contextlib.ExitStack() as stack:
        give_rows(connection, "old")
        for shape in BASE:
            plain[shape] = f"plain_{shape}"
            cluster.create_database(plain[shape])
            with cluster.connect(plain[shape]) as plain_connection:
                plain_connection.execute(tables.CREATE[shape])
                give_rows(plain_connection, shape)
        for name in tables.DEFINITIONS:
            segue.move_to(name, "old", tables.definition(name))
            segue.admin(f"EXPAND {name}")

        journey = Journey(segue)

        def begin(shape, **more):
            pair = Pair(driver, segue, cluster, plain[shape], shape, **more)
            stack.callback(pair.through.kill)
            stack.callback(pair.plain.kill)
            journey.pairs.append(pair)
            return pair

        old = begin("old")
        journey.round("in old")
        # the new application comes when there is a place for what only it can say
        journey.move("dual_old", *tables.DEFINITIONS)
        new = begin("new", **tls(driver, authority))
        journey.round("with the new application")
        for phase in THERE[1:] + BACK:
            journey.move(phase, *tables.DEFINITIONS)
        tables.assert_parity(connection)
        # what is lossless goes on to the old phase with both, the rest when the new one has left
        journey.move("old", "order_total")
        new.through.end()
        new.plain.end()
        journey.pairs.remove(new)
        journey.move("old", "users_role", "amount")
        old.through.end()
        old.plain.end()
    segue.assert_clean_log()
