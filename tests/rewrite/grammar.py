"""
Random expressions and names: what the grammar of queries (grammar_query.py) and of writes
(grammar_write.py) is made of. Every expression that comes out is of a kind (garden.py), so most
statements are valid; none can fail on data, for whether such an error is met depends on the plan.
"""

import re
from collections import Counter

SIMPLE_NAME = re.compile(r"[a-z_][a-z_0-9]*$")
KEYWORDS = {"select", "user", "order", "all"}
SQL_TYPE = {
    "old": {"int": "int", "text": "text", "num": "numeric", "date": "date", "bool": "boolean",
            "arr": "text[]", "money": "varchar", "qty": "int"},
    "new": {"int": "int", "text": "text", "num": "numeric", "date": "date", "bool": "boolean",
            "arr": "text[]", "money": "numeric", "qty": "bigint"},
}
LITERALS = {
    "int": ["1", "2", "0", "-3", "100", "(7)"],
    "text": ["'admin'", "'user'", "'a,b'", "''", "'x''y'", "E'tab\\t'", "$$d,e$$", "'é,ü'",
             "U&'d\\0061t'", "'admin,dev'", "'{q}'", "'p' /* ' */"],
    "num": ["1", "1.5", "-0.25", "1e1", ".5", "10.50"],
    "date": ["'2020-01-01'::date", "date '2020-01-02'", "DATE '2020-03-01'"],
    "bool": ["true", "false", "(NOT true)", "'f'::bool"],
    "arr": ["'{admin}'::text[]", "ARRAY['a','b']", "'{}'::text[]", "ARRAY['a,b', NULL]",
            "string_to_array('x,y', ',')", "'{user}'::text[]"],
    "money": {"old": ["'10.50'", "'7.50'", "'0.00'", "'-0.25'", "'999.99'"],
              "new": ["10.50", "7.5", "0", "-0.25", "'999.99'::numeric"]},
    "qty": ["1", "-7", "100", "0"],
}
# Without a type: what they are is for the place to say.
UNTYPED = {
    "int": ["'1'", "'20'"], "text": ["'user'", "'a,b'"], "num": ["'15'"], "date": ["'2020-01-01'"],
    "bool": ["'t'"], "arr": ["'{admin,dev}'", "'{}'", "'{\"a,b\",NULL}'"], "money": ["'10.50'", "'3.00'"],
    "qty": ["'12'"],
}
PARAMETERS = {
    "int": ["1", "2", "20"], "text": ["admin", "a,b", "", "é"], "num": ["1.5", "10.50"],
    "date": ["2020-01-01"], "bool": ["t"], "arr": ["{admin,dev}", "{}", '{"a,b"}'],
    "money": ["10.50", "3.25"], "qty": ["7", "-7"],
}
KINDS = ["int", "text", "num", "date", "bool", "arr", "money", "qty"]


