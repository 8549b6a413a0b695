"""The server's own tools through Segue: replication in both kinds, pgbench in every protocol. What they make
is compared with what the server has."""

import hashlib
import re
import subprocess

import pytest

import tables
from cluster import binary


def run(segue, program, *arguments, user="postgres", database=None):
    done = subprocess.run(
        [binary(program), "-h", "127.0.0.1", "-p", str(segue.old_port), "-U", user,
         *(["-d", database] if database else []), *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def own(stands):
    """A proxy with transitions under way."""
    return stands("dual_own")


# ---------------------------------------------------------------- replication


@pytest.mark.parametrize("method", ["stream", "fetch"])
def test_pg_basebackup_makes_a_whole_backup(relay, tmp_path, method):
    backup = tmp_path / "backup"
    run(relay, "pg_basebackup", "-D", backup, "-X", method, "-c", "fast", "--no-sync")
    assert (backup / "PG_VERSION").read_text() == "15\n"
    verified = subprocess.run([binary("pg_verifybackup"), backup], capture_output=True, text=True,
                              check=False)
    assert verified.returncode == 0, verified.stderr


def test_pg_receivewal_receives_what_the_server_wrote(cluster, relay, tmp_path):
    with cluster.connect() as direct:
        def scalar(sql):
            return direct.execute(sql).fetchone()[0]

        slot = "received_slot"
        direct.execute("CHECKPOINT")
        scalar(f"SELECT pg_create_physical_replication_slot('{slot}', true)")
        try:
            direct.execute(
                "CREATE TABLE received AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)")
            segment = scalar("SELECT pg_walfile_name(pg_current_wal_lsn())")
            scalar("SELECT pg_switch_wal()")
            direct.execute("DROP TABLE received; CHECKPOINT")
            run(relay, "pg_receivewal", "-D", tmp_path, "--no-loop", "--no-sync", "-S", slot,
                "--endpos", scalar("SELECT pg_current_wal_lsn()"))
        finally:
            scalar(f"SELECT pg_drop_replication_slot('{slot}')")
    received = sorted(tmp_path.iterdir())
    assert segment in [path.name for path in received]
    for path in received:
        written = (cluster.data / "pg_wal" / path.name.removesuffix(".partial")).read_bytes()
        whole = path.read_bytes()
        # what is not written yet is zeros here, and may be of a segment used before there
        told = len(whole.rstrip(b"\0"))
        assert told > 0
        assert hashlib.sha256(whole[:told]).digest() == hashlib.sha256(written[:told]).digest()


def test_pg_recvlogical_decodes_what_the_server_decodes(own, tmp_path):
    """`replication=database`, on a database with transitions: relayed, never rewritten."""
    database, slot = own.databases[0], "decoded_slot"
    run(own, "pg_recvlogical", "--create-slot", "--plugin=test_decoding", "--slot", slot,
        database=database)
    with own.direct() as direct, own.old() as client:
        try:
            tables.fill(direct, "both")
            client.execute("UPDATE users SET role = 'de,coded' WHERE id = 1")
            client.execute("INSERT INTO plain SELECT i, repeat('y', 500) FROM generate_series(100, 3000) i")
            direct.execute("CHECKPOINT")  # what is not on disk is not decoded
            end = direct.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
            expected = [row[0] for row in direct.execute(
                "SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL)", (slot,))]
            target = tmp_path / "decoded"
            run(own, "pg_recvlogical", "--start", "--no-loop", "--slot", slot, "--endpos", end,
                "-f", target, database=database)
            received = target.read_text().splitlines()
            assert received == expected
            assert any("roles[text[]]" in line and "de,coded" in line for line in received)
        finally:
            run(own, "pg_recvlogical", "--drop-slot", "--slot", slot, database=database)


def test_a_logical_replication_connection_runs_sql_as_it_is(own):
    """Its SQL sees the physical columns: it is the server's tools that speak there."""
    with own.raw("new", replication="database") as connection:
        names = connection.query("SELECT * FROM users LIMIT 0")[0].columns()
        assert [column[0] for column in names] == ["id", "name", "role", "roles"]
    with own.raw("new", replication="off") as connection:
        names = connection.query("SELECT * FROM users LIMIT 0")[0].columns()
        assert [column[0] for column in names] == ["id", "name", "roles"]


# ---------------------------------------------------------------- pgbench

PIPELINE = r"""
\set id random(1, 1000)
\startpipeline
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :id;
SELECT abalance FROM pgbench_accounts WHERE aid = :id;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :id, 1, now());
\endpipeline
"""


@pytest.fixture(scope="module")
def bench(relay, cluster):
    cluster.create_database("bench")
    run(relay, "pgbench", "-i", "-q", "--foreign-keys", "bench")
    return relay


def processed(said):
    assert re.search(r"number of failed transactions: 0 ", said), said
    return int(re.search(r"number of transactions actually processed: (\d+)", said).group(1))


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_runs_in_every_protocol(bench, cluster, protocol):
    with cluster.connect("bench") as direct:
        direct.execute("TRUNCATE pgbench_history; UPDATE pgbench_accounts SET abalance = 0;"
                       "UPDATE pgbench_tellers SET tbalance = 0; UPDATE pgbench_branches SET bbalance = 0")
        said = run(bench, "pgbench", "-n", "-M", protocol, "-c", 4, "-j", 2, "-t", 60, "bench")
        assert processed(said) == 240
        assert direct.execute(
            "SELECT count(*) = 240, sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts),"
            " sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers) FROM pgbench_history"
        ).fetchone() == (True, True, True)


@pytest.mark.parametrize("protocol", ["extended", "prepared"])
def test_pgbench_runs_pipelines(bench, cluster, tmp_path, protocol):
    script = tmp_path / "pipeline.sql"
    script.write_text(PIPELINE)
    with cluster.connect("bench") as direct:
        direct.execute("TRUNCATE pgbench_history; UPDATE pgbench_accounts SET abalance = 0")
        said = run(bench, "pgbench", "-n", "-M", protocol, "-c", 4, "-j", 2, "-t", 60, "-f", script,
                   "bench")
        assert processed(said) == 240
        assert direct.execute("SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts)"
                              " FROM pgbench_history").fetchone() == (240, True)


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_runs_on_a_table_in_transition(own, tmp_path, protocol):
    script = tmp_path / "users.sql"
    pipelined = protocol != "simple"
    script.write_text("\\set id random(1, 5)\n" + "\\startpipeline\n" * pipelined
                      + "UPDATE users SET role = 'bench,' || :id WHERE id = :id;\n"
                      + "SELECT role FROM users WHERE id = :id;\n" + "\\endpipeline\n" * pipelined)
    with own.direct() as direct:
        tables.fill(direct, "both")
        said = run(own, "pgbench", "-n", "-M", protocol, "-c", 3, "-t", 60, "-f", script,
                   own.databases[0])
        assert processed(said) == 180
        tables.assert_parity(direct, "users_role")
        written = direct.execute("SELECT count(*) FROM users WHERE role = 'bench,' || id"
                                 " AND roles = ARRAY['bench', id::text]").fetchone()
        assert written == (5,)


def test_pg_dump_in_parallel_gives_what_can_be_restored(relay, cluster, tmp_path):
    run(relay, "pg_dump", "-Fd", "-j", 2, "-f", tmp_path / "dump", "old_template")
    cluster.create_database("restored")
    run(relay, "pg_restore", "-j", 2, tmp_path / "dump", database="restored")
    with cluster.connect("old_template") as before, cluster.connect("restored") as after:
        for table in ("users", "transactions", "orders", "plain"):
            rows = f"SELECT * FROM {table} ORDER BY id"
            assert after.execute(rows).fetchall() == before.execute(rows).fetchall()
