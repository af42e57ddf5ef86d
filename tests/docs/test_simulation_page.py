"""The page about the simulation says what the simulation assumes and watches, and shows only plots that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "simulation.md"


def test_the_page_has_every_assumption_and_promise_as_they_are() -> None:
    command = [sys.executable, "docs/simulation_tables.py", "--check"]
    check = subprocess.run(command, cwd=ROOT, check=False, env={"PYTHONPATH": str(ROOT)})
    assert check.returncode == 0, "run: python docs/simulation_tables.py"


def test_the_plots_are_there() -> None:
    plots = re.findall(r"\]\((figures/[^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(plots) == 5
    assert all((PAGE.parent / plot).is_file() for plot in plots)
