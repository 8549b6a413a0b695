"""
The stand with the real proxy in it: one `segue serve` before a database in every state, brought
there by its own commands; cases are run by clients of it. Judged as in stand.py.

Its databases then get what the product has no reason to make: values that only the new shape can
hold, and what a phase does not promise is not so.
"""

from concurrent.futures import ThreadPoolExecutor

from oracle import Server, columns_of, columns_without
from segue import PHASES, Segue
from stand import ONE_SIDED, Refused, Stand, count_of
from world import DUAL, STATES, Databases, fill, keep_rows, make_stale, order_heap

COMMANDS_AT_ONCE = 3
WALKING = "walking"  # the state of a database that goes from phase to phase


class Proxied:
    """A client of the proxy."""

    def __init__(self, server, shape, blocked):
        self.server = server
        self.shape = shape
        self.blocked = blocked  # queries that this shape may not make in this state
        self.sent = []  # the proxy keeps that to itself

    def begin(self):
        pass

    def close(self):
        self.server.close()

    def look_again(self):
        pass

    @staticmethod
    def tells_origins(state, sql):
        return True

    def readable(self, queries):
        return [None if query in self.blocked else query for query in queries]

    def run(self, sql, mode, parameters, types, copy):
        answer = self.server.run(sql, mode, parameters, types, copy)
        if answer.sqlstate and not answer.is_servers:
            raise Refused({"sqlstate": answer.sqlstate, "message": answer.message,
                           "position": answer.position})
        return answer, answer.position


class ServedDatabases(Databases):
    """Those behind the proxy, one for each state and guard. The plain ones are made as ever."""

    prefix = "served_"  # another stand may be on the same cluster

    def __init__(self, cluster, rewriter, world, directory):
        super().__init__(cluster, rewriter, world, directory)
        self.names = {(state, guard): f"{world.name}_{self.prefix}{state}_{guard}"
                      for state in STATES for guard in (world.guards if state in DUAL else ("off",))}
        self.names[WALKING, "off"] = f"{world.name}_{WALKING}"
        for name in self.names.values():
            cluster.create_database(name, self.plain("old"))
        self.segue = Segue(cluster, directory, self.names.values())
        self.segue.start()
        with ThreadPoolExecutor(COMMANDS_AT_ONCE) as pool:
            list(pool.map(self.prepare, self.names))

    def in_state(self, state, guard="off"):
        return self.names[state, guard if state in DUAL else "off"]

    def prepare(self, key):
        state, guard = key
        name = self.names[key]
        phase, stage = STATES.get(state, ("dual_old", "expanded"))
        definition = self.world.with_guard(guard).replace("'", "''")
        self.segue.admin(f"APPLY '{definition}' DATABASE {name}")
        if stage != "applied":
            for transition in self.described:
                self.segue.admin(f"EXPAND {name}.{transition['name']}")
                self.advance(name, transition, phase)
            with self.cluster.connect(name, prepare_threshold=None) as connection:
                self.make_rows(connection, state)
        for transition in self.described if stage == "contracted" else ():
            self.segue.admin(f"CONTRACT {name}.{transition['name']}")
        with self.cluster.connect(name, prepare_threshold=None) as connection:
            for transition in self.described:
                order_heap(connection, transition)
            keep_rows(connection)

    def advance(self, name, transition, to):
        for phase in PHASES[1 : PHASES.index(to) + 1]:
            self.move(name, transition, "ADVANCE", phase)

    def move(self, name, transition, verb, phase):
        full_name = f"{name}.{transition['name']}"
        if phase == "dual_own":  # from either side
            self.segue.admin(f"BACKFILL {full_name} START")
            self.segue.admin(f"VERIFY {full_name}")
        self.segue.admin(f"{verb} {full_name} TO {phase}")

    def make_rows(self, connection, state):
        connection.execute("SET session_replication_role = replica")  # past the guard
        for transition in self.described:
            fill(connection, transition, self.new_values(transition))
            if state != WALKING:
                make_stale(connection, transition, STATES[state][0])
            # SQL of a function is not rewritten, so clients may ask for this
            connection.execute(
                f"CREATE FUNCTION parity_of_{transition['name']}() RETURNS bigint LANGUAGE sql AS"
                f" $$ SELECT count(*) FROM \"{transition['schema']}\".\"{transition['table']}\""
                f" WHERE NOT ({transition['parity']}) $$"
            )
        connection.execute("RESET session_replication_role")


class ProxyStand(Stand):
    def make_databases(self, world):
        assert not self.databases, "the proxy is of one world"
        return ServedDatabases(self.cluster, self.rewriter, world, self.directory.name)

    @property
    def segue(self):
        (databases,) = self.databases.values()
        return databases.segue

    def close(self):
        for databases in self.databases.values():
            databases.segue.stop()
        super().close()

    def assert_well(self):
        self.segue.assert_running()
        self.segue.assert_clean_log()

    def columns(self, databases, name, state):
        stage = STATES.get(state, (None, "expanded"))[1]
        with self.cluster.connect(name) as connection:
            columns = columns_of(connection, databases.described, stage)
            for transition in databases.described:
                columns |= columns_without(connection, transition, stage)
        return columns

    def session(self, world, state, shape, guard):
        databases = self.databases_of(world)
        name = databases.in_state(state, guard)
        server = Server(databases.segue.port(shape), name, self.columns(databases, name, state),
                        world.reset)
        server.parity_queries = [f"SELECT parity_of_{t['name']}()" for t in databases.described]
        if state in DUAL:
            server.out_of_parity = [count_of(rows) for rows in server.contents(server.parity_queries)]
        queries = self.contents_queries(world, shape)
        closed = state in ONE_SIDED and shape == "new"
        blocked = {query for query, rows in zip(queries, server.contents(queries)) if rows is None}
        assert closed or not blocked, (state, shape, blocked)
        return Proxied(server, shape, blocked)

    def rewritten(self, world, state, shape, guard):
        servers = self.servers_of(world)
        key = (state, shape, guard if state in DUAL else "off")
        if key not in servers:
            servers[key] = self.session(world, *key)
        return servers[key]
