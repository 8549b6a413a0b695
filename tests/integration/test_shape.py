"""Which shape a client has, and which table a name means in its session."""

import pytest

import tables
import wire
from commands import InBackground
from waiting import wait_until


@pytest.fixture
def own(stands):
    """All transitions in dual_own: each shape reads its own column."""
    segue = stands("dual_own")
    with segue.direct() as direct:
        tables.fill(direct, "both")
    return segue


def reads(connection, sql):
    """Rows, or the SQLSTATE."""
    messages = connection.query(sql)
    errors = [m.sqlstate for m in messages if m.kind == b"E"]
    return errors[0] if errors else [m.row() for m in messages if m.kind == b"D"]


ROLE = "SELECT role FROM users WHERE id = 2"
ROLES = "SELECT roles FROM users WHERE id = 2"


def shape_of(connection):
    return "old" if reads(connection, ROLE) == [[b"viewer"]] else "new"


def test_the_port_gives_the_shape(own):
    for shape, seen, unseen in (("old", ROLE, ROLES), ("new", ROLES, ROLE)):
        with own.raw(shape) as connection:
            assert reads(connection, seen) in ([[b"viewer"]], [[b"{viewer}"]])
            assert reads(connection, unseen) == "42703"


@pytest.mark.parametrize("options", ["-c segue.shape=new", "-csegue.shape=new", "--segue.shape=new",
                                     "-c work_mem=5MB -c segue.shape=new -c geqo=off"])
def test_options_of_the_connection_string_win_over_the_port(own, options):
    with own.raw("old", options=options) as connection:
        assert shape_of(connection) == "new"


def test_set_wins_over_both_and_reset_gives_back_what_was(own):
    with own.raw("old", options="-c segue.shape=new") as connection:
        connection.query("SET segue.shape = 'old'")
        assert shape_of(connection) == "old"
        assert connection.rows("SHOW segue.shape") == [["old"]]
        connection.query("SET segue.shape TO new")
        assert shape_of(connection) == "new"
        connection.query("SET segue.shape = old")
        connection.query("RESET segue.shape")
        assert shape_of(connection) == "new"


def test_pitfall_33_set_follows_the_transaction(own):
    with own.raw("old") as connection:
        connection.query("BEGIN")
        connection.query("SET segue.shape = 'new'")
        assert shape_of(connection) == "new"
        connection.query("ROLLBACK")
        assert shape_of(connection) == "old"
        connection.query("BEGIN")
        connection.query("SET LOCAL segue.shape = 'new'")
        assert reads(connection, ROLES) == [[b"{viewer}"]]
        connection.query("COMMIT")
        assert shape_of(connection) == "old"
        connection.query("BEGIN; SET segue.shape = 'new'; COMMIT")
        assert shape_of(connection) == "new"


def test_set_by_the_extended_protocol_and_behind_a_comment_counts(own):
    with own.raw("old") as connection:
        connection.send(wire.extended("/* hello */ SET segue.shape = 'new'") + wire.sync())
        connection.read_until()
        assert shape_of(connection) == "new"


def test_a_list_names_a_shape_for_each_transition(own):
    with own.raw("old", options="-c segue.shape=users_role=new,amount=old") as connection:
        assert reads(connection, ROLES) == [[b"{viewer}"]]
        assert reads(connection, "SELECT total_cents FROM orders WHERE id = 2") == [[b"99"]]
        assert reads(connection, "SELECT total FROM orders") == "42703"


def test_with_a_shape_that_is_none_tables_in_transition_are_closed_until_it_is_mended(own):
    with own.raw("old") as connection:
        connection.query("SET segue.shape = 'sideways'")
        assert reads(connection, ROLE) == "22023"
        assert reads(connection, "SELECT note FROM plain WHERE id = 1") == [[b"one"]]
        connection.query("SET segue.shape = 'new'")
        assert shape_of(connection) == "new"


def test_a_connection_string_with_a_shape_that_is_none_is_refused(own):
    with wire.Connection(own.old_port) as connection:
        connection.send(wire.startup_packet("alice", own.databases[0],
                                            options="-c segue.shape=sideways"))
        assert connection.read_all()[-1].sqlstate == "22023"


# ---------------------------------------------------------------- which table is meant


def soon(connection, sql, expected):
    """
    The answer in the end: DDL that came past Segue is noticed by looking, once a second; DDL
    of a session by its end. What is not known yet may be refused, or meant as before.
    """
    wait_until(lambda: reads(connection, sql) == expected)


