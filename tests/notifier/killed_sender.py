"""A sender in a process of its own, to be killed: real ledger, real SMTP, state read from the real topics.

All that a notifier does about one partition's emails, without the consumer group, whose
time-outs would make a hundred kills last for hours.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from aiokafka import TopicPartition

from services.notifier.clerk import LEDGER_ROLE
from services.notifier.gate import may_send
from services.notifier.links import Links
from services.notifier.relay import MailpitLookup, NoLookup
from services.notifier.render import Renderer
from services.notifier.sender import Sender, SendingBounds
from services.notifier.smtp import SmtpServer, SmtpTransport
from services.notifier.state import PartitionState
from services.notifier.wording import load_words
from shared import topics
from shared.clock import system_clock
from shared.community import load_communities
from shared.contracts import Delivery
from shared.kafka.codec import decode
from shared.kafka.connection import new_reader
from shared.kafka.transactions import PartitionProducer
from shared.outgoing import outgoing
from shared.settings import KafkaSettings

ROOT = Path(__file__).parents[2]
SECRET = "a secret for the tests only"  # noqa: S105
READS = (topics.CONTACTS, topics.SUGGESTIONS, topics.INTRODUCTIONS, topics.OUTBOX, topics.DELIVERIES)
COMMUNITIES = load_communities(ROOT / "communities")
WORDS = load_words(ROOT / "services" / "notifier" / "words")


@dataclass(frozen=True, slots=True)
class Errand:
    """What such a process is to do."""

    bootstrap_servers: str
    partition: int
    smtp_port: int
    lookup_url: str | None
    seed: int


class Ledger:
    """As the notifier's: a transaction that a replaced process cannot commit."""

    def __init__(self, producer: PartitionProducer) -> None:
        self._producer = producer

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        await self._producer.commit([outgoing(topics.DELIVERIES, delivery) for delivery in deliveries])


def run(errand: Errand) -> None:
    """Send everything that is to be sent, from whatever the last process left behind."""
    asyncio.run(_send_all(errand))


async def restored(settings: KafkaSettings, partition: int) -> PartitionState:
    state = PartitionState(address_secret=SECRET)
    reader = new_reader(settings, fetch_max_wait_ms=50, auto_offset_reset="earliest")
    await reader.start()
    try:
        places = [TopicPartition(topic.name, partition) for topic in READS]
        reader.assign(places)
        ends = await reader.end_offsets(places)
        while any([await reader.position(place) < ends[place] for place in places]):
            for place, records in (await reader.getmany(timeout_ms=100)).items():
                for record in records:
                    key, value = decode(place.topic, record.key, record.value)
                    state.apply(place.topic, key, value)
    finally:
        await reader.stop()
    return state


async def _send_all(errand: Errand) -> None:
    settings = KafkaSettings(bootstrap_servers=errand.bootstrap_servers)
    producer = PartitionProducer(settings, LEDGER_ROLE, errand.partition)
    await producer.start()
    state = await restored(settings, errand.partition)
    transport = SmtpTransport(SmtpServer("127.0.0.1", errand.smtp_port, connections_max=4))
    async with httpx.AsyncClient() as client:
        sender = Sender(
            transport,
            MailpitLookup(errand.lookup_url, client) if errand.lookup_url else NoLookup(),
            Ledger(producer),
            Renderer(WORDS, COMMUNITIES, Links(SECRET, "http://127.0.0.1"), SECRET),
            may_send,
            system_clock,
            random.Random(errand.seed),
            SendingBounds(backoff_first_ms=50, backoff_max_ms=200, concurrent_max=4),
        )
        await sender.resolve(state.interrupted(), state)
        while batch := state.unsent(4, sender.in_flight):
            await sender.deliver(batch, state)
        while (due_ms := sender.next_due_ms(state)) is not None:
            await asyncio.sleep(max(0, due_ms - system_clock()) / 1000)
            await sender.retry_due(state)
    await transport.close()
    await producer.stop()
