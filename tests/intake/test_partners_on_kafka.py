"""`connection partner` against a real Kafka, and two instances of intake that hear of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from endpoint import event
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from connection.cli import cli
from demo.kafka import EmbeddedKafka
from services.intake.app import build_app
from services.intake.settings import IntakeSettings
from shared.contracts import Partner
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings
from shared.signatures import sign
from shared.topics import PARTNERS, partition_of

IN_FORCE_SECONDS_MAX = 5


@pytest.fixture
def partner(fresh_kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
    return CliRunner()


@pytest.fixture
def two(fresh_kafka: EmbeddedKafka) -> Iterator[list[TestClient]]:
    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    apps = [build_app(IntakeSettings(), kafka, Lifeline()) for _ in range(2)]
    with TestClient(apps[0]) as one, TestClient(apps[1]) as other:
        yield [one, other]


def status(client: TestClient, key: str, source: str = "new-app", **more: str) -> int:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json", **more}
    return client.post("/v1/events", content=json.dumps(event("a", source=source)), headers=headers).status_code


def in_force(clients: list[TestClient], key: str, wanted: int) -> None:
    """Everywhere, within five seconds."""
    began = time.monotonic()
    while {status(client, key) for client in clients} != {wanted}:
        assert time.monotonic() - began < IN_FORCE_SECONDS_MAX
        time.sleep(0.05)


def run(runner: CliRunner, *words: str, exit_code: int = 0) -> Result:
    result = runner.invoke(cli, ["partner", *words])
    assert result.exit_code == exit_code, result.output
    return result


def test_keys_come_and_go_everywhere_within_five_seconds(partner: CliRunner, two: list[TestClient]) -> None:
    assert "not known" in run(partner, "rotate", "new-app", exit_code=1).stderr
    first = run(partner, "add", "new-app").stdout.strip()
    assert len(first) == 46
    in_force(two, first, 202)
    second = run(partner, "rotate", "new-app").stdout.strip()
    in_force(two, second, 202)
    assert status(two[0], first) == 202
    assert "revoke" in run(partner, "rotate", "new-app", exit_code=1).stderr
    assert "already known" in run(partner, "add", "new-app", exit_code=1).stderr
    run(partner, "revoke", "new-app", first[:11])
    in_force(two, first, 401)
    assert status(two[1], second) == 202
    listed = run(partner, "list").stdout
    assert second[:11] in listed
    assert second not in listed
    assert first[:11] not in listed
    assert "say which" in run(partner, "revoke", "new-app", exit_code=1).stderr
    assert "no live key" in run(partner, "revoke", "new-app", "lc_nonsense", exit_code=1).stderr
    run(partner, "revoke", "new-app", "--all")
    in_force(two, second, 401)


def test_signatures_are_asked_for_when_an_operator_says_so(partner: CliRunner, two: list[TestClient]) -> None:
    key = run(partner, "add", "new-app").stdout.strip()
    in_force(two, key, 202)
    assert "https" in run(partner, "webhook", "new-app", "--url", "http://plain.example", exit_code=1).stderr
    secret = run(
        partner, "webhook", "new-app", "--url", "https://app.example/hook", "--require-signature"
    ).stdout.strip()
    assert secret.startswith("whsec_")
    in_force(two, key, 401)
    body = json.dumps(event("a", source="new-app")).encode()
    now = int(time.time())
    headers = {"webhook-id": "1", "webhook-timestamp": str(now), "webhook-signature": sign(secret, "1", now, body)}
    assert status(two[0], key, **headers) == 202
    assert "app.example" in run(partner, "list").stdout
    assert secret not in run(partner, "list").stdout


def test_a_new_instance_knows_who_is_there_when_it_begins(partner: CliRunner, fresh_kafka: EmbeddedKafka) -> None:

    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    asyncio.run(ensure_topics(kafka))
    key = run(partner, "add", "early-app").stdout.strip()
    with TestClient(build_app(IntakeSettings(), kafka, Lifeline())) as client:
        assert status(client, key, source="early-app") == 202


def test_a_webhook_from_before_there_was_a_key_for_ids_is_pointed_out_and_gets_one(partner: CliRunner) -> None:
    settings = KafkaSettings()
    asyncio.run(ensure_topics(settings))
    old = Partner(source="old-app", webhook_url="https://old.example/hook", signing_secrets=("whsec_AAAA",))

    async def write() -> None:
        producer = new_producer(settings)
        await producer.start()
        place = partition_of("old-app", settings.partitions)
        await producer.send_and_wait(PARTNERS.name, old.to_bytes(), key=b"old-app", partition=place)
        await producer.stop()

    asyncio.run(write())
    assert "no key for ids" in run(partner, "list").stdout
    assert "no key for ids" in run(partner, "deliveries", "old-app").stderr
    assert "no key for ids" in run(partner, "webhook", "old-app", "--test", exit_code=1).stderr
    assert run(partner, "webhook", "old-app").stdout == "", "the secret stays what it is"
    assert "no key for ids" not in run(partner, "list").stdout
    run(partner, "webhook", "old-app", "--test")
