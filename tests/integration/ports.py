"""Free TCP ports below the ephemeral range, so that no outgoing connection takes one meanwhile."""

import os
import socket

FIRST = int(os.environ.get("SEGUE_TEST_PORTS", "21500"))
COUNT = 400
_next = None


def free_port():
    """A port nobody listens on; never the same one twice in a row in this process."""
    global _next
    if _next is None:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
        _next = int(worker.removeprefix("gw")) * 100
    for _ in range(COUNT):
        port = FIRST + _next % COUNT
        _next += 1
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no free port in {FIRST}..{FIRST + COUNT - 1}")
