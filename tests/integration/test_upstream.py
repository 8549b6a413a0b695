"""The server goes away and comes back: clients are told, and nothing needs a restart."""

import contextlib
import signal
import time

import psycopg
import psycopg2
import pytest

import tables
import wire
from cluster import Cluster
from segue import Segue
from waiting import wait_until


@pytest.fixture(scope="module")
def own_cluster():
    """A cluster that these tests may stop."""
    cluster = Cluster()
    tables.create_template(cluster)
    yield cluster
    cluster.remove()


@pytest.fixture
def frail(own_cluster, tmp_path):
    own_cluster.create_database("frail", template="old_template")
    segue = Segue(own_cluster, tmp_path, ["frail"]).start()
    yield segue
    segue.stop()
    if own_cluster.process.poll() is not None:
        own_cluster.start()


def refusal(segue, database):
    with wire.Connection(segue.old_port) as connection:
        connection.send(wire.startup_packet("alice", database))
        return connection.read_all()[-1]


def until_let_in(segue, shape="old"):
    def try_once():
        with contextlib.suppress(psycopg.OperationalError):
            return segue.connect(shape)

    return wait_until(try_once)


def test_while_the_server_is_down_clients_are_told_08006_and_it_works_again_when_it_is_up(frail):
    frail.cluster.stop()
    error = refusal(frail, "postgres")
    assert error.fields()["S"] == "FATAL"
    assert error.sqlstate == "08006"
    assert frail.admin("SHOW VERSION").rows, "the admin port stays up"
    frail.cluster.start()
    with until_let_in(frail) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (5,)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_session_whose_server_goes_down_is_ended_with_the_servers_words(frail, how):
    with frail.raw() as connection:
        connection.query("BEGIN")
        frail.cluster.stop(how)
        messages = connection.read_all()
        assert [m.sqlstate for m in messages] in (
            # an immediate shutdown may leave a server process no time for words
            [["57P01"]] if how == signal.SIGINT else [["57P01"], ["57P02"], []]
        )
    frail.cluster.start()
    until_let_in(frail).close()


def until_control_is(segue, state):
    """It is lost and regained in its own time; while it is lost commands say so."""
    wait_until(lambda: all(row["state"] == state for row in segue.admin("SHOW FLEET").rows))


def test_a_transition_goes_on_after_the_server_comes_back(frail):
    frail.move_to("users_role", "dual_own", tables.definition("users_role"))
    frail.cluster.stop()
    frail.cluster.start()
    with until_let_in(frail, "new") as connection:
        def try_once():
            with contextlib.suppress(psycopg.errors.CannotConnectNow):
                return connection.execute("SELECT roles FROM users WHERE id = 1").fetchall()

        assert wait_until(try_once) == [(["admin", "editor"],)]
    until_control_is(frail, "ready")
    frail.move_to("users_role", "dual_new")


def test_a_command_is_told_what_is_so_not_what_was(frail):
    """The next try to regain the control connection may be seconds away: a command need not wait."""
    frail.move_to("users_role", "dual_old", tables.definition("users_role"))
    frail.cluster.stop()
    until_control_is(frail, "lost")
    time.sleep(3)  # by now it rests for long between two tries
    with pytest.raises(psycopg2.Error) as refused:
        frail.admin("REVERT users_role")
    assert refused.value.pgcode == "08006"
    frail.cluster.start()
    assert frail.admin("REVERT users_role").rows


def test_segue_starts_while_the_server_is_down_and_serves_once_it_is_up(own_cluster, tmp_path):
    segue = Segue(own_cluster, tmp_path)
    own_cluster.stop()
    try:
        segue.wait_until_ready = lambda: None  # it cannot be, yet
        segue.start()

        def is_told():
            with contextlib.suppress(OSError):
                return refusal(segue, "postgres").sqlstate

        assert wait_until(is_told) == "08006"
        own_cluster.start()
        until_let_in(segue).close()
    finally:
        segue.stop()
        if own_cluster.process.poll() is not None:
            own_cluster.start()
