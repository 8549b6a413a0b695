"""
Real drivers and ORMs, each running its usual idioms in a program of its own (drivers/): what it prints
through Segue, in either shape and in each phase, must be what it prints on a plain table of that shape.
"""

import re

import pytest

import programs
import tables
from segue import PHASES

# In phase old nothing holds what only the new shape can say, and the transition of users is lossy.
PHASES_OF = {"old": PHASES, "new": PHASES[1:]}


# Compiling what a driver's program is made of is part of its first test.
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("shape", PHASES_OF)
@pytest.mark.parametrize("driver", programs.COMMANDS)
def test_a_driver_sees_in_every_phase_what_it_sees_on_a_plain_table(stands, cluster, oracles, driver, shape):
    with cluster.connect(oracles[shape]) as connection:
        tables.fill(connection, shape)
        connection.execute(programs.NAPS)
    expected = programs.idioms(driver, cluster.port, oracles[shape], shape)
    programs.assert_canceled_and_heard(expected)
    seen = {}
    for phase in PHASES_OF[shape]:
        stand = stands(phase)
        with stand.direct() as connection:
            tables.fill(connection, "both")
            connection.execute(programs.NAPS)
            seen[phase] = programs.idioms(driver, stand.port(shape), stand.databases[0], shape)
            if phase.startswith("dual"):  # in the others one column only is written
                tables.assert_parity(connection)
        stand.assert_running()
        stand.assert_clean_log()
    assert seen == dict.fromkeys(PHASES_OF[shape], expected)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("stand", ["old"], indirect=True)
@pytest.mark.parametrize("driver", programs.COMMANDS)
def test_a_driver_tells_why_the_new_shape_cannot_be_used_yet(stand, driver):
    done = programs.attempt(driver, stand.port("new"), stand.databases[0], "new")
    assert re.search('the new shape of transition "users_role" cannot be used in phase "old"|ERROR:  55000',
                     (done.stdout + done.stderr).replace("\\", "")), done
