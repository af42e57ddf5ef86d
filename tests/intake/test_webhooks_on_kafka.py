"""Webhooks of instances of intake that are processes, on a real Kafka: killed, restarted, beside each other."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoint import STRUCTURED, event
from intake_process import IntakeProcess
from typer.testing import CliRunner
from webhook_world import CANARIES, SECRETS, Endpoint, Received, introduced, member, partner, proposed, status

from connection.cli import cli
from demo.kafka import EmbeddedKafka
from shared import topics
from shared.contracts import Preference, PreferenceKind, Record, Reference, WebhookDelivery, WebhookState
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.latest import read_latest
from shared.kafka.publishing import publish
from shared.outgoing import outgoing
from shared.settings import KafkaSettings
from shared.signatures import verify
from shared.topics import PARTNERS, TopicSpec, partition_of

PATIENCE_SECONDS = 60
PAIRS = 60


class Instance(IntakeProcess):
    """With webhooks that may lead to this machine, and are tried again soon."""

    def __init__(self, kafka: KafkaSettings, log: Path, **settings: str) -> None:
        soon = {
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "INTAKE_API_KEYS": '{"other-app": "mellon"}',
            "INTAKE_WEBHOOK_PRIVATE_ADDRESSES": "true",
            "INTAKE_WEBHOOK_RETRY_SECONDS": "[0.2, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]",
        }
        super().__init__(kafka.bootstrap_servers, log, **(soon | settings))

    async def ready(self) -> None:
        async with httpx.AsyncClient() as client:

            async def is_ready() -> bool:
                try:
                    return (await client.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(is_ready)


async def until(is_so: Callable[[], Awaitable[bool] | bool]) -> None:
    began = time.monotonic()
    while True:
        found = is_so()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() - began < PATIENCE_SECONDS, "it did not become so"
        await asyncio.sleep(0.05)


def verify_received(one: Received, secret: str) -> None:
    """Raises unless it was signed with this secret, and just now."""
    verify(
        [secret],
        message_id=one.headers["webhook-id"],
        timestamp=one.headers["webhook-timestamp"],
        signatures=one.headers["webhook-signature"],
        body=one.body,
        now_seconds=time.time(),
    )


@pytest.fixture
def kafka_settings(fresh_kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
    settings = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    asyncio.run(ensure_topics(settings))
    return settings


@pytest.fixture
def instances() -> Iterator[list[Instance]]:
    started: list[Instance] = []
    yield started
    for one in started:
        one.kill()


async def write(settings: KafkaSettings, topic: TopicSpec, records: Iterable[Record]) -> None:
    producer = new_producer(settings)
    await producer.start()
    await publish(producer, [outgoing(topic, one) for one in records], partitions=settings.partitions)
    await producer.stop()


async def introduce(settings: KafkaSettings, subjects: list[str], source: str) -> None:
    """Pairs of these, suggested and introduced."""
    pairs = [(member(one, source), member(two, source)) for one, two in zip(subjects[::2], subjects[1::2], strict=True)]
    now_ms = int(time.time() * 1000)
    await write(settings, topics.INTRODUCTIONS, [proposed(*pair, at_ms=now_ms) for pair in pairs])
    known = [introduced(proposed(*pair, at_ms=now_ms), at_ms=now_ms + 1) for pair in pairs]
    await write(settings, topics.INTRODUCTIONS, known)


def now_ms() -> int:
    return int(time.time() * 1000)


async def refer(settings: KafkaSettings, subjects: list[str], source: str) -> None:
    references = [
        Reference(
            community="london",
            member=member(one, source),
            source=source,
            subject=one,
            accepted_at_ms=int(time.time() * 1000),
        )
        for one in subjects
    ]
    await write(settings, topics.REFERENCES, references)


async def set_partner(settings: KafkaSettings, source: str, url: str, **changes: Any) -> None:
    set_at_ms = int(time.time() * 1000) - 1000
    changed = partner(source, webhook_url=url, webhook_since_ms=set_at_ms, webhook_set_at_ms=set_at_ms, **changes)
    producer = new_producer(settings)
    await producer.start()
    await producer.send_and_wait(
        PARTNERS.name, changed.to_bytes(), key=source.encode(), partition=partition_of(source, settings.partitions)
    )
    await producer.stop()


def ids_of(received: Iterable[Received]) -> Counter[str]:
    return Counter(one.headers["webhook-id"] for one in received)


async def deliveries(settings: KafkaSettings, source: str) -> list[WebhookDelivery]:
    latest = await read_latest(settings, topics.WEBHOOK_DELIVERIES)
    return [one for one in latest.values() if isinstance(one, WebhookDelivery) and one.source == source]


@asynccontextmanager
async def all_delivered(settings: KafkaSettings, source: str, number: int) -> AsyncIterator[None]:
    yield

    async def is_so() -> bool:
        found = await deliveries(settings, source)
        return len(found) == number and {one.state for one in found} == {WebhookState.DELIVERED}

    await until(is_so)


async def test_killed_between_the_answer_and_its_record_it_sends_again_with_the_same_id_and_loses_none(
    kafka_settings: KafkaSettings, instances: list[Instance], tmp_path: Path
) -> None:
    source, subjects = "killed-app", [f"k-{number}" for number in range(2 * PAIRS)]
    await refer(kafka_settings, subjects, source)
    held: list[Received] = []

    def answer(request: Received) -> bytes:
        # The first instance dies right after its endpoint has taken the event, before it can have recorded so.
        if not held:
            held.append(request)
            instances[0].kill()
            return b""
        return status(200)

    async with Endpoint(answer) as endpoint, all_delivered(kafka_settings, source, 4 * PAIRS):
        await set_partner(kafka_settings, source, endpoint.url)
        instances.append(Instance(kafka_settings, tmp_path / "intake.log"))
        await introduce(kafka_settings, subjects, source)
        await until(lambda: bool(held))
        instances[0].start()
        await until(lambda: len(ids_of(endpoint.received)) == 4 * PAIRS)
    times = ids_of(endpoint.received)
    assert times[held[0].headers["webhook-id"]] >= 2
    bodies = {one.headers["webhook-id"]: set() for one in endpoint.received}
    for one in endpoint.received:
        bodies[one.headers["webhook-id"]].add(one.body)
    assert {len(each) for each in bodies.values()} == {1}
    first: dict[str, str] = {}
    for one in endpoint.received:  # per member, what happened first is told first
        told = json.loads(one.body)
        first.setdefault(told["subject"], told["type"])
    assert set(first.values()) == {"connection.member.suggested"}
    assert set(first) == set(subjects)


async def test_two_instances_share_and_when_one_dies_the_other_goes_on(
    kafka_settings: KafkaSettings, instances: list[Instance], tmp_path: Path
) -> None:
    source, subjects = "shared-app", [f"s-{number}" for number in range(2 * PAIRS)]
    await refer(kafka_settings, subjects, source)
    async with Endpoint(lambda _: status(200)) as endpoint, all_delivered(kafka_settings, source, 4 * PAIRS):
        await set_partner(kafka_settings, source, endpoint.url)
        instances += [Instance(kafka_settings, tmp_path / f"intake-{number}.log") for number in range(2)]
        for one in instances:
            await one.ready()
        await introduce(kafka_settings, subjects[:PAIRS], source)
        instances[0].kill()
        await introduce(kafka_settings, subjects[PAIRS:], source)
        await until(lambda: len(ids_of(endpoint.received)) == 4 * PAIRS)
        instances[0].start()
        await instances[0].ready()
        seen = len(endpoint.received)
    assert len(endpoint.received) == seen, "what was delivered is not sent again by whoever comes next"


async def test_one_partners_dead_endpoint_does_not_hold_up_another_and_what_failed_can_be_replayed(
    kafka_settings: KafkaSettings, instances: list[Instance], tmp_path: Path
) -> None:
    subjects = [f"d-{number}" for number in range(20)]
    for source in ("dead-app", "well-app"):
        await refer(kafka_settings, subjects, source)
    runner = CliRunner()
    async with Endpoint(lambda _: b"", hangs=True) as dead, Endpoint(lambda _: status(200)) as well:
        await set_partner(kafka_settings, "dead-app", dead.url)
        await set_partner(kafka_settings, "well-app", well.url, signing_secrets=SECRETS)
        log = tmp_path / "intake.log"
        short = {"INTAKE_WEBHOOK_SECONDS_MAX": "0.3", "INTAKE_WEBHOOK_RETRY_SECONDS": "[0.1]"}
        instances.append(Instance(kafka_settings, log, **short, INTAKE_WEBHOOK_TRIES_MAX="4"))
        await instances[0].ready()
        await introduce(kafka_settings, subjects, "dead-app")
        await until(lambda: bool(dead.received))
        await introduce(kafka_settings, subjects, "well-app")
        await until(lambda: len(ids_of(well.received)) == 40)
        for one in well.received:
            for secret in SECRETS:  # both, while one takes over from the other
                verify_received(one, secret)

        async def is_given_up() -> bool:
            found = await deliveries(kafka_settings, "dead-app")
            return len(found) == 40 and {one.state for one in found} == {WebhookState.FAILED}

        await until(is_given_up)
        shown = await asyncio.to_thread(runner.invoke, cli, ["partner", "deliveries", "dead-app"])
        assert "40 failed" in shown.output, shown.output
        dead.hangs, dead.answer = False, lambda _: status(200)
        async with all_delivered(kafka_settings, "dead-app", 40):
            said = await asyncio.to_thread(runner.invoke, cli, ["partner", "replay", "dead-app"])
            assert said.exit_code == 0, said.output
        tested = len(well.received)
        said = await asyncio.to_thread(runner.invoke, cli, ["partner", "webhook", "well-app", "--test"])
        assert said.exit_code == 0, said.output
        await until(lambda: len(well.received) == tested + 1)
        assert json.loads(well.received[-1].body)["type"] == "connection.webhook.test"
        assert "token=" not in log.read_text()
        assert "127.0.0.1" not in "".join(line for line in log.read_text().splitlines() if "webhook" in line)


async def test_from_a_sign_up_to_the_last_word_no_body_holds_what_is_not_the_partners(
    kafka_settings: KafkaSettings, instances: list[Instance], tmp_path: Path
) -> None:
    runner = CliRunner()
    run = lambda *words: runner.invoke(cli, ["partner", *words]).stdout.strip()  # noqa: E731
    async with Endpoint(lambda _: status(200)) as endpoint, httpx.AsyncClient() as client:
        key = await asyncio.to_thread(run, "add", "real-app")
        secret = await asyncio.to_thread(run, "webhook", "real-app", "--url", endpoint.url)
        instances.append(Instance(kafka_settings, tmp_path / "intake.log"))
        await instances[0].ready()
        for subject in ("u-1", "u-2"):
            answer = await client.post(
                f"http://127.0.0.1:{instances[0].port}/v1/events",
                content=json.dumps(event(subject, source="real-app")),
                headers={**STRUCTURED, "authorization": f"Bearer {key}"},
            )
            assert answer.status_code == 202, answer.text
        await introduce(kafka_settings, ["u-1", "u-2"], "real-app")
        await until(lambda: len(ids_of(endpoint.received)) == 4)
        gone = member("u-1", "real-app")
        now_ms = int(time.time() * 1000)
        await write(
            kafka_settings,
            topics.PREFERENCES,
            [Preference(community="london", member=gone, kind=PreferenceKind.ERASE, chosen_at_ms=now_ms)],
        )
        await until(lambda: len(ids_of(endpoint.received)) == 5)
        last = json.loads(endpoint.received[-1].body)
        assert (last["type"], last["subject"], last["data"]["how"]) == ("connection.member.left", "u-1", "erased")
        bad = json.dumps({**event("u-3", source="real-app"), "id": "bad-1", "data": {"first_name": CANARIES[0]}})
        producer = new_producer(kafka_settings)
        await producer.start()
        await producer.send_and_wait(
            topics.SIGNUPS.name, bad.encode(), headers=[("content-type", b"application/cloudevents+json")]
        )
        await producer.stop()
        await until(lambda: len(ids_of(endpoint.received)) == 6)
        rejected = json.loads(endpoint.received[-1].body)
        assert (rejected["type"], rejected["data"]["event"]) == ("connection.event.rejected", "bad-1")
        for one in endpoint.received:
            text = one.body.decode()
            assert not [canary for canary in (*CANARIES, gone, member("u-2", "real-app")) if canary in text]
            assert sum(f'"{subject}"' in text for subject in ("u-1", "u-2")) <= 1
            verify_received(one, secret)

        async def is_forgotten() -> bool:
            known = {one.subject for one in (await read_latest(kafka_settings, topics.REFERENCES)).values()}  # type: ignore[attr-defined]
            kept = [one for one in await deliveries(kafka_settings, "real-app") if one.subject is not None]
            return known & {"u-1", "u-2"} == {"u-2"} and not kept

        await until(is_forgotten)
