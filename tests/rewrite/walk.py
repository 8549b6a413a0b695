"""
A walk from phase to phase and back, with statements that clients of both shapes prepared before it.

At each stop every statement is bound and executed in a transaction that is rolled back, and must do
what it does on the plain table. Nothing of it is parsed again by the client.
"""

import wire
from oracle import difference
from stand import WRITES
from stand_proxy import WALKING
from case import is_ordered
from world import SHAPES

# From where ServedDatabases leaves it, so that each neighbour is met in both directions.
STOPS = ("dual_own", "dual_new", "new", "dual_new", "dual_own", "dual_old", "old", "dual_old")


class Prepared:
    """A statement, as the plain table's client has it."""

    def __init__(self, number, case):
        self.name = f"walk{number}"
        (self.sql, self.parameters), = case.steps
        self.shape = case.only
        self.is_binary = case.modes == ["binary"]
        self.writes = bool(WRITES.search(self.sql))
        self.types = []
        self.expected = self.contents = None
        self.is_refused = False  # it may be: then it is not prepared

    def parse(self):
        return wire.parse(self.sql, self.name) + wire.describe(b"S", self.name) + wire.sync()

    def execute(self, server):
        values, formats = server.encode("binary" if self.is_binary else "text",
                                        self.parameters, self.types)
        server.connection.send(
            wire.bind(values, self.name, formats=formats, result_formats=[int(self.is_binary)])
            + wire.describe(b"P") + wire.execute() + wire.sync()
        )
        return server.read(())


class Walk:
    def __init__(self, stand, world, cases):
        self.stand = stand
        self.world = world
        self.databases = stand.databases_of(world)
        self.name = self.databases.in_state(WALKING)
        self.statements = [Prepared(number, case) for number, case in enumerate(cases)]
        self.found = []

    def problems(self):
        sessions = {shape: self.stand.session(self.world, WALKING, shape, "off") for shape in SHAPES}
        try:
            self.prepare(sessions)
            self.try_all(sessions, "dual_old")
            for i, phase in enumerate(STOPS):
                self.move(phase, "REVERT" if i in (3, 4, 5, 6) else "ADVANCE")
                self.try_all(sessions, f"{phase}, stop {i}")
        finally:
            for session in sessions.values():
                session.close()
            for shape in SHAPES:
                self.stand.plain(self.world, shape).server.connection.query("DEALLOCATE ALL")
        return self.found

    def move(self, phase, verb):
        for transition in self.databases.described:
            self.databases.move(self.name, transition, verb, phase)

    # ---- statements ----

    def prepare(self, sessions):
        for statement in self.statements:
            plain = self.stand.plain(self.world, statement.shape).server
            plain.connection.send(statement.parse())
            described = plain.read(())
            statement.types = described.parameters or []
            server = sessions[statement.shape].server
            server.connection.send(statement.parse())
            ours = server.read(())
            if ours.sqlstate == "0A000" and not ours.is_servers:
                statement.is_refused = True
            elif (ours.sqlstate, ours.parameters, ours.columns) != (
                    described.sqlstate, described.parameters, described.columns):
                self.found.append(f"{statement.sql}\n    prepared: {ours!r}, not {described!r}")
            if described.sqlstate:
                statement.is_refused = True
            else:
                statement.expected, statement.contents = self.run(plain, statement)

    def run(self, server, statement, queries=None):
        """(answer, contents afterwards)"""
        server.begin()
        try:
            answer = statement.execute(server)
            contents = None
            if statement.writes and not answer.sqlstate:
                queries = queries or self.stand.contents_queries(self.world, statement.shape)
                contents = server.contents(queries)
        finally:
            server.rollback(False)
        return answer, contents

    def try_all(self, sessions, where):
        for statement in self.statements:
            if not statement.is_refused:
                problem = self.try_one(sessions[statement.shape].server, statement, where)
                if problem:
                    self.found.append(f"{statement.sql} -- {statement.shape}\n    {where}: {problem}")

    def try_one(self, server, statement, where):
        answer, contents = self.run(server, statement)
        if answer.sqlstate == "55000" and not answer.is_servers:
            closed = where.startswith("old") and statement.shape == "new"
            return "" if closed else f"refused: {answer.message}"
        problem = difference(statement.expected, answer, is_ordered(statement.sql))
        if not problem and contents is not None:
            for ours, theirs in zip(contents, statement.contents):
                if ours is not None and ours != theirs:
                    problem = "contents are not the same"
        return problem
