"""
The same statements on a plain table of the client's shape and, rewritten, on the table in transition:
same rows, tags, columns, types and errors, and afterwards the same contents, all rows in parity. In
every state, with the guard off (the rewriting alone must be right) and with `reject` (which raises if
it is not), in simple and extended protocol, in text and binary format.

The cases are in cases_*.py, see case.py.
"""

import importlib
import pathlib

import pytest
from case import case_of
from world import SHAPES


def cases():
    for path in sorted(pathlib.Path(__file__).parent.glob("cases_*.py")):
        subject = path.stem.removeprefix("cases_")
        for world, items in importlib.import_module(path.stem).CASES.items():
            for case in map(case_of, items):
                for shape in [case.only] if case.only else SHAPES:
                    name = f"{subject}-{world.name}-{shape}-{case}"
                    yield pytest.param(world, case, shape, id=name[:120])


@pytest.mark.parametrize(("world", "case", "shape"), cases())
def test_pitfall_23_same_as_on_the_plain_table(stand, world, case, shape):
    problems = stand.check(world, case, shape)
    assert not problems, "\n".join([str(case), *problems])
