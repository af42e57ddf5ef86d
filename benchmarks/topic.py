"""A topic's way through a service (read, check, apply) beside a bare aiokafka loop that checks the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Figure, Findings, spread
from benchmarks.processes import answer_of
from benchmarks.profiles import communities_for, preload_now
from demo.kafka import EmbeddedKafka
from shared.settings import KafkaSettings

NEEDED = 0.6


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read, how often."""

    profiles: int = 120_000
    rounds: int = 7


QUICK = Bounds(profiles=4_000, rounds=2)


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Read the same topic from its start again and again, the two sides in turns, each time in a new process."""
    rates: dict[str, list[float]] = {"service": [], "bare": []}
    micros: dict[str, list[float]] = {"service": [], "bare": []}
    with EmbeddedKafka() as kafka:
        settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
        preload_now(settings, bounds.profiles, communities_for(settings.partitions))
        tell(f"{bounds.profiles:,} profiles are on the topic")
        environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        # Once for nothing: the broker has then read the topic into memory for both.
        answer_of(["-m", "benchmarks.reading", "bare", "--count", str(bounds.profiles)], environment)
        for number in range(bounds.rounds):
            for side in ("service", "bare") if number % 2 == 0 else ("bare", "service"):
                found = answer_of(["-m", "benchmarks.reading", side, "--count", str(bounds.profiles)], environment)
                rates[side].append(bounds.profiles / found["seconds"])
                micros[side].append(found["processor_seconds"] / bounds.profiles * 1e6)
            tell(f"round {number + 1} of {bounds.rounds}")
    return Findings(
        "topic",
        f"{bounds.profiles:,} profiles from Kafka into the matcher's state, one process",
        (
            Figure("read, checked, applied", "records/s", spread(rates["service"]), spread(rates["bare"]), NEEDED),
            Figure("processor time", "us/record", spread(micros["service"]), spread(micros["bare"])),
        ),
        (
            "Ours: FastStream batches, a group, mastership over five topics, keys checked, the fold into the "
            "matcher's state, metrics, a commit after every batch (2,000 records at most).",
            "Bare: aiokafka getmany with the same options, Profile.model_validate_json and a dict put; no commit.",
            "From the first batch to the last record; 8 partitions; Kafka on the same cores.",
        ),
    )
