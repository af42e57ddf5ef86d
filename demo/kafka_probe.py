"""Asks a broker whether it is there: by hand, since a client library would log and retry on its own.

Works with and without an event loop. A secured broker answers nobody whom it does not
know, so there the question comes after TLS and a login.
"""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack

from aiokafka.conn import ScramAuthenticator

from demo.kafka_security import BROKER, MECHANISM, KafkaSecurity

_TIMEOUT_SECONDS = 5.0
_ANSWER_BYTES_MAX = 1 << 20
_CORRELATION_ID = 7
# The protocol's numbers for these requests, and the versions that are written out here.
_METADATA = (3, 1)
_SASL_HANDSHAKE = (17, 1)
_SASL_AUTHENTICATE = (36, 0)
_NO_TOPICS = bytes(4)


def answers(host: str, port: int, security: KafkaSecurity | None) -> bool:
    """Whether a broker listens there that knows itself as a living member of its cluster."""
    try:
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS))
            if security is not None:
                connection = stack.enter_context(
                    security.client_context().wrap_socket(connection, server_hostname=host)
                )
                _log_in(connection, security.passwords[BROKER])
            body = _ask(connection, _METADATA, _NO_TOPICS)
    except (OSError, ValueError, KeyError):  # nobody there, or somebody who does not speak as a broker does
        return False
    brokers = int.from_bytes(body[:4], "big", signed=True)
    return brokers > 0


def _log_in(connection: socket.socket, password: str) -> None:
    """Log in as the broker's own user. Raises `ValueError` if that is not to be."""
    mechanism = MECHANISM.encode()
    answer = _ask(connection, _SASL_HANDSHAKE, struct.pack(">h", len(mechanism)) + mechanism)
    if answer[:2] != bytes(2):
        raise ValueError("the broker does not know this mechanism")
    scram = ScramAuthenticator(
        loop=None, sasl_plain_username=BROKER, sasl_plain_password=password, sasl_mechanism=MECHANISM
    )
    scram.process_server_first_message(_say(connection, scram.first_message()))
    scram.process_server_final_message(_say(connection, scram.final_message()))


def _say(connection: socket.socket, text: str) -> str:
    answer = _ask(connection, _SASL_AUTHENTICATE, struct.pack(">i", len(text)) + text.encode())
    if answer[:2] != bytes(2):
        raise ValueError("the broker does not take this login")
    # A message comes before the bytes: null, and then only its length of -1 is there.
    size = int.from_bytes(answer[4:8], "big", signed=True)
    return answer[8 : 8 + size].decode()


def _ask(connection: socket.socket, request: tuple[int, int], content: bytes) -> bytes:
    """One request with no client id, and what came after the correlation id of the answer."""
    message = struct.pack(">hhih", *request, _CORRELATION_ID, -1) + content
    connection.sendall(len(message).to_bytes(4, "big") + message)
    size = int.from_bytes(_exactly(connection, 4), "big")
    if size > _ANSWER_BYTES_MAX:
        raise ValueError("not an answer of Kafka's")
    body = _exactly(connection, size)
    if int.from_bytes(body[:4], "big") != _CORRELATION_ID:
        raise ValueError("not an answer to this question")
    return body[4:]


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = connection.recv(size - len(read))
        if not more:
            raise ConnectionError("cut off")
        read += more
    return read
