"""The relay: whatever PostgreSQL can do, it does through Segue, byte for byte."""

import os
import re
import struct
import subprocess
import threading

import psycopg
import pytest

import wire
from cluster import SECRET, binary
from fake_server import AUTHENTICATION_OK, READY, FakeServer
from relayed import both, send_and_read
from waiting import wait_until
from wire import masked


# ---------------------------------------------------------------- login


def login_messages(port, user, database, secret=None, **parameters):
    with wire.Connection(port) as connection:
        try:
            return masked(connection.login(user, database, secret, **parameters))
        except wire.Closed as closed:
            return masked(closed.messages)


@pytest.mark.parametrize(
    "user, database, secret",
    [
        ("alice", "postgres", None),
        ("user_md5", "postgres", SECRET),
        ("user_password", "postgres", SECRET),
        ("user_md5", "postgres", "wrong"),
        ("user_password", "postgres", "wrong"),
        ("user_rejected", "postgres", None),
        ("nobody_such", "postgres", None),
        ("alice", "no_such_database", None),
    ],
)
def test_login_is_answered_as_by_the_server(cluster, relay, user, database, secret):
    direct = login_messages(cluster.port, user, database, secret)
    assert login_messages(relay.old_port, user, database, secret) == direct
    assert login_messages(relay.new_port, user, database, secret) == direct


@pytest.mark.parametrize("user", ["user_scram", "user_md5", "user_password"])
def test_libpq_logs_in_by_password(relay, user):
    with relay.old(user=user, password=SECRET) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (user,)


def test_a_wrong_scram_password_gives_the_servers_error(relay, cluster):
    texts = []
    for port in (cluster.port, relay.old_port):
        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(host="127.0.0.1", port=port, user="user_scram", password="wrong",
                            dbname="postgres")
        texts.append(str(refused.value).replace(str(port), "PORT"))
    assert texts[0] == texts[1]
    assert "password authentication failed" in texts[1]


def test_startup_parameters_reach_the_server(relay):
    with relay.raw(application_name="an app", options="-c work_mem=7MB", TimeZone="Asia/Tokyo",
                   client_encoding="LATIN1") as connection:
        assert connection.rows("SHOW work_mem") == [["7MB"]]
        assert connection.rows("SHOW application_name") == [["an app"]]
        assert connection.parameters["TimeZone"] == "Asia/Tokyo"
        assert connection.parameters["client_encoding"] == "LATIN1"


def test_a_bad_startup_parameter_gives_the_servers_error(cluster, relay):
    direct = login_messages(cluster.port, "alice", "postgres", work_mem="a lot")
    assert login_messages(relay.old_port, "alice", "postgres", work_mem="a lot") == direct
    assert direct[-1][1]["C"] == "22023"


@pytest.mark.parametrize(
    "requests",
    [
        [wire.ssl_request()],
        [wire.gss_request()],
        [wire.ssl_request(), wire.gss_request()],
        [wire.gss_request(), wire.ssl_request()],
    ],
    ids=["ssl", "gss", "ssl-gss", "gss-ssl"],
)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_encryption_requests_are_answered_N_and_login_goes_on(relay, requests, cut):
    with wire.Connection(relay.old_port) as connection:
        for request in requests:
            connection.send_cut(request, *(range(1, 8) if cut else ()))
            assert connection.read_bytes(1) == b"N"
        connection.login("alice", "postgres")
        assert connection.rows("SELECT 1") == [["1"]]


def test_a_client_that_insists_on_tls_is_told_no_by_its_own_library(relay):
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        relay.old(sslmode="require")


def test_a_newer_minor_protocol_is_negotiated_by_the_server(cluster, relay):
    answers = []
    for port in (cluster.port, relay.old_port):
        with wire.Connection(port) as connection:
            parameters = {"_pq_.nosuch": "1"}
            connection.send(wire.startup_packet("alice", "postgres", wire.PROTOCOL_3_0 + 9,
                                                **parameters))
            answers.append(masked(connection.read_until()))
    assert answers[1] == answers[0]
    assert answers[1][0][0] == b"v"


