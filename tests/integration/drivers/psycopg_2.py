"""psycopg 2: literals in the text, execute_values, named cursors, COPY, LISTEN."""

import select

import psycopg2
import psycopg2.extras

from common import COLUMN, TOTAL, role, say, total

c = psycopg2.connect("")
with c, c.cursor() as cursor:
    cursor.execute("SELECT * FROM users ORDER BY id")
    say("star", [d.name for d in cursor.description], [d.type_code for d in cursor.description],
        cursor.fetchall())
    psycopg2.extras.execute_values(
        cursor, f"INSERT INTO users (id, name, {COLUMN}) VALUES %s RETURNING id, {COLUMN}",
        [(40 + i, f"v{i}", role("a", str(i))) for i in range(6)])
    say("values", cursor.fetchall())
    psycopg2.extras.execute_batch(
        cursor, f"UPDATE orders SET {TOTAL} = %s WHERE id = %s", [(total(100 * i), i) for i in range(1, 5)])
    cursor.execute("SELECT * FROM orders ORDER BY id")
    say("batch", cursor.fetchall())
try:
    with c, c.cursor() as cursor:
        cursor.execute(f"UPDATE users SET {COLUMN} = %s", (role("undone"),))
        cursor.execute("INSERT INTO users (id) VALUES (1)")
except psycopg2.errors.UniqueViolation as error:
    say("unique", error.pgcode, error.diag.constraint_name, error.diag.message_detail)
with c, c.cursor("chunks") as cursor:
    cursor.itersize = 2
    cursor.execute(f"SELECT id, {COLUMN} FROM users ORDER BY id")
    say("cursor", list(cursor))
with c, c.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
    cursor.execute(f"SELECT u.*, o.{TOTAL} FROM users u LEFT JOIN orders o ON o.user_id = u.id "
                   "ORDER BY u.id, o.id")
    say("joined", cursor.fetchall())
c.autocommit = True
with c.cursor() as cursor:
    cursor.execute("LISTEN news")
    cursor.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = 1", (role("told"),))
    cursor.execute("NOTIFY news, 'hello'")
    while not c.notifies:
        select.select([c], [], [], 10)
        c.poll()
    say("notified", c.notifies[0].channel, c.notifies[0].payload)
    cursor.execute(f"SELECT {COLUMN} FROM users WHERE id = 1; SELECT count(*) FROM users")
    say("two statements", cursor.fetchall())