def test_pitfall_22_the_search_path_decides_which_table_a_name_means(own):
    with own.direct() as direct:
        direct.execute("CREATE SCHEMA IF NOT EXISTS tenant; DROP TABLE IF EXISTS tenant.users;"
                       "CREATE TABLE tenant.users (id int, role int, roles int);"
                       "INSERT INTO tenant.users VALUES (2, 20, 200)")
    both_columns = "SELECT role, roles FROM users"
    with own.raw("old") as connection:
        assert reads(connection, both_columns) == "42703"
        connection.query("SET search_path = tenant, public")
        soon(connection, both_columns, [[b"20", b"200"]])
        connection.query("RESET search_path")
        assert reads(connection, both_columns) == "42703"
        connection.query("BEGIN")
        connection.query("SET search_path = tenant")
        assert reads(connection, both_columns) == [[b"20", b"200"]]
        # in one text with the transaction's end it would be read as within the transaction
        assert reads(connection, "ROLLBACK; " + both_columns) == "0A000"
        connection.query("ROLLBACK")
        assert reads(connection, "ROLLBACK; " + both_columns) == "42703"
        assert reads(connection, both_columns) == "42703"
        connection.query("PREPARE named AS SELECT role::text FROM users WHERE id = 2;"
                         "PREPARE other AS SELECT 1")
        assert reads(connection, "SET search_path = tenant; EXECUTE other") == [[b"1"]]
        assert reads(connection, "EXECUTE named") == [[b"20"]]
        assert reads(connection, "SET search_path = public; EXECUTE named") == "0A000"
        late = "PREPARE late AS SELECT role::text FROM users; SET search_path = %s; EXECUTE late"
        assert reads(connection, late % "public") == "0A000"
        connection.query("SET search_path = public")
        assert reads(connection, "EXECUTE named; SET search_path = tenant") == [[b"viewer"]]
        connection.query("DEALLOCATE ALL; RESET search_path")
        connection.query("SELECT set_config('search_path', 'tenant', false)")
        assert reads(connection, both_columns) == [[b"20", b"200"]]
        connection.query("DISCARD ALL")
        assert reads(connection, both_columns) == "42703"
    with own.raw("old", options="-c search_path=tenant") as connection:
        assert reads(connection, both_columns) == [[b"20", b"200"]]
        assert reads(connection, "SELECT roles FROM public.users") == "42703"


def test_a_schema_that_gets_another_name_past_segue_takes_its_table_along(own):
    with own.direct() as direct, own.raw("old") as connection:
        assert reads(connection, "SELECT roles FROM public.users") == "42703"
        direct.execute("ALTER SCHEMA public RENAME TO audience")
        try:
            soon(connection, "SELECT roles FROM audience.users", "42703")
            soon(connection, "SELECT role FROM audience.users WHERE id = 2", [[b"viewer"]])
        finally:
            direct.execute("ALTER SCHEMA audience RENAME TO public")
        soon(connection, "SELECT roles FROM public.users", "42703")


def test_a_temporary_table_that_another_session_alters_holds_nothing_up(own):
    """To print the default of its column would take a lock on it."""
    with own.direct() as direct:
        direct.execute("CREATE TEMP TABLE passing (id serial, n int DEFAULT 5)")
        direct.execute("BEGIN; TRUNCATE passing")
        InBackground(own.admin, "RELOAD").finish()
        direct.execute("ROLLBACK")


def test_a_temporary_table_shadows_it_until_it_is_dropped(own):
    with own.raw("old") as connection:
        assert reads(connection, ROLES) == "42703"
        connection.query("CREATE TEMP TABLE users (id int, role text, roles text)")
        connection.query("INSERT INTO users VALUES (2, 'mine', 'too')")
        assert reads(connection, ROLES) == [[b"too"]]
        assert reads(connection, "SELECT role FROM public.users WHERE id = 2") == [[b"viewer"]]
        connection.query("DROP TABLE users")
        assert reads(connection, ROLES) == "42703"
        assert reads(connection, ROLE) == [[b"viewer"]]
        connection.query("BEGIN; CREATE TEMP TABLE users (id int, roles text)")
        assert reads(connection, ROLES) == []
        connection.query("ROLLBACK")
        assert reads(connection, ROLE) == [[b"viewer"]]
        connection.query("BEGIN; CREATE TEMP TABLE users (id int, roles text) ON COMMIT DROP")
        assert reads(connection, ROLES) == []
        connection.query("COMMIT")
        assert reads(connection, ROLE) == [[b"viewer"]]


def test_a_temporary_table_made_in_the_same_text_is_not_mistaken(own):
    with own.raw("old") as connection:
        messages = connection.query(
            "CREATE TEMP TABLE users (id int, roles text); INSERT INTO users VALUES (1, 'x');"
            " SELECT roles FROM users"
        )
        errors = [m.sqlstate for m in messages if m.kind == b"E"]
        assert errors in ([], ["0A000"])
        if not errors:
            assert [m.row() for m in messages if m.kind == b"D"] == [[b"x"]]
    with own.direct() as direct:
        assert direct.execute("SELECT count(*) FROM public.users").fetchone() == (5,)


def test_a_role_with_a_schema_of_its_own_name_sees_its_own_table(own):
    with own.direct() as direct:
        direct.execute("CREATE SCHEMA IF NOT EXISTS alice AUTHORIZATION alice;"
                       "DROP TABLE IF EXISTS alice.users; CREATE TABLE alice.users (id int, roles int);"
                       "ALTER TABLE alice.users OWNER TO alice;"
                       "GRANT SELECT ON ALL TABLES IN SCHEMA public TO alice")
    try:
        with own.raw("old", user="alice") as connection:
            soon(connection, "SELECT roles FROM users", [])
        with own.raw("old") as connection:
            assert reads(connection, ROLE) == [[b"viewer"]]
            connection.query("SET ROLE alice")
            assert reads(connection, "SELECT roles FROM users") == []
            connection.query("RESET ROLE")
            assert reads(connection, ROLE) == [[b"viewer"]]
    finally:
        with own.direct() as direct:
            direct.execute("DROP SCHEMA alice CASCADE")


def test_ddl_on_another_table_is_noticed(own):
    with own.raw("old") as connection:
        connection.query("DROP TABLE IF EXISTS late; CREATE TABLE late (id int, total int)")
        connection.query("INSERT INTO late VALUES (1, 5)")
        soon(connection, "SELECT total, total_cents FROM late JOIN orders USING (id)",
             [[b"5", b"1050"]])
        connection.query("ALTER TABLE late RENAME total TO total_cents")
        soon(connection, "SELECT total_cents FROM late, orders", "42702")
        connection.query("DROP TABLE late")
