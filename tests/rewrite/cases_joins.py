"""Joins of tables in transition: rows that an outer one makes up, columns that USING and NATURAL merge."""

from case import Case
from cases_reads import PEOPLE

JOINS = [
    "SELECT o.id, p.{act} FROM other o LEFT JOIN people p ON p.id = o.id ORDER BY 1",
    "SELECT o.id, {act} FROM people p RIGHT JOIN other o ON p.id = o.id ORDER BY 1",
    "SELECT o.id, p.id, p.{act}, p.{role} FROM people p FULL JOIN other o ON p.id = o.id ORDER BY 1, 2",
    "SELECT o.id, p.* FROM other o LEFT JOIN people p ON p.id = o.id ORDER BY o.id",
    "SELECT * FROM other o LEFT JOIN people p ON p.id = o.id AND p.{act} = {on} ORDER BY o.id",
    "SELECT o.id FROM other o LEFT JOIN people p ON p.id = o.id WHERE p.{act} IS NULL ORDER BY 1",
    "SELECT count(p.{act}), count(p.id) FROM other o LEFT JOIN people p ON p.id = o.id",
    "SELECT o.id, x.{act} FROM other o LEFT JOIN (SELECT * FROM people WHERE id < 3) x ON x.id = o.id "
    "ORDER BY 1",
    "SELECT o.id, a.{act}, b.{act} FROM other o LEFT JOIN (people a JOIN people b ON b.id = a.boss) "
    "ON a.id = o.id ORDER BY 1",
    "SELECT o.id, x.s FROM other o LEFT JOIN LATERAL (SELECT p.{act} AS s FROM people p WHERE p.id = "
    "o.id) x ON true ORDER BY 1",
    "SELECT o.id, (SELECT p.{act}) FROM other o LEFT JOIN people p ON p.id = o.id ORDER BY 1",
    "SELECT o.id, coalesce(p.{act}::text, 'none') FROM other o LEFT JOIN people p USING (id) ORDER BY 1",
    "SELECT p.{act}, count(*) FROM other o LEFT JOIN people p USING (id) GROUP BY p.{act} ORDER BY 1",
    "SELECT e.id, p.{act}, p.{label} FROM people p LEFT JOIN empty e ON e.person_id = p.id ORDER BY p.id",
    "SELECT p.id, q.{act} FROM people p LEFT JOIN people q ON q.id = p.boss ORDER BY p.id",
    "SELECT p.id FROM people p LEFT JOIN people q ON q.id = p.boss AND q.{act} = p.{act} "
    "WHERE q.id IS NULL ORDER BY 1",
    "SELECT id, {role}, o.amount FROM people JOIN other o USING (id) ORDER BY id",
    "SELECT id, p.id, {role} FROM people p JOIN payments USING (id) ORDER BY id",
    "SELECT * FROM people JOIN payments USING (id) ORDER BY id",
    "SELECT * FROM people p JOIN payments t USING (id) JOIN empty e USING (person_id)",
    "SELECT * FROM other JOIN people USING (id) LEFT JOIN payments USING (id) ORDER BY id",
    "SELECT * FROM (people JOIN other USING (id)) CROSS JOIN empty ORDER BY 1",
    "SELECT * FROM people p JOIN payments t USING (id), other o WHERE o.id = p.id ORDER BY t.id",
    "SELECT *, p.ctid IS NULL AS none FROM people p JOIN payments t USING (id) ORDER BY id",
    "SELECT * FROM people FULL JOIN other USING (id) ORDER BY id",
    # a full join merges by COALESCE, and beside another table of the same column has no name for it
    "SELECT * FROM people p FULL JOIN other USING (id), empty e ORDER BY 1",
    "SELECT * FROM other a FULL JOIN other b USING (id), people p WHERE p.id < 3 ORDER BY p.id, a.id, b.id",
    "SELECT * FROM people p, other a FULL JOIN (SELECT 3 AS id, 'x' AS why) b USING (id) ORDER BY p.id, 7",
    "SELECT * FROM people p, other a FULL JOIN payments b USING (id) FULL JOIN empty c USING (id) "
    "ORDER BY p.id, coalesce(a.id, b.id)",
    "SELECT * FROM people p, (other a FULL JOIN payments b USING (id)) LEFT JOIN empty c USING (id) "
    "ORDER BY p.id, coalesce(a.id, b.id)",
    "SELECT * FROM people p, other a LEFT JOIN (payments b FULL JOIN empty c USING (id)) USING (id) "
    "ORDER BY p.id, a.id",
    "SELECT * FROM people p, other a FULL JOIN (SELECT id::bigint AS id FROM payments) b USING (id) "
    "ORDER BY p.id, coalesce(a.id, b.id)",
    "SELECT * FROM people p, other a FULL JOIN people b USING ({role}) ORDER BY p.id, a.id, b.id",
    "SELECT * FROM people p FULL JOIN people b USING ({role}, {label}), people c ORDER BY p.id, b.id, c.id",
    "SELECT * FROM people p NATURAL FULL JOIN empty e, other a ORDER BY p.id, e.id, a.id",
    "SELECT *, p.ctid IS NULL AS none FROM people p, other a FULL JOIN empty e USING (id) ORDER BY p.id, a.id",
    "SELECT * FROM people p, other a FULL JOIN other b USING (id) AS x ORDER BY p.id, x.id",
    "SELECT x.* FROM (SELECT * FROM people p, other a FULL JOIN other b USING (id)) AS x(a, b, c)",
    "SELECT * FROM people p, other a LEFT JOIN (SELECT id::bigint AS id FROM payments) b USING (id) "
    "ORDER BY p.id, a.id",
    "UPDATE people p SET name = 'z' FROM other a FULL JOIN empty e USING (id) WHERE p.id = a.id RETURNING *",
    "UPDATE people p SET boss = 3 FROM other a FULL JOIN (SELECT 1::bigint AS id) e USING (id) WHERE p.id = a.id "
    "RETURNING *, 1 AS one",
    "DELETE FROM payments p USING other a FULL JOIN empty e USING (id) WHERE p.id = a.id RETURNING *",
    # a target cannot be derived: what the join makes of two types is spelled out
    "DELETE FROM payments p USING other a LEFT JOIN (SELECT 1::bigint AS id) e USING (id) WHERE p.id = a.id RETURNING *",
    "DELETE FROM payments p USING other a RIGHT JOIN (SELECT 1.50 AS id UNION SELECT 1) e USING (id) RETURNING p.id, *",
    *[Case(f"DELETE FROM payments p USING {a} JOIN {b} USING (id) WHERE p.id = 1 RETURNING *") for a, b in (
        ("other a", "(VALUES (1.0), (2.50)) AS e(id)"), ("(VALUES (1.0), (2.50)) AS e(id)", "other a"),
        ("(VALUES ('1'::varchar)) AS e(id)", "(VALUES ('1'::text)) AS f(id)"))],
    "SELECT id, {role} FROM people JOIN other USING (id, {role}) ORDER BY id",
    "SELECT {role}, people.id, other.id FROM people FULL JOIN other USING ({role}) ORDER BY 2, 3",
    "SELECT * FROM people NATURAL JOIN payments ORDER BY id",
    "SELECT * FROM people p NATURAL LEFT JOIN (SELECT 1 AS id, 5 AS five) x ORDER BY id",
    "SELECT id, {role} FROM people NATURAL JOIN other ORDER BY id",
    "SELECT x.id, p.{role}, o.amount FROM people p JOIN other o USING (id) AS x ORDER BY x.id",
    "SELECT x.*, p.{act} FROM people p LEFT JOIN other o USING (id) AS x ORDER BY 1",
    "SELECT x.id FROM people p JOIN other o USING (id) AS x WHERE p.{role} = {admin}",
    "SELECT j.{role}, j.boss FROM (people p JOIN empty e ON false) AS j",
    "SELECT j.*, o.id FROM other o LEFT JOIN (people p JOIN payments t ON t.person_id = p.id) AS "
    "j(a, b, c) ON o.id = a ORDER BY o.id, 9",
    "SELECT a.{role}, b.{role} FROM people a JOIN people b ON a.{role} = b.{role} AND a.id < b.id",
    "SELECT a.id, t.amount FROM people a, payments t WHERE t.person_id = a.id AND t.amount = {n} ORDER BY 2",
    "SELECT t.id, o.id FROM payments t JOIN other o ON o.ref = t.ref ORDER BY 1",
    "SELECT a.id, b.id FROM payments a JOIN payments b ON a.ref = b.ref ORDER BY 1",
    "SELECT p.{role} FROM people p CROSS JOIN LATERAL (SELECT p.{role} AS r LIMIT 1) x WHERE x.r = {admin}",
    "SELECT p.id, s FROM people p CROSS JOIN LATERAL unnest(ARRAY[p.{role}::text]) AS s ORDER BY 1",
    "SELECT p.id, n, o FROM people p, ROWS FROM (generate_series(1, 2), unnest(ARRAY[p.name])) AS f(n, o) "
    "ORDER BY 1, 2",
    "SELECT id, e FROM people, unnest(ARRAY[{role}::text]) WITH ORDINALITY AS u(e, n) ORDER BY id, n",
    "SELECT id, {role}, value FROM people, jsonb_array_elements('[1,2]') ORDER BY id, value",
    "SELECT id, {role}, key FROM people, jsonb_each('{\"k\": 1}') ORDER BY id",
    "SELECT id, k, {role} FROM people, json_to_record('{\"k\": 1}') AS r(k int) ORDER BY id",
    "SELECT p.id, x.w FROM people p, xmltable('/a/b' PASSING xmlparse(document '<a><b>1</b></a>') "
    "COLUMNS w text PATH '.', {xrole} int PATH '.') AS x WHERE p.{role} = {admin}",
    "SELECT nosuch.id FROM people p JOIN other ON p.id = nosuch.id",
    # a merged column is that of the side which has its type
    "SELECT ref, pg_typeof(ref) FROM payments JOIN other USING (ref) ORDER BY 1",
    "SELECT ref, o.* FROM other o JOIN payments t USING (ref) ORDER BY 1",
    "SELECT ref FROM other o LEFT JOIN payments t USING (ref) ORDER BY 1",
    "SELECT ref, t.id FROM other o RIGHT JOIN payments t USING (ref) ORDER BY 2",
    # a derived table has none of the system's columns, and another's must not be taken for them
    Case("SELECT p.ctid IS NOT NULL, p.{role} FROM people p JOIN other o USING ({role}) ORDER BY p.id",
         only="old", refused="a system column", refused_in=["dual_new", "new", "contracted"]),
    Case("SELECT (SELECT xmin IS NULL FROM people AS q(a, b) WHERE a = 1 AND b = {admin}) FROM people p "
         "ORDER BY p.id", only="old", refused="a system column"),
    "SELECT {role} FROM people JOIN other ON true",
    "SELECT p.{role} FROM other o JOIN people p ON o.{xrole} IS NULL ORDER BY p.id",
]

CASES = {PEOPLE: JOINS}
