"""A thousand records that are wrong among a thousand good ones, on the topic that partners write to."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

import pytest
from aiokafka import TopicPartition
from endpoint import event
from fastapi.testclient import TestClient
from test_intake_on_kafka import letters, member, read_records
from typer.testing import CliRunner

from connection.cli import cli
from demo.kafka import EmbeddedKafka
from services.intake.app import build_app
from services.intake.settings import IntakeSettings
from shared.ids import member_id
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer, new_reader
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings
from shared.topics import partition_of

GOOD = BAD = 1_000
STALLED_SECONDS_MAX = 5.0
PATIENCE_SECONDS = 120
SEED = 2026


def bad_records(draws: random.Random) -> list[dict[str, Any]]:
    """Each of them wrong in one of the ways there are; every tenth from a partner that is not known yet."""

    def one(number: int) -> dict[str, Any]:
        name = f"bad-{number}"
        envelope = {key: value for key, value in event(name).items() if key != "data"}
        headers = [(f"ce_{key}", value.encode()) for key, value in envelope.items()]
        content = ("content-type", b"application/json")
        body = json.dumps(event(name)["data"]).encode()
        ways: list[dict[str, Any]] = [
            {"value": json.dumps(event(name)).encode()[: draws.randrange(1, 300)]},
            {"value": json.dumps(event(name) | {"type": "com.example.some"}).encode()},
            {"value": json.dumps(event(name, data=event(name)["data"] | {"schemaVersion": 99})).encode()},
            {"value": None, "key": b"a key and nothing else"},
            {"value": body, "headers": [*headers, content, ("ce_id", None)]},
            {"value": body, "headers": [*headers, ("content-type", b"\xff\xfe")]},
            {"value": draws.randbytes(200), "key": draws.randbytes(20)},
            {"value": json.dumps(event(name) | {"specversion": "0.3"}).encode(), "key": b""},
            {"value": b"[" * 50_000},
        ]
        return ways[number % len(ways)]

    stranger = [{"value": json.dumps(event(f"s-{n}", source="new-app")).encode()} for n in range(BAD // 10)]
    large = [{"value": json.dumps(event("large")).encode()[:-1] + b" " * 2_000_000}]
    return stranger + large + [one(number) for number in range(BAD - len(stranger) - len(large))]


async def write(kafka: KafkaSettings, messages: list[dict[str, Any]]) -> None:
    # Compressed, as partners may: so that two megabytes pass the broker.
    producer = new_producer(kafka, compression_type="gzip", max_request_size=4_000_000)
    await producer.start()
    try:
        place = partition_of("london", kafka.partitions)
        for message in messages:
            await producer.send("signups", partition=place, **message)
        await producer.flush()
    finally:
        await producer.stop()


def test_each_good_one_arrives_once_and_each_bad_one_is_told_why(
    fresh_kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    asyncio.run(ensure_topics(kafka))
    draws = random.Random(SEED)
    mixed = bad_records(draws) + [{"value": json.dumps(event(f"good-{number}")).encode()} for number in range(GOOD)]
    draws.shuffle(mixed)
    lifeline = Lifeline()
    with TestClient(build_app(IntakeSettings(api_keys={"book-app": "sesame"}), kafka, lifeline)):
        asyncio.run(write(kafka, mixed))
        moved_at, seen, longest = time.monotonic(), -1, 0.0
        while seen < GOOD + BAD:
            assert time.monotonic() - moved_at < PATIENCE_SECONDS
            now = asyncio.run(_arrived(kafka))
            if now > seen:
                longest = max(longest, time.monotonic() - moved_at) if seen >= 0 else 0.0
                moved_at, seen = time.monotonic(), now
        assert longest < STALLED_SECONDS_MAX
        assert lifeline.reason is None

        stored = Counter((record.key or b"").decode() for record in asyncio.run(read_records(kafka, "profiles")))
        assert stored == Counter(member(f"good-{number}") for number in range(GOOD))
        found = letters(kafka)
        assert len(found) == BAD
        assert all(letter.reason and letter.topic == "signups" for letter in found)
        kinds = Counter(letter.reason.partition(":")[0] for letter in found)
        assert kinds.keys() == {"not-json", "invalid-event", "bad-envelope", "unknown-source"}
        assert [letter.cut_from_bytes > 2_000_000 for letter in found if letter.cut_from_bytes] == [True]

        # The new partner is made known, and its letters are put back: twice, by an operator in doubt.
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka.bootstrap_servers)
        runner = CliRunner()
        assert runner.invoke(cli, ["partner", "add", "new-app"]).exit_code == 0
        names = [letter.name for letter in found if letter.reason.startswith("unknown-source")]
        listed = runner.invoke(cli, ["dead-letters", "list", "--reason", "Unknown-Source"])
        assert f"{len(names)} dead letters" in listed.output
        assert "invalid-event" not in listed.output
        assert "0 dead letters" in runner.invoke(cli, ["dead-letters", "list", "--reason", "no such reason"]).output
        for _ in range(2):
            assert runner.invoke(cli, ["dead-letters", "replay", *names[:20]]).exit_code == 0
        wanted = {member_id("london", "new-app", f"s-{number}") for number in range(BAD // 10)}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            now_stored = Counter(
                (record.key or b"").decode() for record in asyncio.run(read_records(kafka, "profiles"))
            )
            mended = {key: count for key, count in now_stored.items() if key in wanted}
            if len(mended) == 20 and asyncio.run(_arrived(kafka)) >= GOOD + BAD + 20:
                break
            assert time.monotonic() < deadline
        assert set(mended.values()) == {1}
        cut = next(letter.name for letter in found if letter.cut_from_bytes)
        refused = runner.invoke(cli, ["dead-letters", "replay", cut])
        assert (refused.exit_code, "too large" in refused.stderr) == (1, True)


async def _arrived(kafka: KafkaSettings) -> int:
    """How many records are on `profiles` and on `dead-letters`."""
    reader = new_reader(kafka)
    await reader.start()
    try:
        places = [
            TopicPartition(topic, number)
            for topic in ("profiles", "dead-letters")
            for number in range(kafka.partitions)
        ]
        return sum((await reader.end_offsets(places)).values())
    finally:
        await reader.stop()
