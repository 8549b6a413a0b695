"""Messages cut at every byte, and many glued together: how they are cut changes no answer."""

import pytest

import wire
from wire import masked

# Begins and ends in the same state, so that it can be said again and again in one session.
SCRIPT = (
    wire.query("SELECT 1; SELECT 'ä'")
    + wire.parse("SELECT id, name FROM users WHERE id = $1", "one")
    + wire.describe(b"S", "one")
    + wire.bind(["2"], "one", "p")
    + wire.execute("p", 1)
    + wire.close(b"S", "one")
    + wire.sync()
    + wire.query("SELEC")
    + wire.extended("SELECT nosuch")
    + wire.sync()
)
SCRIPT_ANSWERS = 4
SHAPED = (
    wire.query("SELECT roles FROM users ORDER BY id")
    + wire.parse("UPDATE users SET roles = $1 WHERE id = $2 RETURNING roles", "u")
    + wire.bind(["{x,y}", "2"], "u")
    + wire.execute()
    + wire.close(b"S", "u")
    + wire.sync()
    + wire.query("SELECT role FROM users")
)
SHAPED_ANSWERS = 3


@pytest.fixture(scope="module")
def bystander(stands):
    """The proxy whose sessions are cut: a transition is under way, so texts are looked into."""
    return stands("dual_own")


def answers(connection, count):
    return masked(connection.read_until(count=count))


def test_a_script_cut_at_every_byte_is_answered_as_when_whole(cluster, bystander):
    with cluster.connect("stand_dual_own"), wire.Connection(cluster.port) as direct:
        direct.login("postgres", "stand_dual_own")
        direct.send(SCRIPT)
        expected = answers(direct, SCRIPT_ANSWERS)
    with bystander.raw() as connection:
        for place in range(len(SCRIPT)):
            connection.send_cut(SCRIPT, place, pause=0.001)
            assert answers(connection, SCRIPT_ANSWERS) == expected, f"cut at {place}"


def test_a_rewritten_script_cut_at_every_byte_is_answered_as_when_whole(bystander):
    with bystander.raw("new") as connection:
        connection.send(SHAPED)
        connection.read_until(count=SHAPED_ANSWERS)
        connection.send(SHAPED)
        expected = answers(connection, SHAPED_ANSWERS)
        assert [kind for kind, _ in expected].count(b"E") == 1
        for place in range(len(SHAPED)):
            connection.send_cut(SHAPED, place, pause=0.001)
            assert answers(connection, SHAPED_ANSWERS) == expected, f"cut at {place}"


@pytest.mark.parametrize("script, count", [(SCRIPT, SCRIPT_ANSWERS), (SHAPED, SHAPED_ANSWERS)],
                         ids=["plain", "rewritten"])
def test_a_script_sent_byte_by_byte_is_answered_as_when_whole(bystander, script, count):
    with bystander.raw("new") as connection:
        connection.send(script)
        connection.read_until(count=count)
        connection.send(script)
        expected = answers(connection, count)
        connection.send_cut(script, *range(1, len(script)), pause=0.0002)
        assert answers(connection, count) == expected


@pytest.mark.parametrize("script, count", [(SCRIPT, SCRIPT_ANSWERS), (SHAPED, SHAPED_ANSWERS)],
                         ids=["plain", "rewritten"])
def test_a_hundred_scripts_glued_together_are_answered_as_one_by_one(bystander, script, count):
    with bystander.raw("new", timeout=60) as connection:
        connection.send(script)
        connection.read_until(count=count)
        connection.send(script)
        expected = answers(connection, count)
        connection.send(script * 100)
        for _ in range(100):
            assert answers(connection, count) == expected


def test_a_startup_packet_cut_at_every_byte_logs_in(bystander):
    packet = wire.startup_packet("alice", "stand_dual_own", application_name="cut")
    login = wire.ssl_request()
    for place in range(1, len(packet)):
        with wire.Connection(bystander.old_port) as connection:
            connection.send_cut(login, place % len(login), pause=0.0005)
            assert connection.read_bytes(1) == b"N"
            connection.send_cut(packet, place, pause=0.0005)
            assert connection.read_until()[-1].kind == b"Z", f"cut at {place}"


def test_copy_data_cut_at_every_byte_arrives_whole(bystander):
    data = wire.copy_data(b"1\n22\n") + wire.copy_data(b"333") + wire.copy_data(b"\n4\n")
    data += wire.copy_done() + wire.query("SELECT 1")
    with bystander.raw() as connection:
        connection.query("CREATE TEMP TABLE cut (a int)")
        for place in range(len(data)):
            connection.send(wire.query("COPY cut FROM STDIN"))
            connection.read_until(b"G")
            connection.send_cut(data, place, pause=0.001)
            connection.read_until(count=2)
            assert connection.rows("SELECT string_agg(a::text, ',') FROM cut") == [["1,22,333,4"]]
            connection.query("TRUNCATE cut")
