"""Scripts for conversation.py: what a client may say, the unusual above all, by name.

They say nothing that other sessions could see; PLAIN names no table in transition.
"""

import struct

from wire import (
    bind, close, copy_data, copy_done, copy_fail, describe, execute, extended, flush, function_call,
    message, parse, password, query, sync, terminate,
)

ABS_INT4, PG_SLEEP, NO_FUNCTION = 1397, 2626, 99999
SERIES = "SELECT generate_series(1, 5)"

SIMPLE = {
    "a query": query("SELECT 1, NULL, 'ä', ''"),
    "an empty query": query("") + query(";;") + query(" -- nothing\n"),
    "many statements": query("SELECT 1; SELECT 2; SELECT 3"),
    "an error among many": query("SELECT 1; SELECT 1/0; SELECT 3") + query("SELECT 4"),
    "a syntax error far behind": query("SELECT 'ä', 'ö'; SELEC") + query("SELECT 1"),
    "a block": query("BEGIN") + query("SELECT 1/0") + query("SELECT 1") + query("COMMIT"),
    "a block within one text": query("BEGIN; SELECT 1; ROLLBACK; SELECT 2"),
    "a savepoint": query("BEGIN; SAVEPOINT s; SELECT 1/0") + query("ROLLBACK TO s")
    + query("SELECT 1") + query("COMMIT"),
    "rows, many of them": query("SELECT i, repeat('x', i % 50) FROM generate_series(1, 3000) AS i"),
    "notices": query("DO $$ BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w' USING HINT = 'h'; END $$"),
    "a value of 100 kB": query("SELECT repeat('x', 100000)"),
    "terminate": query("SELECT 1") + terminate() + query("SELECT 2"),
    "terminate amid a block": query("BEGIN") + terminate(),
    "a query without an end": query("SELECT 1") + query("SELECT 2")[:-4],
    "half a header": query("SELECT 1") + b"Q\0",
    "listen and notify": query("LISTEN c") + query("NOTIFY c, 'p'") + query("BEGIN; NOTIFY c, 'q'")
    + query("COMMIT") + query("UNLISTEN *"),
    "parameters that are reported": query("SET application_name = 'a'; SET DateStyle = 'German'")
    + query("BEGIN; SET client_encoding = 'LATIN1'; SELECT 'x'; SET TimeZone = 'Asia/Tokyo'")
    + query("ROLLBACK") + query("SET LOCAL IntervalStyle = 'iso_8601'") + query("RESET ALL"),
    "standard_conforming_strings": query("SET standard_conforming_strings = off")
    + query(r"SELECT 'a\'b', 'c'") + query("SET standard_conforming_strings = on")
    + query(r"SELECT 'a\', 'c'"),
    "cursors": query("BEGIN; DECLARE c CURSOR FOR " + SERIES) + query("FETCH 2 FROM c")
    + query("MOVE 1 IN c; FETCH ALL FROM c; CLOSE c; FETCH c") + query("ROLLBACK"),
    "a cursor with hold": query("DECLARE c CURSOR WITH HOLD FOR " + SERIES) + query("FETCH c")
    + query("DISCARD ALL") + query("FETCH c"),
    "prepare and execute": query("PREPARE p(int) AS SELECT $1 + 1; EXECUTE p(1)")
    + query("EXECUTE p('x')") + query("DEALLOCATE p") + query("EXECUTE p(1)"),
    "set transaction": query("BEGIN") + query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    + query("SHOW transaction_isolation") + query("SET TRANSACTION READ ONLY")
    + query("CREATE TEMP TABLE t (a int)") + query("CREATE TABLE t (a int)") + query("ROLLBACK"),
}

