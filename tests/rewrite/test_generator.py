"""
Random statements (grammar_write.py) over the tables of garden.py, judged as the hand-written cases are.

    pytest tests/rewrite/test_generator.py --statements 200000 --seed 7

The same seed gives the same statements. What fails is shrunk and printed as a case, to be pasted into
cases_generator_finds.py. What is refused is counted by construct and told at the end of the run; a
refusal that is not in EXPECTED_REFUSALS fails, for then something that is said to work does not.
"""

import re

import pytest
from choices import Choices, shrink
from garden import GARDEN
from grammar_write import statement
from world import STATES

CHUNK = 500
STATES_EACH = 3  # of which a statement runs in; others get their turn with other statements

# What proxy/rewrite/README.md says is refused (0A000): a pattern of the message.
EXPECTED_REFUSALS = [
    "MERGE in which several clauses assign what is evaluated once cannot be rewritten",
    "a whole-row reference to a table with a column alias list cannot be rewritten",
]
MOST_REFUSED = 0.15  # of all statements


def pytest_generate_tests(metafunc):
    if "chunk" in metafunc.fixturenames:
        count = metafunc.config.getoption("--statements")
        metafunc.parametrize("chunk", range((count + CHUNK - 1) // CHUNK))


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
    return f"    Case({steps}, only={case.only!r}, modes={case.modes!r}),\n{lines}"


def shrunk(stand, choices, problems):
    kind = kind_of(problems)

    def fails(tried):
        found = judge(stand, narrowed(case_of(tried), problems))
        return bool(found) and kind_of(found) == kind

    smallest = shrink(choices, fails)
    case = case_of(Choices(replay=smallest.drawn))
    return pasted(case, judge(stand, narrowed(case, problems)) or problems)


@pytest.mark.timeout(1800)
def test_random_statements_do_the_same(stand, chunk, request, record_property):
    seed = request.config.getoption("--seed")
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
