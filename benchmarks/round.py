"""Whole rounds, from a snapshot to suggestions with their reasons: seconds and memory by size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.figures import Figure, Findings, Spread, spread

Tell = Callable[[str], None]

SECONDS_MAX = 150
GIB_MAX = 6
GROWTH_MAX = 13
_COUNTED = ("interests", "candidates", "graph", "groups", "pairs", "seats", "left over", "suggestions", "check")


@dataclass(frozen=True, slots=True)
class Bounds:
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    rounds: int = 1


QUICK = Bounds(sizes=(1_000, 10_000))


def run(bounds: Bounds, tell: Tell) -> Findings:
    told: dict[int, list[dict[str, Any]]] = {}
    for size in bounds.sizes:
        for _ in range(bounds.rounds):
            tell(f"{size:,} people")
            told.setdefault(size, []).append(_one(size))
    largest, tenth = bounds.sizes[-1], bounds.sizes[-2]
    whole = {size: _spread(rounds, _whole) for size, rounds in told.items()}
    asked = largest == 1_000_000
    figures = [
        Figure(
            f"{size:,} people: snapshot to suggestions", "s", whole[size],
            at_most=SECONDS_MAX if asked and size == largest else None,
        )
        for size in bounds.sizes
    ]  # fmt: skip
    figures.append(
        Figure(f"{largest:,} over {tenth:,}", "times", spread([whole[largest].median / whole[tenth].median]),
               at_most=GROWTH_MAX if asked else None)
    )  # fmt: skip
    last = told[largest]
    figures.append(
        Figure("most memory, profiles and all", "GiB", _spread(last, lambda one: one["peak_gib"]),
               at_most=GIB_MAX if asked else None)
    )  # fmt: skip
    figures.append(Figure("– of that the profiles", "GiB", _spread(last, lambda one: one["profiles_gib"])))
    figures += [Figure(f"– {phase}", "s", spread([one["seconds"][phase] for one in last])) for phase in _COUNTED]
    snapshots = spread([one["seconds"]["snapshot"] for one in last])
    figures.append(Figure("beforehand: the snapshot from profiles", "s", snapshots))
    counts = last[-1]["counts"]
    figures += [
        Figure("weight of pairs, of what no pairing exceeds", "share", _spread(last, lambda one: one["quality"])),
        Figure("members suggested something", "share",
               spread([1 - counts["left_over"] / counts["members"]])),
        Figure("groups without an opener", "groups", spread([counts["groups_without_opener"]]), at_most=0),
    ]  # fmt: skip
    return Findings(
        "round",
        "a whole round in one made-up city (benchmarks/city.py), each size in a process of its own",
        tuple(figures),
        (
            f"At {largest:,}: {counts['pairs']:,} pairs, {counts['groups']:,} groups, "
            f"{counts['left_over']:,} left over, {counts['openers']:,} openers, {last[-1]['reasons']:,} reasons.",
            "Default policy, two threads; compiled code is cached; writing to Kafka is not counted.",
        ),
        {
            "sizes": list(bounds.sizes),
            "seconds": {phase: [told[size][-1]["seconds"][phase] for size in bounds.sizes] for phase in _COUNTED},
            "quality": [told[size][-1]["quality"] for size in bounds.sizes],
            "suggested": [1 - told[size][-1]["counts"]["left_over"] / size for size in bounds.sizes],
            "peak_gib": [told[size][-1]["peak_gib"] for size in bounds.sizes],
        },
    )


def _whole(one: dict[str, Any]) -> float:
    return float(sum(one["seconds"][phase] for phase in _COUNTED))


def _spread(rounds: list[dict[str, Any]], of: Callable[[dict[str, Any]], float]) -> Spread:
    return spread([of(one) for one in rounds])


def _one(size: int) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.one_round", str(size)], stdout=subprocess.PIPE, check=True
    ).stdout
    told: dict[str, Any] = orjson.loads(answer)
    return told
