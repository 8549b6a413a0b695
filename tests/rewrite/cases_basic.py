"""The first cases: every construct of REWRITE.md once, as people, drivers and object mappers write it."""

from case import Case
from worlds import SHOP

READS = [
    "SELECT {role} FROM users ORDER BY id",
    "SELECT * FROM users ORDER BY id",
    "SELECT u.* FROM users u ORDER BY u.id",
    "SELECT public.users.{role} FROM public.users ORDER BY id",
    "SELECT public.users.* FROM public.users ORDER BY id",
    "SELECT U.{role} AS x, u.name FROM users AS u WHERE u.{role} = {admin}",
    "SELECT id FROM users WHERE {role} IS NULL",
    "SELECT {role}, count(*) FROM users GROUP BY {role} ORDER BY {role}",
    "SELECT {role} AS r, count(*) FROM users GROUP BY 1 ORDER BY 1",
    "SELECT {role} AS r FROM users GROUP BY r ORDER BY r NULLS FIRST",
    "SELECT DISTINCT {role} FROM users ORDER BY {role} DESC",
    "SELECT DISTINCT ON ({role}) {role}, id FROM users ORDER BY {role}, id",
    "SELECT count(DISTINCT {role}) FROM users HAVING max({role}) > {admin}",
    "SELECT id, {role} || {role} FROM users ORDER BY 1",
    "SELECT {role}::varchar FROM users ORDER BY id",
    "SELECT ({role}) FROM users ORDER BY id",
    "SELECT CASE WHEN id > 2 THEN NULL ELSE {role} END FROM users ORDER BY id",
    "SELECT coalesce({role}, {admin}), nullif({role}, {admin}) FROM users ORDER BY id",
    "SELECT (SELECT {role} FROM users WHERE id = 1)",
    "SELECT ARRAY(SELECT {role}::text FROM users ORDER BY id)",
    "SELECT row_to_json(u) FROM users u ORDER BY id",
    "SELECT to_jsonb(users) FROM users ORDER BY id",
    "SELECT (u).{role} FROM users u ORDER BY id",
    "SELECT (u).* FROM users u ORDER BY id",
    "SELECT count(u.*) FROM users u",
    "SELECT a, b FROM users AS u(a, b) ORDER BY id LIMIT 0",
    "SELECT x.{role} FROM (SELECT * FROM users) x ORDER BY id",
    "SELECT {role} FROM (SELECT {role}, id FROM users) AS x ORDER BY id",
    "SELECT r FROM (SELECT {role}, id FROM users) AS x(r, i) ORDER BY i",
    "SELECT u.{role}, t.amount FROM users u JOIN transactions t ON t.user_id = u.id ORDER BY t.id",
    "SELECT * FROM users u JOIN transactions t ON t.user_id = u.id ORDER BY t.id",
    "SELECT u.*, t.* FROM users u, transactions t WHERE t.user_id = u.id ORDER BY t.id",
    "SELECT * FROM users u LEFT JOIN transactions t USING (id) ORDER BY id",
    "SELECT id, {role}, amount FROM users NATURAL JOIN transactions ORDER BY id",
    "SELECT * FROM users NATURAL JOIN transactions ORDER BY id",
    "SELECT t.amount, o.id FROM transactions t JOIN other o USING (id) ORDER BY t.id",
    "SELECT j.{role}, j.amount FROM (users u JOIN transactions t ON t.user_id = u.id) AS j(a) "
    "ORDER BY 1, 2",
    "SELECT u.id, o.{hidden} FROM users u JOIN other o ON o.id = u.id ORDER BY 1",
    "SELECT u.id, {hidden} FROM users u JOIN other o ON o.id = u.id ORDER BY 1",
    "SELECT u.id, (SELECT {hidden} FROM other o WHERE o.id = u.id) FROM users u ORDER BY 1",
    "SELECT o.id FROM other o WHERE EXISTS (SELECT 1 FROM users WHERE {hidden} = 'p1')",
    "SELECT count(*) FROM other o WHERE EXISTS (SELECT * FROM users u WHERE u.id = o.id)",
    "SELECT id FROM users WHERE id IN (SELECT user_id FROM transactions WHERE amount = {n}) "
    "OR {role} IN (SELECT {role} FROM users WHERE id = 1) ORDER BY id",
    "WITH q AS (SELECT {role}, id FROM users) SELECT * FROM q ORDER BY id",
    "WITH q(a, b) AS (SELECT {role}, id FROM users) SELECT a FROM q ORDER BY b",
    "WITH users AS (SELECT 1 AS id, 'fake' AS {hidden}) SELECT * FROM users",
    "WITH RECURSIVE q AS (SELECT id, {role} FROM users WHERE id = 1 UNION ALL "
    "SELECT u.id, u.{role} FROM users u JOIN q ON u.id = q.id + 1) SELECT * FROM q ORDER BY id",
    "SELECT {role} FROM users WHERE id < 3 UNION SELECT {role} FROM users ORDER BY {role}",
    "SELECT id, {role} FROM users EXCEPT SELECT id, {role} FROM users WHERE id = 1 ORDER BY id",
    "SELECT u.id, x.amount FROM users u, LATERAL (SELECT amount FROM transactions t "
    "WHERE t.user_id = u.id AND u.{role} IS NOT NULL ORDER BY t.id LIMIT 1) x ORDER BY 1",
    "SELECT u.id, s FROM users u, unnest(string_to_array(u.{role}::text, ',')) AS s ORDER BY 1, 2",
    "SELECT g, {role} FROM users, generate_series(1, 2) g WHERE id = g ORDER BY g",
    "SELECT amount FROM transactions ORDER BY amount, id",
    "SELECT amount::numeric + 1 AS x FROM transactions ORDER BY id",
    "SELECT id, amount AS money FROM transactions WHERE amount = {n} OR amount > {n} ORDER BY id",
    "SELECT sum(amount::numeric) OVER (PARTITION BY amount ORDER BY id) FROM transactions ORDER BY 1",
    "SELECT rank() OVER w FROM transactions WINDOW w AS (ORDER BY amount) ORDER BY 1",
    "SELECT max(amount) FILTER (WHERE amount IS NOT NULL), string_agg(amount::text, '/' ORDER BY "
    "amount, id) FROM transactions",
    "SELECT user_id, amount FROM transactions GROUP BY GROUPING SETS ((user_id), (amount)) "
    "ORDER BY 1, 2",
    "SELECT t.id, count(*), t.amount FROM transactions t GROUP BY t.id ORDER BY 1",
    "SELECT t.* FROM transactions t GROUP BY t.id ORDER BY t.id",
    "SELECT u.id, u.{role} FROM users u JOIN transactions t ON t.user_id = u.id GROUP BY u.id "
    "ORDER BY 1",
    "TABLE users",
    "TABLE users ORDER BY id LIMIT 2",
    "SELECT * FROM ONLY users ORDER BY id",
    "SELECT id, {role} FROM users * ORDER BY id",
    "SELECT * FROM ONLY (users) ORDER BY id",
    "SELECT {role} FROM users ORDER BY id FOR UPDATE",
    "SELECT u.{role} FROM users u ORDER BY id FOR NO KEY UPDATE OF u SKIP LOCKED",
    "SELECT row_to_json(u) FROM users u ORDER BY id FOR UPDATE OF u",
    "SELECT count(*) FROM users TABLESAMPLE BERNOULLI (100) WHERE {role} = {admin}",
    "SELECT id /* {role} -- */, \"{role}\" -- comment\n FROM users -- the end\n ORDER BY id",
    "/*+ SeqScan(users) */ SELECT {role} FROM users ORDER BY id",
    "SELECT\t{role},id\nFROM\nusers\nWHERE({role}={admin})ORDER BY id",
    "SELECT 'é', {role} FROM users WHERE name = 'né' OR {role} = {admin}",
    "SELECT users.ctid IS NOT NULL, tableoid::regclass::text FROM users WHERE {role} = {admin}",
    "VALUES ((SELECT {role} FROM users WHERE id = 3)), (NULL)",
    "SELECT {role} IS DISTINCT FROM {admin}, {role} FROM users ORDER BY id",
    "SELECT xmlforest(name, id) FROM users ORDER BY id LIMIT 0",
    "SELECT {role} FROM users u WHERE (id, {role}) = (1, {admin})",
    "SELECT amount FROM transactions WHERE amount BETWEEN '1' AND '2'",
    "SELECT nosuch FROM users",
    "SELECT {hidden} FROM users",
    "SELECT u.{hidden} FROM users u",
    "SELECT {role} FROM users a, users b",
    "SELECT {role} FROM nosuch",
    "SELECT amount_new FROM transactions",
]

