"""
INSERT without a column list from a query whose columns a text cannot tell: it must give all there are.
Another number is an error, never a wrong column (test_insert.py).
"""

from case import Case
from world import World

SOURCES = World(
    name="sources",
    transitions="""
transition "code" {
    table = "public.codes"
    old "code" { type = "integer" from = "code::integer" }
    new "code" { type = "bigint"  from = "code::bigint" column = "code_new" }
    lossless = true
}
transition "role" {
    table = "public.users"
    old "role"  { type = "text" from = "array_to_string(roles, ',')" }
    new "roles" { type = "text[]" from = "string_to_array(role, ',')" }
    lossless = false
}
""",
    common="""
CREATE FUNCTION codes_old() RETURNS TABLE (a int, b int, c text) LANGUAGE sql AS
    $$ VALUES (20, 200, 'f'), (21, NULL, 'g') $$;
CREATE FUNCTION codes_new() RETURNS TABLE (a int, c text, b bigint) LANGUAGE sql AS
    $$ VALUES (20, 'f', 200::bigint), (21, 'g', NULL) $$;
""",
    old="""
CREATE TABLE codes (id int, code int, kind text);
CREATE TABLE users (id int, role text);
INSERT INTO codes (id, code, kind) VALUES (1, 10, 'a');
INSERT INTO users (id, role) VALUES (1, 'a,b');
""",
    new="""
CREATE TABLE codes (id int, kind text, code bigint);
CREATE TABLE users (id int, roles text[]);
INSERT INTO codes (id, code, kind) VALUES (1, 10, 'a');
INSERT INTO users (id, roles) VALUES (1, '{a,b}');
""",
    words={
        "old": {"codes": "codes_old()", "columns": "id int, code int, kind text", "row": "7, 70, 'k'",
                "value": "'x,y'", "type": "text"},
        "new": {"codes": "codes_new()", "columns": "id int, kind text, code bigint", "row": "7, 'k', 70",
                "value": "'{x,y}'", "type": "text[]"},
    },
    contents=["SELECT * FROM codes ORDER BY id", "SELECT * FROM users ORDER BY id"],
)

ALL = [
    "INSERT INTO codes SELECT * FROM {codes}",
    "INSERT INTO codes SELECT * FROM {codes} AS f ORDER BY 1 DESC LIMIT 1",
    "INSERT INTO codes SELECT f.* FROM {codes} AS f RETURNING *",
    "INSERT INTO codes AS c (SELECT * FROM {codes} UNION ALL SELECT * FROM {codes}) RETURNING c.code",
    "INSERT INTO codes SELECT (q.f).* FROM (SELECT {codes} AS f) AS q RETURNING *",
    "INSERT INTO users SELECT * FROM json_each_text('{}') RETURNING id",
    Case("CREATE TEMP TABLE t ({columns}) ON COMMIT DROP", "INSERT INTO t VALUES ({row})",
         "INSERT INTO codes SELECT * FROM t RETURNING *"),
    Case("CREATE TEMP TABLE t (a int, b {type}) ON COMMIT DROP",
         "INSERT INTO t VALUES (7, {value})", "INSERT INTO users SELECT * FROM t", "SELECT * FROM users ORDER BY id"),
    Case("CREATE TEMP TABLE t (a int) ON COMMIT DROP", "INSERT INTO t VALUES (7)",
         "INSERT INTO codes (id) SELECT * FROM t RETURNING *"),
]

CASES = {SOURCES: ALL}
