import importlib
import pkgutil
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matcher_people import LONDON, NOW_MS, REFERENCE, communities, crowd, person, seen

import services.matcher
from services.matcher.places import meeting_places
from services.matcher.policy import Policy
from services.matcher.round import LeftOver, Round, RoundInvariantError, check, propose, warm_up
from shared.contracts import MeetingPlace, Profile, Suggestion, SuggestionKind
from shared.ids import suggestion_id


def run(people: list[Profile], policy: Policy | None = None, *, seed: int = 0, **state: Any) -> Round:
    return propose(seen(people, **state), policy or Policy(), seed=seed)


def told(found: Round) -> tuple[Suggestion, ...]:
    return found.suggestions(LONDON, now_ms=NOW_MS, reference=REFERENCE)


@settings(deadline=None, max_examples=150)
@given(communities(), st.sampled_from([0, 2_000]))
def test_whatever_the_community_a_round_may_be_committed(
    community: tuple[list[Profile], dict[str, Any]], exact: int
) -> None:
    people, state = community
    found = run(people, Policy(exact_component_members_max=exact), **state)
    check(found, found.snapshot)
    suggestions = told(found)
    matched = [member for each in suggestions for member in each.members]
    assert len(matched) == len(set(matched))
    assert set(matched) | set(found.left_over) == {each.member for each in people}
    assert found.weight <= found.upper_bound
    profile = {each.member: each for each in people}
    for each in suggestions:
        assert all(each.slot in profile[member].available for member in each.members)
        assert set(each.shared_interests) == set.intersection(*(set(profile[m].interests) for m in each.members))
        assert all(suggested not in " ".join(each.reasons) for suggested in ("new parent", "widowed", "m_"))


@settings(deadline=None, max_examples=40)
@given(communities(), st.randoms(use_true_random=False))
def test_the_order_of_profiles_does_not_matter(
    community: tuple[list[Profile], dict[str, Any]], draw: random.Random
) -> None:
    people, state = community
    mixed = list(people)
    draw.shuffle(mixed)
    one, other = run(people, **state), run(mixed, **state)
    assert told(one) == told(other)
    assert one.left_over == other.left_over


@pytest.mark.parametrize("exact", [0, 2_000])
def test_the_same_again_to_the_last_bit_in_a_larger_community(exact: int) -> None:
    people = crowd(1_500, words=80)
    policy = Policy(exact_component_members_max=exact)
    first = told(run(people, policy, seed=4))
    random.Random(1).shuffle(people)
    assert [each.to_bytes() for each in told(run(people, policy, seed=4))] == [each.to_bytes() for each in first]


def test_pairs_and_groups_come_of_a_mixed_community() -> None:
    found = run(crowd(1_000, words=80))
    assert found.counts.members_in_pairs > 100
    assert found.counts.members_in_groups > 100
    assert found.counts.groups_without_opener == 0
    assert (
        found.counts.members
        == 1_000
        == found.counts.members_in_pairs + found.counts.members_in_groups + found.counts.left_over
    )
    both = run(crowd(1_000, words=80, looks=(("friend", "group"),)))
    assert both.counts.pairs > 30
    assert both.counts.groups > 30


def test_whose_candidates_are_all_taken_look_at_each_other() -> None:
    # With one candidate each, most are nobody's best, and lose their own to somebody else.
    people = crowd(400, words=40, looks=(("friend",),))
    few = {"candidates_per_member": 1}
    alone = run(people, Policy(second_looks_max=0, **few))
    again = run(people, Policy(second_looks_max=20, **few))
    check(again, again.snapshot)
    assert len(alone.left_over) > 100
    left = [each for each in people if each.member in again.left_over]
    assert len(left) < 20
    assert not run(left, Policy()).matches, "whoever is left has nobody else who is left"
    assert {match.members for match in alone.matches} <= {match.members for match in again.matches}


