"""The Kafka door: partners that speak Kafka write the same CloudEvents to the `signups` topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiokafka import ConsumerRecord

from services.intake.accept import Accepted, Desk
from services.intake.envelopes import from_kafka
from services.intake.keyring import Keyring
from services.intake.problems import Problem
from services.intake.signed import signature_problem
from shared.clock import Clock
from shared.kafka.batches import Bad, Batch
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing


class SignUpReader:
    """Accepts events from the `signups` topic, in batches; what cannot be accepted becomes a dead letter."""

    def __init__(
        self,
        desk: Desk,
        keyring: Keyring,
        publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
        metrics: IntakeMetrics,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._keyring = keyring
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
            decision = self._decide(message, now_ms)
            if isinstance(decision, Problem):
                bad.append((message, decision.summary()))
                self._metrics.rejections.labels(decision.kind).inc()
                self._metrics.events.labels("unknown", "topic", "rejected").inc()
            else:
                records.extend(decision.records)
                self._metrics.events.labels(decision.event_type, "topic", "accepted").inc()
        await self._publish(records)
        return bad

    def _decide(self, message: ConsumerRecord, now_ms: int) -> Accepted | Problem:
        event = from_kafka(message.headers, message.value)
        if isinstance(event, Problem):
            return event
        decision = self._desk.accept(event, partner=None, now_ms=now_ms)
        partner = None if isinstance(decision, Problem) else self._keyring.get(decision.source)
        if partner is not None and partner.signature_required:
            headers = {name.lower().encode(): value for name, value in message.headers if value is not None}
            # Against the time when it was written: it may have waited here for as long as we were away.
            problem = signature_problem(partner, headers, message.value or b"", message.timestamp)
            if problem is not None:
                return problem
        return decision
