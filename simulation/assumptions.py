"""Reads `assumptions.yaml`: a value and a sentence for each assumption, with errors that say what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

ASSUMPTIONS_FILE = Path(__file__).with_name("assumptions.yaml")

Share = Annotated[float, Field(ge=0, le=1)]
Odds = Annotated[float, Field(gt=0, le=100)]


class AssumptionsError(ValueError):
    """An assumptions file that cannot be used: says which file, which assumption, and what would be right."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Joining(_Part):
    """Who comes, and who goes again whatever happens."""

    there_at_the_start: Share
    share_of_openers: Share
    leaves_per_month: Share
    unsubscribes_per_month: Share
    erases_per_month: Share
    pauses_per_month: Share
    pause_days: Annotated[int, Field(ge=1, le=365)]
    leaves_after_a_disappointment: Share


class Reading(_Part):
    """When an email is read, if ever."""

    hours_median: Annotated[float, Field(gt=0, le=240)]
    hours_spread: Annotated[float, Field(ge=0, le=3)]
    never_reads: Share
    wakes_at_hour: Annotated[int, Field(ge=0, le=23)]
    sleeps_at_hour: Annotated[int, Field(ge=1, le=24)]


class Answering(_Part):
    """What is answered to an invitation."""

    says_yes: Share
    spread_of_people: Annotated[float, Field(ge=0, le=5)]
    odds_per_point_of_openness: Odds
    odds_per_tenth_of_score: Odds
    odds_per_week_waited: Odds
    odds_per_disappointment: Odds
    no_instead_of_silence: Share
    pause_instead_of_silence: Share
    answers_the_reminder: Share
    yes_to_a_newcomer: Share


class Meetings(_Part):
    """Who goes, what becomes of it, and what they say about it."""

    goes: Share
    goes_again: Share
    offers_to_open: Share
    past_small_talk: Share
    odds_with_an_opener: Odds
    odds_per_point_of_openness: Odds
    odds_per_earlier_meeting: Odds
    tells: Share
    again: Share
    odds_past_small_talk: Odds
    odds_again_per_tenth_of_score: Odds
    odds_again_per_earlier_meeting: Odds
    blocks: Share
    reports_instead_of_blocks: Share


class Standing(_Part):
    """How standing groups live."""

    goes: Share
    leaves_per_date: Share


class Running(_Part):
    """How the services are run."""

    hours_between_rounds: Annotated[float, Field(ge=0.25, le=168)]


class Assumptions(_Part):
    """All of them."""

    joining: Joining
    reading: Reading
    answering: Answering
    meeting: Meetings
    standing: Standing
    running: Running


@dataclass(frozen=True)
class AssumptionsFile:
    """What is assumed, and the sentence that says so for each, by `section.name`."""

    assumptions: Assumptions
    sentences: dict[str, str]


def load_assumptions(changes: Path | None = None) -> AssumptionsFile:
    """Those of `assumptions.yaml`, with what another file changes in them.

    That file has the same form, needs name no more than it changes, and may give a bare value
    (`says_yes: 0.5`): the sentence then stays as it was.

    Raises
    ------
    AssumptionsError
        if a file is no YAML, or names an assumption that there is not, or gives a value that makes no sense.
    """
    values, sentences = _read(ASSUMPTIONS_FILE)
    _say_what_is_missing(values, sentences)
    if changes is not None:
        changed, reworded = _read(changes)
        for section, names in changed.items():
            if section not in values:
                raise AssumptionsError(f"{changes.name}: {section}: no such section; there are {', '.join(values)}")
            for name in names:
                if name not in values[section]:
                    known = ", ".join(values[section])
                    raise AssumptionsError(f"{changes.name}: {section}.{name}: no such assumption; there are {known}")
            values[section] |= names
        sentences |= reworded
    try:
        assumptions = Assumptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        file = (changes or ASSUMPTIONS_FILE).name
        raise AssumptionsError(f"{file}: {field}: {first['msg'].lower()}, not {first['input']!r}") from error
    if assumptions.reading.sleeps_at_hour <= assumptions.reading.wakes_at_hour:
        raise AssumptionsError(
            f"{(changes or ASSUMPTIONS_FILE).name}: reading.sleeps_at_hour: must be later than reading.wakes_at_hour"
        )
    return AssumptionsFile(assumptions, sentences)


def _read(file: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Values by section and name, and sentences by `section.name`."""
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AssumptionsError(f"{file.name} is not valid YAML: {error}") from error
    except OSError as error:
        raise AssumptionsError(f"{file.name} cannot be read: {error.strerror}") from error
    if not isinstance(content, dict):
        raise AssumptionsError(f"{file.name}: must hold sections, such as `answering:`, with assumptions in them")
    values: dict[str, dict[str, Any]] = {}
    sentences: dict[str, str] = {}
    for section, entries in content.items():
        if not isinstance(entries, dict):
            raise AssumptionsError(f"{file.name}: {section}: must hold assumptions, such as `says_yes: 0.5`")
        values[section] = {}
        for name, entry in entries.items():
            if not isinstance(entry, dict):
                values[section][name] = entry
                continue
            if "value" not in entry or not entry.keys() <= {"value", "assumed"}:
                raise AssumptionsError(f"{file.name}: {section}.{name}: must have `value`, and may have `assumed`")
            values[section][name] = entry["value"]
            if "assumed" in entry:
                sentences[f"{section}.{name}"] = str(entry["assumed"])
    return values, sentences


def _say_what_is_missing(values: dict[str, dict[str, Any]], sentences: dict[str, str]) -> None:
    for section, names in values.items():
        for name in names:
            if "assum" not in sentences.get(f"{section}.{name}", ""):
                wanted = "needs a sentence `assumed` that says that it is an assumption"
                raise AssumptionsError(f"{ASSUMPTIONS_FILE.name}: {section}.{name}: {wanted}")
