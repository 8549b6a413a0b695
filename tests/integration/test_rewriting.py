"""
Rewriting through both ports in every phase, judged by equivalence: a statement must do to its client
what it does on a plain database whose table really has that client's shape - rows, column names, types,
parameter types, command tags, SQLSTATEs and positions of errors. Afterwards both shapes read what the
plain database holds, and where both columns are written every row is in parity.
"""

import contextlib

import pytest

import tables
import wire

# Each case is one or more statements; a statement is SQL or (SQL, parameters). What is written keeps to
# values that both shapes can hold, so that reading them back by conversion gives the same.
OLD = [
    # ---- reading
    "SELECT * FROM users ORDER BY id",
    "SELECT u.*, 1 AS one FROM users u ORDER BY u.id",
    "SELECT role FROM users ORDER BY id",
    "SELECT users.role, public.users.role FROM public.users ORDER BY id",
    "SELECT u.role AS r, upper(u.role) FROM public.users AS u WHERE u.role LIKE '%adm%' ORDER BY 1, 2",
    "SELECT role, count(*) FROM users GROUP BY role ORDER BY role NULLS FIRST",
    "SELECT role, count(*) FROM users GROUP BY 1 HAVING max(role) <> 'viewer' ORDER BY 1",
    "SELECT DISTINCT role FROM users ORDER BY role",
    "SELECT DISTINCT ON (role) role, id FROM users ORDER BY role, id",
    "SELECT users.id FROM users ORDER BY role NULLS FIRST, id",
    "SELECT count(*) FROM users WHERE role = 'viewer' OR role IS NULL",
    "SELECT coalesce(role, 'none') FROM users ORDER BY id LIMIT 2 OFFSET 1",
    "SELECT id, CASE WHEN role IS NULL THEN 'none' ELSE role END AS role FROM users ORDER BY id",
    "SELECT id, role FROM users WHERE role IN ('admin', 'viewer') ORDER BY role DESC",
    "SELECT row_number() OVER (ORDER BY role NULLS LAST, id) FROM users ORDER BY id",
    "SELECT amount::numeric + 1 FROM transactions ORDER BY id",
    "SELECT sum(total_cents), max(total_cents) FROM orders",
    "SELECT id FROM orders WHERE total_cents = 99",
    "SELECT /*+ keep */ role -- and me\nFROM users /* and ; me */ ORDER BY id",
    'SELECT "role" FROM "users" ORDER BY "id"',
    "SELECT ROLE FROM Users ORDER BY ID",
    # ---- joins
    "SELECT u.name, t.amount FROM users u JOIN transactions t ON t.user_id = u.id"
    " WHERE t.amount <> '0.25' ORDER BY t.id",
    "SELECT * FROM users u JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.id",
    "SELECT name, role, amount, total_cents FROM users LEFT JOIN transactions ON"
    " transactions.user_id = users.id LEFT JOIN orders ON orders.user_id = users.id"
    " ORDER BY users.id, transactions.id, orders.id",
    "SELECT a.role FROM users a, users b WHERE a.role = b.role AND b.id = 1",
    "SELECT u.role, p.note FROM users u JOIN plain p USING (id) ORDER BY id",
    "SELECT p.*, u.role FROM plain p CROSS JOIN users u ORDER BY p.id, u.id",
    # ---- sub-selects and CTEs
    "SELECT name FROM users WHERE id IN (SELECT user_id FROM transactions WHERE amount = '10.50')",
    "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = users.id"
    " AND o.total_cents > 100)",
    "SELECT (SELECT role FROM users u WHERE u.id = t.user_id) FROM transactions t ORDER BY t.id",
    "SELECT s.role FROM (SELECT id, role FROM users WHERE id < 3) s ORDER BY s.id",
    "SELECT s.* FROM (SELECT * FROM users) AS s ORDER BY id",
    "SELECT u.id, l.role FROM users u, LATERAL (SELECT u.role) AS l(role) ORDER BY 1",
    "WITH a AS (SELECT id, role FROM users WHERE role IS NOT NULL) SELECT a.role, o.total_cents"
    " FROM a LEFT JOIN orders o ON o.user_id = a.id ORDER BY a.id, o.id",
    "WITH users AS (SELECT 1 AS id, 'mine' AS role) SELECT role, id FROM users",
    "WITH RECURSIVE r(id, role) AS (SELECT id, role FROM users WHERE id = 1 UNION ALL"
    " SELECT u.id, u.role FROM users u JOIN r ON u.id = r.id + 1) SELECT * FROM r ORDER BY id",
    "SELECT role FROM users WHERE id = 1 UNION ALL SELECT amount FROM transactions WHERE id = 1",
    # ---- errors
    "SELECT nosuch FROM users",
    "SELECT roles FROM users",
    "SELECT id, u.roles FROM users u",
    "SELECT id FROM users WHERE 'ä' = 'ä' AND nosuch = 1",
    "SELECT role, nosuch FROM users",
    "SELECT role + 1 FROM users",
    "SELECT role FROM users WHERE rol = 'x'",
    "SELECT role, count(*) FROM users",
    "SELECT id FROM users u JOIN orders o ON true",
    "SELECT role FROM users WHERE id = 1/0",
    "UPDATE users SET nosuch = 1",
    "UPDATE users SET roles = NULL",
    "INSERT INTO users (id, roles) VALUES (9, NULL)",
    "INSERT INTO users (id, role) VALUES (1, 'dup')",
    "INSERT INTO users (id, role) VALUES (NULL, 'null')",
    "INSERT INTO users (id, role) VALUES (9)",
    "DELETE FROM users WHERE roles IS NULL",
    # ---- parameters
    ("SELECT id FROM users WHERE role = $1", ["viewer"]),
    ("SELECT role FROM users WHERE id = ANY($1::int[]) ORDER BY id", ["{1,2}"]),
    ("SELECT $1::text || role FROM users WHERE id = $2", ["x", "1"]),
    ("SELECT name FROM users WHERE role = $1 OR role = $2 ORDER BY id", ["viewer", "admin"]),
    ("SELECT total_cents FROM orders WHERE total_cents > $1 ORDER BY id", ["98"]),
    ("INSERT INTO users (id, name, role) VALUES ($1, $2, $3) RETURNING role", ["10", "n", "a,b"]),
    ("INSERT INTO users (id, name, role) VALUES ($1, $2, $3)", ["10", None, None]),
    ("INSERT INTO users VALUES ($1, $2, $3), ($4, $2, $3)", ["10", "n", "r", "11"]),
    ("INSERT INTO transactions (id, amount) VALUES ($1, $2)", ["10", "3.25"]),
    ("INSERT INTO orders (id, total_cents) VALUES ($1, $2) RETURNING total_cents", ["10", "325"]),
    ("UPDATE users SET role = $1 WHERE id = $2", ["a,b,c", "1"]),
    ("UPDATE users SET role = $1 WHERE role = $1", ["viewer"]),
    ("UPDATE users SET role = $2, name = $1 WHERE role = $3 RETURNING *", ["n", "r", "admin"]),
    ("UPDATE orders SET total_cents = total_cents + $1 WHERE id = $2 RETURNING total_cents",
     ["5", "1"]),
    ("DELETE FROM users WHERE role = $1 RETURNING id", ["admin"]),
    ("INSERT INTO transactions (id, amount) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE"
     " SET amount = EXCLUDED.amount RETURNING amount", ["1", "77.00"]),
    # ---- INSERT
    "INSERT INTO users (id, name, role) VALUES (10, 'x', 'a,b')",
    "INSERT INTO users VALUES (10, 'x', 'a,b'), (11, 'y', NULL)",
    "INSERT INTO users VALUES (10, 'x')",
    "INSERT INTO users (role, id) VALUES ('a', 10), ('b,c', 11), (DEFAULT, 12) RETURNING id, role",
    "INSERT INTO users (id, name) VALUES (10, 'without') RETURNING *",
    "INSERT INTO users AS u (id, role) VALUES (10, 'x') RETURNING u.role, u.*",
    "INSERT INTO users (id, role) VALUES (10, upper('x') || ',' || lower('Y'))",
    "INSERT INTO users (id, role) SELECT id + 100, role FROM users WHERE role IS NOT NULL",
    "INSERT INTO users (id) SELECT id + 100 FROM users",
    "INSERT INTO users SELECT id + 100, name, role FROM users",
    "INSERT INTO users (id, role) SELECT 10, 'x' UNION SELECT 11, 'y'",
    "WITH s AS (SELECT 10 AS id, 'q,r' AS role) INSERT INTO users (id, role) SELECT id, role FROM s",
    "INSERT INTO plain SELECT id + 100, role FROM users; SELECT * FROM plain ORDER BY id",
    # ---- ON CONFLICT
    "INSERT INTO users (id, role) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET role = EXCLUDED.role"
    " RETURNING *",
    "INSERT INTO users (id, role) VALUES (1, 'z'), (10, 'y') ON CONFLICT DO NOTHING RETURNING id",
    "INSERT INTO users (id, role) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE"
    " SET name = users.role || EXCLUDED.role WHERE users.role <> 'q' RETURNING name",
    "INSERT INTO users AS u (id, role) VALUES (1, 'z') ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE"
    " SET role = u.role || ',' || EXCLUDED.role RETURNING u.role",
    # ---- UPDATE
    "UPDATE users SET role = 'a,b' WHERE id = 1 RETURNING *",
    "UPDATE users SET role = role || ',more', name = upper(name) WHERE role LIKE '%admin%'",
    "UPDATE users AS u SET role = t.amount FROM transactions t WHERE t.user_id = u.id AND t.id = 3"
    " RETURNING u.id, u.role, t.amount",
    "UPDATE users SET role = NULL",
    "UPDATE users SET role = DEFAULT WHERE id = 2",
    "UPDATE users SET name = role",
    "UPDATE users SET role = (SELECT amount FROM transactions t WHERE t.id = users.id)",
    "UPDATE users SET (name, role) = ('n', 'r,s') WHERE id = 2",
    "UPDATE orders SET total_cents = total_cents * 2 WHERE total_cents > 50 RETURNING id, total_cents",
    "UPDATE transactions SET amount = '5.00' WHERE id = 1 RETURNING amount",
    "UPDATE plain SET note = u.role FROM users u WHERE u.id = plain.id; SELECT * FROM plain ORDER BY 1",
    # ---- DELETE
    "DELETE FROM users WHERE role = 'viewer' RETURNING *",
    "DELETE FROM users u USING transactions t WHERE t.user_id = u.id AND t.amount = '10.50'"
    " RETURNING u.role, t.amount",
    "DELETE FROM plain USING users WHERE users.id = plain.id AND users.role = 'viewer'",
    # ---- data-modifying CTEs
    "WITH gone AS (DELETE FROM users WHERE id = 2 RETURNING id, role) SELECT role FROM gone",
    "WITH raised AS (UPDATE orders SET total_cents = total_cents + 1 RETURNING id, total_cents)"
    " SELECT sum(total_cents) FROM raised",
    "WITH made AS (INSERT INTO users (id, role) VALUES (10, 'm') RETURNING role) TABLE made",
    # ---- several statements in one text, transactions
    "BEGIN; UPDATE users SET role = 'm' WHERE id = 1; INSERT INTO transactions VALUES (10, 1, '3.00');"
    " COMMIT; SELECT role FROM users WHERE id = 1",
    "UPDATE users SET role = 'lost'; SELECT 1/0",
    "SELECT 1; SELECT role FROM users WHERE id = 1; SELECT nosuch",
    ["BEGIN", "UPDATE users SET role = 'x'", "SAVEPOINT a", "DELETE FROM users", "ROLLBACK TO a",
     "SELECT role FROM users", "SELECT nosuch", "SELECT role FROM users", "ROLLBACK"],
    ["BEGIN", "DECLARE c CURSOR FOR SELECT role FROM users ORDER BY id", "FETCH 2 FROM c",
     "UPDATE users SET role = 'x'", "FETCH 2 FROM c", "COMMIT"],
    ["PREPARE p AS SELECT role FROM users WHERE id = $1", "EXECUTE p(1)", "EXECUTE p(2)",
     "DEALLOCATE p", "EXECUTE p(1)"],
    ["PREPARE q(text, int) AS UPDATE users SET role = $1 WHERE id = $2 RETURNING role",
     "EXECUTE q('a,b', 1)", "EXECUTE q(NULL, 2)", "DEALLOCATE ALL"],
    "EXPLAIN (COSTS off) SELECT note FROM plain",
]

