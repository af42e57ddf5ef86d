"""What a benchmark finds: figures with their spread, and whether they are what is needed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure, taken several times: in the order of the rounds, never empty."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)

    def to_json(self) -> dict[str, Any]:
        return {"median": self.median, "min": self.least, "max": self.most, "rounds": list(self.values)}


def spread(values: Sequence[float]) -> Spread:
    """Some values as a `Spread`; raises `ValueError` if there is none."""
    if not values:
        raise ValueError("nothing was measured")
    return Spread(tuple(float(value) for value in values))


def ratio(ours: Spread, beside: Spread) -> Spread:
    """Round by round, ours over the other: what disturbed a whole round cancels out.

    >>> ratio(spread([10, 30]), spread([20, 40])).values
    (0.5, 0.75)
    """
    return Spread(tuple(one / other for one, other in zip(ours.values, beside.values, strict=True)))


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    unit: str
    ours: Spread
    beside: Spread | None = None
    """The bare side, measured in the same rounds."""
    needed: float | None = None
    """The least that the median ratio must be; `None` where nothing is asked."""
    at_least: float | None = None
    at_most: float | None = None
    """What our median must be, by itself; `None` where nothing is asked."""

    @property
    def share(self) -> Spread | None:
        return None if self.beside is None else ratio(self.ours, self.beside)

    @property
    def is_met(self) -> bool | None:
        """Whether it is what is needed; `None` where nothing is asked."""
        asked = []
        if self.needed is not None and self.share is not None:
            asked.append(self.share.median >= self.needed)
        if self.at_least is not None:
            asked.append(self.ours.median >= self.at_least)
        if self.at_most is not None:
            asked.append(self.ours.median <= self.at_most)
        return all(asked) if asked else None

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"name": self.name, "unit": self.unit, "ours": self.ours.to_json()}
        if self.beside is not None and self.share is not None:
            body |= {"beside": self.beside.to_json(), "share": self.share.to_json()}
        if self.needed is not None:
            body["needed"] = self.needed
        if self.at_least is not None:
            body["at_least"] = self.at_least
        if self.at_most is not None:
            body["at_most"] = self.at_most
        if self.is_met is not None:
            body["met"] = self.is_met
        return body


@dataclass(frozen=True, slots=True)
class Findings:
    """What one benchmark found, and what has to be known to read it."""

    benchmark: str
    what: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    series: Mapping[str, Any] = field(default_factory=dict)
    """What a plot is drawn from: see `benchmarks.plots`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "what": self.what,
            "figures": [figure.to_json() for figure in self.figures],
            "notes": list(self.notes),
            "series": dict(self.series),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below or at which so large a share of the values lies (nearest rank), `share` in 0..1.

    >>> percentile([5, 1, 4, 2, 3], 0.5), percentile([5, 1, 4, 2, 3], 0.99)
    (3, 5)
    """
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]
