"""
A world: tables, their transitions, and a database for every state that these can be in.

The judge is a pair of plain databases, in which the tables really have the shape of one kind of
client. A database in transition is the plain old one after what Segue itself does to it (the DDL of
EXPAND, guard and CONTRACT comes from the product), with the new columns filled from the plain new
one. Columns that a state makes no promise about hold something else: nobody may read them.
"""

import pathlib
import re

import psycopg
from psycopg import sql

PHASES = ("old", "dual_old", "dual_own", "dual_new", "new")
SHAPES = ("old", "new")
# What a table in transition can be in: phase and stage.
STATES = {phase: (phase, "expanded") for phase in PHASES} | {
    "applied": ("old", "applied"),
    "contracted": ("new", "contracted"),
}
DUAL = ("dual_old", "dual_own", "dual_new")


class World:
    """
    name         of the world; begins the names of its databases
    transitions  a transition file; the guard is put in by what runs the cases
    common       SQL that every database begins with: types, functions, tables not in transition
    old, new     SQL that makes and fills the tables as clients of each shape have them. The rows must be
                 the same rows: old = backward(new) for each; in a lossless transition also new = forward(old)
    words        {shape: {word: text}} for the placeholders of cases
    contents     queries that show all that a case may have changed
    reset        SQL that goes before every case: rolling back does not set sequences back
    indexes      SQL for both shapes' columns, once the new ones are there and filled
    in_phase     {phase: SQL}, once the new columns are filled: keys that are there in it, say
    guards       settings of the guard that its cases run under
    restorable   True: there is a function kept.restore(), after cases that commit
    """

    def __init__(self, name, transitions, old, new, contents, common="", words=None, reset="",
                 indexes="", in_phase=None, guards=("off", "reject"), restorable=False):
        self.name = name
        self.transitions = transitions
        self.sql = {"old": old, "new": new}
        self.common = common
        self.words = words or {"old": {}, "new": {}}
        self.contents = contents
        self.reset = reset
        self.indexes = indexes
        self.in_phase = in_phase or {}
        self.guards = guards
        self.restorable = restorable

    def with_guard(self, guard):
        text, count = re.subn(r"(table\s*=\s*\"[^\n]*)\n", rf'\1\n    guard = "{guard}"\n',
                              self.transitions)
        assert count, "a transition begins with table = \"..\" on a line of its own"
        return text


def execute(cluster, database, *scripts):
    with cluster.connect(database, prepare_threshold=None) as connection:
        for script in scripts:
            if script:
                connection.execute(script)


class Databases:
    """
    The databases of one world on one cluster, made when they are first asked for. Their names begin
    with the world's and `prefix`.
    """

    prefix = ""

    def __init__(self, cluster, rewriter, world, directory):
        self.cluster = cluster
        self.rewriter = rewriter
        self.world = world
        self.directory = pathlib.Path(directory)
        self.made = {}
        self.make_plain()
        self.described = self.describe("off")

    # ---- names ----

    def plain(self, shape):
        return f"{self.world.name}_{self.prefix}plain_{shape}"

    def server(self, database):
        return f"host=127.0.0.1 port={self.cluster.port} user=postgres dbname='{database}'"

    def file(self, guard):
        path = self.directory / f"{self.world.name}_{guard}.conf"
        path.write_text(self.world.with_guard(guard), encoding="utf-8")
        return path

    def describe(self, guard):
        return self.rewriter.describe(self.server(self.plain("old")), self.file(guard))

    # ---- plain ----

    def make_plain(self):
        # Types come from one template, so that they have the same OIDs everywhere.
        template = f"{self.world.name}_{self.prefix}template"
        self.cluster.create_database(template)
        execute(self.cluster, template, self.world.common)
        for shape in SHAPES:
            self.cluster.create_database(self.plain(shape), template)
            execute(self.cluster, self.plain(shape), self.world.sql[shape])
            if self.world.restorable:
                with self.cluster.connect(self.plain(shape), prepare_threshold=None) as connection:
                    keep_rows(connection)

    # ---- in transition ----

    def in_state(self, state, guard="off"):
        """The database of a state. A guard is there only in the dual phases."""
        if state == "applied":
            return self.plain("old")
        guard = guard if state in DUAL else "off"
        key = (state, guard)
        if key not in self.made:
            name = f"{self.world.name}_{state}_{guard}"
            self.cluster.create_database(name, self.plain("old"))
            self.build(name, *STATES[state], self.describe(guard))
            self.made[key] = name
        return self.made[key]

    def build(self, name, phase, stage, described):
        values = {t["name"]: self.new_values(t) for t in described}
        with self.cluster.connect(name, prepare_threshold=None) as connection:
            for transition in described:
                connection.execute(transition["expand"])
                fill(connection, transition, values[transition["name"]])
            if phase in self.world.in_phase:
                connection.execute(self.world.in_phase[phase])
            for transition in described:
                trim(connection, transition, phase)
                make_stale(connection, transition, phase)
            if self.world.indexes:
                connection.execute(self.world.indexes)
            connection.execute("CREATE SCHEMA segue")
            for transition in described:
                order_heap(connection, transition)
                if transition["guard"].get(phase):
                    connection.execute(transition["guard"][phase])
                if stage == "contracted":
                    connection.execute(transition["contract"])
            if self.world.restorable:
                keep_rows(connection)

    def new_values(self, transition):
        """(new columns' values as text, .., key) of each row as new-shape clients have it."""
        with self.cluster.connect(self.plain("new")) as connection:
            columns = [sql.SQL("{}::text").format(sql.Identifier(c["name"]))
                       for c in transition["new"]]
            query = sql.SQL("SELECT {}, {} FROM {}").format(
                sql.SQL(", ").join(columns), key_of(connection, transition), table_of(transition)
            )
            return connection.execute(query).fetchall()


