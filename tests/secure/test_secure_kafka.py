"""TLS, SCRAM and rights by service, on a real broker that refuses everything else."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr
from test_accept import EVENT

from benchmarks.processes import ROOT, free_port, service
from demo.kafka import EmbeddedKafka
from demo.kafka_jars import kafka_jars
from shared.acls import OPERATORS, PARTNERS, PRINCIPALS, SERVICES, readers, writers
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import client_options, new_producer, new_reader
from shared.kafka.latest import read_latest
from shared.kafka.rights import grant_rights
from shared.settings import KafkaSettings
from shared.topics import TOPICS

PATIENCE_SECONDS = 120
PASSWORDS = {principal: secrets.token_hex(16) for principal in PRINCIPALS}


@dataclass(frozen=True)
class SecureKafka:
    kafka: EmbeddedKafka
    address: str
    ca_file: Path

    def settings(self, principal: str) -> KafkaSettings:
        return KafkaSettings(
            bootstrap_servers=self.address,
            security_protocol="SASL_SSL",
            sasl_username=principal,
            sasl_password=SecretStr(PASSWORDS[principal]),
            ssl_ca_file=self.ca_file,
        )

    def environment(self, principal: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": principal,
            "KAFKA_SASL_PASSWORD": PASSWORDS[principal],
            "KAFKA_SSL_CA_FILE": str(self.ca_file),
        }


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """Clients come by TLS with a password; the broker's own listener is for the broker, and for making users."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    issued = authority.issue_cert("127.0.0.1")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    key_store = folder / "broker.pem"
    key_store.write_bytes(pem)
    plain, port, controller = free_port(), free_port(), free_port()
    properties: Mapping[str, str | int] = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.secure.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(key_store),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }
    with EmbeddedKafka(port=plain, properties=properties) as kafka:
        for principal, password in PASSWORDS.items():
            make = [
                "--bootstrap-server", kafka.bootstrap_servers, "--alter",
                "--add-config", f"SCRAM-SHA-512=[password={password}]",
                "--entity-type", "users", "--entity-name", principal,
            ]  # fmt: skip
            subprocess.run(kafka._java(kafka_jars(), "kafka.admin.ConfigCommand", *make), check=True, timeout=60)
        own = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
        asyncio.run(ensure_topics(own))
        asyncio.run(grant_rights(own))
        asyncio.run(put_one_into_each(own))
        yield SecureKafka(kafka, f"127.0.0.1:{port}", ca_file)


async def may_write(settings: KafkaSettings, topic: str) -> bool:
    producer = new_producer(settings)
    await producer.start()
    try:
        # To a partition in which nothing else lies, and a value that nobody can take for theirs.
        await producer.send_and_wait(topic, b"a test of rights", key=b"nobody", partition=7)
    except TopicAuthorizationFailedError:
        return False
    finally:
        await producer.stop()
    return True