EXTENDED = {
    "one": extended("SELECT $1::int + 1", ["41"]) + sync(),
    "named": parse("SELECT $1::text", "s") + describe(b"S", "s") + bind(["a"], "s", "p")
    + describe(b"P", "p") + execute("p") + close(b"P", "p") + close(b"S", "s") + sync(),
    "binary, null": parse("SELECT $1::int4, $2::text, now() IS NULL", types=[23, 25])
    + bind([struct.pack("!i", 7), None], formats=[1, 0], result_formats=[1, 0, 1])
    + describe(b"P") + execute() + sync(),
    "nothing but Sync": sync() + sync() + flush() + sync(),
    "an empty text": extended("") + sync(),
    "no rows and no parameters": parse("BEGIN", "b") + describe(b"S", "b") + bind([], "b")
    + describe(b"P") + execute() + sync() + query("COMMIT"),
    "a suspended portal": parse(SERIES) + bind([], "", "p") + execute("p", 2) + execute("p", 2)
    + execute("p", 2) + execute("p", 2) + sync(),
    "a portal without rows, again": extended("SELECT 1 WHERE false") + execute() + sync(),
    "exactly as many rows as asked for": parse(SERIES) + bind() + execute(rows=5)
    + execute(rows=5) + sync(),
    "a negative limit": parse(SERIES) + bind() + execute(rows=-1) + sync(),
    "a portal does not survive Sync": parse(SERIES) + bind([], "", "p") + execute("p", 1) + sync()
    + execute("p", 1) + sync(),
    "a portal in a block survives it": query("BEGIN") + parse(SERIES) + bind([], "", "p")
    + execute("p", 1) + sync() + execute("p", 1) + sync() + query("COMMIT") + execute("p") + sync(),
    "a portal by two names": parse(SERIES, "s") + bind([], "s", "p") + bind([], "s", "q")
    + execute("p", 1) + execute("q", 2) + execute("p", 1) + bind([], "s", "p") + sync(),
    "a cursor's name is a portal's": query("BEGIN; DECLARE c CURSOR FOR " + SERIES)
    + execute("c", 2) + describe(b"P", "c") + close(b"P", "c") + execute("c") + sync()
    + query("ROLLBACK"),
    "close of what is not there": close(b"S", "no") + close(b"P", "no") + close(b"S") + close(b"P")
    + sync(),
    "close of a portal keeps the statement": parse("SELECT 1", "x") + bind([], "x", "x")
    + close(b"P", "x") + bind([], "x") + execute() + sync() + bind([], "x", "x")
    + close(b"S", "x") + execute("x") + sync(),
    "describe of what is not there": describe(b"S", "no") + sync() + describe(b"P", "no") + sync()
    + describe(b"S") + sync() + describe(b"P") + sync(),
    "use of what is not there": bind([], "no") + sync() + bind() + sync() + execute("no") + sync()
    + execute() + sync(),
    "parse of a name again": parse("SELECT 1", "s") + sync() + parse("SELECT 2", "s") + sync()
    + bind([], "s") + execute() + sync(),
    "two of a name in a pipeline": parse("SELECT 1", "s") + parse("SELECT 2", "s") + bind([], "s")
    + execute() + sync() + bind([], "s") + execute() + sync(),
    "two portals of a name": parse("SELECT 1") + bind([], "", "p") + bind([], "", "p") + sync()
    + parse("SELECT 2") + bind([], "", "p") + execute("p") + sync(),
    "close between two of a name": parse("SELECT 1", "s") + close(b"S", "s") + parse("SELECT 2", "s")
    + bind([], "s") + execute() + sync(),
    "the unnamed statement and Query": parse("SELECT 1") + sync() + bind() + execute() + sync()
    + query("SELECT 2") + bind() + sync(),
    "the unnamed statement and an error": parse("SELECT 1") + sync() + parse("SELEC") + sync()
    + bind() + execute() + sync(),
    "the unnamed portal and an error": parse("SELECT 1") + bind() + parse("SELEC", "x") + sync()
    + execute() + sync() + bind() + execute() + sync(),
    "an error in Parse": extended("SELEC") + extended("SELECT 1") + flush() + sync() + query("SELECT 2"),
    "an error in Bind": parse("SELECT $1::int") + bind(["x"]) + execute() + sync()
    + parse("SELECT $1::int") + bind() + sync() + bind(["1"], formats=[0, 0]) + sync(),
    "an error in Execute": extended("SELECT 1/$1::int", ["0"]) + extended("SELECT 1") + sync(),
    "an error after rows": extended("SELECT 1/(3 - i) FROM generate_series(1, 5) AS i") + sync(),
    "Query among the skipped": parse("SELEC") + query("SELECT 1") + function_call(ABS_INT4, [b"1"])
    + extended("SELECT 2") + sync() + query("SELECT 3"),
    "terminate among the skipped": parse("SELEC") + terminate() + sync(),
    "a batch without Sync": extended("SELECT 1") + extended("SELECT 2"),
    "a batch that failed without Sync": extended("SELEC") + extended("SELECT 2"),
    "a failed block": query("BEGIN") + extended("SELECT 1/0") + sync() + extended("SELECT 1") + sync()
    + parse("ROLLBACK", "r") + describe(b"S", "r") + bind([], "r") + execute() + sync(),
    "order of checks in a failed block": parse("SELECT $1::int", "s") + sync()
    + query("BEGIN; SELECT 1/0") + bind([], "s") + sync() + bind(["1"], "s") + sync()
    + bind(["1"], "no") + sync() + describe(b"S", "s") + sync() + parse("SELECT 1", "s") + sync()
    + close(b"S", "s") + sync() + query("ROLLBACK"),
    "Query in the middle commits": query("CREATE TEMP TABLE t (a int)")
    + extended("INSERT INTO t VALUES (1)") + query("SELECT 1")
    + extended("INSERT INTO t VALUES (2)") + extended("SELECT 1/0") + sync() + query("TABLE t"),
    "Query in the middle rolls back": query("CREATE TEMP TABLE t (a int)")
    + extended("INSERT INTO t VALUES (1)") + query("SELECT 1/0")
    + extended("INSERT INTO t VALUES (2)") + sync() + query("TABLE t"),
    "BEGIN in a batch": extended("SELECT 1") + extended("BEGIN") + extended("SELECT 2") + sync()
    + extended("SELECT 3") + sync() + query("COMMIT"),
    "COMMIT in a batch": query("CREATE TEMP TABLE t (a int)") + extended("INSERT INTO t VALUES (1)")
    + extended("COMMIT") + extended("INSERT INTO t VALUES (2)") + extended("SELECT 1/0") + sync()
    + query("TABLE t"),
    "two statements in one Parse": parse("SELECT 1; SELECT 2") + sync() + extended("SELECT 1;") + sync(),
    "modifying and suspended": query("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2), (3)")
    + parse("UPDATE t SET a = a + 10 RETURNING a") + bind([], "", "p") + execute("p", 1)
    + extended("SELECT sum(a) FROM t") + execute("p", 1) + sync() + query("TABLE t"),
    "sql and protocol share names": query("PREPARE z(int) AS SELECT $1 * 2") + bind(["4"], "z")
    + execute() + sync() + parse("SELECT 7", "y") + sync() + query("EXECUTE y")
    + query("DEALLOCATE y") + bind([], "y") + sync(),
    "DISCARD ALL in a pipeline": parse("SELECT 1", "a") + sync() + extended("DISCARD ALL") + sync()
    + parse("SELECT 2", "a") + bind([], "a") + execute() + sync() + bind([], "a") + execute() + sync(),
    "DISCARD ALL late in a batch": parse("SELECT 1", "a") + extended("SELECT 1")
    + extended("DISCARD ALL") + sync() + bind([], "a") + execute() + sync(),
    "DEALLOCATE ALL in a pipeline": parse("SELECT 1", "a") + extended("DEALLOCATE ALL")
    + parse("SELECT 2", "a") + bind([], "a") + execute() + sync() + bind([], "a") + execute() + sync(),
    "settings in a batch": extended("SET application_name = 'b'") + extended("SELECT 1/0") + sync()
    + extended("SHOW application_name") + sync(),
    "notify in a batch": query("LISTEN c") + extended("NOTIFY c, '1'") + extended("SELECT 1") + sync()
    + query("SELECT 2"),
    "a hundred in a pipeline": b"".join(
        extended("SELECT $1::int", [str(i)]) + (sync() if i % 7 == 0 else b"") for i in range(100)
    ) + sync(),
}

