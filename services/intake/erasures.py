"""Who has asked to be erased: their profile and contact are forgotten, and nothing of theirs is taken in again.

Members say so on a page of the notifier's, to whichever partition they belong; events of
theirs may reach any instance of intake. So each instance reads all erasures, from the
first one on, outside any group, and does with each what has to be done: twice is once.
What it costs is one tombstone for each erasure and topic at every start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared import topics
from shared.contracts import Preference, PreferenceKind
from shared.kafka.codec import BadMessage, decode
from shared.kafka.connection import new_reader
from shared.logs import logger
from shared.outgoing import Outgoing, tombstone
from shared.settings import KafkaSettings

log = logger(__name__)

_WAIT_MS = 200
_FORGET = (topics.PROFILES, topics.CONTACTS)

Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Returns once Kafka has acknowledged."""


class Erasures:
    """The fold of the erasures among `preferences`. `is_erased` is what an event's door asks."""

    def __init__(self, settings: KafkaSettings, publish: Publish) -> None:
        self._settings = settings
        self._publish = publish
        self._erased: set[str] = set()
        self.caught_up = asyncio.Event()
        """Set once all is known that was said before we started."""

    def is_erased(self, member: str) -> bool:
        return member in self._erased

    async def run(self) -> None:
        """Read for ever. Ends by being cancelled, or by an error of Kafka's that reading again will not mend."""
        consumer = new_reader(self._settings, auto_offset_reset="earliest")
        await consumer.start()
        try:
            await self._read(consumer)
        finally:
            await consumer.stop()

    async def take_in(self, records: Sequence[ConsumerRecord[bytes | None, bytes | None]]) -> None:
        """Forget whoever asks for it among some records of `preferences`; returns once that is acknowledged."""
        forgotten: list[Outgoing] = []
        for record in records:
            try:
                _, preference = decode(topics.PREFERENCES.name, record.key, record.value)
            except BadMessage:
                continue  # The notifier and the matcher read it too, and have reported it.
            if isinstance(preference, Preference) and preference.kind is PreferenceKind.ERASE:
                # First, so that nothing of theirs slips in behind the tombstones.
                self._erased.add(preference.member)
                forgotten += [tombstone(topic, preference.community, preference.member) for topic in _FORGET]
        if forgotten:
            await self._publish(forgotten)
            log.info("members_erased", members=len(forgotten) // len(_FORGET))

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        places = [TopicPartition(topics.PREFERENCES.name, number) for number in range(self._settings.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while True:
            batches = await consumer.getmany(timeout_ms=_WAIT_MS)
            await self.take_in([record for records in batches.values() for record in records])
            if not self.caught_up.is_set():
                reached = [await consumer.position(place) >= end for place, end in ends.items()]
                if all(reached):
                    self.caught_up.set()
