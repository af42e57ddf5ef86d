"""A batch subscriber that never loses a message to an exception, and never stops at a bad one.

FastStream drives the consumer; what it leaves open is decided here, once:

=============================== ==========================================================
what happens                    what follows
=============================== ==========================================================
all messages are good           offsets are committed after the handler is done
some are bad (the handler says) they are on `dead-letters`, acknowledged, before the commit
Kafka fails while we handle     the same batch again, after a growing pause, so often at most
too many bad ones in a row      the service stops; nothing is committed
anything else raises            the service stops; nothing is committed
=============================== ==========================================================

One by one with a commit each, FastStream takes 400 to 700 messages a second; in
batches of raw records, tens of thousands. Its own decoders and header parsing are
left out: a header that is null or not UTF-8 would lose the message without a trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import ConsumerProtocol

from shared.kafka.dead_letters import DeadLetterLimit, send_dead_letters
from shared.lifeline import Lifeline
from shared.logs import logger
from shared.metrics import PlumbingMetrics
from shared.settings import KafkaSettings
from shared.topics import TopicSpec

log = logger(__name__)

Batch = Sequence[ConsumerRecord]
Bad = Sequence[tuple[ConsumerRecord, str]]
"""Messages that cannot be used, each with the reason, which holds no personal data."""

RETRY_ATTEMPTS_MAX = 8
RETRY_PAUSE_SECONDS_MAX = 5.0


class BatchSubscription:
    """Subscribes to topics in batches; see the module's table for what it promises.

    `handle(batch)` is called with records in the order of each partition, one call at a
    time. It returns the bad ones. It may be called again with a batch that it has seen.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        topics: Sequence[TopicSpec],
        *,
        group_id: str,
        handle: Callable[[Batch], Awaitable[Bad]],
        dead_letter_producer: AIOKafkaProducer,
        settings: KafkaSettings,
        metrics: PlumbingMetrics,
        lifeline: Lifeline,
        listener: ConsumerRebalanceListener | None = None,
        on_received: Callable[[], None] = lambda: None,
        payload: type[Any] = bytes,
    ) -> None:
        self._group_id = group_id
        self._handle = handle
        self._producer = dead_letter_producer
        self._metrics = metrics
        self._lifeline = lifeline
        self._on_received = on_received
        self._limit = DeadLetterLimit(settings.dead_letters_in_a_row_max)
        self._subscriber = broker.subscriber(
            *(topic.name for topic in topics),
            batch=True,
            group_id=group_id,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            isolation_level="read_committed",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            batch_timeout_ms=settings.batch_wait_ms,
            max_records=settings.batch_records_max,
            listener=listener,
            parser=self._parse,
            decoder=_decode_nothing,
            title=f"{group_id}: {', '.join(topic.name for topic in topics)}",
        )

        async def consume(message: KafkaMessage) -> None:
            await self._consume(message)

        # AsyncAPI shows what lies on the topic, and not the raw message that we take.
        consume.__annotations__["message"] = KafkaMessage
        self._subscriber(consume)

    @property
    def consumer(self) -> Any:
        """The aiokafka consumer; `None` until the broker has started."""
        return self._subscriber.consumer

    async def _parse(self, records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
        # Between the consumer handing the records out and this call nothing is awaited, so
        # whoever looks at positions in another task can tell "handed out" from "applied".
        self._on_received()
        return KafkaMessage(
            body=[record.value or b"" for record in records],
            raw_message=records,
            consumer=cast("ConsumerProtocol", self._subscriber.consumer),
            message_id=f"{records[0].topic}-{records[0].partition}-{records[0].offset}",
        )

    async def _consume(self, message: KafkaMessage) -> None:
        batch: Batch = message.raw_message
        try:
            bad = await self._handle_with_retries(batch)
            await self._report(batch, bad)
            await self._commit()
        except Exception as error:
            # FastStream would log it and go on with the next batch, and the next commit
            # would cover this one: the one way to lose nothing is to stop here.
            self._lifeline.fail(error)
            await asyncio.Event().wait()

    async def _handle_with_retries(self, batch: Batch) -> Bad:
        for attempt in range(RETRY_ATTEMPTS_MAX):
            try:
                return await self._handle(batch)
            except KafkaError as error:
                self._metrics.batch_retries.inc()
                log.warning("batch_retried", group=self._group_id, attempt=attempt + 1, error=type(error).__name__)
                await asyncio.sleep(min(RETRY_PAUSE_SECONDS_MAX, 0.1 * 2**attempt))
        return await self._handle(batch)

    async def _report(self, batch: Batch, bad: Bad) -> None:
        rejected = {(record.topic, record.partition, record.offset) for record, _ in bad}
        counts: dict[tuple[str, str], int] = {}
        for record in batch:
            is_bad = (record.topic, record.partition, record.offset) in rejected
            (self._limit.bad if is_bad else self._limit.good)(record.topic, record.partition)
            outcome = (record.topic, "bad" if is_bad else "good")
            counts[outcome] = counts.get(outcome, 0) + 1
        if bad:
            await send_dead_letters(self._producer, self._group_id, bad)
            for letter, reason in bad:
                self._metrics.dead_letters.labels(letter.topic).inc()
                log.warning(
                    "dead_letter", topic=letter.topic, partition=letter.partition, offset=letter.offset, reason=reason
                )
        for (topic, which), count in counts.items():
            self._metrics.records.labels(topic, which).inc(count)

    async def _commit(self) -> None:
        consumer = self._subscriber.consumer
        try:
            if consumer is not None:
                await consumer.commit()
        except (CommitFailedError, IllegalStateError):
            # The partitions are on their way to somebody else, who will see these messages
            # again; every consumer can drop what it has done.
            log.info("commit_skipped_in_rebalance", group=self._group_id)


async def _decode_nothing(message: KafkaMessage) -> bytes:
    """The handlers work on the raw records."""
    return b""
