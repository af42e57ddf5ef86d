"""Reads a whole topic and goes on reading: for what every instance must know, such as who the partners are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.connection import new_reader
from shared.lifeline import Lifeline
from shared.settings import KafkaSettings
from shared.topics import TopicSpec

_WAIT_MS = 500
_RECORDS_MAX = 5_000
_GATHER_BYTES = 1_000_000


class Tail:
    """Hands every record of a topic to `apply`, in the order of each partition, from `since_ms` or its beginning.

    Outside any group: every instance sees all of it. What `apply` raises stops the service.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: TopicSpec,
        apply: Callable[[ConsumerRecord], None],
        lifeline: Lifeline,
        *,
        since_ms: int | None = None,
        gather_ms: int | None = None,
    ) -> None:
        """With `gather_ms` records are fetched only so often, many at once: for a topic of many small ones."""
        self._kafka = kafka
        self._topic = topic
        self._apply = apply
        self._lifeline = lifeline
        self._since_ms = since_ms
        self._fetching = {} if gather_ms is None else {"fetch_max_wait_ms": gather_ms, "fetch_min_bytes": _GATHER_BYTES}
        self.positions: dict[int, int] = {}
        """By partition: the offset that follows all that `start` has read."""
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when all that was there has been applied; from then on it is kept up with in the background."""
        # It begins at the start by itself: a seek right after `assign` races with its going to the end.
        self._consumer = consumer = new_reader(
            self._kafka, max_poll_records=_RECORDS_MAX, auto_offset_reset="earliest", **self._fetching
        )
        await consumer.start()
        places = [TopicPartition(self._topic.name, number) for number in range(self._kafka.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        if self._since_ms is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(places, self._since_ms))
            ends = await consumer.end_offsets(places)
            for place in places:
                offset = found.get(place)
                consumer.seek(place, offset.offset if offset is not None else ends[place])
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            await self._take(consumer)
        self.positions = {place.partition: await consumer.position(place) for place in places}
        self._task = self._lifeline.watch(asyncio.create_task(self._keep_up(consumer)))

    async def stop(self) -> None:
        """Stop reading. Safe to call if it never started."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._consumer is not None:
            await self._consumer.stop()

    async def _keep_up(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._take(consumer)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        for records in (await consumer.getmany(timeout_ms=_WAIT_MS)).values():
            for record in records:
                self._apply(record)
