"""
Error positions in encodings other than UTF-8. PostgreSQL counts the characters of the text that it has
converted; a client of any encoding is told the place in its own text, in every phase.
"""

import pytest
from test_error_terms import CREATE, DEFINITION, FILL

import wire
from segue import PHASES, Segue

# What is foreign to ASCII, in bytes of the client's encoding.
FOREIGN = {
    "UTF8": "日é".encode(),
    "LATIN1": b"\xe9\xaa",
    "WIN1252": b"\xe9\x93\x94",
    "EUC_JP": b"\xc6\xfc\xcb\xdc\x8e\xb1\x8f\xb0\xa1",
    "EUC_KR": b"\xc7\xd1\xb1\xb9",
    "EUC_TW": b"\xc4\xe3\x8e\xa2\xa1\xa1",
    "SQL_ASCII": "é".encode(),
}
# {} is the foreign text. The third and fourth are refused by Segue's own parser, the last in a part that is rewritten.
STATEMENTS = [
    "SELECT '{}', code, nosuch FROM people",
    "SELECT code AS \"{}\", '{}', p.nosuch FROM people p",
    "SELECT '{}', code FROM FROM people",
    "SELECT code AS {}, '{}' FROM people WHERE {}x = = 1",
    "SELECT id FROM people WHERE note = '{}' AND code + 'x'::date IS NULL",
    "UPDATE people SET note = '{}', nosuch = 1, code = '1'",
    "SELECT '{}'; SELECT code FROM people; SELECT code, '{}', nosuch FROM people",
    "SELECT /* {} */ count(*), code FROM people",
]


@pytest.fixture(scope="module")
def foreign(cluster, tmp_path_factory):
    """A function that moves the proxy to a phase; tests come in the order of phases."""
    cluster.create_database("foreign")
    with cluster.connect("foreign") as direct:
        direct.execute(CREATE["old"] + FILL["old"])
    for shape in ("old", "new"):
        cluster.create_database(f"foreign_{shape}")
        with cluster.connect(f"foreign_{shape}") as direct:
            direct.execute(CREATE[shape] + FILL[shape])
    segue = Segue(cluster, tmp_path_factory.mktemp("foreign"), ["foreign"]).start()

    def at(phase):
        segue.move_to("code", phase, DEFINITION)
        return segue

    yield at
    segue.stop()


def place_told(connection, data):
    connection.send(data)
    fields = wire.error_of(connection.read_until()).fields()
    return fields["C"], fields.get("P")


@pytest.mark.parametrize("encoding", FOREIGN)
@pytest.mark.parametrize("phase", PHASES)
def test_a_position_counts_characters_of_the_clients_text(foreign, cluster, phase, encoding):
    segue = foreign(phase)
    for shape in ("old", "new"):
        with wire.Connection(cluster.port) as plain, segue.raw(shape, client_encoding=encoding) as ours:
            plain.login("postgres", f"foreign_{shape}", client_encoding=encoding)
            for statement in STATEMENTS:
                sql = statement.encode().replace(b"{}", FOREIGN[encoding])
                several = sql.count(b";")
                for data in [wire.message(b"Q", sql + b"\0")] + (
                        [] if several else [wire.parse(sql) + wire.sync()]):
                    expected = place_told(plain, data)
                    assert expected[1]
                    assert place_told(ours, data) == expected, (shape, sql)


def test_a_position_follows_a_change_of_the_encoding(foreign, cluster):
    segue = foreign("dual_new")
    with segue.raw("old") as ours, wire.Connection(cluster.port) as plain:
        plain.login("postgres", "foreign_old")
        for encoding in ("LATIN1", "EUC_JP", "UTF8", "LATIN1"):
            data = wire.message(b"Q", b"SELECT '" + FOREIGN["LATIN1" if encoding == "LATIN1" else encoding]
                                + b"', code, nosuch FROM people\0")
            for connection in (ours, plain):
                connection.query(f"SET client_encoding TO {encoding}")
            assert place_told(ours, data) == place_told(plain, data), encoding


def test_a_database_without_an_encoding_counts_bytes(cluster, tmp_path):
    with cluster.connect() as direct:
        for name in ("bytes", "bytes_plain"):
            direct.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    for name in ("bytes", "bytes_plain"):
        with cluster.connect(name, client_encoding="UTF8") as direct:
            direct.execute(CREATE["old"] + FILL["old"])
    segue = Segue(cluster, tmp_path, ["bytes"]).start()
    try:
        segue.move_to("code", "dual_new", DEFINITION)
        with segue.raw("old", client_encoding="UTF8") as ours, wire.Connection(cluster.port) as plain:
            plain.login("postgres", "bytes_plain", client_encoding="UTF8")
            data = wire.query("SELECT '日é', code, nosuch FROM people")
            assert place_told(ours, data) == place_told(plain, data)
    finally:
        segue.stop()
