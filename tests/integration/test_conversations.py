"""No client can tell: what it hears through Segue is what PostgreSQL says itself, byte for byte, however
the network cuts what it says (conversation.py). Of a table in transition it hears what it would of a
plain table that has its shape."""

import struct

import pytest

import conversation
import scripts
import tables
import wire
from conversation import Target, login

EVERY_PLACE = pytest.param(10**6, id="every place", marks=pytest.mark.long)


@pytest.fixture(scope="module")
def busy(stands):
    """A proxy with transitions under way: every text is looked at, and sessions enlist."""
    return stands("dual_own")


@pytest.mark.parametrize("most", [pytest.param(10, id="ten places"), EVERY_PLACE])
@pytest.mark.parametrize("name", scripts.PLAIN)
def test_a_conversation_is_as_with_the_server(cluster, busy, name, most):
    begin = login(database=busy.databases[0])
    conversation.compare(Target(cluster.port, begin), Target(busy.old_port, begin),
                         scripts.PLAIN[name], most, 1 if name in scripts.HEARD_BY_ALL else 30)


@pytest.mark.parametrize("name", scripts.PLAIN)
def test_and_where_no_database_has_transitions(cluster, relay, name):
    data = login() + scripts.PLAIN[name]
    conversation.assert_same(conversation.answer(cluster.port, data),
                             conversation.answer(relay.old_port, data), "in one piece")


# ---------------------------------------------------------------- tables in transition


@pytest.fixture(scope="module", params=["dual_own", "dual_new", "new"])
def segue(request, stands):
    return stands(request.param)


def fill(cluster, segue, oracles, shape):
    with segue.direct() as direct, cluster.connect(oracles[shape]) as oracle:
        tables.fill(direct, "both")
        tables.fill(oracle, shape)


@pytest.mark.parametrize("most", [pytest.param(4, id="four places"), EVERY_PLACE])
@pytest.mark.parametrize("name", scripts.SHAPED["old"])
@pytest.mark.parametrize("shape", ["old", "new"])
def test_of_a_table_in_transition_it_is_as_of_a_plain_one(cluster, segue, oracles, shape, name, most):
    fill(cluster, segue, oracles, shape)
    conversation.compare(
        Target(cluster.port, login("postgres", oracles[shape])),
        Target(segue.port(shape), login("postgres", segue.databases[0])),
        scripts.SHAPED[shape][name], most, at_once=1,
    )


# ---------------------------------------------------------------- startup


def packet(body, length=None):
    return struct.pack("!i", len(body) + 4 if length is None else length) + body


def version(major, minor=0):
    return struct.pack("!HH", major, minor)


V3 = version(3)
USER = b"user\0alice\0"
ALIVE = wire.query("SELECT 1")
STARTUPS = {
    "options": login(options="-c work_mem=3MB --search_path=a,b -c datestyle=German")
    + wire.query("SHOW work_mem; SHOW search_path"),
    "options with escapes": login(options=r"-c application_name=a\ b\\c") + ALIVE,
    "options that are wrong": login(options="-c work_mem=lots") + ALIVE,
    "options that are none": login(options="-Q") + ALIVE,
    "settings": login(application_name="an app", DateStyle="German", client_encoding="LATIN1",
                      TimeZone="Asia/Tokyo") + ALIVE,
    "a setting that is none": login(nosuch="1") + ALIVE,
    "a setting that is wrong": login(work_mem="lots") + ALIVE,
    "a name with a dot": login(**{"some.thing": "1"}) + wire.query("SHOW some.thing"),
    "an option of a protocol to come": login(**{"_pq_.nosuch": "1", "_pq_.other": ""}) + ALIVE,
    "protocol 3.2": login(protocol=wire.PROTOCOL_3_0 + 2) + ALIVE,
    "protocol 3.9999 and options": login(protocol=wire.PROTOCOL_3_0 + 9999, **{"_pq_.x": "y"}) + ALIVE,
    "protocol 3.2 and an error": login("nobody such", protocol=wire.PROTOCOL_3_0 + 2),
    **{f"protocol {major}": packet(version(major) + USER + b"\0") + ALIVE
       for major in (0, 1, 2, 4, 1235, 32768)},
    "protocol 2 and nothing of it": packet(version(2)),
    "no terminator": packet(V3 + USER),
    "no terminator of a name": packet(V3 + b"user\0alice"),
    "a terminator too early": packet(V3 + USER + b"\0junk\0\0"),
    "a terminator twice": packet(V3 + USER + b"\0\0"),
    "a name without a value": packet(V3 + b"user\0\0"),
    "a name alone": packet(V3 + b"user\0"),
    "no user": packet(V3 + b"database\0postgres\0\0"),
    "an empty user": packet(V3 + b"user\0\0database\0postgres\0\0"),
    "nothing": packet(V3 + b"\0"),
    "less than nothing": packet(V3),
    "no database": packet(V3 + b"user\0postgres\0\0") + ALIVE,
    "an empty database": login("postgres", "") + ALIVE,
    "no such database": login(database="no such") + ALIVE,
    "no such user": login("nobody such") + ALIVE,
    "a user who is rejected": login("user_rejected") + ALIVE,
    "a user said twice": packet(V3 + b"user\0nobody\0" + USER + b"database\0postgres\0\0") + ALIVE,
    "a name of 200 bytes": login("u" * 200, "d" * 200) + ALIVE,
    "a length of zero": packet(V3 + USER + b"\0", 0),
    "a length of seven": packet(V3 + USER + b"\0", 7),
    "a negative length": packet(V3 + USER + b"\0", -1),
    "a length too large": packet(V3 + b"x" * 10000),
    "the largest packet": packet(V3 + USER + b"application_name\0" + b"x" * 9954 + b"\0database\0"
                                 + b"postgres\0\0") + ALIVE,
    "a packet cut short": login()[:-3],
    "no packet": b"",
    "half a length": b"\0\0",
    "a password nobody asked for": login() + wire.password("x") + ALIVE,
    "a password that is not given": login("user_password") + ALIVE,
    "a password that is wrong": login("user_password") + wire.password("wrong"),
    "no password but the end": login("user_md5"),
    "a cancel for nobody": wire.cancel_request(2**31 - 1, 12345),
    "a cancel too short": packet(struct.pack("!ii", wire.CANCEL_REQUEST_CODE, 1)),
    "a cancel too long": wire.cancel_request(2**31 - 1, 12345) + ALIVE,
    **{f"replication={value}": login("postgres", replication=value) + wire.query("SHOW work_mem")
       + wire.query("SHOW wal_level; SHOW nosuch")
       for value in ("true", "ON", "1", "y", "database", "false", "f", "OFF", "no", "0", "o", "2", "",
                     "databas", "DATABASE")},
}


@pytest.mark.parametrize("most", [pytest.param(5, id="five places"), EVERY_PLACE])
@pytest.mark.parametrize("name", STARTUPS)
def test_a_startup_is_as_with_the_server(cluster, relay, name, most):
    at_once = 1 if name.startswith("replication") else 30  # max_wal_senders
    conversation.compare(Target(cluster.port, b""), Target(relay.old_port, b""), STARTUPS[name], most,
                         at_once)
