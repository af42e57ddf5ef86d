"""Many profiles on a real Kafka, quickly: for the benchmarks that read them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from benchmarks.processes import ROOT
from demo.london import SOURCE, synthesize
from services.intake.accept import Accepted, Desk
from services.intake.gazetteer import load_gazetteers
from shared.clock import system_clock
from shared.community import load_communities
from shared.ids import member_id
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.publishing import publish
from shared.outgoing import Outgoing
from shared.settings import KafkaSettings
from shared.topics import PROFILES, partition_of

_DIFFERENT_PEOPLE = 5_000
_AT_ONCE = 2_000


def communities_for(partitions: int) -> list[str]:
    """Names of communities, one for each partition."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        name = f"town-{number}"
        found.setdefault(partition_of(name, partitions), name)
        number += 1
    return [found[partition] for partition in range(partitions)]


def write_communities(folder: Path, names: Sequence[str]) -> None:
    """A file for each community: London under another name."""
    london = yaml.safe_load((ROOT / "communities" / "london.yaml").read_text(encoding="utf-8"))
    for name in names:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**london, "community": name}), encoding="utf-8")


async def preload(settings: KafkaSettings, count: int, communities: Sequence[str]) -> None:
    """Publish so many profiles, spread evenly over the communities, each of a member of their own.

    What they say is that of 5,000 different people of the synthetic London, as intake
    writes it, with another member's id and community in it.
    """
    await ensure_topics(settings)
    producer = new_producer(settings)
    await producer.start()
    try:
        some: list[Outgoing] = []
        for record in _profiles(count, communities):
            some.append(record)
            if len(some) == _AT_ONCE:
                await publish(producer, some, partitions=settings.partitions)
                some = []
        await publish(producer, some, partitions=settings.partitions)
    finally:
        await producer.stop()


def _profiles(count: int, communities: Sequence[str]) -> Iterator[Outgoing]:
    known = load_communities(ROOT / "communities")
    desk = Desk(known, load_gazetteers(known), frozenset({SOURCE}))
    patterns = []
    for event in synthesize(min(count, _DIFFERENT_PEOPLE), 3):
        decision = desk.accept(event, partner=SOURCE, now_ms=system_clock())
        assert isinstance(decision, Accepted)
        patterns.append(next(record for record in decision.records if record.topic == PROFILES.name))
    for number in range(count):
        pattern = patterns[number % len(patterns)]
        community = communities[number % len(communities)]
        member = member_id(community, SOURCE, str(number))
        assert pattern.value is not None
        value = pattern.value.replace(pattern.key.encode(), member.encode())
        value = value.replace(b'"community":"london"', f'"community":"{community}"'.encode(), 1)
        yield Outgoing(PROFILES.name, community, member, value)


def preload_now(settings: KafkaSettings, count: int, communities: Sequence[str]) -> None:
    """The same, from where no event loop runs."""
    asyncio.run(preload(settings, count, communities))
