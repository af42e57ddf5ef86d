"""The synthetic London: valid, seeded, and like people."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from demo.london import neighbourhoods, people, person, synthesize
from shared.contracts import CloudEvent, SignUp


@pytest.fixture(scope="module")
def crowd() -> list[dict[str, Any]]:
    return synthesize(1500, 7)


def test_everybody_is_a_valid_sign_up(crowd: list[dict[str, Any]]) -> None:
    for event in crowd:
        CloudEvent.model_validate_json(json.dumps(event))
        SignUp.model_validate_json(json.dumps(event["data"]))


def test_the_same_seed_gives_the_same_people_whatever_the_count(crowd: list[dict[str, Any]]) -> None:
    assert synthesize(40, 7) == crowd[:40]
    assert person(39, 7) == crowd[39]
    assert synthesize(40, 8) != crowd[:40]


def test_ids_references_and_addresses_are_unique(crowd: list[dict[str, Any]]) -> None:
    for values in (
        [event["id"] for event in crowd],
        [event["subject"] for event in crowd],
        [event["data"]["email"] for event in crowd],
    ):
        assert len(set(values)) == len(crowd)


def test_about_one_in_four_goes_first(crowd: list[dict[str, Any]]) -> None:
    openers = sum(event["data"]["openness"]["goes_first"] >= 4 for event in crowd)
    assert 0.20 < openers / len(crowd) < 0.30


def test_some_interests_are_common_and_most_are_not(crowd: list[dict[str, Any]]) -> None:
    counts = Counter(interest for event in crowd for interest in event["data"]["interests"])
    ranked = [count for _, count in counts.most_common()]
    assert 130 <= len(counts) <= 180
    assert ranked[0] > 6 * ranked[len(ranked) // 2] / 2
    assert all(len(set(event["data"]["interests"])) == len(event["data"]["interests"]) for event in crowd)


def test_parents_are_free_in_the_mornings_and_most_others_in_the_evenings() -> None:
    themes = people().themes
    assert all(slot.endswith(("morning", "afternoon")) for slot in people().rhythms[themes["new_parents"].rhythm])
    assert sum(len(theme.words) for theme in themes.values()) >= 60


def test_the_neighbourhoods_of_the_essay_are_there() -> None:
    names = {place.name for place in neighbourhoods()}
    assert {"Notting Hill", "Hackney", "Camden Town", "Brixton", "Peckham"} <= names
    assert not {"London", "Belmont"} & names
    assert len(names) == len(neighbourhoods())


def test_ages_are_adults(crowd: list[dict[str, Any]]) -> None:
    ages = [2026 - event["data"]["birth_year"] for event in crowd]
    assert min(ages) >= 19
    assert max(ages) <= 75
