"""Random queries: FROM in all its forms, what follows it, set operations, WITH."""

import re

from grammar import KINDS, Grammar, Item, Level, quote

ORDERABLE = set(KINDS)


COLUMN = re.compile(r'(?:(?:\w+|"[^"]+")\.)?(?:([a-z_]\w*)|"([^"]+)")$')


def name_of_column(sql):
    """The output name of a bare column; None where the server makes one up."""
    found = COLUMN.match(sql)
    return found and (found[1] or found[2])


def are_named(columns):
    names = [name for name, _ in columns]
    return None not in names and len(set(names)) == len(names)


class QueryGrammar(Grammar):
    # ---- FROM ----

    def table(self):
        return self.choices.pick(self.tables)

    def relation(self):
        """A table or a CTE, as (sql, Item)."""
        if self.ctes and self.choices.chance(30):
            item = self.choices.pick(self.ctes)
            name, columns, is_table, shadowed = item.alias, item.columns, False, False
        else:
            table = self.table()
            name, columns, is_table = table.name, table.columns, True
            shadowed = any(item.alias == name for item in self.ctes)
        taken = {item.alias for level in self.levels for item in level.items}
        choice = self.choices.below(8)
        sql = quote(name)
        if is_table and choice == 5:
            sql = f"ONLY {sql}"
        if is_table and (choice == 6 or shadowed):
            sql = f"public.{sql}" if choice != 5 else f"ONLY public.{quote(name)}"
        if choice in (0, 6) and name not in taken and name not in self.used_names:
            self.used_names.add(name)
            return sql, Item(name, columns, is_table)
        alias = self.alias()
        if choice == 7:
            count = 1 + self.choices.below(len(columns))
            names = [f"c{i}" for i in range(count)]
            columns = [(names[i] if i < count else name, kind)
                       for i, (name, kind) in enumerate(columns)]
            return f"{sql} AS {alias}({', '.join(names)})", Item(alias, columns, is_table)
        return f"{sql}{self.choices.pick([' ', ' AS '])}{alias}", Item(alias, columns, is_table)

    def derived(self, lateral=False):
        """A sub-select in FROM."""
        levels = self.levels
        self.levels = levels if lateral else levels[:-1]
        sql, columns = self.choices.span(self.query, 1)
        self.levels = levels
        alias = self.alias("s")
        names = ""
        if self.choices.chance(30) or not are_named(columns):
            columns = [(f"d{i}", kind) for i, (_, kind) in enumerate(columns)]
            names = "(" + ", ".join(name for name, _ in columns) + ")"
        return f"{'LATERAL ' if lateral else ''}({sql}) AS {alias}{names}", Item(alias, columns)

    def function(self):
        alias = self.alias("g")
        if self.choices.chance(50):
            arr = self.expression("arr", 0)
            return f"unnest({arr}) AS {alias}(v)", Item(alias, [("v", "text")])
        return f"generate_series(1, 2) AS {alias}(n)", Item(alias, [("n", "int")])

    def from_item(self, depth):
        """(sql, Level). The items to the left are in self.levels[-1]."""
        choice = self.choices.below(8) if depth > 0 else self.choices.below(2)
        if choice in (5, 6):
            return self.join(depth - 1)
        sql, item = self.choices.span(
            self.derived if choice == 3 else self.function if choice == 4 else self.relation
        )
        return sql, Level([item])

    def join(self, depth):
        left_sql, left = self.from_item(depth)
        kind = self.choices.pick(["JOIN", "LEFT JOIN", "CROSS JOIN", "RIGHT JOIN", "FULL JOIN", "LATERAL"])
        outside = self.levels[-1]
        if kind == "LATERAL":
            self.levels[-1] = outside + left
            right_sql, item = self.derived(lateral=True)
            right, kind = Level([item]), "JOIN"
        else:
            self.levels[-1] = Level()
            right_sql, right = self.choices.span(self.from_item, 0)
        both = left + right
        self.levels[-1] = both
        how, merged = self.join_condition(kind, left, right)
        self.levels[-1] = outside
        both.merged.update(merged)
        if merged and how == "":
            kind = f"NATURAL {kind}"
        sql = f"{left_sql} {kind} {right_sql}{how}"
        if self.choices.chance(8):
            alias = self.alias("j")
            return f"({sql}) AS {alias}", Level([Item(alias, both.star())])
        return (f"({sql})" if self.choices.chance(10) else sql), both

    def join_condition(self, kind, left, right):
        """(sql, merged columns); a NATURAL join is one with merged columns and no condition."""
        if kind == "CROSS JOIN":
            return "", {}
        ours, theirs = dict(left.star()), dict(right.star())
        unique = [n for n in ours if self.count(left, n) == 1 and self.count(right, n) == 1]
        common = [name for name in unique if ours[name] == theirs[name]]
        choice = self.choices.below(6)
        if choice == 4 and common:
            names = [self.choices.pick(common)]
            return f" USING ({', '.join(map(quote, names))})", {n: ours[n] for n in names}
        shared = [name for name in ours if name in theirs]
        if choice == 5 and shared and set(shared) == set(common) and len(left.items) == 1:
            return "", {name: ours[name] for name in common}
        if kind == "FULL JOIN":
            return f" ON {self.column_of(left)} = {self.column_of(right)}", {}
        if choice == 0 and any(kind == "int" for _, kind in right.star()):
            return f" ON {self.column_of(left)} = {self.column_of(right)}", {}
        return f" ON {self.condition(1)}", {}

    @staticmethod
    def count(level, name):
        return sum(name == other for other, _ in level.star())

    def column_of(self, level):
        """An int column of the level, or a number."""
        columns = [f"{quote(item.alias)}.{quote(name)}" for item in level.items
                   for name, kind in item.columns if kind == "int" and item.alias]
        return self.choices.pick(columns) if columns else "1"

    # ---- SELECT ----

    def output_name(self, kind):
        """(what follows the expression, the column's name)"""
        if not self.choices.chance(30):
            return "", None
        name = self.choices.pick(["x", "role", "amount", "roles", "Größe", "id"])
        return f" AS {quote(name)}", name

    def item(self, kind):
        """A target as (sql, (name, kind))."""
        sql = self.expression(kind)
        after, name = self.output_name(kind)
        return sql + after, (name or name_of_column(sql), kind)

    def targets(self, wanted):
        if wanted is not None:
            return [self.item(kind) for kind in wanted]
        if self.choices.chance(25):
            return self.star()
        count = 1 + self.choices.below(3)
        return [self.choices.span(self.item, self.choices.pick(KINDS)) for _ in range(count)]

    def star(self):
        level = self.levels[-1]
        item = self.choices.pick(level.items)
        choice = self.choices.below(4)
        if choice == 0 or not item.alias:
            return [("*", column) if i == 0 else ("", column) for i, column in enumerate(level.star())]
        if choice == 3:
            whole = self.choices.pick(["to_jsonb({})::text", "row_to_json({})::text", "({}.*)::text",
                                       "({}) IS NULL", "({}) = ({})"])
            return [(whole.replace("{}", quote(item.alias)) + " AS whole", ("whole", "other"))]
        sql = f"({quote(item.alias)}).*" if choice == 2 and item.is_table else f"{quote(item.alias)}.*"
        return [(sql, column) if i == 0 else ("", column) for i, column in enumerate(item.columns)]

    @staticmethod
    def joined(targets):
        return ", ".join(sql for sql, _ in targets if sql), [column for _, column in targets]

    def select(self, depth, wanted):
        """One SELECT; (sql up to its end, columns, "lockable", "ordered" or "")"""
        self.levels.append(Level())
        froms = []
        for _ in range(1 + (self.choices.chance(20) and depth > 0)):
            sql, level = self.choices.span(self.from_item, depth)
            froms.append(sql)
            self.levels[-1] = self.levels[-1] + level
        where = f" WHERE {self.condition()}" if self.choices.chance(50) else ""
        form = self.choices.below(10)
        rule = {6: self.grouped, 7: self.grouped, 8: self.distinct, 9: self.windowed}.get(form, self.simple)
        head, tail, columns = rule(wanted)
        self.levels.pop()
        end = "ordered" if "ORDER BY" in tail and rule == self.distinct else ""
        if rule == self.simple:
            end = "lockable"
        return f"SELECT {head} FROM {', '.join(froms)}{where}{tail}", columns, end

    def simple(self, wanted):
        head, columns = self.joined(self.targets(wanted))
        return head, "", columns

    def distinct(self, wanted):
        head, columns = self.joined(self.targets(wanted))
        if self.choices.chance(40) and all(kind in ORDERABLE for _, kind in columns):
            visible = self.visible(self.choices.pick(KINDS))
            on = self.choices.pick(visible) if visible else "coalesce(1, 2)"
            rest = ", ".join(str(i + 1) for i in range(len(columns)))
            return f"DISTINCT ON ({on}) {head}", f" ORDER BY {on}, {rest}", columns
        return f"DISTINCT {head}", "", columns

    def windowed(self, wanted):
        head, columns = self.joined(self.targets(wanted))
        if wanted is not None:
            return head, "", columns
        over = f"PARTITION BY {self.expression(self.choices.pick(KINDS), 0)} "
        over = (over if self.choices.chance(50) else "") + (
            f"ORDER BY {self.expression(self.choices.pick(KINDS), 1)}")
        function = self.choices.pick(["rank()", "dense_rank()", "count(*)",
                                      f"count({self.expression('text', 0)})",
                                      f"max({self.expression('money', 0)})"])
        columns = [*columns, ("w", "other")]
        if self.choices.chance(40):
            return f"{head}, {function} OVER win AS w", f" WINDOW win AS ({over})", columns
        return f"{head}, {function} OVER ({over}) AS w", "", columns

    # ---- GROUP BY ----

    def aggregate(self, kind):
        argument = self.own(self.expression, kind, 1)
        filtered = f" FILTER (WHERE {self.own(self.condition, 1)})" if self.choices.chance(20) else ""
        function = "bool_or" if kind == "bool" else self.choices.pick(["max", "min"])
        return f"{function}({argument}){filtered}"

    def counting(self):
        choice = self.choices.below(4)
        kind = self.choices.pick(["text", "arr", "money", "qty"])
        if choice == 0:
            return "count(*)"
        if choice == 1:
            return f"count(DISTINCT {self.own(self.expression, kind, 1)})"
        kind = "text" if kind == "arr" else kind  # arrays of different lengths make none
        value = f"({self.own(self.expression, kind, 1)})::{self.sql_type(kind)}"
        if choice == 2:
            return f"array_agg({value} ORDER BY {value})::text"
        return f"string_agg({value}::text, '/' ORDER BY {value}::text DESC)"

    def grouped(self, wanted):
        if wanted is not None:
            head = ", ".join(self.aggregate(kind) for kind in wanted)
            return head, "", [(f"a{i}", kind) for i, kind in enumerate(wanted)]
        kinds = [self.choices.pick(KINDS) for _ in range(1 + self.choices.below(2))]
        keys = []
        for kind in kinds:  # a constant would be a position, or not what it seems
            visible = self.visible(kind)
            keys.append((self.choices.pick(visible), kind) if visible else ("1 + 1", "int"))
        targets = [(sql, (name_of_column(sql), kind)) for sql, kind in keys]
        targets.append((self.counting() + " AS n", ("n", "other")))
        head, columns = self.joined(targets)
        names = [sql for sql, _ in keys]
        form = self.choices.below(6)
        by = ", ".join(names)
        if form == 1:
            by = ", ".join(str(i + 1) for i in range(len(names)))
        if form == 2:
            by = f"GROUPING SETS (({by}), ({names[0]}), ())"
        if form == 3:
            by = f"{self.choices.pick(['ROLLUP', 'CUBE'])} ({by})"
        having = f" HAVING {self.counting_condition()}" if self.choices.chance(25) else ""
        return head, f" GROUP BY {by}{having}", columns

    def counting_condition(self):
        kind = self.choices.pick(["text", "arr", "money", "int"])
        return f"max({self.own(self.expression, kind, 0)}) >= {self.literal(kind)}"

    # ---- a whole query ----

    def query(self, depth=2, wanted=None, top=False):
        """(sql, columns). At the top it may be ordered, limited and locked."""
        ctes, used = list(self.ctes), self.used_names
        self.used_names = set(used)
        with_clause = self.choices.span(self.with_clause, depth) if depth > 1 else ""
        self.used_names = set()
        choice = self.choices.below(12)
        if choice == 10 and wanted is None:
            sql, columns, end = self.table_command()
        elif choice == 11 and wanted:
            sql, columns, end = self.values(wanted)
        else:
            sql, columns, end = self.choices.span(self.select, depth - 1, wanted)
        if self.choices.chance(12) and all(kind in ORDERABLE for _, kind in columns):
            sql, columns, end = self.set_operation(sql, columns)
        if end != "ordered":
            sql += self.order(columns, top)
        if top and end == "lockable" and "JOIN" not in sql and self.choices.chance(8):
            sql += self.choices.pick([" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE SKIP LOCKED"])
        self.ctes, self.used_names = ctes, used
        return with_clause + sql, columns

    def table_command(self):
        table = self.table()
        return f"TABLE {self.name_of(table)}", table.columns, ""

    def values(self, wanted):
        rows = ["(" + ", ".join(self.expression(kind, 1) for kind in wanted) + ")"
                for _ in range(1 + self.choices.below(2))]
        return f"VALUES {', '.join(rows)}", [(f"column{i + 1}", k) for i, k in enumerate(wanted)], ""

    def set_operation(self, sql, columns):
        word = self.choices.pick(["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL"])
        other, _, _ = self.choices.span(self.select, 0, [kind for _, kind in columns])
        # what ends in an ORDER BY of its own must be in parentheses
        return f"({sql}) {word} ({other})", columns, ""

    def order(self, columns, top):
        """All columns, so that the order is total; then a LIMIT says the same everywhere."""
        if not self.choices.chance(40 if top else 15):
            return ""
        if not columns or any(kind not in ORDERABLE for _, kind in columns):
            return ""
        after = self.choices.pick(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
        items = [str(i + 1) for i in range(len(columns))]
        if are_named(columns) and self.choices.chance(40):
            items = [quote(name) for name, _ in columns]
        limit = self.choices.pick(["", "", " LIMIT 3", " OFFSET 1", " FETCH FIRST 2 ROWS ONLY"])
        return f" ORDER BY {', '.join(item + after for item in items)}{limit}"

    # ---- WITH ----

    def with_clause(self, depth):
        if not self.choices.chance(20):
            return ""
        if self.choices.chance(25):
            return self.recursive()
        name = self.choices.pick(["q", "users", "w"])
        sql, columns = self.choices.span(self.query, depth - 1)
        names = ""
        if self.choices.chance(40) or not are_named(columns):
            columns = [(f"q{i}", kind) for i, (_, kind) in enumerate(columns)]
            names = "(" + ", ".join(n for n, _ in columns) + ")"
        self.ctes.append(Item(name, columns))
        how = self.choices.pick(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
        return f"WITH {name}{names} AS {how}({sql}) "

    def recursive(self):
        kind = self.choices.pick(["text", "arr", "money", "qty"])
        table = self.choices.pick([t for t in self.tables if any(k == kind for _, k in t.columns)] or
                                  self.tables)
        column = next((name for name, k in table.columns if k == kind), "id")
        kind = dict(table.columns)[column]
        first = f"SELECT id, {quote(column)} FROM {self.name_of(table)} WHERE id = 1"
        then = (f"SELECT t.id, t.{quote(column)} FROM {self.name_of(table)} t JOIN r ON t.id = r.id + 1")
        self.ctes.append(Item("r", [("id", "int"), (column, kind)]))
        union = self.choices.pick(["UNION ALL", "UNION"])
        return f"WITH RECURSIVE r AS ({first} {union} {then}) "

    # ---- within expressions ----

    def scalar_subquery(self, kind):
        used = self.used_names
        self.used_names = set()
        self.levels.append(Level())
        table = self.table()
        alias = self.alias()
        outer = [sql for sql in self.visible("int") if "." in sql]
        self.levels[-1] = Level([Item(alias, table.columns, True)])
        if self.choices.chance(50):  # one row at most: its key is given
            what = self.expression(kind, 0)
            where = f" WHERE {alias}.id = {self.choices.pick(outer) if outer else 1}"
        else:
            what = self.aggregate(kind)
            where = f" WHERE {self.condition(0)}" if self.choices.chance(50) else ""
        self.levels.pop()
        self.used_names = used
        return f"(SELECT {what} FROM {self.name_of(table)} {alias}{where})"

    def subquery_condition(self, kind, left):
        used = self.used_names
        self.used_names = set()
        choice = self.choices.below(3)
        wanted = [kind] if choice != 1 else None
        sql, _, _ = self.choices.span(self.select, 0, wanted)
        self.used_names = used
        if choice == 1:
            return f"EXISTS ({sql})"
        return f"{left} {self.choices.pick(['IN', 'NOT IN', '= ANY', '>= ALL'])} ({sql})"

    used_names = frozenset()
