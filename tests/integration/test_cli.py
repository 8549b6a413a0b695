"""The subcommands as people and scripts use them: what they print where, and their exit statuses."""

import json
import os
import pathlib
import pty
import signal
import subprocess
import time

import pytest

import tables
from ports import free_port
from segue import BINARY, ROOT
from waiting import wait_until

OK, FAILED, USAGE, UNREACHABLE = range(4)
EXAMPLES = sorted((ROOT / "conf" / "transitions").glob("*.conf"))
SUBCOMMANDS = ("serve", "demo", "status", "rewrite", "password", "check", "plan", "apply", "expand",
               "advance", "revert", "backfill", "verify", "contract", "retire", "pause", "resume",
               "reload", "shutdown")


def run(*arguments, segue=None, text=None, **environment):
    """One subcommand, told where the admin port is by the environment."""
    if segue:
        environment["SEGUE_ADMIN"] = f"host=127.0.0.1 port={segue.admin_port}"
    return subprocess.run([BINARY, *map(str, arguments)], input=text, capture_output=True, text=True,
                          timeout=60, check=False, env={**os.environ, **environment})


@pytest.fixture
def definition(tmp_path):
    """A function that writes a transition file."""

    def write(transition, text=None):
        path = tmp_path / f"{transition}.conf"
        path.write_text(text or tables.definition(transition))
        return path

    return write


# ---------------------------------------------------------------- help and usage


def test_help_lists_every_subcommand_and_each_has_its_own():
    help_text = run("--help")
    assert help_text.returncode == OK and help_text.stderr == ""
    for name in SUBCOMMANDS:
        assert f"\n  {name} " in help_text.stdout
        own = run(name, "--help")
        assert (own.returncode, own.stderr) == (OK, "")
        assert own.stdout.startswith(f"Usage: segue {name}")


