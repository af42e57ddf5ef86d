"""A courier without Kafka and without a network: what it commits is kept in a list, and the sender is the test's."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from webhook_world import NOW, partner

from services.intake.keyring import Keyring
from services.intake.webhooks.answers import Answer
from services.intake.webhooks.courier import Courier
from services.intake.webhooks.lanes import Lanes
from services.intake.webhooks.state import WebhooksState
from shared import topics
from shared.contracts import Partner, WebhookDelivery, WebhookOutcome, WebhookState
from shared.kafka.codec import decode
from shared.kafka.transactions import MastershipLost
from shared.metrics import IntakeMetrics
from shared.outgoing import Outgoing

PATIENCE_SECONDS = 20
ACCEPTED = Answer(WebhookOutcome.ACCEPTED, 200)


@dataclass
class Post:
    """A sender: notes what it was asked to send, and does with it as the test says."""

    answer: Callable[[str], Answer] = lambda _: ACCEPTED
    sent: list[str] = field(default_factory=list)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append(headers["webhook-id"])
        await asyncio.sleep(0)
        return self.answer(headers["webhook-id"])


@dataclass
class OnePartition:
    """A mastership, and the partition of it that there is."""

    state: WebhooksState = field(default_factory=lambda: WebhooksState(kept_ms=30 * 86_400_000))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_master: bool = True
    number: int = 0
    committed: list[list[Outgoing]] = field(default_factory=list)

    async def commit(self, _partition: Any, _role: str, records: Sequence[Outgoing]) -> None:
        if not self.is_master:
            raise MastershipLost("over")
        await asyncio.sleep(0)
        self.committed.append(list(records))

    def put(self, topic: Any, *records: Any) -> None:
        for record in records:
            self.state.apply(topic.name, record.key, record)

    def last(self) -> dict[str, WebhookDelivery]:
        """By webhook-id: what is on record."""
        found: dict[str, WebhookDelivery] = {}
        for record in (one for some in self.committed for one in some if one.topic == topics.WEBHOOK_DELIVERIES.name):
            key, value = decode(record.topic, record.key.encode(), record.value)
            if isinstance(value, WebhookDelivery):
                found[key] = value
            else:
                found.pop(key, None)
        return found


@dataclass
class CourierWorld:
    """Everything a courier works with, to be looked into."""

    post: Post = field(default_factory=Post)
    partners: Sequence[Partner] = field(default_factory=lambda: [partner()])
    schedule: Sequence[float] = (0.01, 0.01)
    now_ms: int = NOW

    def __post_init__(self) -> None:
        self.partition = OnePartition()
        self.keyring = Keyring(self.partners)
        self.lanes = Lanes(in_all_max=64, partner_max=8)
        self.metrics = IntakeMetrics(CollectorRegistry())

    def clock(self) -> int:
        """It goes on by a second with every look: nothing waits for the time of day."""
        self.now_ms += 1000
        return self.now_ms

    def courier(self) -> Courier:
        return Courier(
            self.partition,  # type: ignore[arg-type]
            self.partition,  # type: ignore[arg-type]
            self.keyring,
            self.post,  # type: ignore[arg-type]
            self.lanes,
            self.metrics,
            self.clock,
            schedule=self.schedule,
            draws=random.Random(1),
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Courier]:
        courier = self.courier()
        work = asyncio.create_task(courier.work())
        try:
            yield courier
            assert not work.done(), "the courier has gone on all the time"
        finally:
            self.partition.is_master = False
            self.partition.changed.set()
            await work

    def is_over(self, number: int) -> bool:
        """Whether so many deliveries are on record, and none of them is pending."""
        states = [one.state for one in self.partition.last().values()]
        return len(states) == number and WebhookState.PENDING not in states

    async def until(self, is_so: Callable[[], bool], *, pause_seconds: float = 0.005) -> None:
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < PATIENCE_SECONDS, "it did not become so"
            await asyncio.sleep(pause_seconds)
