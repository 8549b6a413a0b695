"""The order of tests for pytest-xdist, which gives its workers blocks of consecutive ones."""

import itertools

TOGETHER = 50


def is_heavy(item):
    return item.get_closest_marker("heavy") is not None


def uses_module_scope(item):
    definitions = itertools.chain.from_iterable(item._fixtureinfo.name2fixturedefs.values())
    return any(definition.scope in ("module", "package", "class") for definition in definitions)


def units(items):
    """
    What no other test may come into, as lists: of a module that has fixtures of its own, which would be
    made anew, so many tests that this costs little; else each test.
    """
    for _, group in itertools.groupby(items, key=lambda item: item.path):
        module = list(group)
        together = TOGETHER if any(map(uses_module_scope, module)) else 1
        for first in range(0, len(module), together):
            yield module[first : first + together]


def dealt(items):
    """
    The heavy ones at even distances among the others of their folder, all else in its order. Each
    before the others of its share: so the last has somebody beside it.
    """
    order = []
    for _, group in itertools.groupby(items, key=lambda item: item.path.parent):
        folder = list(group)
        heavy = [item for item in folder if is_heavy(item)]
        light = [item for item in folder if not is_heavy(item)]
        passed = placed = 0
        for unit in units(light):
            order += unit
            passed += len(unit)
            due = -(-passed * len(heavy) // len(light))  # rounded up
            order += heavy[placed:due]
            placed = due
        order += heavy[placed:]
    return order
