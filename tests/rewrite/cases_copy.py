"""
COPY in and out. Data is given once, for both shapes: [word] is a value in the shape, {word} as in the
statement, and a line in <> is a row of all columns in the order of the old shape.
"""

import struct

from case import Case, spell
from cases_split import SPLIT
from worlds import SHOP

VALUES = {
    "old": {"admin": "admin", "dev": "dev", "two": "dev,ops", "empty": "", "n": "12.25"},
    "new": {"admin": "{admin}", "dev": "{dev}", "two": "{dev,ops}", "empty": "{}", "n": "12.25"},
}
# Columns in the order of each shape, by how many there are.
COLUMNS = {
    3: {"old": ("id", "role", "name"), "new": ("id", "name", "role")},
    4: {"old": ("id", "user_id", "amount", "day"), "new": ("id", "user_id", "day", "amount")},
}

IN = [
    ("COPY users (id, {role}) FROM STDIN", "20\t[admin]\n21\t[two]\n22\t\\N\n"),
    ("COPY users ({role}, id) FROM STDIN", "[two]\t20\n\\N\t21\n"),
    ("COPY public.users (id, {role}, name) FROM STDIN", "20\t[dev]\tzed\n21\t[empty]\t\\N\n"),
    ('COPY "users" ("id", "{role}") FROM STDIN', "20\t[admin]\n"),
    ("COPY users FROM STDIN", "<20\t[admin]\tzed>\n<21\t\\N\t\\N>\n"),
    ("copy users from stdin;", "<20\t[two]\tzed>\n\\.\n"),
    ("COPY users FROM STDIN", ""),
    ("/* first */ COPY /* c */ users -- x\n FROM STDIN -- the end", "<20\t[two]\tzed>\n"),
    ("COPY users (id) FROM STDIN", "20\n21\n"),
    ("COPY users (name) FROM STDIN", "a\nb\n\\N\n"),
    ("COPY users ({role}) FROM STDIN", "[dev]\n[two]\n"),
    ("COPY users (name, id) FROM STDIN WITH (FORMAT csv, HEADER)", "x,y\n\"a,b\",20\n,21\n"),
    ("COPY users (id, {role}) FROM STDIN WITH (FORMAT csv)", "20,\"[two]\"\n21,\n22,\"\"\n"[:-7]),
    ("COPY users (id, {role}) FROM STDIN WITH CSV HEADER", "a,b\n20,\"[two]\"\n"),
    ("COPY users (id, {role}) FROM STDIN CSV HEADER DELIMITER ';' NULL 'none'",
     "a;b\n20;[two]\n21;none\n"),
    ("COPY users (id, {role}) FROM STDIN (FORMAT csv, HEADER MATCH)", "id,{role}\n20,\"[two]\"\n"),
    ("COPY users (id, {role}) FROM STDIN (FORMAT csv, HEADER MATCH)", "id,what\n20,\"[two]\"\n"),
    ("COPY users (id, {role}) FROM STDIN (HEADER MATCH)", "id\t{role}\n20\t[two]\n"),
    ("COPY users FROM STDIN (FORMAT csv, HEADER MATCH)", "<id,{role},name>\n<20,[dev],x>\n"),
    ("COPY users (id, {role}) FROM STDIN DELIMITERS '|'", "20|[two]\n"),
    ("COPY users (id, {role}) FROM STDIN USING DELIMITERS '|' WITH NULL AS 'none'",
     "20|[two]\n21|none\n"),
    ("COPY users (id, name, {role}) FROM STDIN (FORMAT csv, FORCE_NULL (name, {role}))",
     "20,\"\",\"\"\n21,\"\",\"[two]\"\n"),
    ("COPY users (id, name) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (name))", "20,\n"),
    ("COPY users (id, name, {role}) FROM STDIN CSV FORCE NULL {role}, name", "20,\"\",\"\"\n"),
    ("COPY users (id, {role}) FROM STDIN (FORMAT csv, FORCE_NULL (name))", "20,x\n"),
    ("COPY users (id, {role}) FROM STDIN (FORMAT csv, FORCE_NULL ({hidden}))", "20,x\n"),
    ("COPY users (id, name) FROM STDIN (ENCODING 'LATIN1')", b"20\tn\xe9\n"),
    ("COPY users (id, {role}) FROM STDIN (NULL 'x', DELIMITER ',', FORMAT text)", "20,x\n21,[dev]\n"),
    ("COPY users (id, {role}) FROM STDIN WHERE id > 20", "20\t[admin]\n21\t[two]\n22\t\\N\n"),
    ("COPY users (id, {role}) FROM STDIN WHERE {role} IS NOT NULL", "20\t[admin]\n21\t\\N\n"),
    ("COPY users (id, {role}) FROM STDIN WHERE users.{role} IS NULL AND users.id < 22",
     "20\t[admin]\n21\t\\N\n22\t\\N\n"),
    ("COPY users (id, {role}) FROM STDIN WITH (FORMAT csv) WHERE public.users.id % 2 = 0",
     "20,x\n21,y\n"[:0] + "20,\n21,\n22,\n"),
    ("COPY users (id) FROM STDIN WHERE {role} IS NOT NULL", "20\n21\n"),
    ("COPY users (name) FROM STDIN WHERE id % 2 = 0", "a\nb\nc\nd\n"),
    ("COPY users (id, name, {role}) FROM STDIN WHERE name > 'b'", "20\ta\t\\N\n21\tc\t[dev]\n"),
    ("COPY users (id) FROM STDIN WHERE nosuch > 1", "20\n"),
    ("COPY users (id) FROM STDIN WHERE users.nosuch > 1", "20\n"),
    ("COPY users (id) FROM STDIN WHERE {hidden} IS NULL", "20\n"),
    ("COPY users (id) FROM STDIN WHERE users.{hidden} IS NULL", "20\n"),
    ("COPY users (id) FROM STDIN WHERE id IN (SELECT 1)", "20\n"),
    ("COPY users (id) FROM STDIN WHERE max(id) > 1", "20\n"),
    ("COPY users (id) FROM STDIN WHERE id", "20\n"),
    # the row
    ("COPY users (id, {role}) FROM STDIN WHERE users IS NOT NULL", "20\t[admin]\n21\t\\N\n"),
    ("COPY users FROM STDIN WHERE users IS NOT NULL", "<20\t[admin]\tzed>\n<21\t\\N\tyan>\n"),
    ("COPY users ({role}, name) FROM STDIN WHERE length(users::text) + length(row_to_json(users)::text) > 41 + length("
     "({array} {admin})::text)", "[two]\tzed\n[dev]\tx\n\\N\tx\n"),
    ("COPY users (id, name) FROM STDIN WHERE (users.*) IS NOT NULL AND (public.users.*)::text LIKE '%,z%'",
     "20\tzed\n21\tx\n22\tzoe\n"),
    ("COPY users (id, {role}) FROM STDIN WHERE (users).{role} = {admin}", "20\t[admin]\n21\t[two]\n"),
    ("COPY transactions (id, amount) FROM STDIN WHERE transactions::text LIKE '(2_,,%'", "20\t[n]\n30\t[n]\n"),
    ("COPY transactions FROM STDIN", "<20\t1\t[n]\t2001-02-03>\n<21\t\\N\t\\N\t\\N>\n"),
    ("COPY transactions (id, amount) FROM STDIN", "20\t[n]\n21\t3.00\n"),
    ("COPY transactions (amount, id) FROM STDIN (FORMAT csv, HEADER MATCH)",
     "amount,id\n[n],20\n,21\n"),
    ("COPY transactions (id, amount) FROM STDIN CSV FORCE NULL amount", "20,\"\"\n"),
    ("COPY transactions (id) FROM STDIN WHERE amount IS NULL AND day = '2000-01-01'", "20\n"),
    ("COPY transactions (id, user_id) FROM STDIN", "20\t7\n"),
    ("COPY transactions (id, amount) FROM STDIN", "20\t12345678.25\n"),
    # errors in the data
    ("COPY users (id, {role}) FROM STDIN", "20\t[admin]\nx\t[admin]\n"),
    ("COPY users (id, {role}) FROM STDIN", "20\t[admin]\n21\n"),
    ("COPY users (id, {role}) FROM STDIN", "20\t[admin]\tmore\n"),
    ("COPY users (id, name) FROM STDIN", "20\tlonger than twenty characters\n"),
    ("COPY users (id, {role}) FROM STDIN", "20\t[dev]\n20\t[dev]\n"),
    ("COPY users (id, {role}) FROM STDIN", "1\t[dev]\n"),
    ("COPY users (id, name) FROM STDIN", "20\talice\n"),
    ("COPY users (id, {role}) FROM STDIN (FORMAT csv)", "20,\"[dev]\n"),
    ("COPY users (id) FROM STDIN", "\\N\n"),
    # errors in the statement
    ("COPY users (id, nosuch) FROM STDIN", ""),
    ("COPY users (id, {hidden}) FROM STDIN", ""),
    ("COPY users (id, id) FROM STDIN", ""),
    ("COPY users ({role}, {role}) FROM STDIN", ""),
    ("COPY users (id) FROM STDIN (FORMAT nosuch)", ""),
    ("COPY users (id) FROM STDIN (FORMAT csv, DELIMITER 'ab')", ""),
    ("COPY users (id) FROM '/nosuch/file'", ""),
    ("COPY users (id) FROM PROGRAM 'exit 3'", ""),
    ("COPY users (id, name) FROM PROGRAM 'echo 20,a; echo 21,b' CSV", ""),
    ("COPY users (id, {role}) FROM PROGRAM 'echo 20' CSV", ""),
    ("COPY nosuch (id) FROM STDIN", ""),
    # beside others
    ("INSERT INTO other (id) VALUES (77); COPY users (id, {role}) FROM STDIN; "
     "SELECT count(*) FROM users", "20\t[dev]\n"),
    ("COPY users (id, {role}) FROM STDIN; COPY transactions (id, amount) FROM STDIN",
     ["20\t[dev]\n", "20\t[n]\n"]),
    ("COPY users (id, {role}) FROM STDIN; UPDATE users SET {role} = NULL WHERE id = 20",
     "20\t[dev]\n"),
    ("COPY other (id, role) FROM STDIN", "20\tx\n"),
]

