"""
What takes several statements, or data: cursors, PREPARE, transactions, texts of several statements,
COPY. `statement` is where a case begins.
"""

from case import Case, is_ordered
from copy_data import array_text, binary_rows, csv_rows, text_rows
from garden import TABLES
from grammar import Item, Level, quote
from grammar_write import StatementGrammar

# Written without a sign of its type, for EXECUTE; for arrays in binary COPY, the items.
VALUES = {
    "int": ["1", "2", "30"], "text": ["admin", "a,b", "", "é", "t\\a\tb", 'q"uo', "none"],
    "date": ["2020-01-01", "1999-12-31"], "money": ["10.50", "3.25", "-0.25", "0.00"],
    "qty": ["7", "-7", "0"], "arr": [["admin", "dev"], [], ["a,b", None], ['q"', "\\"]],
}
WRONG = {"int": "x1", "qty": "1.5", "date": "2020-13-01"}  # no value of the kind, in any shape
FAILING = ["SELECT 1/0", "SELECT nosuch FROM users", "SELECT 1 FROM nosuch", "INSERT INTO users (id) VALUES (1)",
           "SELEC 1"]


def text_of(kind, value):
    return array_text(value) if kind == "arr" and value is not None else value


class SessionGrammar(StatementGrammar):
    # ---- COPY ----

    def copy_to(self):
        options = self.choices.pick(["", " WITH (FORMAT csv, HEADER)", " (FORMAT binary)", " CSV"])
        if self.choices.chance(40):
            return f"COPY ({self.query()[0]}) TO STDOUT{options}"
        table = self.table()
        names = [name for name, _ in table.columns if name not in table.generated
                 and self.choices.chance(60)]
        columns = f" ({', '.join(map(quote, names))})" if names else ""
        return f"COPY {quote(table.name)}{columns} TO STDOUT{options}"

    def copied_columns(self, table):
        columns = table.writable()
        if self.choices.chance(25):
            return "", columns
        kept = [c for c in columns if c[0] == table.key or not self.choices.chance(35)]
        if self.choices.chance(25):
            kept = kept[::-1]
        return f" ({', '.join(quote(name) for name, _ in kept)})", kept

    def copied_value(self, table, name, kind, number):
        if name == table.key:
            return str(self.choices.pick([20, 20, 20, 1]) + 2 * number)
        if name == "name" and table.name == "users":
            return self.choices.pick([None, f"n{number}", f"n{number}"])
        if self.choices.chance(15) and kind != "qty":
            return None
        return self.choices.pick(VALUES[kind])

    def copied_rows(self, table, columns):
        """At most one value of all is wrong: which of two errors is met first, is not promised."""
        rows = [[self.copied_value(table, name, kind, i) for name, kind in columns]
                for i in range(self.choices.below(4))]
        wrong = [i for i, (_, kind) in enumerate(columns) if kind in WRONG]
        if rows and wrong and self.choices.chance(8):
            rows[:-1], at = [], self.choices.pick(wrong)
            rows[-1][at] = WRONG[columns[at][1]]
        return rows

    def copy_where(self, table):
        """Only what COPY FROM takes: no sub-select, and no column that is generated."""
        if not self.choices.chance(25):
            return ""
        columns = [c for c in table.columns if c[0] not in table.generated]
        self.levels.append(Level([Item(table.name, columns, True)]))
        condition = self.own(self.condition, 1)
        self.levels.pop()
        return f" WHERE {condition}"

    def copy_from(self):
        """(sql, data)"""
        table = self.keyed_table()
        list_sql, columns = self.copied_columns(table)
        rows, where = self.copied_rows(table, columns), self.copy_where(table)
        kinds = [kind for _, kind in columns]
        texts = [[text_of(kind, value) for kind, value in zip(kinds, row)] for row in rows]
        names = [name for name, _ in columns]
        form = self.choices.below(9)
        if form == 8 and not any(value in WRONG.values() for row in texts for value in row):
            options, data = " (FORMAT binary)", binary_rows(rows, kinds, self.shape)
        elif form in (5, 6, 7):
            options, data = self.copied_csv(names, texts)
        else:
            options, data = self.copied_text(names, texts)
        return f"COPY {quote(table.name)}{list_sql} FROM STDIN{options}{where}", data

    def copied_text(self, names, rows):
        form = self.choices.below(5)
        if form == 1:
            return " (DELIMITER '|', NULL 'none')", text_rows(
                [[None if value == "none" else value for value in row] for row in rows], "|", "none")
        if form == 2:
            return " WITH (HEADER)", text_rows([["whatever"] * len(names)] + rows)
        if form == 3:
            return " (HEADER MATCH)", text_rows([names] + rows)
        return ("", text_rows(rows) + (b"\\.\n" if form == 4 else b""))

    def copied_csv(self, names, rows):
        form = self.choices.below(6)
        if form == 1:
            return " WITH CSV HEADER", csv_rows([names] + rows)
        if form == 2:
            return " (FORMAT csv, DELIMITER ';', NULL 'none', QUOTE '''')", csv_rows(rows, ";", "none", "'")
        if form == 3:  # a quoted "" is NULL then
            forced = ", ".join(map(quote, names))
            return f" (FORMAT csv, FORCE_NULL ({forced}))", csv_rows(rows)
        if form == 4:
            texts = [name for name in names if name in ("name", "select", "role")]
            forced = f", FORCE_NOT_NULL ({', '.join(map(quote, texts))})" if texts else ""
            return f" (FORMAT csv, HEADER MATCH{forced})", csv_rows([names] + rows)
        return " CSV", csv_rows(rows)

    # ---- cursors ----

    def simple_select(self):
        """(sql, table) of a query of which the cursor's row is a row of the table."""
        table = self.keyed_table()
        item = Item(table.name, table.columns, True)
        self.levels.append(Level([item]))
        head, _ = self.joined(self.targets(None))
        where = f" WHERE {self.condition(1)}" if self.choices.chance(40) else ""
        self.levels.pop()
        lock = " FOR UPDATE" if self.choices.chance(40) else ""
        return f"SELECT {head} FROM {quote(table.name)}{where}{lock}", table

    def current_of(self, table):
        after, _ = self.returning([Item(table.name, table.columns, True)])
        if self.choices.chance(30):
            return f"DELETE FROM {quote(table.name)} WHERE CURRENT OF c{after}"
        self.levels.append(Level([Item(table.name, table.columns, True)]))
        assignments = self.assignments(table)
        self.levels.pop()
        return f"UPDATE {quote(table.name)} SET {assignments} WHERE CURRENT OF c{after}"

    def moves(self, scrolls):
        forward = ["FETCH c", "FETCH 2 FROM c", "FETCH ALL IN c", "MOVE c", "MOVE 2 IN c", "FETCH 0 FROM c"]
        backward = ["FETCH PRIOR FROM c", "FETCH LAST FROM c", "FETCH ABSOLUTE 2 FROM c", "MOVE BACKWARD 1 IN c",
                    "FETCH BACKWARD ALL IN c", "FETCH RELATIVE -1 FROM c", "FETCH FIRST IN c"]
        return [self.choices.pick(forward + (backward if scrolls else []))
                for _ in range(1 + self.choices.below(3))]

    def cursor(self):
        scrolls = self.choices.chance(30)
        declare = f"DECLARE c {'SCROLL ' if scrolls else ''}CURSOR FOR "
        if scrolls or self.choices.chance(35):
            query = self.query(top=True)[0].split(" FOR ")[0]
            sql = declare + query
            # rows that come one by one come in an order
            steps = self.moves(scrolls) if is_ordered(query) else ["FETCH ALL FROM c"]
        else:
            sql, table = self.simple_select()
            sql = declare + sql
            steps = ["FETCH 1 FROM c", self.current_of(table)]
            if self.choices.chance(40):
                steps += ["FETCH 1 FROM c", self.current_of(table)]
            steps += self.moves(False) if self.choices.chance(40) else []
        return [sql, *steps, *(["CLOSE c", "FETCH c"] if self.choices.chance(30) else [])]

    # ---- PREPARE ----

    def prepared(self):
        """With parameters: EXECUTE gives them as literals without a type."""
        inner = type(self)(self.choices, self.shape, self.tables, self.choices.chance(50))
        sql = inner.query(top=True)[0] if self.choices.chance(50) else inner.write()[0]
        given = ", ".join("NULL" if value is None else "'" + value.replace("'", "''") + "'"
                          for _, value in inner.parameters or [])
        execute = f"EXECUTE p{f'({given})' if given else ''}"
        steps = [f"PREPARE p AS {sql}", execute]
        if sql.startswith("SELECT") and self.choices.chance(60):
            steps.append(execute)
        if self.choices.chance(30):
            steps += [self.choices.pick(["DEALLOCATE p", "DEALLOCATE PREPARE p", "DEALLOCATE ALL"]), execute]
        return steps

    def made(self):
        sql, columns = self.query()
        names = ", ".join(f"m{i}" for i in range(len(columns)))
        return [f"CREATE TEMP TABLE made ({names}) AS {sql}", "TABLE made"]

    # ---- transactions ----

    def any_statement(self):
        return self.query(top=True)[0] if self.choices.chance(40) else self.write()[0]

    def savepoints(self):
        """Within the case's own transaction. What failed is rolled back to a savepoint, or not."""
        steps = ["SAVEPOINT a", self.choices.span(self.any_statement)]
        if self.choices.chance(40):
            steps += ["SAVEPOINT b", self.choices.span(self.any_statement)]
            if self.choices.chance(50):
                steps.append(self.choices.pick(["ROLLBACK TO b", "RELEASE b"]))
        if self.choices.chance(40):
            steps.append(self.choices.pick(FAILING))
        steps.append(self.choices.pick(["ROLLBACK TO a", "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a"]))
        return [*steps, self.choices.span(self.any_statement)]

    def texts(self):
        """(one text of several statements, does it commit): in a transaction around it, of its own,
        or one that the text makes."""
        parts = [self.choices.span(self.any_statement) for _ in range(2 + self.choices.below(2))]
        if self.choices.chance(25):
            at = self.choices.below(len(parts) + 1)
            parts.insert(at, self.choices.pick(FAILING))
        form = self.choices.below(6)
        if form == 1:
            parts = ["BEGIN", *parts, self.choices.pick(["COMMIT", "ROLLBACK", "END", "ABORT"])]
        if form == 2:
            parts = [parts[0], "BEGIN", *parts[1:], "COMMIT"]
        if form == 3:
            parts = [parts[0], "COMMIT", *parts[1:]]
        between, end = self.choices.pick(["; ", ";", " ;\n-- ; '\n"]), self.choices.pick(["", ";"])
        return between.join(parts) + end, form in (1, 2, 3) or self.choices.chance(50)


