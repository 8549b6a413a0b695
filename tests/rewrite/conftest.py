"""One PostgreSQL cluster for each of pytest's processes; helpers shared with tests/integration."""

import pathlib
import sys
from collections import Counter

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from cluster import Cluster  # noqa: E402


def pytest_addoption(parser):
    group = parser.getgroup("segue", "random statements (test_generator.py)")
    group.addoption("--statements", type=int, default=20000, help="how many to generate")
    group.addoption("--through", choices=("both", "rewriter", "proxy"), default="both",
                    help="the rewriter alone, or the proxy; by default a share goes through the proxy")
    group.addoption("--seed", type=int, default=1, help="the same seed gives the same statements")


def pytest_terminal_summary(terminalreporter, config):
    """What became of the generated statements, over all of pytest's processes."""
    count = invalid = 0
    refused = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        properties = dict(report.user_properties)
        count += properties.get("statements", 0)
        invalid += properties.get("invalid", 0)
        refused.update(properties.get("refused", {}))
    if count == 0:
        return
    terminalreporter.section("random statements")
    terminalreporter.line(f"seed {config.getoption('--seed')}: {count} statements, of which"
                          f" {invalid} are errors on the plain table, too")
    terminalreporter.line(f"refused: {sum(refused.values())} ({sum(refused.values()) / count:.2%})")
    for name, times in refused.most_common():
        terminalreporter.line(f"  {times:6} {name}")


@pytest.fixture(scope="session")
def cluster():
    # what the planner thinks is large is compiled otherwise, which takes far longer than to run it
    cluster = Cluster("jit = off")
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def stand(cluster):
    from stand import Stand

    stand = Stand(cluster)
    yield stand
    stand.close()


@pytest.fixture(scope="session")
def proxy_stand(cluster):
    """The same with a proxy in it, started when it is first asked for."""
    from stand_proxy import ProxyStand

    stand = ProxyStand(cluster)
    yield stand
    stand.close()


@pytest.fixture(autouse=True)
def proxy_is_well_after_each_test(request):
    """A sanitizer's report is blamed on the test that caused it."""
    yield
    if "proxy_stand" in request.fixturenames or "proxy_stand" in request._fixture_defs:
        request.getfixturevalue("proxy_stand").assert_well()
