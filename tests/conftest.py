"""For tests of every folder: the heavy ones are dealt out to pytest-xdist's workers."""

import pytest
from dealing import dealt


def pytest_configure(config):
    config.addinivalue_line("markers", "heavy: takes as long as hundreds of others; no two in a row, with -n")


@pytest.hookimpl(trylast=True)  # what is left of them when others have selected
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        items[:] = dealt(items)
