"""
The world of the generator: three tables in transition, one that is not but has columns of the same
names, one that shadows nothing and joins with all. Whatever a statement writes must convert, so a
column's *kind* says what may be put into it:

    int, text, num, date, bool, arr (text[])    as PostgreSQL's types
    money    text that is a number (old shape), numeric (new shape)
    qty      integer (old shape), bigint (new)
"""

from world import World

TRANSITIONS = """
transition "users_role" {
    table = "public.users"
    old "role"  { type = "text" from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]"  from = "string_to_array(role, ',')" }
    lossless = false
}
transition "amount" {
    table = "public.payments"
    old "amount" { type = "character varying(14)" from = "amount::text" }
    new "amount" { type = "numeric(10,2)" from = "amount::numeric" column = "amount_new" }
    lossless = true
}
transition "quantity" {
    table = "public.\\"Order Items\\""
    old "Größe"    { type = "integer" from = "\\"Quantity\\"::integer" }
    new "Quantity" { type = "bigint"  from = "\\"Größe\\"::bigint" }
    lossless = true
}
"""

COMMON = """
CREATE TABLE notes (id int, user_id int, role text, amount text, day date);
INSERT INTO notes VALUES (1, 1, 'admin', '10.50', '2020-01-01'), (2, 2, NULL, '7.50', NULL),
                         (3, 2, 'x', NULL, '2020-01-02'), (9, NULL, NULL, NULL, '2021-05-05');
CREATE SEQUENCE word_seq;
CREATE FUNCTION volatile_word() RETURNS text LANGUAGE sql VOLATILE AS
    $$ SELECT 'w' || nextval('word_seq')::text $$;
"""

OLD = """
CREATE TABLE users (id serial PRIMARY KEY, role text DEFAULT 'user', name varchar(40), UNIQUE (name));
CREATE TABLE payments (id int PRIMARY KEY, user_id int, amount varchar(14) DEFAULT '0.00', day date,
                       twice int GENERATED ALWAYS AS (user_id * 2) STORED);
CREATE TABLE "Order Items" (id int PRIMARY KEY, "Größe" int NOT NULL DEFAULT 1, user_id int, "select" text);
INSERT INTO users (id, role, name) VALUES
    (1, 'admin', 'alice'), (2, 'user', 'bob'), (3, 'admin,dev', 'carol'), (4, NULL, 'dave'),
    (5, 'user', NULL), (6, 'a,b', 'é'), (7, '', 'gus');
INSERT INTO "Order Items" VALUES (1, 3, 1, 'p'), (2, 0, 2, NULL), (3, -7, 2, 'admin'), (4, 100, NULL, 'q');
"""
NEW = """
CREATE TABLE users (id serial PRIMARY KEY, name varchar(40), roles text[] DEFAULT '{user}', UNIQUE (name));
CREATE TABLE payments (id int PRIMARY KEY, user_id int, day date,
                       twice int GENERATED ALWAYS AS (user_id * 2) STORED, amount numeric(10,2) DEFAULT 0);
CREATE TABLE "Order Items" (id int PRIMARY KEY, user_id int, "select" text,
                            "Quantity" bigint NOT NULL DEFAULT 1);
INSERT INTO users (id, roles, name) VALUES
    (1, '{admin}', 'alice'), (2, '{user}', 'bob'), (3, '{admin,dev}', 'carol'), (4, NULL, 'dave'),
    (5, '{user}', NULL), (6, '{"a,b"}', 'é'), (7, '{}', 'gus');
INSERT INTO "Order Items" (id, "Quantity", user_id, "select") VALUES
    (1, 3, 1, 'p'), (2, 0, 2, NULL), (3, -7, 2, 'admin'), (4, 100, NULL, 'q');
"""
ROWS = """
INSERT INTO payments (id, user_id, amount, day) VALUES
    (1, 1, '10.50', '2020-01-01'), (2, 1, '7.50', '2020-01-02'), (3, 2, '10.50', NULL),
    (4, 3, NULL, '2020-02-01'), (5, 4, '100.00', '2020-03-01'), (6, NULL, '-0.25', '2020-03-01');
"""

GARDEN = World(
    name="garden",
    transitions=TRANSITIONS,
    common=COMMON,
    old=OLD + ROWS,
    new=NEW + ROWS,
    contents=[
        "SELECT * FROM users ORDER BY id, name",
        "SELECT * FROM payments ORDER BY id",
        'SELECT * FROM "Order Items" ORDER BY id',
        "SELECT * FROM notes ORDER BY id, role, amount",
    ],
    reset="SELECT setval('users_id_seq', 100), setval('word_seq', 1, false)",
    restorable=True,
)


class Table:
    def __init__(self, name, columns, key="id", generated=()):
        self.name = name
        self.columns = columns
        self.key = key
        self.generated = generated

    def writable(self):
        return [(name, kind) for name, kind in self.columns if name not in self.generated]


# As clients of each shape have them, in the order of their columns.
TABLES = {
    "old": [
        Table("users", [("id", "int"), ("role", "text"), ("name", "text")]),
        Table("payments", [("id", "int"), ("user_id", "int"), ("amount", "money"), ("day", "date"),
                           ("twice", "int")], generated=("twice",)),
        Table("Order Items", [("id", "int"), ("Größe", "qty"), ("user_id", "int"), ("select", "text")]),
        Table("notes", [("id", "int"), ("user_id", "int"), ("role", "text"), ("amount", "text"),
                        ("day", "date")], key=None),
    ],
    "new": [
        Table("users", [("id", "int"), ("name", "text"), ("roles", "arr")]),
        Table("payments", [("id", "int"), ("user_id", "int"), ("day", "date"), ("twice", "int"),
                           ("amount", "money")], generated=("twice",)),
        Table("Order Items", [("id", "int"), ("user_id", "int"), ("select", "text"), ("Quantity", "qty")]),
        Table("notes", [("id", "int"), ("user_id", "int"), ("role", "text"), ("amount", "text"),
                        ("day", "date")], key=None),
    ],
}
