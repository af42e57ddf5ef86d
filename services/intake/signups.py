"""The Kafka door: partners that speak Kafka write the same CloudEvents to the `signups` topic."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from aiokafka import ConsumerRecord

from services.intake.accept import Accepted, Desk
from services.intake.claims import Verdict
from services.intake.envelopes import from_kafka
from services.intake.keyring import Keyring
from services.intake.ledger import Ledger, claim_of
from services.intake.once import problem_of
from services.intake.problems import Problem
from services.intake.signed import signature_problem
from services.intake.webhooks.rejections import rejection
from shared.clock import Clock
from shared.contracts.claim import Way
from shared.kafka.batches import Bad, Batch
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing

_BUSY_WAIT_SECONDS = 0.2


class SignUpReader:
    """Accepts events from the `signups` topic, in batches; what cannot be accepted becomes a dead letter."""

    def __init__(
        self,
        desk: Desk,
        keyring: Keyring,
        ledger: Ledger,
        metrics: IntakeMetrics,
        clock: Clock,
        tell: Callable[[Sequence[Outgoing]], Awaitable[None]],
    ) -> None:
        """`tell` publishes what partners are to be told; it returns once Kafka has acknowledged."""
        self._tell = tell
        self._desk = desk
        self._keyring = keyring
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock

    async def on_batch(self, batch: Batch) -> Bad:
        """Publish what a batch leads to, acknowledged, and return what is bad.

        Raises `KafkaError` if Kafka does not acknowledge; the same batch may then come
        again: what is done by then is seen to be so.
        """
        now_ms = self._clock()
        bad: list[tuple[ConsumerRecord, Problem]] = []
        good: defaultdict[str, list[tuple[ConsumerRecord, Accepted]]] = defaultdict(list)
        for message in batch:
            decision = self._decide(message, now_ms)
            if isinstance(decision, Problem):
                bad.append((message, decision))
            else:
                good[decision.source].append((message, decision))
        for source, messages in good.items():
            bad += await self._store(source, messages, now_ms)
        for _, problem in bad:
            self._metrics.rejections.labels(problem.kind).inc()
            self._metrics.events.labels("unknown", "topic", "rejected").inc()
        told = [
            rejection(message, from_kafka(message.headers, message.value), problem, self._keyring, now_ms)
            for message, problem in bad
        ]
        await self._tell([record for record in told if record is not None])
        return [(message, problem.summary()) for message, problem in bad]

    async def _store(
        self, source: str, messages: list[tuple[ConsumerRecord, Accepted]], now_ms: int
    ) -> list[tuple[ConsumerRecord, Problem]]:
        """Claim and publish, again and again while somebody else has some of them in hand; what cannot be used."""
        bad = []
        while messages:
            events = [event for _, event in messages]
            entries = [claim_of(event, now_ms) for event in events]
            verdicts = await self._ledger.claim(source, entries, Way.TOPIC)
            await self._ledger.publish_won(source, events, entries, verdicts, Way.TOPIC)
            left = []
            for (message, event), verdict in zip(messages, verdicts, strict=True):
                if verdict is Verdict.BUSY:
                    left.append((message, event))
                elif (problem := problem_of(verdict)) is not None:
                    bad.append((message, problem))
                else:
                    self._metrics.events.labels(event.event_type, "topic", "accepted").inc()
            messages = left
            if messages:
                await asyncio.sleep(_BUSY_WAIT_SECONDS)
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
