"""Why a suggestion came about: its score, its opener, what waiting had eased, and whom it passed over for whom.

Worked out from a round that was run again, so it says what the round saw and nothing
that has happened since. Members are ids; there is no name to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from services.matcher.policy import Policy
from services.matcher.round import Round
from services.matcher.rules import of_similar_age, why_barred
from services.matcher.score import distance_km, score_pairs
from services.matcher.snapshot import BLOCKED, LOOKS_FOR_GROUP, LOOKS_FOR_PAIR, MET, Snapshot
from shared.contracts import Suggestion, SuggestionKind

ALTERNATIVES = 3
"""So many who could have been are shown for each member, and at most as many who never could."""


class PassedOver(StrEnum):
    """Why somebody was not suggested to a member. The first that holds, in this order."""

    LOOKS_FOR_SOMETHING_ELSE = "looks_for_something_else"
    """A group and no friend, or the other way round; or may not be matched at all."""
    BLOCKED = "blocked"
    MET_BEFORE = "met_before"
    NOT_IN_REACH = "not_in_reach"
    NO_LANGUAGE_IN_COMMON = "no_language_in_common"
    NOT_OF_SIMILAR_AGE = "not_of_similar_age"
    NO_SLOT_IN_COMMON = "no_slot_in_common"
    NO_INTEREST_IN_COMMON = "no_interest_in_common"
    """And one of the two has not waited long enough to do without."""
    TAKEN = "taken"
    """By another suggestion: together, the suggestions that were made weigh more."""
    WORTH_LESS = "worth_less"
    """Free, and worth less to the member than this suggestion."""
    NOT_SEEN_OR_NOT_FOR_THE_WHOLE = "not_seen_or_not_for_the_whole"
    """Free, and worth more by themselves: not among the candidates that were read, or in the way of other matches."""


_COULD_HAVE_BEEN = {PassedOver.TAKEN, PassedOver.WORTH_LESS, PassedOver.NOT_SEEN_OR_NOT_FOR_THE_WHOLE}


@dataclass(frozen=True)
class Parts:
    """A score in 0..1, part by part, and the integer weight in millionths with what waiting adds."""

    interests: float
    openness: float
    practical: float
    total: float
    weight: int


@dataclass(frozen=True)
class Alternative:
    member: str
    score: Parts
    why: PassedOver
    taken_by: str | None
    """The suggestion that they are in instead."""
    taken_weight: int | None
    """What that is worth to them: the mean weight of the pairs that they are in there."""


@dataclass(frozen=True)
class MemberPart:
    """One of its members."""

    member: str
    waited_rounds: int
    reach_km: float
    """How far they would travel, with what waiting has added."""
    distance_eased: bool
    interests_eased: bool
    size_eased: bool
    weight_gained_by_waiting: int
    worth: int
    """The mean weight of the pairs that they are in with the others."""
    alternatives: tuple[Alternative, ...]
    """The best others by weight, and who would have been better and never could."""


@dataclass(frozen=True)
class OpenerPart:
    """A member who is happy to go first, or would have been asked if they were not worn out."""

    member: str
    goes_first: int
    asked_lately: int
    why: str


@dataclass(frozen=True)
class Explanation:
    suggestion: Suggestion
    members: tuple[MemberPart, ...]
    pairs: Mapping[str, Parts]
    """By "member member": the score's parts are the least that any of these reach."""
    openers: tuple[OpenerPart, ...]
    """The one who was chosen first, then who else could have been, or would have been if not for the cap."""
    free_members: int
    round_weight: int
    round_upper_bound: int


class NotInThatRound(ValueError):
    """The suggestion is none of this round: the round differs now, and cannot explain it."""


def explain(suggestion: Suggestion, found: Round, suggestions: Sequence[Suggestion]) -> Explanation:
    """Explain a suggestion from its round, run again, and the suggestions of that round.

    Compares each member with everybody: about 2 us for each of the free members, times the
    suggestion's members. Raises `NotInThatRound` if the round does not suggest just these people.
    """
    if all(each.suggestion != suggestion.suggestion for each in suggestions):
        raise NotInThatRound(
            f"suggestion {suggestion.suggestion} is none of round {suggestion.round.round} when that is run again; "
            "`connection replay` shows what differs"
        )
    snapshot, policy = found.snapshot, found.policy
    row_of = {member: row for row, member in enumerate(snapshot.ids)}
    rows = [row_of[member] for member in suggestion.members]
    ours = {row: _scored(found, row, [other for other in rows if other != row]) for row in rows}
    engaged = {row_of[member]: each for each in suggestions for member in each.members}
    return Explanation(
        suggestion=suggestion,
        members=tuple(_member(row, rows, ours[row], engaged, found, suggestion, row_of) for row in rows),
        pairs={
            f"{snapshot.ids[row]} {snapshot.ids[other]}": parts
            for row in rows
            for other, parts in ours[row].items()
            if row < other
        },
        openers=_openers(suggestion, rows, snapshot, policy),
        free_members=snapshot.size,
        round_weight=found.weight,
        round_upper_bound=found.upper_bound,
    )


def _scored(found: Round, row: int, others: Sequence[int]) -> dict[int, Parts]:
    if not others:
        return {}
    pairs = np.array([(row, other) for other in others], np.int64)
    scores = score_pairs(found.snapshot, found.space, pairs, found.policy)
    found_parts = zip(others, np.round(scores.parts, 6).tolist(), scores.weight.tolist(), strict=True)
    return {
        other: Parts(interests=parts[0], openness=parts[1], practical=parts[2], total=parts[3], weight=weight)
        for other, parts, weight in found_parts
    }


