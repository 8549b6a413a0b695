"""SCRAM-SHA-256 as a client speaks it, one message at a time, so that a test can spoil each."""

import base64
import hashlib
import hmac
import struct

import wire

MECHANISM, MECHANISM_PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"


def initial_response(data, mechanism=MECHANISM):
    """SASLInitialResponse."""
    return wire.message(b"p", wire.cstring(mechanism) + struct.pack("!i", len(data)) + data)


def response(data):
    """SASLResponse."""
    return wire.message(b"p", data)


def _hmac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def attributes(message):
    return dict(part.split("=", 1) for part in message.decode().split(","))


class Scram:
    def __init__(self, password, nonce="rOprNGfwEbeRWgbNEkqO", header="n,,", binding=b""):
        self.password = password
        self.header, self.binding, self.nonce = header, binding, nonce
        self.bare = f"n=,r={nonce}"

    def first(self):
        return (self.header + self.bare).encode()

    def final(self, server_first, nonce=None):
        said = attributes(server_first)
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(said["s"]),
                                     int(said["i"]))
        channel = base64.b64encode(self.header.encode() + self.binding).decode()
        before = f"c={channel},r={nonce or said['r']}"
        authenticated = ",".join((self.bare, server_first.decode(), before)).encode()
        key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(key).digest(), authenticated)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.server_signature = _hmac(_hmac(salted, b"Server Key"), authenticated)
        return f"{before},p={base64.b64encode(proof).decode()}".encode()

    def login(self, connection, user, database="segue"):
        """All of it over a wire.Connection; gives the messages from AuthenticationSASLFinal on."""
        connection.send(wire.startup_packet(user, database))
        connection.read()
        connection.send(initial_response(self.first()))
        connection.send(response(self.final(connection.read().body[4:])))
        return connection.read_until()
