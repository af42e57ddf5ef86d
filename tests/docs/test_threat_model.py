"""The threat model is true as far as that can be checked: what it names is there, and nothing is left open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
SECTIONS = {
    paragraph.split("**")[1].rstrip("."): " ".join(paragraph.split())
    for paragraph in TEXT.split("## What is kept")[0].split("\n\n")
    if paragraph.startswith("**")
}
WHO = (
    "stranger with a link", "member who wants", "guesses ids", "harasses", "report somebody", "partner app",
    "learn from webhooks", "look into our network", "mail server", "listens", "into the matcher", "into the notifier",
    "into intake", "thief", "busy", "operator", "supply chain",
)  # fmt: skip
_FILE = re.compile(r"`((?:services|shared|connection|tests|deploy|docs)/[\w./-]+)`")
_SETTING = re.compile(r"`([A-Z]+_[A-Z_]+)`")


def test_everybody_is_thought_of() -> None:
    assert [who for who in WHO if not any(who in name for name in SECTIONS)] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_each_has_a_counter_measure_that_names_code_or_a_test_and_something_accepted(name: str) -> None:
    against, accepted, rest = SECTIONS[name].partition("*Accepted*:")
    assert _FILE.findall(against), "what stands against it, and where?"
    assert accepted, "nothing is without a rest"
    assert len(rest.split()) > 5


def test_every_file_and_every_decision_that_it_names_is_there() -> None:
    named = {*_FILE.findall(TEXT), *(f"docs/{link}" for link in re.findall(r"\]\(([^)#]+)", TEXT))}
    assert len(named) > 30
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_setting_that_it_names_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(_SETTING.findall(TEXT))
    assert named
    assert {name for name in named if f"`{name}`" not in readme} == set()
