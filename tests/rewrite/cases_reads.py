"""
Reading: every way to name a column, a row or a table. Several transitions on one table, a conversion
that makes something of NULL, a column with a collation of its own, names that need quotes.

{role}, {act} and {label} are the columns, {xrole} and {xact} what the other shape calls them; {admin},
{two}, {on} and {n} literals; {array} and {flag} types; {weird} and {xweird} are columns of "Größe 1".
"""

from case import Case
from world import STATES, World

TRANSITIONS = """
transition "role" {
    table = "public.people"
    old "role"  { type = "text"   from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]" from = "string_to_array(role, ',')" }
    lossless = false
}
transition "active" {
    table = "public.people"
    old "active" { type = "boolean" from = "CASE status WHEN 'on' THEN true WHEN 'off' THEN false END" }
    new "status" { type = "character varying(9)"
                   from = "CASE WHEN active THEN 'on' WHEN NOT active THEN 'off' ELSE 'unknown' END" }
    lossless = true
}
transition "label" {
    table = "public.people"
    old "label" { type = "text" from = "tag" }
    new "tag"   { type = "text" from = "label" }
    lossless = true
}
transition "amount" {
    table = "public.payments"
    old "amount" { type = "character varying(12)" from = "amount::text" }
    new "amount" { type = "numeric(10,2)" from = "amount::numeric" column = "amount_new" }
    lossless = true
}
transition "key" {
    table = "public.payments"
    old "ref" { type = "integer" from = "ref::integer" }
    new "ref" { type = "bigint"  from = "ref::bigint" column = "ref_new" }
    lossless = true
}
transition "weird" {
    table = "public.\\"Größe 1\\""
    old "select" { type = "integer" from = "\\"Ünd so\\"::integer" }
    new "Ünd so" { type = "text"    from = "\\"select\\"::text" }
    lossless = true
}
"""

COMMON = """
CREATE TABLE other (id int PRIMARY KEY, role text, roles text[], amount text, status text, ref int);
INSERT INTO other VALUES (1, 'admin', '{admin}', '1.00', 'on', 7), (2, 'user', '{x}', '7.50', NULL, 8),
                         (9, NULL, NULL, NULL, 'off', 9);
CREATE TABLE empty (id int, person_id int);
CREATE TYPE pair AS (a int, b text);
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.people (id int, word text);
INSERT INTO elsewhere.people VALUES (1, 'elsewhere');
"""

OLD = """
CREATE TABLE people (id serial PRIMARY KEY, role text, name varchar(20) UNIQUE, active boolean, boss int,
                     label text COLLATE "en-x-icu");
CREATE TABLE payments (id int PRIMARY KEY, person_id int, amount varchar(12), day date, note json, ref int);
CREATE TABLE "Größe 1" ("Id" int PRIMARY KEY, "select" int, "from" text);
INSERT INTO people VALUES
    (1, 'admin', 'alice', true, NULL, 'b'), (2, 'user', 'bob', false, 1, 'B'),
    (3, 'admin,dev', 'carol', NULL, 1, 'a'), (4, NULL, 'dave', true, 2, 'Z'),
    (5, 'user', NULL, false, 2, NULL);
INSERT INTO payments VALUES
    (1, 1, '10.50', '2020-01-01', '{"a": 1}', 7), (2, 1, '7.50', '2020-01-02', NULL, 8),
    (3, 2, '10.50', NULL, '[]', 9), (4, 3, NULL, '2020-02-01', '{}', NULL),
    (5, 44, '100.00', '2020-03-01', '{}', 70000);
INSERT INTO "Größe 1" VALUES
    (1, 10, 'x'), (2, NULL, 'y'), (3, 30, NULL);
"""

NEW = """
CREATE TABLE people (id serial PRIMARY KEY, name varchar(20) UNIQUE, boss int, roles text[],
                     status varchar(9), tag text);
CREATE TABLE payments (id int PRIMARY KEY, person_id int, day date, note json, amount numeric(10,2),
                       ref bigint);
CREATE TABLE "Größe 1" ("Id" int PRIMARY KEY, "from" text, "Ünd so" text);
INSERT INTO people VALUES
    (1, 'alice', NULL, '{admin}', 'on', 'b'), (2, 'bob', 1, '{user}', 'off', 'B'),
    (3, 'carol', 1, '{admin,dev}', 'unknown', 'a'), (4, 'dave', 2, NULL, 'on', 'Z'),
    (5, NULL, 2, '{user}', 'off', NULL);
INSERT INTO payments VALUES
    (1, 1, '2020-01-01', '{"a": 1}', '10.50', 7), (2, 1, '2020-01-02', NULL, '7.50', 8),
    (3, 2, NULL, '[]', '10.50', 9), (4, 3, '2020-02-01', '{}', NULL, NULL),
    (5, 44, '2020-03-01', '{}', '100.00', 70000);
INSERT INTO "Größe 1" VALUES
    (1, 'x', '10'), (2, 'y', NULL), (3, NULL, '30');
"""

