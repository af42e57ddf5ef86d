"""The command: the same numbers on every machine, plots, and errors that say what would be right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def run(*options: str, hash_seed: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "connection", "simulate", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "MATCHER_OPENER_WINDOW_DAYS": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_same_seed_gives_the_same_numbers_in_whatever_process(tmp_path: Path) -> None:
    small = ("--members", "120", "--days", "40", "--seed", "7", "--json")
    first = run(*small, "--figures", str(tmp_path), hash_seed=1)
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert found["promises"]["broken"] == 0
    assert "no evidence" in found["caveat"]
    assert found["funnel"]["pairs"]["total"]["met"] > 0
    plots = sorted(tmp_path.iterdir())
    assert [plot.name for plot in plots] == [
        f"simulation-{name}.png" for name in ("funnel", "left-out", "openers", "standing", "waiting")
    ]
    assert all(plot.read_bytes().startswith(PNG) for plot in plots)
    assert run(*small, hash_seed=2).stdout == first.stdout


@pytest.mark.parametrize(
    ("text", "says"), [("answering: {says_yes: 2}", "answering.says_yes"), ("[", "not valid YAML")]
)
def test_a_wrong_file_is_refused_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    refused = run("--assumptions", str(file))
    assert refused.returncode == 2
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
