"""Fills a real Kafka with profiles, as intake would have written them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks.processes import ROOT
from demo.london import SOURCE, synthesize
from services.intake.accept import Accepted, Desk
from services.intake.gazetteer import load_gazetteers
from shared import topics
from shared.community import load_communities
from shared.kafka.admin import ensure_topics
from shared.kafka.connection import new_producer
from shared.kafka.publishing import publish
from shared.outgoing import Outgoing
from shared.settings import KafkaSettings

COMMUNITIES = tuple(f"town-{number}" for number in (1, 2, 3, 4, 5, 6, 10, 17))
"""Eight, each in a partition of its own of eight."""
_AT_ONCE = 5_000
_DISTINCT = 20_000
_NOW_MS = 1_795_400_000_000


def write_communities(folder: Path) -> None:
    """The files of the eight communities: London in all but the name."""
    london = yaml.safe_load((ROOT / "communities" / "london.yaml").read_text(encoding="utf-8"))
    for name in COMMUNITIES:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**london, "community": name}), encoding="utf-8")


def preload(settings: KafkaSettings, communities_dir: Path, people: int) -> None:
    """Publish the profiles of so many members, spread over the communities; creates the topics too."""
    communities = load_communities(communities_dir)
    desk = Desk(communities, load_gazetteers(communities), frozenset({SOURCE}))
    made_up = synthesize(min(people, _DISTINCT), 1)
    asyncio.run(_publish(settings, desk, made_up, people))


async def _publish(settings: KafkaSettings, desk: Desk, made_up: list[dict[str, Any]], people: int) -> None:
    await ensure_topics(settings)
    producer = new_producer(settings)
    await producer.start()
    try:
        waiting: list[Outgoing] = []
        for number in range(people):
            event = made_up[number % len(made_up)]
            data = {**event["data"], "community": COMMUNITIES[number % len(COMMUNITIES)]}
            decision = desk.accept(
                orjson.dumps({**event, "subject": f"person-{number}", "data": data}), partner=SOURCE, now_ms=_NOW_MS
            )
            assert isinstance(decision, Accepted), decision
            waiting += [record for record in decision.records if record.topic == topics.PROFILES.name]
            if len(waiting) >= _AT_ONCE:
                await publish(producer, waiting, partitions=settings.partitions)
                waiting = []
        await publish(producer, waiting, partitions=settings.partitions)
    finally:
        await producer.stop()
