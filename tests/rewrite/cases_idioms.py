"""
What ORMs and report writers send: upserts, chains of CTEs, window functions, LATERAL, batches of VALUES, keyset
pagination, queues by SKIP LOCKED; over a table of which many columns change at once.
"""

from case import Case, case_of
from world import World

IDIOMS = World(
    name="idioms",
    transitions="""
transition "customer" {
    table = "public.orders"
    old "customer_id" { type = "integer" from = "customer_id::integer" }
    new "customer_id" { type = "bigint"  from = "customer_id::bigint" column = "customer_new" }
    lossless = true
}
transition "state" {
    table = "public.orders"
    old "state" { type = "text" from = "state::text" }
    new "state" { type = "public.order_state" from = "state::public.order_state" column = "state_new" }
    lossless = true
}
transition "total" {
    table = "public.orders"
    old "total" { type = "character varying(12)" from = "total::text" }
    new "total" { type = "numeric(12,2)" from = "total::numeric" column = "total_new" }
    lossless = true
}
transition "meta" {
    table = "public.orders"
    old "meta" { type = "text" from = "doc::text" }
    new "doc"  { type = "jsonb" from = "meta::jsonb" }
    lossless = false
}
transition "tags" {
    table = "public.orders"
    old "tags" { type = "text" from = "array_to_string(tag_list, ',')" }
    new "tag_list" { type = "text[]" from = "string_to_array(tags, ',')" }
    lossless = false
}
transition "mail" {
    table = "public.customers"
    old "mail"  { type = "character varying(40)" from = "email" }
    new "email" { type = "character varying(40)" from = "mail" }
    lossless = true
}
""",
    common="""
CREATE TYPE order_state AS ENUM ('new', 'paid', 'sent', 'void');
CREATE TABLE lines (id int PRIMARY KEY, order_id int, sku text, price numeric(12,2), qty int);
INSERT INTO lines VALUES (1, 1, 'a', 5.00, 2), (2, 1, 'b', 0.50, 1), (3, 2, 'a', 5.00, 1), (4, 4, 'c', 7.25, 4),
                         (5, 9, 'z', 1.00, 1);
CREATE TABLE inbox (id int, who int, what text, much text, labels text);
INSERT INTO inbox VALUES (1, 1, 'paid', '3.50', 'x,y'), (2, 2, 'sent', '9.00', NULL), (20, 3, 'new', '1.00', 'q');
CREATE SEQUENCE seq;
CREATE FUNCTION tick() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT nextval('seq') $$;
""",
    old="""
CREATE TABLE customers (id int PRIMARY KEY, mail varchar(40), name text);
INSERT INTO customers VALUES (1, 'ann@x', 'Ann'), (2, 'bob@x', 'Bob'), (3, NULL, 'Cid');
CREATE TABLE orders (id serial PRIMARY KEY, customer_id int, state text DEFAULT 'new', total varchar(12),
                     meta text DEFAULT '{}', placed timestamp DEFAULT '2020-01-01', tags text, note text);
INSERT INTO orders (id, customer_id, state, total, meta, placed, tags, note) VALUES
    (1, 1, 'paid', '10.50', '{"a": 1, "b": [1, 2]}', '2020-01-01 10:00', 'x,y', 'one'),
    (2, 1, 'new', '5.00', '{}', '2020-01-02 10:00', NULL, 'two'),
    (3, 2, 'sent', NULL, NULL, '2020-02-01 10:00', 'x', NULL),
    (4, 2, 'paid', '29.00', '{"a": 2, "c": {"d": "e"}}', '2020-02-03 10:00', 'y,z', 'four'),
    (5, NULL, NULL, '0.25', '[1, "two"]', NULL, 'q', 'five');
""",
    new="""
CREATE TABLE customers (id int PRIMARY KEY, name text, email varchar(40));
INSERT INTO customers (id, email, name) VALUES (1, 'ann@x', 'Ann'), (2, 'bob@x', 'Bob'), (3, NULL, 'Cid');
CREATE TABLE orders (id serial PRIMARY KEY, placed timestamp DEFAULT '2020-01-01', note text, customer_id bigint,
                     state order_state DEFAULT 'new', total numeric(12,2), doc jsonb DEFAULT '{}', tag_list text[]);
INSERT INTO orders (id, customer_id, state, total, doc, placed, tag_list, note) VALUES
    (1, 1, 'paid', '10.50', '{"a": 1, "b": [1, 2]}', '2020-01-01 10:00', '{x,y}', 'one'),
    (2, 1, 'new', '5.00', '{}', '2020-01-02 10:00', NULL, 'two'),
    (3, 2, 'sent', NULL, NULL, '2020-02-01 10:00', '{x}', NULL),
    (4, 2, 'paid', '29.00', '{"a": 2, "c": {"d": "e"}}', '2020-02-03 10:00', '{y,z}', 'four'),
    (5, NULL, NULL, '0.25', '[1, "two"]', NULL, '{q}', 'five');
""",
    words={
        "old": {"doc": "meta", "list": "tags", "mail": "mail", "state_t": "text", "num": "varchar", "docs": "text",
                "lists": "text", "xy": "'x,y'", "int": "int", "xyp": "x,y"},
        "new": {"doc": "doc", "list": "tag_list", "mail": "email", "state_t": "order_state", "num": "numeric",
                "docs": "jsonb", "lists": "text[]", "xy": "'{x,y}'", "int": "bigint", "xyp": "{x,y}"},
    },
    contents=["SELECT * FROM orders ORDER BY id, note", "SELECT * FROM customers ORDER BY id",
              "SELECT * FROM lines ORDER BY id"],
    reset="SELECT setval('orders_id_seq', 100, false), setval('seq', 1, false)",
    guards=("off",),
)

