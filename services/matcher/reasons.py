"""From matched rows to suggestions: what they share, where and when they could meet, who may go first, and why.

The reasons are for operators and explanations. They name nobody, and no life topic:
what somebody goes through is theirs to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.matcher.interests import InterestSpace
from services.matcher.places import meeting_places
from services.matcher.policy import Policy
from services.matcher.score import score_pairs
from services.matcher.snapshot import Snapshot
from shared.community import Community
from shared.contracts import Anchor, MeetingPlace, RoundReference, ScoreParts, Suggestion, SuggestionKind
from shared.ids import suggestion_id
from shared.slots import SLOTS, Slot, slots_in

SHARED_INTERESTS_MAX = 5
_SCORE_DIGITS = 6
_DEPTH_APART_MAX = 1
_HOW_MANY = {2: "Both", 3: "All three", 4: "All four", 5: "All five", 6: "All six"}
_DAYS = {
    "mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
    "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip


def _liked(slot: Slot) -> tuple[bool, bool, int]:
    day, part = slot.split("-")
    weekend = day in ("sat", "sun")
    # Weekday evenings and daytime at weekends first: most people work, and a first meeting is no night out.
    return (part == "evening") == weekend, day in ("fri", "mon"), SLOTS.index(slot)


_SLOTS_BY_LIKING: tuple[Slot, ...] = tuple(sorted(SLOTS, key=_liked))


@dataclass(frozen=True)
class Match:
    """Who is suggested to each other, by rows of the snapshot."""

    members: tuple[int, ...]
    """Sorted."""
    kind: SuggestionKind
    opener: int | None
    anchor_kind: Literal["interest", "life_topic", "none"]
    anchor: str = ""


def choose_opener(snapshot: Snapshot, can_open: NDArray[np.bool_], rows: Sequence[int]) -> int | None:
    """Of those who are happy to go first, the one who was asked to least often lately; none where nobody is."""
    willing = [row for row in rows if can_open[row]]
    happiest = snapshot.members["goes_first"]
    return min(willing, key=lambda row: (snapshot.opener_load[row], -happiest[row], row), default=None)


def shared_words(snapshot: Snapshot, holders: NDArray[np.int64], rows: Sequence[int]) -> list[str]:
    """The interests that all of them have, rarest first."""
    common = set.intersection(*(set(snapshot.interests.of(row).tolist()) for row in rows))
    return [snapshot.interest_words[item] for item in sorted(common, key=lambda item: (holders[item], item))]


def pair_anchor(
    snapshot: Snapshot, holders: NDArray[np.int64], rows: Sequence[int]
) -> tuple[Literal["interest", "life_topic", "none"], str]:
    """What a pair shares: its rarest interest, else a life topic that both told us of, else nothing."""
    words = shared_words(snapshot, holders, rows)
    if words:
        return "interest", words[0]
    topics = set.intersection(*(set(snapshot.topics.of(row).tolist()) for row in rows))
    return ("life_topic", snapshot.topic_words[min(topics)]) if topics else ("none", "")


def suggestions_of(
    matches: Sequence[Match],
    snapshot: Snapshot,
    space: InterestSpace,
    policy: Policy,
    *,
    community: Community,
    now_ms: int,
    reference: RoundReference,
) -> tuple[Suggestion, ...]:
    """The records for some matches, in their order; about 60 us each."""
    scores = _least_scores(matches, snapshot, space, policy)
    places = meeting_places(snapshot, [match.members for match in matches])
    weights = policy.recorded_weights
    suggestions = []
    for match, score, place in zip(matches, scores, places, strict=True):
        members = tuple(snapshot.ids[row] for row in match.members)
        words = shared_words(snapshot, space.holders, match.members)[:SHARED_INTERESTS_MAX]
        slot = liked_slot(int(np.bitwise_and.reduce(snapshot.members["slots"][list(match.members)])))
        accepted = min(int(snapshot.accepted_at_ms[row]) for row in match.members)
        suggestions.append(
            Suggestion(
                community=community.community,
                suggestion=suggestion_id(members, snapshot.times_suggested.get(members, 0)),
                kind=match.kind,
                members=members,
                opener=None if match.opener is None else snapshot.ids[match.opener],
                anchor=Anchor(kind=match.anchor_kind, word=match.anchor),
                shared_interests=tuple(words),
                place=place,
                slot=slot,
                score=score,
                weights=weights,
                reasons=tuple(_plain_words(match, snapshot, words, place, slot)),
                waited_ms=max(0, now_ms - accepted),
                suggested_at_ms=now_ms,
                round=reference,
            )
        )
    return tuple(suggestions)


@lru_cache(maxsize=65_536)
def liked_slot(mask: int) -> Slot:
    """The slot of a mask that most people like best.

    >>> liked_slot(0b111)
    'mon-evening'
    """
    free = slots_in(mask)
    return next(slot for slot in _SLOTS_BY_LIKING if slot in free)


def _least_scores(
    matches: Sequence[Match], snapshot: Snapshot, space: InterestSpace, policy: Policy
) -> list[ScoreParts]:
    """Part by part the least that any two of a match reach."""
    pairs = [pair for match in matches for pair in combinations(match.members, 2)]
    if not pairs:
        return []
    parts = score_pairs(snapshot, space, np.array(pairs, np.int64), policy).parts
    size = np.array([len(match.members) for match in matches])
    first = np.concatenate([[0], np.cumsum(size * (size - 1) // 2)[:-1]])
    least = np.round(np.minimum.reduceat(parts, first, axis=0), _SCORE_DIGITS).tolist()
    return [ScoreParts(interests=a, openness=b, practical=c, total=d) for a, b, c, d in least]


def _plain_words(match: Match, snapshot: Snapshot, words: list[str], place: MeetingPlace, slot: Slot) -> list[str]:
    everybody = _HOW_MANY[len(match.members)]
    members = snapshot.members[list(match.members)]
    reasons = []
    if words:
        reasons.append(f"{everybody} enjoy {_listed(words)}.")
    if match.anchor_kind == "life_topic":
        reasons.append(f"{everybody} are at a similar point in their lives.")
    if match.anchor_kind == "none":
        reasons.append("They share no interest yet: they live near each other, and have waited for long.")
    if match.opener is not None:
        reasons.append("One of them is happy to go first.")
    if int(members["depth"].max()) - int(members["depth"].min()) <= _DEPTH_APART_MAX:
        reasons.append("They want a first conversation to go about equally deep.")
    reasons.append(f"Nobody travels more than {max(1, round(place.farthest_km))} km to {place.name}.")
    day, part = slot.split("-")
    reasons.append(f"{everybody} are free on {_DAYS[day]} {part}s.")
    return reasons


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
