"""Elements of an array that are assigned or inserted: what they make of it is converted, bounds and all."""

from case import Case
from cases_writes import TWO
from world import World

BOARDS = World(
    name="boards",
    transitions="""
transition "marks" {
    table = "public.boards"
    old "marks" { type = "integer[]" from = "marks_text::integer[]" }
    new "marks_text" { type = "text" from = "marks::text" }
    lossless = true
}
""",
    old="""
CREATE TABLE boards (id int PRIMARY KEY, marks int[], n int, note text);
INSERT INTO boards VALUES (1, '{10,20,30}', 2), (2, NULL, 3), (3, '{}', -1), (4, '[3:4]={5,6}', 1),
                          (5, '[-1:0]={7,NULL}', 0), (6, '{{1,2},{3,4}}', 1), (7, '{1}', NULL);
""",
    new="""
CREATE TABLE boards (id int PRIMARY KEY, n int, note text, marks_text text);
INSERT INTO boards (id, marks_text, n) VALUES (1, '{10,20,30}', 2), (2, NULL, 3), (3, '{}', -1), (4, '[3:4]={5,6}', 1),
    (5, '[-1:0]={7,NULL}', 0), (6, '{{1,2},{3,4}}', 1), (7, '{1}', NULL);
""",
    common="CREATE SEQUENCE seq; CREATE FUNCTION tick() RETURNS bigint LANGUAGE sql VOLATILE AS "
           "$$ SELECT nextval('seq') $$;",
    contents=["SELECT * FROM boards ORDER BY id"],
    reset="SELECT setval('seq', 1, false)",
)

FLAT = "id < 6"
BOARD_CASES = [
    f"UPDATE boards SET marks[2] = 99 WHERE {FLAT} RETURNING *",
    f"UPDATE boards SET note = 'n', marks[n] = id WHERE {FLAT}",
    # not the fifth: a plain array tells of a NULL that it once had
    "UPDATE boards SET marks[n + 1] = NULL, marks[n] = 1.5, marks[1] = 3 WHERE id < 5 RETURNING marks",
    f"UPDATE boards SET marks[2] = 1, marks[2] = 2 WHERE {FLAT}",
    f"UPDATE boards SET marks[2] = tick(), note = 'x' WHERE {FLAT}",
    f"UPDATE boards SET (marks[1], note, marks[3]) = (4, 'x', id) WHERE {FLAT}",
    f"UPDATE boards SET (marks[1], note) = ROW (tick(), 'x') WHERE {FLAT}",
    f"UPDATE boards b SET (note, marks[2]) = (SELECT 'q', max(c.id) FROM boards c WHERE c.id > b.id) WHERE {FLAT}",
    f"UPDATE boards SET marks[2] = marks[1] WHERE {FLAT} RETURNING marks[2]",
    "UPDATE boards SET marks['2'] = '7' WHERE id = 1",
    "INSERT INTO boards (id, marks[2], note) VALUES (20, 5, 'x'), (21, NULL, 'y') RETURNING *",
    "INSERT INTO boards (marks[3], id, marks[1], marks[-1]) VALUES (5, 20, 7, 9)",
    "INSERT INTO boards (id, marks[1 + 1]) SELECT id + 20, id FROM boards RETURNING marks",
    "INSERT INTO boards (id, marks[4]) VALUES (20, tick())",
    "INSERT INTO boards (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET marks[2] = EXCLUDED.id, marks[boards.n] = 0",
    "MERGE INTO boards b USING boards c ON b.id = c.id + 1 AND b.id < 6 WHEN MATCHED THEN UPDATE SET marks[c.id] = "
    "b.marks[3] WHEN NOT MATCHED THEN INSERT (id, marks[2]) VALUES (c.id + 20, c.id)",
    ("UPDATE boards SET marks[$1] = $2 WHERE id = 1", ["2", "77"]),
    ("INSERT INTO boards (id, marks[2]) VALUES ($1, $2)", ["20", "77"]),
    # the server's errors
    "UPDATE boards SET marks[2] = 1 WHERE id = 6",
    "UPDATE boards SET marks[n] = 1 WHERE id = 7",
    "UPDATE boards SET marks[1] = DEFAULT",
    "UPDATE boards SET marks[1] = 1, marks = '{}'",
    "UPDATE boards SET marks = '{}', marks[1] = 1",
    "INSERT INTO boards (id, marks[2]) VALUES (20, 'x')",
    *[Case(sql, refused="an assignment to such a part of the column",
           refused_in=("dual_old", "dual_own", "dual_new", "new", "contracted"))
      for sql in ("UPDATE boards SET marks[1:2] = '{8,9}' WHERE id = 1", "UPDATE boards SET marks[1][2] = 8 WHERE id = 6",
                  "UPDATE boards SET marks[tick()] = 8 WHERE id = 1")],
    Case("INSERT INTO boards (id, marks[1:2]) VALUES (20, '{1,2}')", refused="an INSERT of a part of the column",
         refused_in=("dual_old", "dual_own", "dual_new", "new", "contracted")),
]

TWO_CASES = [
    "UPDATE things SET tag_list[1] = 'z' WHERE id = 1 RETURNING *",
    "UPDATE things SET tag_list[2] = name, name = 'n', cents = 4 WHERE id <> 2",
    "UPDATE things SET (tag_list[1], name, cents) = (SELECT 'z', 'n', 5)",
    "UPDATE things SET cents = tick(), (name, tag_list[2]) = ROW ('r', 'y')",
    "UPDATE things SET tag_list[1] = 't' || tick(), tag_list[2] = NULL",
    "UPDATE things SET name = 'n', tag_list[3] = 'a,b' RETURNING tag_list",
    "UPDATE things SET (tag_list[1], cents) = (SELECT 'z', 5)",
    "MERGE INTO things x USING things y ON y.id = x.id WHEN MATCHED THEN UPDATE SET tag_list[1] = y.name",
    "INSERT INTO things (id, tag_list[2], tag_list[3]) VALUES (20, 'a', NULL), (21, 'x,y', 'z') RETURNING *",
]


def of_shape(cases, shape, guards):
    for item in cases:
        case = item if isinstance(item, Case) else Case(item)
        case.only, case.guards = shape, guards
        yield case


CASES = {
    BOARDS: [*of_shape(BOARD_CASES, "old", ("off", "reject"))],
    TWO: [*of_shape(TWO_CASES, "new", ("off", "reject", "sync"))]
    # the guard in sync fills what cannot be told here
    + [Case("UPDATE things SET tag_list[2:3] = '{p,q}', name = 'n', cents = 4 WHERE id = 3", only="new",
            guards=("sync",), refused="an assignment to such a part of the column", refused_in=("dual_old",))],
}