WRITES = [
    "INSERT INTO users (id, {role}) VALUES (20, {dev})",
    "INSERT INTO users ({role}, id) VALUES ({dev}, 20), ({two}, 21), (NULL, 22), (DEFAULT, 23)",
    "INSERT INTO users AS u (id, {role}, name) VALUES (20, {dev}, 'zed') RETURNING *",
    "INSERT INTO users (id) VALUES (20) RETURNING {role}, id",
    "INSERT INTO users DEFAULT VALUES RETURNING {role}",
    "INSERT INTO users (name) SELECT 'n' || id FROM staging ORDER BY id RETURNING id, {role}",
    "INSERT INTO users (id, {role}) SELECT 30, {dev}",
    "INSERT INTO users (id, {role}) SELECT id + 30, {role} FROM users RETURNING id, {role}",
    "INSERT INTO users (id, {role}) (SELECT id, what::{array} FROM staging ORDER BY id LIMIT 1)",
    "INSERT INTO users (id, {role}) WITH q AS (SELECT id, what::{array} AS w FROM staging) "
    "SELECT id, w FROM q",
    "WITH q AS (SELECT 40 AS a, {dev}::{array} AS b) INSERT INTO users (id, {role}) SELECT a, b "
    "FROM q RETURNING {role}",
    "INSERT INTO users (id, {role}) SELECT 30, NULL",
    "INSERT INTO users (id, name, {role}) VALUES (1, 'again', {dev}) ON CONFLICT (id) DO NOTHING",
    "INSERT INTO users (id, {role}) VALUES (1, {dev}) ON CONFLICT (id) DO UPDATE "
    "SET {role} = EXCLUDED.{role} RETURNING *",
    "INSERT INTO users AS u (id, {role}) VALUES (3, {dev}), (20, {dev}) ON CONFLICT (id) DO UPDATE "
    "SET {role} = excluded.{role} || u.{role}, name = 'touched' WHERE u.{role} IS NOT NULL",
    "INSERT INTO users (id, name) VALUES (50, 'alice') ON CONFLICT ON CONSTRAINT users_name_key "
    "DO UPDATE SET ({role}, name) = ROW ({two}, 'new')",
    "INSERT INTO transactions VALUES (20, 1)",
    "INSERT INTO transactions (id, amount) VALUES (20, {n}), (21, '3.00')",
    "INSERT INTO transactions (amount, id) VALUES (12.50, 20)",
    "INSERT INTO transactions (id, day, amount) SELECT 20, '2020-02-02', {n}",
    "INSERT INTO transactions (id, amount, day) SELECT id + 20, amount, day FROM transactions "
    "RETURNING id, amount, day",
    "INSERT INTO transactions (id, amount) VALUES (20, lower({n}::text)::{number})",
    "INSERT INTO transactions (id, user_id) VALUES (1, 1)",
    "INSERT INTO users (id, {hidden}) VALUES (20, NULL)",
    "INSERT INTO users (id, id) VALUES (20, 1)",
    "INSERT INTO users (id, {role}) VALUES (20)",
    "INSERT INTO users (id, {role}) VALUES (20, {dev}, 'three')",
    "INSERT INTO users (id, {role}) VALUES (20, {dev}), (21)",
    "INSERT INTO users VALUES (20), (21, NULL)",
    "INSERT INTO users VALUES (1, NULL, NULL, 4)",
    "UPDATE users SET {role} = {dev} WHERE id = 2 RETURNING *",
    "UPDATE users SET {role} = {dev}",
    "UPDATE users SET {role} = NULL, name = 'x' WHERE id = 3",
    "UPDATE users SET {role} = DEFAULT WHERE id = 3 RETURNING {role}",
    "UPDATE users SET {role} = {append}",
    "UPDATE users SET {role} = {role}",
    "UPDATE users SET name = 'y' WHERE {role} = {admin} RETURNING id, {role}",
    "UPDATE ONLY users AS u SET {role} = {two} WHERE u.{role} = {admin}",
    "UPDATE users u SET {role} = s.what::{array} FROM staging s WHERE s.id = u.id + 10 "
    "RETURNING u.{role}, s.id",
    "UPDATE users SET {role} = o.{role} FROM users o WHERE o.id = users.id + 1 RETURNING users.id, "
    "users.{role}",
    "UPDATE users SET (name, {role}) = ('n', {dev}) WHERE id = 1",
    "UPDATE users SET ({role}, name) = ({two}, DEFAULT) WHERE id = 1",
    "UPDATE users SET ({role}) = ROW ({two}) WHERE id = 1",
    "UPDATE users u SET (name, {role}) = (SELECT s.who, s.what::{array} FROM staging s WHERE "
    "s.id = u.id + 10)",
    "UPDATE users SET (name, {role}) = (SELECT 'z', {dev}) WHERE id = 4",
    "UPDATE users SET {role} = (SELECT {dev}::{array}) WHERE id < 3",
    "UPDATE users SET {role} = (SELECT u2.{role} FROM users u2 WHERE u2.id = users.id - 1)",
    "UPDATE transactions SET amount = {n} WHERE amount = '7.50' RETURNING amount, id",
    "UPDATE transactions SET amount = (amount::numeric * 2)::{number}, day = NULL",
    "UPDATE transactions SET amount = 3.25 WHERE id = 1 RETURNING *",
    "UPDATE users SET {hidden} = NULL",
    "UPDATE users SET nosuch = NULL",
    "UPDATE transactions SET amount_new = 1",
    "DELETE FROM users WHERE {role} = {admin} RETURNING *",
    "DELETE FROM users u USING transactions t WHERE t.user_id = u.id AND t.amount = '10.50' "
    "RETURNING u.{role}, t.amount",
    "WITH d AS (DELETE FROM users WHERE id = 1 RETURNING {role}, id) SELECT * FROM d",
    "WITH u AS (UPDATE users SET {role} = {dev} WHERE id = 2 RETURNING *) SELECT {role} FROM u",
    "WITH i AS (INSERT INTO users (id, {role}) VALUES (60, {two}) RETURNING *) "
    "INSERT INTO staging (id, who) SELECT id, {role}::text FROM i RETURNING who",
    "INSERT INTO other (id, role) SELECT id, {role}::text FROM users RETURNING *",
    "UPDATE other SET role = u.{role}::text FROM users u WHERE u.id = other.id RETURNING other.role",
    "DELETE FROM other WHERE id IN (SELECT id FROM users WHERE {role} = {admin})",
    "CREATE TABLE made AS SELECT * FROM users",
    "SELECT {role}, amount INTO TEMP made FROM users JOIN transactions ON user_id = users.id",
    "EXPLAIN (COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1 FROM other",
    "DECLARE c CURSOR FOR SELECT {role} FROM users",
    "PREPARE p AS SELECT {role} FROM users WHERE id = $1",
    "TRUNCATE users",
    "LOCK TABLE users",
    "COMMENT ON TABLE users IS 'x'",
    "CREATE INDEX ON users (name)",
    Case("ALTER TABLE users ADD COLUMN extra int", contents=False),
]

