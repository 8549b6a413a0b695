"""INSERT into a partition or a child of the table in transition, by the part's own name."""

from case import Case
from world import World

TRANSITIONS = """
transition "event_code" {
    table = "public.events"
    old "code" { type = "integer" from = "code::integer" }
    new "code" { type = "bigint"  from = "code::bigint" column = "code_new" }
    lossless = true
}
"""
ROWS = "INSERT INTO events (id, kind, code) VALUES (1, 'a', 10), (2, 'b', 20), (3, 'a', NULL);"
PARTS = """
CREATE TABLE events_a PARTITION OF events FOR VALUES IN ('a');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
"""

PARTITIONS = World(
    name="insert_parts",
    transitions=TRANSITIONS,
    old="CREATE TABLE events (id int, code int, kind text) PARTITION BY LIST (kind);" + PARTS + ROWS,
    new="CREATE TABLE events (id int, kind text, code bigint) PARTITION BY LIST (kind);" + PARTS + ROWS,
    contents=["SELECT tableoid::regclass::text, * FROM events ORDER BY id"],
)

CASES = {
    PARTITIONS: [
        Case(statement, ordered=True, origins=False)  # the judge knows the parent's columns only
        for statement in (
            "INSERT INTO events (id, kind, code) VALUES (20, 'a', 5), (21, 'z', 6) RETURNING *",
            "INSERT INTO events_a (id, kind, code) VALUES (20, 'a', 5) RETURNING *",
            "INSERT INTO events_a SELECT * FROM events_a WHERE id = 1 RETURNING code, kind",
            "INSERT INTO events_rest AS r (kind, code) VALUES ('y', 1 + 1) RETURNING r.*",
            "INSERT INTO events_a (id, kind, code) VALUES (20, 'b', 5)",
            "INSERT INTO events_a (id, code_new) VALUES (20, 5)",
        )
    ]
}
