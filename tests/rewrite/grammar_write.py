"""Random writes."""

from grammar import Item, Level, quote
from grammar_query import QueryGrammar


class StatementGrammar(QueryGrammar):
    def keyed_table(self):
        return self.choices.pick([table for table in self.tables if table.key])

    def assigned(self, kind):
        """What an assignment takes: DEFAULT too. Sometimes what differs at each evaluation."""
        choice = self.choices.below(10)
        if choice == 8:
            return "DEFAULT"
        if choice == 9 and self.may_be_volatile and kind in ("text", "arr"):
            self.may_be_volatile = False
            return "volatile_word()" if kind == "text" else "ARRAY[volatile_word()]"
        return self.value(kind)

    def returning(self, items):
        if not self.choices.chance(50):
            return "", []
        self.levels.append(Level(items))
        head, columns = self.joined(self.targets(None))
        self.levels.pop()
        return f" RETURNING {head}", columns

    # ---- INSERT ----

    def insert_columns(self, table):
        columns = table.writable()
        if self.choices.chance(20):
            return "", table.columns
        kept = [c for c in columns if c[0] == table.key or not self.choices.chance(35)]
        if table.name == "users" and self.choices.chance(25):
            kept = [c for c in kept if c[0] != "id"] or kept
        if self.choices.chance(20):
            kept = kept[::-1]
        return "(" + ", ".join(quote(name) for name, _ in kept) + ") ", kept

    def values_rows(self, table, columns):
        rows = []
        for i in range(1 + self.choices.below(3)):
            row = []
            for name, kind in columns:
                if name == table.key:
                    row.append(str(self.choices.pick([20, 20, 20, 21, 1]) + 2 * i))
                elif name in table.generated:
                    row.append("DEFAULT")
                elif name == "name" and table.name == "users":
                    row.append(self.choices.pick(["NULL", f"'n{i}'", f"'m{i}'", "DEFAULT", "'alice'"]))
                else:
                    row.append(self.choices.span(self.assigned, kind))
            rows.append("(" + ", ".join(row) + ")")
        return f"VALUES {', '.join(rows)}"

    def insert_source(self, table, columns):
        choice = self.choices.below(5)
        if choice == 4:
            return "DEFAULT VALUES" if table.name == "users" else None
        if choice < 3 or any(name in table.generated for name, _ in columns):
            return self.values_rows(table, columns)
        source = self.table()
        alias = self.alias()
        self.levels.append(Level([Item(alias, source.columns, True)]))
        targets = []
        for name, kind in columns:
            if name == table.key:
                targets.append(f"{alias}.id + 20")
            elif name == "name" and table.name == "users":
                targets.append(f"'n' || {alias}.id")
            else:
                targets.append(self.choices.span(self.value, kind))
        where = f" WHERE {self.condition(1)}" if self.choices.chance(40) else ""
        self.levels.pop()
        # rows come in one order, so that what counts up at each row comes to the same row
        return f"SELECT {', '.join(targets)} FROM {self.name_of(source)} {alias}{where} ORDER BY {alias}.id"

    def insert(self):
        table = self.keyed_table()
        name = quote(table.name)
        self.may_be_volatile = True
        alias = self.alias() if self.choices.chance(25) else None
        columns_sql, columns = self.insert_columns(table)
        source = self.insert_source(table, columns) or self.values_rows(table, columns)
        self.may_be_volatile = False
        if source == "DEFAULT VALUES":
            columns_sql = ""
        overriding = "OVERRIDING USER VALUE " if self.choices.chance(3) else ""
        item = Item(alias or table.name, table.columns, True)
        conflict = self.on_conflict(table, item) if self.choices.chance(30) else ""
        after, columns = self.returning([item])
        return (f"INSERT INTO {name}{' AS ' + alias if alias else ''} {columns_sql}{overriding}{source}"
                f"{conflict}{after}"), columns

    def on_conflict(self, table, item):
        target = "(id)"
        if table.name == "users":
            target = self.choices.pick(["(id)", "(name)", "ON CONSTRAINT users_pkey"])
        if self.choices.chance(40):
            return f" ON CONFLICT {self.choices.pick([target, ''])} DO NOTHING"
        self.levels.append(Level([item, Item("excluded", table.columns, True)]))
        assignments = self.assignments(table)
        where = f" WHERE {self.condition(1)}" if self.choices.chance(30) else ""
        self.levels.pop()
        return f" ON CONFLICT {target} DO UPDATE SET {assignments}{where}"

    # ---- UPDATE ----

    def assignments(self, table):
        columns = [c for c in table.writable() if c[0] != table.key and c[0] != "name"]
        picked = [c for c in columns if self.choices.chance(50)] or [columns[-1]]
        if len(picked) > 1 and self.choices.chance(25):
            names = ", ".join(quote(name) for name, _ in picked)
            form = self.choices.below(3)
            if form == 2:
                values = ", ".join(self.expression(kind) for _, kind in picked)
                return f"({names}) = (SELECT {values})"
            values = ", ".join(self.choices.span(self.assigned, kind) for _, kind in picked)
            return f"({names}) = {'ROW ' if form else ''}({values})"
        return ", ".join(self.single(name, kind) for name, kind in picked)

    def single(self, name, kind):
        """One assignment, sometimes to an element."""
        target = quote(name)
        if kind == "arr" and self.choices.chance(20):
            target = f"{target}[{self.choices.pick(['1', '2', '4', 'id'])}]"
            return f"{target} = {self.choices.span(self.value, 'text')}"  # DEFAULT is 0A000
        return f"{target} = {self.choices.span(self.assigned, kind)}"

    def target(self):
        """(table, sql, Item) of what UPDATE, DELETE and MERGE write."""
        table = self.keyed_table()
        sql = self.choices.pick(["", "", "", "ONLY "]) + quote(table.name)
        if not self.choices.chance(40):
            return table, sql, Item(table.name, table.columns, True)
        alias = self.alias()
        return table, f"{sql} AS {alias}", Item(alias, table.columns, True)

    def source(self):
        """A FROM item that a row of the target meets at most once: by its key."""
        table = self.keyed_table()
        alias = self.alias("f")
        if self.choices.chance(30):
            self.levels.append(Level([Item("i", table.columns, True)]))
            where = f" WHERE {self.condition(1)}" if self.choices.chance(40) else ""
            self.levels.pop()
            return f"(SELECT * FROM {quote(table.name)} i{where}) {alias}", Item(alias, table.columns)
        return f"{quote(table.name)} {alias}", Item(alias, table.columns, True)

    def update(self):
        table, sql, item = self.target()
        items, froms, where = [item], "", []
        if self.choices.chance(30):
            from_sql, other = self.source()
            items.append(other)
            froms = f" FROM {from_sql}"
            where.append(f"{other.alias}.id = {quote(item.alias)}.id")
        else:
            self.may_be_volatile = True
        self.levels.append(Level(items))
        assignments = self.assignments(table)
        self.may_be_volatile = False
        if self.choices.chance(50):
            where.append(self.condition())
        self.levels.pop()
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        after, columns = self.returning(items)
        return f"UPDATE {sql} SET {assignments}{froms}{condition}{after}", columns

    # ---- DELETE, MERGE ----

    def delete(self):
        _, sql, item = self.target()
        items, using, where = [item], "", []
        if self.choices.chance(30):
            from_sql, other = self.source()
            items.append(other)
            using = f" USING {from_sql}"
            where.append(f"{other.alias}.id = {quote(item.alias)}.id")
        self.levels.append(Level(items))
        if self.choices.chance(70):
            where.append(self.condition())
        self.levels.pop()
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        after, columns = self.returning(items)
        return f"DELETE FROM {sql}{using}{condition}{after}", columns

    def row_source(self):
        """The same, of one row: what counts up at each evaluation does so in no order of rows."""
        table = self.keyed_table()
        alias = self.alias("f")
        return (f"(SELECT * FROM {quote(table.name)} i WHERE i.id = {1 + self.choices.below(6)}) {alias}",
                Item(alias, table.columns))

    def merge(self):
        table, sql, item = self.target()
        is_row = self.choices.chance(40)
        from_sql, other = self.row_source() if is_row else self.source()
        self.levels.append(Level([item, other]))
        branches = []
        several = self.choices.chance(40)
        for i in range(1 + several):
            extra = f" AND {self.condition(1)}" if several and i == 0 or self.choices.chance(30) else ""
            self.may_be_volatile = is_row
            action = "DELETE" if self.choices.chance(15) else (
                "DO NOTHING" if self.choices.chance(15) else f"UPDATE SET {self.assignments(table)}")
            branches.append(f" WHEN MATCHED{extra} THEN {action}")
        self.levels[-1] = Level([other])
        if self.choices.chance(60):
            columns = [c for c in table.writable() if c[0] != "name"]
            names = ", ".join(quote(name) for name, _ in columns)
            self.may_be_volatile = is_row
            values = ", ".join(f"{other.alias}.id + 20" if name == table.key
                               else self.choices.span(self.assigned, kind) for name, kind in columns)
            branches.append(f" WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})")
        self.levels.pop()
        self.may_be_volatile = False
        on = f"{other.alias}.id {self.choices.pick(['', '+ 1 ', '- 3 '])}= {quote(item.alias)}.id"
        return f"MERGE INTO {sql} USING {from_sql} ON {on}{''.join(branches)}", []

    # ---- statements ----

    def write(self):
        return self.choices.span(self.choices.pick(
            [self.insert, self.insert, self.update, self.update, self.delete, self.merge]
        ))

    def writing_with(self):
        """WITH m AS (INSERT .. RETURNING ..) SELECT .. FROM m"""
        sql, columns = self.write()
        if not columns:
            return sql
        names = [f"m{i}" for i in range(len(columns))]
        self.levels.append(Level([Item("m", list(zip(names, (kind for _, kind in columns))))]))
        head, _ = self.joined(self.targets(None))
        self.levels.pop()
        return f"WITH m({', '.join(names)}) AS ({sql}) SELECT {head} FROM m"
