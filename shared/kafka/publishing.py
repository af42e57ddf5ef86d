"""Many records, one wait: what is published at the same time travels together.

One `send_and_wait` after the other manages about a hundred records a second. aiokafka's
`send` batches, but prepares and acknowledges record by record, which costs more than
checking a sign-up. So records queue up here, a queue for each partition: while one
batch is on its way, the next one gathers, whoever publishes it, and one acknowledgement
is awaited for all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.outgoing import Outgoing
from shared.topics import partition_of


async def publish(producer: AIOKafkaProducer, records: Iterable[Outgoing], *, partitions: int) -> None:
    """Send all, and return when all replicas have acknowledged every one of them.

    Within a partition their order is kept, and that of calls. What one call publishes may
    be stored in several batches; in a transaction of the producer they are all part of it.

    Raises the first `KafkaError`: then some may have been stored and others not, and
    the caller sends all of them again (their keys make that harmless). A caller who
    stops waiting takes back what has not been sent yet.
    """
    queues = _QUEUES.get(producer)
    if queues is None:
        queues = _QUEUES[producer] = {}
    parcel = _Parcel()
    missing = 0
    for topic, community, key, value in records:
        place = (topic, partition_of(community, partitions))
        queue = queues.get(place)
        if queue is None:
            queue = queues[place] = _Queue(*place)
        queue.waiting.append((parcel, key.encode(), value))
        if queue.sending is None:
            queue.sending = asyncio.create_task(queue.send_all(producer))
        missing += 1
    parcel.missing = missing  # None is sent before we wait.
    if missing:
        await parcel.acknowledged


class _Parcel:
    """What one call publishes: acknowledged when no record of it is missing any more."""

    __slots__ = ("acknowledged", "missing")

    def __init__(self) -> None:
        self.acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.missing = 0


class _Queue:
    """What waits for one partition. At most one batch of it is under way, as aiokafka has it for idempotence."""

    __slots__ = ("partition", "sending", "topic", "waiting")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: deque[tuple[_Parcel, bytes, bytes | None]] = deque()
        self.sending: asyncio.Task[None] | None = None

    async def send_all(self, producer: AIOKafkaProducer) -> None:
        """Send batch after batch until nothing waits."""
        try:
            while self.waiting:
                await self._send_some(producer)
        finally:
            self.sending = None

    async def _send_some(self, producer: AIOKafkaProducer) -> None:
        aboard: list[_Parcel] = []
        try:
            batch = producer.create_batch()
            self._fill(batch, aboard)
            if not aboard:
                return
            batch.close()
            await (await producer.send_batch(batch, self.topic, partition=self.partition))
        except BaseException as error:
            if not aboard:
                # Not even a batch could be made: nobody is to wait for that.
                aboard = [parcel for parcel, _, _ in self.waiting]
                self.waiting.clear()
            for parcel in aboard:
                if not parcel.acknowledged.done():
                    parcel.acknowledged.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for parcel in aboard:
            parcel.missing -= 1
            if parcel.missing == 0 and not parcel.acknowledged.done():
                parcel.acknowledged.set_result(None)

    def _fill(self, batch: BatchBuilder, aboard: list[_Parcel]) -> None:
        waiting = self.waiting
        while waiting:
            parcel, key, value = waiting[0]
            # Nobody waits for what was given up, or has failed already. Above all it must not
            # become part of a later transaction.
            if not parcel.acknowledged.done():
                if batch.append(key=key, value=value, timestamp=None) is None:
                    return  # full; an empty batch takes any record
                aboard.append(parcel)
            waiting.popleft()


_QUEUES: WeakKeyDictionary[AIOKafkaProducer, dict[tuple[str, int], _Queue]] = WeakKeyDictionary()
"""The queues of each producer, for as long as it lives."""
