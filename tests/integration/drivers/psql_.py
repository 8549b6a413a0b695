"""psql: its own commands on either side of SQL (\\gdesc, \\gset, \\crosstabview, \\copy, FETCH_COUNT)."""

import os
import signal
import subprocess
import time

from common import BASE, COLUMN, ORDER_ROWS, TOTAL, USER_ROWS, amount, role, run, total

ARRAY = COLUMN == "roles"
IDIOMS = f"""
\\set ON_ERROR_STOP 0
\\set VERBOSITY sqlstate
SELECT * FROM users ORDER BY id;
SELECT * FROM users ORDER BY id LIMIT 1 \\gx
SELECT *, {COLUMN} AS again FROM users WHERE {COLUMN} IS NULL \\gdesc
SELECT {COLUMN} AS mine, id AS number FROM users WHERE id = 1 \\gset
\\echo :mine :number
SELECT id FROM users WHERE {COLUMN} = :'mine';
PREPARE by_role AS SELECT id, {COLUMN} FROM users WHERE {COLUMN} = $1 ORDER BY id;
EXECUTE by_role ('{{admin}}');
EXECUTE by_role ('viewer');
DEALLOCATE by_role;
UPDATE users SET {COLUMN} = {"ARRAY['a','b']" if ARRAY else "'a,b'"} WHERE id < 3 RETURNING *;
SELECT user_id, id, {TOTAL} FROM orders ORDER BY id \\crosstabview user_id id {TOTAL}
SELECT 'SELECT {COLUMN} FROM users WHERE id = ' || id FROM users WHERE id < 3 ORDER BY id \\gexec
\\set FETCH_COUNT 2
SELECT id, {COLUMN} FROM users ORDER BY id;
\\unset FETCH_COUNT
\\copy users (id, name, {COLUMN}) from stdin
950\tcopied\t{"{x,y}" if ARRAY else "x,y"}
951\tnothing\t\\N
\\.
\\copy (SELECT id, {COLUMN} FROM users ORDER BY id) to stdout (format csv, header)
\\set ON_ERROR_ROLLBACK on
BEGIN;
UPDATE orders SET {TOTAL} = 1 WHERE id = 1;
INSERT INTO users (id) VALUES (1);
\\echo :LAST_ERROR_SQLSTATE
SELECT * FROM orders WHERE id = 1;
COMMIT;
\\unset ON_ERROR_ROLLBACK
BEGIN;
DECLARE chunks CURSOR FOR SELECT id, {COLUMN} FROM users ORDER BY id;
FETCH 2 FROM chunks;
MOVE 1 IN chunks;
FETCH 2 FROM chunks;
COMMIT;
BEGIN \\; SELECT {COLUMN} FROM users WHERE id = 1 \\; SELECT count(*) FROM users \\; COMMIT;
LISTEN news;
\\o /dev/null
NOTIFY news, 'hello';
\\o
\\pset format csv
SELECT id, {COLUMN} FROM users ORDER BY id;
\\pset format unaligned
SELECT {COLUMN}, count(*) FROM users GROUP BY 1 ORDER BY 1;
DELETE FROM users WHERE id >= 950;
"""
PSQL = ["psql", "--no-psqlrc", "--quiet"]


def idioms():
    done = subprocess.run(PSQL, input=IDIOMS, text=True, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    # a notification names the server process
    print("\n".join(line.split(" with payload")[0] + "'hello'" if line.startswith("Asynchronous") else line
                    for line in done.stdout.splitlines()))
    interrupt()


def interrupt():
    """Ctrl-C, which cancels the query and leaves psql at its prompt."""
    with subprocess.Popen([*PSQL, "-v", "VERBOSITY=sqlstate"], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as psql:
        psql.stdin.write(f"\\echo ready\nSELECT pg_sleep(60);\nSELECT {COLUMN} FROM users WHERE id = 1;\n")
        psql.stdin.close()
        print(psql.stdout.readline(), end="")
        time.sleep(0.5)  # it says nothing more once it waits for the server
        os.kill(psql.pid, signal.SIGINT)
        print(psql.stdout.read(), end="")


def script(number):
    at = BASE + number % 10
    literal = f"'{{p{number},x}}'" if ARRAY else f"'p{number},x'"
    rows = ", ".join(f"({BASE + 20 + i}, {i}, {total(100 * number + i)})" for i in range(4))
    return f"""
EXECUTE change ({literal}, {at});
EXECUTE by_id ({at});
EXECUTE by_id ({at}) \\gdesc
UPDATE transactions SET amount = '{amount(number)}' WHERE id = {at};
SELECT * FROM transactions WHERE id = {at};
INSERT INTO orders VALUES {rows} RETURNING *;
\\set ON_ERROR_ROLLBACK on
BEGIN;
UPDATE orders SET {TOTAL} = {TOTAL} + 1 WHERE id = {at};
INSERT INTO orders (id) VALUES ({at});
\\echo :LAST_ERROR_SQLSTATE
COMMIT;
\\copy orders (id, {TOTAL}) from stdin
{BASE + 30}\t{number}
{BASE + 31}\t\\N
\\.
\\copy (SELECT * {ORDER_ROWS}) to stdout
DELETE FROM orders WHERE id BETWEEN {BASE + 20} AND {BASE + 39};
BEGIN;
DECLARE chunks CURSOR FOR SELECT id, {COLUMN} {USER_ROWS};
FETCH 3 FROM chunks;
"""


def rounds():
    psql = subprocess.Popen([*PSQL, "-v", "VERBOSITY=sqlstate"], stdin=subprocess.PIPE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    psql.stdin.write(f"PREPARE by_id (int) AS SELECT id, {COLUMN} FROM users WHERE id = $1;\n"
                     f"PREPARE change AS UPDATE users SET {COLUMN} = $1 WHERE id = $2;\n")

    def one_round(number):
        if psql.opened:
            psql.stdin.write("FETCH ALL FROM chunks;\nCOMMIT;\n")
        psql.opened = True
        psql.stdin.write(script(number) + "\\echo end of round\n")
        psql.stdin.flush()
        for line in psql.stdout:
            if line == "end of round\n":
                return
            print(line, end="")
        raise SystemExit("psql ended")

    psql.opened = False
    return one_round


run(idioms, rounds)