UPSERTS = [
    # Rails upsert_all, Django bulk_create(update_conflicts), Hibernate, SQLAlchemy on_conflict_do_update
    'INSERT INTO "orders" ("id","customer_id","state","total") VALUES (1, 3, \'void\', \'1.00\'), (50, 3, \'new\', '
    "'2.00') ON CONFLICT (\"id\") DO UPDATE SET \"customer_id\"=excluded.\"customer_id\",\"state\"=excluded.\"state\","
    '"total"=excluded."total" RETURNING "id"',
    "INSERT INTO orders (id, total, state) VALUES (1, '3.00', 'sent') ON CONFLICT (id) DO UPDATE SET total = "
    "(orders.total::numeric + excluded.total::numeric)::{num}, state = CASE WHEN orders.state = 'void' THEN "
    "orders.state ELSE excluded.state END WHERE orders.total IS DISTINCT FROM excluded.total RETURNING id, total, state, "
    "(xmax = 0) AS inserted",
    "INSERT INTO customers (id, {mail}, name) VALUES (9, 'ann@x', 'New'), (10, 'eve@x', 'Eve') ON CONFLICT (id) DO "
    "UPDATE SET name = excluded.name || customers.name RETURNING *",
    "INSERT INTO customers (id, {mail}) VALUES (9, 'ann@x') ON CONFLICT DO NOTHING RETURNING id",
    "INSERT INTO orders (id, {list}, {doc}) VALUES (1, {xy}, '{\"k\": 1}') ON CONFLICT (id) DO UPDATE SET {list} = "
    "excluded.{list}, {doc} = coalesce(excluded.{doc}, orders.{doc}), placed = now() - now() + '2021-01-01' RETURNING *",
    "INSERT INTO orders AS o (id, customer_id) SELECT id, who FROM inbox ON CONFLICT (id) DO UPDATE SET customer_id = "
    "excluded.customer_id + o.customer_id, note = excluded.note RETURNING o.id, o.customer_id",
    "WITH src (id, state, total) AS (VALUES (1, 'void', '4.00'), (60, 'new', '5.00')), up AS (UPDATE orders o SET state = "
    "s.state::{state_t}, total = s.total::{num} FROM src s WHERE s.id = o.id RETURNING o.id) INSERT INTO orders (id, state, "
    "total) SELECT id, state::{state_t}, total::{num} FROM src WHERE id NOT IN (SELECT id FROM up) RETURNING *",
    ("INSERT INTO orders (id, customer_id, total, state, {list}) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE "
     "SET customer_id = $2, total = $3, state = $4, {list} = $5 RETURNING id, customer_id, total, state, {list}",
     ["1", "2", "7.00", "paid", "{xyp}"]),
    ("INSERT INTO orders (id, customer_id, total) SELECT * FROM unnest($1::int[], $2::int[], $3::numeric[]) AS t(a, b, c) "
     "ON CONFLICT (id) DO UPDATE SET total = EXCLUDED.total", ["{1,70}", "{2,3}", "{1.00,2.50}"]),
    "INSERT INTO orders (id, total) VALUES (1, '1.00'), (1, '2.00') ON CONFLICT (id) DO UPDATE SET total = excluded.total",
    "INSERT INTO orders (id, state) VALUES (1, 'paid') ON CONFLICT (id) DO UPDATE SET (state, total) = ROW ("
    "excluded.state, coalesce(orders.total, '9.00')) RETURNING state, total",
    "INSERT INTO orders (id, state) VALUES (1, 'paid') ON CONFLICT ON CONSTRAINT orders_pkey DO UPDATE SET (state, "
    "{list}) = (SELECT excluded.state, max(o.{list}) FROM orders o WHERE o.customer_id = orders.customer_id) RETURNING *",
    "INSERT INTO orders DEFAULT VALUES RETURNING id, state, {doc}, customer_id",
    "INSERT INTO orders (state, {doc}, total) VALUES (DEFAULT, DEFAULT, NULL), ('paid', '{\"z\": 0}', '3.00') RETURNING *",
]

