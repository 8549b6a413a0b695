"""
The stand: worlds on one cluster, sessions to their databases, and the rewriter between; runs a case on
the plain table and in every state, and says what differs.
"""

import re
import tempfile

import wire
from case import is_ordered, spell
from oracle import RESOLUTION, Server, columns_of, difference
from rewriter import Rewriter
from world import DUAL, STATES, Databases

WORLDS_AT_ONCE = 3  # of which connections are kept
WRITES = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|COPY|TRUNCATE|CREATE|DROP|ALTER|INTO|EXECUTE|CALL|DO)\b", re.I
)
HELD = re.compile(r"\s*(FETCH|EXECUTE)\b", re.I)
ONE_SIDED = ("old", "applied")  # where a lossy transition is closed to clients of the new shape


class Refused(Exception):
    """A statement that was rewritten into an error."""

    def __init__(self, answer):
        super().__init__(answer["message"])
        self.answer = answer


class Plain:
    """A session on the plain table."""

    def __init__(self, server):
        self.server = server

    def run(self, sql, mode, parameters, types, copy):
        return self.server.run(sql, mode, parameters, types, copy), None


class Rewritten:
    """A session on the table in transition whose statements the rewriter gets first."""

    def __init__(self, server, rewriter, world, shape):
        self.server = server
        self.rewriter = rewriter
        self.world = world
        self.shape = shape
        self.kept = {}  # answers of the rewriter, for a session that has changed nothing
        self.names = None  # how the session resolves names, where it may have changed that
        self.sent = []
        self.is_one_statement = True  # the text sent last

    def begin(self):
        self.names = None
        self.sent = []

    def ask(self, sql):
        if self.names:
            escapes, schemas, temporaries = self.names
            return self.rewriter.rewrite(self.world, self.shape, sql, escapes, schemas, temporaries)
        if sql not in self.kept:
            self.kept[sql] = self.rewriter.rewrite(self.world, self.shape, sql)
        return self.kept[sql]

    def run(self, sql, mode, parameters, types, copy):
        rewritten = self.ask(sql)
        if rewritten["outcome"] == "refused":
            raise Refused(rewritten)
        assert rewritten["outcome"] in ("untouched", "changed"), rewritten
        text = rewritten["text"] if rewritten["outcome"] == "changed" else sql
        self.is_one_statement = rewritten["statements"] <= 1
        self.sent.append(text)
        if rewritten["stagings"]:
            answer = self.server.run_staged(text, rewritten, mode, copy)
        else:
            patches = rewritten["results"] if self.is_one_statement else ()
            answer = self.server.run(text, mode, parameters, types, copy, patches)
        position = answer.position
        if position and text != sql:
            self.kept.pop(sql, None)
            self.ask(sql)  # `position` is about the text rewritten last
            position = self.rewriter.position(position)
            if answer.sqlstate == "42846" and not position:  # as proxy/rewrite/terms does
                answer.sqlstate = "42804"
        return answer, position

    def tells_origins(self, state, sql):
        """Which statement's rows are described, and what a cursor's or a prepared statement's rows
        are, is for the proxy to know."""
        return STATES[state][1] == "expanded" and not HELD.match(sql) and self.is_one_statement

    def readable(self, queries):
        """(as sent, by place) of those that this shape may read in this state."""
        answers = [self.ask(query) for query in queries]
        return [
            None if a["outcome"] == "refused" else a["text"] if a["outcome"] == "changed" else query
            for a, query in zip(answers, queries)
        ]

    def look_again(self):
        """Asks the session how it resolves names now, as the proxy does (session/enlist.c)."""
        if wire.transaction_state(self.server.connection.query("SELECT 1")) == "E":
            return
        (escapes,), = self.server.rows("SHOW standard_conforming_strings")
        schemas = [row[0] for row in self.server.rows("SELECT unnest(current_schemas(true))")]
        temporaries = [row[0] for row in self.server.rows(
            "SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = pg_my_temp_schema()")]
        self.names = (escapes, schemas, temporaries)


