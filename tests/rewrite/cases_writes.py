"""UPDATE and DELETE: every form of a SET list, joins, whole rows, names that hide names, cursors."""

from case import Case
from cases_split import SPLIT
from world import World
from worlds import SHOP

ASSIGNMENTS = [
    # a row is single assignments
    "UPDATE users SET (name, {role}) = ROW ('n', {dev}) WHERE id = 1 RETURNING *",
    "UPDATE users SET ({role}, name) = ({two}, 'n' || id) WHERE id < 3",
    "UPDATE users SET (name, {role}) = (DEFAULT, DEFAULT)",
    "UPDATE users SET ({role}) = ROW (DEFAULT), (name) = ROW ('r') WHERE id = 2",
    "UPDATE users SET ({role}, name) = (({append}), ('x')) WHERE id = 3",
    "UPDATE users SET (name, {role}) = ((ROW ('n', {dev}))) WHERE id = 1",
    "UPDATE users SET id = id + 70, ({role}, name) = ROW (NULL, NULL) WHERE id = 1",
    "UPDATE users SET (name /* n */, {role} /* r */) = ('n' /* 1 */, {dev} /* 2 */) WHERE id = 1",
    "UPDATE transactions SET (day, amount) = ('2020-03-03', {n}) WHERE id < 3",
    "UPDATE transactions SET (amount, day, user_id) = ROW (DEFAULT, DEFAULT, 7) RETURNING amount, day",
    # what must be evaluated once, in a row
    "UPDATE users SET (name, {role}) = ('n' || id, {volatile})",
    "UPDATE users SET ({role}, name) = ROW ({volatile}, DEFAULT)",
    "UPDATE users SET name = DEFAULT, ({role}) = ROW ({volatile}), id = id + 100",
    "UPDATE users SET {role} = {volatile}, name = 'v' || id WHERE id < 4 RETURNING id, {role}",
    "UPDATE users SET {role} = coalesce({role}, {volatile})",
    "UPDATE users SET {role} = (SELECT {volatile})",
    "UPDATE users SET {role} = (SELECT {volatile} FROM staging WHERE id = users.id + 10)",
    "UPDATE users SET {role} = CASE WHEN random() < 2 THEN {dev} ELSE {admin} END",
    "UPDATE transactions SET amount = (random() * 0 + id)::numeric(10,2)::{number}",
    "UPDATE users SET {role} = {volatile} FROM staging s, other o WHERE s.id = users.id + 10 AND o.id = 1",
    # the items of IN that have a column are compared one by one, in a sub-select of ours, too
    "UPDATE users SET {role} = CASE WHEN id IN (1, length(name), 3) THEN {volatile} ELSE {dev} END",
    "UPDATE users SET {role} = CASE WHEN 2 IN (id::numeric, '2') THEN {volatile} ELSE {dev} END",
    "UPDATE users SET {role} = CASE WHEN ((id) + 1)::numeric NOT IN (id::numeric, 4, '2', NULL) THEN {volatile} END, name = "
    "'n' || id",
    "UPDATE users SET name = 'x' || id, {role} = CASE WHEN (id, name) IN ((1, 'alice'), (id - 0, 'bob')) AND NOT id IN (4, "
    "id + 1, (SELECT 3)) THEN {volatile} END",
    "UPDATE users u SET {role} = CASE WHEN (u.id IN (1, u.id - 1)) IN (true, u.name IS NULL) THEN {volatile} END",
    "UPDATE users SET {role} = CASE WHEN {role}::text IN (name, upper(name), {role}::text) THEN {volatile} END",
    "UPDATE users SET {role} = CASE WHEN id IN (name, 2) THEN {volatile} END",
    "INSERT INTO users AS u (id, {role}) VALUES (1, {dev}) ON CONFLICT (id) DO UPDATE SET {role} = CASE WHEN CASE WHEN true "
    "THEN u.id END IN (excluded.id, 5) THEN {volatile} END",
    Case("UPDATE users SET {role} = CASE WHEN id IN (1, (SELECT max(o.id) FROM other o), users.id) THEN {volatile} END",
         refused="IN over a query of columns, in a value that must be evaluated once,",
         only="old", refused_in=["dual_old", "dual_own", "dual_new", "new", "contracted"]),
    # a query's row
    "UPDATE users u SET (name, {role}) = (SELECT s.who, s.what::{array} FROM staging s WHERE s.id = u.id + 10)",
    "UPDATE users SET ({role}, name) = (SELECT NULL, 'x')",
    "UPDATE users SET (name, {role}) = (SELECT volatile_word(), {dev}::{array}) WHERE id = 1",
    "UPDATE users SET ({role}) = (SELECT {volatile})",
    "UPDATE users u SET ({role}) = (SELECT {volatile} WHERE u.id > 0)",
    "UPDATE users SET ({role}, name) = (VALUES ({dev}::{array}, 'v'))",
    "UPDATE users SET ({role}, name) = (WITH q AS (SELECT what::{array} AS w, who FROM staging) SELECT w, who "
    "FROM q ORDER BY who DESC LIMIT 1)",
    "UPDATE users SET ({role}, name) = ((SELECT {dev}::{array}, 'v')) WHERE id = 1",
    "UPDATE users SET ({role}, id) = (SELECT u2.{role}, u2.id + 50 FROM users u2 WHERE u2.id = users.id)",
    "UPDATE users SET (id, {role}) = (SELECT o.* FROM (SELECT id + 60, {role} FROM users ORDER BY id LIMIT 1) o) "
    "WHERE id = 2",
    "UPDATE users SET name = 'a', ({role}, id) = (SELECT {dev}::{array}, users.id + 30), name = 'b'",
    "UPDATE users SET (name) = (SELECT 'only'), {role} = {dev}",
    "UPDATE transactions SET (amount, day) = (SELECT {n}::{number}, '2021-01-01'::date) WHERE id = 1",
    "UPDATE transactions t SET (user_id, amount) = (SELECT x.id, x.amount FROM transactions x WHERE x.id = "
    "t.id + 1)",
    # a row with a star in it
    "UPDATE users SET (name, {role}) = ROW (v.*) FROM (VALUES ('a', {dev}::{array})) v(n, r)",
    "UPDATE users SET ({role}, name, id) = ROW (v.r, 'x', v.i + users.id) FROM (VALUES (80, {dev}::{array})) "
    "v(i, r) WHERE id = 1",
    "UPDATE users SET (id, {role}, name) = ROW (v.i + users.id, w.*) FROM (VALUES (80)) v(i), (SELECT "
    "{dev}::{array} AS r, 'w' AS n) w WHERE id < 3",
    "UPDATE users SET (name, {role}) = ROW ('lit', v.*) FROM (SELECT {two}::{array}) v",
    "UPDATE other SET (role, roles) = ROW (v.*) FROM (SELECT {role}::text, name FROM users WHERE id = 1) v",
    # several items of one list
    "UPDATE users SET {role} = {dev}, name = {role}::text",
    "UPDATE users SET name = length({role}::text)::text || id, {role} = {append}",
    "UPDATE users SET {role} = {dev}, {role} = {two}",
    "UPDATE users SET nosuch = 1, {role} = {dev}",
    "UPDATE users SET (name, {role}) = ('n')",
    "UPDATE users SET (name, {role}) = ROW ('n')",
    "UPDATE users SET (name, {role}) = ('n', {dev}, 3)",
    "UPDATE users SET (name, {role}) = (SELECT 'n')",
    "UPDATE users SET (name, {role}) = (SELECT 'n', {dev}, 3)",
    "UPDATE users SET (name, {role}) = (SELECT who, what::{array} FROM staging)",
    "UPDATE users SET (name, {role}) = 3",
    "UPDATE users SET (name, {hidden}) = ('n', NULL)",
    "UPDATE users SET users.{role} = {dev}",
    "UPDATE users SET name = repeat('x', 30), {role} = {dev}",
    # types
    "UPDATE users SET {role} = NULL",
    "UPDATE users SET {role} = CASE WHEN id = 1 THEN NULL ELSE {dev} END",
    "UPDATE users SET {role} = coalesce(NULL, {dev})",
    "UPDATE users SET {role} = ({dev})",
    "UPDATE users SET {role} = {dev} || ''",
    "UPDATE transactions SET amount = 123456789012.5",
    "UPDATE transactions SET amount = NULL, day = NULL",
    "UPDATE transactions SET amount = DEFAULT",
    # rounded to the column's scale by the assignment: as text these would not be what they were
    *[Case(s, only="new") for s in [
        "UPDATE transactions SET amount = 7 WHERE id = 1",
        "UPDATE transactions SET amount = 7.125 WHERE id = 2",
        "UPDATE transactions SET amount = '7.1' WHERE id = 2",
        "UPDATE transactions SET amount = id",
        "UPDATE transactions SET amount = 2e3::float8 + id",
        "UPDATE transactions SET amount = (SELECT max(much) FROM staging)",
        "UPDATE transactions SET amount = round(much, 1) FROM staging WHERE staging.id = transactions.id + 10",
        "UPDATE transactions SET amount = (random() * 0 + id)::int",
        "UPDATE transactions SET amount = floor(random())::int, day = now() - now() + '2020-01-01'::timestamp",
    ]],
]

