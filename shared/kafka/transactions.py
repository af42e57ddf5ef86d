"""All or nothing: a producer whose transactional id is the partition.

Whoever becomes master of a partition starts this producer first. From then on Kafka
refuses whatever an earlier master of the same partition still tries to commit
(fencing), even one that was only paused and knows nothing of it. A transactional id
per process would not do: aiokafka sends no group metadata with a transaction (no
KIP-447), and a rebalance would let two processes commit the same work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)

from shared.kafka.connection import new_producer
from shared.kafka.publishing import publish
from shared.outgoing import Outgoing
from shared.settings import KafkaSettings

_FENCED = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping, OutOfOrderSequenceNumber)

_GRACE_SECONDS = 1.0
"""How long a transaction may go on when its partition is taken away; it usually takes some ten milliseconds."""
_STOP_SECONDS_MAX = 5.0


class MastershipLost(RuntimeError):
    """Another instance is master of this partition now. Nothing of the transaction was committed."""


class PartitionProducer:
    """Commits records to one partition of several topics, atomically, as its only master.

    One transaction at a time: concurrent calls of `commit` wait for each other.
    """

    def __init__(self, settings: KafkaSettings, role: str, partition: int) -> None:
        self.partition = partition
        self._partitions = settings.partitions
        self._seconds_max = settings.transaction_timeout_ms / 1000
        self._producer = new_producer(
            settings,
            transactional_id=f"{role}-{partition}",
            transaction_timeout_ms=settings.transaction_timeout_ms,
        )
        self._turn = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        """The transaction that is under way."""
        self._lost = False

    async def start(self) -> None:
        """Fence whoever was master before; their open transaction is aborted when this returns."""
        await self._producer.start()

    async def stop(self) -> None:
        """Let go. A transaction that is under way may end by itself, for a moment; what does not, never counts."""
        self._lost = True
        if self._work is not None and not self._work.done():
            # Not after the producer has stopped: a transaction would then wait for it for ever.
            await asyncio.wait({self._work}, timeout=_GRACE_SECONDS)
            if self._work.cancel():
                await asyncio.wait({self._work}, timeout=_GRACE_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._producer.stop(), _STOP_SECONDS_MAX)

    async def commit(self, records: Iterable[Outgoing]) -> None:
        """Write all records in one transaction: when this returns, all of them can be read.

        Raises
        ------
        MastershipLost
            if another master has started, or this producer was stopped; final for it.
        KafkaError, TimeoutError
            for anything else. Whether it was committed is then unknown (the answer may have
            been lost): become master anew, and read what is there, before trying again.
        """
        async with self._turn:
            if self._lost:
                raise MastershipLost(f"partition {self.partition} has another master")
            self._work = asyncio.create_task(self._transact(records))
            try:
                # Waiting for the task, not awaiting it: a transaction whose abort hangs must not hold us.
                done, _ = await asyncio.wait({self._work}, timeout=self._seconds_max)
            except asyncio.CancelledError:
                self._work.cancel()
                raise
            if not done:
                self._work.cancel()
                raise TimeoutError(f"a transaction in partition {self.partition} took too long")
            if self._work.cancelled():
                raise MastershipLost(f"partition {self.partition} was handed over")
            self._work.result()

    async def _transact(self, records: Iterable[Outgoing]) -> None:
        try:
            async with self._producer.transaction():
                await publish(self._producer, records, partitions=self._partitions)
        except _FENCED as error:
            self._lost = True
            raise MastershipLost(f"partition {self.partition} has another master") from error
        except KafkaError:
            if self._lost:
                raise MastershipLost(f"partition {self.partition} was handed over") from None
            raise
