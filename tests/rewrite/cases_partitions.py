"""
Partitions and children: a transition on the table holds for them by either name. A partition may have its
columns in another order, and other numbers for them; a child may have columns of its own.

{role} is the column of `events` (text to text[], lossy), {size} that of `animals` (text to int, lossless).
"""

from case import Case
from world import World

TRANSITIONS = """
transition "event_role" {
    table = "public.events"
    old "role"  { type = "text"   from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]" from = "string_to_array(role, ',')" }
    lossless = false
}
transition "animal_size" {
    table = "public.animals"
    old "size"   { type = "integer" from = "length::integer" }
    new "length" { type = "text"    from = "size::text" }
    lossless = true
}
"""

COMMON = "CREATE SCHEMA y2020; CREATE TABLE other (id int, role text);"
OLD = """
CREATE TABLE events (id int, role text DEFAULT 'user', note text) PARTITION BY RANGE (id);
CREATE TABLE events_a PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE y2020.events_b (gone int, note text, role text DEFAULT 'user', id int);
ALTER TABLE y2020.events_b DROP COLUMN gone;
ALTER TABLE events ATTACH PARTITION y2020.events_b FOR VALUES FROM (10) TO (20);
CREATE TABLE events_c PARTITION OF events FOR VALUES FROM (20) TO (100) PARTITION BY LIST (note);
CREATE TABLE events_c_x PARTITION OF events_c DEFAULT;
INSERT INTO events VALUES (1, 'admin', 'a'), (2, NULL, 'b'), (11, 'user', 'c'), (12, 'a,b', 'd'), (21, 'dev', 'e');
CREATE TABLE animals (id int PRIMARY KEY, size int, name text);
CREATE TABLE dogs (breed text) INHERITS (animals);
CREATE TABLE puppies () INHERITS (dogs);
CREATE TABLE strays (found date, LIKE animals);
ALTER TABLE strays INHERIT animals;
CREATE TABLE herds (size int, heads int) INHERITS (animals);
INSERT INTO animals VALUES (1, 10, 'ant'), (2, NULL, 'bee');
INSERT INTO dogs VALUES (3, 30, 'rex', 'collie'), (4, 40, 'asta', 'fox');
INSERT INTO puppies VALUES (5, 5, 'spot', 'mutt');
"""
NEW = """
CREATE TABLE events (id int, note text, roles text[] DEFAULT '{user}') PARTITION BY RANGE (id);
CREATE TABLE events_a PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE y2020.events_b (note text, id int, roles text[] DEFAULT '{user}');
ALTER TABLE events ATTACH PARTITION y2020.events_b FOR VALUES FROM (10) TO (20);
CREATE TABLE events_c PARTITION OF events FOR VALUES FROM (20) TO (100) PARTITION BY LIST (note);
CREATE TABLE events_c_x PARTITION OF events_c DEFAULT;
INSERT INTO events VALUES (1, 'a', '{admin}'), (2, 'b', NULL), (11, 'c', '{user}'), (12, 'd', '{a,b}'),
                          (21, 'e', '{dev}');
CREATE TABLE animals (id int PRIMARY KEY, name text, length text);
CREATE TABLE dogs (id int NOT NULL, name text, breed text, length text) INHERITS (animals);
CREATE TABLE puppies (id int NOT NULL, name text, breed text, length text) INHERITS (dogs);
INSERT INTO animals (id, length, name) VALUES (1, '10', 'ant'), (2, NULL, 'bee');
INSERT INTO dogs (id, length, name, breed) VALUES (3, '30', 'rex', 'collie'), (4, '40', 'asta', 'fox');
INSERT INTO puppies (id, length, name, breed) VALUES (5, '5', 'spot', 'mutt');
"""
WORDS = {
    "old": {"role": "role", "dev": "'dev'", "size": "size", "ten": "10", "xrole": "roles"},
    "new": {"role": "roles", "dev": "'{dev}'", "size": "length", "ten": "'10'", "xrole": "role"},
}
READS = [
    "SELECT * FROM events ORDER BY id",
    "SELECT id, {role}, note FROM events_a ORDER BY id",
    "SELECT * FROM events_a ORDER BY id",
    "SELECT id, {role}, note FROM y2020.events_b ORDER BY id",
    "SELECT b.{role} FROM y2020.events_b b WHERE b.{role} IS NOT NULL ORDER BY b.id",
    "SELECT {role} FROM events_c ORDER BY id",
    "SELECT {role}, tableoid::regclass::text FROM events_c_x WHERE {role} = {dev}",
    "SELECT {role}, tableoid::regclass::text FROM events ORDER BY id",
    "SELECT row_to_json(e) FROM events_a e ORDER BY id",
    "SELECT {xrole} FROM events_a",
    "SELECT {xrole} FROM events_c_x",
    "SELECT a.{role}, e.{role} FROM events_a a JOIN events e USING (id) ORDER BY id",
    "SELECT * FROM ONLY events",
    "SELECT {size}, name FROM animals ORDER BY id",
    "SELECT {size}, name FROM ONLY animals ORDER BY id",
    "SELECT id, {size}, breed FROM dogs ORDER BY id",
    "SELECT {size} FROM puppies",
    "SELECT {size} FROM ONLY dogs ORDER BY id",
    "SELECT p.breed FROM puppies p WHERE {size} IS NOT NULL",
    "TABLE events_a",
    # after CONTRACT it has two gaps, of which that is the column's which went with the table's
    "SELECT * FROM y2020.events_b ORDER BY id",
    "SELECT b FROM y2020.events_b b ORDER BY id",
    Case("TABLE puppies", only="old"), # where new columns come last
    Case("SELECT * FROM dogs ORDER BY id", only="old"),
    # which has declared the column itself, and keeps it
    Case("TABLE strays", only="old"),
    Case("INSERT INTO herds VALUES (9, 90, 'cow', 40) RETURNING *, size", only="old"),
    Case("INSERT INTO strays (id, size, name) VALUES (9, 90, 'stray') RETURNING *, size", only="old"),
]
WRITES = [
    "INSERT INTO events (id, {role}, note) VALUES (3, {dev}, 'n'), (13, {dev}, 'n'), (23, {dev}, 'n')",
    "INSERT INTO events_a (id, {role}, note) VALUES (3, {dev}, 'n') RETURNING {role}",
    "INSERT INTO y2020.events_b (id, {role}) VALUES (13, {dev}) RETURNING id, {role}",
    "INSERT INTO y2020.events_b SELECT * FROM y2020.events_b WHERE id = 11 RETURNING *",
    "INSERT INTO events_c_x (id, {role}) SELECT 33, {dev} RETURNING {role}",
    "UPDATE events SET {role} = {dev} WHERE id > 2",
    "UPDATE events_a SET {role} = {dev} RETURNING id, {role}",
    "UPDATE y2020.events_b SET {role} = {dev} WHERE id = 11",
    "UPDATE events_c SET note = 'z', {role} = NULL",
    "DELETE FROM events_a WHERE {role} IS NULL RETURNING note, {role}",
    "DELETE FROM y2020.events_b b USING other o WHERE o.id = b.id AND b.{role} = {dev}",
    "INSERT INTO dogs (id, {size}, name) VALUES (9, {ten}, 'rover') RETURNING {size}",
    "UPDATE puppies SET {size} = {ten}",
    "UPDATE animals SET {size} = {ten} WHERE id > 2",
    "UPDATE ONLY animals SET {size} = NULL",
    "DELETE FROM dogs WHERE {size} = {ten}",
    Case("DROP TABLE events_a", contents=False),
    Case("CREATE TABLE events_d PARTITION OF events FOR VALUES FROM (100) TO (200)", contents=False),
]

PARTITIONS = World(
    name="partitions",
    transitions=TRANSITIONS,
    common=COMMON,
    old=OLD,
    new=NEW,
    words=WORDS,
    contents=[
        "SELECT id, {role}, note, tableoid::regclass::text FROM events ORDER BY id, note",
        "SELECT id, {size}, name, tableoid::regclass::text FROM animals ORDER BY id",
        "SELECT id, {size}, name, breed FROM dogs ORDER BY id",
    ],
)
CASES = {PARTITIONS: READS + WRITES}