CHAINS = [
    "WITH moved AS (DELETE FROM orders WHERE state = 'sent' RETURNING *), kept AS (INSERT INTO orders (id, customer_id, "
    "state, total, {doc}, {list}, note) SELECT id + 500, customer_id, 'void', total, {doc}, {list}, 'moved' FROM moved "
    "RETURNING id, state, total) SELECT k.*, m.id AS was, m.state AS was_state FROM kept k JOIN moved m ON m.id + 500 = k.id",
    "WITH gone AS (DELETE FROM orders o USING customers c WHERE c.id = o.customer_id AND c.{mail} = 'bob@x' RETURNING o.id, "
    "o.total, c.{mail}) SELECT count(*), sum(total::numeric), min({mail}) FROM gone",
    "WITH RECURSIVE chain AS (SELECT id, customer_id, total, 1 AS depth FROM orders WHERE id = 1 UNION ALL SELECT o.id, "
    "o.customer_id, o.total, c.depth + 1 FROM orders o JOIN chain c ON o.id = c.id + 1 WHERE c.depth < 4) SELECT *, "
    "sum(total::numeric) OVER (ORDER BY depth) FROM chain ORDER BY depth",
    "WITH RECURSIVE t(n, s) AS (SELECT 1, state FROM orders WHERE id = 1 UNION SELECT n + 1, o.state FROM t JOIN orders o "
    "ON o.id = n + 1) SELECT * FROM t ORDER BY n",
    "WITH a AS MATERIALIZED (SELECT * FROM orders), b AS NOT MATERIALIZED (SELECT id, state FROM a WHERE total IS NOT "
    "NULL), c AS (SELECT b.*, a.{list} FROM b JOIN a USING (id, state)) SELECT * FROM c ORDER BY id",
    "WITH ranked AS (SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY placed DESC NULLS LAST) AS rn FROM "
    "orders o) SELECT id, customer_id, state, rn FROM ranked WHERE rn = 1 ORDER BY id",
    "WITH x AS (UPDATE orders SET state = 'void' WHERE id IN (SELECT id FROM orders WHERE state = 'new' ORDER BY id LIMIT 1 "
    "FOR UPDATE SKIP LOCKED) RETURNING *) SELECT id, state, total FROM x",
    "WITH d AS (DELETE FROM lines WHERE order_id IN (SELECT id FROM orders WHERE state = 'paid') RETURNING order_id) UPDATE "
    "orders SET note = 'emptied', total = '0.00' WHERE id IN (SELECT order_id FROM d) RETURNING id, total",
    "WITH t AS (TABLE orders) SELECT count(*), count(total), count({doc}) FROM t",
    "WITH o(a, b, c) AS (SELECT id, state, total FROM orders) SELECT a, b, c FROM o WHERE b = 'paid' ORDER BY a",
    "WITH RECURSIVE s AS (SELECT id, state FROM orders WHERE id = 5 UNION ALL SELECT o.id, o.state FROM orders o, s WHERE "
    "o.id = s.id - 1) SEARCH DEPTH FIRST BY id SET ord SELECT id, state, ord FROM s ORDER BY id",
    "WITH RECURSIVE s(id, st) AS (SELECT id, state FROM orders WHERE id = 1 UNION ALL SELECT o.id % 2 + 1, o.state FROM "
    "orders o JOIN s ON o.id = s.id) CYCLE id SET looped USING path SELECT id, st, looped FROM s ORDER BY id, looped",
]

WINDOWS = [
    "SELECT id, total, sum(total::numeric) OVER w, lag(total) OVER w, first_value(state) OVER (w ROWS BETWEEN 1 PRECEDING "
    "AND CURRENT ROW) FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY id) ORDER BY id",
    "SELECT state, count(*), count(*) FILTER (WHERE total IS NOT NULL), string_agg(note, ',' ORDER BY id) FILTER (WHERE "
    "note <> 'x') FROM orders GROUP BY state ORDER BY state NULLS FIRST",
    "SELECT customer_id, state, count(*), grouping(customer_id, state) FROM orders GROUP BY ROLLUP (customer_id, state) "
    "ORDER BY 4, 1 NULLS LAST, 2 NULLS LAST",
    "SELECT customer_id, date_trunc('month', placed), sum(total::numeric) FROM orders GROUP BY CUBE (1, 2) ORDER BY 1, 2, 3",
    "SELECT state, customer_id, max(total) FROM orders GROUP BY GROUPING SETS ((state), (customer_id), ()) ORDER BY 1, 2, 3",
    "SELECT DISTINCT ON (customer_id) customer_id, id, total FROM orders ORDER BY customer_id, placed DESC NULLS LAST",
    "SELECT DISTINCT state, customer_id FROM orders ORDER BY customer_id, state",
    "SELECT id, ntile(2) OVER (ORDER BY total NULLS FIRST), percent_rank() OVER (ORDER BY customer_id NULLS FIRST) FROM "
    "orders ORDER BY id",
    "SELECT customer_id, percentile_disc(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY state) FROM "
    "orders GROUP BY customer_id ORDER BY 1",
    "SELECT customer_id, array_agg(DISTINCT state ORDER BY state), json_agg(json_build_object('id', id, 'total', total) "
    "ORDER BY id) FROM orders GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
    "SELECT state, bool_or(total = '10.50'), every({list} IS NOT NULL) FROM orders GROUP BY state ORDER BY state",
    "SELECT id FROM orders GROUP BY id ORDER BY max(total) DESC NULLS LAST, id",
    "SELECT o.id, o.state, o.{doc}, count(l.id) FROM orders o LEFT JOIN lines l ON l.order_id = o.id GROUP BY o.id ORDER BY o.id",
    "SELECT o.*, count(l.id) AS n FROM orders o LEFT JOIN lines l ON l.order_id = o.id GROUP BY o.id ORDER BY n DESC, o.id",
    "SELECT c.*, count(o.id), max(o.total) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id "
    "ORDER BY c.{mail} NULLS FIRST",
    "SELECT customer_id AS c, count(*) AS n FROM orders GROUP BY c HAVING min(state) IS NOT NULL ORDER BY n DESC, c LIMIT 2",
    "SELECT extract(year FROM placed) AS y, state, sum(sum(total::numeric)) OVER (PARTITION BY extract(year FROM placed)) "
    "FROM orders GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT state, total FROM orders WHERE total IS NOT NULL ORDER BY CASE state WHEN 'paid' THEN 1 ELSE 2 END, id",
    "SELECT count(*) OVER (), state FROM orders ORDER BY id OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY",
    "SELECT customer_id FROM orders ORDER BY customer_id NULLS FIRST FETCH FIRST 1 ROW WITH TIES",
]