FUNCTIONS = {
    "a function": function_call(ABS_INT4, [b"-42"]) + function_call(ABS_INT4, [b"-42"], 1),
    "a function fails": function_call(ABS_INT4, [b"x"]) + query("SELECT 1"),
    "a function that is none": function_call(NO_FUNCTION, [b"1"]) + query("SELECT 1"),
    "a function with too few arguments": function_call(ABS_INT4, []) + query("SELECT 1"),
    "a function in a block": query("BEGIN") + function_call(ABS_INT4, [b"-1"])
    + function_call(ABS_INT4, [b"x"]) + function_call(ABS_INT4, [b"-1"]) + query("ROLLBACK"),
    "a function in a batch": extended("SELECT 1") + function_call(ABS_INT4, [b"-1"])
    + extended("SELECT 2") + sync(),
}

TABLE = query("CREATE TEMP TABLE t (a int PRIMARY KEY)")
COPY_IN = query("COPY t FROM STDIN")
COPY_IN_EXTENDED = parse("COPY t FROM STDIN") + bind() + execute()
ROWS = copy_data(b"1\n2\n")
AFTER = query("SELECT count(*) FROM t")

COPIES = {
    "copy in": TABLE + COPY_IN + ROWS + copy_done() + AFTER,
    "copy in, rows across messages": TABLE + COPY_IN + copy_data(b"1\n2") + copy_data(b"")
    + copy_data(b"3\n4\n") + copy_done() + AFTER,
    "copy in of nothing": TABLE + COPY_IN + copy_done() + AFTER,
    "copy in that the client ends": TABLE + COPY_IN + ROWS + copy_fail("enough") + AFTER,
    "copy in with late data": TABLE + COPY_IN + copy_data(b"x\n") + ROWS * 20 + copy_done() + AFTER,
    "copy in, fails at its end": TABLE + COPY_IN + copy_data(b"1\n1\n") + copy_done() + AFTER,
    "copy in of no table": query("COPY no FROM STDIN") + ROWS + copy_done() + query("SELECT 1"),
    "copy data without a copy": ROWS + copy_done() + copy_fail("what?") + query("SELECT 1"),
    "two copies in": TABLE + query("COPY t FROM STDIN; COPY t FROM STDIN; SELECT 1") + ROWS
    + copy_done() + copy_data(b"3\n") + copy_done() + AFTER,
    "the second of two fails": TABLE + query("COPY t FROM STDIN; COPY t FROM STDIN") + ROWS
    + copy_done() + copy_data(b"1\n") + copy_done() + AFTER,
    "copy in a block": TABLE + query("BEGIN") + COPY_IN + copy_data(b"x\n") + copy_done()
    + query("SELECT 1") + query("ROLLBACK") + AFTER,
    "Flush and Sync amid a copy": TABLE + COPY_IN + flush() + copy_data(b"1\n") + sync() + flush()
    + copy_data(b"2\n") + sync() + copy_done() + AFTER,
    "copy in, extended": TABLE + COPY_IN_EXTENDED + ROWS + copy_done() + sync() + AFTER,
    "copy in as libpq does it": TABLE + COPY_IN_EXTENDED + sync() + ROWS + copy_done() + sync() + AFTER,
    "copy in as libpq does it, failing": TABLE + COPY_IN_EXTENDED + sync() + copy_data(b"x\n") + ROWS
    + copy_done() + sync() + AFTER,
    "copy in, extended, failing": TABLE + COPY_IN_EXTENDED + copy_data(b"x\n") + ROWS + copy_done()
    + extended("SELECT 1") + sync() + AFTER,
    "copy in, extended, ended by the client": TABLE + COPY_IN_EXTENDED + ROWS + copy_fail("enough")
    + sync() + AFTER,
    "Sync behind a failing row": TABLE + COPY_IN + copy_data(b"x\n") + sync() + ROWS + copy_done()
    + AFTER,
    "Sync behind a failing row, extended": TABLE + COPY_IN_EXTENDED + copy_data(b"x\n") + sync()
    + ROWS + copy_done() + extended("SELECT 1") + sync() + AFTER,
    "Syncs before and behind a failing row": TABLE + COPY_IN + sync() + copy_data(b"x\n") + sync()
    + sync() + copy_done() + AFTER + extended("SELECT 1") + sync(),
    "Bind amid a copy": TABLE + COPY_IN + ROWS + bind() + copy_done() + AFTER,
    "Bind amid a copy, extended": TABLE + parse("SELECT 1", "s") + COPY_IN_EXTENDED + ROWS
    + bind([], "s") + copy_done() + sync() + AFTER,
    "Query amid a copy": TABLE + COPY_IN + ROWS + query("SELECT 1") + copy_done(),
    "Parse amid a copy": TABLE + COPY_IN + ROWS + parse("SELECT 1") + copy_done(),
    "terminate amid a copy": TABLE + COPY_IN + ROWS + terminate(),
    "an unknown type amid a copy": TABLE + COPY_IN + ROWS + message(b"y", b"?") + AFTER,
    "the end amid a copy": TABLE + COPY_IN + ROWS,
    "the end amid a copy's data": TABLE + COPY_IN + ROWS[:-3],
    "copy out": query("COPY (SELECT i, 'x' FROM generate_series(1, 40) AS i) TO STDOUT"),
    "copy out, binary": query("COPY (SELECT 1, 'x') TO STDOUT (FORMAT binary)"),
    "copy out, extended": extended("COPY (SELECT 1) TO STDOUT") + extended("SELECT 2") + sync(),
    "copy out that fails": query("COPY (SELECT 1/(50 - i) FROM generate_series(1, 90) AS i) TO STDOUT")
    + query("SELECT 1"),
    "copy out that fails, extended": parse("COPY (SELECT 1/(9 - i) FROM generate_series(1, 20) i) TO STDOUT")
    + bind() + execute() + extended("SELECT 1") + sync(),
    "copy data into a copy out": query("COPY (SELECT 1) TO STDOUT") + ROWS + copy_done()
    + query("SELECT 1"),
}

