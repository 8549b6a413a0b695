"""
Pairs of types: the same statements over a table `things`, whose column changes from each type to
another. And two columns that become one.
"""

from case import Case
from world import World


def pair(name, old_type, new_type, forward, backward, values, lossless=True, common="", new_name="w",
         default=0, orders=True):
    """
    A world. `values` are (old literal, new literal), without quotes; the first three are rows 1 to 3, the
    one at `default` is what the column is by default.
    """
    def rows(shape):
        texts = ["'" + value[shape].replace("'", "''") + "'" for value in values[:3]]
        return ", ".join(f"({i + 1}, {text}, 'n{i}')" for i, text in enumerate([*texts, "NULL", texts[0]]))

    def words(shape):
        quoted = ["'" + value[shape].replace("'", "''") + "'" for value in values]
        kind, column = ((old_type, "v"), (new_type, new_name))[shape]
        return {"v": column, "type": kind, "a": quoted[0], "b": quoted[1], "c": quoted[-1],
                "param": values[1][shape]}

    def table(shape, columns, column):
        return (f"CREATE TABLE things ({columns});"
                f"INSERT INTO things (id, {column}, note) VALUES {rows(shape)};")

    default_of = ["DEFAULT '" + value.replace("'", "''") + "'" for value in values[default]]
    made = World(
        name=f"types_{name}",
        transitions=f"""
transition "pair" {{
    table = "public.things"
    old "v" {{ type = "{old_type}" from = "{backward}" }}
    new "{new_name}" {{ type = "{new_type}" from = "{forward}" }}
    lossless = {str(lossless).lower()}
}}
""",
        common=common,
        old=table(0, f"id int PRIMARY KEY, v {old_type} {default_of[0]}, note text", "v"),
        new=table(1, f"id int PRIMARY KEY, note text, {new_name} {new_type} {default_of[1]}", new_name),
        contents=["SELECT * FROM things ORDER BY id"],
        words={"old": words(0), "new": words(1)},
    )
    return made, STATEMENTS + (ORDERED if orders else [])


STATEMENTS = [
    "SELECT {v} FROM things ORDER BY id",
    "SELECT * FROM things WHERE {v} = {a} ORDER BY id",
    "SELECT id FROM things WHERE {v} IN ({a}, {b}) OR {v} IS NULL ORDER BY id",
    "SELECT {v}, count(*) FROM things GROUP BY {v}",
    "SELECT count(DISTINCT {v}), count({v}) FROM things",
    "SELECT t.{v} IS NULL, coalesce(t.{v}, {a}), nullif(t.{v}, {b}) FROM things t ORDER BY id",
    "SELECT a.id, b.{v} FROM things a JOIN things b ON a.{v} = b.{v} ORDER BY 1",
    "SELECT to_jsonb(t) FROM things t ORDER BY id",
    "SELECT {v}::text, CASE WHEN id > 2 THEN {v} END AS c FROM things ORDER BY id",
    "SELECT x.{v} FROM (SELECT {v} FROM things UNION SELECT {a}) x",
    "SELECT array_agg({v} ORDER BY id) FROM things",
    ("SELECT id FROM things WHERE {v} = $1", ["{param}"]),
    ("SELECT id FROM things WHERE {v} = ANY ($1) ORDER BY id", [None]),
    ("SELECT $1::{type} IS NOT DISTINCT FROM {v} FROM things ORDER BY id", ["{param}"]),
    "INSERT INTO things (id, {v}) VALUES (20, {a}), (21, NULL), (22, DEFAULT), (23, {c}) RETURNING *",
    "INSERT INTO things (id, note) VALUES (20, 'n') RETURNING {v}",
    ("INSERT INTO things (id, {v}) VALUES (20, $1) RETURNING {v}", ["{param}"]),
    ("INSERT INTO things (id, {v}) SELECT $2, $1", ["{param}", "20"]),
    "INSERT INTO things (id, {v}) SELECT id + 20, {v} FROM things RETURNING *",
    "INSERT INTO things (id, {v}) VALUES (1, {b}) ON CONFLICT (id) DO UPDATE SET {v} = EXCLUDED.{v} "
    "RETURNING *",
    "UPDATE things SET {v} = {b}",
    "UPDATE things SET {v} = {v}, note = 'same' RETURNING {v}",
    "UPDATE things SET {v} = DEFAULT, note = 'd' WHERE id < 3 RETURNING {v}",
    "UPDATE things SET {v} = CASE WHEN id = 1 THEN {b} WHEN id = 2 THEN NULL ELSE {v} END",
    ("UPDATE things SET {v} = $1 WHERE id = $2 RETURNING *", ["{param}", "1"]),
    ("UPDATE things SET {v} = $1", [None]),
    "UPDATE things t SET {v} = s.{v} FROM things s WHERE s.id = t.id + 1",
    "UPDATE things SET ({v}, note) = (SELECT x.{v}, 'm' FROM things x WHERE x.id = 2)",
    "DELETE FROM things WHERE {v} = {a} RETURNING {v}",
    "COPY things TO STDOUT",
    "COPY things ({v}) TO STDOUT (FORMAT binary)",
    "WITH q AS (UPDATE things SET {v} = {a} WHERE id = 2 RETURNING *) SELECT {v} FROM q",
]
ORDERED = [
    "SELECT min({v}), max({v}) FROM things",
    "SELECT {v} FROM things ORDER BY {v} DESC NULLS LAST, id",
    "SELECT id FROM things WHERE {v} >= {a} AND {v} < {c} ORDER BY id",
    "SELECT DISTINCT ON ({v}) {v}, id FROM things ORDER BY {v}, id",
    "SELECT rank() OVER (ORDER BY {v}), id FROM things ORDER BY 2",
]