NEW = [
    # ---- reading
    "SELECT * FROM users ORDER BY id",
    "SELECT u.*, 1 AS one FROM users u ORDER BY u.id",
    "SELECT roles FROM users ORDER BY id",
    "SELECT roles[1], cardinality(u.roles) FROM users u ORDER BY id",
    "SELECT unnest(roles) AS r FROM users ORDER BY 1",
    "SELECT id FROM users WHERE 'admin' = ANY(roles) ORDER BY id",
    "SELECT id FROM users WHERE roles @> ARRAY['admin'] ORDER BY id",
    "SELECT roles, count(*) FROM users GROUP BY roles ORDER BY roles NULLS FIRST",
    "SELECT DISTINCT roles FROM users ORDER BY roles",
    "SELECT sum(amount), avg(amount) FROM transactions",
    "SELECT amount, amount + 1, round(amount) AS amount FROM transactions t ORDER BY id",
    "SELECT id FROM transactions WHERE amount > 1 ORDER BY amount DESC",
    "SELECT user_id, sum(amount) AS total FROM transactions GROUP BY user_id ORDER BY total NULLS FIRST",
    "SELECT total FROM orders ORDER BY total NULLS FIRST",
    "SELECT id FROM orders WHERE total = 0.99",
    "SELECT id FROM orders WHERE total IN (0.99, 10.50) ORDER BY id",
    # ---- joins, sub-selects, CTEs
    "SELECT * FROM users u JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.id",
    "SELECT name, roles, amount, total FROM users LEFT JOIN transactions ON"
    " transactions.user_id = users.id LEFT JOIN orders ON orders.user_id = users.id"
    " ORDER BY users.id, transactions.id, orders.id",
    "SELECT t.id FROM transactions t JOIN orders o ON o.total = t.amount ORDER BY 1",
    "SELECT (SELECT max(total) FROM orders o WHERE o.user_id = t.user_id) FROM transactions t ORDER BY id",
    "SELECT s.amount FROM (SELECT * FROM transactions WHERE amount < 0) AS s",
    "WITH big AS (SELECT user_id, amount FROM transactions WHERE amount > 5) SELECT u.roles, big.amount"
    " FROM big JOIN users u ON u.id = big.user_id ORDER BY big.amount",
    # ---- errors
    "SELECT role FROM users",
    "SELECT amount_new FROM transactions",
    "SELECT total_cents FROM orders",
    "SELECT roles, nosuch FROM users",
    "UPDATE users SET role = 'x'",
    "INSERT INTO orders (id, total_cents) VALUES (9, 1)",
    "INSERT INTO users (id, roles) VALUES (9, 'not an array')",
    "INSERT INTO transactions (id, amount) VALUES (9, 'abc')",
    "UPDATE transactions SET amount = 99999999999.5 WHERE id = 1",
    # ---- parameters
    ("SELECT id FROM users WHERE roles = $1", ["{viewer}"]),
    ("SELECT amount FROM transactions WHERE amount > $1 ORDER BY id", ["1.5"]),
    ("INSERT INTO users (id, name, roles) VALUES ($1, $2, $3) RETURNING roles", ["10", "n", "{a,b}"]),
    ("INSERT INTO transactions VALUES ($1, $2, $3) RETURNING amount", ["10", "1", "3.256"]),
    ("INSERT INTO orders (id, total) VALUES ($1, $2)", ["10", None]),
    ("UPDATE users SET roles = $1 WHERE id = $2 RETURNING roles", ["{x,y}", "1"]),
    ("UPDATE users SET roles = $1 WHERE roles = $1", ["{viewer}"]),
    ("UPDATE transactions SET amount = amount + $1 WHERE id = $2 RETURNING amount", ["0.75", "1"]),
    ("DELETE FROM orders WHERE total = $1 RETURNING *", ["0.99"]),
    # ---- writing
    "INSERT INTO users (id, name, roles) VALUES (10, 'x', ARRAY['a', 'b'])",
    "INSERT INTO users VALUES (10, 'x', '{a,b}'), (11, 'y', NULL)",
    "INSERT INTO users (roles, id) VALUES ('{a}', 10), (DEFAULT, 11) RETURNING *",
    "INSERT INTO transactions (id, amount) VALUES (10, 1.5), (11, '2.25') RETURNING amount",
    "INSERT INTO transactions (id, amount) SELECT id + 100, total FROM orders",
    "INSERT INTO orders (id, total) VALUES (1, 7) ON CONFLICT (id) DO UPDATE"
    " SET total = orders.total + EXCLUDED.total RETURNING total",
    "UPDATE users SET roles = roles || 'more'::text WHERE roles IS NOT NULL RETURNING id, roles",
    "UPDATE users SET roles = array_append(users.roles, u2.name) FROM plain p, users u2"
    " WHERE users.id = p.id AND u2.id = p.id RETURNING users.roles",
    "UPDATE users SET roles = NULL WHERE id < 3",
    "UPDATE users SET name = roles[1]",
    "UPDATE transactions SET amount = -amount WHERE amount > 0",
    "UPDATE orders SET total = total * 1.5 WHERE id = 2 RETURNING total",
    "DELETE FROM users WHERE 'viewer' = ANY(roles) RETURNING *",
    "WITH gone AS (DELETE FROM transactions WHERE amount < 1 RETURNING amount) SELECT sum(amount) FROM gone",
    "BEGIN; UPDATE orders SET total = 3; UPDATE users SET roles = '{m}' WHERE id = 1; COMMIT",
    ["PREPARE p(numeric) AS SELECT id FROM transactions WHERE amount > $1 ORDER BY id",
     "EXECUTE p(1)", "EXECUTE p(-100)", "DEALLOCATE p"],
]
LOSSY_TABLES = ("users", "transactions")