OUT = [
    "COPY users TO STDOUT",
    "COPY users ({role}, id) TO STDOUT",
    "COPY public.users (name, {role}) TO STDOUT",
    "COPY users (id) TO STDOUT",
    "COPY users TO STDOUT WITH CSV HEADER",
    "COPY users TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE ({role}, name), NULL 'none')",
    "COPY users TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
    "COPY users TO STDOUT CSV FORCE QUOTE {role}",
    "COPY users TO STDOUT (FORMAT csv, FORCE_QUOTE ({hidden}))",
    "COPY users TO STDOUT (HEADER)",
    "COPY users TO STDOUT (FORMAT binary)",
    "COPY BINARY users TO STDOUT",
    "COPY BINARY users ({role}) TO STDOUT WITH NULL 'x'",
    "COPY BINARY users ({role}) TO STDOUT (ENCODING 'UTF8')",
    "COPY users TO STDOUT DELIMITERS '|'",
    "COPY users TO STDOUT USING DELIMITERS '|' WITH NULL AS 'none'",
    "COPY users TO STDOUT USING DELIMITERS '|' (NULL 'none')",
    "COPY users TO STDOUT DELIMITER '|' CSV",
    "COPY users TO STDOUT WITH BINARY",
    "COPY users (id, {role}) TO STDOUT (ENCODING 'LATIN1');",
    "COPY users (id, id) TO STDOUT",
    "COPY users (nosuch) TO STDOUT",
    "COPY users ({hidden}) TO STDOUT",
    "COPY users (ctid) TO STDOUT",
    "COPY users TO STDOUT WHERE id = 1",
    "COPY transactions TO STDOUT",
    "COPY transactions (amount) TO STDOUT (FORMAT binary)",
    "COPY transactions (amount, id) TO STDOUT CSV HEADER FORCE QUOTE amount",
    "COPY (SELECT {role}, id FROM users ORDER BY id) TO STDOUT CSV HEADER",
    "COPY (SELECT * FROM users ORDER BY id) TO STDOUT (FORMAT binary)",
    "COPY (TABLE users) TO STDOUT",
    "COPY (SELECT u.*, t.amount FROM users u JOIN transactions t ON t.user_id = u.id "
    "ORDER BY t.id) TO STDOUT (FORMAT csv, FORCE_QUOTE ({role}, amount))",
    "COPY (UPDATE users SET {role} = NULL WHERE id = 1 RETURNING {role}, id) TO STDOUT",
    "COPY (INSERT INTO users (id, {role}) VALUES (20, NULL) RETURNING *) TO STDOUT",
    "COPY (DELETE FROM users WHERE {role} IS NULL RETURNING {role}, id) TO STDOUT",
    "COPY (VALUES (1, (SELECT {role} FROM users WHERE id = 1))) TO STDOUT",
    "COPY users TO '/nosuch/file'",
    "COPY users TO PROGRAM 'cat >/dev/null'",
    "COPY other TO STDOUT",
    "COPY users TO STDOUT; COPY transactions TO STDOUT",
]



