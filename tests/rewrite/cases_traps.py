"""The traps of REWRITE.md, each by its number."""

from case import Case
from worlds import SHOP

TRAPS = [
    # 1: one parameter in two roles has one type, and it is the column's, without its length
    Case(("UPDATE transactions SET amount = $1", ["{nparam}"]), trap=1),
    Case(("UPDATE transactions SET amount = $1 WHERE amount IS DISTINCT FROM $1", ["{nparam}"]), trap=1),
    Case(("INSERT INTO transactions (id, amount) VALUES ($1, $2), ($1 + 1, $2)", ["20", "{nparam}"]),
         trap=1),
    Case(("UPDATE transactions SET amount = $1", ["12345678901234"]), trap=1),  # too long, or too large
    Case(("INSERT INTO transactions (id, amount) VALUES (20, $1)", ["12345678901234"]), trap=1),
    # 2: what may differ at each evaluation is evaluated once for each row, and for each row
    Case("UPDATE users SET {role} = {volatile} RETURNING {role}", trap=2),
    Case("INSERT INTO users (id, {role}) SELECT id + 20, {volatile} FROM users ORDER BY id", trap=2),
    Case("UPDATE users SET {role} = {volatile}, name = {role}::text", trap=2),
    Case("WITH w AS (UPDATE users SET {role} = {volatile} RETURNING {role}) SELECT count(DISTINCT {role}) "
         "FROM w", trap=2),
    # 3: what has no type gets the column's, also where the source is wrapped
    Case("INSERT INTO transactions (id, day, amount) SELECT 20, '2020-02-02', {n}", trap=3),
    Case("INSERT INTO transactions (day, amount, id) VALUES (NULL, {n}, '20'), ('2020-02-02', NULL, 21)",
         trap=3),
    Case("INSERT INTO transactions (id, day, amount) SELECT 20, '2020-02-02', {n} UNION ALL "
         "SELECT 21, '2020-02-03', NULL", trap=3),
    Case(("INSERT INTO transactions (id, day, amount) SELECT $1, $2, $3", ["20", "2020-02-02", "{nparam}"]),
         trap=3),
    # 4: a parameter keeps the type that the client's column gives it, whatever is written
    Case(("INSERT INTO transactions (id, amount) VALUES (20, $1) RETURNING amount", ["{nparam}"]), trap=4),
    Case(("UPDATE users SET {role} = $1 WHERE id = 2 RETURNING {role}", ["{param}"]), trap=4),
    Case(("SELECT id FROM users WHERE {role} = $1 OR $1 IS NULL ORDER BY id", [None]), trap=4),
    # 5: a computed column says which table's column it stands for
    Case("SELECT {role}, id, u.name FROM users u ORDER BY id", trap=5),
    Case("SELECT amount AS money FROM transactions ORDER BY id", trap=5),
    Case("UPDATE transactions SET day = NULL RETURNING *", trap=5),
    Case("SELECT x.{role} FROM (SELECT {role}, id FROM users) x ORDER BY x.id", trap=5),
]

CASES = {SHOP: TRAPS}
