"""Many sessions at a time: the limit to the one, and what an idle one costs."""

import os
import pathlib
import ssl
import subprocess
import sys
import time
from collections import Counter

import pytest

import segue as harness
import wire
from certificates import Authority
from crowd import CrowdServer, allow_descriptors, log_in, most_descriptors, resident
from segue import ROOT, Segue
from waiting import wait_until

# A session takes two descriptors of Segue, and two of this process, which is client and server; a client
# that has not said who it is one. Where ten thousand sessions are more than the system lets a process
# have (ulimit -Hn), so many of ten thousand clients log in as it does, and the rest only comes.
CROWD = 10_000
SPARE = 100
MANY = min(CROWD, most_descriptors() - SPARE - CROWD)
if MANY < CROWD / 2:
    CROWD = MANY = (most_descriptors() - SPARE) // 2
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


def clients_now(segue):
    return {row["name"]: row["total"] for row in segue.admin("SHOW STATS").rows}["clients_now"]


def refusal(segue):
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet("postgres", "postgres"))
        return connection.read_all()[-1].fields()


def test_ten_thousand_clients_and_no_more_sessions_than_max_client_conn(server, tmp_path):
    print(f"{CROWD} clients, of which {MANY} log in")
    allow_descriptors(CROWD + MANY + SPARE)
    segue = Segue(server, tmp_path, settings=f"max_client_conn = {MANY}\nlog_level = warning\n"
                                             "client_login_timeout = 600")
    segue.start()
    sessions, silent = [], []
    try:
        wait_until(lambda: clients_now(segue) == 0)
        sessions = log_in(segue.old_port, MANY)
        silent = [wire.Connection(segue.old_port) for _ in range(CROWD - MANY)]
        wait_until(lambda: clients_now(segue) == CROWD)
        for _ in range(2):
            told = refusal(segue)
            assert (told["S"], told["C"]) == ("FATAL", "53300")
            assert told["M"] == "sorry, too many clients already"
            assert told["D"] == f"max_client_conn is {MANY}"
        rows = segue.admin("SHOW CLIENTS").rows
        assert Counter(row["state"] for row in rows) == {"idle": MANY} | ({"login": len(silent)} if silent else {})
        check_workers_go_on(segue)
        close_all(sessions[:100])
        del sessions[:100]
        wait_until(lambda: clients_now(segue) == CROWD - 100)
        sessions += log_in(segue.old_port, 100)
        assert refusal(segue)["C"] == "53300"
        for connection in silent:
            connection.send(wire.startup_packet("postgres", "postgres"))
            assert connection.read_all()[-1].sqlstate == "53300"
    finally:
        close_all(sessions + silent)
        segue.stop()


# How long Segue takes at most to answer SSLRequest, which it does itself: the three longest waits; from
# a process of its own, which waits for nobody else.
KNOCKER = """
import select, socket, sys, time
longest = [0, 0, 0]
while not select.select([sys.stdin], [], [], 0)[0]:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
        begun = time.monotonic()
        connection.sendall(bytes.fromhex("0000000804d2162f"))
        assert connection.recv(1) == b"N"
        longest = sorted([*longest, time.monotonic() - begun])[1:]
print(longest[0])
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
    third = float(knocker.communicate("")[0])
    assert 0 < third < shown  # one or two may be the machine's; a silent worker is met five times


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
