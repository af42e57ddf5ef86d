"""Dealing people into groups: beside what others report for public instances, and beside our own first sketch."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds as Between
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_array

from benchmarks.city import LONDON, NOW_MS, people
from benchmarks.figures import Figure, Findings, spread
from services.matcher.candidates import best_candidates
from services.matcher.compatibility import graph_of
from services.matcher.grouping import group, partition
from services.matcher.grouping.circles import circles_of
from services.matcher.grouping.growing import Made, grow
from services.matcher.grouping.people import GROUP_MEMBERS_MAX, VALUE_UNIT, people_of
from services.matcher.interests import InterestSpace
from services.matcher.policy import Policy
from services.matcher.round import warm_up
from services.matcher.snapshot import Snapshot

_BESIDE = Path(__file__).parents[2] / "shared"
MDGPLIB = Path(os.environ.get("MDGPLIB_DATA") or _BESIDE / "data" / "mdgplib")
"""The folder with the public instances (RanInt, sizes that differ), which are no part of this project."""
PEER = Path(os.environ.get("GROUPING_PEER") or _BESIDE / "prototypes" / "groups.py")
"""A sketch of the search that came before ours, where it is at hand."""
REPORTED = {
    "RanInt_n120_ds_01": 51_146,
    "RanInt_n120_ds_02": 51_372,
    "RanInt_n120_ds_03": 50_248,
    "RanInt_n120_ds_04": 50_436,
    "RanInt_n120_ds_05": 50_008,
    "RanInt_n240_ds_01": 160_596,
    "RanInt_n240_ds_02": 160_468,
    "RanInt_n240_ds_03": 160_400,
    "RanInt_n240_ds_04": 162_619,
}
"""Values that others found for instances of MDGPLIB; none is known to us for the tenth."""
REPORTED_SHARE = 0.996
_SKETCH_ROUNDS = {120: 1_500, 240: 500}
"""As many as take it about five seconds on a quiet machine: more brought it nothing."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many instances, and how long each."""

    instances: int = 10
    time_limit_s: float = 10.0
    tiny_cases: int = 50
    people: int = 50_000


QUICK = Bounds(instances=1, time_limit_s=1.0, tiny_cases=5, people=2_000)


@dataclass(frozen=True, slots=True)
class Instance:
    """A maximum diversity grouping problem."""

    weight: NDArray[np.float64]
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]


def read_instance(file: Path) -> Instance:
    """Read a file of MDGPLIB: n, the number of groups, `ds`, lower and upper of each group; then i, j, weight."""
    words = file.read_text(encoding="ascii").split()
    n, groups = int(words[0]), int(words[1])
    bounds = np.array(words[3 : 3 + 2 * groups], np.int64).reshape(groups, 2)
    table = np.array(words[3 + 2 * groups :], np.float64).reshape(-1, 3)
    one, other = table[:, 0].astype(int), table[:, 1].astype(int)
    weight = np.zeros((n, n))
    weight[one, other] = weight[other, one] = table[:, 2]
    return Instance(weight, bounds[:, 0].copy(), bounds[:, 1].copy())


def run(bounds: Bounds, tell: Callable[[str], None]) -> Findings:
    """Solve public instances within the time limit, tiny ones beside an exact solver, and deal a city into groups."""
    files = sorted(MDGPLIB.glob("RanInt_*.txt"))[: bounds.instances]
    if not files:
        raise SystemExit("the instances of MDGPLIB are missing: MDGPLIB_DATA must name the folder that holds them")
    sketch = _sketch()
    warm = np.ones((30, 30)) + np.eye(30)[::-1]
    partition(warm, [3] * 5, [9] * 5, time_limit_s=0.1)
    ours: list[float] = []
    seconds: list[float] = []
    sketched: list[float] = []
    for file in files:
        instance = read_instance(file)
        began = time.monotonic()
        dealt = partition(instance.weight, instance.lower, instance.upper, time_limit_s=bounds.time_limit_s)
        seconds.append(time.monotonic() - began)
        ours.append(float(instance.weight[dealt[:, None] == dealt].sum()) / 2)
        if sketch is not None:
            iterations = int(_SKETCH_ROUNDS[len(dealt)] * bounds.time_limit_s / 10)
            sketched.append(
                float(sketch.mdgp_its(instance.weight, instance.lower, instance.upper, 0, iterations, 3, 12)[0])
            )
        tell(f"{file.stem}: {ours[-1]:,.0f} after {seconds[-1]:.1f} s, the sketch {sketched[-1:]}")
    known = [place for place, file in enumerate(files) if file.stem in REPORTED]
    figures = [
        Figure(
            f"weight inside groups, of what others report, {len(known)} instances",
            "share",
            spread([ours[place] / REPORTED[files[place].stem] for place in known]),
            at_least=REPORTED_SHARE,
        ),
        Figure(f"seconds an instance, limit {bounds.time_limit_s:g} s", "s", spread(seconds)),
    ]
    if sketched:
        figures.append(Figure("weight inside groups, beside the sketch", "weight", spread(ours), spread(sketched), 1.0))
    tell(f"{bounds.tiny_cases} tiny cases, beside a solver")
    figures.append(
        Figure(
            "tiny cases (8 to 16 members) in which no partition is better, by a solver", "share",
            spread([float(np.mean([_is_best(case) for case in range(bounds.tiny_cases)]))]), at_least=1.0,
        )
    )  # fmt: skip
    tell(f"{bounds.people:,} people of a made-up city")
    figures += _city(bounds.people)
    return Findings(
        "grouping",
        "dealing people into groups: ten instances of MDGPLIB, and a made-up city",
        tuple(figures),
        (
            "What others report comes without their times. The sketch is our own first one: iterated local search.",
            "Each value of the spread is another instance.",
            "In the city: groups as `group` makes them, beside what growing them alone comes to; without candidates. "
            "Seconds for a million are in the benchmark of rounds.",
        ),
    )


