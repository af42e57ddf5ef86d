"""Partitioning by simulated annealing, where few weights count: compressed sparse rows.

No table of members by groups is kept, so memory and the time of a sweep are linear in
the weights that are there. A change is judged by reading the rows of the two it
concerns; a member is offered the groups of those they weigh something with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.annealing import Sizes
from services.matcher.grouping.lots import PATIENCE, PATIENCE_LEVELS, Lot, below, drawn, lot_of, scaled, shuffled
from services.matcher.snapshot import Ints

_SETTLING_SWEEPS = 4


class SparseSearch:
    """One search, between its steps. Row i weighs `weight[start[i]:start[i+1]]` with `neighbour`; no diagonal."""

    def __init__(
        self,
        start: NDArray[np.int64], neighbour: Ints, weight: NDArray[np.float64],
        lower: Sizes, upper: Sizes, sizes: Sizes, seed: int,
    ) -> None:  # fmt: skip
        self._start, self._neighbour, self._weight = start, neighbour, weight
        self._lower, self._upper = lower, upper
        self._lot = lot_of(seed)
        n, groups = len(start) - 1, len(sizes)
        self._size, self._first = np.empty(groups, np.int64), np.empty(groups, np.int32)
        self._after, self._before = np.empty(n, np.int32), np.empty(n, np.int32)
        self.group = shuffled(n, sizes, self._lot)
        self.restart(self.group)

    def restart(self, group: Ints) -> None:
        """Go on from another partition."""
        self.group = group.copy()
        self._size[:] = np.bincount(group, minlength=len(self._size))
        _ring(self.group, self._first, self._after, self._before)

    def cool(self, heat: float, cooling: float, sweeps: int, *, moves: bool) -> None:
        """Offer everybody a change `sweeps` times, at a heat that falls by a factor each time."""
        # Weights are few and sizes matter little: members may move alone at any heat.
        _cool(
            self._start, self._neighbour, self._weight, self.group, self._size, self._lower, self._upper,
            self._first, self._after, self._before, heat, cooling, sweeps, PATIENCE, self._lot,
        )  # fmt: skip

    def settle(self) -> float:
        """Bear no change for the worse, a few times; what all groups weigh then."""
        self.cool(0.0, 1.0, _SETTLING_SWEEPS, moves=True)
        return _total(self._start, self._neighbour, self._weight, self.group)


@compiled
def _total(start: NDArray[np.int64], neighbour: Ints, weight: NDArray[np.float64], group: Ints) -> float:
    total = 0.0
    for one in range(len(group)):
        for place in range(start[one], start[one + 1]):
            if group[neighbour[place]] == group[one]:
                total += weight[place]
    return total / 2


@compiled
def _ring(group: Ints, first: Ints, after: Ints, before: Ints) -> None:
    """Let the members of each group hold hands in a ring: one joins, leaves, or is next, in O(1)."""
    first[:] = -1
    for one in range(len(group)):
        _join(one, group[one], first, after, before)


@compiled
def _join(one: int, there: int, first: Ints, after: Ints, before: Ints) -> None:
    if first[there] < 0:
        first[there] = after[one] = before[one] = one
    else:
        right = first[there]
        left = before[right]
        after[left] = before[right] = one
        before[one], after[one] = left, right


@compiled
def _leave(one: int, here: int, first: Ints, after: Ints, before: Ints) -> None:
    left, right = before[one], after[one]
    if right == one:
        first[here] = -1
    else:
        after[left], before[right] = right, left
        if first[here] == one:
            first[here] = right


@compiled
def _weighs(
    start: NDArray[np.int64], neighbour: Ints, weight: NDArray[np.float64], group: Ints,
    one: int, here: int, there: int, apart_from: int,
) -> float:  # fmt: skip
    """What somebody gains by going from here to there, if one of those there goes away."""
    gain = 0.0
    for place in range(start[one], start[one + 1]):
        near = neighbour[place]
        if group[near] == here:
            gain -= weight[place]
        elif group[near] == there and near != apart_from:
            gain += weight[place]
    return gain


@compiled
def _cool(
    start: NDArray[np.int64], neighbour: Ints, weight: NDArray[np.float64],
    group: Ints, size: Sizes, lower: Sizes, upper: Sizes, first: Ints, after: Ints, before: Ints,
    heat: float, cooling: float, sweeps: int, patience: NDArray[np.float64], lot: Lot,
) -> None:  # fmt: skip
    n = len(group)
    for _ in range(sweeps):
        for one in range(n):
            bits = drawn(lot)
            borne = heat * patience[np.int64(bits & np.uint64(PATIENCE_LEVELS - 1))]
            here, degree = group[one], start[one + 1] - start[one]
            if degree == 0:
                continue
            there = group[neighbour[start[one] + scaled(bits, degree)]]
            if there == here:
                # Somebody they know is here already: they are offered a seat anywhere.
                there = below(lot, len(size))
                if there == here:
                    continue
            if size[here] > lower[here] and size[there] < upper[there] and np.int64(bits >> np.uint64(12)) & 1:
                if _weighs(start, neighbour, weight, group, one, here, there, -1) >= borne:
                    _leave(one, here, first, after, before)
                    _join(one, there, first, after, before)
                    group[one] = there
                    size[here] -= 1
                    size[there] += 1
                continue
            # Those there take turns at being asked to go.
            other = first[there]
            if other < 0:
                continue
            first[there] = after[other]
            gain = _weighs(start, neighbour, weight, group, one, here, there, other)
            if gain + _weighs(start, neighbour, weight, group, other, there, here, one) >= borne:
                _leave(one, here, first, after, before)
                _leave(other, there, first, after, before)
                _join(one, there, first, after, before)
                _join(other, here, first, after, before)
                group[one], group[other] = there, here
        heat *= cooling