def test_a_pair_as_it_is_told() -> None:
    amara = person(
        "m_a",
        interests=("book club", "running"),
        place="Soho",
        openness={"goes_first": 5},
        available=("mon-morning", "sat-afternoon"),
    )
    ben = person(
        "m_b",
        interests=("running", "book club", "chess"),
        place="Camden Town",
        north_km=2,
        available=("sat-afternoon",),
        accepted_at_ms=NOW_MS - 90_000,
    )
    others = [person(f"m_x{n}", interests=("running",), birth_year=1950) for n in range(3)]
    pair = next(each for each in told(run([ben, *others, amara])) if "m_a" in each.members)
    assert pair.members == ("m_a", "m_b")
    assert pair.suggestion == suggestion_id(("m_a", "m_b"), 0)
    assert pair.kind is SuggestionKind.PAIR
    assert pair.opener == "m_a"
    assert pair.anchor.word == "book club"
    assert pair.shared_interests == ("book club", "running")
    assert pair.slot == "sat-afternoon"
    assert pair.place.name in ("Soho", "Camden Town")
    assert pair.place.farthest_km == pytest.approx(2, abs=0.01)
    assert pair.waited_ms == 90_000
    assert pair.suggested_at_ms == NOW_MS
    assert pair.round == REFERENCE
    assert pair.weights == {"interests": 0.5, "openness": 0.3, "practical": 0.2, "waiting_per_round": 0.02}
    assert pair.score.total == pytest.approx(
        0.5 * pair.score.interests + 0.3 * pair.score.openness + 0.2 * pair.score.practical, abs=0.02
    )
    assert pair.reasons == (
        "Both enjoy book club and running.",
        "One of them is happy to go first.",
        "They want a first conversation to go about equally deep.",
        f"Nobody travels more than 2 km to {pair.place.name}.",
        "Both are free on Saturday afternoons.",
    )


def test_a_pair_without_anything_in_common_after_a_long_wait() -> None:
    (pair,) = told(
        run([person("m_a", interests=()), person("m_b", interests=("go",))], waited_rounds={"m_a": 6, "m_b": 9})
    )
    assert (pair.anchor.kind, pair.anchor.word, pair.shared_interests) == ("none", "", ())
    assert pair.opener is None


def test_a_life_topic_is_an_anchor_but_never_a_reason() -> None:
    people = [
        person(
            f"m_{n}",
            interests=(f"only {n}",),
            life_topics=("new parent",),
            looking_for=("group",),
            openness={"goes_first": 5},
        )
        for n in range(4)
    ]
    (group,) = told(run(people))
    assert (group.anchor.kind, group.anchor.word) == ("life_topic", "new parent")
    assert "All four are at a similar point in their lives." in group.reasons
    assert "new parent" not in " ".join(group.reasons)


def test_a_group_meets_in_the_middle_where_somebody_lives_there() -> None:
    people = [
        person(f"m_{n}", north_km=2.0 * n, place=f"Stop {n}", looking_for=("group",), openness={"goes_first": 4})
        for n in (0, 1, 2)
    ]
    onlooker = person("m_x", north_km=1.9, place="Halfway", birth_year=1940)
    (group,) = told(run([*people, onlooker]))
    assert group.place.name == "Halfway" or group.place.farthest_km == pytest.approx(2, abs=0.01)
    assert group.place.farthest_km <= 2.2


def test_the_rested_opener_is_asked() -> None:
    people = [person(f"m_{n}", openness={"goes_first": 5}) for n in range(2)]
    assert told(run(people, opener_load={"m_0": 1}))[0].opener == "m_1"
    assert told(run(people, opener_load={"m_0": 3, "m_1": 3}))[0].opener is None


def test_the_id_counts_how_often_they_were_suggested() -> None:
    # Not these four together before: a first time.
    snapshot = seen([person("m_a"), person("m_b")], history={("m_a", "m_x"): 3})
    (pair,) = told(propose(snapshot, Policy()))
    assert pair.suggestion == suggestion_id(("m_a", "m_b"), 0)


