"""Commands of the admin port that take their time, or are refused."""

import threading

import psycopg2
import pytest


class InBackground(threading.Thread):
    """Runs a function; `result` or `problem` once it is joined."""

    def __init__(self, function, *arguments):
        super().__init__()
        self.function, self.arguments = function, arguments
        self.result = self.problem = None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.arguments)
        except Exception as problem:  # handed to the test by `finish`
            self.problem = problem

    def finish(self, seconds=60):
        self.join(seconds)
        assert not self.is_alive(), "still running"
        if self.problem:
            raise self.problem
        return self.result


def refused(segue, command, sqlstate="55000"):
    with pytest.raises(psycopg2.Error) as error:
        segue.admin(command)
    assert error.value.pgcode == sqlstate, str(error.value)
    return str(error.value)
