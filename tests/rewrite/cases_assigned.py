"""
A value of a type that the column does not take is refused (42804), and one that it takes is taken, also
where only the other shape's column is written and so no assignment judges it: that of the old shape in `new`
and after CONTRACT, that of the new shape before `dual_old`.

A table for each type, which is that of the old shape's column, and of the new shape's in `new_..`; the other
shape's is text.
"""

from case import Case
from world import DUAL, World

TYPES = {
    "nums": ("numeric(10,2)", "1.50", "1.255"),
    "ints": ("integer", "7", "1.5"),
    "bigs": ("bigint", "8", "5::int"),
    "floats": ("double precision", "1.5", "2::numeric"),
    "flags": ("boolean", "true", "1 < 2"),
    "days": ("date", "2020-01-01", "'2020-01-02 10:00'::timestamp"),
    "times": ("timestamp without time zone", "2020-01-01 10:00:00", "'2020-01-02'::date"),
    "ids": ("uuid", "00000000-0000-0000-0000-000000000001", "'00000000-0000-0000-0000-000000000002'::uuid"),
    "nets": ("inet", "10.0.0.0/8", "'10.0.0.0/8'::cidr"),
    "raws": ("bytea", "\\x01", "'\\x02'::bytea"),
    "ranges": ("int4range", "[1,3)", "int4range(1, 2)"),
    "lists": ("integer[]", "{1,2}", "ARRAY[1.5, 2]"),
    "chars": ("character varying(5)", "abc", "1.5"),
}
REVERSED = ("ints", "ids", "flags", "lists")
WRONG = ["true", "1", "'1'::text", "'1'::varchar", "'2020-01-02'::date", "ARRAY['1']::char(1)[]", "ROW(1)"]
# Which are not wrong, or between arrays, where the server says 42846 (there is no such cast) of ours.
TAKEN = {"flags": ["true"], "lists": [WRONG[5]], "days": [WRONG[4]], "times": [WRONG[4]],
         **dict.fromkeys(("nums", "ints", "bigs", "floats"), ["1"])}


def transition(name, sides):
    types = {side: TYPES[name.removeprefix("new_")][0] if side == sides[0] else "text" for side in sides}
    return f"""
transition "{name}" {{
    table = "public.{name}"
    old "v" {{ type = "{types["old"]}" from = "v::{types["old"]}" }}
    new "v" {{ type = "{types["new"]}" from = "v::{types["new"]}" column = "v_new" }}
    lossless = true
}}
"""


def table(name, shape, typed):
    kind, value, _ = TYPES[name.removeprefix("new_")]
    return (f"CREATE TABLE {name} (id int PRIMARY KEY, v {kind if shape == typed else 'text'});\n"
            f"INSERT INTO {name} VALUES (1, '{value}');\n")


def tables(shape):
    return "".join([table(name, shape, "old") for name in TYPES]
                   + [table("new_" + name, shape, "new") for name in REVERSED])


def cases(name, shape):
    kind, value, other = TYPES[name.removeprefix("new_")]
    wrong = [w for w in WRONG if w not in TAKEN.get(name.removeprefix("new_"), [])]
    values = [*wrong, other, f"'{value}'", "NULL"]
    statements = [f"INSERT INTO {name} (id, v) VALUES (2, {v}) RETURNING v" for v in values]
    statements += [f"UPDATE {name} SET v = {v}" for v in (wrong[0], wrong[-1], other)]
    statements += [f"INSERT INTO {name} (id, v) SELECT 2, {other}", f"INSERT INTO {name} (id, v) SELECT 2, {wrong[0]}",
                   (f"INSERT INTO {name} (id, v) VALUES (2, $1) RETURNING v", [value]),
                   (f"UPDATE {name} SET v = $1", [value])]
    return [Case(s, only=shape, modes=("text",)) for s in statements]


ASSIGNED = World(
    name="assigned",
    transitions="".join([transition(name, ("old", "new")) for name in TYPES]
                        + [transition("new_" + name, ("new", "old")) for name in REVERSED]),
    old=tables("old"),
    new=tables("new"),
    contents=[f"SELECT id, v::text FROM {name} ORDER BY id"
              for name in [*TYPES, *("new_" + name for name in REVERSED)]],
    guards=("off",),
)
CASES = {ASSIGNED: [case for name in TYPES for case in cases(name, "old")]
         + [case for name in REVERSED for case in cases("new_" + name, "new")]}
# What is evaluated once goes by way of text, which not every type does whole.
MERGED = "MERGE INTO {} u USING (SELECT 2 AS id) s ON u.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, {})"
ONCE = {"nums": "random()", "ints": "(random() * 5000)::int", "flags": "random() < 2", "days": "clock_timestamp()::date",
        "ids": "gen_random_uuid()", "lists": "ARRAY[(random() * 5000)::int, NULL]"}
CASES[ASSIGNED] += [
    Case(MERGED.format(name, f"CASE WHEN {value} IS NOT NULL THEN (SELECT v FROM {name} LIMIT 1) END"), only="old",
         modes=("text",)) for name, value in ONCE.items()
] + [Case(MERGED.format("floats", "random() * 0"), only="old", modes=("text",),
          refused="MERGE that inserts a value of this type which must be evaluated once", refused_in=DUAL)]
for case in CASES[ASSIGNED]:
    case.guards = ("off",)
