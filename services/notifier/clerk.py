"""Looks after one partition: moves its introductions on, has its emails sent, and acts on what comes back.

Four loops that share a state and know nothing of each other. Any can stop at any
point: what it had not committed is worked out anew from the same facts, by this
instance or by the next master.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from services.notifier.forgetting import Forgetting
from services.notifier.introductions import Transition
from services.notifier.sender import Sender
from services.notifier.settings import NotifierSettings
from services.notifier.state import PartitionState
from services.notifier.traffic import Traffic
from shared import topics
from shared.clock import Clock
from shared.community import Communities
from shared.contracts import Delivery, DeliveryState, Suppression
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.kafka.transactions import MastershipLost
from shared.logs import logger
from shared.metrics import NotifierMetrics
from shared.outgoing import outgoing

log = logger(__name__)

INTRODUCTIONS_ROLE = "introductions"
LEDGER_ROLE = "deliveries"
_IDLE_SECONDS_MAX = 1.0
"""How long to wait at most before looking again, whatever the state says about its next alarm."""
_UNDER_WAY_POLL_MS = 50
"""How often emails under way are looked at while somebody waits to be told that they are forgotten."""


class KafkaLedger:
    """The sender's ledger: a transaction as master of the partition, so that a replaced sender can send nothing."""

    def __init__(
        self,
        mastership: Mastership[PartitionState],
        partition: MasteredPartition[PartitionState],
        metrics: NotifierMetrics,
    ) -> None:
        self._mastership = mastership
        self._partition = partition
        self._metrics = metrics

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Durable when it returns; raises `MastershipLost` if nothing may be sent from here any more."""
        await self._mastership.commit(
            self._partition, LEDGER_ROLE, [outgoing(topics.DELIVERIES, delivery) for delivery in deliveries]
        )
        for delivery in deliveries:
            if delivery.state.is_final:
                self._metrics.emails.labels(delivery.kind, delivery.state).inc()
            if delivery.state is DeliveryState.SENDING and delivery.attempts > 1:
                self._metrics.smtp_retries.inc()
            if delivery.state is DeliveryState.SENT:
                self._observe_first_email(delivery)

    def _observe_first_email(self, delivery: Delivery) -> None:
        state = self._partition.state
        contact = state.members.contact(delivery.member)
        if contact is not None and state.first_email_for(delivery.member):
            self._metrics.first_email_seconds.observe((delivery.recorded_at_ms - contact.accepted_at_ms) / 1000)


class Clerk:
    """The work on one partition, for as long as this instance is its master."""

    def __init__(
        self,
        mastership: Mastership[PartitionState],
        partition: MasteredPartition[PartitionState],
        sender: Sender,
        communities: Communities,
        settings: NotifierSettings,
        metrics: NotifierMetrics,
        clock: Clock,
        traffic: Traffic,
    ) -> None:
        self._mastership = mastership
        self._partition = partition
        self._traffic = traffic
        self._state = partition.state
        self._sender = sender
        self._communities = communities
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    async def work(self) -> None:
        """Until the partition goes to somebody else; raises only what is a fault of ours."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._move_introductions_on())
                loops.create_task(self._send_emails())
                loops.create_task(self._act_on_reports())
                loops.create_task(self._acknowledge_erasures())
        except* MastershipLost as lost:
            log.info("clerk_stops", partition=self._partition.number, reason=str(lost.exceptions[0]))

    async def _move_introductions_on(self) -> None:
        while True:
            changed = self._mastership.changed
            while transitions := self._state.reconcile(
                self._clock(), self._communities, limit=self._settings.transitions_max
            ):
                await self._commit(transitions)
            await self._wait(changed, self._state.next_alarm_ms())

    async def _commit(self, transitions: Sequence[Transition]) -> None:
        introductions = [outgoing(topics.INTRODUCTIONS, one.introduction) for one in transitions]
        emails = [outgoing(topics.OUTBOX, email) for one in transitions for email in one.emails]
        await self._mastership.commit(self._partition, INTRODUCTIONS_ROLE, [*introductions, *emails])
        for one in transitions:
            introduction = one.introduction
            self._state.apply(topics.INTRODUCTIONS.name, introduction.key, introduction)
            for email in one.emails:
                self._state.apply(topics.OUTBOX.name, email.key, email)
            self._metrics.transitions.labels(introduction.state, introduction.closing_reason or "").inc()
        self._mastership.tell()

    async def _send_emails(self) -> None:
        under_way: set[asyncio.Task[list[Delivery]]] = set()
        try:
            while True:
                changed = self._mastership.changed
                self._begin_batches(under_way)
                for done in [task for task in under_way if task.done()]:
                    under_way.discard(done)
                    done.result()  # raises MastershipLost, and whatever is a fault of ours
                has_room = len(under_way) < self._settings.batches_under_way_max
                await self._wait(changed, self._sender.next_due_ms(self._state) if has_room else None, under_way)
        finally:
            # What was recorded as `sending` and not concluded is resolved by the next master.
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _begin_batches(self, under_way: set[asyncio.Task[list[Delivery]]]) -> None:
        """Start what there is to send, each email in one batch only: the sender knows what is in flight."""

        def begin(batch: Coroutine[Any, Any, list[Delivery]]) -> None:
            under_way.add(asyncio.create_task(batch))

        if interrupted := self._state.interrupted(self._sender.in_flight):
            begin(self._sender.resolve(interrupted, self._state))
        due_ms = self._sender.next_due_ms(self._state)
        if due_ms is not None and due_ms <= self._clock() and len(under_way) < self._settings.batches_under_way_max:
            begin(self._sender.retry_due(self._state))
        if len(under_way) < self._settings.batches_under_way_max:
            fresh = self._state.unsent(self._settings.emails_max, self._sender.in_flight)
            if fresh:
                begin(self._sender.deliver(fresh, self._state))

    async def _act_on_reports(self) -> None:
        """Bounces, complaints and refusals: what follows from them is recorded, by the master alone."""
        while True:
            changed = self._mastership.changed
            while changes := self._state.follows_from_reports(self._clock()):
                await self._mastership.commit(
                    self._partition,
                    LEDGER_ROLE,
                    [outgoing(one.topic, one.record) if one.record else one.as_tombstone() for one in changes],
                )
                for one in changes:
                    self._state.apply(one.topic.name, one.key, one.record)
                    if isinstance(one.record, Suppression):
                        self._metrics.suppressions.labels(one.record.reason).inc()
                    elif isinstance(one.record, Delivery):
                        self._metrics.emails.labels(one.record.kind, one.record.state).inc()
                        if one.is_policy:
                            self._traffic.came_back_by_policy(
                                one.record.member, one.record.reason, self._state, self._clock()
                            )
                self._mastership.tell()
            await self._wait(changed, None)

    async def _acknowledge_erasures(self) -> None:
        """Say who is forgotten, once nothing to them or of them is under way."""
        forgetting = Forgetting()
        while True:
            changed = self._mastership.changed
            done = forgetting.to_acknowledge(self._state, self._sender.under_way, self._sender.in_flight, self._clock())
            if done:
                await self._mastership.commit(
                    self._partition, LEDGER_ROLE, [outgoing(topics.ERASURES, one) for one in done]
                )
                for one in done:
                    self._state.apply(topics.ERASURES.name, one.key, one)
                log.info("members_erased", members=len(done))
            is_waiting = bool(self._state.members.erased.unacknowledged())
            await self._wait(changed, self._clock() + _UNDER_WAY_POLL_MS if is_waiting else None)

    async def _wait(
        self,
        changed: asyncio.Event,
        alarm_ms: int | None,
        under_way: set[asyncio.Task[list[Delivery]]] | None = None,
    ) -> None:
        """Until something has changed, a batch is done, or it is time; raises `MastershipLost` when it is over."""
        if not self._partition.is_master:
            raise MastershipLost(f"partition {self._partition.number} was handed over")
        seconds = _IDLE_SECONDS_MAX
        if alarm_ms is not None:
            seconds = min(seconds, max(0.0, (alarm_ms - self._clock()) / 1000))
        news = asyncio.create_task(changed.wait())
        try:
            await asyncio.wait({news, *(under_way or ())}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
