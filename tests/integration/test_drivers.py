"""
Real drivers and ORMs, each running its usual idioms in a program of its own (drivers/): what it prints
through Segue, in either shape and in each phase, must be what it prints on a plain table of that shape.
"""

import functools
import re

import pytest

import programs
import tables
from segue import PHASES


@functools.cache
def on_a_plain_table(driver, cluster, database, shape):
    with cluster.connect(database) as connection:
        tables.fill(connection, shape)
    return programs.idioms(driver, cluster.port, database, shape)


# In phase old nothing holds what only the new shape can say, and the transition of users is lossy.
PLACES = [(phase, shape) for phase in PHASES for shape in ("old", "new") if (phase, shape) != ("old", "new")]


# Compiling what a driver's program is made of is part of its first test.
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("stand, shape", PLACES, indirect=["stand"])
@pytest.mark.parametrize("driver", programs.COMMANDS)
def test_a_driver_sees_what_it_sees_on_a_plain_table(stand, cluster, oracles, driver, shape):
    expected = on_a_plain_table(driver, cluster, oracles[shape], shape)
    assert programs.idioms(driver, stand.port(shape), stand.databases[0], shape) == expected
    if stand.phase_name.startswith("dual"):  # in the others one column only is written
        with stand.direct() as connection:
            tables.assert_parity(connection)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("stand", ["old"], indirect=True)
@pytest.mark.parametrize("driver", programs.COMMANDS)
def test_a_driver_tells_why_the_new_shape_cannot_be_used_yet(stand, driver):
    done = programs.attempt(driver, stand.port("new"), stand.databases[0], "new")
    assert re.search('the new shape of transition "users_role" cannot be used in phase "old"|ERROR:  55000',
                     (done.stdout + done.stderr).replace("\\", "")), done
