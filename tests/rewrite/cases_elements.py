"""Elements of an array, and of a document, that are assigned or inserted: what they make of it is converted, bounds and all."""

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
    ("UPDATE boards SET marks[1] = (1 IN (id::numeric, $1))::int WHERE id = 1", ["1.5"]),
    # the server's errors
    "UPDATE boards SET marks[2] = 1 WHERE id = 6",
    "UPDATE boards SET marks[n] = 1 WHERE id = 7",
    "UPDATE boards SET marks[1] = DEFAULT",
    "UPDATE boards SET marks[1] = 1, marks = '{}'",
    "UPDATE boards SET marks = '{}', marks[1] = 1",
    "INSERT INTO boards (id, marks[2]) VALUES (20, 'x')",
    "INSERT INTO boards (id, marks[2]) VALUES (20, '1'::text)",
    "UPDATE boards SET marks[2] = '1'::text",
    Case(("UPDATE boards SET marks[2] = $1", ["1"]), declares=[25]),
    *[Case(sql, refused="an assignment to such a part of the column",
           refused_in=("dual_old", "dual_own", "dual_new", "new", "contracted"))
      for sql in ("UPDATE boards SET marks[1:2] = '{8,9}' WHERE id = 1", "UPDATE boards SET marks[1][2] = 8 WHERE id = 6",
                  "UPDATE boards SET marks[tick()] = 8 WHERE id = 1",
                  "UPDATE boards SET marks[(1 IN (id::numeric, 2))::int + 1] = 8 WHERE id = 1")],
    Case("INSERT INTO boards (id, marks[1:2]) VALUES (20, '{1,2}')", refused="an INSERT of a part of the column",
         refused_in=("dual_old", "dual_own", "dual_new", "new", "contracted")),
]

# The same of a document: what keys lead to, made where it is missing.
FILES = World(
    name="files",
    transitions="""
transition "doc" {
    table = "public.files"
    old "doc" { type = "jsonb" from = "doc_text::jsonb" }
    new "doc_text" { type = "text" from = "doc::text" }
    lossless = true
}
""",
    old="""
CREATE TABLE files (id int PRIMARY KEY, doc jsonb, n int, k text);
INSERT INTO files VALUES (1, '{"a": 1, "b": {"c": [1, 2]}, "d": null}', 2, 'a'), (2, NULL, 3, 'b'), (3, '[]', -1, 'c'),
                         (4, '[1, {"a": 5}, "x"]', 1, 'd'), (5, '{}', 0, 'e'), (6, '"scalar"', 1, 'f'), (7, 'null', 1, 'g');
""",
    new="""
CREATE TABLE files (id int PRIMARY KEY, n int, k text, doc_text text);
INSERT INTO files (id, doc_text, n, k) VALUES (1, '{"a": 1, "b": {"c": [1, 2]}, "d": null}', 2, 'a'), (2, NULL, 3, 'b'),
    (3, '[]', -1, 'c'), (4, '[1, {"a": 5}, "x"]', 1, 'd'), (5, '{}', 0, 'e'), (6, '"scalar"', 1, 'f'), (7, 'null', 1, 'g');
""",
    common="CREATE SEQUENCE seq; CREATE FUNCTION tick() RETURNS bigint LANGUAGE sql VOLATILE AS "
           "$$ SELECT nextval('seq') $$;",
    contents=["SELECT * FROM files ORDER BY id"],
    reset="SELECT setval('seq', 1, false)",
    guards=("off",),
)
ALL = range(1, 8)


def each(sql):
    """Row by row, since one row's error would hide what becomes of the others."""
    return Case(*[step for i in ALL for step in (f"SAVEPOINT s{i}", f"{sql} WHERE id = {i} RETURNING *", f"ROLLBACK TO s{i}")],
                f"{sql} WHERE id = 5", modes=("simple",), goes_on=True)