NONSENSE = {
    "a type that is none": query("SELECT 1") + message(b"y", b"?") + query("SELECT 2"),
    "a type of zero": query("SELECT 1") + bytes(9),
    "a type of the server's": message(b"Z", b"I") + query("SELECT 1"),
    "a password out of turn": password("x") + query("SELECT 1"),
    "a length of zero": query("SELECT 1") + b"Q" + struct.pack("!i", 0) + b"abcdefgh",
    "a length of three": query("SELECT 1") + b"Q" + struct.pack("!i", 3) + b"abcdefgh",
    "a negative length": query("SELECT 1") + b"P" + struct.pack("!i", -1) + b"abcdefgh",
    "a length beyond a gigabyte": query("SELECT 1") + b"Q" + struct.pack("!i", 0x3FFFFFFF) + b"abc",
    "the greatest length": query("SELECT 1") + b"d" + struct.pack("!i", 0x7FFFFFFF) + b"abc",
    "a Sync too large": query("SELECT 1") + message(b"S", bytes(9997)) + query("SELECT 2"),
    "a Describe too large": message(b"D", b"S" + b"x" * 9996 + b"\0") + sync(),
    "a Describe just small enough": message(b"D", b"S" + b"x" * 9994 + b"\0") + sync(),
    "a Close too large": message(b"C", b"S" + b"x" * 20000 + b"\0") + sync(),
    "an Execute too large": execute("x" * 9992) + sync(),
    "a CopyDone too large": message(b"c", bytes(9997)) + query("SELECT 1"),
    "a Terminate too large": message(b"X", bytes(9997)) + query("SELECT 1"),
    "a Query without its end": message(b"Q", b"SELECT 1") + query("SELECT 2"),
    "a Query with more behind it": message(b"Q", b"SELECT 1\0SELECT 2\0") + query("SELECT 3"),
    "a Query of nothing": message(b"Q") + query("SELECT 1"),
    "a Parse that ends early": message(b"P", b"abc") + sync() + query("SELECT 1"),
    "a Parse that counts wrong": message(b"P", b"\0SELECT 1\0\xff\xff") + sync()
    + message(b"P", b"\0SELECT 1\0\0\0xyz") + sync(),
    "a Bind that ends early": message(b"B", b"\0\0\0\x05") + sync() + message(b"B") + sync()
    + parse("SELECT $1::int") + message(b"B", b"\0\0\0\0\0\1\0\0\0\x09abc") + sync(),
    "a Bind with more behind it": parse("SELECT 1") + message(b"B", b"\0\0\0\0\0\0\0\0xyz") + sync(),
    "a Describe of neither": message(b"D", b"X\0") + sync() + message(b"D", b"S") + sync(),
    "a Close of neither": message(b"C", b"X\0") + sync() + message(b"C") + sync(),
    "an Execute of nothing": message(b"E") + sync() + message(b"E", b"\0") + sync(),
    "a Sync with a body": message(b"S", b"body") + query("SELECT 1"),
    "a function of nothing": message(b"F", b"\0\0") + query("SELECT 1"),
}