A = person("m_a")


FRENCH_FAR_AWAY = person("m_b", languages=("fr",), north_km=50)
MORNING, EVENING = {"available": ("mon-morning",)}, {"available": ("sun-evening",)}
GROUP = {"looking_for": ("group",)}


@pytest.mark.parametrize(
    ("me", "others", "state", "why"),
    [
        (person("m_0", birth_year=2008), [A], {}, LeftOver.NO_ADULT_FOR_CERTAIN),
        (person("m_0", looking_for=()), [A], {}, LeftOver.LOOKS_FOR_NOTHING),
        (person("m_0"), [], {}, LeftOver.NO_ONE_WITHIN_REACH),
        (person("m_0", north_km=6), [A], {}, LeftOver.NO_ONE_WITHIN_REACH),
        (person("m_0"), [person("m_a", looking_for=("group",))], {}, LeftOver.NO_ONE_WITHIN_REACH),
        (person("m_0"), [A], {"blocked": [("m_0", "m_a")]}, LeftOver.NO_ONE_WITHIN_REACH),
        (person("m_0", languages=("fr",)), [A, FRENCH_FAR_AWAY], {}, LeftOver.NO_LANGUAGE_IN_COMMON),
        (person("m_0", birth_year=1950), [A], {}, LeftOver.NO_ONE_OF_SIMILAR_AGE),
        (person("m_0", **MORNING), [person("m_a", **EVENING)], {}, LeftOver.NOBODY_FREE_AT_THE_SAME_TIME),
        (person("m_0", interests=("go",)), [A], {}, LeftOver.NO_INTEREST_IN_COMMON),
        (person("m_0"), [A], {"history": [("m_0", "m_a")]}, LeftOver.ONLY_MET_BEFORE),
        (person("m_0", **GROUP), [person("m_a", **GROUP)], {}, LeftOver.TOO_FEW_FOR_A_GROUP),
        (person("m_0", interests=("running", "x", "y")), [A, person("m_b")], {}, LeftOver.NOBODY_LEFT),
    ],
)  # fmt: skip
def test_why_not(me: Profile, others: list[Profile], state: dict[str, Any], why: LeftOver) -> None:
    assert run([me, *others], **state).left_over["m_0"] is why


def test_an_empty_community_and_one_of_one() -> None:
    assert told(run([])) == ()
    assert run([person("m_0")]).left_over == {"m_0": LeftOver.NO_ONE_WITHIN_REACH}


def changed(suggestion: Suggestion, **changes: Any) -> Suggestion:
    return suggestion.model_copy(update=changes)


def not_the_opener(suggestion: Suggestion) -> str:
    return next(member for member in suggestion.members if member != suggestion.opener)