WORDS = {
    "old": {
        "role": "role", "ROLE": "ROLE", "Role": "Role", "xrole": "roles", "act": "active", "xact": "status", "label": "label",
        "admin": "'admin'", "two": "'admin,dev'", "on": "true", "n": "'10.50'", "array": "text",
        "flag": "boolean", "weird": '"select"', "xweird": '"Ünd so"', "ten": "10", "number": "varchar",
        "role_value": "admin", "act_value": "t",
    },
    "new": {
        "role": "roles", "ROLE": "ROLES", "Role": "Roles", "xrole": "role", "act": "status", "xact": "active", "label": "tag",
        "admin": "'{admin}'", "two": "'{admin,dev}'", "on": "'on'", "n": "10.50", "array": "text[]",
        "flag": "varchar", "weird": '"Ünd so"', "xweird": '"select"', "ten": "'10'",
        "number": "numeric",
        "role_value": "{admin}", "act_value": "on",
    },
}

ROWS = [
    "SELECT row_to_json(p) FROM people p ORDER BY id",
    "SELECT row_to_json(people) FROM people ORDER BY id",
    "SELECT to_jsonb(p.*) FROM people p ORDER BY p.id",
    "SELECT p.id, row_to_json(q), q IS NULL, to_json(q) IS NULL FROM people p LEFT JOIN people q "
    "ON q.id = p.boss ORDER BY 1",
    "SELECT count(q), count(q.*), count(*) FROM people p LEFT JOIN people q ON q.id = p.boss",
    "SELECT p FROM people p ORDER BY id",
    "SELECT p AS x, people FROM people p JOIN payments people ON people.person_id = p.id ORDER BY p.id",
    "SELECT p.*::text FROM people p ORDER BY id",
    "SELECT p::text AS t FROM people p ORDER BY id",
    # the row type of its own table is no cast; a row of a shape is a record
    "SELECT p::people FROM people p ORDER BY id",
    "SELECT p::public.people AS x, CAST(p AS people), CAST ( (p) AS public . people ) FROM people p ORDER BY id",
    "SELECT (p.*)::people::text FROM people p ORDER BY id",
    "SELECT to_jsonb(p::people) FROM people p WHERE p::people IS NOT NULL ORDER BY id",
    "SELECT (x.p).{role} FROM (SELECT p::people FROM people p) x ORDER BY 1",
    "SELECT p::people FROM people p JOIN other o USING (id, {role}) ORDER BY id",
    "SELECT q.id, q::people IS NULL FROM other o LEFT JOIN people q ON q.id = o.id ORDER BY 1",
    "SELECT p::people, count(*) FROM people p GROUP BY p.id ORDER BY p.id",
    "UPDATE people p SET name = 'z' WHERE id = 2 RETURNING p::people",
    "SELECT (p::people).{role}, (p::people).* FROM people p ORDER BY id",
    "SELECT (p).{role}, (p).id FROM people p ORDER BY (p).id",
    "SELECT (p).{role} AS x, ((p)).{act} FROM people p ORDER BY id",
    "SELECT (p).* FROM people p ORDER BY id",
    "SELECT (people).{role}::text || '!' FROM people ORDER BY id",
    "SELECT (p.*).{role} FROM people p ORDER BY id",
    "SELECT {role}(p), id(p) FROM people p ORDER BY id(p)",
    "SELECT ROW(p.*) FROM people p ORDER BY id",
    "SELECT ROW(1, p.*, 'x') FROM people p ORDER BY id",
    Case("SELECT ROW(p) FROM people p ORDER BY id", modes=("simple", "text")),  # the inner type has another OID
    "SELECT (ROW(p.*)).f1 FROM people p ORDER BY id",
    "SELECT p.id FROM people p WHERE ROW(p.*) = ROW(p.*) ORDER BY 1",
    "SELECT p.id FROM people p, people q WHERE p = q ORDER BY 1",
    "SELECT p.id FROM people p WHERE p IS NOT NULL ORDER BY 1",
    "SELECT p.id FROM people p WHERE p IS DISTINCT FROM (SELECT q FROM people q WHERE id = 1) ORDER BY 1",
    "SELECT p, count(*) FROM people p GROUP BY p ORDER BY p",
    "SELECT DISTINCT p FROM people p ORDER BY p",
    "SELECT row_to_json(p), count(*) FROM people p JOIN payments t ON t.person_id = p.id GROUP BY p.id "
    "ORDER BY p.id",
    "SELECT json_agg(p ORDER BY p.id) FROM people p",
    "SELECT array_agg(p.{role}::text ORDER BY p) FROM people p",
    "SELECT (SELECT row_to_json(p)) FROM people p ORDER BY id",
    "SELECT row_to_json(x) FROM (SELECT {role}, {act} FROM people ORDER BY id) x",
    "SELECT row_to_json(x) FROM (SELECT * FROM people ORDER BY id) x",
    Case("SELECT x FROM (SELECT p FROM people p ORDER BY id) x", modes=("simple", "text")),  # the inner type has another OID
    "SELECT (x.p).{role} FROM (SELECT p FROM people p) x",
    "SELECT max(p::text) FROM people p",
    "SELECT p.id, j FROM people p, row_to_json(p) AS j ORDER BY id",
    "SELECT p.id, k FROM people p, LATERAL jsonb_object_keys(to_jsonb(p)) AS k ORDER BY 1, 2",
    "SELECT to_jsonb(p) - 'id' FROM people p ORDER BY id",
    "SELECT to_jsonb(p) ->> '{role}', to_jsonb(p) ? '{xrole}' FROM people p ORDER BY id",
    "SELECT row_to_json(p) FROM people p ORDER BY id FOR UPDATE OF p",
    "SELECT row_to_json(p), p.ctid IS NOT NULL FROM people p ORDER BY id",
    "SELECT row_to_json(p) FROM people p TABLESAMPLE SYSTEM (100) ORDER BY id",
    "SELECT row_to_json(p) FROM ONLY people p ORDER BY id",
    "SELECT row_to_json(t) FROM payments t ORDER BY id",
    "SELECT row_to_json(t) FROM people p JOIN payments t USING (id) ORDER BY id",
    "SELECT CASE WHEN p IS NULL THEN 'none' ELSE p.{role}::text END FROM people p ORDER BY id",
    "SELECT p.nosuch FROM people p",
    "SELECT (p).nosuch FROM people p",
    "SELECT (p).{xrole} FROM people p",
    *[Case(statement, only=shape, refused=refused, refused_in=[s for s in STATES if shape == "old" or s not in ("applied", "old", "contracted")],
           states=[s for s in STATES if shape == "old" or s not in ("applied", "old")])
      for shape in ("old", "new") for statement, refused in (
          ("SELECT NULL::people", "the row type of the table"),
          ("CREATE TEMP TABLE made AS SELECT p FROM people p", "a new table with a column of the table's row type"),
          ("SELECT id, p INTO TEMP made FROM people p", "a new table with a column of the table's row type"))],
    "SELECT a, b, g FROM people AS p(a, b, c, d, e, g) ORDER BY a",
    "SELECT p.a, p.b FROM people AS p(a, b) ORDER BY a",
    "SELECT * FROM people AS p(a, b) ORDER BY a",
    "SELECT p.{role} FROM people AS p(a)",
    "SELECT a FROM people TABLESAMPLE BERNOULLI (100) REPEATABLE (3) AS p(a)",
    "SELECT a FROM people AS p(a) TABLESAMPLE BERNOULLI (100) REPEATABLE (3) WHERE a > 2 ORDER BY a",
    "SELECT a FROM ONLY people AS p(a) ORDER BY a",
    "SELECT a, count(*) FROM people AS p(a, b) GROUP BY a ORDER BY a",
]