FROM = [
    "UPDATE users u SET {role} = x.{role} FROM users x WHERE x.id = u.id + 1",
    "UPDATE users u SET {role} = x.{role}, name = x.name || '2' FROM users x, users y WHERE x.id = u.id + 1 AND "
    "y.id = x.id RETURNING u.id, u.{role}, x.{role} AS was, y.*",
    "UPDATE users SET {role} = s.w FROM (SELECT id, what::{array} AS w FROM staging) s WHERE s.id = users.id + 10 "
    "RETURNING *",
    "UPDATE users SET {role} = q.r FROM (SELECT max({role}) AS r FROM users) q WHERE id = 1",
    "WITH q AS (SELECT id, {role} FROM users WHERE id > 2) UPDATE users u SET {role} = q.{role} FROM q WHERE "
    "q.id = u.id + 2 RETURNING u.id, u.{role}",
    "UPDATE users u SET name = t.amount::text || u.id, {role} = {dev} FROM transactions t LEFT JOIN other o ON "
    "o.id = t.id WHERE t.user_id = u.id AND t.amount = '10.50'",
    "UPDATE users u SET {role} = {two} FROM transactions t JOIN other o USING (id) WHERE t.id = u.id RETURNING "
    "u.*, t.amount, o.id",
    "UPDATE users u SET name = x.r::text FROM users x(i, r, n), staging WHERE x.i = u.id AND x.i = 1",
    "UPDATE users SET name = row_to_json(x)::text::varchar(20) FROM users x WHERE x.id = users.id AND x.id = 4",
    "UPDATE users SET {role} = {dev} FROM LATERAL (SELECT 1 AS one) l WHERE l.one = users.id",
    "UPDATE users SET {role} = {dev} FROM LATERAL (SELECT users.{role}) l",
    "UPDATE transactions t SET amount = {n} FROM users u WHERE u.id = t.user_id AND u.{role} = {admin} RETURNING "
    "t.id, t.amount, u.{role}",
    "UPDATE users SET {role} = {dev} FROM users",
    "UPDATE users u SET {role} = {dev} FROM other u",
    "UPDATE users SET name = 'both' FROM other users",
    "UPDATE users SET name = {hidden} FROM other WHERE other.id = users.id",
    "UPDATE users SET {role} = {dev} FROM other WHERE {hidden} = 'p1' AND other.id = users.id RETURNING users.id, "
    "{hidden}",
    "UPDATE users AS x SET {role} = {dev} WHERE users.id = 1",
    "UPDATE users SET {role} = g::text::{array} FROM unnest(ARRAY[{dev}, {two}]) WITH ORDINALITY AS g(g, n) WHERE "
    "n = users.id",
    "UPDATE ONLY (users) SET {role} = {dev} WHERE id IN (SELECT user_id FROM transactions)",
    "UPDATE users * SET {role} = {dev} WHERE EXISTS (SELECT FROM transactions t WHERE t.user_id = users.id)",
    "UPDATE other SET role = (SELECT u.{role}::text FROM users u WHERE u.id = other.id), amount = 'x'",
    "UPDATE other SET (role, amount) = (SELECT u.{role}::text, t.amount::text FROM users u JOIN transactions t "
    "ON t.user_id = u.id WHERE u.id = other.id ORDER BY t.id LIMIT 1)",
    # a WITH does not hide the target
    "WITH users AS (SELECT 1 AS id) UPDATE users SET {role} = {dev} WHERE id IN (SELECT id FROM users)",
    "WITH users AS (SELECT 1 AS id) DELETE FROM users WHERE id IN (SELECT id FROM users) RETURNING {role}",
    "WITH users AS (SELECT 1 AS id) INSERT INTO users (id, {role}) SELECT id + 20, {dev} FROM users RETURNING *",
    # data-modifying WITH
    "WITH w AS (UPDATE users SET {role} = {dev} WHERE id = 2 RETURNING *) SELECT * FROM w",
    "WITH w AS (UPDATE users u SET {role} = {two} WHERE id < 3 RETURNING u.id, u.{role}) UPDATE transactions t SET "
    "amount = {n} FROM w WHERE w.id = t.user_id AND w.{role} = {two} RETURNING t.amount, w.*",
    "WITH w AS (DELETE FROM users WHERE id = 1 RETURNING *) INSERT INTO users (id, {role}, name) SELECT id + 90, "
    "{role}, 'moved' FROM w RETURNING *",
    "WITH a AS (UPDATE users SET {role} = {dev} WHERE id = 1), b AS (DELETE FROM transactions WHERE id = 1 "
    "RETURNING amount) SELECT amount FROM b",
    "WITH w AS (INSERT INTO users (id, {role}) VALUES (90, {volatile}) RETURNING id, {role}) UPDATE users SET "
    "{role} = w.{role} FROM w WHERE users.id = 1",
    "WITH w AS (MERGE INTO users USING staging ON true WHEN MATCHED THEN DELETE) SELECT 1",
]