LATERALS = [
    "SELECT c.id, c.{mail}, l.id, l.total FROM customers c CROSS JOIN LATERAL (SELECT o.id, o.total FROM orders o WHERE "
    "o.customer_id = c.id ORDER BY o.placed DESC LIMIT 1) l ORDER BY c.id",
    "SELECT c.id, s.n, s.sum FROM customers c LEFT JOIN LATERAL (SELECT count(*) AS n, sum(total::numeric) FROM orders o "
    "WHERE o.customer_id = c.id AND o.state <> 'void') s ON true ORDER BY c.id",
    "SELECT o.id, v.k, v.x FROM orders o, LATERAL (VALUES ('state', o.state::text), ('total', o.total::text)) AS v(k, x) "
    "ORDER BY o.id, v.k",
    "SELECT o.id, e.key, e.value FROM orders o CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(o.{doc}::jsonb) WHEN "
    "'object' THEN o.{doc}::jsonb END) e ORDER BY 1, 2",
    "SELECT id, (SELECT json_agg(l) FROM lines l WHERE l.order_id = orders.id AND l.price < coalesce(orders.total::numeric, "
    "0)) FROM orders ORDER BY id",
    "SELECT row_to_json(t) FROM (SELECT o.id, o.state, o.{list}, (SELECT row_to_json(c) FROM customers c WHERE c.id = "
    "o.customer_id) AS customer FROM orders o ORDER BY o.id) t",
    "SELECT coalesce(json_agg(to_jsonb(o) - 'placed' ORDER BY o.id), '[]') FROM orders o WHERE customer_id = 1",
    "SELECT json_build_object('o', o, 'c', c) FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id",
    "SELECT (o).state, (o).total FROM (SELECT o FROM orders o) s ORDER BY (o).id",
    "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.{mail} LIKE 'ann%') "
    "AND NOT EXISTS (SELECT FROM orders p WHERE p.customer_id = o.customer_id AND p.total > o.total) ORDER BY 1",
    "SELECT id FROM orders WHERE (customer_id, state) IN (SELECT customer_id, state FROM orders WHERE id IN (1, 3)) ORDER BY 1",
    "SELECT id FROM orders WHERE (customer_id, state) IN ((1, 'paid'), (2, 'sent')) ORDER BY id",
    "SELECT id FROM orders WHERE total = ANY (ARRAY['10.50', '5.00']::{num}[]) ORDER BY id",
    "SELECT id FROM orders WHERE total > ALL (SELECT total FROM orders WHERE customer_id = 1 AND total IS NOT NULL) ORDER BY 1",
    "SELECT a.id, b.id FROM orders a FULL JOIN orders b ON a.total = b.total AND a.id <> b.id ORDER BY 1, 2",
    "SELECT id, customer_id FROM orders JOIN (SELECT id AS customer_id, name FROM customers) c USING (customer_id) ORDER BY id",
    "SELECT * FROM orders NATURAL JOIN (SELECT 1::{int} AS customer_id, 7 AS seven) n ORDER BY id",
    "SELECT * FROM (orders o JOIN customers c ON c.id = o.customer_id) AS j(a, b, c) ORDER BY a LIMIT 1",
    "SELECT o.id, c.{mail} FROM orders o JOIN customers c ON (o.customer_id = c.id) WHERE c.{mail} ILIKE ANY (ARRAY['ANN%', "
    "'bob%']) ORDER BY o.id DESC",
]

