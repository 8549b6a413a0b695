"""
Running statements and seeing what a client sees, and saying whether two clients saw the same.

All speaks the protocol itself (tests/integration/wire.py): every byte of a row is compared, in text
and in binary format, and a case costs two round trips.
"""

import re
import struct

import wire

MODES = ("simple", "text", "binary")
FIRST_USER_OID = 16384
# After these a session's names may mean something else.
RESOLUTION = re.compile(
    r"\b(SET|RESET|set_config|TEMP|TEMPORARY|CREATE|DROP|ALTER|DISCARD|ROLLBACK|INTO)\b", re.I
)


def split_header(data):
    """Binary COPY's header comes with the first row, which may be any: apart from it."""
    header = 19 if data.startswith(b"PGCOPY\n\xff\r\n\0") else 0
    return [part for part in (data[:header], data[header:]) if part]


class Answer:
    """What a client sees of one statement."""

    def __init__(self):
        self.sqlstate = self.message = self.tag = ""
        self.is_servers = True  # the error, and not the proxy's own
        self.position = 0
        self.parameters = None  # type names, where they were asked for
        self.columns = None  # (name, type name, typmod) each
        self.origins = None  # (table, column) each, None where it is of none
        self.copies = []  # what was said of the columns of each COPY
        self.rows = []  # bodies of DataRow, or what COPY gave

    def __repr__(self):
        error = f" {self.sqlstate} at {self.position}: {self.message}" if self.sqlstate else ""
        return f"<{self.tag}{error} {self.columns} {self.shown_rows()}>"

    def shown_rows(self, count=12):
        shown = [
            row if isinstance(row, bytes) else wire.Message(b"D", row[0]).row()
            for row in self.rows[:count]
        ]
        return f"{shown}{' ..' if len(self.rows) > count else ''}"


def copy_in(copy):
    """The data of a COPY, or of several in a list."""
    parts = copy if isinstance(copy, list) else [copy] if copy else []
    return b"".join(wire.copy_data(part) + wire.copy_done() for part in parts)


def whole(sql):
    return wire.close(b"S", "own") + wire.parse(sql, "own") + wire.bind(name="own", portal="own") + wire.execute("own") + (
        wire.close(b"P", "own") + wire.close(b"S", "own"))


def hide_stagings(tags, stagings):
    """The tags that the client sees: of a staged COPY one, with the count of its INSERT."""
    left, told = tags.split(";")[:-1], []
    own = {staging["statement"]: 2 if staging["defaults"] else 1 for staging in stagings}
    while left:
        before = own.get(len(told))
        if before is None:
            told.append(left.pop(0))
            continue
        parts, left = left[: before + 3], left[before + 3:]
        if len(parts) == before + 3: # else it failed half way
            told.append("COPY " + parts[before + 1].split()[-1])
    return "".join(tag + ";" for tag in told)


