"""Many sessions at a time: the limit to the one, and what an idle one costs."""

import os
import pathlib
import ssl
import subprocess
import sys
import time

import pytest

import segue as harness
import wire
from certificates import Authority
from crowd import CrowdServer, allow_descriptors, log_in, most_descriptors, resident
from segue import ROOT, Segue
from waiting import wait_until

# A session takes two descriptors of Segue, and two of this process, which is client and server.
SPARE = 300
MANY = min(10_000, (most_descriptors() - SPARE) // 2)
RELEASE = pathlib.Path(os.environ.get("SEGUE_RELEASE_BINARY", ROOT / "build/release/segue"))


needs_release = pytest.mark.skipif(
    not RELEASE.exists(),
    reason=f"memory is measured of a release build, and there is no {RELEASE} (tests/run builds it)",
)


@pytest.fixture
def server():
    with CrowdServer() as server:
        yield server


def close_all(connections):
    for connection in connections:
        connection.close()


def refusal(segue):
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet("postgres", "postgres"))
        return connection.read_all()[-1].fields()


def test_ten_thousand_sessions_or_as_many_as_descriptors_allow_and_not_one_more(server, tmp_path):
    allow_descriptors(2 * MANY + SPARE)
    segue = Segue(server, tmp_path, settings=f"max_client_conn = {MANY}\nlog_level = warning")
    segue.start()
    sessions = []
    try:
        wait_until(lambda: not segue.admin("SHOW CLIENTS").rows)
        sessions = log_in(segue.old_port, MANY)
        for _ in range(2):
            told = refusal(segue)
            assert (told["S"], told["C"]) == ("FATAL", "53300")
            assert told["M"] == "sorry, too many clients already"
            assert told["D"] == f"max_client_conn is {MANY}"
        rows = segue.admin("SHOW CLIENTS").rows
        assert len(rows) == MANY
        assert {row["state"] for row in rows} == {"idle"}
        check_workers_go_on(segue)
        close_all(sessions[:100])
        del sessions[:100]
        wait_until(lambda: len(segue.admin("SHOW CLIENTS").rows) == MANY - 100)
        sessions += log_in(segue.old_port, 100)
        assert refusal(segue)["C"] == "53300"
    finally:
        close_all(sessions)
        segue.stop()


# How long Segue takes at most to answer SSLRequest, which it does itself; from a process of its own,
# which waits for nobody else.
KNOCKER = """
import select, socket, sys, time
longest = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        begun = time.monotonic()
        connection.sendall(bytes.fromhex("0000000804d2162f"))
        assert connection.recv(1) == b"N"
        longest = max(longest, time.monotonic() - begun)
print(longest)
"""


def check_workers_go_on(segue):
    """While all clients are shown, no worker is silent for as long as showing them takes."""
    knocker = subprocess.Popen(
        [sys.executable, "-c", KNOCKER, str(segue.old_port)], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    begun = time.monotonic()
    for _ in range(5):
        assert len(segue.admin("SHOW CLIENTS").rows) >= MANY
    shown = (time.monotonic() - begun) / 5
    longest = float(knocker.communicate("")[0])
    assert 0 < longest < shown


@needs_release
@pytest.mark.parametrize("with_tls, bytes_each", [(False, 4 * 1024), (True, 20 * 1024)],
                         ids=["plain", "TLS"])
def test_two_thousand_idle_sessions_of_a_release_build_stay_within_their_memory(
    server, tmp_path, monkeypatch, with_tls, bytes_each
):
    """Each has logged in and made a query. With sanitizers, it is theirs that would be measured."""
    count = 2000
    allow_descriptors(3 * count + 1000)
    settings, context = f"max_client_conn = {2 * count}\nlog_level = warning\n", None
    if with_tls:
        certificate, key = Authority(tmp_path).issue("localhost")
        settings += f'client_tls_sslmode = "prefer"\nclient_tls_cert_file = "{certificate}"\n'
        settings += f'client_tls_key_file = "{key}"\n'
        context = ssl.create_default_context(cafile=tmp_path / "authority.crt")
        context.check_hostname = False
    monkeypatch.setattr(harness, "BINARY", str(RELEASE))
    segue = Segue(server, tmp_path, settings=settings).start()
    sessions = log_in(segue.old_port, 50, context)  # they pay for what all share
    try:
        before = resident(segue.process.pid)
        sessions += log_in(segue.old_port, count, context)
        grown = resident(segue.process.pid) - before
        assert grown * 1024 / count <= bytes_each
    finally:
        close_all(sessions)
        segue.stop()
