"""Why no broker takes us: one line for operators, which names the setting at fault and what would be right.

Step by step, as a client comes in: what is set, the host's name, its port, TLS, Kafka's
protocol, the login, and the addresses at which the brokers say that they are. The client
library would try all of it at once, and say of each failure that it could not connect.

What each failure means is said in `shared.kafka.complaints`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from aiokafka.conn import AIOKafkaConnection, ScramAuthenticator
from aiokafka.errors import IllegalSaslStateError, KafkaError, UnsupportedSaslMechanismError
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from shared.kafka.complaints import Server, hung_up, login_failed, servers, tls_failed, with_tls, wrong_in_itself
from shared.kafka.connection import ssl_context
from shared.settings import KafkaSettings

_ADVERTISED_MAX = 16
"""So many brokers of a cluster are tried; one that answers is enough."""


class Step(IntEnum):
    """How far we came: of several servers the one that let us come farthest says most."""

    NAME = 1
    PORT = 2
    TLS = 3
    PROTOCOL = 4
    LOGIN = 5
    BROKERS = 6


@dataclass
class Unreachable(Exception):
    """No way in at a server: how far it went, and what to set otherwise."""

    step: Step
    why: str


async def why_unreachable(settings: KafkaSettings) -> str | None:
    """What to set otherwise, if no broker takes us; `None` if one does. A step takes `request_timeout_ms` at most."""
    if (wrong := wrong_in_itself(settings)) is not None:
        return wrong
    context = ssl_context(settings) if with_tls(settings) else None
    failures: list[Unreachable] = []
    for server in servers(settings.bootstrap_servers):
        try:
            await _come_in(server, settings, context)
        except Unreachable as failure:
            failures.append(failure)
        else:
            return None
    return max(failures, key=lambda failure: failure.step).why


async def _come_in(server: Server, settings: KafkaSettings, context: ssl.SSLContext | None) -> None:
    """From the door to the brokers. Raises `Unreachable`."""
    await _knock(server, settings, context)
    async with _speaking(server, settings, context) as connection:
        if settings.security_protocol.startswith("SASL"):
            await _log_in(connection, server, settings)
        try:
            told = await connection.send(MetadataRequest([]))
        except (KafkaError, TimeoutError):
            raise Unreachable(Step.LOGIN, hung_up(server, settings)) from None
    await _find_one_of([Server(broker[1], broker[2]) for broker in told.brokers], server, settings, context)


async def _find_one_of(
    brokers: list[Server], told_by: Server, settings: KafkaSettings, context: ssl.SSLContext | None
) -> None:
    """Topics are read and written at the addresses that the brokers give, not at the one that we asked."""
    failures = []
    for broker in brokers[:_ADVERTISED_MAX]:
        if broker == told_by:
            return
        try:
            await _knock(broker, settings, context)
        except Unreachable as failure:
            failures.append(failure.why)
        else:
            return
    if failures:
        raise Unreachable(
            Step.BROKERS, f"advertised.listeners of the broker at {told_by} sends us where we cannot go: {failures[0]}"
        )


async def _knock(server: Server, settings: KafkaSettings, context: ssl.SSLContext | None) -> None:
    """Name, port and TLS, and then go away again."""
    seconds = settings.request_timeout_ms / 1000
    try:
        await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Unreachable(
            Step.NAME, f"KAFKA_BOOTSTRAP_SERVERS: there is no host {server.host!r}: must be a name that DNS knows here"
        ) from None
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(server.host, server.port)
    except TimeoutError:
        told = f"KAFKA_BOOTSTRAP_SERVERS: {server} does not answer within {seconds:g} s: must be reachable from here"
        raise Unreachable(Step.PORT, told) from None
    except OSError as error:
        why = "connection refused" if isinstance(error, ConnectionRefusedError) else error.strerror or "no connection"
        told = f"KAFKA_BOOTSTRAP_SERVERS: no broker listens at {server} ({why}): must be where one does"
        raise Unreachable(Step.PORT, told) from None
    try:
        if context is not None:
            async with asyncio.timeout(seconds):
                await writer.start_tls(context, server_hostname=server.host)
    except (OSError, TimeoutError) as error:
        raise Unreachable(Step.TLS, tls_failed(error, server, settings)) from None
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _speaking(server: Server, settings: KafkaSettings, context: ssl.SSLContext | None) -> AsyncIterator[Any]:
    """A connection to something that speaks Kafka's protocol; nobody is logged in."""
    connection = AIOKafkaConnection(
        server.host, server.port, ssl_context=context, security_protocol="SSL" if context else "PLAINTEXT",
        request_timeout_ms=settings.request_timeout_ms,
    )  # fmt: skip
    try:
        await connection.connect()
    except (KafkaError, OSError, TimeoutError, ValueError):
        raise Unreachable(Step.PROTOCOL, await _does_not_speak(server, settings, context)) from None
    try:
        yield connection
    finally:
        connection.close()


async def _does_not_speak(server: Server, settings: KafkaSettings, context: ssl.SSLContext | None) -> str:
    if context is None and await _speaks_tls(server, settings):
        with_tls = {"PLAINTEXT": "SSL or SASL_SSL", "SASL_PLAINTEXT": "SASL_SSL"}[settings.security_protocol]
        return f"KAFKA_SECURITY_PROTOCOL: {server} speaks TLS: must be {with_tls} for this port"
    return f"KAFKA_BOOTSTRAP_SERVERS: what listens at {server} does not answer as a broker does: must be a Kafka broker"


async def _speaks_tls(server: Server, settings: KafkaSettings) -> bool:
    """Whoever it is: nothing is sent to them."""
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(settings.request_timeout_ms / 1000):
            _, writer = await asyncio.open_connection(server.host, server.port, ssl=anybody)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


async def _log_in(connection: Any, server: Server, settings: KafkaSettings) -> None:
    """As the client library does, but that we know at which step it ends. Raises `Unreachable`."""
    mechanism, user = settings.sasl_mechanism, settings.sasl_username or ""
    password = settings.sasl_password.get_secret_value() if settings.sasl_password else ""
    step = "user"
    try:
        answer = await connection.send(SaslHandShakeRequest(mechanism))
        if answer.error_code == IllegalSaslStateError.errno:
            without = settings.security_protocol.removeprefix("SASL_")
            told = f"KAFKA_SECURITY_PROTOCOL: {server} takes no logins: must be {without} for this port"
            raise Unreachable(Step.LOGIN, told)
        if answer.error_code == UnsupportedSaslMechanismError.errno:
            offered = " or ".join(sorted(answer.enabled_mechanisms))
            told = f"KAFKA_SASL_MECHANISM: {server} does not take {mechanism}: must be {offered}"
            raise Unreachable(Step.LOGIN, told)
        if mechanism == "PLAIN":
            await _say(connection, f"\0{user}\0{password}")
            return
        scram = ScramAuthenticator(
            loop=None, sasl_mechanism=mechanism, sasl_plain_username=user, sasl_plain_password=password
        )
        scram.process_server_first_message(await _say(connection, scram.first_message()))
        step = "password"
        scram.process_server_final_message(await _say(connection, scram.final_message()))
    except (KafkaError, TimeoutError, ValueError, KeyError):
        raise Unreachable(Step.LOGIN, login_failed(step, server, settings)) from None


async def _say(connection: Any, text: str) -> str:
    answer = await connection.send(SaslAuthenticateRequest(text.encode()))
    if answer.error_code:
        raise ValueError("refused")
    said: bytes = answer.sasl_auth_bytes
    return said.decode()
