"""What the generator found (test_generator.py), each shrunk to the least that shows it."""

from case import Case
from garden import GARDEN
from world import STATES

GARDEN_FINDS = [
    # a row of a table with a column alias list keeps the table's names; of a derived table it does not
    Case("SELECT to_jsonb(t1) FROM users AS t1(c0)", only="old"),
    Case("SELECT (t1.*)::text FROM payments AS t1(c0)", only="new"),
    Case("SELECT t1.*, count(*) OVER () FROM users AS t1(c0) ORDER BY c0"),
    # a merged column whose bare name means several things
    "SELECT * FROM users NATURAL JOIN users t1, users t2",
    "SELECT * FROM users t1, users NATURAL JOIN users t2",
    "SELECT * FROM payments JOIN users t1 ON true, users JOIN users t2 USING (id)",
    "SELECT * FROM users t1, users t3 LEFT JOIN users t2 USING (id)",
    "SELECT * FROM users t1, users t3 RIGHT JOIN users t2 USING (id)",
    "SELECT * FROM users t1, users t3 FULL JOIN users t2 USING (id)",
    "SELECT * FROM users t1, (users t3 JOIN users t2 USING (id)) JOIN users t4 USING (id)",
    # the transition that is named is that of the statement which is refused
    Case('UPDATE "Order Items" SET "select" = NULL; SELECT t1.x::jsonb FROM (SELECT x FROM payments AS x(c0)) AS t1',
         refused='column alias list cannot be rewritten while transition "amount"', only="new",
         modes=["simple"], refused_in=[state for state in STATES if state != "contracted"]),
    # the items of IN that have a column are compared one by one, but not in a sub-select of ours
    Case(("UPDATE users SET role = CASE WHEN 1 IN (id::numeric, $1) THEN (SELECT 'x') ELSE 'y' END",
          ["2"]), only="old"),
    # a literal of two tokens
    Case("INSERT INTO users (id, role, name) VALUES (20, 'admin', NULL), (22, U&'d\\0061t', NULL)",
         only="old"),
    Case("UPDATE users SET name = U&'!0061' UESCAPE '!', role = U&'b\\0061' WHERE id = 1", only="old"),
]

CASES = {GARDEN: GARDEN_FINDS}
