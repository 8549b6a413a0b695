"""
The arbiter of ON CONFLICT where the column has unique indexes: lossy ones, and those with an expression, a condition,
an operator class or a collation. See also cases_insert.py.

Segue's own names for the new side's indexes say whose they are. In LOSSY the phases come one after the other, so
that in dual_new the old index is still there; in BACK they came from `new`, and it is not.
"""

from case import Case
from world import DUAL, World

LOSSY_TRANSITION = """
transition "role" {
    table = "public.users"
    old "role"  { type = "text" from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]" from = "string_to_array(role, ',')" }
    lossless = false
}
"""
LOSSY_OLD = """
CREATE TABLE users (id int PRIMARY KEY, role text, n int, CONSTRAINT one_role UNIQUE (role));
CREATE UNIQUE INDEX users_pair ON users (n, role);
INSERT INTO users (id, role, n) VALUES (1, 'admin', 1), (2, 'a,b', 2), (3, NULL, 3);
"""
LOSSY_NEW = """
CREATE TABLE users (id int PRIMARY KEY, n int, roles text[], CONSTRAINT one_role UNIQUE (roles));
CREATE UNIQUE INDEX users_pair ON users (n, roles);
INSERT INTO users (id, roles, n) VALUES (1, '{admin}', 1), (2, '{"a,b"}', 2), (3, NULL, 3);
"""
LOSSY_WORDS = {
    "old": {"role": "role", "admin": "'admin'", "dev": "'dev'", "param": "admin", "plus": "EXCLUDED.role || '+'"},
    "new": {"role": "roles", "admin": "'{admin}'", "dev": "'{dev}'", "param": "{admin}",
            "plus": "EXCLUDED.roles || '+'::text"},
}
NEW_INDEXES = ("CREATE UNIQUE INDEX segue_role_1 ON users (roles); "
               "CREATE UNIQUE INDEX segue_role_2 ON users (n, roles);")
DROP_OLD = "ALTER TABLE users DROP CONSTRAINT one_role; DROP INDEX users_pair;"


def lossy(name, in_phase):
    return World(name=name, transitions=LOSSY_TRANSITION, old=LOSSY_OLD, new=LOSSY_NEW, words=LOSSY_WORDS,
                 contents=["SELECT * FROM users ORDER BY id"], in_phase=in_phase)


LOSSY = lossy("lossy", {"dual_own": NEW_INDEXES, "dual_new": NEW_INDEXES, "new": DROP_OLD + NEW_INDEXES})
BACK = lossy("back", {"dual_own": NEW_INDEXES, "dual_new": DROP_OLD + NEW_INDEXES, "new": DROP_OLD + NEW_INDEXES})

ON_THE_COLUMN = [
    "INSERT INTO users (id, {role}) VALUES (20, {admin}) ON CONFLICT ({role}) DO NOTHING",
    "INSERT INTO users (id, {role}) VALUES (20, {dev}), (21, {admin}) ON CONFLICT ({role}) DO UPDATE SET n = "
    "EXCLUDED.id RETURNING *",
    "INSERT INTO users AS u (id, {role}) VALUES (20, {admin}) ON CONFLICT ({role}) DO UPDATE SET {role} = {plus} "
    "WHERE u.{role} = EXCLUDED.{role} RETURNING id, {role}",
    "INSERT INTO users (id, {role}, n) VALUES (20, {admin}, 1) ON CONFLICT (n, {role}) DO UPDATE SET n = 9 RETURNING *",
    "INSERT INTO users (id, {role}) SELECT 20 + n, {role} FROM users ORDER BY id ON CONFLICT ({role}) DO UPDATE SET n "
    "= users.n + 50 RETURNING *",
    "INSERT INTO users (id, {role}) VALUES (20, NULL) ON CONFLICT ({role}) DO NOTHING RETURNING id",
    ("INSERT INTO users (id, {role}) VALUES ($1, $2) ON CONFLICT ({role}) DO UPDATE SET id = $1 RETURNING *",
     ["20", "{param}"]),
    "INSERT INTO users (id, {role}) VALUES (20, {admin}) ON CONFLICT ({role}) WHERE {role} IS NOT NULL DO NOTHING",
]
CONSTRAINT = "INSERT INTO users (id, {role}) VALUES (20, {admin}) ON CONFLICT ON CONSTRAINT one_role DO UPDATE SET " \
             "n = 7 RETURNING *"
