"""Where the log goes, and what its lines look like."""

import json
import os
import re
import shutil
import subprocess

import pytest

import wire
from ports import free_port
from segue import BINARY, environment

JOURNALD = "/lib/systemd/systemd-journald"


def log_lines(segue):
    return segue.log_path.read_bytes().splitlines()


def log_in_as(segue, user):
    with wire.Connection(segue.old_port) as connection:
        body = b"\0\3\0\0user\0" + user + b"\0database\0postgres\0\0"
        connection.send((len(body) + 4).to_bytes(4, "big") + body)
        connection.read_until(b"E")


def test_a_line_of_text_has_time_level_and_message(make_segue):
    segue = make_segue()
    for line in log_lines(segue):
        assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) +\S", line)


def test_an_event_is_an_object_of_json(make_segue):
    segue = make_segue(settings='log_format = "json"\nlog_level = "debug"')
    events = [json.loads(line) for line in log_lines(segue)]
    assert all(list(event) == ["time", "level", "subject", "message"] for event in events)
    assert any(event["subject"] == "admin" and "listens" in event["message"] for event in events)
    assert any(event["subject"] is None for event in events)


@pytest.mark.parametrize("name", [b'a"b\\c', b"caf\xe9", "grün".encode(), b"\xed\xa0\x80", b"x\x01y"])
def test_json_holds_whatever_bytes_a_client_sends(make_segue, name):
    segue = make_segue(settings='log_format = "json"\nlog_level = "debug"')
    log_in_as(segue, name)
    events = [json.loads(line.decode("utf-8", "strict")) for line in log_lines(segue)]
    expected = name.decode("utf-8", "replace")
    if b"\x01" not in name and b"\xed" not in name:
        assert any(expected in (event["subject"] or "") + event["message"] for event in events)


def journal_of(directory, run):
    """What a journal of our own, in a mount namespace with a /run of its own, has got from a proxy."""
    config = directory / "journal.conf"
    config.write_text(
        f'listen "old" {{ port = {free_port()} }}\nadmin {{ port = {free_port()} }}\n'
        'log_destination = "journal"\n',
        encoding="utf-8",
    )
    script = f"""
        mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal || exit 3
        {JOURNALD} 2>/dev/null & journald=$!
        for try in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
        {run.format(binary=BINARY, config=config)}
        journalctl --sync 2>/dev/null; kill $journald; wait $journald
        journalctl --directory=/run/log/journal -t segue -o json
    """
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-r", "--mount"]
    done = subprocess.run(
        [*namespace, "sh", "-c", script], capture_output=True, env=environment(), timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def can_make_a_mount_namespace():
    return subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False
    ).returncode == 0


needs_a_journal = pytest.mark.skipif(
    not (os.path.exists(JOURNALD) and shutil.which("unshare") and can_make_a_mount_namespace()),
    reason="needs systemd-journald, and the right to make a mount namespace",
)


@needs_a_journal
def test_the_journal_gets_priority_and_subject_as_fields(tmp_path):
    events, stderr = journal_of(
        tmp_path, "{binary} serve -c {config} & s=$!; sleep 2; kill $s; wait $s"
    )
    assert stderr == ""
    messages = {event["MESSAGE"]: event for event in events}
    assert messages["ended"]["PRIORITY"] == "6"
    (listens,) = [event for message, event in messages.items() if message.startswith("listens at")]
    assert listens["SEGUE_SUBJECT"] == "admin"
    assert listens["_TRANSPORT"] == "journal"


def test_what_no_journal_takes_goes_to_stderr(make_segue):
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("this machine has a journal")
    segue = make_segue(settings='log_destination = "journal"')
    assert any(b"listens at" in line for line in log_lines(segue))
