"""Dealing members into groups: proved where it is small, kept within bounds and seeds everywhere."""

import time
import tracemalloc
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from benchmarks.grouping import MDGPLIB, read_instance
from services.matcher.grouping import PartitionError, diversity, partition


def inside(weight: NDArray[Any], group: NDArray[np.int32]) -> float:
    together = (group[:, None] == group) & ~np.eye(len(group), dtype=bool)
    return float(np.asarray(weight)[together].sum()) / 2


def some_weights(n: int, draw: np.random.Generator) -> NDArray[np.float64]:
    weight = draw.integers(-20, 100, (n, n)).astype(float)
    return np.triu(weight, 1) + np.triu(weight, 1).T


def bounds_for(n: int, groups: int, draw: np.random.Generator) -> tuple[list[int], list[int]]:
    sizes = draw.multinomial(n, np.full(groups, 1 / groups))
    return (sizes - draw.integers(0, sizes + 1) // 2).tolist(), (sizes + draw.integers(0, 3, groups)).tolist()


def most_inside(weight: NDArray[np.float64], lower: int, upper: int, groups: int) -> float:
    """The optimum, by another way: every set of an allowed size is a column; columns cover each member once."""
    n = len(weight)
    columns = [each for size in range(lower, upper + 1) for each in combinations(range(n), size)]
    of = [sum(weight[a, b] for a, b in combinations(each, 2)) for each in columns]
    row = [member for each in columns for member in (*each, n)]
    column = [place for place, each in enumerate(columns) for _ in range(len(each) + 1)]
    cover = csr_array((np.ones(len(row)), (row, column)), shape=(n + 1, len(columns)))
    needed = np.array([*[1] * n, groups])
    found = milp(
        -np.array(of),
        constraints=LinearConstraint(cover, needed, needed),
        integrality=np.ones(len(columns)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    assert found.status == 0
    return -float(found.fun)


@pytest.mark.parametrize("case", range(50))
def test_tiny_cases_are_solved_exactly_by_proof_and_by_search(case: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(case)
    n = int(draw.integers(8, 17))
    groups = int(draw.integers(2, n // 3 + 1)) if n < 12 else n // 4
    weight = some_weights(n, draw)
    smallest, largest = n // groups - int(draw.integers(0, 2)), -(-n // groups) + int(draw.integers(0, 2))
    best = most_inside(weight, smallest, largest, groups)
    lower, upper = [smallest] * groups, [largest] * groups
    assert diversity.is_small(np.array(lower), np.array(upper), n)
    began = time.monotonic()
    assert inside(weight, partition(weight, lower, upper, time_limit_s=600)) == pytest.approx(best)
    assert time.monotonic() - began < 60, "proved, and not sought for as long as the limit allows"
    monkeypatch.setattr(diversity, "is_small", lambda *_: False)
    assert inside(weight, partition(weight, lower, upper, time_limit_s=30)) == pytest.approx(best)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32), st.sampled_from([1.0, 1e-9, 1e9]), st.booleans())
def test_sizes_are_kept_however_early_it_is_stopped(n: int, groups: int, seed: int, unit: float, few: bool) -> None:
    draw = np.random.default_rng(seed)
    weight = some_weights(n, draw) * unit
    if few:
        kept = np.triu(draw.random((n, n)) < 0.05)
        weight *= kept | kept.T
    lower, upper = bounds_for(n, groups, draw)
    found = partition(weight, lower, upper, seed=seed, time_limit_s=0.02)
    assert found.dtype == np.int32
    assert found.shape == (n,)
    size = np.bincount(found, minlength=groups)
    assert np.all(lower <= size)
    assert np.all(size <= upper)
    # How good it is by then is the clock's to say; sizes are kept however early it is stopped.
    size = np.bincount(partition(csr_array(weight), lower, upper, seed=seed, time_limit_s=0.02), minlength=groups)
    assert np.all((lower <= size) & (size <= upper))


def test_the_same_input_gives_the_same_answer_bit_for_bit() -> None:
    draw = np.random.default_rng(1)
    weight = some_weights(30, draw)
    first, again = (partition(weight, [4] * 6, [7] * 6, seed=3, time_limit_s=30) for _ in range(2))
    assert np.array_equal(first, again)
    # Rows that are compressed are the same weights; the diagonal counts for nothing.
    assert np.array_equal(
        first, partition(csr_array(weight + np.diag(range(30))), [4] * 6, [7] * 6, seed=3, time_limit_s=30)
    )


def test_twenty_thousand_members_with_few_weights_are_never_made_dense() -> None:
    draw = np.random.default_rng(2)
    n = 20_000
    deal = draw.permutation(n).reshape(-1, 4)
    friends = np.concatenate([deal[:, [a, b]] for a, b in combinations(range(4), 2)])
    strangers = draw.integers(0, n, (n * 4, 2))
    strangers = strangers[strangers[:, 0] != strangers[:, 1]]
    ends = np.concatenate([friends, strangers])
    value = np.concatenate([np.full(len(friends), 10.0), draw.uniform(0, 9, len(strangers))])
    half = coo_array((value, (ends[:, 0], ends[:, 1])), shape=(n, n)).tocsr()
    weight = csr_array(half + half.T)
    tracemalloc.start()
    found = partition(weight, [3] * 5_000, [6] * 5_000, time_limit_s=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # dense, the weights alone take 3.2 GB
    size = np.bincount(found, minlength=5_000)
    assert size.min() >= 3
    assert size.max() <= 6
    rows = weight.tocoo()
    together = rows.data[found[rows.coords[0]] == found[rows.coords[1]]].sum() / 2
    assert together > 0.6 * 10 * len(friends), "far more than chance, even on a busy machine"


@pytest.mark.skipif(not MDGPLIB.is_dir(), reason="the instances of MDGPLIB are not here")
def test_near_what_is_reported_for_an_instance_of_mdgplib() -> None:
    instance = read_instance(MDGPLIB / "RanInt_n120_ds_01.txt")
    found = partition(instance.weight, instance.lower, instance.upper, time_limit_s=60)
    size = np.bincount(found, minlength=len(instance.lower))
    assert np.all((instance.lower <= size) & (size <= instance.upper))
    assert inside(instance.weight, found) > 0.99 * 51_146


def test_no_members_and_one_group_for_all() -> None:
    assert partition(np.empty((0, 0)), [], [], time_limit_s=1).shape == (0,)
    assert partition(np.zeros((3, 3)), [0, 0], [0, 3], time_limit_s=1).tolist() == [1, 1, 1]
    assert set(partition(np.zeros((200, 200)), [200], [200], time_limit_s=1).tolist()) == {0}


def test_negative_weights_keep_people_apart() -> None:
    apart = np.zeros((40, 40))
    apart[:20, :20] = apart[20:, 20:] = -1
    found = partition(apart, [20, 20], [20, 20], time_limit_s=1)
    assert np.bincount(found[:20]).tolist() == [10, 10]


E4 = np.zeros((4, 4))


@pytest.mark.parametrize(
    ("weight", "lower", "upper", "told"),
    [
        (np.zeros((3, 4)), [2, 2], [2, 2], "square"),
        (np.zeros(4), [2, 2], [2, 2], "square"),
        (np.where(np.eye(4), 0, np.nan), [2, 2], [2, 2], r"weight\[0, 1\] is nan"),
        (csr_array(([np.inf, np.inf], ([0, 2], [2, 0])), shape=(4, 4)), [2, 2], [2, 2], r"weight\[0, 2\] is inf"),
        (np.diag([1.0, 1.0, 1.0], 1), [2, 2], [2, 2], "symmetric"),
        (np.full((4, 4), "a"), [2, 2], [2, 2], "real numbers"),
        (np.zeros((4, 4), complex), [2, 2], [2, 2], "real numbers"),
        (E4, [2, 3], [2, 2], r"lower\[1\] is 3, above upper\[1\], 2"),
        (E4, [1, 1], [1, 2], "hold 2 to 3 members by their bounds, but there are 4"),
        (E4, [3, 3], [3, 3], "hold 6 to 6 members by their bounds, but there are 4"),
        (E4, [2, -1], [2, 2], r"lower\[1\] is -1"),
        (E4, [2], [2, 2], "one length"),
        (E4, [[2, 2]], [[2, 2]], "one length"),
        (E4, [1.5, 2], [2, 2], "whole numbers"),
        (E4, [np.nan, 2], [2, 2], "whole numbers"),
    ],
)
def test_bad_input_is_named(weight: Any, lower: Any, upper: Any, told: str) -> None:
    with pytest.raises(PartitionError, match=told):
        partition(weight, lower, upper, time_limit_s=1)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_time_limit_is_more_than_nothing(limit: float) -> None:
    with pytest.raises(PartitionError, match="time_limit_s"):
        partition(E4, [2, 2], [2, 2], time_limit_s=limit)
