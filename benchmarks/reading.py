"""One side of the `topic` benchmark, a process of its own: reads all profiles once, and says how long it took.

    python -m benchmarks.reading service|bare --count 100000

`service` is what the matcher does, from the same parts: FastStream's batch subscriber
with our handler, a group, mastership (fencing and all five topics), decoding with its
checks, the fold into `MatcherState`, metrics, and a commit after every batch.

`bare` is an aiokafka consumer without a group, `getmany` with the same options,
`Profile.model_validate_json` and a dict put; no commit, no check of keys, no metrics.

Both count from the first batch handed out to the last record applied, on uvloop.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import uuid

import orjson
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

_READY_SECONDS_MAX = 60


class Watch:
    """From the first batch to the last record: seconds of the clock, and of the processor."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._began: tuple[float, float] | None = None
        self.done = asyncio.Event()
        self.seconds = self.processor_seconds = 0.0

    def received(self) -> None:
        if self._began is None:
            self._began = time.perf_counter(), time.process_time()

    def applied(self, count: int) -> None:
        assert self._began is not None
        self._left -= count
        if self._left <= 0 and not self.done.is_set():
            self.seconds = time.perf_counter() - self._began[0]
            self.processor_seconds = time.process_time() - self._began[1]
            self.done.set()


async def through_the_service(settings: KafkaSettings, watch: Watch) -> int:
    """Returns how many profiles the states then hold."""
    registry = new_registry()
    metrics = PlumbingMetrics(registry)
    lifeline = Lifeline()
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    mastership: Mastership[MatcherState] = Mastership(
        topics=READS,
        roles=[name],
        new_state=MatcherState,
        settings=settings,
        metrics=metrics,
        lifeline=lifeline,
        clock=system_clock,
    )

    def received() -> None:
        watch.received()
        mastership.on_received()

    async def handle(batch: Batch) -> Bad:
        bad = await mastership.on_batch(batch)
        watch.applied(len(batch))
        return bad

    letters = new_producer(settings, client_id=name)
    await letters.start()
    broker = new_broker(settings, name, registry)
    subscription = BatchSubscription(
        broker,
        READS,
        group_id=name,
        handle=handle,
        dead_letter_producer=letters,
        settings=settings,
        metrics=metrics,
        lifeline=lifeline,
        listener=mastership,
        on_received=received,
    )
    mastership.attach(lambda: subscription.consumer)
    await broker.start()
    try:
        await watch.done.wait()
        async with asyncio.timeout(_READY_SECONDS_MAX):
            while not mastership.is_ready:
                await asyncio.sleep(0.01)
        return sum(
            len(community.profiles)
            for partition in mastership.masters()
            for community in partition.state.communities.values()
        )
    finally:
        await mastership.stop()
        await broker.stop()
        await letters.stop()


async def bare(settings: KafkaSettings, watch: Watch) -> int:
    """Returns how many profiles the dict then holds."""
    reader = new_reader(settings, auto_offset_reset="earliest")
    await reader.start()
    try:
        reader.assign([TopicPartition(topics.PROFILES.name, number) for number in range(settings.partitions)])
        known: dict[str, Profile] = {}
        while not watch.done.is_set():
            found = await reader.getmany(timeout_ms=settings.batch_wait_ms, max_records=settings.batch_records_max)
            for records in found.values():
                watch.received()
                for record in records:
                    profile = Profile.model_validate_json(record.value)
                    known[profile.member] = profile
                watch.applied(len(records))
        return len(known)
    finally:
        await reader.stop()


async def read(side: str, count: int) -> dict[str, float]:
    """Read on one side; raises if not every profile arrived."""
    settings = KafkaSettings()
    watch = Watch(count)
    known = await (through_the_service if side == "service" else bare)(settings, watch)
    if known != count:
        raise RuntimeError(f"{known} profiles are known, and {count} were written")
    return {"seconds": watch.seconds, "processor_seconds": watch.processor_seconds}


def command(arguments: list[str]) -> None:
    """The command line. Where Kafka is, the environment says, as for the services."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description="Read all profiles once.")
    parser.add_argument("side", choices=["service", "bare"])
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args(arguments)
    print(orjson.dumps(run_quickly(read(options.side, options.count))).decode())


if __name__ == "__main__":
    command(sys.argv[1:])
