"""A record on its way to a topic, as those make it who decide; `shared.kafka.publishing` sends it."""

from __future__ import annotations

from typing import NamedTuple

from shared.contracts import Record
from shared.topics import TopicSpec


class Outgoing(NamedTuple):
    """What is to be written, where and under which key. The community decides the partition."""

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
