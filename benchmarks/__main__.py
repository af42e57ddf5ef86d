"""`python -m benchmarks [NAME...] [--json] [--quick]`: see the package's own words."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from rich.console import Console

from benchmarks import __doc__ as about
from benchmarks.figures import Findings
from benchmarks.report import as_json, keep, machine, show

_WIDTH_IN_A_FILE = 140
NAMES = (
    "intake", "extras", "topic", "restart", "latency", "emails", "interests", "candidates", "pairing", "grouping",
    "round", "waiting", "arrivals",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the benchmarks asked for (all of them, if none is named). 0 if every figure needed was reached."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the very last line")
    parser.add_argument("--quick", action="store_true", help="little and short: shows that it runs, no more")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}")

    on = machine()
    console, progress = Console(), Console(stderr=True)
    if not console.is_terminal:
        console = Console(width=_WIDTH_IN_A_FILE)
    found: list[Findings] = []
    for name in options.names or NAMES:
        module: Any = importlib.import_module(f"benchmarks.{name}")
        bounds = module.QUICK if options.quick else module.Bounds()
        progress.print(f"[dim]{name} …[/dim]")
        findings: Findings = module.run(bounds, lambda line, name=name: progress.print(f"[dim]{name}: {line}[/dim]"))
        keep(findings, on, quick=options.quick)
        show(findings, console)
        found.append(findings)
    if options.json:
        print(as_json(found, on, quick=options.quick).decode())
    return 1 if any(figure.is_met is False for findings in found for figure in findings.figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
