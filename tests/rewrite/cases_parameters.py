"""
A parameter in several places of one statement has one type, which PostgreSQL learns from the first that asks for
it; what else is written must not ask before.
"""

from case import Case
from cases_writes import TWO
from world import DUAL
from worlds import SHOP

SHOP_CASES = [
    ("INSERT INTO users ({role}, name) VALUES ($1, $1)", ["x"]),
    ("INSERT INTO users (name, {role}) VALUES ($1, $1)", ["x"]),
    ("INSERT INTO users (name, id, {role}) VALUES (DEFAULT, DEFAULT, $1), ($2, 20, $2)", ["{param}", "{param}"]),
    ("INSERT INTO users VALUES ($1, $1, $1)", ["7"]),
    ("INSERT INTO transactions (id, user_id, amount) VALUES (20, $1, $1)", ["1"]),
    ("INSERT INTO transactions (id, amount, user_id) VALUES (20, $1, $1)", ["1"]),
    ("INSERT INTO transactions (id, amount, day) VALUES (20, $1, DEFAULT), (21, $2, $2)", ["1", "1"]),
    ("INSERT INTO transactions (id, user_id, amount) VALUES ($1, $1, $2), ($3, $1, $2) RETURNING *", ["20", "1.50", "21"]),
    ("UPDATE users SET {role} = $1, name = $1", ["x"]),
    ("UPDATE users SET name = $1, {role} = $1 WHERE id = 1", ["x"]),
    ("UPDATE users SET ({role}, name) = ($1, $1)", ["x"]),
    ("UPDATE users SET id = id + 70, ({role}, name) = ROW ($1, $1 || 'y')", ["x"]),
    ("UPDATE transactions SET user_id = DEFAULT, amount = $1, id = $1", ["x"]),
    # what has its type already, or gets it first, is taken
    ("UPDATE users SET {role} = $1, name = $1 WHERE $1::text <> 'y'", ["{param}"]),
    ("UPDATE transactions SET amount = $1, user_id = DEFAULT, day = $1::text::date WHERE $1::text <> 'y'", ["1"]),
    ("INSERT INTO users (name, {role}) VALUES ($1::text, $1)", ["x"]),
    ("INSERT INTO users (id, {role}) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET {role} = $1 RETURNING {role}", ["{param}"]),
    ("INSERT INTO users (id, {role}) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET name = $1 RETURNING *", ["{param}"]),
    Case(("INSERT INTO users (id, {role}, name) VALUES (20, $1, $1)", ["{param}"]), declares=[25]),
    Case(("UPDATE users SET name = $1, {role} = $1 WHERE id = 1", ["{param}"]), declares=[25]),
    # where the own column is written, in an expression, too
    *[Case(sql, states=DUAL) for sql in [
        ("INSERT INTO transactions (id, amount, user_id) VALUES (20, $1, $1 + 1)", ["1"]),
        ("UPDATE transactions SET amount = $1, user_id = $1 + 1", ["1"]),
        ("UPDATE users SET {role} = $1, name = length($1)::text", ["x"]),
    ]],
    # a literal or parameter that ORDER BY or GROUP BY means is a text by then
    "INSERT INTO transactions (id, amount) SELECT 20, '1.50' ORDER BY 2",
    "INSERT INTO transactions (id, amount) SELECT 20, '1.50' AS a ORDER BY a",
    "INSERT INTO transactions (id, amount) SELECT 20, '1.50' AS a GROUP BY a",
    "INSERT INTO transactions (id, amount) SELECT 20, '1.50' AS amount FROM transactions GROUP BY amount",
    "INSERT INTO transactions (id, amount) SELECT 20 + id, '1.50' FROM transactions GROUP BY id ORDER BY 1",
    "INSERT INTO transactions (id, amount) SELECT 20, NULL GROUP BY ROLLUP (2) ORDER BY 2 LIMIT 1",
    "INSERT INTO transactions (id, amount) SELECT 20, '1.50' ORDER BY rank() OVER (ORDER BY 1), 2",
    "INSERT INTO transactions (id, amount) SELECT 20, '1.50' ORDER BY (SELECT 1), 2",
    ("INSERT INTO transactions (id, amount) SELECT 20, $1 GROUP BY $1", ["1.50"]),
    ("INSERT INTO transactions (id, amount) SELECT 20, $1 ORDER BY 1", ["1.50"]),
    "INSERT INTO users (id, {role}) SELECT 20, {dev} ORDER BY 2",
]

# two columns of one type
TWO_CASES = [
    ("INSERT INTO things (id, tags, name) VALUES (20, $1, $1) RETURNING *", ["a,b"]),
    ("INSERT INTO things (name, id, price, tags) VALUES ($1, 20, $1, $1)", ["12"]),
    ("UPDATE things SET tags = $1, name = $1 WHERE id = 1 RETURNING *", ["a,b"]),
    ("UPDATE things SET tags = $1, price = $1, id = $1", ["a,b"]),
]

CASES = {SHOP: SHOP_CASES, TWO: [Case(case, only="old") for case in TWO_CASES]}