# ---------------------------------------------------------------- simple and extended protocol

SIMPLE = [
    "SELECT 1",
    "",
    ";;",
    "SELECT NULL, '', 'ä', 1.5::float8",
    "SELECT 1; SELECT 2; SELECT 3",
    "BEGIN; SELECT 1; COMMIT",
    "BEGIN; SELECT 1/0; SELECT 2",
    "SELECT nosuch FROM pg_class",
    "SELECT 'ein Fehler nach ä', nosuch",
    "SELEC 1",
    "CREATE TEMP TABLE relay_t (a int); INSERT INTO relay_t VALUES (1), (2); SELECT * FROM relay_t",
    "SET application_name = 'me'; SHOW application_name",
    "SET TimeZone = 'Asia/Tokyo'",
    "DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'take care'; END $$",
    "SELECT generate_series(1, 1000)",
    "EXPLAIN (COSTS off) SELECT 1",
    "BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 5); FETCH 2 FROM c; FETCH 2 FROM c; CLOSE c",
    "LISTEN relay_c; NOTIFY relay_c, 'payload'; UNLISTEN relay_c",
    "PREPARE zz AS SELECT $1::int; EXECUTE zz(4); DEALLOCATE zz",
    "DISCARD ALL",
    "SELECT repeat('x', 100000)",
    "SELECT 1\x01",
    "SELECT $$a;b$$; SELECT E'\\'';",
]


@pytest.mark.parametrize("sql", SIMPLE)
def test_a_simple_query_is_answered_as_by_the_server(cluster, relay, sql):
    both(cluster, relay, send_and_read(wire.query(sql)))


EXTENDED = {
    "one": wire.extended("SELECT $1::int + 1", ["41"]) + wire.sync(),
    "named": wire.extended("SELECT $1::text", ["a"], "s1")
    + wire.bind(["b"], "s1") + wire.execute() + wire.close(b"S", "s1") + wire.sync(),
    "describe statement": wire.parse("SELECT $1::int, $2::text", "s") + wire.describe(b"S", "s")
    + wire.sync(),
    "no parameters described": wire.parse("BEGIN") + wire.describe(b"S") + wire.sync(),
    "null and binary": wire.parse("SELECT $1::int4, $2::text")
    + wire.bind([struct.pack("!i", 7), None], formats=[1, 0], result_formats=[1])
    + wire.describe(b"P") + wire.execute() + wire.sync(),
    "suspended portal": wire.parse("SELECT generate_series(1, 5)") + wire.bind()
    + wire.execute(rows=2) + wire.execute(rows=2) + wire.execute(rows=2) + wire.sync(),
    "empty": wire.extended("") + wire.sync(),
    "close unknown": wire.close(b"S", "nosuch") + wire.close(b"P", "nosuch") + wire.sync(),
    "close portal keeps statement": wire.parse("SELECT 1", "x") + wire.bind([], "x", "x")
    + wire.close(b"P", "x") + wire.bind([], "x") + wire.execute() + wire.sync(),
    "error in parse skips the rest": wire.extended("SELEC") + wire.extended("SELECT 1")
    + wire.sync() + wire.extended("SELECT 2") + wire.sync(),
    "error in bind": wire.parse("SELECT $1::int") + wire.bind(["x"]) + wire.execute() + wire.sync(),
    "error in execute": wire.extended("SELECT 1/$1::int", ["0"]) + wire.extended("SELECT 1")
    + wire.sync(),
    "describe unknown": wire.describe(b"S", "nosuch") + wire.sync(),
    "bind unknown": wire.bind([], "nosuch") + wire.sync(),
    "parse again": wire.parse("SELECT 1", "s") + wire.parse("SELECT 2", "s") + wire.sync(),
    "in a transaction": wire.extended("BEGIN") + wire.extended("SELECT 1") + wire.sync()
    + wire.extended("SELECT nosuch") + wire.sync() + wire.extended("ROLLBACK") + wire.sync(),
    "two statements in parse": wire.parse("SELECT 1; SELECT 2") + wire.sync(),
    "sync alone": wire.sync() + wire.sync(),
}


