"""The best partition of few members, proved: dynamic programming over all subsets."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.snapshot import Ints

MEMBERS_MAX = 20
STEPS_MAX = 200_000_000
"""About a second."""


def steps_of(lower: NDArray[np.int64], upper: NDArray[np.int64], n: int) -> int:
    """How many pairs of a set and a part of it the search looks at; grows like 3^n."""
    steps, least, most = 0, 0, 0
    for smallest, largest in zip(lower.tolist(), upper.tolist(), strict=True):
        least, most = least + smallest, min(n, most + largest)
        steps += sum(comb(n, size) << size for size in range(least, most + 1))
    return steps


def is_small(lower: NDArray[np.int64], upper: NDArray[np.int64], n: int) -> bool:
    """Whether `best_partition` takes about a second at most."""
    return n <= MEMBERS_MAX and steps_of(lower, upper, n) <= STEPS_MAX


@compiled
def best_partition(weight: NDArray[np.float64], lower: NDArray[np.int64], upper: NDArray[np.int64]) -> Ints:
    """The group of each, (n,), so that what is inside groups weighs the most.

    After g groups, `best[set]` is the most that the members of a set can weigh in the first g.
    O(3^n) for each group and 4 * 2^n bytes; sizes that no groups can add up to are passed over.
    """
    n, groups = len(weight), len(lower)
    sets = 1 << n
    inside = np.zeros(sets)
    size = np.zeros(sets, np.int8)
    for these in range(1, sets):
        first = 0
        while these >> first & 1 == 0:
            first += 1
        rest = these & (these - 1)
        size[these] = size[rest] + 1
        total = inside[rest]
        for other in range(first + 1, n):
            if rest >> other & 1:
                total += weight[first, other]
        inside[these] = total
    best, following = np.full(sets, -np.inf), np.empty(sets)
    best[0] = 0.0
    taken = np.zeros((groups, sets), np.int32)
    least, most = 0, 0
    for group in range(groups):
        least, most = least + lower[group], min(n, most + upper[group])
        following[:] = -np.inf
        for these in range(sets):
            if size[these] < least or size[these] > most:
                continue
            part = these
            while True:
                if lower[group] <= size[part] <= upper[group]:
                    value = best[these ^ part] + inside[part]
                    if value > following[these]:
                        following[these], taken[group, these] = value, part
                if part == 0:
                    break
                part = (part - 1) & these
        best, following = following, best
    found = np.empty(n, np.int32)
    left = sets - 1
    for group in range(groups - 1, -1, -1):
        for member in range(n):
            if taken[group, left] >> member & 1:
                found[member] = group
        left ^= taken[group, left]
    return found
