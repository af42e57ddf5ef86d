"""What a match is worth: interests, openness and practical matters, each 0 to 1 and kept apart.

Each part is judged from either side, and a match is worth what it is worth to the one
who gains less. Openness fits best when somebody is happy to go first, the other
listens, and neither wants to go much deeper than the other can bear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.matcher.compiled import compiled
from services.matcher.interests import InterestArrays, InterestSpace, alike, spread, wipe
from services.matcher.policy import WEIGHT_ONE, Policy
from services.matcher.snapshot import Snapshot


class ScoreRule(NamedTuple):
    """The part of the policy that scores depend on, as compiled code reads it."""

    interests: float
    openness: float
    practical: float
    waiting_gain: int
    """Integer weight for each round waited."""
    waiting_rounds_max: int

    @classmethod
    def of(cls, policy: Policy) -> ScoreRule:
        total = policy.interests_weight + policy.openness_weight + policy.practical_weight
        return cls(
            policy.interests_weight / total,
            policy.openness_weight / total,
            policy.practical_weight / total,
            round(policy.waiting_gain_per_round * WEIGHT_ONE),
            policy.waiting_rounds_counted_max,
        )


@dataclass(frozen=True)
class Scores:
    """The scores of m pairs. `parts` is (m, 4): interests, openness, practical, total, each in 0..1."""

    parts: NDArray[np.float64]
    weight: NDArray[np.int32]
    """The total in millionths, and what both gain by having waited. At least 1."""


def score_pairs(snapshot: Snapshot, space: InterestSpace, pairs: NDArray[np.int64], policy: Policy) -> Scores:
    """Score pairs of rows, (m, 2), in whatever order; about 1.5 us a pair.

    Says what two people would be worth to each other if they were matched, and not
    whether they may be: see `services.matcher.rules`.
    """
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    order = np.lexsort((high, low))
    parts = np.empty((len(pairs), 4))
    weight = np.empty(len(pairs), np.int32)
    sorted_parts, sorted_weight = _scores(
        snapshot.members, space.arrays, low[order], high[order], len(space.holders), ScoreRule.of(policy)
    )
    parts[order], weight[order] = sorted_parts, sorted_weight
    return Scores(parts, weight)


@compiled
def distance_km(members: NDArray[Any], a: int, b: int) -> float:
    one, other = members[a], members[b]
    east, north, up = one.east - other.east, one.north - other.north, one.up - other.up
    return np.sqrt(east * east + north * north + up * up)  # type: ignore[no-any-return]


@compiled
def bits_in(mask: int) -> int:
    """How many bits are set in a mask of 0 or more: added up in pairs, fours, bytes, and the whole."""
    mask -= mask >> 1 & 0x5555555555555555
    mask = (mask & 0x3333333333333333) + (mask >> 2 & 0x3333333333333333)
    mask = mask + (mask >> 4) & 0x0F0F0F0F0F0F0F0F
    return (mask * 0x0101010101010101) >> 56


OPENER_SHARE, DEPTH_SHARE, LISTENS_SHARE, SHARES_SHARE = 0.4, 0.35, 0.15, 0.1


@compiled
def openness_fit(first: int, my_depth: int, your_depth: int, listens: int, shares: int) -> float:
    """How well your openness suits me, 0..1, from ratings of 1 to 5; `first` is the higher one of us two."""
    # One step deeper than I would go myself is an invitation; more is a burden. Shallower only bores.
    deeper = max(0, your_depth - my_depth - 1)
    shallower = max(0, my_depth - your_depth - 1)
    depth = 1.0 - deeper / 3.0 - shallower / 6.0
    told = LISTENS_SHARE * (listens - 1) / 4.0 + SHARES_SHARE * (shares - 1) / 4.0
    return OPENER_SHARE * (first - 1) / 4.0 + DEPTH_SHARE * depth + told


@compiled
def openness_for(members: NDArray[Any], me: int, you: int) -> float:
    """How well your openness suits me, 0..1."""
    mine, yours = members[me], members[you]
    first = max(mine.goes_first, yours.goes_first)
    return openness_fit(first, mine.depth, yours.depth, yours.listens, yours.shares)


NEAR_SHARE, SLOTS_SHARE, LANGUAGES_SHARE = 0.6, 0.3, 0.1
SLOTS_ENOUGH, LANGUAGES_ENOUGH = 4, 2
"""More in common than this many makes nothing easier."""


@compiled
def choice_fit(slots: int, languages: int) -> float:
    """How much there is to choose from, by masks of what two have in common: `practical_for` but for nearness."""
    slots_part = SLOTS_SHARE * min(SLOTS_ENOUGH, bits_in(slots)) / SLOTS_ENOUGH
    return slots_part + LANGUAGES_SHARE * min(LANGUAGES_ENOUGH, bits_in(languages)) / LANGUAGES_ENOUGH


@compiled
def practical_for(members: NDArray[Any], me: int, you: int, apart_km: float) -> float:
    """How easily I can meet you, 0..1: near by my own measure, with slots to choose from, in my language."""
    near = max(0.0, 1.0 - apart_km / members[me].reach)
    mine, yours = members[me], members[you]
    choice = choice_fit(mine.slots & yours.slots, mine.languages & yours.languages)
    return NEAR_SHARE * near + choice  # type: ignore[no-any-return]


@compiled
def worth(members: NDArray[Any], a: int, b: int, interests: float, rule: ScoreRule) -> tuple[float, float, float]:
    """Openness, practical and total of a pair, each from the side that gains less."""
    apart = distance_km(members, a, b)
    openness_a, openness_b = openness_for(members, a, b), openness_for(members, b, a)
    practical_a, practical_b = practical_for(members, a, b, apart), practical_for(members, b, a, apart)
    total_a = rule.openness * openness_a + rule.practical * practical_a
    total_b = rule.openness * openness_b + rule.practical * practical_b
    total = rule.interests * interests + min(total_a, total_b)
    return min(openness_a, openness_b), min(practical_a, practical_b), min(1.0, total)


@compiled
def weight_of(members: NDArray[Any], a: int, b: int, total: float, rule: ScoreRule) -> int:
    """The integer weight of a pair."""
    waited = min(rule.waiting_rounds_max, members[a].waited_rounds) + min(
        rule.waiting_rounds_max, members[b].waited_rounds
    )
    return max(1, np.int64(np.floor(total * WEIGHT_ONE)) + rule.waiting_gain * waited)  # type: ignore[no-any-return]


@compiled
def _scores(
    members: NDArray[Any],
    space: InterestArrays,
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    interests: int,
    rule: ScoreRule,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    reading = np.zeros(interests)
    parts = np.empty((len(one), 4))
    weight = np.empty(len(one), np.int32)
    held = -1
    for pair in range(len(one)):
        a, b = one[pair], other[pair]
        if a != held:
            if held >= 0:
                wipe(space, held, reading)
            held = a
            spread(space, held, reading)
        liked = alike(space, a, b, reading)
        openness, practical, total = worth(members, a, b, liked, rule)
        parts[pair, 0], parts[pair, 1], parts[pair, 2], parts[pair, 3] = liked, openness, practical, total
        weight[pair] = weight_of(members, a, b, total, rule)
    return parts, weight
