"""
GROUP BY a primary key, which implies the other columns: of a table that has become a derived table, of a
key that is itself in transition, alone or with another column; and grouped columns in sub-selects.

`people` changes lossily (text to text[]); `lines` has a key of two columns, one of them in transition (int
to bigint), and another transition; `things` has one column for a key (int to text).

{role} is the column of `people`; {admin} a literal of it.
"""

from case import Case
from world import World

TRANSITIONS = """
transition "role" {
    table = "public.people"
    old "role"  { type = "text"   from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]" from = "string_to_array(role, ',')" }
    lossless = false
}
transition "label" {
    table = "public.people"
    old "label" { type = "text" from = "tag" }
    new "tag"   { type = "text" from = "label" }
    lossless = true
}
transition "line_no" {
    table = "public.lines"
    old "no" { type = "integer" from = "no::integer" }
    new "no" { type = "bigint"  from = "no::bigint" column = "no_new" }
    lossless = true
}
transition "line_price" {
    table = "public.lines"
    old "price" { type = "character varying(12)" from = "price::text" }
    new "price" { type = "numeric(10,2)" from = "price::numeric" column = "price_new" }
    lossless = true
}
transition "thing_id" {
    table = "public.things"
    old "id" { type = "integer" from = "id::integer" }
    new "id" { type = "text" from = "id::text" column = "id_new" }
    lossless = true
}
"""
COMMON = """
CREATE TABLE other (id int, role text, roles text[], no int, "order" int, price text);
INSERT INTO other VALUES (1, 'admin', '{admin}', 1, 10, '1.00'), (2, 'user', '{user}', 2, 11, '2.50'),
                         (3, 'admin,dev', '{admin,dev}', 3, 20, NULL), (9, NULL, NULL, NULL, NULL, NULL);
"""
OLD = """
CREATE TABLE people (id int PRIMARY KEY, role text, name varchar(20) UNIQUE, note json, label text);
INSERT INTO people VALUES (1, 'admin', 'alice', '{"a": 1}', 'x'), (2, 'user', 'bob', NULL, 'y'),
                          (3, 'admin,dev', 'carol', '[]', NULL), (4, NULL, NULL, '{}', 'x');
CREATE TABLE lines ("order" int, no int, price varchar(12), what text, PRIMARY KEY ("order", no));
INSERT INTO lines VALUES (10, 1, '1.00', 'a'), (11, 2, '2.50', 'b'), (20, 1, NULL, 'c'), (21, 3, '1.00', 'a');
CREATE TABLE things (id int PRIMARY KEY, what text, weight int);
INSERT INTO things VALUES (1, 'a', 5), (2, 'b', NULL), (3, 'a', 7);
"""
NEW = """
CREATE TABLE people (id int PRIMARY KEY, name varchar(20) UNIQUE, note json, roles text[], tag text);
INSERT INTO people VALUES (1, 'alice', '{"a": 1}', '{admin}', 'x'), (2, 'bob', NULL, '{user}', 'y'),
                          (3, 'carol', '[]', '{admin,dev}', NULL), (4, NULL, '{}', NULL, 'x');
CREATE TABLE lines ("order" int, what text, no bigint, price numeric(10,2), PRIMARY KEY ("order", no));
INSERT INTO lines VALUES (10, 'a', 1, '1.00'), (11, 'b', 2, '2.50'), (20, 'c', 1, NULL), (21, 'a', 3, '1.00');
CREATE TABLE things (what text, weight int, id text PRIMARY KEY);
INSERT INTO things VALUES ('a', 5, '1'), ('b', NULL, '2'), ('a', 7, '3');
"""
WORDS = {
    "old": {"role": "role", "label": "label", "admin": "'admin'", "text": "role", "one": "1", "c": "a", "abc": "b, c"},
    "new": {"role": "roles", "label": "tag", "admin": "'{admin}'",
            "text": "array_to_string(roles, ',')", "one": "'1'", "c": "c", "abc": "c, x, b"},
}

