"""MERGE: the target in transition, the source, both, and neither; every action; what is evaluated once."""

from case import Case
from cases_split import SPLIT
from worlds import SHOP

# {s} is what a client of either shape compares a staged text with
SOURCE = "(VALUES (1, {dev}::{array}, 'one'), (3, {two}, NULL), (20, NULL, 'x'), (21, {two}, 'y')) " \
         "AS s(id, r, n)"

SHOP_CASES = [
    # actions
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET {{role}} = s.r",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN DELETE",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN DO NOTHING "
    "WHEN NOT MATCHED THEN DO NOTHING",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, {{role}}, name) "
    "VALUES (s.id, s.r, s.n)",
    f"MERGE INTO users USING {SOURCE} ON users.id = s.id WHEN MATCHED AND s.n IS NULL THEN DELETE "
    "WHEN MATCHED THEN UPDATE SET {role} = s.r, name = s.n "
    "WHEN NOT MATCHED AND s.n = 'x' THEN INSERT (id, name) VALUES (s.id, s.n) "
    "WHEN NOT MATCHED THEN INSERT ({role}, id) VALUES (s.r, s.id)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id AND u.{{role}} IS NOT NULL "
    "WHEN MATCHED AND u.{role} = {admin} THEN UPDATE SET {role} = u.{role} || s.r, name = 'was admin' "
    "WHEN MATCHED THEN UPDATE SET name = 'other'",
    f"MERGE INTO users u USING {SOURCE} ON u.{{role}} = s.r WHEN MATCHED THEN UPDATE SET name = s.n || u.id",
    # how the target is named
    "MERGE INTO ONLY users AS u USING staging s ON s.id = u.id + 10 WHEN MATCHED THEN UPDATE SET "
    "{role} = s.what::{array}",
    "MERGE INTO ONLY (users) u USING staging s ON s.id = u.id + 10 WHEN MATCHED THEN UPDATE SET "
    "{role} = s.what::{array}",
    "MERGE INTO users * u USING staging s ON s.id = u.id + 10 WHEN MATCHED THEN UPDATE SET "
    "{role} = s.what::{array}",
    "MERGE INTO public.users USING public.staging ON staging.id = users.id + 10 WHEN MATCHED THEN UPDATE "
    "SET {role} = staging.what::{array} WHEN NOT MATCHED THEN INSERT (id) VALUES (99)",
    "MERGE INTO users U USING staging S ON S.id = U.id + 10\n /* role */ WHEN MATCHED THEN -- UPDATE\n"
    " UPDATE SET {role}={dev}, name='n'||S.id",
    # INSERT
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, {{role}}) "
    "VALUES (s.id, DEFAULT)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (DEFAULT, DEFAULT)",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED THEN INSERT ({role}, name, id) "
    "OVERRIDING USER VALUE VALUES (s.what::{array}, s.who, s.id)",
    f"MERGE INTO users u USING (SELECT s.id, s.r FROM {SOURCE}) s ON u.id = s.id WHEN NOT MATCHED THEN "
    "INSERT (id, {role}) VALUES (s.*)",
    f"MERGE INTO users u USING (SELECT s.n, s.id, s.r FROM {SOURCE}) s ON u.id = s.id WHEN NOT MATCHED AND "
    "s.id = 20 THEN INSERT (name, id, {role}) VALUES (s.*)",
    "MERGE INTO transactions t USING other o ON t.id = o.id + 3 WHEN NOT MATCHED THEN INSERT VALUES "
    "(o.id + 30, o.id)",
    "MERGE INTO transactions t USING other o ON t.id = o.id + 3 WHEN NOT MATCHED THEN INSERT (amount, id, "
    "day) VALUES ({n}, o.id + 30, '2020-02-02')",
    "MERGE INTO transactions t USING other o ON t.id = o.id + 3 WHEN MATCHED THEN UPDATE SET amount = {n}, "
    "day = '2020-02-02' WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (o.id + 30, o.amount::{number})",
    "MERGE INTO transactions t USING other o ON t.id = o.id + 3 WHEN NOT MATCHED THEN INSERT (amount, id) "
    "VALUES (CASE WHEN o.day IS NULL THEN {n} WHEN o.id = 1 THEN NULL END, o.id + 30)",
    "MERGE INTO transactions t USING other o ON CASE WHEN t.id = o.id THEN true WHEN t.id = 5 THEN NULL "
    "ELSE false END WHEN MATCHED AND CASE WHEN t.amount = '10.50' THEN true END THEN UPDATE SET amount = "
    "CASE WHEN o.day IS NULL THEN {n} ELSE t.amount END WHEN MATCHED THEN DELETE",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES "
    "(s.id, (SELECT max(x.{role}) FROM users x WHERE x.id < s.id))",
    # UPDATE's forms
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET (name, {{role}}) = "
    "(s.n, s.r)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET ({{role}}) = ROW (s.r), "
    "name = DEFAULT",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET (name, {{role}}) = "
    "(SELECT t.who, t.what::{array} FROM staging t WHERE t.id = s.id + 10)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET {{role}} = DEFAULT",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET {{role}} = "
    "(SELECT x.{role} FROM users x WHERE x.id = u.id + 1)",
    f"MERGE INTO users u USING {SOURCE} ON u.id = s.id WHEN MATCHED THEN UPDATE SET {{role}} = {{role}}",
    # the source in transition, the target too, neither
    "MERGE INTO other o USING users u ON o.id = u.id WHEN MATCHED THEN UPDATE SET role = u.{role}::text "
    "WHEN NOT MATCHED THEN INSERT (id, role) VALUES (u.id, u.{role}::text)",
    "MERGE INTO other o USING users ON o.id = users.id WHEN MATCHED AND users.{role} = {admin} THEN DELETE "
    "WHEN NOT MATCHED AND {role} IS NULL THEN INSERT (id) VALUES (users.id)",
    "MERGE INTO other o USING (SELECT id, {role}::text AS r FROM users) u ON o.id = u.id WHEN NOT MATCHED "
    "THEN INSERT VALUES (u.*)",
    "MERGE INTO other o USING (SELECT * FROM users) AS u(a, b, c) ON o.id = u.a WHEN NOT MATCHED THEN "
    "INSERT (id) VALUES (u.a)",
    "MERGE INTO other o USING users AS u(a, b, c) ON o.id = u.a WHEN NOT MATCHED THEN INSERT (id, role) "
    "VALUES (u.a, u.b::text)",
    "MERGE INTO other o USING users u ON o.id = u.id AND u IS NOT NULL WHEN NOT MATCHED THEN INSERT (id, "
    "role) VALUES (u.id, row_to_json(u)::text)",
    "MERGE INTO users u USING users s ON u.id = s.id - 1 WHEN MATCHED THEN UPDATE SET {role} = s.{role} "
    "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id + 30, s.{role})",
    "MERGE INTO users u USING transactions t ON t.user_id = u.id AND t.amount = '7.50' WHEN MATCHED THEN "
    "UPDATE SET name = t.amount::text, {role} = {dev} WHEN NOT MATCHED AND t.amount IS NULL THEN INSERT "
    "(id, {role}, name) VALUES (t.id + 40, {two}, t.amount::text)",
    "MERGE INTO transactions t USING users u ON u.id = t.id WHEN MATCHED THEN UPDATE SET amount = {n}, "
    "user_id = length(u.{role}::text) WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (u.id + 20, {n})",
    "MERGE INTO users u USING users s JOIN transactions t ON t.user_id = s.id ON u.id = t.id AND s.id = 1 "
    "WHEN MATCHED THEN UPDATE SET {role} = s.{role}",
    "MERGE INTO users u USING (transactions t JOIN other o USING (id)) ON u.id = t.id WHEN MATCHED THEN "
    "UPDATE SET {role} = {dev}, name = t.amount::text",
    "MERGE INTO other o USING staging s ON s.id = o.id + 10 WHEN MATCHED THEN UPDATE SET role = (SELECT "
    "{role}::text FROM users WHERE id = o.id)",
    # names
    "MERGE INTO users u USING other o ON o.id = u.id WHEN MATCHED AND {hidden} = 'p1' THEN UPDATE SET name "
    "= {hidden}",
    "MERGE INTO users u USING (SELECT id, role AS {hidden} FROM other) o ON o.id = u.id AND {hidden} <> 'z' "
    "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (id + 50, {hidden})",
    "MERGE INTO users u USING (SELECT 2 AS id, 'q' AS what) o ON o.id = u.id AND {role} = {other} WHEN "
    "MATCHED THEN UPDATE SET name = what",
    "WITH s AS (SELECT id + 10 AS id, {role} AS r FROM users) MERGE INTO users u USING s ON s.id = u.id + 9 "
    "WHEN MATCHED THEN UPDATE SET {role} = s.r WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, s.r)",
    "WITH users AS (SELECT 1 AS id) MERGE INTO users u USING users s ON s.id = u.id WHEN MATCHED THEN "
    "UPDATE SET {role} = {dev}",
    "WITH gone AS (DELETE FROM transactions WHERE amount = '7.50' RETURNING *) MERGE INTO users u USING gone "
    "g ON g.user_id = u.id WHEN MATCHED THEN UPDATE SET {role} = {two}, name = g.amount::text",
    # whole rows of the target
    "MERGE INTO users u USING staging s ON s.id = u.id + 10 WHEN MATCHED AND u IS NOT NULL THEN UPDATE SET "
    "name = substr(u::text, 1, 20)",
    "MERGE INTO users u USING staging s ON s.id = u.id + 10 WHEN MATCHED THEN UPDATE SET name = "
    "length(row_to_json(u)::text), {role} = (u).{role}",
    # evaluated once
    "MERGE INTO users u USING staging s ON s.id = u.id + 10 WHEN MATCHED THEN UPDATE SET {role} = {volatile}",
    "MERGE INTO users u USING staging s ON s.id = u.id + 10 WHEN MATCHED THEN UPDATE SET (name, {role}) = "
    "ROW ('n' || u.id, {volatile}) WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
    # errors
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN MATCHED THEN UPDATE SET {hidden} = NULL",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED THEN INSERT ({hidden}) VALUES (NULL)",
    "MERGE INTO users u USING staging s ON u.{hidden} = s.who WHEN MATCHED THEN DELETE",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN MATCHED THEN UPDATE SET nosuch = NULL",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (1)",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES "
    "(s.id, u.{role})",
    "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED AND u.{role} IS NULL THEN INSERT "
    "(id) VALUES (1)",
    "MERGE INTO users USING users ON true WHEN MATCHED THEN UPDATE SET {role} = {dev}",
    "MERGE INTO users u USING other u ON true WHEN MATCHED THEN UPDATE SET {role} = {dev}",
    "MERGE INTO users u USING (VALUES (1), (1)) s(id) ON s.id = u.id WHEN MATCHED THEN UPDATE SET {role} = "
    "{dev}",
    "MERGE INTO users u USING staging s ON true WHEN NOT MATCHED THEN INSERT VALUES (1) WHEN MATCHED AND "
    "{role} = {dev} THEN DELETE",
    "WITH q AS (MERGE INTO users u USING staging s ON true WHEN MATCHED THEN DELETE) SELECT 1",
    "EXPLAIN (COSTS OFF) MERGE INTO other o USING staging s ON o.id = s.id WHEN MATCHED THEN DELETE",
    # parameters
    ("MERGE INTO users u USING (SELECT $1::int AS id) s ON u.id = s.id WHEN MATCHED THEN UPDATE SET {role} = "
     "$2 WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, $2)", ["1", "{param}"]),
    ("MERGE INTO users u USING (SELECT $1::int AS id) s ON u.id = s.id WHEN MATCHED THEN UPDATE SET {role} = "
     "$2 WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, $3)", ["70", None, "{param}"]),
    Case(("MERGE INTO transactions t USING (SELECT $1::int AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE "
          "SET amount = $2 WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (s.id, $3)",
          ["70", "{nparam}", "{nparam}"]), trap=1),
    Case(("MERGE INTO transactions t USING (SELECT 2 AS id) s ON t.id = s.id WHEN MATCHED AND amount <> $1 "
          "THEN UPDATE SET (amount, day) = ($2, $3)", ["{nparam}", "{nparam}", "2022-02-02"]), trap=4),
    Case("PREPARE m AS MERGE INTO users u USING (SELECT $1::int AS id) s ON u.id = s.id WHEN MATCHED THEN "
         "UPDATE SET {role} = $2 WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, $2)",
         "EXECUTE m (1, {dev})", "EXECUTE m (80, {two})"),
    # evaluated once, for those rows alone for which the action is taken: the sequence tells
    *[Case(f"MERGE INTO users u USING staging s ON s.id = u.id{on} {clauses}", "SELECT nextval('word_seq')")
      for on, clauses in (
          ("", "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, {volatile})"),
          (" + 10", "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, {volatile}) WHEN MATCHED THEN DELETE"),
          (" + 11", "WHEN MATCHED THEN UPDATE SET name = 'm' WHEN NOT MATCHED THEN INSERT ({role}, name, id) VALUES "
           "({volatile}, 'one', s.id)"),
          ("", "WHEN NOT MATCHED AND s.id = 12 OR s.who IS NULL THEN INSERT VALUES (s.id) WHEN NOT MATCHED /* all */ "
           "THEN INSERT (id, {role}) VALUES (s.id, CASE WHEN s.id = 11 THEN {volatile} END)"),
          ("", "WHEN NOT MATCHED AND CASE WHEN s.id = 12 THEN true END THEN INSERT (id, {role}) VALUES (s.id, "
           "{volatile}) WHEN NOT MATCHED AND s.id = 11 THEN INSERT ({role}, id) VALUES ({volatile}, s.id)"),
          ("", "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, (SELECT t.what::{array} FROM staging t ORDER "
           "BY t.id LIMIT 1))"),
          ("", "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, (SELECT t.what::{array} FROM staging t WHERE "
           "t.id = s.id ORDER BY t.id LIMIT 1))"),
          ("", "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, (SELECT {volatile}))"),
          (" + 10", "WHEN MATCHED AND u.id = 1 THEN UPDATE SET {role} = {volatile} WHEN MATCHED THEN UPDATE SET "
           "name = 'm', {role} = {volatile}"),
          (" + 10", "WHEN MATCHED AND false THEN UPDATE SET {role} = {volatile} WHEN MATCHED AND u.{role} = {dev} THEN "
           "DELETE WHEN MATCHED THEN UPDATE SET (name, {role}) = ROW ('m', {volatile}) WHEN NOT MATCHED THEN INSERT "
           "(id, {role}) VALUES (s.id, {volatile})"),
          (" + 11", "WHEN MATCHED AND (u.id = 1) THEN UPDATE SET (name, {role}) = (SELECT t.who, t.what::{array} FROM "
           "staging t WHERE t.id = s.id) WHEN MATCHED THEN UPDATE SET {role} = {volatile} WHEN NOT MATCHED THEN INSERT "
           "(id, {role}) VALUES (s.id, {volatile})"),
          # the server's errors
          ("", "WHEN MATCHED THEN UPDATE SET {role} = {volatile} WHEN MATCHED AND true THEN UPDATE SET {role} = "
           "{volatile}"),
          ("", "WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES (s.id, {volatile}) WHEN NOT MATCHED THEN DO NOTHING"),
          ("", "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, volatile_word())"),
      )],
    ("MERGE INTO users u USING (SELECT $1::int AS id) s ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, {role}) VALUES "
     "(s.id, coalesce($2, {volatile}))", ["70", None]),
    "MERGE INTO users u USING (SELECT id + 10 AS id FROM users) s ON u.id = s.id WHEN NOT MATCHED THEN INSERT (id, "
    "{role}) VALUES (s.*, {volatile})",
    "MERGE INTO transactions t USING staging s ON s.id = t.id WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (s.id, "
    "(SELECT {n}::{number} FROM other LIMIT 1))",
    "MERGE INTO transactions t USING staging s ON s.id = t.id + 10 WHEN MATCHED AND s.id = 11 THEN UPDATE SET amount = "
    "(SELECT x.amount FROM transactions x WHERE x.id = s.id - 9), day = '2020-02-02' WHEN MATCHED THEN UPDATE SET "
    "(amount) = ROW ((SELECT '3.00'::{number}))",
    Case("MERGE INTO transactions t USING staging s ON s.id = t.id WHEN NOT MATCHED THEN INSERT (id, amount) VALUES "
         "(s.id, volatile_word())", only="old"),
    # what only the new shape can hold stays
    Case("MERGE INTO users u USING users s ON s.id = u.id WHEN MATCHED THEN UPDATE SET role = s.role, "
         "name = s.name", only="old", keeps=True),
    Case("MERGE INTO users u USING (VALUES (6, 'a,b')) s(id, r) ON s.id = u.id WHEN MATCHED THEN UPDATE SET "
         "role = s.r", only="old", keeps=True),
]

