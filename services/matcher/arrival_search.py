"""The search of `services.matcher.arrivals`: one who asks, and the best of those around them, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.interests import InterestArrays, alike, spread
from services.matcher.nearby import Grid, Index, read_outwards, window
from services.matcher.policy import WEIGHT_ONE
from services.matcher.rules import may_meet
from services.matcher.score import ScoreRule, distance_km, weight_of, worth
from services.matcher.snapshot import LOOKS_FOR_PAIR, AgeRule, Barred, Ints


class Bounds(NamedTuple):
    """How far a search goes: see `Policy`."""

    scanned_max: int
    postings_max: int
    nearest_max: int


@compiled
def search(
    me: int,
    members: NDArray[Any],
    space: InterestArrays,
    holders: NDArray[np.int64],
    grid: Grid,
    by_interest: Index,
    everyone: Index,
    free: NDArray[np.bool_],
    free_only: bool,
    tie: NDArray[np.uint64],
    skipped: Ints,
    base: int,
    size: int,
    indexed_words: int,
    barred: Barred,
    age_rule: AgeRule,
    rule: ScoreRule,
    bounds: Bounds,
) -> tuple[int, float, int]:
    """The best row (-1 for none) by weight, its total, and how many would do."""
    best, best_weight, best_total, feasible = -1, np.int64(-1), 0.0, 0
    if members[me].looks_for & LOOKS_FOR_PAIR == 0:
        return best, best_total, feasible
    reading = np.zeros(len(holders))
    own = np.zeros(len(holders), np.bool_)
    seen = np.zeros(size, np.bool_)
    seen[me] = True
    for row in skipped:
        seen[row] = True
    first, last = space.start[me], space.start[me + 1]
    spread(space, me, reading)
    for place in range(first, last):
        own[space.item[place]] = True
    reach = members[me].reach
    left, right, bottom, top = window(grid, me, reach)
    crowd = 0
    for row in range(bottom, top + 1):
        line = row * grid.columns
        crowd += everyone.start[line + right + 1] - everyone.start[line + left]
    others = np.empty(max(bounds.scanned_max, bounds.postings_max, bounds.nearest_max, size - base), np.int32)
    rarest = np.argsort(holders[space.item[first:last]], kind="mergesort")
    budget = bounds.postings_max
    # Source -1: who is fresh; then everybody around, or one interest after the other, the rarest
    # first, and for who need not share one, the nearest.
    for source in range(-1, last - first + 1):
        read = 0
        if source < 0:
            for row in range(base, size):
                others[read] = row
                read += 1
        elif crowd <= bounds.scanned_max:
            read = read_outwards(grid, everyone, 0, me, reach, bounds.scanned_max, others)
        elif source < last - first:
            word = space.item[first + rarest[source]]
            if word < indexed_words:
                part = max(1, budget // (last - first - source))
                read = read_outwards(grid, by_interest, word, me, reach, part, others)
                budget -= read
        elif not members[me].needs_shared_interest:
            read = read_outwards(grid, everyone, 0, me, reach, bounds.nearest_max, others)
        for place in range(read):
            you = others[place]
            if seen[you]:
                continue
            seen[you] = True
            if (free_only and not free[you]) or members[you].looks_for & LOOKS_FOR_PAIR == 0:
                continue
            if not may_meet(members, me, you, barred, age_rule):
                continue
            apart = distance_km(members, me, you)
            if apart > reach or apart > members[you].reach:
                continue
            if members[me].needs_shared_interest or members[you].needs_shared_interest:
                shared = False
                for item in space.item[space.start[you] : space.start[you + 1]]:
                    shared |= own[item]
                if not shared:
                    continue
            feasible += 1
            _, _, total = worth(members, me, you, alike(space, me, you, reading), rule)
            weight = np.int64(np.floor(total * WEIGHT_ONE))
            if free_only:
                weight = np.int64(weight_of(members, me, you, total, rule))
            if weight > best_weight or (weight == best_weight and tie[you] < tie[best]):
                best, best_weight, best_total = you, weight, total
        if source >= 0 and crowd <= bounds.scanned_max:
            break
    return best, best_total, feasible