def table_of(transition):
    return sql.Identifier(transition["schema"], transition["table"])


def key_of(connection, transition):
    """The first column of the primary key, or of the table."""
    name = connection.execute(
        "SELECT attname FROM pg_attribute a LEFT JOIN pg_index i ON indrelid = attrelid AND indisprimary"
        " WHERE attrelid = %s::regclass AND attnum = coalesce(indkey[0], 1)",
        (table_of(transition).as_string(connection),),
    ).fetchone()
    assert name, f"{transition['table']} has neither a primary key nor a first column"
    return sql.Identifier(name[0])


def assign(columns, value):
    return sql.SQL(", ").join(
        sql.SQL("{} = ").format(sql.Identifier(c["physical"])) + value(c) for c in columns
    )


def fill(connection, transition, values):
    query = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
        table_of(transition),
        assign(transition["new"], lambda c: sql.SQL("%s::text::" + c["type"].replace("%", "%%"))),
        key_of(connection, transition),
    )
    with connection.cursor() as cursor:
        cursor.executemany(query, values)
    count = connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE NOT ({})").format(
            table_of(transition), sql.SQL(transition["parity"]))
    ).fetchone()
    assert count == (0,), f"{transition['name']}: the rows of the two shapes are not the same"


def trim(connection, transition, phase):
    """NOT NULL and DEFAULT come and go with the phases, as proxy/change/trimmings.c says."""
    clauses = []
    for column in transition["old"]:
        if column["not_null"] and phase == "new":
            clauses.append(("ALTER COLUMN {} DROP NOT NULL", column))
    for column in transition["new"]:
        if column["not_null"] and phase in ("dual_new", "new"):
            clauses.append(("ALTER COLUMN {} SET NOT NULL", column))
        if column["default"] and phase == "new":
            default = column["default"].replace("{", "{{").replace("}", "}}")
            clauses.append((f"ALTER COLUMN {{}} SET DEFAULT {default}", column))
    for clause, column in clauses:
        connection.execute(
            sql.SQL("ALTER TABLE {} " + clause).format(
                table_of(transition), sql.Identifier(column["physical"]))
        )


def make_stale(connection, transition, phase):
    """What this phase does not promise is not so: half of it missing, half of it of another row."""
    table, key = table_of(transition), key_of(connection, transition)
    forward = " AND ".join(
        f"{quote(c['physical'])} IS NOT DISTINCT FROM {c['converted']}" for c in transition["new"]
    )
    half = sql.SQL("hashtext({}::text) % 2 = 0").format(key)
    if phase == "dual_old":  # not backfilled yet; what only the new shape can hold was written by it
        connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {} AND {}").format(
                table, assign(transition["new"], lambda c: sql.SQL("NULL")), half, sql.SQL(forward))
        )
    if phase in ("old", "new"):
        columns = transition["new" if phase == "old" else "old"]
        for column in columns:
            name = sql.Identifier(column["physical"])
            connection.execute(
                sql.SQL("UPDATE {t} SET {c} = CASE WHEN {half} THEN (SELECT {c} FROM {t} ORDER BY {k} LIMIT 1)"
                        " END").format(t=table, c=name, k=key, half=half)
            )


def keep_rows(connection):
    """A copy of every ordinary table of schema public, and kept.restore(), which puts it back."""
    tables = connection.execute(
        "SELECT quote_ident(relname), string_agg(quote_ident(attname), ', ' ORDER BY attnum)"
        " FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid WHERE relkind = 'r' AND attnum > 0"
        " AND relnamespace = 'public'::regnamespace AND NOT attisdropped AND attgenerated = ''"
        " GROUP BY 1"
    ).fetchall()
    connection.execute("DROP SCHEMA IF EXISTS kept CASCADE")  # of what it was copied from
    connection.execute("CREATE SCHEMA kept")
    body = f"TRUNCATE {', '.join('public.' + table for table, _ in tables)};"
    for table, columns in tables:
        connection.execute(f"CREATE TABLE kept.{table} AS SELECT {columns} FROM public.{table}")
        body += f" INSERT INTO public.{table} ({columns}) SELECT {columns} FROM kept.{table};"
    connection.execute(
        "CREATE FUNCTION kept.restore() RETURNS void LANGUAGE plpgsql SET session_replication_role ="
        f" replica AS $$ BEGIN {body} END $$"
    )


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def order_heap(connection, transition):
    """Rows lie as in the plain table: what has no ORDER BY is likely to come in one order in both."""
    index = connection.execute(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = indrelid"
        " WHERE indrelid = %s::regclass AND indisprimary AND relkind = 'r'",
        (table_of(transition).as_string(connection),),
    ).fetchone()
    if index:
        connection.execute(
            sql.SQL("CLUSTER {} USING {}").format(table_of(transition), sql.SQL(index[0].split(".")[-1]))
        )
        connection.execute(sql.SQL("ALTER TABLE {} SET WITHOUT CLUSTER").format(table_of(transition)))
