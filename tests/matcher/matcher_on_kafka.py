"""A matcher on a real Kafka for tests, what it suggests, and the commands that look back at it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from matcher_people import crowd

from connection.rounds import read_rounds
from services.matcher.app import build_app
from services.matcher.policy import Policy
from services.matcher.settings import MatcherSettings
from shared.clock import system_clock
from shared.contracts import (
    Profile,
    Record,
    Suggestion,
)
from shared.ids import member_id
from shared.kafka.connection import new_producer
from shared.kafka.publishing import publish
from shared.lifeline import Lifeline
from shared.outgoing import outgoing
from shared.settings import KafkaSettings
from shared.topics import TopicSpec

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90
OPENER_WINDOW_MS = 30 * 24 * 3600 * 1000


def people(count: int, seed: int, community: str) -> list[Profile]:
    return [
        each.model_copy(
            update={
                "community": community,
                "member": member_id(community, str(seed), each.member),
                "accepted_at_ms": system_clock(),
            }
        )
        for each in crowd(count, seed=seed)
    ]


async def write(settings: KafkaSettings, topic: TopicSpec, records: Iterable[Record]) -> None:
    producer = new_producer(settings)
    await producer.start()
    await publish(producer, [outgoing(topic, each) for each in records], partitions=settings.partitions)
    await producer.stop()


@asynccontextmanager
async def matcher(settings: KafkaSettings, folder: Path, **changes: Any) -> AsyncIterator[None]:
    """A matcher that hurries, for the communities whose files are in a folder."""
    facts: dict[str, Any] = {
        "COMMUNITIES_DIR": folder,
        "round_interval_seconds": 0.1,
        "waiting_round_seconds": 2,
        "policy": Policy(interests_weight=0.6, threads=1),
    }
    hurried = MatcherSettings(**(facts | changes))
    lifeline = Lifeline()
    app = build_app(hurried, settings, lifeline)
    async with app.router.lifespan_context(app):
        yield
    assert lifeline.reason is None


async def suggestions(settings: KafkaSettings, community: str) -> list[Suggestion]:
    return [each for round_ in await read_rounds(settings, community) for each in round_.suggestions.values()]


async def until(
    condition: Callable[[Sequence[Suggestion]], bool],
    settings: KafkaSettings,
    community: str,
    *,
    within_seconds: float = PATIENCE_SECONDS,
) -> None:
    async with asyncio.timeout(within_seconds):
        while not condition(await suggestions(settings, community)):
            await asyncio.sleep(0.2)


def files(folder: Path, *names: str) -> Path:
    london = (ROOT / "communities" / "london.yaml").read_text()
    for name in names:
        (folder / f"{name}.yaml").write_text(london.replace("community: london", f"community: {name}"))
    return folder


def connection(
    settings: KafkaSettings, folder: Path, command: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "COMMUNITIES_DIR": str(folder),
    }
    whole = [sys.executable, "-m", "connection", command, *arguments]
    return subprocess.run(whole, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
