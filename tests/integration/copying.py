"""The table that COPY is tested with, its transition, and rows to copy."""

import wire

TRANSITION = """
transition "price" {
    table = "public.items"
    old "price" { type = "text" default = "'1.00'" from = "price::text" }
    new "price" { type = "numeric(10,2)" from = "price::numeric" column = "price_new" }
    lossless = true
    guard = "%s"
}
"""
TRIGGER = """
CREATE FUNCTION items_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.label = 'skip' THEN RETURN NULL; END IF;
  IF NEW.label = 'loud' THEN RAISE NOTICE 'loud %', NEW.note; END IF;
  IF NEW.label = 'bad' THEN RAISE EXCEPTION 'bad %', NEW.note USING ERRCODE = 'P7777'; END IF;
  NEW.note := coalesce(upper(NEW.note), '-');
  RETURN NEW;
END $$;
CREATE TRIGGER items_in BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION items_in();
"""
COMMON = """
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label varchar(10) NOT NULL,
    %s
    twice int GENERATED ALWAYS AS (length(label) * 2) STORED,
    number int DEFAULT nextval('item_number'),
    note text,
    parent int REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED
    %s
"""
CREATE = {
    "old": "CREATE SEQUENCE item_number; CREATE TABLE items ("
    + COMMON % ("price text DEFAULT '1.00',", "") + ");" + TRIGGER,
    "new": "CREATE SEQUENCE item_number; CREATE TABLE items ("
    + COMMON % ("", ", price numeric(10,2) DEFAULT 1.00") + ");" + TRIGGER,
}
# Nothing of it is DDL, after which Segue would look at the table anew, each time.
EMPTY = """
    DELETE FROM items;
    SELECT setval('item_number', 1, false), setval(pg_get_serial_sequence('items', 'id'), 1, false);
    INSERT INTO items (label, price) VALUES ('first', '2.50'), ('second', NULL);
"""
CONTENTS = "SELECT id, label, price, twice, number, note, parent FROM items ORDER BY id, label"


def data(*rows):
    return wire.copy_data("".join(rows).encode())


COPY = "COPY items (label, price, note) FROM STDIN"
ROWS = data("a\t1.50\tx\n", "b\t\\N\t\\N\n", "skip\t1.00\t\\N\n") + data("loud\t7.25\tn\n")


def leftovers(direct):
    return direct.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'segue_copy%'").fetchone()[0]
