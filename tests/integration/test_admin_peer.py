"""The console's Unix socket: who is known there by who they are, and where it is."""

import contextlib
import itertools
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import psycopg
import pytest

import admin_users
import elsewhere
import wire
from admin_users import PASSWORD
from elsewhere import NOBODY, takes_root
from segue import BINARY, environment
from waiting import wait_until

STRANGER = 64123  # a local user who has no name
OWN_USER = os.geteuid()


@pytest.fixture
def place():
    """A directory that every local user can enter."""
    with tempfile.TemporaryDirectory(prefix="segue-peer-") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture
def at(make_segue, place):
    """A function that starts a proxy whose console is a socket there, with these users."""

    def start(*lines, more=""):
        segue = make_segue(start=False)
        section = f'address = ""  unix_socket_dir = "{place}"  {more}'
        if lines:
            admin_users.configure(segue, section, lines)
        else:
            write_admin(segue, section)
        segue.wait_until_ready = lambda: wait_until(lambda: listens(segue, place))
        return segue.start()

    return start


def listens(segue, place):
    """Not as soon as there is a socket: it is bound before everybody may connect to it."""
    try:
        wire.Connection(segue.admin_port, host=place).close()
        return True
    except OSError:
        return False


def write_admin(segue, section):
    """The section without users."""
    admin_users.configure(segue, section, ["#"])
    segue.change_config(f'users_file = "{segue.users_path}"', "")


def local(segue, place, name, uid=None, password="", **more):
    """psycopg 3 by the Unix socket, as this local user."""
    with elsewhere.user(OWN_USER if uid is None else uid):
        return psycopg.connect(host=str(place), port=segue.admin_port, dbname="segue", user=name,
                               password=password, passfile="/none", autocommit=True, **more)


def refusal(segue, place, name, uid):
    """The error that this local user gets without being asked for anything."""
    with elsewhere.user(uid), wire.Connection(segue.admin_port, host=place) as connection:
        connection.send(wire.startup_packet(name, "segue"))
        messages = connection.read_all()
    assert wire.kinds(messages) == "E"
    return messages[0].fields()


# ---------------------------------------------------------------- who needs no password


