"""Each event once: the same request from many sides, at two instances, of which one is killed again and again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest
from endpoint import STRUCTURED, event
from intake_process import IntakeProcess
from test_intake_on_kafka import member, read_records

from demo.kafka import EmbeddedKafka
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings

KEYS, TIMES_EACH, KILLS = 200, 50, 4
KEYS_AT_ONCE = 4
PATIENCE_SECONDS = 240
SEED = 2026


class Instance(IntakeProcess):
    """For a partner of its own, that is soon told when Kafka does not acknowledge."""

    def __init__(self, kafka: EmbeddedKafka, log: Path) -> None:
        super().__init__(
            kafka.bootstrap_servers,
            log,
            INTAKE_API_KEYS='{"book-app": "sesame"}',
            INTAKE_ACKNOWLEDGE_SECONDS_MAX="3",
        )


async def until_accepted(
    client: httpx.AsyncClient, ports: list[int], key: str, number: int, tell: Counter[str]
) -> bytes:
    """What a partner does who sends the same until it is accepted, at whichever instance answers."""
    draws = random.Random(f"{key} {number}")
    headers = STRUCTURED | {"authorization": "Bearer sesame", "idempotency-key": key}
    while True:
        port = draws.choice(ports)
        try:
            answer = await client.post(f"http://127.0.0.1:{port}/v1/events", json=event(key), headers=headers)
            tell[str(answer.status_code)] += 1
            if answer.status_code == 202:
                return answer.content
            assert answer.status_code in (409, 503), answer.text
        except httpx.TransportError:
            tell["gone"] += 1
        await asyncio.sleep(draws.uniform(0.1, 0.6))


@pytest.mark.timeout(600)
async def test_fifty_identical_requests_for_each_of_200_keys_are_one_event_each(
    fresh_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    kafka = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    await ensure_topics(kafka)
    instances = [Instance(fresh_kafka, tmp_path / f"intake-{number}.log") for number in (1, 2)]
    ports = [instance.port for instance in instances]
    draws = random.Random(SEED)
    places = asyncio.Semaphore(KEYS_AT_ONCE)
    tell: Counter[str] = Counter()

    async def kill_again_and_again() -> None:
        for _ in range(KILLS):
            done = tell["202"]
            while tell["202"] < min(done + KEYS * TIMES_EACH // (KILLS + 2), KEYS * TIMES_EACH - 1):
                await asyncio.sleep(0.01)
            await asyncio.sleep(draws.uniform(0, 0.5))
            instances[0].kill()
            instances[0].start()

    async def all_of(client: httpx.AsyncClient, key: str) -> set[bytes]:
        async with places:
            asked = (until_accepted(client, ports, key, number, tell) for number in range(TIMES_EACH))
            return set(await asyncio.gather(*asked))

    try:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=300)) as client,
        ):
            killing = asyncio.create_task(kill_again_and_again())
            answers = await asyncio.gather(*(all_of(client, f"key-{number}") for number in range(KEYS)))
            await killing
    finally:
        for instance in instances:
            instance.kill()
    print(dict(tell))
    assert all(len(same) == 1 for same in answers), "the same key and body get the same answer"
    members = {member(f"key-{number}") for number in range(KEYS)}
    for topic in ("profiles", "contacts"):
        stored = Counter(record.key.decode() for record in await read_records(kafka, topic) if record.key)
        assert stored.keys() == members
        assert {key: count for key, count in stored.items() if count != 1} == {}
