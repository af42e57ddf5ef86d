"""A topic's way through a service: read, validated and applied, beside a bare aiokafka loop that validates the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, Findings, spread
from benchmarks.preload import COMMUNITIES, preload, write_communities
from benchmarks.processes import answer_of
from demo.kafka import EmbeddedKafka
from shared.settings import KafkaSettings

NEEDED = 0.6


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read, how often."""

    profiles: int = 120_000
    rounds: int = 5


QUICK = Bounds(profiles=8_000, rounds=2)


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Each side reads all of the topic, each time in a process of its own, in turns."""
    rates: dict[str, list[float]] = {"service": [], "bare": []}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, EmbeddedKafka() as kafka:
        write_communities(Path(folder))
        preload(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), Path(folder), bounds.profiles)
        for number in range(bounds.rounds):
            sides = list(rates) if number % 2 == 0 else list(reversed(rates))
            for side in sides:
                arguments = ["-m", "benchmarks.topic_side", side, str(bounds.profiles), str(number)]
                found = answer_of(arguments, {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers})
                rates[side].append(bounds.profiles / found["seconds"])
            tell(f"round {number + 1} of {bounds.rounds}")
    return Findings(
        "topic",
        f"{bounds.profiles:,} profiles of {len(COMMUNITIES)} communities read from Kafka, from the first to the last",
        (
            Figure(
                "read, validated, applied", "profiles/s", spread(rates["service"]), spread(rates["bare"]), needed=NEEDED
            ),
        ),
        (
            "Ours: FastStream's batch subscriber with our plumbing (dead letters, limit, metrics, mastership, commits) "
            "and the matcher's state.",
            "Beside it: aiokafka's getmany, Profile.model_validate_json, and a dict; no group, no commits.",
        ),
    )
