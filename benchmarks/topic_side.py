"""One side of the topic benchmark, a process of its own: `python -m benchmarks.topic_side service|bare COUNT ROUND`."""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter

from aiokafka import TopicPartition

from benchmarks.processes import run_quickly
from services.matcher.state import READS, MatcherState
from shared import topics
from shared.clock import system_clock
from shared.contracts import Profile
from shared.kafka.batches import Bad, Batch, BatchSubscription
from shared.kafka.connection import new_broker, new_producer, new_reader
from shared.kafka.mastership import Mastership
from shared.lifeline import Lifeline
from shared.metrics import PlumbingMetrics, new_registry
from shared.settings import KafkaSettings


async def service(settings: KafkaSettings, count: int, number: int) -> float:
    """Seconds from when the first batch is handed out until all is applied."""
    registry, lifeline = new_registry(), Lifeline()
    metrics = PlumbingMetrics(registry)
    mastership: Mastership[MatcherState] = Mastership(
        topics=READS,
        roles=["benchmark"],
        new_state=MatcherState,
        settings=settings,
        metrics=metrics,
        lifeline=lifeline,
        clock=system_clock,
    )
    letters = new_producer(settings)
    await letters.start()
    began = 0.0

    async def handle(batch: Batch) -> Bad:
        nonlocal began
        began = began or perf_counter()
        return await mastership.on_batch(batch)

    broker = new_broker(settings, "benchmark", registry)
    subscription = BatchSubscription(
        broker,
        READS,
        group_id=f"benchmark-{number}",
        handle=handle,
        dead_letter_producer=letters,
        settings=settings,
        metrics=metrics,
        lifeline=lifeline,
        listener=mastership,
        on_received=mastership.on_received,
    )
    mastership.attach(lambda: subscription.consumer)
    await broker.start()
    while not (mastership.is_ready and began):
        await asyncio.sleep(0.005)
    seconds = perf_counter() - began
    known = sum(
        len(state.profiles) for partition in mastership.masters() for state in partition.state.communities.values()
    )
    assert known == count, f"{known} of {count} profiles were applied"
    await mastership.stop()
    await broker.stop()
    await letters.stop()
    return seconds


async def bare(settings: KafkaSettings, count: int) -> float:
    """Seconds from the first batch until all is in a dict."""
    reader = new_reader(settings)
    await reader.start()
    places = [TopicPartition(topics.PROFILES.name, number) for number in range(settings.partitions)]
    reader.assign(places)
    await reader.seek_to_beginning(*places)
    profiles: dict[str, Profile] = {}
    began = 0.0
    while len(profiles) < count:
        batches = await reader.getmany(timeout_ms=settings.batch_wait_ms, max_records=settings.batch_records_max)
        began = began or (perf_counter() if batches else 0.0)
        for records in batches.values():
            for record in records:
                profile = Profile.model_validate_json(record.value)
                profiles[profile.member] = profile
    seconds = perf_counter() - began
    await reader.stop()
    return seconds


def main(side: str, count: int, number: int) -> None:
    """Print the seconds as JSON."""
    settings = KafkaSettings()
    seconds = run_quickly(service(settings, count, number) if side == "service" else bare(settings, count))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
