"""Free seats in standing groups: for each the member who fits it best, if there is one who fits at all.

A newcomer comes into something that others have built, so fitting is asked of everybody
in the group: never relaxed rules hold with each of them, the slot and the place are the
group's, what brought it together is the newcomer's too, and of two who fit, the one is
better who gains more with that member of the group with whom they gain least.

Pure, like a round: the same in, the same out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from services.matcher.interests import InterestSpace
from services.matcher.policy import Policy
from services.matcher.reasons import SHARED_INTERESTS_MAX
from services.matcher.rules import may_meet
from services.matcher.score import score_pairs
from services.matcher.snapshot import LOOKS_FOR_GROUP, Snapshot, globe_km
from services.matcher.state import FreeSeat
from shared.community import Community
from shared.contracts import Introduction, Profile, RoundReference, ScoreParts, Suggestion, SuggestionKind
from shared.ids import seat_id
from shared.slots import mask_of

_SCORE_DIGITS = 6
_KM_DIGITS = 2


def suggest_newcomers(
    seats: Sequence[FreeSeat],
    free: Sequence[Profile],
    community: Community,
    policy: Policy,
    *,
    now_ms: int,
    waited_rounds: Mapping[str, int],
    history: Collection[Collection[str]],
    blocked: Collection[tuple[str, str]],
    reference: RoundReference,
) -> tuple[Suggestion, ...]:
    """A newcomer for each seat that somebody fits, in the order of the seats; nobody for two of them.

    Takes time linear in the free members for each seat, and scores only those who may sit there.
    """
    if not seats or not free:
        return ()
    in_groups = {profile.member: profile for seat in seats for profile in seat.profiles}
    people = {profile.member: profile for profile in free} | in_groups
    snapshot = Snapshot.of(
        community,
        people.values(),
        now_ms=now_ms,
        waited_rounds=waited_rounds,
        history=history,
        opener_load={},
        blocked=blocked,
    )
    space = InterestSpace.of(snapshot.interests, len(snapshot.interest_words))
    row_of = {member: row for row, member in enumerate(snapshot.ids)}
    # Some who sit in a group are free again, and may join another; their own bars them from itself.
    at_liberty = {profile.member for profile in free}
    available = np.array([member in at_liberty for member in snapshot.ids], np.bool_)
    suggestions = []
    for seat in seats:
        rows = [row_of[profile.member] for profile in seat.profiles]
        fitting = _fitting(seat.group, rows, available, snapshot)
        if not fitting:
            continue
        newcomer, parts = _best(fitting, rows, snapshot, space, policy)
        available[newcomer] = False
        suggestions.append(_suggestion(seat.group, newcomer, rows, parts, snapshot, space, policy, now_ms, reference))
    return tuple(suggestions)


def _fitting(group: Introduction, rows: list[int], available: NDArray[np.bool_], snapshot: Snapshot) -> list[int]:
    """Who may sit there: looks for a group, is free then, gets there, shares what it is about, may meet everybody."""
    members, suggestion = snapshot.members, group.suggestion
    possible = available & ((members["looks_for"] & LOOKS_FOR_GROUP) > 0)
    possible &= (members["slots"] & mask_of([suggestion.slot])) > 0
    possible &= _way_km(group, snapshot) <= members["reach"]
    return [
        row
        for row in np.flatnonzero(possible).tolist()
        if _shares_the_anchor(group, row, snapshot)
        and all(may_meet(members, row, other, snapshot.barred, snapshot.age_rule) for other in rows)
    ]


def _way_km(group: Introduction, snapshot: Snapshot) -> NDArray[np.float64]:
    place, community, members = group.suggestion.place, snapshot.community, snapshot.members
    spot = globe_km(np.array([[place.latitude, place.longitude]]), (community.latitude, community.longitude))[0]
    homes = np.stack([members["east"], members["north"], members["up"]], axis=1)
    way: NDArray[np.float64] = np.sqrt(((homes - spot) ** 2).sum(axis=1))
    return way


def _shares_the_anchor(group: Introduction, row: int, snapshot: Snapshot) -> bool:
    anchor = group.suggestion.anchor
    words, lists = (
        (snapshot.interest_words, snapshot.interests)
        if anchor.kind == "interest"
        else (snapshot.topic_words, snapshot.topics)
    )
    return anchor.kind == "none" or any(words[item] == anchor.word for item in lists.of(row))


def _best(
    fitting: list[int], rows: list[int], snapshot: Snapshot, space: InterestSpace, policy: Policy
) -> tuple[int, NDArray[np.float64]]:
    """The newcomer with the greatest least weight, the first of equals by id; and part by part the least score."""
    pairs = np.array([(row, other) for row in fitting for other in rows], np.int64)
    scores = score_pairs(snapshot, space, pairs, policy)
    weight = scores.weight.reshape(len(fitting), len(rows)).min(axis=1)
    best = int(np.argmax(weight))
    parts: NDArray[np.float64] = scores.parts.reshape(len(fitting), len(rows), -1)[best].min(axis=0)
    return fitting[best], parts


def _suggestion(
    group: Introduction,
    newcomer: int,
    rows: list[int],
    parts: NDArray[np.float64],
    snapshot: Snapshot,
    space: InterestSpace,
    policy: Policy,
    now_ms: int,
    reference: RoundReference,
) -> Suggestion:
    suggestion, member = group.suggestion, snapshot.ids[newcomer]
    together = (*rows, newcomer)
    interests, openness, practical, total = (round(float(part), _SCORE_DIGITS) for part in parts)
    farthest = round(float(_way_km(group, snapshot)[list(together)].max()), _KM_DIGITS)
    words = tuple(_in_common(snapshot, space, together)[:SHARED_INTERESTS_MAX])
    return Suggestion(
        community=suggestion.community,
        suggestion=seat_id(group.introduction, member),
        kind=SuggestionKind.SEAT,
        members=tuple(sorted((*group.present, member))),
        anchor=suggestion.anchor,
        shared_interests=words,
        place=suggestion.place.model_copy(update={"farthest_km": farthest}),
        slot=suggestion.slot,
        score=ScoreParts(interests=interests, openness=openness, practical=practical, total=total),
        weights=policy.recorded_weights,
        reasons=(f"A standing group around {suggestion.place.name} has a free seat, and they fit everybody in it.",),
        waited_ms=max(0, now_ms - int(snapshot.accepted_at_ms[newcomer])),
        suggested_at_ms=now_ms,
        round=reference,
        pace=int(snapshot.members["depth"][list(together)].min()),
        joins=group.introduction,
        newcomer=member,
    )


def _in_common(snapshot: Snapshot, space: InterestSpace, rows: Sequence[int]) -> list[str]:
    """The interests that all of them have, rarest first."""
    common = set.intersection(*(set(snapshot.interests.of(row).tolist()) for row in rows))
    return [snapshot.interest_words[item] for item in sorted(common, key=lambda item: (space.holders[item], item))]
