"""Dealing people into groups: beside what others report for public instances, and beside our own first sketch."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, Findings, spread
from services.matcher.grouping import partition

SHARED = Path(__file__).parents[2] / "shared"
"""Beside the repository: public instances and sketches that are too large, or too rough, to be kept in it."""
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
_SKETCH_ROUNDS = {120: 3_000, 240: 1_000}
"""As many as take it about ten seconds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many instances, and how long each."""

    instances: int = 10
    time_limit_s: float = 10.0


QUICK = Bounds(instances=1, time_limit_s=1.0)


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
    """Solve public instances, each within the time limit."""
    files = sorted((SHARED / "data" / "mdgplib").glob("*.txt"))[: bounds.instances]
    if not files:
        raise FileNotFoundError("the instances of MDGPLIB are missing: put them into ../shared/data/mdgplib")
    sketch = _sketch()
    warm = np.ones((30, 30)) + np.eye(30)[::-1]
    partition(warm, [3] * 5, [9] * 5, time_limit_s=0.1)
    ours: list[float] = []
    seconds: list[float] = []
    sketched: list[float] = []
    for file in files:
        instance = read_instance(file)
        began = time.monotonic()
        group = partition(instance.weight, instance.lower, instance.upper, time_limit_s=bounds.time_limit_s)
        seconds.append(time.monotonic() - began)
        ours.append(float(instance.weight[group[:, None] == group].sum()) / 2)
        if sketch is not None:
            iterations = int(_SKETCH_ROUNDS[len(group)] * bounds.time_limit_s / 10)
            sketched.append(
                float(sketch.mdgp_its(instance.weight, instance.lower, instance.upper, 0, iterations, 3, 12)[0])
            )
        tell(f"{file.stem}: {ours[-1]:,.0f} after {seconds[-1]:.1f} s, the sketch {sketched[-1:]}")
    known = [place for place, file in enumerate(files) if file.stem in REPORTED]
    figures = [
        Figure(
            f"weight inside groups, {len(known)} instances",
            "weight",
            spread([ours[place] for place in known]),
            spread([float(REPORTED[files[place].stem]) for place in known]),
            REPORTED_SHARE,
        ),
        Figure(f"seconds an instance, limit {bounds.time_limit_s:g} s", "s", spread(seconds)),
    ]
    if sketched:
        figures.append(Figure("weight inside groups, beside the sketch", "weight", spread(ours), spread(sketched), 1.0))
    return Findings(
        "grouping",
        "dealing people into groups: ten instances of MDGPLIB",
        tuple(figures),
        (
            "Bare is what others report, without their times; then our own sketch (iterated local search, one thread).",
            "Each value of the spread is another instance.",
        ),
    )


def _sketch() -> ModuleType | None:
    """The first sketch of the search, where it is at hand."""
    file = SHARED / "prototypes" / "groups.py"
    if not file.exists():
        return None
    made = importlib.util.spec_from_file_location("grouping_sketch", file)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    sys.modules[made.name] = module
    made.loader.exec_module(module)
    return module
