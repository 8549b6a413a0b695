"""
The tables of the equivalence tests: plain ones in each shape, and in transition in each phase.

`users` changes lossily (text to text[]), `transactions` losslessly and under one name (text to
numeric). Rows that a phase does not promise to be in parity are out of it here.
"""

import json
import os
import pathlib
import subprocess

PHASES = ("old", "dual_old", "dual_own", "dual_new", "new")
# What a table in transition can be in: phase and stage.
STATES = {phase: (phase, "expanded") for phase in PHASES} | {
    "applied": ("old", "applied"),
    "contracted": ("new", "contracted"),
}
CONTRACT = """
ALTER TABLE users DROP COLUMN role;
ALTER TABLE users ALTER COLUMN roles SET DEFAULT '{user}';
ALTER TABLE transactions DROP COLUMN amount;
ALTER TABLE transactions RENAME COLUMN amount_new TO amount;
"""
SHAPES = ("old", "new")

TRANSITIONS = """
transition "users_role" {
    table = "public.users"
    old "role"  { type = "text" default = "'user'" from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]"  from = "string_to_array(role, ',')" }
    lossless = false
    guard = "off"
}
transition "amount" {
    table = "public.transactions"
    old "amount" { type = "character varying(12)" from = "amount::text" }
    new "amount" { type = "numeric(10,2)" from = "amount::numeric" column = "amount_new" }
    lossless = true
    guard = "off"
}
"""

OTHERS = """
CREATE TABLE other (id int, role text, roles text, amount text, day date);
INSERT INTO other VALUES (1, 'o1', 'p1', '1.00', '2020-01-01'), (2, 'admin', 'p2', '7.50', NULL),
                         (9, NULL, NULL, NULL, '2021-05-05');
CREATE TABLE staging (id int, who text, what text[], much numeric);
INSERT INTO staging VALUES (11, 's1', '{s1}', 1.5), (12, 's2', '{s2,t2}', 2);
CREATE SEQUENCE word_seq;
CREATE FUNCTION volatile_word() RETURNS text LANGUAGE sql VOLATILE AS
    $$ SELECT md5(nextval('word_seq')::text) $$;
"""

CREATE = {
    "old": """
CREATE TABLE users (id serial PRIMARY KEY, role text DEFAULT 'user', name varchar(20), UNIQUE (name));
CREATE TABLE transactions (id int PRIMARY KEY, user_id int, amount varchar(12), day date DEFAULT '2000-01-01');
""",
    "new": """
CREATE TABLE users (id serial PRIMARY KEY, name varchar(20), roles text[] DEFAULT '{user}', UNIQUE (name));
CREATE TABLE transactions (id int PRIMARY KEY, user_id int, day date DEFAULT '2000-01-01', amount numeric(10,2));
""",
    "transition": """
CREATE TABLE users (id serial PRIMARY KEY, role text DEFAULT 'user', name varchar(20), roles text[],
                    UNIQUE (name));
CREATE TABLE transactions (id int PRIMARY KEY, user_id int, amount varchar(12),
                           day date DEFAULT '2000-01-01', amount_new numeric(10,2));
""",
}

USERS = [
    (1, "admin", "alice"),
    (2, "user", "bob"),
    (3, "admin,dev", "carol"),
    (4, None, "dave"),
    (5, "user", None),
]
TRANSACTIONS = [
    (1, 1, "10.50", "2020-01-01"),
    (2, 1, "7.50", "2020-01-02"),
    (3, 2, "10.50", None),
    (4, 3, None, "2020-02-01"),
    (5, 4, "100.00", "2020-03-01"),
]


def roles_of(role):
    return None if role is None else role.split(",")


def fill_plain(connection, shape):
    for id_, role, name in USERS:
        value = role if shape == "old" else roles_of(role)
        column = "role" if shape == "old" else "roles"
        connection.execute(
            f"INSERT INTO users (id, {column}, name) VALUES (%s, %s, %s)", (id_, value, name)
        )
    for row in TRANSACTIONS:
        connection.execute(
            "INSERT INTO transactions (id, user_id, amount, day) VALUES (%s, %s, %s, %s)", row
        )


def fill_transition(connection, phase):
    for id_, role, name in USERS:
        roles = roles_of(role)
        if phase == "old":
            roles = ["stale"] if id_ % 2 else None
        elif phase == "dual_old" and id_ in (1, 5):
            roles = None  # not backfilled yet
        elif phase == "new":
            role = "stale" if id_ % 2 else None
        connection.execute("INSERT INTO users VALUES (%s, %s, %s, %s)", (id_, role, name, roles))
    for id_, user, amount, day in TRANSACTIONS:
        new = amount
        if phase == "old":
            new = 99 if id_ % 2 else None
        elif phase == "dual_old" and id_ in (1, 4, 5):
            new = None
        elif phase == "new":
            amount = "99" if id_ % 2 else None
        connection.execute(
            "INSERT INTO transactions VALUES (%s, %s, %s, %s, %s)", (id_, user, amount, day, new)
        )


def database_of(shape=None, state=None):
    return f"plain_{shape}" if shape else f"transition_{state}"


def build(cluster):
    for shape in SHAPES:
        cluster.create_database(database_of(shape=shape))
        with cluster.connect(database_of(shape=shape)) as connection:
            connection.execute(CREATE[shape] + OTHERS)
            fill_plain(connection, shape)
            connection.execute("SELECT setval('users_id_seq', 100)")
    for state, (phase, stage) in STATES.items():
        cluster.create_database(database_of(state=state))
        with cluster.connect(database_of(state=state)) as connection:
            connection.execute(CREATE["old" if stage == "applied" else "transition"] + OTHERS)
            if stage == "applied":
                fill_plain(connection, "old")
            else:
                fill_transition(connection, phase)
            if stage == "contracted":
                connection.execute(CONTRACT)
            connection.execute("SELECT setval('users_id_seq', 100)")


def tool():
    segue = os.environ.get("SEGUE_BINARY")
    build_directory = (
        pathlib.Path(segue).parent
        if segue
        else pathlib.Path(__file__).resolve().parents[2] / "build" / "dev"
    )
    return build_directory / "tests" / "rewrite_tool"


def rewrite(cluster, directory, state, shape, statements):
    """The tool's answer for each statement, in one run."""
    path = pathlib.Path(directory) / "transitions.conf"
    path.write_text(TRANSITIONS)
    phase, stage = STATES[state]
    server = f"host=127.0.0.1 port={cluster.port} user=postgres dbname={database_of(state=state)}"
    done = subprocess.run(
        [tool(), server, path, phase, stage, shape],
        input="\0".join(statements).encode(), capture_output=True, check=False, timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(answers) == len(statements)
    return answers