ROWS = [
    "UPDATE users u SET name = length(u::text)::text || id WHERE u IS NOT NULL",
    "UPDATE users u SET name = substr(row_to_json(u)::text, 1, 20) WHERE id = 1 RETURNING row_to_json(u)",
    "UPDATE users SET {role} = {dev} WHERE users IS NOT NULL RETURNING users",
    "UPDATE users u SET {role} = {dev} WHERE id = 2 RETURNING u, u.*, (u).{role}, (u).name, (u).*",
    "UPDATE users u SET {role} = (u).{role} WHERE (u).id = 1 AND ((u)).{role} = {admin}",
    "UPDATE users u SET name = 'x' || id RETURNING ROW (u.*), ROW (u.*, 1), to_jsonb(u), u.*::text",
    "UPDATE users u SET name = 'same' WHERE u = (SELECT x FROM users x WHERE x.id = 3)",
    "UPDATE users u SET name = 'same' WHERE ROW (u.*) IN (SELECT * FROM users WHERE id = 3)",
    "UPDATE users u SET (id, {role}, name) = ROW (u.*) WHERE id = 1",
    "UPDATE users u SET name = (SELECT count(*) FROM users x WHERE x <= u)::text || id",
    "UPDATE users u SET name = (SELECT string_agg(k, '') FROM jsonb_object_keys(to_jsonb(u)) k) WHERE id = 1",
    "UPDATE users u SET name = (u).nosuch",
    "UPDATE users u SET name = (u).{hidden}",
    "UPDATE users u SET name = u.{hidden}",
    "DELETE FROM users u RETURNING u",
    "DELETE FROM users u WHERE u IS NOT NULL RETURNING row_to_json(u), u.{role}",
    "DELETE FROM public.users RETURNING users, public.users.*, users.*",
    "DELETE FROM users u USING users x WHERE x.id = u.id RETURNING u AS gone, x AS was",
    "DELETE FROM users RETURNING count_of, 1 AS count_of",
    "DELETE FROM transactions t RETURNING (t).amount, t, json_build_object('t', t)",
    "INSERT INTO users AS u (id, {role}) VALUES (50, {dev}) RETURNING u, row_to_json(u), (u).{role}",
    "INSERT INTO users AS u (id, {role}) VALUES (1, {dev}) ON CONFLICT (id) DO UPDATE SET name = "
    "length(row_to_json(excluded)::text)::text || length(u::text)::text, {role} = (excluded).{role} RETURNING u",
    "UPDATE transactions t SET amount = {n} WHERE t IS NOT NULL RETURNING to_jsonb(t) -> 'amount'",
    "WITH w AS (UPDATE users u SET {role} = {dev} WHERE id = 1 RETURNING u AS r) SELECT (to_jsonb(r) ->> 'id') "
    "FROM w",
    "DELETE FROM users u WHERE u::text LIKE '%alice%' RETURNING VARIADIC u",
]

