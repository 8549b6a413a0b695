"""REWRITE on the admin port and `segue rewrite`: what a reviewer reads before a rollout."""

import json
import os
import subprocess

import psycopg2
import pytest

import tables
from segue import BINARY, PHASES

OK, FAILED, USAGE, UNREACHABLE = range(4)


def run(segue, *arguments, text=None):
    environment = {**os.environ, "SEGUE_ADMIN": f"host=127.0.0.1 port={segue.admin_port}"}
    return subprocess.run([BINARY, "rewrite", *map(str, arguments)], input=text, text=True,
                          capture_output=True, timeout=60, check=False, env=environment)


@pytest.fixture(scope="module")
def previewed(cluster, tmp_path_factory):
    """Applied and expanded, in phase dual_old; nothing here changes it."""
    from segue import Segue

    cluster.create_database("previewed", template="old_template")
    segue = Segue(cluster, tmp_path_factory.mktemp("previewed"), ["previewed"]).start()
    segue.move_to("users_role", "dual_old", tables.definition("users_role"))
    yield segue
    segue.stop()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


# ---------------------------------------------------------------- REWRITE


def test_both_shapes_and_all_phases_are_shown_unless_asked_for_one(previewed):
    rows = previewed.admin("REWRITE 'SELECT 1'").rows
    assert [(row["shape"], row["phase"]) for row in rows] == [
        (shape, phase) for shape in ("old", "new") for phase in PHASES]
    assert {row["outcome"] for row in rows} == {"untouched"}
    assert len(previewed.admin("REWRITE FOR new 'SELECT 1'").rows) == 5
    assert len(previewed.admin("REWRITE IN dual_own 'SELECT 1'").rows) == 2
    assert len(previewed.admin("REWRITE FOR old IN new 'SELECT 1'").rows) == 1


def test_what_is_changed_is_shown_beside_what_is_sent(previewed):
    row, = previewed.admin(
        "REWRITE FOR old IN new 'SELECT id,\n  role FROM users WHERE role = $1'").rows
    conversion = "(array_to_string(\"users\".\"roles\", ',')::text)"
    assert row["outcome"] == "changed"
    assert row["sql"].startswith("SELECT id,\n  ") and row["sql"].count("array_to_string") == 2
    first, second = row["changes"].splitlines()
    assert first.startswith("role -> ") and first.endswith('AS "role"'), (first, conversion)
    assert second.startswith("role -> ")
    row, = previewed.admin("REWRITE FOR old IN dual_own 'INSERT INTO users (id, role) VALUES "
                           "(1, ''x'')'").rows
    assert '"roles"' in row["changes"]


def test_the_types_of_parameters_are_told_where_the_text_could_be_sent_now(previewed):
    row, = previewed.admin("REWRITE FOR old IN new 'SELECT 1 FROM users WHERE role = $1 AND id = $2'"
                           ).rows
    assert row["parameters"] == "text, integer"
    row, = previewed.admin("REWRITE FOR new IN new 'UPDATE users SET roles = $1'").rows
    assert row["parameters"] == "text[]"
    row, = previewed.admin("REWRITE FOR old IN new 'SELECT nosuch FROM users WHERE id = $1'").rows
    assert row["parameters"] is None
    with previewed.direct() as direct:
        assert direct.execute("SELECT count(*) FROM users").fetchone() == (5,)


def test_a_refusal_is_told_in_full(previewed):
    row, = previewed.admin("REWRITE FOR new IN old 'SELECT id, roles FROM users'").rows
    assert (row["outcome"], row["sql"], row["sqlstate"], row["position"]) == (
        "refused", None, "55000", 12)
    assert "phase \"old\"" in row["message"] and row["detail"] and "ADVANCE" in row["hint"]
    row, = previewed.admin("REWRITE FOR old IN new 'SELECT roles FROM users'").rows
    assert (row["sqlstate"], row["message"]) == ("42703", 'column "roles" does not exist')