PAGES = [
    ("SELECT id, total FROM orders WHERE (placed, id) > ($1, $2) ORDER BY placed, id LIMIT 2", ["2020-01-01", "0"]),
    ("SELECT id, customer_id FROM orders WHERE (customer_id, id) > ($1, $2) ORDER BY customer_id, id LIMIT $3", ["1", "1", "2"]),
    "SELECT id, customer_id FROM orders WHERE (customer_id, id) >= (1, 2) ORDER BY customer_id DESC, id DESC LIMIT 3",
    "SELECT id FROM orders WHERE ROW (customer_id, state) = ROW (1, 'paid')",
    "SELECT id FROM orders WHERE (customer_id, total) IS DISTINCT FROM (1, '5.00') ORDER BY id",
    ("SELECT id FROM orders WHERE customer_id = $1 AND ($2::text IS NULL OR note ILIKE $2) ORDER BY id", ["1", None]),
    ("SELECT id FROM orders WHERE ($1 IS NULL OR state = $1) ORDER BY id", ["paid"]),
    ("SELECT id FROM orders WHERE state = ANY ($1) ORDER BY id", ["{paid,new}"]),
    ("SELECT id FROM orders WHERE total BETWEEN $1 AND $2 ORDER BY id", ["1.00", "5.00"]),
    ("SELECT id FROM orders WHERE NOT (customer_id = ANY ($1)) ORDER BY id", ["{1}"]),
    ("SELECT coalesce(total, $1), nullif(state, $2) FROM orders ORDER BY id", ["1.00", "paid"]),
    ("SELECT CASE WHEN customer_id = $1 THEN state ELSE $2 END FROM orders ORDER BY id", ["1", "void"]),
    ("SELECT id FROM orders WHERE customer_id IN ($1, $2, $3) AND state NOT IN ($4, $5) ORDER BY id",
     ["1", "2", "3", "void", "sent"]),
    "SELECT count(*) FROM (SELECT 1 AS one FROM orders WHERE state = 'paid' LIMIT 10) sub",
    'SELECT "orders".* FROM "orders" INNER JOIN "customers" ON "customers"."id" = "orders"."customer_id" WHERE '
    '"customers"."{mail}" = \'ann@x\' ORDER BY "orders"."id" ASC LIMIT 11',
    'SELECT "orders"."id" AS t0_r0, "orders"."state" AS t0_r1, "orders"."total" AS t0_r2, "customers"."{mail}" AS t1_r0 FROM '
    '"orders" LEFT OUTER JOIN "customers" ON "customers"."id" = "orders"."customer_id" ORDER BY t0_r0',
    "SELECT this_.id AS id1_0_, this_.state AS state2_0_, this_.total AS total3_0_ FROM orders this_ WHERE (this_.state = "
    "'paid' OR lower(this_.state::text) LIKE '%en%') ORDER BY this_.total ASC NULLS LAST, this_.id LIMIT 20",
    "SELECT EXISTS (SELECT 1 FROM orders WHERE state = 'paid' AND total > '11.00') AS \"exists\"",
    "SELECT 1 AS one FROM orders WHERE orders.customer_id = 1 AND orders.id != 2 LIMIT 1",
    "SELECT id, total FROM orders WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT o.id, o.state FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id LIMIT 1 FOR UPDATE OF o NOWAIT",
    "SELECT * FROM orders WHERE state = 'paid' ORDER BY id FOR KEY SHARE",
    "SELECT id, state FROM ONLY orders TABLESAMPLE bernoulli (100) REPEATABLE (1) WHERE total IS NOT NULL ORDER BY id",
    "SELECT state FROM orders WHERE id < 3 UNION ALL SELECT 'void' ORDER BY 1",
    "SELECT id, total FROM orders EXCEPT SELECT id, total FROM orders WHERE state = 'paid' ORDER BY 1",
    "(SELECT id, state FROM orders ORDER BY total DESC NULLS LAST LIMIT 1) UNION (SELECT id, state FROM orders ORDER BY total "
    "LIMIT 1) ORDER BY id",
    "VALUES (1, (SELECT state FROM orders WHERE id = 1)), (2, NULL)",
    "SELECT * FROM (VALUES (1, 'paid'), (2, 'new')) AS v(id, s) JOIN orders o ON o.id = v.id AND o.state::text = v.s ORDER BY 1",
    "SELECT id, 'a' || state AS s, total IS NULL AS missing, -id AS neg FROM orders ORDER BY missing, s, neg",
    "SELECT greatest(total, '6.00'), least(customer_id, 1) FROM orders ORDER BY id",
]

