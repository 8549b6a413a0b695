"""
Which table a name means, and how names may be written: longer than the server lets them be, cut between
two characters; keywords; escapes; by search path; hidden by temporary tables and common table expressions.

{role} is the column; {long} one whose name is cut; {cut} a table's name that is cut; {quoted} {role} in
quotes, {escaped} by escapes.
"""

from case import Case
from world import World

LONG_TABLE = "_table_with_a_name_that_is_just_as_long_as_a_name_can_be_and_1ü"  # 62 bytes and two more
CUT_TABLE = LONG_TABLE[:-1]
LONG_COLUMN = "Column_with_a_name_that_is_longer_than_any_that_can_be_used_1_ü"  # 63 bytes
assert len(CUT_TABLE.encode()) == 62 and len(LONG_COLUMN.encode()) == 64
CUT_COLUMN = LONG_COLUMN[:-1]

TRANSITIONS = f"""
transition "role" {{
    table = "public.user"
    old "role"  {{ type = "text"   from = "array_to_string(\\"order\\", ',')" }}
    new "order" {{ type = "text[]" from = "string_to_array(role, ',')" }}
    lossless = false
}}
transition "long" {{
    table = "app.{CUT_TABLE}"
    old "{CUT_COLUMN}" {{ type = "integer" from = "\\"select\\"::integer" }}
    new "select" {{ type = "text" from = "\\"{CUT_COLUMN}\\"::text" }}
    lossless = true
}}
"""
COMMON = """
CREATE SCHEMA app;
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE TABLE alice.user (id int, role text, "order" text);
INSERT INTO alice.user VALUES (1, 'of alice', 'hers');
GRANT ALL ON alice.user TO PUBLIC;
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.user (id int, role text, "order" text);
INSERT INTO elsewhere.user VALUES (1, 'elsewhere', 'there');
"""
OLD = f"""
CREATE TABLE public.user (id int PRIMARY KEY, role text, note text);
INSERT INTO public.user VALUES (1, 'admin', 'a'), (2, NULL, 'b'), (3, 'x,y', 'c');
CREATE TABLE app.{CUT_TABLE} (id int PRIMARY KEY, "{CUT_COLUMN}" int);
INSERT INTO app.{CUT_TABLE} VALUES (1, 10), (2, NULL);
"""
NEW = f"""
CREATE TABLE public.user (id int PRIMARY KEY, note text, "order" text[]);
INSERT INTO public.user VALUES (1, 'a', '{{admin}}'), (2, 'b', NULL), (3, 'c', '{{x,y}}');
CREATE TABLE app.{CUT_TABLE} (id int PRIMARY KEY, "select" text);
INSERT INTO app.{CUT_TABLE} VALUES (1, '10'), (2, NULL);
"""
WORDS = {
    "old": {
        "role": "role", "quoted": '"role"', "escaped": 'u&"r\\006fle"', "other": '"order"',
        "dev": "'dev'", "long": f'"{LONG_COLUMN}"', "longer": f'"{CUT_COLUMN}ü_and_more"', "ten": "10",
        "cut": LONG_TABLE, "cutter": f'"{LONG_TABLE}_and_more"', "type": "text",
    },
    "new": {
        "role": '"order"', "quoted": '"order"', "escaped": 'u&"!006frder" uescape \'!\'',
        "other": "role", "dev": "'{dev}'", "long": '"select"', "longer": 'u&"\\0073elect"', "ten": "'10'",
        "cut": LONG_TABLE, "cutter": f'"{LONG_TABLE}_and_more"', "type": "text[]",
    },
}
SPELLINGS = [
    'SELECT {role}, id FROM "user" ORDER BY id',
    'SELECT {quoted}, "user".{escaped} FROM "public"."user" ORDER BY id',
    'SELECT {escaped} AS {escaped} FROM public.user ORDER BY {escaped}',
    "SELECT public.user.{role} FROM public.user ORDER BY public.user.id",
    'SELECT u.{escaped} || u.{escaped} AS "double" FROM u&"\\0075ser" AS u ORDER BY id',
    'SELECT "\u00fcser".{role} FROM public.user AS "\u00fcser" ORDER BY id',
    'SELECT "a""b".{role}, "a""b".* FROM "user" AS "a""b" ORDER BY id',
    'SELECT "select".{role} "from", "select".id "where" FROM "user" AS "select" ORDER BY "where"',
    'SELECT U.{role} FROM "user" u WHERE u.{role} IS NOT NULL ORDER BY U.ID',
    'SELECT user, {role} FROM "user" WHERE id = 1',
    "SELECT {role} FROM user",
    'SELECT {other} FROM "user"',
    'INSERT INTO "user" (id, {escaped}) VALUES (4, {dev}) RETURNING {quoted}',
    'UPDATE "user" SET {escaped} = {dev} WHERE {escaped} IS NULL RETURNING *',
    "SELECT id, {long} FROM app.{cut} ORDER BY id",
    "SELECT * FROM app.{cutter} WHERE {longer} = {ten}",
    "SELECT {cut}.{long} FROM app.{cut} ORDER BY {cutter}.id",
    "SELECT app.{cut}.{longer} FROM app.{cutter} ORDER BY 1",
    "UPDATE app.{cut} SET {longer} = {ten} RETURNING {long}",
    "INSERT INTO app.{cutter} (id, {long}) VALUES (3, {ten}) RETURNING *",
    "SELECT count(*) FROM app.{cut}x",
    "SELECT {long} AS {cut} FROM app.{cut} ORDER BY {cutter}",
]
MEANINGS = [
    Case("SET LOCAL search_path = app", "SELECT {long} FROM {cut} ORDER BY id"),
    Case("SET LOCAL search_path = elsewhere, public", 'SELECT role, "order" FROM "user"'),
    Case("SET LOCAL search_path = nosuch, public, elsewhere", 'SELECT {role} FROM "user" ORDER BY id'),
    Case("SET LOCAL search_path = elsewhere", 'SELECT public.user.{role} FROM public.user ORDER BY 1'),
    Case("SET LOCAL search_path = app", 'SELECT 1 FROM "user"'),
    Case("SELECT set_config('search_path', 'elsewhere', true)", 'SELECT role, "order" FROM "user"'),
    Case("SET LOCAL ROLE alice", 'SELECT role, "order" FROM "user"'),
    Case("SET LOCAL SESSION AUTHORIZATION alice", "SET LOCAL search_path = public",
         'SELECT {role} FROM "user"'),
    Case('SET LOCAL search_path = "$user", public', 'SELECT {role} FROM "user" ORDER BY id'),
    Case('CREATE TEMP TABLE "user" (id int, role text, "order" text)',
         "SELECT coalesce(max(role), max(\"order\"), 'nothing') FROM \"user\"",
         'SELECT {role} FROM public.user ORDER BY id', contents=False),
    Case('CREATE TEMP TABLE "user" (id int)', "SET LOCAL search_path = public, pg_temp",
         'SELECT {role} FROM "user" ORDER BY id', contents=False),
    Case('CREATE TEMP TABLE "user" (id int, other text)', "SELECT count(id), max(other) FROM pg_temp.user",
         contents=False),
    Case('CREATE TEMP TABLE "user" (id int, role text)', 'DROP TABLE "user"', 'SELECT {role} FROM "user" '
         "ORDER BY id", contents=False),
    'WITH "user" AS (SELECT 1 AS id, 2 AS role, 3 AS "order") SELECT role, "order" FROM "user"',
    'WITH "user" AS (SELECT 1 AS id) SELECT p.{role} FROM public.user p JOIN "user" USING (id)',
    'WITH "user" AS (SELECT * FROM "user") SELECT {role} FROM "user" ORDER BY id',
    'WITH "user" AS (SELECT 9 AS id) UPDATE "user" SET note = \'cte\' RETURNING {role}',
    'SELECT (WITH "user" AS (SELECT 1 AS role) SELECT role FROM "user"), {role} FROM "user" ORDER BY id',
    Case("SET LOCAL standard_conforming_strings = off",
         "SELECT {role}, 'it\\'s -- not' FROM \"user\" WHERE note <> 'a\\\\' ORDER BY id"),
    Case("SET LOCAL standard_conforming_strings = off",
         "UPDATE \"user\" SET {role} = {dev}, note = 'x\\'y' WHERE id = 1 RETURNING note"),
    Case("SET LOCAL quote_all_identifiers = on", "SELECT {role} FROM public.user ORDER BY id"),
]

NAMES = World(
    name="names",
    transitions=TRANSITIONS,
    common=COMMON,
    old=OLD,
    new=NEW,
    words=WORDS,
    contents=["SELECT * FROM public.user ORDER BY id", f"SELECT * FROM app.{CUT_TABLE} ORDER BY id"],
)
CASES = {NAMES: SPELLINGS + MEANINGS}
