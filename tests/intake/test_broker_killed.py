"""Kafka's broker dies under load, again and again: what was answered 202 is there, and everything is there once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest
from endpoint import BATCH, STRUCTURED, event
from test_intake_on_kafka import member, read_records
from test_once_on_kafka import Instance

from demo.kafka import EmbeddedKafka
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

EVENTS, IN_A_BATCH, KILLS = 1_200, 5, 3
SENDERS = 12
PATIENCE_SECONDS = 300
SEED = 2026


class Partner:
    """Sends everything until it is accepted, one by one or in batches, and remembers what was."""

    def __init__(self, port: int, client: httpx.AsyncClient) -> None:
        self._url = f"http://127.0.0.1:{port}/v1/events"
        self._client = client
        self.accepted: set[str] = set()
        self.tell: Counter[str] = Counter()

    async def send(self, names: list[str], draws: random.Random) -> None:
        events = [event(name) for name in names]
        content, headers = (events, BATCH) if len(events) > 1 else (events[0], STRUCTURED)
        while True:
            try:
                answer = await self._client.post(
                    self._url, json=content, headers=headers | {"authorization": "Bearer sesame"}
                )
            except httpx.TransportError:
                self.tell["no answer"] += 1
            else:
                self.tell[str(answer.status_code)] += 1
                if answer.status_code == 202:
                    self.accepted.update(names)
                    return
                assert answer.status_code in (409, 503), answer.text
            await asyncio.sleep(draws.uniform(0.1, 0.5))


@pytest.mark.timeout(600)
async def test_every_202_outlives_a_broker_that_is_killed_under_load(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    await ensure_topics(kafka)
    intake = Instance(broker, tmp_path / "intake.log")
    draws = random.Random(SEED)
    names = [f"m-{number}" for number in range(EVENTS)]
    # Every second parcel is a single event, the others are batches.
    parcels: list[list[str]] = []
    while names:
        count = 1 if len(parcels) % 2 else IN_A_BATCH
        parcels.append(names[:count])
        names = names[count:]
    todo = iter(parcels)
    kills = 0

    async def keep_sending(partner: Partner) -> None:
        for parcel in todo:
            await partner.send(parcel, draws)
            await asyncio.sleep(0.02)  # so that there is load before, between and after the kills

    async def kill_again_and_again(partner: Partner) -> None:
        nonlocal kills
        for number in range(1, KILLS + 1):
            while len(partner.accepted) < EVENTS * number // (KILLS + 1):
                await asyncio.sleep(0.01)
            await asyncio.to_thread(broker.kill)
            kills = number
            await asyncio.to_thread(broker.start)

    try:
        async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(timeout=20) as client:
            partner = Partner(intake.port, client)
            await asyncio.gather(kill_again_and_again(partner), *(keep_sending(partner) for _ in range(SENDERS)))
        stored = {}
        for topic in ("contacts", "profiles"):
            stored[topic] = Counter(record.key.decode() for record in await read_records(kafka, topic) if record.key)
    finally:
        intake.kill()
        await asyncio.to_thread(broker.close)
    print(dict(partner.tell))
    assert kills == KILLS
    assert partner.tell["503"] + partner.tell["409"] + partner.tell["no answer"] > SENDERS, "the kills were felt"
    for counts in stored.values():
        assert counts.keys() == {member(f"m-{number}") for number in range(EVENTS)}
        assert {key: count for key, count in counts.items() if count != 1} == {}
