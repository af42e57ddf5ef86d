"""The observer tells of everything that is committed, once, and of nothing else."""

from __future__ import annotations

import asyncio
import contextlib

from demo.kafka import EmbeddedKafka
from demo.observer import Observer
from shared.contracts import Preference, PreferenceKind, Record
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS, PREFERENCES

_WITHIN_SECONDS = 30.0


def _preference(number: int) -> Preference:
    return Preference(community="london", member=f"m{number}", kind=PreferenceKind.PAUSE, chosen_at_ms=number)


async def test_it_tells_what_is_committed_and_knows_when_it_has_caught_up(fresh_kafka: EmbeddedKafka) -> None:
    settings = KafkaSettings(bootstrap_servers=fresh_kafka.bootstrap_servers)
    await ensure_topics(settings)
    told: list[Record] = []
    observer = Observer(settings, told.append)
    running = asyncio.create_task(observer.run())
    producer = new_producer(settings, transactional_id="test-observer")
    await producer.start()
    try:
        async with producer.transaction():
            for number in range(3):
                await producer.send(
                    PREFERENCES.name, _preference(number).to_bytes(), key=_preference(number).key.encode(), partition=3
                )
        with contextlib.suppress(ZeroDivisionError):
            async with producer.transaction():
                await producer.send_and_wait(
                    PREFERENCES.name, _preference(99).to_bytes(), key=b"m99/pause", partition=3
                )
                raise ZeroDivisionError
        async with producer.transaction():
            await producer.send(PREFERENCES.name, None, key=b"m0/pause", partition=3)
            await producer.send(PREFERENCES.name, b"not what lies here", key=b"m1/pause", partition=3)
            await producer.send(DEAD_LETTERS.name, b"anything", key=b"x", partition=0)
        await observer.caught_up(within_seconds=_WITHIN_SECONDS)
    finally:
        await producer.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told == [_preference(0), _preference(1), _preference(2)]
    assert observer.unreadable == 1
    assert observer.dead_letters == 1