CONFLICTS = [
    "INSERT INTO users (id, {role}) VALUES (1, {dev}) ON CONFLICT (id) DO UPDATE SET ({role}, name) = (SELECT "
    "excluded.{role}, 'c' || users.id) RETURNING *",
    "INSERT INTO users (id, {role}) VALUES (1, {dev}), (3, {two}) ON CONFLICT (id) DO UPDATE SET (name, {role}) = "
    "ROW ('x' || users.id, {volatile})",
    "INSERT INTO users AS u (id, {role}) VALUES (1, {dev}) ON CONFLICT (id) DO UPDATE SET {role} = (SELECT x.{role} "
    "FROM users x WHERE x.id = u.id + 2), name = (SELECT max(x.name) FROM users x WHERE x.{role} = excluded.{role})",
    Case("INSERT INTO users VALUES (1, 'dev', 'q') ON CONFLICT (id) DO UPDATE SET (id, role, name) = ROW "
         "(excluded.*)", only="old"),
    Case("INSERT INTO users VALUES (1, 'q', '{dev}') ON CONFLICT (id) DO UPDATE SET (id, name, roles) = ROW "
         "(excluded.*)", only="new"),
    "UPDATE users u SET {role} = {two} FROM transactions t JOIN other o USING (id) WHERE t.id = u.id "
    "RETURNING *",
    "DELETE FROM users u USING transactions t JOIN other o USING (id) WHERE t.id = u.id RETURNING *",
]