WRITES = [
    "UPDATE orders AS o SET state = v.state::{state_t}, total = v.total FROM (VALUES (1, 'void', '1.00'::{num}), (2, 'sent', "
    "'2.00')) AS v(id, state, total) WHERE v.id = o.id RETURNING o.*",
    'UPDATE "orders" SET "total" = (CASE WHEN ("orders"."id" = 1) THEN \'7.00\' WHEN ("orders"."id" = 2) THEN \'8.00\' ELSE '
    'NULL END)::{num} WHERE "orders"."id" IN (1, 2)',
    "UPDATE orders SET customer_id = customer_id + 1, state = DEFAULT, note = concat(note, '+', state) WHERE customer_id = 1 "
    "RETURNING id, customer_id, state, note",
    "UPDATE orders SET total = (SELECT sum(price * qty) FROM lines l WHERE l.order_id = orders.id)::{num} WHERE id IN (SELECT "
    "order_id FROM lines) RETURNING id, total",
    "UPDATE orders o SET state = 'sent', note = (SELECT string_agg(x.state::text, '/' ORDER BY x.id) FROM orders x WHERE "
    "x.customer_id = o.customer_id) FROM customers c WHERE c.id = o.customer_id AND c.{mail} LIKE '%@x' RETURNING o.id, "
    "o.note, c.{mail}",
    "UPDATE orders SET state = 'paid' WHERE id = (SELECT id FROM orders WHERE state = 'new' ORDER BY placed FOR UPDATE SKIP "
    "LOCKED LIMIT 1) RETURNING *",
    "UPDATE customers SET {mail} = lower(name) || '@y' WHERE {mail} IS NULL RETURNING {mail}",
    "UPDATE customers SET {mail} = nullif(trim({mail}), ''), name = initcap(name) RETURNING *",
    "UPDATE orders SET (state, total, {list}) = ('void', '0.00', NULL) WHERE id = 4 RETURNING *",
    "UPDATE orders SET {doc} = CASE WHEN {doc} IS NULL THEN '{}' ELSE {doc} END WHERE id > 2 RETURNING {doc}",
    ("UPDATE orders SET customer_id = $1, state = $2, total = $3, {list} = $4, {doc} = $5, placed = $6 WHERE id = $7",
     ["3", "void", "4.50", "{xyp}", '{"n": 1}', "2021-01-01", "2"]),
    ("UPDATE orders SET total = $1 WHERE id = $2 AND total = $3 RETURNING total", ["6.00", "2", "5.00"]),
    ("UPDATE orders SET customer_id = coalesce($1, customer_id), state = coalesce($2, state), total = coalesce($3, total) "
     "WHERE id = $4 RETURNING *", [None, "void", None, "1"]),
    ("UPDATE orders SET customer_id = customer_id + $1 WHERE customer_id IS NOT NULL RETURNING customer_id", ["10"]),
    ("UPDATE orders SET note = $1, state = $2 WHERE state = $2 AND customer_id = $3", ["n", "paid", "1"]),
    ("DELETE FROM orders WHERE id = ANY ($1) AND state = $2 RETURNING id, total", ["{1,2,3}", "paid"]),
    "DELETE FROM orders o WHERE NOT EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id) RETURNING o.id, o.{doc}, o.{list}",
    "DELETE FROM orders WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY customer_id, state ORDER BY "
    "id) AS rn FROM orders) d WHERE rn > 0) RETURNING *",
    "DELETE FROM orders USING (SELECT max(total) AS m FROM orders) x WHERE orders.total = x.m RETURNING orders.id, x.m",
    "INSERT INTO orders (id, customer_id, state, total, {doc}, {list}) SELECT id + 800, customer_id, state, total, {doc}, "
    "{list} FROM orders WHERE customer_id = 1 RETURNING id, total",
    "INSERT INTO orders (id, customer_id, total, state) SELECT 900 + i.id, i.who, i.much::{num}, i.what::{state_t} FROM inbox "
    "i LEFT JOIN customers c ON c.id = i.who WHERE c.{mail} IS NOT NULL RETURNING *",
    "INSERT INTO orders (customer_id, total) SELECT customer_id, max(total) FROM orders GROUP BY customer_id ORDER BY 1 "
    "RETURNING id, customer_id, total",
    "INSERT INTO orders (id, note, state) SELECT g, 'g' || g, (enum_range(NULL::order_state))[g - 950]::text::{state_t} FROM "
    "generate_series(951, 954) g RETURNING id, state",
    "INSERT INTO orders (id, state, note) VALUES (960, (SELECT state FROM orders WHERE id = 1), (SELECT {mail} FROM customers "
    "WHERE id = 1)) RETURNING *",
    "INSERT INTO lines (id, order_id, sku, price) SELECT 100 + o.id, o.id, o.state::text, o.total::numeric FROM orders o WHERE "
    "o.total IS NOT NULL RETURNING *",
    "UPDATE lines l SET price = o.total::numeric FROM orders o WHERE o.id = l.order_id AND o.state = 'paid' RETURNING l.*, o.state",
    "MERGE INTO orders o USING inbox i ON o.id = i.id WHEN MATCHED AND i.what = 'sent' THEN DELETE WHEN MATCHED THEN UPDATE "
    "SET state = i.what::{state_t}, total = i.much::{num} WHEN NOT MATCHED THEN INSERT (id, customer_id, state, total) VALUES "
    "(i.id, i.who, i.what::{state_t}, i.much::{num})",
    "MERGE INTO orders AS t USING (SELECT id, total FROM orders) AS s ON t.id = s.id + 1 WHEN MATCHED THEN UPDATE SET total = "
    "s.total, note = 'shifted' WHEN NOT MATCHED THEN DO NOTHING",
]

