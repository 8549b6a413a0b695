"""Passwords on the command line: asked for, found, refused; and `segue password`, which makes users."""

import os
import pty
import select
import subprocess
import termios
import time

import pytest

import admin_users
from admin_users import PASSWORD
from segue import BINARY, Segue, environment
from test_cli import FAILED, OK, UNREACHABLE, USAGE
from test_cli import run as run_command

NOTHING = {"PGPASSFILE": "/none", "SEGUE_ADMIN": ""}


@pytest.fixture(scope="module")
def guarded(cluster, tmp_path_factory):
    """A proxy whose console has users, at an address alone."""
    segue = admin_users.configure(Segue(cluster, tmp_path_factory.mktemp("password")),
                                  'address = "127.0.0.1"  unix_socket_dir = ""').start()
    yield segue
    segue.stop()


def run(segue, *arguments, **more):
    """A subcommand that finds the console by the configuration, without a terminal."""
    known = {"PGUSER": "ann"} | NOTHING
    return subprocess.run([BINARY, *arguments, "-c", segue.config_path], capture_output=True,
                          text=True, timeout=60, check=False, start_new_session=True,
                          stdin=subprocess.DEVNULL, env=environment() | known | more)


class Terminal:
    """A program at a terminal of its own; `answers` are typed one after the other, a prompt each."""

    def __init__(self, *arguments, **more):
        self.process, self.end = pty.fork()
        if self.process == 0:
            os.execve(BINARY, [BINARY, *map(str, arguments)], environment() | NOTHING | more)
        self.seen = ""

    def wait_for(self, text):
        deadline = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.end], [], [], 1)[0]:
                self.seen += os.read(self.end, 4096).decode()

    def echoes(self):
        return bool(termios.tcgetattr(self.end)[3] & termios.ECHO)

    def answer(self, prompt, text):
        """Types at this prompt, which must not echo."""
        self.wait_for(prompt)
        self.seen = self.seen.partition(prompt)[2]
        assert not self.echoes(), "what is typed can be seen"
        os.write(self.end, text.encode())

    def ended(self):
        """(status, all that is left to see); the terminal echoes as before."""
        while True:
            try:
                data = os.read(self.end, 4096)
            except OSError:  # EIO: nobody has it open any more
                break
            if not data:
                break
            self.seen += data.decode()
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        assert self.echoes(), "the terminal was left mute"
        os.close(self.end)
        return status, self.seen.replace("\r\n", "\n")


# ---------------------------------------------------------------- subcommands


def test_the_password_comes_from_the_environment(guarded):
    ended = run(guarded, "status", PGPASSWORD=PASSWORD)
    assert (ended.returncode, ended.stderr) == (OK, "")
    assert run(guarded, "reload", PGPASSWORD=PASSWORD).returncode == OK


def test_the_password_comes_from_a_passfile(guarded, tmp_path):
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{guarded.admin_port}:segue:ann:{PASSWORD}\n")
    passfile.chmod(0o600)
    assert run(guarded, "status", PGPASSFILE=str(passfile)).returncode == OK
    passfile.write_text(f"127.0.0.1:{guarded.admin_port}:segue:ann:wrong\n")
    ended = run(guarded, "status", PGPASSFILE=str(passfile))
    assert ended.returncode == UNREACHABLE
    assert 'password authentication failed for user "ann"' in ended.stderr
    assert str(passfile) in ended.stderr


def test_the_password_comes_from_a_connection_string(guarded):
    where = f"postgresql://ann:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{guarded.admin_port}"
    assert run_command("status", "--admin", where, **NOTHING).returncode == OK
    assert run_command("status", **NOTHING | {"SEGUE_ADMIN": where}).returncode == OK


@pytest.mark.parametrize("arguments", [("status",), ("advance", "users_role"), ("rewrite", "SELECT 1")])
def test_a_wrong_password_is_status_3_and_told(guarded, arguments):
    ended = run(guarded, *arguments, PGPASSWORD="wrong")
    assert ended.returncode == UNREACHABLE and ended.stdout == ""
    assert ended.stderr.startswith(f"segue {arguments[0]}: the admin port cannot be reached\n")
    assert 'password authentication failed for user "ann"' in ended.stderr
    assert "Users of the admin port are those of its users_file; PGUSER says which to be." \
        in ended.stderr
    assert "wrong" not in ended.stderr


def test_without_a_terminal_nobody_is_asked(guarded):
    ended = run(guarded, "status")
    assert ended.returncode == UNREACHABLE and ended.stdout == ""
    assert "There is no terminal to ask on: set PGPASSWORD, or keep it in ~/.pgpass." in ended.stderr


def test_a_viewer_is_told_what_it_may_not(guarded):
    ended = run(guarded, "pause", PGUSER="watch", PGPASSWORD=PASSWORD)
    assert ended.returncode == FAILED and ended.stdout == ""
    assert 'permission denied for PAUSE: user "watch" is a viewer' in ended.stderr
    assert "an operator must do the rest" in ended.stderr
    assert run(guarded, "status", PGUSER="watch", PGPASSWORD=PASSWORD).returncode == OK


def at_terminal(segue, *arguments, **more):
    return Terminal(*arguments, "-c", segue.config_path, PGUSER="ann", **more)


