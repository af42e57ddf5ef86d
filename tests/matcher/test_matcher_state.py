"""What the matcher learns of members' own wishes, and of groups with a free seat."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matcher_people import LONDON, NOW_MS, REFERENCE, person

from services.matcher.policy import Policy
from services.matcher.seats import suggest_newcomers
from services.matcher.state import MatcherState, RoundInput
from shared import topics
from shared.contracts import (
    Anchor,
    ClosingReason,
    Introduction,
    IntroductionState,
    MeetingPlace,
    Preference,
    PreferenceKind,
    Profile,
    Record,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)

TOPIC_OF: dict[type[Record], str] = {
    Profile: topics.PROFILES.name,
    Preference: topics.PREFERENCES.name,
    Suggestion: topics.SUGGESTIONS.name,
    Introduction: topics.INTRODUCTIONS.name,
}
GROUP = ("m_a", "m_b", "m_c")


def tell(state: MatcherState, *records: Record) -> MatcherState:
    for record in records:
        state.apply(TOPIC_OF[type(record)], record.key, record)
    return state


def seen(state: MatcherState, *, now_ms: int = NOW_MS) -> RoundInput:
    return state.round_input("london", now_ms, opener_window_ms=1)


def members(seen_: RoundInput) -> set[str]:
    return {profile.member for profile in seen_.profiles}


def wish(member: str, kind: PreferenceKind, **more: Any) -> Preference:
    return Preference(community="london", member=member, kind=kind, chosen_at_ms=NOW_MS, **more)


def suggested(*people: str, **more: Any) -> Suggestion:
    facts: dict[str, Any] = {
        "community": "london", "suggestion": "s_" + "".join(people), "kind": SuggestionKind.GROUP,
        "members": tuple(sorted(people)), "anchor": Anchor(kind="interest", word="running"),
        "shared_interests": ("running",), "slot": "tue-evening", "weights": {}, "reasons": (), "waited_ms": 0,
        "place": MeetingPlace(name="Soho", latitude=51.5074, longitude=-0.1278, farthest_km=1),
        "score": ScoreParts(interests=1, openness=1, practical=1, total=1), "suggested_at_ms": NOW_MS,
        "round": REFERENCE,
    }  # fmt: skip
    return Suggestion.model_validate({**facts, **more})


def standing(present: tuple[str, ...] = GROUP, seats: int = 4, **more: Any) -> Introduction:
    of = suggested(*GROUP, "m_gone")
    return Introduction.model_validate(
        {
            "community": "london", "introduction": of.suggestion, "suggestion": of, "state": IntroductionState.STANDING,
            "introduced": of.members, "present": present, "proposed_at_ms": NOW_MS, "answer_by_ms": NOW_MS,
            "seats": seats, "seat_from_ms": NOW_MS, "settles_at_ms": NOW_MS + 1, **more,
        }
    )  # fmt: skip


def seat_for(newcomer: str) -> Suggestion:
    return suggested(
        *GROUP, newcomer, suggestion=f"s_seat_{newcomer}", kind=SuggestionKind.SEAT, joins=standing().introduction,
        newcomer=newcomer,
    )  # fmt: skip


def a_community(*records: Record) -> MatcherState:
    looks = ("friend", "group")
    return tell(MatcherState(), *(person(m, looking_for=looks) for m in (*GROUP, "m_d", "m_e", "m_f")), *records)


def test_a_block_keeps_two_apart_whoever_made_it_and_until_it_is_taken_back() -> None:
    block = wish("m_e", PreferenceKind.BLOCK, about="m_d")
    state = a_community(block)
    assert seen(state).blocked == [("m_d", "m_e")]
    tell(state, wish("m_d", PreferenceKind.REPORT, about="m_e"))
    state.apply("preferences", block.key, None)
    assert seen(state).blocked == [("m_d", "m_e")], "the other one of them still wants it"
    state.apply("preferences", f"m_d/{PreferenceKind.REPORT}/m_e", None)
    assert seen(state).blocked == []


def test_who_is_reported_by_three_is_held_back_and_a_block_alone_holds_nobody_back() -> None:
    state = a_community(
        *(wish(who, PreferenceKind.REPORT, about="m_d") for who in ("m_a", "m_b")),
        wish("m_a", PreferenceKind.REPORT, about="m_d"),
        *(wish(who, PreferenceKind.BLOCK, about="m_e") for who in GROUP),
    )
    assert {"m_d", "m_e"} <= members(seen(state)), "the same person twice counts once"
    tell(state, wish("m_c", PreferenceKind.REPORT, about="m_d"))
    assert "m_d" not in members(seen(state))
    assert {*GROUP, "m_e"} <= members(seen(state)), "neither who reports nor who is blocked"


def test_what_members_told_us_themselves_outlives_their_partner_app() -> None:
    state = a_community(wish("m_d", PreferenceKind.LOOKING_FOR, looking_for=("group",)))
    tell(state, person("m_d", looking_for=("friend",), accepted_at_ms=NOW_MS + 5))

    def looks_for() -> tuple[str, ...]:
        return next(profile.looking_for for profile in seen(state).profiles if profile.member == "m_d")

    assert looks_for() == ("group",)
    state.apply("preferences", f"m_d/{PreferenceKind.LOOKING_FOR}", None)
    assert looks_for() == ("friend",)


def test_a_wish_that_is_no_absence_keeps_nobody_away() -> None:
    state = a_community(
        wish("m_d", PreferenceKind.BLOCK, about="m_e"), wish("m_d", PreferenceKind.LOOKING_FOR, looking_for=("group",))
    )
    assert state.is_free("london", "m_d", NOW_MS)


def test_who_is_erased_is_gone_for_good_whatever_comes_first() -> None:
    erased = wish("m_d", PreferenceKind.ERASE)
    state = a_community(erased)
    assert "m_d" not in members(seen(state))
    tell(state, person("m_d"))
    assert "m_d" not in members(seen(state))
    assert not state.is_free("london", "m_d", NOW_MS)


def test_a_seat_engages_the_newcomer_alone_and_frees_them_when_it_is_decided() -> None:
    state = a_community(seat_for("m_d"))
    assert members(seen(state)) == {*GROUP, "m_e", "m_f"}
    over = Introduction(
        community="london", introduction="s_seat_m_d", suggestion=seat_for("m_d"), state=IntroductionState.CLOSED,
        proposed_at_ms=NOW_MS, answer_by_ms=NOW_MS, closed_at_ms=NOW_MS + 9, closing_reason=ClosingReason.EXPIRED,
        said_yes=("m_d",),
    )  # fmt: skip
    tell(state, over)
    assert "m_d" in members(seen(state))
    waiting = seen(state).waiting_since_ms
    assert waiting["m_d"] == NOW_MS - 60_000, "who hoped in vain keeps their time"
    assert waiting["m_a"] == NOW_MS - 60_000, "and the group's own has nothing to do with it"


def test_a_standing_group_engages_until_it_has_settled() -> None:
    state = a_community(standing())
    assert members(seen(state)) == {"m_d", "m_e", "m_f"}
    tell(state, standing(settles_at_ms=None, revision=1))
    assert {"m_a", "m_b", "m_c"} <= members(seen(state))


def test_a_free_seat_is_seen_from_its_time_on_and_not_while_somebody_is_asked() -> None:
    state = a_community(standing(seat_from_ms=NOW_MS + 10))
    assert seen(state).seats == []
    assert [seat.group.present for seat in seen(state, now_ms=NOW_MS + 10).seats] == [GROUP]
    tell(state, seat_for("m_d"))
    assert seen(state, now_ms=NOW_MS + 10).seats == []
    assert seen(a_community(standing(seats=3))).seats == []


def newcomers(state: MatcherState) -> list[str | None]:
    found = seen(state)
    suggestions = suggest_newcomers(
        found.seats, found.profiles, LONDON, Policy(), now_ms=NOW_MS, waited_rounds={},
        history=found.times_together, blocked=found.blocked, reference=REFERENCE,
    )  # fmt: skip
    for each in suggestions:
        assert each.kind is SuggestionKind.SEAT
        assert each.members == tuple(sorted((*GROUP, str(each.newcomer))))
        assert each.joins == standing().introduction
        assert each.pace == 3
    return [each.newcomer for each in suggestions]


def test_the_newcomer_is_the_one_who_fits_best() -> None:
    state = a_community(standing())
    tell(state, person("m_e", looking_for=("group",), openness={"goes_first": 5}))
    assert newcomers(state) == ["m_e"]


def test_nobody_is_suggested_whom_a_rule_forbids() -> None:
    cases: list[Profile | Preference | Suggestion] = [
        person("m_d", looking_for=("friend",)),
        person("m_d", looking_for=("group",), interests=("chess",)),
        person("m_d", looking_for=("group",), available=("mon-morning",)),
        person("m_d", looking_for=("group",), languages=("fr",)),
        person("m_d", looking_for=("group",), birth_year=1940),
        person("m_d", looking_for=("group",), north_km=9),
        wish("m_b", PreferenceKind.BLOCK, about="m_d"),
        wish("m_d", PreferenceKind.PAUSE),
        suggested("m_c", "m_d", suggestion="s_before", kind=SuggestionKind.PAIR),
    ]
    people = [person(member, looking_for=("friend", "group")) for member in (*GROUP, "m_d")]
    assert newcomers(tell(MatcherState(), *people, standing())) == ["m_d"]
    for forbidding in cases:
        assert newcomers(tell(MatcherState(), *people, standing(), forbidding)) == [], repr(forbidding)


def test_nobody_gets_two_seats() -> None:
    state = a_community(standing())
    other = standing().model_copy(update={"introduction": "s_other"})
    found = seen(tell(state, other))
    assert len(found.seats) == 2
    suggestions = suggest_newcomers(
        found.seats, [profile for profile in found.profiles if profile.member == "m_d"], LONDON, Policy(),
        now_ms=NOW_MS, waited_rounds={}, history=(), blocked=(), reference=REFERENCE,
    )  # fmt: skip
    assert [each.newcomer for each in suggestions] == ["m_d"]


@given(seed=st.integers())
def test_the_order_of_topics_does_not_matter(seed: int) -> None:
    records: list[Record] = [
        *(person(m, looking_for=("friend", "group")) for m in (*GROUP, "m_d", "m_e", "m_f")),
        wish("m_d", PreferenceKind.LOOKING_FOR, looking_for=("group",)),
        wish("m_e", PreferenceKind.BLOCK, about="m_d"),
        wish("m_f", PreferenceKind.ERASE),
        suggested(*GROUP, "m_gone"),
        standing(),
    ]
    random.Random(seed).shuffle(records)
    found = seen(tell(MatcherState(), *records))
    assert members(found) == {"m_d", "m_e"}
    assert found.blocked == [("m_d", "m_e")]
    assert [seat.group.present for seat in found.seats] == [GROUP]
    assert next(p.looking_for for p in found.profiles if p.member == "m_d") == ("group",)


@pytest.mark.parametrize("introduced", [(*GROUP, "m_gone"), GROUP], ids=["left", "never-answered"])
def test_who_is_out_of_it_waits_on_whatever_the_others_make_of_it(introduced: tuple[str, ...]) -> None:
    """The group becomes a standing one without them, and ends: they have waited all the time.

    So has who never answered, and whom the quorum went ahead without.
    """
    state = tell(MatcherState(), *(person(member) for member in (*GROUP, "m_gone")))
    left = ("m_gone",) if "m_gone" in introduced else ()
    out: dict[str, Any] = {
        "introduced": introduced,
        "left": left,
        "introduced_at_ms": NOW_MS + 10,
        "settles_at_ms": None,
    }
    waits: list[int] = []
    for later in (
        standing(state=IntroductionState.INTRODUCED, revision=1, **out),
        standing(standing_since_ms=NOW_MS + 50, revision=2, **out),
        standing(
            state=IntroductionState.CLOSED, standing_since_ms=NOW_MS + 50, closed_at_ms=NOW_MS + 90,
            closing_reason=ClosingReason.SETTLED, revision=3, **out,
        ),
    ):  # fmt: skip
        tell(state, later)
        waits.append(seen(state, now_ms=NOW_MS + 100).waiting_since_ms["m_gone"])
    assert waits == [NOW_MS + 10] * 3
    assert seen(state, now_ms=NOW_MS + 100).waiting_since_ms["m_a"] == NOW_MS + 90


def test_who_said_no_waits_on_while_the_others_have_time_to_answer() -> None:
    state = tell(MatcherState(), *(person(member) for member in GROUP))
    of = suggested(*GROUP)
    facts = {
        "community": "london", "introduction": of.suggestion, "suggestion": of, "said_no": ("m_a",),
        "proposed_at_ms": NOW_MS + 10, "answer_by_ms": NOW_MS + 60,
    }  # fmt: skip
    tell(state, Introduction.model_validate({**facts, "state": IntroductionState.PROPOSED}))
    assert seen(state, now_ms=NOW_MS + 100).waiting_since_ms == {"m_a": NOW_MS + 10}
    closed = {**facts, "state": IntroductionState.CLOSED, "closing_reason": ClosingReason.DECLINED}
    tell(state, Introduction.model_validate({**closed, "closed_at_ms": NOW_MS + 60, "said_yes": ("m_b",)}))
    waits = seen(state, now_ms=NOW_MS + 100).waiting_since_ms
    assert waits["m_a"] == NOW_MS + 10
    assert waits["m_b"] < NOW_MS + 10, "who said yes keeps all of the time that they waited"
    assert waits["m_c"] == NOW_MS + 60, "who said nothing kept the others waiting"


def opened(suggestion: Suggestion, state: IntroductionState, opener: str | None, **more: Any) -> Introduction:
    return Introduction.model_validate(
        {
            "community": "london", "introduction": suggestion.suggestion, "suggestion": suggestion, "state": state,
            "opener": opener, "proposed_at_ms": NOW_MS, "answer_by_ms": NOW_MS, **more,
        }
    )  # fmt: skip


def load(*records: Record) -> dict[str, int]:
    state = tell(MatcherState(), *(person(member) for member in GROUP), *records)
    return {
        member: sum(at >= NOW_MS for at in state.communities["london"].openings[member].values()) for member in GROUP
    }


def test_who_was_only_going_to_be_asked_to_go_first_is_not_worn_out() -> None:
    suggestion = suggested(*GROUP, opener="m_a")
    proposed = opened(suggestion, IntroductionState.PROPOSED, None)
    fell_through = opened(
        suggestion, IntroductionState.CLOSED, None, closed_at_ms=NOW_MS, closing_reason=ClosingReason.EXPIRED
    )
    introduced = opened(suggestion, IntroductionState.INTRODUCED, "m_a", introduced=GROUP, introduced_at_ms=NOW_MS)
    taken_over = opened(suggestion, IntroductionState.INTRODUCED, "m_b", introduced=GROUP, introduced_at_ms=NOW_MS)
    over = opened(
        suggestion, IntroductionState.CLOSED, "m_b", introduced=GROUP, introduced_at_ms=NOW_MS, closed_at_ms=NOW_MS,
        closing_reason=ClosingReason.SETTLED,
    )  # fmt: skip
    assert load(suggestion) == load(suggestion, proposed) == {"m_a": 1, "m_b": 0, "m_c": 0}
    assert load(suggestion, proposed, fell_through) == {"m_a": 0, "m_b": 0, "m_c": 0}
    assert load(suggestion, proposed, introduced) == {"m_a": 1, "m_b": 0, "m_c": 0}
    assert load(suggestion, introduced, taken_over) == load(over, suggestion) == {"m_a": 0, "m_b": 1, "m_c": 0}


def test_who_went_first_did_so_even_if_they_left_afterwards() -> None:
    """Asked too often is asked too often, also by meetings that they did not want to repeat."""
    suggestion = suggested(*GROUP, opener="m_a")
    told = {"introduced": GROUP, "introduced_at_ms": NOW_MS}
    left = opened(suggestion, IntroductionState.INTRODUCED, None, **told, present=("m_b", "m_c"), left=("m_a",))
    over = opened(
        suggestion, IntroductionState.CLOSED, None, **told, left=("m_a",), closed_at_ms=NOW_MS,
        closing_reason=ClosingReason.SETTLED,
    )  # fmt: skip
    without_them = opened(
        suggestion, IntroductionState.INTRODUCED, None, introduced=("m_b", "m_c"), introduced_at_ms=NOW_MS
    )
    assert load(suggestion, left) == load(over, suggestion) == {"m_a": 1, "m_b": 0, "m_c": 0}
    assert load(suggestion, without_them) == {"m_a": 0, "m_b": 0, "m_c": 0}


def test_who_left_a_group_and_who_joined_it_since_are_kept_apart_whichever_of_them_is_free() -> None:
    both = ("m_gone", "m_d")
    state = tell(MatcherState(), *(person(member, looking_for=("friend", "group")) for member in (*GROUP, *both)))
    grown = standing(present=("m_a", "m_d"), joined=("m_d",), left=("m_gone",), settles_at_ms=NOW_MS + 1)
    found = seen(tell(state, grown))
    assert members(found) & set(both) == {"m_gone"}
    assert any(set(both) <= set(together) for together in found.times_together)
