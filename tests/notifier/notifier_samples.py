"""People and suggestions for the notifier's tests. Ids are derived as they are in the real pipeline."""

from __future__ import annotations

from shared import ids
from shared.community import Community
from shared.contracts import (
    Anchor,
    Choice,
    ChoiceKind,
    Contact,
    MeetingPlace,
    PartnerRequest,
    PartnerRequestKind,
    Preference,
    PreferenceKind,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)

NOW = 1_790_000_000_000
"""A day in 2026, in milliseconds."""
NAMES = ("Amara", "Ben", "Chidi", "Dilys", "Ewan", "Farah", "Gus", "Hana")
MEMBERS = tuple(ids.member_id("london", "club", name) for name in NAMES)

LONDON = Community.model_validate(
    {
        "community": "london", "name": "London", "time_zone": "Europe/London", "latitude": 51.5, "longitude": -0.1,
        "country": "GB", "answer_within_seconds": 3600, "remind_after_seconds": 1800, "settle_seconds": 7200,
        "pause_seconds": 86400, "meetings": {"notice_seconds": 3600, "check_in_within_seconds": 3600},
        "sender": "hello@london-connection.example", "sender_name": "London Connection",
        "agreement": ["What is said here stays here.", "Passing is always fine, on any question, without a reason."],
    }
)  # fmt: skip
COMMUNITIES = {"london": LONDON}
ANSWER_MS = LONDON.answer_within_seconds * 1000
SETTLE_MS = LONDON.settle_seconds * 1000
CHECK_IN_MS = LONDON.meetings.check_in_within_seconds * 1000


def suggestion(
    *members: str,
    at_ms: int = NOW,
    times_before: int = 0,
    anchor: Anchor | None = None,
    shared_interests: tuple[str, ...] = ("books", "running"),
    opener: str | None = None,
    joins: str | None = None,
    newcomer: str | None = None,
) -> Suggestion:
    """A pair or a group; with `joins` and `newcomer`, somebody for a seat in the group of the others."""
    together = tuple(sorted(members))
    kind = SuggestionKind.PAIR if len(together) == 2 else SuggestionKind.GROUP
    suggested = ids.suggestion_id(together, times_before)
    if joins is not None and newcomer is not None:
        kind, suggested = SuggestionKind.SEAT, ids.seat_id(joins, newcomer)
    return Suggestion(
        community="london",
        suggestion=suggested,
        kind=kind,
        joins=joins,
        newcomer=newcomer,
        members=together,
        opener=opener or together[0],
        anchor=anchor or Anchor(kind="interest", word="books"),
        shared_interests=shared_interests,
        place=MeetingPlace(name="Notting Hill", latitude=51.51, longitude=-0.2, farthest_km=3.2),
        slot="tue-evening",
        score=ScoreParts(interests=0.5, openness=0.7, practical=0.9, total=0.6),
        weights={"interests": 0.5},
        reasons=("Both like books and running.", "Both live within 4 km of Notting Hill."),
        waited_ms=1000,
        suggested_at_ms=at_ms,
        round=RoundReference(round="r_1", seed=1, engine="test 1", offsets={}),
    )


PAIR = suggestion(MEMBERS[0], MEMBERS[1])
GROUP = suggestion(*MEMBERS[:4])


def contact(member: str, *, at_ms: int = NOW - 1000, own_words: str = "") -> Contact:
    name = NAMES[MEMBERS.index(member)]
    return Contact(
        community="london", member=member, first_name=name, email=f"{name.lower()}@example.org",
        locale="en-GB", own_words=own_words, consent_wording="2026-11", accepted_at_ms=at_ms,
    )  # fmt: skip


def choice(member: str, introduction: str, kind: ChoiceKind, at_ms: int = NOW, occasion: int = 0) -> Choice:
    return Choice(
        community="london", member=member, introduction=introduction, kind=kind, chosen_at_ms=at_ms, occasion=occasion
    )


def pause(member: str, at_ms: int = NOW, seconds: int = 86400) -> Preference:
    return Preference(
        community="london", member=member, kind=PreferenceKind.PAUSE, chosen_at_ms=at_ms,
        until_ms=at_ms + seconds * 1000,
    )  # fmt: skip


def unsubscribe(member: str, at_ms: int = NOW) -> Preference:
    return Preference(community="london", member=member, kind=PreferenceKind.UNSUBSCRIBE, chosen_at_ms=at_ms)


def block(member: str, about: str, at_ms: int = NOW) -> Preference:
    return Preference(community="london", member=member, kind=PreferenceKind.BLOCK, chosen_at_ms=at_ms, about=about)


def erase(member: str, at_ms: int = NOW) -> Preference:
    return Preference(community="london", member=member, kind=PreferenceKind.ERASE, chosen_at_ms=at_ms)


def left(member: str, at_ms: int = NOW) -> PartnerRequest:
    return PartnerRequest(community="london", member=member, kind=PartnerRequestKind.LEFT, requested_at_ms=at_ms)
