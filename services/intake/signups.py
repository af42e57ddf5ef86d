"""The Kafka door: partners that speak Kafka write the same CloudEvents to the `signups` topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from services.intake.accept import Desk
from services.intake.envelopes import from_kafka
from services.intake.problems import Problem
from shared.clock import Clock
from shared.kafka.batches import Bad, Batch
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing


class SignUpReader:
    """Accepts events from the `signups` topic, in batches; what cannot be accepted becomes a dead letter."""

    def __init__(
        self, desk: Desk, publish: Callable[[Sequence[Outgoing]], Awaitable[None]], metrics: IntakeMetrics, clock: Clock
    ) -> None:
        self._desk = desk
        self._publish = publish
        self._metrics = metrics
        self._clock = clock

    async def on_batch(self, batch: Batch) -> Bad:
        """Publish what a batch leads to, acknowledged, and return what is bad.

        Raises `KafkaError` if Kafka does not acknowledge; the same batch may then come
        again, and leads to the same records under the same keys.
        """
        now_ms = self._clock()
        bad = []
        records: list[Outgoing] = []
        for message in batch:
            event = from_kafka(message.headers, message.value)
            decision = event if isinstance(event, Problem) else self._desk.accept(event, partner=None, now_ms=now_ms)
            if isinstance(decision, Problem):
                bad.append((message, decision.summary()))
                self._metrics.rejections.labels(decision.kind).inc()
                self._metrics.events.labels("unknown", "topic", "rejected").inc()
            else:
                records.extend(decision.records)
                self._metrics.events.labels(decision.event_type, "topic", "accepted").inc()
        await self._publish(records)
        return bad