def _is_best(case: int) -> bool:
    """Whether a made-up tiny case is solved as well as a solver does, for which every possible group is a column."""
    draw = np.random.default_rng(case)
    n = int(draw.integers(8, 17))
    groups = max(2, n // 4)
    smallest, largest = n // groups - int(draw.integers(0, 2)), -(-n // groups) + int(draw.integers(0, 2))
    half = np.triu(draw.integers(-20, 100, (n, n)), 1).astype(float)
    weight = half + half.T
    columns = [each for size in range(smallest, largest + 1) for each in combinations(range(n), size)]
    value = [sum(weight[a, b] for a, b in combinations(each, 2)) for each in columns]
    row = [member for each in columns for member in (*each, n)]
    column = [place for place, each in enumerate(columns) for _ in range(len(each) + 1)]
    cover = csr_array((np.ones(len(row)), (row, column)), shape=(n + 1, len(columns)))
    needed = np.array([*[1] * n, groups])
    found = milp(
        -np.array(value), constraints=LinearConstraint(cover, needed, needed), integrality=np.ones(len(columns)),
        bounds=Between(0, 1), options={"mip_rel_gap": 0},
    )  # fmt: skip
    group = partition(weight, [smallest] * groups, [largest] * groups, time_limit_s=10)
    return bool(abs(weight[group[:, None] == group].sum() / 2 + found.fun) < 1e-6)


def _city(count: int) -> list[Figure]:
    """How good groups are for the members of a city, and how long they take."""
    policy = Policy()
    snapshot = Snapshot.of(LONDON, people(count), now_ms=NOW_MS, waited_rounds={}, opener_load={})
    space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
    graph = graph_of(best_candidates(snapshot, space, policy), snapshot, space, policy)
    warm_up()
    began = time.monotonic()
    groups = group(graph, snapshot, policy, space=space)
    seconds = time.monotonic() - began
    seekers, rule, grid = people_of(graph, snapshot, policy, space)
    place = np.full(snapshot.size, -1, np.int32)
    place[seekers.row] = np.arange(len(seekers.row), dtype=np.int32)
    seats = np.full((len(groups), GROUP_MEMBERS_MAX), -1, np.int32)
    for number, each in enumerate(groups):
        seats[number, : len(each.members)] = place[list(each.members)]
    size = np.array([len(each.members) for each in groups], np.int32)
    value = circles_of(Made(seats, size, np.zeros(len(groups), np.int32)), seekers, rule).value.sum() / VALUE_UNIT
    free = np.ones(len(seekers.row), np.bool_)
    with ThreadPoolExecutor(policy.threads) as executor:
        hosts = np.flatnonzero(seekers.openers).astype(np.int32)
        grown = grow(hosts, seekers, rule, grid, free, executor)
    grown_value = circles_of(grown, seekers, rule).value.sum() / VALUE_UNIT
    opened = (seekers.openers[seats] & (seats >= 0)).any(axis=1)
    return [
        Figure(f"{count:,} people: what groups are worth, beside growing alone", "millionths",
               spread([float(value)]), spread([float(grown_value)]), 1.0),
        Figure("– members in groups, of those who look for one", "share", spread([size.sum() / len(seekers.row)])),
        Figure("– groups without an opener", "groups", spread([float((~opened).sum())]), at_most=0),
        Figure("– seconds", "s", spread([seconds])),
    ]  # fmt: skip


def _sketch() -> ModuleType | None:
    """The first sketch of the search, where it is at hand."""
    if not PEER.exists():
        return None
    made = importlib.util.spec_from_file_location("grouping_sketch", PEER)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    sys.modules[made.name] = module
    made.loader.exec_module(module)
    return module
