"""psycopg 3: server-side preparation, pipelines, executemany, COPY, named cursors, row factories; all of it
asynchronous, too, with a pool."""

import asyncio

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from common import (BASE, COLUMN, NAP, NAPPER, ORDER_ROWS, TOTAL, USER_ROWS, WAIT_FOR_NAP, amount, role, run,
                    say, total, when_napping)


def idioms():
    with psycopg.connect(autocommit=True) as c:
        say("star", c.execute("SELECT * FROM users ORDER BY id").fetchall())
        with c.cursor(row_factory=dict_row) as cursor:
            say("dict", cursor.execute("SELECT * FROM users WHERE id = %s", [2]).fetchone())
        for i in range(8):  # prepared by the driver after the fifth time
            say("again", c.execute(f"SELECT {COLUMN} FROM users WHERE id = %s", [i]).fetchone())
        for i in range(8):
            c.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s", [role(f"r{i}"), i])
        say("updated", c.execute(f"SELECT id, {COLUMN} FROM users ORDER BY id").fetchall())
        say("binary", c.execute(f"SELECT {COLUMN}, id FROM users ORDER BY id", binary=True).fetchall())

        with c.cursor() as cursor:
            cursor.executemany(f"INSERT INTO users (id, name, {COLUMN}) VALUES (%s, %s, %s) RETURNING {COLUMN}",
                               [(20 + i, f"n{i}", role("many", str(i))) for i in range(5)], returning=True)
            say("executemany", cursor.fetchone())
        with c.pipeline():
            cursors = [c.execute(f"UPDATE orders SET {TOTAL} = %s WHERE id = %s RETURNING *", [total(i), i])
                       for i in range(1, 5)]
        say("pipeline", [cursor.fetchall() for cursor in cursors])

        try:
            with c.transaction():
                c.execute(f"INSERT INTO users (id, {COLUMN}) VALUES (30, %s)", [role("gone")])
                c.execute(f"INSERT INTO users (id, {COLUMN}) VALUES (1, %s)", [role("twice")])
        except psycopg.errors.UniqueViolation as error:
            say("unique", error.diag.sqlstate, error.diag.constraint_name, error.diag.table_name)
        with c.transaction():
            c.execute(f"UPDATE users SET {COLUMN} = NULL WHERE id = 1")
            try:
                with c.transaction():
                    c.execute("SELECT 1 / 0")
            except psycopg.errors.DivisionByZero as error:
                say("savepoint", error.diag.sqlstate)

        with c.transaction():
            with c.cursor(name="chunks") as cursor:
                cursor.execute(f"SELECT id, {COLUMN} FROM users ORDER BY id")
                say("described", [(d.name, d.type_code) for d in cursor.description])
                while rows := cursor.fetchmany(3):
                    say("chunk", rows)

        with c.cursor() as cursor, cursor.copy("COPY users TO STDOUT") as copy:
            say("copy out", sorted(copy.rows()))
        with c.cursor() as cursor, cursor.copy(f"COPY users (id, name, {COLUMN}) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "text" if COLUMN == "role" else "text[]"])
            say("copy binary", sorted(copy.rows()))
        say("grouped", c.execute(f"SELECT {COLUMN}, count(*) FROM users GROUP BY {COLUMN} ORDER BY 1").fetchall())
        c.execute("LISTEN news")
        with psycopg.connect(autocommit=True) as other:
            other.execute("NOTIFY news, 'hello'")
            say("heard", next(c.notifies()).payload)
            cancel_and_go_on(c, other)
    asyncio.run(in_a_loop())


async def in_a_loop():
    async with await open_pool() as pool:
        await asynchronous(pool)


async def open_pool():
    pool = AsyncConnectionPool("", min_size=2, max_size=2, open=False, kwargs={"autocommit": True})
    await pool.open(wait=True)
    return pool


async def asynchronous(pool):
    async with pool.connection() as c, pool.connection() as other:
        async with c.pipeline():
            cursors = [await c.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s RETURNING *",
                                       [role("loop", str(i)), NAPPER + i]) for i in range(3)]
        say("pipeline in a loop", [await cursor.fetchall() for cursor in cursors])
        say("stream", [row async for row in c.cursor().stream(f"SELECT id, {COLUMN} {USER_ROWS}")])
        async with c.transaction(), c.cursor(name="chunks") as cursor:
            await cursor.execute(f"SELECT id, {COLUMN} {USER_ROWS}")
            say("chunk in a loop", await cursor.fetchmany(2), [row async for row in cursor])
        async with c.cursor() as cursor, cursor.copy(f"COPY (SELECT id, {COLUMN} {USER_ROWS}) TO STDOUT") as copy:
            say("copy in a loop", [row async for row in copy.rows()])
        napping = asyncio.create_task(c.execute(NAP))
        await other.execute(WAIT_FOR_NAP)
        c.cancel()
        try:
            await napping
        except psycopg.errors.QueryCanceled as error:
            say("canceled in a loop", error.sqlstate)