# The column is not what arbitrates, or cannot be.
BESIDE = [
    "INSERT INTO users (id, {role}) VALUES (1, {dev}) ON CONFLICT (id) WHERE {role} IS NOT NULL DO UPDATE SET {role} = "
    "EXCLUDED.{role} RETURNING *",
    "INSERT INTO users (id, {role}) VALUES (1, {dev}) ON CONFLICT (lower({role}::text)) DO NOTHING",
    "INSERT INTO users (id, {role}) VALUES (20, {admin}) ON CONFLICT DO NOTHING",
]


def lossy_cases(refused):
    for shape, states in refused.items():
        for item in ON_THE_COLUMN:
            yield Case(item, only=shape, ordered=True, refused_in=states,
                       refused="ON CONFLICT on the column of a lossy transition")
        yield Case(CONSTRAINT, only=shape, refused_in=states,
                   refused="ON CONFLICT on a constraint of a lossy transition")
    yield from (Case(item, ordered=True) for item in BESIDE)


# ---- plain casts: what is said of one column is said of the other

TWINS = World(
    name="cast_keys",
    transitions="""
transition "name" {
    table = "public.people"
    old "name" { type = "character varying(20)" from = "name::character varying(20)" }
    new "name" { type = "text" from = "name::text" column = "name_new" }
    lossless = true
}
transition "code" {
    table = "public.codes"
    old "code" { type = "integer" from = "number::integer" }
    new "number" { type = "bigint" from = "code::bigint" }
    lossless = true
}
""",
    old="""
CREATE TABLE people (id int PRIMARY KEY, name varchar(20), alive bool);
CREATE TABLE codes (id int PRIMARY KEY, code int, kind text);
INSERT INTO people (id, name, alive) VALUES (1, 'Ann', true), (2, 'bo', false), (3, NULL, true);
INSERT INTO codes (id, code, kind) VALUES (1, 11, 'p'), (2, 22, 'q'), (3, NULL, NULL);
CREATE UNIQUE INDEX people_lower ON people (lower(name));
CREATE UNIQUE INDEX people_alive ON people (name COLLATE "C") WHERE alive;
CREATE UNIQUE INDEX people_like ON people (id, name varchar_pattern_ops);
CREATE UNIQUE INDEX codes_digit ON codes ((code % 10));
CREATE UNIQUE INDEX codes_kind ON codes (kind) WHERE code > 5;
CREATE UNIQUE INDEX codes_both ON codes (code int4_ops, kind);
""",
    new="""
CREATE TABLE people (id int PRIMARY KEY, alive bool, name text);
CREATE TABLE codes (id int PRIMARY KEY, kind text, number bigint);
INSERT INTO people (id, name, alive) VALUES (1, 'Ann', true), (2, 'bo', false), (3, NULL, true);
INSERT INTO codes (id, number, kind) VALUES (1, 11, 'p'), (2, 22, 'q'), (3, NULL, NULL);
CREATE UNIQUE INDEX people_lower ON people (lower(name));
CREATE UNIQUE INDEX people_alive ON people (name COLLATE "C") WHERE alive;
CREATE UNIQUE INDEX people_like ON people (id, name text_pattern_ops);
CREATE UNIQUE INDEX codes_digit ON codes ((number % 10));
CREATE UNIQUE INDEX codes_kind ON codes (kind) WHERE number > 5;
CREATE UNIQUE INDEX codes_both ON codes (number int8_ops, kind);
""",
    words={"old": {"code": "code", "ops": "int4_ops", "like": "varchar_pattern_ops"},
           "new": {"code": "number", "ops": "int8_ops", "like": "text_pattern_ops"}},
    contents=["SELECT * FROM people ORDER BY id", "SELECT * FROM codes ORDER BY id"],
    in_phase={phase: """
CREATE UNIQUE INDEX n1 ON people (lower(name_new));
CREATE UNIQUE INDEX n2 ON people (name_new COLLATE "C") WHERE alive;
CREATE UNIQUE INDEX n3 ON people (id, name_new text_pattern_ops);
CREATE UNIQUE INDEX n4 ON codes ((number % 10));
CREATE UNIQUE INDEX n5 ON codes (kind) WHERE number > 5;
CREATE UNIQUE INDEX n6 ON codes (number int8_ops, kind);
""" + ("" if phase == "dual_own" else """
DROP INDEX people_lower, people_alive, people_like, codes_digit, codes_kind, codes_both;
""") for phase in ("dual_own", "dual_new", "new")},
)