def statements(case):
    case = case if isinstance(case, list) else [case]
    return [(part, None) if isinstance(part, str) else part for part in case]


def name_of(case):
    return " | ".join(sql for sql, _ in statements(case))[:90]


def outcome(messages, sql):
    """What a client can tell of the answers."""
    shown = []
    # which column a computed one stands for is told for statements that Segue rewrote by themselves
    single = ";" not in sql.rstrip("; ") and not sql.startswith(("FETCH", "EXECUTE"))
    for message in messages:
        if message.kind == b"T":
            shown.append(("columns", [
                (name, bool(table) if single else None, type_oid, typmod)
                for name, table, _, type_oid, typmod, _ in message.columns()
            ]))
        elif message.kind == b"D":
            shown.append(("row", message.row()))
        elif message.kind == b"E":
            fields = message.fields()
            # an error about a name is one about the client's own text: same words, same place; others
            # may speak of the other shape's column, at no place
            named = fields["C"] == "42703"
            shown.append(("error", fields["C"], *([fields["M"], fields["P"]] if named else [])))
        elif message.kind in b"NS":
            continue
        else:
            shown.append((message.kind, message.body))
    if "ORDER BY" not in sql:
        rows = iter(sorted((x for x in shown if x[0] == "row"), key=repr))
        shown = [next(rows) if x[0] == "row" else x for x in shown]
    return shown


