"""From each one's best candidates to the compatibility graph: an edge for every two of whom one is among the other's.

Its weights are what a pair is worth, and what both gain by having waited.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.matcher.candidates import best_candidates
from services.matcher.compiled import compiled
from services.matcher.graph import CompatibilityGraph
from services.matcher.interests import InterestArrays, InterestSpace, alike, spread, wipe
from services.matcher.policy import Policy
from services.matcher.score import ScoreRule, weight_of, worth
from services.matcher.snapshot import Ints, Snapshot

_ROWS_A_TASK = 16_384


def compatibility(snapshot: Snapshot, space: InterestSpace, policy: Policy) -> CompatibilityGraph:
    """The graph of those who look for a friend: an edge for everyone among each one's best candidates."""
    return graph_of(best_candidates(snapshot, space, policy), snapshot, space, policy)


def graph_of(found: Ints, snapshot: Snapshot, space: InterestSpace, policy: Policy) -> CompatibilityGraph:
    """The graph of some candidates, (n, k), -1 behind the last: O(n k log k), about 2 us an edge in all."""
    start, neighbour = _rows_of(found)
    weight = np.empty(len(neighbour), np.int32)

    rule, words = ScoreRule.of(policy), len(space.holders)

    def weigh(first: int) -> None:
        last = min(first + _ROWS_A_TASK, snapshot.size)
        _weigh(first, last, start, neighbour, weight, snapshot.members, space.arrays, words, rule)

    tasks = range(0, snapshot.size, _ROWS_A_TASK)
    if len(tasks) < 2 or policy.threads < 2:
        for task in tasks:
            weigh(task)
    else:
        with ThreadPoolExecutor(policy.threads, "weights") as pool:
            for _ in pool.map(weigh, tasks):
                pass
    _mirror(start, neighbour, weight)
    return CompatibilityGraph.from_rows(start, neighbour, weight)


@compiled
def _rows_of(found: Ints) -> tuple[NDArray[np.int64], Ints]:
    """Both ends of each edge, once, rows sorted."""
    start = np.zeros(len(found) + 2, np.int64)
    # `start` is one ahead while rows are counted and filled.
    for me in range(len(found)):
        for you in found[me]:
            if you >= 0 and (me < you or not _among(found[you], me)):
                start[me + 2] += 1
                start[you + 2] += 1
    start = np.cumsum(start)
    neighbour = np.empty(start[-1], np.int32)
    for me in range(len(found)):
        for you in found[me]:
            if you >= 0 and (me < you or not _among(found[you], me)):
                neighbour[start[me + 1]] = you
                neighbour[start[you + 1]] = me
                start[me + 1] += 1
                start[you + 1] += 1
    for me in range(len(found)):
        neighbour[start[me] : start[me + 1]].sort()
    return start[:-1], neighbour


@compiled
def _among(candidates: Ints, member: int) -> bool:
    found = False
    for candidate in candidates:
        found |= candidate == member
    return found


@compiled
def _weigh(
    first: int,
    last: int,
    start: NDArray[np.int64],
    neighbour: Ints,
    weight: Ints,
    members: NDArray[Any],
    space: InterestArrays,
    interests: int,
    rule: ScoreRule,
) -> None:
    """The weights of edges from some rows to higher ones."""
    reading = np.zeros(interests)
    for me in range(first, last):
        spread(space, me, reading)
        for place in range(start[me], start[me + 1]):
            you = neighbour[place]
            if you > me:
                _, _, total = worth(members, me, you, alike(space, me, you, reading), rule)
                weight[place] = weight_of(members, me, you, total, rule)
        wipe(space, me, reading)


@compiled
def _mirror(start: NDArray[np.int64], neighbour: Ints, weight: Ints) -> None:
    """Copy weights to the other end. Rows are sorted and visited in order, so a row's lower ends come in order too."""
    reached = start[:-1].copy()
    for me in range(len(start) - 1):
        for place in range(start[me], start[me + 1]):
            you = neighbour[place]
            if you > me:
                weight[reached[you]] = weight[place]
                reached[you] += 1
