"""
Random statements (grammar_session.py) over the tables of garden.py, judged as the hand-written cases are.

    pytest tests/rewrite/test_generator.py --statements 200000 --seed 7 --through proxy

The rewriter in a process of its own gets them, or the real proxy does, between its clients and the
server: by default a chunk in PROXY_EVERY. Then some are prepared by clients that keep them while the phase
goes from one end to the other and back.

The same seed gives the same statements. What fails is shrunk and printed as a case, to be pasted into
cases_generator_finds.py. What is refused is counted by construct and told at the end of the run; a
refusal that is not in EXPECTED_REFUSALS fails, for then something that is said to work does not.
"""

import re

import pytest
from choices import Choices, shrink
from garden import GARDEN
from grammar_session import one_statement, statement
from walk import Walk
from world import STATES

CHUNK = 500
PROXY_EVERY = 3  # chunks of which one goes through the proxy
PREPARED = 40  # statements that a walk through the phases finds prepared
PREPARED_EVERY = 5000  # statements for which there is such a walk
STATES_EACH = 3  # of which a statement runs in; others get their turn with other statements

# What proxy/rewrite/README.md says is refused (0A000): a pattern of the message.
EXPECTED_REFUSALS = [
    "a whole-row reference to a table with a column alias list cannot be rewritten",
    "MERGE in which several clauses assign rows of sub-selects, or values of this type which must be evaluated once,"
    " cannot be rewritten",
    "IN over a query of columns, in a value that must be evaluated once, cannot be rewritten",
]
MOST_REFUSED = 0.15  # of all statements


def pytest_generate_tests(metafunc):
    count = metafunc.config.getoption("--statements")
    if "chunk" in metafunc.fixturenames:
        metafunc.parametrize("chunk", range((count + CHUNK - 1) // CHUNK))
    if "walk" in metafunc.fixturenames:
        metafunc.parametrize("walk", range((count + PREPARED_EVERY - 1) // PREPARED_EVERY))


def number_of(seed, index):
    return seed * 1_000_003 + index


class Tally:
    """What became of the statements of a chunk."""

    def __init__(self):
        self.refused = {}
        self.invalid = self.count = 0

    def refuse(self, name):
        self.refused[name] = self.refused.get(name, 0) + 1


def expected_refusal(message):
    return next((known for known in EXPECTED_REFUSALS if message.startswith(known)), None)


def case_of(choices):
    """A statement, and where it runs; both a function of what is drawn."""
    states = [choices.pick(list(STATES)) for _ in range(STATES_EACH)]
    guard = choices.pick(["off", "reject"])
    case = statement(choices)
    case.states, case.guards = sorted(set(states), key=list(STATES).index), [guard]
    return case


def judge(stand, case, tally=None):
    """The problems of a case that are not refusals we know of."""
    refusals = []
    problems = stand.check(GARDEN, case, case.only, refusals)
    names = {expected_refusal(message) for message in refusals}
    if tally:
        tally.count += 1
        tally.invalid += stand.was_error is not None
        for name in sorted(filter(None, names)):
            tally.refuse(name)
    if None in names:
        problems += [f"{case.states or ''}: refused: {message}" for message in refusals
                     if not expected_refusal(message)][:1]
    return problems


def kind_of(problems):
    """What sort of failure it is, so that shrinking does not end at another."""
    first = problems[0].split(": ", 1)[-1]
    return re.sub(r"[0-9]+|'.*", "", first)[:40 if first.startswith("refused") else 14]


def narrowed(case, problems):
    """The same case, where it failed first."""
    where = problems[0].split(":")[0].split()[0].split("/") if "/" in problems[0].split(":")[0] else None
    if where:
        case.states, case.guards = [where[0]], [where[1]]
    return case


def pasted(case, problems):
    steps = ", ".join(repr(step[0] if not step[1] else step) for step in case.steps)
    lines = "\n".join("    # " + line for p in problems[:3] for line in p.splitlines())
    said = "".join(f", {name}={value!r}" for name, value in (
        ("copy", case.copy), ("ordered", case.ordered), ("commits", case.commits),
        ("goes_on", case.goes_on)) if value)
    return f"    Case({steps}, only={case.only!r}, modes={case.modes!r}{said}),\n{lines}"


def shrunk(stand, choices, problems):
    kind = kind_of(problems)

    def fails(tried):
        found = judge(stand, narrowed(case_of(tried), problems))
        return bool(found) and kind_of(found) == kind

    smallest = shrink(choices, fails)
    case = case_of(Choices(replay=smallest.drawn))
    return pasted(case, judge(stand, narrowed(case, problems)) or problems)


def goes_through_proxy(through, chunk):
    return through == "proxy" or (through == "both" and chunk % PROXY_EVERY == PROXY_EVERY - 1)


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_random_statements_do_the_same(chunk, request, record_property):
    seed = request.config.getoption("--seed")
    through = goes_through_proxy(request.config.getoption("--through"), chunk)
    stand = request.getfixturevalue("proxy_stand" if through else "stand")
    tally = Tally()
    finds = {}
    last = min((chunk + 1) * CHUNK, request.config.getoption("--statements"))
    for index in range(chunk * CHUNK, last):
        choices = Choices(seed=number_of(seed, index))
        problems = judge(stand, case_of(choices), tally)
        if problems and kind_of(problems) not in finds:
            finds[kind_of(problems)] = f"    # seed {seed}, statement {index}\n" + (
                shrunk(stand, choices, problems))
    record_property("statements", tally.count)
    record_property("invalid", tally.invalid)
    record_property("refused", tally.refused)
    assert sum(tally.refused.values()) <= MOST_REFUSED * tally.count, tally.refused
    if finds:
        pytest.fail("\n".join(["", *finds.values()]), pytrace=False)


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_prepared_statements_do_the_same_in_every_phase(proxy_stand, walk, request):
    """Each is prepared once, and bound again after every move there and back again."""
    seed = request.config.getoption("--seed")
    cases, number = [], number_of(seed, 10_000_000 + walk * 1000)
    while len(cases) < PREPARED:
        case = one_statement(Choices(seed=number))
        number += 1
        if case:
            cases.append(case)
    problems = Walk(proxy_stand, GARDEN, cases).problems()
    assert not problems, "\n".join(["", *problems])
