"""psql: its own commands on either side of SQL (\\gdesc, \\gset, \\crosstabview, \\copy, FETCH_COUNT)."""

import os
import pty
import re
import subprocess
import termios

from common import (BASE, COLUMN, NAP, NAPPER, ORDER_ROWS, TOTAL, USER_ROWS, WAIT_FOR_NAP, amount, run, total)

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
NOTIFY news, 'hello';
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
    print(without_process(done.stdout), end="")
    terminal = Terminal()
    with piped() as other:
        terminal.interrupt(other)
    terminal.end()


def without_process(printed):
    """A notification names the server process that sent it, which is another in every run."""
    return re.sub(r"(Asynchronous notification .*) received from server process with PID \d+\.", r"\1", printed)


def piped():
    return subprocess.Popen([*PSQL, "-v", "VERBOSITY=sqlstate"], stdin=subprocess.PIPE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def lines_of(psql, script):
    """What it prints while it runs this."""
    psql.stdin.write(script + "\\echo end of script\n")
    psql.stdin.flush()
    for line in psql.stdout:
        if line == "end of script\n":
            return
        yield line
    raise SystemExit("psql ended")


class Terminal:
    """psql at a terminal, where Ctrl-C cancels the statement and leaves it at its prompt."""

    def __init__(self):
        self.pid, terminal = pty.fork()
        if self.pid == 0:
            options = ["-v", "PROMPT1=", "-v", "PROMPT2=", "-v", "VERBOSITY=sqlstate"]
            os.execvp(PSQL[0], [*PSQL, "--no-readline", "-P", "pager=off", *options])
        settings = termios.tcgetattr(terminal)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        self.terminal = open(terminal, "r+b", buffering=0)

    def type(self, keys):
        self.terminal.write(keys.encode())

    def print_until(self, what):
        for line in self.terminal:
            line = line.decode().rstrip()
            print(line)
            if what in line:
                return

    def interrupt(self, other):
        self.type(f"{NAP};\n")
        list(lines_of(other, f"{WAIT_FOR_NAP};\n"))
        self.type("\x03")
        self.print_until("ERROR")  # with what was typed ahead a terminal forgets on Ctrl-C
        self.type(f"SELECT {COLUMN}, name FROM users WHERE id = {NAPPER};\n\\echo at its prompt\n")
        self.print_until("at its prompt")

    def end(self):
        self.type("\\q\n")
        assert os.waitpid(self.pid, 0)[1] == 0


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
BEGIN \\; SELECT {TOTAL} FROM orders WHERE id = {at} \\;
DELETE FROM orders WHERE id BETWEEN {BASE + 20} AND {BASE + 39} \\; COMMIT;
NOTIFY news_{BASE}, '{number}';
BEGIN;
DECLARE chunks CURSOR FOR SELECT id, {COLUMN} {USER_ROWS};
FETCH 3 FROM chunks;
"""


def rounds():
    psql, terminal = piped(), Terminal()
    before = [f"LISTEN news_{BASE};\n"
              f"PREPARE by_id (int) AS SELECT id, {COLUMN} FROM users WHERE id = $1;\n"
              f"PREPARE change AS UPDATE users SET {COLUMN} = $1 WHERE id = $2;\n"]

    def one_round(number):
        for line in lines_of(psql, before.pop() + (script(number) if number else "")):
            print(without_process(line), end="")
        before.append("FETCH ALL FROM chunks;\nCOMMIT;\n" if number else "")
        if number:
            terminal.interrupt(psql)

    return one_round


run(idioms, rounds)
