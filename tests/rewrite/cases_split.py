"""One column into two: a statement that assigns one of them takes the other from the row."""

from case import Case
from world import World

SPLIT = World(
    name="split",
    transitions="""
transition "split" {
    table = "public.people"
    old "name"  { type = "text" from = "first || ' ' || last" }
    new "first" { type = "text" from = "split_part(name, ' ', 1)" }
    new "last"  { type = "text" from = "split_part(name, ' ', 2)" }
    lossless = true
}
""",
    old="""
CREATE TABLE people (id int PRIMARY KEY, name text, note text);
INSERT INTO people VALUES (1, 'ann lee'), (2, 'bo ray'), (3, 'cy poe'), (4, 'dee orr');
""",
    new="""
CREATE TABLE people (id int PRIMARY KEY, note text, first text, last text);
INSERT INTO people (id, first, last) VALUES (1, 'ann', 'lee'), (2, 'bo', 'ray'), (3, 'cy', 'poe'),
                                            (4, 'dee', 'orr');
""",
    contents=["SELECT * FROM people ORDER BY id"],
)

OLD = [
    "SELECT * FROM people ORDER BY id",
    "SELECT name, length(name) FROM people WHERE name LIKE 'b%' ORDER BY name",
    "INSERT INTO people (id, name) VALUES (5, 'di fox'), (6, 'ed kay')",
    "INSERT INTO people VALUES (5, 'di fox', 'n')",
    "INSERT INTO people (id, name) SELECT 5, 'di fox'",
    "UPDATE people SET name = 'x y' WHERE id = 1 RETURNING *",
    "UPDATE people SET name = replace(name, ' ', 'x '), note = name",
    "UPDATE people SET (note, name) = ('n', name || 'z')",
    "UPDATE people p SET name = (SELECT 'q ' || p.id)",
    "DELETE FROM people WHERE name = 'bo ray' RETURNING name",
]
NEW = [
    "SELECT * FROM people ORDER BY id",
    "SELECT last, first FROM people WHERE first LIKE 'b%' ORDER BY last",
    "INSERT INTO people (id, first, last) VALUES (5, 'di', 'fox'), (6, 'ed', 'kay')",
    "INSERT INTO people VALUES (5, 'n', 'di', 'fox')",
    "INSERT INTO people (last, id, first) SELECT 'fox', 5, 'di'",
    "UPDATE people SET first = 'x' WHERE id = 1 RETURNING *",
    "UPDATE people SET last = first, note = last, first = last",
    "UPDATE people SET (first, last) = ('a', last || 'b')",
    "UPDATE people SET (last, note, first) = ROW ('a', 'n', 'c') WHERE id = 2",
    "UPDATE people p SET last = (SELECT 'q' || p.id), first = 'z'",
    "DELETE FROM people WHERE first = 'bo' RETURNING last",
]
CASES = {SPLIT: [Case(s, only="old") for s in OLD] + [Case(s, only="new") for s in NEW]}
# One column alone: in dual_old the other is brought up to what the client reads, or the row would not be in
# parity on a row that the backfill has not come to.
CASES[SPLIT].append(Case("UPDATE people p SET last = (SELECT 'q' || p.id)", only="new"))