def _member(
    row: int,
    rows: list[int],
    ours: dict[int, Parts],
    engaged: Mapping[int, Suggestion],
    found: Round,
    suggestion: Suggestion,
    row_of: Mapping[str, int],
) -> MemberPart:
    snapshot, policy = found.snapshot, found.policy
    record, easier = snapshot.members[row], snapshot.community.relaxation
    waited = int(record["waited_rounds"])
    worth = _mean(ours)
    one = np.full(snapshot.size, row, np.int64)
    weight = score_pairs(snapshot, found.space, np.stack([one, np.arange(snapshot.size)], axis=1), policy).weight
    alternatives: list[Alternative] = []
    could = never = 0
    # The heaviest first, of equals the first by id; oneself and the others in it are none.
    for other in np.argsort(-weight.astype(np.int64), kind="stable").tolist():
        if other in rows:
            continue
        why = _why_passed_over(row, other, worth, int(weight[other]), engaged, snapshot, suggestion.kind)
        if why in _COULD_HAVE_BEEN:
            could += 1
        elif never == ALTERNATIVES or why is PassedOver.LOOKS_FOR_SOMETHING_ELSE:
            continue
        else:
            never += 1
        theirs = engaged.get(other)
        theirs_worth = None
        if theirs is not None:
            with_whom = [row_of[member] for member in theirs.members if row_of[member] != other]
            theirs_worth = _mean(_scored(found, other, with_whom))
        alternatives.append(
            Alternative(
                member=snapshot.ids[other],
                score=_scored(found, row, [other])[other],
                why=why,
                taken_by=theirs.suggestion if theirs else None,
                taken_weight=theirs_worth,
            )
        )
        if could == ALTERNATIVES:
            break
    return MemberPart(
        member=snapshot.ids[row],
        waited_rounds=waited,
        reach_km=round(float(record["reach"]), 1),
        distance_eased=waited >= easier.distance_after_rounds,
        interests_eased=not bool(record["needs_shared_interest"]),
        size_eased=bool(record["takes_any_size"]),
        weight_gained_by_waiting=round(
            policy.waiting_gain_per_round * 1_000_000 * min(waited, policy.waiting_rounds_counted_max)
        ),
        worth=worth,
        alternatives=tuple(alternatives),
    )


def _mean(scores: Mapping[int, Parts]) -> int:
    return round(sum(parts.weight for parts in scores.values()) / max(1, len(scores)))


def _why_passed_over(
    me: int,
    you: int,
    worth: int,
    weight: int,
    engaged: Mapping[int, Suggestion],
    snapshot: Snapshot,
    kind: SuggestionKind,
) -> PassedOver:
    members = snapshot.members
    mine, yours = members[me], members[you]
    looked_for = LOOKS_FOR_PAIR if kind is SuggestionKind.PAIR else LOOKS_FOR_GROUP
    barred = why_barred(snapshot.barred, me, you)
    apart = distance_km(members, me, you)
    needs_one = bool(mine["needs_shared_interest"]) or bool(yours["needs_shared_interest"])
    # A life topic may stand in for an interest in a group alone.
    shares = bool(np.intersect1d(snapshot.interests.of(me), snapshot.interests.of(you)).size) or (
        kind is not SuggestionKind.PAIR and bool(np.intersect1d(snapshot.topics.of(me), snapshot.topics.of(you)).size)
    )
    stood_in_the_way = (
        (not int(yours["looks_for"]) & looked_for, PassedOver.LOOKS_FOR_SOMETHING_ELSE),
        (barred == BLOCKED, PassedOver.BLOCKED),
        (barred == MET, PassedOver.MET_BEFORE),
        (apart > mine["reach"] or apart > yours["reach"], PassedOver.NOT_IN_REACH),
        (not int(mine["languages"]) & int(yours["languages"]), PassedOver.NO_LANGUAGE_IN_COMMON),
        (not of_similar_age(members, me, you, snapshot.age_rule), PassedOver.NOT_OF_SIMILAR_AGE),
        (not int(mine["slots"]) & int(yours["slots"]), PassedOver.NO_SLOT_IN_COMMON),
        (needs_one and not shares, PassedOver.NO_INTEREST_IN_COMMON),
        (you in engaged, PassedOver.TAKEN),
        (weight <= worth, PassedOver.WORTH_LESS),
    )
    return next((why for holds, why in stood_in_the_way if holds), PassedOver.NOT_SEEN_OR_NOT_FOR_THE_WHOLE)


def _openers(suggestion: Suggestion, rows: list[int], snapshot: Snapshot, policy: Policy) -> tuple[OpenerPart, ...]:
    willing = [row for row in rows if snapshot.members["goes_first"][row] >= policy.goes_first_min]
    is_group = suggestion.kind is SuggestionKind.GROUP
    cap = policy.opener_load_max if is_group else policy.opener_load_of_pairs_max
    found = []
    for row in willing:
        asked, chosen = int(snapshot.opener_load[row]), snapshot.ids[row] == suggestion.opener
        if chosen and len(willing) == 1:
            why = "the only one of them who is happy to go first"
        elif chosen:
            why = "of those who are happy to go first, asked to least often lately, then the happiest to, then by id"
        elif asked >= cap:
            why = f"happy to go first, and was asked to {asked} times lately: {cap} is the cap"
        else:
            why = "happy to go first too, and comes after the one who was chosen"
        found.append(OpenerPart(snapshot.ids[row], int(snapshot.members["goes_first"][row]), asked, why))
    return tuple(sorted(found, key=lambda part: (part.member != suggestion.opener, part.asked_lately, part.member)))
