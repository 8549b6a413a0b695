"""
Every kind of change of type that Segue is for, the whole way: both applications write in every phase,
VERIFY finds no row out of parity, and the table ends as one that never was anything else.
"""

import psycopg
import pytest

from journey import Journey

pytestmark = pytest.mark.heavy

# name: types, conversions, lossless, values in both words (as SQL), more DDL by shape
KINDS = {
    "renamed": dict(
        old=("nick", "text", "handle"), new=("handle", "text", "nick"), lossless=True,
        values=[("'ann'", "'ann'"), ("'bob'", "'bob'"), ("NULL", "NULL"), ("''", "''")],
    ),
    "int_to_bigint": dict(
        old=("n", "integer", "n::integer"), new=("n", "bigint", "n::bigint"), lossless=True,
        values=[("1", "1"), ("-7", "-7"), ("NULL", "NULL"), ("2147483647", "2147483647")],
    ),
    "text_to_array": dict(
        old=("role", "text", "array_to_string(roles, ',')"),
        new=("roles", "text[]", "string_to_array(role, ',')"), lossless=False,
        values=[("'a,b'", "'{a,b}'"), ("'c'", "'{c}'"), ("NULL", "NULL"), ("''", "'{}'")],
    ),
    "text_to_numeric": dict(
        old=("amount", "text", "amount::text"),
        new=("amount", "numeric(12,2)", "amount::numeric"), lossless=False,
        values=[("'10.50'", "10.50"), ("'-3.00'", "-3"), ("NULL", "NULL"), ("'0.01'", "0.01")],
    ),
    "text_to_timestamptz": dict(
        old=("seen", "text", "(seen AT TIME ZONE 'UTC')::text"),
        new=("seen", "timestamp with time zone", "seen::timestamp AT TIME ZONE 'UTC'"),
        lossless=False,
        values=[("'2024-02-29 12:00:00'", "'2024-02-29 12:00:00+00'"), ("NULL", "NULL"),
                ("'1999-12-31 23:59:59.5'", "'2000-01-01 01:29:59.5+01:30'")],
    ),
    "text_to_jsonb": dict(
        old=("doc", "text", "doc::text"), new=("doc", "jsonb", "doc::jsonb"), lossless=False,
        values=[("""'{"a": 1}'""", """'{"a":1}'"""), ("'[]'", "'[]'"), ("NULL", "NULL"),
                ("""'"x"'""", """'"x"'""")],
    ),
    "varchar_to_text": dict(
        old=("name", "varchar(20)", "name::varchar(20)"), new=("name", "text", "name::text"),
        lossless=True,
        values=[("'ann'", "'ann'"), ("''", "''"), ("NULL", "NULL"), ("'éñ'", "'éñ'")],
    ),
    "enum_to_text": dict(
        old=("mood", "public.mood", "mood::public.mood"), new=("mood", "text", "mood::text"),
        lossless=True,
        values=[("'sad'", "'sad'"), ("'glad'", "'glad'"), ("NULL", "NULL"), ("'calm'", "'calm'")],
    ),
    "text_to_enum": dict(
        old=("mood", "text", "mood::text"), new=("mood", "public.mood", "mood::public.mood"),
        lossless=True,
        values=[("'sad'", "'sad'"), ("'glad'", "'glad'"), ("NULL", "NULL"), ("'calm'", "'calm'")],
    ),
    "boolean_to_enum": dict(
        old=("active", "boolean", "state = 'calm'"),
        new=("state", "public.mood",
             "CASE WHEN active THEN 'calm' WHEN NOT active THEN 'sad' END::public.mood"),
        lossless=True,
        values=[("true", "'calm'"), ("false", "'sad'"), ("NULL", "NULL")],
    ),
}
ENUM = "CREATE TYPE mood AS ENUM ('sad', 'calm', 'glad');"


def transition(kind):
    quoted = []
    for shape in ("old", "new"):
        name, type_, conversion = kind[shape]
        quoted.append(f'{shape} "{name}" {{ type = "{type_}"  from = "{conversion}" }}')
    lossless = str(kind["lossless"]).lower()
    return (f'transition "it" {{ table = "public.t"\n {quoted[0]}\n {quoted[1]}\n'
            f' lossless = {lossless}\n guard = "{{guard}}" }}')


def table(kind, shape):
    name, type_, _ = kind[shape]
    return f"{ENUM} CREATE TABLE t (id int PRIMARY KEY, note text, {name} {type_});"