GROUPS = [
    "SELECT p.id, p.{role}, p.{act}, count(*) FROM people p JOIN payments t ON t.person_id = p.id "
    "GROUP BY p.id ORDER BY 1",
    "SELECT p.*, sum(t.id) FROM people p LEFT JOIN payments t ON t.person_id = p.id GROUP BY p.id "
    "ORDER BY p.id",
    "SELECT p.*, count(*) FROM people p JOIN payments t USING (id) GROUP BY p.id ORDER BY p.id",
    "SELECT *, count(*) OVER () FROM people p GROUP BY id ORDER BY id",
    "SELECT {role}, {act}, count(*) FROM people GROUP BY {role}, {act} ORDER BY 1, 2",
    "SELECT {role}, {act}, count(*) FROM people GROUP BY 1, 2 ORDER BY {role}, {act}",
    "SELECT {role} AS r, count(*) FROM people GROUP BY r HAVING count(*) > 0 ORDER BY r",
    "SELECT {role} AS name, count(*) FROM people GROUP BY {role} ORDER BY name",
    "SELECT {role} AS name, count(*) FROM people GROUP BY name, {role} ORDER BY name",
    "SELECT name AS {role}, count(*) FROM people GROUP BY {role} ORDER BY 1",
    "SELECT name AS {xrole}, count(*) FROM people GROUP BY {xrole} ORDER BY 1",
    "SELECT name AS {xrole} FROM people ORDER BY {xrole}",
    "SELECT name AS {role} FROM people ORDER BY {role}",
    "SELECT {role}::text || '!' AS x, count(*) FROM people GROUP BY {role} ORDER BY 1",
    "SELECT {role}, {act}, grouping({role}, {act}), count(*) FROM people GROUP BY ROLLUP ({role}, {act}) "
    "ORDER BY 1, 2, 3",
    "SELECT {role}, {act}, count(*) FROM people GROUP BY CUBE ({role}, {act}) ORDER BY 1, 2, 3",
    "SELECT {role}, boss, count(*) FROM people GROUP BY GROUPING SETS (({role}, boss), ({role}), ()) "
    "ORDER BY 1, 2, 3",
    "SELECT {role}::text || 'x', count(*) FROM people GROUP BY ROLLUP ({role}) ORDER BY 1, 2",
    "SELECT {label}, count(*) FROM people GROUP BY ROLLUP ({label}) ORDER BY 1, 2",
    "SELECT {label} || 'x', count(*) FROM people GROUP BY ROLLUP ({label}) ORDER BY 1, 2",
    "SELECT p, count(*) FROM people p GROUP BY ROLLUP (p) ORDER BY 2, 1",
    "SELECT {role}, {act} FROM people GROUP BY DISTINCT ROLLUP ({role}, {act}), ROLLUP ({role}) ORDER BY 1, 2",
    "SELECT {role} FROM people GROUP BY name",
    "SELECT {role}, count(*) FROM people",
    "SELECT id, {role} FROM people HAVING true",
    "SELECT {role} FROM people GROUP BY id ORDER BY {act}, id",
    "SELECT max({role}), min({label}) FROM people GROUP BY {act} HAVING max({role}) IS NOT NULL ORDER BY 1",
    "SELECT DISTINCT ON ({act}) {act}, {role}, id FROM people ORDER BY {act}, id DESC",
    "SELECT DISTINCT ON (r) {role} AS r, id FROM people ORDER BY r, id",
    "SELECT DISTINCT {role}, {act} FROM people ORDER BY 1, 2",
    "SELECT DISTINCT {role} FROM people ORDER BY {act}",
    "SELECT DISTINCT lower({label}) FROM people ORDER BY lower({label})",
    "SELECT count(DISTINCT {act}), count(DISTINCT ({role}, {act})) FROM people",
    "SELECT string_agg({label}, ',' ORDER BY {label}) FROM people",
    "SELECT string_agg(DISTINCT {role}::text, ',' ORDER BY {role}::text) FILTER (WHERE {act} = {on}) "
    "FROM people",
    "SELECT mode() WITHIN GROUP (ORDER BY {act}), percentile_disc(0.5) WITHIN GROUP (ORDER BY {label}) "
    "FROM people",
    "SELECT rank('b') WITHIN GROUP (ORDER BY {label}) FROM people",
    "SELECT id, rank() OVER (PARTITION BY {act} ORDER BY {label}), first_value({role}) OVER w FROM people "
    "WINDOW w AS (PARTITION BY {act} ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY id",
    "SELECT id, count(*) OVER (w RANGE UNBOUNDED PRECEDING) FROM people WINDOW w AS (ORDER BY {act}) "
    "ORDER BY id",
    "SELECT id, lag({role}) OVER (ORDER BY {act}, id) FROM people ORDER BY {role}, id",
    "SELECT id, row_number() OVER w2 FROM people WINDOW w AS (PARTITION BY {act}), w2 AS (w ORDER BY id) "
    "ORDER BY id",
    "SELECT {role}, sum(count(*)) OVER (ORDER BY {role}) FROM people GROUP BY {role} ORDER BY 1",
]