@pytest.mark.parametrize("data", EXTENDED.values(), ids=EXTENDED.keys())
def test_the_extended_protocol_is_answered_as_by_the_server(cluster, relay, data):
    syncs = data.count(wire.sync())
    both(cluster, relay, send_and_read(data, count=syncs))


def test_flush_brings_answers_before_sync(cluster, relay):
    def conversation(connection):
        connection.send(wire.parse("SELECT 1") + wire.bind() + wire.describe(b"P") + wire.flush())
        first = connection.read_until(b"T")
        connection.send(wire.execute() + wire.flush())
        second = connection.read_until(b"C")
        connection.send(wire.sync())
        return first + second + connection.read_until()

    both(cluster, relay, conversation)


def test_a_simple_query_within_an_unsynced_batch_is_answered_as_by_the_server(cluster, relay):
    data = wire.extended("SELECT 1") + wire.query("SELECT 2") + wire.extended("SELECT 3") + wire.sync()
    both(cluster, relay, send_and_read(data, count=2))


def test_pitfall_02_a_query_behind_an_extended_error_is_skipped(cluster, relay):
    data = wire.extended("SELEC") + wire.query("SELECT 2") + wire.sync() + wire.query("SELECT 3")
    both(cluster, relay, send_and_read(data, count=2))


def test_many_pipelined_queries_are_answered_in_order(cluster, relay):
    data = b"".join(
        wire.extended("SELECT $1::int", [str(i)]) + (wire.sync() if i % 7 == 0 else b"")
        for i in range(1, 701)
    )
    shown = both(cluster, relay, send_and_read(data, count=100))
    assert [body[6:] for kind, body in shown if kind == b"D"] == [
        str(i).encode() for i in range(1, 701)
    ]


def test_psycopg_pipeline_mode_works(relay):
    with relay.old() as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::int * 2", (i,)) for i in range(200)]
        assert [cursor.fetchone()[0] for cursor in cursors] == [i * 2 for i in range(200)]


def test_a_pipeline_error_spares_what_follows_the_sync(relay):
    with relay.old() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline():
            connection.execute("SELECT 1/0")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_pitfall_50_a_function_call_is_answered_as_by_the_server(cluster, relay):
    abs_int4 = 1397
    both(cluster, relay, send_and_read(wire.function_call(abs_int4, [b"-42"])))
    both(cluster, relay, send_and_read(wire.function_call(abs_int4, [b"x"])))
    both(cluster, relay, send_and_read(wire.function_call(abs_int4, [b"-1"]) + wire.query("SELECT 1"),
                                       count=2))


