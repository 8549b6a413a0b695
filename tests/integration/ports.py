"""Free TCP ports below the ephemeral range, so that no outgoing connection takes one meanwhile."""

import os
import socket

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
COUNT = 400  # for each of pytest-xdist's workers: no two of them ever try the same one
FIRST = int(os.environ.get("SEGUE_TEST_PORTS", "21500")) + WORKER * COUNT
DEMO = 60  # of these, the last ones: `segue demo` takes its own from the first one on
_next = 0


def free_port():
    """A port nobody listens on; never the same one twice in a row in this process."""
    global _next
    for _ in range(COUNT - DEMO):
        port = FIRST + _next % (COUNT - DEMO)
        _next += 1
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no free port in {FIRST}..{FIRST + COUNT - DEMO - 1}")
