"""Restart of the matcher: from starting the process to ready, with every profile read again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, Findings, spread
from benchmarks.preload import COMMUNITIES, preload, write_communities
from benchmarks.processes import service
from demo.kafka import EmbeddedKafka
from shared.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much there is to read, how often."""

    profiles: int = 200_000
    rounds: int = 3


QUICK = Bounds(profiles=8_000, rounds=1)


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Start the real process again and again; rounds are put off, so that restoring alone is seen."""
    total, restoring = [], []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, EmbeddedKafka() as kafka:
        write_communities(Path(folder))
        preload(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), Path(folder), bounds.profiles)
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "COMMUNITIES_DIR": folder,
            "MATCHER_ROUND_INTERVAL_SECONDS": "86400",
            "MATCHER_ROUND_CHANGES_MAX": "1000000000",
        }
        for number in range(bounds.rounds):
            with service("matcher", environment) as matcher:
                total.append((matcher.ready_at_ms - matcher.started_at_ms) / 1000)
                restoring.append(max(entry["after_ms"] for entry in matcher.log_entries("partition_mastered")) / 1000)
            tell(f"round {number + 1} of {bounds.rounds}")
    return Findings(
        "restart",
        f"the matcher restarts with {bounds.profiles:,} profiles in {len(COMMUNITIES)} communities",
        (
            Figure("from starting the process to ready", "s", spread(total)),
            Figure("of which fencing and reading the topics", "s", spread(restoring)),
        ),
        ("The rest is the interpreter, imports, loading compiled kernels, and joining the consumer group.",),
    )