# What one session says in these, others hear.
HEARD_BY_ALL = {"listen and notify", "notify in a batch"}
PLAIN = {**SIMPLE, **EXTENDED, **FUNCTIONS, **COPIES, **NONSENSE}


def shaped(column, one, other):
    """
    On the table `users`, of whose `column` `one` and `other` are values as text. What they write they
    take back.
    """
    read = f"SELECT id, {column} FROM users ORDER BY id"
    read_one = f"SELECT {column} FROM users WHERE id = $1"
    write = f"UPDATE users SET {column} = $1 WHERE id = $2 RETURNING id, {column}"
    begin, rollback = query("BEGIN"), query("ROLLBACK")
    # what makes a session ask again how its names resolve
    unsettle = extended("SET search_path = public")
    unsettled, good, bad = query("SET search_path = public"), copy_data(b"77\tq\n"), copy_data(b"x\tq\n")
    copy_plain = query("COPY plain FROM STDIN")
    copy_extended = parse("COPY plain FROM STDIN") + bind() + execute()
    return {
        "a query": query(read) + query(read),
        "an error at a place": query(f"SELECT {column}, nosuch FROM users") + query("SELECT 1"),
        "among other statements": query(f"SELECT 1; {read}; SELECT 2; SELECT {column}, no FROM users"),
        "a write": begin + query(f"UPDATE users SET {column} = '{other}' WHERE id = 1")
        + query(read) + rollback,
        "a duplicate key": query(f"INSERT INTO users (id, {column}) VALUES (1, '{other}')"),
        "first in a batch": extended(read) + extended(read_one, ["2"]) + sync(),
        "in a batch, unsettled": extended("SELECT 1") + unsettle + extended(read)
        + extended("SELECT 2") + sync(),
        "suspended": begin + parse(read) + bind([], "", "p") + describe(b"P", "p") + execute("p", 2)
        + execute("p", 2) + sync() + execute("p", 2) + sync() + rollback,
        "modifying and suspended": parse(f"UPDATE users SET {column} = '{other}' RETURNING id, {column}")
        + bind([], "", "p") + execute("p", 1) + extended(read) + execute("p", 1)
        + extended("SELECT 1/0") + sync() + query(read),
        "modifying and suspended, a name used behind it": begin + sync()
        + parse(f"SELECT {column}, (SELECT note FROM plain WHERE id = 1) FROM users WHERE id = 1", "s")
        + sync() + extended("SET LOCAL search_path = public")
        + parse("UPDATE plain SET note = 'changed' WHERE id = 1 RETURNING id") + bind([], "", "p")
        + execute("p", 1) + bind([], "s") + execute() + sync() + bind([], "s") + execute() + sync()
        + rollback,
        "modifying and suspended, unsettled": query("SET search_path = public") + begin
        + query("SET LOCAL search_path = public") + parse(f"SELECT {column} FROM users", "s")
        + parse(f"UPDATE users SET {column} = '{other}' RETURNING id") + bind([], "", "p")
        + execute("p", 1) + parse("SELECT set_config('search_path', 'public', true)", "c")
        + bind([], "c", "q") + execute("q", 1) + extended(read) + extended("SELECT 1/0") + sync()
        + rollback,
        "named, parsed again": parse(read, "s") + parse(read_one, "s") + bind([], "s") + execute()
        + sync() + bind([], "s") + execute() + sync() + close(b"S", "s") + sync(),
        "unnamed, and Query": parse(read) + sync() + query("SELECT 1") + bind() + execute() + sync(),
        "Query in the middle commits": extended(write, [other, "1"]) + query(read)
        + extended(write, [one, "1"]) + sync() + query(read),
        "Query in the middle rolls back": extended(write, [other, "1"]) + query("SELECT 1/0")
        + extended(read) + sync() + query(read),
        "skipped": parse("SELEC") + extended(read) + query(read) + sync() + query(read),
        "an error after it": extended(write, [other, "1"]) + extended("SELECT 1/0") + extended(read)
        + sync() + query(read),
        "order of checks in a failed block": parse(read_one, "s") + sync() + begin
        + query("SET LOCAL search_path = public; SELECT 1/0") + bind([], "s") + sync()
        + bind(["1"], "s") + sync() + describe(b"S", "s") + sync() + bind(["1"], "no") + sync()
        + parse(read, "t") + sync() + query(read) + rollback + bind(["1"], "s") + execute() + sync()
        + bind([], "t") + sync(),
        "order of checks in a batch that fails": parse(read_one, "s") + sync() + begin
        + extended("SET LOCAL search_path = public") + extended("SELECT 1/0") + sync()
        + bind([], "s") + sync() + bind(["1"], "s") + execute() + sync() + describe(b"S", "s") + sync()
        + close(b"S", "s") + bind([], "s") + sync() + rollback,
        "a block ended in a batch": begin + query("SET LOCAL search_path = public")
        + extended("SELECT 1/0") + sync() + extended("ROLLBACK") + extended(read) + sync(),
        "a block failed and its savepoint": begin + query("SAVEPOINT s")
        + query("SET LOCAL search_path = public") + query("SELECT 1/0") + extended("ROLLBACK TO s")
        + extended(read) + sync() + rollback,
        "sql and protocol share names": query("PREPARE z AS " + read) + bind([], "z") + execute() + sync()
        + query("SET search_path = public") + bind([], "z") + execute() + sync() + query("EXECUTE z")
        + query("DEALLOCATE z") + bind([], "z") + sync(),
        "DISCARD ALL in a pipeline": parse(read, "s") + sync() + extended("DISCARD ALL") + sync()
        + parse(read_one, "s") + bind(["2"], "s") + execute() + sync(),
        "cursors": query(f"BEGIN; DECLARE c CURSOR FOR {read}; FETCH 2 FROM c") + execute("c", 1)
        + describe(b"P", "c") + sync() + query("FETCH ALL FROM c; CLOSE c; FETCH c") + rollback,
        "copy out": query(f"COPY users (id, {column}) TO STDOUT") + query("SELECT 1")
        + extended(f"COPY (SELECT {column} FROM users ORDER BY id) TO STDOUT") + sync(),
        "copy in": begin + query(f"COPY users (id, {column}) FROM STDIN")
        + copy_data(f"100\t{other}\n".encode()) + copy_done() + query(read) + rollback,
        "copy in, failing": query(f"COPY users (id, {column}) FROM STDIN")
        + copy_data(f"x\t{other}\n".encode()) + copy_done() + query("SELECT 1"),
        "copy in, extended": begin + parse(f"COPY users (id, {column}) FROM STDIN") + bind() + execute()
        + copy_data(f"100\t{other}\n".encode()) + copy_done() + extended(read) + sync() + rollback,
        "a Sync among data, failing before": unsettled + copy_plain + bad + sync() + good + copy_done()
        + query(read),
        "a Sync among data, failing behind": unsettled + copy_plain + good + sync() + bad + copy_done()
        + query(read),
        "a Sync among data, failing nowhere": begin + unsettled + copy_plain + good + sync() + copy_done()
        + query(read) + rollback,
        "a Sync among data, extended, failing before": unsettled + copy_extended + bad + sync() + good
        + sync() + copy_done() + extended(read) + sync() + query(read),
        "a Sync among data, extended, failing between": unsettled + copy_extended + good + sync() + bad
        + sync() + copy_done() + extended(read) + sync() + query(read),
        "a Sync among data, extended, failing behind": unsettled + copy_extended + good + sync() + bad
        + copy_done() + extended(read) + sync() + query(read),
        "Query behind a Sync among data": unsettled + copy_plain + good + sync() + query(read)
        + copy_done(),
        "Bind behind a Sync among data": parse(read, "s") + sync() + unsettled + copy_plain + good
        + sync() + bind([], "s") + execute() + sync(),
        "Parse behind a Sync among data, extended": unsettled + copy_extended + good + sync()
        + extended(read) + sync(),
        "Bind amid a copy": parse(read, "s") + sync() + query("SET search_path = public")
        + query("CREATE TEMP TABLE t (a int); COPY t FROM STDIN") + ROWS + bind([], "s") + copy_done(),
        "Query amid a copy": query("SET search_path = public")
        + query("CREATE TEMP TABLE t (a int); COPY t FROM STDIN") + ROWS + query(read) + copy_done(),
        "terminate behind it": query(read) + extended(read) + terminate(),
    }


SHAPED = {
    "old": shaped("role", "admin,editor", "x,y"),
    "new": shaped("roles", "{admin,editor}", "{x,y}"),
}
