"""Kafka's broker dies under load, and intake with it: what was answered 202 is there, and everything is there once.

Left alive, intake's producer delivers in the end what it was given: a 202 that came too early
would not show. So intake is killed as well, while the broker is down and requests wait for it.
"""

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

EVENTS, IN_A_BATCH = 1_200, 5
TOGETHER = (False, True, True, True)
"""The kills in their order: whether intake dies with the broker."""
SENDERS = 16
HANGS_SECONDS_MAX = 1.0
"""How long requests wait for a broker that is down until intake is killed: at most."""
PATIENCE_SECONDS = 300
SEED = 2026


class Partner:
    """Sends everything until it is accepted, one by one or in batches, and remembers what was."""

    def __init__(self, port: int, client: httpx.AsyncClient) -> None:
        self._url = f"http://127.0.0.1:{port}/v1/events"
        self._client = client
        self.accepted: set[str] = set()
        self.waiting = 0
        """Requests that are not answered yet."""
        self.tell: Counter[str] = Counter()

    async def send(self, names: list[str], draws: random.Random) -> None:
        events = [event(name) for name in names]
        content, headers = (events, BATCH) if len(events) > 1 else (events[0], STRUCTURED)
        while True:
            self.waiting += 1
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
            finally:
                self.waiting -= 1
            await asyncio.sleep(draws.uniform(0.1, 0.5))


@pytest.mark.timeout(600)
async def test_every_202_outlives_a_broker_and_an_intake_that_are_killed_under_load(tmp_path: Path) -> None:
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
    hung: list[int] = []

    async def keep_sending(partner: Partner) -> None:
        for parcel in todo:
            await partner.send(parcel, draws)
            await asyncio.sleep(0.01)  # so that there is load before, between and after the kills

    async def kill_again_and_again(partner: Partner) -> None:
        for number, with_intake in enumerate(TOGETHER, start=1):
            while len(partner.accepted) < EVENTS * number // (len(TOGETHER) + 1):
                await asyncio.sleep(0.001)
            await asyncio.to_thread(broker.kill)
            if with_intake:
                while not partner.waiting:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(draws.uniform(0, HANGS_SECONDS_MAX))
                hung.append(partner.waiting)
                await asyncio.to_thread(intake.kill)
            await asyncio.to_thread(broker.start)
            if with_intake:
                intake.start()

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
    print(dict(partner.tell), "requests that hung when intake was killed:", hung)
    assert len(hung) == TOGETHER.count(True)
    assert all(hung), "intake was killed while requests waited"
    assert partner.tell["503"] + partner.tell["409"] + partner.tell["no answer"] > SENDERS, "the kills were felt"
    sent = {f"m-{number}" for number in range(EVENTS)}
    assert partner.accepted == sent
    for topic, counts in stored.items():
        lost = {name for name in partner.accepted if member(name) not in counts}
        assert not lost, f"answered 202, and not on {topic}"
        assert counts.keys() == {member(name) for name in sent}
        assert {key: count for key, count in counts.items() if count != 1} == {}
