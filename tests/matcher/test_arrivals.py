"""A newcomer gets the best free partner there is, from an index that is kept up to date and never built anew for it."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matcher_people import LONDON, NOW_MS, REFERENCE, crowd, person, seen

from services.matcher.arrivals import NEW_WORDS_MAX, Arrivals, Partner
from services.matcher.interests import InterestSpace
from services.matcher.policy import Policy
from services.matcher.rules import may_meet
from services.matcher.score import distance_km, score_pairs
from services.matcher.snapshot import LOOKS_FOR_PAIR, Lists, Snapshot
from shared.contracts import Profile


def index(people: list[Profile], free: Collection[str], policy: Policy | None = None, **state: Any) -> Arrivals:
    return Arrivals(seen(people, **state), people, free, policy or Policy())


def by_brute_force(
    base: Snapshot,
    people: Iterable[Profile],
    me: str,
    free: Collection[str],
    never: Collection[str],
    waited: dict[str, int],
) -> tuple[str | None, float, float, int]:
    """Everybody, one by one, on a snapshot of all there are now; only what interests are worth is from the base."""
    now = seen(list(people), waited_rounds=waited, history=[(me, other) for other in never])
    space = InterestSpace.of(base.interests, len(base.interest_words) + NEW_WORDS_MAX)
    number = {word: place for place, word in enumerate(base.interest_words)}
    for word in now.interest_words:
        number.setdefault(word, len(number))
    rows = [sorted(number[now.interest_words[item]] for item in now.interests.of(row)) for row in range(now.size)]
    lists = Lists(np.cumsum([0, *map(len, rows)]), np.array([item for row in rows for item in row], np.int32))
    one = now.ids.index(me)
    could = [row for row in range(now.size) if row != one and _would_do(now, one, row)]
    if not could or not now.members["looks_for"][one] & LOOKS_FOR_PAIR:
        return None, 0.0, 0.0, 0
    scores = score_pairs(now, space.for_others(lists), np.array([(one, row) for row in could]), Policy())
    total = scores.parts[:, 3]
    there = [place for place, row in enumerate(could) if now.ids[row] in free]
    best = max(there, key=lambda place: scores.weight[place], default=None)
    return (
        None if best is None else now.ids[could[best]],
        0.0 if best is None else float(total[best]),
        float(total.max()),
        len(could),
    )


def _would_do(now: Snapshot, one: int, other: int) -> bool:
    members = now.members
    apart = distance_km(members, one, other)
    near = apart <= members["reach"][one] and apart <= members["reach"][other]
    needs_one = members["needs_shared_interest"][one] or members["needs_shared_interest"][other]
    shares = np.intersect1d(now.interests.of(one), now.interests.of(other)).size > 0
    looks = members["looks_for"][other] & LOOKS_FOR_PAIR
    return bool(
        looks and near and (shares or not needs_one) and may_meet(members, one, other, now.barred, now.age_rule)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happened_since_it_was_built_the_best_is_found_and_as_by_one_built_anew(seed: int) -> None:
    draw = random.Random(seed)
    wishes = (("friend",), ("friend",), ("friend", "group"), ("group",))
    people = crowd(40, seed=seed, words=4, looks=wishes)
    base, later = people[:25], people[25:]
    ids = [each.member for each in people]
    free_then = {each.member for each in base if draw.random() < 0.4}
    waited = {member: draw.randint(0, 8) for member in free_then}
    kept = index(base, free_then, waited_rounds=waited)
    anew = index(base, free_then, waited_rounds=waited)

    # What happens, one after the other; `now` is how everybody stands in the end.
    free_now, now = set(free_then), {each.member: each for each in base}
    for each in draw.choices(people[:30], k=draw.randint(0, 30)):
        known = now.get(each.member, each)
        if each.member in free_now:
            kept.engage(each.member)
            free_now.discard(each.member)
            continue
        if draw.random() < 0.3:
            known = known.model_copy(update={"travel_km": draw.choice([2.0, 5.0, 10.0])})
        if draw.random() < 0.3:
            waited[each.member] = draw.randint(0, 8)
        assert kept.release(known, waited.get(each.member, 0))
        now[each.member] = known
        free_now.add(each.member)
    for member in sorted(now):
        anew.release(now[member], waited.get(member, 0))
        if member not in free_now:
            anew.engage(member)
    for newcomer in [each for each in later if each.member not in now][:5]:
        never = set(draw.sample(ids, 5)) - {newcomer.member}
        for arrivals in (kept, anew):
            assert arrivals.release(newcomer, 0)
        now[newcomer.member] = newcomer
        found = kept.best_partner(newcomer.member, never)
        assert found == anew.best_partner(newcomer.member, never)
        member, total, best, feasible = by_brute_force(
            kept.base, now.values(), newcomer.member, free_now, never, waited
        )
        assert found.total == pytest.approx(total)
        assert (found.member is None) == (member is None)
        assert found.best_total == pytest.approx(best)
        assert found.feasible == feasible
        free_now.add(newcomer.member)


def test_in_a_crowd_nearly_the_best_is_found() -> None:
    people = crowd(3_000, words=400, looks=(("friend",),))
    free = {each.member for each in people[::7]}
    hasty = Policy(scanned_members_max=50, postings_read_max=600)
    arrivals = index(people, free, hasty)
    found = best = 0.0
    for newcomer in crowd(3_040, seed=8, words=400, looks=(("friend",),))[3_000:]:
        assert arrivals.release(newcomer, 0)
        partner = arrivals.best_partner(newcomer.member)
        _, total, _, _ = by_brute_force(arrivals.base, [*people, newcomer], newcomer.member, free, (), {})
        found, best = found + partner.total, best + total
        arrivals.engage(newcomer.member)
    assert found >= 0.97 * best


def test_words_and_languages_that_nobody_had_before_are_shared_by_newcomers() -> None:
    arrivals = index([person("m_0", interests=("running",))], {"m_0"})
    for name in ("m_1", "m_2"):
        arrivals.release(person(name, interests=("falconry",), languages=("gd",)), 0)
    assert arrivals.best_partner("m_2").member == "m_1"


def test_who_waited_is_preferred_and_the_yardstick_is_the_score_alone() -> None:
    people = [person("m_better", interests=("a", "b")), person("m_waiting", interests=("a", "c"), north_km=1.0)]
    arrivals = index(people, {"m_better", "m_waiting"}, waited_rounds={"m_waiting": 25})
    arrivals.release(person("m_new", interests=("a", "b")), 0)
    found = arrivals.best_partner("m_new")
    assert found.member == "m_waiting"
    assert found.total < found.best_total


def test_only_who_could_hardly_do_better_is_served() -> None:
    policy = Policy(arrival_worth_percent=90, arrival_candidates_min=5)
    assert Partner("m_0", 0.91, 1.0, 5).is_good_enough(policy)
    assert not Partner("m_0", 0.89, 1.0, 5).is_good_enough(policy)
    assert not Partner("m_0", 0.91, 1.0, 4).is_good_enough(policy)
    assert not Partner(None, 0.0, 0.0, 9).is_good_enough(policy)


def test_a_full_index_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.matcher.arrivals.FRESH_MEMBERS_MIN", 2)
    arrivals = index([person("m_0")], {"m_0"})
    assert arrivals.release(person("m_1"), 0)
    assert arrivals.release(person("m_2"), 0)
    assert arrivals.is_full
    assert not arrivals.release(person("m_3"), 0)
    arrivals.engage("m_0")
    assert arrivals.release(person("m_0"), 0), "who is as before needs no room"


def test_what_is_written_down_is_what_a_round_would_write_and_passes_its_checks() -> None:
    people = crowd(400, looks=(("friend",),))
    arrivals = index(people, {each.member for each in people})
    profiles = {each.member: each for each in people}
    for newcomer in crowd(430, seed=5, looks=(("friend",),))[400:]:
        arrivals.release(newcomer, 0)
        found = arrivals.best_partner(newcomer.member)
        assert found.member is not None
        between = profiles[arrivals.between(newcomer.member, found.member)]
        three = {each.member: each for each in (newcomer, profiles[found.member], between)}
        made = arrivals.suggestion(seen(list(three.values())), newcomer.member, found.member, REFERENCE)
        assert made.members == tuple(sorted((newcomer.member, found.member)))
        assert made.score.total == pytest.approx(found.total, abs=1e-6)
        assert set(made.shared_interests) <= set(newcomer.interests) & set(profiles[found.member].interests)
        assert made.round == REFERENCE
        arrivals.engage(newcomer.member)
        arrivals.engage(found.member)
    assert LONDON.community == made.community
    assert made.suggested_at_ms == NOW_MS or REFERENCE.now_ms == 0
