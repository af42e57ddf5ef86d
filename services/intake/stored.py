"""Looks in the topics for what somebody may have stored before they were gone. Seldom, and in some 50 ms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from aiokafka import ConsumerRecord, TopicPartition

from services.intake.ledger import unclocked
from shared.kafka.connection import new_reader
from shared.outgoing import Outgoing
from shared.settings import KafkaSettings
from shared.topics import CONTACTS, partition_of

_READ_TIMEOUT_MS = 200

Opened = Callable[[str, bytes | None], bytes | None]
"""Of a key and a value on `contacts`: what that was before it was sealed."""


class Wanted:
    """Records that may be stored already. Of what others wrote no more is looked at than the key."""

    def __init__(self, records: Sequence[Outgoing], opened: Opened | None = None) -> None:
        self._opened = opened
        self._numbers: defaultdict[tuple[str, str], dict[bytes, int]] = defaultdict(dict)
        for number, record in enumerate(records):
            self._numbers[record.topic, record.key][unclocked(record.value)] = number

    def number_of(self, topic: str, key: str, value: bytes | None) -> int | None:
        """Which of them a stored record is; None if it is none of them."""
        numbers = self._numbers.get((topic, key))
        if numbers is None:
            return None
        if self._opened is not None and topic == CONTACTS.name:
            value = self._opened(key, value)
        return numbers.get(unclocked(value))


class StoredRecords:
    """Reads our own topics again."""

    def __init__(self, kafka: KafkaSettings, opened: Opened | None = None) -> None:
        """`opened` is for where contacts are encrypted."""
        self._kafka = kafka
        self._opened = opened

    async def find(self, records: Sequence[Outgoing], since_ms: int) -> set[int]:
        """Which of these records, by number, are in their topics, written at or after `since_ms`."""
        wanted = Wanted(records, self._opened)
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
                    found |= {number for record in batch if (number := _number(record, wanted)) is not None}
        finally:
            await reader.stop()
        return found


def _number(record: ConsumerRecord[bytes | None, bytes | None], wanted: Wanted) -> int | None:
    return wanted.number_of(record.topic, (record.key or b"").decode(errors="replace"), record.value)