def test_segues_own_user_is_operator_under_any_name(at, place):
    segue = at()
    with segue.log_contains(rf"A-\d+ o'neil@local\(uid={OWN_USER}\) logged in as operator by peer"):
        with local(segue, place, "o'neil") as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("o'neil",)
            connection.execute("RELOAD")
    told = subprocess.run([BINARY, "status", "--admin", f"host={place} port={segue.admin_port}"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stderr) == (0, "")


@takes_root
def test_another_user_is_refused_and_told_what_to_do(at, place):
    segue = at()
    with segue.log_contains(rf"A-\d+ local\(uid={NOBODY}\) closed: peer authentication failed"):
        fields = refusal(segue, place, "ann", NOBODY)
    assert (fields["S"], fields["C"]) == ("FATAL", "28000")
    assert fields["M"] == 'peer authentication failed for user "ann"'
    assert f"Local user {NOBODY} is neither root nor segue's own" in fields["D"]
    assert "users_file" in fields["H"] and "peer=" in fields["H"]
    # nor does a name help
    for name in ("root", "nobody", "segue", "postgres"):
        assert refusal(segue, place, name, NOBODY)["C"] == "28000"
    # psql and the subcommands tell it
    where = f"host={place} port={segue.admin_port} dbname=segue user=ann"
    told = subprocess.run([*elsewhere.as_user(NOBODY), "psql", "-X", where, "-c", "SHUTDOWN"],
                          capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert told.returncode == 2 and "peer=local_user" in told.stderr
    segue.assert_running()


@takes_root
def test_a_peer_of_the_users_file_needs_no_password_and_has_its_role(at, place):
    segue = at('"watch" "" viewer peer=nobody', '"deploy" "" operator peer=nobody',
               f'"nameless" "" viewer "peer={STRANGER}"')
    with local(segue, place, "watch", NOBODY) as viewer:
        assert viewer.execute("SHOW VERSION").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match='"watch" is a viewer'):
            viewer.execute("RELOAD")
    with local(segue, place, "deploy", NOBODY) as operator:
        assert operator.execute("RELOAD").fetchone()
    with local(segue, place, "nameless", STRANGER) as viewer:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            viewer.execute("RELOAD")
    for name, uid in (("watch", STRANGER), ("nameless", NOBODY), ("nobody", NOBODY),
                      ("ann", NOBODY), ("Watch", NOBODY)):
        assert refusal(segue, place, name, uid)["C"] == "28000"


@takes_root
def test_who_is_no_peer_may_prove_to_know_the_password(at, place):
    segue = at(admin_users.line("ann"), '"watch" "" viewer peer=nobody',
               admin_users.line("both", role="viewer", peer="nobody"))
    with segue.log_contains(rf"ann@local\(uid={NOBODY}\) logged in as operator by SCRAM-SHA-256"):
        with local(segue, place, "ann", NOBODY, PASSWORD) as operator:
            operator.execute("RELOAD")
    for uid, password in ((NOBODY, ""), (STRANGER, PASSWORD)):
        with local(segue, place, "both", uid, password) as viewer:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                viewer.execute("RELOAD")
    for name, uid in (("ann", NOBODY), ("watch", STRANGER), ("both", STRANGER), ("none", NOBODY)):
        with pytest.raises(psycopg.OperationalError,
                           match=f'password authentication failed for user "{name}"'):
            local(segue, place, name, uid, "wrong")


def test_whoever_may_be_anybody_can_look_at_what_a_viewer_sees(at, place):
    """Root and segue's own user need no peer= and no password, and have the role of the file."""
    segue = at(admin_users.line("watch", role="viewer"))
    with local(segue, place, "watch") as viewer:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            viewer.execute("RELOAD")
    with local(segue, place, "whoever") as operator:
        operator.execute("RELOAD")


@takes_root
def test_reload_takes_a_peer_away(at, place):
    segue = at('"watch" "" viewer peer=nobody')
    with local(segue, place, "watch", NOBODY) as already_in:
        admin_users.write_users(segue, f'"watch" "" viewer peer={STRANGER}')
        with local(segue, place, "root") as operator:
            operator.execute("RELOAD")
        assert refusal(segue, place, "watch", NOBODY)["C"] == "28000"
        local(segue, place, "watch", STRANGER).close()
        assert already_in.execute("SELECT 1").fetchone() == (1,)


@takes_root
def test_a_crowd_at_the_socket_does_not_lock_root_out(at, place):
    segue = at('"watch" "" viewer peer=nobody')
    with contextlib.ExitStack() as stack:
        with elsewhere.user(NOBODY):
            for _ in range(100):  # as many as may log in
                stack.enter_context(psycopg.connect(
                    host=str(place), port=segue.admin_port, dbname="segue", user="watch"))
            for _ in range(150):  # and such as do not
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    stack.enter_context(wire.Connection(segue.admin_port, host=place))
        with pytest.raises(psycopg.OperationalError, match="has 100 connections already"):
            local(segue, place, "watch", NOBODY)
        with local(segue, place, "root") as operator:
            operator.execute("RELOAD")


# ---------------------------------------------------------------- where it is


@pytest.fixture(scope="module")
def program():
    """The binary, where every local user can run it."""
    with tempfile.TemporaryDirectory(prefix="segue-program-") as directory:
        os.chmod(directory, 0o755)
        yield shutil.copy(BINARY, pathlib.Path(directory) / "segue")


@pytest.fixture
def automatic(make_segue, place, program):
    """
    A function that makes a proxy whose socket's place is segue's to choose, to be run as this user,
    who can read its configuration.
    """

    def make(uid=OWN_USER, runner=(), **more):
        segue = make_segue(start=False)
        segue.binary = program
        write_admin(segue, "")
        config = place / "segue.conf"
        shutil.move(segue.config_path, config)
        config.chmod(0o644)
        segue.config_path = config
        segue.runner = [*runner, *(elsewhere.as_user(uid) if uid != OWN_USER else [])]
        segue.environment = {"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""} | more
        segue.wait_until_ready = lambda: wait_until(
            lambda: re.search(f"admin.* listens at .* port {segue.admin_port}", segue.log()))
        return segue

    return make


@pytest.fixture
def somebody():
    """A user without name who was nobody's before, and the directory in /tmp that would be theirs."""
    for uid in itertools.count(700_000 + os.getpid() % 100_000):
        path = pathlib.Path(f"/tmp/segue-{uid}")
        if not os.path.lexists(path):
            break
    yield uid, path
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def status(segue, where="", uid=OWN_USER, runner=(), **more):
    """segue status as this user, which must find it where nothing is said."""
    who = elsewhere.as_user(uid) if uid != OWN_USER else []
    return subprocess.run(
        [*runner, *who, segue.binary, "status", "--admin", f"{where} port={segue.admin_port}"], cwd="/",
        capture_output=True, text=True, timeout=60, check=False, env=environment()
        | {"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": "", "PGUSER": "somebody"} | more)


def assert_open_to_all(directory, port, owner):
    """As it must be for those whom users_file names: all may enter, only its owner may write."""
    found = directory.stat()
    assert (stat.filemode(found.st_mode), found.st_uid) == ("drwxr-xr-x", owner)
    assert stat.filemode((directory / f".s.PGSQL.{port}").stat().st_mode) == "srwxrwxrwx"


def refused_to_start(segue):
    ended = subprocess.run([*segue.runner, segue.binary, "serve", "-c", segue.config_path],
                           capture_output=True, text=True, timeout=60, check=False,
                           env=environment() | segue.environment)
    assert ended.returncode == 1
    assert "Set admin { unix_socket_dir = .. } to a directory of segue's own." in ended.stderr
    return ended.stderr


@pytest.mark.parametrize("more", ["", ":/another"])
def test_it_is_in_the_runtime_directory_of_the_service(automatic, place, more):
    directory = place / "runtime"
    segue = automatic(RUNTIME_DIRECTORY=f"{directory}{more}", XDG_RUNTIME_DIR=str(place))
    segue.runner = ["sh", "-c", 'umask 077 && exec "$@"', "sh"]
    segue.start()
    assert_open_to_all(directory, segue.admin_port, OWN_USER)
    assert status(segue, RUNTIME_DIRECTORY=str(directory)).returncode == 0
    segue.stop()
    assert list(directory.iterdir()) == []
    segue.start()  # the directory may be there
    wait_until(lambda: status(segue, RUNTIME_DIRECTORY=str(directory)).returncode == 0)


def test_it_is_in_run_segue_of_root(automatic):
    segue = automatic(runner=elsewhere.fresh_run(), XDG_RUNTIME_DIR="/tmp")
    segue.start()
    assert_open_to_all(elsewhere.root_of(segue) / "run/segue", segue.admin_port, OWN_USER)
    runner = elsewhere.beside(segue, "--mount")
    told = status(segue, runner=runner)
    assert (told.returncode, told.stderr) == (0, "")


@takes_root
def test_another_user_finds_the_services_socket_too_and_is_told_why_not(automatic):
    segue = automatic(runner=elsewhere.fresh_run())
    segue.start()
    told = status(segue, uid=NOBODY, runner=elsewhere.beside(segue, "--mount"))
    assert told.returncode == 3
    assert 'peer authentication failed for user "somebody"' in told.stderr
    assert "peer=local_user" in told.stderr


@takes_root
@pytest.mark.parametrize("logged_in", [True, False], ids=["logged in", "not logged in"])
def test_it_is_the_users_own(automatic, place, somebody, logged_in):
    uid, directory = somebody
    own = {}
    if logged_in:
        os.chown(place, uid, uid)
        directory = place / "segue"
        own = {"XDG_RUNTIME_DIR": str(place)}
    segue = automatic(uid, **own).start()
    assert_open_to_all(directory, segue.admin_port, uid)
    told = status(segue, uid=uid, **own)
    assert (told.returncode, told.stderr) == (0, "")
    # root may, too, but does not by itself talk to another user's socket
    assert status(segue, f"host={directory}").returncode == 0
    assert status(segue, RUNTIME_DIRECTORY=str(directory)).returncode == 3
    fields = refusal(segue, directory, "ann", NOBODY)
    assert fields["C"] == "28000" and f"Local user {NOBODY}" in fields["D"]
    segue.stop()
    assert list(directory.iterdir()) == []


def take_by_mkdir(path):
    path.mkdir(mode=0o755)
    os.chown(path, NOBODY, NOBODY)


def take_by_link(path):
    path.symlink_to(tempfile.gettempdir())


def take_by_file(path):
    path.touch()


def open_to_others(path):
    path.mkdir()
    path.chmod(0o777)


TAKEN = [(take_by_mkdir, "belongs to another user"), (take_by_link, "is not a directory"),
         (take_by_file, "is not a directory"), (open_to_others, "can be written by others")]


@takes_root
@pytest.mark.parametrize("take, told", TAKEN)
def test_a_directory_in_tmp_that_was_taken_before_is_refused(automatic, somebody, take, told):
    uid, directory = somebody
    segue = automatic(uid)
    take(directory)
    assert f'"{directory}" {told}' in refused_to_start(segue)
    assert [path.name for path in directory.glob(".s.*")] == []


@takes_root
@pytest.mark.parametrize("take, told", TAKEN)
def test_a_runtime_directory_of_somebody_else_is_refused(automatic, place, take, told):
    directory = place / "runtime"
    segue = automatic(RUNTIME_DIRECTORY=str(directory))
    take(directory)
    assert f'"{directory}" {told}' in refused_to_start(segue)


@takes_root
def test_a_directory_that_cannot_be_made_is_told(automatic, place, somebody):
    uid, _ = somebody
    segue = automatic(uid, XDG_RUNTIME_DIR=str(place))
    assert f'cannot make directory "{place}/segue" for the admin console' in refused_to_start(segue)


@takes_root
def test_a_subcommand_does_not_talk_to_who_lies_in_wait_in_tmp(automatic, place, somebody):
    """It would tell them its user's password."""
    uid, directory = somebody
    take_by_mkdir(directory)
    segue = automatic(NOBODY)
    segue.change_config("admin {", f'admin {{ unix_socket_dir = "{directory}"')
    segue.start()
    told = status(segue, uid=uid)
    assert told.returncode == 3
    assert f"There is no socket .s.PGSQL.{segue.admin_port} in {directory}, /run/segue." in told.stderr
