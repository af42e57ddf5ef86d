"""Partitioning by simulated annealing, where most weights count: a dense matrix.

What each member weighs in each group is kept up to date, so a swap is judged in O(1)
and made in O(n). Swaps keep the sizes; members move alone only once it is cool, since
among weights that are alike moves would trade good sizes for disorder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.grouping.lots import PATIENCE, PATIENCE_LEVELS, Lot, drawn, lot_of, scaled, shuffled
from services.matcher.snapshot import Ints

Sizes = NDArray[np.int64]
_EQUAL = 1e-9
"""Below this share of what a member weighs in a group, a gain is an error of rounding."""


class DenseSearch:
    """One search, between its steps. `weight` is (n, n), symmetric, with a diagonal of zeros."""

    def __init__(self, weight: NDArray[np.float64], lower: Sizes, upper: Sizes, sizes: Sizes, seed: int) -> None:
        self._weight, self._lower, self._upper = weight, lower, upper
        self._lot = lot_of(seed)
        self.group = shuffled(len(weight), sizes, self._lot)
        self._inside = np.empty((len(sizes), len(weight)))
        self._size = np.empty(len(sizes), np.int64)
        self.restart(self.group)

    def restart(self, group: Ints) -> None:
        """Go on from another partition."""
        self.group = group.copy()
        self._size[:] = np.bincount(group, minlength=len(self._size))
        _weigh(self._weight, self.group, self._inside)

    def cool(self, heat: float, cooling: float, sweeps: int, *, moves: bool) -> None:
        """Offer everybody a change `sweeps` times, at a heat that falls by a factor each time."""
        _cool(
            self._weight, self._inside, self.group, self._size, self._lower, self._upper,
            heat, cooling, sweeps, moves, PATIENCE, self._lot,
        )  # fmt: skip

    def settle(self) -> float:
        """Make every change for the better, until there is none; what all groups weigh then."""
        _weigh(self._weight, self.group, self._inside)
        return _descend(self._weight, self._inside, self.group, self._size, self._lower, self._upper)


@compiled
def _weigh(weight: NDArray[np.float64], group: Ints, inside: NDArray[np.float64]) -> None:
    """Fill `inside[g, i]`: what i weighs with those in g."""
    inside[:] = 0.0
    for member in range(len(weight)):
        inside[group[member]] += weight[member]


@compiled
def _swap(weight: NDArray[np.float64], inside: NDArray[np.float64], group: Ints, one: int, other: int) -> None:
    here, there, mine, yours = inside[group[one]], inside[group[other]], weight[one], weight[other]
    for member in range(len(group)):
        change = mine[member] - yours[member]
        here[member] -= change
        there[member] += change
    group[one], group[other] = group[other], group[one]


@compiled
def _move(
    weight: NDArray[np.float64], inside: NDArray[np.float64], group: Ints, size: Sizes, one: int, there: int
) -> None:
    before, after, mine = inside[group[one]], inside[there], weight[one]
    for member in range(len(group)):
        before[member] -= mine[member]
        after[member] += mine[member]
    size[group[one]] -= 1
    size[there] += 1
    group[one] = there


@compiled
def _swap_gain(weight: NDArray[np.float64], inside: NDArray[np.float64], group: Ints, one: int, other: int) -> float:
    here, there = group[one], group[other]
    return (  # type: ignore[no-any-return]
        inside[there, one] - inside[here, one] + inside[here, other] - inside[there, other] - 2 * weight[one, other]
    )


@compiled
def _cool(
    weight: NDArray[np.float64], inside: NDArray[np.float64], group: Ints, size: Sizes, lower: Sizes, upper: Sizes,
    heat: float, cooling: float, sweeps: int, moves: bool, patience: NDArray[np.float64], lot: Lot,
) -> None:  # fmt: skip
    """Everybody is offered a swap with somebody, or once in a while a move."""
    n, groups = len(group), len(size)
    for _ in range(sweeps):
        for one in range(n):
            # One draw serves all: its lowest bits for patience, its highest for who or where.
            bits = drawn(lot)
            borne = heat * patience[np.int64(bits & np.uint64(PATIENCE_LEVELS - 1))]
            here = group[one]
            if moves and np.int64(bits >> np.uint64(12)) & 7 == 0 and size[here] > lower[here]:
                there = scaled(bits, groups)
                gain = inside[there, one] - inside[here, one]
                if there != here and size[there] < upper[there] and gain >= borne:
                    _move(weight, inside, group, size, one, there)
                continue
            other = scaled(bits, n)
            if group[other] != here and _swap_gain(weight, inside, group, one, other) >= borne:
                _swap(weight, inside, group, one, other)
        heat *= cooling


@compiled
def _descend(
    weight: NDArray[np.float64], inside: NDArray[np.float64], group: Ints, size: Sizes, lower: Sizes, upper: Sizes
) -> float:
    n, groups, total = len(group), len(size), 0.0
    least = _EQUAL * np.abs(inside).max()
    better = True
    while better:
        better = False
        for one in range(n):
            for there in range(groups):
                here = group[one]
                if there == here or size[here] <= lower[here] or size[there] >= upper[there]:
                    continue
                if inside[there, one] - inside[here, one] > least:
                    _move(weight, inside, group, size, one, there)
                    better = True
            for other in range(one + 1, n):
                if group[one] != group[other] and _swap_gain(weight, inside, group, one, other) > least:
                    _swap(weight, inside, group, one, other)
                    better = True
    for member in range(n):
        total += inside[group[member], member]
    return total / 2
