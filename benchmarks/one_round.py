"""One round of a made-up city in a process of its own: phases and memory, as JSON. For `benchmarks.round`.

python -m benchmarks.one_round MEMBERS
"""

from __future__ import annotations

import resource
import sys
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

import orjson

from benchmarks.city import LONDON, NOW_MS, people
from services.matcher.policy import Policy
from services.matcher.round import check, propose, warm_up
from services.matcher.snapshot import Snapshot
from shared.contracts import RoundReference
from shared.serving import spare_the_collector

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_MS = 86_400_000


def main(count: int) -> None:
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(phase: str) -> Iterator[None]:
        began = perf_counter()
        yield
        seconds[phase] = perf_counter() - began

    warm_up()
    spare_the_collector()  # as the matcher's process does
    profiles = people(count)
    profiles_gib = _peak_gib()
    waited = {profile.member: (NOW_MS - profile.accepted_at_ms) // DAY_MS for profile in profiles}
    with timed("snapshot"):
        snapshot = Snapshot.of(LONDON, profiles, now_ms=NOW_MS, waited_rounds=waited, opener_load={})
    policy = Policy()
    phases: list[tuple[str, float]] = []
    found = propose(snapshot, policy, tell=lambda phase: phases.append((phase, perf_counter())))
    phases.append(("", perf_counter()))
    seconds |= {phase: until - began for (phase, began), (_, until) in pairwise(phases)}
    reference = RoundReference(round="r_benchmark", seed=0, engine="", offsets={})
    with timed("suggestions"):
        suggestions = found.suggestions(LONDON, now_ms=NOW_MS, reference=reference)
    with timed("check"):
        check(suggestions, snapshot, policy)
    reasons = sum(len(each.reasons) for each in suggestions)
    told = {
        "seconds": seconds,
        "profiles_gib": profiles_gib,
        "peak_gib": _peak_gib(),
        "suggestions": len(suggestions),
        "reasons": reasons,
        "counts": asdict(found.counts),
        "quality": found.weight / max(1, found.upper_bound),
        "waited_rounds": {str(rounds): number for rounds, number in found.waited.items()},
        "waited_rounds_left_over": {str(rounds): number for rounds, number in found.waited_left_over.items()},
    }
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main(int(sys.argv[1]))
