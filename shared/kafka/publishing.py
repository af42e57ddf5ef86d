"""Many records, one wait: everything is handed to the producer first, then the acknowledgements are awaited together.

One `send_and_wait` after the other manages about a hundred a second; a shared wait, thousands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from shared.contracts import Record
from shared.topics import TopicSpec, partition_of


class Outgoing(NamedTuple):
    """A record on its way to a topic."""

    topic: str
    community: str
    key: str
    value: bytes | None
    """None is a tombstone: the key is to be forgotten."""


def outgoing(topic: TopicSpec, record: Record) -> Outgoing:
    """A record for a topic, with its own key."""
    return Outgoing(topic.name, record.community, record.key, record.to_bytes())


def tombstone(topic: TopicSpec, community: str, key: str) -> Outgoing:
    """Forgets a key of a compacted topic."""
    return Outgoing(topic.name, community, key, None)


async def publish(producer: AIOKafkaProducer, records: Iterable[Outgoing], *, partitions: int) -> None:
    """Send all, and return when all replicas have acknowledged every one of them.

    Raises the first `KafkaError`: then some may have been stored and others not, and
    the caller sends all of them again (their keys make that harmless).
    """
    waiting = [
        await producer.send(
            record.topic,
            record.value,
            key=record.key.encode(),
            partition=partition_of(record.community, partitions),
        )
        for record in records
    ]
    if len(waiting) == 1:
        await waiting[0]
    elif waiting:
        await asyncio.gather(*waiting)