QUERIES = [
    "WITH q AS (SELECT * FROM people) SELECT {role}, {act}, {label} FROM q ORDER BY id",
    "WITH q AS MATERIALIZED (SELECT {label} FROM people) SELECT * FROM q ORDER BY {label}",
    "WITH people AS (SELECT 1 AS id, 2 AS {xrole}) SELECT {xrole}, * FROM people",
    "WITH people AS (SELECT * FROM people) SELECT * FROM people ORDER BY id",
    "WITH a AS (SELECT {role} FROM people), b AS (SELECT * FROM a) SELECT count({role}) FROM b",
    "WITH RECURSIVE t(n, r) AS (SELECT id, {role} FROM people WHERE boss IS NULL UNION ALL SELECT p.id, "
    "p.{role} FROM people p JOIN t ON p.boss = t.n) SELECT * FROM t ORDER BY n",
    "WITH RECURSIVE t AS (SELECT id, {label} FROM people WHERE boss IS NULL UNION SELECT p.id, p.{label} "
    "FROM people p, t WHERE p.boss = t.id) SELECT * FROM t ORDER BY {label}",
    "WITH RECURSIVE t AS (SELECT p.id, p.{role} FROM people p WHERE boss IS NULL UNION ALL SELECT p.id, "
    "p.{role} FROM people p JOIN t ON p.boss = t.id) SEARCH DEPTH FIRST BY {role}, id SET seq "
    "SELECT id, {role}, seq FROM t ORDER BY seq",
    "WITH RECURSIVE t AS (SELECT p.id, p.{act} FROM people p WHERE boss IS NULL UNION ALL SELECT p.id, "
    "p.{act} FROM people p JOIN t ON p.boss = t.id) SEARCH BREADTH FIRST BY id SET seq "
    "CYCLE {act} SET loop USING path SELECT id, {act}, loop FROM t ORDER BY id",
    "WITH RECURSIVE t AS (SELECT p.* FROM people p WHERE boss IS NULL UNION ALL SELECT p.* FROM people p "
    "JOIN t ON p.boss = t.id) CYCLE id SET loop TO 'y' DEFAULT 'n' USING path SELECT * FROM t ORDER BY id",
    "WITH d AS (DELETE FROM people WHERE id = 5 RETURNING *) SELECT {role}, {act} FROM d",
    "WITH d AS (DELETE FROM people p WHERE id = 5 RETURNING p, row_to_json(p)) SELECT * FROM d",
    "DELETE FROM people p WHERE {role} = {admin} RETURNING to_jsonb(p), (p).{act}, p.*",
    "SELECT {role} FROM people UNION SELECT {role} FROM people ORDER BY 1",
    "SELECT {label} FROM people UNION ALL SELECT {label} FROM people ORDER BY {label}",
    "SELECT id, {role} FROM people INTERSECT SELECT id, {role} FROM people WHERE {act} = {on} ORDER BY 1",
    "SELECT {role} AS x FROM people EXCEPT ALL (SELECT {role} FROM people LIMIT 0) ORDER BY x",
    "(SELECT {role} FROM people ORDER BY {label} LIMIT 1) UNION ALL (SELECT {role} FROM people ORDER BY id "
    "DESC LIMIT 1)",
    "SELECT * FROM people WHERE id = 1 UNION ALL TABLE people ORDER BY 1, 2",
    "TABLE people",
    "TABLE ONLY people",
    "(TABLE people) ORDER BY id LIMIT 2",
    "SELECT * FROM (TABLE people) x ORDER BY id",
    "VALUES (1, (SELECT {role} FROM people WHERE id = 1)), (2, (SELECT {role} FROM people WHERE id = 2)) "
    "ORDER BY column1",
    "SELECT ({role}) FROM people ORDER BY id OFFSET 1 FETCH FIRST 2 ROWS WITH TIES",
    "SELECT id FROM people ORDER BY {label} COLLATE \"C\", id",
    "SELECT id FROM people ORDER BY {label} USING <, id",
    "SELECT id FROM people ORDER BY {label} DESC NULLS LAST, {act}",
    "SELECT id FROM people WHERE EXISTS (SELECT 1 FROM payments t WHERE t.person_id = people.id AND "
    "t.amount = {n} AND {act} = {on}) ORDER BY 1",
    "SELECT id FROM people WHERE {role} = ANY (SELECT {role} FROM people WHERE boss = 1) ORDER BY 1",
    "SELECT id FROM people WHERE {role} <> ALL (SELECT {role} FROM people WHERE id = 2) ORDER BY 1",
    "SELECT id FROM people WHERE ({role}, {act}) IN (SELECT {role}, {act} FROM people WHERE id < 3) ORDER BY 1",
    "SELECT id FROM people WHERE (id, {role}) = (SELECT id, {role} FROM people WHERE id = 2)",
    "SELECT id FROM people WHERE ROW({act}, {role}) IS DISTINCT FROM ROW({on}, {admin}) ORDER BY 1",
    "SELECT id FROM people WHERE (boss, {label}) < (2, 'b') ORDER BY 1",
    "SELECT id FROM people WHERE {label} BETWEEN SYMMETRIC 'b' AND 'A' ORDER BY 1",
    "SELECT id FROM people WHERE {label} LIKE 'b%' OR {label} ~* '^z' OR {label} SIMILAR TO 'a|b' ORDER BY 1",
    "SELECT id FROM people WHERE {label} ILIKE 'B' ORDER BY 1",
    "SELECT id FROM people WHERE {act} IS NOT DISTINCT FROM {on} ORDER BY 1",
    "SELECT id, {label} < 'b', {label} > 'B', {label} = 'b' FROM people ORDER BY id",
    "SELECT {label} || 'x' FROM people ORDER BY {label} || 'x'",
    "SELECT {label} COLLATE \"C\" < 'a' FROM people ORDER BY id",
    "SELECT id FROM people WHERE {label} < name ORDER BY id",
    "SELECT max({label} || coalesce(name, '')) FROM people",
    "SELECT id FROM people WHERE lower({label}) = 'b' ORDER BY id",
    "SELECT {label} COLLATE \"C\" || {label} COLLATE \"POSIX\" FROM people",
    "SELECT {label} < (name COLLATE \"C\") FROM people ORDER BY id",
    "SELECT a.{label} < b.role COLLATE \"C\" FROM people a JOIN other b USING (id) ORDER BY id",
    "SELECT pg_typeof({label}), pg_collation_for({label}), pg_collation_for({role}), pg_typeof({act}) "
    "FROM people LIMIT 1",
    "SELECT pg_collation_for({label} || 'x'), pg_collation_for(x.{label}) FROM (SELECT * FROM people) x "
    "LIMIT 1",
    "SELECT greatest({label}, 'B'), least({label}, name) FROM people ORDER BY id",
    "SELECT p.tableoid::regclass::text, p.ctid = p.ctid, p.xmin IS NOT NULL, p.{role} FROM people p ORDER BY id",
    "SELECT tableoid::regclass::text, * FROM people ORDER BY id",
    "SELECT generate_series(1, 2), {role} FROM people ORDER BY id, 1",
    "SELECT unnest(string_to_array({role}::text, ',')), id FROM people ORDER BY 2, 1",
    "SELECT {role}, {act} FROM people ORDER BY id FOR SHARE OF people NOWAIT",
    "SELECT p.{role} FROM people p JOIN other o USING (id) ORDER BY id FOR UPDATE OF p",
    "SELECT p.{role} FROM people p ORDER BY id FOR UPDATE OF nosuch",
    "SELECT * FROM people p JOIN other o USING (id) ORDER BY id FOR UPDATE OF o, p",
    "SELECT ({role}::text[])[1], ARRAY[{label}], ARRAY[{label}][1] FROM people WHERE id = 99",
    "SELECT to_jsonb({role}) #>> '{0}', to_jsonb({role})[0] FROM people ORDER BY id",
    "SELECT cast({role} AS text) FROM people ORDER BY id",
    "SELECT {role}::text AS {xrole} FROM people ORDER BY {xrole}",
    "SELECT coalesce({role}), nullif({act}, {on}) FROM people ORDER BY id",
    "SELECT CASE {act} WHEN {on} THEN 1 ELSE 2 END FROM people ORDER BY id",
    "SELECT CASE WHEN {act} = {on} THEN {role} END FROM people ORDER BY id",
    "SELECT (SELECT {role}), (SELECT p.{role} LIMIT 1) AS y FROM people p ORDER BY id",
    "SELECT ARRAY(SELECT {label} FROM people ORDER BY {label})",
    "SELECT id FROM people p WHERE id = (SELECT max(q.id) FROM people q WHERE q.{role} = p.{role}) ORDER BY 1",
    "SELECT {xrole} FROM people",
    "SELECT id FROM people WHERE {xact} IS NULL",
    "SELECT id FROM people ORDER BY {xact}",
    "SELECT people.{xact} FROM people",
    "SELECT o.{xrole}, (SELECT o.{xrole} FROM people LIMIT 1) FROM other o ORDER BY id",
    "SELECT (SELECT {xrole} FROM people WHERE people.id = other.id) FROM other ORDER BY id",
    "SELECT status, active FROM people",
    "SELECT amount, ref, ref + 1 FROM payments ORDER BY id",
    "SELECT id FROM payments WHERE ref = 7 OR ref = '8' OR ref IN (9, 70000) ORDER BY 1",
    "SELECT id FROM payments WHERE ref = 3000000000 OR ref = 7.0 OR 8 = ref ORDER BY 1",
    "SELECT id FROM payments WHERE ref = '3000000000'",
    "SELECT id FROM payments WHERE ref = 'x'",
    "SELECT id FROM payments WHERE ref IN ('7', 'x')",
    "SELECT id FROM payments WHERE NOT (ref = 7) ORDER BY id",
    "SELECT id, ref = 7, ref = NULL, ref IN (7, NULL) FROM payments ORDER BY id",
    "SELECT id FROM payments WHERE ref = ANY ('{7,8}') ORDER BY id",
    "SELECT id FROM payments WHERE ref = ANY (ARRAY[7, 8]) AND amount IN ({n}, '7.50') ORDER BY id",
    "SELECT id FROM payments WHERE amount = {n} ORDER BY id",
    "SELECT id FROM payments WHERE amount = '10.5' ORDER BY id",
    "SELECT id FROM payments WHERE amount = ' 10.50' ORDER BY id",
    "SELECT id FROM payments WHERE amount = 'NaN' OR amount = '-1' ORDER BY id",
    "SELECT id FROM payments WHERE NOT amount = {n} ORDER BY id",
    "SELECT id FROM payments WHERE ref BETWEEN 7 AND 8 ORDER BY id",
    "SELECT ref FROM payments WHERE ref = 7 AND (ref = 7 OR amount = {n})",
    "SELECT p.id FROM payments p JOIN other o ON p.ref = o.ref AND o.id = 1",
    "SELECT id FROM payments p WHERE EXISTS (SELECT 1 FROM other o WHERE o.ref = p.ref) ORDER BY id",
    "SELECT id FROM payments WHERE ref IN (SELECT ref FROM other) ORDER BY id",
    "SELECT id FROM payments WHERE (ref, id) = (7, 1)",
    "SELECT id FROM payments WHERE ref IS NOT DISTINCT FROM 7",
    "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT {role}, {act} FROM people ORDER BY {label}",
    "CREATE TEMP TABLE made AS SELECT {role}, {act}, {label} FROM people p LIMIT 0",
    "SELECT * INTO TEMP made FROM people p JOIN other o USING (id)",
    "COPY people TO STDOUT",
    "COPY people (id, {role}, {act}) TO STDOUT WITH (FORMAT csv, HEADER)",
    "COPY (SELECT {role}, {label} FROM people ORDER BY {label}) TO STDOUT",
    Case("CREATE TEMP VIEW v AS SELECT {role} FROM people", refused="CREATE VIEW"),
]