def cancel_and_go_on(c, other):
    canceler = when_napping(lambda: other.execute(WAIT_FOR_NAP), c.cancel)
    try:
        c.execute(NAP)
    except psycopg.errors.QueryCanceled as error:
        say("canceled", error.sqlstate)
    canceler.join()
    say("after it", c.execute(f"SELECT {COLUMN}, name FROM users WHERE id = %s", [NAPPER]).fetchall())


def rounds():
    c, other = (psycopg.connect(autocommit=True) for _ in range(2))
    reader = psycopg.connect()
    c.prepare_threshold = 1
    c.execute(f"LISTEN news_{BASE}")
    heard, chunks = [], []
    loop = asyncio.new_event_loop()
    pool = loop.run_until_complete(open_pool())
    c.add_notify_handler(heard.append)

    def one_round(number):
        if chunks:
            say("rest", chunks.pop().fetchall())
            reader.commit()
        if number == 0:
            return
        at = BASE + number % 10
        c.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s", [role(f"p{number}", "x"), at])
        for binary in (False, True):
            say("role", c.execute(
                f"SELECT id, {COLUMN} FROM users WHERE id = %s", [at], binary=binary).fetchall())
        with c.pipeline():
            cursors = [c.execute(f"INSERT INTO orders VALUES (%s, %s, %s) RETURNING *",
                                 [BASE + 20 + i, i, total(100 * number + i)]) for i in range(4)]
            c.execute("UPDATE transactions SET amount = %s WHERE id = %s", [amount(number), at])
            cursors.append(c.execute("SELECT * FROM transactions WHERE id = %s", [at], binary=True))
        say("pipeline", [cursor.fetchall() for cursor in cursors])
        with c.transaction():
            c.execute(f"UPDATE orders SET {TOTAL} = {TOTAL} + %s WHERE id = %s", [total(100), at])
            try:
                with c.transaction():
                    c.execute(f"INSERT INTO orders (id, {TOTAL}) VALUES (%s, %s)", [at, total(1)])
            except psycopg.errors.UniqueViolation as error:
                say("unique", error.diag.sqlstate, error.diag.constraint_name)
        with c.cursor() as cursor:
            with cursor.copy(f"COPY orders (id, {TOTAL}) FROM STDIN") as copy:
                copy.write_row((BASE + 30, total(number)))
                copy.write_row((BASE + 31, None))
            with cursor.copy(f"COPY (SELECT * {ORDER_ROWS}) TO STDOUT") as copy:
                say("orders", list(copy.rows()))
            cursor.execute("DELETE FROM orders WHERE id BETWEEN %s AND %s", [BASE + 20, BASE + 39])
        c.execute(f"NOTIFY news_{BASE}, '{number}'")
        (notify,) = heard
        say("heard", notify.payload, heard.clear())
        cancel_and_go_on(c, other)
        loop.run_until_complete(asynchronous(pool))
        chunks.append(reader.cursor(name="chunks"))
        chunks[0].execute(f"SELECT id, {COLUMN} {USER_ROWS}")
        say("chunk", chunks[0].fetchmany(3))

    return one_round


run(idioms, rounds)
