"""The plots: matplotlib, light, readable, and each says in itself that it shows a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulation.report import FARTHEST, WISHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _QUIET, _GRID = "#22303c", "#5b6b78", "#e3e8ec"
_BLUES = ("#d3e3f0", "#a5c8e1", "#6ba6cd", "#3a82b5", "#1d5c8f", "#0d3b66")
_WARM = "#c8553d"
_WISH_COLOURS = {"all": _INK, "pairs only": "#3a82b5", "groups only": _WARM, "both": "#4f9d69"}
_FAR_COLOURS = ("#c8553d", "#e8b298", "#bcd4c3", "#4f9d69")
_STAGES_SHOWN = ("suggested", "accepted", "met", "met again", "third meeting", "standing")


class NoPlotsError(RuntimeError):
    """Plots were asked for, and there is nothing to draw them with."""


def draw(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `simulation-*.png` into a folder, which is made if need be; the same report gives the same pictures.

    Raises
    ------
    NoPlotsError
        if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise NoPlotsError('plots need matplotlib: pip install "london-connection[figures]"') from error
    mpl.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with pyplot.rc_context(_style()):  # type: ignore[arg-type]
        for name, plot, width in (
            ("funnel", _funnel, 11.0),
            ("waiting", _waiting, 11.0),
            ("openers", _openers, 11.0),
            ("left-out", _left_out, 9.0),
            ("standing", _standing, 9.0),
        ):
            figure = pyplot.figure(figsize=(width, 4.8), layout="constrained")
            plot(figure, report)
            figure.supxlabel(_small_print(report), fontsize=8, color=_QUIET)
            file = folder / f"simulation-{name}.png"
            figure.savefig(file, dpi=110, metadata={"Software": None})
            pyplot.close(figure)
            files.append(file)
    return files


def _small_print(report: Mapping[str, Any]) -> str:
    return (
        f"Simulated, and no evidence: what people do is assumed. {report['members']:,} members, "
        f"{report['days']} days, seed {report['seed']}."
    )


def _style() -> dict[str, Any]:
    return {
        "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
        "axes.edgecolor": _QUIET, "axes.labelcolor": _INK, "text.color": _INK,
        "xtick.color": _INK, "ytick.color": _INK, "axes.grid": True, "grid.color": _GRID,
        "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
        "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "legend.frameon": False, "font.family": "DejaVu Sans",
    }  # fmt: skip


def _funnel(figure: Figure, report: Mapping[str, Any]) -> None:
    for place, name in enumerate(("pairs", "groups"), start=1):
        axes = figure.add_subplot(1, 2, place)
        months = report["funnel"][name]["by_month"]
        labels = [_month_name(month) for month in months]
        for stage, colour in zip(_STAGES_SHOWN, _BLUES, strict=True):
            axes.bar(labels, [counts[stage] for counts in months.values()], color=colour, width=0.8, label=stage)
        axes.set_title(f"What became of suggested {name}")
        axes.set_xlabel("month in which they were suggested")
        axes.set_ylabel(f"number of {name}")
        axes.grid(visible=False, axis="x")
        if place == 1:
            axes.legend(fontsize=8.5, title="came as far as")


def _waiting(figure: Figure, report: Mapping[str, Any]) -> None:
    waiting = report["waiting_days"]
    panels = (
        ("until_suggested", "Until first suggested to somebody", 60),
        ("until_met", "Until they first met somebody", 180),
    )
    for place, (name, title, days_max) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, 2, place)
        for wish in WISHES:
            curve = waiting[name][wish]["curve"]
            axes.step(
                [days for days, _ in curve], [100 * share for _, share in curve], where="post",
                color=_WISH_COLOURS[wish], linewidth=2.2 if wish == "all" else 1.5,
                label="everybody" if wish == "all" else f"look for {wish}",
            )  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel("days since sign-up")
        axes.set_ylabel("members to whom it has come (%)")
        axes.set_xlim(0, min(days_max, report["days"]))
        axes.set_ylim(0, 101)
        if place == 1:
            axes.legend(loc="lower right")


def _openers(figure: Figure, report: Mapping[str, Any]) -> None:
    openers = report["openers"]
    days, cap = openers["window_days"], openers["cap"]
    axes = figure.add_subplot(1, 2, 1)
    most = openers["by_most_within_window"]
    bars = axes.bar([int(number) for number in most], list(most.values()), color=_BLUES[3], width=0.7)
    axes.bar_label(bars, fontsize=9, color=_QUIET)
    axes.axvline(cap + 0.5, color=_WARM, linewidth=1.5)
    axes.text(cap + 0.56, axes.get_ylim()[1] * 0.97, f"cap: {cap}", color=_WARM, va="top")
    axes.set_xlim(-0.6, cap + 1.4)
    axes.set_xticks(range(cap + 2))
    axes.set_title(
        f"Openers: at most {cap} times in {days} days" if max(map(int, most)) <= cap else "The cap is broken"
    )
    axes.set_xlabel(f"the most that a member was asked to go first in any {days} days (times)")
    axes.set_ylabel("members who can go first")
    axes.grid(visible=False, axis="x")
    axes = figure.add_subplot(1, 2, 2)
    times = openers["by_times_asked"]
    axes.bar([int(number) for number in times], list(times.values()), color=_BLUES[2], width=0.8)
    axes.set_title("How often openers were asked in all")
    axes.set_xlabel("times asked to go first while they were members")
    axes.set_ylabel("members who can go first")
    axes.grid(visible=False, axis="x")


def _left_out(figure: Figure, report: Mapping[str, Any]) -> None:
    axes: Axes = figure.add_subplot()
    left_out = report["left_out"]
    labels = [f"{_whom(wish)}\n({left_out[wish]['members']:,})" for wish in WISHES]
    left = [0.0] * len(WISHES)
    for name, colour in zip(FARTHEST, _FAR_COLOURS, strict=True):
        shares = [100 * left_out[wish][name] / max(1, left_out[wish]["members"]) for wish in WISHES]
        bars = axes.barh(labels, shares, left=left, color=colour, label=name, height=0.65)
        axes.bar_label(
            bars, [f"{share:.0f} %" if share >= 4 else "" for share in shares], label_type="center", fontsize=9
        )
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_title(f"How far members came who were here for {left_out['counted_after_days']} days or more", pad=30)
    axes.set_xlabel("members (%)")
    axes.set_ylabel("what they look for (members)")
    axes.grid(visible=False, axis="y")
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, columnspacing=1.2, handlelength=1.2)


def _standing(figure: Figure, report: Mapping[str, Any]) -> None:
    axes = figure.add_subplot()
    days = report["standing"]["by_day"]
    for place, (label, colour) in enumerate(
        (("standing pairs", _BLUES[3]), ("standing groups", "#4f9d69"), ("free seats in standing groups", _WARM))
    ):
        axes.plot(range(1, len(days) + 1), [day[place] for day in days], color=colour, linewidth=2, label=label)
    axes.set_title("Pairs and groups that keep meeting")
    axes.set_xlabel("day of the simulation")
    axes.set_ylabel("number on that day")
    axes.set_xlim(0, max(1, len(days)))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")


def _whom(wish: str) -> str:
    return {"all": "everybody", "both": "pairs and groups"}.get(wish, wish)


def _month_name(month: str) -> str:
    return f"{date.fromisoformat(f'{month}-01'):%b}"