DERIVED = [
    # what is merged is in transition, so the table becomes a derived one
    "SELECT id, {role}, name, count(*) FROM people JOIN other USING (id, {role}) GROUP BY id ORDER BY id",
    "SELECT l.*, count(*) FROM lines l JOIN other o USING (price) GROUP BY l.\"order\", l.no ORDER BY l.\"order\"",
    "SELECT p.{role}, p.{label}, o.id FROM people p LEFT JOIN other o USING ({role}) GROUP BY p.id, o.id ORDER BY p.id",
    "SELECT {role}, p.{label} FROM other o RIGHT JOIN people p USING ({role}) GROUP BY p.id ORDER BY p.id",
    "SELECT p.{label}, count(o.id) FROM other o FULL JOIN people p USING ({role}) GROUP BY p.id ORDER BY p.id",
    "SELECT {role}, p.{label} FROM other o FULL JOIN people p USING ({role}) GROUP BY p.id ORDER BY p.id",
    'SELECT *, count(*) OVER () FROM lines NATURAL JOIN (SELECT "order", 2 AS two FROM other) x GROUP BY "order", lines.no, two ORDER BY 1, 2',
    "SELECT id, name, {role} FROM people NATURAL LEFT JOIN (SELECT id, 2 AS two FROM other) x GROUP BY id ORDER BY 1",
    "SELECT id, name FROM (SELECT id FROM other) x NATURAL LEFT JOIN people GROUP BY id",
    "SELECT id, name FROM (SELECT id FROM other) x NATURAL RIGHT JOIN people GROUP BY id ORDER BY 1",
    "SELECT id, name FROM (SELECT id FROM other) x NATURAL FULL JOIN people GROUP BY id",
    "SELECT j.{role}, j.name FROM (people p LEFT JOIN other o ON o.id = p.id + 100) AS j GROUP BY j.id ORDER BY j.name",
    "SELECT j.{c}, j.b FROM (things t CROSS JOIN (SELECT 1) one) AS j(a, b, c) GROUP BY {c} ORDER BY {c}",
    "SELECT a, b, c, count(*) FROM people AS p(a, {abc}) GROUP BY a ORDER BY a",
    "SELECT t.*, 1 FROM things AS t(a, b, c) GROUP BY {c} ORDER BY {c}",
    "SELECT a, b, c FROM things AS t(a, b, c) GROUP BY {c}, ROLLUP (b) ORDER BY {c}, b",
    "SELECT b FROM people AS p(a, {abc}) GROUP BY a ORDER BY c, a",
    "SELECT max(e), a FROM people AS p(a, b, c, d, e) GROUP BY a HAVING max(c) IS NOT NULL OR b IS NULL ORDER BY a",
    "SELECT (SELECT count(*) FROM other o WHERE o.role = p.b::text) FROM people AS p(a, {abc}) GROUP BY p.a ORDER BY a",
    "SELECT b AS k, a AS g FROM people AS p(a, {abc}) GROUP BY g ORDER BY g",
    "SELECT a, b, c FROM people AS p(a, {abc}) GROUP BY 1 ORDER BY 1",
    "SELECT b, c FROM people AS p(a, {abc}) GROUP BY (a, 1) ORDER BY c",
    "SELECT a, lag(b) OVER (ORDER BY c, a) FROM people AS p(a, {abc}) GROUP BY a ORDER BY 1",
    "SELECT a, rank() OVER w FROM people AS p(a, {abc}) GROUP BY a WINDOW w AS (ORDER BY b, a) ORDER BY 1",
    "SELECT x.b, x.n FROM (SELECT a, b, count(*) AS n FROM people AS p(a, {abc}) GROUP BY a) x ORDER BY x.a",
    "SELECT p.b, q.name FROM people AS p(a, {abc}), people q WHERE q.id = p.a GROUP BY p.a, q.id ORDER BY p.a",
    "SELECT p.{role}, q.{role} FROM people p JOIN people q USING ({role}) GROUP BY p.id, q.id ORDER BY p.id, q.id",
    "SELECT p.{role}, q.name FROM people p JOIN people q USING ({role}) GROUP BY p.id",
    'SELECT "order", l.no, what, price FROM lines l JOIN other o USING ("order", no) GROUP BY "order", l.no ORDER BY 1, 2',
    'SELECT what, price, count(*) FROM lines l JOIN other o USING ("order", price) GROUP BY l."order", l.no ORDER BY 1, 2',
    'SELECT what FROM lines l JOIN other o USING ("order", no) GROUP BY "order"',
    'SELECT what FROM lines l(a, b) GROUP BY b, a ORDER BY a, b',
    'SELECT what FROM lines l(a, b) GROUP BY b',
    "SELECT what, t.weight FROM things t JOIN (SELECT {one} AS id) o USING (id) GROUP BY t.id",
    "SELECT row_to_json(l) FROM lines l JOIN other o USING (\"order\", price) GROUP BY l.\"order\", l.no ORDER BY l.\"order\"",
    # what is not implied is still refused
    "SELECT id, name FROM people JOIN other USING (id, {role}) GROUP BY {role}, name, people.id",
    "SELECT id, name FROM people JOIN other USING (id, {role}) GROUP BY {role}",
    "SELECT b FROM people AS p(a, {abc}) GROUP BY c",
    "SELECT o.id, p.b FROM people AS p(a, {abc}), other o GROUP BY o.id",
    "SELECT o.price FROM people AS p(a, {abc}), other o GROUP BY a",
    "SELECT b FROM people AS p(a, {abc}) GROUP BY GROUPING SETS ((b), (a, c))",
    # a key that is in each of several sets
    "SELECT a, b, c, count(*) FROM people AS p(a, {abc}) GROUP BY GROUPING SETS ((a), (a, c)) ORDER BY a, c, b",
    "SELECT a, b, grouping(c) FROM people AS p(a, {abc}) GROUP BY GROUPING SETS ((c, a), a, (a, c)), (), c ORDER BY 1, 2, 3",
    "SELECT a, b FROM people AS p(a, {abc}) GROUP BY GROUPING SETS (a, ROLLUP (a))",
    "SELECT {c}, b FROM things AS t(a, b, c) GROUP BY GROUPING SETS ({c}, ({c}, a)) ORDER BY {c}, b",
    "SELECT b FROM people AS p(a, {abc}) GROUP BY a + 1",
    "SELECT x.b FROM (SELECT * FROM people) AS x(a, b, c) GROUP BY a",
    "SELECT b FROM people AS p(a, {abc}) GROUP BY ALL a ORDER BY a",
    "SELECT b FROM people AS p(a, {abc}) GROUP BY DISTINCT a ORDER BY a",
]
KEYS = [
    'SELECT "order", no, what, price FROM lines GROUP BY "order", no ORDER BY 1, 2',
    'SELECT no, "order", what, price FROM lines GROUP BY 1, 2 ORDER BY 1, 2',
    'SELECT no AS n, "order" AS o, what FROM lines GROUP BY n, o ORDER BY 1, 2',
    'SELECT *, count(*) FROM lines GROUP BY 1, 2, 3, 4 ORDER BY "order", no',
    'SELECT * FROM lines l GROUP BY l.no, l."order" ORDER BY l."order", l.no',
    'SELECT what, max(price) FROM lines GROUP BY ("order", no) ORDER BY 1, 2',
    'SELECT l.what, count(o.id) FROM lines l LEFT JOIN other o ON o.no = l.no GROUP BY l."order", l.no ORDER BY 1, 2',
    'SELECT l.what, l.price, m.price FROM lines l JOIN lines m ON m.no = l.no GROUP BY l."order", l.no, m."order", m.no ORDER BY 1, 2, 3',
    'SELECT no, what FROM lines GROUP BY no',
    'SELECT no, what FROM lines GROUP BY 1',
    'SELECT "order", what FROM lines GROUP BY "order"',
    'SELECT no, count(*) FROM lines GROUP BY no ORDER BY 1',
    'SELECT no, count(*) FROM lines GROUP BY 1 ORDER BY 1',
    'SELECT no + 1 AS no, count(*) FROM lines GROUP BY no ORDER BY 1',
    'SELECT price AS no, count(*) FROM lines GROUP BY 1 ORDER BY 1',
    "SELECT id, what, weight FROM things GROUP BY id ORDER BY id",
    "SELECT id, what, weight FROM things GROUP BY 1 ORDER BY id",
    "SELECT what, id FROM things GROUP BY 2 ORDER BY 2",
    "SELECT what, id AS i FROM things GROUP BY i ORDER BY 2",
    "SELECT what, things.id::text FROM things GROUP BY things.id ORDER BY 2",
    "SELECT * FROM things GROUP BY id ORDER BY id",
    "SELECT what, id FROM things GROUP BY 1",
    "SELECT id, what FROM things GROUP BY 3",
    "SELECT id, what FROM things GROUP BY id, 1 ORDER BY 1",
    "SELECT weight FROM things GROUP BY ALL id ORDER BY id",
    "SELECT id, weight FROM things GROUP BY ALL 1 ORDER BY id",
    "SELECT row_to_json(t) FROM things t GROUP BY id ORDER BY id",
    "SELECT (SELECT max(o.role) FROM other o WHERE o.id = t.weight OR o.role = t.what) FROM things t GROUP BY id ORDER BY id",
    "SELECT (SELECT t.id) FROM things t GROUP BY id ORDER BY 1",
    ("SELECT id, what, $1::int FROM things GROUP BY 1 ORDER BY id", ["1"]),
]
BELOW = [
    "SELECT {role}, (SELECT count(*) FROM other o WHERE o.{role} = people.{role}) FROM people GROUP BY {role} ORDER BY 1",
    "SELECT {role} FROM people p GROUP BY {role} HAVING EXISTS (SELECT 1 FROM other o WHERE o.{role} = p.{role}) ORDER BY 1",
    "SELECT {role}, count(*) FROM people p GROUP BY {role} ORDER BY (SELECT max(o.id) FROM other o WHERE o.{role} = p.{role}), 1",
    "SELECT {role}, name, (SELECT p.{role}) FROM people p GROUP BY {role}, id ORDER BY id",
    "SELECT {role}, name, note, (SELECT p.{role}) FROM people p GROUP BY id ORDER BY id",
    "SELECT name, (SELECT p.{role}) FROM people p GROUP BY name ORDER BY 1",
    "SELECT count(*), (SELECT max(q.id) FROM people q WHERE q.{role} = p.{role}) FROM people p GROUP BY p.{role} ORDER BY 1, 2",
    "SELECT price, (SELECT count(*) FROM other o WHERE o.price = l.price::text) FROM lines l GROUP BY price ORDER BY 1",
    "SELECT price, (SELECT l.price FROM other LIMIT 1) AS again FROM lines l GROUP BY 1 ORDER BY 1",
    "SELECT p.{role}, (SELECT (SELECT p.{role} LIMIT 1)) AS deep FROM people p GROUP BY p.{role} ORDER BY 1",
    "SELECT p.{role}, (WITH x AS (SELECT p.{role} AS r) SELECT r FROM x) FROM people p GROUP BY p.{role} ORDER BY 1",
    "SELECT p.{role}, max((SELECT p.{label})) FROM people p GROUP BY p.{role} ORDER BY 1",
    "SELECT p, (SELECT row_to_json(p)) FROM (SELECT id, {role} FROM people) p GROUP BY p ORDER BY 1",
    "SELECT {role}, (SELECT p.{role}), count(*) FROM people p GROUP BY ROLLUP ({role}) ORDER BY 1, 3",
    "SELECT (SELECT {role}) AS r, count(*) FROM people GROUP BY (SELECT {role}) ORDER BY 1",
    "SELECT p.{role}, x.n FROM people p, LATERAL (SELECT count(*) AS n FROM other o WHERE o.{role} = p.{role}) x "
    "GROUP BY p.{role}, x.n ORDER BY 1",
    "SELECT (SELECT o.price AS {label} FROM other o WHERE o.id = 1 GROUP BY {label}) FROM people ORDER BY id",
    "UPDATE other SET price = (SELECT max(p.name) FROM people p GROUP BY p.{role} HAVING (SELECT p.{role}) = other.{role})",
]
HANDED_OVER = '''
ALTER TABLE lines DROP CONSTRAINT lines_pkey, ADD CONSTRAINT lines_pkey PRIMARY KEY ("order", no_new);
ALTER TABLE things DROP CONSTRAINT things_pkey, ADD CONSTRAINT things_pkey PRIMARY KEY (id_new);
'''

GROUPS = World(
    name="groups",
    transitions=TRANSITIONS,
    common=COMMON,
    old=OLD,
    new=NEW,
    words=WORDS,
    contents=["SELECT * FROM people ORDER BY id", 'SELECT * FROM lines ORDER BY "order", no',
              "SELECT * FROM other ORDER BY id"],
    in_phase={"new": HANDED_OVER},
)
CASES = {GROUPS: DERIVED + KEYS + BELOW}