async def may_read(settings: KafkaSettings, topic: str) -> bool:
    """Whether the record that lies there is handed out."""
    reader = new_reader(settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        reader.assign([TopicPartition(topic, 7)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await reader.getmany(timeout_ms=100):
                if topic in reader._client.cluster.unauthorized_topics:
                    return False  # not even that it exists
    except TopicAuthorizationFailedError:
        return False
    finally:
        await reader.stop()
    return True


async def put_one_into_each(settings: KafkaSettings) -> None:
    producer = new_producer(settings)
    await producer.start()
    try:
        for topic in TOPICS:
            await producer.send(topic, b"a test of rights", key=b"nobody", partition=7)
        await producer.flush()
    finally:
        await producer.stop()


@pytest.mark.parametrize("principal", PRINCIPALS)
async def test_everybody_may_do_what_the_table_says_and_nothing_else(secure: SecureKafka, principal: str) -> None:
    settings = secure.settings(principal)
    everything = principal == OPERATORS
    for topic in TOPICS.values():
        assert await may_read(settings, topic.name) == (everything or principal in readers(topic)), topic.name
        assert await may_write(settings, topic.name) == (everything or principal in writers(topic)), topic.name


def test_names_and_addresses_are_for_intake_and_the_notifier_alone() -> None:
    contacts = TOPICS["contacts"]
    assert (writers(contacts), readers(contacts)) == ({"intake"}, {"intake", "notifier"})
    for topic in TOPICS.values():
        assert "matcher" not in readers(topic) or topic.name not in {"contacts", "signups", "dead-letters"}
        assert PARTNERS not in readers(topic)


async def test_nobody_takes_part_in_anothers_group(secure: SecureKafka) -> None:
    consumer = AIOKafkaConsumer("profiles", group_id="notifier", **client_options(secure.settings("matcher")))

    async def take_part() -> None:
        await consumer.start()
        await consumer.getone()

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(GroupAuthorizationFailedError):
                await take_part()
    finally:
        await consumer.stop()


def test_all_services_work_under_their_rights(secure: SecureKafka) -> None:
    intake_settings = secure.environment("intake") | {"INTAKE_API_KEYS": json.dumps({"book-app": "sesame"})}
    notifier_settings = secure.environment("notifier") | {"NOTIFIER_LINK_SECRET": secrets.token_hex(16)}
    with (
        service("intake", intake_settings) as intake,
        service("matcher", secure.environment("matcher")) as matcher,
        service("notifier", notifier_settings) as notifier,
    ):
        for running in (intake, matcher, notifier):
            until(lambda port=running.port: get(port, "readyz").status_code == 200)  # type: ignore[misc]
        headers = {"Authorization": "Bearer sesame", "Content-Type": "application/cloudevents+json"}
        address = f"http://127.0.0.1:{intake.port}/v1/events"
        answer = httpx.post(address, json=EVENT, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        gone = {**EVENT, "id": "gone", "type": "connection.member.erased", "data": {"community": "london"}}
        assert httpx.post(address, json=gone, headers=headers, timeout=60).status_code == 202
        # All three read what is theirs, and say on a topic of theirs that they have.
        until(lambda: len(forgotten_by(secure.settings(OPERATORS))) == len(SERVICES))


def forgotten_by(settings: KafkaSettings) -> set[str]:
    return {key for (_, key) in asyncio.run(read_latest(settings, TOPICS["erasures"]))}


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/{path}", timeout=30)


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"KAFKA_SASL_PASSWORD": "not the password"},
        {"KAFKA_SSL_CA_FILE": None},
        {"KAFKA_SSL_CA_FILE": "/no/such/file.pem"},
        {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"},
    ],
    ids=["password", "authority", "file", "plaintext"],
)
def test_who_cannot_log_in_ends_with_a_line_that_says_so(secure: SecureKafka, changes: dict[str, str | None]) -> None:
    environment = {**os.environ, **secure.environment("matcher"), "MATCHER_HTTP_PORT": str(free_port())}
    for name, value in changes.items():
        if value is None:
            del environment[name]
        else:
            environment[name] = value
    environment["KAFKA_REQUEST_TIMEOUT_MS"] = "3000"
    done = subprocess.run(
        [sys.executable, "-m", "connection", "matcher"], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said, said[-3000:]
    assert "KAFKA_" in said, said[-3000:]
    assert PASSWORDS["matcher"] not in said
    assert "not the password" not in said


def test_secrets_come_from_files_and_a_variable_counts_more(tmp_path: Path) -> None:
    (tmp_path / "KAFKA_SASL_PASSWORD").write_text("from a file\n")
    (tmp_path / "intake_api_keys").write_text('{"book-app": "sesame"}')
    tell = (
        "from shared.settings import KafkaSettings; from services.intake.settings import IntakeSettings;"
        "intake = IntakeSettings(); password = KafkaSettings().sasl_password;"
        "print(password.get_secret_value(), intake.api_keys['book-app'].get_secret_value())"
    )
    environment = {**os.environ, "SECRETS_DIR": str(tmp_path)}
    for more, expected in (({}, "from a file sesame"), ({"KAFKA_SASL_PASSWORD": "told"}, "told sesame")):
        done = subprocess.run(
            [sys.executable, "-c", tell], cwd=ROOT, env=environment | more, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
    environment["SECRETS_DIR"] = str(tmp_path / "no-such-folder")
    done = subprocess.run(
        [sys.executable, "-m", "connection", "matcher"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.strip()) == (2, "matcher: SECRETS_DIR: there is no such folder")
