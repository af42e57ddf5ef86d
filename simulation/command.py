"""`connection simulate`: runs the year, and shows what came of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from demo.london import COMMUNITY
from shared.community import CommunityFileError, load_communities
from simulation.assumptions import AssumptionsError, load_assumptions
from simulation.figures import NoPlotsError, draw
from simulation.report import report_of
from simulation.run import simulate
from simulation.table import show

COMMUNITIES = Path(__file__).parents[1] / "communities"
_BROKEN, _MISUSED = 1, 2


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What `connection simulate` was asked for."""

    members: int = 2000
    days: int = 365
    seed: int = 1
    assumptions: Path | None = None
    figures: Path | None = None
    json: bool = False


def simulate_command(options: SimulateOptions) -> int:
    """The exit status: 0, 1 if a promise was broken, 2 if a file cannot be used or plots cannot be drawn.

    Tables or JSON go to standard output, progress to standard error.
    """
    messages = Console(stderr=True)
    try:
        assumed = load_assumptions(options.assumptions)
        community = load_communities(COMMUNITIES)[COMMUNITY]
    except (AssumptionsError, CommunityFileError) as error:
        messages.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        return _MISUSED
    with _progress(messages) as progress:
        task = progress.add_task("Getting ready", total=options.days)

        def on_day(day: int) -> None:
            progress.update(task, completed=day, description=f"Day {day} of {options.days}")

        year = simulate(
            community, assumed.assumptions, members=options.members, days=options.days, seed=options.seed, on_day=on_day
        )
    report = report_of(year)
    if options.json:
        print(orjson.dumps(report).decode())
    else:
        show(report, Console(width=None if sys.stdout.isatty() else 140))
    if options.figures is not None:
        try:
            files = draw(report, options.figures)
        except (NoPlotsError, OSError) as error:
            messages.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
            return _MISUSED
        messages.print(f"{len(files)} plots are in {options.figures}.", highlight=False)
    return _BROKEN if year.promises.broken else 0


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(), console=console
    )