NAMES = [
    'SELECT {weird}, "from" FROM "Größe 1" ORDER BY "Id"',
    'SELECT * FROM "Größe 1" ORDER BY "Id"',
    'SELECT "Größe 1".{weird} FROM public."Größe 1" WHERE "Größe 1".{weird} = {ten}',
    'SELECT x.{weird}::text AS "as" FROM "Größe 1" AS x ORDER BY x.{weird}::text',
    'SELECT to_jsonb(g) FROM "Größe 1" g ORDER BY "Id"',
    'SELECT {xweird} FROM "Größe 1"',
    'SELECT u&"sel\\0065ct", "Id" FROM u&"Gr\\00f6\\00dfe 1" ORDER BY 2 LIMIT 0',
    'SELECT "Id" FROM u&"Gr!00f6!00dfe 1" UESCAPE \'!\' WHERE {weird} = {ten}',
    "SELECT {ROLE}, PEOPLE.{Role} FROM PeoPle ORDER BY ID",
    'SELECT "people"."{role}" FROM "public"."people" ORDER BY "id"',
    'SELECT "Role" FROM people',
    'SELECT * FROM "People"',
    "SELECT elsewhere.people.word FROM elsewhere.people",
    "SELECT word, {role} FROM elsewhere.people e JOIN public.people USING (id)",
    "SELECT people.id, p2.{role} FROM elsewhere.people, public.people p2 WHERE p2.id = people.id",
    "SELECT public.people.{role}, elsewhere.people.word FROM public.people, elsewhere.people ORDER BY 1",
    "SELECT public.people.* FROM public.people, elsewhere.people ORDER BY 1",
    "SELECT * FROM public.people, elsewhere.people ORDER BY 1",
    "SELECT row_to_json(public.people) FROM public.people",
    "SELECT row_to_json(public.people.*) FROM public.people ORDER BY id",
    "SELECT public.people.{role} FROM public.people people ORDER BY id",
    "SELECT people.{role} FROM people p",
    "SELECT {role} AS {role}, {role} AS \"from\", {role} \"select\" FROM people ORDER BY id",
    "SELECT p.{role} alias, p.{act} FROM people p ORDER BY alias",
    "SELECT/**/{role}/**/FROM/**/people/**/ORDER/**/BY/**/id",
    "SELECT id FROM people WHERE name = E'al\\'ice' OR name = 'it''s' OR {role} = {admin}",
    "SELECT $tag${role}$tag$, {role} FROM people ORDER BY id",
    "SELECT nosuch.people.{role} FROM public.people",
    "SELECT reads_nosuch.public.people.{role} FROM public.people",
    "SELECT id FROM nosuch.people",
    "SELECT p.{role} FROM people p WHERE p.name = 'x' AND nosuch = 1",
]

