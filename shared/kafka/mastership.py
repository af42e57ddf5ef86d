"""Which partitions are ours, what state they are in, and whether we know all of it yet.

A service whose state is a fold over topics holds one state for each partition that
it is *master* of. Becoming master, and staying it, goes like this:

=============  ================================================================
assigned       the group gives us partition p of every topic (range assignment)
fenced         our transactional producers for p have started: an earlier master
               can commit nothing any more, its open transactions are aborted
restoring      all topics of p are read, from their start or from where a state
               that we still hold had got to, up to the ends as they were *after*
               fencing
master         the state is complete: rounds, reconciling and sending may begin
revoked        the group takes p away: nothing is begun any more; the state is
               kept for a while, since p may come back
=============  ================================================================

Fencing before reading is what makes it safe: nothing that the former master does
can become visible after we have read. Committed offsets play no part in this, except
to tell which bad messages were reported already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from shared.clock import Clock
from shared.contracts import Record
from shared.kafka.batches import Bad, Batch
from shared.kafka.codec import BadMessage, decode
from shared.kafka.transactions import MastershipLost, PartitionProducer
from shared.lifeline import Lifeline
from shared.logs import logger, where_it_broke
from shared.metrics import PlumbingMetrics
from shared.outgoing import Outgoing
from shared.sealing import SealError
from shared.settings import KafkaSettings
from shared.topics import TopicSpec

log = logger(__name__)


class FoldedState(Protocol):
    """A state that is a fold over topics: the same records in the same order give the same state."""

    def apply(self, topic: str, key: str, record: Record | None) -> None:
        """Take in one record; `None` is a tombstone. Applying one again must change nothing."""


S = TypeVar("S", bound=FoldedState)


@dataclass(slots=True, eq=False)
class MasteredPartition(Generic[S]):
    """A partition of which this instance is, or is about to be, master."""

    number: int
    state: S
    producers: dict[str, PartitionProducer]
    """By role: each commits transactions of its own."""
    applied: dict[str, int]
    """By topic: the offset up to which the state has seen it, exclusive."""
    ends: dict[str, int]
    """By topic: where it ended after we had fenced the others; restored up to there, we are master."""
    reported: dict[str, int]
    """By topic: bad messages below this offset are on `dead-letters` already."""
    since_ms: int
    restored: bool = False
    released: bool = False
    revoked_at_ms: int | None = None

    @property
    def is_master(self) -> bool:
        """Whether its state is complete and it is still ours, as far as we know; the commit has the last word."""
        return self.restored and not self.released


@dataclass(slots=True)
class _Arrival:
    """A counter that tells a batch that was handed out from one that was applied."""

    received: int = 0
    applied: int = field(default=0)


class Mastership(ConsumerRebalanceListener, Generic[S]):  # type: ignore[misc]  # aiokafka is untyped
    """Keeps the states of the partitions that the group assigns to this instance."""

    def __init__(
        self,
        *,
        topics: Sequence[TopicSpec],
        roles: Sequence[str],
        new_state: Callable[[], S],
        settings: KafkaSettings,
        metrics: PlumbingMetrics,
        lifeline: Lifeline,
        clock: Clock,
    ) -> None:
        self._topics = [topic.name for topic in topics]
        self._roles = roles
        self._new_state = new_state
        self._settings = settings
        self._metrics = metrics
        self._lifeline = lifeline
        self._clock = clock
        self._partitions: dict[int, MasteredPartition[S]] = {}
        self._kept: dict[int, MasteredPartition[S]] = {}
        self._arrival = _Arrival()
        self._consumer: Callable[[], object] = lambda: None
        self._joined = False
        self.changed = asyncio.Event()
        """Set at the next change, and then replaced: take it, do what there is to do, then wait for it."""

    def attach(self, consumer: Callable[[], object]) -> None:
        """Tell how to reach the consumer, once there is one."""
        self._consumer = consumer

    # What a service asks

    def masters(self) -> list[MasteredPartition[S]]:
        """The partitions that we are master of, complete, in the order of their numbers."""
        self._notice_restored()
        return [self._partitions[number] for number in sorted(self._partitions) if self._partitions[number].is_master]

    @property
    def is_ready(self) -> bool:
        """Whether we have our share of the partitions (it may be none), and know all of it."""
        self._notice_restored()
        return self._joined and all(partition.is_master for partition in self._partitions.values())

    async def commit(self, partition: MasteredPartition[S], role: str, records: Sequence[Outgoing]) -> None:
        """Commit records as master of a partition, in one transaction.

        Raises `MastershipLost` if it is not ours any more, or if it cannot be known
        whether Kafka has committed: then the partition is taken anew, from what is there.
        """
        if not partition.is_master:
            raise MastershipLost(f"partition {partition.number} is not ours any more")
        try:
            with self._metrics.commit_seconds.time():
                await partition.producers[role].commit(records)
        except MastershipLost:
            self._metrics.transactions.labels("fenced").inc()
            self._let_go(partition)
            raise
        except Exception as error:
            self._metrics.transactions.labels("failed").inc()
            self._let_go(partition)
            log.warning("transaction_failed", partition=partition.number, **where_it_broke(error))
            raise MastershipLost(f"partition {partition.number} is taken anew after a failed transaction") from error
        self._metrics.transactions.labels("committed").inc()

    def tell(self) -> None:
        """Wake whoever waits for `changed`."""
        told, self.changed = self.changed, asyncio.Event()
        told.set()

    # What the batch subscription calls

    def on_received(self) -> None:
        """A batch was handed out by the consumer."""
        self._arrival.received += 1

    async def on_batch(self, batch: Batch) -> Bad:
        """Apply a batch to the states it belongs to. Returns what is bad and not reported yet."""
        bad = []
        for record in batch:
            partition = self._partitions.get(record.partition)
            if partition is None or record.offset < partition.applied.get(record.topic, 0):
                continue  # of an assignment that is over, or seen already
            try:
                key, value = decode(record.topic, record.key, record.value)
                partition.state.apply(record.topic, key, value)
            except (BadMessage, SealError) as problem:
                if record.offset >= partition.reported.get(record.topic, 0):
                    bad.append((record, str(problem)))
            partition.applied[record.topic] = record.offset + 1
        self._arrival.applied = self._arrival.received
        self.tell()
        return bad

    # What the consumer group calls

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Begin nothing any more. What is on its way either commits before the next master fences it, or never."""
        await self._release_all()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Fence, then find out how much there is to read, then read."""
        try:
            numbers = sorted({place.partition for place in assigned})
            self._forget_old_states()
            await self._take(numbers)
            self._joined = True
            self.tell()
        except Exception as error:
            # aiokafka would log it and go on without fencing: that must never be.
            self._lifeline.fail(error)

    # Details

    async def _take(self, numbers: Sequence[int]) -> None:
        since_ms = self._clock()
        producers = {
            number: {role: PartitionProducer(self._settings, role, number) for role in self._roles}
            for number in numbers
        }
        await _all(producer.start() for of_partition in producers.values() for producer in of_partition.values())
        consumer = self._consumer()
        places = [TopicPartition(topic, number) for number in numbers for topic in self._topics]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)  # type: ignore[attr-defined]
        begins: dict[TopicPartition, int] = await consumer.beginning_offsets(places)  # type: ignore[attr-defined]
        committed = dict(
            zip(places, await asyncio.gather(*map(consumer.committed, places)), strict=True)  # type: ignore[attr-defined]
        )
        # From here on nothing is awaited, so no batch can slip in between seeking and taking.
        for number in numbers:
            kept = self._kept.pop(number, None)
            applied = kept.applied if kept else {}
            for topic in self._topics:
                place = TopicPartition(topic, number)
                applied[topic] = max(applied.get(topic, 0), begins[place])
                consumer.seek(place, applied[topic])  # type: ignore[attr-defined]
            self._partitions[number] = MasteredPartition(
                number=number,
                state=kept.state if kept else self._new_state(),
                producers=producers[number],
                applied=applied,
                ends={topic: ends[TopicPartition(topic, number)] for topic in self._topics},
                reported={topic: committed[TopicPartition(topic, number)] or 0 for topic in self._topics},
                since_ms=since_ms,
            )

    def _notice_restored(self) -> None:
        consumer = self._consumer()
        if consumer is None or self._arrival.applied != self._arrival.received:
            return
        for partition in self._partitions.values():
            if partition.restored or partition.released:
                continue
            # The end of a topic may be a transaction's marker, which nobody is handed: the
            # consumer's position passes it, the last applied record does not.
            if all(self._reached(consumer, topic, partition) for topic in self._topics):
                partition.restored = True
                now_ms = self._clock()
                self._metrics.restore_seconds.observe((now_ms - partition.since_ms) / 1000)
                self._metrics.mastered.inc()
                log.info(
                    "partition_mastered", partition=partition.number, at_ms=now_ms, after_ms=now_ms - partition.since_ms
                )

    @staticmethod
    def _reached(consumer: object, topic: str, partition: MasteredPartition[S]) -> bool:
        end = partition.ends[topic]
        if partition.applied[topic] >= end:
            return True
        assignment = consumer._subscription.subscription.assignment  # type: ignore[attr-defined]
        place = assignment.state_value(TopicPartition(topic, partition.number))
        # position() is a coroutine that may wait; has_valid_position is what it would wait for.
        return place is not None and place.has_valid_position and place.position >= end

    async def _release_all(self) -> None:
        now_ms = self._clock()
        released = list(self._partitions.values())
        for partition in released:
            if not partition.released:
                log.info("partition_released", partition=partition.number, at_ms=now_ms)
            partition.released = True
            partition.revoked_at_ms = now_ms
            self._kept[partition.number] = partition
        self._partitions = {}
        self._metrics.mastered.set(0)
        self.tell()
        await _all(producer.stop() for partition in released for producer in partition.producers.values())

    def _let_go(self, partition: MasteredPartition[S]) -> None:
        """Not master any more, though the group has not said so: take it anew, unless the group says so soon."""
        if partition.released:
            return
        partition.released = True
        self._metrics.mastered.dec()
        log.warning("partition_let_go", partition=partition.number, at_ms=self._clock())
        self._lifeline.watch(asyncio.create_task(self._take_anew(partition)))

    async def _take_anew(self, partition: MasteredPartition[S]) -> None:
        # Whoever fenced us should be the master, and then the group tells us within a session.
        await asyncio.sleep(self._settings.session_timeout_ms / 1000)
        if self._partitions.get(partition.number) is partition:
            await _all(producer.stop() for producer in partition.producers.values())
            del self._partitions[partition.number]
            self._kept[partition.number] = partition
            await self._take([partition.number])
            self.tell()

    def _forget_old_states(self) -> None:
        oldest_ms = self._clock() - self._settings.state_retained_seconds * 1000
        self._kept = {n: kept for n, kept in self._kept.items() if (kept.revoked_at_ms or 0) >= oldest_ms}

    async def stop(self) -> None:
        """Let go of everything, at shut-down."""
        await self._release_all()


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*steps)
