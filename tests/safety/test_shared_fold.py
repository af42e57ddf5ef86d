"""The fold that both services decide by: three different people, in any order, until an operator has looked."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_samples import NOW, clear, partner_block, remove, report, reports

from shared.contracts import Preference, PreferenceKind, ReviewOrder
from shared.safety import REPORTS_UNTIL_REVIEW, REVIEW_TOLD_AFTER_MS, KeptApart, Reviews

WHO = "m_who"
PEOPLE = [f"m_{number}" for number in range(6)]


def told(*records: Preference | ReviewOrder) -> Reviews:
    reviews = Reviews()
    for record in records:
        if isinstance(record, ReviewOrder):
            reviews.order(record)
        else:
            reviews.add(record)
    return reviews


def test_three_different_people_hold_somebody_and_fewer_do_not() -> None:
    assert REPORTS_UNTIL_REVIEW == 3, "what the words on the pages say, too"
    twice_the_same = [*reports(PEOPLE[:2], WHO), report(PEOPLE[0], WHO, NOW + 9)]
    assert not told(*twice_the_same).is_held(WHO)
    reviews = told(*twice_the_same, report(PEOPLE[2], WHO, NOW + 20))
    assert reviews.is_held(WHO)
    held = reviews.of(WHO)
    assert held is not None
    assert (held.reports, held.since_ms, held.last_report_ms) == (3, NOW + 20, NOW + 20)
    assert not any(map(reviews.is_held, PEOPLE))


def test_a_block_is_no_report() -> None:
    blocks = [one.model_copy(update={"kind": PreferenceKind.BLOCK}) for one in reports(PEOPLE, WHO)]
    assert not told(*blocks).is_held(WHO)


def test_reports_that_were_cleared_count_no_more_and_later_ones_do() -> None:
    cleared = [*reports(PEOPLE[:3], WHO), clear(WHO, until_ms=NOW + 2)]
    assert not told(*cleared).is_held(WHO)
    assert not told(*cleared, *reports(PEOPLE[3:5], WHO, NOW + 3)).is_held(WHO)
    assert told(*cleared, *reports(PEOPLE[3:6], WHO, NOW + 3)).is_held(WHO)


def test_a_report_that_the_operator_had_not_read_counts() -> None:
    meanwhile = reports(PEOPLE[3:6], WHO, NOW + 100)
    assert told(*reports(PEOPLE[:3], WHO), *meanwhile, clear(WHO, until_ms=NOW + 2)).is_held(WHO)


def test_removed_is_for_good_until_it_is_cleared() -> None:
    reviews = told(*reports(PEOPLE[:3], WHO), remove(WHO))
    assert (reviews.is_held(WHO), reviews.is_removed(WHO), list(reviews.held())) == (True, True, [])
    reviews.order(clear(WHO))
    assert (reviews.is_held(WHO), reviews.is_removed(WHO)) == (False, False)


@pytest.mark.parametrize(
    ("after_ms", "expected"), [(0, None), (REVIEW_TOLD_AFTER_MS - 1, None), (REVIEW_TOLD_AFTER_MS, "held")]
)
def test_the_member_is_told_when_nobody_can_be_guessed_by_it(after_ms: int, expected: str | None) -> None:
    reviews = told(*reports(PEOPLE[:3], WHO))
    assert reviews.told(WHO, NOW + 2 + after_ms) == expected
    reviews.order(remove(WHO))
    assert reviews.told(WHO, NOW + 2 + after_ms) == "removed"


@given(
    st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from([*PEOPLE, WHO]), st.integers(0, 50)), max_size=30),
    st.integers(-1, 50),
    st.sampled_from([clear, remove, None]),
    st.randoms(use_true_random=False),
)
def test_order_plays_no_part_and_twice_is_once(
    made: list[tuple[str, str, int]], until: int, decide: object, draws: random.Random
) -> None:
    latest = {one.key: one for one in (report(who, about, NOW + at) for who, about, at in made if who != about)}
    records: list[Preference | ReviewOrder] = list(latest.values())
    if decide is not None:
        records.append(clear(WHO, until_ms=NOW + until) if decide is clear else remove(WHO))
    again = [*records, *records]
    draws.shuffle(again)
    first, second = told(*records), told(*again)
    assert sorted(first.held()) == sorted(second.held())
    assert [first.is_removed(one) for one in [*PEOPLE, WHO]] == [second.is_removed(one) for one in [*PEOPLE, WHO]]
    counted = {
        about: {one.member for one in latest.values() if one.about == about} for about in [*PEOPLE, WHO]
    }  # fmt: skip
    for about in PEOPLE:
        assert first.is_held(about) == (len(counted[about]) >= REPORTS_UNTIL_REVIEW)


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(0, 2)), max_size=25), st.data())
def test_two_are_apart_for_as_long_as_one_wish_stands_whoever_made_it(
    made: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    def wish(who: str, about: str, how: int) -> object:
        if how == 2:
            return partner_block(who, about)
        kind = PreferenceKind.REPORT if how else PreferenceKind.BLOCK
        return report(who, about).model_copy(update={"kind": kind})

    apart = KeptApart()
    for one in made:
        apart.add(wish(*one))  # type: ignore[arg-type]
    gone = data.draw(st.lists(st.sampled_from(made), unique=True)) if made else []
    for one in gone:
        apart.discard(wish(*one))  # type: ignore[arg-type]
    stands = {(who, about) for who, about, how in made if (who, about, how) not in gone}
    for one in PEOPLE:
        assert set(apart.avoids(one)) == {about for who, about in stands if who == one}
        assert set(apart.others(one)) == {o for pair in stands if one in pair for o in pair if o != one} | (
            {one} if (one, one) in stands else set()
        )
        for other in PEOPLE:
            assert apart.are_apart(one, other) == ((one, other) in stands or (other, one) in stands)
