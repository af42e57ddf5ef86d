"""Writes the tables of docs/simulation.md: what is assumed, from the file of it, and what came out, from a report.

connection simulate --json > year.json
python docs/simulation_tables.py year.json  # the figures of that report, and the assumptions
python docs/simulation_tables.py            # the assumptions alone
python docs/simulation_tables.py --check    # exit 1 if the assumptions are not as the file has them
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from simulation.assumptions import load_assumptions
from simulation.promises import PROMISES
from simulation.report import FARTHEST, STAGES, WISHES

PAGE = Path(__file__).with_name("simulation.md")


def assumption_rows() -> list[str]:
    file = load_assumptions()
    rows = ["| assumption | value | what is assumed |", "| --- | ---: | --- |"]
    for section, values in file.assumptions.model_dump().items():
        rows += [
            f"| `{section}.{name}` | {value:g} | {file.sentences[f'{section}.{name}']} |"
            for name, value in values.items()
        ]
    return rows


def promise_rows() -> list[str]:
    return [f"- {says}" for says in PROMISES.values()]


def funnel_rows(report: dict[str, Any]) -> list[str]:
    rows = [f"| | {' | '.join(STAGES)} |", f"| --- |{' ---: |' * len(STAGES)}"]
    for name in ("pairs", "groups"):
        total = report["funnel"][name]["total"]
        cells = (f"{total[stage]:,} ({total[stage] / total['suggested']:.1%})" for stage in STAGES)
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def waiting_rows(report: dict[str, Any]) -> list[str]:
    waits = ("until_suggested", "until_introduced", "until_met")
    rows = [
        "| looks for | a suggestion | nine in ten | an introduction | nine in ten | met somebody | nine in ten |",
        f"| --- |{' ---: |' * 6}",
    ]
    for wish in WISHES:
        cells = (report["waiting_days"][name][wish][part] for name in waits for part in ("median", "p90"))
        rows.append(f"| {wish} | {' | '.join('not yet' if days is None else f'{days:.3g}' for days in cells)} |")
    return rows


def left_out_rows(report: dict[str, Any]) -> list[str]:
    rows = [f"| looks for | members | {' | '.join(FARTHEST)} |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for wish in WISHES:
        found = report["left_out"][wish]
        cells = (f"{found[name]:,} ({found[name] / max(1, found['members']):.1%})" for name in FARTHEST)
        rows.append(f"| {wish} | {found['members']:,} | {' | '.join(cells)} |")
    return rows


def opener_rows(report: dict[str, Any]) -> list[str]:
    most = report["openers"]["by_most_within_window"]
    return [
        f"| the most in any {report['openers']['window_days']} days | {' | '.join(most)} |",
        f"| --- |{' ---: |' * len(most)}",
        f"| members | {' | '.join(f'{count:,}' for count in most.values())} |",
    ]


def with_tables(page: str, report: dict[str, Any] | None) -> str:
    """The page with its tables anew; those of figures only where there is a report."""
    tables = {"assumptions": assumption_rows(), "promises": promise_rows()}
    if report is not None:
        tables |= {
            "funnel": funnel_rows(report),
            "waiting": waiting_rows(report),
            "left out": left_out_rows(report),
            "openers": opener_rows(report),
        }
    for name, rows in tables.items():
        begins, ends = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        text = begins + "\n".join(rows) + "\n" + ends
        page, count = re.subn(
            re.escape(begins) + ".*?" + re.escape(ends), lambda _, text=text: text, page, flags=re.DOTALL
        )
        assert count == 1, f"the place of {name!r} is not in {PAGE.name}, or is there twice"
    return page


if __name__ == "__main__":
    found = PAGE.read_text(encoding="utf-8")
    reports = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:] if name != "--check"]
    wanted = with_tables(found, reports[0] if reports else None)
    if "--check" in sys.argv:
        sys.exit(found != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
