"""The outgoing webhooks of an instance of intake: its share of the partitions, a courier for each."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker

from services.intake.keyring import Keyring
from services.intake.settings import IntakeSettings
from services.intake.webhooks.courier import ROLE, Courier
from services.intake.webhooks.lanes import Lanes
from services.intake.webhooks.sender import WebhookSender
from services.intake.webhooks.state import READS, WebhooksState
from shared.clock import Clock
from shared.kafka.batches import BatchSubscription
from shared.kafka.mastership import MasteredPartition, Mastership
from shared.lifeline import Lifeline
from shared.metrics import IntakeMetrics, PlumbingMetrics
from shared.settings import KafkaSettings

_GROUP = "intake-webhooks"
_BATCH_RECORDS_MAX = 200
"""Applied at once: the doors wait meanwhile, so few."""
_LOOK_FOR_PARTITIONS_SECONDS = 0.1
_DAY_MS = 86_400_000


class WebhookOffice:
    """Reads in a group of its own. `join` before the broker starts, `open` after, `close` before it stops."""

    def __init__(
        self,
        settings: IntakeSettings,
        kafka: KafkaSettings,
        keyring: Keyring,
        metrics: IntakeMetrics,
        plumbing: PlumbingMetrics,
        lifeline: Lifeline,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._kafka = kafka.model_copy(update={"batch_records_max": min(_BATCH_RECORDS_MAX, kafka.batch_records_max)})
        self._keyring = keyring
        self._metrics = metrics
        self._plumbing = plumbing
        self._lifeline = lifeline
        self._clock = clock
        kept_ms = settings.webhook_kept_days * _DAY_MS
        self._mastership: Mastership[WebhooksState] = Mastership(
            topics=READS,
            roles=[ROLE],
            new_state=lambda: WebhooksState(kept_ms=kept_ms),
            settings=kafka,
            metrics=plumbing,
            lifeline=lifeline,
            clock=clock,
        )
        self._lanes = Lanes(in_all_max=settings.webhook_tries_max, partner_max=settings.webhook_partner_tries_max)
        self._sender: WebhookSender | None = None
        self._subscription: BatchSubscription | None = None
        self._work: asyncio.Task[None] | None = None

    def join(self, broker: KafkaBroker, dead_letter_producer: AIOKafkaProducer) -> None:
        self._subscription = BatchSubscription(
            broker,
            READS,
            group_id=_GROUP,
            handle=self._mastership.on_batch,
            dead_letter_producer=dead_letter_producer,
            settings=self._kafka,
            metrics=self._plumbing,
            lifeline=self._lifeline,
            listener=self._mastership,
            on_received=self._mastership.on_received,
        )
        self._mastership.attach(lambda: self._subscription.consumer if self._subscription else None)

    def open(self) -> None:
        self._sender = WebhookSender(
            seconds_max=self._settings.webhook_seconds_max,
            connections_max=self._settings.webhook_tries_max,
            allows_private=self._settings.webhook_private_addresses,
            clock=self._clock,
        )
        self._work = self._lifeline.watch(asyncio.create_task(self._keep_couriers(self._sender)))

    async def close(self) -> None:
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work
        await self._mastership.stop()
        if self._sender is not None:
            await self._sender.close()

    @property
    def is_ready(self) -> bool:
        """Whether it has its share of the partitions, and knows all of it."""
        return self._mastership.is_ready

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        masters = self._mastership.masters()
        self._metrics.webhooks_pending.set(sum(each.state.pending_number for each in masters))
        stopped = [each.state.stopped(self._keyring.get) for each in masters]
        self._metrics.webhooks_stopped.set(len(set[str]().union(*stopped)))

    async def _keep_couriers(self, sender: WebhookSender) -> None:
        async with asyncio.TaskGroup() as couriers:
            at_work: dict[MasteredPartition[WebhooksState], asyncio.Task[None]] = {}
            while True:
                for partition in self._mastership.masters():
                    if partition not in at_work:
                        at_work[partition] = couriers.create_task(self._courier(partition, sender).work())
                at_work = {partition: task for partition, task in at_work.items() if not task.done()}
                await asyncio.sleep(_LOOK_FOR_PARTITIONS_SECONDS)

    def _courier(self, partition: MasteredPartition[WebhooksState], sender: WebhookSender) -> Courier:
        return Courier(
            self._mastership,
            partition,
            self._keyring,
            sender,
            self._lanes,
            self._metrics,
            self._clock,
            schedule=self._settings.webhook_retry_seconds,
            draws=random.Random(),
        )