MOOD = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"
WORDS = [("ok", "ok"), ("happy", "happy"), ("sad", "sad"), ("ok", "ok")]
SWITCH = "CREATE TYPE switch AS ENUM ('off', 'on');"
DOCUMENTS = [('{"a": 1}', '{"a": 1}'), ("[1, 2]", "[1, 2]"), ("null", "null"), ('"x"', '"x"')]
TIMES = [(f"2020-01-0{i}T10:00:00Z", f"2020-01-0{i} 10:00:00+00") for i in (2, 1, 3, 4)]
CODES = [("abc", "abc"), ("def", "def"), ("ab ", "ab "), ("xyz", "xyz")]
KEYS = [(f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1{i}",) * 2 for i in (2, 1, 3, 4)]
NUMBERS = [("12", "12"), ("7", "7"), ("-3", "-3"), ("100", "100")]
LISTS = [("a,b", "{a,b}"), ("c", "{c}"), ("d,e", '{"d,e"}'), ("x,y", "{x,y}")]
MONEY = [("1.50", "1.5"), ("0.25", "0.25"), ("-7.00", "-7"), ("12.00", "12.00")]

CASES = dict([
    pair("enum_to_text", "public.mood", "text", "v::text", "w::public.mood", WORDS, common=MOOD),
    pair("text_to_enum", "text", "public.mood", "v::public.mood", "w::text", WORDS, common=MOOD,
         orders=False),
    pair("boolean_to_enum", "boolean", "public.switch",
         "CASE WHEN v THEN 'on'::public.switch WHEN NOT v THEN 'off'::public.switch END",
         "w = 'on'::public.switch", [("t", "on"), ("f", "off"), ("t", "on")], common=SWITCH, orders=False),
    pair("text_to_jsonb", "text", "jsonb", "v::jsonb", "w::text", DOCUMENTS),
    pair("text_to_timestamptz", "text", "timestamp with time zone",
         "(replace(rtrim(v, 'Z'), 'T', ' '))::timestamp AT TIME ZONE 'UTC'",
         "to_char(w AT TIME ZONE 'UTC', 'YYYY-MM-DD') || to_char(w AT TIME ZONE 'UTC', 'THH24:MI:SSZ')"
         .replace("'THH24:MI:SSZ'", "'\\\"T\\\"HH24:MI:SS\\\"Z\\\"'"), TIMES),
    pair("varchar_to_text", "character varying(12)", "text", "v::text", "w::varchar(12)", WORDS),
    pair("char_to_text", "character(3)", "text", "v::text", "w::char(3)",
         [(a.strip().ljust(3, "x"),) * 2 for a, _ in CODES]),
    pair("text_to_uuid", "text", "uuid", "v::uuid", "w::text", KEYS, orders=False),
    pair("rename", "text", "text", "v", "w", WORDS),
    pair("same_name", "integer", "bigint", "v::bigint", "v::integer", NUMBERS, new_name="v"),
    pair("text_to_array", "text", "text[]", "string_to_array(v, ',')", "array_to_string(w, ',')", LISTS,
         lossless=False),
    pair("text_to_numeric", "text", "numeric(10,2)", "v::numeric", "w::text", MONEY, orders=False),
    pair("text_to_domain", "text", "public.label", "v::public.label", "w::text", WORDS,
         common="CREATE DOMAIN label AS varchar(5) CHECK (value <> '');"),
])

# ---- two columns into one ----

MERGED = World(
    name="types_merged",
    transitions="""
transition "merged" {
    table = "public.people"
    old "first" { type = "text" from = "split_part(name, ' ', 1)" }
    old "last"  { type = "text" from = "split_part(name, ' ', 2)" }
    new "name"  { type = "text" from = "first || ' ' || last" }
    lossless = true
}
""",
    old="""
CREATE TABLE people (id int PRIMARY KEY, first text, last text, note text);
INSERT INTO people VALUES (1, 'ann', 'lee'), (2, 'bo', 'ray'), (3, 'cy', 'poe'), (4, 'dee', 'orr');
""",
    new="""
CREATE TABLE people (id int PRIMARY KEY, note text, name text);
INSERT INTO people (id, name) VALUES (1, 'ann lee'), (2, 'bo ray'), (3, 'cy poe'), (4, 'dee orr');
""",
    contents=["SELECT * FROM people ORDER BY id"],
)
MERGED_OLD = [
    "SELECT * FROM people ORDER BY id",
    "SELECT last || ', ' || first AS who FROM people ORDER BY last",
    "SELECT p.first FROM people p WHERE p.last IN ('lee', 'poe') ORDER BY 1",
    "INSERT INTO people (id, first, last) VALUES (5, 'ed', 'kay'), (6, 'flo', 'may') RETURNING *",
    "INSERT INTO people SELECT 5, 'ed', 'kay', 'n'",
    "UPDATE people SET first = 'al' WHERE id = 1 RETURNING *",
    "UPDATE people SET last = first, first = last",
    "UPDATE people SET (last, first) = ('a', 'b') WHERE first = 'bo'",
    "UPDATE people SET (last, note) = (SELECT 'x' || id, 'n')",
    "INSERT INTO people (id, first, last) VALUES (1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET "
    "last = EXCLUDED.last RETURNING *",
    "DELETE FROM people WHERE last = 'ray' RETURNING first",
    ("UPDATE people SET first = $1 WHERE last = $2 RETURNING last", ["zed", "poe"]),
    ("INSERT INTO people (id, first, last) VALUES ($1, $2, $3)", ["9", "q", "r"]),
]
MERGED_NEW = [
    "SELECT * FROM people ORDER BY id",
    "SELECT upper(name) FROM people WHERE name LIKE '% ray' ORDER BY name",
    "INSERT INTO people (id, name) VALUES (5, 'ed kay'), (6, 'flo may') RETURNING *",
    "INSERT INTO people SELECT 5, 'n', 'ed kay'",
    "UPDATE people SET name = 'al lee' WHERE id = 1 RETURNING *",
    "UPDATE people SET name = replace(name, ' ', 'x '), note = name",
    "UPDATE people SET (note, name) = (SELECT name, 'q' || id || ' z')",
    "INSERT INTO people (id, name) VALUES (1, 'x y') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name "
    "RETURNING *",
    "DELETE FROM people WHERE name = 'bo ray' RETURNING name",
    ("UPDATE people SET name = $1 WHERE name = $2 RETURNING *", ["z d", "cy poe"]),
]
CASES[MERGED] = [Case(s, only="old") for s in MERGED_OLD] + [Case(s, only="new") for s in MERGED_NEW]