def of_steps(grammar, form):
    """(steps, what else there is to say of the case)"""
    if form == 18:
        return grammar.cursor(), {}
    if form == 19:
        return grammar.prepared(), {}
    if form == 20:
        return grammar.savepoints(), {"goes_on": True}
    if form == 21:
        sql, commits = grammar.texts()
        return [sql], {"commits": commits, "ordered": False}
    if form == 22:
        return grammar.made(), {}
    sql, data = grammar.copy_from()
    return [sql], {"copy": [data]}


def statement(choices):
    """A case, as a function of what is drawn: what is pasted into cases_generator_finds.py."""
    shape = choices.pick(["old", "new"])
    form = choices.below(26)
    with_parameters = form < 17 and choices.chance(30)
    grammar = SessionGrammar(choices, shape, TABLES[shape], with_parameters)
    said = {}
    if form < 9:
        steps = [grammar.query(top=True)[0]]
    elif form < 16:
        steps = [grammar.write()[0]]
    elif form == 16:
        steps = [grammar.writing_with()]
    elif form == 17:
        steps = [grammar.copy_to()]
    else:
        steps, said = of_steps(grammar, form)
    texts = [text for _, text in grammar.parameters or []]
    modes = ["text", "binary"] if texts else ["simple"] if form == 21 else ["simple", "text", "binary"]
    return Case((steps[0], texts), *steps[1:], only=shape, modes=[choices.pick(modes)], **said)


def one_statement(choices):
    """One that is not a case of several, to be prepared; None where it cannot be."""
    case = statement(choices)
    is_one = len(case.steps) == 1 and not case.commits and not case.copy
    return case if is_one and not case.steps[0][0].startswith(("COPY", "SAVEPOINT")) else None