def row_in_shape(row, shape):
    """A row of all columns, given in the order of the old shape."""
    separator = "\t" if "\t" in row else ","
    fields = row.split(separator)
    columns = COLUMNS[len(fields)]
    by_name = dict(zip(columns["old"], fields))
    return separator.join(by_name[name] for name in columns[shape])


def data_in_shape(data, shape):
    if isinstance(data, list):
        return [data_in_shape(part, shape) for part in data]
    if isinstance(data, bytes):
        return data
    lines = []
    for line in spell(data, SHOP.words[shape]).splitlines(keepends=True):
        for word, value in VALUES[shape].items():
            line = line.replace(f"[{word}]", value)
        if line.startswith("<"):
            line = row_in_shape(line.strip()[1:-1], shape) + "\n"
        lines.append(line)
    return "".join(lines).encode()


def copies(data):
    parts = data if isinstance(data, list) else [data]
    return {shape: [data_in_shape(part, shape) for part in parts] for shape in ("old", "new")}


def binary_rows(*rows):
    body = b"".join(
        struct.pack("!h", len(row))
        + b"".join(b"\xff" * 4 if v is None else struct.pack("!i", len(v)) + v for v in row)
        for row in rows
    )
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + body + b"\xff\xff"


def binary_array(*items):
    return struct.pack("!iiIii", 1, 0, 25, len(items), 1) + b"".join(
        struct.pack("!i", len(item)) + item for item in items)


