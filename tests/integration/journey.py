"""
A journey: a table goes the whole way, there, back and there again, while an old and a new application
write in every phase. Two plain databases, one really in each shape, get the same writes in their own
words and are the judge: of every answer, of every row, and in the end of the table itself, which must be
what a plain table of the new shape is.
"""

import psycopg

FORTH = ("dual_old", "dual_own", "dual_new", "new")
BACK = ("dual_new", "dual_own", "dual_old", "old")

DESCRIBE = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation,
               a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attstorage,
               a.attcompression, a.attstattarget, a.attacl::text,
               ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o LIKE 'n\\_distinct%%'),
               col_description(c.oid, a.attnum), a.attislocal, a.attinhcount
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text = ANY (%(schemas)s)
           AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2
    """,
    "constraints": """
        -- what PostgreSQL makes for a partition that is pointed at has no validation of its own; what a
        -- partition had before the table's took it up keeps a mark that then means nothing
        SELECT n.conrelid::regclass::text, n.conname, n.contype,
               CASE WHEN x.is_pointed_at THEN replace(pg_get_constraintdef(n.oid), ' NOT VALID', '')
                    ELSE pg_get_constraintdef(n.oid) END,
               n.convalidated OR x.is_pointed_at, n.condeferrable, n.condeferred,
               n.connoinherit AND n.conparentid = 0,
               n.coninhcount, n.conindid::regclass::text
          FROM pg_constraint n LEFT JOIN pg_constraint w ON w.oid = n.conparentid,
               LATERAL (SELECT coalesce(w.confrelid <> n.confrelid, false) AS is_pointed_at) x
         WHERE n.connamespace::regnamespace::text = ANY (%(schemas)s)
           AND n.contype <> 't' ORDER BY 1, 2
    """,
    "indexes": """
        SELECT x.indrelid::regclass::text, x.indexrelid::regclass::text,
               pg_get_indexdef(x.indexrelid), x.indisprimary, x.indisunique, x.indimmediate,
               x.indisvalid, (SELECT inhparent::regclass::text FROM pg_inherits
                               WHERE inhrelid = x.indexrelid)
          FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
         WHERE c.relnamespace::regnamespace::text = ANY (%(schemas)s) ORDER BY 1, 2
    """,
    "sequences": """
        SELECT c.relname, q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmin, q.seqmax,
               q.seqcache, q.seqcycle, c.relacl::text, d.deptype, d.refobjid::regclass::text, a.attname,
               obj_description(c.oid, 'pg_class')
          FROM pg_class c JOIN pg_sequence q ON q.seqrelid = c.oid
          LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
           AND d.refobjsubid > 0
          LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE c.relnamespace::regnamespace::text = ANY (%(schemas)s) ORDER BY 1
    """,
    "triggers": """
        SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2
    """,
}


def describe(connection, schemas):
    return {
        what: connection.execute(query, {"schemas": list(schemas)}).fetchall()
        for what, query in DESCRIBE.items()
    }


def answer(connection, sql):
    """What a client gets: rows and tag, or the SQLSTATE."""
    try:
        cursor = connection.execute(sql)
        return (cursor.fetchall() if cursor.description else None, cursor.statusmessage)
    except psycopg.Error as problem:
        return Refusal(problem)


class Refusal:
    """An error: equal to others of its SQLSTATE, and shown with all that it says."""

    def __init__(self, problem):
        self.sqlstate, self.text = problem.sqlstate, str(problem)

    def __eq__(self, other):
        return isinstance(other, Refusal) and self.sqlstate == other.sqlstate

    def __repr__(self):
        return f"{self.sqlstate}: {self.text}"


class Journey:
    """
    `tables`: DDL by shape. `definitions`: transition files by name. `fill`: rows, in the old shape's and
    in the new shape's words. `writes`: functions of a fresh number that give one write, by shape: the old
    application says the one, the new one the other. `reads`: by shape.
    """

    def __init__(self, make_segue, cluster, name, tables, definitions, fill, writes, reads,
                 schemas=("public",), guard="reject", settings=""):
        self.definitions = {n: d.replace("{guard}", guard) for n, d in definitions.items()}
        self.writes, self.reads, self.schemas = writes, reads, schemas
        self.number = 100
        self.plain = {}
        database = f"journey_{name}"
        cluster.create_database(database)
        for shape in ("old", "new"):
            cluster.create_database(f"{database}_{shape}")
            self.plain[shape] = cluster.connect(f"{database}_{shape}", prepare_threshold=None)
            self.plain[shape].execute(tables[shape])
            self.plain[shape].execute(fill[shape])
        with cluster.connect(database) as connection:
            connection.execute(tables["old"])
            connection.execute(fill["old"])
        self.segue = make_segue([database], settings=settings)
        for transition, definition in self.definitions.items():
            self.segue.apply(definition)
            self.segue.admin(f"EXPAND {transition}")

    def close(self):
        for connection in self.plain.values():
            connection.close()

    # ---- what applications do ----

    def read(self, app, shape, where):
        for sql in self.reads[shape]:
            got, expected = answer(app, sql), answer(self.plain[shape], sql)
            assert got == expected, f"{where}: {shape} app: {sql}\n{got}\n{expected}"

    def write(self, app, shape, where):
        for make in self.writes:
            self.number += 1
            texts = make(self.number)
            expected = {s: answer(self.plain[s], texts[s]) for s in ("old", "new")}
            got = answer(app, texts[shape])
            assert got == expected[shape], (
                f"{where}: {shape} app: {texts[shape]}\n{got}\n{expected[shape]}"
            )

    def use(self, where, shapes=("old", "new")):
        for shape in shapes:
            with self.segue.connect(shape, prepare_threshold=None) as app:
                self.write(app, shape, where)
        for shape in shapes:
            with self.segue.connect(shape, prepare_threshold=None) as app:
                self.read(app, shape, where)

    # ---- the way ----

    def go(self, stops, shapes=("old", "new")):
        for phase in stops:
            for transition in self.definitions:
                self.segue.move_to(transition, phase)
            usable = shapes if phase != "old" else self.shapes_in_old
            self.use(phase, usable)

    @property
    def shapes_in_old(self):
        """A lossy transition has nowhere to keep what only the new shape can say."""
        lossless = all("lossless = true" in d for d in self.definitions.values())
        return ("old", "new") if lossless else ("old",)

    def verify(self):
        for transition in self.definitions:
            rows = self.segue.admin(f"VERIFY {transition}").rows
            assert "in parity" in str(rows[0]) and "not in parity" not in str(rows[0]), rows

    def contract(self):
        for transition in self.definitions:
            self.segue.admin(f"CONTRACT {transition}")
        self.use("contracted")

    def compare_tables(self):
        with self.segue.direct() as connection:
            ours = describe(connection, self.schemas)
        plain = describe(self.plain["new"], self.schemas)
        differences = [
            (what, [row for row in ours[what] if row not in plain[what]],
             [row for row in plain[what] if row not in ours[what]])
            for what in DESCRIBE if ours[what] != plain[what]
        ]
        assert not differences, differences

    def retire(self):
        for transition in self.definitions:
            self.segue.admin(f"RETIRE {transition} FORCE")
        self.use("retired", ("new",))

    def whole(self):
        self.use("old, expanded", self.shapes_in_old)
        self.go(FORTH[:3])
        self.verify()
        self.go(FORTH[3:])
        self.go(BACK)
        self.go(FORTH)
        self.contract()
        self.retire()
        self.compare_tables()