SPLIT_CASES = [
    Case("MERGE INTO people p USING (VALUES (1, 'x y'), (9, 'new one')) s(id, n) ON p.id = s.id WHEN "
         "MATCHED THEN UPDATE SET name = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n, 'note')",
         only="old"),
    Case("MERGE INTO people p USING (VALUES (1, 'x'), (9, 'new')) s(id, n) ON p.id = s.id WHEN MATCHED THEN "
         "UPDATE SET last = s.n || last, first = p.last WHEN NOT MATCHED THEN INSERT (last, id, first) "
         "VALUES (s.n, s.id, upper(s.n))", only="new"),
    Case("MERGE INTO people p USING people s ON p.id = s.id + 1 WHEN MATCHED THEN UPDATE SET (last, note, "
         "first) = (s.first, p.last, s.last) WHEN NOT MATCHED THEN INSERT VALUES (s.id + 9, s.first, s.last, "
         "'z')", only="new"),
    Case("MERGE INTO people p USING people s ON p.id = s.id + 1 WHEN MATCHED THEN UPDATE SET (first, last) = "
         "(SELECT s.last, s.first)", only="new"),
    Case("MERGE INTO people p USING people s ON p.name = s.name WHEN MATCHED THEN UPDATE SET name = s.name "
         "|| 'x'", only="old"),
]

CASES = {SHOP: SHOP_CASES, SPLIT: SPLIT_CASES}
