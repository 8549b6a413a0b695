"""Random programs of the protocol (random_programs.py) are answered through Segue byte for byte as by PostgreSQL
itself, and leave the same rows. `--programs` says how many of each kind, `--first-program` from where."""

import random

import pytest

import conversation
import random_programs as programs
import tables
from conversation import login


def seeds(request):
    first = request.config.getoption("--first-program")
    return range(first, first + request.config.getoption("--programs"))


def cut_by_chance(begin, program, seed):
    chance = random.Random(seed)
    places = range(len(begin), len(begin) + len(program))
    return conversation.cut(begin + program, *chance.sample(places, min(len(places), seed % 6)))


@pytest.mark.parametrize("proxy", ["relay", "dual_own"])
def test_programs_on_a_plain_table(cluster, relay, stands, request, proxy):
    """Where there are no transitions, and where every text is looked at."""
    segue = relay if proxy == "relay" else stands(proxy)
    begin = login(database=(segue.databases or ["postgres"])[0])
    for seed in seeds(request):
        said = programs.program(seed, programs.PLAIN)
        expected = conversation.answer(cluster.port, begin + said)
        got = conversation.answer(segue.old_port, *cut_by_chance(begin, said, seed))
        conversation.assert_same(expected, got, f"program {seed}")


@pytest.mark.parametrize("shape", ["old", "new"])
@pytest.mark.parametrize("phase", ["dual_own", "dual_new", "new"])
def test_programs_on_a_table_in_transition(cluster, stands, oracles, request, phase, shape):
    segue = stands(phase)
    subject = {"old": programs.OLD, "new": programs.NEW}[shape]
    plain, ours = login("postgres", oracles[shape]), login("postgres", segue.databases[0])
    column = {"old": "role", "new": "roles"}[shape]
    with cluster.connect(oracles[shape]) as oracle, segue.connect(shape) as client, \
            segue.direct() as direct:
        for seed in seeds(request):
            tables.fill(direct, "both")
            tables.fill(oracle, shape)
            said = programs.program(seed, subject)
            expected = conversation.answer(cluster.port, plain + said)
            got = conversation.answer(segue.port(shape), *cut_by_chance(ours, said, seed))
            conversation.assert_same(expected, got, f"program {seed}")
            rows = f"SELECT id, name, {column} FROM users ORDER BY id"
            assert client.execute(rows).fetchall() == oracle.execute(rows).fetchall(), seed
