"""Random conversations, well formed and otherwise without sense: what a client might say in any order.

`program(seed, subject)` gives the same bytes for the same seed and subject. A subject is what is talked
about: SQL of one table, in a client's terms.
"""

import random

from wire import (
    bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, function_call, parse, query,
    sync, terminate,
)

STATEMENTS = ["", "a", "b"]
PORTALS = ["", "p", "q"]
ABS_INT4 = 1397


class Subject:
    """`texts`: SQL by itself; `parametrised`: with the values for it; `copies`: COPY FROM STDIN with data."""

    def __init__(self, begin, texts, parametrised, copies):
        self.begin = begin
        self.texts = texts
        self.parametrised = parametrised
        self.copies = copies


SESSION = [
    "SELECT 1", "", "SELECT 1; SELECT 2", "SELECT 1/0", "SELEC", "SELECT nosuch", "BEGIN", "COMMIT",
    "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s", "SELECT generate_series(1, 4)",
    "SET search_path = public", "SET LOCAL search_path = public", "RESET ALL", "DISCARD ALL",
    "DEALLOCATE ALL", "DEALLOCATE a", "SELECT set_config('search_path', 'public', false)",
    "SET application_name = 'x'", "CREATE TEMP TABLE other (a int)", "DROP TABLE other",
    "PREPARE a AS SELECT 2", "EXECUTE a", "EXECUTE b", "FETCH 2 FROM c", "FETCH 1 FROM p", "CLOSE c",
    "BEGIN; SELECT 1; COMMIT", "ROLLBACK; BEGIN", "SET TRANSACTION READ ONLY",
    "DO $$ BEGIN RAISE NOTICE 'n'; END $$",
]
PLAIN = Subject(
    query("CREATE TEMP TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y')"),
    ["SELECT * FROM t ORDER BY a", "UPDATE t SET b = b || '!' WHERE a = 1 RETURNING a, b",
     "INSERT INTO t VALUES (3, 'z')", "DELETE FROM t WHERE a = 3",
     "DECLARE c CURSOR FOR SELECT * FROM t ORDER BY a", "COPY t TO STDOUT"],
    [("SELECT b FROM t WHERE a = $1", ["1"]), ("UPDATE t SET b = $1 WHERE a = $2", ["v", "2"]),
     ("SELECT $1::int + 1", ["x"])],
    [("COPY t FROM STDIN", [b"7\tq\n", b"8\t", b"w\n", b"x\ty\n", b"1\ttwice\n"])],
)


def shaped(column, one, other):
    """On `users`, of whose `column` these are two values."""
    return Subject(
        b"",
        [f"SELECT id, {column} FROM users ORDER BY id", f"SELECT {column} FROM users WHERE id = 2",
         f"UPDATE users SET {column} = '{one}' WHERE id = 1 RETURNING id, {column}",
         f"UPDATE users SET {column} = '{other}' WHERE id = 2",
         f"INSERT INTO users (id, {column}) VALUES (6, '{one}')", "DELETE FROM users WHERE id = 6",
         f"SELECT {column}, nosuch FROM users", f"PREPARE b AS SELECT {column} FROM users WHERE id = 1",
         f"DECLARE c CURSOR FOR SELECT {column} FROM users ORDER BY id",
         f"COPY (SELECT {column} FROM users ORDER BY id) TO STDOUT",
         f"SELECT 1; SELECT {column} FROM users WHERE id = 1; SELECT 2"],
        [(f"SELECT {column} FROM users WHERE id = $1", ["2"]),
         (f"UPDATE users SET {column} = $1 WHERE id = $2 RETURNING {column}", [other, "1"])],
        [("COPY plain FROM STDIN", [b"7\tq\n", b"8\t", b"w\n", b"x\ty\n", b"1\ttwice\n"])],
    )


OLD = shaped("role", "x,y", "z")
NEW = shaped("roles", "{x,y}", "{z}")


class Writer:
    def __init__(self, seed, subject):
        self.chance = random.Random(seed)
        self.subject = subject
        self.values = dict.fromkeys(STATEMENTS, [])  # how many a statement of this name takes

    def text(self):
        texts = self.subject.texts if self.chance.random() < 0.6 else SESSION
        return self.chance.choice(texts)

    def say_query(self):
        return query(self.text())

    def say_parse(self):
        name = self.chance.choice(STATEMENTS)
        text, values = self.text(), []
        if self.chance.random() < 0.4:
            text, values = self.chance.choice(self.subject.parametrised)
        if self.chance.random() < 0.5:
            self.values[name] = values
        return (close(b"S", name) if name and self.chance.random() < 0.6 else b"") + parse(text, name)

    def say_bind(self):
        name = self.chance.choice(STATEMENTS)
        values = self.values[name] if self.chance.random() < 0.9 else ["1"]
        formats = [1] if self.chance.random() < 0.1 else []
        return bind(values, name, self.chance.choice(PORTALS), result_formats=formats)

    def say_execute(self):
        return execute(self.chance.choice(PORTALS), self.chance.choice([0, 0, 1, 2]))

    def say_all(self):
        name, portal = self.chance.choice(STATEMENTS), self.chance.choice(PORTALS)
        text, values = self.text(), []
        if self.chance.random() < 0.5:
            text, values = self.chance.choice(self.subject.parametrised)
        self.values[name] = values
        return ((close(b"S", name) if name else b"") + parse(text, name)
                + bind(values, name, portal) + (describe(b"P", portal) if self.chance.random() < 0.5 else b"")
                + execute(portal, self.chance.choice([0, 0, 0, 1])))

    def say_describe(self):
        if self.chance.random() < 0.5:
            return describe(b"S", self.chance.choice(STATEMENTS))
        return describe(b"P", self.chance.choice(PORTALS))

    def say_close(self):
        if self.chance.random() < 0.5:
            return close(b"S", self.chance.choice(STATEMENTS))
        return close(b"P", self.chance.choice(PORTALS))

    def say_sync(self):
        return sync()

    def say_flush(self):
        return flush()

    def say_function(self):
        return function_call(ABS_INT4, [self.chance.choice([b"-4", b"x"])])

    def say_stray(self):
        return self.chance.choice([copy_data(b"1\n"), copy_done(), copy_fail("stray")])

    def say_copy(self):
        if not self.subject.copies:
            return b""
        text, rows = self.chance.choice(self.subject.copies)
        data = query(text)
        if self.chance.random() < 0.5:
            data = parse(text) + bind() + execute() + (sync() if self.chance.random() < 0.5 else b"")
        for _ in range(self.chance.randrange(4)):
            data += copy_data(self.chance.choice(rows))
            if self.chance.random() < 0.15:
                data += self.chance.choice([sync(), flush()])
        if self.chance.random() < 0.9:
            data += copy_done() if self.chance.random() < 0.8 else copy_fail("enough")
        return data

    def say_terminate(self):
        return terminate()

    def program(self):
        said = self.subject.begin
        ways = {
            self.say_query: 12, self.say_parse: 6, self.say_bind: 8, self.say_execute: 10,
            self.say_all: 14, self.say_describe: 5, self.say_close: 4, self.say_sync: 14,
            self.say_flush: 3, self.say_function: 2, self.say_stray: 2, self.say_copy: 4,
            self.say_terminate: 0.2,
        }
        count = self.chance.randint(3, 30)
        for say in self.chance.choices(list(ways), list(ways.values()), k=count):
            said += say()
        # answers that nobody asked to see may be seen or not: so they are asked for
        return said + sync()


def program(seed, subject):
    return Writer(seed, subject).program()