HIDDEN = [
    # an alias inside that hides the target's
    "UPDATE users u SET name = (SELECT max(o.day)::text FROM other o, staging u WHERE {role} = {admin}) || u.id",
    "UPDATE users u SET {role} = {dev} WHERE EXISTS (SELECT FROM staging u WHERE {role} IS NOT NULL AND u.id = 11)",
    "DELETE FROM users u WHERE (SELECT count(*) FROM staging u WHERE {role} = {admin}) > 0 RETURNING u.{role}",
    "UPDATE transactions t SET day = NULL WHERE 2 = (SELECT count(*) FROM staging t WHERE amount = '10.50')",
]

DELETES = [
    "DELETE FROM users",
    "DELETE FROM ONLY users WHERE {role} = {admin}",
    "DELETE FROM users AS u USING users x WHERE x.{role} = u.{role} AND x.id < u.id RETURNING u.id, u.{role}, "
    "x.id",
    "DELETE FROM users USING (SELECT {role} AS r, count(*) AS n FROM users GROUP BY 1) c WHERE c.r = users.{role} "
    "AND c.n = 1 RETURNING *",
    "DELETE FROM users u USING transactions t JOIN other o ON o.id = t.id WHERE t.user_id = u.id "
    "AND t.id = 1 RETURNING *",
    "DELETE FROM transactions USING users WHERE users.id = user_id AND {role} = {admin} RETURNING amount, {role}",
    "DELETE FROM transactions t WHERE amount IN ('10.50', '7.50') RETURNING *",
    "DELETE FROM users WHERE {hidden} IS NULL",
    "DELETE FROM users u USING other u",
    "DELETE FROM users WHERE {role} = (SELECT {role} FROM users WHERE id = 2) RETURNING id AS i, {role} AS r",
    "DELETE FROM users RETURNING {role}, length({role}::text), {role} || {role}",
    "WITH q AS (SELECT {role} FROM users WHERE id = 1) DELETE FROM users u USING q WHERE u.{role} = q.{role}",
]

PARAMETERS = [
    ("UPDATE users SET (name, {role}) = ROW ($2, $1) WHERE id = $3", ["{param}", "m", "1"]),
    ("UPDATE users SET ({role}, name) = ($1, coalesce($2, name)) WHERE {role} = $1", ["{param}", "m"]),
    ("UPDATE users SET {role} = coalesce($1, {role}), name = $2", ["{param}", None]),
    Case(("UPDATE transactions SET (amount, day) = ($1, $2) WHERE amount <> $1", ["{nparam}", "2020-05-05"]),
         trap=1),
    Case(("UPDATE transactions SET amount = $1, day = $2 WHERE id = $3 RETURNING amount",
          ["{nparam}", None, "1"]), trap=4),
    Case(("UPDATE users SET ({role}, name) = ROW ($1, 'x' || volatile_word())", ["{param}"]), trap=1),
    Case(("UPDATE users SET name = $2, {role} = CASE WHEN random() < 2 THEN $1 END", ["{param}", "m"]), trap=2),
    ("UPDATE users SET (name, {role}) = ROW ($2, v.*) FROM (SELECT $1::{array}) v WHERE id = 1",
     ["{param}", "starred"]),
    ("UPDATE users u SET {role} = $1 FROM users x WHERE x.id = u.id + $2 AND x.{role} = $3 RETURNING u.{role}",
     ["{param}", "1", "{param}"]),
    ("DELETE FROM users WHERE {role} = $1 OR {role} = ANY (ARRAY[$1, $2]) RETURNING *", ["{param}", "{param}"]),
    Case("PREPARE p AS UPDATE users SET ({role}, name) = ($1, $2) WHERE id = $3 RETURNING id",
         "EXECUTE p ({dev}, 'e', 1)", "EXECUTE p ({two}, 'f', 2)"),
]