def test_it_is_asked_for_on_a_terminal_without_echo(guarded):
    terminal = at_terminal(guarded, "reload")
    terminal.answer("Password of admin user ann: ", PASSWORD + "\n")
    status, seen = terminal.ended()
    assert status == OK, seen
    assert "0 databases loaded again" in seen and PASSWORD not in seen


def test_a_wrong_answer_is_not_asked_for_again(guarded):
    terminal = at_terminal(guarded, "status")
    terminal.answer("Password of admin user ann: ", "wrong\n")
    status, seen = terminal.ended()
    assert status == UNREACHABLE
    assert 'password authentication failed for user "ann"' in seen
    assert "PGUSER says which to be" in seen and "wrong" not in seen


@pytest.mark.parametrize("typed", ["\n", "\x04", "\x03"], ids=["nothing", "Ctrl-D", "Ctrl-C"])
def test_who_gives_no_answer_is_told_so(guarded, typed):
    terminal = at_terminal(guarded, "status")
    terminal.answer("Password of admin user ann: ", typed)
    status, seen = terminal.ended()
    assert status == UNREACHABLE
    assert "no password" in seen and "no terminal" not in seen


# ---------------------------------------------------------------- segue password


def verifier_works(make_segue, line, name, password, role):
    segue = admin_users.configure(make_segue(start=False),
                                  'address = "127.0.0.1"  unix_socket_dir = ""', [line]).start()
    assert admin_users.run(segue, "SELECT current_user", user=name, password=password) == [(name,)]
    with segue.log_contains(f"logged in as {role} by"):
        admin_users.connect(segue, user=name, password=password).close()


@pytest.mark.parametrize("text", ["s3 cret", "s3 cret\n", "s3 cret\nanother line\n"])
def test_the_first_line_of_standard_input_is_the_password(make_segue, text):
    ended = run_command("password", "ann", "--role", "viewer", text=text)
    assert (ended.returncode, ended.stderr) == (OK, "")
    assert ended.stdout.startswith('"ann" "SCRAM-SHA-256$') and ended.stdout.endswith('" viewer\n')
    assert "cret" not in ended.stdout
    verifier_works(make_segue, ended.stdout, "ann", "s3 cret", "viewer")


def test_it_is_asked_for_twice_on_a_terminal(make_segue):
    terminal = Terminal("password", "ann")
    terminal.answer("Password: ", "pässword\n")
    terminal.answer("Again: ", "pässword\n")
    status, seen = terminal.ended()
    assert status == OK and "pässword" not in seen
    (line,) = [line for line in seen.splitlines() if line]
    assert line.endswith(" operator")
    verifier_works(make_segue, line, "ann", "pässword", "operator")


@pytest.mark.parametrize("first, second, told", [
    ("one\n", "other\n", "the two are not the same"),
    ("one\n", "\n", "the two are not the same"),
    ("\n", "\n", "an empty password"),
    ("one\n", "\x04", "no password was given"),
    ("\x04", None, "no password was given"),
    ("\x03", None, "no password was given"),
])
def test_what_is_typed_must_be_a_password(first, second, told):
    terminal = Terminal("password", "ann")
    terminal.answer("Password: ", first)
    if second:
        terminal.answer("Again: ", second)
    status, seen = terminal.ended()
    assert status == FAILED
    assert f"segue password: {told}" in seen and "SCRAM" not in seen


@pytest.mark.parametrize("text, told", [
    ("", "no password was given"),
    ("\n", "an empty password"),
    ("\nsecond\n", "an empty password"),
    ("a\0b\n", "a zero byte"),
    ("x" * 1025 + "\n", "the password is too long"),
])
def test_what_is_no_password_makes_no_line(text, told):
    ended = run_command("password", "ann", text=text)
    assert (ended.returncode, ended.stdout) == (FAILED, "")
    assert ended.stderr.startswith("segue password: ") and told in ended.stderr


def test_a_password_may_be_as_long_as_can_be_read(make_segue):
    password = "x" * 1024
    ended = run_command("password", "ann", text=password)
    assert ended.returncode == OK, ended.stderr
    verifier_works(make_segue, ended.stdout, "ann", password, "operator")


@pytest.mark.parametrize("arguments, told", [
    ((), "the user's name is missing"),
    (("ann", "secret"), "one argument too many"),
    (("ann", "--role", "admin"), "expected operator or viewer: admin"),
    (("",), "no user can have this name"),
    (("a\nb",), "no user can have this name"),
    (("x" * 64,), "no user can have this name"),
    (("ann", "--peer", ""), "no local user can have this name"),
    (("ann", "--peer", "a\nb"), "no local user can have this name"),
    (("ann", "--password", "secret"), "unrecognized option"),
])
def test_wrong_usage_is_status_2(arguments, told):
    ended = run_command("password", *arguments, text="secret\n")
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert told in ended.stderr


@pytest.mark.parametrize("name", ["ann", "o'neil", 'o"neil', "#ann", "a b", "\\", "x" * 63, "ä"])
def test_every_name_comes_back_from_the_file(make_segue, name):
    line = admin_users.line(name, role="viewer", peer=str(os.geteuid()))
    verifier_works(make_segue, line, name, PASSWORD, "viewer")


def test_a_line_with_a_peer_names_it():
    ended = run_command("password", "watch", "--role", "viewer", "--peer", "nagios", text="x\n")
    assert ended.returncode == OK and ended.stdout.endswith('" viewer "peer=nagios"\n')