SAID = [
    "INSERT INTO people (id, name) VALUES (20, 'aNN') ON CONFLICT (lower(name)) DO UPDATE SET name = EXCLUDED.name "
    "RETURNING *",
    "INSERT INTO people (id, name) VALUES (20, 'cy') ON CONFLICT (lower(name)) DO NOTHING RETURNING *",
    "INSERT INTO people AS p (id, name, alive) VALUES (20, 'Ann', true) ON CONFLICT (name COLLATE \"C\") WHERE alive DO "
    "UPDATE SET name = p.name || EXCLUDED.id RETURNING name",
    "INSERT INTO people (id, name, alive) VALUES (20, 'Ann', true) ON CONFLICT (name COLLATE pg_catalog.\"C\") WHERE "
    "alive AND name <> '' DO NOTHING",
    "INSERT INTO people (id, name, alive) VALUES (20, 'bo', true) ON CONFLICT (name) WHERE alive DO NOTHING",
    "INSERT INTO people (id, name) VALUES (1, 'Ann') ON CONFLICT (id, name {like}) DO UPDATE SET alive = false "
    "RETURNING *",
    "INSERT INTO people (id, name) VALUES (20, 'Ann') ON CONFLICT (upper(name)) DO NOTHING",
    "INSERT INTO people (id, name) VALUES (20, 'Ann') ON CONFLICT (name COLLATE \"POSIX\") DO NOTHING",
    "INSERT INTO codes (id, {code}) VALUES (20, 31) ON CONFLICT (({code} % 10)) DO UPDATE SET {code} = EXCLUDED.{code} "
    "+ 2 RETURNING *",
    "INSERT INTO codes (id, {code}, kind) VALUES (20, 99, 'p') ON CONFLICT (kind) WHERE {code} > 5 DO UPDATE SET "
    "{code} = codes.{code} + EXCLUDED.{code} RETURNING *",
    "INSERT INTO codes (id, {code}, kind) VALUES (20, 3, 'p') ON CONFLICT (kind) WHERE {code} > 5 DO NOTHING "
    "RETURNING *",
    "INSERT INTO codes (id, {code}, kind) VALUES (20, 99, 'p') ON CONFLICT (kind) WHERE {code} > 4 DO NOTHING",
    "INSERT INTO codes (id, {code}, kind) VALUES (20, 22, 'q') ON CONFLICT ({code} {ops}, kind) DO UPDATE SET kind = "
    "'z' RETURNING *",
    "INSERT INTO codes (id, {code}, kind) VALUES (20, 22, 'q') ON CONFLICT (kind, {code} pg_catalog.{ops}) DO NOTHING",
    "INSERT INTO codes (id, {code}) VALUES (1, 5) ON CONFLICT (id) WHERE {code} IS NULL DO UPDATE SET {code} = "
    "EXCLUDED.{code} RETURNING *",
    ("INSERT INTO codes (id, {code}) VALUES ($1, $2) ON CONFLICT (({code} % 10)) DO UPDATE SET id = $1 RETURNING *",
     ["20", "41"]),
]

CASES = {
    LOSSY: [*lossy_cases({"old": ("new", "contracted"), "new": ("dual_old",)})],
    BACK: [Case(item, only="old", ordered=True, states=DUAL, refused_in=("dual_new",),
                refused="ON CONFLICT on the column of a lossy transition") for item in ON_THE_COLUMN[:3]],
    TWINS: [Case(item, ordered=True) for item in SAID],
}