def test_each_of_many_statements_is_shown_by_itself(previewed):
    rows = previewed.admin("REWRITE FOR old IN new EACH "
                           "'SELECT 1; SELECT role FROM users;; -- no\n; SELECT roles FROM users'").rows
    assert [(row["statement"], row["outcome"]) for row in rows] == [
        (1, "untouched"), (2, "changed"), (3, "refused")]
    assert rows[1]["sql"].endswith("FROM users") and ";" not in rows[1]["sql"]


def test_a_definition_that_is_not_applied_is_looked_at_as_if_it_were(previewed):
    sql = "SELECT total, t.* FROM orders t"
    command = f"REWRITE FOR new '{sql}'"
    assert {row["outcome"] for row in previewed.admin(command).rows} == {"untouched"}
    definition = quoted(tables.definition("order_total"))
    rows = previewed.admin(f"{command} USING {definition} FROM 'order.conf'").rows
    by_phase = {row["phase"]: row for row in rows}
    assert "total_cents" in by_phase["old"]["sql"] and by_phase["old"]["outcome"] == "changed"
    for phase in ("dual_own", "dual_new", "new"):
        assert "total_cents" not in by_phase[phase]["sql"]
        assert by_phase[phase]["sql"].startswith("SELECT total, t.\"id\", t.\"user_id\", t.\"total\"")
    row, = previewed.admin(f"REWRITE FOR old IN dual_own 'SELECT * FROM orders' USING {definition}"
                           ).rows
    assert row["sql"] == 'SELECT "orders"."id", "orders"."user_id", "orders"."total_cents" FROM orders'
    assert [t for t in previewed.transitions()] == ["users_role"]
    with previewed.direct() as direct:
        names = [row[0] for row in direct.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0")]
    assert names == ["id", "user_id", "total_cents"]


def test_a_definition_that_is_wrong_is_told_by_file_and_line(previewed):
    with pytest.raises(psycopg2.Error, match="wrong.conf:1"):
        previewed.admin("REWRITE 'SELECT 1' USING 'transition {' FROM 'wrong.conf'")
    definition = quoted(tables.definition("order_total").replace("public.orders", "public.nosuch"))
    with pytest.raises(psycopg2.Error, match="nosuch"):
        previewed.admin(f"REWRITE 'SELECT 1' USING {definition}")


# ---------------------------------------------------------------- segue rewrite

LOG = """-- a day's statements
SELECT note FROM plain;
SELECT name, role
  FROM users WHERE id = 7;
UPDATE users SET role = 'x' WHERE id = 1;
\\echo not for the server
SELECT note FROM plain;
SELECT roles FROM users; SELECT ';' -- ; not here
"""


def test_one_text_is_told_by_shape_and_phases_that_are_alike(previewed):
    ended = run(previewed, "SELECT role FROM users WHERE id = $1")
    assert ended.returncode == FAILED and ended.stderr == ""
    out = ended.stdout
    assert "  old shape, parameters: integer\n" in out
    words = " ".join(out.split())
    assert " old, dual_old (now), dual_own untouched dual_new, new changed role -> " in words
    assert "      is sent as\n        SELECT " in out
    assert '      ERROR 42703: column "role" does not exist\n' in out
    assert "      LINE 1: SELECT role FROM users WHERE id = $1\n                     ^\n" in out
    assert "\033" not in out


def test_a_caret_points_at_the_character_in_its_line(previewed):
    ended = run(previewed, "--shape", "old", "SELECT 'é'\n, 'é', roles FROM users")
    assert "      LINE 2: , 'é', roles FROM users\n                     ^\n" in ended.stdout


def test_one_text_of_one_shape_and_phase_is_the_sql_alone(previewed):
    ended = run(previewed, "-s", "old", "-p", "new", "SELECT role FROM users")
    assert ended.returncode == OK and ended.stdout.startswith("SELECT ")
    assert ended.stdout.count("\n") == 1
    ended = run(previewed, "-s", "old", "-p", "new", "SELECT roles FROM users")
    assert ended.returncode == FAILED and ended.stdout == ""
    assert 'column "roles" does not exist' in ended.stderr


def test_a_file_is_told_statement_by_statement_with_counts_at_its_end(previewed, tmp_path):
    log = tmp_path / "log.sql"
    log.write_text(LOG)
    ended = run(previewed, "--shape", "old", "--file", log)
    assert ended.returncode == FAILED and ended.stderr == ""
    lines = ended.stdout.splitlines()
    assert [line for line in lines if line.startswith("line ")] == ["line 3", "line 5", "line 8"]
    assert "  SELECT name, role\n    FROM users WHERE id = 7\n" in ended.stdout
    assert "plain" not in ended.stdout
    assert lines[-1] == ("6 statements, 5 of them different: 2 untouched, 2 changed, 1 refused")
    everything = run(previewed, "--shape", "old", "--all", "--file", "-", text=LOG).stdout
    assert "line 2, 2 times\n  SELECT note FROM plain\n" in everything
    fine = run(previewed, "--shape", "old", "--file", "-", text="SELECT role FROM users;")
    assert fine.returncode == OK and fine.stdout.endswith("0 untouched, 1 changed, 0 refused\n")


def test_a_file_as_json_is_an_object_a_line(previewed):
    ended = run(previewed, "--json", "--file", "-", text=LOG)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == FAILED and len(told) == 6
    assert told[-1] == {"statements": 6, "different": 5, "untouched": 2, "changed": 0, "refused": 3}
    assert told[0]["line"] == 2 and told[0]["times"] == 2
    old = [r for r in told[1]["rewrites"] if r["shape"] == "old"]
    assert [r["phases"] for r in old] == [["old", "dual_old", "dual_own"], ["dual_new", "new"]]
    assert [r["outcome"] for r in old] == ["untouched", "changed"]
    refused = [r for r in told[3]["rewrites"] if r["outcome"] == "refused"]
    assert refused[0]["sqlstate"] == "42703" and refused[0]["position"] == 8


def test_a_large_file_is_asked_in_portions(previewed):
    text = "".join(f"SELECT role FROM users WHERE id = {i}; -- {i};\n" for i in range(1000))
    ended = run(previewed, "-s", "old", "-p", "new", "--file", "-", text=text)
    assert ended.returncode == OK
    assert ended.stdout.endswith("1000 statements, 1000 of them different: 0 untouched, 1000 changed,"
                                 " 0 refused\n")
    assert [int(line.split()[1]) for line in ended.stdout.splitlines() if line.startswith("line")] == (
        list(range(1, 1001)))


def test_a_file_is_told_of_with_a_transition_that_is_not_applied(previewed, tmp_path):
    definition = tmp_path / "order_total.conf"
    definition.write_text(tables.definition("order_total"))
    arguments = ("-s", "new", "-p", "dual_new", "--using", definition)
    ended = run(previewed, *arguments, "UPDATE orders SET total = 1.5 WHERE id = 1")
    assert ended.returncode == OK and "total_cents" in ended.stdout
    ended = run(previewed, "-u", definition, "-s", "old", "--file", "-", text="SELECT total FROM orders")
    assert ended.returncode == FAILED and 'column "total" does not exist' in ended.stdout
    definition.write_text("transition \"x\" {\n nonsense\n}\n")
    ended = run(previewed, *arguments, "SELECT 1")
    assert ended.returncode != OK and "order_total.conf:2" in ended.stderr


def test_files_that_cannot_be_read_are_told(previewed):
    for option in ("--file", "--using"):
        arguments = [option, "/nonexistent"] + (["SELECT 1"] if option == "--using" else [])
        ended = run(previewed, *arguments)
        assert ended.returncode == USAGE and "No such file" in ended.stderr
