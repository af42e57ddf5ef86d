"""Restart of the matcher: from starting the process to ready, with every profile read again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figure, Findings, spread
from benchmarks.processes import service
from benchmarks.profiles import communities_for, preload_now, write_communities
from demo.kafka import EmbeddedKafka
from shared.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much there is to read, how often."""

    profiles: int = 200_000
    rounds: int = 5


QUICK = Bounds(profiles=8_000, rounds=1)


@dataclass(slots=True)
class _Starts:
    """Seconds of each start."""

    total: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)
    """From being given the partitions to knowing all of them: fencing, then reading."""

    @property
    def before(self) -> list[float]:
        return [total - reading for total, reading in zip(self.total, self.reading, strict=True)]


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Start the real process again and again: with eight communities, and with all members in one."""
    partitions = KafkaSettings().partitions
    names = communities_for(partitions)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        kernels = Path(folder) / "kernels"
        kernels.mkdir()
        cold, spread_out = _restarts(Path(folder) / "many", names, bounds, kernels, tell)
        _, in_one = _restarts(Path(folder) / "one", names[:1], bounds, kernels, tell)
    return Findings(
        "restart",
        f"the matcher restarts with {bounds.profiles:,} profiles, from starting the process to /readyz",
        (
            Figure(f"{len(names)} communities, ready after", "s", spread(spread_out.total)),
            Figure("  until it is given its partitions", "s", spread(spread_out.before)),
            Figure("  fencing and reading", "s", spread(spread_out.reading)),
            Figure("one community, ready after", "s", spread(in_one.total)),
            Figure("  until it is given its partitions", "s", spread(in_one.before)),
            Figure("  fencing and reading", "s", spread(in_one.reading)),
            Figure("first start ever, kernels to be compiled", "s", spread(cold.total)),
        ),
        (
            "Until it is given its partitions: interpreter, imports, loading the compiled kernels, joining the group.",
            "A community's first round begins as soon as its partition is read, while others still are: as it is in "
            "production. Kafka is on the same cores; the process before was stopped in good order.",
        ),
    )


def _restarts(
    folder: Path, names: list[str], bounds: Bounds, kernels: Path, tell: Callable[[str], None]
) -> tuple[_Starts, _Starts]:
    """The first start, and the restarts."""
    folder.mkdir()
    write_communities(folder, names)
    first, again = _Starts(), _Starts()
    with EmbeddedKafka() as kafka:
        preload_now(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), bounds.profiles, names)
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "COMMUNITIES_DIR": str(folder),
            "NUMBA_CACHE_DIR": str(kernels),
        }
        for number in range(bounds.rounds + 1):
            _start(environment, again if number else first)
            tell(f"{len(names)} communities, start {number} of {bounds.rounds}: {(again if number else first).total}")
    return first, again


def _start(environment: Mapping[str, str], starts: _Starts) -> None:
    with service("matcher", environment) as matcher:
        # Of a process that was given its partitions in several steps, the last step counts.
        mastered = matcher.log_entries("partition_mastered")
        starts.total.append((matcher.ready_at_ms - matcher.started_at_ms) / 1000)
        starts.reading.append(max(entry["after_ms"] for entry in mastered) / 1000)
