"""asyncpg: everything prepared and binary, its own look at types, cursors, executemany, COPY."""

import asyncio
import io

import asyncpg

from common import COLUMN, DATABASE, HOST, PORT, TOTAL, USER, role, say, total


async def main():
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
    say("notified", await asyncio.wait_for(heard, 10))
    await c.close()


asyncio.run(main())
