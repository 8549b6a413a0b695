"""Prepared statements live through phase moves unseen, whoever prepared them and however."""

import pytest

import tables
import wire
from segue import PHASES

MOVES = ["dual_old", "dual_own", "dual_new", "new", "dual_new", "dual_own", "dual_old"]


@pytest.fixture
def moving(shop):
    """A proxy whose lossless transition is in `dual_old`, with a way to go through all phases."""
    shop.move_to("order_total", "dual_old", tables.definition("order_total"))
    shop.move_to("users_role", "dual_old", tables.definition("users_role"))

    def each_phase():
        yield "dual_old"
        for phase in MOVES[1:]:
            shop.move_to("order_total", phase)
            shop.move_to("users_role", phase)
            yield phase

    shop.each_phase = each_phase
    return shop


def test_named_statements_of_both_shapes_answer_the_same_in_every_phase(moving):
    with moving.raw("old") as old, moving.raw("new") as new:
        old.send(wire.parse("SELECT role FROM users WHERE id = $1", "r")
                 + wire.parse("UPDATE users SET role = $1 WHERE id = $2 RETURNING role", "w")
                 + wire.describe(b"S", "r") + wire.describe(b"S", "w") + wire.sync())
        new.send(wire.parse("SELECT roles FROM users WHERE id = $1", "r") + wire.describe(b"S", "r")
                 + wire.sync())
        described = [m for m in old.read_until() if m.kind in b"tT"]
        new.read_until()
        for number, phase in enumerate(moving.each_phase()):
            value = f"a{number},b"
            old.send(wire.bind([value, "1"], "w") + wire.execute() + wire.bind(["1"], "r")
                     + wire.execute() + wire.sync())
            messages = old.read_until()
            assert wire.kinds(messages) == "2DC2DCZ", phase
            assert messages[4].row() == [value.encode()]
            new.send(wire.bind(["1"], "r") + wire.execute() + wire.sync())
            assert new.read_until()[1].row() == [f"{{a{number},b}}".encode()]
            old.send(wire.describe(b"S", "r") + wire.describe(b"S", "w") + wire.sync())
            again = [m for m in old.read_until() if m.kind in b"tT"]
            for first, now in zip(described, again, strict=True):
                assert wire.masked([first]) == wire.masked([now])


def test_psycopg_prepares_behind_the_applications_back_and_never_notices(moving):
    with moving.old(prepare_threshold=0) as old, moving.new(prepare_threshold=0) as new:
        for number, phase in enumerate(moving.each_phase()):
            for i in range(3):
                old.execute("UPDATE orders SET total_cents = %s WHERE id = %s", (number * 100 + i, 1))
                (total,) = new.execute("SELECT total FROM orders WHERE id = %s", (1,)).fetchone()
                assert float(total) == pytest.approx(number + i / 100), phase


def test_sql_prepare_and_execute_live_on(moving):
    with moving.raw("old") as old, moving.raw("new") as new:
        old.query("PREPARE r(int) AS SELECT role FROM users WHERE id = $1")
        old.query("PREPARE w(text, int) AS UPDATE users SET role = $1 WHERE id = $2")
        new.query("PREPARE r AS SELECT roles FROM users WHERE id = $1")
        for number, phase in enumerate(moving.each_phase()):
            assert old.query(f"EXECUTE w('v{number},w', 1)")[0].kind == b"C", phase
            assert old.rows("EXECUTE r(1)") == [[f"v{number},w"]]
            assert new.rows("EXECUTE r(1)") == [[f"{{v{number},w}}"]]


def test_pitfall_31_sql_and_protocol_share_their_names_across_a_move(moving):
    with moving.raw("old") as connection:
        connection.query("PREPARE a AS SELECT role FROM users WHERE id = $1")
        connection.send(wire.parse("SELECT role FROM users WHERE id = $1", "b") + wire.sync())
        connection.read_until()
        for phase in moving.each_phase():
            connection.send(wire.bind(["2"], "a") + wire.execute() + wire.sync())
            assert connection.read_until()[1].row() == [b"viewer"], phase
            assert connection.rows("EXECUTE b(2)") == [["viewer"]], phase


def test_pitfall_13_the_unnamed_statement_is_replaced_by_parse_and_destroyed_by_a_query(moving):
    with moving.raw("old") as connection:
        connection.send(wire.parse("SELECT role FROM users WHERE id = $1") + wire.sync())
        connection.read_until()
        for phase in moving.each_phase():
            connection.send(wire.bind(["2"]) + wire.execute() + wire.sync())
            assert connection.read_until()[1].row() == [b"viewer"], phase
        connection.send(wire.parse("SELECT 1") + wire.bind() + wire.execute() + wire.sync())
        assert connection.read_until()[2].row() == [b"1"]
        connection.query("SELECT 1")
        connection.send(wire.bind() + wire.execute() + wire.sync())
        assert wire.error_of(connection.read_until()).sqlstate == "26000"


def test_pitfall_07_a_failed_parse_leaves_its_name_free(moving):
    with moving.raw("old") as connection:
        connection.send(wire.parse("SELECT role, nosuch FROM users", "n") + wire.sync())
        assert wire.error_of(connection.read_until()).sqlstate == "42703"
        connection.send(wire.parse("SELECT role FROM users WHERE id = 2", "n") + wire.sync())
        assert wire.kinds(connection.read_until()) == "1Z"
        for phase in moving.each_phase():
            connection.send(wire.bind([], "n") + wire.execute() + wire.sync())
            assert connection.read_until()[1].row() == [b"viewer"], phase


