"""asyncpg: everything prepared and binary, its own look at types, cursors, executemany, COPY."""

import asyncio
import io

import asyncpg

from common import (BASE, COLUMN, DATABASE, HOST, NAP, NAPPER, ORDER_ROWS, PORT, TOTAL, USER, USER_ROWS,
                    WAIT_FOR_NAP, amount, role, run, say, total)


async def idioms():
    c = await asyncpg.connect(host=HOST, port=PORT, user=USER, database=DATABASE)
    say("star", [dict(row) for row in await c.fetch("SELECT * FROM users ORDER BY id")])
    statement = await c.prepare(f"SELECT id, {COLUMN} FROM users WHERE {COLUMN} = $1")
    say("parameters", [p.name for p in statement.get_parameters()],
        [(a.name, a.type.name) for a in statement.get_attributes()])
    for names in (("viewer",), ("admin",), ("none",)):
        say("prepared", [tuple(row) for row in await statement.fetch(role(*names))])
    await c.executemany(f"INSERT INTO users (id, name, {COLUMN}) VALUES ($1, $2, $3)",
                        [(60 + i, f"m{i}", role("m", str(i))) for i in range(20)])
    say("many", [tuple(row) for row in await c.fetch("SELECT * FROM users WHERE id >= 60 ORDER BY id")])
    try:
        async with c.transaction():
            await c.execute(f"UPDATE users SET {COLUMN} = $1", role("undone"))
            await c.execute("INSERT INTO users (id) VALUES ($1)", 1)
    except asyncpg.UniqueViolationError as error:
        say("unique", error.sqlstate, error.constraint_name)
    async with c.transaction():
        async for row in c.cursor(f"SELECT id, {COLUMN} FROM users ORDER BY id", prefetch=4):
            say("cursor", tuple(row))
    say("returning", await c.fetchval(
        f"UPDATE orders SET {TOTAL} = $1 WHERE id = 1 RETURNING {TOTAL}", total(4200)))
    out = io.BytesIO()
    await c.copy_from_query(f"SELECT id, {COLUMN} FROM users ORDER BY id", output=out)
    say("copy", out.getvalue().decode())
    heard = asyncio.get_running_loop().create_future()
    await c.add_listener("news", lambda *event: heard.set_result(event[3]))
    await c.execute("NOTIFY news, 'hello'")
    say("heard", await asyncio.wait_for(heard, 10))
    other = await asyncpg.connect(host=HOST, port=PORT, user=USER, database=DATABASE)
    await cancel_and_go_on(c, other)
    await other.close()
    await c.close()


async def cancel_and_go_on(c, other):
    napping = asyncio.create_task(c.execute(NAP))
    await other.fetchval(WAIT_FOR_NAP)
    napping.cancel()
    try:
        await napping
    except asyncio.CancelledError:
        say("canceled")
    # which waits until the driver's own request has been heard
    say("after it", tuple(await c.fetchrow(f"SELECT {COLUMN}, name FROM users WHERE id = $1", NAPPER)))


class Rounds:
    async def open(self):
        self.pool = await asyncpg.create_pool(host=HOST, port=PORT, user=USER, database=DATABASE,
                                              min_size=3, max_size=3)
        self.reader = await self.pool.acquire()
        self.c = await self.pool.acquire()
        self.by_id = await self.c.prepare(f"SELECT id, {COLUMN} FROM users WHERE id = $1")
        self.heard = asyncio.Queue()
        await self.c.add_listener(f"news_{BASE}", lambda *event: self.heard.put_nowait(event[3]))
        self.transaction = None

    async def one_round(self, number):
        c = self.c
        if self.transaction:
            say("rest", await self.cursor.fetch(100))
            await self.transaction.commit()
            self.transaction = None
        if number == 0:
            return
        at = BASE + number % 10
        async with self.pool.acquire() as other:
            await other.execute(f"UPDATE users SET {COLUMN} = $1 WHERE id = $2", role(f"p{number}", "x"), at)
        say("role", await self.by_id.fetch(at))
        await c.execute("UPDATE transactions SET amount = $1 WHERE id = $2", amount(number), at)
        say("amount", await c.fetch("SELECT * FROM transactions WHERE id = $1", at))
        await c.executemany("INSERT INTO orders VALUES ($1, $2, $3)",
                            [(BASE + 20 + i, i, total(100 * number + i)) for i in range(4)])
        async with c.transaction():
            await c.execute(f"UPDATE orders SET {TOTAL} = {TOTAL} + $1 WHERE id = $2", total(100), at)
            try:
                async with c.transaction():
                    await c.execute(f"INSERT INTO orders (id, {TOTAL}) VALUES ($1, $2)", at, total(1))
            except asyncpg.UniqueViolationError as error:
                say("unique", error.sqlstate, error.constraint_name)
        await c.copy_records_to_table("orders", columns=["id", TOTAL], records=[
            (BASE + 30, total(number)), (BASE + 31, None)])
        out = io.BytesIO()
        await c.copy_from_query(f"SELECT * {ORDER_ROWS}", output=out)
        say("orders", out.getvalue().decode())
        await c.execute("DELETE FROM orders WHERE id BETWEEN $1 AND $2", BASE + 20, BASE + 39)
        await c.execute(f"NOTIFY news_{BASE}, '{number}'")
        say("heard", await asyncio.wait_for(self.heard.get(), 30))
        async with self.pool.acquire() as other:
            await cancel_and_go_on(c, other)
        self.transaction = self.reader.transaction()
        await self.transaction.start()
        self.cursor = await self.reader.cursor(f"SELECT id, {COLUMN} {USER_ROWS}")
        say("chunk", await self.cursor.fetch(3))


def rounds():
    loop = asyncio.new_event_loop()
    program = Rounds()
    loop.run_until_complete(program.open())
    return lambda number: loop.run_until_complete(program.one_round(number))


run(lambda: asyncio.run(idioms()), rounds)
