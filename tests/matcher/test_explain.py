"""A suggestion is explained: every alternative that was passed over with the true reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from matcher_people import LONDON, NOW_MS, REFERENCE, crowd, person, seen
from rich.console import Console

from connection.explain import _as_json, show
from services.matcher.explain import Explanation, NotInThatRound, PassedOver, explain
from services.matcher.policy import Policy
from services.matcher.round import Round, propose
from shared.contracts import Profile, Suggestion


def explained(people: list[Profile], member: str = "m_me", policy: Policy | None = None, **state: Any) -> Explanation:
    found, suggestions = both(people, policy, **state)
    return explain(next(each for each in suggestions if member in each.members), found, suggestions)


def both(people: list[Profile], policy: Policy | None = None, **state: Any) -> tuple[Round, tuple[Suggestion, ...]]:
    found = propose(seen(people, **state), policy or Policy())
    return found, found.suggestions(LONDON, now_ms=NOW_MS, reference=REFERENCE)


PAIR = [person("m_me", interests=("jazz", "chess")), person("m_you", interests=("jazz", "chess"))]


@pytest.mark.parametrize(
    ("other", "state", "why"),
    [
        ({}, {"blocked": [("m_me", "m_other"), ("m_you", "m_other")]}, PassedOver.BLOCKED),
        ({}, {"history": [("m_me", "m_other"), ("m_other", "m_you")]}, PassedOver.MET_BEFORE),
        ({"north_km": 5.1}, {}, PassedOver.NOT_IN_REACH),
        ({"languages": ("fr",)}, {}, PassedOver.NO_LANGUAGE_IN_COMMON),
        ({"birth_year": 1960}, {}, PassedOver.NOT_OF_SIMILAR_AGE),
        ({"available": ("sun-evening",)}, {}, PassedOver.NO_SLOT_IN_COMMON),
        ({"interests": ("knitting",)}, {}, PassedOver.NO_INTEREST_IN_COMMON),
        ({"north_km": 3.0, "interests": ("chess",)}, {}, PassedOver.WORTH_LESS),
    ],
)
def test_why_somebody_was_passed_over(other: dict[str, Any], state: dict[str, Any], why: PassedOver) -> None:
    days = {"available": ("mon-evening", "tue-evening")}
    people = [each.model_copy(update=days) for each in PAIR]
    facts = {"interests": ("jazz", "chess")} | days | other
    found = explained([*people, person("m_other", **facts), person("m_far", north_km=30, languages=("fr",))], **state)
    for member in found.members:
        (alternative,) = [each for each in member.alternatives if each.member == "m_other"]
        assert (alternative.why, alternative.taken_by) == (why, None)


def test_somebody_better_who_was_taken_and_by_whom() -> None:
    twins = {"interests": ("jazz", "chess", "go"), "openness": {"goes_first": 5}}
    people = [*PAIR, person("m_a", **twins), person("m_b", **twins)]
    found, suggestions = both(people)
    ours = next(each for each in suggestions if "m_me" in each.members)
    theirs = next(each for each in suggestions if "m_a" in each.members)
    assert ours.members == ("m_me", "m_you")
    told = explain(ours, found, suggestions)
    me = told.members[0]
    assert [(each.member, each.why, each.taken_by) for each in me.alternatives] == [
        ("m_a", PassedOver.TAKEN, theirs.suggestion),
        ("m_b", PassedOver.TAKEN, theirs.suggestion),
    ]
    assert me.alternatives[0].taken_weight == told_worth(found, suggestions, theirs)


def told_worth(found: Round, suggestions: tuple[Suggestion, ...], suggestion: Suggestion) -> int:
    return explain(suggestion, found, suggestions).members[0].worth


def test_the_opener_and_why_not_the_others() -> None:
    happy = {"openness": {"goes_first": 5}, "looking_for": ("group",)}
    people = [person(f"m_{name}", **happy) for name in "abc"]
    told = explained(people, "m_a", opener_load={"m_a": 3, "m_b": 1})
    assert told.suggestion.opener == "m_c"
    assert [each.member for each in told.openers] == ["m_c", "m_b", "m_a"]
    assert "least often" in told.openers[0].why
    assert "3 is the cap" in told.openers[2].why


def test_the_step_of_the_ladder_that_waiting_has_brought_each_to() -> None:
    people = [person("m_me"), person("m_you", interests=("chess",), north_km=6)]
    told = explained(people, waited_rounds={"m_me": 6, "m_you": 7})
    assert told.suggestion.anchor.kind == "none"
    assert [(each.distance_eased, each.interests_eased, each.reach_km) for each in told.members] == [
        (True, True, 7.5)
    ] * 2
    assert told.members[1].weight_gained_by_waiting == 140_000
    assert not any(each.size_eased for each in told.members)
    told = explained(PAIR)
    assert [(each.distance_eased, each.interests_eased) for each in told.members] == [(False, False)] * 2
    told = explained(PAIR, waited_rounds={"m_me": 9})
    assert [each.size_eased for each in told.members] == [True, False]


def test_the_parts_of_the_score_are_the_least_of_its_pairs() -> None:
    found, suggestions = both(crowd(300, seed=2))
    groups = [each for each in suggestions if len(each.members) > 2]
    assert groups
    for suggestion in [*groups[:3], *suggestions[:3]]:
        told = explain(suggestion, found, suggestions)
        for part in ("interests", "openness", "practical", "total"):
            least = min(getattr(parts, part) for parts in told.pairs.values())
            assert getattr(suggestion.score, part) == pytest.approx(least, abs=1e-6)
        for member in told.members:
            could = [each for each in member.alternatives if each.why in ("taken", "worth_less")]
            assert could, "among 300 there is always somebody else"
            assert not {each.member for each in member.alternatives} & set(suggestion.members)


def test_a_suggestion_of_another_round_is_not_explained() -> None:
    found, suggestions = both(PAIR)
    other = suggestions[0].model_copy(update={"suggestion": "s_other"})
    with pytest.raises(NotInThatRound, match="connection replay"):
        explain(other, found, suggestions)


def test_what_is_shown_names_no_life_topic() -> None:
    parents = [
        person(f"m_{n}", interests=(f"only {n}",), life_topics=("new parent",), looking_for=("group",))
        for n in range(3)
    ]
    told = explained(parents, "m_0")
    assert told.suggestion.anchor.word == "new parent"
    console = Console(record=True, width=160)
    show(told, console)
    text = console.export_text()
    assert "life topic" in text
    assert "new parent" not in text
    assert "new parent" not in json.dumps(_as_json(told))
