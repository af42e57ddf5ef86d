"""What people write is understood: 387 inputs, at least 95 in 100 right, and in each kind at least 90."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from services.intake.gazetteer import Gazetteer, load_gazetteers
from services.intake.times import times
from services.intake.vocabulary import interests
from shared.community import load_communities
from shared.slots import SLOTS, slots_in

WRITTEN = yaml.safe_load((Path(__file__).parent / "as_people_write.yaml").read_text(encoding="utf-8"))
DAYS = {"monday": "mon", "friday": "fri", "saturday": "sat", "sunday": "sun"}


@cache
def london() -> Gazetteer:
    return load_gazetteers(load_communities(Path(__file__).parents[2] / "communities"))["london"]


def interests_understood(text: str) -> list[str]:
    understood = interests().understand(text)
    return [f"?{word}" for word in understood.did_you_mean[:1]] or list(understood.kept)


def place_understood(text: str) -> list[str] | None:
    found = london().find(text)
    if found.places:
        return sorted(place.name for place in found.places)
    return [f"?{name}" for name in found.did_you_mean[:1]] or None


def slots_meant(words: list[str] | None) -> set[str] | None:
    """The codes that a line of the file stands for."""
    if words is None:
        return None
    meant: set[str] = set()
    for word in words:
        if word in SLOTS:
            meant.add(word)
            continue
        days = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
        if word.startswith("weekday"):
            days = days - {"sat", "sun"}
        elif word.startswith("weekend"):
            days = {"sat", "sun"}
        elif word in DAYS:
            days = {DAYS[word]}
        parts = [part for part in ("morning", "afternoon", "evening") if part in word] or [
            "morning", "afternoon", "evening",
        ]  # fmt: skip
        meant |= {f"{day}-{part}" for day in days for part in parts}
    return meant


def judged() -> Iterator[tuple[str, str, Any, Any]]:
    for text, wanted in WRITTEN["interests"]:
        yield "interests", text, interests_understood(text), wanted
    for text, wanted in WRITTEN["places"]:
        yield "places", text, place_understood(text), sorted(wanted) if wanted else None
    for text, wanted in WRITTEN["slots"]:
        read = slots_in(times().read(text))
        yield "slots", text, set(read) or None, slots_meant(wanted)


def test_at_least_95_in_100_of_what_people_write_is_understood() -> None:
    wrong = [(kind, text, got) for kind, text, got, wanted in judged() if got != wanted]
    total = sum(map(len, WRITTEN.values()))
    assert total >= 300
    assert len(wrong) <= 0.05 * total, wrong
    for kind, entries in WRITTEN.items():
        assert sum(1 for entry in wrong if entry[0] == kind) <= 0.1 * len(entries), (kind, wrong)


if __name__ == "__main__":
    missed = [entry for entry in judged() if entry[2] != entry[3]]
    for entry in missed:
        print(*entry)
    print(f"{len(missed)} wrong of {sum(map(len, WRITTEN.values()))}")