# As drivers and object mappers write them.
MAPPERS = [
    'SELECT "users".* FROM "users" WHERE "users"."{role}" = {admin} ORDER BY "users"."id" ASC LIMIT 1',
    'SELECT COUNT(*) FROM (SELECT DISTINCT "users"."{role}" AS "col1" FROM "users") subquery',
    'SELECT "public"."users"."id", "public"."users"."{role}" FROM "public"."users" WHERE '
    '("public"."users"."{role}" = {admin} AND 1=1) ORDER BY "public"."users"."id" OFFSET 0',
    "SELECT users.id AS users_id, users.{role} AS users_role FROM users ORDER BY users.id",
    "select u1_0.id,u1_0.{role} from users u1_0 where u1_0.{role}={admin} order by u1_0.id "
    "fetch first 5 rows only",
    'INSERT INTO "users" ("{role}", "name") VALUES ({dev}, \'m\') RETURNING "users"."id"',
    'UPDATE "users" SET "{role}" = {dev}, "name" = \'y\' WHERE "users"."id" = 1',
    "UPDATE users SET {role} = v.r FROM (VALUES (1, {dev}::{array}), (2, {two})) AS v(id, r) "
    "WHERE users.id = v.id",
    "INSERT INTO users (id, {role}) SELECT p0::int, p1::{array} FROM (VALUES ('30', {dev}), "
    "('31', {two})) AS imp_sen(p0, p1) ORDER BY p0 RETURNING users.id, users.{role}",
    "DELETE FROM users WHERE users.{role} IN ({admin}, {dev})",
    "SELECT users.{role}, COUNT(*) AS n FROM users LEFT OUTER JOIN transactions ON "
    "transactions.user_id = users.id GROUP BY users.{role} HAVING COUNT(*) > 0 ORDER BY n, 1",
]

