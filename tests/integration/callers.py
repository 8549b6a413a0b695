"""Clients that come and go while one process takes another's place."""

import contextlib
import threading
import time

import psycopg


class Callers:
    """
    Clients that connect, ask and leave, without pause. Not to be let in is a failure. To be let in by
    the process that then ends, and to be told so (or, before one has asked, just to see it closed, as
    with PostgreSQL itself), is what may happen to a client once per restart.
    """

    def __init__(self, connect, count=3):
        self.connect = connect
        self.stopped = False
        self.served, self.failures, self.ended = 0, [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]

    def run(self):
        while not self.stopped:
            try:
                connection = self.connect()
            except psycopg.Error as error:
                self.failures.append(str(error))
                return
            try:
                with contextlib.closing(connection):
                    connection.execute("SELECT count(*) FROM users").fetchone()
                self.served += 1
            except psycopg.OperationalError as error:
                self.ended.append(str(error))

    def assert_well(self, restarts):
        assert self.failures == [], self.failures
        assert len(self.ended) <= restarts * len(self.threads), self.ended

    def wait_for(self, more):
        wanted = self.served + more
        deadline = time.monotonic() + 60
        while self.served < wanted and not self.failures:
            assert time.monotonic() < deadline, "nobody is served any more"
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        for thread in self.threads:
            thread.join(60)


def wait_until_ended(process):
    assert process.wait(60) == 0
