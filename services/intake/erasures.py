"""Who is to be erased: their profile and contact are forgotten, and nothing of theirs is taken in again.

Members ask on a page of the notifier's, partner apps with an event, operators with
`connection erase`; events of theirs may reach any instance of intake. So each instance
reads all erasures, from the first one on, outside any group, before it takes anything in:

=============  ====================================================================
heard of       no event of theirs is accepted, and none is published that was
tombstones     of profile and contact, behind whatever we had published of theirs
acknowledged   on `erasures`, once the tombstones are; by whoever comes first
again          the same tombstones once more, when the segments may be rolled
=============  ====================================================================

The last step is for Kafka: it compacts what lies before the active segment, and begins a
new one only when something is appended. Without it, the words of the last member of a quiet
community would lie there until somebody else signs up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared import topics
from shared.clock import Clock, system_clock
from shared.contracts import Service
from shared.erased import ASKED_IN, ErasedMembers
from shared.kafka.codec import BadMessage, decode
from shared.kafka.connection import new_reader
from shared.logs import logger
from shared.outgoing import Outgoing, outgoing, tombstone
from shared.settings import KafkaSettings

log = logger(__name__)

_WAIT_MS = 200
_FORGET = (topics.PROFILES, topics.CONTACTS)
"""What intake has stored of a member, and must not outlive them."""
_FORGET_NAMES = frozenset(topic.name for topic in (*_FORGET, topics.REFERENCES))
"""`references` is forgotten by the courier of the partition, together with the last word that needs it."""
_AT_ONCE_MAX = 1_000
"""Members whose tombstones are published with one acknowledgement."""

Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Returns once Kafka has acknowledged."""


class Erasures:
    """The fold of all erasures, and what follows from them. `is_erased` is what an event's door asks."""

    def __init__(self, settings: KafkaSettings, publish: Publish, clock: Clock = system_clock) -> None:
        self._settings = settings
        self._publish = publish
        self._clock = clock
        self._erased = ErasedMembers(Service.INTAKE)
        self.is_erased: Callable[[str], bool] = self._erased.has
        """Whether nothing of a member is taken in any more."""
        self._heard_of: dict[str, str] = {}
        """Erased and, by this instance, not forgotten yet: with their community."""
        self._again: deque[tuple[int, str, str]] = deque()
        """When to forget whom once more: milliseconds, community, member; soonest first."""
        self.caught_up = asyncio.Event()
        """Set once all is known that was said before we started."""

    def without_erased(self, records: Sequence[Outgoing]) -> list[Outgoing]:
        """Those of some records that may be published: no value of somebody who is erased."""
        is_erased = self.is_erased
        return [
            record
            for record in records
            if not is_erased(record.key) or record.value is None or record.topic not in _FORGET_NAMES
        ]

    async def run(self) -> None:
        """Read for ever. Ends by being cancelled, or by an error of Kafka's that reading again will not mend."""
        consumer = new_reader(self._settings, auto_offset_reset="earliest")
        await consumer.start()
        try:
            await self._read(consumer)
        finally:
            await consumer.stop()

    def take_in(self, records: Sequence[ConsumerRecord[bytes | None, bytes | None]]) -> None:
        """Know of whoever is to be erased by some records; `forget` does what is to be done about it."""
        for record in records:
            try:
                key, value = decode(record.topic, record.key, record.value)
            except BadMessage:
                continue  # The notifier and the matcher read it too, and have reported it.
            if self._erased.apply(record.topic, key, value) and value is not None:
                self._heard_of[key.partition("/")[0]] = value.community

    async def forget(self) -> None:
        """Publish the tombstones of those we have heard of, then say so; returns once all is acknowledged."""
        now_ms = self._clock()
        while self._heard_of:
            some = list(self._heard_of.items())[:_AT_ONCE_MAX]
            await self._publish(
                [tombstone(topic, community, member) for member, community in some for topic in _FORGET]
            )
            unsaid = {member for _, member in self._erased.unacknowledged()}
            said = [
                self._erased.acknowledgement(community, member, now_ms)
                for member, community in some
                if member in unsaid
            ]
            await self._publish([outgoing(topics.ERASURES, one) for one in said])
            for one in said:
                self._erased.apply(topics.ERASURES.name, one.key, one)
            for member, community in some:
                del self._heard_of[member]
                self._again.append((now_ms + self._rolled_after_ms, community, member))
            log.info("members_erased", members=len(some))
        due: list[Outgoing] = []
        while self._again and self._again[0][0] <= now_ms:
            _, community, member = self._again.popleft()
            # There is no such key among `contact-keys`, where tombstones have gone with the contact's: this one only
            # rolls the segment.
            due += [tombstone(topic, community, member) for topic in (*_FORGET, topics.CONTACT_KEYS)]
        if due:
            await self._publish(due)

    @property
    def _rolled_after_ms(self) -> int:
        """So long after a tombstone the next record of its partition begins a new segment (`TopicSpec.config`)."""
        return self._settings.compaction_lag_ms_max // 2 + 1_000

    def _spare_what_is_long_done(self) -> None:
        """At the start: who was forgotten so long ago that it is done twice over needs no new tombstones."""
        since_ms = self._clock() - 2 * self._settings.compaction_lag_ms_max
        for member in list(self._heard_of):
            said_at_ms = self._erased.said_at_ms(member)
            if said_at_ms is not None and said_at_ms < since_ms:
                del self._heard_of[member]

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        places = [
            TopicPartition(topic.name, number)
            for topic in (*ASKED_IN, topics.ERASURES)
            for number in range(self._settings.partitions)
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while True:
            batches = await consumer.getmany(timeout_ms=_WAIT_MS)
            self.take_in([record for records in batches.values() for record in records])
            if self.caught_up.is_set():
                await self.forget()
                continue
            reached = [await consumer.position(place) >= end for place, end in ends.items()]
            if all(reached):
                self._spare_what_is_long_done()
                await self.forget()
                self.caught_up.set()