# An old client that writes what it read, in any form, leaves alone what it cannot see.
KEEPS = [Case(s, only="old", keeps=True) for s in [
    "UPDATE users SET role = role",
    "UPDATE users SET role = 'a,b' WHERE id = 6",
    "UPDATE users SET (role, name) = (role, name)",
    "UPDATE users SET (name, role) = (SELECT x.name, x.role FROM users x WHERE x.id = users.id)",
    "UPDATE users SET (id, role, name) = ROW (v.*) FROM (SELECT * FROM users) v WHERE v.id = users.id",
    "UPDATE users SET role = left(role || volatile_word(), length(role))",
    "UPDATE users u SET role = x.role FROM users x WHERE x.id = u.id",
    "UPDATE users SET role = coalesce(role, (SELECT NULL))",
    "INSERT INTO users AS u (id, role) SELECT id, role FROM users ON CONFLICT (id) DO UPDATE SET role = "
    "excluded.role",
]]

CURSORS = [
    Case("DECLARE c CURSOR FOR SELECT {role}, id FROM users ORDER BY id FOR UPDATE", "MOVE 2 FROM c",
         "UPDATE users SET {role} = {dev} WHERE CURRENT OF c RETURNING *", "MOVE c",
         "DELETE FROM users WHERE CURRENT OF c RETURNING {role}", "MOVE c"),
    Case("DECLARE c CURSOR FOR SELECT * FROM users u WHERE u.{role} = {admin}", "MOVE c",
         "UPDATE users u SET {role} = {volatile}, name = 'cur' WHERE CURRENT OF c RETURNING u.id, u.name"),
    Case("DECLARE c CURSOR FOR SELECT row_to_json(u) FROM users u FOR UPDATE", "MOVE c", "MOVE c",
         "UPDATE users u SET (name, {role}) = (SELECT 'q', {two}::{array}) WHERE CURRENT OF c RETURNING u.name"),
    Case("DECLARE c SCROLL CURSOR FOR SELECT id FROM transactions WHERE amount = '10.50'", "MOVE LAST FROM c",
         "UPDATE transactions SET amount = {n} WHERE CURRENT OF c RETURNING *",
         "DELETE FROM transactions WHERE CURRENT OF c"),
    Case("DECLARE c CURSOR FOR SELECT u.{role} FROM users u JOIN transactions t ON t.user_id = u.id ORDER BY t.id "
         "FOR UPDATE OF u", "MOVE 3 FROM c", "UPDATE users SET {role} = {dev} WHERE CURRENT OF c RETURNING id"),
    Case("DECLARE c CURSOR FOR SELECT {role} FROM users", "UPDATE users SET {role} = {dev} WHERE CURRENT OF c"),
    Case("DECLARE c CURSOR FOR SELECT {role} FROM users GROUP BY {role} ORDER BY 1", "MOVE c",
         "UPDATE users SET {role} = {dev} WHERE CURRENT OF c"),
]

SHOP_CASES = ASSIGNMENTS + FROM + ROWS + CONFLICTS + HIDDEN + DELETES + PARAMETERS + KEEPS + CURSORS