FILE_CASES = [
    *[each(f"UPDATE files SET {assigned}") for assigned in [
        "doc['a'] = '2'", "doc['new'] = '{\"x\": [1]}', n = 7", "doc['d']['e'] = '1'", "doc['b']['c'][1] = '\"z\"'", "doc[0] = '7'",
        "doc[2] = '8'", "doc[5] = '9'", "doc[-1] = '0'", "doc[-4] = '0'", "doc['1'] = 'true'", "doc['x']['y']['z'] = '1'",
        "doc['x'][2] = '1'", "doc['x'][-2] = '1'", "doc['x']['-2'] = '1'", "doc['x'][' 1'] = '1'", "doc['a '] = NULL", "doc[1]['a'] = '6'", "doc[1]['q'][1] = '6'",
        "doc['a'] = '1', doc['b']['c'][0] = to_jsonb(n), doc['a'] = doc['d']", "doc['a'] = to_jsonb(tick()), k = 'v'",
        "(doc['p'], k) = (SELECT to_jsonb(max(id)), 'q' FROM files)", "doc['a'] = 'not json'", "doc['a'] = 'x'::text",
        "doc['a'] = '1'::json", "doc['a'] = 1", "doc['a'] = DEFAULT", "doc['99999999999'] = '1'", "doc['-0'] = '1'", "doc['+1'] = '1'",
        # a key is a number where strtol() makes an int4 of it
        "doc['x']['-1001234567890'] = '1'", "doc['users']['123456789012345678'] = '1'", "doc['x']['2147483648'] = '1'",
        "doc['00000000002'] = '9'", "doc['-00000000005'] = '9'", "doc['-9999999999'] = '1'", "doc['x'][' -2'] = '1'",
        "doc['x']['00000000002'] = '1'", "doc['x'][E'\\x0b1'] = '1'", "doc[E'\\t+1'] = '1'", "doc['x']['\u20031'] = '1'", "doc['1\u2003'] = '1'",
        "doc['x'][''] = '1'", "doc['x']['1 '] = '1'", "doc['x']['0x1'] = '1'", "doc['x']['+-1'] = '1'", f"doc['x']['{'9' * 200}'] = '1'",
        # nothing of what the document is put together from is in the scope of the value
        "doc['a'] = to_jsonb(k)", "doc['d']['e'] = to_jsonb(k), doc['v'] = to_jsonb(k || n)", "doc['a'] = to_jsonb(b)", "doc['a'] = to_jsonb(v)",
    ]],
    "UPDATE files f SET doc['a'] = to_jsonb(b), doc['e']['f'] = to_jsonb(v || k) FROM (VALUES (1, 'x', 2), (5, 'y', 4)) AS o(i, b, v) "
    "WHERE i = f.id RETURNING *",
    "UPDATE files b SET doc['a'] = to_jsonb(b) WHERE id = 1 RETURNING *",
    "INSERT INTO files (id, k) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET doc['a'] = to_jsonb(k)",
    "INSERT INTO files AS b (id, k) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET doc['a'] = to_jsonb(b.k || EXCLUDED.k) RETURNING *",
    "MERGE INTO files f USING (VALUES (1, 'x'), (5, 'y'), (30, 'z')) AS s(i, b) ON f.id = s.i WHEN MATCHED THEN UPDATE SET "
    "doc['m'] = to_jsonb(k), doc['b'] = to_jsonb(b) WHEN NOT MATCHED THEN INSERT (id, doc['m']) VALUES (i, to_jsonb(b))",
    "INSERT INTO files (id, doc['a'], k) VALUES (20, '1', 'x'), (21, NULL, 'y') RETURNING *",
    "INSERT INTO files (doc['b']['c'], id, doc[1]) VALUES ('1', 20, '2')",
    "INSERT INTO files (id, doc[2]) SELECT id + 20, to_jsonb(k) FROM files RETURNING doc",
    "INSERT INTO files (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET doc['seen'] = to_jsonb(EXCLUDED.id) RETURNING *",
    "MERGE INTO files f USING (VALUES (1), (5), (30)) v(i) ON f.id = v.i WHEN MATCHED THEN UPDATE SET doc['m'] = to_jsonb(v.i) "
    "WHEN NOT MATCHED THEN INSERT (id, doc['m']) VALUES (v.i, '0')",
    ("UPDATE files SET doc['a'] = $1 WHERE id = 1 RETURNING doc", ["[1]"]),
    ("INSERT INTO files (id, doc['a']) VALUES ($1, $2)", ["20", "[1]"]),
    # of a column and a parameter each is compared for itself, wherever the value is put
    ("UPDATE files SET doc['a'] = to_jsonb(1 IN (id::numeric, $1)) WHERE id = 1 RETURNING doc", ["1.5"]),
    ("MERGE INTO files f USING (VALUES (30, 2.0)) AS s(i, m) ON f.id = s.i WHEN NOT MATCHED THEN INSERT (id, doc['a']) "
     "VALUES (i, to_jsonb(1 IN (m, $1)))", ["1.5"]),
    "INSERT INTO files (id, doc['a']) VALUES (20, to_jsonb(1 IN (2, (SELECT max(id) FROM files)))) RETURNING *",
    "INSERT INTO files (id, doc['a']) VALUES (20, DEFAULT)",
    "INSERT INTO files (id, doc['a']) VALUES (20, '1'), (21, DEFAULT)",
    "MERGE INTO files f USING (VALUES (30)) AS s(i) ON f.id = s.i WHEN NOT MATCHED THEN INSERT (id, doc['a']) VALUES (i, DEFAULT)",
    Case(("UPDATE files SET doc['a'] = $1 WHERE id = 1 RETURNING doc", ["[1]"]), declares=[25]),
    *[Case(sql, refused="an assignment to such a part of the column",
           refused_in=("dual_old", "dual_own", "dual_new", "new", "contracted"))
      for sql in ("UPDATE files SET doc[k] = '1'", "UPDATE files SET doc['a'][n] = '1'", "UPDATE files SET doc[1:2] = '1'")],
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
    FILES: [*of_shape(FILE_CASES, "old", ("off",))],
    TWO: [*of_shape(TWO_CASES, "new", ("off", "reject", "sync"))]
    # the guard in sync fills what cannot be told here
    + [Case("UPDATE things SET tag_list[2:3] = '{p,q}', name = 'n', cents = 4 WHERE id = 3", only="new",
            guards=("sync",), refused="an assignment to such a part of the column", refused_in=("dual_old",))],
}
