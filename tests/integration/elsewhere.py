"""Processes that are somebody else, or in namespaces of their own, where the machine allows it."""

import contextlib
import functools
import os
import pathlib
import subprocess

import pytest

NOBODY = 65534

takes_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@contextlib.contextmanager
def user(uid):
    """Whoever connects to a Unix socket meanwhile does so as this user."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before)


def as_user(uid):
    """What runs a program as this user."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


@functools.lru_cache
def _unshare(*kinds):
    """What runs a program in new namespaces of these kinds; None where nobody may."""
    for more in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *more, *kinds]
        with contextlib.suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
    return None


def _prepared(kind, script):
    command = _unshare(kind)
    if not command:
        pytest.skip(f"needs unshare {kind}, which this machine does not allow")
    return [*command, "sh", "-c", f'{script} && exec "$@"', "sh"]


def network(*addresses):
    """What runs a program in a network of its own, with these addresses."""
    commands = ["ip link set lo up", *(f"ip address add {one}/32 dev lo" for one in addresses)]
    return _prepared("--net", " && ".join(commands))


def fresh_run():
    """What runs a program with an empty /run of its own."""
    return _prepared("--mount", "mount -t tmpfs -o mode=755 tmpfs /run")


def beside(segue, kind):
    """What runs a program in the namespace (as --net) that this proxy was started in."""
    target = f"--target={segue.process.pid}"
    if os.geteuid() == 0:
        return ["nsenter", target, kind]
    return ["nsenter", target, "--user", "--preserve-credentials", kind]


def root_of(segue):
    """The file system as this proxy sees it."""
    return pathlib.Path(f"/proc/{segue.process.pid}/root")
