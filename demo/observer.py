"""Watches the topics from outside, as an auditor should: no group, nothing committed, nobody disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.contracts import Record
from shared.kafka.codec import BadMessage, decode
from shared.kafka.connection import new_reader
from shared.settings import KafkaSettings
from shared.topics import (
    CONTACTS,
    DEAD_LETTERS,
    DELIVERIES,
    INTRODUCTIONS,
    OUTBOX,
    PREFERENCES,
    PROFILES,
    SUGGESTIONS,
)

OBSERVED = (PROFILES, CONTACTS, SUGGESTIONS, INTRODUCTIONS, OUTBOX, DELIVERIES, PREFERENCES, DEAD_LETTERS)
"""What is looked at. The topics must exist (`shared.kafka.admin.ensure_topics`)."""

_RECORDS_MAX = 2_000
_WAIT_MS = 100
_PAUSE_SECONDS = 0.005
"""Between two batches, so that a long catch-up leaves the event loop to others too."""

Observe = Callable[[Record], None]


class Observer:
    """Reads committed records of all partitions from their beginning, and tells each to `observe`.

    Within a topic that all belongs to one community the order is that of the offsets.
    Tombstones are passed over. `run` ends when it is cancelled, or by an error of
    Kafka's that reading again will not mend.
    """

    def __init__(self, settings: KafkaSettings, observe: Observe) -> None:
        self._settings = settings
        self._observe = observe
        self._positions: Mapping[TopicPartition, int] = {}
        self._advanced = asyncio.Condition()
        self.records = 0
        """Told so far."""
        self.dead_letters = 0
        """Messages that a service could not use."""
        self.unreadable = 0
        """Records on our own topics that are not what lies there. Always 0 unless something is broken."""

    async def run(self) -> None:
        consumer = new_reader(self._settings, auto_offset_reset="earliest", fetch_max_wait_ms=_WAIT_MS)
        await consumer.start()
        try:
            await self._read(consumer)
        finally:
            await consumer.stop()

    async def caught_up(self, *, within_seconds: float) -> None:
        """Return when everything is told that was committed at the time of the call.

        Uses a reader of its own, so it works beside `run` or after it was cancelled.

        Raises
        ------
        TimeoutError
            if `run` did not get so far in time.
        """
        consumer = new_reader(self._settings)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(_partitions(self._settings.partitions))
        finally:
            await consumer.stop()
        async with asyncio.timeout(within_seconds):
            async with self._advanced:
                await self._advanced.wait_for(lambda: self._has_reached(ends))

    def _has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self._positions.get(partition, 0) >= end for partition, end in ends.items())

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        partitions = _partitions(self._settings.partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        while True:
            batch = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_RECORDS_MAX)
            for records in batch.values():
                for record in records:
                    self._tell(record)
            async with self._advanced:
                self._positions = {partition: await consumer.position(partition) for partition in partitions}
                self._advanced.notify_all()
            await asyncio.sleep(_PAUSE_SECONDS)

    def _tell(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        if record.topic == DEAD_LETTERS.name:
            self.dead_letters += 1
            return
        try:
            _, value = decode(record.topic, record.key, record.value)
        except BadMessage:
            self.unreadable += 1
            return
        if value is not None:
            self._observe(value)
        self.records += 1


def _partitions(count: int) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in OBSERVED for number in range(count)]
