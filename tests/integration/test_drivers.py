"""
Real drivers and ORMs, each running its usual idioms in a program of its own (drivers/): what it prints
through Segue, in either shape and in each phase, must be what it prints on a plain table of that shape.
"""

import functools

import pytest

import programs
import tables


@functools.cache
def on_a_plain_table(driver, cluster, database, shape):
    with cluster.connect(database) as connection:
        tables.fill(connection, shape)
    return programs.idioms(driver, cluster.port, database, shape)


# Compiling what a driver's program is made of is part of its first test.
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("shape", ["old", "new"])
@pytest.mark.parametrize("driver", programs.COMMANDS)
def test_a_driver_sees_what_it_sees_on_a_plain_table(stand, cluster, oracles, driver, shape):
    if shape == "new" and stand.phase_name == "old":
        pytest.skip("a lossy transition's new columns are nowhere in phase old: tested on its own")
    expected = on_a_plain_table(driver, cluster, oracles[shape], shape)
    assert programs.idioms(driver, stand.port(shape), stand.databases[0], shape) == expected
    if stand.phase_name.startswith("dual"):  # in the others one column only is written
        with stand.direct() as connection:
            tables.assert_parity(connection)