SPLIT_CASES = [Case(s, only="new") for s in [
    "UPDATE people SET (first, last) = (last, first)",
    "UPDATE people SET (first) = ROW ('a'), note = 'n', (last) = ROW ('b') WHERE id = 1",
    "UPDATE people SET first = 'a', (note, last) = ('n', 'b') WHERE id = 2",
    "UPDATE people SET (note, first) = ('n', 'b'), last = 'c'",
    "UPDATE people p SET (first, last) = (SELECT x.last, x.first FROM people x WHERE x.id = p.id)",
    "UPDATE people p SET (last, note, first) = (SELECT x.first, x.last, 'k' FROM people x WHERE x.id = p.id - 1) "
    "WHERE id > 1",
    "UPDATE people p SET (last, note) = (SELECT x.first, x.last FROM people x WHERE x.id = p.id - 1), first = "
    "'single' WHERE id > 1",
    "UPDATE people p SET first = 'single' || id, (note, last) = (SELECT x.first, x.last FROM people x WHERE x.id "
    "= p.id)",
    "UPDATE people p SET (first) = (SELECT 'q'), (last, note) = (SELECT 'r', 's' || p.id)",
    "UPDATE people p SET (note, last) = ROW ('s', lower(v.n)), first = (SELECT max(first) FROM people) FROM "
    "(SELECT 'N' AS n) v",
    "UPDATE people p SET (first, last) = ROW (v.*) FROM (VALUES ('f', 'l')) v",
    "UPDATE people SET first = floor(random())::int::text, last = 'z' || id",
    "UPDATE people SET last = floor(random())::int::text || first, note = last, first = last",
    "UPDATE people p SET last = x.first, first = x.last FROM people x WHERE x.id = p.id RETURNING p, x",
    "DELETE FROM people p WHERE p IS NOT NULL OR first = 'bo' RETURNING row_to_json(p), (p).last",
    # one column alone: see cases_split
    "UPDATE people SET (note, last) = (SELECT 'n', 'l')",
    "UPDATE people SET first = floor(random())::int::text",
]] + [Case(s, only="old") for s in [
    "UPDATE people SET (note, name) = (SELECT 'n', 'k l')",
    "UPDATE people p SET (name, note) = (SELECT x.name, x.note FROM people x WHERE x.id = p.id + 1 OFFSET 0)",
    "UPDATE people SET name = floor(random())::int::text || ' x'",
    "UPDATE people p SET name = (p).name || 'q' WHERE p.name = 'bo ray' RETURNING p",
]]

# Two transitions on one table, an array and a composite column, a default, generated columns beside.
TWO = World(
    name="two",
    transitions="""
transition "tags" {
    table = "public.things"
    old "tags" { type = "text" from = "array_to_string(tag_list, ',')" }
    new "tag_list" { type = "text[]" from = "string_to_array(tags, ',')" }
    lossless = false
}
transition "price" {
    table = "public.things"
    old "price" { type = "text" from = "cents::text" }
    new "cents" { type = "bigint" from = "price::bigint" }
    lossless = true
}
""",
    old="""
CREATE TABLE things (id int PRIMARY KEY, tags text DEFAULT 'none', price text DEFAULT '7', name text,
                     shout text GENERATED ALWAYS AS (upper(name)) STORED, n int GENERATED BY DEFAULT AS IDENTITY);
INSERT INTO things (id, tags, price, name, n) VALUES (1, 'a,b', '100', 'one', 1), (2, NULL, '5', 'two', 2),
                                                     (3, 'c', NULL, 'three', 3), (4, 'd', '250', NULL, 4);
""",
    new="""
CREATE TABLE things (id int PRIMARY KEY, name text, shout text GENERATED ALWAYS AS (upper(name)) STORED,
                     n int GENERATED BY DEFAULT AS IDENTITY, tag_list text[] DEFAULT '{none}',
                     cents bigint DEFAULT 7);
INSERT INTO things (id, tag_list, cents, name, n) VALUES (1, '{a,b}', 100, 'one', 1), (2, NULL, 5, 'two', 2),
                                                         (3, '{c}', NULL, 'three', 3), (4, '{d}', 250, NULL, 4);
""",
    common="CREATE SEQUENCE seq; CREATE FUNCTION tick() RETURNS bigint LANGUAGE sql VOLATILE AS "
           "$$ SELECT nextval('seq') $$;",
    words={
        "old": {"t": "tags", "p": "price", "tv": "'x,y'", "pv": "'42'", "tt": "text", "pt": "text",
                "tick": "tick()::text", "ticked": "'t' || tick()", "e": "tags"},
        "new": {"t": "tag_list", "p": "cents", "tv": "'{x,y}'", "pv": "42", "tt": "text[]", "pt": "bigint",
                "tick": "tick()", "ticked": "ARRAY['t' || tick()]", "e": "tag_list[1]"},
    },
    contents=["SELECT * FROM things ORDER BY id"],
    reset="SELECT setval('seq', 1, false), setval('things_n_seq', 100)",
    guards=("off", "reject", "sync"),
)

