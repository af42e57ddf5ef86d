"""intake against a real Kafka: what 202 promises, what becomes of bad messages, and when it stops."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from fastapi.testclient import TestClient
from pydantic import SecretStr
from test_accept import EVENT
from typer.testing import CliRunner

from connection.cli import cli
from demo.kafka import EmbeddedKafka
from services.intake.app import build_app
from services.intake.settings import IntakeSettings
from shared import topics
from shared.contracts import Preference, PreferenceKind
from shared.ids import member_id
from shared.kafka.connection import new_producer, new_reader
from shared.kafka.dead_letters import DeadLetter, read_dead_letters
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.outgoing import Outgoing, outgoing
from shared.settings import KafkaSettings
from shared.topics import partition_of

PATIENCE_SECONDS = 60
HEADERS = {"Authorization": "Bearer sesame", "Content-Type": "application/cloudevents+json"}
BATCH_HEADERS = {**HEADERS, "Content-Type": "application/cloudevents-batch+json"}


def event(subject: str) -> dict[str, Any]:
    return {**copy.deepcopy(EVENT), "subject": subject, "id": f"event of {subject}"}


def member(subject: str) -> str:
    return member_id("london", "book-app", subject)


@pytest.fixture
def kafka_settings(fresh_kafka: EmbeddedKafka) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers, dead_letters_in_a_row_max=20)


def intake_settings() -> IntakeSettings:
    return IntakeSettings(api_keys={"book-app": SecretStr("sesame")}, acknowledge_seconds_max=3)


@pytest.fixture
def intake(kafka_settings: KafkaSettings) -> Iterator[tuple[TestClient, Lifeline]]:
    lifeline = Lifeline()
    with TestClient(build_app(intake_settings(), kafka_settings, lifeline)) as client:
        yield client, lifeline


async def read_records(settings: KafkaSettings, topic: str) -> list[ConsumerRecord]:
    """Everything on a topic now."""
    reader = new_reader(settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        places = [TopicPartition(topic, number) for number in range(settings.partitions)]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        found: list[ConsumerRecord] = []
        while any([await reader.position(place) < ends[place] for place in places]):
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await reader.stop()


def read(settings: KafkaSettings, topic: str) -> dict[str, list[bytes | None]]:
    """The values of each key on a topic now, in their order."""
    found: dict[str, list[bytes | None]] = {}
    for record in asyncio.run(read_records(settings, topic)):
        found.setdefault((record.key or b"").decode(), []).append(record.value)
    return found


def write(settings: KafkaSettings, messages: list[dict[str, Any]]) -> None:
    async def send() -> None:
        producer = new_producer(settings)
        await producer.start()
        try:
            for message in messages:
                await producer.send("signups", partition=partition_of("london", settings.partitions), **message)
            await producer.flush()
        finally:
            await producer.stop()

    asyncio.run(send())


def letters(settings: KafkaSettings) -> list[DeadLetter]:
    async def collect() -> list[DeadLetter]:
        return [letter async for letter in read_dead_letters(settings)]

    return asyncio.run(collect())


def until(condition: Callable[[], bool]) -> None:
    """Poll, generously; a machine that is busy must not fail a test."""

    async def poll() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.1)

    asyncio.run(poll())


def test_a_no_lets_go_of_who_was_here_and_stores_nothing_of_who_was_not(
    intake: tuple[TestClient, Lifeline], kafka_settings: KafkaSettings
) -> None:
    client, _ = intake
    assert client.post("/v1/events", json=event("agreed once"), headers=HEADERS).status_code == 202
    for subject in ("agreed once", "never agreed"):
        no = event(subject) | {"id": f"no of {subject}"}
        no["data"]["consent"]["introductions"] = False
        answer = client.post("/v1/events", json=no, headers=HEADERS)
        assert (answer.status_code, answer.json()["withdrawn"]) == (202, True)
        for topic in ("profiles", "contacts"):
            assert read(kafka_settings, topic)[member(subject)][-1] is None
        [request] = read(kafka_settings, "partner-requests")[member(subject)]
        assert b'"left"' in (request or b"")
    assert all(values == [None] for values in [read(kafka_settings, "contacts")[member("never agreed")]])


def test_202_means_that_it_is_in_the_topics(intake: tuple[TestClient, Lifeline], kafka_settings: KafkaSettings) -> None:
    client, _ = intake
    answer = client.post("/v1/events", json=event("one"), headers=HEADERS)
    assert answer.status_code == 202
    assert answer.json()["member"] == member("one")
    assert member("one") in read(kafka_settings, "profiles")
    assert member("one") in read(kafka_settings, "contacts")


def test_a_batch_answers_event_by_event(intake: tuple[TestClient, Lifeline], kafka_settings: KafkaSettings) -> None:
    client, _ = intake
    wrong = event("three")
    wrong["data"]["email"] = "nowhere"
    answer = client.post("/v1/events", json=[event("two"), wrong, 7], headers=BATCH_HEADERS)
    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == [202, 422, 422]
    profiles = read(kafka_settings, "profiles")
    assert member("two") in profiles
    assert member("three") not in profiles


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, "{}", 401),
        ({**HEADERS, "Authorization": "Bearer wrong"}, "{}", 401),
        ({**HEADERS, "Content-Type": "application/json"}, "{}", 415),
        (HEADERS, "{", 400),
        (HEADERS, "{}", 422),
        (BATCH_HEADERS, "{}", 422),
        (BATCH_HEADERS, json.dumps([1] * 501), 413),
        (HEADERS, " " * 1_000_001, 413),
    ],
)
def test_what_is_wrong_with_a_request_is_a_problem(
    intake: tuple[TestClient, Lifeline], headers: dict[str, str], body: str, status: int
) -> None:
    answer = intake[0].post("/v1/events", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_body_without_a_length_is_cut_off_at_the_limit(intake: tuple[TestClient, Lifeline]) -> None:
    chunks = (b" " * 100_000 for _ in range(20))
    assert intake[0].post("/v1/events", content=chunks, headers=HEADERS).status_code == 413


def test_bad_messages_become_dead_letters_and_good_ones_among_them_arrive_once(
    intake: tuple[TestClient, Lifeline],
    kafka_settings: KafkaSettings,
    fresh_kafka: EmbeddedKafka,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, lifeline = intake
    bad: list[dict[str, Any]] = [
        {"value": b"{", "key": b"k1"},
        {"value": None, "key": b"k2"},
        {"value": b"", "key": None},
        {"value": b"\xff\xfe\x00", "key": b"\xff"},
        {"value": json.dumps({**event("x"), "source": "stranger"}).encode(), "key": b"k5"},
    ]
    awkward_headers: list[tuple[str, bytes | None]] = [("trace", b"\xff\xfe"), ("empty", None)]
    good = [
        {"value": json.dumps(event(f"topic-{n}")).encode(), "headers": awkward_headers if n % 2 else []}
        for n in range(len(bad) + 1)
    ]
    mixed = [message for pair in zip(good, [*bad, good[0]], strict=True) for message in pair]
    write(kafka_settings, mixed)

    until(lambda: len(letters(kafka_settings)) >= len(bad))
    until(lambda: member(f"topic-{len(bad)}") in read(kafka_settings, "profiles"))
    profiles = read(kafka_settings, "profiles")
    assert all(len(set(profiles[member(f"topic-{n}")])) == 1 for n in range(1, len(good)))

    found = letters(kafka_settings)
    assert [(letter.key, letter.value) for letter in found] == [
        (message.get("key"), message["value"]) for message in bad
    ]
    assert {letter.topic for letter in found} == {"signups"}
    assert [letter.from_offset for letter in found] == [1, 3, 5, 7, 9]
    assert "not-json" in found[0].reason
    assert "unknown-source" in found[4].reason
    assert lifeline.reason is None

    # An operator looks, and puts one back: it comes round again, as bad as before.
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
    runner = CliRunner()
    listed = runner.invoke(cli, ["dead-letters", "list"])
    assert found[4].name in listed.output
    shown = runner.invoke(cli, ["dead-letters", "show", found[4].name])
    assert '"source": "stranger"' in shown.output
    assert runner.invoke(cli, ["dead-letters", "replay", found[4].name]).exit_code == 0
    until(lambda: len(letters(kafka_settings)) == len(bad) + 1)
    assert letters(kafka_settings)[-1].value == found[4].value
    assert runner.invoke(cli, ["dead-letters", "show", "0:999999"]).exit_code == 1
    assert runner.invoke(cli, ["dead-letters", "show", "nonsense"]).exit_code == 2


def test_when_everything_is_bad_it_stops_and_leaves_the_messages_where_they_are(
    intake: tuple[TestClient, Lifeline], kafka_settings: KafkaSettings
) -> None:
    client, lifeline = intake
    before = len(letters(kafka_settings))
    write(kafka_settings, [{"value": b"not an event", "key": b"k"}] * 50)
    until(lambda: lifeline.reason is not None)
    assert type(lifeline.reason).__name__ == "TooManyDeadLetters"
    assert client.get("/readyz").status_code == 503

    # A new instance that is told to take more finds all of them still there.
    patient = kafka_settings.model_copy(update={"dead_letters_in_a_row_max": 1_000})
    again = Lifeline()
    settings = IntakeSettings(api_keys={"book-app": SecretStr("sesame")})
    client.__exit__(None, None, None)
    with TestClient(build_app(settings, patient, again)):
        until(lambda: len(letters(kafka_settings)) >= before + 50)
    assert len(letters(kafka_settings)) - before == 50
    assert again.reason is None


def test_without_kafka_nothing_is_accepted_and_with_it_again_everything_is(
    intake: tuple[TestClient, Lifeline], kafka_settings: KafkaSettings, fresh_kafka: EmbeddedKafka
) -> None:
    client, _ = intake
    fresh_kafka.kill()
    refused = client.post("/v1/events", json=event("late"), headers=HEADERS)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    fresh_kafka.restart()
    until(lambda: client.post("/v1/events", json=event("late"), headers=HEADERS).status_code == 202)
    assert member("late") in read(kafka_settings, "profiles")


def test_who_asks_to_be_erased_is_forgotten_and_never_taken_in_again(
    intake: tuple[TestClient, Lifeline], kafka_settings: KafkaSettings
) -> None:
    client, _ = intake
    assert client.post("/v1/events", json=event("erased"), headers=HEADERS).status_code == 202
    wish = Preference(
        community="london", member=member("erased"), kind=PreferenceKind.ERASE, chosen_at_ms=1_790_000_000_000
    )
    asyncio.run(put(kafka_settings, outgoing(topics.PREFERENCES, wish)))
    for topic in ("profiles", "contacts"):
        until(lambda topic=topic: read(kafka_settings, topic)[member("erased")][-1] is None)
    refused = client.post("/v1/events", json=event("erased"), headers=HEADERS)
    assert refused.status_code == 410
    assert refused.json()["type"].endswith("/erased")
    assert client.post("/v1/events", json=event("somebody else"), headers=HEADERS).status_code == 202
    with TestClient(build_app(intake_settings(), kafka_settings, Lifeline())) as another:
        until(lambda: another.get("/readyz").status_code == 200)
        assert another.post("/v1/events", json=event("erased"), headers=HEADERS).status_code == 410


async def put(settings: KafkaSettings, record: Outgoing) -> None:
    producer = new_producer(settings)
    await producer.start()
    try:
        await publish(producer, [record], partitions=settings.partitions)
    finally:
        await producer.stop()
