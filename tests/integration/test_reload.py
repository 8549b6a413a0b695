"""RELOAD and SIGHUP: what is applied, to whom, what waits for a restart, and what changes nothing."""

import re
import shutil
import signal
import ssl
import threading

import psycopg
import psycopg2
import pytest

import admin_users
import tables
import wire
from certificates import Authority
from ports import free_port
from waiting import wait_until

WHEN = {
    "at once": "",
    "to new connections": ", for new connections",
    "at restart": ", waits for a restart",
}


def config(segue):
    return {row["name"]: row for row in segue.admin("SHOW CONFIG").rows}


def told(segue):
    return [row["result"] for row in segue.admin("RELOAD").rows]


def add(segue, *lines):
    """Lines at the end of segue.conf; of two settings of one name the last one counts."""
    with open(segue.config_path, "a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


@pytest.fixture
def start(make_segue):
    """A function that starts a proxy; `tls`: the harness asks for it, with this certificate."""

    def start(settings="", tls=False):
        segue = make_segue(settings=settings, start=False)
        if tls:
            segue.tls = ssl.create_default_context()
            segue.tls.check_hostname = False
            segue.tls.verify_mode = ssl.CERT_NONE
            if tls is not True:
                segue.tls.load_cert_chain(*tls)
        return segue.start()

    return start


# ---------------------------------------------------------------- every row of the table


def another_value(row):
    """One that fits the setting and is not the one in force."""
    expected, value = row["expected"], row["value"]
    if row["name"].endswith(" port"):  # upstream's may be a list
        return str(free_port())
    if numbers := re.fullmatch(r"a whole number from (\d+) to (\d+)", expected):
        return str(int(value) - 1 if int(value) == int(numbers[2]) else int(value) + 1)
    if expected.startswith("an IP address"):
        return "127.0.0.2"
    if expected.startswith("a string"):
        return "another"
    words = re.split(r", | or ", expected)
    return next(word for word in words if word != value)


SPECIAL = {
    "upstream host": "localhost",
    "admin unix_socket_dir": "/another",
    "client_tls_min_protocol": "TLSv1.3",
    "server_tls_min_protocol": "TLSv1.3",
    "log_destination": "stderr",  # the journal is not there for tests
    'database "postgres" control_user': "postgres",
}


def render(values):
    """segue.conf, of settings by their names in SHOW CONFIG."""
    sections = {}
    for name, value in values.items():
        section, setting = name.rsplit(" ", 1) if " " in name else ("", name)
        sections.setdefault(section, []).append(f'{setting} = "{value}"')
    return "\n".join(f"{section} {{\n" + "\n".join(lines) + "\n}" if section else "\n".join(lines)
                     for section, lines in sections.items()) + "\n"


def test_every_setting_is_applied_or_said_to_wait_for_a_restart(start, tmp_path):
    """Walks the whole table: the answer, the log and what is in force afterwards."""
    segue = start('server_tls_sslmode = "disable"\ndatabase "postgres" { control_user = "segue" }')
    certificate, key = Authority(tmp_path).issue("segue.test")
    users = tmp_path / "users"
    users.write_text(admin_users.line("ann"))
    users.chmod(0o600)
    special = SPECIAL | {"admin users_file": str(users), "admin tls_cert_file": str(certificate),
                         "admin tls_key_file": str(key)}
    needed = {  # what a setting is refused without
        "client_tls_sslmode": {"client_tls_cert_file": certificate, "client_tls_key_file": key},
        "admin auth_type": {"admin users_file": users},
        "admin tls_cert_file": {"admin tls_key_file": key},
        "admin tls_key_file": {"admin tls_cert_file": certificate},
    }
    base = {name: row["value"] for name, row in config(segue).items()}
    seen = set()
    for name, row in config(segue).items():
        value = special.get(name) or another_value(row)
        more = needed.get(name, {})
        segue.config_path.write_text(render(base | {name: value} | more), encoding="utf-8")
        begun = len(segue.log())
        line = f"{name}: {row['value'] or 'nothing'} -> {value}{WHEN[row['reload']]}"
        if name == "upstream port":  # nobody is there: its databases cannot be read again
            with pytest.raises(psycopg2.OperationalError, match="segue.conf was read"):
                segue.admin("RELOAD")
        else:
            assert line in told(segue), name
        assert line in segue.log()[begun:] or name == "log_level"
        in_force = row["value"] if row["reload"] == "at restart" else value
        assert config(segue)[name]["value"] == in_force, name
        seen.add(row["reload"])
        segue.config_path.write_text(render(base), encoding="utf-8")
        back = f"{name}: {value} -> {row['value'] or 'nothing'}{WHEN[row['reload']]}"
        assert (back in told(segue)) == (row["reload"] != "at restart"), name
    assert seen == set(WHEN)


def test_a_file_that_says_the_same_changes_nothing(start):
    segue = start()
    assert told(segue) == [f"{segue.config_path} says what it said before", "0 databases loaded again"]


# ---------------------------------------------------------------- applied


def test_max_client_conn_counts_at_once_up_and_down(start):
    segue = start()
    wait_until(lambda: not segue.admin("SHOW CLIENTS").rows)  # those of the start-up check
    with segue.raw(), segue.raw():
        add(segue, "max_client_conn = 2")
        assert "max_client_conn: 1000 -> 2" in told(segue)
        with pytest.raises(wire.Closed) as refused:
            segue.raw()
        assert refused.value.messages[-1].sqlstate == "53300"
        add(segue, "max_client_conn = 3")
        assert "max_client_conn: 2 -> 3" in told(segue)
        with segue.raw() as third:
            assert third.rows("SELECT 1") == [["1"]]


def test_sighup_does_what_reload_does_and_logs_it(start):
    segue = start()
    add(segue, 'log_level = "debug"', "workers = 7")
    with segue.log_contains(r"reload log_level: info -> debug"), \
            segue.log_contains(r"reload workers: 2 -> 7, waits for a restart"), \
            segue.log_contains(r"SIGHUP: 2 settings of \S+ changed"):
        segue.process.send_signal(signal.SIGHUP)
    with segue.log_contains(r"startup -> connecting"):
        segue.raw().close()
    assert config(segue)["workers"]["value"] == "2"


def test_a_port_s_new_shape_is_for_those_who_come_after(shop):
    shop.move_to("users_role", "dual_own", tables.definition("users_role"))
    with shop.old() as before:
        shop.change_config('shape = "old"', 'shape = "new"')
        assert 'listen "old" shape: old -> new, for new connections' in told(shop)
        assert before.execute("SELECT role FROM users WHERE id = 1").fetchall() == [("admin,editor",)]
        before.execute("RESET segue.shape")
        assert before.execute("SELECT role FROM users WHERE id = 1").fetchall() == [("admin,editor",)]
        with shop.old() as after:
            assert after.execute("SELECT roles FROM users WHERE id = 1").fetchall() == [
                (["admin", "editor"],)]


def test_another_upstream_is_for_those_who_come_after(start):
    segue = start()
    nobody = free_port()
    with segue.raw() as before:
        segue.change_config(f"port = {segue.cluster.port} }}", f"port = {nobody} }}")
        assert (f"upstream port: {segue.cluster.port} -> {nobody}, for new connections"
                in told(segue))
        assert before.rows("SELECT 1") == [["1"]]
        with pytest.raises(wire.Closed) as refused:
            segue.raw()
        assert refused.value.messages[-1].sqlstate == "08006"
        segue.change_config(f"port = {nobody} }}", f"port = {segue.cluster.port} }}")
        told(segue)
        with segue.raw() as after:
            assert after.rows("SELECT 1") == [["1"]]


def test_the_control_connection_follows_the_settings(shop):
    def control_users():
        with shop.direct() as direct:
            return [row[0] for row in direct.execute(
                "SELECT usename FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'segue control'").fetchall()]

    assert control_users() == ["segue"]
    shop.change_config('control_user = "segue"', 'control_user = "postgres"')
    assert (f'database "{shop.databases[0]}" control_user: segue -> postgres, for new connections'
            in told(shop))
    wait_until(lambda: control_users() == ["postgres"])
    wait_until(lambda: shop.admin("SHOW FLEET").rows[0]["state"] == "ready")


def test_sessions_go_on_while_settings_change_under_them(start):
    segue = start()
    stop = threading.Event()
    failures = []

    def work():
        try:
            while not stop.is_set():
                with segue.old() as connection:
                    for number in range(20):
                        assert connection.execute("SELECT %s::int", [number]).fetchone() == (number,)
        except (psycopg.Error, AssertionError) as problem:
            failures.append(problem)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(40):
            add(segue, f"max_client_conn = {500 + number}", f"rewrite_cache_size = {65536 + number}")
            assert len(told(segue)) == 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


# ---------------------------------------------------------------- certificates


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def secured(start, authority, tmp_path):
    """A proxy whose certificate is in tmp_path/own.crt and own.key."""
    put_certificate(authority, tmp_path, "first")
    return start(f'client_tls_sslmode = "require"\nclient_tls_cert_file = "{tmp_path}/own.crt"\n'
                 f'client_tls_key_file = "{tmp_path}/own.key"', tls=True)


def put_certificate(authority, directory, name, with_key=True):
    certificate, key = authority.issue(name)
    shutil.copy(certificate, directory / "own.crt")
    if with_key:
        shutil.copy(key, directory / "own.key")
        (directory / "own.key").chmod(0o600)
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


def secured_connection(segue):
    connection = wire.Connection(segue.old_port)
    connection.secure(segue.tls)
    connection.login("postgres", "postgres")
    return connection


def test_a_new_certificate_in_the_same_file_is_for_new_handshakes(secured, authority, tmp_path):
    with secured_connection(secured) as before:
        first = before.socket.getpeercert(binary_form=True)
        second = put_certificate(authority, tmp_path, "second")
        assert second != first
        with secured_connection(secured) as unaware:
            assert unaware.socket.getpeercert(binary_form=True) == first
        told(secured)
        with secured_connection(secured) as after:
            assert after.socket.getpeercert(binary_form=True) == second
            assert after.rows("SELECT 1") == [["1"]]
        assert before.rows("SELECT 2") == [["2"]]


def test_a_key_that_does_not_fit_is_refused_and_the_old_certificate_stays(
        secured, authority, tmp_path):
    with secured_connection(secured) as before:
        first = before.socket.getpeercert(binary_form=True)
    put_certificate(authority, tmp_path, "second", with_key=False)
    add(secured, "max_client_conn = 77")
    with secured.log_contains(r"nothing was changed: private key \S+ is not that of"):
        with pytest.raises(psycopg2.Error) as refused:
            secured.admin("RELOAD")
    assert refused.value.pgcode == "F0000"
    assert "own.key\" is not that of certificate" in str(refused.value)
    with secured_connection(secured) as after:
        assert after.socket.getpeercert(binary_form=True) == first
    assert config(secured)["max_client_conn"]["value"] == "1000", "half of it was applied"


def test_tls_can_be_turned_on_and_off(start, authority, tmp_path):
    segue = start()
    put_certificate(authority, tmp_path, "own")
    add(segue, 'client_tls_sslmode = "require"', f'client_tls_cert_file = "{tmp_path}/own.crt"',
        f'client_tls_key_file = "{tmp_path}/own.key"')
    assert "client_tls_sslmode: disable -> require, for new connections" in told(segue)
    with pytest.raises(wire.Closed) as refused:
        segue.raw()
    assert refused.value.messages[-1].sqlstate == "28000"
    context = ssl.create_default_context(cafile=authority.certificate)
    context.check_hostname = False
    segue.tls = context
    secured_connection(segue).close()
    add(segue, 'client_tls_sslmode = "disable"')
    told(segue)
    with segue.raw() as connection:
        assert connection.rows("SELECT 1") == [["1"]]


def may_come(segue, pair, version=None, cipher=None):
    """The cipher of a client that logs in with this certificate; None where it is not let in."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(*pair)
    if version:
        context.minimum_version = context.maximum_version = version
    if cipher:
        context.set_ciphers(cipher)
    segue.tls = context
    try:
        with secured_connection(segue) as connection:
            return connection.socket.cipher()[0]
    except (wire.Closed, OSError):
        return None


def test_what_a_handshake_takes_is_what_the_last_reload_read(start, authority, tmp_path):
    """client_tls_ca_file and client_tls_crl_file, though the paths stay; ciphers; the version."""
    put_certificate(authority, tmp_path, "own")
    stranger = Authority(tmp_path / "strangers", "strangers")
    ours, theirs, second = authority.issue("alice"), stranger.issue("alice"), stranger.issue("bob")
    shutil.copy(authority.certificate, tmp_path / "trusted.crt")
    segue = start(f'client_tls_sslmode = "verify-ca"\nclient_tls_cert_file = "{tmp_path}/own.crt"\n'
                  f'client_tls_key_file = "{tmp_path}/own.key"\n'
                  f'client_tls_ca_file = "{tmp_path}/trusted.crt"', tls=authority.issue("harness"))
    assert may_come(segue, ours) and not may_come(segue, theirs)
    shutil.copy(stranger.certificate, tmp_path / "trusted.crt")
    assert may_come(segue, ours), "nobody said RELOAD"
    told(segue)
    assert may_come(segue, theirs) and not may_come(segue, ours)

    revoked = tmp_path / "revoked.crl"
    stranger.revoke(revoked, theirs[0])
    add(segue, f'client_tls_crl_file = "{revoked}"')
    told(segue)
    assert may_come(segue, second) and not may_come(segue, theirs)
    stranger.revoke(revoked, second[0])
    assert may_come(segue, second), "nobody said RELOAD"
    told(segue)
    assert may_come(segue, theirs) and not may_come(segue, second)

    old, other = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
    older = ssl.TLSVersion.TLSv1_2
    assert may_come(segue, theirs, older, old) == old
    add(segue, f'client_tls_ciphers = "{other}"')
    told(segue)
    assert may_come(segue, theirs, older) == other and not may_come(segue, theirs, older, old)
    add(segue, 'client_tls_min_protocol = "TLSv1.3"')
    told(segue)
    assert may_come(segue, theirs) and not may_come(segue, theirs, older)


# ---------------------------------------------------------------- not applied


def test_what_needs_a_restart_is_said_by_name_each_time_and_comes_with_it(start):
    segue = start()
    add(segue, "workers = 1", f'listen "third" {{ address = "127.0.0.1" port = {free_port()} }}')
    segue.change_config(f"port = {segue.new_port} ", f"port = {free_port()} ")
    for _ in range(2):
        lines = told(segue)
        assert "workers: 2 -> 1, waits for a restart" in lines
        assert 'listen "third": nothing -> there, waits for a restart' in lines
        assert any(re.fullmatch(r'listen "new" port: \d+ -> \d+, waits for a restart', line)
                   for line in lines)
    segue.raw("new").close()  # at the old port, as before
    segue.change_config(f'listen "old" {{ address = "127.0.0.1"  port = {segue.old_port}',
                        f'listen "gone" {{ address = "127.0.0.1"  port = {segue.old_port}')
    lines = told(segue)
    assert 'listen "old": there -> nothing, waits for a restart' in lines
    assert 'listen "gone": nothing -> there, waits for a restart' in lines
    segue.raw("old").close()


BROKEN = {
    "an unknown setting": ("wrokers = 2", "unknown setting \"wrokers\""),
    "a number out of range": ("max_client_conn = 0", "expected a whole number from 1 to 1000000"),
    "a section that is not closed": ("admin {", "is not closed"),
}


@pytest.mark.parametrize("line, what", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_changes_nothing_and_says_where_and_what_was_expected(start, line, what):
    segue = start()
    before = config(segue)
    add(segue, "backfill_rows = 77", line)
    number = len(segue.config_path.read_text().splitlines())
    with segue.log_contains(re.escape(f"nothing was changed: {segue.config_path}:{number}: ")):
        with pytest.raises(psycopg2.Error) as refused:
            segue.admin("RELOAD")
    assert refused.value.pgcode == "F0000"
    assert f"{segue.config_path}:{number}: " in str(refused.value) and what in str(refused.value)
    assert config(segue) == before
    with segue.log_contains(r"SIGHUP: nothing was changed"):
        segue.process.send_signal(signal.SIGHUP)
    with segue.raw() as connection:
        assert connection.rows("SELECT 1") == [["1"]]


def test_a_file_that_is_gone_changes_nothing(start):
    segue = start()
    segue.config_path.rename(segue.config_path.with_suffix(".old"))
    with pytest.raises(psycopg2.Error) as refused:
        segue.admin("RELOAD")
    assert refused.value.pgcode == "58P01" and "No such file" in str(refused.value)
    segue.raw().close()
