"""The maximum diversity grouping problem: deal n members into groups so that what is inside groups weighs the most.

Few members are dealt out by dynamic programming, which proves that nothing is better.
For more, sizes are settled first and members are dealt by simulated annealing, in
several searches of which the best counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse

from services.matcher.grouping.annealing import DenseSearch, Sizes
from services.matcher.grouping.sizes import promising_sizes
from services.matcher.grouping.sparse_annealing import SparseSearch
from services.matcher.grouping.subsets import best_partition, is_small
from services.matcher.snapshot import Ints

THREADS = 2
SEARCHES_MAX = 8
SEARCHES_AGREE = 4
"""Where the first four searches end at the same weight, nobody searches on."""
SWEEPS_FOR_EACH_MEMBER = 16_000
"""A search of n members goes over all of them 16,000 n times: enough that a longer one rarely finds better."""
CHANGES_A_SECOND = 120_000_000
"""How many changes one thread is counted on to try in a second while everything is in its cache. It does
200 million where this was measured."""
FEW_WEIGHTS_SHARE = 0.1
"""With fewer weights than so many of all that could be, rows are kept compressed."""
TABLE_MAX = 50_000_000
"""Members times groups: the table that a dense search keeps takes at most 400 MB."""
_SYMMETRY = 1e-9
_SAME_WEIGHT = 1e-12
_SLICE = 8_000_000
"""Changes tried between two looks at the clock."""


Search = DenseSearch | SparseSearch


class PartitionError(ValueError):
    """What cannot be partitioned: says what is wrong and what would be right."""


@dataclass(frozen=True)
class _Schedule:
    """How a search cools: from hot to cold, and again and again from warm to cold. Heat in units of weight."""

    hot: float
    warm: float
    cold: float
    sweeps: int
    warm_sweeps: int
    warmings: int
    slice: int
    """Sweeps between two looks at the clock."""


def partition(
    weight: ArrayLike | Any, lower: ArrayLike, upper: ArrayLike, *, seed: int = 0, time_limit_s: float
) -> Ints:
    """Deal members into groups of bounded sizes so that the pairs within groups weigh the most.

    Parameters
    ----------
    weight
        (n, n), dense or any scipy sparse matrix: what each two weigh together. Symmetric (to 1e-9 of the
        largest weight); negative weights are welcome; the diagonal counts for nothing.
    lower, upper
        (groups,) integers: `lower[g] <= size of g <= upper[g]`.
    seed
        Draws the searches. The same input and seed give the same answer, bit for bit, on any number of
        cores, unless the time limit cuts a search off.
    time_limit_s
        In seconds, more than 0. The work is planned as a number of steps from it, by how fast a machine about
        half as fast as ours would be; the clock is only a belt for slower ones, and what was found until then counts.

    Returns
    -------
    ndarray of int32, shape (n,)
        The group of each. Sizes are always kept, however short the time.

    Raises
    ------
    PartitionError
        if `weight` is not square, not symmetric or has a NaN or an infinite number in it; if bounds are not
        integers, negative, of two lengths, or lower above upper; if no sizes within them add up to n.

    Notes
    -----
    Up to 16 members, and up to 20 where bounds are narrow, the answer is proved to be a best one, within about
    a second. Else several searches by simulated annealing, of at most 16,000 n^2 steps each: small cases end long
    before the limit. Dense matrices take O(groups * n) memory beside a copy; sparse ones with few weights are
    never made dense, and take O(n + weights).

    Examples
    --------
    >>> together = np.array([[0, 9, 1, 1], [9, 0, 1, 1], [1, 1, 0, 9], [1, 1, 9, 0]])
    >>> partition(together, [2, 2], [2, 2], time_limit_s=1).tolist()
    [1, 1, 0, 0]
    """
    deadline = time.monotonic() + _positive(time_limit_s)
    rows = _checked_weight(weight)
    n = rows.shape[0]
    least, most = _checked_bounds(lower, upper, n)
    if n == 0:
        return np.empty(0, np.int32)
    if is_small(least, most, n):
        return best_partition(_dense(rows), least, most)
    begin, heat, steps_a_second = _prepared(rows, least, most)
    per_search = SWEEPS_FOR_EACH_MEMBER * n * n
    affordable = time_limit_s * steps_a_second * THREADS
    searches = int(min(SEARCHES_MAX, max(THREADS, affordable // per_search)))
    schedule = _scheduled(heat, int(min(per_search, affordable / searches)), n)
    seeds = np.random.SeedSequence(seed).generate_state(searches, np.uint64).tolist()
    found: list[tuple[float, Ints]] = []
    with ThreadPoolExecutor(THREADS, "partition") as pool:
        for some in (seeds[:SEARCHES_AGREE], seeds[SEARCHES_AGREE:]):
            found += pool.map(lambda each: _search(begin, each, schedule, deadline), some)
            if np.ptp([value for value, _ in found]) <= _SAME_WEIGHT * abs(found[0][0]):
                break
    # The first of the best: threads end in any order, but are heard in this one.
    return max(found, key=lambda result: result[0])[1]


def _search(begin: Callable[[int], Search], seed: int, schedule: _Schedule, deadline: float) -> tuple[float, Ints]:
    """Cool, settle, warm up from the best and again; however late it is, settle once."""
    search = begin(seed)
    best_value, best = -np.inf, search.group
    for warming in range(schedule.warmings + 1):
        hot, sweeps = (schedule.warm, schedule.warm_sweeps) if warming else (schedule.hot, schedule.sweeps)
        cooling = (schedule.cold / hot) ** (1.0 / sweeps)
        done = 0
        while done < sweeps and time.monotonic() < deadline:
            some = min(schedule.slice, sweeps - done)
            heat = hot * cooling**done
            search.cool(heat, cooling, some, moves=heat < schedule.warm)
            done += some
        value = search.settle()
        if value >= best_value:
            best_value, best = value, search.group.copy()
        if time.monotonic() >= deadline:
            break
        search.restart(best)
    return best_value, best


def _scheduled(heat: tuple[float, float, float], steps: int, n: int) -> _Schedule:
    """A sixth of the steps to cool down, the rest for warming up again."""
    sweeps = max(1, steps // n)
    first = max(1, sweeps // 6)
    warmings = min(20, sweeps // 6)
    warm_sweeps = max(1, (sweeps - first) // max(1, warmings))
    return _Schedule(*heat, first, warm_sweeps, warmings, max(1, _SLICE // n))


def _prepared(
    rows: csr_array, lower: Sizes, upper: Sizes
) -> tuple[Callable[[int], Search], tuple[float, float, float], float]:
    """How to begin a search, at which heat, and how many steps of it a second are counted on."""
    n, groups = rows.shape[0], len(lower)
    pairs = max(1, n * (n - 1))
    mean = float(rows.data.sum()) / pairs
    spread = float(np.sqrt(max(0.0, float((rows.data**2).sum()) / pairs - mean**2)))
    sizes = promising_sizes(mean, spread, lower, upper, n)
    if rows.nnz >= FEW_WEIGHTS_SHARE * pairs and n * groups <= TABLE_MAX:
        dense = _dense(rows)
        # Making a change is O(n), but few are made.
        speed = CHANGES_A_SECOND / (1 + n / 1_000)
        spread = spread or 1.0
        return (
            lambda seed: DenseSearch(dense, lower, upper, sizes, seed),
            (2.0 * spread, 1.5 * spread, 0.7 * spread),
            speed,
        )
    # Few weights: what is typical of those there are is what changes are measured by.
    start, neighbour = rows.indptr.astype(np.int64), rows.indices.astype(np.int32)
    typical = float(np.abs(rows.data).mean()) if rows.nnz else 1.0
    speed = CHANGES_A_SECOND / (4 + rows.nnz / n / 4)
    return (
        lambda seed: SparseSearch(start, neighbour, rows.data, lower, upper, sizes, seed),
        (1.0 * typical, 0.5 * typical, 0.05 * typical),
        speed,
    )


def _dense(rows: csr_array) -> NDArray[np.float64]:
    return np.ascontiguousarray(rows.toarray(), np.float64)


def _positive(time_limit_s: float) -> float:
    if not time_limit_s > 0:
        raise PartitionError(f"time_limit_s must be more than 0 seconds, not {time_limit_s}")
    return float(time_limit_s)


def _checked_weight(weight: ArrayLike | Any) -> csr_array:
    """The weights as compressed rows without a diagonal, exactly symmetric."""
    given: Any = weight if issparse(weight) else np.asarray(weight)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise PartitionError(f"weight must be square, (n, n), not {given.shape}")
    if given.dtype.kind not in "fiub":
        raise PartitionError(f"weight must hold real numbers, not {given.dtype}")
    rows = csr_array(given, dtype=np.float64)
    rows.sum_duplicates()
    odd = np.flatnonzero(~np.isfinite(rows.data))
    if len(odd):
        row = int(np.searchsorted(rows.indptr, odd[0], side="right")) - 1
        raise PartitionError(f"weight[{row}, {rows.indices[odd[0]]}] is {rows.data[odd[0]]}; weights must be finite")
    rows = csr_array(rows - csr_array((rows.diagonal(), (range(len(rows.indptr) - 1),) * 2), shape=rows.shape))
    difference = abs(rows - rows.T).tocoo()
    largest = float(np.abs(rows.data).max(initial=0.0))
    if difference.nnz and float(difference.data.max()) > _SYMMETRY * largest:
        worst = int(np.argmax(difference.data))
        i, j = (int(axis[worst]) for axis in difference.coords)
        raise PartitionError(f"weight must be symmetric, but weight[{i}, {j}] differs from weight[{j}, {i}]")
    rows = csr_array((rows + rows.T) / 2)
    rows.eliminate_zeros()
    rows.sort_indices()
    return rows


def _checked_bounds(lower: ArrayLike, upper: ArrayLike, n: int) -> tuple[Sizes, Sizes]:
    given: tuple[NDArray[Any], NDArray[Any]] = np.asarray(lower), np.asarray(upper)
    if given[0].ndim != 1 or given[0].shape != given[1].shape:
        raise PartitionError(
            "lower and upper must be two lists of one length, one number a group, "
            f"not of shapes {given[0].shape} and {given[1].shape}"
        )
    for name, bounds in zip(("lower", "upper"), given, strict=True):
        if bounds.size and (bounds.dtype.kind not in "fiu" or not np.all(bounds == np.floor(bounds))):
            raise PartitionError(f"{name} must hold whole numbers")
        if (bounds < 0).any():
            group = int(np.argmax(bounds < 0))
            raise PartitionError(f"{name}[{group}] is {bounds[group]}; a size cannot be negative")
    if (given[0] > given[1]).any():
        group = int(np.argmax(given[0] > given[1]))
        raise PartitionError(f"lower[{group}] is {given[0][group]}, above upper[{group}], {given[1][group]}")
    least, most = given[0].astype(np.float64).sum(), given[1].astype(np.float64).sum()
    if not least <= n <= most:
        raise PartitionError(f"groups hold {least:.0f} to {most:.0f} members by their bounds, but there are {n}")
    return given[0].astype(np.int64), np.minimum(given[1], n).astype(np.int64)