class Server:
    """A session: runs statements in a transaction that is always rolled back."""

    def __init__(self, port, database, columns=None, reset="", **startup):
        self.connection = wire.Connection(port, timeout=60)
        self.connection.login("postgres", database, **startup)
        self.reset = reset
        self.types = {}
        self.columns = columns or {}  # by (table oid, attnum): (table, column), logical names
        self.encodings = {}
        self.declares = ()  # types of the parameters of the case at hand
        self.parity_queries = []  # of each transition, the count of rows that are out of it
        self.out_of_parity = []  # before any case

    def close(self):
        self.connection.close()

    # ---- the transaction ----

    def begin(self, commits=False):
        """Of a case; without a transaction around it where it `commits` what it does."""
        self.ask(([] if commits else ["BEGIN"]) + ([self.reset] if self.reset else []))

    def ask(self, texts):
        self.connection.send(b"".join(map(wire.query, texts)))
        messages = self.connection.read_until(b"Z", len(texts))
        assert not any(m.kind == b"E" for m in messages), messages

    def restore(self):
        """The rows that the tables had before any case (world.py)."""
        self.ask(["SELECT kept.restore()"])

    def rollback(self, deallocate):
        self.connection.send(
            wire.query("ROLLBACK") + (wire.query("DEALLOCATE ALL") if deallocate else b"")
        )
        self.connection.read_until(b"Z", 2 if deallocate else 1)

    def rows(self, sql):
        return self.connection.rows(sql)

    def contents(self, queries):
        """The rows of each query; None for one that failed."""
        if not queries:
            return []
        self.connection.send(b"".join(map(wire.query, queries)))
        return [
            None if any(m.kind == b"E" for m in messages)
            else [m.body for m in messages if m.kind == b"D"]
            for messages in (self.connection.read_until(b"Z") for _ in queries)
        ]

    # ---- one statement ----

    def run(self, sql, mode, parameters=(), types=(), copy=b"", patches=()):
        """`types` are the parameters' as the plain server told them: binary needs them."""
        send = wire.query(sql)
        if mode != "simple":
            values, formats = self.encode(mode, parameters, types)
            send = (
                wire.parse(sql, types=self.declares if parameters else ()) + wire.describe(b"S")
                + wire.bind(values, formats=formats, result_formats=[int(mode == "binary")])
                + wire.execute()
            )
        send += copy_in(copy)
        self.connection.send(send if mode == "simple" else send + wire.sync())
        return self.read(patches)

    def run_staged(self, text, rewritten, mode, copy=b""):
        """A text with COPYs by way of a temporary table: what the proxy sends, and hides of it."""
        stagings = rewritten["stagings"]
        if mode == "simple" or rewritten["statements"] > 1:
            answer = self.run(text, mode, copy=copy)
            answer.tag = hide_stagings(answer.tag, stagings)
            return answer
        (staging,) = stagings
        encoded = text.encode("utf-8", "surrogateescape")
        start, end = staging["start"], staging["end"]
        own = [staging["create"]] + ([staging["defaults"]] if staging["defaults"] else [])
        self.connection.send(
            b"".join(whole(sql) for sql in own)
            + wire.parse(encoded[start:end].decode()) + wire.describe(b"S") + wire.bind()
            + wire.execute() + copy_in(copy)
            + whole(staging["insert"]) + whole(staging["drop"]) + wire.sync()
        )
        answer = self.read(())
        if answer.position: # of the COPY alone, or of what the client never wrote
            is_copy = answer.tag.count(";") == len(own)
            answer.position += len(encoded[:start].decode()) if is_copy else -answer.position
        answer.tag = hide_stagings(answer.tag, [staging | {"statement": 0}])
        return answer

    def read(self, patches):
        answer = Answer()
        for message in self.connection.read_until():
            if message.kind == b"T":
                columns = message.columns()
                answer.columns = (answer.columns or []) + [(c[0], c[3], c[4]) for c in columns]
                origins = [(c[1], c[2]) for c in columns]
                for column, table, number in patches:
                    if origins[column][0] in (0, table):  # as session/server_results.c does
                        origins[column] = (table, number)
                answer.origins = (answer.origins or []) + [
                    self.columns.get(o, ("a table made just now", o[1]) if o[0] else None)
                    for o in origins
                ]
            elif message.kind == b"D":
                answer.rows.append((message.body,))
            elif message.kind == b"d":
                answer.rows += split_header(message.body)
            elif message.kind in b"HG":
                answer.copies.append((message.kind, message.body))
            elif message.kind == b"t":
                count = int.from_bytes(message.body[:2], "big")
                answer.parameters = list(struct.unpack_from(f"!{count}I", message.body, 2))
            elif message.kind == b"C":
                answer.tag += message.body[:-1].decode() + ";"
            elif message.kind == b"E":
                fields = message.fields()
                answer.sqlstate, answer.message = fields["C"], fields["M"]
                answer.is_servers = "R" in fields  # the routine: of PostgreSQL's sources
                answer.position = int(fields.get("P", 0))
        # type names are looked up only now, when the connection is free
        answer.columns = self.named(answer.columns)
        answer.parameters = self.named(answer.parameters)
        return answer

    def encode(self, mode, parameters, types):
        values = [None if p is None else p.encode() for p in parameters]
        if mode != "binary" or not types:
            return values, []
        formats = []
        for i, (value, kind) in enumerate(zip(values, types)):
            binary = None if value is None else self.binary_of(parameters[i], kind)
            formats.append(int(binary is not None))
            values[i] = binary if binary is not None else value
        return values, formats + [0] * (len(values) - len(formats))

    def binary_of(self, text, kind):
        """The value in binary format as the server itself gives it; None where it cannot be."""
        key = (text, kind)
        if key not in self.encodings:
            self.connection.send(
                wire.query("SAVEPOINT encoding")
                + wire.parse(f"SELECT $1::{kind}")
                + wire.bind([text.encode()], result_formats=[1]) + wire.execute() + wire.sync()
                + wire.query("ROLLBACK TO encoding")
            )
            rows = [m.row()[0] for m in self.connection.read_until(b"Z", 3) if m.kind == b"D"]
            self.encodings[key] = rows[0] if rows else None
        return self.encodings[key]

    # ---- types by name: those of users differ in OID from database to database ----

    def named(self, described):
        if not isinstance(described, list):
            return described
        return [
            (item[0], self.name_of_type(item[1]), item[2]) if isinstance(item, tuple)
            else self.name_of_type(item)
            for item in described
        ]

    def name_of_type(self, oid):
        """A table's row type counts as "record": there is no type of a shape that no table has."""
        if oid not in self.types:
            self.types.update(STANDARD_TYPES.get(self.connection.parameters["server_version"], {}))
        if oid not in self.types:
            state = self.look_up_types()
            self.types.setdefault(oid, f"type {oid} ({state})")
        return self.types[oid]

    def look_up_types(self):
        self.connection.send(wire.query(
            "SELECT t.oid, CASE WHEN c.relkind IN ('r', 'p') THEN 'record' WHEN a.relkind IN ('r', 'p') "
            "THEN 'record[]' ELSE pg_catalog.format_type(t.oid, NULL) END FROM pg_catalog.pg_type t "
            "LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid "
            "LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typtype = 'c' "
            "LEFT JOIN pg_catalog.pg_class a ON a.oid = e.typrelid"
        ))
        messages = self.connection.read_until()
        for message in messages:
            if message.kind == b"D":
                oid, name = message.row()
                self.types[int(oid)] = name.decode()
        STANDARD_TYPES.setdefault(
            self.connection.parameters["server_version"],
            {oid: name for oid, name in self.types.items() if oid < FIRST_USER_OID},
        )
        return wire.transaction_state(messages)


