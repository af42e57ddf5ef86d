"""The one file of assumptions: it says what it is, and a wrong one says what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.assumptions import AssumptionsError, load_assumptions


def changes(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_assumption_says_that_it_is_one() -> None:
    file = load_assumptions()
    values = {f"{section}.{name}" for section, part in file.assumptions.model_dump().items() for name in part}
    assert set(file.sentences) == values
    assert all("assum" in sentence and sentence.endswith(".") for sentence in file.sentences.values())


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    usual = load_assumptions()
    file = changes(
        tmp_path,
        "answering:\n  says_yes: 0.9\nmeeting:\n  goes:\n    value: 1\n    assumed: We assume that all come.\n",
    )
    changed = load_assumptions(file)
    assert changed.assumptions.answering.says_yes == 0.9
    assert changed.assumptions.meeting.goes == 1
    assert changed.sentences["meeting.goes"] == "We assume that all come."
    assert changed.sentences["answering.says_yes"] == usual.sentences["answering.says_yes"]
    assert changed.assumptions.standing == usual.assumptions.standing


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("answering: {says_yes: 1.5}", "mine.yaml: answering.says_yes: input should be less than or equal to 1"),
        ("answering: {says_yes: often}", "mine.yaml: answering.says_yes"),
        ("answering: {says_maybe: 0.1}", "mine.yaml: answering.says_maybe: no such assumption; there are says_yes"),
        ("dreaming: {nightly: 1}", "mine.yaml: dreaming: no such section; there are joining"),
        ("answering: 3", "mine.yaml: answering: must hold assumptions"),
        ("answering: {says_yes: {assumed: We assume it.}}", "mine.yaml: answering.says_yes: must have `value`"),
        ("- 1", "mine.yaml: must hold sections"),
        ("answering: [", "mine.yaml is not valid YAML"),
        ("answering: {yes: 0.5}", "mine.yaml: answering.True: no such assumption"),
        ("reading: {wakes_at_hour: 23}", "must be later than reading.wakes_at_hour"),
        ("standing: {leaves_per_date: .nan}", "mine.yaml: standing.leaves_per_date"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(AssumptionsError) as refused:
        load_assumptions(changes(tmp_path, text))
    assert says in str(refused.value)