def quote(name):
    if SIMPLE_NAME.match(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


class Item:
    """Something in FROM: an alias and columns."""

    def __init__(self, alias, columns, is_table=False):
        self.alias = alias
        self.columns = columns
        self.is_table = is_table


class Level:
    """The FROM items that one query sees; `merged` are the columns of USING and NATURAL."""

    def __init__(self, items=(), merged=()):
        self.items = list(items)
        self.merged = dict(merged)

    def __add__(self, other):
        return Level(self.items + other.items, {**self.merged, **other.merged})

    def star(self):
        columns = list(self.merged.items())
        return columns + [c for item in self.items for c in item.columns if c[0] not in self.merged]


class Grammar:
    """
    `shape` is the client's. `parameters` are the texts for $1, $2, ..; None where the statement cannot
    have any.
    """

    def __init__(self, choices, shape, tables, with_parameters):
        self.choices = choices
        self.shape = shape
        self.tables = tables
        self.parameters = [] if with_parameters else None
        self.levels = []
        self.aliases = 0
        self.ctes = []  # Items
        self.may_be_volatile = False
        self.in_aggregate = False  # only the query's own columns, and no sub-select

    # ---- names ----

    def alias(self, prefix="t"):
        self.aliases += 1
        return f"{prefix}{self.aliases}"

    def name_of(self, table):
        """The table's name, where a CTE has taken it with its schema."""
        taken = any(item.alias == table.name for item in self.ctes)
        return ("public." if taken else "") + quote(table.name)

    def visible(self, kind):
        """SQL of every column of a kind that may be named here."""
        found, hidden_names, hidden_aliases = [], set(), set()
        for level in reversed(self.levels[-1:] if self.in_aggregate else self.levels):
            names = Counter(name for item in level.items for name, _ in item.columns)
            for name, of in level.merged.items():
                if of == kind and name not in hidden_names:
                    found.append(quote(name))
            for item in level.items:
                own = Counter(name for name, _ in item.columns)
                for name, of in item.columns:
                    if of != kind or own[name] > 1:
                        continue
                    if item.alias and item.alias not in hidden_aliases:
                        found.append(f"{quote(item.alias)}.{quote(name)}")
                    if names[name] == 1 and name not in hidden_names and name not in level.merged:
                        found.append(quote(name))
            hidden_names |= set(names) | set(level.merged)
            hidden_aliases |= {item.alias for item in level.items}
        return found

    def sql_type(self, kind):
        return SQL_TYPE[self.shape][kind]

    # ---- values ----

    def literal(self, kind):
        literals = LITERALS[kind]
        return self.choices.pick(literals[self.shape] if isinstance(literals, dict) else literals)

    def parameter(self, kind):
        """$n, a new one or (seldom) one there is, of this kind."""
        text = None if self.choices.chance(10) else self.choices.pick(PARAMETERS[kind])
        self.parameters.append((kind, text))
        return f"${len(self.parameters)}"

    def value(self, kind):
        """What an assignment or a comparison with a column of the kind takes: also without a type."""
        choice = self.choices.below(8)
        if choice == 5 and self.parameters is not None:
            return self.parameter(kind)
        if choice == 6:
            return self.choices.pick(UNTYPED[kind])
        if choice == 7 and kind != "qty":
            return "NULL"
        return self.expression(kind)

    def expression(self, kind, depth=2):
        return self.choices.span(self.any_expression, kind, depth)

    def any_expression(self, kind, depth):
        columns = self.visible(kind)
        choice = self.choices.below(10 if depth > 0 else 4)
        if choice in (1, 2, 3) and columns:
            return self.choices.pick(columns)
        if choice < 4:
            return self.literal(kind)
        if choice == 4:
            return f"coalesce({self.expression(kind, depth - 1)}, {self.expression(kind, depth - 1)})"
        if choice == 5:
            return (f"CASE WHEN {self.condition(depth - 1)} THEN {self.expression(kind, depth - 1)} "
                    f"ELSE {self.expression(kind, depth - 1)} END")
        if choice == 6 and not self.in_aggregate:
            return self.scalar_subquery(kind)
        if choice == 7 and self.parameters is not None:
            return f"{self.parameter(kind)}::{self.sql_type(kind)}"
        if choice == 8:
            return f"({self.expression(kind, depth - 1)})"
        return getattr(self, "compute_" + kind)(depth - 1)

    def scalar_subquery(self, kind):
        raise NotImplementedError  # grammar_query.py

    # ---- computed values, by kind ----

    def compute_int(self, depth):
        choice = self.choices.below(4)
        if choice == 0:
            return f"length({self.expression('text', depth)})"
        if choice == 1:
            return f"cardinality({self.expression('arr', depth)})"
        if choice == 2:
            return f"{self.small_int()} + {self.choices.below(9)}"
        return f"abs({self.small_int()})"

    def small_int(self):
        """One that can be counted with: no literal is large."""
        columns = self.visible("int")
        return self.choices.pick(columns) if columns else "5"

    def compute_text(self, depth):
        choice = self.choices.below(8)
        if choice == 0:
            return f"{self.expression('text', depth)} || {self.expression('text', depth)}"
        if choice == 1:
            return f"upper({self.expression('text', depth)})"
        if choice == 2:
            return f"({self.expression('int', depth)})::text"
        if choice == 3:
            return f"array_to_string({self.expression('arr', depth)}, ',')"
        if choice == 4:
            return f"CAST({self.expression('money', depth)} AS text)"
        if choice == 5:
            return f"nullif({self.expression('text', depth)}, {self.expression('text', depth)})"
        if choice == 6:
            return f"({self.expression('arr', depth)})[1]"
        return f"replace({self.expression('text', depth)}, 'a', 'o')"

    def compute_num(self, depth):
        choice = self.choices.below(4)
        if choice == 0:
            return f"({self.expression('money', depth)})::numeric"
        if choice == 1:
            return f"({self.expression('int', depth)})::numeric / 4"
        if choice == 2:
            return f"round(({self.expression('money', depth)})::numeric * 2, 1)"
        return f"({self.expression('qty', depth)}) * 1.0"

    def compute_date(self, depth):
        return f"greatest({self.expression('date', depth)}, date '2020-01-02')"

    def compute_bool(self, depth):
        return f"({self.condition(depth)})"

    def compute_arr(self, depth):
        choice = self.choices.below(4)
        if choice == 0:
            return f"string_to_array({self.expression('text', depth)}, ',')"
        if choice == 1:
            return f"array_append({self.expression('arr', depth)}, 'z')"
        if choice == 2:
            return f"ARRAY[({self.expression('text', depth)})::text]"
        return f"{self.expression('arr', depth)} || {self.expression('arr', depth)}"

    def compute_money(self, depth):
        number = self.expression("int", 0)
        if self.shape == "old":
            return f"to_char(({number}) % 1000, 'FM9990.00')"
        return f"(({number}) % 1000)::numeric / 4"

    def compute_qty(self, depth):
        return f"({self.expression('qty', depth)}) % 1000 + 1"

    # ---- within an aggregate ----

    def own(self, rule, *arguments):
        """What the rule gives where only the query's own columns may be named."""
        was, self.in_aggregate = self.in_aggregate, True
        result = self.choices.span(rule, *arguments)
        self.in_aggregate = was
        return result

    # ---- conditions ----

    def condition(self, depth=2):
        return self.choices.span(self.any_condition, depth)

    def any_condition(self, depth):
        most = 5 if depth <= 0 else 11 if self.in_aggregate else 12
        choice = self.choices.below(most)
        kind = self.choices.pick(["text", "arr", "money", "int", "qty", "num", "date"])
        left = self.expression(kind, 0)
        if choice in (0, 1):
            return f"{left} {self.choices.pick(['=', '<>', '<', '>='])} {self.value(kind)}"
        if choice == 2:
            return f"{left} IS {self.choices.pick(['NOT NULL', 'NULL'])}"
        if choice == 3:
            return f"{left} IN ({self.value(kind)}, {self.value(kind)})"
        if choice == 4:
            return f"{left} IS {self.choices.pick(['', 'NOT '])}DISTINCT FROM {self.value(kind)}"
        if choice == 5:
            return f"NOT ({self.condition(depth - 1)})"
        if choice in (6, 7):
            word = "AND" if choice == 6 else "OR"
            return f"({self.condition(depth - 1)} {word} {self.condition(depth - 1)})"
        if choice == 8:
            return f"{left} BETWEEN {self.value(kind)} AND {self.value(kind)}"
        if choice == 9:
            return f"{self.expression('text', 0)} = ANY ({self.expression('arr', 0)})"
        if choice == 10:
            return f"(1, {left}) = (1, {self.expression(kind, 0)})"
        return self.subquery_condition(kind, left)

    def subquery_condition(self, kind, left):
        raise NotImplementedError  # grammar_query.py
