"""Looks in the topics for what somebody may have stored before they were gone. Seldom, and in some 50 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition

from services.intake.ledger import unclocked
from shared.kafka.connection import new_reader
from shared.outgoing import Outgoing
from shared.settings import KafkaSettings
from shared.topics import CONTACTS, partition_of

_READ_TIMEOUT_MS = 200


class StoredRecords:
    """Reads our own topics again."""

    def __init__(self, kafka: KafkaSettings, opened: Callable[[str, bytes | None], bytes | None] | None = None) -> None:
        """`opened(key, value)` tells what a contact was before it was sealed, where contacts are encrypted."""
        self._kafka = kafka
        self._opened = opened

    async def find(self, records: Sequence[Outgoing], since_ms: int) -> set[int]:
        """Which of these records, by number, are in their topics, written at or after `since_ms`."""
        wanted = {(record.topic, record.key, unclocked(record.value)): number for number, record in enumerate(records)}
        places = {
            TopicPartition(record.topic, partition_of(record.community, self._kafka.partitions)) for record in records
        }
        found: set[int] = set()
        reader = new_reader(self._kafka, auto_offset_reset="earliest")
        await reader.start()
        try:
            reader.assign(places)
            begin = await reader.offsets_for_times(dict.fromkeys(places, since_ms))
            ends = await reader.end_offsets(places)
            for place in places:
                reader.seek(place, begin[place].offset if begin.get(place) is not None else ends[place])
            while any([await reader.position(place) < ends[place] for place in places]):
                for batch in (await reader.getmany(timeout_ms=_READ_TIMEOUT_MS)).values():
                    for record in batch:
                        key = (record.key or b"").decode(errors="replace")
                        value = record.value
                        if self._opened is not None and record.topic == CONTACTS.name:
                            value = self._opened(key, value)
                        number = wanted.get((record.topic, key, unclocked(value)))
                        if number is not None:
                            found.add(number)
        finally:
            await reader.stop()
        return found
