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

from services.matcher.compiled import compiled
from services.matcher.interests import InterestSpace
from services.matcher.places import meeting_places
from services.matcher.policy import Policy
from services.matcher.score import score_pairs
from services.matcher.snapshot import Ints, Lists, Snapshot
from shared.community import Community
from shared.contracts import Anchor, MeetingPlace, RoundReference, ScoreParts, Suggestion, SuggestionKind
from shared.ids import suggestion_id
from shared.slots import SLOTS, Slot, slots_in

AnchorKind = Literal["interest", "life_topic", "none"]
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
    anchor_kind: AnchorKind
    anchor: str = ""


def choose_opener(snapshot: Snapshot, can_open: NDArray[np.bool_], rows: Sequence[int]) -> int | None:
    """Of those who are happy to go first, the one who was asked to least often lately; none where nobody is."""
    willing = [row for row in rows if can_open[row]]
    happiest = snapshot.members["goes_first"]
    return min(willing, key=lambda row: (snapshot.opener_load[row], -happiest[row], row), default=None)


def pair_anchors(snapshot: Snapshot, holders: NDArray[np.int64], pairs: Ints) -> list[tuple[AnchorKind, str]]:
    """What pairs share, (m, 2): their rarest interest, else a life topic that both told us of, else nothing."""
    interest = _in_common(snapshot.interests, holders, pairs, 1)[:, 0].tolist()
    everybody = np.zeros(len(snapshot.topic_words), np.int64)
    topic = _in_common(snapshot.topics, everybody, pairs, 1)[:, 0].tolist()
    return [
        ("interest", snapshot.interest_words[word])
        if word >= 0
        else (("life_topic", snapshot.topic_words[theme]) if theme >= 0 else ("none", ""))
        for word, theme in zip(interest, topic, strict=True)
    ]


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
    """The records for some matches, in their order; about 20 us each."""
    if not matches:
        return ()
    seats = _seats(matches)
    places = meeting_places(snapshot, seats)
    shared = _in_common(snapshot.interests, space.holders, seats, SHARED_INTERESTS_MAX).tolist()
    scores = _least_scores(seats, snapshot, space, policy).tolist()
    there, members = seats >= 0, snapshot.members[seats]
    slots = np.bitwise_and.reduce(np.where(there, members["slots"], -1), axis=1).tolist()
    depth = members["depth"].astype(np.int64)
    least_deep = np.where(there, depth, 9).min(axis=1)
    alike_deep = np.where(there, depth, 0).max(axis=1) - least_deep <= _DEPTH_APART_MAX
    accepted = np.where(there, snapshot.accepted_at_ms[seats], np.iinfo(np.int64).max).min(axis=1)
    waited = np.maximum(0, now_ms - accepted).tolist()
    weights = policy.recorded_weights
    suggestions = []
    for match, place, items, score, mask, deep, pace, wait in zip(
        matches, places, shared, scores, slots, alike_deep.tolist(), least_deep.tolist(), waited, strict=True
    ):
        ids = tuple([snapshot.ids[row] for row in match.members])
        words = tuple([snapshot.interest_words[item] for item in items if item >= 0])
        slot = liked_slot(mask)
        suggestions.append(
            Suggestion(
                community=community.community,
                suggestion=suggestion_id(ids, snapshot.times_suggested.get(ids, 0)),
                kind=match.kind,
                members=ids,
                opener=None if match.opener is None else snapshot.ids[match.opener],
                anchor=Anchor(kind=match.anchor_kind, word=match.anchor),
                shared_interests=words,
                place=place,
                slot=slot,
                score=ScoreParts(interests=score[0], openness=score[1], practical=score[2], total=score[3]),
                weights=weights,
                reasons=_plain_words(match, deep, words, place, slot),
                waited_ms=wait,
                suggested_at_ms=now_ms,
                round=reference,
                pace=pace,
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


def _seats(matches: Sequence[Match]) -> Ints:
    """(matches, most members) rows, -1 behind the last."""
    size = np.array([len(match.members) for match in matches])
    seats = np.full((len(matches), int(size.max())), -1, np.int32)
    seats[np.arange(seats.shape[1]) < size[:, None]] = [row for match in matches for row in match.members]
    return seats


@compiled
def _in_common(lists: Lists, holders: NDArray[np.int64], seats: Ints, most: int) -> Ints:
    """(matches, most) the words that all of a match have, rarest first and then by the alphabet, -1 behind the last."""
    found = np.full((len(seats), most), -1, np.int32)
    for match in range(len(seats)):
        count = 0
        first = seats[match, 0]
        for word in lists.item[lists.start[first] : lists.start[first + 1]]:
            shared = True
            for row in seats[match, 1:]:
                if row >= 0:
                    place = lists.start[row]
                    while place < lists.start[row + 1] and lists.item[place] < word:
                        place += 1
                    shared &= place < lists.start[row + 1] and lists.item[place] == word
            if not shared:
                continue
            spot = count
            while spot > 0 and holders[word] < holders[found[match, spot - 1]]:
                if spot < most:
                    found[match, spot] = found[match, spot - 1]
                spot -= 1
            if spot < most:
                found[match, spot] = word
                count = min(count + 1, most)
    return found


def _least_scores(seats: Ints, snapshot: Snapshot, space: InterestSpace, policy: Policy) -> NDArray[np.float64]:
    """(matches, 4) part by part the least that any two of a match reach."""
    least = np.ones((len(seats), 4))
    for one, other in combinations(range(seats.shape[1]), 2):
        both = np.flatnonzero(seats[:, other] >= 0)
        if len(both):
            parts = score_pairs(snapshot, space, seats[both][:, [one, other]].astype(np.int64), policy).parts
            least[both] = np.minimum(least[both], parts)
    return np.round(least, _SCORE_DIGITS)


def _plain_words(match: Match, deep: bool, words: tuple[str, ...], place: MeetingPlace, slot: Slot) -> tuple[str, ...]:
    everybody = _HOW_MANY[len(match.members)]
    reasons = []
    if words:
        reasons.append(f"{everybody} enjoy {_listed(words)}.")
    if match.anchor_kind == "life_topic":
        reasons.append(f"{everybody} are at a similar point in their lives.")
    if match.anchor_kind == "none":
        reasons.append("They share no interest yet: they live near each other, and have waited for long.")
    if match.opener is not None:
        reasons.append("One of them is happy to go first.")
    if deep:
        reasons.append("They want a first conversation to go about equally deep.")
    reasons.append(f"Nobody travels more than {max(1, round(place.farthest_km))} km to {place.name}.")
    day, part = slot.split("-")
    reasons.append(f"{everybody} are free on {_DAYS[day]} {part}s.")
    return tuple(reasons)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
