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
    "ranges": ("int4range", "[1,3)", "'[1,2)'::int4range"),
    "lists": ("integer[]", "{1,2}", "ARRAY[1.5, 2]"),
    "chars": ("character varying(5)", "abc", "1.5"),
    "documents": ("jsonb", '{"a": 1}', "'{}'::json"),
    "spans": ("interval", "1 day", "'10:00'::time"),
    "clocks": ("time without time zone", "10:00:00", "'1 day 02:00'::interval"),
    "words": ("text[]", "{a,b}", "ARRAY[1, 2]"),
    "codes": ("character varying(3)[]", "{a,b}", "ARRAY['abc'::text]"),
    "moods": ("public.mood", "sad", "'ok'::public.mood"),
    "bits": ("bit(3)", "101", "B'110'"),
    "labels": ("public.label", "abc", "5"),
}
REVERSED = ("ints", "ids", "flags", "lists", "documents", "moods")
# But for some types, to which they are not.
WRONG = ["true", "1", "'1'::text", "'1'::varchar", "'2020-01-02'::date", "ARRAY['1']::char(1)[]", "ROW(1)",
         "'10:00'::time", "'1.5'::float8::numeric::money", "ARRAY['abcd']"]


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


def case(name, shape):
    """One for all values: those that are refused are rolled back, and others stay."""
    kind, value, other = TYPES[name.removeprefix("new_")]
    tried = [f"INSERT INTO {name} (id, v) VALUES (2, {v}) RETURNING v" for v in [*WRONG, "NULL"]]
    tried += [f"UPDATE {name} SET v = {v}" for v in (WRONG[0], WRONG[6], f"({WRONG[2]})", f"'{value}'")]
    tried += [f"INSERT INTO {name} (id, v) SELECT 2, {v}" for v in (other, WRONG[0])]
    tried += [f"MERGE INTO {name} t USING (VALUES (1), (2)) AS s(i) ON t.id = s.i WHEN MATCHED THEN UPDATE SET v = "
              f"{other} WHEN NOT MATCHED AND s.i = 2 THEN INSERT (id, v) VALUES (s.i, {other}) "
              f"WHEN NOT MATCHED THEN INSERT VALUES (s.i, {v})" for v in (WRONG[7], other)]
    tried += [(f"INSERT INTO {name} (id, v) VALUES (2, $1) RETURNING v", [value]),
              (f"UPDATE {name} SET v = $1", [value])]
    steps = [step for sql in tried for step in ("SAVEPOINT s", sql, "ROLLBACK TO s")]
    return Case(*steps, f"INSERT INTO {name} (id, v) VALUES (2, {other}), (3, {other}), (4, '{value}')",
                f"UPDATE {name} SET v = {other} WHERE id = 1", only=shape, modes=("text",), guards=("off",),
                goes_on=True)


ASSIGNED = World(
    name="assigned",
    transitions="".join([transition(name, ("old", "new")) for name in TYPES]
                        + [transition("new_" + name, ("new", "old")) for name in REVERSED]),
    common="CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN label AS varchar(5) CHECK (value <> '');",
    old=tables("old"),
    new=tables("new"),
    contents=[f"SELECT id, v::text FROM {name} ORDER BY id"
              for name in [*TYPES, *("new_" + name for name in REVERSED)]],
    guards=("off",),
)
# What the client declares its parameter as is judged as an assignment, too: numbers as money, the rest as text.
MONEY, TEXT, TEXTS = 790, 25, 1009
DECLARED = [("nums", MONEY, "1.50"), ("ints", MONEY, "7"), ("floats", MONEY, "1.5"), ("chars", MONEY, "7"),
            ("labels", MONEY, "7"), ("flags", TEXT, "true"), ("days", TEXT, "2020-01-01"), ("documents", TEXT, "{}"),
            ("spans", TEXT, "1 day"), ("moods", TEXT, "ok"), ("words", TEXT, "{a}"), ("lists", TEXTS, "{1}"),
            ("codes", TEXTS, "{abc}"), ("bits", TEXT, "101"), ("new_ints", MONEY, "7"), ("new_documents", TEXT, "{}")]


def declared_case(name, kind, value):
    tried = [(f"INSERT INTO {name} (id, v) VALUES (2, $1) RETURNING v", [value]), (f"UPDATE {name} SET v = $1", [value]),
             (f"INSERT INTO {name} (id, v) SELECT 3, $1", [value])]
    return Case(*[step for sql in tried for step in ("SAVEPOINT s", sql, "ROLLBACK TO s")], tried[0], declares=[kind],
                only="new" if name.startswith("new_") else "old", modes=("text",), guards=("off",), goes_on=True)


CASES = {ASSIGNED: [case(name, "old") for name in TYPES] + [case("new_" + name, "new") for name in REVERSED]}
CASES[ASSIGNED] += [declared_case(*declared) for declared in DECLARED]
# The value of a domain is evaluated a level deeper, where IN over a column would give $1 another type.
CASES[ASSIGNED] += [Case(("UPDATE labels SET v = CASE WHEN 1 IN (id::numeric, $1) THEN 'a' ELSE 'b' END", ["1.5"]),
                         only="old", modes=("text",), guards=("off",)),
                    Case(("UPDATE labels SET v = CASE WHEN 1 IN (id::numeric, $1) THEN 'a' ELSE 'b' END", ["1"]),
                         "MERGE INTO labels u USING (SELECT 2 AS id) s ON u.id = s.id WHEN NOT MATCHED THEN INSERT "
                         "VALUES (s.id, CASE WHEN s.id IN (s.id::numeric, 3) THEN 'c' END)",
                         only="old", modes=("text",), guards=("off",))]
# What is evaluated once goes by way of text, which not every type does whole.
MERGED = "MERGE INTO {} u USING (SELECT 2 AS id) s ON u.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, {})"
ONCE = {"nums": "random()", "ints": "(random() * 5000)::int", "flags": "random() < 2", "days": "clock_timestamp()::date",
        "ids": "gen_random_uuid()", "lists": "ARRAY[(random() * 5000)::int, NULL]"}
CASES[ASSIGNED] += [
    Case(MERGED.format(name, f"CASE WHEN {value} IS NOT NULL THEN (SELECT v FROM {name} LIMIT 1) END"), only="old",
         modes=("text",), guards=("off",)) for name, value in ONCE.items()
] + [Case(MERGED.format("floats", "random() * 0"), only="old", modes=("text",), guards=("off",),
          refused="MERGE that inserts a value of this type which must be evaluated once", refused_in=DUAL)]