def test_an_answer_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        ended = subprocess.run([BINARY, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                               check=False)
    assert ended.returncode == 1 and "No space left on device" in ended.stderr


def test_the_version_is_told():
    assert run("--version").stdout.startswith("segue ")


@pytest.mark.parametrize("arguments, told", [
    ((), "Usage: segue"),
    (("advnace", "x"), 'Did you mean "advance"?'),
    (("advance",), "the transition's name is missing"),
    (("apply",), "the transition file is missing"),
    (("advance", "x", "y"), "one argument too many: y"),
    (("advance", "x", "--to", "nowhere"), "expected old, dual_old, dual_own, dual_new or new"),
    (("advance", "x", "--force"), "it takes no such option"),
    (("advance", "x", "--nonsense"), "unrecognized option"),
    (("backfill", "x", "stop"), "expected start, pause, resume or cancel: stop"),
    (("pause", "x"), "one argument too many"),
    (("rewrite", "--shape", "old"), "Usage: segue rewrite"),
    (("rewrite", "--file", "x.sql", "SELECT 1"), "Usage: segue rewrite"),
    (("rewrite", "--shape", "round", "SELECT 1"), "Usage: segue rewrite"),
    (("apply", "/nonexistent.conf"), "No such file or directory"),
    (("status", "--admin", "port"), "this is not a connection string"),
    (("status", "-c", "/nonexistent.conf"), "cannot open /nonexistent.conf"),
])
def test_wrong_usage_is_told_on_stderr_with_status_2(arguments, told):
    ended = run(*arguments)
    assert ended.returncode == USAGE
    assert told in ended.stderr and ended.stdout == ""


def test_an_admin_port_where_nobody_listens_is_status_3(definition):
    nobody = f"host=127.0.0.1 port={free_port()}"
    for arguments in (("status",), ("advance", "x"), ("apply", definition("amount"))):
        ended = run(*arguments, "--admin", nobody)
        assert ended.returncode == UNREACHABLE
        assert "the admin port cannot be reached" in ended.stderr
        assert "Is segue serve running?" in ended.stderr


@pytest.mark.parametrize("text, told", [
    ("wrokers = 2\n", ":1: unknown setting \"wrokers\""),
    ("\n\nworkers = many\n", ":3: workers = \"many\": expected a whole number from 0 to 256"),
    ("listen \"x\" {\n port = 1\n", ":1: the section that begins here is not closed"),
])
def test_a_wrong_configuration_is_status_2_with_file_and_line(tmp_path, text, told):
    path = tmp_path / "segue.conf"
    path.write_text(text)
    for arguments in (("serve", "-c", path), ("serve", "--check", "-c", path),
                      ("status", "-c", path)):
        ended = run(*arguments)
        assert ended.returncode == USAGE
        assert str(path) + told in ended.stderr


def test_serve_check_says_that_the_shipped_configurations_are_right():
    for name in ("segue.conf", "segue-minimal.conf"):
        assert run("serve", "--check", "-c", ROOT / "conf" / name).returncode == OK


# ---------------------------------------------------------------- a whole transition


def test_a_transition_goes_all_the_way_by_subcommands(shop, definition):
    def done(*arguments):
        ended = run(*arguments, segue=shop)
        assert ended.returncode == OK, ended.stderr
        return ended

    path = definition("users_role")
    assert "users" in done("check", path).stdout
    assert "ADD COLUMN" in done("plan", path).stdout.upper()
    assert done("apply", path).stdout.count("\n") >= 1
    done("plan", "--applied", "users_role")
    done("check", "--applied", "users_role")
    done("expand", "users_role")
    done("advance", "users_role")
    refused = run("advance", "users_role", segue=shop)
    assert refused.returncode == FAILED and "backfill" in refused.stderr.lower()
    assert refused.stderr.startswith("segue advance: ") and refused.stdout == ""
    done("backfill", "users_role")
    assert "5" in done("verify", "users_role").stdout
    done("advance", "users_role", "--to", "new")
    assert shop.phase("users_role") == "new"
    done("contract", "users_role")
    assert run("retire", "users_role", segue=shop).returncode in (OK, FAILED)
    if shop.transitions():
        done("retire", "users_role", "--force")
    assert shop.transitions() == {}


def test_a_transition_file_that_is_wrong_is_status_2_with_file_and_line(shop, definition):
    path = definition("amount", tables.definition("amount").replace("guard", "gaurd"))
    for subcommand in ("apply", "check", "plan"):
        ended = run(subcommand, path, segue=shop)
        assert ended.returncode == USAGE
        assert f"{path}:6: " in ended.stderr


def test_a_transition_that_does_not_fit_is_status_1(shop, definition):
    path = definition("amount", tables.definition("amount").replace("transactions", "nosuch"))
    ended = run("apply", path, segue=shop)
    assert ended.returncode == FAILED
    assert "nosuch" in ended.stderr


def test_check_is_status_1_when_it_found_something(shop, definition):
    path = definition("amount")
    assert run("check", path, segue=shop).returncode == OK
    with shop.direct() as direct:
        direct.execute("INSERT INTO transactions VALUES (99, 1, 'ten')")
    ended = run("check", path, segue=shop)
    assert ended.returncode == FAILED and "99" in ended.stdout
    assert shop.transitions() == {}


def test_a_transition_file_may_come_from_standard_input(shop):
    assert run("apply", "-", segue=shop, text=tables.definition("amount")).returncode == OK
    assert "amount" in shop.transitions()


def test_verify_is_status_1_when_a_row_is_not_in_parity(shop):
    shop.move_to("amount", "dual_old", tables.definition("amount", guard="off"))
    shop.admin("BACKFILL amount START")
    with shop.direct() as direct:
        direct.execute("UPDATE transactions SET amount_new = 99 WHERE id = 3")
    ended = run("verify", "amount", segue=shop)
    assert ended.returncode == FAILED
    assert "1 row" in ended.stderr and "3" in ended.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_shipped_transition_files_apply_and_expand(shop, path):
    with shop.direct() as direct:
        direct.execute("CREATE TABLE customers (id int PRIMARY KEY, mail text);"
                       "CREATE TABLE events (id int PRIMARY KEY, seen int);"
                       "CREATE TABLE people (id int PRIMARY KEY, name text)")
    assert run("apply", path, segue=shop).returncode == OK
    name, = shop.transitions()
    ended = run("expand", name, segue=shop)
    assert ended.returncode == OK, ended.stderr


# ---------------------------------------------------------------- status, rewrite, the rest


def test_status_shows_phase_and_clients(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    with shop.new(), shop.old():
        out = run("status", segue=shop).stdout
    assert "users_role: public.users, role text -> roles text[], lossy, guard sync" in out
    assert "old > dual_old > [dual_own] > dual_new > new (expanded)" in out
    assert "1 old, 1 new" in out
    assert "\033" not in out


def test_status_as_json(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    status = json.loads(run("status", "--json", segue=shop).stdout)
    assert set(status) == {"fleet", "transitions", "backfills", "statements", "clients", "stats"}
    transition, = status["transitions"]
    assert transition["phase"] == "dual_own" and transition["held"] is False
    assert status["fleet"][0]["state"] == "ready" and status["fleet"][0]["epoch"] > 0
    backfill, = status["backfills"]
    assert backfill["state"] == "done" and backfill["percent"] == 100
    assert all(isinstance(row["total"], int) for row in status["stats"])


def test_the_admin_port_is_found_by_configuration_option_and_environment(relay):
    where = f"host=127.0.0.1 port={relay.admin_port}"
    wrong = f"host=127.0.0.1 port={free_port()}"
    assert run("status", "-c", relay.config_path, SEGUE_ADMIN=wrong).returncode == OK
    assert run("status", "--admin", where, SEGUE_ADMIN=wrong).returncode == OK
    assert run("status", SEGUE_ADMIN=f"postgresql://127.0.0.1:{relay.admin_port}/segue").returncode == OK


def test_rewrite_prints_the_sql_of_one_phase_alone(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    sql = "UPDATE users SET role = 'it''s' /* \\ */ WHERE id = 1"
    one = run("rewrite", "--shape", "old", "--phase", "dual_own", sql, segue=shop)
    assert one.returncode == OK and one.stdout.startswith("UPDATE users SET role = ")
    assert "roles" in one.stdout and "/* \\ */ WHERE id = 1\n" in one.stdout


def test_pause_resume_and_reload(shop):
    for subcommand, lines in (("pause", 1), ("resume", 1), ("reload", 2)):  # the file, the databases
        ended = run(subcommand, segue=shop)
        assert (ended.returncode, ended.stderr) == (OK, "")
        assert ended.stdout.count("\n") == lines


def test_shutdown_ends_the_proxy(make_segue):
    segue = make_segue()
    assert run("shutdown", segue=segue).returncode == OK
    assert segue.process.wait(60) == 0
    segue.process = None


@pytest.fixture
def long(make_segue, shop_database, cluster):
    with cluster.connect(shop_database) as direct:
        direct.execute("INSERT INTO users SELECT i, 'n' || i, 'a,b' FROM generate_series(10, 20000) i")
    segue = make_segue([shop_database], settings="backfill_rows = 50\nbackfill_pause = 50")
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    return segue


def wait_for_state(segue, state):
    wait_until(lambda: any(row["state"] == state for row in segue.admin("SHOW BACKFILLS").rows))


def test_ctrl_c_cancels_and_is_status_1(long):
    environment = {**os.environ, "SEGUE_ADMIN": f"host=127.0.0.1 port={long.admin_port}"}
    with subprocess.Popen([BINARY, "backfill", "users_role"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment, text=True) as process:
        wait_for_state(long, "running")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == FAILED
    assert "segue backfill: " in told


def test_no_wait_comes_back_while_it_runs_and_pause_and_cancel_work(long):
    assert run("backfill", "users_role", "--no-wait", segue=long).returncode == OK
    for action, state in (("pause", "paused"), ("cancel", "cancelled")):
        assert run("backfill", "users_role", action, segue=long).returncode == OK
        wait_for_state(long, state)


def test_elsewhere_progress_is_a_line_each(long):
    with subprocess.Popen([BINARY, "backfill", "users_role"], stderr=subprocess.PIPE, text=True,
                          stdout=subprocess.DEVNULL,
                          env={**os.environ, "SEGUE_ADMIN": f"host=127.0.0.1 port={long.admin_port}"}) as process:
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert "%" in line and line.endswith("\n") and "\r" not in line and "\033" not in line


def test_on_a_terminal_progress_is_a_bar(long):
    terminal, other_end = pty.openpty()
    environment = {**os.environ, "SEGUE_ADMIN": f"host=127.0.0.1 port={long.admin_port}"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen([BINARY, "backfill", "users_role"], stdout=subprocess.DEVNULL,
                          stderr=other_end, env=environment) as process:
        os.close(other_end)
        seen = b""
        deadline = time.monotonic() + 60
        while "░".encode() not in seen and time.monotonic() < deadline:
            seen += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    os.close(terminal)
    assert b"\r\x1b[K" in seen and "░".encode() in seen


def test_install_puts_everything_where_it_belongs(tmp_path):
    build = pathlib.Path(BINARY).resolve().parent
    if not (build / "cmake_install.cmake").exists():
        pytest.skip("the binary under test is not in its build directory")
    subprocess.run(["cmake", "--install", build, "--prefix", tmp_path], check=True,
                   capture_output=True, timeout=60)
    assert run("--version").stdout == subprocess.run(
        [tmp_path / "bin" / "segue", "--version"], capture_output=True, text=True, check=True).stdout
    for path in ("etc/segue/segue.conf.example", "lib/systemd/system/segue.service",
                 "share/doc/segue/examples/segue-minimal.conf",
                 "share/doc/segue/examples/transitions/text-to-array.conf"):
        assert (tmp_path / path).stat().st_size > 0
    unit = (tmp_path / "lib/systemd/system/segue.service").read_text()
    assert "@" not in unit
    assert f"ExecStart={tmp_path}/bin/segue serve -c {tmp_path}/etc/segue/segue.conf" in unit
