"""psycopg 2: literals in the text, execute_values, named cursors, COPY, LISTEN."""

import io

import psycopg2
import psycopg2.extras
import psycopg2.pool

from common import (BASE, COLUMN, NAP, NAPPER, ORDER_ROWS, TOTAL, USER_ROWS, WAIT_FOR_NAP, amount, heard,
                    role, run, say, total, when_napping)


def idioms():
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
        say("heard", heard(c))
        cursor.execute(f"SELECT {COLUMN} FROM users WHERE id = 1; SELECT count(*) FROM users")
        say("two statements", cursor.fetchall())
    out = io.StringIO()
    with c.cursor() as cursor:
        cursor.copy_expert("COPY users FROM STDIN (FORMAT csv)", io.StringIO(
            '90,copied,"{x,y}"\n91,nothing,\n' if COLUMN == "roles" else '90,copied,"x,y"\n91,nothing,\n'))
        cursor.copy_expert(f"COPY (SELECT id, {COLUMN} FROM users ORDER BY id) TO STDOUT (FORMAT csv)", out)
        say("copied", out.getvalue())
    other = psycopg2.connect("")
    cancel_and_go_on(c, other)
    other.close()
    c.close()


def cancel_and_go_on(c, other):
    canceler = when_napping(lambda: other.cursor().execute(WAIT_FOR_NAP), c.cancel)
    with c.cursor() as cursor:
        try:
            cursor.execute(NAP)
        except psycopg2.errors.QueryCanceled as error:
            say("canceled", error.pgcode)
        canceler.join()
        other.rollback()
        cursor.execute(f"SELECT {COLUMN}, name FROM users WHERE id = %s", (NAPPER,))
        say("after it", cursor.fetchall())


def rounds():
    pool = psycopg2.pool.ThreadedConnectionPool(2, 3, "")
    reader, listener = pool.getconn(), pool.getconn()
    listener.autocommit = True
    listener.cursor().execute(f"LISTEN news_{BASE}")
    listener.cursor().execute(f"PREPARE by_id (int) AS SELECT id, {COLUMN} FROM users WHERE id = $1")
    chunks = []

    def one_round(number):
        if chunks:
            say("rest", chunks.pop().fetchall())
            reader.commit()
        if number == 0:
            return
        at = BASE + number % 10
        with listener.cursor() as c:
            c.execute(f"UPDATE users SET {COLUMN} = %s WHERE id = %s", (role(f"p{number}", "x"), at))
            c.execute("EXECUTE by_id (%s)", (at,))
            say("role", [d[:2] for d in c.description], c.fetchall())
            c.execute("UPDATE transactions SET amount = %s WHERE id = %s", (amount(number), at))
            c.execute("SELECT * FROM transactions WHERE id = %s", (at,))
            say("amount", c.fetchall())
            rows = [(BASE + 20 + i, i, total(100 * number + i)) for i in range(4)]
            psycopg2.extras.execute_values(c, "INSERT INTO orders VALUES %s RETURNING *", rows)
            say("values", c.fetchall())
            c.execute("BEGIN")
            c.execute(f"UPDATE orders SET {TOTAL} = {TOTAL} + %s WHERE id = %s", (total(100), at))
            c.execute("SAVEPOINT here")
            try:
                c.execute(f"INSERT INTO orders (id, {TOTAL}) VALUES (%s, %s)", (at, total(1)))
            except psycopg2.errors.UniqueViolation as error:
                say("unique", error.pgcode, error.diag.constraint_name)
            c.execute("ROLLBACK TO here")
            c.execute("COMMIT")
            c.copy_expert(f"COPY orders (id, {TOTAL}) FROM STDIN",
                          io.StringIO(f"{BASE + 30}\t{number}\n{BASE + 31}\t\\N\n"))
            out = io.StringIO()
            c.copy_expert(f"COPY (SELECT * {ORDER_ROWS}) TO STDOUT", out)
            say("orders", out.getvalue())
            c.execute("DELETE FROM orders WHERE id BETWEEN %s AND %s", (BASE + 20, BASE + 39))
            c.execute(f"NOTIFY news_{BASE}, '{number}'")
        say("heard", heard(listener))
        other = pool.getconn()
        cancel_and_go_on(listener, other)
        pool.putconn(other)
        chunks.append(reader.cursor("chunks"))
        chunks[0].execute(f"SELECT id, {COLUMN} {USER_ROWS}")
        say("chunk", chunks[0].fetchmany(3))

    return one_round


run(idioms, rounds)
