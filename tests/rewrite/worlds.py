"""
The worlds that most cases share.

SHOP: `users` changes lossily (text to text[]), `transactions` losslessly and under one name (text to
numeric).
"""

from world import World

SHOP_TRANSITIONS = """
transition "users_role" {
    table = "public.users"
    old "role"  { type = "text" from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]"  from = "string_to_array(role, ',')" }
    lossless = false
}
transition "amount" {
    table = "public.transactions"
    old "amount" { type = "character varying(12)" from = "amount::text" }
    new "amount" { type = "numeric(10,2)" from = "amount::numeric" column = "amount_new" }
    lossless = true
}
"""

SHOP_COMMON = """
CREATE TABLE other (id int, role text, roles text, amount text, day date);
INSERT INTO other VALUES (1, 'o1', 'p1', '1.00', '2020-01-01'), (2, 'admin', 'p2', '7.50', NULL),
                         (9, NULL, NULL, NULL, '2021-05-05');
CREATE TABLE staging (id int, who text, what text[], much numeric);
INSERT INTO staging VALUES (11, 's1', '{s1}', 1.5), (12, 's2', '{s2,t2}', 2);
CREATE SEQUENCE word_seq;
CREATE FUNCTION volatile_word() RETURNS text LANGUAGE sql VOLATILE AS
    $$ SELECT md5(nextval('word_seq')::text) $$;
"""

SHOP_TABLES = {
    "old": """
CREATE TABLE users (id serial PRIMARY KEY, role text DEFAULT 'user', name varchar(20), UNIQUE (name));
CREATE TABLE transactions (id int PRIMARY KEY, user_id int, amount varchar(12),
                           day date DEFAULT '2000-01-01');
INSERT INTO users (id, role, name) VALUES
    (1, 'admin', 'alice'), (2, 'user', 'bob'), (3, 'admin,dev', 'carol'), (4, NULL, 'dave'),
    (5, 'user', NULL), (6, 'a,b', 'frank');
""",
    "new": """
CREATE TABLE users (id serial PRIMARY KEY, name varchar(20), roles text[] DEFAULT '{user}', UNIQUE (name));
CREATE TABLE transactions (id int PRIMARY KEY, user_id int, day date DEFAULT '2000-01-01',
                           amount numeric(10,2));
INSERT INTO users (id, roles, name) VALUES
    (1, '{admin}', 'alice'), (2, '{user}', 'bob'), (3, '{admin,dev}', 'carol'), (4, NULL, 'dave'),
    (5, '{user}', NULL), (6, '{"a,b"}', 'frank');
""",
}
SHOP_ROWS = """
INSERT INTO transactions (id, user_id, amount, day) VALUES
    (1, 1, '10.50', '2020-01-01'), (2, 1, '7.50', '2020-01-02'), (3, 2, '10.50', NULL),
    (4, 3, NULL, '2020-02-01'), (5, 4, '100.00', '2020-03-01');
"""

# {role} the column; {hidden} the other shape's; {admin}, {dev}, {two}, {other} literals of it; {array} its
# type; {append} an expression; {volatile} one that differs at each evaluation; {param} the text of a
# parameter. {n} a literal of transactions.amount, {nparam} a parameter's text, {number} its type.
SHOP_WORDS = {
    "old": {
        "role": "role", "hidden": "roles", "admin": "'admin'", "dev": "'dev'", "two": "'dev,ops'",
        "array": "text", "param": "dev,ops", "n": "'12.25'", "nparam": "12.25", "other": "'user'",
        "append": "role || ',x'", "number": "varchar", "volatile": "volatile_word()",
    },
    "new": {
        "role": "roles", "hidden": "role", "admin": "'{admin}'", "dev": "'{dev}'",
        "two": "'{dev,ops}'", "array": "text[]", "param": "{dev,ops}", "n": "12.25",
        "nparam": "12.25", "other": "'{user}'", "append": "roles || 'x'::text",
        "number": "numeric", "volatile": "ARRAY[volatile_word()]",
    },
}

SHOP = World(
    name="shop",
    transitions=SHOP_TRANSITIONS,
    common=SHOP_COMMON,
    old=SHOP_TABLES["old"] + SHOP_ROWS,
    new=SHOP_TABLES["new"] + SHOP_ROWS,
    words=SHOP_WORDS,
    contents=[
        "SELECT * FROM users ORDER BY id, name",
        "SELECT * FROM transactions ORDER BY id",
        "SELECT * FROM other ORDER BY id, role",
        "SELECT * FROM staging ORDER BY id, who",
    ],
    reset="SELECT setval('users_id_seq', 100), setval('word_seq', 1, false)",
)
