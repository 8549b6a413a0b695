"""
Defaults that only the other shape can have. The new column's conversion names the old one twice, whose default is
volatile: no column of a table could have that, so each statement draws the old one's and converts it. The plain new
table has a function for it. CONTRACT drops the old column, and such a default with it.
"""

from case import Case
from world import STATES, World

TWINS = World(
    name="twins",
    transitions="""
transition "twin" {
    table = "public.marks"
    old "mark" { type = "text" from = "split_part(twin, ':', 1)" }
    new "twin" { type = "text" from = "mark || ':' || mark" }
    lossless = true
}
""",
    common="""
CREATE SEQUENCE mark_seq;
CREATE FUNCTION drawn() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'm' || nextval('mark_seq') $$;
CREATE FUNCTION drawn_twin() RETURNS text LANGUAGE sql VOLATILE AS
    $$ SELECT m || ':' || m FROM (SELECT 'm' || nextval('mark_seq') AS m OFFSET 0) q $$;
CREATE TABLE staging (id int, note text);
INSERT INTO staging VALUES (21, 'x'), (22, 'y'), (23, NULL);
""",
    old="""
CREATE TABLE marks (id int PRIMARY KEY, mark text DEFAULT drawn(), note text);
INSERT INTO marks (id, mark) VALUES (1, 'a'), (2, 'b'), (3, NULL);
""",
    new="""
CREATE TABLE marks (id int PRIMARY KEY, note text, twin text DEFAULT drawn_twin());
INSERT INTO marks (id, twin) VALUES (1, 'a:a'), (2, 'b:b'), (3, NULL);
""",
    words={"old": {"m": "mark", "v": "'z'"}, "new": {"m": "twin", "v": "'z:z'"}},
    contents=["SELECT * FROM marks ORDER BY id"],
    reset="SELECT setval('mark_seq', 100)",
)

LEFT_OUT = [
    "INSERT INTO marks (id) VALUES (20) RETURNING *",
    "INSERT INTO marks (id) VALUES (20), (21), (22) RETURNING {m}",
    "INSERT INTO marks (id, {m}) VALUES (20, DEFAULT), (21, {v}), (22, DEFAULT) RETURNING *",
    "INSERT INTO marks (note, id) SELECT note, id FROM staging ORDER BY id DESC RETURNING *",
    "INSERT INTO marks SELECT id FROM staging WHERE id > 21 RETURNING {m}",
    "INSERT INTO marks (id) VALUES (1), (20) ON CONFLICT (id) DO UPDATE SET note = EXCLUDED.{m} RETURNING *",
    "UPDATE marks SET {m} = DEFAULT RETURNING *",
    "UPDATE marks SET note = 'n', {m} = DEFAULT WHERE id = 2",
    "UPDATE marks SET ({m}, note) = (DEFAULT, 'n') RETURNING id, {m}",
    "INSERT INTO marks (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET {m} = DEFAULT RETURNING *",
    "MERGE INTO marks m USING staging s ON s.id = m.id + 20 WHEN MATCHED THEN UPDATE SET {m} = DEFAULT",
    *[f"MERGE INTO marks m USING {source} ON s.id = m.id WHEN NOT MATCHED THEN INSERT {insert}"
      for source, insert in (
          ("staging s", "(id) VALUES (s.id)"),
          ("staging s", "(note, {m}, id) VALUES (s.note, DEFAULT, s.id)"),
          ("(VALUES (31, 'x'), (32, 'y')) s(id, n)", "VALUES (s.id, DEFAULT, DEFAULT)"),
          ("(SELECT id, note FROM staging) s", "(id, note) VALUES (s.*)"),
          ("(marks s JOIN staging t ON t.id = s.id + 20)", "(id) VALUES (t.id)"),
          ("marks s", "(id) VALUES (s.id + 30)"),
      )],
    "MERGE INTO marks m USING (SELECT 50 AS id) s ON s.id = m.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
    "MERGE INTO marks m USING staging s ON s.id = m.id + 20 WHEN MATCHED AND m.id = 1 THEN UPDATE SET {m} = DEFAULT "
    "WHEN MATCHED THEN UPDATE SET {m} = DEFAULT, note = 'n' WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
    ("INSERT INTO marks (id, note) VALUES ($1, $2) RETURNING {m}", ["20", "x"]),
    ("INSERT INTO marks (id, note) SELECT id, $1 FROM staging RETURNING {m}", ["x"]),
    Case("COPY marks (id) FROM STDIN", copy=[b"20\n21\n"]),
    Case("COPY marks (id, note) FROM STDIN WHERE id < 30", copy=[b"20\tx\n21\ty\n22\tz\n"], only="new"),
    Case("COPY marks (id, {m}) FROM STDIN", copy={"old": [b"20\tq\n"], "new": [b"20\tq:q\n"]}),
]

BEFORE_CONTRACT = [state for state in STATES if state != "contracted"]


def cases():
    for item in LEFT_OUT:
        case = item if isinstance(item, Case) else Case(item, ordered=True)
        case.states = BEFORE_CONTRACT
        yield case


CASES = {
    TWINS: [*cases()]
    + [Case("COPY marks (id) FROM STDIN WHERE twin <> ''", copy=[b"20\n21\n"], only="new",
            states=BEFORE_CONTRACT, refused="a column left to a volatile default")],
}