def run(connection, case, protocol):
    shown = []
    for sql, parameters in statements(case):
        if protocol == "simple":
            connection.send(wire.query(sql))
        else:
            connection.send(
                wire.parse(sql) + wire.describe(b"S") + wire.bind(parameters or [])
                + wire.describe(b"P") + wire.execute() + wire.sync()
            )
        shown.append((sql, outcome(connection.read_until(), sql)))
    return shown


VIEWS = {
    "old": {"users": "id, name, role", "transactions": "id, user_id, amount",
            "orders": "id, user_id, total_cents"},
    "new": {"users": "id, name, roles", "transactions": "id, user_id, amount",
            "orders": "id, user_id, total"},
}


def view(connection, shape, only):
    """All rows of the tables `only`, as a client of this shape sees them."""
    return {
        table: connection.rows(f"SELECT {VIEWS[shape][table]} FROM {table} ORDER BY id")
        for table in only
    }


# how a plain database of one shape is seen by a client of the other
CONVERTED = {
    "old": {"users": "id, name, string_to_array(role, ',')",
            "transactions": "id, user_id, amount::numeric(12,2)",
            "orders": "id, user_id, (total_cents::numeric / 100)::numeric(12,2)"},
    "new": {"users": "id, name, array_to_string(roles, ',')",
            "transactions": "id, user_id, amount::text",
            "orders": "id, user_id, (total * 100)::bigint"},
}


