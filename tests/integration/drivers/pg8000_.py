"""pg8000: a driver in pure Python with its own idea of the protocol, in SQLAlchemy's pool: it has none."""

import contextlib
import io
import os

import pg8000

from common import (BASE, COLUMN, DATABASE, HOST, NAP, NAPPER, ORDER_ROWS, PORT, TOTAL, USER, USER_ROWS,
                    WAIT_FOR_NAP, amount, role, run, say, total, when_napping)


def connect():
    # it can ask for TLS, not check whom it talks to
    return pg8000.connect(user=USER, host=HOST, port=PORT, database=DATABASE,
                          password=os.environ.get("PGPASSWORD"), ssl="PGSSLROOTCERT" in os.environ)


def idioms():
    c, other = connect(), connect()
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
    c.autocommit = True
    cursor.execute("LISTEN news")
    cursor.execute("NOTIFY news, 'hello'")
    say("heard", heard(c))
    cancel_and_go_on(c, other)
    c.close()
    other.close()


def heard(c):
    """Of a notification the driver keeps the channel, not the payload."""
    with c.notifies_lock:
        channels = [channel for _, channel in c.notifies]
        c.notifies.clear()
    return channels


def cancel_and_go_on(c, other):
    """The driver has no cancel request, its users call the function."""
    c.autocommit = other.autocommit = True
    cursor, canceler = c.cursor(), other.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    pid = cursor.fetchone()
    waiting = when_napping(lambda: canceler.execute(WAIT_FOR_NAP),
                           lambda: canceler.execute("SELECT pg_cancel_backend(%s)", pid))
    try:
        cursor.execute(NAP)
    except pg8000.ProgrammingError as error:
        say("canceled", error.args[1])
    waiting.join()
    cursor.execute(f"SELECT {COLUMN}, name FROM users WHERE id = %s", (NAPPER,))
    say("after it", cursor.fetchall())


def rounds():
    from sqlalchemy.pool import QueuePool  # which takes as long to load as all the idioms to run
    c, other, reader = (connect() for _ in range(3))
    c.autocommit = True
    cursor, chunks, opened = c.cursor(), reader.cursor(), []
    pool = QueuePool(connect, pool_size=1, max_overflow=0)
    cursor.execute(f"LISTEN news_{BASE}")

    def one_round(number):
        if opened:
            chunks.execute("FETCH ALL FROM chunks")
            say("rest", chunks.fetchall())
            reader.commit()
            opened.clear()
        if number == 0:
            return
        at = BASE + number % 10
        # the driver prepares every text once, and uses it again
        cursor.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s", (role(f"p{number}", "x"), at))
        cursor.execute(f"SELECT id, {COLUMN} FROM users WHERE id = %s", (at,))
        say("role", [d[:2] for d in cursor.description], cursor.fetchall())
        with contextlib.closing(pool.connect()) as pooled, contextlib.closing(pooled.cursor()) as mine:
            mine.execute("UPDATE transactions SET amount = %s WHERE id = %s", (amount(number), at))
            pooled.commit()
            mine.execute("SELECT * FROM transactions WHERE id = %s", (at,))
            say("amount", mine.fetchall())
            mine.execute(f"UPDATE orders SET {TOTAL} = {TOTAL} + %s WHERE id = %s", (total(100), at))
            mine.execute("SAVEPOINT here")
            try:
                mine.execute("INSERT INTO orders (id) VALUES (%s)", (at,))
            except pg8000.ProgrammingError as error:
                say("unique", error.args[1])
            mine.execute("ROLLBACK TO here")
            mine.execute(f"UPDATE orders SET {TOTAL} = {TOTAL} + %s WHERE id = %s", (total(100), at))
            pooled.commit()
            # what nobody commits is rolled back as the connection returns
            mine.execute(f"UPDATE orders SET {TOTAL} = NULL WHERE id = %s", (at,))
        cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s)",
                           [(BASE + 20 + i, i, total(100 * number + i)) for i in range(4)])
        cursor.execute("COPY orders FROM STDIN (FORMAT csv)", stream=io.BytesIO(
            f"{BASE + 30},1,{number}\n{BASE + 31},2,\n".encode()))
        out = io.BytesIO()
        cursor.execute(f"COPY (SELECT * {ORDER_ROWS}) TO STDOUT", stream=out)
        say("orders", out.getvalue().decode())
        cursor.execute("DELETE FROM orders WHERE id BETWEEN %s AND %s", (BASE + 20, BASE + 39))
        cursor.execute(f"NOTIFY news_{BASE}, '{number}'")
        say("heard", heard(c))
        cancel_and_go_on(c, other)
        opened.append(number)
        chunks.execute(f"DECLARE chunks CURSOR FOR SELECT id, {COLUMN} {USER_ROWS}")
        chunks.execute("FETCH 3 FROM chunks")
        say("chunk", chunks.fetchall())

    return one_round


run(idioms, rounds)
