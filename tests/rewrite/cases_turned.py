"""
Conditions on columns that are computed, which are turned to the column that has an index: the same rows
as ever, whatever is compared, and NULLs, errors and parameters' types as on the plain table.

`items`: id (int to bigint), code (varchar to numeric), serial (text to bigint), tag (varchar(8) to text), ref
(uuid as text to uuid), small (int to smallint). All lossless.
"""

from case import Case
from world import World

TRANSITIONS = "".join(
    f"""
transition "{name}" {{
    table = "public.items"
    old "{name}" {{ type = "{old}" from = "{name}::{old.split('(')[0]}" }}
    new "{name}" {{ type = "{new}" from = "{name}::{new.split('(')[0]}" column = "{name}_new" }}
    lossless = true
}}
"""
    for name, old, new in [
        ("num", "integer", "bigint"), ("code", "character varying(12)", "numeric(10,2)"),
        ("serial", "text", "bigint"), ("tag", "character varying(8)", "text"),
        ("ref", "text", "uuid"), ("small", "integer", "smallint"),
    ]
)
ROWS = """
INSERT INTO items (id, num, code, serial, tag, ref, small, note)
SELECT i, nullif(i, 7), (i || '.50'), (i::bigint * 1000000007)::text, 't' || i,
       CASE WHEN i <> 9 THEN lpad(to_hex(i), 8, '0') || '-0000-0000-0000-00000000abcd' END, i % 100, i
  FROM generate_series(1, 400) i;
INSERT INTO items (id, num, code, serial, tag, ref, small) VALUES
    (1001, -5, '-0.05', '-9223372036854775808', '', '00000000-0000-0000-0000-000000000000', -32768),
    (1002, 2147483647, '99999999.99', '9223372036854775807', ' x ', NULL, NULL),
    (1003, NULL, 'NaN', NULL, NULL, NULL, 32767);
"""
SHAPES = {
    "old": "num int, code varchar(12), serial text, tag varchar(8), ref text, small int, note int",
    "new": "note int, num bigint, code numeric(10,2), serial bigint, tag text, ref uuid, small smallint",
}
NEW_ROWS = (
    ROWS.replace("(i || '.50')", "(i || '.50')::numeric").replace("(i::bigint * 1000000007)::text", "i::bigint * 1000000007")
    .replace("'-0000-0000-0000-00000000abcd' END", "'-0000-0000-0000-00000000abcd' END::uuid")
    .replace("i % 100, i", "(i % 100)::smallint, i").replace("CASE WHEN i <> 9", "(CASE WHEN i <> 9")
    .replace("END::uuid", "END)::uuid")
)
WORDS = {
    "old": {"code": "'30.50'", "serial": "'30000000210'", "ref": "text", "five": "'5.50'"},
    "new": {"code": "30.50", "serial": "30000000210", "ref": "uuid", "five": "5.50"},
}
INDEXES = """
CREATE INDEX ON items (num_new); CREATE INDEX ON items (code_new); CREATE INDEX ON items (serial_new);
CREATE INDEX ON items (tag_new); CREATE INDEX ON items (ref_new); CREATE INDEX ON items (small_new);
"""
CONDITIONS = [
    "num = 30", "num = '30'", "30 = num", "'30' = num", "num = -5", "-5 = num", "num = NULL", "num = 30.0",
    "num = 30.5", "num = 3000000000", "num = '3000000000'", "num = 'x'", "num = ' 30 '", "num = 30::bigint",
    "num = '30'::int", "num = CAST('30' AS int)", "num = int '30'", "num = (30)", "(num) = 30", "num = 29 + 1",
    "num IN (30, 31, NULL)", "num IN ('30', '31')", "num IN ('30', 'x')", "num IN (30)", "num NOT IN (30, NULL)",
    "num IN (1, 2.5, 3000000000)", "num = ANY ('{30,31,NULL}')", "num = ANY (ARRAY[30, 31])", "num = ANY ('x')",
    "num <> 30", "NOT num = 30", "NOT (num = NULL)", "num = 30 IS TRUE", "(num = 30) IS NULL", "num < 3",
    "num >= 2147483647", "num BETWEEN 30 AND 32", "num NOT BETWEEN 2 AND 1000", "num BETWEEN 32 AND 30",
    "num BETWEEN SYMMETRIC 32 AND 30", "num BETWEEN '30' AND 30.5", "num < 0 OR num > 399", "num = 30 AND num = 30",
    "num = 30 OR code = {code}", "num = num", "num = note", "note = num", "num = small", "num = id", "num < small",
    "num IS NOT DISTINCT FROM 30", "(num, id) = (30, 30)", "num = 30::smallint", "num = 3e1", "num = true",
    "code = {code}", "code = {five}", "NOT code = {code}", "code IN ({code}, {five}, NULL)", "{code} = code",
    "small = 30", "small = 40000", "small IN (1, 2)", "small = -32768", "small = '40000'", "small < -30000",
    "tag = 't30'", "tag = 't30 '", "tag IN ('t30', ' x ', '')", "tag = NULL", "tag = 't3' || '0'", "tag < 't11'",
    "tag = 'longer than eight'", "tag = 't30'::varchar", "tag = ANY ('{t30,t31}')", "NOT tag = 't30'", "tag = tag",
    "tag = 't30' COLLATE \"C\"", "serial = {serial}", "serial IN ({serial}, '9223372036854775807')",
    "serial = '-9223372036854775808'", "ref = '0000001e-0000-0000-0000-00000000abcd'",
    "ref = '00000000-0000-0000-0000-000000000000'", "num = (SELECT 30)", "num = abs(-30)", "num::text = '30'",
    "EXISTS (SELECT 1 FROM items j WHERE j.num = i.num AND j.id = 30)",
    "id IN (SELECT j.id FROM items j WHERE j.num = 30 AND j.code = {code})",
    "num = 30 AND EXISTS (SELECT (num = 30)::text)", "CASE WHEN num = 30 THEN true ELSE code = {five} END",
]
# of a client whose column is text: what no value is printed as
TEXTS = [
    "code = '30.5'", "code = '030.50'", "code = ' 30.50'", "code = 'x'", "code = ''", "code = 'NaN'",
    "code = 'nan'", "code = '-0.05'", "code = '1e1'", "code = '99999999999999999999999999999.50'",
    "code = '30.50' || ''", "code = '30.50'::text", "NOT code = 'x'", "code NOT IN ('x', '1.50')", "code = E'30\\u002e50'",
    "serial = '9223372036854775808'", "serial = '-9223372036854775809'", "serial = '99999999999999999999'",
    "serial = '+5'", "serial = '01000000007'", "serial = '1000000007 '", "serial = 'x'", "serial IN ('x', '1000000007')",
    "(serial = 'x') IS NULL", "ref = '0000001E-0000-0000-0000-00000000ABCD'", "ref = '{0000001e-0000-0000-0000-00000000abcd}'",
    "ref = '0000001e00000000000000000000abcd'", "ref = 'x'", "code = 30.5", "code = ANY ('{30.50}')",
]
PARAMETERS = [
    ("num = $1", ["30"]), ("$1 = num", ["30"]), ("num = $1 OR id = $1", ["30"]), ("num = $1::bigint", ["30"]),
    ("num = $1", [None]), ("num = $1", ["x"]), ("num = $1", ["3000000000"]), ("num IN ($1, $2, 5)", ["30", None]),
    ("num = ANY ($1)", ["{30,31,NULL}"]), ("num = ANY ($1::int[])", ["{30,31}"]), ("num = ANY ($1)", [None]),
    ("num < $1", ["3"]), ("num BETWEEN $1 AND $2", ["30", "31"]), ("num = $1 + 1", ["29"]),
    ("code = $1", ["30.50"]), ("code = $1", [None]), ("code IN ($1, $2)", ["30.50", "5.50"]),
    ("tag = $1", ["t30"]), ("tag = ANY ($1)", ["{t30}"]), ("serial = $1", ["30000000210"]), ("small = $1", ["30"]),
    ("ref = $1", ["0000001e-0000-0000-0000-00000000abcd"]), ("num = $2 AND small = $1", ["30", "30"]),
]
READ = "SELECT id, num, code FROM items i WHERE {} ORDER BY id"
OTHERS = [
    "SELECT i.id, j.id FROM items i JOIN items j ON i.num = j.note AND j.num = 30",
    "SELECT i.id, j.id FROM items i LEFT JOIN items j ON j.num = i.num AND i.num = 30 WHERE i.id < 40 ORDER BY 1, 2",
    "SELECT i.id FROM items i LEFT JOIN items j ON j.num = i.id WHERE j.num = 30 OR j.id IS NULL ORDER BY 1",
    "SELECT num = 30, count(*) FROM items GROUP BY num = 30 ORDER BY 1",
    "UPDATE items SET note = 0 WHERE num = 30 RETURNING id",
    "UPDATE items SET num = 31 WHERE num = 30 RETURNING id, num",
    "DELETE FROM items WHERE num IN (30, 31) AND code = {code} RETURNING id",
    "DELETE FROM items i USING items j WHERE i.num = j.num AND j.id = 30 RETURNING i.id",
    ("SELECT id FROM items WHERE note > $1 AND num = $1", ["7"]),
]
TURNED = World(
    name="turned",
    transitions=TRANSITIONS,
    old=f"CREATE TABLE items (id int PRIMARY KEY, {SHAPES['old']});" + ROWS,
    new=f"CREATE TABLE items (id int PRIMARY KEY, {SHAPES['new']});" + NEW_ROWS,
    words=WORDS,
    contents=["SELECT * FROM items ORDER BY id"],
    indexes=INDEXES,
)
CASES = {
    TURNED: [READ.format(c) if "{" not in c else READ.replace("{}", c) for c in CONDITIONS]
    + [Case(READ.replace("{}", c), only="old") for c in TEXTS]
    + [(READ.replace("{}", c), parameters) for c, parameters in PARAMETERS] + OTHERS
}