def converted_view(oracle, shape, only):
    return {
        table: oracle.rows(f"SELECT {CONVERTED[shape][table]} FROM {table} ORDER BY id")
        for table in only
    }


@pytest.fixture(scope="module")
def plain_sessions(cluster, oracles):
    with contextlib.ExitStack() as stack:
        made = {}
        for shape, database in oracles.items():
            made[shape] = stack.enter_context(wire.Connection(cluster.port))
            made[shape].login("postgres", database)
        yield made


@pytest.fixture
def plain_databases(plain_sessions, oracle_keepers):
    """Direct connections to the two plain databases, as at their beginning, the rows made anew."""
    for shape, connection in plain_sessions.items():
        connection.query("ROLLBACK")
        connection.query("DISCARD ALL")
        oracle_keepers[shape].fill()
    return plain_sessions


def cases():
    for shape, listed in (("old", OLD), ("new", NEW)):
        for case in listed:
            for protocol in ("simple", "extended"):
                parameters = any(parameters is not None for _, parameters in statements(case))
                several = any(";" in sql for sql, _ in statements(case))
                if (protocol == "simple" and not parameters) or (
                    protocol == "extended" and not several
                ):
                    yield pytest.param(shape, case, protocol,
                                       id=f"{shape}-{protocol}-{name_of(case)}")


@pytest.mark.parametrize("shape, case, protocol", cases())
def test_a_statement_is_to_its_client_what_it_is_on_a_plain_table(
    stand, plain_databases, shape, case, protocol
):
    phase = stand.phase_name
    other = "new" if shape == "old" else "old"
    oracle = plain_databases[shape]
    text = " ".join(sql for sql, _ in statements(case))
    if shape == "new" and phase == "old" and any(table in text for table in LOSSY_TABLES):
        pytest.skip("a lossy transition's new columns are nowhere in phase old: tested on its own")
    with stand.raw(shape) as connection:
        expected = run(oracle, case, protocol)
        assert run(connection, case, protocol) == expected
        new_sees = ["orders"] if phase == "old" else list(VIEWS["new"])
        mine = new_sees if shape == "new" else list(VIEWS["old"])
        assert view(connection, shape, mine) == view(oracle, shape, mine)
        with stand.raw(other) as other_connection:
            theirs = new_sees if other == "new" else mine
            assert view(other_connection, other, theirs) == converted_view(oracle, shape, theirs)
    if phase.startswith("dual"):
        tables.assert_parity(stand.keeper.connection)
