"""Which sizes groups should have: where weights are alike, it matters more than who is in which.

With a mean weight above zero a few large groups hold more than many middling ones, and a
search that trades members one by one does not get from one such deal to another. So
sizes are settled first, by dynamic programming.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled

SEARCHED_GAIN = 0.65
"""What a search finds over a random partition: so many standard deviations of a weight for each of the s^1.5
pairs and their square roots, as measured on the instances of MDGPLIB. It only ranks sizes."""
STEPS_MAX = 200_000_000


@compiled
def promising_sizes(
    mean: float, deviation: float, lower: NDArray[np.int64], upper: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Sizes between the bounds that add up to n, (groups,), for weights of that mean and standard deviation.

    Maximises the sum of mean * s(s-1)/2 + 0.65 * deviation * s^1.5, in O(groups * n * the widest range) where that
    is affordable; beyond it, everybody over the lower bounds is dealt out evenly.
    """
    groups = len(lower)
    widest = 0
    for group in range(groups):
        widest = max(widest, min(n, upper[group]) - lower[group] + 1)
    if groups * (n + 1) * widest > STEPS_MAX or groups * (n + 1) > STEPS_MAX // 8:
        return _dealt_evenly(lower, upper, n)
    worth = np.empty(n + 1)
    for size in range(n + 1):
        worth[size] = mean * size * (size - 1) / 2 + SEARCHED_GAIN * deviation * size**1.5
    best, following = np.full(n + 1, -np.inf), np.empty(n + 1)
    best[0] = 0.0
    chosen = np.zeros((groups, n + 1), np.int32)
    for group in range(groups):
        following[:] = -np.inf
        for total in range(lower[group], n + 1):
            for size in range(lower[group], min(upper[group], total) + 1):
                value = best[total - size] + worth[size]
                if value > following[total]:
                    following[total], chosen[group, total] = value, size
        best, following = following, best
    sizes, left = np.empty(groups, np.int64), n
    for group in range(groups - 1, -1, -1):
        sizes[group] = chosen[group, left]
        left -= sizes[group]
    return sizes


@compiled
def _dealt_evenly(lower: NDArray[np.int64], upper: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    sizes, left = lower.copy(), n - lower.sum()
    while left > 0:
        open_groups = (sizes < upper).sum()
        share = max(1, left // open_groups)
        for group in range(len(sizes)):
            more = min(share, upper[group] - sizes[group], left)
            sizes[group] += more
            left -= more
    return sizes