def writes_of(kind):
    """Each value by INSERT with and without a list, UPDATE by key, by value, of everything; and back."""
    made = []

    def add(pattern, value):
        made.append(lambda n: {
            shape: pattern.format(c=kind[shape][0], v=value[i], n=n)
            for i, shape in enumerate(("old", "new"))
        })

    for value in kind["values"]:
        add("INSERT INTO t (id, {c}) VALUES ({n}, {v}) RETURNING id, {c}", value)
        add("INSERT INTO t VALUES ({n}, 'all', {v})", value)
        add("UPDATE t SET {c} = {v} WHERE id = {n} - 1 RETURNING {c}", value)
        add("UPDATE t SET note = '{n}' WHERE {c} IS NOT DISTINCT FROM {v}", value)
    add("UPDATE t SET {c} = {c}, note = 'same' WHERE id % 3 = 0", kind["values"][0])
    add("INSERT INTO t (id, note) VALUES ({n}, 'none')", kind["values"][0])
    add("INSERT INTO t (id, {c}) SELECT {n}, {c} FROM t WHERE id = 1 RETURNING {c}",
        kind["values"][0])
    add("DELETE FROM t WHERE id = {n} - 9 RETURNING {c}", kind["values"][0])
    return made


@pytest.mark.parametrize("name", KINDS)
def test_the_whole_way(make_segue, cluster, name):
    kind = KINDS[name]
    fill = {
        shape: "".join(
            f"INSERT INTO t VALUES ({n + 1}, 'n{n}', {value[i]});"
            for n, value in enumerate(kind["values"])
        )
        for i, shape in enumerate(("old", "new"))
    }
    reads = {
        shape: [
            "SELECT * FROM t ORDER BY id",
            f"SELECT {kind[shape][0]}, count(*) FROM t GROUP BY 1 ORDER BY 1",
            f"SELECT id FROM t WHERE {kind[shape][0]} = {kind['values'][0][i]} ORDER BY id",
        ]
        for i, shape in enumerate(("old", "new"))
    }
    journey = Journey(
        make_segue, cluster, name, {s: table(kind, s) for s in ("old", "new")},
        {"it": transition(kind)}, fill, writes_of(kind), reads,
    )
    journey.whole()
    journey.close()


# ---------------------------------------------------------------- settings that sessions differ in

DATES = """
transition "dates" {
    table = "public.t"
    old "born"  { type = "%(old)s"  from = "%(backward)s" }
    new "birth" { type = "%(new)s"  from = "%(forward)s" }
    guard = "sync"
}
"""


@pytest.fixture
def dates(make_segue, cluster, shop_database):
    with cluster.connect(shop_database) as connection:
        connection.execute(
            "CREATE TABLE t (id int PRIMARY KEY, born text, raw bytea);"
            " INSERT INTO t VALUES (1, '2024-02-29', '\\x00')"
        )
    return make_segue([shop_database])


@pytest.mark.parametrize("new, forward, backward, setting", [
    ("timestamptz", "born::timestamptz", "(birth AT TIME ZONE 'UTC')::text", "TimeZone"),
    ("timestamptz", "born::timestamp AT TIME ZONE 'UTC'", "birth::text", "TimeZone"),
    ("timestamptz", "to_timestamp(born, 'YYYY')", "birth::date::text", "TimeZone"),
    ("timestamptz[]", "ARRAY[born::timestamp AT TIME ZONE 'UTC']", "array_to_string(birth, ',')",
     "TimeZone"),
    ("timestamptz", "coalesce(born::timestamp AT TIME ZONE 'UTC', now())", "'x'", "TimeZone"),
    ("date", "born::date + (CURRENT_DATE - CURRENT_DATE)", "birth::text", "who asks"),
    ("bytea", "born::bytea", "encode(birth, 'hex')", "bytea_output"),
])
def test_a_conversion_that_sessions_would_do_differently_is_refused(
    dates, new, forward, backward, setting
):
    definition = DATES % {"old": "text", "new": new, "forward": forward, "backward": backward}
    with pytest.raises(Exception) as refusal:
        dates.admin("APPLY '" + definition.replace("'", "''") + "'")
    assert refusal.value.pgcode == "42P17"
    assert setting in str(refusal.value) and "HINT" in str(refusal.value)


def test_a_session_that_writes_dates_another_way_is_told_to_write_them_as_all_do(dates):
    definition = DATES % {
        "old": "text", "new": "date", "forward": "born::date", "backward": "birth::text"
    }
    dates.move_to("dates", "dual_own", definition)
    with dates.old() as old, dates.new() as new, dates.direct() as direct:
        old.execute("SET DateStyle = 'German'")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="DateStyle"):
            old.execute("SELECT born FROM t")
        old.execute("SET DateStyle TO DEFAULT")
        assert old.execute("SELECT born FROM t").fetchall() == [("2024-02-29",)]
        new.execute("UPDATE t SET birth = '2024-03-01'")
        assert old.execute("SELECT born FROM t").fetchall() == [("2024-03-01",)]
        direct.execute("SET DateStyle = 'German'")  # past Segue: the guard's words are still ours
        direct.execute("UPDATE t SET birth = '02.03.2024'")
        assert old.execute("SELECT born FROM t").fetchall() == [("2024-03-02",)]
