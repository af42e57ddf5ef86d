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


@compiled
def openness_for(members: NDArray[Any], me: int, you: int) -> float:
    """How well your openness suits me, 0..1."""
    first = max(members[me].goes_first, members[you].goes_first) - 1
    # One step deeper than I would go myself is an invitation; more is a burden. Shallower only bores.
    deeper = max(0, members[you].depth - members[me].depth - 1)
    shallower = max(0, members[me].depth - members[you].depth - 1)
    depth = 1.0 - deeper / 3.0 - shallower / 6.0
    heard = members[you].listens - 1
    told = members[you].shares - 1
    return 0.4 * first / 4.0 + 0.35 * depth + 0.15 * heard / 4.0 + 0.1 * told / 4.0  # type: ignore[no-any-return]


@compiled
def practical_for(members: NDArray[Any], me: int, you: int, apart_km: float) -> float:
    """How easily I can meet you, 0..1: near by my own measure, with slots to choose from, in my language."""
    near = max(0.0, 1.0 - apart_km / members[me].reach)
    slots = min(4, bits_in(members[me].slots & members[you].slots))
    languages = min(2, bits_in(members[me].languages & members[you].languages))
    return 0.6 * near + 0.3 * slots / 4.0 + 0.1 * languages / 2.0  # type: ignore[no-any-return]


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
def at_most_beside_interests(members: NDArray[Any], a: int, b: int, apart_km: float, rule: ScoreRule) -> float:
    """What a pair's total cannot exceed beside its interests, for a search to pass over most at little cost."""
    near = max(0.0, 1.0 - apart_km / min(members[a].reach, members[b].reach))
    first = max(members[a].goes_first, members[b].goes_first) - 1
    return rule.openness * (0.6 + 0.1 * first) + rule.practical * (0.4 + 0.6 * near) + 1e-9  # type: ignore[no-any-return]


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
