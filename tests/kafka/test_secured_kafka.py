"""The embedded Kafka with TLS, logins and an authorizer: on every listener, also after a restart and a kill."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from pydantic import SecretStr

from demo.kafka import EmbeddedKafka
from demo.kafka_probe import answers
from demo.kafka_security import BROKER, KafkaSecurity
from shared.kafka.connection import client_options
from shared.settings import KafkaSettings

METADATA_REQUEST = bytes.fromhex("0000000e 0003 0001 00000007 ffff 00000000")
TLS_ALERT = 0x15


@pytest.fixture(scope="module")
def security(tmp_path_factory: pytest.TempPathFactory) -> KafkaSecurity:
    return KafkaSecurity(tmp_path_factory.mktemp("security"), {"somebody": "a password"})


@pytest.fixture(scope="module")
def secured(security: KafkaSecurity) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(security=security) as kafka:
        yield kafka


def settings(kafka: EmbeddedKafka, security: KafkaSecurity, user: str, password: str | None = None) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        security_protocol="SASL_SSL",
        sasl_username=user,
        sasl_password=SecretStr(password or security.passwords[user]),
        ssl_ca_file=security.ca_file,
    )


async def create_topic(options: KafkaSettings, name: str) -> int:
    admin = AIOKafkaAdminClient(**client_options(options))
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, 1, 1)])
        return int(answer.topic_errors[0][1])
    finally:
        await admin.close()


async def send(options: KafkaSettings, topic: str) -> None:
    # In a transaction: its end is written by the broker to itself, over the listener between brokers.
    producer = AIOKafkaProducer(transactional_id="test-1", **client_options(options))
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"hello", partition=0)
    finally:
        await producer.stop()


@pytest.mark.kafka
async def test_the_brokers_user_may_everything_and_another_nothing_after_restarts_too(
    secured: EmbeddedKafka, security: KafkaSecurity
) -> None:
    own, other = settings(secured, security, BROKER), settings(secured, security, "somebody")
    assert await create_topic(own, "letters") == 0
    for again in (lambda: None, secured.restart, lambda: (secured.kill(), secured.start())):
        again()
        await send(own, "letters")
        producer = AIOKafkaProducer(**client_options(other))
        await producer.start()
        try:
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait("letters", b"hello", partition=0)
        finally:
            await producer.stop()
    assert await create_topic(other, "postcards") != 0


@pytest.mark.kafka
async def test_nobody_gets_in_with_a_wrong_password_or_by_a_name_that_nobody_has(
    secured: EmbeddedKafka, security: KafkaSecurity
) -> None:
    for user, password in (("somebody", "not it"), ("nobody", "a password")):
        admin = AIOKafkaAdminClient(**client_options(settings(secured, security, user, password)))
        with pytest.raises(KafkaError):
            await admin.start()
        await admin.close()


@pytest.mark.kafka
def test_no_listener_speaks_without_tls(secured: EmbeddedKafka) -> None:
    listeners = listeners_of(secured)
    assert len(listeners) == 2
    for name, port in listeners.items():
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(METADATA_REQUEST)
            answer = connection.recv(5)
            assert answer == b"" or answer[0] == TLS_ALERT, name


@pytest.mark.kafka
def test_the_controller_takes_nobody_without_a_certificate(secured: EmbeddedKafka, security: KafkaSecurity) -> None:
    port = listeners_of(secured)["CONTROLLER"]
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        security.client_context().wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert not is_answered(connection)


def is_answered(connection: ssl.SSLSocket) -> bool:
    try:
        connection.sendall(METADATA_REQUEST)
        return connection.recv(1) != b""
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.kafka
def test_a_broker_that_wants_a_login_is_not_taken_for_one_that_does_not(
    secured: EmbeddedKafka, security: KafkaSecurity, tmp_path: Path
) -> None:
    assert answers("127.0.0.1", secured.port, security)
    assert not answers("127.0.0.1", secured.port, None)
    assert not answers("127.0.0.1", secured.port, KafkaSecurity(tmp_path, {}))


@pytest.mark.kafka
def test_passwords_are_for_their_owner_alone(secured: EmbeddedKafka, security: KafkaSecurity) -> None:
    for file in (secured.data_dir / "server.properties", security.ca_file.with_name("broker.pem")):
        assert file.stat().st_mode & 0o077 == 0
    assert security.passwords[BROKER] not in secured.log_file.read_text()


def listeners_of(kafka: EmbeddedKafka) -> dict[str, int]:
    """What the broker was told to listen at: the name and the port of each."""
    told = dict(line.split("=", 1) for line in (kafka.data_dir / "server.properties").read_text().splitlines())
    return {name: int(address.rpartition(":")[2]) for name, _, address in
            (one.partition("://") for one in told["listeners"].split(","))}  # fmt: skip