FAR = MeetingPlace(name="Brighton", latitude=50.82, longitude=-0.14, farthest_km=1)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p, g: [p, p], "in two suggestions"),
        (lambda p, g: [changed(p, members=(*p.members, "m_gone"))], "not free, or not known"),
        (lambda p, g: [changed(p, members=p.members[::-1])], "not sorted"),
        (lambda p, g: [changed(p, members=p.members[:1])], "a pair is two"),
        (lambda p, g: [changed(g, members=g.members[:2])], "size that is not allowed"),
        (lambda p, g: [changed(g, kind=SuggestionKind.PAIR, members=g.members[:2])], "does not look for this"),
        (lambda p, g: [changed(p, slot="sun-morning")], "not free at its slot"),
        (lambda p, g: [changed(p, place=FAR)], "out of a member's reach"),
        (lambda p, g: [changed(p, opener=None)], "names none"),
        (lambda p, g: [changed(p, opener=g.opener)], "no member who can go first"),
        (lambda p, g: [changed(g, opener=not_the_opener(g))], "no member who can go first"),
        (lambda p, g: [changed(p, anchor=g.anchor)], "not all of them share its anchor"),
        (lambda p, g: [changed(g, anchor=g.anchor.model_copy(update={"kind": "none"}))], "around nothing"),
        (lambda p, g: [changed(p, community="paris")], "another community"),
        (lambda p, g: [changed(p, members=("m_0", "m_old"))], "too far apart in age"),
        (lambda p, g: [changed(p, members=("m_0", "m_french"))], "no language in common"),
        (lambda p, g: [changed(p, members=("m_0", "m_met"))], "blocked or were suggested"),
        (lambda p, g: [changed(p, members=("m_0", "m_foe"))], "blocked or were suggested"),
        (lambda p, g: [changed(p, members=("m_0", "m_young"))], "no adult for certain"),
    ],
)  # fmt: skip
def test_each_postcondition_when_it_is_broken(break_it: Any, message: str) -> None:
    free: dict[str, Any] = {"available": ("sat-afternoon", "tue-evening")}
    opener: dict[str, Any] = {"openness": {"goes_first": 5}}
    people = [
        *(person(f"m_{n}", **(free | (opener if n == 0 else {}))) for n in range(2)),
        *(
            person(f"m_g{n}", interests=("jazz",), looking_for=("group",), **(free | (opener if n == 0 else {})))
            for n in range(3)
        ),
        person("m_old", birth_year=1950, **free),
        person("m_french", languages=("fr",), **free),
        person("m_french_too", languages=("fr",), north_km=30, **free),
        person("m_met", **free),
        person("m_foe", **free),
        person("m_young", birth_year=2008, **free),
    ]
    snapshot = seen(
        people,
        history=[("m_0", "m_met"), ("m_1", "m_met")],
        blocked=[("m_foe", "m_0"), ("m_foe", "m_1"), ("m_foe", "m_met")],
    )
    suggestions = told(propose(snapshot, Policy()))
    check(suggestions, snapshot)
    pair, group = sorted(suggestions, key=lambda each: len(each.members))
    assert (pair.members, group.members) == (("m_0", "m_1"), ("m_g0", "m_g1", "m_g2"))
    with pytest.raises(RoundInvariantError, match=message):
        check(break_it(pair, group), snapshot)


def test_a_group_without_an_opener_where_there_are_enough_is_no_round() -> None:
    people = [person(f"m_{n}", looking_for=("group",), openness={"goes_first": 5 if n == 0 else 1}) for n in range(6)]
    snapshot = seen(people)
    (group,) = told(propose(snapshot, Policy(), seed=1))
    without = sorted({each.member for each in people} - {"m_0"})[:3]
    with pytest.raises(RoundInvariantError, match="1 groups are without an opener"):
        check([changed(group, members=tuple(without), opener=None)], snapshot)


def compiled_for() -> dict[str, list[Any]]:
    """Every compiled function of the matcher, and what kinds of arguments it has been compiled for."""
    return {
        f"{module.name}.{name}": list(function.signatures)
        for module in pkgutil.walk_packages(services.matcher.__path__, "services.matcher.")
        for name, function in vars(importlib.import_module(module.name)).items()
        if hasattr(function, "signatures")
    }


def test_no_place_for_all_is_refused_and_names_them() -> None:
    snapshot = seen([person("m_a", travel_km=1.0), person("m_b", travel_km=1.0, north_km=3.0)])
    with pytest.raises(RoundInvariantError, match="m_a, m_b"):
        meeting_places(snapshot, np.array([[0, 1]], np.int32))


def test_everything_is_compiled_before_the_first_round() -> None:
    warm_up()
    before = compiled_for()
    assert sum(map(bool, before.values())) > 20
    told(run(crowd(600, words=80), Policy(exact_component_members_max=50)))
    told(run(crowd(600, words=80)))
    assert compiled_for() == before
