"""pg8000: a driver in pure Python with its own idea of the protocol."""

import io

import pg8000

from common import (BASE, COLUMN, DATABASE, HOST, ORDER_ROWS, PORT, TOTAL, USER, USER_ROWS, amount, role,
                    run, say, total)


def idioms():
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


def rounds():
    c, reader = (pg8000.connect(user=USER, host=HOST, port=PORT, database=DATABASE) for _ in range(2))
    c.autocommit = True
    cursor, chunks, opened = c.cursor(), reader.cursor(), []

    def one_round(number):
        if opened:
            chunks.execute("FETCH ALL FROM chunks")
            say("rest", chunks.fetchall())
            reader.commit()
        at = BASE + number % 10
        # the driver prepares every text once, and uses it again
        cursor.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s", (role(f"p{number}", "x"), at))
        cursor.execute(f"SELECT id, {COLUMN} FROM users WHERE id = %s", (at,))
        say("role", [d[:2] for d in cursor.description], cursor.fetchall())
        cursor.execute("UPDATE transactions SET amount = %s WHERE id = %s", (amount(number), at))
        cursor.execute("SELECT * FROM transactions WHERE id = %s", (at,))
        say("amount", cursor.fetchall())
        cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s)",
                           [(BASE + 20 + i, i, total(100 * number + i)) for i in range(4)])
        cursor.execute("COPY orders FROM STDIN (FORMAT csv)", stream=io.BytesIO(
            f"{BASE + 30},1,{number}\n{BASE + 31},2,\n".encode()))
        cursor.execute(f"SELECT * {ORDER_ROWS}")
        say("orders", cursor.fetchall())
        cursor.execute("DELETE FROM orders WHERE id BETWEEN %s AND %s", (BASE + 20, BASE + 39))
        opened.append(number)
        chunks.execute(f"DECLARE chunks CURSOR FOR SELECT id, {COLUMN} {USER_ROWS}")
        chunks.execute("FETCH 3 FROM chunks")
        say("chunk", chunks.fetchall())

    return one_round


run(idioms, rounds)
