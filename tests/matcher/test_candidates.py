"""Candidates against a plain statement of the rules in Python, and the score against what it promises."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from matcher_people import communities, crowd, person, seen

from services.matcher.candidates import best_candidates
from services.matcher.compatibility import compatibility
from services.matcher.interests import InterestSpace
from services.matcher.policy import WEIGHT_ONE, Policy
from services.matcher.score import bits_in, score_pairs
from services.matcher.snapshot import LOOKS_FOR_GROUP, LOOKS_FOR_PAIR, Snapshot
from shared.contracts import Profile

EVERYBODY = Policy(candidates_per_member=50)


def space_of(snapshot: Snapshot) -> InterestSpace:
    return InterestSpace.of(snapshot.interests, len(snapshot.interest_words))


def edges(people: list[Profile], policy: Policy = EVERYBODY, **state: Any) -> set[tuple[str, str]]:
    snapshot = seen(people, **state)
    graph = compatibility(snapshot, space_of(snapshot), policy)
    return {(snapshot.ids[u], snapshot.ids[v]) for u, v in graph.edges}


def told(people: list[Profile], **state: Any) -> set[tuple[str, str]]:
    """The rules once more, as one would tell them."""
    waited = state.get("waited_rounds", {})
    barred = {
        frozenset(two)
        for group in [*state.get("history", ()), *state.get("blocked", ())]
        for two in combinations(group, 2)
    }
    found = set()
    for a, b in combinations(people, 2):
        gap, oldest = abs(a.birth_year - b.birth_year), 2026 - min(a.birth_year, b.birth_year) - 1
        if any(not 18 <= 2026 - each.birth_year - 1 <= 120 or "friend" not in each.looking_for for each in (a, b)):
            continue
        if gap > 15 + max(0, oldest - 40) // 10 or not set(a.languages) & set(b.languages):
            continue
        if not set(a.available) & set(b.available) or frozenset((a.member, b.member)) in barred:
            continue
        km = abs(a.latitude - b.latitude) * 111.195
        if any(km > each.travel_km * (1.5 if waited.get(each.member, 0) >= 3 else 1) + 1e-3 for each in (a, b)):
            continue
        relaxed = all(waited.get(each.member, 0) >= 6 for each in (a, b))
        if relaxed or set(a.interests) & set(b.interests):
            found.add((a.member, b.member))
    return found


@settings(deadline=None)
@given(communities())
def test_exactly_those_who_may_meet(community: tuple[list[Profile], dict[str, Any]]) -> None:
    people, state = community
    assert edges(people, **state) == told(people, **state)


A, B = person("m_a"), person("m_b")


@pytest.mark.parametrize(
    ("other", "state"),
    [
        (person("m_b", birth_year=2008), {}),
        (person("m_b", birth_year=0), {}),
        (person("m_b", birth_year=1973), {}),
        (person("m_b", languages=("fr",)), {}),
        (person("m_b", north_km=5.1, travel_km=50), {}),
        (person("m_b", looking_for=("group",)), {}),
        (person("m_b", interests=("chess",)), {}),
        (B, {"blocked": [("m_b", "m_a")]}),
        (B, {"blocked": [("m_a", "m_b")]}),
        (B, {"history": [("m_a", "m_b")]}),
        (B, {"history": {("m_a", "m_b", "m_c"): 1}}),
        (B, {"history": [("m_a", "m_b")], "waited_rounds": {"m_a": 999, "m_b": 999}}),
        (person("m_b", interests=("chess",)), {"waited_rounds": {"m_a": 999}}),
        (person("m_b", birth_year=2008), {"waited_rounds": {"m_a": 999, "m_b": 999}}),
        (person("m_b", north_km=5.1), {"waited_rounds": {"m_a": 999}}),
    ],
)
def test_each_rule_by_itself_keeps_two_apart(other: Profile, state: dict[str, Any]) -> None:
    assert edges([A, B]) == {("m_a", "m_b")}
    assert edges([A, other], **state) == set()


def test_no_slot_in_common() -> None:
    assert edges([person("m_a", available=("mon-morning",)), person("m_b", available=("sun-evening",))]) == set()


@pytest.mark.parametrize(
    ("other", "state"),
    [
        (person("m_b", birth_year=1975), {}),
        (person("m_b", languages=("fr", "en")), {}),
        (person("m_b", north_km=4.9), {}),
        (person("m_b", north_km=7.4), {"waited_rounds": {"m_a": 3, "m_b": 3}}),
        (person("m_b", interests=("chess",)), {"waited_rounds": {"m_a": 6, "m_b": 6}}),
        (person("m_b", looking_for=("group", "friend")), {}),
    ],
)
def test_what_is_just_allowed(other: Profile, state: dict[str, Any]) -> None:
    assert edges([A, other], **state) == {("m_a", "m_b")}


def test_the_age_band_widens_with_age() -> None:
    assert edges([person("m_a", birth_year=1955), person("m_b", birth_year=1973)]) == {("m_a", "m_b")}
    assert edges([person("m_a", birth_year=1955), person("m_b", birth_year=1974)]) == set()


@pytest.mark.parametrize("looking_for", [LOOKS_FOR_PAIR, LOOKS_FOR_GROUP])
def test_the_best_of_many(looking_for: int) -> None:
    snapshot = seen(crowd(250))
    space = space_of(snapshot)
    everybody = best_candidates(snapshot, space, Policy(candidates_per_member=249), looking_for=looking_for)
    few = best_candidates(snapshot, space, Policy(candidates_per_member=5), looking_for=looking_for)
    assert (everybody[:, :5] == few).all()
    for row, others in enumerate(everybody):
        others = others[others >= 0]
        pairs = np.stack([np.full(len(others), row), others], axis=1).astype(np.int64)
        weight = score_pairs(snapshot, space, pairs, Policy()).weight
        assert (np.diff(weight) <= 0).all()
    rows = np.array([3, 200, 77], np.int32)
    assert (
        best_candidates(snapshot, space, Policy(candidates_per_member=5), looking_for=looking_for, rows=rows)
        == few[rows]
    ).all()


@pytest.mark.parametrize("scanned", [3_000, 1])
def test_among_some_alone_it_is_as_if_there_were_nobody_else(scanned: int) -> None:
    people = crowd(600, words=60)
    some = np.flatnonzero(np.arange(600) % 3 == 1).astype(np.int32)
    whole, part = seen(people), seen([people[row] for row in some])
    policy = Policy(candidates_per_member=400, scanned_members_max=scanned)
    found = best_candidates(whole, space_of(whole), policy, among=some)
    expected = best_candidates(part, space_of(part), policy)
    # How rare an interest is, and so the order, is another matter among all: whom they find is the same.
    assert [set(row[row >= 0]) for row in found] == [{some[other] for other in row[row >= 0]} for row in expected]
    one = best_candidates(whole, space_of(whole), policy, among=some, rows=some[[7]])
    assert (one == found[[7]]).all()


def test_in_a_crowd_the_index_finds_nearly_as_good_partners() -> None:
    snapshot = seen(crowd(3_000, words=400))
    space = space_of(snapshot)
    total = []
    for policy in (Policy(scanned_members_max=3_000), Policy(scanned_members_max=1, postings_read_max=400)):
        found = best_candidates(snapshot, space, policy)
        pairs = np.stack([np.repeat(np.arange(snapshot.size), found.shape[1]), found.ravel()], axis=1)
        total.append(
            score_pairs(snapshot, space, pairs[pairs[:, 1] >= 0].astype(np.int64), policy).weight.sum(dtype=np.int64)
        )
    assert 0.97 * total[0] <= total[1] <= total[0]


def test_threads_do_not_change_the_answer() -> None:
    snapshot = seen(crowd(9_000, words=400))
    space = space_of(snapshot)
    one, two = (best_candidates(snapshot, space, Policy(threads=threads, postings_read_max=200)) for threads in (1, 2))
    assert (one == two).all()


def parts(a: Profile, b: Profile) -> tuple[float, float, float, float]:
    snapshot = seen([a, b, person("m_c", interests=("chess", "go"))])
    scores = score_pairs(snapshot, space_of(snapshot), np.array([[0, 1], [1, 0]]), Policy())
    assert (scores.parts[0] == scores.parts[1]).all()
    assert ((scores.parts >= 0) & (scores.parts <= 1)).all()
    assert scores.weight[0] == scores.weight[1] == int(scores.parts[0, 3] * WEIGHT_ONE)
    return tuple(scores.parts[0])  # type: ignore[return-value]


def rated(member: str, **openness: int) -> Profile:
    return person(member, openness=openness)


def test_openness_fits_best_with_somebody_who_goes_first() -> None:
    assert (
        parts(rated("m_a", goes_first=5), rated("m_b", goes_first=1))[1]
        > parts(rated("m_a", goes_first=2), rated("m_b", goes_first=2))[1]
    )


def test_openness_fits_worse_where_one_wants_to_go_much_deeper() -> None:
    close = parts(rated("m_a", depth=3), rated("m_b", depth=4))[1]
    assert close == parts(rated("m_a", depth=3), rated("m_b", depth=3))[1]
    assert (
        close
        > parts(rated("m_a", depth=2), rated("m_b", depth=5))[1]
        > parts(rated("m_a", depth=1), rated("m_b", depth=5))[1]
    )


def test_a_match_is_worth_what_the_one_who_gains_less_gains() -> None:
    # One listens well and the other does not: what counts is the one who is not listened to.
    assert (
        parts(rated("m_a", listens=5), rated("m_b", listens=1))[1]
        == parts(rated("m_a", listens=1), rated("m_b", listens=1))[1]
    )
    near, far = person("m_b", north_km=1, travel_km=2), person("m_b", north_km=1, travel_km=50)
    assert parts(A, near)[2] < parts(A, far)[2]


def test_waiting_adds_weight_up_to_a_limit() -> None:
    def weight(waited: int) -> int:
        snapshot = seen([A, B], waited_rounds={"m_a": waited})
        return int(score_pairs(snapshot, space_of(snapshot), np.array([[0, 1]]), Policy()).weight[0])

    assert weight(1) == weight(0) + 20_000
    assert weight(25) == weight(10**6) == weight(0) + 500_000


def test_bits_are_counted() -> None:
    for mask in [0, 1, 2**62, 2**63 - 1, 0x155555, *range(2_000)]:
        assert bits_in(mask) == mask.bit_count()
