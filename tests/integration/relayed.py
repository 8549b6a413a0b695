"""What is said through the relay is answered as by the server itself."""

import wire
from wire import masked


def both(cluster, relay, conversation, user="alice", secret=None):
    """The conversation (a function of a logged-in connection) direct and relayed must be the same."""
    answers = []
    for port in (cluster.port, relay.old_port):
        with wire.Connection(port) as connection:
            connection.login(user, "postgres", secret)
            answers.append(masked(conversation(connection)))
    assert answers[1] == answers[0]
    return answers[1]


def send_and_read(data, until=b"Z", count=1):
    def conversation(connection):
        connection.send(data)
        return connection.read_until(until, count)

    return conversation
