"""Fixtures: one PostgreSQL cluster for the run, proxies in front of it.

`shop` is a proxy of the test's own on a database of the test's own, tables filled, nothing applied.
`relay` is one for the module, on a database without transitions.
`stand` (in test files that ask for it) is one per phase for the whole run, rows made anew per test.
"""

import contextlib
import os

import pytest

import tables
from cluster import Cluster
from segue import BINARY, PHASES, Segue


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", default=os.environ.get("SEGUE_LONG") == "1",
        help="run the tests that take long, too (SEGUE_LONG=1 does the same)",
    )
    parser.addoption("--programs", type=int, default=60,
                     help="how many random programs of the protocol of each kind")
    parser.addoption("--first-program", type=int, default=1, help="the seed to begin with")
    parser.addoption(
        "--soak", type=int, metavar="SECONDS", default=int(os.environ.get("SEGUE_SOAK", "100")),
        help="for how long test_soak.py soaks: 3600 for an hour (SEGUE_SOAK=3600 does the same)",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long; only with --long")
    config.addinivalue_line("markers", "soak: takes as long as --soak says")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="long: give --long"))
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(pytest.mark.timeout(config.getoption("--soak") * 2 + 300))


@pytest.fixture
def soak_seconds(request):
    return request.config.getoption("--soak")


@pytest.fixture(scope="session")
def cluster():
    cluster = Cluster()
    tables.create_template(cluster)
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def oracles(cluster):
    """Two plain databases, each with the tables really in one shape: what Segue must look like."""
    names = {}
    for shape in ("old", "new"):
        names[shape] = f"oracle_{shape}"
        cluster.create_database(names[shape])
        with cluster.connect(names[shape]) as connection:
            connection.execute(tables.CREATE[shape])
    return names


@pytest.fixture(scope="session")
def oracle_keepers(cluster, oracles):
    with contextlib.ExitStack() as stack:
        yield {shape: tables.Keeper(stack.enter_context(cluster.connect(name)), shape)
               for shape, name in oracles.items()}


_database_number = 0


@pytest.fixture
def make_segue(cluster, tmp_path):
    """A function that starts proxies; each is stopped, and must end well, after the test."""
    started = []

    def make(databases=(), settings="", workers=2, start=True):
        directory = tmp_path / f"segue{len(started)}"
        directory.mkdir()
        segue = Segue(cluster, directory, databases, settings, workers)
        started.append(segue)
        return segue.start() if start else segue

    yield make
    problems = []
    for segue in started:
        try:
            segue.stop()
        except AssertionError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


@pytest.fixture
def shop_database(cluster):
    """A fresh database with the tables of tables.py in the old shape, filled."""
    global _database_number
    _database_number += 1
    name = f"shop_{_database_number}"
    cluster.create_database(name, template="old_template")
    yield name
    cluster.drop_database(name)


@pytest.fixture
def shop(make_segue, shop_database):
    """A proxy of the test's own on a fresh database; no transition applied yet."""
    return make_segue([shop_database])


@pytest.fixture(scope="module")
def relay(cluster, tmp_path_factory):
    """A proxy for the module's tests of the relay: no database of it has transitions."""
    segue = Segue(cluster, tmp_path_factory.mktemp("relay")).start()
    yield segue
    segue.stop()


@pytest.fixture(autouse=True)
def relay_is_clean_after_each_test(request):
    """A sanitizer's report is blamed on the test that caused it, not on the last of the module."""
    yield
    if "relay" in request.fixturenames:
        relay = request.getfixturevalue("relay")
        relay.assert_running()
        relay.assert_clean_log()


@pytest.fixture(scope="session")
def stands(cluster, tmp_path_factory):
    """By phase, started when first asked for: a proxy whose database is in that phase."""
    made = {}

    def stand(phase):
        if phase not in made:
            name = f"stand_{phase}"
            cluster.create_database(name, template="old_template")
            segue = Segue(cluster, tmp_path_factory.mktemp(name), [name])
            made[phase] = segue
            segue.phase_name = phase
            segue.start()
            for transition in tables.DEFINITIONS:
                segue.move_to(transition, phase, tables.definition(transition, guard="off"))
                if phase == "old":
                    segue.admin(f"EXPAND {transition}")
            segue.keeper = tables.Keeper(segue.direct(), "both")
        return made[phase]

    yield stand
    problems = []
    for segue in made.values():
        segue.keeper.connection.close()
        try:
            segue.stop()
        except AssertionError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


@pytest.fixture(params=PHASES)
def stand(request, stands):
    """The stand of each phase in turn, its rows as in tables.py and in parity."""
    segue = stands(request.param)
    segue.assert_running()
    segue.keeper.fill()
    yield segue
    segue.assert_running()
    segue.assert_clean_log()


def pytest_report_header():
    return f"segue: {BINARY}"