SESSIONS = [
    Case("PREPARE p (int, text) AS SELECT id, total FROM orders WHERE customer_id = $1 AND state::text = $2 ORDER BY id",
         "EXECUTE p (1, 'paid')", "EXECUTE p (2, 'sent')", "DEALLOCATE p", modes=("simple",)),
    Case("PREPARE p ({num}, int) AS UPDATE orders SET total = $1 WHERE id = $2 RETURNING *", "EXECUTE p ('3.25', 1)",
         "EXECUTE p (1 + 1.25, 2)", modes=("simple",)),
    Case("PREPARE p AS INSERT INTO orders (id, state, total) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET total = "
         "excluded.total RETURNING id, state, total", "EXECUTE p (1, 'paid', '2.00')", "EXECUTE p (77, 'void', NULL)",
         modes=("simple",)),
    Case("PREPARE p (unknown, unknown) AS SELECT count(*) FROM orders WHERE total > $1 AND customer_id < $2",
         "EXECUTE p ('1.00', 2)", modes=("simple",)),
    Case("DECLARE c CURSOR FOR SELECT id, total, {list} FROM orders ORDER BY id", "FETCH 2 FROM c", "FETCH ABSOLUTE 1 FROM c",
         modes=("simple",)),
    Case("CREATE TEMP TABLE report AS SELECT customer_id, state, sum(total::numeric) AS s, max({list}) AS l FROM orders GROUP "
         "BY 1, 2", "SELECT * FROM report ORDER BY 1, 2", modes=("simple",), origins=False),
    Case("CREATE TEMP TABLE copy_of AS TABLE orders", "SELECT * FROM copy_of ORDER BY id", modes=("simple",), origins=False),
    Case("SELECT id, total, {doc} INTO TEMP picked FROM orders WHERE state = 'paid'", "SELECT * FROM picked ORDER BY id",
         modes=("simple",), origins=False),
    "COPY (SELECT o.id, o.state, c.{mail} FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY o.id) TO STDOUT "
    "WITH (FORMAT csv, HEADER true)",
    Case("SAVEPOINT a", "UPDATE orders SET state = 'bad state' WHERE id = 1", "ROLLBACK TO a",
         "UPDATE orders SET state = 'void' WHERE id = 1 RETURNING state", goes_on=True, only="new"),
]

NEW_ONLY = [Case(s, only="new") for s in [
    "SELECT id FROM orders WHERE tag_list && ARRAY['x', 'q'] ORDER BY id",
    "SELECT id FROM orders WHERE tag_list @> '{x}' AND NOT tag_list <@ ARRAY['x'] ORDER BY id",
    "SELECT id, unnest(tag_list) AS t FROM orders ORDER BY 1, 2",
    "SELECT t, count(*) FROM orders, unnest(tag_list) t GROUP BY t ORDER BY 2 DESC, 1",
    "SELECT o.id, t.tag, t.ord FROM orders o LEFT JOIN LATERAL unnest(o.tag_list) WITH ORDINALITY AS t(tag, ord) ON true ORDER BY 1, 3",
    "SELECT id, doc->>'a', doc#>>'{c,d}', doc ? 'a', doc @> '{\"a\": 1}', doc @? '$.b[*] ? (@ > 1)' FROM orders ORDER BY id",
    "SELECT id FROM orders WHERE doc['a'] = '1' OR 'x' = ANY (tag_list) ORDER BY id",
    "SELECT doc->'a' AS a, count(*) FROM orders GROUP BY doc->'a' ORDER BY a NULLS FIRST",
    "SELECT state, state > 'new', state::text || '!' FROM orders WHERE state BETWEEN 'new' AND 'paid' ORDER BY state, id",
    "SELECT sum(total), avg(total), min(total), round(avg(total), 3) FROM orders",
    "SELECT customer_id, sum(total) FILTER (WHERE state = 'paid') FROM orders GROUP BY customer_id ORDER BY 2 DESC NULLS LAST, 1",
    "UPDATE orders SET tag_list = array_append(tag_list, 'new'), doc = doc || '{\"seen\": true}' WHERE id < 3 RETURNING tag_list, doc",
    "UPDATE orders SET tag_list = array_remove(tag_list, 'x'), doc = jsonb_set(doc, '{a}', '5') WHERE doc ? 'a' RETURNING *",
    "UPDATE orders SET doc = doc - 'a', total = total * 1.1 RETURNING id, doc, total",
    "UPDATE orders SET doc = jsonb_build_object('total', total, 'tags', tag_list), total = round(total / 3, 2) RETURNING doc, total",
    "UPDATE orders SET tag_list = ARRAY(SELECT DISTINCT unnest(tag_list || '{x}') ORDER BY 1) RETURNING id, tag_list",
    "UPDATE orders SET tag_list = (SELECT array_agg(sku ORDER BY sku) FROM lines WHERE order_id = orders.id) RETURNING tag_list",
    "INSERT INTO orders (id, tag_list, doc) VALUES (70, ARRAY['p', 'q'], jsonb_build_object('k', ARRAY[1, 2])), (71, '{}', "
    "to_jsonb('s'::text)), (72, string_to_array('m n', ' '), NULL) RETURNING *",
    "INSERT INTO orders (id, total) VALUES (70, 12), (71, 12.345), (72, '12.3'), (73, 1e3) RETURNING total",
    "INSERT INTO orders (id, state) VALUES (1, 'void') ON CONFLICT (id) DO UPDATE SET doc = orders.doc || jsonb_build_object('was', "
    "orders.state), tag_list = orders.tag_list || excluded.state::text RETURNING doc, tag_list",
    ("SELECT id FROM orders WHERE tag_list @> $1 ORDER BY id", ["{x}"]),
    ("SELECT id FROM orders WHERE doc @> $1 ORDER BY id", ['{"a": 1}']),
    ("SELECT id FROM orders WHERE doc->>$1 = $2", ["a", "1"]),
    ("SELECT id FROM orders WHERE $1 = ANY (tag_list) ORDER BY id", ["x"]),
    ("UPDATE orders SET tag_list = tag_list || $1::text, doc = doc || $2 WHERE id = 1 RETURNING tag_list, doc", ["n", '{"m": 1}']),
    ("UPDATE orders SET total = total + $1, customer_id = $2 WHERE total > $1 RETURNING total", ["0.50", "5"]),
    ("INSERT INTO orders (id, tag_list, doc, total) VALUES ($1, $2::text[], $3::jsonb, $4::numeric) RETURNING *",
     ["70", "{a,b}", "[1]", "1.005"]),
    "UPDATE orders SET doc['a'] = '9' WHERE id = 1 RETURNING doc",
    "UPDATE orders SET tag_list[1] = 'first' WHERE id < 3 RETURNING tag_list",
    "SELECT jsonb_pretty(jsonb_agg(to_jsonb(o) - 'placed' ORDER BY id)) FROM orders o",
    "SELECT id, jsonb_path_query(doc, '$.b[*]') FROM orders ORDER BY 1, 2",
    "SELECT o.id, x.a FROM orders o, jsonb_to_record(o.doc) AS x(a int, b text) WHERE jsonb_typeof(o.doc) = 'object' ORDER BY 1",
]]