@pytest.mark.parametrize("megabytes", [1, 64])
def test_a_large_value_goes_up_and_comes_back(relay, megabytes):
    size = megabytes << 20
    with relay.raw(timeout=60) as connection:
        value = bytes(range(256)) * (size // 256)
        connection.send(
            wire.parse("SELECT $1::bytea")
            + wire.bind([value], formats=[1], result_formats=[1]) + wire.execute() + wire.sync()
        )
        messages = connection.read_until()
        assert wire.kinds(messages) == "12DCZ"
        assert messages[2].row() == [value]


def test_a_large_query_text_goes_through(relay):
    with relay.raw() as connection:
        text = "x" * 300_000
        assert connection.rows(f"SELECT '{text}'") == [[text]]


# ---------------------------------------------------------------- what comes unasked


def test_a_notification_arrives_while_the_client_is_silent(relay):
    with relay.old() as listener, relay.new() as sender:
        listener.execute("LISTEN relay_bell")
        sender.execute("NOTIFY relay_bell, 'ding'")
        notice = next(listener.notifies())
        assert (notice.channel, notice.payload) == ("relay_bell", "ding")


def test_pitfall_49_notices_and_parameter_changes_arrive_between_other_messages(cluster, relay):
    sql = ("DO $$ BEGIN FOR i IN 1..300 LOOP RAISE NOTICE 'n %', i; "
           "PERFORM set_config('application_name', 'app' || i, false); END LOOP; END $$; SELECT 1")
    shown = both(cluster, relay, send_and_read(wire.query(sql)))
    assert sum(kind == b"N" for kind, _ in shown) == 300
    assert any(kind == b"S" for kind, _ in shown)


def test_a_terminated_backend_is_reported_and_the_client_closed(cluster, relay):
    with relay.raw() as connection, cluster.connect() as killer:
        killer.execute("SELECT pg_terminate_backend(%s)", (connection.pid,))
        messages = connection.read_all()
        assert messages[-1].sqlstate == "57P01"


# ---------------------------------------------------------------- the rest


def test_a_replication_connection_is_relayed(cluster, relay):
    def conversation(connection):
        return connection.query("IDENTIFY_SYSTEM")

    answers = []
    for port in (cluster.port, relay.old_port):
        with wire.Connection(port) as connection:
            connection.login("postgres", "postgres", replication="database")
            answers.append([message.row()[0] for message in conversation(connection)
                            if message.kind == b"D"])
    assert answers[1] == answers[0]
    assert len(answers[1]) == 1


def test_an_end_gets_into_no_message_of_a_replication_connection(make_segue, cluster):
    """Bytes of Segue's own in the middle of CopyData would be taken for the write-ahead log."""
    begun = struct.pack("!cibh", b"W", 7, 0, 0)
    data = wire.copy_data(bytes(1000))
    said = []

    def serve(connection):
        connection.sendall(AUTHENTICATION_OK + READY + begun + said[-1])
        connection.recv(1)

    with FakeServer(serve) as server:
        segue = make_segue(start=False)
        segue.change_config(f"port = {cluster.port} }}", f"port = {server.port} }}")
        segue.lets_in = lambda *_: True
        segue.start()
        for passed, end in ((data, b"E"), (data + data[:3], b"E"), (data + data[:500], b"")):
            said.append(passed)
            with wire.Connection(segue.old_port) as connection:
                connection.send(wire.startup_packet("alice", "postgres", replication="true"))
                connection.read_until()
                whole = begun + data + (data[:500] if passed == data + data[:500] else b"")
                assert connection.read_bytes(len(whole)) == whole
                (row,) = segue.admin("SHOW CLIENTS").rows
                segue.admin(f"KILL_CLIENT {row['id']}")
                rest = bytes(connection.received)
                while more := connection.socket.recv(65536):
                    rest += more
            assert rest[:1] == end and (b"57P01" in rest) == bool(end)


def test_pg_dump_works(relay):
    dumps = [
        subprocess.run(
            [binary("pg_dump"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "old_template"],
            check=True, capture_output=True, text=True,
        ).stdout
        for port in (relay.cluster.port, relay.old_port)
    ]
    dumps = [re.sub(r"\\(un)?restrict .*", "", dump) for dump in dumps]
    assert dumps[0] == dumps[1]
    assert "CREATE TABLE public.users" in dumps[0]


def test_two_hundred_clients_come_and_go_at_once(relay):
    problems = []

    def client(number):
        try:
            with relay.raw(timeout=60) as connection:
                assert connection.rows(f"SELECT {number}") == [[str(number)]]
        except Exception as problem:  # a thread's failure is told by the assertion below
            problems.append(problem)

    for wave in range(4):
        threads = [threading.Thread(target=client, args=(wave * 50 + i,)) for i in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []


def test_no_file_descriptor_stays_behind(relay):
    def count():
        return len(os.listdir(f"/proc/{relay.process.pid}/fd"))

    with relay.raw() as connection:
        connection.query("SELECT 1")
    before = count()
    for _ in range(20):
        with relay.raw() as connection:
            connection.query("SELECT 1")
    wait_until(lambda: count() <= before)


def test_the_log_tells_who_ended_a_session(relay, cluster):
    with relay.log_contains("ended, client_terminate: "):
        relay.old().close()
    with relay.old() as connection, cluster.connect() as direct:
        with relay.log_contains("ended, server_terminated: "):
            direct.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
