"""Shows figures: a table for people, one JSON object for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Findings, Spread

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures were measured on: nothing that names the machine itself."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def as_json(findings: Sequence[Findings], on: dict[str, Any], *, quick: bool) -> bytes:
    """One object with everything."""
    return orjson.dumps(
        {
            "date": datetime.now(UTC).date().isoformat(),
            "quick": quick,
            "machine": on,
            "benchmarks": [found.to_json() for found in findings],
        }
    )


def keep(findings: Findings, on: dict[str, Any], *, quick: bool) -> None:
    """Write one benchmark's results to `benchmarks/results/NAME.json`, as soon as they are there."""
    RESULTS.mkdir(exist_ok=True)
    name = f"{findings.benchmark}-quick.json" if quick else f"{findings.benchmark}.json"
    (RESULTS / name).write_bytes(as_json([findings], on, quick=quick) + b"\n")


def show(findings: Findings, console: Console) -> None:
    """The table of one benchmark."""
    table = Table(title=f"[bold]{findings.benchmark}[/bold]: {findings.what}", title_justify="left", expand=False)
    compared = any(figure.beside is not None for figure in findings.figures)
    asked = any(figure.is_met is not None for figure in findings.figures)
    headings = ["figure", "ours" if compared else "measured"]
    headings += ["beside", "ours / beside"] if compared else []
    headings += ["needed"] if asked else []
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure in findings.figures:
        row = [f"{figure.name} [dim]({figure.unit})[/dim]", _spread(figure.ours)]
        if compared:
            row += [_spread(figure.beside), _share(figure)]
        if asked:
            row.append(_needed(figure))
        table.add_row(*row)
    console.print(table)
    for note in findings.notes:
        console.print(f"  [dim]· {note}[/dim]", highlight=False)
    console.print()


def _spread(values: Spread | None) -> str:
    if values is None:
        return ""
    if len(values.values) == 1:
        return _number(values.median)
    return f"{_number(values.median)} [dim]({_number(values.least)}..{_number(values.most)})[/dim]"


def _share(figure: Figure) -> str:
    share = figure.share
    if share is None:
        return ""
    return f"{_ratio(share.median)} [dim]({_ratio(share.least)}..{_ratio(share.most)})[/dim]"


def _ratio(value: float) -> str:
    return f"{value:.0%}" if value < 10 else f"{value:,.0f} times"


def _needed(figure: Figure) -> str:
    needs = []
    if figure.needed is not None:
        needs.append(f"≥ {_ratio(figure.needed)}")
    if figure.at_least is not None:
        needs.append(f"≥ {_number(figure.at_least)}")
    if figure.at_most is not None:
        needs.append(f"≤ {_number(figure.at_most)}")
    if not needs:
        return ""
    colour = "green" if figure.is_met else "red"
    return f"[{colour}]{', '.join(needs)}[/{colour}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
