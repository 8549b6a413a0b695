"""
Where the data of throwaway servers lies: in memory where there is room. To make a database takes 30 ms
there, and half a second on a disk that is busy; tests make thousands of them.
"""

import os
import pathlib
import re
import shutil
import tempfile

SHARED = pathlib.Path("/dev/shm")
PREFIX = "segue-test-pg-"
ROOM = 8 << 30  # what all the servers of a run may take
FREE = ROOM + (6 << 30)  # memory, with what the tests themselves need


def has_room():
    try:
        disk = os.statvfs(SHARED)
        available = re.search(r"^MemAvailable:\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return False
    return (os.access(SHARED, os.W_OK) and available is not None
            and disk.f_bavail * disk.f_frsize > ROOM and int(available[1]) << 10 > FREE)


def is_alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def remove_what_was_left():
    """By runs that were killed, with servers that are gone, too."""
    for directory in SHARED.glob(PREFIX + "*"):
        owner = re.match(r"\d+", directory.name[len(PREFIX):])
        server = directory / "data" / "postmaster.pid"
        if not owner:  # no run of ours
            continue
        try:
            pids = [owner[0]] + server.read_text().split()[:1] if server.exists() else [owner[0]]
        except OSError:  # another run removes it, or has it
            continue
        if not any(map(is_alive, pids)):
            shutil.rmtree(directory, ignore_errors=True)


def data_directory():
    """A new one."""
    remove_what_was_left()
    prefix = f"{PREFIX}{os.getpid()}-"
    if not has_room():
        return pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    return pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=SHARED))
