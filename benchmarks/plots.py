"""Draws what the benchmarks of the matching found, for people who would rather look than read.

python -m benchmarks.plots      reads benchmarks/results/*.json, writes docs/figures/matching-*.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson

from benchmarks.report import RESULTS

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
_COLOURS = ("#355c7d", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51", "#8d6a9f", "#b5838d", "#6d6875", "#adb5bd")


def main() -> int:
    """Draw what there are results for; 1 if there are none at all."""
    drawn = [name for name, draw in (("round", draw_round), ("waiting", draw_waiting)) if _draw(name, draw)]
    if not drawn:
        print("No results yet: run `make bench ARGS='round waiting'` first.", file=sys.stderr)
        return 1
    return 0


def _draw(name: str, draw: Any) -> bool:
    file = RESULTS / f"{name}.json"
    if not file.exists():
        return False
    series = orjson.loads(file.read_bytes())["benchmarks"][0]["series"]
    target = FIGURES / f"matching-{name}.png"
    draw(series).savefig(target, dpi=110, bbox_inches="tight", facecolor="white")
    plt.close("all")
    print(target.relative_to(FIGURES.parents[1]))
    return True


def draw_round(series: dict[str, Any]) -> Any:
    """Time and quality of whole rounds against the size of the community."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    sizes = series["sizes"]
    places = range(len(sizes))
    below = [0.0] * len(sizes)
    for colour, (phase, seconds) in zip(_COLOURS, series["seconds"].items(), strict=False):
        share = [one / size * 1e6 for one, size in zip(seconds, sizes, strict=True)]
        left.bar(places, share, bottom=below, label=phase, color=colour, width=0.62)
        below = [one + other for one, other in zip(below, share, strict=True)]
    for place, size, height in zip(places, sizes, below, strict=True):
        left.annotate(f"{height * size / 1e6:,.1f} s", (place, height), ha="center", va="bottom", fontsize=9)
    left.set_xticks(places, [f"{size:,}" for size in sizes])
    left.set_ylim(0, max(below) * 1.15)
    _name(left, "A round's time, phase by phase", "members", "microseconds a member")
    left.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
    for colour, what, label in (
        (_COLOURS[0], "quality", "weight of pairs / what no pairing exceeds"),
        (_COLOURS[4], "suggested", "members who are suggested something"),
    ):
        right.plot(sizes, series[what], "o-", color=colour, label=label)
    right.set_xscale("log")
    right.set_xticks(sizes, [f"{size:,}" for size in sizes])
    right.minorticks_off()
    right.set_ylim(min(0.9, *series["quality"], *series["suggested"]) - 0.02, 1.005)
    _name(right, "How good it is", "members", "share")
    right.legend(fontsize=8, frameon=False, loc="lower right")
    figure.tight_layout()
    return figure


def draw_waiting(series: dict[str, Any]) -> Any:
    """How long members had waited in vain when they were suggested something, and how long the others wait now."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    after = {int(rounds): number for rounds, number in series["suggested_after"].items()}
    still = {int(rounds): number for rounds, number in series["still_waiting"].items() if int(rounds)}
    axes.bar(list(after), list(after.values()), color=_COLOURS[0], label="when they were suggested something")
    axes.plot(list(still), list(still.values()), "o", color=_COLOURS[4], label="those who wait at the end")
    axes.set_yscale("log")
    _name(axes, "Who waits, and for how long", "rounds waited in vain", "members (each step is ten times as many)")
    for rounds, what in ((3, "distance"), (6, "interests"), (9, "size")):
        axes.axvline(rounds - 0.5, color="#adb5bd", linestyle=":", linewidth=1)
        axes.annotate(
            f"{what} eased", (rounds - 0.4, axes.get_ylim()[1]), rotation=90, va="top", fontsize=8, color="#6d6875"
        )
    axes.legend(fontsize=9, frameon=False)
    figure.tight_layout()
    return figure


def _name(axes: Axes, title: str, across: str, upwards: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(across)
    axes.set_ylabel(upwards)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    sys.exit(main())
