"""Names that need quotes, several columns on a side, several transitions on one table: the whole way."""

import pytest

from journey import Journey

pytestmark = pytest.mark.heavy

ODD = '''
    CREATE SCHEMA "My Schema";
    CREATE TABLE "My Schema"."Täble ""x""" (
        "Größe_wie_man_sie_abliest_am_alten_Maß" {serial} PRIMARY KEY,
        "select" {int} UNIQUE CHECK ("select" <> 0), "it's" text,
        "Chef" int CONSTRAINT "Ober ""Chef""" REFERENCES "My Schema"."Täble ""x"""
    );
    CREATE INDEX "Ein Index" ON "My Schema"."Täble ""x""" ("select", "it's");
    COMMENT ON COLUMN "My Schema"."Täble ""x"""."select" IS 'it''s "so"';
    GRANT SELECT ("select") ON "My Schema"."Täble ""x""" TO alice;
    CREATE TABLE "My Schema"."Kind" ("Größe" int REFERENCES "My Schema"."Täble ""x""");
'''
WIDER = r'''
transition "%(name)s" {
    table = "\"My Schema\".\"Täble \"\"x\"\"\""
    old "%(column)s" { type = "integer"  from = "\"%(column)s\"::integer" }
    new "%(column)s" { type = "bigint"   from = "\"%(column)s\"::bigint" }
    lossless = true
    guard = "{guard}"
}
'''
LONG = "a_name_that_is_as_long_as_it_may_be_here"


def both(function):
    return lambda n: {"old": function(n), "new": function(n)}


def test_names_that_need_quotes_in_a_schema_of_their_own(make_segue, cluster):
    words = {"old": ("integer", "serial"), "new": ("bigint", "bigserial")}
    tables = {
        shape: ODD.replace("{int}", words[shape][0]).replace("{serial}", words[shape][1])
        for shape in words
    }
    fill = '''INSERT INTO "My Schema"."Täble ""x""" ("Größe_wie_man_sie_abliest_am_alten_Maß", "select")
              VALUES (1, 5), (2, 6);
              INSERT INTO "My Schema"."Kind" VALUES (1)'''
    table = '"My Schema"."Täble ""x"""'
    one = Journey(
        make_segue, cluster, "odd", tables,
        {LONG: WIDER % {"name": LONG, "column": "Größe_wie_man_sie_abliest_am_alten_Maß"},
         "B": WIDER % {"name": "B", "column": "select"}},
        {"old": fill, "new": fill},
        [both(f) for f in (
            lambda n: f'''INSERT INTO {table} ("Größe_wie_man_sie_abliest_am_alten_Maß", "select", "it's", "Chef")
                          VALUES ({n}, {n}, 'x', 1)
                          RETURNING "Größe_wie_man_sie_abliest_am_alten_Maß", "select"''',
            lambda n: f'UPDATE {table} AS "T" SET "select" = {n}'
                      f' WHERE "T"."Größe_wie_man_sie_abliest_am_alten_Maß" = {n - 1}',
            lambda n: f'INSERT INTO {table} ("Größe_wie_man_sie_abliest_am_alten_Maß", "select") VALUES ({n}, 5)',
            lambda n: f'INSERT INTO {table} ("Größe_wie_man_sie_abliest_am_alten_Maß", "select") VALUES ({n}, 0)',
            lambda n: f'INSERT INTO "My Schema"."Kind" VALUES ({n - 4})',
            lambda n: f'UPDATE {table} SET "select" = NULL WHERE "select" = {n - 4}',
        )],
        {s: [f'''SELECT "Größe_wie_man_sie_abliest_am_alten_Maß", "select", "it's", "Chef"
                    FROM {table} ORDER BY 1''',
             'SELECT "Größe" FROM "My Schema"."Kind" ORDER BY 1',
             f'SELECT max("select") AS "Max" FROM {table} "Größe"'] for s in words},
        schemas=("My Schema", "public"),
    )
    one.whole()
    one.close()