def test_pitfall_14_a_second_parse_of_a_name_fails_and_the_first_lives_on(moving):
    with moving.raw("old") as connection:
        connection.send(wire.parse("SELECT role FROM users WHERE id = 2", "n") + wire.sync()
                        + wire.parse("SELECT name FROM users WHERE id = 1", "n") + wire.sync())
        assert wire.error_of(connection.read_until(count=2)).sqlstate == "42P05"
        for phase in moving.each_phase():
            connection.send(wire.bind([], "n") + wire.execute() + wire.sync())
            assert connection.read_until()[1].row() == [b"viewer"], phase


def test_pitfall_32_discarded_statements_stay_gone_across_a_move(moving):
    forget = ["DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE n", None]
    phases = moving.each_phase()
    next(phases)
    for how in forget:
        with moving.raw("old") as connection:
            connection.send(wire.parse("SELECT role FROM users WHERE id = 2", "n") + wire.sync())
            connection.read_until()
            if how:
                connection.query(how)
            else:
                connection.send(wire.close(b"S", "n") + wire.sync())
                connection.read_until()
            next(phases)
            connection.send(wire.bind([], "n") + wire.execute() + wire.sync())
            assert wire.error_of(connection.read_until()).sqlstate == "26000", how


def test_pitfall_33_a_statement_prepared_in_a_rolled_back_transaction_lives_on(moving):
    """PREPARE is not transactional: PostgreSQL keeps it, and so it must be re-prepared too."""
    with moving.raw("old") as connection:
        connection.query("BEGIN")
        connection.query("PREPARE kept AS SELECT role FROM users WHERE id = 2")
        connection.query("ROLLBACK")
        for phase in moving.each_phase():
            assert connection.rows("EXECUTE kept") == [["viewer"]], phase


def test_statements_re_prepared_within_a_batch_leave_its_order_and_transaction_alone(moving):
    with moving.raw("old") as connection:
        connection.send(wire.parse("UPDATE users SET role = $1 WHERE id = $2", "w")
                        + wire.parse("SELECT role FROM users WHERE id = $1", "r") + wire.sync())
        connection.read_until()
        for number, phase in enumerate(moving.each_phase()):
            # one implicit transaction: the failing end takes everything back
            connection.send(wire.bind([f"lost{number}", "2"], "w") + wire.execute()
                            + wire.bind(["2"], "r") + wire.execute()
                            + wire.extended("SELECT 1/0") + wire.sync())
            messages = connection.read_until()
            assert wire.kinds(messages) == "2C2DC1EZ", phase
            assert messages[3].row() == [f"lost{number}".encode()]
            assert connection.rows("SELECT role FROM users WHERE id = 2") == [["viewer"]]


SUSPENDED_WRITE = (wire.parse("UPDATE users SET role = 'seen' RETURNING id") + wire.bind([], "", "p")
                   + wire.execute("p", 1))


def said_behind_it(connection, *messages):
    """Behind a suspended portal that writes, in one batch of a transaction that is rolled back."""
    connection.query("BEGIN")
    connection.send(SUSPENDED_WRITE + b"".join(messages) + wire.sync())
    answer = connection.read_until()
    connection.query("ROLLBACK")
    return answer


def test_nothing_of_segues_shows_early_what_a_suspended_portal_wrote(moving, oracles, cluster):
    """PostgreSQL shows it once the next command completes. Segue would have to prepare `s` again, by
    one: so it says so; and again behind a Sync or a Parse, which show it as well, it does."""
    use, refusal = wire.bind([], "s") + wire.execute(), "0A000"
    read = wire.parse("SELECT role FROM users WHERE id = 2", "s") + wire.sync()
    config = wire.parse("SELECT set_config('search_path', 'public', true)", "c") + wire.sync()
    suspended = wire.bind([], "c", "q") + wire.execute("q", 1)
    with wire.Connection(cluster.port) as plain:
        plain.login("postgres", oracles["old"])
        with cluster.connect(oracles["old"]) as connection:
            tables.fill(connection, "old")
        plain.send(read + config)
        plain.read_until(count=2)
        seen = [m.row() for m in said_behind_it(plain, suspended, use) if m.kind == b"D"]
        assert seen[-1] == [b"viewer"], "the statement does not see it"
    with moving.raw("old") as connection:
        connection.send(read + config)
        connection.read_until(count=2)
        assert wire.error_of(said_behind_it(connection, suspended, use)).sqlstate == refusal
        moving.move_to("users_role", "dual_new")  # where it is another text
        assert wire.error_of(said_behind_it(connection, use)).sqlstate == refusal
        answer = said_behind_it(connection, wire.parse("SELECT 1", "t"), use)
        assert [m.row() for m in answer if m.kind == b"D"][-1] == [b"seen"]
        assert [m.row() for m in said_behind_it(connection, use) if m.kind == b"D"][-1] == [b"viewer"]


def test_pitfall_30_an_open_cursor_finishes_in_the_phase_it_began_in(moving):
    with moving.raw("old") as connection:
        connection.query("BEGIN")
        connection.query("DECLARE c CURSOR WITH HOLD FOR SELECT role FROM users ORDER BY id")
        assert connection.rows("FETCH 2 FROM c") == [["admin,editor"], ["viewer"]]
        connection.query("COMMIT")
        moving.move_to("users_role", "dual_new")
        assert connection.rows("FETCH 2 FROM c") == [[None], ["editor,viewer,admin"]]


def test_every_phase_was_visited(moving):
    assert set(moving.each_phase()) | {"old"} == set(PHASES)