PARAMETERS = [
    ("SELECT id FROM people WHERE {role} = $1", ["{role_value}"]),
    ("SELECT id FROM people WHERE {act} = $1 AND {label} > $2 ORDER BY id", ["{act_value}", "a"]),
    ("SELECT $1 = {role} FROM people ORDER BY id", ["{role_value}"]),
    ("SELECT id FROM payments WHERE ref = $1 ORDER BY id", ["7"]),
    ("SELECT id FROM payments WHERE ref = $1 OR ref = $1 + 1 ORDER BY id", ["7"]),
    ("SELECT id FROM payments WHERE $1 = ref", ["7"]),
    ("SELECT id FROM payments WHERE ref = $1", [None]),
    ("SELECT id FROM payments WHERE ref = $1", ["x"]),
    ("SELECT id FROM payments WHERE ref = ANY ($1) ORDER BY id", ["{7,8,NULL}"]),
    ("SELECT id FROM payments WHERE ref = ANY ($1::int[]) ORDER BY id", ["{7,8,NULL}"]),
    ("SELECT id FROM payments WHERE ref IN ($1, $2, 9) ORDER BY id", ["7", None]),
    ("SELECT id FROM payments WHERE amount = $1 ORDER BY id", ["10.50"]),
    ("SELECT id FROM payments WHERE amount = $1 AND ref = $2 ORDER BY id", ["10.50", "9"]),
    ("SELECT id FROM payments WHERE amount IN ($1, $2) ORDER BY id", ["10.50", "7.50"]),
    ("SELECT id FROM payments WHERE amount = ANY ($1) ORDER BY id", ["{10.50,7.50}"]),
    ("SELECT id FROM payments WHERE ref = $1::bigint ORDER BY id", ["7"]),
    ("SELECT t.id FROM payments t JOIN people p ON p.id = t.person_id WHERE t.ref = $1 AND p.{role} = $2",
     ["7", "{role_value}"]),
    ("SELECT row_to_json(p) FROM people p WHERE id = $1", ["3"]),
    ("SELECT {role}, $1 FROM people ORDER BY id LIMIT $2 OFFSET $3", ["x", "2", "1"]),
    ('SELECT "Id" FROM "Größe 1" WHERE {weird} = $1', ["10"]),
    ("SELECT id FROM people WHERE ({role}, id) = ($1, $2)", ["{role_value}", "1"]),
    ("SELECT id FROM people WHERE {label} = $1 COLLATE \"C\"", [""]),
]

PEOPLE = World(
    name="reads",
    transitions=TRANSITIONS,
    common=COMMON,
    old=OLD,
    new=NEW,
    words=WORDS,
    contents=["SELECT * FROM people ORDER BY id", "SELECT * FROM payments ORDER BY id"],
)
CASES = {PEOPLE: ROWS + GROUPS + QUERIES + NAMES + PARAMETERS}
