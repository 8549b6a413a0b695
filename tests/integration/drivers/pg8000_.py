"""pg8000: a driver in pure Python with its own idea of the protocol."""

import pg8000

from common import COLUMN, DATABASE, HOST, PORT, TOTAL, USER, role, say, total

c = pg8000.connect(user=USER, host=HOST, port=PORT, database=DATABASE)
cursor = c.cursor()
cursor.execute("SELECT * FROM users ORDER BY id")
say("star", [d[:2] for d in cursor.description], cursor.fetchall())
for i in range(4):
    cursor.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s", (role("p", str(i)), i))
c.commit()
cursor.execute(f"SELECT id, {COLUMN} FROM users ORDER BY id")
say("updated", cursor.fetchall())
cursor.execute(f"INSERT INTO orders (id, user_id, {TOTAL}) VALUES (%s, %s, %s)", (90, 1, total(12345)))
c.rollback()
cursor.execute("SELECT * FROM orders ORDER BY id")
say("rolled back", cursor.fetchall())
try:
    cursor.execute("INSERT INTO users (id) VALUES (1)")
except pg8000.ProgrammingError as error:
    say("unique", error.args[1] if isinstance(error.args[0], str) and len(error.args) > 1 else str(error.args[0])[:5])
c.rollback()
c.close()