# (statement, parameters)
PARAMETERS = [
    ("INSERT INTO users (name, {role}) SELECT 'n' || r, $1 FROM unnest($2::int[]) AS r "
     "RETURNING {role}", ["{param}", "{1,2}"]),
    ("SELECT id FROM users WHERE {role} IN ($1, $2) OR {role} = ANY (ARRAY[$1, $3]) ORDER BY id",
     ["{param}", "{param}", "{param}"]),
    ("SELECT {role} FROM users WHERE ($1::{array} IS NULL OR {role} = $1) ORDER BY id LIMIT $2",
     [None, "2"]),
    ("SELECT id FROM users WHERE {role} = $1", ["{param}"]),
    ("SELECT $1::text, {role} FROM users WHERE id = $2 ORDER BY id", ["x", "1"]),
    ("INSERT INTO users (id, {role}) VALUES ($1, $2)", ["20", "{param}"]),
    ("INSERT INTO users ({role}, id, name) VALUES ($1, $2, $3), ($4, $5, $3 || 'x') RETURNING *",
     ["{param}", "20", "n", None, "21"]),
    ("INSERT INTO users (id, {role}) SELECT $1, $2", ["20", "{param}"]),
    ("INSERT INTO transactions (id, day, amount) SELECT $1, $3, $2", ["20", "{nparam}", "2020-02-02"]),
    ("UPDATE users SET {role} = $1 WHERE id = $2", ["{param}", "1"]),
    ("UPDATE users SET {role} = $1 WHERE {role} = $1 RETURNING id", ["{param}"]),
    ("UPDATE users SET name = $2, {role} = $1 WHERE id = $3 RETURNING *", ["{param}", "nn", "2"]),
    ("UPDATE transactions SET amount = $1 WHERE id = $2 RETURNING amount", ["{nparam}", "1"]),
    ("UPDATE transactions SET amount = $1", ["{nparam}"]),
    ("INSERT INTO transactions (id, amount) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET "
     "amount = EXCLUDED.amount WHERE transactions.amount <> $3", ["1", "{nparam}", "{nparam}"]),
    ("UPDATE users SET (name, {role}) = ($2, $1) WHERE id = 1", ["{param}", "m"]),
    ("UPDATE users SET (name, {role}) = (SELECT $2, $1) WHERE id = 1", ["{param}", "m"]),
    ("DELETE FROM transactions WHERE amount = $1", ["{nparam}"]),
    ("SELECT amount FROM transactions WHERE amount = ANY ($1) ORDER BY id", ["{10.50}"]),
]

# What is evaluated differs from one evaluation to the next: a row's two columns must share one, and two
# rows must not.
VOLATILE = [
    "UPDATE users SET {role} = {volatile}",
    "INSERT INTO users (id, {role}) VALUES (20, {volatile}), (21, {dev}), (22, DEFAULT)",
    "INSERT INTO users (name, {role}) VALUES ('20', {volatile}), (21, {volatile}), (NULL, NULL)",
    "INSERT INTO users (id, {role}) SELECT id, {volatile} FROM staging",
    "UPDATE users SET {role} = {volatile} FROM staging s WHERE s.id = users.id + 10",
    "INSERT INTO users (id, {role}) VALUES (1, NULL) ON CONFLICT (id) DO UPDATE "
    "SET {role} = {volatile}",
    "UPDATE users SET name = id::text, {role} = (SELECT {volatile} WHERE users.id > 0)",
]

CASES = {
    SHOP: READS + WRITES + MAPPERS + PARAMETERS
    + [Case(statement, trap=2) for statement in VOLATILE]
}