SPLIT = """
transition "name_parts" {
    table = "people"
    old "name"  { type = "text" from = "first || coalesce(' ' || last, '')" }
    new "first" { type = "text" from = "split_part(name, ' ', 1)" }
    new "last"  { type = "varchar(20)"
                  from = "nullif(substr(name, length(split_part(name, ' ', 1)) + 2), '')" }
    guard = "{guard}"
}
"""
MERGE = """
transition "name_parts" {
    table = "people"
    old "first" { type = "text" from = "split_part(name, ' ', 1)" }
    old "last"  { type = "varchar(20)"
                  from = "nullif(substr(name, length(split_part(name, ' ', 1)) + 2), '')" }
    new "name"  { type = "text" from = "first || coalesce(' ' || last, '')" }
    guard = "{guard}"
}
"""
AGE = """
transition "age" {
    table = "people"
    old "age" { type = "integer" from = "age::integer" }
    new "age" { type = "bigint"  from = "age::bigint" }
    lossless = true
    guard = "{guard}"
}
"""
WHOLE = """CREATE TABLE people (id int PRIMARY KEY, name text, age {int}, UNIQUE (age, id));
           GRANT SELECT (name), UPDATE (name) ON people TO alice;"""
PARTS = """CREATE TABLE people (id int PRIMARY KEY, first text, last varchar(20), age {int},
                                UNIQUE (age, id));
           GRANT SELECT (first, last), UPDATE (first, last) ON people TO alice;"""
PEOPLE = [(1, "Ann Lee", "Ann", "Lee"), (2, "Bob", "Bob", None), (3, "Cid de la Cruz", "Cid", "de la Cruz")]


def sql(value):
    return "NULL" if value is None else f"'{value}'"


def words_of(shape_is_whole, n, first, last):
    name = f"{first} {last}" if last else first
    if shape_is_whole:
        return "name", sql(name), f"name = {sql(name)}"
    return "first, last", f"{sql(first)}, {sql(last)}", f"last = {sql(last)}, first = {sql(first)}"


@pytest.mark.parametrize("splits", [True, False], ids=["split", "merge"])
def test_a_name_is_split_or_merged_while_a_number_beside_it_grows(make_segue, cluster, splits):
    whole = {"old": splits, "new": not splits}
    tables = {
        shape: (WHOLE if whole[shape] else PARTS).replace("{int}", type_)
        for shape, type_ in (("old", "integer"), ("new", "bigint"))
    }
    fill = {
        shape: "".join(
            "INSERT INTO people (id, {0}, age) VALUES ({2}, {1}, {2});".format(
                *words_of(whole[shape], i, first, last)[:2], i)
            for i, _, first, last in PEOPLE)
        for shape in whole
    }

    def write(pattern, first, last):
        def make(n):
            texts = {}
            for shape, is_whole in whole.items():
                columns, values, assignments = words_of(is_whole, n, first, last)
                texts[shape] = pattern.format(n=n, c=columns, v=values, a=assignments)
            return texts
        return make

    returning = {True: "name", False: "concat_ws(' ', first, last)"}
    writes = [
        write("INSERT INTO people (id, {c}, age) VALUES ({n}, {v}, {n})", "Dan", "Dee"),
        write("INSERT INTO people (id, {c}) VALUES ({n}, {v})", "Eve", None),
        write("UPDATE people SET {a}, age = {n} WHERE id = {n} - 1", "Fay", "Fox"),
        write("UPDATE people SET age = coalesce(age, 0) + 1 WHERE id = {n} - 3", "", None),
        lambda n: {s: f"DELETE FROM people WHERE id = {n} - 8 RETURNING {returning[whole[s]]}"
                   for s in whole},
        lambda n: {s: f"INSERT INTO people (id, age) VALUES (1, {n})" for s in whole},
    ]
    reads = {
        s: [f"SELECT id, {words_of(whole[s], 0, 'x', 'y')[0]}, age FROM people ORDER BY id"]
        for s in whole
    }
    definitions = {"name_parts": SPLIT if splits else MERGE, "age": AGE}
    one = Journey(make_segue, cluster, "split" if splits else "merge", tables, definitions, fill,
                  writes, reads)
    one.whole()
    one.close()