STANDARD_TYPES = {}  # by server version


def columns_of(connection, described=(), stage="expanded"):
    """(table oid, attnum) of every ordinary column, by the names that clients know."""
    logical = {
        (t["schema"], t["table"], c["physical"]): c["name"]
        for t in described for shape in ("old", "new") for c in t[shape]
    } if stage == "expanded" else {}
    rows = connection.execute(
        "SELECT c.oid, attnum, nspname, relname, attname FROM pg_attribute a JOIN pg_class c"
        " ON attrelid = c.oid JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid >= 16384"
        " AND NOT attisdropped"
    ).fetchall()
    whole_rows = {(oid, 0): (table, "*") for oid, _, _, table, _ in rows}
    return whole_rows | {
        (oid, number): (table, logical.get((schema, table, column), column))
        for oid, number, schema, table, column in rows
    }


def columns_without(connection, transition, stage):
    """The same for those that the table has not: dropped by CONTRACT, or yet to come with EXPAND."""
    oid, last = connection.execute(
        "SELECT c.oid, relnatts FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE (nspname, relname) = (%s, %s)", (transition["schema"], transition["table"])
    ).fetchone()
    if stage == "applied":
        return {(oid, last + 1 + i): (transition["table"], column["name"])
                for i, column in enumerate(transition["new"])}
    numbers = connection.execute(
        "SELECT attnum FROM pg_attribute WHERE attrelid = %s AND attisdropped ORDER BY 1", (oid,)
    ).fetchall() if stage == "contracted" else []
    return {(oid, number): (transition["table"], column["name"])
            for (number,), column in zip(numbers, transition["old"])}


def difference(plain, ours, ordered, origins=True, position=None):
    """What a client would notice, in a few words; "" where there is nothing. `position` is of our
    error in the client's text: it may be lost, never wrong."""
    if ours.sqlstate != plain.sqlstate:
        return f"error {ours.sqlstate} {ours.message!r}, not {plain.sqlstate} {plain.message!r}"
    if plain.sqlstate:
        if position not in (None, 0, plain.position):
            return f"error at {position}, not {plain.position}"
        return "" if ours.tag == plain.tag else f"tag {ours.tag} before the error, not {plain.tag}"
    for what in ("tag", "columns", "copies", "parameters"):
        if getattr(ours, what) != getattr(plain, what):
            return f"{what} {getattr(ours, what)}, not {getattr(plain, what)}"
    if origins and ours.origins != plain.origins:
        return f"origins {ours.origins}, not {plain.origins}"
    same = ours.rows == plain.rows if ordered else sorted(ours.rows) == sorted(plain.rows)
    return "" if same else f"rows {ours.shown_rows()}, not {plain.shown_rows()}"