def number(n):
    return struct.pack("!i", n)


BINARY = {
    "old": [binary_rows((number(20), b"dev,ops", b"zed"), (number(21), None, None))],
    "new": [binary_rows((number(20), binary_array(b"dev", b"ops"), b"zed"),
                        (number(21), None, None))],
}
BROKEN = {shape: [part[0][:-7]] for shape, part in BINARY.items()}

# Where the rows of an old-shape client go by way of a temporary table, the guard being no help.
STAGED = ("dual_old", "dual_own", "dual_new", "new", "contracted")

CASES = {
    SHOP: [Case(sql, copy=copies(data)) for sql, data in IN]
    + [Case(sql, copy=copy) for copy in (BINARY, BROKEN) for sql in (
        "COPY users (id, {role}, name) FROM STDIN (FORMAT binary)",
        "COPY BINARY users (id, {role}, name) FROM STDIN",
        "COPY users (id, {role}, name) FROM STDIN WITH BINARY",
    )]
    + OUT
    + [
        Case("TRUNCATE users", "COPY users (id, {role}) FROM STDIN (FREEZE)", copy=copies("20\t[two]\n21\t\\N\n"),
             modes=("simple",)),
    ],
    SPLIT: [
        Case("COPY people FROM STDIN", only="old", copy=[b"5\tdi fox\tn\n6\ted kay\t\\N\n"]),
        Case("COPY people (name, id) FROM STDIN CSV WHERE name LIKE '%k%'", only="old",
             copy=[b"di fox,5\ned kay,6\n"]),
        Case("COPY people FROM STDIN", only="new", copy=[b"5\tn\tdi\tfox\n6\t\\N\ted\tkay\n"]),
        Case("COPY people (last, id, first) FROM STDIN CSV HEADER", only="new",
             copy=[b"a,b,c\nfox,5,di\n"]),
        "COPY people TO STDOUT",
        Case("COPY people (last, id) TO STDOUT CSV HEADER", only="new"),
        Case("COPY people (name) TO STDOUT", only="old"),
    ],
}
