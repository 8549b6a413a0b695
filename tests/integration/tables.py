"""The tables that tests change the shape of, and what it means that a row is in parity.

Three transitions, one of each kind: `users_role` is lossy (text to text[]), `amount` keeps its name
and changes its type, `order_total` is lossless and changes both.
"""

USERS_ROLE = """
transition "users_role" {
    table = "public.users"
    old "role"  { type = "text"    from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]"  from = "string_to_array(role, ',')" }
    lossless = false
    guard = "%(guard)s"
}
"""
AMOUNT = """
transition "amount" {
    table = "public.transactions"
    old "amount" { type = "text"           from = "amount::text" }
    new "amount" { type = "numeric(12,2)"  from = "amount::numeric"  column = "amount_new" }
    guard = "%(guard)s"
}
"""
ORDER_TOTAL = """
transition "order_total" {
    table = "public.orders"
    old "total_cents" { type = "bigint"         from = "(total * 100)::bigint" }
    new "total"       { type = "numeric(12,2)"  from = "total_cents::numeric / 100" }
    lossless = true
    guard = "%(guard)s"
}
"""
DEFINITIONS = {"users_role": USERS_ROLE, "amount": AMOUNT, "order_total": ORDER_TOTAL}


def definition(transition, guard="sync"):
    return DEFINITIONS[transition] % {"guard": guard}


TABLE = {"users_role": "users", "amount": "transactions", "order_total": "orders"}
# physical old column, physical new column, forward, backward
PHYSICAL = {
    "users_role": ("role", "roles", "string_to_array(role, ',')", "array_to_string(roles, ',')"),
    "amount": ("amount", "amount_new", "amount::numeric(12,2)", "amount_new::text"),
    "order_total": (
        "total_cents", "total", "(total_cents::numeric / 100)::numeric(12,2)",
        "(total * 100)::bigint",
    ),
}

CREATE = {
    "old": """
        CREATE TABLE users (id int PRIMARY KEY, name text, role text);
        CREATE TABLE transactions (id int PRIMARY KEY, user_id int, amount text);
        CREATE TABLE orders (id int PRIMARY KEY, user_id int, total_cents bigint);
        CREATE TABLE plain (id int PRIMARY KEY, note text);
    """,
    # what the tables are to a client of the new shape, in the order that it sees the columns in
    "new": """
        CREATE TABLE users (id int PRIMARY KEY, name text, roles text[]);
        CREATE TABLE transactions (id int PRIMARY KEY, user_id int, amount numeric(12,2));
        CREATE TABLE orders (id int PRIMARY KEY, user_id int, total numeric(12,2));
        CREATE TABLE plain (id int PRIMARY KEY, note text);
    """,
}

# The same rows in both shapes.
USERS = [
    (1, "ann", "admin,editor", ["admin", "editor"]),
    (2, "bob", "viewer", ["viewer"]),
    (3, "cid", None, None),
    (4, "dan", "editor,viewer,admin", ["editor", "viewer", "admin"]),
    (5, "eve", "admin", ["admin"]),
]
TRANSACTIONS = [(1, 1, "10.50"), (2, 1, "0.25"), (3, 2, "-7.00"), (4, 3, None), (5, 5, "1234.00")]
ORDERS = [(1, 1, 1050, "10.50"), (2, 2, 99, "0.99"), (3, 2, None, None), (4, 5, 0, "0.00")]
PLAIN = [(1, "one"), (2, "two")]


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "ARRAY[" + ", ".join(literal(item) for item in value) + "]"
    return str(value) if isinstance(value, int) else f"'{value}'"


def values(rows):
    return ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in rows)


def fill_text(shape):
    pick = {"old": lambda a, b: (a,), "new": lambda a, b: (b,), "both": lambda a, b: (a, b)}[shape]
    columns = {
        "old": ("role", "amount", "total_cents"),
        "new": ("roles", "amount", "total"),
        "both": ("role, roles", "amount, amount_new", "total_cents, total"),
    }[shape]
    users = values((i, name, *pick(old, new)) for i, name, old, new in USERS)
    # the money is given as text, untyped: text and numeric columns both take it
    transactions = values((i, user, *pick(money, money)) for i, user, money in TRANSACTIONS)
    orders = values((i, user, *pick(cents, total)) for i, user, cents, total in ORDERS)
    return f"""
        TRUNCATE users, transactions, orders, plain;
        INSERT INTO users (id, name, {columns[0]}) VALUES {users};
        INSERT INTO transactions (id, user_id, {columns[1]}) VALUES {transactions};
        INSERT INTO orders (id, user_id, {columns[2]}) VALUES {orders};
        INSERT INTO plain VALUES {values(PLAIN)};
    """


FILL = {shape: fill_text(shape) for shape in ("old", "new", "both")}


def fill(connection, shape):
    """Empties the tables and puts the rows in; `shape` "both" for tables that have both columns."""
    connection.execute(FILL[shape])


def create_template(cluster):
    """The database `old_template`, of which tests make theirs: the tables in the old shape, filled."""
    cluster.create_database("old_template")
    with cluster.connect("old_template") as connection:
        connection.execute(CREATE["old"])
        fill(connection, "old")


class Keeper:
    """
    Puts the rows of a database in anew, where any may have been written since it did so last: where
    somebody in the cluster, besides keepers, has been given a transaction's number.
    """

    taken = 0  # numbers that keepers were given

    def __init__(self, connection, shape):
        self.connection = connection
        self.shape = shape
        self.seen = None

    def numbers_of_others(self):
        Keeper.taken += 1
        return int(self.connection.execute("SELECT pg_current_xact_id()").fetchone()[0]) - Keeper.taken

    def fill(self):
        if self.numbers_of_others() != self.seen:
            fill(self.connection, self.shape)
            self.seen = self.numbers_of_others()


def out_of_parity(connection, transition):
    """The rows (whole) that are not in parity, read past the proxy."""
    old, new, forward, backward = PHYSICAL[transition]
    return connection.execute(
        f"SELECT * FROM {TABLE[transition]} WHERE NOT"
        f" ({new} IS NOT DISTINCT FROM {forward} OR {old} IS NOT DISTINCT FROM {backward})"
        " ORDER BY 1"
    ).fetchall()


def assert_parity(connection, *transitions):
    for transition in transitions or DEFINITIONS:
        assert out_of_parity(connection, transition) == [], transition
