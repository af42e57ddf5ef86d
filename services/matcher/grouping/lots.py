"""Drawing lots inside compiled code: SplitMix64, whose whole state is one number that is handed around.

Numba's own generator has a hidden state for each thread; this one gives the same
numbers wherever it runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.snapshot import Ints

Lot = NDArray[np.uint64]
"""(1,) the state."""
PATIENCE_LEVELS = 4_096
PATIENCE: NDArray[np.float64] = np.log((np.arange(PATIENCE_LEVELS) + 0.5) / PATIENCE_LEVELS)
"""How much worse a change may be and still be made at a heat of 1: quantiles of the exponential distribution, to
be picked by lot. A look-up says what a random number and an exponential would say to the Metropolis rule."""


@compiled
def drawn(lot: Lot) -> int:
    """64 random bits."""
    lot[0] += np.uint64(0x9E3779B97F4A7C15)
    bits = lot[0]
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))  # type: ignore[no-any-return]


@compiled
def scaled(bits: int, count: int) -> int:
    """A number of 0 to count - 1 by the upper half of 64 random bits, for counts below 2**32."""
    return np.int64((np.uint64(bits) >> np.uint64(32)) * np.uint64(count) >> np.uint64(32))  # type: ignore[return-value]


@compiled
def below(lot: Lot, count: int) -> int:
    """A number of 0 to count - 1 by lot."""
    return scaled(drawn(lot), count)


def lot_of(seed: int) -> Lot:
    return np.array([seed & 0xFFFF_FFFF_FFFF_FFFF], np.uint64)


@compiled
def shuffled(n: int, sizes: NDArray[np.int64], lot: Lot) -> Ints:
    """A group for each of n members, by lot, of the given sizes."""
    found = np.empty(n, np.int32)
    first = 0
    for group in range(len(sizes)):
        found[first : first + sizes[group]] = group
        first += sizes[group]
    for last in range(n - 1, 0, -1):
        other = below(lot, last + 1)
        found[last], found[other] = found[other], found[last]
    return found
