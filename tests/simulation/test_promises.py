"""A promise that is broken is noticed: each is broken once here, by records that no service of ours should write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.matcher.state import FreeSeat, RoundInput
from shared.community import load_communities
from shared.contracts import (
    Anchor,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    MeetingPlace,
    Openness,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    Profile,
    Record,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)
from simulation.command import COMMUNITIES
from simulation.promises import PROMISES, Promises
from simulation.run import BEGINS_AT_MS
from simulation.world import World

NOW_MS = BEGINS_AT_MS
LONDON = load_communities(COMMUNITIES)["london"]


def profile(member: str, *, goes_first: int = 2) -> Profile:
    return Profile(
        community="london", member=member, partner="app", birth_year=1990, languages=("en",), place="Soho",
        latitude=51.51, longitude=-0.13, travel_km=5, interests=("running",),
        openness=Openness(shares=3, listens=3, goes_first=goes_first, depth=3), available=("tue-evening",),
        looking_for=("friend", "group"), accepted_at_ms=NOW_MS,
    )  # fmt: skip


def suggestion(*members: str, name: str = "", **more: Any) -> Suggestion:
    facts: dict[str, Any] = {
        "community": "london", "suggestion": f"s_{name or ''.join(members)}", "members": members,
        "kind": SuggestionKind.PAIR if len(members) == 2 else SuggestionKind.GROUP,
        "anchor": Anchor(kind="interest", word="running"), "shared_interests": ("running",), "slot": "tue-evening",
        "place": MeetingPlace(name="Soho", latitude=51.51, longitude=-0.13, farthest_km=1), "weights": {},
        "score": ScoreParts(interests=1, openness=1, practical=1, total=1), "reasons": (), "waited_ms": 0,
        "suggested_at_ms": NOW_MS, "round": RoundReference(round="r", seed=0, engine="e", offsets={}),
    }  # fmt: skip
    return Suggestion.model_validate({**facts, **more})


def introduction(of: Suggestion, state: IntroductionState, **more: Any) -> Introduction:
    facts = {"proposed_at_ms": NOW_MS, "answer_by_ms": NOW_MS + 1, **more}
    return Introduction(community="london", introduction=of.suggestion, suggestion=of, state=state, **facts)


def preference(member: str, kind: PreferenceKind, **more: Any) -> Preference:
    return Preference(community="london", member=member, kind=kind, chosen_at_ms=NOW_MS, **more)


def email(member: str, kind: EmailKind, of: Suggestion) -> Email:
    return Email(
        community="london", email="e_1", introduction=of.suggestion, member=member, kind=kind, planned_at_ms=NOW_MS
    )


@pytest.fixture
def promises() -> Promises:
    return Promises(World(LONDON, partner="app", seed=1, now_ms=NOW_MS))


def tell(promises: Promises, *records: Record, now_ms: int = NOW_MS) -> None:
    for record in records:
        promises.record("", record.key, record, now_ms)


def people(promises: Promises) -> None:
    tell(promises, profile("a"), profile("b"), profile("c"), profile("d", goes_first=5))


def twice_at_once(promises: Promises) -> None:
    tell(promises, suggestion("a", "b"), suggestion("a", "c"))


def kept_twice(promises: Promises) -> None:
    first, second = suggestion("a", "b"), suggestion("c", "d", opener="d")
    tell(promises, first, introduction(first, IntroductionState.PROPOSED), second)
    joined = introduction(second, IntroductionState.STANDING, present=("a",), joined=("a",), settles_at_ms=NOW_MS + 1)
    tell(promises, joined)


def no_opener(promises: Promises) -> None:
    tell(promises, suggestion("a", "b", "d"))


def tired_opener(promises: Promises) -> None:
    for number in range(4):
        of = suggestion(f"other{number}", "d", opener="d")
        together = introduction(of, IntroductionState.CLOSED, introduced=of.members)
        tell(promises, profile(f"other{number}"), of, together)


def again(promises: Promises) -> None:
    for name in ("first", "second"):
        of = suggestion("a", "b", name=name)
        tell(promises, of, introduction(of, IntroductionState.CLOSED))


def blocked(promises: Promises) -> None:
    tell(promises, preference("b", PreferenceKind.BLOCK, about="a"), suggestion("a", "b"))


def written_to_after_leaving(promises: Promises) -> None:
    of = suggestion("a", "b")
    left = PartnerRequest(community="london", member="a", kind=PartnerRequestKind.LEFT, requested_at_ms=NOW_MS)
    tell(promises, left)
    promises.sent(email("a", EmailKind.CLOSING, of), introduction(of, IntroductionState.CLOSED), NOW_MS)


def written_to_after_erasure(promises: Promises) -> None:
    of = suggestion("a", "b")
    tell(promises, preference("a", PreferenceKind.ERASE))
    promises.sent(email("a", EmailKind.CLOSING, of), introduction(of, IntroductionState.CLOSED), NOW_MS)


def invited_in_a_pause(promises: Promises) -> None:
    of = suggestion("a", "b")
    tell(promises, preference("a", PreferenceKind.PAUSE, until_ms=NOW_MS + 10))
    promises.sent(email("a", EmailKind.INVITATION, of), introduction(of, IntroductionState.PROPOSED), NOW_MS)


def named_without_a_yes(promises: Promises) -> None:
    of = suggestion("a", "b")
    introduced = introduction(of, IntroductionState.INTRODUCED, said_yes=("b",))
    promises.sent(email("a", EmailKind.INTRODUCTION, of), introduced, NOW_MS)


def seat_not_offered(promises: Promises) -> None:
    group = introduction(suggestion("b", "c", "d", opener="d"), IntroductionState.STANDING, present=("b", "c"), seats=3)
    free_seat = FreeSeat(group, (profile("b"), profile("c")))
    promises.round(
        RoundInput([profile("a")], {"a": NOW_MS}, {}, {}, [], [free_seat]), None, (), NOW_MS
    )  # fmt: skip


def wait_begun_anew(promises: Promises) -> None:
    for since_ms in (NOW_MS, NOW_MS + 1):
        promises.round(RoundInput([profile("a")], {"a": since_ms}, {}, {}), None, (), NOW_MS + 1)


def never_taken_up(promises: Promises) -> None:
    tell(promises, suggestion("a", "b"))
    promises.check_folds()


def never_decided(promises: Promises) -> None:
    tell(promises, introduction(suggestion("a", "b"), IntroductionState.PROPOSED))
    promises._world.now_ms += 3_600_000
    promises.check_folds()


def not_free(promises: Promises) -> None:
    promises.check_folds()  # The matcher knows nobody.


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (twice_at_once, "one-at-a-time"),
        (kept_twice, "one-at-a-time"),
        (no_opener, "opener-where-there-is-one"),
        (tired_opener, "openers-rest"),
        (again, "never-twice"),
        (blocked, "kept-apart"),
        (written_to_after_leaving, "nobody-is-written-to-after-goodbye"),
        (written_to_after_erasure, "nobody-is-written-to-after-goodbye"),
        (invited_in_a_pause, "no-invitation-in-a-pause"),
        (named_without_a_yes, "names-after-yes"),
        (seat_not_offered, "seats-are-offered"),
        (wait_begun_anew, "waits-count"),
        (never_taken_up, "nothing-lies-about"),
        (never_decided, "nothing-lies-about"),
        (not_free, "free-is-free"),
    ],
)
def test_a_broken_promise_is_noticed(promises: Promises, broken: Callable[[Promises], None], promise: str) -> None:
    people(promises)
    assert promises.broken == 0
    broken(promises)
    assert promise in {breach.promise for breach in promises.breaches}


def test_every_promise_is_broken_here_once() -> None:
    cases = {promise for _, promise in test_a_broken_promise_is_noticed.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert cases == set(PROMISES)


def test_what_is_right_is_not_noticed(promises: Promises) -> None:
    people(promises)
    first = suggestion("a", "d", opener="d")
    tell(promises, first, introduction(first, IntroductionState.PROPOSED))
    tell(promises, introduction(first, IntroductionState.CLOSED), suggestion("a", "b"))
    promises.sent(email("a", EmailKind.INVITATION, first), introduction(first, IntroductionState.PROPOSED), NOW_MS)
    assert promises.breaches == []
    assert promises.checks > 5
