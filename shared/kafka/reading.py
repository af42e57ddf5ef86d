"""Reading a stretch of a topic outside any group: for looking back, never for a service's own state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.connection import new_reader
from shared.settings import KafkaSettings

_WAIT_MS = 20
"""Short, since all there is to read is there: whatever is asked next stands in line behind a fetch that waits."""


@asynccontextmanager
async def reading(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of committed records, for one partition after the other."""
    reader = new_reader(settings, fetch_max_wait_ms=_WAIT_MS, auto_offset_reset="earliest")
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def read_from_the_start(
    reader: AIOKafkaConsumer, topic: str, partition: int, *, end: int | None = None
) -> AsyncIterator[ConsumerRecord]:
    """The committed records of a partition that are there now, oldest first, below offset `end` if one is given.

    The reader is assigned to this partition alone.
    """
    place = TopicPartition(topic, partition)
    reader.assign([place])
    last: int = (await reader.end_offsets([place]))[place]
    if end is not None:
        last = min(last, end)
    # The position passes what nobody is handed: transaction markers, aborted and compacted records.
    while await reader.position(place) < last:
        for record in (await reader.getmany(place, timeout_ms=_WAIT_MS)).get(place, []):
            if record.offset >= last:
                return
            yield record
