"""Whole rows of tables with a list of column aliases: the names of the row's fields are the table's."""

from case import Case
from cases_reads import PEOPLE

RENAMED = [
    "SELECT p, to_jsonb(p), (p.*)::text, count(p.b) OVER () FROM people AS p(a, b) ORDER BY a",
    "SELECT p.a, row_to_json(p), p.* FROM people AS p(a, b) WHERE p IS NOT NULL ORDER BY p.a",
    # fields of it have the list's names, and so have its columns
    "SELECT (p).a, (p).name, a(p), (p).* FROM people AS p(a, b) ORDER BY (p).a",
    "SELECT (p).id FROM people AS p(a, b)",
    "SELECT id(p) FROM people AS p(a, b)",
    "SELECT row_to_json(ROW(p.*)), ROW((p).*) = ROW(p.*) FROM people AS p(a, b) ORDER BY a",
    # two columns of one name; an alias that is the table's
    "SELECT to_jsonb(p) FROM people AS p(name, name) ORDER BY p::text",
    "SELECT to_jsonb(p) FROM people AS p(p, a, a) ORDER BY to_jsonb(p.*)::text",
    # the row that an outer join makes up is none
    "SELECT o.id, p IS NULL, to_jsonb(p), to_jsonb(p.*) IS NULL FROM other o LEFT JOIN people AS p(a) ON p.a = o.id "
    "ORDER BY 1",
    "SELECT to_jsonb(p), count(*) FROM people AS p(a, b) GROUP BY p.a ORDER BY p.a",
    "SELECT count(p), count(DISTINCT p), max(p::text) FROM people AS p(a)",
    "SELECT o.id, (SELECT to_jsonb(p)), (SELECT jsonb_agg(q ORDER BY q.c) FROM people AS q(c) WHERE q.c < p.a) "
    "FROM other o JOIN people AS p(a) ON p.a = o.id ORDER BY 1",
    "SELECT x.j FROM (SELECT to_jsonb(p) - 'id' AS j FROM people AS p(a)) x ORDER BY j::text",
    # rows in one of another level whose fields may be asked for
    Case("SELECT (x.p).id FROM (SELECT p FROM people AS p(a)) x", refused="column alias list", only="old"),
    Case("SELECT p FROM people AS p(a) GROUP BY GROUPING SETS ((a), (p))", refused="column alias list", only="old"),
]

CASES = {PEOPLE: RENAMED}
