"""Texts that are large, or made to be too much: their session waits or is refused, the others go on."""

import time

import psycopg
import pytest

import tables
import wire
from commands import InBackground

MEGABYTE = 1 << 20


@pytest.fixture
def users(make_segue, shop_database):
    """users_role in dual_own, behind one worker: whatever stalls it stalls every session."""
    segue = make_segue([shop_database], workers=1)
    segue.move_to("users_role", "dual_own", tables.definition("users_role", guard="reject"))
    return segue


def rows_of(size, first=1000):
    """VALUES of about so many bytes, and how many rows they are."""
    count = size // 50
    return ", ".join(f"({i}, 'a user of some kind {i:08d}', 'editor,{i}')"
                     for i in range(first, first + count)), count


def insert(size, first=1000):
    values, count = rows_of(size, first)
    return f"INSERT INTO users (id, name, role) VALUES {values}", count


def stats(segue):
    return {row["name"]: row["total"] for row in segue.admin("SHOW STATS").rows}


def is_parsing(segue):
    return any(row["state"] == "parsing" for row in segue.admin("SHOW CLIENTS").rows)


def wait_until_parsing(segue, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_parsing(segue):
        assert time.monotonic() < deadline, "it was never seen being parsed"
        time.sleep(0.002)


def run(segue, *texts):
    with segue.old() as client:
        for text in texts:
            client.execute(text, prepare=False)


def parity(segue):
    with segue.direct() as direct:
        return direct.execute(
            "SELECT count(*) FROM users WHERE roles IS DISTINCT FROM string_to_array(role, ',')"
        ).fetchone()[0]


def test_a_first_sight_of_10_mb_stalls_nobody_else(users):
    text, count = insert(10 * MEGABYTE)
    answered = 0
    with users.old() as other:
        big = InBackground(run, users, text)
        wait_until_parsing(users)
        while is_parsing(users):
            rows = other.execute("SELECT role FROM users WHERE id = 2").fetchall()
            assert rows == [("viewer",)]
            answered += is_parsing(users)  # before and after the query
        big.finish(240)
    assert answered > 0
    with users.direct() as direct:
        assert direct.execute("SELECT count(*) FROM users WHERE id >= 1000").fetchone() == (count,)
    assert parity(users) == 0


def test_a_large_text_of_a_known_shape_is_not_parsed(users):
    text, count = insert(MEGABYTE // 4)
    again, _ = insert(MEGABYTE // 4, first=1_000_000)
    run(users, text)
    before = stats(users)
    run(users, again)
    after = stats(users)
    assert after["cache_misses"] == before["cache_misses"]
    assert after["cache_shape_hits"] == before["cache_shape_hits"] + 1
    with users.direct() as direct:
        assert direct.execute("SELECT count(*) FROM users WHERE id >= 1000").fetchone() == (
            2 * count,
        )
    assert parity(users) == 0


def test_what_follows_a_large_text_waits_behind_it(users):
    text, count = insert(MEGABYTE)
    with users.raw("old") as client:
        client.send(wire.query("BEGIN") + wire.query(text)
                    + wire.query("SELECT count(*) FROM users WHERE id >= 1000")
                    + wire.query("ROLLBACK"))
        messages = client.read_until(count=4)
        assert wire.kinds(messages) == "CZCZTDCZCZ"
        assert [m.row() for m in messages if m.kind == b"D"] == [[str(count).encode()]]


def test_a_large_text_may_be_prepared(users):
    values, count = rows_of(MEGABYTE)
    with users.old() as client:
        with pytest.raises(psycopg.errors.UniqueViolation):
            client.execute(f"INSERT INTO users (id, name, role) VALUES {values}, (%s, %s, %s)",
                           [1, "ann", "admin"], prepare=True)
        client.execute(f"INSERT INTO users (id, name, role) VALUES {values}, (%s, %s, %s)",
                       [999, "last", "a,b"], prepare=True)
    with users.direct() as direct:
        assert direct.execute("SELECT count(*) FROM users WHERE id >= 999").fetchone() == (
            count + 1,
        )
    assert parity(users) == 0


def test_a_session_may_end_while_its_text_is_parsed(users):
    text, _ = insert(4 * MEGABYTE)
    client = users.raw("old")
    client.send(wire.query(text))
    wait_until_parsing(users)
    client.close()
    with users.old() as other:
        assert other.execute("SELECT role FROM users WHERE id = 2").fetchone() == ("viewer",)


def test_the_proxy_may_end_while_a_text_is_parsed(users):
    text, _ = insert(4 * MEGABYTE)
    client = users.raw("old")
    client.send(wire.query(text))
    wait_until_parsing(users)
    users.stop()
    client.close()


def test_a_phase_may_move_while_a_text_is_parsed(users):
    text, count = insert(2 * MEGABYTE)
    big = InBackground(run, users, text)
    wait_until_parsing(users)
    users.admin("ADVANCE users_role TO dual_new")
    users.admin("ADVANCE users_role TO new")
    big.finish(240)
    with users.old() as client:
        found = client.execute(
            "SELECT count(*) FROM users WHERE id >= 1000 AND role = 'editor,' || id").fetchone()
    assert found == (count,)


def test_what_decides_may_change_while_a_text_is_parsed(users):
    """In one batch of messages: the large text follows what changes its meaning."""
    values, count = rows_of(MEGABYTE)
    with users.direct() as direct:
        direct.execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.users (LIKE public.users)")
    text = f"INSERT INTO users (id, name, role) VALUES {values}"
    with users.raw("old") as client:
        client.send(wire.query("SET search_path = elsewhere") + wire.query(text)
                    + wire.query("RESET search_path") + wire.query(text))
        assert wire.kinds(client.read_until(count=4)).count("C") == 4
    with users.direct() as direct:
        assert direct.execute(
            "SELECT count(*) FILTER (WHERE roles IS NULL), count(*) FROM elsewhere.users"
        ).fetchone() == (count, count)
        assert direct.execute("SELECT count(*) FROM users WHERE id >= 1000").fetchone() == (count,)
    assert parity(users) == 0


BOMBS = {
    "brackets": "SELECT role FROM users WHERE " + "(" * 100_000 + "true" + ")" * 100_000,
    "sum": "SELECT role FROM users WHERE id = 1" + "+1" * 50_000,
    "sub_selects": "SELECT role FROM users WHERE id = " + "(SELECT 1 + " * 50_000 + "1"
                   + ")" * 50_000,
    "case": "SELECT " + "CASE WHEN role = 'a' THEN 1 ELSE " * 50_000 + "0" + " END" * 50_000
            + " FROM users",
    "unions": "SELECT id, role FROM users" + " UNION SELECT 1, 'a'" * 50_000,
    "joins": "SELECT u.role FROM users AS u" + " JOIN plain ON true AND true" * 50_000,
    "short": "SELECT role FROM users WHERE " + "(" * 4_001 + "true" + ")" * 4_001,
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_what_is_nested_too_deeply_is_refused(users, bomb, extended):
    with users.raw("old") as client:
        text = BOMBS[bomb]
        client.send(wire.extended(text) + wire.sync() if extended else wire.query(text))
        assert wire.error_of(client.read_until()).sqlstate == "54001"
        assert client.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]


def test_what_is_long_and_not_deep_is_answered(users):
    with users.raw("old") as client:
        ids = ", ".join(str(i) for i in range(50_000))
        assert client.rows(f"SELECT count(role) FROM users WHERE id IN ({ids})") == [["4"]]
        chain = " OR ".join(f"id = {i}" for i in range(2_000))
        assert client.rows(f"SELECT count(role) FROM users WHERE {chain}") == [["4"]]


def test_a_text_above_the_ceiling_is_refused_and_below_it_is_not(users):
    with users.raw("old", timeout=60) as client:
        ceiling = 16 * MEGABYTE
        head = "SELECT role FROM users WHERE id = 2 AND name <> '"
        client.send(wire.query(head + "x" * ceiling + "'"))
        assert wire.error_of(client.read_until()).sqlstate == "54000"
        assert client.rows(head + "x" * (ceiling - len(head) - 10) + "'") == [["viewer"]]