TWO_CASES = [
    "UPDATE things SET {t} = {tv}, {p} = {pv} WHERE id = 1 RETURNING *",
    "UPDATE things SET ({p}, name, {t}) = ({pv}, 'n', {tv}) WHERE id < 3 RETURNING {t}, {p}, shout",
    "UPDATE things SET ({p}, {t}) = (SELECT {pv}::{pt}, {tv}::{tt})",
    "UPDATE things SET ({t}, shout, {p}) = ({tv}, DEFAULT, {pv})",
    "UPDATE things SET ({t}, shout, n, {p}) = ({ticked}, DEFAULT, DEFAULT, {tick})",
    "UPDATE things SET {t} = {ticked}, {p} = {tick}",
    "UPDATE things SET {t} = {ticked}, {p} = {pv}, name = 'x'",
    "UPDATE things x SET (name, {p}) = (SELECT y.name, y.{p} FROM things y WHERE y.id = x.id + 1), {t} = {tv}",
    "UPDATE things x SET ({t}, {p}) = (SELECT y.{t}, {tick} FROM things y WHERE y.id = x.id)",
    "UPDATE things SET ({t}, {p}) = (SELECT {ticked}, {tick})",
    "UPDATE things SET ({t}, {p}) = ROW (v.*) FROM (SELECT {tv}::{tt}, {pv}::{pt}) v WHERE id = 2",
    "UPDATE things SET {p} = DEFAULT, {t} = DEFAULT",
    "UPDATE things SET ({p}, {t}, n) = (DEFAULT, DEFAULT, 5) WHERE id = 1",
    "UPDATE things SET {p} = DEFAULT, {t} = {ticked}",
    "UPDATE things SET ({p}, {t}) = (DEFAULT, {ticked})",
    "UPDATE things x SET {p} = y.{p}, {t} = y.{t} FROM things y WHERE y.id = x.id + 1 RETURNING x, y.*",
    "UPDATE things SET name = {p}::text || {t}::text",
    "MERGE INTO things x USING things y ON x.id = y.id + 1 WHEN MATCHED THEN UPDATE SET ({t}, {p}) = (y.{t}, "
    "y.{p}) WHEN NOT MATCHED THEN INSERT ({p}, id, {t}) VALUES (y.{p}, y.id + 10, y.{t})",
    "MERGE INTO things x USING things y ON x.id = y.id + 1 WHEN MATCHED THEN UPDATE SET {t} = {ticked}, {p} = "
    "{tick} WHEN NOT MATCHED THEN INSERT (id) VALUES (y.id + 10)",
    "MERGE INTO things x USING (VALUES (9)) y(i) ON x.id = y.i WHEN NOT MATCHED THEN INSERT (id, shout, n, {t}) "
    "VALUES (y.i, DEFAULT, DEFAULT, DEFAULT)",
    "MERGE INTO things x USING (VALUES (9)) y(i) ON x.id = y.i WHEN NOT MATCHED THEN INSERT (id, n, {p}) OVERRIDING "
    "SYSTEM VALUE VALUES (y.i, 77, {pv})",
    "MERGE INTO things x USING (VALUES (1)) y(i) ON x.id = y.i WHEN MATCHED THEN UPDATE SET ({t}, {p}) = (SELECT "
    "{ticked}, {tick})",
    "DELETE FROM things x WHERE {p} = {pv} OR {t} = 'c' OR x IS NOT NULL RETURNING x, {t}, {p}",
    ("UPDATE things SET ({t}, {p}) = ($1, $2) WHERE {p} = $3", [None, "12", "100"]),
    ("MERGE INTO things x USING (SELECT 1 AS i) y ON x.id = y.i WHEN MATCHED THEN UPDATE SET ({t}, {p}) = ($1, "
     "$2) WHEN NOT MATCHED THEN DO NOTHING", [None, "12"]),
    "UPDATE things SET ({t}, name) = (SELECT {ticked}, 'n' || tick()) RETURNING name",
    "UPDATE things SET (name, {p}) = (SELECT 'n' || tick(), {tick} WHERE things.id > 1)",
    "UPDATE things x SET ({t}, name) = (SELECT y.{t}, y.name FROM things y WHERE y.id = x.id FOR UPDATE)",
    *[Case(s, guards=("sync",)) for s in [
        "MERGE INTO things x USING (VALUES (8), (9)) y(i) ON x.id = y.i WHEN NOT MATCHED THEN INSERT (id, {t}, "
        "{p}) VALUES (y.i, {ticked}, {tick})",
    ]],
    Case("MERGE INTO things x USING things y ON x.id = y.id WHEN MATCHED AND x.id = 1 THEN UPDATE SET {t} = "
         "{ticked} WHEN MATCHED THEN UPDATE SET {p} = {tick}", guards=("sync",),
         states=("dual_old", "dual_own", "dual_new")),
]

CASES = {SHOP: SHOP_CASES, SPLIT: SPLIT_CASES, TWO: TWO_CASES}