OLD_ONLY = [Case(s, only="old") for s in [
    "SELECT id FROM orders WHERE 'x' = ANY (string_to_array(tags, ',')) ORDER BY id",
    "SELECT id, regexp_split_to_table(tags, ',') AS t FROM orders ORDER BY 1, 2",
    "SELECT sum(total::numeric), max(total::numeric(12,2)), to_char(avg(total::numeric), 'FM990.00') FROM orders",
    "SELECT id, meta::jsonb->>'a' FROM orders WHERE meta LIKE '{%' ORDER BY id",
    "UPDATE orders SET total = to_char(total::numeric * 2, 'FM9990.00'), tags = tags || ',n' WHERE id < 3 RETURNING total, tags",
    "UPDATE orders SET total = total, state = state, tags = tags, meta = meta, customer_id = customer_id RETURNING *",
    "UPDATE orders SET total = '12345678901.00' WHERE id = 1",
    "UPDATE orders SET total = 7.25 WHERE id = 1 RETURNING total",
    "UPDATE orders SET total = '12.3456' || id WHERE id = 99",
    "INSERT INTO orders (id, total) VALUES (70, 7.00), (71, '7.50'), (72, 1 + 1.25) RETURNING total",
    "SELECT total || ' EUR', length(total), total LIKE '1%', total < '2' FROM orders ORDER BY total, id",
    "SELECT tags, split_part(tags, ',', 1), position('y' IN tags), tags ~ '^x', substring(tags FROM 1 FOR 1) FROM orders ORDER BY id",
    "SELECT min(state), max(state), count(DISTINCT state), string_agg(DISTINCT state, '|' ORDER BY state) FROM orders",
    "SELECT upper(state) AS s, count(*) FROM orders GROUP BY upper(state) ORDER BY s",
    "SELECT state COLLATE \"C\" FROM orders ORDER BY state COLLATE \"C\" DESC NULLS LAST",
    ("UPDATE orders SET tags = concat_ws(',', tags, $1::text) WHERE id = $2 RETURNING tags", ["n", "1"]),
    ("UPDATE orders SET meta = $1 WHERE meta = $2 RETURNING meta", ['{"q": 1}', "{}"]),
    ("SELECT id FROM orders WHERE total LIKE $1 || '%' ORDER BY id", ["1"]),
    ("INSERT INTO orders (id, total, tags) VALUES ($1, $2::text, $3::varchar) RETURNING *", ["70", "7.00", "a"]),
]]


def cheaply(item):
    """In one protocol and without a guard: what these two change, other cases show."""
    case = case_of(item)
    case.guards, case.modes = ("off",), [case.modes[-1] if case.modes == ["simple"] else "text"]
    return case


CASES = {IDIOMS: list(map(cheaply, UPSERTS + CHAINS + WINDOWS + LATERALS + PAGES + WRITES + SESSIONS + NEW_ONLY + OLD_ONLY))}
