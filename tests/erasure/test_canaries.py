"""A hundred people who can be told from everybody else are erased in three ways: nothing they wrote is left anywhere.

On a real Kafka with the services as processes; compaction and retention take seconds here
instead of days, and are otherwise what they are in production.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from erasing import KEY, READY_SECONDS_MAX, Services, acknowledgements, order

from connection.erase_proof import Finding, Needles, in_segments
from demo.kafka import EmbeddedKafka
from demo.london import SOURCE, synthesize
from demo.members import press
from demo.processes import Process, port_or_free
from shared import ids, topics
from shared.contracts import Service
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer, new_reader
from shared.settings import KafkaSettings

CANARIES = 100
OVER_KAFKA = 20
UNUSABLE = 5
INVITED_MIN = 30
"""Emails of the first round; who finds nobody in it waits."""
COMPACTION_LAG_MS = 10_000
ERASED_WITHIN_MS = 40_000
BROKER_ROUNDS_SECONDS = 20.0
"""For the broker's own rounds, which are not part of the promise on a machine this busy."""


@pytest.fixture
def quick_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker that cleans up every second."""
    properties = {
        "log.cleaner.backoff.ms": 500,
        "log.retention.check.interval.ms": 1_000,
        "log.segment.delete.delay.ms": 500,
        "log.initial.task.delay.ms": 500,
    }
    with EmbeddedKafka(tmp_path / "kafka", properties=properties) as broker:
        yield broker


def canaries() -> tuple[list[dict[str, Any]], list[str]]:
    """Their events, and everything that only they wrote."""
    events, words = [], []
    for number, event in enumerate(synthesize(CANARIES, 3)):
        name, address = f"Zqcanary{number}x", f"zqaddress{number}x@inbox.example"
        own, interest = f"Zqwords{number}x I eat lunch alone", f"zqinterest{number}x weaving"
        event["data"] |= {"first_name": name, "email": address, "own_words": own}
        event["data"]["interests"] = [*event["data"]["interests"][:5], interest]
        events.append(event)
        words += [name, address, f"zqwords{number}x", f"zqinterest{number}x"]
    return events, words


def member_of(event: dict[str, Any]) -> str:
    return ids.member_id("london", SOURCE, event["subject"])


async def send_over_kafka(settings: KafkaSettings, events: list[dict[str, Any]]) -> None:
    producer = new_producer(settings)
    await producer.start()
    try:
        for event in events:
            headers = [("content-type", b"application/cloudevents+json")]
            await producer.send_and_wait(topics.SIGNUPS.name, json.dumps(event).encode(), partition=0, headers=headers)
    finally:
        await producer.stop()


async def ends(settings: KafkaSettings, topic: str) -> int:
    reader = new_reader(settings)
    await reader.start()
    try:
        found = await reader.end_offsets([TopicPartition(topic, number) for number in range(settings.partitions)])
        return sum(found.values())
    finally:
        await reader.stop()


@pytest.mark.timeout(700)
async def test_nothing_is_left_of_a_hundred_canaries(quick_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    settings = KafkaSettings(
        bootstrap_servers=quick_kafka.bootstrap_servers,
        compaction_lag_ms_max=COMPACTION_LAG_MS,
        erased_within_ms=ERASED_WITHIN_MS,
    )
    await ensure_topics(settings)
    ports: set[int] = set()
    smtp_port, inbox_port = port_or_free(0x7203, taken=ports), port_or_free(0x7204, taken=ports)
    mailbox = Process(
        "inbox",
        [sys.executable, "-m", "demo.inbox", f"--smtp-port={smtp_port}", f"--http-port={inbox_port}"],
        environment={}, folder=tmp_path,
    )  # fmt: skip
    # A round every second, whether or not anything has changed: it counts whom the matcher knows.
    often = {"MATCHER_WAITING_ROUND_SECONDS": "1"}
    services = Services(settings, tmp_path / "logs", smtp_port=smtp_port, environment=often)
    events, words = canaries()
    needles = Needles(words)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/cloudevents-batch+json"}
    intake, inbox = services.url(Service.INTAKE), f"http://127.0.0.1:{inbox_port}"

    def left() -> list[Finding]:
        return list(in_segments(quick_kafka.data_dir, needles))

    async with httpx.AsyncClient(timeout=30) as client:

        async def emails() -> int:
            return int((await client.get(f"{inbox}/api/v1/messages", params={"limit": 0})).json()["total"])

        async def known_to_the_matcher() -> float:
            metrics = (await client.get(f"{services.url(Service.MATCHER)}/metrics")).text
            counts = re.findall(r'^matcher_members\{community="london"\} (\S+)$', metrics, re.MULTILINE)
            assert counts, "it has met somebody"
            return sum(map(float, counts))

        try:
            mailbox.start()
            await mailbox.ready(f"{inbox}/readyz", within_seconds=READY_SECONDS_MAX)
            await services.start()
            over_http = events[OVER_KAFKA:]
            answer = await client.post(f"{intake}/v1/events", content=json.dumps(over_http), headers=headers)
            assert answer.status_code == 202, answer.text
            await send_over_kafka(settings, events[:OVER_KAFKA])
            unusable = [{**event, "data": {**event["data"], "birth_year": 1}} for event in events[:UNUSABLE]]
            await send_over_kafka(settings, unusable)
            async with asyncio.timeout(60):
                while await emails() < INVITED_MIN or await ends(settings, topics.DEAD_LETTERS.name) < UNUSABLE:
                    await asyncio.sleep(0.2)
            assert {finding.what for finding in left()} == set(range(1, len(words) + 1)), "the scan sees what is there"

            members = [member_of(event) for event in events]
            erasing = [
                {"specversion": "1.0", "id": f"erase-{number}", "source": SOURCE, "subject": event["subject"],
                 "type": "connection.member.erased", "data": {"community": "london"}}
                for number, event in enumerate(events[:40])
            ]  # fmt: skip
            answer = await client.post(f"{intake}/v1/events", content=json.dumps(erasing), headers=headers)
            assert answer.status_code == 202, answer.text
            for member in members[40:80]:
                await press(client, services.erase_link("london", member))
            await order(settings, members[81:])
            status, said = await services.command(
                "erase", "--partner", SOURCE, "--reference", events[80]["subject"], "--json"
            )
            assert status == 0, said
            assert json.loads(said)["forgotten_at_ms"].keys() == {"intake", "matcher", "notifier"}
            wanted = {f"{member}/{service}" for member in members for service in Service}
            async with asyncio.timeout(60):
                while (await acknowledgements(settings)).keys() != wanted:
                    await asyncio.sleep(0.2)
            since, had = time.monotonic(), await emails()

            status, said = await services.command(
                "erase", members[0], "--prove", "--looking-for", "-", "--json", stdin="\n".join(words[:4])
            )
            assert (status, bool(json.loads(said)["found"])) == (1, True), "said, and not gone from the disks yet"

            refused = await client.post(
                f"{intake}/v1/events",
                content=json.dumps({**events[0], "id": "again"}),
                headers={**headers, "Content-Type": "application/cloudevents+json"},
            )
            assert refused.status_code == 410

            while remaining := left():
                seconds = time.monotonic() - since
                assert seconds < ERASED_WITHIN_MS / 1000 + BROKER_ROUNDS_SECONDS, remaining[:5]
                await asyncio.sleep(1)
            metrics = [f"--metrics={services.url(name)}/metrics" for name in Service]
            status, said = await services.command(
                "erase", members[0], "--prove", "--looking-for", "-", "--json", *metrics,
                f"--segments={quick_kafka.data_dir}", f"--logs={tmp_path / 'logs'}", stdin="\n".join(words),
            )  # fmt: skip
            assert (status, json.loads(said)["found"]) == (0, []), said
            assert json.loads(said)["looked"] == ["topics", "segments", "logs", "metrics"]
            for page in [await client.get(services.data_link("london", member)) for member in members]:
                assert page.status_code == 200
                assert list(needles.found_in(page.content)) == [], "the notifier still knows them"
            async with asyncio.timeout(60):
                while await known_to_the_matcher() > 0:  # it counts them in every round
                    await asyncio.sleep(0.2)
            assert await emails() == had, "nobody is written to after the acknowledgement"
        finally:
            services.stop()
            mailbox.kill()