class Stand:
    def __init__(self, cluster):
        self.cluster = cluster
        self.rewriter = Rewriter()
        self.directory = tempfile.TemporaryDirectory(prefix="segue-test-worlds-")
        self.databases = {}  # by world's name
        self.servers = {}  # by world's name, then (state or "plain", shape, guard)
        self.opened = {}  # the rewriter's number of a database
        self.refusals = None
        self.was_error = None  # the error that the last case was on the plain table

    def close(self):
        for servers in self.servers.values():
            for server in servers.values():
                server.close()
        self.directory.cleanup()
        self.rewriter.close()

    # ---- databases and sessions ----

    def databases_of(self, world):
        if world.name not in self.databases:
            self.databases[world.name] = self.make_databases(world)
        return self.databases[world.name]

    def make_databases(self, world):
        databases = Databases(self.cluster, self.rewriter, world, self.directory.name)
        for state in STATES:  # while nobody is connected to what they are copied from
            for guard in world.guards if state in DUAL else ("off",):
                databases.in_state(state, guard)
        return databases

    def servers_of(self, world):
        """Sessions of the worlds used last are kept open."""
        servers = self.servers.pop(world.name, {})
        self.servers[world.name] = servers
        while len(self.servers) > WORLDS_AT_ONCE:
            name = next(iter(self.servers))
            for server in self.servers.pop(name).values():
                server.close()
        return servers

    def plain(self, world, shape):
        databases = self.databases_of(world)
        servers = self.servers_of(world)
        if ("plain", shape) not in servers:
            name = databases.plain(shape)
            with self.cluster.connect(name) as connection:
                columns = columns_of(connection)
            servers["plain", shape] = Server(self.cluster.port, name, columns, world.reset)
        return Plain(servers["plain", shape])

    def rewritten(self, world, state, shape, guard):
        databases = self.databases_of(world)
        servers = self.servers_of(world)
        name = databases.in_state(state, guard)
        key = (state, guard)
        if key not in servers:
            phase, stage = STATES[state]
            with self.cluster.connect(name) as connection:
                columns = columns_of(connection, databases.described, stage)
            servers[key] = server = Server(self.cluster.port, name, columns, world.reset)
            server.parity_queries = [parity(t) for t in databases.described]
            if state in DUAL:
                server.out_of_parity = [
                    count_of(rows) for rows in server.contents(server.parity_queries)]
        number_key = (world.name, state, guard)
        if number_key not in self.opened:
            phase, stage = STATES[state]
            self.opened[number_key] = self.rewriter.open(
                databases.server(name), databases.server(databases.plain("old")),
                databases.file(guard), [phase], [stage],
            )
        return Rewritten(servers[key], self.rewriter, self.opened[number_key], shape)

    # ---- a case ----

    def check(self, world, case, shape, refusals=None):
        """
        Everything that differs, in every state, as text; empty where all is as it must be. With a list
        `refusals` an 0A000 is no difference: its message goes there.
        """
        self.refusals = refusals
        expected = {mode: self.expect(world, case, shape, mode) for mode in case.modes}
        self.was_error = next(
            (answers[-1] for answers, _, _ in expected.values() if answers[-1].sqlstate), None
        )
        problems = {}  # by what is wrong: where
        for state in case.states or STATES:
            for guard in case.guards if state in DUAL else case.guards[:1]:
                session = self.rewritten(world, state, shape, guard)
                for mode in case.modes:
                    problem = self.check_one(world, case, session, state, mode, expected[mode])
                    if problem:
                        problems.setdefault(problem, []).append(f"{state}/{guard}/{mode}")
        return [f"{' '.join(where)}: {problem}" for problem, where in problems.items()]

    def steps(self, world, case, shape):
        words = world.words[shape]
        return [(spell(sql, words), [spell(p, words) for p in parameters])
                for sql, parameters in case.steps]

    def expect(self, world, case, shape, mode):
        """What the plain table's client sees: answers, parameter types, contents afterwards (None
        where nothing was written)."""
        session = self.plain(world, shape)
        server = session.server
        steps = self.steps(world, case, shape)
        server.declares = case.declares
        server.begin(case.commits)
        try:
            answers, types = [], []
            for sql, parameters in steps:
                types.append(self.parameter_types(server, sql) if parameters else [])
                answers.append(session.run(sql, mode, parameters, types[-1], case.copy_of(shape))[0])
                if answers[-1].sqlstate and not case.goes_on:
                    break
            contents = None
            if case.contents and any(WRITES.search(sql) for sql, _ in steps):
                if case.commits:
                    server.rollback(False)
                contents = server.contents(self.contents_queries(world, shape))
        finally:
            self.undo(server, case, steps)
        return answers, types, contents

    @staticmethod
    def undo(server, case, steps):
        server.rollback(deallocate(steps))
        if case.commits:
            server.restore()

    @staticmethod
    def parameter_types(server, sql):
        """[] where the statement cannot be prepared: running it tells why."""
        server.connection.query("SAVEPOINT described")
        server.connection.send(wire.parse(sql, types=server.declares) + wire.describe(b"S") + wire.sync())
        described = server.read(())
        server.connection.query("ROLLBACK TO described")
        return described.parameters or []

    def contents_queries(self, world, shape):
        return [spell(query, world.words[shape]) for query in world.contents]

    def check_one(self, world, case, session, state, mode, expected):
        """A case in one state and mode; the first difference, "" where there is none."""
        steps = self.steps(world, case, session.shape)
        server = session.server
        server.declares = case.declares
        others = self.other_contents(world, session) if case.keeps else []
        server.begin(case.commits)
        session.begin()
        try:
            kept = server.contents(others)
            problem, ended = self.compare_steps(case, session, state, mode, steps, expected)
            if case.commits:
                server.rollback(False)
            if not problem and not ended and expected[2] is not None:
                problem = self.compare_contents(world, session, expected[2])
                if state in DUAL and not problem:
                    problem = self.compare_parity(world, server)
            if not problem and not ended and server.contents(others) != kept:
                problem = "the other shape's contents have changed"
        finally:
            self.undo(server, case, steps)
        return problem and problem + "".join(f"\n        sent: {text}" for text in session.sent)

    def other_contents(self, world, session):
        """The queries that show the other shape's contents, as sent."""
        shape = "new" if session.shape == "old" else "old"
        other = Rewritten(session.server, self.rewriter, session.world, shape)
        return list(filter(None, other.readable(self.contents_queries(world, shape))))

    def compare_steps(self, case, session, state, mode, steps, expected):
        """(problem, is the case over)"""
        answers, types, _ = expected
        for i, (sql, parameters) in enumerate(steps):
            try:
                answer, position = session.run(sql, mode, parameters, types[i],
                                               case.copy_of(session.shape))
            except Refused as refused:
                return self.judge_refusal(case, session, state, refused.answer, answers[i]), True
            if case.is_refused_in(state) and i == len(steps) - 1:
                return "it is refused no more: take the case's mark away", True
            ordered = is_ordered(sql) if case.ordered is None else case.ordered
            origins = case.origins and session.tells_origins(state, sql)
            problem = difference(answers[i], answer, ordered, origins, position)
            if problem or (answer.sqlstate and not case.goes_on):
                return problem, not case.commits
            if i < len(steps) - 1 and RESOLUTION.search(sql):
                session.look_again()
        return "", False

    def judge_refusal(self, case, session, state, refusal, plain):
        told = f"refused: {refusal['sqlstate']} {refusal['message']}"
        # what Segue refuses itself, the server would have refused in the same words
        same = (refusal["sqlstate"], refusal["message"]) == (plain.sqlstate, plain.message)
        if same and refusal["position"] in (0, plain.position):
            return ""
        if self.refusals is not None and refusal["sqlstate"] == "0A000":
            self.refusals.append(refusal["message"])
            return ""
        if case.is_refused_in(state):
            right = refusal["sqlstate"] == "0A000" and case.refused in refusal["message"]
            return "" if right else told
        if refusal["sqlstate"] == "55000":
            return "" if state in ONE_SIDED and session.shape == "new" else told
        return f"{told} at {refusal['position']}, not {plain}"

    def compare_contents(self, world, session, expected):
        queries = session.readable(self.contents_queries(world, session.shape))
        found = iter(session.server.contents([query for query in queries if query]))
        for query, rows in zip(queries, expected):
            if query is None:
                continue
            ours = next(found)
            if ours != rows:
                return f"contents by {query}: {show(ours)}, not {show(rows)}"
        return ""

    def described(self, world):
        return self.databases_of(world).described

    def compare_parity(self, world, server):
        """No row has left parity; those that the backfill has not come to may be out of it."""
        after = server.contents(server.parity_queries)
        for transition, was, now in zip(self.described(world), server.out_of_parity, after):
            if now is not None and count_of(now) > was:
                return f"{transition['name']}: {count_of(now) - was} rows have left parity"
        return ""


def parity(transition):
    return (f'SELECT count(*) FROM "{transition["schema"]}"."{transition["table"]}"'
            f" WHERE NOT ({transition['parity']})")


def count_of(rows):
    return int(wire.Message(b"D", rows[0]).row()[0])


def show(rows):
    return rows and [wire.Message(b"D", row).row() for row in rows]


def deallocate(steps):
    return any("PREPARE" in sql.upper() for sql, _ in steps)
